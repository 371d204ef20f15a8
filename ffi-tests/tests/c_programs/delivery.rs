//! Who calls, in which order, and what is counted.

use ffi_tests::cprog::{each, Program};

use crate::{honest, pumping, renewing, BOUND};

#[test]
fn audit_records_keep_their_order() {
    each("audit_order", |variant| {
        let sim = honest(variant);
        let run = Program::new("audit_order", variant).against(&sim).run().passed();
        assert_eq!(
            run.stdout.lines().filter(|line| line.contains("\"phase\":\"renewal\"")).count(),
            2,
            "audit and SIEM"
        );
        assert_eq!(sim.record().reauths(), 1);
    });
}

#[test]
fn what_is_lost_is_told_to_both_sinks() {
    for (policy, delivery) in [
        ("drop_oldest", "callbacks"),
        ("drop_newest", "callbacks"),
        ("block", "callbacks"),
        ("block", "inline"),
        ("drop_oldest", "poll"),
        ("drop_newest", "poll"),
    ] {
        each("audit_overflow", |variant| {
            let sim = renewing(variant, 4, 100);
            let program = Program::new("audit_overflow", variant).against(&sim).arg(delivery);
            let program = program.set("delivery", delivery).set("audit.policy", policy).set("audit.queue_records", 2);
            let run = program.run().passed();
            assert!(run.number("records") > run.number("lost") && run.number("lost") >= 3, "{policy}, {delivery}");
        });
    }
}

#[test]
fn inline_delivery() {
    each("inline_mode", |variant| {
        let sim = pumping(variant, 10, 0);
        let run = Program::new("inline_mode", variant).against(&sim).run().passed();
        assert!(run.number("received") <= sim.record().read(|log| log.messages_sent()));
    });
}

#[test]
fn poll_delivery() {
    each("poll_mode", |variant| {
        let sim = pumping(variant, 10, 0);
        Program::new("poll_mode", variant).against(&sim).run().passed();
        assert!(sim.record().wait_until(BOUND, |log| log.received_total == 1));
    });
}

#[test]
fn poll_delivery_ends_with_the_client() {
    // The callback ends when it likes, the deadline is beyond it; or it outlasts any deadline.
    for (how, free_ms) in [("waits", 25_000), ("defers", 500)] {
        each("poll_free", |variant| {
            let sim = pumping(variant, 10, 0);
            let program = Program::new("poll_free", variant).against(&sim).arg(how).set("delivery", "poll");
            program.set("free.timeout_ms", free_ms).run().passed();
        });
    }
}

#[test]
fn a_hook_that_fails_harms_nothing() {
    each("failing_hook", |variant| {
        let sim = honest(variant);
        let run = Program::new("failing_hook", variant).against(&sim).run().passed();
        assert!(run.stderr.contains("on_audit failed"), "{}", run.stderr);
    });
}
