//! A renewal that takes a required scope away: what becomes of the live socket, and of clients that share a token.

use ffi_tests::sim::{End, Issue, Pump, TokenReply};
use genesys_ws_auth::event::{ScopesChanged, State};
use genesys_ws_auth::hooks::Answer;
use genesys_ws_auth::Code;
use std::time::Duration;

use crate::harness::*;
use crate::inn::{tokens, Inn};

const NEEDED: &str = "conversation:read";

/// A token that does not grant what is needed.
fn lacking() -> TokenReply {
    TokenReply::Issue(Issue::new().scope("user:read analytics:read"))
}

fn setup() -> Setup {
    Setup::default().key("scopes.required", NEEDED).key("token.refresh_floor_ms", 0)
}

fn changes(saws: &[Saw]) -> Vec<ScopesChanged> {
    let change = |saw: &Saw| if let Saw::Scopes(change) = saw { Some(change.clone()) } else { None };
    saws.iter().filter_map(change).collect()
}

fn records(saws: &[Saw], name: &str, value: &str) -> usize {
    count(saws, |saw| matches!(saw, Saw::Audit(record) if record[name] == value))
}

/// The names that were taken away, or given back.
fn names(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

#[test]
fn a_lost_scope_degrades_the_live_socket_and_one_given_back_mends_it() {
    let pump = Pump::every(Duration::from_millis(20));
    let rig = setup()
        .with_refresh_token()
        .answering(|request| request.complete(Answer::Done))
        .sim(|options| options.ws.pump = Some(pump))
        .connect();
    rig.sim.token().then(lacking());
    rig.client.refresh_now().unwrap();
    rig.seen.wait_state(State::Degraded, 1);
    rig.seen.wait("the failed attempt", |saws| records(saws, "status", "failure") >= 1);
    let seen = rig.seen.all();
    let shown =
        seen.iter().rev().find_map(|saw| if let Saw::State(change) = saw { Some(change) } else { None }).unwrap();
    assert_eq!((shown.reason, shown.error.as_ref().map(|e| e.code())), ("scopes denied", Some(Code::ScopeDenied)));
    // Events go on: the old token serves.
    let last = seqs(&seen).last().copied().unwrap_or(0);
    rig.seen.wait_seq(last + 10);
    rig.client.refresh_now().unwrap();
    rig.wait_sim("the renewal", |log| log.connections[0].accepted >= 2);
    rig.seen.wait("the renewed token", |saws| states(saws).last() == Some(&State::Ready));
    let issued = rig.sim.token().issued();
    let auths = rig.sim.record().read(|log| log.auths.len());
    let saws = rig.close();
    // Three tokens: the one between was shown to nobody, and its refresh token got the third.
    assert_eq!((issued.len(), auths, tokens(&saws)), (3, 2, 2), "{}", show(&saws));
    check_order(&saws).unwrap();
    assert_eq!((gaps(&saws), handovers(&saws)), (0, 0), "{}", show(&saws));
    let changes = changes(&saws);
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!((names(&changes[0].removed), names(&changes[0].missing)), (vec![NEEDED], vec![NEEDED]));
    assert_eq!((names(&changes[1].added), changes[1].missing.len()), (vec![NEEDED], 0));
    assert_eq!(records(&saws, "event_type", "scopes_changed"), 2);
    assert_eq!((records(&saws, "result", "denied"), records(&saws, "result", "allowed")), (1, 2));
    assert_eq!(records(&saws, "status", "failure"), 3, "the request, the attempt, and that a required scope is gone");
}

#[test]
fn a_lost_scope_closes_the_live_socket_if_that_is_wanted() {
    let rig = setup().key("scopes.lost", "close").connect();
    rig.sim.token().then(lacking());
    rig.client.refresh_now().unwrap();
    rig.seen.wait_state(State::ReauthRequired, 1);
    rig.wait_sim("the close", |log| log.connections[0].end.is_some());
    let end = rig.sim.record().read(|log| log.connections[0].end.clone().map(|(_, end)| end));
    assert!(matches!(end, Some(End::ClientClosed(1000))), "{end:?}");
    // The token that was good before is not handed out any more.
    assert_eq!(code(rig.client.token(Duration::ZERO, Some(BOUND))), Some(Code::ScopeDenied));
    rig.client.refresh_now().unwrap();
    rig.seen.wait_state(State::Ready, 2);
    let saws = rig.close();
    assert_eq!((gaps(&saws), rig_gap_ends(&saws)), (1, 1), "{}", show(&saws));
    assert_eq!(records(&saws, "result", "denied"), 1);
}

fn rig_gap_ends(saws: &[Saw]) -> usize {
    count(saws, |saw| matches!(saw, Saw::GapEnd(_)))
}

#[test]
fn of_clients_that_share_a_token_those_go_on_that_need_less() {
    let inn = Inn::open(ffi_tests::sim::Options::default());
    let needs = |scope: &'static str, lost: &'static str| {
        let guest = inn.guest_with(|config| {
            config.set("scopes.required", scope).unwrap();
            config.set("scopes.lost", lost).unwrap();
        });
        guest.client.connect(Some(BOUND)).unwrap();
        guest
    };
    let (keeps, closes, other) = (needs(NEEDED, "keep"), needs(NEEDED, "close"), needs("user:read", "keep"));
    inn.sim.token().then(lacking());
    other.client.refresh_now().unwrap();
    keeps.seen.wait_state(State::Degraded, 1);
    closes.seen.wait_state(State::ReauthRequired, 1);
    other.seen.wait("the new token", |saws| tokens(saws) == 2);
    let saws = keeps.close();
    assert_eq!((gaps(&saws), changes(&saws).len(), tokens(&saws)), (0, 1, 1), "{}", show(&saws));
    let saws = closes.close();
    assert_eq!((gaps(&saws), changes(&saws).len(), tokens(&saws)), (1, 1, 1), "{}", show(&saws));
    let saws = other.close();
    // It is told what changed, and loses nothing.
    let changed = changes(&saws);
    assert_eq!((gaps(&saws), changed.len(), changed[0].missing.len()), (0, 1, 0), "{}", show(&saws));
    inn.close();
}
