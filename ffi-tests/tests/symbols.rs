//! What the libraries export: exactly the functions that the header declares.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[test]
fn the_archive_exports_what_the_header_declares() {
    assert_eq!(exported(&["-g", "--defined-only"], "libgenesys_ws_auth.a"), declared());
}

#[test]
fn the_shared_library_exports_what_the_header_declares() {
    assert_eq!(exported(&["-D", "--defined-only"], "libgenesys_ws_auth.so"), declared());
}

/// Nothing but our functions leaves the shared library.
#[test]
fn the_shared_library_exports_nothing_else() {
    let foreign: Vec<_> =
        symbols(&["-D", "--defined-only"], "libgenesys_ws_auth.so").into_iter().filter(|name| !is_ours(name)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

fn exported(options: &[&str], library: &str) -> BTreeSet<String> {
    symbols(options, library).into_iter().filter(|name| is_ours(name)).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("gwa_")
}

fn symbols(options: &[&str], library: &str) -> Vec<String> {
    let output = Command::new("nm").args(options).arg(artefact(library)).output().expect("nm is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned())).collect()
}

/// Cargo builds all crate types of the library for these tests, and puts them beside the tests themselves.
fn artefact(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let path = test.parent().expect("a folder").join(name);
    assert!(path.exists(), "{} is missing: cargo build", path.display());
    path
}

/// Names of the functions that the header declares.
fn declared() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/genesys_ws_auth.h");
    let header = fs::read_to_string(path).expect("the header can be read");
    let code = header.lines().filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef"));
    code.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next().map(str::to_owned)).collect()
}
