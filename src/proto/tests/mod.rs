//! The two machines in a simulated world: no clock, no thread, no sleep.
//!
//! * [`world`] drives both machines as their threads do, in simulated time, with delays between them;
//! * [`server`] is the token endpoint and the socket server; [`faults`] the reviewed list of what goes wrong;
//! * [`watch`] holds what must be true after every single step;
//! * [`stories`], [`wishes`] and [`renewals`] tell one rule each; [`random`] walks through days at random;
//! * [`mutants`] breaks every rule on purpose and asks whether anybody notices.

mod faults;
mod random;
mod server;
mod stories;
mod tokens;
mod watch;
mod world;

std::thread_local! {
    static MUTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether failures are expected on this thread.
fn is_muted() -> bool {
    MUTED.with(std::cell::Cell::get)
}
