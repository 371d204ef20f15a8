//! Callbacks that are taken away, threads that say when they begin and end, what becomes of panics and exceptions.

use ffi_tests::cprog::{each, Program, Variant};
use ffi_tests::sim::{Rotation, TokenReply};

use crate::pumping;

/// `thread.stack_bytes` takes no less.
const LEAST_STACK: usize = 128 << 10;

const DELIVERIES: [&str; 3] = ["callbacks", "inline", "poll"];

/// A program that takes callbacks away, in every mode of delivery.
fn unregister(what: &str) {
    for delivery in DELIVERIES {
        each("unregister", |variant| {
            let sim = pumping(variant, 5, 0);
            sim.token().policy(|policy| policy.rotation = Rotation::KeepOld);
            let program = Program::new("unregister", variant).against(&sim).arg(what).arg(delivery);
            let rounds = if variant.slowness() > 2 { 5 } else { 40 };
            program.set("delivery", delivery).env("GWA_TEST_COUNT", rounds).run().passed();
        });
    }
}

#[test]
fn each_callback_is_taken_away_by_another_thread() {
    unregister("threads");
}

#[test]
fn each_callback_takes_itself_away() {
    unregister("inside");
}

#[test]
fn all_are_taken_away_under_a_mutex_that_they_take() {
    unregister("mutex");
}

#[test]
fn before_the_start_and_after_the_shutdown() {
    unregister("before");
}

#[test]
fn while_the_client_is_freed() {
    unregister("race");
}

#[test]
fn what_others_have_is_released_with_the_last_of_them() {
    unregister("shared");
}

/// A program whose threads say when they begin and end; the client ends like this.
fn threads(delivery: &str, end: &str, stack: usize) {
    each("thread_hooks", |variant| {
        let sim = pumping(variant, 5, 0);
        let program = Program::new("thread_hooks", variant).against(&sim).arg(delivery).arg(end);
        let program = program.set("delivery", delivery).set("token.attempts", 1).set("thread.stack_bytes", stack);
        let program = program.env("GWA_TEST_STACK", stack);
        if end == "fails" {
            sim.token().then(TokenReply::NotJson);
        }
        program.run().passed();
    });
}

#[test]
fn threads_tell_their_beginning_and_their_end() {
    for delivery in DELIVERIES {
        for end in ["shutdown", "fails"] {
            threads(delivery, end, 0);
        }
    }
    for delivery in ["callbacks", "inline"] {
        threads(delivery, "free", 0);
    }
}

/// The least stack that may be configured carries token requests, TLS handshakes and callbacks.
#[test]
fn threads_live_on_the_least_stack() {
    for delivery in DELIVERIES {
        threads(delivery, "shutdown", LEAST_STACK);
    }
}

/// What the application destroys at the end of a thread may block, or free the client.
#[test]
fn a_thread_may_be_long_in_ending() {
    for (thread, end) in [
        ("gwa-refresh", "free"),
        ("gwa-socket", "free"),
        ("gwa-dispatch", "free"),
        ("gwa-refresh", "shutdown"),
        ("gwa-socket", "shutdown"),
        ("gwa-refresh", "inside"),
        ("gwa-socket", "inside"),
        ("gwa-dispatch", "inside"),
    ] {
        each("thread_exit", |variant| {
            let sim = pumping(variant, 5, 0);
            let program = Program::new("thread_exit", variant).against(&sim).arg(thread).arg(end);
            program.set("free.timeout_ms", if end == "free" { 500 } else { 30_000 }).run().passed();
        });
    }
}

#[test]
fn a_start_that_fails_while_on_thread_runs_is_waited_for() {
    for (end, stacks) in [("free", "1"), ("shutdown", "1"), ("free", "2"), ("shutdown", "2")] {
        each("start_fails", |variant| {
            if variant != Variant::Plain {
                // What it limits, address space, they take for themselves.
                return;
            }
            let sim = pumping(variant, 5, 0);
            let program = Program::new("start_fails", variant).against(&sim).arg(end).arg(stacks);
            program.set("thread.stack_bytes", 1 << 30).set("free.timeout_ms", 500).run().passed();
        });
    }
}

#[test]
fn a_panic_is_told_with_its_place() {
    for (thread, times) in [
        ("gwa-refresh", "once"),
        ("gwa-refresh", "always"),
        ("gwa-socket", "once"),
        ("gwa-socket", "always"),
        ("main", "once"),
    ] {
        each("panic_place", |variant| {
            let sim = pumping(variant, 5, 0);
            let run = Program::new("panic_place", variant).against(&sim).arg(thread).arg(times).run().passed();
            assert!(!run.stderr.contains("panicked at"), "nothing is printed: {}", run.stderr);
            assert!(!run.stderr.contains("RUST_BACKTRACE"), "{}", run.stderr);
        });
    }
}
