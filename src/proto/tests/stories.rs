//! Stories of the socket: one rule each.

use super::faults::Fault;
use super::server::{InBand, Nature};
use super::world::World;
use crate::audit::{Phase, Record};
use crate::config::settings::Settings;
use crate::error::Code;
use crate::event::State;
use crate::proto::session::Rounds;

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    connect_goes_through_its_states_and_is_audited_once,
    a_renewal_in_band_keeps_the_socket,
    a_refused_renewal_opens_a_second_socket_and_the_old_one_is_read_out_first,
    two_failures_in_a_row_mark_the_endpoint_and_one_does_not,
    failures_with_a_success_between_them_do_not_mark,
    a_renewal_that_is_never_acknowledged_counts_after_ten_seconds,
    a_throttled_renewal_is_presented_again_on_the_same_socket,
    an_auth_message_without_reply_ends_after_ten_seconds,
    the_same_refusal_of_two_tokens_needs_new_credentials,
    refusals_that_differ_and_throttles_are_no_strikes,
    a_revoked_token_is_replaced_on_the_next_socket,
    connect_fails_after_one_round_and_start_goes_on,
    close_stops_both_machines_once_whatever_they_do,
    a_close_that_is_not_answered_takes_two_seconds,
];

pub fn settings() -> Settings {
    Settings { required_scopes: vec!["a:read".into()], client_id: "id".into(), ..Settings::default() }
}

pub fn world(nature: Nature) -> World {
    World::new(1, settings(), nature)
}

/// A world in which the client is live.
pub fn live(nature: Nature) -> World {
    let mut w = world(nature);
    w.start(Rounds::Forever);
    w.until_live(10_000);
    w
}

fn states(w: &World) -> Vec<State> {
    w.watch.states.iter().map(|change| change.to).collect()
}

#[test]
fn connect_goes_through_its_states_and_is_audited_once() {
    use State::{AcquiringToken, Authenticating, Connecting, Ready, VerifyingToken};
    let mut w = world(Nature::default());
    w.start(Rounds::Once);
    w.until_live(10_000);
    assert_eq!(states(&w), [AcquiringToken, VerifyingToken, Connecting, Authenticating, Ready]);
    assert_eq!(w.watch.attempts, [(Phase::First, true, w.now_ms)]);
    assert_eq!(w.watch.connected, 1);
    assert_eq!(w.server.frames[0].1, r#"{"type":"auth","token":"hush-t1"}"#);
}

#[test]
fn a_renewal_in_band_keeps_the_socket() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    w.run_for(24 * HOUR);
    assert_eq!((w.watch.dials.len(), w.watch.marked), (1, 0));
    assert!(w.watch.renewals.len() >= 24 && w.watch.renewals.iter().all(|(_, handover)| !handover));
    assert!(w.watch.attempts[1..].iter().all(|attempt| *attempt == (Phase::Renewal, true, 20)));
    assert!(w.watch.gaps.is_empty());
    w.watch.no_silent_loss(w.now());
}

#[test]
fn a_refused_renewal_opens_a_second_socket_and_the_old_one_is_read_out_first() {
    for seed in 0..5 {
        let nature = Nature { push_ms: 3, network_ms: (5, 60), ..Nature::default() };
        let mut w = World::new(seed, settings(), nature);
        w.start(Rounds::Forever);
        w.until_live(10_000);
        w.fault_for(Fault::RenewalRefused, 2_000);
        w.watch.forget();
        w.refresh_now();
        assert!(w.run_until(5_000, |w| !w.watch.handovers.is_empty()));
        w.run_for(500);
        w.nature.push_ms = MINUTE;
        assert_eq!(w.watch.renewals, [(w.watch.renewals[0].0, true)]);
        assert_eq!((&w.watch.handovers[..], w.watch.gaps.len()), (&[(1, 2)][..], 0));
        let at = |what: &str| w.watch.order.iter().position(|said| said == what).unwrap();
        let last_old = w.watch.order.iter().rposition(|said| said == "message on 1").unwrap();
        assert!(last_old < at("handover 1 2"), "{seed}");
        assert!(at("handover 1 2") < at("release 2") && at("release 2") < at("message on 2"), "{seed}");
        let frames: Vec<&str> = w.server.frames.iter().map(|(_, frame)| frame.as_str()).collect();
        assert_eq!(frames[1], r#"{"type":"auth","token":"hush-t3"}"#);
        assert_eq!(frames[2], r#"{"type":"auth","token":"hush-t3","sessionId":"s1"}"#);
        w.run_for(MINUTE + 5_000);
        w.watch.no_silent_loss(w.now());
    }
}

#[test]
fn two_failures_in_a_row_mark_the_endpoint_and_one_does_not() {
    for in_band in [InBand::Refuses, InBand::Silent] {
        let mut w = live(Nature { in_band, push_ms: MINUTE, kept_ms: None, ..Nature::default() });
        assert!(w.run_until(2 * HOUR, |w| w.watch.handovers.len() == 1));
        assert_eq!(w.watch.marked, 0);
        assert!(w.run_until(2 * HOUR, |w| w.watch.handovers.len() == 2));
        assert_eq!(w.watch.marked, 1);
        // From then on nothing is tried in band: one auth message on each new socket.
        let frames = w.server.frames.len();
        w.run_for(10 * HOUR);
        let epochs: Vec<u64> = w.server.frames[frames..].iter().map(|(epoch, _)| *epoch).collect();
        assert!(epochs.len() >= 10 && epochs.windows(2).all(|pair| pair[0] < pair[1]), "{epochs:?}");
        assert!(w.watch.gaps.is_empty());
        // After a day it is tried again.
        w.run_for(18 * HOUR);
        assert_eq!(w.watch.marked, 2);
    }
}

#[test]
fn failures_with_a_success_between_them_do_not_mark() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    for _ in 0..3 {
        w.fault_for(Fault::RenewalRefused, 5_000);
        w.refresh_now();
        w.run_for(MINUTE);
        w.refresh_now();
        w.run_for(MINUTE);
    }
    assert_eq!((w.watch.marked, w.watch.handovers.len()), (0, 3));
}

#[test]
fn a_renewal_that_is_never_acknowledged_counts_after_ten_seconds() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    w.fault_for(Fault::RenewalSilent, MINUTE);
    w.refresh_now();
    w.until_state(State::Renewing, 1_000);
    assert!(w.run_until(MINUTE, |w| !w.watch.errors.is_empty()));
    assert_eq!(w.watch.errors[0].code(), Code::AuthTimeout);
    assert_eq!(w.watch.attempts[1], (Phase::Renewal, false, 10_000));
    assert!(w.is_live());
    w.run_for(1_000);
    assert_eq!((w.watch.handovers.len(), w.watch.gaps.len()), (1, 0));
}

#[test]
fn a_throttled_renewal_is_presented_again_on_the_same_socket() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    w.fault_for(Fault::RenewalThrottled, 10_000);
    w.refresh_now();
    w.run_for(2 * MINUTE);
    assert_eq!((w.watch.dials.len(), w.watch.renewals.len(), w.state()), (1, 1, State::Ready));
    assert!(w.server.frames.len() > 2);
}

#[test]
fn an_auth_message_without_reply_ends_after_ten_seconds() {
    for seed in 0..4 {
        let mut w = World::new(seed, settings(), Nature::default());
        w.fault_for(Fault::AuthSilent, HOUR);
        w.start(Rounds::Once);
        assert!(w.run_until(10 * MINUTE, |w| !w.watch.failed.is_empty()));
        assert_eq!(w.watch.failed[0].code(), Code::AuthTimeout);
        assert_eq!((w.watch.dials.len(), w.watch.give_ups), (3, 0));
    }
}

#[test]
fn the_same_refusal_of_two_tokens_needs_new_credentials() {
    for fault in [Fault::AuthRefused, Fault::AuthClosed, Fault::DialUnauthorized] {
        let mut w = world(Nature::default());
        w.fault_for(fault, HOUR);
        w.start(Rounds::Forever);
        w.until_state(State::ReauthRequired, MINUTE);
        assert_eq!((w.watch.dials.len(), w.watch.refreshes.len(), w.watch.give_ups), (2, 2, 1), "{fault:?}");
        w.run_for(HOUR);
        assert_eq!((w.watch.dials.len(), w.watch.refreshes.len()), (2, 2), "{fault:?}");
        w.new_credential();
        w.until_live(5_000);
    }
}

#[test]
fn refusals_that_differ_and_throttles_are_no_strikes() {
    for fault in [Fault::AuthRefusedOddly, Fault::AuthThrottled] {
        let mut w = world(Nature::default());
        w.fault_for(fault, 10 * MINUTE);
        w.start(Rounds::Forever);
        w.run_for(10 * MINUTE);
        assert_eq!(w.watch.give_ups, 0, "{fault:?}");
        // A throttle backs off with the token it has.
        assert_eq!(w.watch.refreshes.len() == 1, fault == Fault::AuthThrottled);
        assert!(w.watch.errors.iter().all(|error| !error.detail().message.contains("hush")));
        w.until_live(MINUTE);
    }
}

#[test]
fn a_revoked_token_is_replaced_on_the_next_socket() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    w.strike(Fault::TokensRevoked, 0);
    w.run_for(MINUTE);
    assert!(w.is_live());
    w.strike(Fault::Dropped, 0);
    w.run_for(MINUTE);
    assert_eq!((w.state(), w.watch.refreshes.len(), w.watch.give_ups), (State::Ready, 2, 0));
}

#[test]
fn connect_fails_after_one_round_and_start_goes_on() {
    for (fault, code) in [
        (Fault::DialRefused, Code::Connect),
        (Fault::DialHangs, Code::ConnectTimeout),
        (Fault::DialUnavailable, Code::UpgradeRefused),
        (Fault::AuthGarbled, Code::AuthReply),
        (Fault::AuthThrottled, Code::AuthThrottled),
        (Fault::AuthRefused, Code::ReauthRequired),
    ] {
        let mut w = world(Nature::default());
        w.fault_for(fault, HOUR);
        w.start(Rounds::Once);
        assert!(w.run_until(10 * MINUTE, |w| !w.watch.failed.is_empty()), "{fault:?}");
        assert_eq!(w.watch.failed[0].code(), code);
        let attempts = if fault == Fault::AuthRefused { 2 } else { 3 };
        // The one that failed ahead of the token was no attempt.
        let ahead = usize::from(fault == Fault::DialRefused);
        w.run_for(MINUTE);
        let seen = (w.watch.dials.len(), w.watch.attempts.len());
        assert_eq!(seen, (attempts + ahead, attempts), "{fault:?}");
        assert!(w.watch.attempts.iter().all(|(phase, success, _)| *phase == Phase::First && !success));
        w.close();
        w.run_for(MINUTE);
        assert_eq!((w.state(), w.watch.stopped), (State::Idle, (1, 1)));
        let mut w = world(Nature::default());
        w.fault_for(fault, 20_000);
        w.start(Rounds::Forever);
        w.run_for(20_000);
        if w.state() == State::ReauthRequired {
            w.refresh_now();
        }
        w.until_live(2 * MINUTE);
    }
}

#[test]
fn close_stops_both_machines_once_whatever_they_do() {
    for in_band in [InBand::Yes, InBand::Refuses] {
        for wait in (0..700).step_by(3) {
            let nature = Nature { in_band, lifetime_ms: 1_000, network_ms: (10, 30), ..Nature::default() };
            let mut w = World::new(wait, settings(), nature);
            w.start(Rounds::Forever);
            w.run_for(wait * 4);
            w.close();
            w.run_for(5_000);
            assert_eq!((w.watch.stopped, w.state()), ((1, 1), State::Closed), "after {wait} ms");
            assert_eq!((w.session.next_timeout(), w.refresher.next_timeout()), (None, None));
            assert_eq!(w.watch.records.iter().filter(|record| **record == Record::Closed).count(), 1);
            w.refresh_now();
            w.close();
        }
    }
}

#[test]
fn a_close_that_is_not_answered_takes_two_seconds() {
    let mut w = live(Nature::default());
    w.fault_for(Fault::NoCloseReply, MINUTE);
    w.close();
    w.run_for(1_999);
    assert_eq!(w.watch.stopped.1, 0);
    w.run_for(1);
    assert_eq!(w.watch.stopped.1, 1);
}
