//! Where records and metrics go: a rotating file, a socket of syslog's, a file of node_exporter's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ffi_tests::cprog::{each, output, Variant};
use ffi_tests::example::{command, Live, Recipe};
use ffi_tests::secrets::leaked;
use ffi_tests::sim::Sim;
use serde_json::Value;

use crate::{closed_with_1000, drop_a_renewed_socket, eventful, is_live, BOUND};

/// A directory that goes with the test.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new() -> Self {
        // Paths of sockets are short.
        Self(PathBuf::from(output(Command::new("mktemp").arg("-d")).unwrap().trim_end()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Looks again and again, for a program that tells nobody what it has written.
#[track_caller]
pub fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < BOUND, "there never was {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Lets the client live through a renewal and a drop, until it is back.
pub fn lives_on(sim: &Sim) {
    let dropped = drop_a_renewed_socket(sim);
    let back = |log: &ffi_tests::sim::Log| log.connections.iter().enumerate().skip(dropped + 1).find_map(is_live);
    assert!(sim.record().wait_until(BOUND, |log| back(log).is_some()), "{:?}", sim.record().snapshot().connections);
}

/// Starts a program of `examples/c` with these variables.
pub fn start<'a>(source: &str, sim: &'a Sim, variant: Variant, variables: &[(&str, &str)]) -> Live<'a> {
    let mut command = command(&Recipe::c(source, &["-std=c99"]).build(variant), variant);
    command.envs(variables.iter().copied());
    Live::start(command, sim, variant)
}

const MAX_BYTES: u64 = 1_500;

#[test]
fn audit_to_file() {
    each("examples/c/audit_to_file.c", |variant| {
        let (sim, place) = (eventful(variant), Place::new());
        let path = place.0.join("audit.jsonl");
        let (name, max) = (path.to_str().unwrap(), MAX_BYTES.to_string());
        // Two runs, one of each kind of durability: the second goes on where the first ended.
        for sync in ["record", "rotate"] {
            let variables = [("AUDIT_FILE", name), ("AUDIT_MAX_BYTES", &*max), ("AUDIT_SYNC", sync)];
            let live = start("c/audit_to_file.c", &sim, variant, &variables);
            lives_on(&sim);
            live.signal("TERM");
            let ended = live.finish().well();
            assert!(ended.lines.is_empty(), "{ended:?}");
        }
        closed_with_1000(&sim);
        judge(&path, &sim);
    });
}

/// The files, the oldest first, are lines of JSON; of each client the records have no hole, but those before the oldest.
fn judge(path: &Path, sim: &Sim) {
    let older = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    let files: Vec<PathBuf> = (1..=9).rev().map(older).filter(|file| file.exists()).chain([path.to_owned()]).collect();
    assert!(files.len() > 2, "it was rotated: {files:?}");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), files.len(), "and nothing else is there");
    let (mut before, mut clients, mut last) = (None, 0, String::new());
    for file in &files {
        let (text, meta) = (fs::read_to_string(file).unwrap(), fs::metadata(file).unwrap());
        assert_eq!(meta.permissions().mode() & 0o7777, 0o600);
        assert!(
            text.ends_with('\n') && (meta.len() <= MAX_BYTES || text.lines().count() == 1),
            "{} {text}",
            meta.len()
        );
        assert_eq!(leaked(sim, &text), None, "{text}");
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).expect(line);
            let seq = record["seq"].as_u64().expect(line);
            if before.is_some_and(|before| seq != before + 1) {
                assert_eq!(seq, 1, "after {before:?}: {line}");
                clients += 1;
            }
            before = Some(seq);
            last = record["event_type"].as_str().unwrap_or_default().to_owned();
        }
    }
    assert!(clients <= 1, "two runs");
    assert_eq!(last, "client_closed", "the last record of all");
}

/// A disk that is full costs records, which are told as failed, and nothing else.
#[test]
fn audit_to_a_full_disk() {
    each("examples/c/audit_to_file.c", |variant| {
        let sim = eventful(variant);
        let live = start("c/audit_to_file.c", &sim, variant, &[("AUDIT_FILE", "/dev/full")]);
        lives_on(&sim);
        live.signal("TERM");
        let ended = live.finish();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        closed_with_1000(&sim);
    });
}

#[test]
fn metrics_to_textfile() {
    each("examples/c/metrics_to_textfile.c", |variant| {
        let (sim, place) = (eventful(variant), Place::new());
        let path = place.0.join("recorder.prom");
        let variables = [("METRICS_FILE", path.to_str().unwrap()), ("METRICS_SECONDS", "1")];
        let live = start("c/metrics_to_textfile.c", &sim, variant, &variables);
        let read = || fs::read_to_string(&path).unwrap_or_default();
        let says = |sample: &str| read().lines().any(|line| line == sample);
        wait_for("a client that is Ready", || says("gwa_state{client=\"recorder\",gwa_state=\"Ready\"} 1"));
        drop_a_renewed_socket(&sim);
        let lost = "gwa_connection_losses_total{client=\"recorder\",cause=\"reset\"} 1";
        // Whenever it is read it is whole.
        wait_for("a loss", || {
            let text = read();
            assert!(text.starts_with("# HELP gwa_build_info ") && text.ends_with('\n'), "{text}");
            assert!(text.contains("gwa_callback_duration_seconds") && !text.contains("# EOF"), "{text}");
            text.lines().any(|line| line == lost)
        });
        live.signal("TERM");
        let ended = live.finish().well();
        assert!(ended.lines.is_empty(), "{ended:?}");
        closed_with_1000(&sim);
        assert!(says("gwa_state{client=\"recorder\",gwa_state=\"Closed\"} 1"), "{}", read());
        assert_eq!(fs::read_dir(&place.0).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(leaked(&sim, &read()), None);
    });
}

/// `LOG_AUTHPRIV` of syslog.h, and severities.
const AUTHPRIV: u32 = 10 << 3;
const WARNING: u32 = 4;
const INFO: u32 = 6;

#[test]
fn audit_to_unix_socket() {
    each("examples/c/audit_to_unix_socket.c", |variant| {
        let (sim, place) = (eventful(variant), Place::new());
        let path = place.0.join("log");
        let bind = || {
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_read_timeout(Some(BOUND)).unwrap();
            socket
        };
        let mut socket = bind();
        let live = start("c/audit_to_unix_socket.c", &sim, variant, &[("SYSLOG_SOCKET", path.to_str().unwrap())]);
        let mut messages = Vec::new();
        let until = |socket: &UnixDatagram, messages: &mut Vec<Message>, wanted: &dyn Fn(&Message) -> bool| loop {
            let mut datagram = vec![0; 64 * 1024];
            let len = socket.recv(&mut datagram).expect("a message");
            messages.push(Message::parse(std::str::from_utf8(&datagram[..len]).unwrap()));
            if messages.last().is_some_and(wanted) {
                break;
            }
        };
        until(&socket, &mut messages, &|message| message.is("authentication_attempt", INFO));
        // The daemon is restarted: a socket of the same name, and nobody told the client.
        drop(socket);
        fs::remove_file(&path).unwrap();
        socket = bind();
        drop_a_renewed_socket(&sim);
        until(&socket, &mut messages, &|message| message.is("connection_lost", WARNING));
        until(&socket, &mut messages, &|message| message.is("authentication_attempt", INFO));
        live.signal("TERM");
        until(&socket, &mut messages, &|message| message.kind == "client_closed");
        let ended = live.finish().well();
        assert!(ended.lines.is_empty(), "{ended:?}");
        closed_with_1000(&sim);
        for message in &messages {
            assert_eq!(message.priority & !7, AUTHPRIV, "{}", message.text);
            assert_eq!(leaked(&sim, &message.text), None, "{}", message.text);
        }
    });
}

/// A syslog message (RFC 5424 6): `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [SD] MSG`.
struct Message {
    priority: u32,
    kind: String,
    text: String,
}

impl Message {
    fn parse(text: &str) -> Self {
        let (priority, rest) = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect(text);
        let words: Vec<&str> = rest.splitn(7, ' ').collect();
        assert!(words.len() == 7 && words[0] == "1" && words[6].starts_with("[gwa@"), "{text}");
        assert!(words[1].ends_with('Z') && words[2] != "-", "{text}");
        Self { priority: priority.parse().unwrap(), kind: words[5].to_owned(), text: text.to_owned() }
    }

    fn is(&self, kind: &str, severity: u32) -> bool {
        self.kind == kind && self.priority == AUTHPRIV | severity
    }
}
