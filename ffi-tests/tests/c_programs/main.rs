//! The C programs of `ffi-tests/c`, each against a simulator with the script it needs. Both the program's verdict and
//! the simulator's record count; see `ffi_tests::cprog` for the variants.

mod callbacks;
mod calls;
mod delivery;
mod ends;
mod examples;
mod failures;
mod live;
mod source;
mod topics;

use std::time::Duration;

use ffi_tests::cprog::Variant;
use ffi_tests::sim::{Options, Pump, Sim};

/// Longest wait for the simulator's record.
const BOUND: Duration = Duration::from_secs(60);

/// An honest simulator.
fn honest(variant: Variant) -> Sim {
    Sim::start(variant.options())
}

/// A simulator that pumps numbered messages, every fifth one binary.
fn pumping(variant: Variant, every_ms: u64, limit: u64) -> Sim {
    Sim::start(with_pump(variant.options(), every_ms, limit))
}

/// A simulator that pumps, with tokens so short-lived that they are renewed about every `seconds` / 2.
fn renewing(variant: Variant, seconds: u64, every_ms: u64) -> Sim {
    let mut options = with_pump(variant.options(), every_ms, 0);
    options.token.lifetime = Duration::from_secs(seconds * u64::from(variant.slowness().min(5)));
    Sim::start(options)
}

fn with_pump(mut options: Options, every_ms: u64, limit: u64) -> Options {
    let every = Duration::from_millis(every_ms);
    options.ws.pump = Some(Pump { every, binary_every: 5, size: 0, limit });
    options
}
