//! REST calls beside the tokens, which go first, and clients that share a thread for both.

use ffi_tests::sim::{ApiReply, Route};

use crate::bed::*;

#[test]
fn a_token_goes_before_a_slow_call() {
    let bed = Bed::new(pumping(10));
    let guest = bed.connected();
    // The rollover gets stuck at its subscription …
    bed.sim.api().then(Route::Replace, ApiReply::Hang);
    guest.client.refresh_now().unwrap();
    bed.wait_sim("the second subscription", |log| log.rest_requests("PUT", "/subscriptions") == 2);
    // … until another token is wanted.
    guest.client.refresh_now().unwrap();
    bed.wait_sim("a third token request", |log| log.token_requests() == 3);
    guest.seen.wait("a hand-over", |told| !told.handovers.is_empty());
    every_event_once(&bed, &guest);
    guest.close();
}

#[test]
fn a_client_that_goes_takes_its_calls_along() {
    let bed = Bed::new(plain());
    let source = bed.source();
    let patient = |config: &mut genesys_ws_auth::Config| config.set("api.timeout_ms", "300000").unwrap();
    let (slow, quick) = (bed.guest_of(&source, patient), bed.guest_of(&source, patient));
    bed.sim.api().always(Route::Create, ApiReply::Hang);
    slow.client.start().unwrap();
    bed.wait_sim("the call that hangs", |log| log.rest_requests("POST", "/channels") == 1);
    quick.client.start().unwrap();
    bed.sim.api().honest();
    slow.close();
    // Not after the time that a call may take, which is longer than this test waits for anything.
    quick.ready();
    quick.close();
    assert!(source.release(Some(BOUND)));
}

#[test]
fn a_call_in_flight_does_not_hold_up_the_end() {
    let bed = Bed::new(plain());
    bed.sim.api().always(Route::Create, ApiReply::Hang);
    let guest = bed.guest(|config| config.set("api.timeout_ms", "300000").unwrap());
    guest.client.start().unwrap();
    bed.wait_sim("the call that hangs", |log| log.rest_requests("POST", "/channels") == 1);
    guest.close();
}
