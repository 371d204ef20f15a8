//! The matrices of the C ABI, executed: functions × callbacks, NULL and stale handles. What every cell has to give is in
//! `matrix/functions.txt`; see `ffi_tests::matrix`.
//!
//! After a change of the matrix: `cargo test -p ffi-tests --test matrices -- --ignored regenerate`.

mod exits;
mod functions;
mod races;
mod signals;
mod tsan;

use std::io::{self, Write as _};
use std::time::Duration;

use ffi_tests::cprog::{Program, Variant};
use ffi_tests::matrix;
use ffi_tests::sim::{Action, Options, Plan, Pump, Rotation, Sim, Trigger};

/// Messages all the time, tokens that live for seconds and come with refresh tokens to be stored; the first socket is
/// dropped.
fn lively(variant: Variant) -> Sim {
    let mut options = Options { ..variant.options() };
    options.ws.pump = Some(Pump { every: Duration::from_millis(20), binary_every: 5, size: 0, limit: 0 });
    options.token.lifetime = Duration::from_secs(2 * u64::from(variant.slowness().min(5)));
    options.token.rotation = Rotation::KeepOld;
    let sim = Sim::start(options);
    sim.ws().plan(0, Plan::new().on(Trigger::Messages(10), [Action::Drop]));
    sim
}

/// A program that includes the calls of all functions.
fn program<'a>(name: &str, variant: Variant, sim: &'a Sim) -> Program<'a> {
    ffi_tests::cprog::generate("functions.inc", &matrix::functions_inc(&matrix::rows()));
    Program::new(name, variant).against(sim).limit(Duration::from_secs(300) * variant.slowness().min(4))
}

/// Messages, and tokens renewed every second or so.
fn renewing(variant: Variant) -> Sim {
    let mut options = variant.options();
    options.ws.pump = Some(Pump { every: Duration::from_millis(20), binary_every: 5, size: 0, limit: 0 });
    options.token.lifetime = Duration::from_secs(2 * u64::from(variant.slowness().min(5)));
    Sim::start(options)
}

/// Prints what was measured; shown also when the test passes.
fn say(text: &str) {
    writeln!(io::stderr(), "{text}").expect("stderr");
}
