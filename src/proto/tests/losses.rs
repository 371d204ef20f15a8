//! Stories of losses, gaps, back-pressure and suspends: one rule each.

use super::faults::Fault;
use super::server::{InBand, Nature};
use super::stories::{live, settings, HOUR, MINUTE};
use super::world::World;
use crate::audit::Phase;
use crate::config::settings::Settings;
use crate::error::Code;
use crate::event::State;
use crate::proto::session::Rounds;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    an_expired_token_degrades_and_its_socket_is_dropped_after_25_s,
    a_goal_that_passes_is_told_once_and_the_renewal_after_it_is_late,
    a_goal_of_ones_own_is_kept_up_to_half_of_the_lead,
    a_drop_is_a_gap_and_the_session_is_resumed,
    a_renewal_under_way_when_the_socket_is_lost_is_audited,
    a_drain_spreads_the_first_attempt,
    a_server_that_drains_again_and_again_is_met_with_the_backoff,
    backoff_is_sticky_and_stability_halves_it,
    a_silent_peer_is_pinged_and_then_dead,
    a_stalled_application_stops_the_timers,
    a_hand_over_that_cannot_be_read_out_is_a_gap,
    hand_overs_do_not_overlap,
    a_loss_that_is_read_late_begins_where_reading_stopped,
    after_a_suspend_the_socket_is_probed_at_once,
    a_standby_takes_over_when_the_first_socket_is_lost,
];

#[test]
fn an_expired_token_degrades_and_its_socket_is_dropped_after_25_s() {
    let mut w = live(Nature { lifetime_ms: 10 * MINUTE, kept_ms: None, ..Nature::default() });
    w.fault_for(Fault::TokenUnavailable, 30 * MINUTE);
    let schedule = w.watch.tokens[0].1.schedule;
    assert!(w.run_until(HOUR, |w| !w.watch.gaps.is_empty()));
    assert_eq!(w.now_ms, schedule.usable_ms + 25_000);
    assert_eq!(w.watch.gaps[0].cause.as_ref().unwrap().code(), Code::TokenExpired);
    let degraded: Vec<&str> =
        w.watch.states.iter().filter(|change| change.to == State::Degraded).map(|change| change.reason).collect();
    assert_eq!(degraded, ["lead-time goal missed", "token expired"]);
    assert_eq!(w.state(), State::AcquiringToken);
    w.until_live(HOUR);
}

#[test]
fn a_goal_that_passes_is_told_once_and_the_renewal_after_it_is_late() {
    let mut w = live(Nature { lifetime_ms: 10 * MINUTE, ..Nature::default() });
    w.run_for(HOUR);
    let renewals = w.watch.renewals.len();
    assert!(renewals >= 6 && w.socket_laws.in_time.iter().all(|in_time| *in_time) && w.socket_laws.missed.is_empty());
    let (serial, schedule) = w.watch.tokens.last().map(|(_, token)| (token.serial, token.schedule)).unwrap();
    // The endpoint is down for as long as the token has a goal, and ten seconds more: it is still usable then.
    w.fault_for(Fault::TokenUnavailable, schedule.mandatory_ms + 10_000 - w.now_ms);
    w.until_state(State::Degraded, HOUR);
    assert_eq!((w.now_ms, w.socket_laws.missed.as_slice()), (schedule.mandatory_ms, [serial].as_slice()));
    assert!(w.run_until(2 * MINUTE, |w| w.watch.renewals.len() > renewals));
    assert_eq!(w.socket_laws.in_time.last(), Some(&false));
    w.run_for(HOUR);
    assert_eq!(w.socket_laws.missed, [serial], "once, and none after it");
    assert_eq!(w.socket_laws.in_time.iter().filter(|in_time| !**in_time).count(), 1);
    assert!(w.watch.gaps.is_empty());
}

#[test]
fn a_goal_of_ones_own_is_kept_up_to_half_of_the_lead() {
    for (goal_ms, is_kept) in [(100_000, true), (2 * HOUR, false), (1, false)] {
        let own = Settings { lead_goal_ms: Some(goal_ms), ..settings() };
        let mut w = World::new(1, own, Nature { lifetime_ms: 20 * MINUTE, ..Nature::default() });
        w.start(Rounds::Forever);
        w.until_live(10_000);
        w.run_for(HOUR);
        assert!(w.socket_laws.missed.is_empty() && !w.watch.renewals.is_empty(), "it can be kept: {goal_ms}");
        let schedule = w.watch.tokens.last().map(|(_, token)| token.schedule).unwrap();
        w.fault_for(Fault::TokenUnavailable, HOUR);
        w.until_state(State::Degraded, HOUR);
        let wanted = match goal_ms {
            _ if is_kept => schedule.expires_ms - goal_ms,
            1 => schedule.usable_ms,
            _ => schedule.expires_ms - (schedule.expires_ms - schedule.refresh_ms) / 2,
        };
        assert_eq!(w.now_ms, wanted, "{goal_ms}");
    }
}

#[test]
fn a_drop_is_a_gap_and_the_session_is_resumed() {
    let mut w = live(Nature::default());
    w.run_for(HOUR);
    w.strike(Fault::Dropped, 0);
    w.until_state(State::Reconnecting, 1_000);
    assert_eq!(w.watch.send_on, None);
    w.until_live(10_000);
    assert_eq!(w.watch.gaps.len(), 1);
    assert_eq!(w.watch.gaps[0].cause.as_ref().unwrap().code(), Code::Dropped);
    assert!(w.watch.gaps[0].duration_ms >= 500);
    assert!(w.server.frames.last().unwrap().1.ends_with(r#","sessionId":"s1"}"#));
    let (phase, success, latency) = *w.watch.attempts.last().unwrap();
    assert_eq!((phase, success, latency), (Phase::Reconnect, true, 60));
    w.run_for(HOUR);
    w.watch.no_silent_loss(w.now());
}

#[test]
fn a_renewal_under_way_when_the_socket_is_lost_is_audited() {
    let mut w = live(Nature { network_ms: (100, 100), ..Nature::default() });
    w.fault_for(Fault::RenewalSilent, MINUTE);
    w.refresh_now();
    w.until_state(State::Renewing, 1_000);
    w.strike(Fault::Dropped, 0);
    w.run_for(MINUTE);
    let ends: Vec<(Phase, bool)> = w.watch.attempts.iter().map(|(phase, success, _)| (*phase, *success)).collect();
    assert_eq!(ends, [(Phase::First, true), (Phase::Renewal, false), (Phase::Reconnect, true)]);
}

#[test]
fn a_drain_spreads_the_first_attempt() {
    let mut spread = Vec::new();
    for seed in 0..20 {
        let mut w = World::new(seed, settings(), Nature::default());
        w.start(Rounds::Forever);
        w.until_live(10_000);
        w.strike(Fault::ClosedToDrain, 0);
        w.until_state(State::Draining, 1_000);
        let began = w.now_ms;
        w.until_state(State::Connecting, 5_000);
        spread.push(w.now_ms - began);
    }
    spread.sort_unstable();
    assert!(spread[0] < 1_000 && spread[19] > 4_000, "{spread:?}");
}

#[test]
fn a_server_that_drains_again_and_again_is_met_with_the_backoff() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    let mut longest = 0;
    for _ in 0..12 {
        w.strike(Fault::ClosedToDrain, 0);
        let began = w.now_ms;
        w.until_state(State::Connecting, MINUTE);
        longest = longest.max(w.now_ms - began);
        w.until_live(2 * MINUTE);
    }
    assert!(longest > 6_000, "{longest}");
}

#[test]
fn backoff_is_sticky_and_stability_halves_it() {
    let mut w = live(Nature { push_ms: MINUTE, ..Nature::default() });
    let drop = |w: &mut World| {
        w.strike(Fault::Dropped, 0);
        w.until_state(State::Reconnecting, 1_000);
        let began = w.now_ms;
        w.until_live(2 * MINUTE);
        w.now_ms - began
    };
    let waits: Vec<u64> = (0..12).map(|_| drop(&mut w)).collect();
    assert!(waits[0] < 1_100 && waits[6..].iter().sum::<u64>() > 40_000, "{waits:?}");
    w.run_for(HOUR);
    assert!(drop(&mut w) < 1_100);
}

#[test]
fn a_silent_peer_is_pinged_and_then_dead() {
    let mut w = live(Nature { push_ms: HOUR, ..Nature::default() });
    w.run_for(MINUTE);
    assert!(w.watch.pings == 2 && w.watch.dials.len() == 1);
    w.strike(Fault::Swallowed, 0);
    assert!(w.run_until(MINUTE, |w| !w.watch.gaps.is_empty()));
    assert_eq!(w.watch.gaps[0].cause.as_ref().unwrap().code(), Code::PeerDead);
    w.until_live(10_000);
    // Messages are a sign of life too.
    let mut w = live(Nature::default());
    w.fault_for(Fault::NoPong, HOUR);
    w.run_for(30 * MINUTE);
    assert_eq!(w.watch.pings, 0);
}

#[test]
fn a_stalled_application_stops_the_timers() {
    let mut w = live(Nature::default());
    w.run_for(1_000);
    w.stall(30 * MINUTE);
    w.run_for(20 * MINUTE);
    assert_eq!(w.watch.pings, 0);
    w.run_for(20 * MINUTE);
    assert_eq!((w.watch.dials.len(), w.watch.gaps.len(), w.state()), (1, 0, State::Ready));
    assert!(w.watch.received.len() as u64 + 2 > w.messages());
}

#[test]
fn a_hand_over_that_cannot_be_read_out_is_a_gap() {
    let mut w = live(Nature { in_band: InBand::Refuses, push_ms: 100, ..Nature::default() });
    w.fault_for(Fault::NoCloseReply, MINUTE);
    w.refresh_now();
    w.run_for(5_000);
    assert_eq!((w.watch.handovers.len(), w.watch.gaps.len(), w.state()), (1, 1, State::Ready));
    assert_ne!(w.watch.gaps[0].to_wall_ms, 0);
}

#[test]
fn hand_overs_do_not_overlap() {
    let nature =
        Nature { in_band: InBand::Refuses, push_ms: 20, lifetime_ms: 4_000, kept_ms: None, ..Nature::default() };
    let mut w = live(nature);
    for _ in 0..20 {
        w.fault_for(Fault::NoCloseReply, 3_000);
        w.stall(1_500);
        w.run_for(5_000);
    }
    w.run_for(MINUTE + 10_000);
    w.watch.no_silent_loss(w.now());
    assert!(w.watch.handovers.windows(2).all(|pair| pair[0].1 <= pair[1].0));
}

#[test]
fn a_loss_that_is_read_late_begins_where_reading_stopped() {
    let mut w = live(Nature::default());
    w.run_for(MINUTE);
    w.stall(5 * MINUTE);
    w.run_for(20_000);
    w.strike(Fault::Dropped, 0);
    w.run_for(20 * MINUTE);
    assert_eq!(w.watch.gaps.len(), 1);
    w.watch.no_silent_loss(w.now());
}

#[test]
fn after_a_suspend_the_socket_is_probed_at_once() {
    let mut w = live(Nature { push_ms: HOUR, ..Nature::default() });
    w.run_for(10_000);
    w.watch.loose_clock = true;
    w.suspend(10 * MINUTE);
    w.feed_session(crate::proto::session::Input::Timeout);
    assert_eq!((w.watch.pings, w.watch.dials.len()), (1, 1));
    w.run_for(MINUTE);
    assert_eq!((w.watch.dials.len(), w.state()), (1, State::Ready));
    // A reply that was awaited is not overdue.
    w.fault_for(Fault::NetworkSlow, 5_000);
    w.refresh_now();
    w.until_state(State::Renewing, 10_000);
    w.suspend(10 * MINUTE);
    w.run_for(MINUTE);
    assert_eq!((w.watch.errors.len(), w.watch.dials.len()), (0, 1));
}

#[test]
fn a_standby_takes_over_when_the_first_socket_is_lost() {
    let mut w = live(Nature { in_band: InBand::Refuses, network_ms: (100, 100), ..Nature::default() });
    w.refresh_now();
    assert!(w.run_until(MINUTE, |w| w.watch.dials.len() == 2));
    w.strike(Fault::DroppedNewest, 0);
    w.run_for(5 * MINUTE);
    assert_eq!((w.watch.dials.len(), w.watch.gaps.len(), w.state()), (2, 1, State::Ready));
    assert_eq!(w.watch.received.last().map(|(epoch, _)| *epoch), Some(2));
}
