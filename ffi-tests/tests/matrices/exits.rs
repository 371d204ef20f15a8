//! The end of the process, however it comes. Unloading a plugin and the shared library is in `packaging/plugin.rs`.

use std::time::Duration;

use ffi_tests::cprog::{each, Program, Variant};

use crate::races::BlackHole;
use crate::{renewing, say};

const WAYS: [&str; 8] = ["return", "exit", "quick_exit", "_Exit", "thread", "atexit", "at_quick_exit", "static"];

/// Under the tools in one delivery: they see the same in all of them.
fn deliveries(variant: Variant) -> &'static [&'static str] {
    match variant {
        Variant::Plain => &["callbacks", "inline", "poll"],
        Variant::Valgrind | Variant::Asan | Variant::Tsan => &["callbacks"],
    }
}

fn exits(place: &str) {
    let hole = BlackHole::new();
    each("exit_matrix", |variant| {
        let mut count = 0;
        for delivery in deliveries(variant) {
            for how in WAYS {
                let sim = renewing(variant);
                let program = Program::new("exit_matrix", variant).against(&sim).set("delivery", delivery);
                let mut program = program.arg(how).arg(delivery).arg(place);
                if place == "dialling" {
                    program = program.env("GWA_TOKEN_URL", format!("https://{}/oauth/token", hole.address()));
                }
                // What was alive at an abrupt end is no leak.
                let program = program.env("ASAN_OPTIONS", "detect_leaks=0:exitcode=99");
                let run = program.limit(Duration::from_secs(60) * variant.slowness()).run().passed();
                let handled = ["atexit", "at_quick_exit", "static"].contains(&how);
                assert_eq!(run.number("there"), 1);
                assert_eq!(run.stdout.contains("ended_in_handler=1"), handled, "{how}, {delivery}, {place}");
                count += 1;
            }
        }
        say(&format!("exit: {count} ways × deliveries, {place}, {}", variant.name()));
    });
}

#[test]
fn while_live() {
    exits("live");
}

#[test]
fn while_dialling_what_never_answers() {
    exits("dialling");
}
