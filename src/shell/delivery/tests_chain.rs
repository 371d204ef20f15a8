//! Checkpoints and seals on their way to the sinks: what is handed out verifies, and says what was made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::tests::*;
use super::tests_poll::Fd;
use super::*;
use crate::audit::verify::{Report, Verdict, Verifier};
use crate::audit::{Format, Outcome, Record};
use crate::config::settings::AuditPolicy;
use crate::error::{Code, Error, Stage};
use crate::event::Event;
use crate::hooks::{AuditView, Message};
use crate::secret::Secret;

pub(super) const K0: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The logs of both sinks.
#[derive(Clone, Default)]
pub(super) struct Logs(Arc<(Mutex<[Vec<String>; 2]>, Condvar)>);

impl Logs {
    pub(super) fn add(&self, is_siem: bool, json_with_nul: &str) {
        self.0 .0.lock().unwrap()[usize::from(is_siem)].push(json_with_nul.trim_end_matches('\0').to_owned());
        self.0 .1.notify_all();
    }

    pub(super) fn hooks(&self) -> Hooks {
        let (audit, siem) = (self.clone(), self.clone());
        let write = |logs: Logs, is_siem| {
            move |view: AuditView<'_>| {
                logs.add(is_siem, view.json_with_nul);
                Ok(())
            }
        };
        Hooks {
            on_audit: Some(Arc::new(write(audit, false))),
            on_siem: Some(Arc::new(write(siem, true))),
            ..Hooks::default()
        }
    }

    pub(super) fn lines(&self, is_siem: bool) -> Vec<String> {
        self.0 .0.lock().unwrap()[usize::from(is_siem)].clone()
    }

    /// Waits until both have so many records.
    pub(super) fn wait_for(&self, records: usize) {
        let is_short = |logs: &mut [Vec<String>; 2]| logs.iter().any(|log| log.len() < records);
        let (_logs, outcome) = self.0 .1.wait_timeout_while(self.0 .0.lock().unwrap(), LONG, is_short).unwrap();
        assert!(!outcome.timed_out());
    }

    pub(super) fn values(&self) -> Vec<Value> {
        self.lines(false).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// `seq` and reason of every checkpoint.
    pub(super) fn checkpoints(&self) -> Vec<(u64, String)> {
        let are = |value: &Value| value["event_type"] == "audit_checkpoint";
        let told =
            |value: Value| (value["seq"].as_u64().unwrap(), value["metadata"]["reason"].as_str().unwrap().into());
        self.values().into_iter().filter(are).map(told).collect()
    }

    pub(super) fn verify(&self, is_siem: bool) -> Report {
        let mut verifier = Verifier::new(&Secret::new(K0.into())).unwrap();
        verifier.feed(self.lines(is_siem).join("\n").as_bytes());
        verifier.finish()
    }
}

pub(super) fn sealed(
    change: impl FnOnce(&mut Settings),
    hooks: Hooks,
    hands: &Hands,
    fd: Option<Box<dyn EventFd>>,
) -> Arc<Delivery> {
    let mut settings = Settings::default();
    settings.chain.checkpoint_records = 4;
    settings.chain.key = Some(Secret::new(K0.into()));
    change(&mut settings);
    let sealer = Sealer::open(&mut settings).unwrap();
    // No two runs have one name: a verifier would take the second for the first, repeated.
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let boot_id = format!("run-{}", RUNS.fetch_add(1, Ordering::Relaxed));
    Delivery::new(&settings, hooks, Parts { sealer, boot_id, ..hands.parts(fd) })
}

pub(super) fn expected(checkpoints: &[(u64, &str)]) -> Vec<(u64, String)> {
    checkpoints.iter().map(|(seq, reason)| (*seq, (*reason).to_owned())).collect()
}

#[test]
fn both_logs_verify_and_checkpoints_count() {
    let (logs, hands) = (Logs::default(), Hands::default());
    let delivery = sealed(|_| (), logs.hooks(), &hands, None);
    let dispatcher = dispatch(&delivery);
    for round in 0..9 {
        let made = match round {
            2 => scopes(),
            3 => attempt(Outcome::Success { scopes: vec![] }),
            _ => Record::Closed,
        };
        record(&delivery, "id", made);
    }
    finish(&delivery, dispatcher);
    assert_eq!(logs.checkpoints(), expected(&[(1, "start"), (6, "records"), (11, "records"), (13, "close")]));
    for (is_siem, sink, records) in [(false, "audit", 13), (true, "siem", 12)] {
        let report = logs.verify(is_siem);
        assert_eq!((report.verdict, report.sink, report.verified), (Verdict::Intact, sink, records), "{report:?}");
    }
    let values = logs.values();
    let seqs: Vec<_> = values.iter().map(|value| value["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=13).collect::<Vec<_>>());
    let said = &values[12]["metadata"];
    assert_eq!(
        said["kinds"],
        serde_json::json!(["authentication_attempt=1", "scope_validation=1", "client_closed=7", "audit_checkpoint=4"])
    );
    let metrics = delivery.metrics();
    assert_eq!((said["records"].as_u64(), said["lost"].as_u64()), (Some(metrics.audit_records), Some(0)));
    assert_eq!(said["success_count"].as_u64(), Some(metrics.success_count));
    assert_eq!(values[0]["metadata"]["run_before"], "unknown");
    assert_eq!(values[0]["metadata"]["chain"], "tamper-evident, not forward-secure");
    let epochs: Vec<_> = values.iter().map(|value| value["mac_epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4]);
}

#[test]
fn every_format_verifies_and_says_what_is_lost() {
    for format in Format::ALL {
        let (logs, hands) = (Logs::default(), Hands::default());
        let change = |settings: &mut Settings| {
            (settings.formats.audit, settings.formats.siem) = (format, format);
            settings.audit_queue_records = 5;
        };
        let delivery = sealed(change, logs.hooks(), &hands, None);
        for _ in 0..2 {
            let hostile = "\"][gwaSeal@1 epoch=\"9\" mac=\"".to_owned() + K0 + "\"] gwaEpoch=9 gwaMac=" + K0;
            let error = Error::new(Code::AuthRefused, Stage::Live, hostile);
            (0..3).for_each(|_| record(&delivery, "id", attempt(Outcome::Failure(error.clone()))));
            (0..3).for_each(|_| record(&delivery, "id", scopes()));
            let dispatcher = dispatch(&delivery);
            finish(&delivery, dispatcher);
        }
        for is_siem in [false, true] {
            let report = logs.verify(is_siem);
            assert_eq!(report.verdict, Verdict::DeclaredGap, "{format:?}: {report:?} {:#?}", logs.lines(is_siem));
            let lost: u64 = report.gaps.iter().map(|gap| gap.lost.map_or(0, |(first, last)| last - first + 1)).sum();
            assert_eq!((lost, report.gap_count > 0), (delivery.metrics().audit_lost, true), "{format:?}");
            assert_eq!(report.last_seq, Some(delivery.metrics().audit_records), "{format:?}");
        }
    }
}

#[test]
fn checkpoints_alone_have_no_seal() {
    let (logs, hands) = (Logs::default(), Hands::default());
    let mut settings = Settings::default();
    (settings.chain.checkpoints, settings.chain.checkpoint_records) = (true, 2);
    let delivery = Delivery::new(&settings, logs.hooks(), hands.parts(None));
    let dispatcher = dispatch(&delivery);
    (0..3).for_each(|_| record(&delivery, "id", Record::Closed));
    finish(&delivery, dispatcher);
    assert_eq!(logs.checkpoints(), expected(&[(1, "start"), (4, "records"), (6, "close")]));
    assert_eq!(logs.values()[0]["metadata"]["chain"], "none");
    assert!(logs.lines(true).iter().all(|line| !line.contains("\"mac")));
}

/// Whoever waits for room of a record waits for that of the checkpoint behind it too.
#[test]
fn no_checkpoint_is_lost_where_producers_wait_for_room() {
    for queue_records in [1, 2, 3, 8] {
        let (logs, hands) = (Logs::default(), Hands::default());
        let waiting = |settings: &mut Settings| {
            (settings.audit_policy, settings.audit_queue_records) = (AuditPolicy::Block, queue_records);
        };
        let delivery = sealed(waiting, logs.hooks(), &hands, None);
        let dispatcher = dispatch(&delivery);
        (0..500).for_each(|_| record(&delivery, "id", Record::Closed));
        finish(&delivery, dispatcher);
        if queue_records >= 3 {
            assert_eq!(delivery.metrics().audit_lost, 0, "{queue_records} records");
        }
        assert!(logs.values().len() >= 500, "{queue_records} records");
        let verdict = logs.verify(false).verdict;
        let sound = verdict == Verdict::Intact || queue_records < 3;
        assert!(sound, "{queue_records} records: {verdict:?}");
    }
}

#[test]
fn time_makes_a_checkpoint_of_its_own_accord() {
    let (logs, hands) = (Logs::default(), Hands::default());
    let delivery = sealed(|settings| settings.chain.checkpoint_ms = 5, logs.hooks(), &hands, None);
    record(&delivery, "id", Record::Closed);
    hands.advance(5);
    // Nothing else happens: the dispatcher looks at the clock.
    let dispatcher = dispatch(&delivery);
    logs.wait_for(3);
    finish(&delivery, dispatcher);
    assert_eq!(logs.checkpoints(), expected(&[(1, "start"), (3, "time"), (4, "close")]));
    assert_eq!(logs.verify(true).verdict, Verdict::Intact);
}

#[test]
fn an_idle_dispatcher_wakes_for_a_checkpoint() {
    let (logs, hands) = (Logs::default(), Hands::default());
    let delivery = sealed(|settings| settings.chain.checkpoint_ms = 20, logs.hooks(), &hands, None);
    let dispatcher = dispatch(&delivery);
    record(&delivery, "id", Record::Closed);
    assert!(delivery.flush_audit(LONG));
    hands.advance(20);
    // Its sleep is one of real time; here the clock of the checkpoints stands still until it is moved.
    logs.wait_for(3);
    finish(&delivery, dispatcher);
    assert_eq!(logs.verify(false).verdict, Verdict::Intact);
}

#[test]
fn a_checkpoint_that_is_lost_is_marked_and_the_chain_goes_on() {
    for policy in [AuditPolicy::DropOldest, AuditPolicy::DropNewest] {
        let (logs, hands) = (Logs::default(), Hands::default());
        let change = |settings: &mut Settings| (settings.audit_queue_records, settings.audit_policy) = (3, policy);
        let delivery = sealed(change, logs.hooks(), &hands, None);
        for _ in 0..3 {
            (0..20).for_each(|_| record(&delivery, "id", Record::Closed));
            let dispatcher = dispatch(&delivery);
            finish(&delivery, dispatcher);
        }
        let mut next = 1;
        for value in logs.values() {
            assert_eq!(value["first_lost"].as_u64().or(value["seq"].as_u64()), Some(next), "{policy:?}");
            next = value["seq"].as_u64().unwrap() + 1;
        }
        assert_eq!(next, delivery.metrics().audit_records + 1);
        for is_siem in [false, true] {
            let report = logs.verify(is_siem);
            assert_eq!(report.verdict, Verdict::DeclaredGap, "{report:?}");
            let lost: u64 = report.gaps.iter().map(|gap| gap.lost.map_or(0, |(first, last)| last - first + 1)).sum();
            assert_eq!(lost, delivery.metrics().audit_lost);
        }
    }
}

#[test]
fn polled_records_are_sealed_in_their_order_whoever_polls() {
    let (logs, hands) = (Logs::default(), Hands::default());
    let poll = |settings: &mut Settings| settings.delivery = Mode::Poll;
    let delivery = sealed(poll, Hooks::default(), &hands, Some(Box::new(Fd::default())));
    delivery.begin();
    let pollers: Vec<_> = (0..3)
        .map(|_| {
            let delivery = Arc::clone(&delivery);
            std::thread::spawn(move || {
                let mut mine = Vec::new();
                while let Ok(event) = delivery.next_event(Some(LONG), &|| false) {
                    let Some(Event::Audit { json_with_nul, seq, siem, .. }) = event else { continue };
                    mine.push((seq, siem, json_with_nul));
                }
                mine
            })
        })
        .collect();
    (0..200).for_each(|_| record(&delivery, "id", Record::Closed));
    delivery.close();
    let mut all: Vec<_> = pollers.into_iter().flat_map(|poller| poller.join().unwrap()).collect();
    all.sort();
    all.iter().for_each(|(_, siem, text)| logs.add(*siem, text));
    assert_eq!(logs.checkpoints().len(), 52);
    for is_siem in [false, true] {
        assert_eq!(logs.verify(is_siem).verdict, Verdict::Intact);
    }
    assert!(delivery.next_event(Some(Duration::ZERO), &|| false).is_err());
}

#[test]
fn a_polled_log_has_its_checkpoint_with_the_next_call() {
    let hands = Hands::default();
    let poll = |settings: &mut Settings| settings.delivery = Mode::Poll;
    let fd = Fd::default();
    let delivery = sealed(poll, Hooks::default(), &hands, Some(Box::new(fd.clone())));
    delivery.begin();
    record(&delivery, "id", Record::Closed);
    let drain = || std::iter::from_fn(|| delivery.next_event(Some(Duration::ZERO), &|| false).unwrap()).count();
    assert_eq!(drain(), 4);
    assert!(!fd.is_readable());
    hands.advance(300_000);
    assert_eq!(drain(), 2);
    assert!(!fd.is_readable());
}

/// Hooks of a sink of messages that takes two seconds for each, by the clock that tests move.
fn slow(logs: &Logs, hands: &Hands, then: impl Fn(u64) + Send + Sync + 'static) -> Hooks {
    let (hands, count) = (hands.clone(), AtomicU64::new(0));
    let message = move |_: Message<'_>| {
        hands.advance(2_000);
        then(count.fetch_add(1, Ordering::Relaxed));
    };
    Hooks { on_message: Some(Arc::new(message)), ..logs.hooks() }
}

#[test]
fn a_busy_dispatcher_looks_at_the_clock_between_two_messages() {
    let (logs, hands) = (Logs::default(), Hands::default());
    let hooks = slow(&logs, &hands, |_| ());
    let delivery = sealed(|settings| settings.chain.checkpoint_ms = 10_000, hooks, &hands, None);
    record(&delivery, "id", Record::Closed);
    (0..10).for_each(|_| text(&delivery, b"one of many"));
    let dispatcher = dispatch(&delivery);
    logs.wait_for(3);
    finish(&delivery, dispatcher);
    assert_eq!(logs.checkpoints()[..2], expected(&[(1, "start"), (3, "time")]), "{:?}", logs.checkpoints());
    // The log began at 10:30:05.
    assert_eq!(logs.values()[2]["timestamp"], "2024-05-15T10:30:15.123Z");
    assert_eq!(logs.verify(false).verdict, Verdict::Intact);
}

#[test]
fn a_dispatcher_that_always_has_work_looks_at_the_clock_all_the_same() {
    let (logs, hands) = (Logs::default(), Hands::default());
    let me: Arc<Mutex<Option<Arc<Delivery>>>> = Arc::default();
    let (inside, (done, is_done)) = (Arc::clone(&me), std::sync::mpsc::channel());
    let again = move |count| {
        let delivery = inside.lock().unwrap().clone().unwrap();
        if count < 10 {
            text(&delivery, b"the next one");
        } else {
            done.send(()).unwrap();
        }
    };
    let hooks = slow(&logs, &hands, again);
    let delivery = sealed(|settings| settings.chain.checkpoint_ms = 10_000, hooks, &hands, None);
    *me.lock().unwrap() = Some(Arc::clone(&delivery));
    record(&delivery, "id", Record::Closed);
    text(&delivery, b"the first one");
    let dispatcher = dispatch(&delivery);
    is_done.recv_timeout(LONG).unwrap();
    finish(&delivery, dispatcher);
    *me.lock().unwrap() = None;
    assert_eq!(logs.checkpoints()[..2], expected(&[(1, "start"), (3, "time")]), "{:?}", logs.checkpoints());
    // The log began at 10:30:05.
    assert_eq!(logs.values()[2]["timestamp"], "2024-05-15T10:30:15.123Z");
}
