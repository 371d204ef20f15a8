//! The cases of `ffi-tests/cpp`, in the oldest and the newest standard, with and without exceptions; the oldest also under
//! AddressSanitizer and valgrind, as the C programs are.

use std::time::Duration;

use ffi_tests::cprog::{each, Variant};
use ffi_tests::cxx::{Build, Compiler, Mode};
use ffi_tests::sim::{Pump, Rotation, Sim};

/// Compilers, standards and modes that are run, not only compiled; the first one in each variant.
fn builds() -> [Build; 4] {
    [
        Build { is_mixed: true, ..Build::new(Compiler::Gcc, "c++11", Mode::Throwing) },
        Build::new(Compiler::Gcc, "c++11", Mode::None),
        Build::new(Compiler::Clang, "c++2b", Mode::Throwing),
        Build::new(Compiler::Clang, "c++2b", Mode::None),
    ]
}

/// Runs a case in each build that fits, and the first build in each variant.
fn run(case: &str, fits: impl Fn(Mode) -> bool, renewing: bool, sets: &[(&str, &str)]) {
    run_and_look(case, fits, renewing, sets, |_| ());
}

/// The same, with a look at the simulator after each run.
fn run_and_look(case: &str, fits: impl Fn(Mode) -> bool, renewing: bool, sets: &[(&str, &str)], look: impl Fn(&Sim)) {
    let builds = builds();
    each(case, |variant| {
        let builds = builds.iter().filter(|build| fits(build.mode));
        for build in builds.take(if variant == Variant::Plain { usize::MAX } else { 1 }) {
            if build.is_possible() {
                let sim = sim(variant, renewing);
                let program = build.case(case, variant).against(&sim);
                sets.iter().fold(program, |program, (key, value)| program.set(key, value)).run().passed();
                look(&sim);
            }
        }
    });
}

/// Pumps numbered messages, every fifth one binary; rotates refresh tokens.
fn sim(variant: Variant, renewing: bool) -> Sim {
    let mut options = variant.options();
    options.ws.pump = Some(Pump { every: Duration::from_millis(5), binary_every: 5, size: 0, limit: 0 });
    if renewing {
        options.token.lifetime = Duration::from_secs(5) * variant.slowness().min(5);
    }
    let sim = Sim::start(options);
    sim.channels().reject("v2.refused.", "no permission", &["routing:queue:view"]);
    sim.token().policy(|policy| policy.rotation = Rotation::KeepOld);
    sim
}

#[test]
fn every_item() {
    run("every_item", |_| true, false, &[]);
}

#[test]
fn releases() {
    run("releases", |_| true, false, &[]);
}

#[test]
fn lifecycle() {
    run("lifecycle", |_| true, false, &[("token.persist_timeout_ms", "50")]);
}

#[test]
fn poll_mode() {
    run("poll_mode", |_| true, false, &[("token.persist_timeout_ms", "50")]);
}

#[test]
fn topics() {
    run("topics", |_| true, false, &[]);
}

#[test]
fn freed_in_callback() {
    run("freed_in_callback", |_| true, false, &[]);
}

#[test]
fn two_clients() {
    run_and_look(
        "two_clients",
        |_| true,
        false,
        &[],
        |sim| {
            assert_eq!((sim.record().token_requests(), sim.record().ws_connects()), (1, 2), "one token for both");
        },
    );
}

#[test]
fn questions() {
    run("questions", |_| true, true, &[("token.persist_timeout_ms", "60000")]);
}

#[test]
fn callback_exceptions() {
    run("callback_exceptions", |mode| mode != Mode::None, true, &[]);
}

#[test]
fn exceptions() {
    run("exceptions", |mode| mode == Mode::Throwing, false, &[]);
}

/// What the wrapper is for: through the C functions alone an exception ends the process.
#[test]
fn raw_exceptions() {
    run("raw_exceptions", |mode| mode != Mode::None, false, &[]);
}
