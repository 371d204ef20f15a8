//! The programs of `examples/`, compiled with strict flags as their users would, and run while the test watches what they
//! print. They know nothing of a test: what ends them is a signal.
//!
//! Variants and their tools are those of [`crate::cprog`].

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::cprog::{environment, output, scratch, target, Variant, NATIVE_LIBS, ROOT};
use crate::secrets::leaked;
use crate::sim::Sim;

/// How a program is made.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The source, below `examples/`.
    pub source: &'a str,
    /// `gcc` or `g++`.
    pub compiler: &'a str,
    /// The standard, and whatever else its head comment says.
    pub flags: &'a [&'a str],
    /// Behind the source: libraries of others.
    pub libraries: &'a [&'a str],
    /// Whether it is linked with ours.
    pub with_library: bool,
}

impl<'a> Recipe<'a> {
    /// A C program in that standard.
    pub fn c(source: &'a str, flags: &'a [&'a str]) -> Self {
        Self { source, compiler: "gcc", flags, libraries: &[], with_library: true }
    }

    /// Where the compiled program lies. Compiles it once in a process.
    ///
    /// # Panics
    ///
    /// If it does not compile without a warning.
    pub fn build(self, variant: Variant) -> PathBuf {
        static BUILT: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
        let kind = variant.kind();
        let out = scratch().join(format!("example-{}-{kind}", self.source.replace('/', "-")));
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if built.get_or_insert_default().insert(out.clone()) {
            self.compile(variant, &out);
        }
        out
    }

    fn compile(self, variant: Variant, out: &Path) {
        let mut compile = Command::new(self.compiler);
        compile.args(["-Wall", "-Wextra", "-Werror", "-pedantic-errors", "-g", "-O1", "-pthread"]).args(self.flags);
        compile.arg(format!("-I{ROOT}/include")).arg("-o").arg(out).arg(format!("{ROOT}/examples/{}", self.source));
        compile.args(variant.flags());
        if self.with_library {
            compile.arg(variant.library().as_ref().unwrap_or_else(|why| panic!("{why}")));
        }
        compile.args(self.libraries).args(NATIVE_LIBS);
        output(&mut compile).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// The command that runs a compiled program in that variant.
pub fn command(program: &Path, variant: Variant) -> Command {
    variant.command(program)
}

/// The Rust example of that name, built by Cargo where it builds the tests, too.
///
/// # Panics
///
/// If it cannot be built.
pub fn rust_example(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "genesys-ws-auth", "--example", name]).current_dir(ROOT);
    output(build.arg("--target-dir").arg(target())).unwrap_or_else(|why| panic!("{why}"));
    target().join("debug/examples").join(name)
}

/// The shared library, for programs that load it. It lies beside the static one.
///
/// # Panics
///
/// If there is none.
pub fn shared_library() -> PathBuf {
    let library = Variant::Plain.library().as_ref().unwrap_or_else(|why| panic!("{why}")).with_extension("so");
    assert!(library.is_file(), "{} is missing", library.display());
    library
}

/// A program that runs.
pub struct Live<'a> {
    name: String,
    child: Child,
    shown: Arc<Shown>,
    stderr: Receiver<String>,
    sim: &'a Sim,
    limit: Duration,
}

/// What it printed, and whether that was all.
#[derive(Default)]
struct Shown {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl<'a> Live<'a> {
    /// Starts it, with nothing in its environment but what the command has and what the simulator needs.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(mut command: Command, sim: &'a Sim, variant: Variant) -> Self {
        let given: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(environment(sim)).envs(given);
        let name = format!("{:?}", command.get_program());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        let shown = Arc::new(Shown::default());
        read_lines(child.stdout.take().expect("piped"), Arc::clone(&shown));
        let (sender, stderr) = mpsc::channel();
        let mut from = child.stderr.take().expect("piped");
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = from.read_to_end(&mut bytes);
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        Self { name, child, shown, stderr, sim, limit: variant.limit() }
    }

    /// Its number as a process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until what it printed so far satisfies `wanted`.
    ///
    /// # Panics
    ///
    /// If it does not, in time or before its output ends.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        let lines = self.shown.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |(lines, ended): &mut (Vec<String>, bool)| !*ended && !wanted(lines);
        let (lines, _) =
            self.shown.changed.wait_timeout_while(lines, self.limit, waiting).unwrap_or_else(PoisonError::into_inner);
        if !wanted(&lines.0) {
            let all = lines.0.join("\n");
            let ended = lines.1;
            drop(lines);
            let stderr = self.stderr.recv_timeout(Duration::from_millis(u64::from(ended) * 1000)).unwrap_or_default();
            panic!("{}: waited for {what} (output ended: {ended}):\n{all}\n{stderr}", self.name);
        }
    }

    /// Sends it a signal: `INT`, `TERM`, `HUP`.
    ///
    /// # Panics
    ///
    /// If that cannot be done.
    pub fn signal(&self, name: &str) {
        // The shell has kill built in; not every machine has the program.
        let kill = format!("kill -{name} {}", self.child.id());
        output(Command::new("sh").args(["-c", &kill])).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Presses Enter.
    ///
    /// # Panics
    ///
    /// If the program does not listen any more.
    pub fn enter(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"\n").and_then(|()| stdin.flush()).expect("the program listens");
    }

    /// Waits for its end; kills it when the time is up.
    ///
    /// # Panics
    ///
    /// If it did not end by itself, or printed a secret.
    pub fn finish(mut self) -> Ended {
        let lines = self.shown.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, _) = self
            .shown
            .changed
            .wait_timeout_while(lines, self.limit, |(_, ended)| !*ended)
            .unwrap_or_else(PoisonError::into_inner);
        let (lines, ended) = (lines.0.clone(), lines.1);
        if !ended {
            self.child.kill().expect("the program is ours to kill");
        }
        let status = self.child.wait().expect("the program is ours to wait for");
        let stderr = self.stderr.recv().unwrap_or_default();
        assert!(ended, "{} did not end:\n{}\n{stderr}", self.name, lines.join("\n"));
        let leaked = leaked(self.sim, &format!("{}\n{stderr}", lines.join("\n")));
        assert!(leaked.is_none(), "{} printed {}", self.name, leaked.unwrap_or_default());
        Ended { status, lines, stderr }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        // Nothing but a test that failed leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed.
    pub lines: Vec<String>,
    /// Its errors.
    pub stderr: String,
}

impl Ended {
    /// Asserts that it ended with 0 and had nothing to say on stderr.
    ///
    /// # Panics
    ///
    /// If not; with what it printed.
    pub fn well(self) -> Self {
        assert!(self.status.success() && self.stderr.is_empty(), "{self:#?}");
        self
    }
}

fn read_lines(from: ChildStdout, shown: Arc<Shown>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let mut lines = shown.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.0.push(String::from_utf8_lossy(&line).into_owned());
            shown.changed.notify_all();
        }
        shown.lines.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        shown.changed.notify_all();
    });
}
