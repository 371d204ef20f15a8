//! Sinks with a chain that refuse records: their log says what is missing, and everything else is proven.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::tests::*;
use super::tests_chain::*;
use super::tests_chain_end::Place;
use super::*;
use crate::audit::verify::{GapKind, Report, Verdict};
use crate::audit::Record;
use crate::hooks::{AuditView, HookFailed};

/// How a sink refuses a record.
#[derive(Clone, Copy, Debug)]
enum How {
    Fails,
    Panics,
}

/// The hooks of the logs; `on_audit` or `on_siem` refuses its calls number `from` to `from + count - 1`.
fn refusing(logs: &Logs, is_siem: bool, how: How, from: u64, count: u64) -> Hooks {
    let (hooks, logs, calls) = (logs.hooks(), logs.clone(), AtomicU64::new(0));
    let hook = move |view: AuditView<'_>| {
        let call = calls.fetch_add(1, Ordering::Relaxed) + 1;
        if (from..from + count).contains(&call) {
            return match how {
                How::Fails => Err(HookFailed),
                How::Panics => panic!("a sink that panics"),
            };
        }
        logs.add(is_siem, view.json_with_nul);
        Ok(())
    };
    let hook: Arc<dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync> = Arc::new(hook);
    if is_siem {
        Hooks { on_siem: Some(hook), ..hooks }
    } else {
        Hooks { on_audit: Some(hook), ..hooks }
    }
}

/// A run of 10 records, three of them checkpoints, and one scope check, which `on_siem` is not given.
fn run(change: impl FnOnce(&mut Settings), hooks: Hooks) -> Arc<Delivery> {
    let delivery = sealed(change, hooks, &Hands::default(), None);
    let dispatcher = dispatch(&delivery);
    for round in 0..7 {
        record(&delivery, "id", if round == 4 { scopes() } else { Record::Closed });
    }
    finish(&delivery, dispatcher);
    delivery
}

/// What the log says is lost by refusals: first and last number.
fn lost(report: &Report) -> Vec<(u64, u64)> {
    report.gaps.iter().filter_map(|gap| gap.lost).collect()
}

/// Numbers of a log's records without a hole, markers counted; of the SIEM's each has that of the one before.
#[track_caller]
fn assert_covered(logs: &Logs, is_siem: bool, what: &str) {
    let mut last = 0;
    for line in logs.lines(is_siem) {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let seq = value["seq"].as_u64().unwrap();
        if is_siem {
            assert_eq!(value["prev_seq"], last, "{what}: {line}");
        } else {
            assert_eq!(value["first_lost"].as_u64().unwrap_or(seq), last + 1, "{what}: {line}");
        }
        last = seq;
    }
}

#[test]
fn whatever_record_a_sink_refuses_its_log_declares_it_and_the_other_is_intact() {
    for (is_siem, how, count) in [(false, How::Fails, 1), (false, How::Panics, 3), (true, How::Fails, 4)] {
        for from in 1..=8 {
            let what = format!("siem {is_siem} {how:?} {count} from call {from}");
            let logs = Logs::default();
            let delivery = run(|_| (), refusing(&logs, is_siem, how, from, count));
            let failures = delivery.metrics().hook_failures;
            let report = logs.verify(is_siem);
            let is_told = from + count <= if is_siem { 9 } else { 10 };
            assert!(!is_told || failures == count, "{what}");
            if is_told {
                assert_eq!((report.verdict, lost(&report).len()), (Verdict::DeclaredGap, 1), "{what}: {report:?}");
                let (first, last) = lost(&report)[0];
                // One call for each: of the record, then of the marker that the next one has to wait for.
                assert!(last - first + 1 >= count && last - first <= count, "{what}: {first} to {last}");
                assert_covered(&logs, is_siem, &what);
            }
            assert_eq!(logs.verify(!is_siem).verdict, Verdict::Intact, "{what}");
        }
    }
}

#[test]
fn a_sink_that_refuses_everything_for_a_while_has_one_marker() {
    let logs = Logs::default();
    drop(run(|_| (), refusing(&logs, false, How::Fails, 3, 5)));
    let report = logs.verify(false);
    assert_eq!((report.verdict, lost(&report)), (Verdict::DeclaredGap, vec![(3, 7)]), "{report:?}");
    let marker: serde_json::Value = serde_json::from_str(&logs.lines(false)[2]).unwrap();
    assert_eq!((&marker["event_type"], &marker["count"]), (&"audit_loss".into(), &5.into()));
}

#[test]
fn runs_after_one_whose_sink_has_refused_records_are_proven() {
    for has_state in [true, false] {
        for (from, count) in [(1, 1), (1, 3), (1, 99), (6, 1), (10, 1), (9, 99)] {
            let (place, logs) = (Place::new(&format!("refused-{from}-{count}")), Logs::default());
            let change = |settings: &mut Settings| {
                if has_state {
                    place.settings(settings);
                }
            };
            drop(run(change, logs.hooks()));
            drop(run(change, refusing(&logs, false, How::Fails, from, count)));
            drop(run(change, logs.hooks()));
            let (audit, siem) = (logs.verify(false), logs.verify(true));
            let what = format!("state {has_state}, {count} from {from}: {audit:?}");
            assert_eq!(audit.verdict, Verdict::DeclaredGap, "{what}");
            let is_declared = audit.gaps.iter().any(|gap| matches!(gap.kind, GapKind::Lost | GapKind::Crashed));
            assert!(is_declared || !has_state, "{what}");
            assert!(siem.verdict == Verdict::Intact || siem.verdict == Verdict::DeclaredGap, "{what} {siem:?}");
        }
    }
}

#[test]
fn without_a_chain_a_sink_that_fails_is_given_what_it_was_given_before() {
    let logs = Logs::default();
    let hooks = refusing(&logs, false, How::Fails, 2, 1);
    let delivery = delivery(|_| (), hooks);
    let dispatcher = dispatch(&delivery);
    (0..4).for_each(|_| record(&delivery, "id", Record::Closed));
    finish(&delivery, dispatcher);
    let seqs: Vec<_> = logs.values().iter().map(|value| value["seq"].as_u64().unwrap()).collect();
    assert_eq!((seqs, delivery.metrics().hook_failures), (vec![1, 3, 4], 1));
}
