//! Programs that take events: in their own loop, in that of epoll or libuv, in Python.

use std::process::Command;

use ffi_tests::cprog::{each, Variant};
use ffi_tests::example::{command, rust_example, shared_library, Ended, Live, Recipe};

use crate::{ended_well, eventful, lives_through, showed_its_states, shown, skip};

const C99: &[&str] = &["-std=c99"];

/// Lives through an eventful simulator, until that signal.
fn story(variant: Variant, recipe: Recipe<'_>, signal: &str) -> Ended {
    let sim = eventful(variant);
    sim.ws().policy(|ws| ws.echo = true);
    let mut command = command(&recipe.build(variant), variant);
    command.env("GWA_SHOW_MESSAGES", "1");
    let live = Live::start(command, &sim, variant);
    lives_through(&live, &sim);
    live.signal(signal);
    let ended = live.finish().well();
    ended_well(&ended.lines, &sim);
    showed_its_states(&ended.lines);
    ended
}

#[test]
fn minimal() {
    each("examples/c/minimal.c", |variant| {
        let ended = story(variant, Recipe::c("c/minimal.c", C99), "TERM");
        let last = ended.lines.last().unwrap();
        assert!(last.contains("state=Closed") && last.contains("messages=61") && !last.contains("gaps=0"), "{last}");
        assert!(last.ends_with("shutdown=clean"), "{last}");
        assert!(shown(&ended.lines, "gap      1 begins: ") && shown(&ended.lines, "gap      1 ends after "));
    });
}

#[test]
fn strict_c89() {
    each("examples/c/c89.c", |variant| {
        let ended = story(variant, Recipe::c("c/c89.c", &["-std=c89"]), "INT");
        assert!(shown(&ended.lines, "sent     1: GWA_OK") && shown(&ended.lines, "message  hello"), "{ended:#?}");
        assert_eq!(ended.lines.last().unwrap(), "closed");
    });
}

#[test]
fn strict_c89_says_what_is_missing() {
    each("examples/c/c89.c", |variant| {
        let sim = eventful(variant);
        let mut command = command(&Recipe::c("c/c89.c", &["-std=c89"]).build(variant), variant);
        command.env("GENESYS_CLIENT_ID", "");
        let ended = Live::start(command, &sim, variant).finish();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("client.id"), "{ended:?}");
    });
}

#[test]
fn a_signal_ends_strict_c89_while_it_connects() {
    each("examples/c/c89.c", |variant| {
        let sim = eventful(variant);
        sim.token().always(ffi_tests::sim::TokenReply::Hang);
        let live = Live::start(command(&Recipe::c("c/c89.c", &["-std=c89"]).build(variant), variant), &sim, variant);
        assert!(sim.record().wait_until(crate::BOUND, |log| log.token_requests() == 1));
        live.signal("INT");
        let ended = live.finish();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("interrupt"), "{ended:?}");
    });
}

#[test]
fn epoll_loop() {
    each("examples/c/epoll_loop.c", |variant| {
        let ended = story(variant, Recipe::c("c/epoll_loop.c", C99), "INT");
        let tail: Vec<_> = ended.lines.iter().rev().take(2).map(String::as_str).collect();
        assert_eq!(tail, ["closed", "state    Closed (closed by the application)"]);
    });
}

#[test]
fn uv_loop() {
    if !std::path::Path::new("/usr/include/uv.h").exists() {
        return skip("examples/c/uv_loop.c", "no uv.h (libuv1-dev)");
    }
    each("examples/c/uv_loop.c", |variant| {
        let recipe = Recipe { libraries: &["-luv"], ..Recipe::c("c/uv_loop.c", C99) };
        let ended = story(variant, recipe, "TERM");
        let tail: Vec<_> = ended.lines.iter().rev().take(2).map(String::as_str).collect();
        assert_eq!(tail, ["closed", "state    Closed (closed by the application)"]);
    });
}

#[test]
fn cpp_minimal() {
    each("examples/cpp/minimal.cpp", |variant| {
        let recipe = Recipe { compiler: "g++", ..Recipe::c("cpp/minimal.cpp", &["-std=c++11"]) };
        let ended = story(variant, recipe, "INT");
        let last = ended.lines.last().unwrap();
        assert!(last.contains("state=Closed") && last.contains("messages=61") && !last.contains("gaps=0"), "{last}");
        assert!(last.ends_with("shutdown=clean"), "{last}");
        assert!(shown(&ended.lines, "gap      1 begins: ") && shown(&ended.lines, "gap      1 ends after "));
    });
}

#[test]
fn rust_minimal() {
    let sim = eventful(Variant::Plain);
    let program = rust_example("minimal"); // examples/rust/minimal.rs
    let mut live = Live::start(command(&program, Variant::Plain), &sim, Variant::Plain);
    lives_through(&live, &sim);
    live.enter();
    let ended = live.finish().well();
    ended_well(&ended.lines, &sim);
    assert_eq!(ended.lines.last().unwrap(), "shutdown=clean");
    assert!(shown(&ended.lines, "messages=61") && shown(&ended.lines, "gaps=1"), "{ended:#?}");
}

#[test]
fn python_tail() {
    let version = Command::new("python3").arg("--version").output();
    if let Err(why) = version {
        return skip("examples/python/tail.py", &format!("python3: {why}"));
    }
    for signal in ["INT", "TERM"] {
        let sim = eventful(Variant::Plain);
        let mut command = Command::new("python3");
        command.arg("-X").arg("dev").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/tail.py"));
        command.env("GWA_LIBRARY", shared_library());
        let live = Live::start(command, &sim, Variant::Plain);
        lives_through(&live, &sim);
        live.signal(signal);
        let ended = live.finish().well();
        ended_well(&ended.lines, &sim);
        assert!(shown(&ended.lines, "gap      begins") && shown(&ended.lines, "gap      ends after "), "{ended:#?}");
        assert_eq!(ended.lines.last().unwrap(), "state    Closed (closed by the application)");
    }
}
