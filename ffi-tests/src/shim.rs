//! Libraries that a C program is started with (LD_PRELOAD), which change what the system does to it: `c/shim_*.c`.
//!
//! The program itself is the same as ever, linked to the static library; what is put between it and libc are the calls
//! that Rust's standard library, mio and this library make through libc's symbols.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cprog::{changed, output, scratch, Program, ROOT};

/// What is to happen to the operations that `shim_net.c` counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Net {
    /// They are counted.
    Count,
    /// The n-th fails (from 1), and of those of its kind that come later `times - 1`.
    Fail {
        /// Which one.
        n: u64,
        /// How many in all; 0: all that come.
        times: u64,
    },
    /// The n-th operation of a kind (from 1) fails with this errno, once.
    FailOne {
        /// As `shim_net.c` names it.
        kind: &'static str,
        /// Which one.
        n: u64,
        /// The errno; the result of `getaddrinfo` and `pthread_create`.
        errno: i32,
    },
    /// Every second wait, read and write is interrupted.
    Interrupt,
    /// Writes take a few bytes at a time.
    ShortWrites,
    /// `getaddrinfo` does not return until the program calls `shim_net_release`.
    HangResolver,
}

impl Net {
    fn variables(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Count => Vec::new(),
            Self::Fail { n, times } => vec![("GWA_SHIM_FAIL", format!("{n}:{times}"))],
            Self::FailOne { kind, n, errno } => vec![
                ("GWA_SHIM_FAIL", format!("{n}:1")),
                ("GWA_SHIM_KIND", kind.to_owned()),
                ("GWA_SHIM_ERRNO", errno.to_string()),
            ],
            Self::Interrupt => vec![("GWA_SHIM_MODE", "eintr".to_owned())],
            Self::ShortWrites => vec![("GWA_SHIM_MODE", "short".to_owned())],
            Self::HangResolver => vec![("GWA_SHIM_HANG", "1".to_owned())],
        }
    }

    /// Puts `shim_net` under a program; its report will be in that file.
    pub fn under(self, program: Program) -> (Program, ReportFile) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("shim-net-{}-{}.report", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let report = ReportFile(scratch().join(name));
        let mut program = preloaded(program, "shim_net").env("GWA_SHIM_REPORT", report.0.display());
        for (name, value) in self.variables() {
            program = program.env(name, value);
        }
        (program, report)
    }
}

/// Starts a program with this shim, compiled if need be.
///
/// # Panics
///
/// If the shim does not compile without a warning.
pub fn preloaded<'a>(program: Program<'a>, shim: &str) -> Program<'a> {
    program.env("LD_PRELOAD", library(shim).display())
}

/// Where this shim lies, compiled if need be.
///
/// # Panics
///
/// If it does not compile without a warning.
pub fn library(name: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let source = PathBuf::from(format!("{ROOT}/ffi-tests/c/{name}.c"));
    let out = scratch().join(format!("{name}.so"));
    if changed(&out) > changed(&source) {
        return out;
    }
    let fresh = scratch().join(format!("{name}.so.{}", process::id()));
    let mut compile = Command::new("gcc");
    compile.args(["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-fPIC", "-shared", "-pthread"]);
    compile.arg("-o").arg(&fresh).arg(&source).arg("-ldl");
    output(&mut compile).unwrap_or_else(|why| panic!("{why}"));
    fs::rename(&fresh, &out).expect("the shim is put in its place");
    out
}

/// Where `shim_net` writes its report; the file goes with this.
#[derive(Debug)]
pub struct ReportFile(PathBuf);

impl ReportFile {
    /// What the shim reported, now that the program has ended.
    ///
    /// # Panics
    ///
    /// If there is no report: the program did not come to its end, or the shim was not loaded.
    pub fn read(&self) -> Report {
        let text = fs::read_to_string(&self.0).expect("the shim has written its report");
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let mut all: BTreeMap<String, String> =
            lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let failed = all.remove("failed").unwrap_or_default();
        let mut of_kind: BTreeMap<String, u64> =
            all.into_iter().map(|(name, value)| (name, value.parse().expect("a number"))).collect();
        let mut take = |name: &str| of_kind.remove(name).expect("the report is complete");
        Report { total: take("total"), failures: take("failures"), failed, of_kind }
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        // A program that was killed has written none.
        let _ = fs::remove_file(&self.0);
    }
}

/// What `shim_net` counted.
#[derive(Clone, Debug)]
pub struct Report {
    /// Operations of any kind.
    pub total: u64,
    /// Those that failed because they were told to.
    pub failures: u64,
    /// The kind that failed; empty if there were not so many operations.
    pub failed: String,
    /// Operations by kind.
    pub of_kind: BTreeMap<String, u64>,
}
