//! How a program is built and run: plain, under a tool, or instrumented.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::build::{output, target};
use super::ROOT;
use crate::sim::{Options, TlsOptions};

/// How a program is built and run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Variant {
    /// As it is.
    Plain,
    /// Under valgrind's memcheck: no error, no block definitely lost.
    Valgrind,
    /// Library and program with AddressSanitizer and LeakSanitizer, the program also with UndefinedBehaviorSanitizer.
    Asan,
    /// Library, std and program with ThreadSanitizer.
    Tsan,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Valgrind, Self::Asan, Self::Tsan];

    /// How much slower than plain, roughly: waits and token lifetimes are stretched by it.
    pub fn slowness(self) -> u32 {
        match self {
            Self::Plain => 1,
            Self::Asan => 2,
            Self::Tsan => 5,
            Self::Valgrind => 12,
        }
    }

    /// The name in `GWA_VARIANTS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Valgrind => "valgrind",
            Self::Asan => "asan",
            Self::Tsan => "tsan",
        }
    }

    /// A simulator's options fit for it: memcheck reports false errors in ring's AES-GCM.
    pub fn options(self) -> Options {
        let tls = TlsOptions { chacha20_only: self == Self::Valgrind, ..TlsOptions::default() };
        Options { tls: Some(tls), ..Options::default() }
    }

    pub(crate) fn limit(self) -> Duration {
        Duration::from_secs(60) * self.slowness().min(6)
    }

    pub(crate) fn library(self) -> &'static Result<PathBuf, String> {
        static PLAIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static MEMCHECK: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static ASAN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static TSAN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        match self {
            Self::Plain => PLAIN.get_or_init(built_library),
            Self::Valgrind => MEMCHECK.get_or_init(|| has("valgrind").and_then(|()| built_library())),
            Self::Asan => ASAN.get_or_init(asan_library),
            Self::Tsan => TSAN.get_or_init(|| tsan_library("build/TRIPLE/debug/libgenesys_ws_auth.a")),
        }
    }

    /// Part of the names of what is built for it: valgrind runs the plain program.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Plain | Self::Valgrind => "plain",
            Self::Asan => "asan",
            Self::Tsan => "tsan",
        }
    }

    /// The C compiler; ThreadSanitizer wants the LLVM the library was instrumented by.
    pub(crate) fn compiler(self) -> Command {
        match self {
            Self::Plain | Self::Valgrind | Self::Asan => Command::new("gcc"),
            Self::Tsan => tsan_clang(),
        }
    }

    /// Its flags for compiling and linking C and C++.
    pub(crate) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Valgrind => &[],
            Self::Asan => &["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
            Self::Tsan => &["-fsanitize=thread"],
        }
    }

    /// What runs a program that was built for it.
    pub fn command(self, program: &Path) -> Command {
        let mut command = if self == Self::Valgrind { valgrind(program) } else { Command::new(program) };
        self.environment().iter().for_each(|(name, value)| _ = command.env(name, value));
        command
    }

    /// What the tool is told by the program's environment.
    pub(crate) fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain | Self::Valgrind => &[],
            Self::Asan => &[
                ("ASAN_OPTIONS", "detect_leaks=1:exitcode=99:detect_stack_use_after_return=1"),
                ("UBSAN_OPTIONS", "print_stacktrace=1:exitcode=99"),
            ],
            // A child of fork may start threads: without that option the tool ends it.
            Self::Tsan => &[(
                "TSAN_OPTIONS",
                "exitcode=99:die_after_fork=0:second_deadlock_stack=1:external_symbolizer_path=/usr/bin/addr2line",
            )],
        }
    }
}

pub(crate) fn valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.args(["--fair-sched=yes", "--child-silent-after-fork=yes"]);
    command.arg(format!("--suppressions={ROOT}/ffi-tests/c/valgrind.supp")).arg(program);
    command
}

fn has(tool: &str) -> Result<(), String> {
    let status = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.map(|_| ()).map_err(|error| format!("{tool}: {error}"))
}

/// What Cargo built for the test itself: all crate types of the library are built at once.
fn built_library() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let beside = own.ancestors().skip(1).take(2).map(|directory| directory.join("libgenesys_ws_auth.a"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| format!("no libgenesys_ws_auth.a beside {}: is it a test of ffi-tests?", own.display()))
}

fn asan_library() -> Result<PathBuf, String> {
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let directory = target().join("asan");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["rustc", "--quiet", "--package", "genesys-ws-auth", "--lib", "--crate-type", "staticlib"]);
    build.args(["--target", &triple, "--target-dir"]).arg(&directory).current_dir(ROOT);
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    output(&mut build)?;
    let library = directory.join(triple).join("debug/libgenesys_ws_auth.a");
    let symbols = output(Command::new("nm").arg("--undefined-only").arg(&library))?;
    let instrumented = symbols.contains("__asan_report_load8") && symbols.contains("__asan_init");
    instrumented.then_some(library).ok_or_else(|| "the library is not instrumented".to_owned())
}

/// A file of `ffi-tests/tsan.sh`, which makes what is missing or out of date.
pub(super) fn tsan_library(file: &str) -> Result<PathBuf, String> {
    static MADE: OnceLock<Result<String, String>> = OnceLock::new();
    let script = || output(Command::new(format!("{ROOT}/ffi-tests/tsan.sh")).arg(tsan()));
    MADE.get_or_init(script).clone()?;
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let library = tsan().join(file.replace("TRIPLE", &triple));
    let symbols = output(Command::new("nm").arg("--undefined-only").arg(&library))?;
    let instrumented = symbols.contains("__tsan_read8") && symbols.contains("__tsan_init");
    instrumented.then_some(library).ok_or_else(|| "the library is not instrumented".to_owned())
}

/// The clang that `ffi-tests/tsan.sh` unpacks.
fn tsan_clang() -> Command {
    let lib = tsan().join("root/usr/lib");
    let paths = [lib.join(format!("{}-linux-gnu", env::consts::ARCH)), lib.join("llvm-22/lib")];
    let mut clang = Command::new(tsan().join("root/usr/bin/clang-22"));
    clang.env("LD_LIBRARY_PATH", env::join_paths(paths).expect("paths without a colon"));
    clang
}

fn tsan() -> PathBuf {
    target().join("tsan")
}
