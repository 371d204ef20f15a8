//! What a record of audit costs, and what memory ten million of them take.
//!
//!   cargo bench -p ffi-tests --bench audit                 both, some minutes with the build
//!   cargo bench -p ffi-tests --bench audit -- --quick      without the ten million
//!
//! The measurements are tests inside the library (`src/shell/delivery/tests_bench.rs`), for what they push is no part of
//! its API: they are built optimised, without LTO, in `target/walks`, where the long walks are built too. The table is
//! also written as JSON, to `target/tmp/bench/audit.json`. Times are noise on a busy machine: read the ratios.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{json, Value};

/// The work that cannot be spared: what the others are multiples of.
const FLOOR: &str = "floor: text and copy";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Run by anything but `cargo bench`, as in `cargo test --benches`, it has nothing to test.
    if !args.iter().any(|arg| arg == "--bench") {
        return println!("run by `cargo bench -p ffi-tests --bench audit`");
    }
    let start = Instant::now();
    let costs = run("audit_costs");
    let memory = if args.iter().any(|arg| arg == "--quick") { Vec::new() } else { run("audit_memory") };
    print_costs(&costs);
    print_memory(&memory);
    println!("\nratio: as multiples of the floor, in the same run. {:.0} s.", start.elapsed().as_secs_f64());
    let out = root().join("target/tmp/bench");
    std::fs::create_dir_all(&out).expect("a directory under target");
    let whole = json!({"costs": costs, "memory": memory});
    std::fs::write(out.join("audit.json"), format!("{whole:#}\n")).expect("the table is written");
    println!("{}", out.join("audit.json").display());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member of the workspace").to_owned()
}

/// Runs one of the library's measurements: its lines.
fn run(test: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "test",
        "--release",
        "--target-dir",
        "target/walks",
        "-p",
        "genesys-ws-auth",
        "--lib",
        "--quiet",
        "--",
    ]);
    command.args(["--ignored", "--nocapture", "--exact", &format!("shell::delivery::tests_bench::{test}")]);
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("cargo runs");
    let mut lines = Vec::new();
    for line in BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok) {
        match line.strip_prefix("BENCH ") {
            Some(json) => lines.push(serde_json::from_str(json).expect("a line of a measurement")),
            None => eprintln!("{line}"),
        }
    }
    let status = child.wait().expect("it ends");
    assert!(status.success() && !lines.is_empty(), "{test}: {status}, {} measurements", lines.len());
    lines
}

fn print_costs(costs: &[Value]) {
    let ns = |row: &Value| row["ns"].as_f64().expect("a time");
    let floor = costs.iter().find(|row| row["measure"] == FLOOR).map(ns).expect("the floor was measured");
    println!("\n| one record, end to end | ns | records/s | ratio |\n|---|---:|---:|---:|");
    for row in costs {
        let (name, ns) = (row["measure"].as_str().expect("a name"), ns(row));
        println!("| {name} | {ns:.0} | {:.0} | {:.2} |", 1e9 / ns, ns / floor);
    }
}

fn print_memory(memory: &[Value]) {
    if memory.is_empty() {
        return;
    }
    println!("\n| records delivered to both sinks | resident, KiB |\n|---:|---:|");
    for row in memory {
        println!("| {} | {} |", row["records"], row["resident_kib"]);
    }
}
