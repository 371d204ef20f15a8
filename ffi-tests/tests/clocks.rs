//! Clocks that jump under a client that lives: `c/clock_moves.c` under `c/shim_clock.c`.
//!
//! A real suspend cannot be made here. What stands in for it: CLOCK_BOOTTIME and CLOCK_REALTIME jump while
//! CLOCK_MONOTONIC does not, and timers on CLOCK_BOOTTIME (real timerfds, set anew by the shim) that have come due end at
//! once. Not simulated: the kernel's TCP timers, the network card, and a peer that has given the connection up.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ffi_tests::cprog::{Outcome, Program, Variant};
use ffi_tests::shim::{self, preloaded};
use ffi_tests::sim::{http_date, Action, Log, Options, Plan, Pump, Sim, TokenReply, Trigger};
use serde_json::Value;

/// No test waits longer for anything.
const BOUND: Duration = Duration::from_secs(30);
const HOUR_MS: i64 = 3_600_000;

fn pumping() -> Sim {
    let mut options = Options::default();
    options.ws.pump = Some(Pump::every(Duration::from_millis(20)));
    Sim::start(options)
}

/// Steps of the boot and the wall clock in milliseconds, each made when what is next in `reached` is on record, and
/// the end when the last one is: there is one more of these than of steps.
fn moved(sim: &Sim, how: &str, steps: &[(i64, i64)], reached: &[(&str, &dyn Fn(&Log) -> bool)]) -> Outcome {
    moved_with(sim, how, steps, reached, |program| program)
}

fn moved_with<'a>(
    sim: &'a Sim,
    how: &str,
    steps: &[(i64, i64)],
    reached: &[(&str, &dyn Fn(&Log) -> bool)],
    configure: impl FnOnce(Program<'a>) -> Program<'a>,
) -> Outcome {
    assert_eq!(steps.len() + 1, reached.len());
    let program = configure(Program::new("clock_moves", Variant::Plain).against(sim));
    let mut program = preloaded(program.arg(how), "shim_clock");
    for (boot_ms, wall_ms) in steps {
        program = program.arg(&format!("{boot_ms}:{wall_ms}"));
    }
    let mut running = program.start();
    for (what, wanted) in reached {
        if !sim.record().wait_until(BOUND, wanted) {
            let outcome = running.finish();
            panic!("the server never saw {what}\n{}\n{}", outcome.stdout, outcome.stderr);
        }
        running.go();
    }
    running.finish().passed()
}

/// What the application was told of its clocks: how often the machine slept and for how long in all, how often the wall
/// clock was set and by how much it was set back in all.
#[track_caller]
fn told_of_clocks(outcome: &Outcome, slept: (u64, i64), set: (u64, i64)) {
    let told = |name: &str| i64::try_from(outcome.number(name)).unwrap();
    assert_eq!((outcome.number("resumes"), outcome.number("clock_steps")), (slept.0, set.0));
    // The clocks are read one after the other.
    let (slept_off, set_off) = (told("slept_ms") - slept.1, told("set_back_ms") - set.1);
    assert!(slept_off.abs() < 1_000 && set_off.abs() < 1_000, "{slept_off} ms, {set_off} ms");
}

fn messages(log: &Log) -> u64 {
    log.messages_sent()
}

#[test]
fn the_wall_clock_may_jump() {
    let sim = pumping();
    let at = |n: u64| move |log: &Log| messages(log) >= n;
    let steps = [(0, HOUR_MS), (0, -2 * HOUR_MS)];
    let reached: [(&str, &dyn Fn(&Log) -> bool); 3] =
        [("messages", &at(10)), ("more", &at(60)), ("still more", &at(110))];
    let outcome = moved(&sim, "connect", &steps, &reached);
    let log = sim.record().snapshot();
    // Neither is a token fetched, nor the socket lost or probed.
    assert_eq!((log.token_requests(), log.ws_connects(), log.reauths(), log.pings), (1, 1, 0, 0));
    let told = ["connects", "drops", "gaps", "ready", "messages"].map(|name| outcome.number(name));
    assert_eq!((told[0], told[1], told[2], told[3]), (1, 0, 0, 1));
    assert!(told[4] >= 110);
    told_of_clocks(&outcome, (0, 0), (2, HOUR_MS));
    // The clock did jump: the client was closed an hour before it was made.
    let times = timestamps(&outcome);
    assert!(times.last() < times.first(), "{times:?}");
}

/// When the audit records say they were made.
fn timestamps(outcome: &Outcome) -> Vec<String> {
    let records = outcome.stdout.lines().filter_map(|line| line.strip_prefix("audit: "));
    let json = records.map(|text| serde_json::from_str::<Value>(text).unwrap());
    json.map(|record| record["timestamp"].as_str().unwrap().to_owned()).collect()
}

/// Renewals go by the boot clock: a wall clock that is an hour off brings none forward and holds none up.
#[test]
fn renewals_do_not_follow_the_wall_clock() {
    let mut options = Options::default();
    options.token.lifetime = Duration::from_secs(6);
    let sim = Sim::start(options);
    let renewed = |n: usize| move |log: &Log| log.reauths() >= n;
    let reached: [(&str, &dyn Fn(&Log) -> bool); 3] =
        [("the authentication", &|log| log.auths() > 0), ("a renewal", &renewed(1)), ("another one", &renewed(2))];
    let outcome = moved(&sim, "connect", &[(0, HOUR_MS), (0, -2 * HOUR_MS)], &reached);
    let log = sim.record().snapshot();
    assert_eq!((log.ws_connects(), outcome.number("gaps")), (1, 0));
    let auths: Vec<Duration> = log.auths.iter().map(|auth| auth.at).collect();
    // A token of 6 s is renewed between 2.7 s and 3 s after it was asked for.
    for pair in auths.windows(2) {
        assert!(pair[1] - pair[0] > Duration::from_millis(2_000), "{auths:?}");
    }
}

/// A short sleep: the token is far from its renewal, so only the socket is probed. Nothing else would wake the client.
#[test]
fn after_a_short_sleep_the_socket_is_probed() {
    let sim = Sim::start(Options::default());
    let reached: [(&str, &dyn Fn(&Log) -> bool); 2] =
        [("the authentication", &|log| log.auths() > 0), ("a ping", &|log| log.pings > 0)];
    let configure = |program| Program::set(program, "ws.ping_after_ms", 600_000);
    let outcome = moved_with(&sim, "connect", &[(5_000, 5_000)], &reached, configure);
    let log = sim.record().snapshot();
    assert_eq!((log.token_requests(), log.ws_connects()), (1, 1));
    assert_eq!((outcome.number("drops"), outcome.number("ready")), (0, 1));
    told_of_clocks(&outcome, (1, 5_000), (0, 0));
}

/// The peer has gone while the machine slept: the probe finds out, in time that is counted from the waking.
#[test]
fn a_socket_that_died_in_its_sleep_is_replaced() {
    let sim = Sim::start(Options::default());
    sim.ws().plan(0, Plan::new().on(Trigger::Auths(1), [Action::GoSilent]));
    let reached: [(&str, &dyn Fn(&Log) -> bool); 2] =
        [("the authentication", &|log| log.auths() > 0), ("another socket", &|log| log.auths() > 1)];
    let configure = |program| Program::set(program, "ws.ping_after_ms", 600_000).set("ws.dead_after_ms", 500);
    let outcome = moved_with(&sim, "connect", &[(5_000, 5_000)], &reached, configure);
    let log = sim.record().snapshot();
    assert_eq!((log.token_requests(), log.ws_connects(), log.pings), (1, 2, 1));
    assert_eq!((outcome.number("drops"), outcome.number("gaps")), (1, 1));
    told_of_clocks(&outcome, (1, 5_000), (0, 0));
}

/// A sleep past the time of renewal: the token is renewed at once and in band, and the socket is probed too.
#[test]
fn after_a_long_sleep_the_token_is_renewed() {
    // Renewed after 45 to 48 minutes.
    for slept_ms in [HOUR_MS * 5 / 6, HOUR_MS - 20_000] {
        let sim = Sim::start(Options::default());
        let reached: [(&str, &dyn Fn(&Log) -> bool); 2] = [
            ("the authentication", &|log| log.auths() > 0),
            ("a ping and a renewal", &|log| log.pings > 0 && log.reauths() > 0),
        ];
        let outcome = moved(&sim, "connect", &[(slept_ms, slept_ms)], &reached);
        let log = sim.record().snapshot();
        assert_eq!((log.token_requests(), log.ws_connects()), (2, 1), "{slept_ms}");
        assert_eq!((outcome.number("drops"), outcome.number("gaps")), (0, 0), "{slept_ms}");
        told_of_clocks(&outcome, (1, slept_ms), (0, 0));
    }
}

/// A sleep past the token's end: it is not presented any more, and the client is live again with another one.
#[test]
fn after_a_sleep_past_its_end_the_token_is_replaced() {
    let sim = Sim::start(Options::default());
    let reached: [(&str, &dyn Fn(&Log) -> bool); 2] = [
        ("the authentication", &|log| log.auths() > 0),
        ("another authentication", &|log| log.auths.iter().filter(|auth| auth.accepted == Some(true)).count() > 1),
    ];
    moved(&sim, "connect", &[(3 * HOUR_MS, 3 * HOUR_MS)], &reached);
    let log = sim.record().snapshot();
    assert_eq!(log.token_requests(), 2);
    assert_ne!(log.auths[0].token, log.auths[1].token, "the old token was presented");
}

/// A wait of an hour ends when the hour is over, though the machine slept through it.
#[test]
fn a_long_wait_ends_when_the_machine_wakes() {
    let sim = Sim::start(Options::default());
    sim.token().then(TokenReply::Throttle429 { retry_after: Some("3600".into()) });
    let reached: [(&str, &dyn Fn(&Log) -> bool); 2] = [
        ("the refused request", &|log| log.requests.iter().any(|request| request.status == Some(429))),
        ("the authentication", &|log| log.auths() > 0),
    ];
    let outcome = moved(&sim, "throttled", &[(HOUR_MS * 2, HOUR_MS * 2)], &reached);
    assert_eq!((sim.record().token_requests(), outcome.number("drops")), (2, 0));
    told_of_clocks(&outcome, (1, 2 * HOUR_MS), (0, 0));
}

/// libfaketime for programs with threads, where the package puts it.
fn faketime() -> Option<PathBuf> {
    let places = ["/usr/lib64/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime"].map(PathBuf::from);
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path().join("faketime"));
    let found = places.into_iter().chain(multiarch).map(|place| place.join("libfaketimeMT.so.1"));
    found.into_iter().find(|library| library.is_file())
}

/// Another hand at the clock, which knows nothing of ours: the wall clock is days off from the start.
#[test]
fn under_faketime_the_wall_clock_may_be_days_off() {
    let Some(library) = faketime() else {
        assert!(env::var_os("GWA_REQUIRE_ALL").is_none_or(|value| value != "1"), "faketime is required");
        writeln!(io::stderr(), "SKIPPED: under_faketime_the_wall_clock_may_be_days_off: no libfaketime").unwrap();
        return;
    };
    let preload = format!("{} {}", shim::library("shim_timerfd").display(), library.display());
    for days in ["+10d", "-10d"] {
        let mut options = Options::default();
        options.token.lifetime = Duration::from_secs(2);
        options.ws.pump = Some(Pump::every(Duration::from_millis(20)));
        let sim = Sim::start(options);
        let program = Program::new("renewal_seen", Variant::Plain).against(&sim).env("LD_PRELOAD", preload.clone());
        let program = program.env("FAKETIME", days).env("FAKETIME_DONT_FAKE_MONOTONIC", 1).env("GWA_TEST_COUNT", 2);
        let outcome = program.run().passed();
        let log = sim.record().snapshot();
        assert_eq!((log.ws_connects(), outcome.number("gaps")), (1, 0), "{days}");
        assert!(log.reauths() >= 2, "{days}");
        let (told, today) = (&timestamps(&outcome)[0], http_date(SystemTime::now()));
        assert_ne!(told[8..10], today[5..7], "{days}: the library saw the true time, {told}");
    }
}
