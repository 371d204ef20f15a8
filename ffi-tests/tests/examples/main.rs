//! The programs of `examples/`, each compiled and run against the simulator: what it prints, and what the simulator saw.
//! `make -C examples run` is this test.

mod docs;
mod files;
mod loops;
mod notifications;
mod plugin;
mod sinks;
mod syslog;
mod tenant;
mod tokens;
mod worst;

use std::collections::BTreeSet;
use std::time::Duration;

use ffi_tests::cprog::Variant;
use ffi_tests::example::Live;
use ffi_tests::sim::{Action, Connection, End, Log, Pump, Sim};

/// Longest wait for the simulator's record.
const BOUND: Duration = Duration::from_secs(60);
/// Messages the simulator sends by itself; the test sends one more.
const MESSAGES: u64 = 60;

/// A simulator for a short life: numbered messages, and tokens so short-lived that one is soon renewed.
fn eventful(variant: Variant) -> Sim {
    eventful_for(variant, 1)
}

/// The same for so many clients at once.
fn eventful_for(variant: Variant, clients: u32) -> Sim {
    let mut options = variant.options();
    options.token.lifetime = Duration::from_secs(5 * u64::from(variant.slowness().min(5)));
    options.ws.pump = Some(Pump { limit: MESSAGES, ..Pump::every(Duration::from_millis(50) * clients) });
    options.ws.auth_timeout = BOUND; // a slow client's first socket is not to be closed for that
    Sim::start(options)
}

/// Waits for a renewal on a socket, and drops that socket; its index.
fn drop_a_renewed_socket(sim: &Sim) -> usize {
    let renewed = |log: &Log| log.connections.iter().position(|one| one.accepted >= 2 && one.end.is_none());
    assert!(sim.record().wait_until(BOUND, |log| renewed(log).is_some()), "{:?}", sim.record().snapshot().auths);
    let index = sim.record().read(renewed).expect("it is live");
    sim.ws().act(Some(index), [Action::Drop]);
    index
}

/// Lets a program live through all of an [`eventful`] simulator: a renewal on a live socket, the drop of that one, another
/// socket, and messages on both, one of which is the very last.
fn lives_through(live: &Live<'_>, sim: &Sim) {
    let dropped = drop_a_renewed_socket(sim);
    live.wait_for("all messages", |lines| numbers(lines).len() as u64 == MESSAGES);
    let back = |log: &Log| log.connections.iter().enumerate().skip(dropped + 1).rev().find_map(is_live);
    assert!(sim.record().wait_until(BOUND, |log| back(log).is_some()), "{:?}", sim.record().snapshot().connections);
    let text = format!(r#"{{"type":"event","seq":{}}}"#, MESSAGES + 1);
    sim.ws().push(sim.record().read(back), Action::Text(text));
    live.wait_for("the last message", |lines| numbers(lines).last() == Some(&(MESSAGES + 1)));
    let log = sim.record().snapshot();
    assert_eq!(log.forced_drops(), 1, "{:?}", log.connections);
}

/// The index of a socket, if it is authenticated and has not ended.
fn is_live((index, one): (usize, &Connection)) -> Option<usize> {
    (one.accepted > 0 && one.end.is_none()).then_some(index)
}

/// Whether the states told what an [`eventful`] simulator did. Where all is slow, a renewal is late, and told as `Degraded`.
fn showed_its_states(lines: &[String]) {
    let lost = lines.iter().position(|line| line.contains("Reconnecting (connection lost)"));
    let lost = lost.unwrap_or_else(|| panic!("{lines:#?}"));
    let live = |line: &String| line.contains("Ready (") || line.contains("Degraded (");
    assert!(lines[..lost].iter().any(live) && lines[lost..].iter().any(live), "{lines:#?}");
    assert!(shown(lines, "Renewing (token granted)") || shown(lines, "Degraded ("), "{lines:#?}");
}

/// Checks the end of a program against an [`eventful`] simulator.
fn ended_well(lines: &[String], sim: &Sim) {
    assert_eq!(numbers(lines), (1..=MESSAGES + 1).collect::<Vec<_>>(), "every message, once, in order");
    closed_with_1000(sim);
}

/// Every socket but those the simulator dropped was closed by the client with 1000, and none was shown a token twice.
fn closed_with_1000(sim: &Sim) {
    assert!(sim.record().wait_until(BOUND, |log| log.connections.iter().all(|one| one.end.is_some())));
    let log = sim.record().snapshot();
    let ends: Vec<_> = log.connections.iter().flat_map(|one| &one.end).map(|(_, end)| end).collect();
    assert!(ends.iter().all(|end| end.is_forced() || **end == End::ClientClosed(1000)), "{ends:?}");
    assert_eq!(log.closes.len(), ends.len() - log.forced_drops(), "{ends:?}");
    let shown: BTreeSet<_> = log.auths.iter().map(|auth| (auth.connection, &auth.token)).collect();
    assert_eq!(shown.len(), log.auths.len(), "no socket is shown a token twice");
}

/// Sequence numbers of the messages shown.
fn numbers(lines: &[String]) -> Vec<u64> {
    let number = |line: &String| {
        let text = line.strip_prefix("message").and_then(|rest| rest.find('{').map(|at| &rest[at..]))?;
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        json["seq"].as_u64()
    };
    lines.iter().filter_map(number).collect()
}

/// Whether a line with this in it was shown.
fn shown(lines: &[String], what: &str) -> bool {
    lines.iter().any(|line| line.contains(what))
}

/// Says loudly that something is not tested here, unless everything is required.
fn skip(what: &str, why: &str) {
    use std::io::Write as _;
    assert!(std::env::var_os("GWA_REQUIRE_ALL").is_none_or(|value| value != "1"), "{what} is required: {why}");
    writeln!(std::io::stderr(), "SKIPPED: {what}: {why} (1 test)").expect("stderr");
}
