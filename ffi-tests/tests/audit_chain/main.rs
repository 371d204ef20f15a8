//! The chain over audit records, from a C program's callbacks to the verifiers: ours, as a library and as
//! `examples/c/verify_audit.c`, and `verify.py`, which knows the documented format and nothing else.

mod crashes;
mod intruder;
mod place;
mod tampered;

use ffi_tests::cprog::{each, Variant};
use ffi_tests::sim::Sim;
use genesys_ws_auth::audit::verify::Verdict;

use place::{line, Place, Sink, K0, OTHER};

#[test]
fn the_logs_of_three_runs_are_intact_across_rotated_files() {
    each("audit_chain", |variant| {
        let (sim, place) = (Sim::start(variant.options()), Place::new("runs"));
        for run in 0..3 {
            let key = if run == 0 { K0 } else { "" };
            let program = place.program(&sim, variant, "6", key).env("GWA_TEST_ROTATE", 7);
            assert_eq!(program.run().passed().number("failures"), 0);
            place.keep_files(run);
        }
        for sink in [Sink::Audit, Sink::Siem] {
            let files = place.files(sink);
            assert!(files.len() > 6, "{files:?}");
            let report = place.verify(sink);
            assert_eq!((report.verdict, report.sink), (Verdict::Intact, sink.name()), "{report:?}");
            assert_eq!(report.promise, "forward-secure");
            place.agrees(sink, &report);
            // By hand, as an auditor would.
            let ended = place.by_hand(variant, &[], K0, &files);
            assert_eq!(ended.code, Some(0), "{}", ended.text);
            assert!(ended.text.starts_with("{\"result\":\"intact\","), "{}", ended.text);
            let other = place.by_hand(variant, &[], OTHER, &files);
            assert_eq!(other.code, Some(5), "{}", other.text);
        }
        place.assert_state_is_private();
    });
}

#[test]
fn what_the_checkpoints_count_is_what_is_there() {
    let (sim, place) = (Sim::start(Variant::Plain.options()), Place::new("counts"));
    place.program(&sim, Variant::Plain, "6", K0).run().passed();
    let records = place.records(Sink::Audit);
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    let mut checkpoints = 0;
    for record in &records {
        let kind = record["event_type"].as_str().or(record["action"].as_str()).unwrap();
        *seen.entry(kind.to_owned()).or_default() += 1;
        if kind != "audit_checkpoint" {
            continue;
        }
        checkpoints += 1;
        let said = &record["metadata"];
        assert_eq!(said["records"], record["seq"]);
        assert_eq!(said["lost"], 0);
        let kinds = said["kinds"].as_array().unwrap().iter().map(|kind| {
            let (name, count) = kind.as_str().unwrap().split_once('=').unwrap();
            (name.to_owned(), count.parse::<u64>().unwrap())
        });
        assert_eq!(kinds.collect::<std::collections::BTreeMap<_, _>>(), seen);
    }
    assert!(checkpoints >= 4, "{checkpoints}");
    let reason = |record: &serde_json::Value| record["metadata"]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!((reason(&records[0]), reason(records.last().unwrap())), ("start".into(), "close".into()));
}

#[test]
fn k0_is_given_once_and_a_state_has_one_client() {
    let (sim, place) = (Sim::start(Variant::Plain.options()), Place::new("once"));
    let refused = |key: &str| place.program(&sim, Variant::Plain, "refused", key).run().passed();
    assert_eq!(line(&refused(""), "name"), "GWA_E_MISSING_KEY");
    let wrong = refused("no key");
    assert_eq!(line(&wrong, "name"), "GWA_E_BAD_VALUE");
    assert!(!line(&wrong, "message").contains("no key"), "a secret is not shown");
    place.program(&sim, Variant::Plain, "made", K0).run().passed();
    let again = refused(K0);
    assert_eq!(line(&again, "name"), "GWA_E_BAD_VALUE");
    assert!(line(&again, "message").contains("audit.chain_key"));
    let mut running = place.program(&sim, Variant::Plain, "live", "").start();
    place.wait_for_records(1);
    let second = refused("");
    assert_eq!(line(&second, "name"), "GWA_E_STORE");
    assert!(line(&second, "message").contains("is used by another client"), "{}", second.stdout);
    running.kill();
    running.finish();
}

#[test]
fn without_a_state_file_it_is_called_what_it_is() {
    let (sim, place) = (Sim::start(Variant::Plain.options()), Place::new("stateless"));
    for _ in 0..2 {
        place.program(&sim, Variant::Plain, "2", K0).set("audit.chain_state", "").run().passed();
    }
    let report = place.verify(Sink::Audit);
    assert_eq!((report.verdict, report.promise), (Verdict::DeclaredGap, "tamper-evident, not forward-secure"));
    place.agrees(Sink::Audit, &report);
    let first = &place.records(Sink::Audit)[0]["metadata"];
    assert_eq!((&first["chain"], &first["run_before"]), (&report.promise.into(), &"unknown".into()));
}
