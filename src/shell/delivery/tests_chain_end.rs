//! How a run with a chain ends: only one whose records all came to their sinks was closed.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::tests::*;
use super::tests_chain::*;
use super::tests_poll::Fd;
use super::*;
use crate::audit::verify::{GapKind, Verdict};
use crate::audit::Record;
use crate::event::Event;
use crate::hooks::AuditView;

/// The directory of a chain's state, of one test. It goes with it.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(format!("ends-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A client whose chain goes on here.
    fn client(&self, change: impl FnOnce(&mut Settings), hooks: Hooks, fd: Option<Box<dyn EventFd>>) -> Arc<Delivery> {
        let change = |settings: &mut Settings| {
            self.settings(settings);
            change(settings);
        };
        sealed(change, hooks, &Hands::default(), fd)
    }

    /// K0 is given once.
    pub(super) fn settings(&self, settings: &mut Settings) {
        let kept = self.0.join("state");
        settings.chain.state = kept.display().to_string();
        if kept.exists() {
            settings.chain.key = None;
        }
    }

    /// A run that ends as it should; how the one before it ended, as it says.
    fn next_run(&self, logs: &Logs) -> String {
        let seen = logs.lines(false).len();
        let delivery = self.client(|_| (), logs.hooks(), None);
        let dispatcher = dispatch(&delivery);
        record(&delivery, "id", Record::Closed);
        finish(&delivery, dispatcher);
        logs.values()[seen]["metadata"]["run_before"].as_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Both logs are whole but for one gap, which says that the run before was not closed.
#[track_caller]
fn assert_declared(logs: &Logs) {
    for is_siem in [false, true] {
        let report = logs.verify(is_siem);
        let gaps: Vec<GapKind> = report.gaps.iter().map(|gap| gap.kind).collect();
        assert_eq!((report.verdict, gaps), (Verdict::DeclaredGap, vec![GapKind::Crashed]), "{is_siem} {report:?}");
    }
}

/// Hooks of which `on_audit` stays in record `at` until told, and says when it is there.
fn stalled(logs: &Logs, at: u64) -> (Hooks, std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<()>) {
    let ((entered, has_entered), (leave, may_leave)) = (channel(), channel());
    let (hooks, logs, may_leave) = (logs.hooks(), logs.clone(), Mutex::new(may_leave));
    let audit = move |view: AuditView<'_>| {
        if view.seq == at {
            entered.send(()).unwrap();
            may_leave.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        logs.add(false, view.json_with_nul);
        Ok(())
    };
    (Hooks { on_audit: Some(Arc::new(audit)), ..hooks }, has_entered, leave)
}

#[test]
fn an_abandoned_shutdown_is_not_a_closed_run() {
    for at in [1, 2, 5] {
        let (place, logs) = (Place::new(&format!("abandoned-{at}")), Logs::default());
        let (hooks, has_entered, leave) = stalled(&logs, at);
        let delivery = place.client(|_| (), hooks, None);
        let dispatcher = dispatch(&delivery);
        (0..40).for_each(|_| record(&delivery, "id", Record::Closed));
        has_entered.recv_timeout(LONG).unwrap();
        assert!(!delivery.close_by(Duration::ZERO), "the callback is still inside");
        leave.send(()).unwrap();
        dispatcher.join().unwrap();
        assert!(delivery.undelivered().audit > 30);
        drop(delivery);
        assert_eq!(place.next_run(&logs), "crashed", "record {at}");
        assert_declared(&logs);
    }
}

#[test]
fn the_last_record_without_its_siem_form_is_not_a_closed_run() {
    let (place, logs) = (Place::new("half"), Logs::default());
    // The checkpoint of the end is the one that on_audit has and on_siem has not.
    let (hooks, has_entered, leave) = stalled(&logs, 3);
    let delivery = place.client(|_| (), hooks, None);
    let dispatcher = dispatch(&delivery);
    record(&delivery, "id", Record::Closed);
    delivery.close();
    has_entered.recv_timeout(LONG).unwrap();
    delivery.abandon();
    leave.send(()).unwrap();
    dispatcher.join().unwrap();
    assert_eq!((logs.lines(false).len(), logs.lines(true).len()), (3, 2));
    drop(delivery);
    assert_eq!(place.next_run(&logs), "crashed");
    assert_declared(&logs);
}

#[test]
fn a_dispatcher_that_was_abandoned_leaves_the_siem_form_to_the_next() {
    let (place, logs) = (Place::new("resumed"), Logs::default());
    let (hooks, has_entered, leave) = stalled(&logs, 1);
    let delivery = place.client(|_| (), hooks, None);
    let dispatcher = dispatch(&delivery);
    record(&delivery, "id", Record::Closed);
    has_entered.recv_timeout(LONG).unwrap();
    // As after a connect that failed.
    assert!(!delivery.close_by(Duration::ZERO));
    leave.send(()).unwrap();
    dispatcher.join().unwrap();
    finish(&delivery, dispatch(&delivery));
    drop(delivery);
    assert_eq!(place.next_run(&logs), "closed");
    for is_siem in [false, true] {
        assert_eq!(logs.verify(is_siem).verdict, Verdict::Intact);
    }
}

#[test]
fn a_poll_queue_that_is_not_drained_is_not_a_closed_run() {
    // Up to a record, the first half of a checkpoint, the whole of it; of the last one; everything.
    for (polled, before) in [(3, "crashed"), (11, "crashed"), (12, "crashed"), (17, "crashed"), (18, "closed")] {
        let (place, logs) = (Place::new(&format!("polled-{polled}")), Logs::default());
        let poll = |settings: &mut Settings| settings.delivery = Mode::Poll;
        let delivery = place.client(poll, Hooks::default(), Some(Box::new(Fd::default())));
        delivery.begin();
        (0..6).for_each(|_| record(&delivery, "id", Record::Closed));
        delivery.close();
        for _ in 0..polled {
            match delivery.next_event(Some(Duration::ZERO), &|| false) {
                Ok(Some(Event::Audit { json_with_nul, siem, .. })) => logs.add(siem, &json_with_nul),
                other => panic!("{other:?}"),
            }
        }
        drop(delivery);
        assert_eq!(place.next_run(&logs), before, "{polled} polled");
        for is_siem in [false, true] {
            let verdict = logs.verify(is_siem).verdict;
            assert_eq!(verdict, if before == "closed" { Verdict::Intact } else { Verdict::DeclaredGap }, "{polled}");
        }
    }
}
