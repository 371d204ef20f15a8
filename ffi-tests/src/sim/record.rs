//! What the simulator saw and did, in order, and the one way for a test to wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::notify::{ChannelSeen, Emitted, SystemSent};
use super::outgoing::Outgoing;

/// How many application messages from clients are kept with their content; all are counted.
const KEPT_MESSAGES: usize = 10_000;
/// How much of each received application message is kept.
const KEPT_BYTES: usize = 64 * 1024;

/// The record of one simulator; shared by its threads, read by tests.
#[derive(Debug)]
pub struct Record {
    started: Instant,
    log: Mutex<Log>,
    changed: Condvar,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), log: Mutex::new(Log::default()), changed: Condvar::new() }
    }

    /// Waits until the log satisfies `wanted`, at most `timeout`; says whether it did.
    pub fn wait_until(&self, timeout: Duration, wanted: impl Fn(&Log) -> bool) -> bool {
        let guard = self.lock();
        let waited = self.changed.wait_timeout_while(guard, timeout, |log| !wanted(log));
        let (log, _) = waited.unwrap_or_else(PoisonError::into_inner);
        wanted(&log)
    }

    /// Reads the log in place; cheaper than [`Record::snapshot`] in a long run.
    pub fn read<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.lock())
    }

    /// A copy of everything recorded so far.
    pub fn snapshot(&self) -> Log {
        self.lock().clone()
    }

    /// See [`Log::token_requests`].
    pub fn token_requests(&self) -> usize {
        self.read(Log::token_requests)
    }

    /// See [`Log::ws_connects`].
    pub fn ws_connects(&self) -> usize {
        self.read(Log::ws_connects)
    }

    /// See [`Log::auths`].
    pub fn auths(&self) -> usize {
        self.read(Log::auths)
    }

    /// See [`Log::reauths`].
    pub fn reauths(&self) -> usize {
        self.read(Log::reauths)
    }

    /// Time since the simulator was started.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The one way to change the log: whoever waits looks again.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Log, Duration) -> T) -> T {
        let now = self.now();
        let out = change(&mut self.lock(), now);
        self.changed.notify_all();
        out
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything recorded. Times are counted from the simulator's start.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// TCP connections accepted.
    pub tcp_connections: u64,
    /// TLS handshakes, finished or failed.
    pub tls: Vec<Handshake>,
    /// HTTP requests, WebSocket upgrades among them.
    pub requests: Vec<Request>,
    /// Upgraded WebSocket connections; the index here is the connection's index everywhere.
    pub connections: Vec<Connection>,
    /// `auth` frames received.
    pub auths: Vec<Auth>,
    /// Application messages received: the first ten thousand, 64 KiB of each.
    pub received: Vec<Received>,
    /// Application messages received in all.
    pub received_total: u64,
    /// Close frames received.
    pub closes: Vec<Close>,
    /// Ping frames received.
    pub pings: u64,
    /// Pong frames received.
    pub pongs: u64,
    /// Channels made, in order.
    pub channels: Vec<ChannelSeen>,
    /// Events of channels: the first two hundred thousand.
    pub emitted: Vec<Emitted>,
    /// Events of channels in all.
    pub emitted_total: u64,
    /// `v2.system.*` events sent.
    pub system_sent: Vec<SystemSent>,
    /// `{"message":"ping"}` frames received on channels.
    pub channel_pings: u64,
}

impl Log {
    /// Requests to the token endpoint, whatever came of them.
    pub fn token_requests(&self) -> usize {
        let at_token = |r: &&Request| r.path == super::TOKEN_PATH;
        self.requests.iter().filter(at_token).count()
    }

    /// Requests for the keys, whatever came of them.
    pub fn key_requests(&self) -> usize {
        self.requests.iter().filter(|request| request.path == super::KEYS_PATH).count()
    }

    /// Introspections, whatever came of them.
    pub fn introspections(&self) -> usize {
        self.requests.iter().filter(|request| request.path == super::INTROSPECTION_PATH).count()
    }

    /// WebSocket connections upgraded.
    pub fn ws_connects(&self) -> usize {
        self.connections.len()
    }

    /// `auth` frames on sockets that were not authenticated yet.
    pub fn auths(&self) -> usize {
        self.auths.iter().filter(|a| !a.again).count()
    }

    /// `auth` frames on sockets that were authenticated already.
    pub fn reauths(&self) -> usize {
        self.auths.iter().filter(|a| a.again).count()
    }

    /// Application messages handed to sockets, over all connections.
    pub fn messages_sent(&self) -> u64 {
        self.connections.iter().map(|c| c.sent.messages).sum()
    }

    /// Connections the script ended by force: see [`End::is_forced`].
    pub fn forced_drops(&self) -> usize {
        self.connections.iter().filter(|c| c.is_forced()).count()
    }
}

/// One TLS handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// When it ended.
    pub at: Duration,
    /// Number of the TCP connection, from 0.
    pub tcp: u64,
    /// Version, cipher suite and whether a session was resumed; or why it failed.
    pub result: Result<TlsFacts, String>,
}

/// What was agreed in a TLS handshake.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    /// As rustls names it: `TLSv1_3`.
    pub version: String,
    /// As rustls names it: `TLS13_CHACHA20_POLY1305_SHA256`.
    pub suite: String,
    /// The client resumed an earlier session.
    pub resumed: bool,
    /// The client showed a certificate.
    pub client_certificate: bool,
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it had been read.
    pub at: Duration,
    /// Number of the TCP connection, from 0.
    pub tcp: u64,
    /// As sent.
    pub method: String,
    /// The request target, without its query.
    pub path: String,
    /// The query, without the question mark; empty when there is none.
    pub query: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What the answer of the REST API says in `ININ-Correlation-Id`.
    pub correlation_id: Option<String>,
    /// Status of the answer once it was written; `None` before, and when none was.
    pub status: Option<u16>,
}

impl Request {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// The first field of that name in a form body, decoded.
    pub fn form(&self, name: &str) -> Option<String> {
        super::http::form_field(&self.body, name)
    }
}

/// One upgraded WebSocket connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// When it was upgraded.
    pub at: Duration,
    /// Number of the TCP connection, from 0.
    pub tcp: u64,
    /// Index of the upgrade in [`Log::requests`].
    pub request: usize,
    /// Application messages handed to the socket.
    pub sent: Sent,
    /// `auth` frames answered with `ok`.
    pub accepted: u64,
    /// The channel it belongs to; `None` on `/ws`.
    pub channel: Option<String>,
    /// Heartbeats handed to the socket.
    pub heartbeats: u64,
    /// When and how it ended; `None` while it lives.
    pub end: Option<(Duration, End)>,
}

impl Connection {
    /// The script ended it by force.
    pub fn is_forced(&self) -> bool {
        self.end.as_ref().is_some_and(|(_, end)| end.is_forced())
    }
}

/// Application messages handed to one socket: the kernel took all of their bytes.
///
/// Counted right after that, so a client may have a message a moment before it is counted: use
/// [`Record::wait_until`] before comparing. Statuses and outcomes of `auth` frames, in contrast, are on record
/// before the client has them.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Text and binary messages.
    pub messages: u64,
    /// The binary ones among them.
    pub binary: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Sequence numbers of pumped messages, as inclusive ranges in order.
    pub ranges: Vec<(u64, u64)>,
}

impl Sent {
    /// Sequence numbers of the pumped messages, in the order sent.
    pub fn seqs(&self) -> impl Iterator<Item = u64> + '_ {
        self.ranges.iter().flat_map(|&(first, last)| first..=last)
    }

    pub(crate) fn count(&mut self, message: &Outgoing) {
        self.messages += 1;
        self.binary += u64::from(message.binary);
        self.bytes += message.len as u64;
        let Some(seq) = message.seq else { return };
        match self.ranges.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => self.ranges.push((seq, seq)),
        }
    }
}

/// One `auth` frame from a client.
#[derive(Clone, Debug)]
pub struct Auth {
    /// When it arrived.
    pub at: Duration,
    /// Index of the connection.
    pub connection: usize,
    /// The token; empty when the frame had none.
    pub token: String,
    /// The session id offered.
    pub session_id: Option<String>,
    /// The socket was authenticated already: a re-authentication.
    pub again: bool,
    /// Whether the answer was `ok`, once written; `None` before, and when none was.
    pub accepted: Option<bool>,
}

/// One application message from a client.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it arrived.
    pub at: Duration,
    /// Index of the connection.
    pub connection: usize,
    /// Binary, else text.
    pub binary: bool,
    /// The content, at most its first 64 KiB.
    pub payload: Vec<u8>,
    /// Length of the whole content.
    pub len: usize,
}

/// One close frame from a client.
#[derive(Clone, Debug)]
pub struct Close {
    /// When it arrived.
    pub at: Duration,
    /// Index of the connection.
    pub connection: usize,
    /// The code; 1005 when the frame had none.
    pub code: u16,
    /// The reason.
    pub reason: String,
}

/// How a WebSocket connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// The client's close frame came first; with its code.
    ClientClosed(u16),
    /// The client's TCP connection ended without a close frame.
    ClientGone,
    /// The client broke the WebSocket protocol; with what it did.
    ClientFault(String),
    /// The simulator's close frame came first; with its code.
    ServerClosed(u16),
    /// The script ended the TCP connection without a close frame.
    Dropped,
    /// The script reset the TCP connection.
    Reset,
    /// The simulator was stopped.
    Stopped,
}

impl End {
    /// The script took the connection away without a close frame.
    pub fn is_forced(&self) -> bool {
        matches!(self, End::Dropped | End::Reset)
    }
}

impl Log {
    pub(crate) fn receive(&mut self, at: Duration, connection: usize, binary: bool, data: &[u8]) {
        self.received_total += 1;
        if self.received.len() < KEPT_MESSAGES {
            let payload = data[..data.len().min(KEPT_BYTES)].to_vec();
            let len = data.len();
            self.received.push(Received { at, connection, binary, payload, len });
        }
    }

    /// The first reason given for an end is the one that counts.
    pub(crate) fn end(&mut self, at: Duration, connection: usize, end: End) {
        let slot = &mut self.connections[connection].end;
        if slot.is_none() {
            *slot = Some((at, end));
        }
    }
}
