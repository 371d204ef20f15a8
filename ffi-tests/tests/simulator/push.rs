//! Messages: the pump, orders, and every way to break a frame or a connection.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use ffi_tests::sim::{Action, End, Log, Options, Plan, Pump, Sim, Trigger, WsPolicy};
use serde_json::Value;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::{Bytes, Error, Message};

use crate::client::{connect, read_json, read_text, upgrade, Socket, BOUND};

fn start(ws: WsPolicy) -> Sim {
    Sim::start(Options { ws, ..Options::default() })
}

fn pumping(pump: Pump) -> Sim {
    start(WsPolicy { pump: Some(pump), ..WsPolicy::default() })
}

/// What a client gets to read after its authentication when this is done to it.
fn after(actions: impl IntoIterator<Item = Action>) -> (Sim, Socket) {
    let sim = start(WsPolicy::default());
    sim.ws().plan_next(Plan::new().on(Trigger::Auths(1), actions));
    let socket = connect(&sim);
    (sim, socket)
}

/// The error that ends reading.
fn error_after(actions: impl IntoIterator<Item = Action>) -> Error {
    let (_sim, mut socket) = after(actions);
    loop {
        if let Err(error) = socket.read() {
            return error;
        }
    }
}

fn is_eof(error: &Error) -> bool {
    matches!(error, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))
        || matches!(error, Error::Io(io) if io.kind() == ErrorKind::UnexpectedEof)
}

#[test]
fn the_pump_numbers_what_it_sends() {
    let pump = Pump { every: Duration::from_millis(1), binary_every: 4, size: 200, limit: 12 };
    let sim = pumping(pump);
    let mut socket = connect(&sim);
    for seq in 1..=12 {
        match socket.read().unwrap() {
            Message::Text(text) => {
                let event: Value = serde_json::from_str(text.as_str()).unwrap();
                assert_eq!((event["type"].as_str(), event["seq"].as_u64()), (Some("event"), Some(seq)));
                assert!(event["sentAt"].is_u64() && event["sentAtUs"].is_u64());
                assert_eq!(text.len(), 200);
            }
            Message::Binary(data) => {
                assert_eq!((seq % 4, data.len()), (0, 200));
                assert_eq!(u64::from_be_bytes(data[..8].try_into().unwrap()), seq);
            }
            other => panic!("{other:?}"),
        }
    }
    let counted = |log: &Log| log.messages_sent() == 12;
    assert!(sim.record().wait_until(BOUND, counted));
    let sent = sim.record().snapshot().connections[0].sent.clone();
    assert_eq!((sent.messages, sent.binary, sent.bytes), (12, 3, 2400));
    assert_eq!(sent.ranges, [(1, 12)]);
}

#[test]
fn the_sequence_is_one_over_all_connections() {
    let sim = pumping(Pump { limit: 200, ..Pump::every(Duration::from_millis(1)) });
    let (mut one, mut two) = (connect(&sim), connect(&sim));
    assert!(sim.record().wait_until(BOUND, |log| log.messages_sent() == 200));
    sim.ws().close_all(1000, "done");
    let read_all = |socket: &mut Socket| {
        let mut seqs = Vec::new();
        while let Ok(Message::Text(text)) = socket.read() {
            let event: Value = serde_json::from_str(text.as_str()).unwrap();
            seqs.push(event["seq"].as_u64().unwrap());
        }
        seqs
    };
    let (first, second) = (read_all(&mut one), read_all(&mut two));
    let log = sim.record().snapshot();
    assert_eq!(log.connections[0].sent.seqs().collect::<Vec<_>>(), first);
    assert_eq!(log.connections[1].sent.seqs().collect::<Vec<_>>(), second);
    let all: BTreeSet<u64> = first.into_iter().chain(second).collect();
    assert_eq!(all, (1..=200).collect());
}

#[test]
fn a_flood_is_counted_as_the_client_reads_it() {
    let sim = pumping(Pump { limit: 2000, ..Pump::every(Duration::ZERO) });
    let mut socket = connect(&sim);
    for seq in 1..=2000 {
        assert_eq!(read_json(&mut socket)["seq"], seq);
    }
    assert!(sim.record().wait_until(BOUND, |log| log.messages_sent() == 2000));
}

#[test]
fn what_is_pushed_arrives_where_it_should() {
    let sim = start(WsPolicy::default());
    let _unauthenticated = upgrade(&sim);
    let (mut one, mut two) = (connect(&sim), connect(&sim));
    assert_eq!(sim.ws().live(), [0, 1, 2]);
    sim.ws().push_text("to all").push_binary(b"\x00\x01").push(Some(2), Action::Text("to one".into()));
    for socket in [&mut one, &mut two] {
        assert_eq!(read_text(socket), "to all");
        assert_eq!(socket.read().unwrap(), Message::binary(vec![0, 1]));
    }
    assert_eq!(read_text(&mut two), "to one");
    assert!(sim.record().wait_until(BOUND, |log| log.messages_sent() == 5));
    assert_eq!(sim.record().snapshot().connections[0].sent.messages, 0);
}

#[test]
fn the_echo_returns_everything() {
    let sim = start(WsPolicy { echo: true, ..WsPolicy::default() });
    let mut socket = connect(&sim);
    let big = "€".repeat((4 << 20) / 3);
    socket.send(Message::text(big.clone())).unwrap();
    socket.send(Message::binary(vec![7; 1000])).unwrap();
    assert!(read_text(&mut socket) == big);
    assert_eq!(socket.read().unwrap(), Message::binary(vec![7; 1000]));
    let log = sim.record().snapshot();
    assert_eq!((log.received_total, log.received[0].len), (2, big.len()));
    assert!(!log.received[0].binary && log.received[1].payload == vec![7; 1000]);
}

#[test]
fn pings_are_answered_and_asked() {
    let (sim, mut socket) = after([Action::Ping(b"are you there".to_vec())]);
    assert_eq!(socket.read().unwrap(), Message::Ping(Bytes::from_static(b"are you there")));
    socket.send(Message::Ping(Bytes::from_static(b"and you"))).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(Bytes::from_static(b"and you")));
    assert!(sim.record().wait_until(BOUND, |log| log.pings == 1 && log.pongs == 1));
}

#[test]
fn whole_messages_come_in_odd_ways() {
    let (_sim, mut socket) = after([
        Action::Fragmented { text: "in several frames".into(), parts: 5 },
        Action::Trickle { text: "byte by byte".into(), chunk: 3, delay_ms: 1 },
        Action::Pause { ms: 10 },
        Action::not_json(),
        Action::Raw(vec![0x81, 0x02, b'o', b'k']),
    ]);
    for text in ["in several frames", "byte by byte", "this is {not JSON", "ok"] {
        assert_eq!(read_text(&mut socket), text);
    }
}

#[test]
fn broken_frames_are_broken() {
    let error = error_after([Action::InvalidUtf8]);
    assert!(matches!(error, Error::Utf8(_)), "{error:?}");
    let error = error_after([Action::Masked("masked".into())]);
    assert!(matches!(error, Error::Protocol(ProtocolError::MaskedFrameFromServer)), "{error:?}");
    for big in [Action::OversizedHeader { announced: 5 << 20 }, Action::oversized((4 << 20) + 1)] {
        let error = error_after([big]);
        assert!(matches!(error, Error::Capacity(CapacityError::MessageTooLong { .. })), "{error:?}");
    }
    let error = error_after([Action::CutFrame { text: "cut".into(), keep: 3 }]);
    assert!(is_eof(&error), "{error:?}");
}

#[test]
fn connections_are_dropped_where_the_plan_says() {
    for (trigger, whole) in [(Trigger::Messages(3), 3), (Trigger::Frames(3), 2), (Trigger::Auths(1), 0)] {
        let sim = pumping(Pump::every(Duration::from_millis(1)));
        sim.ws().plan(0, Plan::new().on(trigger, [Action::Drop]));
        let mut socket = connect(&sim);
        for seq in 1..=whole {
            assert_eq!(read_json(&mut socket)["seq"], seq, "{trigger:?}");
        }
        assert!(is_eof(&socket.read().unwrap_err()), "{trigger:?}");
        let log = sim.record().snapshot();
        assert_eq!((log.forced_drops(), log.messages_sent()), (1, whole));
    }
}

#[test]
fn plans_begin_with_the_connection() {
    let sim = start(WsPolicy::default());
    sim.ws().plan_every(Plan::new().on(Trigger::Open, [Action::Text("welcome".into())]));
    sim.ws().plan_next(Plan::new().on(Trigger::AfterMs(20), [Action::Drop]));
    let mut socket = upgrade(&sim);
    assert_eq!(read_text(&mut socket), "welcome");
    assert!(is_eof(&socket.read().unwrap_err()));
    assert_eq!(read_text(&mut upgrade(&sim)), "welcome");
}

#[test]
fn orders_end_connections() {
    let sim = start(WsPolicy::default());
    let mut socket = connect(&sim);
    sim.ws().drop_all();
    assert!(is_eof(&socket.read().unwrap_err()));
    let mut socket = connect(&sim);
    sim.ws().reset_all();
    let error = socket.read().unwrap_err();
    assert!(matches!(&error, Error::Io(io) if io.kind() == ErrorKind::ConnectionReset), "{error:?}");
    let ends = |log: &Log| log.connections.iter().filter_map(|c| c.end.clone()).map(|(_, end)| end).collect::<Vec<_>>();
    assert_eq!(sim.record().read(ends), [End::Dropped, End::Reset]);
}

#[test]
fn a_drop_works_while_the_client_does_not_read() {
    let sim = pumping(Pump { size: 1 << 20, ..Pump::every(Duration::ZERO) });
    let mut socket = connect(&sim);
    assert!(sim.record().wait_until(BOUND, |log| log.messages_sent() >= 2));
    sim.ws().drop_all();
    let mut read = 0;
    while socket.read().is_ok() {
        read += 1;
    }
    let sent = sim.record().snapshot().connections[0].sent.messages;
    assert!(read >= sent, "{read} read of {sent} sent whole");
}

#[test]
fn silence_is_silence_until_it_ends() {
    let sim = start(WsPolicy { echo: true, ..WsPolicy::default() });
    let mut socket = connect(&sim);
    sim.ws().go_silent();
    socket.send(Message::Ping(Bytes::new())).unwrap();
    socket.send(Message::text("anybody?")).unwrap();
    assert!(sim.record().wait_until(BOUND, |log| log.pings == 1 && log.received_total == 1));
    sim.ws().act(None, [Action::Resume]).push_text("back");
    assert_eq!(read_text(&mut socket), "back");
}

#[test]
fn a_connection_on_record_can_be_ordered_about() {
    let sim = start(WsPolicy::default());
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| upgrade(&sim));
        assert!(sim.record().wait_until(BOUND, |log| log.ws_connects() == 1));
        sim.ws().act(Some(0), [Action::Text("early".into()), Action::close(1013, "later")]);
        let mut socket = opened.join().unwrap();
        assert_eq!(read_text(&mut socket), "early");
        assert!(matches!(socket.read(), Ok(Message::Close(_))));
    });
    assert!(sim.record().wait_until(BOUND, |log| log.connections[0].end.is_some()));
    assert!(sim.ws().live().is_empty());
}
