//! SQLite's loop: the n-th thing the server does fails, for n = 1, 2, 3 …, until a run is clean; first once, then
//! again and again. Whatever happens, the client is Ready in the end, and gap notices cover all that is missing.

#[allow(dead_code)]
#[path = "live/harness.rs"]
mod harness;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ffi_tests::sim::{Action, Log, Plan, Pump, TcpReply, TokenReply, Trigger, UpgradeReply};
use harness::{check_order, gaps, seqs, show, Rig, Saw, Setup, BOUND};

/// Messages pumped in a run.
const MESSAGES: u64 = 10;
/// Runs at a time: they wait more than they work.
const LANES: usize = 12;
/// No run has more steps than this.
const STEPS_MAX: usize = 40;
/// How often a persistent fault happens.
const PERSISTENT: usize = 3;

/// A fault to be put where the server has done n things.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Drop,
    Reset,
    HalfFrame,
    Silence,
    Close,
}

const FAULTS: [Fault; 5] = [Fault::Drop, Fault::Reset, Fault::HalfFrame, Fault::Silence, Fault::Close];

impl Fault {
    fn action(self) -> Action {
        match self {
            Fault::Drop => Action::Drop,
            Fault::Reset => Action::Reset,
            Fault::HalfFrame => Action::CutFrame { text: "never whole".repeat(20), keep: 99 },
            Fault::Silence => Action::GoSilent,
            Fault::Close => Action::close(1011, "anomaly"),
        }
    }
}

fn setup() -> Setup {
    let pump = Pump { limit: MESSAGES, ..Pump::every(Duration::from_millis(3)) };
    Setup::default()
        .key("ws.ping_after_ms", 150)
        .key("ws.dead_after_ms", 150)
        .key("ws.auth_timeout_ms", 400)
        .key("ws.upgrade_timeout_ms", 400)
        .key("tls.timeout_ms", 400)
        .key("token.timeout_ms", 800)
        .sim(|options| options.ws.pump = Some(pump))
}

/// Connects, takes all messages, renews, and takes one message more; through whatever happens.
fn run(rig: &Rig, which: &str) {
    rig.client.start().unwrap();
    rig.wait_sim(&format!("{which}: all messages sent"), |log| sent(log) >= MESSAGES);
    rig.client.refresh_now().unwrap();
    rig.wait_sim(&format!("{which}: another token accepted"), |log| {
        let accepted = |auth: &&ffi_tests::sim::Auth| auth.accepted == Some(true);
        let first = log.auths.iter().find(accepted).map(|auth| &auth.token);
        log.auths.iter().filter(accepted).any(|auth| Some(&auth.token) != first)
    });
    let until = Instant::now() + BOUND;
    while !rig.seen.all().iter().any(is_end) {
        assert!(Instant::now() < until, "{which}: never live again; {}", show(&rig.seen.all()));
        let sent = rig.sim.record().read(said);
        rig.sim.ws().push_text(r#"{"end":true}"#);
        rig.sim.record().wait_until(Duration::from_millis(100), |log| said(log) > sent);
    }
    let report = rig.client.shutdown(Some(BOUND));
    assert!(report.complete, "{which}: {report:?}");
}

fn sent(log: &Log) -> u64 {
    log.connections.iter().flat_map(|connection| connection.sent.seqs()).max().unwrap_or(0)
}

/// Messages sent in all.
fn said(log: &Log) -> u64 {
    log.connections.iter().map(|connection| connection.sent.messages).sum()
}

fn is_end(saw: &Saw) -> bool {
    matches!(saw, Saw::Message { data, .. } if data == br#"{"end":true}"#)
}

/// Checks what must hold after any run; whether it was clean: no fault came to pass.
fn check(rig: &Rig, which: &str) -> bool {
    let saws = rig.seen.all();
    check_order(&saws).unwrap_or_else(|why| panic!("{which}: {why}"));
    let (log, metrics) = (rig.sim.record().snapshot(), rig.client.metrics());
    // A socket that was accepted and lost is one gap, unless another took over first; nothing else is one.
    let lost = usize::try_from(metrics.drops).unwrap();
    assert!(gaps(&saws) <= lost + usize::try_from(metrics.handovers).unwrap(), "{which}: {}", show(&saws));
    let was_never_lost = log.ws_connects() == 1 && lost == 0;
    if was_never_lost {
        assert_eq!((gaps(&saws), seqs(&saws).len() as u64), (0, MESSAGES), "{which}: {}", show(&saws));
    }
    assert_eq!(metrics.senseless_inputs, 0, "{which}");
    was_never_lost && log.auths.iter().all(|auth| auth.accepted == Some(true))
}

/// Runs `test` for n = 1, 2, 3 … on several threads until one is clean.
fn until_clean(what: &str, test: impl Fn(usize) -> bool + Sync) {
    let (next, clean) = (AtomicUsize::new(1), AtomicUsize::new(usize::MAX));
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                if n > clean.load(Ordering::SeqCst) || n > STEPS_MAX {
                    return;
                }
                if test(n) {
                    clean.fetch_min(n, Ordering::SeqCst);
                }
            });
        }
    });
    let clean = clean.into_inner();
    assert!(clean > 1 && clean <= STEPS_MAX, "{what}: clean at {clean}");
}

#[test]
fn every_frame_fails_once() {
    for fault in FAULTS {
        until_clean("frames", |n| {
            let which = format!("{fault:?} once after frame {n}");
            let rig = setup().build();
            rig.sim.ws().plan(0, Plan::new().on(Trigger::Frames(n as u64), [fault.action()]));
            run(&rig, &which);
            check(&rig, &which)
        });
    }
}

#[test]
fn every_frame_fails_again_and_again() {
    // The later frames of a run that begins anew are those of the first: a few are enough.
    let next = AtomicUsize::new(0);
    let all: Vec<(Fault, u64)> = FAULTS.into_iter().flat_map(|fault| [0, 1, 2, 4].map(|n| (fault, n))).collect();
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((fault, n)) = all.get(next.fetch_add(1, Ordering::SeqCst)).copied() {
                    let which = format!("{fault:?} {PERSISTENT} times after frame {n}");
                    let rig = setup().build();
                    let trigger = if n == 0 { Trigger::Open } else { Trigger::Frames(n) };
                    for connection in 0..PERSISTENT {
                        rig.sim.ws().plan(connection, Plan::new().on(trigger, [fault.action()]));
                    }
                    run(&rig, &which);
                    check(&rig, &which);
                }
            });
        }
    });
}

#[test]
fn every_connection_fails_once() {
    let replies = || [TcpReply::Drop, TcpReply::Reset, TcpReply::Stall, TcpReply::Garbage(b"SSH-2.0-x\r\n".to_vec())];
    for reply in replies() {
        until_clean("connections", |n| {
            let which = format!("{reply:?} for connection {n}");
            let rig = setup().build();
            (1..n).for_each(|_| drop(rig.sim.tcp().then(TcpReply::Serve)));
            rig.sim.tcp().then(reply.clone());
            run(&rig, &which);
            check(&rig, &which);
            // Token, socket, second token: the fourth is never made.
            rig.sim.record().read(|log| log.tcp_connections) < n as u64
        });
    }
}

#[test]
fn every_request_fails_once() {
    let token =
        [TokenReply::Drop, TokenReply::Reset, TokenReply::CutMidHeader, TokenReply::CutMidBody, TokenReply::Hang];
    for reply in token {
        until_clean("token requests", |n| {
            let which = format!("{reply:?} for token request {n}");
            let rig = setup().build();
            (1..n).for_each(|_| drop(rig.sim.token().then(TokenReply::Issue(Default::default()))));
            rig.sim.token().then(reply.clone());
            run(&rig, &which);
            check(&rig, &which);
            rig.sim.record().token_requests() < n
        });
    }
    for reply in [UpgradeReply::Drop, UpgradeReply::Reset, UpgradeReply::Hang, UpgradeReply::WrongAcceptKey] {
        until_clean("upgrades", |n| {
            let which = format!("{reply:?} for upgrade {n}");
            let rig = setup().build();
            (1..n).for_each(|_| drop(rig.sim.ws().on_upgrade(UpgradeReply::Accept)));
            rig.sim.ws().on_upgrade(reply.clone());
            run(&rig, &which);
            check(&rig, &which);
            rig.sim.record().read(|log| log.requests.iter().filter(|request| request.path == "/ws").count()) < n
        });
    }
}
