//! Stories of what the platform says on a socket, and of what it does not say: one rule each.

use super::channels::{count, lasting, live, HOUR, MINUTE};
use super::faults::Fault;
use super::rest::What;
use super::sockets::ODDITIES;
use super::world::{settings, Nature, Platform};
use crate::config::settings::{Displaced, Settings};
use crate::error::Code;
use crate::event::State;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    heartbeats_keep_a_socket_alive,
    a_socket_whose_heartbeats_stay_out_is_left_within_35_seconds,
    a_notice_of_closing_brings_a_replacement_within_five_seconds_and_no_gap,
    a_notice_of_closing_that_nothing_follows_replaces_the_socket_once,
    a_notice_of_closing_while_the_spare_channel_is_lent_waits_for_it,
    who_is_displaced_stays_so_until_the_application_acts,
    who_is_displaced_comes_back_late_where_that_is_the_policy,
    an_evicted_channel_is_a_displacement,
    a_token_that_is_revoked_is_replaced_first,
    frames_nobody_knows_are_delivered_untouched,
    a_gap_says_after_which_event_it_began_and_why,
];

#[test]
fn heartbeats_keep_a_socket_alive() {
    let mut nature = lasting();
    nature.base.push_ms = 20 * HOUR;
    let mut w = live(settings(), nature);
    w.fault_for(Fault::BeatsTwice, HOUR);
    w.run_for(12 * HOUR);
    assert_eq!(w.laws().dials.len(), 1);
    assert!(w.laws().beats >= 12 * 120 && w.laws().gaps.is_empty());
}

#[test]
fn a_socket_whose_heartbeats_stay_out_is_left_within_35_seconds() {
    let mut w = live(settings(), lasting());
    w.run_for(10 * MINUTE);
    let began = w.now_ms;
    w.strike(Fault::Stall, 0);
    assert!(w.run_until(40_000, |w| !w.laws().gaps.is_empty()));
    assert!(w.now_ms - began <= 35_100, "noticed after {} ms", w.now_ms - began);
    let cause = w.laws().gaps[0].cause.clone().unwrap();
    assert_eq!(cause.code(), Code::PeerDead);
    w.run_for(MINUTE);
    assert!(w.is_live());
    w.run_for(10 * MINUTE);
    w.clients[0].laws.account.settle(w.now_ms, false);
}

/// Whether the old socket and its successor were both there, and nothing was missed.
fn is_replaced_once(w: &mut Platform) {
    w.run_for(10 * MINUTE);
    assert_eq!((w.laws().handovers.len(), w.laws().gaps.len()), (1, 0), "{:?}", w.laws().order);
    assert_eq!(w.laws().dials.iter().map(|(_, channel)| *channel).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((w.laws().asked_spare, w.laws().held_since, w.spare.holder), (1, None, None));
    assert_eq!(w.watch.tokens.len(), 1, "the token is good");
    assert_eq!(w.state(), State::Ready);
    w.clients[0].laws.account.settle(w.now_ms, false);
}

#[test]
fn a_notice_of_closing_brings_a_replacement_within_five_seconds_and_no_gap() {
    let mut w = live(settings(), lasting());
    w.run_for(10 * MINUTE);
    let began = w.now_ms;
    w.strike(Fault::ClosingThenClosed, 0);
    w.run_for(7_000);
    assert_eq!(w.laws().dials.len(), 2, "no replacement is dialled");
    let (at_ms, _) = *w.laws().dials.last().unwrap();
    assert!(at_ms - began <= 6_000, "replaced after {} ms", at_ms - began);
    is_replaced_once(&mut w);
}

#[test]
fn a_notice_of_closing_that_nothing_follows_replaces_the_socket_once() {
    let mut w = live(settings(), lasting());
    w.strike(Fault::ClosingOnly, 0);
    is_replaced_once(&mut w);
}

#[test]
fn a_notice_of_closing_while_the_spare_channel_is_lent_waits_for_it() {
    let mut w = live(settings(), lasting());
    w.fault_for(Fault::SpareTaken, 40_000);
    w.strike(Fault::ClosingThenClosed, 0);
    w.run_for(39_000);
    assert_eq!(w.cloud.made, 1, "no second channel without leave");
    assert!(w.laws().live.is_some() && w.laws().gaps.is_empty());
    w.faults_end();
    is_replaced_once(&mut w);
}

#[test]
fn who_is_displaced_stays_so_until_the_application_acts() {
    for lifetime_ms in [24 * HOUR, 10 * MINUTE] {
        let mut nature = Nature::default();
        nature.base.lifetime_ms = lifetime_ms;
        let mut w = live(settings(), nature);
        w.strike(Fault::Displaced, 0);
        w.until_state(State::Displaced, MINUTE);
        let change = w.laws().states.last().unwrap().clone();
        assert_eq!(change.error.unwrap().code(), Code::Displaced);
        // Tokens are renewed meanwhile: that is no reason to come back.
        w.run_for(20 * HOUR);
        assert_eq!(
            (w.state(), w.cloud.made),
            (State::Displaced, 1 + u64::from(lifetime_ms < HOUR) * (w.cloud.made - 1))
        );
        assert_eq!(w.laws().gaps.len(), 1);
        w.refresh_now();
        w.run_for(2 * MINUTE);
        assert!(w.is_live(), "{:?}", w.state());
        assert!(w.laws().gaps[0].to_wall_ms > 0, "the gap ends");
    }
}

#[test]
fn who_is_displaced_comes_back_late_where_that_is_the_policy() {
    let rules = Settings { displaced: Displaced::Return, ..settings() };
    let mut w = live(rules, lasting());
    w.strike(Fault::Displaced, 0);
    w.until_state(State::Displaced, MINUTE);
    let began = w.now_ms;
    assert!(w.run_until(2 * HOUR, Platform::is_live), "{:?}", w.state());
    assert!(w.now_ms - began >= 30_000, "two that come back after {} ms fight", w.now_ms - began);
    assert_eq!(w.laws().dials.last().unwrap().1, 2, "by a new channel");
}

#[test]
fn an_evicted_channel_is_a_displacement() {
    let mut w = live(settings(), lasting());
    w.strike(Fault::ChannelEvicted, 0);
    w.until_state(State::Displaced, MINUTE);
    w.run_for(HOUR);
    assert_eq!(w.laws().dials.len(), 1);
    w.refresh_now();
    w.run_for(2 * MINUTE);
    assert!(w.is_live());
}

#[test]
fn a_token_that_is_revoked_is_replaced_first() {
    let mut w = live(settings(), lasting());
    w.strike(Fault::TokensRevoked, 0);
    w.run_for(2 * MINUTE);
    assert!(w.is_live(), "{:?}", w.state());
    assert_eq!(w.watch.tokens.len(), 2);
    let (at_ms, _) = w.watch.tokens[1];
    let made = w.calls.iter().rfind(|(_, _, what)| *what == What::Make).unwrap();
    assert!(made.0 >= at_ms, "the channel is made with the new token");
    assert_eq!(w.laws().gaps.len(), 1);
    assert_eq!(w.laws().gaps[0].cause.as_ref().unwrap().code(), Code::TokenRevoked);
    w.run_for(10 * MINUTE);
    w.clients[0].laws.account.settle(w.now_ms, false);
}

#[test]
fn frames_nobody_knows_are_delivered_untouched() {
    let mut w = live(settings(), lasting());
    w.strike(Fault::UnknownFrames, 0);
    w.run_for(MINUTE);
    assert_eq!(w.laws().account.oddities, ODDITIES);
    w.strike(Fault::UnknownFrames, 0);
    w.run_for(MINUTE);
    assert_eq!(w.laws().account.oddities.len(), 2 * ODDITIES.len(), "equal ones on one socket are two");
    assert_eq!((w.state(), w.laws().dials.len()), (State::Ready, 1));
}

#[test]
fn a_gap_says_after_which_event_it_began_and_why() {
    let mut w = live(settings(), lasting());
    w.run_for(10 * MINUTE);
    let last = w.laws().account.last_correlation.clone();
    let wall_ms = w.now().wall_ms;
    w.strike(Fault::Dropped, 0);
    w.run_for(100);
    let gap = w.laws().gaps[0].clone();
    assert!(gap.last_correlation_id == last && !last.is_empty(), "{} and {last}", gap.last_correlation_id);
    assert!((wall_ms - 35_000..wall_ms + 100).contains(&gap.from_wall_ms) && gap.to_wall_ms == 0);
    assert_eq!(gap.cause.unwrap().code(), Code::Dropped);
    w.run_for(2 * MINUTE);
    let gap = w.laws().gaps[0].clone();
    assert!(gap.to_wall_ms >= wall_ms && gap.last_correlation_id == last);
    w.run_for(10 * MINUTE);
    w.clients[0].laws.account.settle(w.now_ms, false);
    assert_eq!(count(&w, |what| *what == What::Make), 1);
}
