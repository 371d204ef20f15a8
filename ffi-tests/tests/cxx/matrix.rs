//! What the compiler says, and what is in an object file.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ffi_tests::cprog::Variant;
use ffi_tests::cxx::{directory, each_compiler, Build, Compiler, Mode, STANDARDS};
use ffi_tests::tags;

/// One program that uses everything, included twice: standards × compilers × modes. Two cells at a time.
#[test]
fn clean_in_every_cell() {
    let mut cells = Vec::new();
    each_compiler("the C++ matrix", true, |compiler, _| {
        for standard in STANDARDS {
            cells.extend(Mode::ALL.map(|mode| Build::new(compiler, standard, mode)));
        }
    });
    let source = directory().join("every_item.cpp");
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            failed.extend(cell.check(&source).err());
        }
        failed
    };
    let failed: Vec<_> = thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().flat_map(|worker| worker.join().expect("it ends")).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    writeln!(io::stderr(), "C++ matrix: {} cells", cells.len()).expect("stderr");
}

/// Without exceptions the throwing forms are not there: a program that uses one does not compile.
#[test]
fn throwing_forms_are_declared_with_exceptions_alone() {
    let source = scratch("throwing_form.cpp");
    fs::write(&source, "#include \"genesys_ws_auth.hpp\"\nint main() { gwa::config().set(\"client.id\", \"x\"); }\n")
        .expect("a file in target can be written");
    for mode in Mode::ALL {
        let outcome = Build::new(Compiler::Gcc, "c++11", mode).check(&source);
        assert_eq!(outcome.is_ok(), mode == Mode::Throwing, "{mode:?}: {outcome:?}");
        assert!(outcome.is_ok() || outcome.unwrap_err().contains("no member named"));
    }
}

/// `every_item.cpp` names no C function: what its object needs, the wrapper has called.
#[test]
fn every_function_of_the_header_is_reached() {
    let source = fs::read_to_string(directory().join("every_item.cpp")).expect("a source");
    let header = fs::read_to_string(include().join("genesys_ws_auth.h")).expect("the header");
    let declared: BTreeSet<_> = tags::parse(&header).into_iter().map(|function| function.name).collect();
    for name in &declared {
        assert!(!source.contains(&format!("{name}(")), "{name} is called without the wrapper");
    }
    let object =
        Build::new(Compiler::Gcc, "c++11", Mode::Throwing).object(&["every_item"], Mode::Throwing, Variant::Plain);
    let output = Command::new("nm").arg("--undefined-only").arg(&object).output().expect("nm is installed");
    let symbols = String::from_utf8_lossy(&output.stdout);
    let used: BTreeSet<_> = symbols.split_whitespace().filter(|word| declared.contains(*word)).collect();
    let missing: Vec<_> = declared.iter().filter(|name| !used.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "the wrapper does not reach {missing:?}");
    fs::remove_file(&object).expect("it was made here");
    writeln!(io::stderr(), "C++ wrapper: reaches {} functions", used.len()).expect("stderr");
}

/// The wrapper defines its guard, and undefines everything else that it needs.
#[test]
fn no_macro_leaks() {
    let needs = fs::read_to_string(include().join("genesys_ws_auth.hpp")).expect("the wrapper");
    let standard: String =
        needs.lines().filter(|line| line.starts_with("#include ")).fold(String::new(), |all, line| all + line + "\n");
    each_compiler("macros of the C++ wrapper", true, |_, command| {
        let without = macros(command, &standard);
        let with = macros(command, &format!("{standard}#include \"genesys_ws_auth.hpp\"\n"));
        let new: Vec<_> = with.difference(&without).collect();
        assert_eq!(new, ["#define GWA_GENESYS_WS_AUTH_HPP "]);
    });
}

fn macros(command: &str, source: &str) -> BTreeSet<String> {
    let path = scratch(&format!("macros-{command}-{}.cpp", source.len()));
    fs::write(&path, source).expect("a file in target can be written");
    let mut compiler = Command::new(command);
    compiler.args(["-std=c++2b", "-dM", "-E", "-I"]).arg(include()).arg(&path);
    let output = compiler.output().expect("it is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include")
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
