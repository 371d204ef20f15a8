//! What a client costs when nothing happens, and what is left of it when it is gone. One test at a time: they count
//! the threads and descriptors of the process.

#[allow(dead_code)]
#[path = "live/harness.rs"]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ffi_tests::sim::{Options, Pump, Sim, TokenReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Client, Config};
use harness::{aim, Barrier, Rig, Setup, BOUND};

/// How long an idle client is watched.
const WATCH: Duration = Duration::from_secs(3);
/// Wake-ups of one thread in that time: a timer that was set for something that has moved, at most.
const WAKES_MAX: u64 = 4;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Voluntary context switches and CPU time in milliseconds of each of our threads.
fn ours() -> BTreeMap<String, (u64, u64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let name = read("comm").trim().to_owned();
        if name.starts_with("gwa-") {
            let status = read("status");
            let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let cpu = read("schedstat").split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
            let number = switches.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            all.insert(format!("{name} {:?}", entry.file_name()), (number, cpu / 1_000_000));
        }
    }
    all
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits until `now` gives `wanted`; the simulator's threads end a moment after their connections.
#[track_caller]
fn settles(what: &str, wanted: usize, now: impl Fn() -> usize) {
    let until = Instant::now() + BOUND;
    while now() > wanted {
        assert!(Instant::now() < until, "{what}: {} instead of {wanted}", now());
        std::thread::yield_now();
    }
}

/// Watches our threads while nothing happens.
#[track_caller]
fn watch(rig: &Rig, what: &str, expected: usize, wakes_max: u64) {
    // What the last event set off has to come to rest first, a second it is at most.
    rig.sim.record().wait_until(Duration::from_millis(1_200), |_| false);
    let before = ours();
    assert_eq!(before.len(), expected, "{what}: {before:?}");
    rig.sim.record().wait_until(WATCH, |_| false);
    for (thread, (switches, cpu)) in ours() {
        let (was, spent) = before[&thread];
        assert!(switches - was <= wakes_max, "{what}: {thread} woke {} times", switches - was);
        assert!(cpu - spent <= 20, "{what}: {thread} took {} ms of CPU", cpu - spent);
    }
}

#[test]
fn an_idle_client_sleeps() {
    let _alone = alone();
    let rig = Setup::default().connect();
    watch(&rig, "idle", 3, 1);
    rig.close();
    let rig = Setup::default().key("delivery", "poll").build();
    rig.client.connect(Some(BOUND)).unwrap();
    watch(&rig, "poll mode", 2, 1);
    rig.client.shutdown(Some(BOUND));
}

#[test]
fn a_stalled_client_sleeps() {
    let _alone = alone();
    let pump = Pump { size: 4_096, ..Pump::every(Duration::ZERO) };
    let barrier = Barrier::new();
    let inside = Arc::clone(&barrier);
    let setup = Setup::default().key("events.queue_events", 20).sim(|options| options.ws.pump = Some(pump));
    let rig = setup.build_with(move |hooks, _| hooks.on_message = Some(Arc::new(move |_| inside.pass())));
    rig.client.connect(Some(BOUND)).unwrap();
    barrier.wait_reached();
    watch(&rig, "stalled", 3, WAKES_MAX);
    barrier.open();
    rig.client.shutdown(Some(BOUND));
}

#[test]
fn a_client_in_trouble_does_not_spin() {
    let _alone = alone();
    let rig = Setup::default().build();
    rig.sim.token().always(TokenReply::Throttle429 { retry_after: Some("600".into()) });
    rig.client.start().unwrap();
    rig.seen.wait_state(State::Throttled, 1);
    watch(&rig, "throttled", 3, 1);
    rig.client.shutdown(Some(BOUND));
    let rig = Setup::default().build();
    rig.sim.token().always(TokenReply::Forbidden);
    rig.client.start().unwrap();
    rig.seen.wait_state(State::ReauthRequired, 1);
    watch(&rig, "without credentials", 3, 1);
    rig.client.shutdown(Some(BOUND));
    let rig = Setup::default().connect();
    rig.sim.down();
    rig.seen.wait_state(State::Reconnecting, 1);
    // A handful of attempts, each with its states and records.
    watch(&rig, "server down", 3, 60);
    rig.client.shutdown(Some(BOUND));
}

#[test]
fn hundreds_of_clients_leave_nothing_behind() {
    let _alone = alone();
    let sim = Sim::start(Options::default());
    let config = aim(Config::new(), &sim, false);
    let cycle = |n: usize| {
        let client = Client::new(&config).unwrap();
        match n % 4 {
            0 | 1 => client.connect(Some(BOUND)).unwrap(),
            2 => client.start().unwrap(),
            _ => {
                sim.token().then(TokenReply::Forbidden);
                client.connect(Some(BOUND)).unwrap_err();
                client.connect(Some(BOUND)).unwrap();
            }
        }
        if n % 2 == 0 {
            assert!(client.shutdown(Some(BOUND)).complete);
        }
    };
    (0..60).for_each(cycle);
    settles("simulator", 0, || sim.ws().live().len());
    let (threads_then, descriptors_then, resident_then) = (threads(), descriptors(), resident_kib());
    (0..240).for_each(cycle);
    assert_eq!(ours().len(), 0, "{:?}", ours());
    settles("threads", threads_then, threads);
    settles("descriptors", descriptors_then, descriptors);
    let grown = resident_kib().saturating_sub(resident_then);
    // The simulator remembers every request.
    assert!(grown < 4 << 10, "{grown} KiB more");
}
