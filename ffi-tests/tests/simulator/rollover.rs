//! Rollovers under a stream of events, by a plain client: what the simulator hands over has no hole and nothing twice.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ffi_tests::sim::{EventPump, Options, Sim};
use serde_json::Value;
use tungstenite::Message;

use crate::api::{channel, open, rest, subscribe, token, USER};
use crate::client::BOUND;

const ROLLOVERS: usize = 100;

/// One socket, read by a thread of its own until the server closes it.
struct Reading {
    /// The first text has come.
    live: Receiver<()>,
    close: Sender<()>,
    reader: JoinHandle<Vec<u64>>,
}

impl Reading {
    /// Reads a socket of a new channel of a new token; closes it after the first event that comes when told to.
    fn start(sim: &Sim) -> (Self, String, String) {
        let token = token(sim);
        let (id, uri) = channel(sim, &token);
        assert_eq!(subscribe(sim, &token, &id, &[USER]).status, 200);
        let mut socket = open(sim, &uri).unwrap();
        let ((says, live), (close, told)) = (mpsc::channel(), mpsc::channel());
        let reader = thread::spawn(move || {
            let mut seqs = Vec::new();
            while let Ok(Message::Text(text)) = socket.read() {
                let _ = says.send(());
                let frame: Value = serde_json::from_str(text.as_str()).unwrap();
                seqs.extend(frame["eventBody"]["seq"].as_u64());
                if told.try_recv().is_ok() {
                    // By hand: tungstenite throws away what comes after a close frame of its own.
                    socket.get_mut().write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
                    socket.get_mut().flush().unwrap();
                }
            }
            seqs
        });
        (Self { live, close, reader }, token, id)
    }

    fn is_live(&self) {
        self.live.recv_timeout(BOUND).unwrap();
    }

    fn leave(self) -> Vec<u64> {
        self.close.send(()).unwrap();
        self.reader.join().unwrap()
    }
}

#[test]
fn a_hundred_rollovers_lose_nothing() {
    let mut options = Options::notifications();
    options.notify.skew = vec![Duration::ZERO, Duration::from_millis(7), Duration::from_millis(3)];
    let sim = Sim::start(options);
    let (mut now, _, _) = Reading::start(&sim);
    sim.channels().policy(|policy| policy.events = Some(EventPump::every(Duration::from_millis(1))));
    now.is_live();
    let mut all = Vec::new();
    for _ in 0..ROLLOVERS {
        let (next, token, id) = Reading::start(&sim);
        next.is_live();
        all.push(now.leave());
        assert_eq!(rest(&sim, &token, "GET", &format!("notifications/channels/{id}"), "").status, 200);
        now = next;
    }
    sim.channels().policy(|policy| policy.events.as_mut().unwrap().limit = 1);
    let last = sim.record().read(|log| log.emitted_total);
    sim.channels().event(USER, None);
    // One event more, for the reader to notice that it is told.
    now.close.send(()).unwrap();
    sim.channels().event(USER, None);
    all.push(now.reader.join().unwrap());
    let log = sim.record().snapshot();
    for (connection, seqs) in all.iter().enumerate() {
        assert!(seqs.is_sorted_by(|a, b| a < b), "in order, and none twice, on socket {connection}");
        assert_eq!(*seqs, log.connections[connection].sent.seqs().collect::<Vec<_>>(), "socket {connection}");
    }
    let union: BTreeSet<u64> = all.iter().flatten().copied().collect();
    let missing: Vec<u64> = (1..=last).filter(|seq| !union.contains(seq)).collect();
    assert_eq!(missing, [0; 0], "of {last} events");
    let pairs = all.iter().map(Vec::len).sum::<usize>() - union.len();
    assert!(pairs > 0, "sockets have overlapped");
    assert_eq!((log.channels_made(), log.evictions(), log.most_sockets()), (ROLLOVERS + 1, ROLLOVERS - 19, 2));
}
