//! Delivery of audit records: order, losses, hooks that fail, waiting for the sinks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use super::tests::*;
use super::*;
use crate::audit::{Outcome, Record};
use crate::config::settings::AuditPolicy;
use crate::error::{Code, Error, Stage};
use crate::hooks::{AuditView, HookFailed, Message};

#[test]
fn records_go_first_each_to_audit_then_siem_and_scopes_to_audit_alone() {
    let (hooks, calls) = recorder();
    let delivery = delivery(|_| (), hooks);
    text(&delivery, b"x");
    record(&delivery, "a", scopes());
    record(&delivery, "b", attempt(Outcome::Success { scopes: vec![] }));
    let dispatcher = dispatch(&delivery);
    finish(&delivery, dispatcher);
    let expected =
        ["audit:1:scope_validation", "audit:2:authentication_attempt", "siem:2:authentication_attempt", "m:x\0"];
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[test]
fn every_siem_event_names_the_one_before_it() {
    let (send, events) = channel();
    let hook = move |view: AuditView<'_>| {
        let json = view.json_with_nul.strip_suffix('\0').unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        send.send((value["prev_seq"].as_u64().unwrap(), view.seq)).unwrap();
        Ok(())
    };
    let delivery = delivery(|_| (), Hooks { on_siem: Some(Arc::new(hook)), ..Hooks::default() });
    record(&delivery, "1", scopes());
    record(&delivery, "2", Record::Closed);
    record(&delivery, "3", scopes());
    record(&delivery, "4", Record::Closed);
    let dispatcher = dispatch(&delivery);
    finish(&delivery, dispatcher);
    assert_eq!(events.try_iter().collect::<Vec<_>>(), [(0, 2), (2, 4)]);
}

#[test]
fn both_drop_policies_mark_what_they_lose() {
    for (policy, expected) in [
        (AuditPolicy::DropOldest, ["audit:3:audit_loss", "audit:4:client_closed", "audit:5:client_closed"]),
        (AuditPolicy::DropNewest, ["audit:1:client_closed", "audit:2:client_closed", "audit:5:audit_loss"]),
    ] {
        let (mut hooks, calls) = recorder();
        hooks.on_siem = None;
        let change = |settings: &mut Settings| {
            settings.audit_policy = policy;
            settings.audit_queue_records = 2;
        };
        let delivery = delivery(change, hooks);
        (0..5).for_each(|id| record(&delivery, &id.to_string(), Record::Closed));
        assert_eq!((delivery.metrics().audit_records, delivery.metrics().audit_lost), (5, 3));
        let dispatcher = dispatch(&delivery);
        finish(&delivery, dispatcher);
        assert_eq!(*calls.lock().unwrap(), expected);
    }
}

#[test]
fn block_waits_for_room_and_a_callback_never_does() {
    let (entered, has_entered) = channel();
    let (leave, may_leave) = channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let me: Arc<Mutex<Option<Arc<Delivery>>>> = Arc::default();
    let inside = me.clone();
    let hook = move |view: AuditView<'_>| {
        if view.seq == 1 {
            entered.send(()).unwrap();
            may_leave.lock().unwrap().recv_timeout(LONG).unwrap();
            // The queue holds one record and takes one: here it must drop at once.
            record(inside.lock().unwrap().as_ref().unwrap(), "3", Record::Closed);
        }
        Ok(())
    };
    let change = |settings: &mut Settings| {
        settings.audit_policy = AuditPolicy::Block;
        settings.audit_queue_records = 1;
    };
    let delivery = delivery(change, Hooks { on_audit: Some(Arc::new(hook)), ..Hooks::default() });
    *me.lock().unwrap() = Some(delivery.clone());
    let dispatcher = dispatch(&delivery);
    record(&delivery, "1", Record::Closed);
    has_entered.recv_timeout(LONG).unwrap();
    record(&delivery, "2", Record::Closed);
    let blocked = delivery.clone();
    let producer = std::thread::spawn(move || record(&blocked, "4", Record::Closed));
    leave.send(()).unwrap();
    producer.join().unwrap();
    finish(&delivery, dispatcher);
    assert_eq!((delivery.metrics().audit_records, delivery.metrics().audit_lost), (4, 1));
    me.lock().unwrap().take();
}

#[test]
fn a_failing_or_panicking_hook_is_counted_logged_and_harmless() {
    let (mut hooks, calls) = recorder();
    hooks.on_audit = Some(Arc::new(|_: AuditView<'_>| Err(HookFailed)));
    hooks.on_message = Some(Arc::new(|_: Message<'_>| std::panic::panic_any("on purpose")));
    let delivery = delivery(|_| (), hooks);
    record(&delivery, "1", Record::Closed);
    text(&delivery, b"x");
    delivery.push_notice(sent(1));
    let dispatcher = dispatch(&delivery);
    finish(&delivery, dispatcher);
    let expected = [
        "siem:1:client_closed",
        "log:1:delivery:on_audit failed for record 1",
        "log:2:delivery:on_message panicked",
        "sent:1",
    ];
    assert_eq!(*calls.lock().unwrap(), expected);
    assert_eq!(delivery.metrics().hook_failures, 2);
}

#[test]
fn without_hooks_records_are_counted_and_nothing_waits() {
    let delivery = delivery(|_| (), Hooks::default());
    let dispatcher = dispatch(&delivery);
    record(&delivery, "1", attempt(Outcome::Failure(Error::new(Code::Dns, Stage::Resolve, ""))));
    text(&delivery, b"x");
    delivery.log(1, "test", format_args!("{Unprintable}"));
    assert!(delivery.flush_audit(LONG));
    finish(&delivery, dispatcher);
    let metrics = delivery.metrics();
    assert_eq!((metrics.failure_count, metrics.request_count, metrics.audit_records), (1, 1, 1));
    assert!(!delivery.has_on_ask());
}

/// Shows that text is not made when nobody wants it.
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("text was made for nobody");
    }
}

#[test]
fn flush_waits_for_the_hooks_but_not_inside_one() {
    let me: Arc<Mutex<Option<Arc<Delivery>>>> = Arc::default();
    let inside = me.clone();
    let seen = Arc::new(AtomicU64::new(0));
    let last = seen.clone();
    let hook = move |view: AuditView<'_>| {
        let delivery = inside.lock().unwrap().clone().unwrap();
        assert!(delivery.is_dispatch_thread());
        assert!(!delivery.flush_audit(LONG), "would wait for itself");
        last.store(view.seq, Ordering::SeqCst);
        Ok(())
    };
    let delivery = delivery(|_| (), Hooks { on_audit: Some(Arc::new(hook)), ..Hooks::default() });
    *me.lock().unwrap() = Some(delivery.clone());
    assert!(delivery.flush_audit(LONG), "nothing to wait for");
    let dispatcher = dispatch(&delivery);
    for seq in 1..=100 {
        record(&delivery, "", Record::Closed);
        assert!(delivery.flush_audit(LONG));
        assert_eq!(seen.load(Ordering::SeqCst), seq);
    }
    assert!(!delivery.is_dispatch_thread());
    finish(&delivery, dispatcher);
    assert_eq!(delivery.metrics().hook_failures, 0);
    me.lock().unwrap().take();
}

#[test]
fn a_delivery_that_was_closed_begins_again_with_the_next_number() {
    let (hooks, calls) = recorder();
    let delivery = delivery(|_| (), hooks);
    for _ in 0..2 {
        let dispatcher = dispatch(&delivery);
        record(&delivery, "", scopes());
        finish(&delivery, dispatcher);
    }
    assert_eq!(*calls.lock().unwrap(), ["audit:1:scope_validation", "audit:2:scope_validation"]);
}

/// What a sink was given: the first and last number of a record or loss, and for `on_siem` the number before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Given {
    first: u64,
    last: u64,
    is_loss: bool,
    is_scopes: bool,
    prev_seq: Option<u64>,
}

impl Given {
    fn new(view: AuditView<'_>) -> Self {
        let json: serde_json::Value = serde_json::from_str(view.json_with_nul.strip_suffix('\0').unwrap()).unwrap();
        let first = json["first_lost"].as_u64().unwrap_or(view.seq);
        let is_loss = view.kind == "audit_loss";
        assert_eq!(is_loss, !json["first_lost"].is_null());
        assert!(!is_loss || json["count"] == view.seq - first + 1 && json["last_lost"] == view.seq);
        let (is_scopes, prev_seq) = (view.kind == "scope_validation", json["prev_seq"].as_u64());
        Self { first, last: view.seq, is_loss, is_scopes, prev_seq }
    }

    fn numbers(self) -> std::ops::RangeInclusive<u64> {
        self.first..=self.last
    }
}

/// Hooks that write down what both sinks are given.
fn sinks() -> (Hooks, Arc<Mutex<Vec<Given>>>, Arc<Mutex<Vec<Given>>>) {
    let (audit, siem) = (Arc::<Mutex<Vec<Given>>>::default(), Arc::<Mutex<Vec<Given>>>::default());
    let (to_audit, to_siem) = (audit.clone(), siem.clone());
    let hooks = Hooks {
        on_audit: Some(Arc::new(move |view: AuditView<'_>| {
            to_audit.lock().unwrap().push(Given::new(view));
            Ok(())
        })),
        on_siem: Some(Arc::new(move |view: AuditView<'_>| {
            to_siem.lock().unwrap().push(Given::new(view));
            Ok(())
        })),
        ..Hooks::default()
    };
    (hooks, audit, siem)
}

/// Every hole that a sink sees is covered by a marker that it was given; what is no loss, by `on_audit` and `prev_seq`.
fn assert_covered(audit: &[Given], siem: &[Given], made: u64, what: &str) {
    let covered: Vec<u64> = audit.iter().flat_map(|given| given.numbers()).collect();
    assert_eq!(covered, (1..=made).collect::<Vec<_>>(), "on_audit, {what}");
    let scopes: Vec<u64> = audit.iter().filter(|given| given.is_scopes).map(|given| given.last).collect();
    let mut expected = 1;
    let mut prev_seq = 0;
    for given in siem {
        assert_eq!(given.prev_seq, Some(prev_seq), "{what}");
        assert!((expected..given.first).all(|hole| scopes.contains(&hole)), "{expected} to {given:?}, {what}");
        assert!(!given.is_scopes);
        (prev_seq, expected) = (given.last, given.last + 1);
    }
    assert!((expected..=made).all(|hole| scopes.contains(&hole)), "the end, {what}");
    let losses = |given: &[Given]| -> Vec<_> {
        given.iter().filter(|given| given.is_loss).map(|given| (given.first, given.last)).collect()
    };
    assert_eq!(losses(audit), losses(siem), "both are told of the same losses, {what}");
}

#[test]
fn every_hole_of_both_sinks_is_covered_under_every_policy() {
    let mut lost = 0;
    for policy in [AuditPolicy::DropOldest, AuditPolicy::DropNewest, AuditPolicy::Block] {
        for (capacity, seed) in (1..=4).flat_map(|capacity| (0..50_u64).map(move |seed| (capacity, seed))) {
            let (hooks, audit, siem) = sinks();
            let change = |settings: &mut Settings| {
                settings.audit_policy = policy;
                settings.audit_queue_records = capacity;
            };
            let delivery = delivery(change, hooks);
            // A burst that nobody takes, a drain, and again: what is a scope record and how many come differs by seed.
            let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            for _ in 0..6 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                for bit in 0..dice % 9 {
                    let made = if dice >> (16 + bit) & 1 == 0 { scopes() } else { Record::Closed };
                    record(&delivery, "", made);
                }
                let dispatcher = dispatch(&delivery);
                finish(&delivery, dispatcher);
            }
            let metrics = delivery.metrics();
            let what = format!("{policy:?}, {capacity} records, seed {seed}");
            assert_covered(&audit.lock().unwrap(), &siem.lock().unwrap(), metrics.audit_records, &what);
            assert_eq!(metrics.hook_failures, 0, "{what}");
            lost += metrics.audit_lost;
        }
    }
    assert!(lost > 1_000, "{lost}");
}
