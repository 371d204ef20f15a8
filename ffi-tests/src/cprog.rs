//! C programs as tests: compiled against the static library, run against a simulator, plain, under valgrind and with
//! AddressSanitizer. Exit status 0 means that the program's own checks held.
//!
//! * `GWA_VARIANTS=plain,asan,valgrind` says which variants run; `plain` alone unless set.
//! * A variant whose tool is missing is skipped with a line `SKIPPED: …` on stderr; with `GWA_REQUIRE_ALL=1` it fails.
//! * The library is the one Cargo built beside the test's executable; for AddressSanitizer it is built into
//!   `target/asan`, and `nm` has to find the instrumentation in it.
//! * Programs get an empty environment but for what the test gives them, and the default action of SIGPIPE (std resets
//!   it in children; `common.h` checks). Their output must hold no secret of the simulator.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine as _;

use crate::sim::{Options, Sim, TlsOptions};

/// What a Rust static library needs of the system on Linux with glibc (`rustc --print native-static-libs`).
pub const NATIVE_LIBS: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-Wpedantic"];
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// How a program is built and run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Variant {
    /// As it is.
    Plain,
    /// Under valgrind's memcheck: no error, no block definitely lost.
    Valgrind,
    /// Library and program with AddressSanitizer and LeakSanitizer.
    Asan,
}

impl Variant {
    /// How much slower than plain, roughly: waits and token lifetimes are stretched by it.
    pub fn slowness(self) -> u32 {
        match self {
            Self::Plain => 1,
            Self::Asan => 2,
            Self::Valgrind => 12,
        }
    }

    /// The name in `GWA_VARIANTS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Valgrind => "valgrind",
            Self::Asan => "asan",
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
        match self {
            Self::Plain => PLAIN.get_or_init(built_library),
            Self::Valgrind => MEMCHECK.get_or_init(|| has("valgrind").and_then(|()| built_library())),
            Self::Asan => ASAN.get_or_init(asan_library),
        }
    }
}

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
                "SKIPPED: C programs (asan, valgrind): not asked for; GWA_VARIANTS=plain,asan,valgrind runs them";
            writeln!(io::stderr(), "{text} (2 variants of each program)").expect("stderr");
        });
        "plain".to_owned()
    });
    for word in wanted.split(',') {
        let all = [Variant::Plain, Variant::Valgrind, Variant::Asan];
        let variant = all.into_iter().find(|variant| variant.name() == word);
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

    /// A configuration key of the client it makes.
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
        let mut command = match self.variant {
            Variant::Plain | Variant::Asan => Command::new(&self.path),
            Variant::Valgrind => valgrind(&self.path),
        };
        command.args(&self.args).env_clear().envs(self.env).env("GWA_TEST_SET", self.settings.join(";"));
        if self.variant == Variant::Asan {
            command.env("ASAN_OPTIONS", "detect_leaks=1:exitcode=99:detect_stack_use_after_return=1");
        }
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
    if !sim.ca_pem().is_empty() {
        let file = scratch().join(format!("ca-{}-{}.pem", std::process::id(), sim.addr().port()));
        fs::write(&file, sim.ca_pem()).expect("the CA file is written");
        add("GWA_CA_FILE", file.display().to_string());
    }
    all
}

/// Every secret a simulator has given out or expects, and the forms it could leak in, each with its name.
pub fn secrets(sim: &Sim) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let (mut id, mut secret) = (String::new(), String::new());
    sim.token().policy(|policy| {
        id.clone_from(&policy.client_id);
        secret.clone_from(&policy.client_secret);
        all.push(("a refresh token", policy.refresh_token.clone()));
    });
    for issued in sim.token().issued() {
        all.push(("an access token", issued.access_token));
        all.extend(issued.refresh_token.map(|token| ("a refresh token", token)));
    }
    all.push(("the Basic header", STANDARD.encode(format!("{id}:{secret}"))));
    all.push(("the client secret", secret));
    let encoded: Vec<_> = all.iter().flat_map(|(what, text)| encodings(text).map(|form| (*what, form))).collect();
    all.extend(encoded);
    all.retain(|(_, text)| text.len() >= 8);
    all
}

/// Which secret of the simulator stands in a text.
pub fn leaked(sim: &Sim, text: &str) -> Option<&'static str> {
    secrets(sim).into_iter().find(|(_, secret)| text.contains(secret.as_str())).map(|(what, _)| what)
}

/// Base64, in both alphabets, and form-url-encoded with the characters tokens have.
fn encodings(secret: &str) -> [String; 3] {
    let urlencoded = secret.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    [STANDARD.encode(secret).trim_end_matches('=').to_owned(), URL_SAFE_NO_PAD.encode(secret), urlencoded]
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

pub(crate) fn valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.args(["--fair-sched=yes", "--child-silent-after-fork=yes"]);
    command.arg(format!("--suppressions={ROOT}/ffi-tests/c/valgrind.supp")).arg(program);
    command
}

// ---- building ----------------------------------------------------------------------------------------------

/// The target directory; tests and programs lie in `<target>/<profile>[/deps]`.
pub(crate) fn target() -> PathBuf {
    let own = env::current_exe().expect("the test knows where it lies");
    let profile = own.ancestors().nth(1).filter(|directory| !directory.ends_with("deps"));
    let target = profile.map_or_else(|| own.ancestors().nth(3), Path::parent);
    target.expect("it lies in a target directory").to_owned()
}

pub(crate) fn scratch() -> PathBuf {
    let directory = target().join("cprogs");
    fs::create_dir_all(&directory).expect("a directory in target can be made");
    directory
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

/// What a command printed; or, if it failed, what it said about that.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// One at a time, and only what is older than what it is made of.
fn compiled(name: &str, variant: Variant, standard: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let library = variant.library().as_ref().unwrap_or_else(|why| panic!("{why}"));
    let source = PathBuf::from(format!("{ROOT}/ffi-tests/c/{name}.c"));
    // Valgrind runs the plain program.
    let kind = if variant == Variant::Asan { "asan" } else { "plain" };
    let file = name.rsplit('/').next().unwrap_or(name);
    let out = scratch().join(format!("{file}-{kind}"));
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let newest = headers().iter().chain([&source, library]).filter_map(|path| changed(path)).max();
    if changed(&out) > newest {
        return out;
    }
    let fresh = scratch().join(format!("{file}-{kind}.{}", std::process::id()));
    let mut compile = Command::new("gcc");
    compile.arg(format!("-std={standard}")).args(WARNINGS).args(["-g", "-O1", "-pthread"]);
    compile.arg(format!("-I{ROOT}/include")).arg("-I").arg(generated()).arg("-o").arg(&fresh).arg(&source);
    if variant == Variant::Asan {
        compile.arg("-fsanitize=address");
    }
    output(compile.arg(library).args(NATIVE_LIBS)).unwrap_or_else(|why| panic!("{why}"));
    fs::rename(&fresh, &out).expect("the program is put in its place");
    out
}

/// Everything a program may include.
fn headers() -> Vec<PathBuf> {
    let directories = [format!("{ROOT}/include").into(), format!("{ROOT}/ffi-tests/c").into(), generated()];
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).expect("headers"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "h" || end == "inc")).collect()
}

fn generated() -> PathBuf {
    let directory = scratch().join("generated");
    fs::create_dir_all(&directory).expect("a directory in target can be made");
    directory
}

/// Makes a file that programs can include by its name; only when it is not there in this form, so that what includes
/// it is not compiled again.
///
/// # Panics
///
/// If it cannot be written.
pub fn generate(name: &str, text: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = generated().join(name);
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return;
    }
    let fresh = path.with_extension(format!("new-{}-{:?}", std::process::id(), thread::current().id()));
    fs::write(&fresh, text).expect("a file in target can be written");
    fs::rename(&fresh, &path).expect("it is put in its place");
}

pub(crate) fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
