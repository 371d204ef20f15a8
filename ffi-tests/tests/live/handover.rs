//! A server that cannot renew in band: a second socket takes over, and nothing is lost, doubled or out of order.

use std::sync::Arc;
use std::time::Duration;

use ffi_tests::sim::{Action, AuthReply, Pump};
use genesys_ws_auth::Client;

use crate::harness::*;

/// Pumps fast, refuses every renewal in its way.
fn bed(reply: AuthReply) -> Rig {
    let pump = Pump::every(Duration::from_micros(500));
    let setup = Setup::default().lifetime(2_000).key("ws.auth_timeout_ms", 300);
    let rig = setup.sim(|options| options.ws.pump = Some(pump)).build();
    rig.sim.ws().always_reauth(reply);
    rig
}

/// Every hand-over stands between the last message of one socket and the first of the next.
fn check_handovers(saws: &[Saw]) {
    let mut on = 0;
    for saw in saws {
        match saw {
            Saw::Message { connection, .. } if on == 0 => on = *connection,
            Saw::Message { connection, .. } => assert_eq!(*connection, on, "{}", show(saws)),
            Saw::Handover(handover) => {
                assert!(on == 0 || handover.from_connection == on, "{handover:?}");
                on = handover.to_connection;
            }
            _ => {}
        }
    }
}

/// With two sockets at a time the pump's numbers mix; each socket's own rise, and together they are all there.
fn check_complete(rig: &Rig, saws: &[Saw]) {
    let mut got = seqs(saws);
    got.sort_unstable();
    let whole: Vec<u64> = (1..=got.len() as u64).collect();
    if got != whole {
        let missing: Vec<_> = (1..=*got.last().unwrap()).filter(|seq| got.binary_search(seq).is_err()).collect();
        panic!(
            "lost {missing:?}; sent {:?}",
            rig.sim.record().read(|l| l.connections.iter().map(|c| c.sent.ranges.len()).collect::<Vec<_>>())
        );
    }
    let connections = |saws: &[Saw]| {
        saws.iter()
            .filter_map(|saw| match saw {
                Saw::Message { connection, data, .. } => Some((*connection, seq_of(data)?)),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let all = connections(saws);
    assert!(all.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 < pair[1].1), "out of order");
}

fn hands_over(reply: AuthReply) {
    let rig = bed(reply);
    rig.client.connect(Some(BOUND)).unwrap();
    rig.seen.wait("three hand-overs", |saws| handovers(saws) >= 3);
    // Two failed in band; from then on the second socket is opened at once.
    rig.seen.wait("messages after them", |saws| matches!(saws.last(), Some(Saw::Message { .. })));
    let sim = rig.sim.record().snapshot();
    assert_eq!(sim.reauths(), 2, "asked in band twice, never again");
    let metrics = rig.client.metrics();
    assert!(metrics.handovers >= 3 && metrics.gaps == 0 && metrics.drops == 0, "{metrics:?}");
    // The memory belongs to the process: a second client does not even ask.
    let second = Client::new(&rig.config).unwrap();
    second.connect(Some(BOUND)).unwrap();
    rig.seen.wait("hand-overs of both", |saws| handovers(saws) >= 6);
    assert_eq!(rig.sim.record().reauths(), 2);
    second.shutdown(Some(BOUND));
    assert!(rig.sim.record().read(|log| log.closes.iter().all(|close| close.code == 1000)));
    let saws = rig.close();
    assert_eq!(gaps(&saws), 0, "{}", show(&saws));
}

#[test]
fn a_server_that_refuses_is_left_without_a_gap() {
    hands_over(AuthReply::Refuse(Some("already authenticated".into())));
}

#[test]
fn a_server_that_never_answers_is_left_without_a_gap() {
    hands_over(AuthReply::Never);
}

#[test]
fn nothing_is_lost_across_a_hand_over() {
    let rig = bed(AuthReply::Refuse(None));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.seen.wait("two hand-overs", |saws| handovers(saws) >= 2);
    let last = rig
        .seen
        .all()
        .iter()
        .filter_map(|saw| if let Saw::Message { data, .. } = saw { seq_of(data) } else { None })
        .max();
    rig.seen.wait_seq(last.unwrap() + 20);
    rig.sim.ws().policy(|policy| policy.pump = None);
    let saws = rig.seen.all();
    check_handovers(&saws);
    let (one, two) = (saws.len(), &rig);
    assert!(one > 0);
    // What was seen last may be in the middle of a hand-over: look only at what is settled.
    let settled = saws.iter().rposition(|saw| matches!(saw, Saw::Handover(_))).unwrap();
    let later = settled + saws[settled..].iter().take_while(|saw| !matches!(saw, Saw::State(_))).count();
    check_complete(two, &saws[..later]);
    assert_eq!(gaps(&saws), 0);
    two.client.shutdown(Some(BOUND));
}

#[test]
fn an_old_socket_that_goes_on_and_on_is_left_all_the_same() {
    // As fast as the socket takes them, and the close frame is not answered: what cannot be read out is a gap.
    let pump = Pump { size: 4_096, ..Pump::every(Duration::ZERO) };
    let setup = Setup::default().lifetime(2_000).key("close.timeout_ms", 400).key("ws.auth_timeout_ms", 300);
    let rig = setup.sim(|options| options.ws.pump = Some(pump)).build_with(|hooks, seen| {
        let seen = Arc::clone(seen);
        hooks.on_message = Some(Arc::new(move |message| {
            let connection = message.connection;
            let data = message.data()[..40.min(message.data().len())].to_vec();
            if data.first() == Some(&b'!') {
                seen.add(Saw::Message { kind: message.kind, data, connection });
            }
        }));
    });
    rig.sim.ws().always_reauth(AuthReply::Refuse(None));
    rig.sim.ws().policy(|policy| policy.ignore_close = true);
    rig.client.connect(Some(BOUND)).unwrap();
    rig.seen.wait("a hand-over", |saws| handovers(saws) >= 1);
    rig.sim.ws().push(None, Action::Text("!".into()));
    rig.seen.wait("a message after it", |saws| matches!(saws.last(), Some(Saw::Message { .. })));
    rig.client.shutdown(Some(BOUND));
    let saws = rig.seen.all();
    let handover = saws.iter().position(|saw| matches!(saw, Saw::Handover(_))).unwrap();
    assert_eq!(gaps(&saws[..handover]), 1, "what was not read of the old socket is a gap: {}", show(&saws));
}
