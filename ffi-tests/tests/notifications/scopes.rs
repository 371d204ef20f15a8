//! Scopes of opaque tokens across renewals: what `tokens/me` says decides whether a new channel is made.

use ffi_tests::sim::{Issue, TokenPolicy, TokenReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Config, Secret};

use crate::bed::*;

/// Not of client credentials, to whom scopes do not apply.
fn needing(config: &mut Config) {
    config.set_secret("token.refresh_token", Secret::new(TokenPolicy::default().refresh_token)).unwrap();
    config.set("scopes.required", "user:read").unwrap();
}

fn granting(scope: &str) -> TokenReply {
    TokenReply::Issue(Issue::new().scope(scope).without("scope"))
}

fn said(told: &Told, word: &str) -> usize {
    told.words.iter().filter(|words| words.contains(word)).count()
}

#[test]
fn a_token_that_lost_a_scope_gets_no_channel_and_the_old_one_goes_on() {
    let bed = Bed::new(pumping(20));
    let guest = bed.guest(needing);
    guest.connect();
    bed.sim.token().then(granting("analytics:read"));
    guest.client.refresh_now().unwrap();
    guest.seen.wait_state(State::Degraded, 1);
    let last = guest.seen.told().last();
    guest.seen.wait("events by the old channel", |told| told.last() >= last + 10);
    let posts = |log: &ffi_tests::sim::Log| {
        log.requests.iter().filter(|request| request.method == "POST" && request.path.ends_with("/channels")).count()
    };
    assert_eq!(bed.sim.record().read(posts), 1, "a channel for a token that lacks a scope");
    guest.roll_over();
    assert_eq!(bed.sim.record().read(posts), 2);
    every_event_once(&bed, &guest);
    let told = guest.close();
    assert_eq!((said(&told, "ScopesChanged"), said(&told, r#""event_type":"scopes_changed""#)), (2, 2));
    assert_eq!(said(&told, r#""result":"denied""#), 1);
}

#[test]
fn a_channel_is_left_with_a_gap_if_that_is_wanted() {
    let bed = Bed::new(plain());
    let guest = bed.guest(|config| {
        needing(config);
        config.set("scopes.lost", "close").unwrap();
    });
    guest.connect();
    bed.sim.token().then(granting("analytics:read"));
    guest.client.refresh_now().unwrap();
    guest.seen.wait_state(State::ReauthRequired, 1);
    guest.client.refresh_now().unwrap();
    guest.seen.wait_state(State::Ready, 2);
    let told = guest.close();
    assert_eq!((told.gaps.len(), told.gap_ends.len(), told.handovers.len()), (1, 1, 0));
}
