//! A new token is a new channel: what the application sees of that is a notice, and every event once.

use std::time::{Duration, Instant};

use ffi_tests::sim::Options;
use genesys_ws_auth::event::State;

use crate::bed::*;

#[test]
fn a_new_token_rolls_over_to_a_new_channel() {
    let bed = Bed::new(pumping(5));
    // The old channel lingers as long as it does unless set.
    let guest = bed.guest(|config| config.set("notifications.linger_ms", "3000").unwrap());
    guest.connect();
    guest.seen.wait("events", |told| told.last() >= 5);
    guest.roll_over();
    let told = guest.seen.told().clone();
    assert_eq!((told.tokens, told.handovers.len()), (2, 1));
    let since = told.last();
    guest.seen.wait("further events", |told| told.last() > since + 5);
    bed.wait_sim("the old subscriptions end", |log| log.rest_requests("DELETE", "/subscriptions") == 1);
    bed.wait_sim("the old socket close", |log| log.connections[0].end.is_some());
    assert!(every_event_once(&bed, &guest) > 10);
    let log = bed.sim.record().snapshot();
    assert_eq!((log.channels_made(), log.ws_connects(), log.most_sockets()), (2, 2, 2));
    let [old, new] = &log.channels[..] else { panic!("{:?}", log.channels) };
    assert!(old.token != new.token && new.topics == [TOPIC], "{new:?}");
    let metrics = guest.client.metrics();
    assert_eq!((metrics.channels, metrics.handovers, metrics.rest_failures, metrics.gaps), (2, 1, 0, 0));
    assert_eq!(metrics.rest_requests, 5, "two channels with their topics, and the end of one subscription");
    let told = guest.close();
    assert_eq!(told.times(State::Ready), 2, "{:?}", told.states);
}

#[test]
fn events_that_come_by_both_sockets_in_any_order_are_one() {
    let mut options = pumping(3);
    // The old socket runs ahead of the new one, then behind it.
    options.notify.skew = [0, 30, 5, 0, 40].map(Duration::from_millis).to_vec();
    let bed = Bed::new(options);
    let guest = bed.guest(|config| config.set("notifications.linger_ms", "50").unwrap());
    guest.connect();
    for _ in 0..15 {
        guest.roll_over();
        let last = guest.seen.told().last();
        guest.seen.wait("events of the new channel", |told| told.last() > last + 10);
    }
    assert!(every_event_once(&bed, &guest) > 150);
    guest.close();
}

/// So many rollovers in a row, under a steady stream of events.
fn rollovers(n: usize, options: Options) {
    let bed = Bed::new(options);
    let guest = bed.connected();
    let start = Instant::now();
    for _ in 0..n {
        guest.roll_over();
    }
    let took = start.elapsed();
    let events = every_event_once(&bed, &guest);
    let log = bed.sim.record().snapshot();
    assert!(log.most_sockets() <= 2, "{} sockets at a time", log.most_sockets());
    assert_eq!(log.channels_made(), n + 1);
    let told = guest.close();
    assert_eq!((told.handovers.len(), told.tokens), (n, n + 1));
    eprintln!("{n} rollovers in {took:.1?} ({:.1?} each), {events} events, each once", took / n.max(1) as u32);
}

#[test]
fn a_thousand_rollovers_lose_nothing_and_repeat_nothing() {
    rollovers(1_000, pumping(1));
}

#[test]
#[ignore = "a long job"]
fn ten_thousand_rollovers_over_tls() {
    // The simulator's record keeps no more than 200,000 events.
    rollovers(10_000, Options { tls: Options::default().tls, ..pumping(10) });
}
