//! The programs of `examples/`, each compiled and run against the simulator: what it prints, and what the simulator saw.
//! `make -C examples run` is this test.

mod docs;
mod files;
mod loops;
mod plugin;
mod syslog;
mod tokens;

use std::collections::BTreeSet;
use std::time::Duration;

use ffi_tests::cprog::Variant;
use ffi_tests::example::Live;
use ffi_tests::sim::{Action, End, Log, Plan, Pump, Sim, Trigger};

/// Longest wait for the simulator's record.
const BOUND: Duration = Duration::from_secs(60);
/// Messages in all.
const MESSAGES: u64 = 60;

/// A simulator for a short life with everything in it: numbered messages, tokens so short-lived that one is renewed on
/// the first socket, and a drop right after that renewal.
fn eventful(variant: Variant) -> Sim {
    eventful_for(variant, 1)
}

/// The same for so many clients at once.
fn eventful_for(variant: Variant, clients: u32) -> Sim {
    let mut options = variant.options();
    options.token.lifetime = Duration::from_secs(3 * u64::from(variant.slowness().min(5)));
    options.ws.pump = Some(Pump { limit: MESSAGES, ..Pump::every(Duration::from_millis(50) * clients) });
    options.ws.auth_timeout = BOUND; // a slow client's first socket is not to be closed for that
    let sim = Sim::start(options);
    sim.ws().plan(0, Plan::new().on(Trigger::Auths(2), [Action::Drop]));
    sim
}

/// Waits until a program has shown all of an [`eventful`] simulator, and checks it: a renewal on the first socket, its drop,
/// another socket, no message missing and none out of order.
fn lives_through(live: &Live<'_>, sim: &Sim) {
    live.wait_for("all messages", |lines| numbers(lines).len() as u64 == MESSAGES);
    // A client may have a message a moment before it is counted. Those of the client's are sent back.
    let counted = |log: &Log| log.ws_connects() >= 2 && log.messages_sent() == MESSAGES + log.received_total;
    let log = sim.record();
    assert!(log.wait_until(BOUND, counted), "{:?}", log.snapshot().connections);
    let log = log.snapshot();
    assert_eq!(log.forced_drops(), 1, "{:?}", log.connections);
    assert!(log.connections[0].accepted >= 2, "the first socket was renewed: {:?}", log.connections[0]);
}

/// Checks the end of a program against an [`eventful`] simulator.
fn ended_well(lines: &[String], sim: &Sim) {
    assert_eq!(numbers(lines), (1..=MESSAGES).collect::<Vec<_>>(), "every message, once, in order");
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
