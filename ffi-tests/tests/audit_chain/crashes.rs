//! Processes that are killed, and disks that fail: whatever is left verifies, and says where something may be missing.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use ffi_tests::cprog::Variant;
use ffi_tests::shim::preloaded;
use ffi_tests::sim::Sim;
use genesys_ws_auth::audit::verify::{GapKind, Report, Verdict};

use super::place::{Place, Sink, BOUND, K0};

const SIGKILL: i32 = 9;
/// How many operations less than the first run a later one may make on its state.
const FEWER: usize = 8;

/// How many operations a run makes on its state, at most so many.
fn operations(sim: &Sim, place: &Place, key: &str) -> Vec<String> {
    let report = place.0.join("report");
    let program = preloaded(place.program(sim, Variant::Plain, "2", key), "shim_store");
    let program = program.env("GWA_SHIM_STORE", place.state().display()).env("GWA_SHIM_REPORT", report.display());
    program.run().passed();
    fs::read_to_string(&report).unwrap().lines().map(str::to_owned).collect()
}

/// A key for the first run alone.
fn key(place: &Place) -> &'static str {
    if place.state().join("chain").exists() {
        ""
    } else {
        K0
    }
}

/// Whole, but for gaps that a crash explains, and the other verifier says the same.
#[track_caller]
fn assert_explained(place: &Place, what: &str) -> [Report; 2] {
    [Sink::Audit, Sink::Siem].map(|sink| {
        let report = place.verify(sink);
        let is_whole = matches!(report.verdict, Verdict::Intact | Verdict::DeclaredGap);
        assert!(is_whole && report.gaps.iter().all(|gap| gap.kind == GapKind::Crashed), "{what}: {report:?}");
        place.agrees(sink, &report);
        report
    })
}

#[test]
fn the_state_is_synced_before_the_first_record_of_its_epoch() {
    let sim = Sim::start(Variant::Plain.options());
    let place = Place::new("synced");
    let made = operations(&sim, &place, K0);
    let names: Vec<&str> = made.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let written = names.windows(6).filter(|six| *six == ["open", "write", "fsync", "rename", "open", "fsync"]).count();
    let last = place.records(Sink::Audit).last().unwrap()["mac_epoch"].as_u64().unwrap();
    // Each epoch once, the one after the last checkpoint, and that it was closed.
    assert_eq!(written as u64, last + 2, "{made:?}");
}

#[test]
fn at_every_fifth_operation_on_the_state_a_process_dies_and_the_next_run_explains_it() {
    dies_at_every(5);
}

#[test]
#[ignore = "four minutes: every operation; .ci/long"]
fn whatever_operation_on_the_state_a_process_dies_at_the_next_run_explains_it() {
    dies_at_every(1);
}

/// A process dies at an operation, or half way through it, or after it; so does the second one after that.
fn dies_at_every(step: usize) {
    let sim = Sim::start(Variant::Plain.options());
    let count = operations(&sim, &Place::new("counted"), K0).len();
    let (mut gaps, mut none, mut kills, mut survived) = (0, 0, 0, 0);
    for how in ["before", "half", "after"] {
        for n in (1..=count).step_by(step) {
            let place = Place::new(&format!("dies-{how}-{n}"));
            for _ in 0..2 {
                let program = preloaded(place.program(&sim, Variant::Plain, "2", key(&place)), "shim_store");
                let program = program.env("GWA_SHIM_STORE", place.state().display()).env("GWA_SHIM_AT", n);
                let outcome = program.env("GWA_SHIM_DO", how).run();
                if outcome.status.signal() == Some(SIGKILL) {
                    kills += 1;
                } else {
                    assert!(n + FEWER > count, "{how} {n} of {count}: it lives on: {}", outcome.stderr);
                    outcome.passed();
                    survived += 1;
                }
                place.program(&sim, Variant::Plain, "2", key(&place)).run().passed();
                let [audit, _] = assert_explained(&place, &format!("{how} {n}"));
                *(if audit.gap_count > 0 { &mut gaps } else { &mut none }) += 1;
            }
        }
    }
    println!("{kills} of {} killed: {gaps} logs with a declared gap, {none} without", kills + survived);
    let due = (1..=count - FEWER).step_by(step).count();
    assert!(due > 5 && kills >= due * 6, "{kills} of {count} operations, one in {step}");
    assert!(gaps > 0 && none > 0);
}

#[test]
fn whatever_operation_on_the_state_fails_the_records_go_on() {
    let sim = Sim::start(Variant::Plain.options());
    let count = operations(&sim, &Place::new("counted-2"), K0).len();
    let (mut refused, mut told) = (0, 0);
    for n in 1..=count {
        let place = Place::new(&format!("fails-{n}"));
        let program = preloaded(place.program(&sim, Variant::Plain, "2", K0), "shim_store");
        let program = program.env("GWA_SHIM_STORE", place.state().display()).env("GWA_SHIM_AT", n);
        let outcome = program.env("GWA_SHIM_DO", "fail").env("GWA_SHIM_ERRNO", libc::ENOSPC).run();
        if !outcome.status.success() {
            // No client without its chain: it is told when it is made.
            assert!(outcome.stderr.contains("GWA_E_STORE"), "{n}: {}", outcome.stderr);
            refused += 1;
            continue;
        }
        place.program(&sim, Variant::Plain, "2", "").run().passed();
        assert_explained(&place, &format!("{n}"));
        let text = String::from_utf8(place.text(Sink::Audit)).unwrap();
        told += usize::from(
            text.contains("\"reason\":\"state_failed\"") && text.contains("\"error_code\":\"GWA_E_STORE\""),
        );
    }
    println!("{count} operations: {refused} clients refused, {told} logs that say so");
    assert!(refused > 0 && told > 6);
}

#[test]
fn processes_that_are_killed_at_any_time_leave_logs_that_are_explained() {
    let sim = Sim::start(Variant::Plain.options());
    let (place, mut random) = (Place::new("killed"), 7_u64);
    let kills = std::env::var("GWA_KILLS").map_or(12, |text| text.parse().unwrap());
    for n in 0..kills {
        let before = sim.record().token_requests();
        let mut running = place.program(&sim, Variant::Plain, "live", key(&place)).start();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wanted = before + usize::try_from((random >> 33) % 10 + 1).unwrap();
        assert!(sim.record().wait_until(BOUND, |log| log.token_requests() >= wanted), "kill {n}: no request comes");
        // The wait is for nothing but the time to pass: that is what is random.
        sim.record().wait_until(Duration::from_micros((random >> 40) % 20_000), |_| false);
        running.kill();
        assert_eq!(running.finish().status.signal(), Some(SIGKILL));
        let [audit, siem] = assert_explained(&place, &format!("kill {n}"));
        assert!(audit.gap_count <= n + 1 && siem.gap_count <= n + 1);
    }
    place.program(&sim, Variant::Plain, "2", "").run().passed();
    let [audit, _] = assert_explained(&place, "the end");
    println!("{kills} kills: {} gaps in {} records", audit.gap_count, audit.records);
    // None of them is where no process died: the runs in between were not touched.
    let starts =
        place.records(Sink::Audit).iter().filter(|record| record["metadata"]["run_before"] == "crashed").count();
    assert!(audit.gap_count <= starts as u64 + 1);
}
