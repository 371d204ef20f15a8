//! Sinks at their worst: lines that a crash has torn, checkpoints that are not on disk yet, names that somebody has taken,
//! numbers that are none.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ffi_tests::cprog::{output, Variant};
use ffi_tests::example::{command, Recipe};
use serde_json::Value;

use crate::eventful;
use crate::sinks::{lives_on, start, wait_for, Place};

const K0: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn run(source: &str, arguments: &[&Path], variables: &[(&str, &str)]) -> Output {
    let mut command = command(&Recipe::c(source, &["-std=c99"]).build(Variant::Plain), Variant::Plain);
    command.args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn file_of(place: &Place, name: &str, text: &str) -> PathBuf {
    let path = place.0.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Killed three times, each time with its last line cut: the next run ends that line, and the chain says what is missing.
#[test]
fn what_a_crash_has_torn_is_declared() {
    let (sim, place) = (eventful(Variant::Plain), Place::new());
    let (path, state) = (place.0.join("audit.jsonl"), place.0.join("chain"));
    let read = || fs::read_to_string(&path).unwrap_or_default();
    let attempts = |text: &str| text.matches("\"authentication_attempt\"").count();
    let mut variables = vec![("AUDIT_FILE", path.to_str().unwrap()), ("GWA_CHAIN_STATE", state.to_str().unwrap())];
    variables.push(("GWA_CHAIN_KEY", K0));
    // The last one is in the seal.
    let cuts: [&dyn Fn(usize) -> usize; 3] = [&|_| 1, &|len| len / 2, &|len| len - 3];
    for keep in cuts {
        let before = attempts(&read());
        let live = start("c/audit_to_file.c", &sim, Variant::Plain, &variables);
        wait_for("a record of this run", || attempts(&read()) > before);
        live.signal("KILL");
        live.finish();
        variables.retain(|(name, _)| *name != "GWA_CHAIN_KEY");
        let text = read();
        let whole = text.trim_end_matches('\n');
        let begins = whole.rfind('\n').unwrap() + 1;
        fs::write(&path, &text[..begins + keep(text.len() - begins)]).unwrap();
    }
    let live = start("c/audit_to_file.c", &sim, Variant::Plain, &variables);
    lives_on(&sim);
    live.signal("TERM");
    live.finish().well();
    let report = run("c/verify_audit.c", &[&file_of(&place, "k0", K0), &path], &[]);
    assert_eq!(report.status.code(), Some(2), "{}", said(&report));
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let gaps = report["gaps"].as_array().unwrap();
    assert!(gaps.len() == 3 && gaps.iter().all(|gap| gap["torn_line"].is_u64()), "{report:#}");
}

/// A pipe cannot be synced. What is synced fails there, and the chain's last checkpoint tells how often: once, as the one at
/// the start was.
#[test]
fn a_checkpoint_is_synced_under_every_policy() {
    let (sim, place) = (eventful(Variant::Plain), Place::new());
    let path = place.0.join("pipe");
    output(Command::new("mkfifo").arg(&path)).unwrap();
    let mut pipe = File::options().read(true).write(true).open(&path).unwrap();
    let variables = [("AUDIT_FILE", path.to_str().unwrap()), ("AUDIT_SYNC", "rotate"), ("GWA_CHAIN_KEY", K0)];
    let live = start("c/audit_to_file.c", &sim, Variant::Plain, &variables);
    lives_on(&sim);
    live.signal("TERM");
    live.finish();
    let mut bytes = vec![0; 64 * 1024];
    let len = pipe.read(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..len]).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let checkpoints = records.iter().filter(|record| record["event_type"] == "audit_checkpoint");
    let failures: Vec<_> = checkpoints.map(|record| record["metadata"]["hook_failures"].as_u64()).collect();
    assert_eq!(failures, [Some(0), Some(1)], "{text}");
}

#[test]
fn numbers_that_are_none_are_refused() {
    let sinks = [("c/audit_to_file.c", "AUDIT_MAX_BYTES"), ("c/metrics_to_textfile.c", "METRICS_SECONDS")];
    for (source, name) in sinks {
        for value in ["1e7", "0", "-5", "", "x", "15s", "99999999999999999999"] {
            let ended = run(source, &[], &[(name, value)]);
            assert_eq!(ended.status.code(), Some(2), "{name}={value}: {}", said(&ended));
            assert!(said(&ended).starts_with(name), "{}", said(&ended));
        }
    }
}

/// Whoever may write to the directory cannot have another file overwritten.
#[test]
fn a_link_that_was_planted_is_not_followed() {
    let (sim, place) = (eventful(Variant::Plain), Place::new());
    let (path, other) = (place.0.join("recorder.prom"), file_of(&place, "other", "precious"));
    let variables = [("METRICS_FILE", path.to_str().unwrap()), ("METRICS_SECONDS", "1")];
    let live = start("c/metrics_to_textfile.c", &sim, Variant::Plain, &variables);
    let beside = place.0.join(format!("recorder.prom.{}", live.id()));
    wait_for("a moment to plant it", || symlink(&other, &beside).is_ok());
    wait_for("an end of the link", || beside.symlink_metadata().is_err());
    live.signal("TERM");
    live.finish().well();
    assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    assert!(path.symlink_metadata().unwrap().is_file());
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_refused() {
    let ended = run("c/audit_to_unix_socket.c", &[], &[("SYSLOG_SOCKET", &"x".repeat(108))]);
    assert_eq!(ended.status.code(), Some(2), "{}", said(&ended));
}

/// The reason that the library gives, not what was known before it was asked.
#[test]
fn verify_audit_says_why() {
    let place = Place::new();
    let (key, log) = (file_of(&place, "k0", "not a key"), file_of(&place, "log", ""));
    let ended = run("c/verify_audit.c", &[&key, &log], &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(!said(&ended).contains("cannot be read"), "{}", said(&ended));
}
