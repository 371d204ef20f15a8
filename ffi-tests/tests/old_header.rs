//! A program compiled with an earlier header of this minor version runs with the library as it is now.
//!
//! `abi/old/genesys_ws_auth.h` is the header as it was when commit fb111ee was made, frozen: programs were compiled with
//! it, so its bytes do not change. When the minor version does, the header of its first version takes its place.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use ffi_tests::cprog::{each, environment, Program, Variant};
use ffi_tests::sim::Sim;
use ring::digest::{digest, SHA256};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const OLD: &[u8] = include_bytes!("../abi/old/genesys_ws_auth.h");

#[test]
fn the_old_header_is_frozen() {
    let hash: String = digest(&SHA256, OLD).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, "abeaaf9554b10645c5e98f4f303a480a7217d67b75ea16d1ac514f3025bdd596");
}

#[test]
fn an_old_program_links_with_the_archive() {
    each("old_header", |variant| {
        let sim = Sim::start(variant.options());
        Program::new("old_header", variant).against(&sim).run().passed();
        assert_eq!(sim.record().ws_connects(), 1);
    });
}

/// The library was replaced below a program that is not compiled again.
#[test]
fn an_old_program_loads_the_shared_library() {
    let own = env::current_exe().expect("the path of this test");
    let beside = own.parent().expect("a folder");
    assert!(beside.join("libgenesys_ws_auth.so").exists(), "cargo builds it for these tests");
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("old_header_shared");
    let mut compile = Command::new("gcc");
    compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wpedantic", "-pthread", "-o"]).arg(&program);
    compile.arg(Path::new(ROOT).join("c/old_header.c")).arg(format!("-I{ROOT}/../include"));
    compile.arg(beside.join("libgenesys_ws_auth.so")).arg(format!("-Wl,-rpath,{}", beside.display()));
    assert!(compile.status().expect("gcc is installed").success());
    let sim = Sim::start(Variant::Plain.options());
    let output = Command::new(&program).env_clear().envs(environment(&sim)).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sim.record().ws_connects(), 1);
}
