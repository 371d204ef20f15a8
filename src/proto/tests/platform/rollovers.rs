//! Stories of renewal: a new token, a new channel, both sockets for a while, every event once.

use super::channels::{count, live, HOUR, MINUTE};
use super::faults::Fault;
use super::rest::What;
use super::world::{settings, Nature, Platform};
use crate::config::settings::{LostScopes, Settings};
use crate::event::State;
use crate::proto::session::Rounds;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    every_event_arrives_once_through_many_rollovers,
    whatever_the_skew_between_two_channels_every_event_arrives_once,
    old_subscriptions_are_deleted,
    an_idle_timeout_is_a_deadline_like_any_other,
    a_rollover_that_fails_is_tried_again_and_the_old_socket_serves_meanwhile,
    nineteen_clients_roll_over_without_an_eviction,
    a_token_that_lost_a_scope_gets_no_channel,
];

/// Tokens that live for so long, and an event every so often.
fn renewing(lifetime_ms: u64, push_ms: u64) -> Nature {
    let mut nature = Nature::default();
    (nature.base.lifetime_ms, nature.base.push_ms) = (lifetime_ms, push_ms);
    nature.base.network_ms = (5, 60);
    nature
}

/// Nothing was lost, nothing came twice or in another order.
fn is_faultless(w: &mut Platform) {
    let now_ms = w.now_ms;
    for client in &mut w.clients {
        let laws = &mut client.laws;
        assert!(laws.gaps.is_empty() && laws.failures.is_empty(), "{:?} {:?}", laws.gaps, laws.failures);
        let recent = &laws.account.recent;
        assert!(recent.is_sorted(), "out of order");
        laws.account.settle(now_ms, false);
        assert!(laws.account.missing() <= 100, "{} events are on their way", laws.account.missing());
    }
}

#[test]
fn every_event_arrives_once_through_many_rollovers() {
    let mut w = live(settings(), renewing(10 * MINUTE, 700));
    w.run_for(10 * HOUR);
    is_faultless(&mut w);
    let handovers = w.laws().handovers.len();
    assert!((60..=130).contains(&handovers), "{handovers} rollovers");
    assert_eq!(w.laws().dials.len(), handovers + 1);
    assert_eq!(w.laws().renewals.len(), handovers);
    assert!(w.laws().renewals.iter().all(|lead_ms| *lead_ms >= MINUTE), "{:?}", w.laws().renewals);
    assert!(w.laws().account.delivered > 40_000);
}

#[test]
fn whatever_the_skew_between_two_channels_every_event_arrives_once() {
    for seed in 0..5 {
        let mut nature = renewing(5 * MINUTE, 60);
        nature.skew_ms = [0, 500, 2_000][seed as usize % 3];
        nature.base.network_ms = (1, [1, 50, 300][seed as usize % 3]);
        let mut w = Platform::new(seed, settings(), nature);
        w.start(Rounds::Forever);
        w.until_live(20_000);
        w.run_for(25 * MINUTE);
        is_faultless(&mut w);
        assert!(w.laws().handovers.len() >= 6, "{} rollovers", w.laws().handovers.len());
    }
}

#[test]
fn old_subscriptions_are_deleted() {
    let mut w = live(settings(), renewing(10 * MINUTE, 5_000));
    w.run_for(5 * HOUR);
    let handovers = w.laws().handovers.len();
    let deleted = count(&w, |what| matches!(what, What::Unsubscribe(_)));
    assert!(deleted + 1 >= handovers && handovers > 25, "{deleted} of {handovers}");
    is_faultless(&mut w);
}

#[test]
fn an_idle_timeout_is_a_deadline_like_any_other() {
    let rules = Settings { idle_timeout_ms: Some(30 * MINUTE), ..settings() };
    let mut nature = renewing(24 * HOUR, 5_000);
    nature.idle_ms = Some(30 * MINUTE);
    let mut w = live(rules, nature);
    w.run_for(10 * HOUR);
    is_faultless(&mut w);
}

#[test]
fn a_rollover_that_fails_is_tried_again_and_the_old_socket_serves_meanwhile() {
    for fault in [Fault::RestUnavailable, Fault::RestHangs, Fault::RestThrottled, Fault::DialRefused, Fault::SpareTaken]
    {
        let mut w = live(settings(), renewing(HOUR, 5_000));
        w.run_for(40 * MINUTE);
        w.fault_for(fault, 12 * MINUTE);
        w.run_for(60 * MINUTE);
        assert!(w.laws().gaps.is_empty(), "{fault:?}: {:?}", w.laws().gaps);
        assert!(!w.laws().handovers.is_empty() && w.state() == State::Ready, "{fault:?}: {:?}", w.state());
        w.clients[0].laws.account.settle(w.now_ms, false);
    }
}

#[test]
fn nineteen_clients_roll_over_without_an_eviction() {
    let mut nature = renewing(30 * MINUTE, 60_000);
    (nature.clients, nature.beat_ms) = (19, 30_000);
    let mut w = Platform::new(7, settings(), nature);
    w.start(Rounds::Forever);
    w.until_live(5 * MINUTE);
    let done = |w: &Platform| w.clients.iter().all(|client| client.laws.handovers.len() >= 100);
    assert!(w.run_until(60 * HOUR, done), "{:?}", w.laws().handovers.len());
    is_faultless(&mut w);
    assert!(w.cloud.evicted.is_empty(), "{} evictions", w.cloud.evicted.len());
    assert!((19..=20).contains(&w.cloud.most_connected), "{} channels at once", w.cloud.most_connected);
    let tokens = w.watch.tokens.len();
    assert!(w.watch.refreshes.len() <= tokens + 1, "{} requests for {tokens} tokens", w.watch.refreshes.len());
}

#[test]
fn a_token_that_lost_a_scope_gets_no_channel() {
    for (lost_scopes, clients) in
        [(LostScopes::Keep, 1), (LostScopes::Keep, 3), (LostScopes::Close, 1), (LostScopes::Close, 3)]
    {
        let rules = Settings { lost_scopes, required_scopes: vec!["a:read".into()], ..settings() };
        let mut nature = renewing(HOUR, 5_000);
        (nature.base.rotates, nature.clients) = (true, clients);
        let mut w = live(rules, nature);
        w.run_for(40 * MINUTE);
        w.fault_for(Fault::TokenScopeMissing, 11 * MINUTE);
        w.run_for(10 * MINUTE);
        let keeps = lost_scopes == LostScopes::Keep;
        let state = if keeps { State::Degraded } else { State::ReauthRequired };
        let is_as_told = |w: &Platform| w.clients.iter().all(|client| client.session.state() == state);
        assert!(is_as_told(&w), "{lost_scopes:?}: {:?}", w.state());
        assert_eq!(count(&w, |what| matches!(what, What::Make)), clients, "a channel for a token that lacks a scope");
        w.faults_end();
        w.refresh_now();
        let ready = |w: &Platform| w.clients.iter().all(|client| client.session.state() == State::Ready);
        assert!(w.run_until(10 * MINUTE, ready), "{lost_scopes:?}: {:?}", w.state());
        let gaps: Vec<usize> = w.clients.iter().map(|client| client.laws.gaps.len()).collect();
        assert_eq!(gaps, vec![usize::from(!keeps); clients], "{lost_scopes:?}");
    }
}
