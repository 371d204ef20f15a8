//! C programs as tests: compiled against the static library, run against a simulator, plain, under valgrind, with
//! AddressSanitizer and with ThreadSanitizer. Exit status 0 means that the program's own checks held.
//!
//! * `GWA_VARIANTS=plain,asan,valgrind,tsan` says which variants run; `plain` alone unless set.
//! * A variant whose tool is missing is skipped with a line `SKIPPED: …` on stderr; with `GWA_REQUIRE_ALL=1` it fails.
//! * The library is the one Cargo built beside the test's executable; for AddressSanitizer it is built into
//!   `target/asan`, for ThreadSanitizer with its std into `target/tsan`, and `nm` has to find the instrumentation in it.
//! * Programs get an empty environment but for what the test gives them, and the default action of SIGPIPE (std resets
//!   it in children; `common.h` checks). Their output must hold no secret of the simulator.

mod build;
mod variant;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::Once;
use std::thread;
use std::time::Duration;

use self::build::compiled;
pub(crate) use self::build::{changed, scratch, target};
pub use self::build::{generate, output, planted_race};
pub use self::variant::Variant;
use crate::secrets::leaked;
use crate::sim::Sim;

/// What a Rust static library needs of the system on Linux with glibc (`rustc --print native-static-libs`).
pub const NATIVE_LIBS: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-Wpedantic"];
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Runs `test` once for each variant that is wanted and possible.
///
/// # Panics
///
/// If a variant is not possible and `GWA_REQUIRE_ALL=1`, or `GWA_VARIANTS` names something else.
pub fn each(name: &str, test: impl Fn(Variant)) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let wanted = env::var("GWA_VARIANTS").unwrap_or_else(|_| {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            let text =
                "SKIPPED: C programs (asan, valgrind, tsan): not asked for; GWA_VARIANTS=plain,asan,valgrind,tsan runs them";
            writeln!(io::stderr(), "{text} (3 variants of each program)").expect("stderr");
        });
        "plain".to_owned()
    });
    for word in wanted.split(',') {
        let variant = Variant::ALL.into_iter().find(|variant| variant.name() == word);
        let variant = variant.unwrap_or_else(|| panic!("GWA_VARIANTS: {word:?} is no variant"));
        let Err(why) = variant.library() else {
            test(variant);
            continue;
        };
        assert!(env::var_os("GWA_REQUIRE_ALL").is_none_or(|value| value != "1"), "{word} is required: {why}");
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        writeln!(io::stderr(), "SKIPPED: {name} ({word}): {why} ({count} skipped so far)").expect("stderr");
    }
}

/// A program of `ffi-tests/c`, compiled, and what it is to be run with.
pub struct Program<'a> {
    name: String,
    variant: Variant,
    path: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    settings: Vec<String>,
    sim: Option<&'a Sim>,
    limit: Duration,
}

impl<'a> Program<'a> {
    /// Compiles the program of that name, in C99.
    ///
    /// # Panics
    ///
    /// If it does not compile without a warning.
    pub fn new(name: &str, variant: Variant) -> Self {
        Self::with_standard(name, variant, "c99")
    }

    /// Compiles the program of that name in that standard of C.
    ///
    /// # Panics
    ///
    /// If it does not compile without a warning.
    pub fn with_standard(name: &str, variant: Variant, standard: &str) -> Self {
        Self::at(name, variant, compiled(name, variant, standard))
    }

    /// A program that was built elsewhere.
    pub fn at(name: &str, variant: Variant, path: PathBuf) -> Self {
        let slowness = ("GWA_TEST_SLOWNESS".to_owned(), variant.slowness().to_string());
        let (args, settings) = (Vec::new(), Vec::new());
        Self {
            name: name.to_owned(),
            variant,
            path,
            args,
            env: vec![slowness],
            settings,
            sim: None,
            limit: variant.limit(),
        }
    }

    /// Gives it URLs, CA file and credentials of a simulator.
    ///
    /// # Panics
    ///
    /// If the CA file cannot be written.
    pub fn against(mut self, sim: &'a Sim) -> Self {
        self.env.extend(environment(sim));
        self.sim = Some(sim);
        self
    }

    /// How long it may run, instead of a minute (more where it is slow).
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Where the compiled program lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An argument.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// A variable of its environment; replaces what [`Program::against`] gave.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// A configuration key of the client it makes; `!` before the key of a secret.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push(format!("{key}={}", value.to_string()));
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.start().finish()
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(self) -> Running<'a> {
        let mut command = self.variant.command(&self.path);
        command.args(&self.args).env_clear().envs(self.variant.environment().iter().copied());
        command.envs(self.env).env("GWA_TEST_SET", self.settings.join(";"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));
        Running { name: self.name, limit: self.limit, child, stdout, stderr, sim: self.sim }
    }
}

/// A program that runs.
pub struct Running<'a> {
    name: String,
    limit: Duration,
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    sim: Option<&'a Sim>,
}

impl Running<'_> {
    /// Its process, for a look at what it holds.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells a program that waits for the harness to go on.
    ///
    /// # Panics
    ///
    /// If the program does not listen any more.
    pub fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"go\n").and_then(|()| stdin.flush()).expect("the program listens");
    }

    /// Kills it (SIGKILL), as nobody could prevent.
    ///
    /// # Panics
    ///
    /// If that is not possible.
    pub fn kill(&mut self) {
        self.child.kill().expect("the program is ours to kill");
    }

    /// Waits for its end; kills it when the time is up.
    ///
    /// # Panics
    ///
    /// If it printed a secret.
    pub fn finish(mut self) -> Outcome {
        let in_time = self.stdout.recv_timeout(self.limit);
        let timed_out = in_time.is_err();
        if timed_out {
            self.child.kill().expect("the program is ours to kill");
        }
        let stdout = in_time.or_else(|_| self.stdout.recv()).unwrap_or_default();
        let stderr = self.stderr.recv().unwrap_or_default();
        let status = self.child.wait().expect("the program is ours to wait for");
        if let Some(sim) = self.sim {
            let output = format!("{stdout}\n{stderr}");
            if let Some(what) = leaked(sim, &output) {
                panic!("{} printed {what}", self.name);
            }
        }
        Outcome { name: self.name, status, timed_out, stdout, stderr }
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Outcome {
    name: String,
    /// Its exit status.
    pub status: ExitStatus,
    /// It was killed because its time was up.
    pub timed_out: bool,
    /// What it printed.
    pub stdout: String,
    /// Its errors, states and log.
    pub stderr: String,
}

impl Outcome {
    /// Asserts that all of the program's checks held.
    ///
    /// # Panics
    ///
    /// If they did not; with what it printed.
    pub fn passed(self) -> Self {
        let Self { name, status, timed_out, stdout, stderr } = &self;
        let late = if *timed_out { ", its time was up" } else { "" };
        assert!(status.success() && !timed_out, "{name}: {status}{late}\n{stdout}\n{stderr}");
        self
    }

    /// The number the program told by this name.
    ///
    /// # Panics
    ///
    /// If it told none.
    pub fn number(&self, name: &str) -> u64 {
        let told = |line: &str| line.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        self.stdout.lines().find_map(told).unwrap_or_else(|| panic!("{}: no {name} in {}", self.name, self.stdout))
    }
}

/// URLs, CA file and credentials of a simulator, as variables.
pub fn environment(sim: &Sim) -> Vec<(String, String)> {
    let mut all = vec![("GENESYS_REGION".to_owned(), "localhost".to_owned())];
    let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
    sim.token().policy(|policy| {
        add("GENESYS_CLIENT_ID", policy.client_id.clone());
        add("GENESYS_CLIENT_SECRET", policy.client_secret.clone());
        add("GENESYS_REFRESH_TOKEN", policy.refresh_token.clone());
    });
    add("GWA_TOKEN_URL", sim.token_url());
    add("GWA_WS_URL", sim.ws_url());
    add("GWA_API_URL", sim.api_url());
    add("GWA_STREAMING_HOST", sim.streaming_host());
    if !sim.ca_pem().is_empty() {
        let file = scratch().join(format!("ca-{}-{}.pem", std::process::id(), sim.addr().port()));
        fs::write(&file, sim.ca_pem()).expect("the CA file is written");
        add("GWA_CA_FILE", file.display().to_string());
    }
    all
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
