//! Ten thousand of the library's own machines behind one credential lose their server at one instant, in simulated time.
//!
//!   cargo bench -p ffi-tests --bench fleet                 every variant with 10,000 clients
//!   cargo bench -p ffi-tests --bench fleet -- --quick      with 1,000 clients and a tenth of the rate limit
//!   cargo bench -p ffi-tests --bench fleet -- --seed 2     with other dice
//!
//! What is simulated is in `src/proto/tests/fleet`; a tenth of the fleet is held to the same goals by `cargo test`.
//! Nothing here depends on the machine it runs on: the dice are seeded, and time is counted, not measured.

#[path = "../../../src/proto/tests/fleet/mod.rs"]
mod fleet;
mod table;

use std::time::Instant;

use genesys_ws_auth as library;

use fleet::plan::{self, Plan};
use fleet::report::Report;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Run by anything but `cargo bench`, as in `cargo test --benches`, it has nothing to test.
    if !args.iter().any(|arg| arg == "--bench") {
        return println!("run by `cargo bench -p ffi-tests --bench fleet`");
    }
    let is_quick = args.iter().any(|arg| arg == "--quick");
    let start = Instant::now();
    let seed = args.iter().skip_while(|arg| *arg != "--seed").nth(1);
    let seed = seed.map_or(1, |seed| seed.parse().expect("a number after --seed"));
    let run = |plans| run(plans, is_quick, seed);
    table::tokens(&run(plan::tokens()));
    table::sockets(&run(plan::sockets()));
    table::strikes(&run(plan::strikes()));
    println!("\n{:.0} s.", start.elapsed().as_secs_f64());
}

fn run(plans: Vec<Plan>, is_quick: bool, seed: u64) -> Vec<(Plan, Report)> {
    let seeded = plans.into_iter().map(|plan| plan.seeded(seed));
    let sized = seeded.map(|plan| if is_quick { plan.tenth() } else { plan });
    sized.map(|plan| (plan.clone(), fleet::run::run(&plan))).collect()
}
