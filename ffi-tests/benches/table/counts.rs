//! What callgrind and strace count.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::program::{Call, Program};

/// Whether a tool is there and works here.
pub fn works(tool: &str) -> bool {
    let args: &[&str] = match tool {
        "strace" => &["-f", "-c", "-o", "/dev/null", "true"],
        _ => &["--version"],
    };
    let status = Command::new(tool).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// What callgrind counted in one run.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Instructions of all threads.
    pub instructions: f64,
    /// Calls of malloc and its kin.
    pub allocations: f64,
}

/// Runs a program under callgrind.
pub fn callgrind(program: &Program, call: &Call, out: &Path) -> Counted {
    let file = out.join(format!("callgrind.{}", program.name));
    let option = format!("--callgrind-out-file={}", file.display());
    program.run(&["env", PLAIN_LOOPS, "valgrind", "-q", "--tool=callgrind", &option], call);
    let text = fs::read_to_string(&file).expect("callgrind wrote");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let instructions = total.and_then(|total| total.trim().parse().ok()).expect("a total");
    Counted { instructions, allocations: allocations(&text) }
}

/// callgrind counts every byte that `rep stosb` or `rep movsb` moves as an instruction: glibc is told to use vectors.
const PLAIN_LOOPS: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS";
const ALLOCATORS: [&str; 6] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// Calls of allocators by others: `cfn=(id) name` says who is called, the next line how often. Names stand there once.
fn allocations(text: &str) -> f64 {
    let mut names: HashMap<&str, bool> = HashMap::new();
    let (mut inside, mut called, mut sum) = (false, false, 0.0);
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or_default();
        match key {
            "fn" => inside = is_allocator(value, &mut names),
            "cfn" => called = is_allocator(value, &mut names),
            "calls" if called && !inside => {
                sum += value.split(' ').next().and_then(|count| count.parse::<f64>().ok()).unwrap_or(0.0);
            }
            _ => {}
        }
    }
    sum
}

fn is_allocator<'a>(value: &'a str, names: &mut HashMap<&'a str, bool>) -> bool {
    match value.split_once(' ') {
        Some((id, name)) => {
            let plain = name.split(['@', '\'']).next().unwrap_or_default();
            let is = ALLOCATORS.contains(&plain);
            names.insert(id, is);
            is
        }
        None => names.get(value).copied().unwrap_or(false),
    }
}

/// System calls of one run, all threads.
pub fn system_calls(program: &Program, call: &Call, out: &Path) -> f64 {
    let file = out.join(format!("strace.{}", program.name));
    program.run(&["strace", "-f", "-c", "-o", &file.display().to_string()], call);
    let text = fs::read_to_string(&file).expect("strace wrote");
    let total = text.lines().rev().find(|line| line.trim_end().ends_with("total")).expect("a total");
    let calls = total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok());
    calls.expect("a number of calls")
}
