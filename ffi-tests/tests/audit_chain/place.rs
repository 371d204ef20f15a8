//! A directory with the logs of a client and the state of their chain, and who verifies them.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ffi_tests::cprog::{Outcome, Program, Variant};
use ffi_tests::example::{command, Recipe};
use ffi_tests::sim::Sim;
use genesys_ws_auth::audit::verify::{Report, Verifier};
use genesys_ws_auth::Secret;
use serde_json::Value;

pub const K0: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub const OTHER: &str = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// No test waits longer for anything.
pub const BOUND: Duration = Duration::from_secs(60);

/// Whose log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sink {
    Audit,
    Siem,
}

impl Sink {
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Siem => "siem",
        }
    }
}

/// A directory of a test's own; it goes with it.
pub struct Place(pub PathBuf);

/// What the example has said, and how it ended.
pub struct ByHand {
    pub code: Option<i32>,
    pub text: String,
}

impl Place {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chain-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("logs")).unwrap();
        fs::create_dir_all(path.join("state")).unwrap();
        Self(path)
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Where the chain keeps its state, and nothing else is.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// The program with its logs and state here: short epochs, and tokens as fast as they come.
    pub fn program<'a>(&self, sim: &'a Sim, variant: Variant, how: &str, key: &str) -> Program<'a> {
        let program = Program::new("audit_chain", variant).against(sim).arg(how);
        let program = program.set("token.refresh_floor_ms", 0).set("audit.checkpoint_records", 4);
        let program = program.set("audit.chain_state", self.state().join("chain").display());
        program.env("GWA_TEST_LOGS", self.logs().display()).env("GWA_TEST_CHAIN_KEY", key)
    }

    /// The files of a run, which the next one will not write to.
    pub fn keep_files(&self, run: usize) {
        for entry in fs::read_dir(self.logs()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.split('.').count() == 2 {
                let (sink, number) = name.split_once('.').unwrap();
                fs::rename(&path, path.with_file_name(format!("{sink}.{run:02}.{number:0>4}"))).unwrap();
            }
        }
    }

    /// The files of a sink, the oldest first.
    pub fn files(&self, sink: Sink) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.logs()).unwrap().map(|entry| entry.unwrap().path());
        let is_of = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(sink.name());
        let mut files: Vec<PathBuf> = entries.filter(is_of).collect();
        files.sort();
        files
    }

    pub fn text(&self, sink: Sink) -> Vec<u8> {
        self.files(sink).iter().flat_map(|file| fs::read(file).unwrap()).collect()
    }

    /// Its records as JSON.
    pub fn records(&self, sink: Sink) -> Vec<Value> {
        let text = String::from_utf8(self.text(sink)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until `on_audit` has written so many.
    pub fn wait_for_records(&self, count: usize) {
        let until = Instant::now() + BOUND;
        while self.text(Sink::Audit).iter().filter(|byte| **byte == b'\n').count() < count {
            assert!(Instant::now() < until, "no records come");
            std::thread::yield_now();
        }
    }

    pub fn verify(&self, sink: Sink) -> Report {
        verify(&self.text(sink), None)
    }

    /// The other verifier says the same.
    #[track_caller]
    pub fn agrees(&self, sink: Sink, report: &Report) {
        self.agrees_on(&self.text(sink), None, report);
    }

    #[track_caller]
    pub fn agrees_on(&self, log: &[u8], expected: Option<&[u8]>, report: &Report) {
        self.agrees_with(log, &expected.map(|expected| ("--expect", expected)).into_iter().collect::<Vec<_>>(), report);
    }

    /// The same with any options, each a name and a record.
    #[track_caller]
    pub fn agrees_with(&self, log: &[u8], options: &[(&str, &[u8])], report: &Report) {
        let (key, file) = (self.0.join("k0"), self.0.join("log"));
        fs::write(&key, K0).unwrap();
        fs::write(&file, log).unwrap();
        let mut python = Command::new("python3");
        python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit_chain/verify.py")).arg(&key);
        for (name, text) in options {
            let record = self.0.join(format!("record{name}"));
            fs::write(&record, text).unwrap();
            python.arg(name).arg(&record);
        }
        let output = match python.arg(&file).output() {
            Ok(output) => output,
            Err(error) => return skip("verify.py", &format!("python3: {error}")),
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["result"], report.verdict.name(), "{said} {report:?}");
        assert_eq!(said["line"].as_u64(), report.bad_line, "{said} {report:?}");
        let gaps: Vec<Value> = report.gaps.iter().map(|gap| serde_json::json!([gap.kind.name(), gap.line])).collect();
        assert_eq!(said["gaps"], Value::from(gaps), "{said} {report:?}");
    }

    /// The example, on files.
    pub fn by_hand(&self, variant: Variant, options: &[&str], key: &str, files: &[PathBuf]) -> ByHand {
        let path = self.0.join("k0");
        writeln!(fs::File::create(&path).unwrap(), "{key}").unwrap();
        let program = Recipe::c("c/verify_audit.c", &["-std=c99"]).build(variant);
        let output = command(&program, variant).args(options).arg(path).args(files).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        ByHand { code: output.status.code(), text }
    }

    /// What the example makes for a key.
    pub fn new_key(&self) -> String {
        let program = Recipe::c("c/verify_audit.c", &["-std=c99"]).build(Variant::Plain);
        let output = command(&program, Variant::Plain).arg("--new-key").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn assert_state_is_private(&self) {
        let state = self.state().join("chain");
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(!fs::read_to_string(&state).unwrap().contains(K0));
        assert_eq!(fs::read_dir(self.state()).unwrap().count(), 2, "the state and its lock");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the library says.
pub fn verify(log: &[u8], expected: Option<&[u8]>) -> Report {
    let mut verifier = Verifier::new(&Secret::new(K0.into())).unwrap();
    if let Some(record) = expected {
        verifier.expect(record).unwrap();
    }
    verifier.feed(log);
    verifier.finish()
}

/// The value of a line that the program prints.
pub fn line<'a>(outcome: &'a Outcome, name: &str) -> &'a str {
    let found = outcome.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {}", outcome.stdout))
}

/// Past the capture of tests that pass: what is skipped is seen.
fn skip(what: &str, why: &str) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    assert!(env::var_os("GWA_REQUIRE_ALL").is_none_or(|value| value != "1"), "{what} is required: {why}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    writeln!(io::stderr(), "SKIPPED: {what}: {why} ({count} skipped so far)").expect("stderr");
}
