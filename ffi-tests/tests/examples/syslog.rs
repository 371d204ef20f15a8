//! Security events to syslog(3), read where a syslogd would: at /dev/log, in a mount namespace of the program's own.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ffi_tests::cprog::{each, output};
use ffi_tests::example::{command, Live, Recipe};
use ffi_tests::secrets::leaked;
use ffi_tests::sim::Sim;
use serde_json::Value;

use crate::{closed_with_1000, drop_a_renewed_socket, eventful, skip, BOUND};

/// `LOG_AUTHPRIV` and `LOG_DAEMON` of syslog.h, and severities.
const AUTHPRIV: u32 = 10 << 3;
const DAEMON: u32 = 3 << 3;
const WARNING: u32 = 4;
const INFO: u32 = 6;

#[test]
fn audit_to_syslog() {
    let Some(unshare) = namespaces() else {
        return skip("examples/c/audit_to_syslog.c", "no mount namespace can be had (unshare --mount)");
    };
    each("examples/c/audit_to_syslog.c", |variant| {
        let sim = eventful(variant);
        let dev = Dev::new();
        let program = Recipe::c("c/audit_to_syslog.c", &["-std=c99"]).build(variant);
        let live = Live::start(dev.enter(unshare, &command(&program, variant)), &sim, variant);
        let mut lines = Vec::new();
        drop_a_renewed_socket(&sim);
        // The drop, and the way back.
        let drop = |lines: &[Line]| lines.iter().position(|line| line.kind() == "connection_lost");
        let back = |line: &Line| line.kind() == "authentication_attempt" && line.tag == AUTHPRIV | INFO;
        while !drop(&lines).is_some_and(|at| lines[at..].iter().any(back)) {
            lines.extend(dev.next_line(Some(BOUND)));
        }
        live.signal("TERM");
        let ended = live.finish().well();
        assert!(ended.lines.is_empty(), "syslog alone: {ended:?}");
        while let Some(line) = dev.next_line(None) {
            lines.push(line);
        }
        closed_with_1000(&sim);
        judge(&lines, &sim);
    });
}

fn judge(lines: &[Line], sim: &Sim) {
    let events: Vec<_> = lines.iter().filter(|line| line.json.is_some()).collect();
    let mut before = 0;
    for event in &events {
        let severity = if event.json()["severity"] == "warning" { WARNING } else { INFO };
        assert_eq!(event.tag, AUTHPRIV | severity, "{}", event.text);
        assert_eq!(event.json()["prev_seq"], before, "no event is missing: {}", event.text);
        before = event.json()["seq"].as_u64().unwrap();
    }
    let accepted = sim.record().read(|log| log.connections.iter().map(|one| one.accepted).sum::<u64>());
    let told = events.iter().filter(|event| event.kind() == "authentication_attempt" && event.tag == AUTHPRIV | INFO);
    assert_eq!(told.count() as u64, accepted, "one for each authentication the simulator accepted");
    assert!(events.iter().any(|event| event.tag == AUTHPRIV | WARNING && event.kind() == "connection_lost"));
    assert!(lines.iter().any(|line| line.tag & !7 == DAEMON), "the library's log came, too");
    for line in lines {
        assert_eq!(leaked(sim, &line.text), None, "{}", line.text);
    }
}

/// A line as syslog(3) writes it: `<PRI>Mon DD hh:mm:ss recorder[pid]: text`.
struct Line {
    tag: u32,
    text: String,
    json: Option<Value>,
}

impl Line {
    fn parse(datagram: &[u8]) -> Self {
        let line = std::str::from_utf8(datagram).unwrap().trim_end_matches('\0');
        let (tag, rest) = line.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect(line);
        let (head, text) = rest.split_once("]: ").expect(line);
        assert!(head.contains(" recorder["), "{line}");
        let json = text.starts_with('{').then(|| serde_json::from_str(text).expect(line));
        Self { tag: tag.parse().unwrap(), text: text.to_owned(), json }
    }

    fn json(&self) -> &Value {
        self.json.as_ref().unwrap()
    }

    fn kind(&self) -> &str {
        self.json.as_ref().and_then(|json| json["event_type"].as_str()).unwrap_or_default()
    }
}

/// A directory that is /dev for a program, with nothing but our socket in it.
struct Dev {
    directory: PathBuf,
    socket: UnixDatagram,
}

impl Dev {
    fn new() -> Self {
        // Paths of sockets are short.
        let directory = output(Command::new("mktemp").arg("-d")).unwrap();
        let directory = PathBuf::from(directory.trim_end());
        let socket = UnixDatagram::bind(directory.join("log")).unwrap();
        Self { directory, socket }
    }

    fn enter(&self, unshare: &[&str], inner: &Command) -> Command {
        let mut command = Command::new("unshare");
        command.args(unshare).args(["sh", "-c", r#"mount --bind "$0" /dev && exec "$@""#]).arg(&self.directory);
        command.arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// The next line; `None` when there is none and none is waited for.
    fn next_line(&self, wait: Option<Duration>) -> Option<Line> {
        let mut datagram = vec![0; 64 * 1024];
        self.socket.set_nonblocking(wait.is_none()).unwrap();
        self.socket.set_read_timeout(wait).unwrap();
        match self.socket.recv(&mut datagram) {
            Ok(len) => Some(Line::parse(&datagram[..len])),
            Err(why) if wait.is_none() && why.kind() == std::io::ErrorKind::WouldBlock => None,
            Err(why) => panic!("no line from syslog(3): {why}"),
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// How a mount namespace is had here: as root, or as root of a user namespace.
fn namespaces() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let works = |way: &&[&str]| {
        let mut probe = Command::new("unshare");
        probe.args(*way).args(["mount", "--bind", "/tmp", "/dev"]);
        Path::new("/tmp").is_dir() && output(&mut probe).is_ok()
    };
    WAYS.into_iter().find(works)
}
