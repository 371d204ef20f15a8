//! Runs the cells side by side, each in a process of its own, and prints the table.

use std::collections::VecDeque;
use std::env;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{mpsc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ffi_tests::{netns, shim};

use crate::cell::Scale;
use crate::clock;
use crate::rows::{find, Cell, Expect, Fault, Phase, Row, Way};
use crate::table::rows;

/// Cells at a time: they wait more than they work.
const AT_ONCE: usize = 8;

/// What became of a cell.
enum Outcome {
    Passed(u64),
    Failed(String),
    Skipped,
}

struct Job {
    row: usize,
    phase: usize,
    name: String,
}

/// Runs every cell.
///
/// # Panics
///
/// If one does not end as it states; with its whole story.
pub fn run(scale: Scale) {
    let start = Instant::now();
    let rows = rows();
    let mut outcomes: Vec<[Option<Outcome>; 4]> = rows.iter().map(|_| Default::default()).collect();
    let queue = Mutex::new(jobs(&rows, &mut outcomes));
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                while let Some(job) = next(queue) {
                    let outcome = start_cell(&job.name, scale);
                    let _ = sender.send((job, outcome));
                }
            });
        }
        drop(sender);
        for (job, outcome) in results {
            outcomes[job.row][job.phase] = Some(outcome);
        }
    });
    let table = table(&rows, &outcomes, scale, start.elapsed());
    // Past the capture of the test runner.
    let _ = io::stdout().write_all(table.as_bytes());
    let _ = std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/fault-matrix.txt"), &table);
    let failures: Vec<String> = stories(&rows, &outcomes);
    assert!(failures.is_empty(), "{} cells failed:\n{}", failures.len(), failures.join("\n"));
}

fn next(queue: &Mutex<VecDeque<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// The cells that can run here, the longest ones first; what cannot is skipped loudly, or fails where nothing may be.
fn jobs(rows: &[Row], outcomes: &mut [[Option<Outcome>; 4]]) -> VecDeque<Job> {
    let missing = netns::missing();
    let mut jobs = VecDeque::new();
    let mut skipped = 0;
    for (at, row) in rows.iter().enumerate() {
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            let name = format!("{}/{}", row.name, phase.name());
            let job = Job { row: at, phase: number, name };
            if missing.is_some() && row.way != Way::Relay {
                outcomes[at][number] = Some(Outcome::Skipped);
                skipped += 1;
            } else if matches!(row.cells[number].fault, Fault::TokenOutage) {
                jobs.push_front(job);
            } else {
                jobs.push_back(job);
            }
        }
    }
    if let Some(reason) = missing {
        let required = env::var_os("GWA_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!required, "every cell is required: {reason}");
        let _ = writeln!(io::stderr(), "SKIPPED: fault_matrix: {skipped} cells: {reason}");
    }
    jobs
}

/// Runs one cell in a process of its own, which is ended if it does not end.
fn start_cell(name: &str, scale: Scale) -> Outcome {
    let limit = Duration::from_secs(if scale == Scale::Real { 900 } else { 200 });
    let mut command = Command::new(env::current_exe().expect("our own name"));
    command.args(["--exact", "one_cell", "--ignored", "--nocapture"]).env("GWA_CELL", name);
    let shim = find(name).is_some_and(|(_, _, cell)| matches!(cell.fault, Fault::Clock(_)));
    if shim {
        command.env("LD_PRELOAD", shim::library(clock::SHIM));
    }
    command.env("GWA_REAL_DEADLINES", if scale == Scale::Real { "1" } else { "0" });
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("it does not start: {error}")),
    };
    let (output, in_time, success) = finish(child, limit);
    let ms = output.lines().find_map(|line| line.strip_prefix("CELL ")?.parse().ok());
    match ms {
        Some(ms) if success => Outcome::Passed(ms),
        _ if in_time => Outcome::Failed(output),
        _ => Outcome::Failed(format!("not over after {limit:?}\n{output}")),
    }
}

/// All it said; whether it ended by itself; whether it ended well.
fn finish(mut child: Child, limit: Duration) -> (String, bool, bool) {
    let pipes = child.stdout.take().zip(child.stderr.take());
    let Some((mut out, mut err)) = pipes else { return ("no pipes".to_owned(), true, false) };
    let (sender, said) = mpsc::channel();
    let errors = sender.clone();
    thread::spawn(move || sender.send(read(&mut out)));
    thread::spawn(move || errors.send(read(&mut err)));
    let until = Instant::now() + limit;
    let next = || said.recv_timeout(until.saturating_duration_since(Instant::now()));
    let both = next().and_then(|first| Ok(first + &next()?));
    let in_time = both.is_ok();
    if !in_time {
        // It may have ended just now.
        let _ = child.kill();
    }
    let success = child.wait().is_ok_and(|status| status.success());
    let output = both.unwrap_or_else(|_| said.iter().collect());
    (output, in_time, success)
}

fn read(pipe: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    // What came before a fault of the pipe is still worth showing.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

// ---- the table ----------------------------------------------------------------------------------------------

fn table(rows: &[Row], outcomes: &[[Option<Outcome>; 4]], scale: Scale, took: Duration) -> String {
    let mut out = format!("\n{:<30}", format!("fault ({})", describe(scale)));
    for phase in Phase::ALL {
        let _ = write!(out, "  {:<36}", phase.name());
    }
    for (row, cells) in rows.iter().zip(outcomes) {
        let _ = write!(out, "\n{:<30}", row.name);
        for (cell, outcome) in row.cells.iter().zip(cells) {
            let _ = write!(out, "  {:<36}", show(cell, outcome.as_ref()));
        }
        out.truncate(out.trim_end().len());
    }
    let count = |which: fn(&Outcome) -> bool| outcomes.iter().flatten().flatten().filter(|one| which(one)).count();
    let passed = count(|one| matches!(one, Outcome::Passed(_)));
    let failed = count(|one| matches!(one, Outcome::Failed(_)));
    let skipped = count(|one| matches!(one, Outcome::Skipped));
    let _ = writeln!(out, "\n{passed} cells passed, {failed} failed, {skipped} skipped, in {} s", took.as_secs());
    out
}

fn describe(scale: Scale) -> &'static str {
    match scale {
        Scale::Real => "real deadlines",
        Scale::Twentieth => "deadlines / 20",
    }
}

fn show(cell: &Cell, outcome: Option<&Outcome>) -> String {
    let wanted = match &cell.expect {
        Expect::Works => "works".to_owned(),
        Expect::Fails(code, stage) => format!("{code:?}@{}", stage.name()),
        Expect::Keeps(code, stage) => format!("{code:?}@{}, kept", stage.name()),
        Expect::Recovers(code, stage) => format!("{code:?}@{}, back", stage.name()),
        Expect::Reauth(code, stage) => format!("{code:?}@{}, reauth", stage.name()),
        Expect::Stays(code, stage, state) => format!("{code:?}@{}, {state:?}", stage.name()),
        Expect::Ends(Some(true)) => "ends, clean".to_owned(),
        Expect::Ends(_) => "ends".to_owned(),
    };
    match outcome {
        Some(Outcome::Passed(ms)) => format!("{wanted} {ms}"),
        Some(Outcome::Failed(_)) => format!("FAILED: {wanted}"),
        Some(Outcome::Skipped) => "skipped".to_owned(),
        None => "not run".to_owned(),
    }
}

fn stories(rows: &[Row], outcomes: &[[Option<Outcome>; 4]]) -> Vec<String> {
    let mut stories = Vec::new();
    for (row, cells) in rows.iter().zip(outcomes) {
        for (phase, outcome) in Phase::ALL.into_iter().zip(cells) {
            match outcome {
                Some(Outcome::Failed(story)) => stories.push(format!("==== {}/{}\n{story}", row.name, phase.name())),
                Some(Outcome::Passed(_) | Outcome::Skipped) => {}
                None => stories.push(format!("==== {}/{}: not run", row.name, phase.name())),
            }
        }
    }
    stories
}
