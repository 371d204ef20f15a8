//! Stories of what others want of the refresher: one rule each.

use super::faults::Fault;
use super::server::Nature;
use super::stories::{live, world, HOUR, MINUTE};
use crate::error::{Code, Error, Stage};
use crate::event::State;
use crate::proto::refresher::Input;
use crate::proto::session::Rounds;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_wish_is_served_by_the_next_token,
    a_wish_near_the_end_waits_five_seconds,
    a_wish_without_hope_is_refused,
    closing_waits_for_a_refresh_token_in_flight,
    only_the_newest_token_can_be_given_up,
    a_late_refusal_is_answered_with_the_newest_token,
    a_new_credential_does_not_undercut_retry_after,
];

#[test]
fn a_wish_is_served_by_the_next_token() {
    let mut w = live(Nature::default());
    w.run_for(MINUTE);
    let wish = w.wish(3_580_000);
    w.run_for(1_000);
    assert!(matches!(w.watch.answers_given[..], [(_, id, true)] if id == wish));
    // More than any token lives.
    let wish = w.wish(HOUR);
    w.run_for(MINUTE);
    assert!(matches!(w.watch.answers_given[1..], [(_, id, false)] if id == wish));
}

#[test]
fn a_wish_near_the_end_waits_five_seconds() {
    let mut w = live(Nature::default());
    w.fault_for(Fault::TokenHangs, 2 * HOUR);
    let schedule = w.watch.tokens[0].1.schedule;
    w.run_for(schedule.mandatory_ms - w.now_ms);
    let requests = w.watch.refreshes.len();
    assert!(w.run_until(MINUTE, |w| w.watch.refreshes.len() > requests));
    let (asked, wish) = (w.now_ms, w.wish(0));
    assert!(w.watch.answers_given.is_empty());
    w.run_for(5_000);
    assert_eq!(w.watch.answers_given, [(asked + 5_000, wish, true)]);
}

#[test]
fn a_wish_without_hope_is_refused() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenForbidden, HOUR);
    w.start(Rounds::Forever);
    let early = w.wish(0);
    w.run_for(1_000);
    let late = w.wish(0);
    assert!(matches!(w.watch.answers_given[..], [(_, one, false), (_, two, false)] if (one, two) == (early, late)));
}

#[test]
fn closing_waits_for_a_refresh_token_in_flight() {
    let mut w = world(Nature { network_ms: (500, 500), ..Nature::default() });
    w.start(Rounds::Forever);
    w.run_for(600);
    w.close();
    assert_eq!(w.watch.stopped.0, 0);
    w.run_for(500);
    assert_eq!((w.watch.stopped.0, w.watch.asks.len(), w.watch.tokens.len()), (1, 1, 0));
    // No answer: not for long.
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenHangs, HOUR);
    w.start(Rounds::Forever);
    w.run_for(600);
    w.close();
    w.run_for(2_000);
    assert_eq!((w.watch.stopped, w.refresher.next_timeout()), ((1, 1), None));
}

#[test]
fn only_the_newest_token_can_be_given_up() {
    let mut w = live(Nature::default());
    w.refresh_now();
    w.run_for(1_000);
    let error = Error::new(Code::ReauthRequired, Stage::Authenticate, "");
    w.feed_refresher(Input::GiveUp { error: error.clone(), serial: 1 });
    w.run_for(2 * HOUR);
    assert!(w.watch.tokens.len() >= 4 && w.state() == State::Ready);
    let serial = w.watch.tokens.last().unwrap().1.serial;
    let requests = w.watch.refreshes.len();
    w.feed_refresher(Input::GiveUp { error, serial });
    w.run_for(HOUR);
    assert_eq!(w.watch.refreshes.len(), requests);
}

#[test]
fn a_late_refusal_is_answered_with_the_newest_token() {
    let mut w = live(Nature::default());
    w.refresh_now();
    w.run_for(MINUTE);
    let requests = w.watch.refreshes.len();
    w.feed_refresher(Input::Refused { serial: 1 });
    w.run_for(MINUTE);
    assert_eq!(w.watch.refreshes.len(), requests);
    w.feed_refresher(Input::Refused { serial: 2 });
    w.run_for(MINUTE);
    assert_eq!(w.watch.refreshes.len(), requests + 1);
}

#[test]
fn a_new_credential_does_not_undercut_retry_after() {
    let mut w = world(Nature::default());
    w.fault_for(Fault::TokenQuota, 5_000);
    w.start(Rounds::Forever);
    w.run_for(1_000);
    let error = Error::new(Code::ReauthRequired, Stage::Authenticate, "");
    w.feed_refresher(Input::GiveUp { error, serial: 0 });
    w.new_credential();
    w.refresh_now();
    w.run_for(3 * MINUTE);
    assert_eq!(w.watch.refreshes.len(), 1);
    w.until_live(5 * MINUTE);
}
