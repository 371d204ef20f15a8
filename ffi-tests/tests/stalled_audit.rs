//! A security team's callback that hangs: renewals, pings and reading go on, messages wait for their turn and none is
//! lost, and what the audit queue had to drop is said in band. In `inline` delivery messages do not even wait.
//!
//! The stall is a latch that the test opens; the simulator's record says what went on meanwhile. Renewals happen when
//! the test wants them, so that it does not matter how slow the machine is; `a_minute` leaves them to their timers.

#[allow(dead_code, reason = "shared with the tests of threads and sockets")]
#[path = "live/harness.rs"]
mod harness;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use ffi_tests::sim::{Action, Log, Pump};
use genesys_ws_auth::audit::verify::{GapKind, Verdict, Verifier};
use genesys_ws_auth::error::Code;
use genesys_ws_auth::metrics::Metrics;
use genesys_ws_auth::{Client, Secret};
use serde_json::Value;

use harness::*;

/// Records that the audit queue holds: a few renewals fill it.
const QUEUED: usize = 3;

/// Holds whoever passes until it is opened; a test that fails does not open it.
#[derive(Default)]
struct Latch {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Latch {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(state, BOUND * 10, |(_, open)| !*open).unwrap());
    }

    fn wait_reached(&self) {
        let state = self.state.lock().unwrap();
        let (state, _) = self.changed.wait_timeout_while(state, BOUND, |(reached, _)| !*reached).unwrap();
        assert!(state.0, "no record ever came");
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

/// A client whose `on_audit` hangs from its first record on.
struct Stall {
    rig: Rig,
    latch: Arc<Latch>,
}

impl Stall {
    fn begin(setup: Setup) -> Self {
        let latch = Arc::<Latch>::default();
        let inside = Arc::clone(&latch);
        let rig = setup.build_with(move |hooks, _| {
            let seen = hooks.on_audit.take().unwrap();
            hooks.on_audit = Some(Arc::new(move |record| {
                inside.pass();
                seen(record)
            }));
        });
        // `connect` returns after its records were delivered: not before the latch is open.
        rig.client.start().unwrap();
        latch.wait_reached();
        let stall = Self { rig, latch };
        stall.wait("authentication", |log, metrics| accepted(log) == 1 && metrics.connects == 1);
        stall
    }

    fn metrics(&self) -> Metrics {
        self.rig.client.metrics()
    }

    /// Waits for what the server sees and the client counts; nobody says when a counter rises, so it looks again.
    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&Log, &Metrics) -> bool) {
        let (record, until) = (self.rig.sim.record(), Instant::now() + BOUND);
        while !record.wait_until(Duration::from_millis(20), |log| wanted(log, &self.metrics())) {
            assert!(Instant::now() < until, "no {what} during the stall: {:?}", self.metrics());
        }
        assert!(audit(&self.rig).is_empty(), "the stall is over");
    }

    /// Renews the token on the live socket, so many times.
    #[track_caller]
    fn renew(&self, times: u64) {
        for _ in 0..times {
            let before = self.metrics().renewals;
            self.rig.client.refresh_now().unwrap();
            self.wait("renewal", |log, metrics| metrics.renewals > before && accepted(log) > before + 1);
        }
    }

    /// Ends the stall and then, when message `last` has come, the client; what was seen, and what was counted.
    fn end(self, last: u64) -> (Vec<Saw>, Metrics) {
        self.latch.open();
        self.rig.seen.wait_seq(last);
        let client = Arc::clone(&self.rig.client);
        let saws = self.rig.close();
        let metrics = client.metrics();
        assert_eq!((metrics.connects, gaps(&saws)), (1, 0), "{}", show(&saws));
        assert_eq!(seqs(&saws), (1..=last).collect::<Vec<_>>(), "lost or out of order");
        (saws, metrics)
    }
}

/// Tokens that the first socket was authenticated with.
fn accepted(log: &Log) -> u64 {
    log.connections.first().map_or(0, |first| first.accepted)
}

fn audit(rig: &Rig) -> Vec<Value> {
    records(&rig.seen.all())
}

fn records(saws: &[Saw]) -> Vec<Value> {
    saws.iter().filter_map(|saw| if let Saw::Audit(record) = saw { Some(record.clone()) } else { None }).collect()
}

/// Every number is in a record or within a marker, once and in order; how many stand before the first marker, how many
/// are in markers, how many stand between the first marker and the next one.
#[track_caller]
fn check_numbers(saws: &[Saw], metrics: &Metrics) -> (usize, u64, usize) {
    let (mut next, mut lost, mut runs) = (1, 0, vec![0]);
    for record in records(saws) {
        let seq = record["seq"].as_u64().expect("a number");
        if record["event_type"] == "audit_loss" {
            assert_eq!(
                (record["first_lost"].as_u64(), record["last_lost"].as_u64()),
                (Some(next), Some(seq)),
                "{record}"
            );
            lost += seq - next + 1;
            runs.push(0);
        } else {
            assert_eq!(seq, next, "{record}");
            *runs.last_mut().expect("never empty") += 1;
        }
        next = seq + 1;
    }
    assert_eq!((next - 1, lost), (metrics.audit_records, metrics.audit_lost), "what the sink saw, what was counted");
    (runs[0], lost, runs.get(1).copied().unwrap_or(0))
}

/// Messages all the time, and a ping of the server's behind every twentieth.
fn busy(setup: Setup, limit: u64) -> Setup {
    setup.sim(|options| options.ws.pump = Some(Pump { limit, ..Pump::every(Duration::from_millis(10)) }))
}

fn pinged(stall: &Stall, times: u64) {
    let before = stall.rig.sim.record().read(|log| log.pongs);
    for n in 1..=times {
        stall.rig.sim.ws().push(None, Action::Ping(vec![7]));
        stall.wait("answer to a ping", |log, _| log.pongs >= before + n);
    }
}

/// Tokens that live for long, and are renewed at once when that is asked for.
fn at_will() -> Setup {
    Setup::default().lifetime(600_000).key("token.refresh_floor_ms", 0)
}

/// The whole story under one policy.
fn goes_on(policy: &str) -> (usize, u64, usize) {
    let setup = at_will().key("audit.policy", policy).key("audit.queue_records", QUEUED);
    let stall = Stall::begin(busy(setup, 400));
    stall.renew(2);
    assert!(stall.metrics().audit_lost > 0, "{:?}", stall.metrics());
    pinged(&stall, 3);
    stall.wait("reading", |_, metrics| metrics.messages_received >= 100);
    let stats = stall.rig.client.stats_json();
    assert!(stats.contains(r#""running_callback":{"name":"on_audit","#), "{stats}");
    assert!(seqs(&stall.rig.seen.all()).is_empty(), "messages wait for the thread that hangs");
    let (saws, metrics) = stall.end(400);
    check_numbers(&saws, &metrics)
}

#[test]
fn everything_goes_on_and_the_oldest_records_go() {
    let (before, lost, kept) = goes_on("drop_oldest");
    // One is in the callback that hangs; those that were queued when it ended are the youngest.
    assert!(before <= 1 && lost > 0 && kept >= QUEUED, "{before} records, {lost} lost, {kept} records");
}

#[test]
fn everything_goes_on_and_the_newest_records_go() {
    let (before, lost, _) = goes_on("drop_newest");
    assert!(before >= QUEUED && lost > 0, "{before} records, {lost} lost");
}

#[test]
fn everything_goes_on_a_second_later_a_record_and_the_newest_go() {
    // Whoever has a record waits up to a second for room, and then goes on without it.
    let (before, lost, _) = goes_on("block");
    assert!(before >= QUEUED && lost > 0, "{before} records, {lost} lost");
}

#[test]
fn messages_queue_to_their_bound_and_arrive_in_order() {
    const ALL: u64 = 6_000;
    let flood = Pump { every: Duration::ZERO, binary_every: 0, size: 4_096, limit: ALL };
    let setup = Setup::default().key("events.queue_events", 50).sim(|options| options.ws.pump = Some(flood));
    let stall = Stall::begin(setup);
    stall.wait("flood", |log, metrics| log.messages_sent() > 100 && metrics.messages_received >= 40);
    let stuck = stall.metrics();
    assert!(stuck.messages_received <= 60, "read past the bound: {}", stuck.messages_received);
    let (saws, metrics) = stall.end(ALL);
    assert_eq!((check_numbers(&saws, &metrics).1, metrics.messages_received), (0, ALL));
}

#[test]
fn renewals_go_on_behind_a_queue_that_is_full() {
    let flood = Pump { every: Duration::ZERO, binary_every: 0, size: 100, limit: 400 };
    let setup = at_will().key("events.queue_events", 20).sim(|options| options.ws.pump = Some(flood));
    let stall = Stall::begin(setup);
    stall.wait("flood", |log, _| log.messages_sent() == 400);
    stall.renew(3);
    let (saws, metrics) = stall.end(400);
    check_numbers(&saws, &metrics);
}

#[test]
fn inline_messages_do_not_wait() {
    let setup = at_will().key("delivery", "inline").key("audit.queue_records", QUEUED);
    let stall = Stall::begin(busy(setup, 400));
    stall.renew(2);
    assert!(stall.metrics().audit_lost > 0, "{:?}", stall.metrics());
    stall.rig.seen.wait_seq(400);
    assert!(audit(&stall.rig).is_empty(), "the stall is over");
    pinged(&stall, 2);
    let (saws, metrics) = stall.end(400);
    assert!(check_numbers(&saws, &metrics).1 > 0);
}

/// A whole minute, by the clock, of a client as it is used: the silence is long enough for its own pings.
#[test]
#[ignore = "a minute by the clock, three times side by side: .ci/long"]
fn a_minute() {
    each(["drop_oldest", "drop_newest", "block"], |policy| {
        let setup = Setup::default()
            .lifetime(20_000)
            .key("audit.policy", policy)
            .key("audit.queue_records", QUEUED)
            .key("ws.ping_after_ms", 3_000)
            .sim(|options| options.ws.pump = Some(Pump { limit: 1_000, ..Pump::every(Duration::from_millis(50)) }));
        let began = Instant::now();
        let stall = Stall::begin(setup);
        let minute = Duration::from_secs(60);
        let ended =
            stall.rig.sim.record().wait_until(minute, |log| log.connections.iter().any(|one| one.end.is_some()));
        assert!(!ended, "{policy}: the socket was lost");
        assert!(began.elapsed() >= minute && audit(&stall.rig).is_empty());
        // The pump has ended ten seconds ago; tokens of 20 s are renewed after 10 s or so.
        let metrics = stall.metrics();
        let pings = stall.rig.sim.record().read(|log| log.pings);
        assert!(metrics.renewals >= 3 && pings >= 1 && metrics.audit_lost > 0, "{policy}: {pings} pings, {metrics:?}");
        assert_eq!(metrics.messages_received, 1_000, "{policy}");
        let (saws, metrics) = stall.end(1_000);
        check_numbers(&saws, &metrics);
    });
}

/// The latch can be left shut: then the shutdown says which callback it waits for, and messages are not delivered.
#[test]
fn a_shutdown_names_the_callback_that_hangs() {
    let setup = Setup::default().sim(|options| {
        options.ws.pump = Some(Pump { limit: 50, ..Pump::every(Duration::from_millis(1)) });
    });
    let stall = Stall::begin(setup);
    stall.wait("reading", |_, metrics| metrics.messages_received == 50);
    let report = stall.rig.client.shutdown(Some(Duration::from_millis(200)));
    assert!(!report.complete, "{report:?}");
    assert_eq!(report.stuck_callback, Some("on_audit"), "{report:?}");
    assert!(report.events_undelivered >= 50 && report.audit_undelivered > 0, "{report:?}");
    stall.latch.open();
}

/// The latch is left shut until the shutdown has given up: what the sink was never given is missing, and the next run says so.
#[test]
fn a_run_that_ends_in_a_stall_is_declared_by_the_next_one() {
    const K0: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stalled-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let (latch, log) = (Arc::<Latch>::default(), Arc::<Mutex<Vec<String>>>::default());
    let (inside, sink) = (Arc::clone(&latch), Arc::clone(&log));
    let mut setup = at_will().key("audit.chain_state", place.join("chain").display());
    setup.config.set_secret("audit.chain_key", Secret::new(K0.into())).unwrap();
    let mut rig = setup.build_with(move |hooks, _| {
        hooks.on_audit = Some(Arc::new(move |record| {
            inside.pass();
            sink.lock().unwrap().push(record.json_with_nul.trim_end_matches('\0').to_owned());
            Ok(())
        }));
    });
    rig.client.start().unwrap();
    latch.wait_reached();
    let until = Instant::now() + BOUND;
    while rig.client.metrics().connects == 0 {
        assert!(Instant::now() < until, "it does not connect");
        std::thread::yield_now();
    }
    let report = rig.client.shutdown(Some(Duration::from_millis(200)));
    assert!(!report.complete && report.audit_undelivered > 3, "{report:?}");
    latch.open();
    rig.config.set_secret("audit.chain_key", Secret::new(String::new())).unwrap();
    drop(rig.client);
    // The state is free when the thread that hung has ended.
    let next = loop {
        match Client::new(&rig.config) {
            Ok(next) => break next,
            Err(error) => assert!(error.code() == Code::Store && Instant::now() < until, "{error}"),
        }
        std::thread::yield_now();
    };
    next.connect(Some(BOUND)).unwrap();
    assert!(next.shutdown(Some(BOUND)).complete);
    let log = log.lock().unwrap();
    assert!(log.iter().any(|line| line.contains("\"run_before\":\"crashed\"")), "{log:#?}");
    let mut verifier = Verifier::new(&Secret::new(K0.into())).unwrap();
    verifier.feed(log.join("\n").as_bytes());
    let verified = verifier.finish();
    assert_eq!((verified.verdict, verified.gap_count), (Verdict::DeclaredGap, 1), "{verified:?}");
    assert_eq!(verified.gaps[0].kind, GapKind::Crashed);
    std::fs::remove_dir_all(&place).unwrap();
}
