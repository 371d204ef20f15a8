//! The examples cannot rot: `examples/c/minimal.c` compiled as the house compiles, and the demo run as `make` runs it.

use std::process::{Command, Stdio};

use ffi_tests::cprog::{each, Program, Variant};

#[test]
fn the_demo_holds() {
    each("examples/c/minimal.c", |variant| {
        if variant != Variant::Plain {
            return; // half a minute, and all of it is in other programs
        }
        let minimal = Program::new("../../examples/c/minimal", variant);
        let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
        let output = demo.arg(minimal.path()).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.ends_with("demo: everything held\n"), "{text}");
    });
}

#[test]
fn what_the_example_says_when_something_is_missing() {
    each("examples/c/minimal.c", |variant| {
        let run = Program::new("../../examples/c/minimal", variant).run();
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        assert!(run.stderr.contains("client.id"), "{run:?}");
    });
}
