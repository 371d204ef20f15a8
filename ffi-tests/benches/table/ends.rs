//! How long `gwa_client_shutdown` and `gwa_client_free` take together, at each stage of a connection.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use socket2::{Domain, Socket, Type};

use super::job::{Job, Stage, TokenJob};
use super::program::Caller;
use super::server::Server;
use super::table::{median, Cells, Goal, Row};

/// `free.timeout_ms`, the bound of an end. Of it a farewell that the peer does not answer takes `close.timeout_ms`, 2 s.
const FREE_MS: f64 = 5_000.0;
/// Longest wait for a stage.
const LIMIT: Duration = Duration::from_secs(60);
/// State of a socket whose SYN is not answered, in `/proc/net/tcp`.
const SYN_SENT: &str = "02";

/// What the client has to do with when it is ended.
#[derive(Clone, Copy)]
enum At {
    /// A resolver that does not answer.
    Resolve,
    /// An address that does not answer a SYN.
    Connect,
    /// A server that does not answer a ClientHello.
    Tls,
    /// A proxy that does not answer a CONNECT.
    Proxy,
    /// Our server, silent.
    Silent(Stage),
    /// Our server, in good order.
    Live,
}

/// All stages, in their order.
const STAGES: [(&str, At); 9] = [
    ("name look-up hangs", At::Resolve),
    ("SYN not answered", At::Connect),
    ("TLS silent", At::Tls),
    ("proxy silent", At::Proxy),
    ("token request silent", At::Silent(Stage::Token)),
    ("upgrade silent", At::Silent(Stage::Upgrade)),
    ("auth silent", At::Silent(Stage::Auth)),
    ("live", At::Live),
    ("live, close not answered", At::Silent(Stage::Close)),
];

/// A row for each stage.
pub fn rows(server: &Server, caller: &Caller, program: &Path, rounds: usize) -> Vec<Row> {
    let row = |(name, at): (&str, At)| {
        eprintln!("shutdown: {name}");
        let cell = |delivery: &str| {
            let mut times: Vec<_> = (0..rounds).map(|_| end(server, caller, program, delivery, at)).collect();
            median(&mut times)
        };
        let cells: Cells = [cell("inline"), cell("callbacks"), None, None];
        Row::new(format!("shutdown and free, {name}, ms"), cells, Goal::BothAtMost(FREE_MS))
    };
    STAGES.into_iter().map(row).collect()
}

/// Milliseconds from the call of shutdown to the return of free.
fn end(server: &Server, caller: &Caller, program: &Path, delivery: &str, at: At) -> f64 {
    let silent = |port: u16| format!("https://127.0.0.1:{port}/token");
    let (mut token_url, mut ws_url) =
        (format!("https://{}{}", caller.addr, TokenJob::PLAIN), format!("wss://{}{}", caller.addr, Job::Idle));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let hole = BlackHole::new();
    let mut extra = Vec::new();
    match at {
        At::Resolve => token_url = "https://hang.test/token".into(),
        At::Connect => token_url = silent(hole.port),
        At::Tls => token_url = silent(port),
        At::Proxy => extra = vec!["proxy".to_owned(), format!("http://127.0.0.1:{port}")],
        At::Silent(Stage::Token) => token_url = format!("https://{}{}", caller.addr, Job::Silent(Stage::Token)),
        At::Silent(stage) => ws_url = format!("wss://{}{}", caller.addr, Job::Silent(stage)),
        At::Live => {}
    }
    let mut command = Command::new(program);
    command.args([delivery, &token_url, &ws_url]).arg(&caller.ca_file).args(extra);
    let mut running = Running::start(&mut command);
    let mut accepted = None;
    match at {
        At::Resolve => running.wait("at=resolve"),
        At::Connect => hole.wait(),
        At::Tls | At::Proxy => accepted = Some(listener.accept().expect("the client comes")),
        At::Silent(Stage::Close) | At::Live => running.wait("at=live"),
        At::Silent(stage) => server.wait_silent(stage),
    }
    let time = running.end();
    drop(accepted);
    time
}

/// The program; killed when dropped.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// Reads to this line.
    fn wait(&mut self, wanted: &str) {
        let found = self.lines.by_ref().map_while(Result::ok).any(|line| line == wanted);
        assert!(found, "it ended before {wanted}");
    }

    /// Ends its client; how long that took, in milliseconds.
    fn end(mut self) -> f64 {
        self.child.stdin.take().expect("piped").write_all(b"\n").expect("it reads");
        let lines: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        let value = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)?.parse::<f64>().ok());
        // Joined, and no callback runs again: anything else is not an end.
        assert_eq!((value("shutdown="), value("free=")), (Some(0.0), Some(0.0)), "{lines:?}");
        value("end_ns=").expect("a time") / 1e6
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port whose queue of connections is full: the kernel drops every SYN to it.
struct BlackHole {
    port: u16,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
        // A queue of length 0 holds one.
        let queued = vec![TcpStream::connect(address).expect("queued")];
        Self { port: address.port(), _listener: listener, _queued: queued }
    }

    /// Until somebody has sent a SYN to it in vain.
    fn wait(&self) {
        let (begun, wanted) = (Instant::now(), format!(":{:04X} {SYN_SENT} ", self.port));
        while !fs::read_to_string("/proc/net/tcp").is_ok_and(|text| text.contains(&wanted)) {
            assert!(begun.elapsed() < LIMIT, "nobody connects");
            // The kernel tells nobody.
            thread::sleep(Duration::from_millis(5));
        }
    }
}
