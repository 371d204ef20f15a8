//! Sending: from many threads, through losses and stalls; every message ends exactly once.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use ffi_tests::sim::{Action, AuthReply};
use genesys_ws_auth::event::{MessageKind, State};
use genesys_ws_auth::Code;

use crate::harness::*;

/// How each message ended; once each.
fn ends(saws: &[Saw]) -> HashMap<u64, Option<Code>> {
    let mut ends = HashMap::new();
    for saw in saws {
        if let Saw::Sent(sent) = saw {
            let before = ends.insert(sent.id, sent.outcome.as_ref().err().map(|error| error.code()));
            assert_eq!(before, None, "{} ended twice", sent.id);
        }
    }
    ends
}

#[test]
fn eight_threads_send_and_hear_their_echo() {
    const EACH: usize = 100;
    let rig = Setup::default().key("send.queue_messages", 2_000).sim(|options| options.ws.echo = true).connect();
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = &rig.client;
            scope.spawn(move || {
                for n in 0..EACH {
                    let text = format!("{thread}:{n}:{}", "p".repeat(n * 7 % 300));
                    let kind = if n % 3 == 0 { MessageKind::Binary } else { MessageKind::Text };
                    client.send(kind, text.as_bytes()).unwrap();
                }
            });
        }
    });
    rig.seen.wait_sent(8 * EACH);
    rig.seen.wait("every echo", |saws| count(saws, |saw| matches!(saw, Saw::Message { .. })) == 8 * EACH);
    let received = rig.sim.record().snapshot().received;
    let mut next = [0; 8];
    for message in received {
        let text = String::from_utf8(message.payload).unwrap();
        let mut parts = text.split(':').map(|part| part.parse::<usize>().unwrap_or(0));
        let (thread, n) = (parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(n, next[thread], "order of thread {thread}");
        assert_eq!(message.binary, n % 3 == 0);
        next[thread] += 1;
    }
    assert_eq!(next, [EACH; 8]);
    let ends = ends(&rig.close());
    assert!(ends.len() == 8 * EACH && ends.values().all(Option::is_none));
}

#[test]
fn sizes_from_nothing_to_the_maximum() {
    let rig = Setup::default().sim(|options| options.ws.echo = true).connect();
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 4 << 20];
    for (n, size) in sizes.into_iter().enumerate() {
        rig.client.send(MessageKind::Binary, &vec![7; size]).unwrap();
        rig.seen.wait_sent(n + 1);
        rig.seen.wait("the echo", |saws| count(saws, |saw| matches!(saw, Saw::Message { .. })) == n + 1);
    }
    let too_large = rig.client.send(MessageKind::Binary, &vec![7; (4 << 20) + 1]);
    assert_eq!(code(too_large), Some(Code::TooLarge));
    assert_eq!(code(rig.client.send(MessageKind::Text, b"\xff")), Some(Code::InvalidUtf8));
    let saws = rig.close();
    let lens = saws.iter().filter_map(|saw| if let Saw::Message { data, .. } = saw { Some(data.len()) } else { None });
    assert_eq!(lens.collect::<Vec<_>>(), sizes);
}

#[test]
fn messages_wait_for_the_next_socket_and_keep_their_order() {
    let rig = Setup::default().key("send.queue_messages", 3).connect();
    rig.sim.down();
    rig.seen.wait_state(State::Reconnecting, 1);
    for n in 1..=3 {
        rig.client.send(MessageKind::Text, format!("{n}").as_bytes()).unwrap();
    }
    let error = rig.client.send(MessageKind::Text, b"4").unwrap_err();
    assert_eq!((error.code(), error.is_retriable()), (Code::QueueFull, true));
    rig.sim.up();
    rig.seen.wait_sent(3);
    rig.wait_sim("three messages", |log| log.received_total == 3);
    let payloads = rig.sim.record().read(|log| log.received.iter().map(|m| m.payload.clone()).collect::<Vec<_>>());
    assert_eq!(payloads, [b"1", b"2", b"3"]);
    rig.client.send(MessageKind::Text, b"5").unwrap();
    rig.seen.wait_sent(4);
    rig.close();
}

#[test]
fn bytes_are_bounded_as_messages_are() {
    let rig = Setup::default().key("send.queue_bytes", 4_096).connect();
    rig.sim.down();
    rig.seen.wait_state(State::Reconnecting, 1);
    let queued = [0, 1].map(|_| rig.client.send(MessageKind::Binary, &[5; 2_048]).unwrap());
    assert_eq!(code(rig.client.send(MessageKind::Binary, b"x")), Some(Code::QueueFull));
    rig.sim.up();
    rig.seen.wait_sent(2);
    let ends = ends(&rig.close());
    // What was refused has no id and no end.
    assert_eq!((ends.len(), queued.map(|id| ends[&id])), (2, [None, None]));
}

/// Numbers that reached the server, in order.
fn arrived(rig: &Rig) -> Vec<usize> {
    let number = |m: &ffi_tests::sim::Received| std::str::from_utf8(&m.payload).unwrap().parse().unwrap();
    rig.sim.record().read(|log| log.received.iter().map(number).collect())
}

#[test]
fn drop_after_drop_the_order_stays_and_nothing_goes_out_twice() {
    const DROPS: usize = 4;
    const BATCH: usize = 100;
    let rig = Setup::default().key("send.queue_messages", 10_000).connect();
    let mut ids = Vec::new();
    let mut send = |count: usize| {
        for _ in 0..count {
            let number = ids.len() + 1;
            ids.push(rig.client.send(MessageKind::Text, number.to_string().as_bytes()).unwrap());
        }
        ids.len()
    };
    for drops in 1..=DROPS {
        // Some arrive; the drop comes while others are on their way, and more are queued while there is no socket.
        let before = arrived(&rig).len();
        send(BATCH);
        rig.wait_sim("some of them", |log| log.received.len() >= before + BATCH / 10);
        send(BATCH);
        rig.sim.ws().drop_all();
        send(BATCH);
        rig.seen.wait_state(State::Reconnecting, drops);
        send(BATCH);
        rig.seen.wait_state(State::Ready, drops + 1);
    }
    let last = send(1);
    rig.seen.wait_sent(last);
    rig.wait_sim("the last", |log| log.received.last().is_some_and(|m| m.payload == last.to_string().as_bytes()));
    let arrived = arrived(&rig);
    assert!(arrived.windows(2).all(|pair| pair[0] < pair[1]), "out of order or twice: {arrived:?}");
    assert!(arrived.len() > DROPS * BATCH / 10, "{}", arrived.len());
    let saws = rig.close();
    let told = saws.iter().filter_map(|saw| if let Saw::Sent(sent) = saw { Some(sent.id) } else { None });
    assert_eq!(told.collect::<Vec<_>>(), ids, "each ends once, in order");
    assert!(ends(&saws).values().all(Option::is_none));
}

/// The policy of this profile: the token that was accepted serves until another one is.
#[test]
fn messages_go_out_while_a_renewal_is_not_answered() {
    let rig = Setup::default().key("ws.auth_timeout_ms", 60_000).sim(|options| options.ws.echo = true).connect();
    rig.sim.ws().on_reauth(AuthReply::Never);
    rig.client.refresh_now().unwrap();
    rig.seen.wait_state(State::Renewing, 1);
    rig.wait_sim("the renewal", |log| log.reauths() == 1);
    for n in 1..=50 {
        rig.client.send(MessageKind::Text, n.to_string().as_bytes()).unwrap();
    }
    rig.seen.wait_sent(50);
    rig.wait_sim("all of them", |log| log.received_total == 50);
    rig.seen.wait("every echo", |saws| count(saws, |saw| matches!(saw, Saw::Message { .. })) == 50);
    assert_eq!(rig.client.state(), State::Renewing, "nobody has answered yet");
    assert_eq!(rig.sim.record().read(|log| (log.ws_connects(), log.auths[1].accepted)), (1, None));
    assert_eq!(arrived(&rig), (1..=50).collect::<Vec<_>>());
    assert!(ends(&rig.close()).values().all(Option::is_none));
}

#[test]
fn what_was_not_sent_is_given_back_at_the_end() {
    let rig = Setup::default().connect();
    rig.sim.down();
    rig.seen.wait_state(State::Reconnecting, 1);
    let ids: Vec<u64> = (0..5).map(|_| rig.client.send(MessageKind::Text, b"x").unwrap()).collect();
    let client = Arc::clone(&rig.client);
    let saws = rig.close();
    let ends = ends(&saws);
    assert!(ids.iter().all(|id| ends[id] == Some(Code::Cancelled)), "{ends:?}");
    assert_eq!(client.shutdown(None).messages_unsent, 5);
}

#[test]
fn every_message_accepted_while_the_client_closes_ends_once() {
    for _ in 0..20 {
        let rig = Setup::default().connect();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let client = Arc::clone(&rig.client);
                thread::spawn(move || {
                    let mut ids = Vec::new();
                    loop {
                        match client.send(MessageKind::Text, b"x") {
                            Ok(id) => ids.push(id),
                            Err(error) if error.code() == Code::QueueFull => {}
                            Err(error) => {
                                assert_eq!(error.code(), Code::Closed);
                                return ids;
                            }
                        }
                    }
                })
            })
            .collect();
        rig.seen.wait_sent(10);
        let saws = rig.close();
        let accepted: usize = threads.into_iter().map(|thread| thread.join().unwrap().len()).sum();
        assert_eq!(ends(&saws).len(), accepted, "a message was accepted and never ended");
    }
}

#[test]
fn a_server_that_does_not_read_holds_messages_up_and_loses_none() {
    // One fits into what the kernels take; all do not.
    const SIZE: usize = 64 << 10;
    const COUNT: usize = 160;
    let rig = Setup::default().key("send.queue_bytes", 64 << 20).connect();
    rig.sim.ws().act(None, [Action::GoDeaf]);
    for _ in 0..COUNT {
        rig.client.send(MessageKind::Binary, &[9; SIZE]).unwrap();
    }
    rig.seen.wait_sent(1);
    // The other direction is not held up.
    rig.sim.ws().push_text(r#"{"seq":1}"#);
    rig.seen.wait_seq(1);
    assert!(rig.client.metrics().messages_sent < COUNT as u64, "the kernel cannot have taken everything");
    rig.client.refresh_now().unwrap();
    rig.sim.ws().act(None, [Action::Listen]);
    rig.seen.wait_sent(COUNT);
    rig.wait_sim("all of it", |log| log.received_total == COUNT as u64);
    assert!(rig.sim.record().read(|log| log.received.iter().all(|m| m.len == SIZE)));
    // A renewal finds its way behind them.
    rig.wait_sim("a renewal", |log| log.reauths() >= 1);
    let saws = rig.close();
    assert_eq!((gaps(&saws), ends(&saws).len()), (0, COUNT), "{}", show(&saws));
}

#[test]
fn a_message_half_written_when_the_socket_ends_goes_out_again() {
    let rig = Setup::default().key("send.queue_bytes", 64 << 20).connect();
    rig.sim.ws().act(None, [Action::GoDeaf]);
    for _ in 0..24 {
        rig.client.send(MessageKind::Binary, &vec![1; 64 << 10]).unwrap();
    }
    rig.seen.wait_sent(1);
    rig.sim.ws().drop_all();
    rig.seen.wait_state(State::Ready, 2);
    let sent = rig.client.send(MessageKind::Text, b"last").unwrap();
    rig.seen.wait("the end of the last", |saws| ends(saws).contains_key(&sent));
    rig.wait_sim("the last", |log| log.received.last().is_some_and(|m| m.payload == b"last"));
    let on_new = rig.sim.record().read(|log| log.received.iter().filter(|m| m.connection == 1).count());
    assert!(on_new >= 2, "the interrupted one and the last");
    let ends = ends(&rig.close());
    assert!(ends.values().all(Option::is_none), "{ends:?}");
}

#[test]
fn messages_survive_a_hand_over() {
    let rig = Setup::default().lifetime(2_000).key("ws.auth_timeout_ms", 200).connect();
    rig.sim.ws().always_reauth(AuthReply::Refuse(None));
    let mut n = 0;
    while handovers(&rig.seen.all()) < 2 {
        n += 1;
        rig.client.send(MessageKind::Text, format!("{n}").as_bytes()).unwrap();
        rig.seen.wait_sent(n);
    }
    rig.wait_sim("all messages", |log| log.received_total == n as u64);
    let numbers = rig.sim.record().read(|log| {
        let number =
            |m: &ffi_tests::sim::Received| String::from_utf8(m.payload.clone()).unwrap().parse::<usize>().unwrap();
        let mut numbers: Vec<_> = log.received.iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    });
    assert!(numbers.iter().enumerate().all(|(place, number)| *number == place + 1 || numbers.len() == 10_000));
    rig.close();
}
