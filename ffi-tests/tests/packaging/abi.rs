//! The ABI as C sees it, against the committed description of it.
//!
//! The description is that of a library made from the header alone, with every function of it and its types, so that no
//! compiler of Rust stands between. `abi/abi.xml` is libabigail's; `abi/values.txt` has macros with their values, and the
//! structs, field by field. After a change that is meant:
//! `cargo test -p ffi-tests --test packaging -- --ignored describe_the_abi_anew`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::install::{has, output, possible, work, ROOT};

const DESCRIPTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/abi/abi.xml");
const VALUES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/abi/values.txt");
const SUPPRESSED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/abi/known-elsewhere.suppr");

#[test]
fn nothing_has_changed_that_a_program_relies_on() {
    if possible("abidiff (abigail-tools)", has("abidiff")) {
        let library = stub("abi-now", &header());
        let report = incompatible(Path::new(DESCRIPTION), &library);
        assert!(
            report.is_none(),
            "from 1.0 on this must not be; until then: CHANGELOG, and describe it anew\n{report:?}"
        );
        let added = difference(&[], Path::new(DESCRIPTION), &library).unwrap_or_default();
        assert!(added.is_empty(), "the ABI has grown: describe it anew (see the head of this file)\n{added}");
    }
}

#[test]
fn no_number_and_no_field_has_changed() {
    let (old, new) = (fs::read_to_string(VALUES).expect("the committed values"), values("values-now", &header()));
    let gone = lost(&old, &new);
    assert!(gone.is_empty(), "from 1.0 on this must not be; until then: CHANGELOG, and describe it anew\n{gone:?}");
    assert_eq!(old, new, "there are new ones: describe the ABI anew (see the head of this file)");
}

#[test]
fn planted_numbers_and_fields_are_found() {
    let plants = [
        ("another number", "#define GWA_E_PANIC 4900", "#define GWA_E_PANIC 4901"),
        ("a constant is gone", "#define GWA_E_PANIC 4900", ""),
        ("a field that is narrower", "    uint64_t gaps;", "    uint32_t gaps;"),
        ("a field of another type", "    uint64_t gaps;", "    int64_t gaps;"),
        ("a field of another name", "    uint64_t gaps;", "    uint64_t planted;"),
        ("a field before others", "    uint64_t gaps;", "    uint64_t planted;\n    uint64_t gaps;"),
    ];
    let old = values("values-old", &header());
    for (number, (what, from, to)) in plants.into_iter().enumerate() {
        let new = values(&format!("values-planted-{number}"), &planted(what, from, to));
        assert!(!lost(&old, &new).is_empty(), "{what} was not found");
    }
    let grown = planted("growth", "} gwa_metrics_t;", "    uint64_t planted;\n} gwa_metrics_t;");
    let grown = values("values-grown", &grown);
    assert!(lost(&old, &grown).is_empty() && grown.contains("gwa_metrics_t.planted uint64_t at "), "{grown}");
}

#[test]
fn planted_changes_are_found() {
    if !possible("abidiff (abigail-tools)", has("abidiff")) {
        return;
    }
    let plants = [
        ("a wider parameter", "uint32_t min_left_ms", "uint64_t min_left_ms"),
        ("another result", "uint32_t gwa_version_number(void)", "uint64_t gwa_version_number(void)"),
        ("a function is gone", "uint64_t gwa_debug_live_objects(void);", ""),
        (
            "a parameter more",
            "gwa_status_t gwa_client_interrupt(",
            "gwa_status_t gwa_client_interrupt(int32_t planted, ",
        ),
        (
            "a callback with less",
            "typedef void (*gwa_release_fn)(void *user_data);",
            "typedef void (*gwa_release_fn)(void);",
        ),
    ];
    let now = stub("abi-before-planting", &header());
    assert_eq!(incompatible(&now, &now), None);
    for (number, (what, from, to)) in plants.into_iter().enumerate() {
        let library = stub(&format!("abi-planted-{number}"), &planted(what, from, to));
        assert!(incompatible(&now, &library).is_some(), "{what} was not found");
    }
}

#[test]
fn what_may_be_added_is_no_incompatibility() {
    if !possible("abidiff (abigail-tools)", has("abidiff")) {
        return;
    }
    let grown = planted("a function", "uint64_t gwa_debug_", "uint64_t gwa_planted(void);\nuint64_t gwa_debug_");
    let grown = grown.replacen("} gwa_metrics_t;", "    uint64_t planted;\n} gwa_metrics_t;", 1);
    let library = stub("abi-grown", &grown);
    let now = stub("abi-before-growing", &header());
    assert_eq!(incompatible(&now, &library), None);
    assert!(difference(&[], &now, &library).is_some(), "and it is noticed");
}

#[test]
#[ignore = "writes ffi-tests/abi"]
fn describe_the_abi_anew() {
    let mut abidw = Command::new("abidw");
    abidw.args(["--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--no-elf-needed"]);
    abidw.args(["--no-parameter-names", "--type-id-style", "hash"]).arg(stub("abi-described", &header()));
    let text = output(&mut abidw);
    fs::write(DESCRIPTION, text).expect("it is written");
    fs::write(VALUES, values("values-described", &header())).expect("it is written");
}

/// What abidiff says of changes that break programs; `None` if there are none.
fn incompatible(old: &Path, new: &Path) -> Option<String> {
    difference(&["--no-added-syms", "--suppressions", SUPPRESSED], old, new)
}

fn difference(options: &[&str], old: &Path, new: &Path) -> Option<String> {
    let result = Command::new("abidiff").args(options).args([old, new]).output().expect("abidiff runs");
    let code = result.status.code().expect("it ends");
    let text = String::from_utf8_lossy(&result.stdout).into_owned();
    // 1 and 2: it was not used well; 4 and 8: there are changes.
    assert!(code & 3 == 0, "abidiff: {text}\n{}", String::from_utf8_lossy(&result.stderr));
    (code != 0).then_some(text)
}

/// Lines that are no more.
fn lost<'a>(old: &'a str, new: &str) -> Vec<&'a str> {
    old.lines().filter(|line| !new.lines().any(|other| other == *line)).collect()
}

/// The header with one change.
fn planted(what: &str, from: &str, to: &str) -> String {
    let header = header();
    assert!(header.contains(from), "{what}: the header has no {from:?}");
    header.replacen(from, to, 1)
}

fn header() -> String {
    fs::read_to_string(format!("{ROOT}/include/genesys_ws_auth.h")).expect("the header")
}

/// A library with a body for every function that a header declares, with debug information.
fn stub(name: &str, header: &str) -> PathBuf {
    let directory = work().join(name);
    fs::create_dir_all(&directory).expect("a directory");
    let mut source = String::from("#include \"stub.h\"\n");
    for declaration in declarations(header) {
        source += &declaration.replace(';', " { __builtin_trap(); }\n");
    }
    fs::write(directory.join("stub.h"), header).expect("it is written");
    fs::write(directory.join("stub.c"), source).expect("it is written");
    let mut compile = Command::new("gcc");
    compile.args(["-g", "-gdwarf-4", "-O0", "-shared", "-fPIC", "stub.c", "-Wl,-soname,libgenesys_ws_auth.so.0"]);
    output(compile.args(["-o", "stub.so"]).current_dir(&directory));
    directory.join("stub.so")
}

/// Declarations of functions begin at the start of a line and end with a semicolon.
fn declarations(header: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        let starts = line.starts_with(|first: char| first.is_ascii_alphabetic());
        if !starts || line.starts_with("typedef") || line.starts_with("extern") || !line.contains('(') {
            continue;
        }
        let mut declaration = line.to_owned();
        while !declaration.ends_with(';') {
            declaration += lines.next().expect("a declaration ends");
        }
        all.push(declaration);
    }
    assert!(all.len() > 100, "{}", all.len());
    all
}

/// What a compiler makes of macros and structs, one a line: `GWA_NAME text`, `struct.field type at offset`.
fn values(name: &str, header: &str) -> String {
    let directory = work().join(name);
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("values.h"), header).expect("it is written");
    let text = output(Command::new("gcc").args(["-std=c99", "-dM", "-E", "values.h"]).current_dir(&directory));
    let ours = text.lines().filter_map(|line| line.strip_prefix("#define "));
    // Versions change with every release, and the guard is nobody's business.
    let ours = ours.filter(|line| line.starts_with("GWA_") && !line.starts_with("GWA_VERSION_") && line.contains(' '));
    let mut lines: BTreeSet<_> = ours.map(|line| line.trim_end().to_owned()).collect();
    assert!(lines.len() > 100, "{}", lines.len());
    let mut program = String::from("#include \"values.h\"\n#include <stdio.h>\nint main(void) {\n");
    for (structure, kind, field) in fields(header) {
        program += &format!("printf(\"{structure}.{field} {kind} at %d\\n\", (int)offsetof({structure}, {field}));\n");
    }
    fs::write(directory.join("values.c"), program + "return 0; }\n").expect("it is written");
    output(Command::new("gcc").args(["-std=c99", "values.c", "-o", "values"]).current_dir(&directory));
    lines.extend(output(&mut Command::new(directory.join("values"))).lines().map(str::to_owned));
    lines.into_iter().fold(String::new(), |all, line| all + &line + "\n")
}

/// `(struct, type, name)` of every field that the header shows.
fn fields(header: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for text in
        header.split("\ntypedef struct ").skip(1).filter(|text| text.lines().next().unwrap_or_default().ends_with('{'))
    {
        let (body, rest) = text.split_once("\n}").expect("a struct ends");
        let structure = rest.split(';').next().expect("it has a name").trim();
        for line in body.lines().filter(|line| line.starts_with("    ") && line.ends_with(';')) {
            let declaration = line.trim().trim_end_matches(';');
            let at = declaration.rfind([' ', '*']).expect("a type and a name") + 1;
            let (kind, field) = declaration.split_at(at);
            all.push((structure.to_owned(), kind.trim().to_owned(), field.to_owned()));
        }
    }
    assert!(all.len() > 20, "{}", all.len());
    all
}
