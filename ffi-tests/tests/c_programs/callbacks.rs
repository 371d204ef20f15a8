//! Callbacks that are taken away, threads that say when they begin and end, what becomes of panics and exceptions.

use ffi_tests::cprog::{each, Program};
use ffi_tests::sim::Rotation;

use crate::pumping;

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
