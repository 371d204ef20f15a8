//! What a client costs when nothing happens, and what is left of it when it is gone. One test at a time: they count
//! the threads and descriptors of the process.
//!
//! Ten thousand forced reconnects are a long job: `cargo test -p ffi-tests --test soak -- --ignored --nocapture`.

#[allow(dead_code)]
#[path = "live/harness.rs"]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ffi_tests::cprog::{Program, Running, Variant};
use ffi_tests::shim::preloaded;
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

fn stalled(barrier: &Arc<Barrier>) -> Rig {
    let pump = Pump { size: 4_096, ..Pump::every(Duration::ZERO) };
    let inside = Arc::clone(barrier);
    let setup = Setup::default().key("events.queue_events", 20).sim(|options| options.ws.pump = Some(pump));
    let rig = setup.build_with(move |hooks, _| hooks.on_message = Some(Arc::new(move |_| inside.pass())));
    rig.client.connect(Some(BOUND)).unwrap();
    barrier.wait_reached();
    rig
}

fn in_trouble(reply: TokenReply, state: State) -> Rig {
    let rig = Setup::default().build();
    rig.sim.token().always(reply);
    rig.client.start().unwrap();
    rig.seen.wait_state(state, 1);
    rig
}

#[test]
fn clients_without_work_sleep() {
    let _alone = alone();
    let barrier = Barrier::new();
    let idle = Setup::default().connect();
    let polled = Setup::default().key("delivery", "poll").build();
    polled.client.connect(Some(BOUND)).unwrap();
    let throttled = in_trouble(TokenReply::Throttle429 { retry_after: Some("600".into()) }, State::Throttled);
    let blocked = in_trouble(TokenReply::Forbidden, State::ReauthRequired);
    let stalled = stalled(&barrier);
    watch(&idle, "nothing to do", 3 + 2 + 3 + 3 + 3, WAKES_MAX);
    barrier.open();
    for rig in [idle, polled, throttled, blocked, stalled] {
        rig.client.shutdown(Some(BOUND));
    }
}

#[test]
fn a_client_whose_server_is_down_does_not_spin() {
    let _alone = alone();
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
        if n & 1 == 0 {
            assert!(client.shutdown(Some(BOUND)).complete);
        }
    };
    (0..60).for_each(cycle);
    settles("simulator", 0, || sim.ws().live().len());
    let (threads_then, descriptors_then, resident_then) = (threads(), descriptors(), resident_kib());
    (0..240).for_each(cycle);
    // Each was joined; the kernel lists a thread for a moment after its join has returned.
    settles("threads of ours", 0, || ours().len());
    settles("threads", threads_then, threads);
    settles("descriptors", descriptors_then, descriptors);
    let grown = resident_kib().saturating_sub(resident_then);
    // The simulator remembers every request.
    assert!(grown < 4 << 10, "{grown} KiB more");
}

// ---- forced reconnects --------------------------------------------------------------------------------------

/// Clients of one process.
const CLIENTS: usize = 50;
/// How much faster than ours its time runs: reconnects wait up to 30 s by rule, and all rules are kept.
const SPEED: u32 = 30;
/// Rounds until every buffer has been in use.
const WARM_UP: usize = 5;
/// By how much resident memory may grow afterwards, for all clients together: the allocator settles slowly.
const GROWTH_MAX_KIB: u64 = 4 << 10;
/// By how much it may grow in the second half of the rounds.
const LATE_GROWTH_MAX_KIB: u64 = 1 << 10;
/// A round takes a second; the machine may be busy.
const ROUND_BOUND: Duration = Duration::from_secs(60);

/// What a process holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Held {
    resident_kib: u64,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn by(process: u32) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{process}/{what}")).unwrap().count();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let resident_kib = line.trim().trim_end_matches(" kB").parse().unwrap();
        Self { resident_kib, descriptors: count("fd"), threads: count("task") }
    }

    /// When nothing is under way any more: a token request has a descriptor too.
    #[track_caller]
    fn at_rest(process: u32, expected: Option<Held>) -> Self {
        let until = Instant::now() + ROUND_BOUND;
        loop {
            let held = Self::by(process);
            let rests = |before: Held| (before.descriptors, before.threads) == (held.descriptors, held.threads);
            if expected.is_none_or(rests) {
                return held;
            }
            assert!(Instant::now() < until, "{held:?} instead of {expected:?}");
            std::thread::yield_now();
        }
    }
}

/// Waits until all clients are live for the `round`-th time, counted from 1.
#[track_caller]
fn all_live(sim: &Sim, round: usize) {
    let until = Instant::now() + ROUND_BOUND;
    let authenticated = |log: &ffi_tests::sim::Log| {
        let mut latest = log.auths.iter().rev().take(CLIENTS);
        log.auths.len() >= CLIENTS * round && latest.all(|auth| auth.accepted == Some(true))
    };
    loop {
        let came = sim.record().wait_until(ROUND_BOUND, authenticated);
        let live = sim.ws().live().len();
        if came && live == CLIENTS {
            return;
        }
        assert!(Instant::now() < until, "round {round}: {live} of {CLIENTS} are live");
        std::thread::yield_now();
    }
}

fn drop_and_measure(sim: &Sim, running: &Running, rounds: usize) -> Vec<(usize, Held)> {
    let (mut warm, mut half) = (None, u64::MAX);
    let mut table = Vec::new();
    for round in 1..=rounds {
        all_live(sim, round);
        if round >= WARM_UP {
            let held = Held::at_rest(running.id(), warm);
            let warm = *warm.get_or_insert(held);
            let grown = held.resident_kib.saturating_sub(warm.resident_kib);
            assert!(grown < GROWTH_MAX_KIB, "{grown} KiB more after {} reconnects", (round - 1) * CLIENTS);
            if round <= rounds / 2 {
                half = held.resident_kib;
            }
            let late = held.resident_kib.saturating_sub(half);
            assert!(late < LATE_GROWTH_MAX_KIB, "{late} KiB more in the second half, after {round} rounds");
            if round == WARM_UP || round == rounds || round % (rounds / 10).max(1) == 0 {
                table.push(((round - 1) * CLIENTS, held));
            }
        }
        // By turns: an end of the stream, and a reset.
        match (round == rounds, round % 2) {
            (true, _) => {}
            (false, 0) => _ = sim.ws().drop_all(),
            (false, _) => _ = sim.ws().reset_all(),
        }
    }
    table
}

/// So many reconnects of each of the clients, all forced; the server is in another process than they are.
fn forced_reconnects(each: usize) {
    let _alone = alone();
    let began = Instant::now();
    let mut options = Options::default();
    // No renewal falls into it, at whatever speed.
    options.token.lifetime = Duration::from_secs(400 * 86_400);
    let sim = Sim::start(options);
    let mut program = preloaded(Program::new("soak_reconnect", Variant::Plain).against(&sim), "shim_clock")
        .env("GWA_SHIM_SPEED", SPEED)
        .env("GWA_TEST_CLIENTS", CLIENTS)
        .set("ws.ping_after_ms", 3_600_000)
        .limit(Duration::from_secs(60));
    // Deadlines of the network, in time that runs faster than the network.
    for key in ["connect", "tls", "ws.upgrade", "ws.auth", "token"] {
        program = program.set(&format!("{key}{}timeout_ms", if key.contains('.') { "_" } else { "." }), 300_000);
    }
    let mut running = program.start();
    let table = drop_and_measure(&sim, &running, each + 1);
    running.go();
    let outcome = running.finish().passed();
    let (connects, drops) = (outcome.number("connects"), outcome.number("drops"));
    let took = began.elapsed().as_secs();
    eprintln!("{connects} connects, {drops} forced drops of {CLIENTS} clients in {took} s, time {SPEED} times as fast");
    eprintln!("  {:>10} {:>12} {:>12} {:>8}", "reconnects", "resident KiB", "descriptors", "threads");
    for (reconnects, held) in &table {
        eprintln!("  {reconnects:>10} {:>12} {:>12} {:>8}", held.resident_kib, held.descriptors, held.threads);
    }
    // A reset may overtake the server's ok; then the client has lost a socket that was never live to it.
    assert!(drops > (each * CLIENTS * 9 / 10) as u64 && connects >= ((each + 1) * CLIENTS) as u64);
    assert_eq!(table[0].1.threads, 1 + 3 * CLIENTS);
}

#[test]
fn forced_reconnects_leave_nothing_behind() {
    forced_reconnects(15);
}

#[test]
#[ignore = "a long job: ten thousand reconnects"]
fn ten_thousand_forced_reconnects_leave_nothing_behind() {
    forced_reconnects(200);
}
