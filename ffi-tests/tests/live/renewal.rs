//! Renewals in band, and tokens for the application's own calls.

use std::sync::{mpsc, Arc};
use std::thread;
use std::time::Duration;

use ffi_tests::sim::{AuthReply, Pump, TokenReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Client, Code};

use crate::harness::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn renews_in_band_again_and_again_without_a_gap() {
    let pump = Pump::every(Duration::from_millis(2));
    let rig = Setup::default().lifetime(1_500).sim(|options| options.ws.pump = Some(pump)).connect();
    rig.wait_sim("three renewals", |log| log.reauths() >= 3 && log.connections[0].accepted >= 4);
    let metrics = rig.client.metrics();
    let sim = rig.sim.record().snapshot();
    assert_eq!(sim.ws_connects(), 1, "on the same connection");
    assert!(metrics.renewals >= 2 && metrics.handovers == 0 && metrics.gaps == 0, "{metrics:?}");
    let saws = rig.close();
    check_order(&saws).unwrap();
    assert_eq!((gaps(&saws), handovers(&saws)), (0, 0));
    assert_eq!(count(&saws, |saw| matches!(saw, Saw::Audit(r) if r["status"] == "failure")), 0, "{}", show(&saws));
}

#[test]
fn a_failing_token_endpoint_costs_nothing_while_the_token_lasts() {
    let rig = Setup::default().lifetime(4_000).connect();
    rig.sim.token().then(TokenReply::Reset).then(TokenReply::Throttle400).then(TokenReply::CutMidBody);
    rig.wait_sim("a renewal", |log| log.connections[0].accepted >= 2);
    let saws = rig.close();
    assert_eq!(gaps(&saws), 0, "{}", show(&saws));
}

#[test]
fn a_throttled_renewal_is_presented_again_on_the_same_socket() {
    let rig = Setup::default().lifetime(6_000).connect();
    rig.sim.ws().on_reauth(AuthReply::Refuse(Some("Too many requests".into())));
    rig.wait_sim("a renewal", |log| log.connections[0].accepted >= 2);
    assert_eq!(rig.sim.record().ws_connects(), 1);
    let saws = rig.close();
    assert_eq!((gaps(&saws), handovers(&saws)), (0, 0), "{}", show(&saws));
}

#[test]
fn a_token_is_given_at_once_later_or_not_at_all() {
    let rig = Setup::default().lifetime(4_000).connect();
    let token = rig.client.token(Duration::ZERO, Some(Duration::ZERO)).unwrap();
    assert_eq!(token.access_token.expose(), rig.sim.token().issued()[0].access_token);
    // More than any token has: the answer says that it cannot be.
    let much = rig.client.token(SECOND * 3_600, Some(BOUND));
    assert!(much.is_err(), "{much:?}");
    // More than this one has left: a new one.
    let first = token.serial;
    rig.wait_sim("time passing", |log| log.reauths() >= 1);
    let next = rig.client.token(Duration::from_millis(1_000), Some(BOUND)).unwrap();
    assert!(next.serial > first);
    assert_eq!(code(rig.client.token(SECOND * 3_600, Some(Duration::ZERO))), Some(Code::Timeout));
    rig.close();
}

#[test]
fn a_token_request_that_hangs_keeps_a_waiting_call_no_longer_than_it_allows() {
    let rig = Setup::default().build();
    rig.sim.token().always(TokenReply::Hang);
    rig.client.start().unwrap();
    rig.wait_sim("a request", |log| log.token_requests() == 1);
    assert_eq!(code(rig.client.token(Duration::ZERO, Some(Duration::from_millis(50)))), Some(Code::Timeout));
    let client = Arc::clone(&rig.client);
    let waiting = thread::spawn(move || client.token(Duration::ZERO, None).map(|token| token.serial));
    rig.client.shutdown(Some(BOUND));
    let ended = waiting.join().unwrap();
    // Whichever of the two came first: nobody waits for ever.
    assert!(matches!(code(ended), Some(Code::Cancelled | Code::Closed)));
}

#[test]
fn a_token_wanted_while_the_client_closes_never_hangs() {
    let rig = Setup::default().build();
    for _ in 0..40 {
        let client = Arc::new(Client::new(&rig.config).unwrap());
        rig.sim.token().then(TokenReply::Hang);
        client.start().unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let client = Arc::clone(&client);
                thread::spawn(move || while code(client.token(Duration::ZERO, None)) != Some(Code::Closed) {})
            })
            .collect();
        assert!(client.shutdown(Some(BOUND)).complete);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn a_callback_may_ask_for_a_token_and_wait_for_it() {
    let (sender, got) = mpsc::channel();
    let own: Arc<std::sync::Mutex<Option<Arc<Client>>>> = Arc::default();
    let inside = Arc::clone(&own);
    let rig = Setup::default().lifetime(4_000).build_with(move |hooks, _| {
        hooks.on_message = Some(Arc::new(move |_| {
            let client = inside.lock().unwrap().clone().unwrap();
            let connect = code(client.connect(None));
            let next = code(client.next_event(None));
            sender.send((client.token(Duration::from_millis(2_500), Some(BOUND)), connect, next)).unwrap();
        }));
    });
    *own.lock().unwrap() = Some(Arc::clone(&rig.client));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.wait_sim("the old token is not enough any more", |log| log.reauths() == 1);
    rig.sim.ws().push_text("now");
    let (token, connect, next) = got.recv_timeout(BOUND).unwrap();
    assert!(token.unwrap().serial > 1);
    assert_eq!((connect, next), (Some(Code::Reentrant), Some(Code::BadState)));
    own.lock().unwrap().take();
    rig.close();
}

#[test]
fn near_its_end_a_held_token_is_preferred_to_a_request_that_hangs() {
    let rig = Setup::default().lifetime(2_000).key("ws.expired_grace_ms", 25_000).connect();
    rig.sim.ws().policy(|policy| policy.close_after_expiry = None);
    rig.sim.token().always(TokenReply::Hang);
    rig.wait_sim("the renewal request", |log| log.token_requests() == 2);
    // In the last quarter of its life a request in flight is waited for; what is held serves when the time is up.
    let held = rig.client.token(Duration::ZERO, Some(Duration::from_millis(300))).unwrap();
    assert_eq!(held.serial, 1);
    rig.client.shutdown(Some(BOUND));
}

#[test]
fn an_expired_token_degrades_and_then_costs_the_socket() {
    let setup = Setup::default().lifetime(1_500).key("ws.expired_grace_ms", 300);
    let rig = setup.sim(|options| options.ws.close_after_expiry = None).connect();
    rig.sim.token().always(TokenReply::Hang);
    rig.seen.wait_state(State::Degraded, 1);
    rig.seen.wait("the loss", |saws| gaps(saws) == 1);
    rig.sim.token().honest();
    rig.client.shutdown(Some(BOUND));
    let cause = |saw: &Saw| matches!(saw, Saw::GapBegin(gap) if gap.cause.as_ref().is_some_and(|e| e.code() == Code::TokenExpired));
    assert_eq!(count(&rig.seen.all(), cause), 1, "{}", show(&rig.seen.all()));
}
