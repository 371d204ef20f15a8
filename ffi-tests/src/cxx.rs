//! C++ programs as tests: the cases of `ffi-tests/cpp`, compiled together into one program for each way to build it, and
//! run like the C programs (see `cprog`).
//!
//! A compiler that is missing: the test is skipped with a line `SKIPPED: …` on stderr; with `GWA_REQUIRE_ALL=1` it fails.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::cprog::{changed, output, scratch, Program, Variant, NATIVE_LIBS, ROOT};

/// Standards of C++ from the first one that has `std::function`.
pub const STANDARDS: [&str; 5] = ["c++11", "c++14", "c++17", "c++20", "c++2b"];

/// What the wrapper is clean under, with each compiler (gcc has the last one alone).
const WARNINGS: [&str; 10] = [
    "-Wall",
    "-Wextra",
    "-pedantic-errors",
    "-Wundef",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wold-style-cast",
    "-Wnon-virtual-dtor",
    "-Werror",
];

/// What becomes of exceptions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// The wrapper throws.
    Throwing,
    /// `GWA_NO_EXCEPTIONS`: it does not, but callbacks may.
    Catching,
    /// `-fno-exceptions -fno-rtti`.
    None,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Throwing, Self::Catching, Self::None];

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Throwing => &[],
            Self::Catching => &["-DGWA_NO_EXCEPTIONS"],
            Self::None => &["-fno-exceptions", "-fno-rtti"],
        }
    }
}

/// A family of compilers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Compiler {
    /// `g++` and `gcc`.
    Gcc,
    /// `clang++` and `clang`, in the newest of some versions that is installed.
    Clang,
}

impl Compiler {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gcc, Self::Clang];

    /// The command that compiles C++ (or C), if it is installed.
    pub fn command(self, is_cpp: bool) -> Option<&'static str> {
        static FOUND: OnceLock<[Option<&'static str>; 4]> = OnceLock::new();
        let found = FOUND.get_or_init(|| {
            [
                installed(&["gcc"]),
                installed(&["g++"]),
                installed(&["clang-19", "clang", "clang-16", "clang-14"]),
                installed(&["clang++-19", "clang++", "clang++-16", "clang++-14"]),
            ]
        });
        found[2 * usize::from(self == Self::Clang) + usize::from(is_cpp)]
    }

    fn warnings(self) -> impl Iterator<Item = &'static str> {
        WARNINGS.into_iter().chain((self == Self::Gcc).then_some("-Weffc++"))
    }
}

/// Calls `test` with each compiler that is installed.
///
/// # Panics
///
/// If one is not, and `GWA_REQUIRE_ALL=1`.
pub fn each_compiler(name: &str, is_cpp: bool, mut test: impl FnMut(Compiler, &'static str)) {
    for compiler in Compiler::ALL {
        match compiler.command(is_cpp) {
            Some(command) => test(compiler, command),
            None => skip(name, &format!("{compiler:?} is not installed")),
        }
    }
}

/// Says that a part of a test cannot be run here.
///
/// # Panics
///
/// With `GWA_REQUIRE_ALL=1`.
pub fn skip(name: &str, why: &str) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    assert!(env::var_os("GWA_REQUIRE_ALL").is_none_or(|value| value != "1"), "{name} is required: {why}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    writeln!(io::stderr(), "SKIPPED: {name}: {why} ({count} skipped so far)").expect("stderr");
}

/// A way to compile the cases.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Build {
    /// With which compiler.
    pub compiler: Compiler,
    /// In which standard, e.g. `c++11`.
    pub standard: &'static str,
    /// What becomes of exceptions.
    pub mode: Mode,
    /// Whether the cases of [`MIXED`] are compiled in modes of their own, linked with the rest.
    pub is_mixed: bool,
}

/// Modes of cases in a mixed build: one program may have files compiled in each.
pub const MIXED: [(&str, Mode); 3] =
    [("releases", Mode::None), ("lifecycle", Mode::None), ("callback_exceptions", Mode::Catching)];

impl Build {
    /// A way with one mode.
    pub fn new(compiler: Compiler, standard: &'static str, mode: Mode) -> Self {
        Self { compiler, standard, mode, is_mixed: false }
    }

    /// Whether its compiler is installed; says so if not.
    pub fn is_possible(&self) -> bool {
        let is_installed = self.compiler.command(true).is_some();
        if !is_installed {
            skip(&format!("{self:?}"), "the compiler is not installed");
        }
        is_installed
    }

    /// A case, to be run.
    ///
    /// # Panics
    ///
    /// If the cases do not compile without a warning.
    pub fn case(&self, name: &str, variant: Variant) -> Program<'static> {
        Program::at(name, variant, self.program(variant)).arg(name)
    }

    /// Compiles a source without a warning, and makes no file of it.
    ///
    /// # Errors
    ///
    /// What the compiler says.
    pub fn check(&self, source: &Path) -> Result<(), String> {
        output(self.command(self.mode, Variant::Plain).arg("-fsyntax-only").arg(source)).map(|_| ())
    }

    /// Compiles cases, in one piece, to an object file.
    ///
    /// # Panics
    ///
    /// If they do not compile without a warning.
    pub fn object(&self, cases: &[&str], mode: Mode, variant: Variant) -> PathBuf {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let object = scratch().join(format!("cpp-{}-{}-{count}.o", self.name(variant), std::process::id()));
        let source = object.with_extension("cpp");
        let include = |case: &&str| format!("#include \"{}\"\n", directory().join(format!("{case}.cpp")).display());
        fs::write(&source, cases.iter().map(include).collect::<String>()).expect("a file in target can be written");
        let mut compile = self.command(mode, variant);
        compile.args(["-g1", "-pthread", "-c"]).arg(&source).arg("-o").arg(&object);
        output(&mut compile).unwrap_or_else(|why| panic!("{why}"));
        fs::remove_file(&source).expect("it was made here");
        object
    }

    /// The mode of a case.
    fn mode_of(&self, case: &str) -> Mode {
        let own = MIXED.iter().find(|(name, _)| self.is_mixed && *name == case);
        own.map_or(self.mode, |(_, mode)| *mode)
    }

    /// The compiler with all but files. ThreadSanitizer has one of its own.
    fn command(&self, mode: Mode, variant: Variant) -> Command {
        let (mut command, warnings) = if variant == Variant::Tsan {
            (variant.compiler(), Compiler::Clang.warnings())
        } else {
            (Command::new(self.compiler.command(true).expect("it is installed")), self.compiler.warnings())
        };
        if variant == Variant::Tsan {
            command.arg("--driver-mode=g++");
        }
        command.arg(format!("-std={}", self.standard)).args(warnings).args(mode.flags()).args(variant.flags());
        if self.is_mixed && variant == Variant::Asan {
            command.arg("-fno-sanitize=vptr"); // objects of files without RTTI have nothing to check
        }
        command.arg(format!("-I{ROOT}/include"));
        command
    }

    /// `gcc-c++11-throwing-plain`.
    fn name(&self, variant: Variant) -> String {
        let kind = variant.kind();
        let mixed = if self.is_mixed { "-mixed" } else { "" };
        format!("{:?}-{}-{:?}{mixed}-{kind}", self.compiler, self.standard, self.mode).to_lowercase()
    }

    /// The cases in one program; compiled once, and only if something is newer than what is there.
    fn program(&self, variant: Variant) -> PathBuf {
        static BUILT: Mutex<Option<HashMap<String, Arc<OnceLock<PathBuf>>>>> = Mutex::new(None);
        let name = self.name(variant);
        let once = {
            let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(built.get_or_insert_with(HashMap::new).entry(name.clone()).or_default())
        };
        once.get_or_init(|| self.built(&name, variant)).clone()
    }

    fn built(&self, name: &str, variant: Variant) -> PathBuf {
        let library = variant.library().as_ref().unwrap_or_else(|why| panic!("{why}"));
        let out = scratch().join(format!("cpp-{name}"));
        let headers = ["h", "hpp"].map(|end| PathBuf::from(format!("{ROOT}/include/genesys_ws_auth.{end}")));
        let sources = files();
        let newest = sources.iter().chain(&headers).chain([library]).filter_map(|path| changed(path)).max();
        if changed(&out) > newest {
            return out;
        }
        let is_case = |path: &&PathBuf| path.extension().is_some_and(|end| end == "cpp");
        let names = sources.iter().filter(is_case).filter_map(|path| path.file_stem()?.to_str());
        let cases: Vec<_> = names.collect();
        let objects: Vec<_> = Mode::ALL
            .into_iter()
            .filter_map(|mode| {
                let of_mode: Vec<_> = cases.iter().copied().filter(|case| self.mode_of(case) == mode).collect();
                (!of_mode.is_empty()).then(|| self.object(&of_mode, mode, variant))
            })
            .collect();
        let fresh = scratch().join(format!("cpp-{name}.{}", std::process::id()));
        let mut link = self.command(self.mode, variant);
        link.arg("-pthread").args(&objects).arg(library).args(NATIVE_LIBS).arg("-o").arg(&fresh);
        output(&mut link).unwrap_or_else(|why| panic!("{why}"));
        objects.iter().for_each(|object| fs::remove_file(object).expect("it was made here"));
        fs::rename(&fresh, &out).expect("the program is put in its place");
        out
    }
}

/// Where the cases lie.
pub fn directory() -> PathBuf {
    PathBuf::from(format!("{ROOT}/ffi-tests/cpp"))
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(directory()).expect("ffi-tests/cpp can be read");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn installed(commands: &[&'static str]) -> Option<&'static str> {
    let is_there = |command: &&str| {
        let status = Command::new(command).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    commands.iter().copied().find(|command| is_there(command))
}
