//! Back-pressure: a slow application costs nothing but time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ffi_tests::sim::{Action, AuthReply, Pump};
use genesys_ws_auth::event::{Event, Notice, State};
use genesys_ws_auth::Code;

use crate::harness::*;

/// Messages that the pump sends in all.
const ALL: u64 = 6_000;

fn flood(size: usize, limit: u64) -> Option<Pump> {
    Some(Pump { every: Duration::ZERO, binary_every: 0, size, limit })
}

/// A client whose first message is held until the barrier opens; its queue is small.
fn stalled(setup: Setup) -> (Rig, Arc<Barrier>) {
    let barrier = Barrier::new();
    let inside = Arc::clone(&barrier);
    let rig = setup.build_with(move |hooks, _| {
        let seen = hooks.on_message.take().unwrap();
        hooks.on_message = Some(Arc::new(move |message| {
            inside.pass();
            seen(message);
        }));
    });
    rig.client.connect(Some(BOUND)).unwrap();
    barrier.wait_reached();
    (rig, barrier)
}

#[track_caller]
fn all_came(rig: &Rig, limit: u64) {
    rig.seen.wait_seq(limit);
    let saws = rig.seen.all();
    assert_eq!(seqs(&saws), (1..=limit).collect::<Vec<_>>(), "lost or out of order");
    assert_eq!(gaps(&saws), 0, "{}", show(&saws));
}

#[test]
fn a_full_queue_stops_reading_and_loses_nothing() {
    let setup = Setup::default().key("events.queue_events", 50).sim(|o| o.ws.pump = flood(4_096, ALL));
    let (rig, barrier) = stalled(setup);
    // The server's socket fills up: it cannot send everything.
    rig.wait_sim("a pump that is stuck", |log| log.connections[0].sent.messages > 100);
    let stuck = rig.client.metrics();
    assert!(stuck.messages_received <= 60, "read past the bound: {}", stuck.messages_received);
    barrier.open();
    all_came(&rig, ALL);
    rig.close();
}

#[test]
fn a_bound_in_bytes_holds_as_well() {
    let setup = Setup::default().key("events.queue_bytes", 100_000).sim(|o| o.ws.pump = flood(4_096, ALL));
    let (rig, barrier) = stalled(setup);
    rig.wait_sim("a pump that is stuck", |log| log.connections[0].sent.messages > 100);
    assert!(rig.client.metrics().bytes_received <= 110_000);
    barrier.open();
    all_came(&rig, ALL);
    rig.close();
}

#[test]
fn a_renewal_during_a_stall_is_heard() {
    // 40 small messages fill the queue; the reply lies behind some more of them.
    let setup = Setup::default().lifetime(2_000).key("events.queue_events", 20).sim(|o| o.ws.pump = flood(100, 400));
    let (rig, barrier) = stalled(setup);
    rig.wait_sim("two renewals", |log| log.connections[0].accepted >= 3);
    let came = rig.sim.record().wait_until(BOUND, |_| rig.client.metrics().renewals >= 1);
    assert!(came, "the reply was not read");
    barrier.open();
    all_came(&rig, 400);
    let saws = rig.close();
    assert_eq!((gaps(&saws), handovers(&saws)), (0, 0), "{}", show(&saws));
}

#[test]
fn a_renewal_whose_reply_is_out_of_reach_waits_and_the_socket_goes_when_the_token_has() {
    // One maximum message past the bound is read and no more; the reply is behind megabytes.
    let setup = Setup::default()
        .lifetime(1_500)
        .key("events.queue_events", 20)
        .key("ws.max_message_bytes", 20_000)
        .key("ws.auth_timeout_ms", 300)
        .key("ws.expired_grace_ms", 500)
        .sim(|options| {
            options.ws.pump = flood(4_096, 20_000);
            options.ws.close_after_expiry = None;
        });
    let (rig, barrier) = stalled(setup);
    rig.wait_sim("the loss of the socket", |log| log.connections.len() >= 2);
    assert!(rig.client.metrics().bytes_received < 400_000, "{:?}", rig.client.metrics());
    barrier.open();
    rig.seen.wait("the gap", |saws| gaps(saws) >= 1 && saws.iter().any(|saw| matches!(saw, Saw::GapEnd(_))));
    rig.client.shutdown(Some(BOUND));
    check_order(&rig.seen.all()).unwrap();
}

#[test]
fn a_peer_is_not_called_dead_while_it_is_not_read() {
    let setup = Setup::default()
        .key("events.queue_events", 20)
        .key("ws.ping_after_ms", 150)
        .key("ws.dead_after_ms", 150)
        .sim(|o| o.ws.pump = flood(4_096, 3_000));
    let (rig, barrier) = stalled(setup);
    // Much longer than ping and pong allow.
    let waited = rig.sim.record().wait_until(Duration::from_millis(1_200), |log| log.ws_connects() > 1);
    assert!(!waited, "{}", show(&rig.seen.all()));
    barrier.open();
    all_came(&rig, 3_000);
    rig.close();
}

#[test]
fn a_hand_over_while_stalled_waits_for_the_application() {
    let setup =
        Setup::default().lifetime(3_000).key("events.queue_events", 20).key("ws.auth_timeout_ms", 200).sim(|o| {
            o.ws.pump = flood(100, 300);
            o.ws.close_after_expiry = None;
        });
    let barrier = Barrier::new();
    let (rig, barrier) = {
        let _ = barrier;
        stalled(setup)
    };
    rig.sim.ws().always_reauth(AuthReply::Refuse(None));
    rig.wait_sim("a second socket that is accepted", |log| log.connections.get(1).is_some_and(|c| c.accepted == 1));
    rig.sim.ws().push(Some(1), Action::Text(r#"{"seq":301}"#.into()));
    barrier.open();
    rig.seen.wait_seq(301);
    let saws = rig.seen.all();
    assert_eq!((seqs(&saws), gaps(&saws)), ((1..=301).collect(), 0), "{}", show(&saws));
    assert!(handovers(&saws) >= 1);
    rig.client.shutdown(Some(BOUND));
}

#[test]
fn a_slow_inline_callback_does_not_starve_the_rest() {
    let barrier = Barrier::new();
    let slow = Arc::clone(&barrier);
    let rig =
        Setup::default().key("delivery", "inline").sim(|o| o.ws.pump = flood(100, 400)).build_with(move |hooks, _| {
            let seen = hooks.on_message.take().unwrap();
            hooks.on_message = Some(Arc::new(move |message| {
                let until = Instant::now() + Duration::from_millis(5);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                slow.open();
                seen(message);
            }));
        });
    rig.client.connect(Some(BOUND)).unwrap();
    barrier.pass();
    // 400 messages take two seconds. What is sent meanwhile must not wait for all of them.
    rig.client.send(genesys_ws_auth::event::MessageKind::Text, b"in between").unwrap();
    rig.seen.wait_sent(1);
    assert!(seqs(&rig.seen.all()).len() < 200, "sending waited for {} messages", seqs(&rig.seen.all()).len());
    let start = Instant::now();
    assert!(rig.client.shutdown(Some(BOUND)).complete);
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn inline_delivery_keeps_order_through_everything() {
    let pump = Pump { limit: 3_000, ..Pump::every(Duration::from_micros(200)) };
    let rig = Setup::default().key("delivery", "inline").lifetime(1_500).sim(|o| o.ws.pump = Some(pump)).connect();
    all_came(&rig, 3_000);
    rig.close();
}

/// Takes events until `done`, for at most the bound.
fn poll(rig: &Rig, mut done: impl FnMut(&Event) -> bool) {
    let until = Instant::now() + BOUND;
    while Instant::now() < until {
        if rig.client.next_event(Some(BOUND)).unwrap().is_some_and(|event| done(&event)) {
            return;
        }
    }
    panic!("it never came");
}

#[test]
fn polling_after_a_while_finds_everything() {
    let rig = Setup::default()
        .key("delivery", "poll")
        .key("events.queue_events", 100)
        .lifetime(2_000)
        .sim(|o| o.ws.pump = flood(1_000, 2_000))
        .build();
    rig.client.connect(Some(BOUND)).unwrap();
    // Nobody polls; the renewals go on.
    rig.wait_sim("two renewals", |log| log.connections[0].accepted >= 3);
    let mut last = 0;
    poll(&rig, |event| {
        if let Event::Message { data_with_nul, .. } = event {
            let seq = seq_of(&data_with_nul[..data_with_nul.len() - 1]).unwrap();
            assert_eq!(seq, last + 1);
            last = seq;
        }
        last == 2_000
    });
    assert!(rig.client.shutdown(Some(BOUND)).complete);
    while let Ok(event) = rig.client.next_event(None) {
        assert!(event.is_some());
    }
    assert_eq!(code(rig.client.next_event(None)), Some(Code::Closed));
}

#[test]
fn a_polled_client_can_fail_to_connect_and_connect_again() {
    let rig = Setup::default().key("delivery", "poll").key("token.attempts", 1).build();
    rig.sim.token().then(ffi_tests::sim::TokenReply::Forbidden);
    let client = Arc::clone(&rig.client);
    let poller = std::thread::spawn(move || {
        let mut ready = 0;
        loop {
            match client.next_event(None) {
                Ok(Some(Event::Notice(Notice::State(change)))) if change.to == State::Ready => ready += 1,
                Ok(_) => {}
                Err(error) => return (ready, error.code()),
            }
        }
    });
    assert_eq!(refused(&rig).code(), Code::Forbidden);
    rig.client.connect(Some(BOUND)).unwrap();
    assert!(rig.client.shutdown(Some(BOUND)).complete);
    assert_eq!(poller.join().unwrap(), (1, Code::Closed), "the queue was closed between the two");
}
