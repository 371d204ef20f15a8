//! What the README shows compiles.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_c_start_compiles_and_is_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let code = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of C");
    assert!(code.lines().filter(|line| !line.trim().is_empty()).count() <= 20, "the C start has 20 lines");
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme.c");
    fs::write(&source, code).unwrap();
    let flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"];
    let status = Command::new("cc").args(flags).arg(root.join("include")).arg(&source).status().unwrap();
    assert!(status.success());
}

#[test]
fn the_cpp_start_compiles_and_is_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let code = readme.split("```cpp\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of C++");
    assert!(code.lines().filter(|line| !line.trim().is_empty()).count() <= 20, "the C++ start has 20 lines");
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme.cpp");
    fs::write(&source, code).unwrap();
    let flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"];
    let status = Command::new("c++").args(flags).arg(root.join("include")).arg(&source).status().unwrap();
    assert!(status.success());
}

#[test]
fn no_placeholder_is_left() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    assert!(!readme.contains("@DEMO@") && !readme.contains("@TESTS@") && !readme.contains("@BENCH@"));
    assert!(readme.contains("demo: everything held") && readme.contains("test"));
}
