//! What a record of audit costs on its way from a producer to a sink, and what memory ten million of them take. Nothing
//! is faked but the sink: queue, dispatcher, text and calls are those of a client.
//!
//!   cargo bench -p ffi-tests --bench audit      builds this optimised, runs it, and prints the table
//!
//! Each test prints lines `BENCH {json}` for it.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use ring::hmac;

use super::tests::*;
use super::*;
use crate::audit::format::Format;
use crate::audit::json::Sink;
use crate::audit::{Outcome, Record};
use crate::config::settings::AuditPolicy;
use crate::hooks::{AuditView, HookFailed};
use crate::secret::Secret;
use crate::shell::chain::Sealer;
use crate::shell::clock::{instant, Clock};
use crate::shell::random::Entropy;

/// Records of one measurement.
const MANY: u64 = 400_000;
/// Each measurement is taken so often, and the best is kept: what else the machine does only ever adds.
const ROUNDS: usize = 5;
/// Kept by the record of an attempt, as one that was accepted has.
const SCOPES: [&str; 3] = ["conversation:read", "user:read", "analytics:read"];

/// As clients mostly make them.
fn sample() -> Record {
    attempt(Outcome::Success { scopes: SCOPES.map(str::to_owned).to_vec() })
}

/// Sinks that do nothing but count, so that they are not optimised away.
fn sinks(audit: bool, siem: bool) -> Hooks {
    let bytes = Arc::new(AtomicU64::new(0));
    let sink = move |view: AuditView<'_>| -> Result<(), HookFailed> {
        bytes.fetch_add(view.json_with_nul.len() as u64, Ordering::Relaxed);
        Ok(())
    };
    let mut hooks = Hooks::default();
    if audit {
        hooks.on_audit = Some(Arc::new(sink.clone()));
    }
    if siem {
        hooks.on_siem = Some(Arc::new(sink));
    }
    hooks
}

fn say(line: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "BENCH {line}");
}

/// The best of some rounds, in nanoseconds a record; each round gets a run and says how many it did.
fn best(name: &str, mut round: impl FnMut() -> u64) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let began = instant();
        let records = round();
        began.elapsed().as_nanos() as f64 / records as f64
    });
    let ns = times.fold(f64::INFINITY, f64::min);
    say(&serde_json::json!({"measure": name, "ns": ns}));
    ns
}

/// A delivery with the clocks of a client; a producer waits where the queue is full, so none is lost.
fn real(hooks: Hooks, change: impl FnOnce(&mut Settings)) -> (Arc<Delivery>, Clock) {
    let mut settings = Settings { audit_policy: AuditPolicy::Block, ..Settings::default() };
    change(&mut settings);
    let clock = Clock::new();
    let sealer = Sealer::open(&mut settings).expect("a key, and a file of our own");
    let (boot_id, now, tick) = (Entropy::new().uuid_v4(), Arc::new(move || clock.now()), Arc::new(Clock::tick_ms));
    (Delivery::new(&settings, hooks, Parts { boot_id, clock: now, tick, event_fd: None, sealer }), clock)
}

/// So many records from one producer to the hooks, each made as the socket's thread makes them.
fn flow(hooks: Hooks, change: impl FnOnce(&mut Settings), records: u64, mut at: impl FnMut(u64)) {
    let (delivery, clock) = real(hooks, change);
    let dispatcher = dispatch(&delivery);
    let (sample, mut entropy) = (sample(), Entropy::new());
    for n in 1..=records {
        delivery.push_record(clock.now(), entropy.uuid_v4(), sample.clone());
        at(n);
    }
    finish(&delivery, dispatcher);
    let metrics = delivery.metrics();
    // With a chain there are checkpoints beside them.
    assert!(metrics.audit_records >= records);
    assert_eq!((metrics.audit_lost, metrics.hook_failures), (0, 0));
}

/// The least there is to do: the text of a record and a copy of it; and a keyed hash of those bytes.
fn floors() {
    let (delivery, clock) = real(Hooks::default(), |_| ());
    let mut queue = AuditQueue::new(1, AuditPolicy::Block);
    queue.push(1, clock.now().wall_ms, Entropy::new().uuid_v4(), sample());
    let entry = queue.pop().expect("the one that was pushed");
    let (mut text, mut copy) = (String::new(), Vec::new());
    best("floor: text and copy", || {
        for _ in 0..MANY {
            entry.render_with_nul(&delivery.context, Sink::Audit, None, &mut text);
            copy.clear();
            copy.extend_from_slice(std::hint::black_box(text.as_bytes()));
        }
        MANY
    });
    assert!(copy.len() > 300, "{text}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    best("floor: HMAC-SHA256 of the text", || {
        (0..MANY).for_each(|_| _ = std::hint::black_box(hmac::sign(&key, &copy)));
        MANY
    });
}

/// The settings of a chain; with a file its evolved key is kept there, synced, at every checkpoint.
fn chained(file: Option<&std::path::Path>) -> impl Fn(&mut Settings) + '_ {
    move |settings| {
        settings.chain.key = Some(Secret::new("07".repeat(32)));
        settings.chain.state = file.map(|file| file.display().to_string()).unwrap_or_default();
    }
}

#[test]
#[ignore = "a benchmark: cargo bench -p ffi-tests --bench audit"]
fn audit_costs() {
    floors();
    let measure = |name: &str, audit, siem, change: &dyn Fn(&mut Settings)| {
        best(name, || {
            flow(sinks(audit, siem), change, MANY, |_| ());
            MANY
        });
    };
    measure("no sink", false, false, &|_| ());
    measure("on_audit", true, false, &|_| ());
    measure("on_audit and on_siem", true, true, &|_| ());
    measure("on_audit, chain", true, false, &chained(None));
    measure("on_audit and on_siem, chain", true, true, &chained(None));
    for format in Format::ALL.into_iter().filter(|format| *format != Format::Native) {
        measure(&format!("on_audit as {}", format.name()), true, false, &|settings| settings.formats.audit = format);
    }
    let file = std::env::temp_dir().join(format!("gwa-bench-chain-{}", std::process::id()));
    best("on_audit, chain with a state file", || {
        // K0 is given once, while there is no file.
        let _ = std::fs::remove_file(&file);
        flow(sinks(true, false), chained(Some(&file)), MANY, |_| ());
        MANY
    });
    std::fs::remove_file(&file).expect("it was kept");
}

/// Resident memory in KiB.
fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4
}

#[test]
#[ignore = "ten million records: cargo bench -p ffi-tests --bench audit"]
fn audit_memory() {
    let mut seen = Vec::new();
    flow(sinks(true, true), chained(None), 10_000_000, |n| {
        if matches!(n, 10_000 | 100_000 | 1_000_000 | 10_000_000) {
            seen.push((n, resident_kib()));
        }
    });
    for (records, kib) in &seen {
        say(&serde_json::json!({"records": records, "resident_kib": kib}));
    }
    let [_, _, (_, at_a_million), (_, at_ten)] = seen[..] else { panic!("{seen:?}") };
    assert!(at_ten <= at_a_million + 512, "memory grows with the records: {seen:?}");
}
