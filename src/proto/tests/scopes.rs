//! Stories of scopes: who is believed, what a renewal changes, and what becomes of the live socket when one is lost.

use std::sync::Arc;

use super::alone::{token, Lone};
use super::faults::Fault;
use super::hand::{opaque, Hand};
use super::server::Nature;
use super::stories::{live, settings, HOUR, MINUTE};
use super::world::World;
use crate::audit::{Phase, Record, ScopeResult};
use crate::config::settings::{LostScopes, Settings, UnknownScopes};
use crate::error::{Code, Error};
use crate::event::{Question, State};
use crate::proto::refresher;
use crate::proto::scope::Sources;
use crate::proto::session::{Input, Rounds, Session};
use crate::proto::token::Token;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    who_is_trusted_more_is_believed,
    a_renewal_that_changes_the_grants_says_how,
    a_lost_scope_keeps_the_socket_until_the_old_token_ends,
    a_scope_that_is_given_back_in_time_costs_nothing,
    attempts_after_a_denial_take_their_time,
    the_application_does_not_wait_for_the_next_attempt,
    a_new_credential_does_not_wait_either,
    where_it_is_to_be_closed_a_lost_scope_ends_the_socket_at_once,
    what_cannot_be_known_closes_nothing,
    clients_of_a_shared_token_lose_their_scopes_one_by_one,
    a_client_of_a_shared_token_gives_up_alone,
    scopes_of_an_opaque_token_are_lost_like_others,
];

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn denials(w: &World) -> usize {
    let denied = |record: &&Record| matches!(record, Record::Scopes(audit) if audit.result != ScopeResult::Allowed);
    w.watch.records.iter().filter(denied).count()
}

/// What was told of changes: new, gone, and gone although required.
fn changes(w: &World) -> Vec<String> {
    let of = |change: &crate::event::ScopesChanged| {
        format!("{}/{}/{}", change.added.join(" "), change.removed.join(" "), change.missing.join(" "))
    };
    w.watch.changes.iter().map(of).collect()
}

fn failures(w: &World) -> Vec<Phase> {
    w.watch.attempts.iter().filter(|(_, success, _)| !success).map(|(phase, ..)| *phase).collect()
}

/// Live, and every token from now on lacks the scope that is needed; up to the first of them.
fn losing(lost_scopes: LostScopes) -> World {
    let mut w = World::new(1, Settings { lost_scopes, ..settings() }, Nature::default());
    w.start(Rounds::Forever);
    w.until_live(10_000);
    w.fault_for(Fault::TokenScopeMissing, 3 * HOUR);
    assert!(w.run_until(HOUR, |w| denials(w) == 1), "no renewal");
    w.run_for(100);
    w
}

#[test]
fn who_is_trusted_more_is_believed() {
    let list = |text: &str| Some(names(text));
    let vouched = Sources { vouched: list("a"), claimed: list("a b"), answered: list("b"), ..Sources::default() };
    assert_eq!(vouched.resolve(), list("a"));
    let token = Sources { claimed: list("a"), answered: list("a b"), ..Sources::default() };
    assert_eq!(token.resolve(), list("a"));
}

#[test]
fn a_renewal_that_changes_the_grants_says_how() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    w.fault_for(Fault::TokenScopesDiffer, 2 * HOUR);
    w.run_for(90 * MINUTE);
    assert_eq!(changes(&w), ["c:read/b:read/"]);
    w.faults_end();
    w.run_for(HOUR);
    assert_eq!(changes(&w), ["c:read/b:read/", "b:read/c:read/"]);
    assert_eq!((w.watch.dials.len(), denials(&w), w.state()), (1, 0, State::Ready));
    let recorded = |record: &&Record| matches!(record, Record::ScopesChanged { .. });
    assert_eq!(w.watch.records.iter().filter(recorded).count(), 2);
    // The same names in another order, and one twice, are the same grants.
    let mut lone = Lone::live();
    lone.feed(Input::Publish(granting(2, Some("b:read a:read a:read"))));
    assert!(lone.said.contains(&"Notice".to_owned()), "{:?}", lone.said);
    lone.feed(Input::Reply { epoch: 1, text: br#"{"type":"auth","status":"ok"}"#.to_vec() });
    lone.feed(Input::Publish(granting(3, Some("a:read b:read"))));
    assert!(!lone.said.contains(&"Notice".to_owned()), "{:?}", lone.said);
}

#[test]
fn a_lost_scope_keeps_the_socket_until_the_old_token_ends() {
    let mut w = losing(LostScopes::Keep);
    let shown = w.watch.states.last().unwrap();
    assert_eq!((shown.to, shown.reason), (State::Degraded, "scopes denied"));
    assert_eq!(shown.error.as_ref().map(Error::code), Some(Code::ScopeDenied));
    assert_eq!(changes(&w), ["other:read/a:read b:read/a:read"]);
    assert_eq!(failures(&w), [Phase::Renewal]);
    // The refresh token that came with the token that is not used is the one that counts from now on.
    let rotated = w.refresher.credentials().refresh_token.as_ref().unwrap();
    let stored =
        |(_, asked): &&(u64, Question)| matches!(asked, Question::PersistRefreshToken(text) if text == rotated);
    assert_eq!(w.watch.asks.iter().filter(stored).count(), 1);
    let old = Arc::clone(&w.watch.tokens[0].1);
    w.run_for(old.schedule.usable_ms - w.now_ms);
    assert_eq!((w.state(), w.watch.send_on, w.watch.gaps.len()), (State::Degraded, Some(1), 0));
    assert_eq!((denials(&w), changes(&w).len(), failures(&w).len()), (1, 1, 1), "it is said once");
    w.run_for(MINUTE);
    assert_eq!((w.state(), w.watch.send_on, w.watch.gaps.len()), (State::ReauthRequired, None, 1));
    assert_eq!((denials(&w), w.server.frames.len()), (1, 1), "no other token was shown");
    let asked = w.watch.refreshes.len();
    w.run_for(HOUR);
    assert_eq!(w.watch.refreshes.len(), asked, "a person has to act");
    w.faults_end();
    w.refresh_now();
    assert!(w.run_until(MINUTE, |w| w.state() == State::Ready));
    assert_eq!(changes(&w), ["other:read/a:read b:read/a:read", "a:read b:read/other:read/"]);
}

#[test]
fn a_scope_that_is_given_back_in_time_costs_nothing() {
    let mut w = losing(LostScopes::Keep);
    w.run_for(5 * MINUTE);
    w.faults_end();
    assert!(w.run_until(10 * MINUTE, |w| w.state() == State::Ready));
    assert_eq!((w.watch.dials.len(), w.watch.gaps.len(), w.server.frames.len()), (1, 0, 2));
    assert_eq!(changes(&w), ["other:read/a:read b:read/a:read", "a:read b:read/other:read/"]);
    assert_eq!((denials(&w), failures(&w).len()), (1, 1));
    // The next loss is another one.
    w.fault_for(Fault::TokenScopeMissing, HOUR);
    assert!(w.run_until(HOUR, |w| denials(w) == 2));
    w.run_for(100);
    assert_eq!((w.state(), failures(&w).len()), (State::Degraded, 2));
}

#[test]
fn attempts_after_a_denial_take_their_time() {
    for (lifetime_ms, least, most) in [(24 * HOUR, 15, 32), (HOUR, 10, 30), (MINUTE, 8, 20), (2_000, 3, 20)] {
        let mut w = live(Nature { lifetime_ms, push_ms: lifetime_ms / 4, ..Nature::default() });
        w.watch.refreshes.clear();
        w.fault_for(Fault::TokenScopeMissing, 2 * lifetime_ms);
        w.run_for(lifetime_ms + MINUTE);
        let requests = w.watch.refreshes.len();
        assert!((least..=most).contains(&requests), "{requests} requests in {lifetime_ms} ms");
        assert_eq!(denials(&w), 1);
    }
}

#[test]
fn the_application_does_not_wait_for_the_next_attempt() {
    let mut w = losing(LostScopes::Keep);
    w.faults_end();
    w.refresh_now();
    assert!(w.run_until(25_000, |w| w.state() == State::Ready), "{:?}", w.state());
    // Who asks is told, though it is the same denial. Whoever wants a token that lives longer than the old one hears at once that
    // there is none.
    let mut w = losing(LostScopes::Keep);
    w.wish(HOUR);
    w.wish(MINUTE);
    let given: Vec<bool> = w.watch.answers_given.iter().map(|(_, _, good)| *good).collect();
    assert_eq!(given, [false, true]);
    w.refresh_now();
    w.run_for(25_000);
    assert_eq!((denials(&w), failures(&w).len(), changes(&w).len()), (2, 2, 1));
}

#[test]
fn a_new_credential_does_not_wait_either() {
    let mut w = losing(LostScopes::Keep);
    w.faults_end();
    w.new_credential();
    assert!(w.run_until(5_000, |w| w.state() == State::Ready), "{:?}", w.state());
}

#[test]
fn where_it_is_to_be_closed_a_lost_scope_ends_the_socket_at_once() {
    let mut w = losing(LostScopes::Close);
    assert_eq!((w.state(), w.watch.send_on, w.watch.gaps.len()), (State::ReauthRequired, None, 1));
    assert_eq!(w.watch.gaps[0].cause.as_ref().map(Error::code), Some(Code::ScopeDenied));
    assert_eq!((denials(&w), failures(&w), w.watch.give_ups), (1, vec![Phase::Renewal], 1));
    w.run_for(HOUR);
    assert_eq!((w.watch.dials.len(), w.watch.refreshes.len(), w.server.frames.len()), (1, 2, 1));
    w.faults_end();
    w.refresh_now();
    assert!(w.run_until(MINUTE, |w| w.state() == State::Ready));
    assert!(w.watch.gaps[0].to_wall_ms > 0, "the gap ends");
}

fn granting(serial: u64, scopes: Option<&str>) -> Arc<Token> {
    let plain = token(serial, 600_000);
    Arc::new(Token { scopes: scopes.map(names), ..Token::clone(&plain) })
}

#[test]
fn what_cannot_be_known_closes_nothing() {
    for unknown_scopes in [UnknownScopes::Deny, UnknownScopes::Allow] {
        let rules = Settings { lost_scopes: LostScopes::Close, unknown_scopes, ..settings() };
        let nature = Nature::default();
        let mut w = World::new(1, rules, nature);
        w.start(Rounds::Forever);
        w.until_live(10_000);
        w.nature.rotates = false;
        w.nature.body = Some(r#"{"access_token":"{token}","token_type":"bearer","expires_in":3600}"#.into());
        let seen = w.watch.attempts.len();
        assert!(w.run_until(HOUR, |w| w.watch.attempts.len() > seen));
        w.run_for(100);
        let denied = unknown_scopes == UnknownScopes::Deny;
        assert_eq!(w.state(), if denied { State::Degraded } else { State::Ready });
        assert_eq!((w.watch.send_on, changes(&w).len(), denials(&w)), (Some(1), 0, usize::from(denied)));
    }
}

fn shared(lost_scopes: LostScopes) -> Lone {
    let rules = Settings { lost_scopes, ..settings() };
    let session = Session::new(Arc::new(rules), None).sharing();
    Lone { session, at_ms: 0, said: Vec::new(), recorded: Vec::new() }.become_live()
}

#[test]
fn clients_of_a_shared_token_lose_their_scopes_one_by_one() {
    let mut lone = shared(LostScopes::Keep);
    lone.feed(Input::Publish(granting(2, Some("b:read"))));
    // The check, the change and its notice, the attempt.
    assert_eq!(lone.said, ["Audit", "Audit", "Notice", "Audit", "Degraded"]);
    // Once a change: the next token lacks it too.
    lone.feed(Input::News(refresher::News::Fetching));
    lone.feed(Input::Publish(granting(3, Some("b:read"))));
    assert!(lone.said.is_empty() && lone.session.state() == State::Degraded, "{:?}", lone.said);
    lone.feed(Input::Publish(granting(4, Some("c:read"))));
    assert_eq!(lone.said, ["Audit", "Audit", "Notice", "Audit"]);
    lone.feed(Input::Publish(granting(5, Some("a:read"))));
    assert!(lone.said.contains(&r#"auth 1 {"type":"auth","token":"hush-5"}"#.to_owned()), "{:?}", lone.said);
    assert_eq!(lone.session.state(), State::Renewing);
}

#[test]
fn a_client_of_a_shared_token_gives_up_alone() {
    let mut lone = shared(LostScopes::Close);
    lone.feed(Input::Publish(granting(2, Some("b:read"))));
    for said in ["GiveUp", "SendOn", "Leave", "ReauthRequired"] {
        assert!(lone.said.contains(&said.to_owned()), "{said}: {:?}", lone.said);
    }
    assert!(lone.until(500_000).iter().all(|said| !said.starts_with("dial")));
    lone.feed(Input::Publish(granting(3, Some("a:read"))));
    assert!(lone.said.contains(&"dial 2 false".to_owned()), "{:?}", lone.said);
}

#[test]
fn scopes_of_an_opaque_token_are_lost_like_others() {
    let mut hand = Hand::new(Settings { unknown_scopes: UnknownScopes::Allow, ..opaque() }, false);
    hand.feed(refresher::Input::Start);
    hand.granted("");
    assert_eq!(hand.replied(200, r#"{"authorizedScope":["a:read"]}"#), ["publish"]);
    assert_eq!(hand.wait(), ["request hush-r0"]);
    hand.granted("");
    assert_eq!(hand.replied(200, r#"{"authorizedScope":["b:read"]}"#), ["denied", "waiting", "lost"]);
    assert!(hand.refresher.token().is_some(), "the old token is good");
    // That `tokens/me` does not answer gives nothing back, nor does somebody who asks again.
    hand.wait();
    hand.granted("");
    assert_eq!(hand.no_answer(), ["waiting"], "it is said once");
    assert_eq!(hand.feed(refresher::Input::RefreshNow), ["request hush-r0"]);
    hand.granted("");
    assert_eq!(hand.replied(503, ""), ["denied", "waiting", "lost"]);
    assert_eq!(hand.errors.last().unwrap().detail().missing_scopes, ["a:read"]);
    assert_eq!(hand.tokens.len(), 1);
    hand.wait();
    hand.granted("");
    assert_eq!(hand.replied(200, r#"{"authorizedScope":["a:read"]}"#), ["publish"]);
    // Then nothing is lost, and the policy allows what is not known; as it does of another login.
    assert_eq!(hand.wait(), ["request hush-r0"]);
    hand.granted("");
    assert_eq!(hand.no_answer(), ["publish"]);
    hand.wait();
    hand.granted("");
    assert_eq!(hand.replied(200, r#"{"authorizedScope":["b:read"]}"#), ["denied", "waiting", "lost"]);
    let login = refresher::Credential::RefreshToken(super::hand::secret("hush-r9"));
    assert_eq!(hand.feed(refresher::Input::Credential(login)), ["request hush-r9"]);
    hand.granted("");
    assert_eq!(hand.no_answer(), ["publish"]);
}
