//! The programs that are measured: building them, running them, and what can be seen of them from outside.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::job::{Job, TokenJob};

/// Where things are.
pub struct Paths {
    /// The checkout whose library is measured: this one, or `GWA_BENCH_ROOT`.
    pub root: PathBuf,
    /// What is built and written goes here.
    pub out: PathBuf,
    here: PathBuf,
}

impl Paths {
    /// As cargo has them.
    pub fn new() -> Self {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = std::env::var_os("GWA_BENCH_ROOT").map_or_else(|| here.join(".."), PathBuf::from);
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        fs::create_dir_all(&out).expect("a directory");
        Self { root: root.canonicalize().expect("a checkout"), out, here }
    }

    /// The static library as a package would ship it. `cargo build` makes it together with the rlib, and then without
    /// link-time optimisation: hence `cargo rustc --crate-type`.
    fn library(&self, profile: &str) -> PathBuf {
        let target = self.out.join("library");
        let args =
            ["rustc", "--quiet", "--lib", "-p", "genesys-ws-auth", "--crate-type", "staticlib", "--profile", profile];
        let mut cargo = Command::new(env!("CARGO"));
        let built = cargo.args(args).current_dir(&self.root).env("CARGO_TARGET_DIR", &target).output();
        let built = built.expect("cargo");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        target.join(profile).join("libgenesys_ws_auth.a")
    }

    /// Compiles a C program against a library.
    fn compile(&self, source: &Path, name: &str, library: &Path, flags: &[&str]) -> PathBuf {
        let program = self.out.join(name);
        // One of a run that was killed may still be there, and its file busy.
        let _ = fs::remove_file(&program);
        let mut cc = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()));
        cc.args(["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror"]).arg("-I").arg(self.root.join("include"));
        cc.arg("-o").arg(&program).arg(source).arg(library);
        cc.args(["-Wl,--gc-sections", "-Wl,-z,now", "-lpthread", "-lm", "-ldl"]).args(flags);
        assert!(cc.status().is_ok_and(|status| status.success()), "{} does not compile", source.display());
        program
    }

    /// Compiles C programs against the library; their paths.
    pub fn c_programs(&self) -> CPrograms {
        let library = self.library("release");
        let client = self.compile(&self.here.join("benches/c/client.c"), "client", &library, &[]);
        let minimal = self.compile(&self.minimal(), "minimal", &library, &[]);
        let shutdown = self.compile(&self.here.join("benches/c/shutdown.c"), "shutdown", &library, &[]);
        CPrograms { client, minimal, shutdown }
    }

    /// The example with packed relocations (glibc 2.36 and later): as it is, and in the small profile.
    pub fn packed(&self) -> [PathBuf; 2] {
        [("release", "minimal-packed"), ("small", "minimal-small")].map(|(profile, name)| {
            self.compile(&self.minimal(), name, &self.library(profile), &["-Wl,-z,pack-relative-relocs"])
        })
    }

    fn minimal(&self) -> PathBuf {
        self.root.join("examples/c/minimal.c")
    }

    /// Size in KiB without symbols.
    pub fn stripped_kib(&self, program: &Path) -> f64 {
        let stripped = self.out.join("stripped");
        let done = Command::new("strip").arg("-o").arg(&stripped).arg(program).status();
        assert!(done.is_ok_and(|status| status.success()), "strip fails");
        fs::metadata(stripped).expect("written").len() as f64 / 1024.0
    }
}

/// The C programs.
pub struct CPrograms {
    /// The bench's own.
    pub client: PathBuf,
    /// The example.
    pub minimal: PathBuf,
    /// Ends its client when it is told to.
    pub shutdown: PathBuf,
}

/// A program and how it is called.
#[derive(Clone, Debug)]
pub struct Program {
    /// Column.
    pub name: &'static str,
    path: PathBuf,
    first: Option<&'static str>,
}

impl Program {
    /// The four of them, in the order of the columns.
    pub fn all(client: &Path) -> [Self; 4] {
        let path = |text: &str| PathBuf::from(text);
        [
            Self { name: "inline", path: client.into(), first: Some("inline") },
            Self { name: "dispatched", path: client.into(), first: Some("callbacks") },
            Self { name: "floor", path: path(env!("CARGO_BIN_EXE_bench-floor")), first: None },
            Self { name: "naive", path: path(env!("CARGO_BIN_EXE_bench-naive")), first: None },
        ]
    }

    /// The program itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is our library.
    pub fn is_ours(&self) -> bool {
        self.first.is_some()
    }

    fn command(&self, under: &[&str], call: &Call) -> Command {
        let mut words: Vec<&std::ffi::OsStr> = under.iter().map(AsRef::as_ref).collect();
        words.push(self.path.as_ref());
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(self.first).args(call.args());
        command
    }

    /// Runs it to its end, within two minutes, under another program if need be. What it printed.
    pub fn run(&self, under: &[&str], call: &Call) -> Printed {
        let under = [&["timeout", "-k", "1", "120"], under].concat();
        let output = self.command(&under, call).stderr(Stdio::piped()).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {:?}: {}\n{error}", self.name, call.job, output.status);
        Printed::new(String::from_utf8_lossy(&output.stdout).lines())
    }

    /// Starts one that idles; returns when it is ready. It runs from a copy: pages of the program that two processes
    /// share would not count as private to either.
    pub fn idle(&self, call: &Call, copy: &Path) -> Idle {
        let _ = fs::remove_file(copy);
        fs::copy(&self.path, copy).expect("copied");
        let copied = Self { path: copy.into(), ..self.clone() };
        let mut child =
            copied.command(&[], call).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let is_ready = lines.any(|line| line.starts_with("idle="));
        assert!(is_ready, "{} is not ready", self.name);
        Idle(child)
    }
}

/// What a program is to do.
pub struct Call {
    pub token_url: String,
    pub ws_url: String,
    pub ca_file: PathBuf,
    pub job: &'static str,
    pub n: u64,
}

impl Call {
    fn args(&self) -> [String; 5] {
        let ca_file = self.ca_file.display().to_string();
        [self.token_url.clone(), self.ws_url.clone(), ca_file, self.job.into(), self.n.to_string()]
    }
}

/// Makes calls to one server.
pub struct Caller {
    /// Where the server, or a proxy before it, listens.
    pub addr: std::net::SocketAddr,
    /// The trusted CA.
    pub ca_file: PathBuf,
}

impl Caller {
    /// A call: what the server does, and what the program does.
    pub fn call(&self, on_server: &Job, token: TokenJob, job: &'static str, n: u64) -> Call {
        let token_url = format!("https://{}{token}", self.addr);
        let ws_url = format!("wss://{}{on_server}", self.addr);
        Call { token_url, ws_url, ca_file: self.ca_file.clone(), job, n }
    }

    /// Events to be counted.
    pub fn events(&self, n: u64, size: usize, rate: u64) -> Call {
        self.call(&Job::Events { n, size, rate }, TokenJob::PLAIN, "events", n)
    }
}

/// Lines of `key=value`.
#[derive(Debug)]
pub struct Printed(HashMap<String, String>);

impl Printed {
    fn new<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let pairs = lines.filter_map(|line| line.split_once('='));
        Self(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// A number.
    pub fn number(&self, key: &str) -> f64 {
        self.0.get(key).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    /// A number of the server's report.
    pub fn report(&self, key: &str) -> Option<f64> {
        let value: serde_json::Value = serde_json::from_str(self.0.get("report")?).ok()?;
        value.get(key)?.as_f64()
    }
}

/// A program that idles; killed when dropped.
pub struct Idle(Child);

impl Idle {
    /// A number of kB in `smaps_rollup`, summed over the lines that begin so.
    pub fn memory_kib(&self, lines: &[&str]) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0.id())).expect("/proc");
        let wanted = text.lines().filter(|line| lines.iter().any(|start| line.starts_with(start)));
        wanted.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
    }

    /// How often its threads went to sleep so far, or were put to sleep.
    pub fn switches(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("/proc");
        let status = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
        let count = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse::<f64>().ok()
        };
        status.filter_map(count).sum()
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
