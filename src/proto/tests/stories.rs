//! Stories of the socket: one rule each.

use super::faults::Fault;
use super::server::{InBand, Nature};
use super::world::World;
use crate::audit::Phase;
use crate::config::settings::Settings;
use crate::error::Code;
use crate::event::State;
use crate::proto::session::Rounds;

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

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
    let mut w = live(Nature::default());
    w.run_for(24 * HOUR);
    assert_eq!(w.watch.dials.len(), 1);
    assert!(w.watch.renewals.len() >= 24);
    assert!(w.watch.renewals.iter().all(|(lead, handover)| *lead > 10 * MINUTE && !handover));
    assert!(w.watch.gaps.is_empty());
    w.watch.no_silent_loss(w.now());
}

#[test]
fn a_server_that_cannot_renew_in_band_gets_a_second_socket() {
    let mut w = live(Nature { in_band: InBand::Refuses, ..Nature::default() });
    w.run_for(24 * HOUR);
    assert!(w.watch.renewals.iter().all(|(_, handover)| *handover));
    assert_eq!(w.watch.marked, 1);
    assert!(w.watch.gaps.is_empty());
    w.watch.no_silent_loss(w.now());
}

#[test]
fn a_drop_is_a_gap() {
    let mut w = live(Nature::default());
    w.run_for(HOUR);
    w.strike(Fault::Dropped, 0);
    w.until_state(State::Reconnecting, 1_000);
    w.until_live(10_000);
    assert_eq!(w.watch.gaps.len(), 1);
    assert_eq!(w.watch.gaps[0].cause.as_ref().unwrap().code(), Code::Dropped);
    w.run_for(HOUR);
    w.watch.no_silent_loss(w.now());
}

#[test]
fn close_stops_both_machines_once() {
    let mut w = live(Nature::default());
    w.close();
    w.run_for(10_000);
    assert_eq!(w.watch.stopped, (1, 1));
    assert_eq!(w.state(), State::Closed);
}
