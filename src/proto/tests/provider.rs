//! Stories of an application that provides its own tokens: one rule each.

use super::faults::Fault;
use super::random::provided;
use super::server::Nature;
use super::stories::{settings, HOUR, MINUTE};
use super::world::World;
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::event::{Question, State};
use crate::hooks::Answer;
use crate::proto::refresher::Input;
use crate::proto::session::Rounds;
use crate::secret::Secret;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    tokens_come_by_questions_and_no_request_is_made,
    a_question_without_an_answer_keeps_the_token,
    a_question_ends_after_its_time,
    a_late_answer_is_ignored,
    the_token_that_was_refused_is_not_taken_again,
    the_same_token_again_lives_for_what_is_left,
    tokens_that_are_dead_are_refused_here_or_there,
    the_application_can_say_that_a_person_has_to_act,
    lifetimes_that_are_not_said,
    what_cannot_be_a_token_is_a_failed_attempt,
    a_close_does_not_wait_for_an_answer,
];

fn world(rules: Settings) -> World {
    let (mut nature, mut rules) = (Nature::default(), rules);
    provided(&mut nature, &mut rules);
    World::new(1, rules, nature)
}

fn live() -> World {
    let mut w = world(settings());
    w.start(Rounds::Forever);
    w.until_live(10_000);
    w
}

/// The number of the last question.
fn last_question(w: &World) -> u64 {
    w.watch.asks.last().unwrap().0
}

fn text(w: &World) -> &str {
    w.watch.tokens.last().unwrap().1.access_token.expose()
}

#[test]
fn tokens_come_by_questions_and_no_request_is_made() {
    let mut w = live();
    w.run_for(3 * HOUR);
    assert!(w.server.forms.is_empty());
    assert!(w.watch.asks.iter().all(|(_, question)| *question == Question::AccessToken));
    assert_eq!(w.watch.asks.len(), w.watch.tokens.len());
    assert!(w.watch.renewals.len() >= 3 && w.watch.gaps.is_empty() && w.watch.dials.len() == 1);
    // The lead is kept as if a server had granted it.
    assert!(w.watch.renewals.iter().all(|(lead_ms, _)| *lead_ms >= 10 * MINUTE), "{:?}", w.watch.renewals);
    w.refresh_now();
    let renewals = w.watch.renewals.len();
    w.run_for(MINUTE);
    assert_eq!(w.watch.renewals.len(), renewals + 1);
}

#[test]
fn a_question_without_an_answer_keeps_the_token() {
    let mut w = live();
    w.fault_for(Fault::AppProvidesNone, 59 * MINUTE + 20_000);
    let schedule = w.watch.tokens[0].1.schedule;
    w.run_for(schedule.refresh_ms + 90_000 - w.now_ms);
    assert!(w.watch.asks.len() > 3, "asked again: {}", w.watch.asks.len());
    let wish = w.wish(MINUTE);
    assert_eq!(w.watch.answers_given.last(), Some(&(w.now_ms, wish, true)));
    assert_eq!(w.state(), State::Ready);
    w.run_for(20 * MINUTE);
    assert_eq!((w.watch.renewals.len(), w.watch.gaps.len(), w.watch.dials.len()), (1, 0, 1));
    assert!(w.watch.states.iter().any(|change| change.to == State::Degraded), "the goal was missed");
    assert!(w.watch.errors.iter().any(|error| error.code() == Code::Timeout));
}

#[test]
fn a_question_ends_after_its_time() {
    let mut w = world(Settings { provider_timeout_ms: 4_000, ..settings() });
    w.fault_for(Fault::AppProvidesNone, HOUR);
    w.start(Rounds::Once);
    w.run_for(3_999);
    assert_eq!((w.watch.refreshes.len(), w.refresher.next_timeout()), (1, Some(4_000)));
    assert!(w.run_until(MINUTE, |w| !w.watch.failed.is_empty()), "connect goes on");
    let error = &w.watch.failed[0];
    assert_eq!((error.code(), error.detail().stage, error.detail().attempt), (Code::Timeout, Stage::Token, 3));
    assert_eq!(w.watch.refreshes.len(), 3);
    // While a token is held the wait is cut, so that there is time for more.
    let mut w = live();
    w.fault_for(Fault::AppProvidesNone, HOUR);
    let usable_ms = w.watch.tokens[0].1.schedule.usable_ms;
    w.run_for(usable_ms - 13_000 - w.now_ms);
    let asked = w.watch.refreshes.len();
    w.run_for(13_000);
    assert!(w.watch.refreshes.len() > asked + 1, "no time for two more");
}

#[test]
fn a_late_answer_is_ignored() {
    let mut w = live();
    w.fault_for(Fault::AppProvidesNone, HOUR);
    w.refresh_now();
    let late = last_question(&w);
    assert!(w.run_until(5 * MINUTE, |w| last_question(w) > late));
    let (tokens, senseless) = (w.watch.tokens.len(), w.refresher.senseless());
    let provide = |w: &mut World, id| {
        let answer = Ok(w.server.provide(w.now_ms, HOUR, HOUR));
        w.feed_refresher(Input::Answered { id, answer });
    };
    provide(&mut w, late);
    assert_eq!((w.watch.tokens.len(), w.refresher.senseless()), (tokens, senseless + 1));
    let open = last_question(&w);
    provide(&mut w, open);
    assert_eq!(w.watch.tokens.len(), tokens + 1);
    provide(&mut w, open);
    assert_eq!(w.watch.tokens.len(), tokens + 1, "answered twice");
}

#[test]
fn the_token_that_was_refused_is_not_taken_again() {
    let mut w = live();
    w.fault_for(Fault::AppProvidesAgain, 10 * MINUTE);
    let refused = text(&w).to_owned();
    w.feed_refresher(Input::Refused { serial: 1 });
    w.run_for(5 * MINUTE);
    assert!(w.watch.refreshes.len() > 4, "asked again");
    assert_eq!(w.watch.tokens.len(), 1, "the same token is taken again");
    w.run_for(HOUR);
    assert!(w.watch.tokens.len() > 1 && w.watch.tokens[1].1.access_token.expose() != refused);
    assert!(w.is_live());
}

#[test]
fn the_same_token_again_lives_for_what_is_left() {
    let mut w = live();
    w.fault_for(Fault::AppProvidesAgain, 59 * MINUTE);
    w.run_for(58 * MINUTE);
    let first = w.watch.tokens[0].1.schedule;
    for (_, token) in &w.watch.tokens {
        assert!(token.schedule.expires_ms.abs_diff(first.expires_ms) < 100, "{:?}", token.schedule);
    }
    assert!((2..20).contains(&w.watch.tokens.len()), "{} questions", w.watch.tokens.len());
    assert!(w.watch.gaps.is_empty() && w.is_live());
    w.run_for(3 * MINUTE);
    assert!(w.watch.gaps.is_empty() && w.is_live(), "the next one came in time");
}

#[test]
fn tokens_that_are_dead_are_refused_here_or_there() {
    let mut w = world(settings());
    w.fault_for(Fault::TokenTooShort, HOUR);
    w.start(Rounds::Once);
    assert!(w.run_until(10 * MINUTE, |w| !w.watch.failed.is_empty()));
    assert_eq!((w.watch.failed[0].code(), w.watch.refreshes.len()), (Code::TokenLifetime, 3));
    // What only the server can know: two of them are two strikes.
    let mut w = world(settings());
    w.fault_for(Fault::AppProvidesDead, 10 * MINUTE);
    w.start(Rounds::Forever);
    w.until_state(State::ReauthRequired, 5 * MINUTE);
    assert_eq!(w.watch.tokens.len(), 2);
    w.run_for(HOUR);
    assert_eq!(w.watch.tokens.len(), 2, "asked although blocked");
    w.refresh_now();
    w.until_live(MINUTE);
}

#[test]
fn the_application_can_say_that_a_person_has_to_act() {
    let mut w = world(settings());
    w.fault_for(Fault::AppProvidesNone, 1_000);
    w.start(Rounds::Forever);
    w.run_for(1_000);
    let error = Error::new(Code::ReauthRequired, Stage::Token, "the login has ended");
    let id = last_question(&w);
    w.feed_refresher(Input::Answered { id, answer: Err(error) });
    w.run_for(HOUR);
    assert_eq!((w.state(), w.watch.asks.len()), (State::ReauthRequired, 1), "nor is a code asked for");
    w.refresh_now();
    w.until_live(MINUTE);
    // Any other refusal is a failed attempt.
    let mut w = world(settings());
    w.fault_for(Fault::AppCannotProvide, HOUR);
    w.start(Rounds::Once);
    assert!(w.run_until(10 * MINUTE, |w| !w.watch.failed.is_empty()));
    assert_eq!((w.watch.failed[0].code(), w.watch.refreshes.len()), (Code::CallbackFailed, 3));
}

/// What a world makes of this answer to its first question: the lifetime of the token.
fn answered(rules: Settings, token: &str, expires_in_ms: Option<u64>) -> (World, Option<u64>) {
    let mut w = world(rules);
    w.fault_for(Fault::AppProvidesNone, HOUR);
    w.start(Rounds::Forever);
    w.run_for(1_000);
    let answer = Answer::AccessToken { token: Secret::new(token.into()), expires_in_ms };
    let id = last_question(&w);
    w.feed_refresher(Input::Answered { id, answer: Ok(answer) });
    let lifetime_ms = w.watch.tokens.last().map(|(_, token)| token.lifetime_ms);
    (w, lifetime_ms)
}

#[test]
fn lifetimes_that_are_not_said() {
    // 60 s from iat to exp.
    let jwt = "eyJhbGciOiJ4In0.eyJzY29wZSI6ImE6cmVhZCIsImlhdCI6MTAwMCwiZXhwIjoxMDYwfQ.hush";
    let open = || Settings { required_scopes: Vec::new(), ..settings() };
    for (token, said, lifetime_ms) in [
        (jwt, None, Some(60_000)),
        (jwt, Some(30_000), Some(30_000)),
        (jwt, Some(90_000), Some(60_000)),
        ("hush-opaque", None, Some(300_000)),
        ("hush-opaque", Some(u64::MAX), Some(450 * 24 * HOUR)),
        ("hush-opaque", Some(999), None),
    ] {
        assert_eq!(answered(open(), token, said).1, lifetime_ms, "{token} {said:?}");
    }
}

#[test]
fn what_cannot_be_a_token_is_a_failed_attempt() {
    let long = "x".repeat(20_000);
    for token in ["", "two\nlines", &long] {
        let (mut w, lifetime_ms) = answered(settings(), token, None);
        assert_eq!(lifetime_ms, None);
        w.faults_end();
        w.until_live(MINUTE);
    }
    // Scopes that cannot be known are denied for good, as for any token.
    let (w, _) = answered(settings(), "hush-opaque", None);
    assert!(w.watch.records.iter().any(|record| matches!(record, crate::audit::Record::Scopes(_))));
    assert_eq!(w.refresher.next_timeout(), None, "asked again");
}

#[test]
fn a_close_does_not_wait_for_an_answer() {
    let mut w = world(settings());
    w.fault_for(Fault::AppProvidesNone, HOUR);
    w.start(Rounds::Forever);
    w.run_for(1_000);
    w.close();
    assert_eq!((w.watch.stopped.0, w.refresher.next_timeout()), (1, None));
}
