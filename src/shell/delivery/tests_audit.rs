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
