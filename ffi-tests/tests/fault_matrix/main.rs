//! Every fault of a network and of a server, in every phase of a client's life, over real sockets.
//!
//! The matrix is data ([`table`]); each cell runs in a process of its own ([`runner`], [`cell`]), so that its threads
//! and its namespaces are its own, and ends in recovery or in the error it states. The table is printed.
//!
//! One cell by hand: `GWA_CELL="DNS hangs/steady" cargo test -p ffi-tests --test fault_matrix -- --ignored one_cell`.

mod bed;
mod cell;
mod clock;
mod rows;
mod runner;
mod seen;
mod table;
mod watch;

use cell::Scale;

/// Deadlines a twentieth of the real ones where a cell waits for one.
#[test]
fn every_fault_in_every_phase() {
    runner::run(Scale::Twentieth);
}

/// The same data with the deadlines a client has unless configured.
#[test]
#[ignore = "takes two minutes: the real deadlines"]
fn every_fault_in_every_phase_with_the_real_deadlines() {
    runner::run(Scale::Real);
}

/// What the runner starts; needs `GWA_CELL`.
#[test]
#[ignore = "one cell, started by the others"]
fn one_cell() {
    let Ok(name) = std::env::var("GWA_CELL") else {
        panic!("GWA_CELL names the cell, one of:\n{}", rows::names().join("\n"));
    };
    cell::run(&name, Scale::from_env());
}
