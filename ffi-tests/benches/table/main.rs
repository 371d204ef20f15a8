//! The benchmark table: the library through its C ABI, beside a floor and the obvious way, in one run.
//!
//!   cargo bench -p ffi-tests                 everything, some minutes
//!   cargo bench -p ffi-tests -- --quick      what needs neither valgrind nor strace nor a minute of idling
//!   cargo bench -p ffi-tests -- --further    only the memory of a further client
//!
//! `GWA_BENCH_ROOT` names another checkout whose library is measured instead. The table is also written as JSON, to
//! `target/tmp/bench/table.json`. CPU times are noise on a busy machine: read their ratios, and rather the instructions.

mod counts;
mod ends;
mod job;
mod measure;
mod peer;
mod program;
mod proxy;
mod server;
mod table;

use std::fs;
use std::time::Instant;

use measure::Bench;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--serve") {
        return server::run();
    }
    // Run by anything but `cargo bench`, as in `cargo test --benches`, it has nothing to test.
    if !args.iter().any(|arg| arg == "--bench") {
        return println!("run by `cargo bench -p ffi-tests`");
    }
    let is_quick = args.iter().any(|arg| arg == "--quick");
    let bench = Bench::start(is_quick);
    let start = Instant::now();
    let only_further = args.iter().any(|arg| arg == "--further");
    let (rows, skipped) = if only_further { bench.further() } else { bench.run() };
    println!();
    table::print(&rows);
    println!(
        "\nratio: inline and dispatched as multiples of the floor, in the same run. {:.0} s.",
        start.elapsed().as_secs_f64()
    );
    for what in &skipped {
        println!("SKIPPED: {what}");
    }
    if !skipped.is_empty() {
        println!("{} measures were skipped.", skipped.len());
    }
    let file = bench.paths.out.join("table.json");
    fs::write(&file, format!("{:#}\n", table::to_json(&rows, &skipped))).expect("the table is written");
    println!("{}", file.display());
}
