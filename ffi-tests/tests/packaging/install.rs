//! Installs once, compiles consumers, runs them against a simulator.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{env, fs, process};

use ffi_tests::cprog::{Outcome, Program, Variant};
use ffi_tests::sim::{Options, Pump, Sim};

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where the prefix is said to be when it is installed. It never is there.
pub const SAID: &str = "/opt/gwa-of-a-test";
/// Flags under which a consumer must compile.
pub const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// The prefix, after it was moved.
pub fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let stage = work().join("stage");
        make("install", &[&format!("PREFIX={SAID}"), &format!("DESTDIR={}", stage.display())]);
        let prefix = work().join("moved");
        fs::rename(stage.join(&SAID[1..]), &prefix).expect("the prefix is moved");
        prefix
    })
}

/// Runs `make` for a target of `examples/Makefile`, one at a time: all build in the same place.
pub fn make(target: &str, settings: &[&str]) -> String {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut make = Command::new("make");
    make.args(["-C", &format!("{ROOT}/examples"), target]).args(settings);
    // What Cargo tells this test about itself would have build scripts run anew, and much be compiled again.
    let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    for (name, _) in env::vars_os() {
        if about_us.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            make.env_remove(name);
        }
    }
    // And the jobs of a make that runs us are not ours to give away.
    make.env_remove("LD_LIBRARY_PATH").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    output(make.env("CARGO_TARGET_DIR", target_directory()))
}

/// The target directory this test was built in.
pub fn target_directory() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("it lies in the target directory").to_owned()
}

/// A directory of this process; what processes that are gone have left is removed.
pub fn work() -> &'static Path {
    static WORK: OnceLock<PathBuf> = OnceLock::new();
    WORK.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaging");
        fs::create_dir_all(&all).expect("a directory");
        for entry in fs::read_dir(&all).expect("it can be listed").flatten() {
            if !Path::new("/proc").join(entry.file_name()).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let own = all.join(process::id().to_string());
        fs::create_dir_all(&own).expect("a directory");
        own
    })
}

/// A new empty directory for one consumer, with the programs of this test: outside of the sources.
pub fn consumer_directory(name: &str) -> PathBuf {
    let directory = work().join(name);
    fs::create_dir(&directory).expect("every consumer has another name");
    for entry in fs::read_dir(format!("{ROOT}/ffi-tests/tests/packaging/programs")).expect("the programs") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, directory.join(path.file_name().expect("a file"))).expect("it is copied");
    }
    fs::copy(directory.join("consumer.c"), directory.join("consumer.cpp")).expect("it is copied");
    directory
}

/// Runs a tool in a directory; nothing of Cargo's libraries is in its environment.
pub fn tool(directory: &Path, name: &str, args: &[&str]) -> String {
    let mut command = Command::new(name);
    command.current_dir(directory).args(args).env_remove("LD_LIBRARY_PATH").env_remove("CFLAGS").env_remove("LDFLAGS");
    output(command.env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig")))
}

/// What `pkg-config` answers, as words.
pub fn pkg_config(directory: &Path, args: &str) -> Vec<String> {
    let words: Vec<_> = args.split(' ').collect();
    tool(directory, "pkg-config", &words).split_whitespace().map(str::to_owned).collect()
}

/// What a command prints.
///
/// # Panics
///
/// If it fails; with all that it printed.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Whether this can be tested here; if not, says so, or fails with `GWA_REQUIRE_ALL=1`.
pub fn possible(what: &str, found: bool) -> bool {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    assert!(found || env::var_os("GWA_REQUIRE_ALL").is_none_or(|value| value != "1"), "{what} is required");
    if !found {
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        writeln!(io::stderr(), "SKIPPED: {what} is missing ({count} skipped so far)").expect("stderr");
    }
    found
}

/// Whether a tool is installed.
pub fn has(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A simulator that sends messages for as long as it is asked to.
pub fn simulator() -> Sim {
    let mut options = Options { tls: Some(Default::default()), ..Options::default() };
    options.ws.pump = Some(Pump { every: Duration::from_millis(20), binary_every: 5, size: 0, limit: 0 });
    Sim::start(options)
}

/// Runs a program against a simulator of its own; its checks must hold.
pub fn run(program: PathBuf, args: &[&str]) -> Outcome {
    let sim = simulator();
    run_against(&sim, program, args, &[])
}

/// Runs a program against this simulator; its checks must hold.
pub fn run_against(sim: &Sim, program: PathBuf, args: &[&str], env: &[(&str, &Path)]) -> Outcome {
    let name = program.display().to_string();
    let mut program = Program::at(&name, Variant::Plain, program).against(sim).limit(Duration::from_secs(240));
    program = args.iter().fold(program, |program, arg| program.arg(arg));
    env.iter().fold(program, |program, (name, value)| program.env(name, value.display())).run().passed()
}

/// Runs `consumer.c` as it was built, and looks at the versions it tells.
pub fn consume(program: PathBuf) {
    let run = run(program, &[crate::MESSAGES]);
    let version = crate_version();
    assert_eq!(run.stdout, format!("header={version}\nlibrary={version}\n"));
}

/// The version in `Cargo.toml`.
pub fn crate_version() -> String {
    let manifest = fs::read_to_string(format!("{ROOT}/Cargo.toml")).expect("the manifest");
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = ")).expect("a version");
    line.trim_matches('"').to_owned()
}
