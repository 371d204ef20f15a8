//! The reading side of `/ws`: the upgrade, what clients send, and which answer is due. The writer gives it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::http::{Answer, Incoming};
use super::hub::Hub;
use super::link::Reader;
use super::notify::{self, NoSocket};
use super::record::{Auth, Close, Connection, End, Sent};
use super::script::{Action, AuthReply, UpgradeReply};
use super::server::{redirect, scripted, Conn, Next};
use super::writer::{Order, Step, Writer};
use super::{CHANNEL_PATH, WS_PATH};

/// The longest `auth` frame looked at as one.
const AUTH_MAX: usize = 128 * 1024;
/// The longest message taken from a client.
const MESSAGE_MAX: usize = 64 * 1024 * 1024;
/// How long the writer may take to send what it was told before the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a WebSocket is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    /// `/ws`
    Ws,
    /// `/channels/{id}`
    Channel(String),
}

impl Gate {
    /// What is at this path, if it is for WebSockets.
    pub(crate) fn at(path: &str) -> Option<Self> {
        let channel = || path.strip_prefix(CHANNEL_PATH).map(|id| Self::Channel(id.to_owned()));
        if path == WS_PATH {
            Some(Self::Ws)
        } else {
            channel()
        }
    }

    fn channel(&self) -> Option<&str> {
        match self {
            Gate::Ws => None,
            Gate::Channel(id) => Some(id),
        }
    }
}

/// Answers an upgrade, and serves the connection to its end when it was accepted.
pub(crate) fn serve(mut conn: Conn, request: &Incoming, entry: usize, gate: Gate) {
    let reply = conn.hub.script().upgrade.take();
    if let Some(accepted) = upgrade(&mut conn, request, entry, &gate, reply) {
        run(conn, accepted, gate);
    }
}

/// A connection that was upgraded; orders may be waiting already.
struct Accepted {
    index: usize,
    orders: Sender<Order>,
    inbox: Receiver<Order>,
}

fn upgrade(conn: &mut Conn, request: &Incoming, entry: usize, gate: &Gate, reply: UpgradeReply) -> Option<Accepted> {
    let Some(key) = upgrade_key(request) else {
        let answer = Answer::new(426, "text/plain", "this is a WebSocket").with("Upgrade", "websocket");
        return refuse(conn, request, entry, &answer);
    };
    let (key, headers) = match reply {
        UpgradeReply::Accept => (key, Vec::new()),
        UpgradeReply::AcceptWith(headers) => (key, headers),
        UpgradeReply::WrongAcceptKey => (derive_accept_key(b"another key"), Vec::new()),
        UpgradeReply::Status { code, headers, body } => {
            return refuse(conn, request, entry, &scripted(code, headers, body));
        }
        UpgradeReply::Redirect { to } => return refuse(conn, request, entry, &redirect(&to)),
        UpgradeReply::Delay { ms, then } => {
            let in_time = conn.hub.pause(Duration::from_millis(ms));
            return if in_time { upgrade(conn, request, entry, gate, *then) } else { None };
        }
        UpgradeReply::Hang => return over(conn.hang()),
        UpgradeReply::Drop => return over(conn.vanish()),
        UpgradeReply::Reset => return over(conn.reset()),
    };
    accept(conn, request, entry, gate, &key, headers)
}

fn upgrade_key(request: &Incoming) -> Option<String> {
    let asks = request.method == "GET" && request.header_has("upgrade", "websocket");
    let key = request.header("sec-websocket-key").filter(|_| asks)?;
    Some(derive_accept_key(key.as_bytes()))
}

fn refuse(conn: &mut Conn, request: &Incoming, entry: usize, answer: &Answer) -> Option<Accepted> {
    if !matches!(conn.answer(request, entry, answer), Next::Over) {
        let _ = conn.link.say_goodbye();
        conn.link.finish();
    }
    None
}

fn over(_: Next) -> Option<Accepted> {
    None
}

fn accept(
    conn: &mut Conn,
    request: &Incoming,
    entry: usize,
    gate: &Gate,
    key: &str,
    headers: Vec<(String, String)>,
) -> Option<Accepted> {
    let mut answer = Answer { status: 101, headers, body: Vec::new() };
    answer = answer.with("Upgrade", "websocket").with("Connection", "Upgrade").with("Sec-WebSocket-Accept", key);
    let offered = request.header("sec-websocket-protocol").and_then(|value| value.split(',').next());
    let own = answer.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("sec-websocket-protocol"));
    if let Some(first) = offered.filter(|_| !own) {
        answer = answer.with("Sec-WebSocket-Protocol", first.trim());
    }
    let (orders, inbox) = mpsc::channel();
    let index = match enter(conn, entry, gate, &orders) {
        Ok(index) => index,
        Err(refusal) => return refuse(conn, request, entry, &refusal),
    };
    if conn.link.send(&answer.head("")).is_err() {
        conn.hub.record.note(|log, at| log.end(at, index, End::ClientGone));
        leave(&conn.hub, index);
        return None;
    }
    Some(Accepted { index, orders, inbox })
}

/// Enters the connection into the record, together with the possibility to order it about.
fn enter(conn: &Conn, entry: usize, gate: &Gate, orders: &Sender<Order>) -> Result<usize, Answer> {
    let Gate::Channel(id) = gate else { return Ok(enter_record(conn, entry, gate, orders)) };
    // The books stay locked: the channel does not end, and no event happens, in between.
    let mut books = conn.hub.fresh_books();
    let may = books.may_connect(id, &conn.hub.ledger());
    may.map_err(|why| match why {
        NoSocket::Unknown => Answer::new(404, "text/plain", "no such channel"),
        NoSocket::TokenDead => Answer::new(401, "text/plain", "the token of the channel is not good"),
    })?;
    let index = enter_record(conn, entry, gate, orders);
    books.attach(&conn.hub, id, index);
    Ok(index)
}

/// The connection is over: neither orders nor events reach it any more.
fn leave(hub: &Hub, index: usize) {
    hub.books().detach(index);
    hub.leave(index);
}

fn enter_record(conn: &Conn, entry: usize, gate: &Gate, orders: &Sender<Order>) -> usize {
    conn.hub.record.note(|log, at| {
        let index = log.connections.len();
        log.requests[entry].status = Some(101);
        log.connections.push(Connection {
            at,
            tcp: conn.tcp,
            request: entry,
            sent: Sent::default(),
            accepted: 0,
            channel: gate.channel().map(str::to_owned),
            heartbeats: 0,
            end: None,
        });
        conn.hub.enter(index, orders.clone(), Arc::clone(&conn.link));
        index
    })
}

/// Reads on this thread, writes on another.
fn run(conn: Conn, accepted: Accepted, gate: Gate) {
    let Accepted { index, orders, inbox } = accepted;
    let (alive, ended) = mpsc::channel();
    let on_channel = gate.channel().is_some();
    let authenticated = Arc::new(AtomicBool::new(on_channel));
    let writer = Writer::new(&conn.hub, &conn.link, index, inbox, &authenticated);
    let named = thread::Builder::new().name(format!("sim-ws-{index}"));
    let Ok(thread) = named.spawn(move || writer.run(alive)) else {
        return leave(&conn.hub, index);
    };
    let link = Arc::clone(&conn.link);
    let hub = Arc::clone(&conn.hub);
    let session = Session { hub: conn.hub, index, orders, authenticated, session: None, begun: on_channel, gate };
    session.read(conn.reader, conn.held);
    wait_for_writer(&ended);
    leave(&hub, index);
    let reset = hub.record.read(|log| matches!(log.connections[index].end, Some((_, End::Reset))));
    if !reset {
        link.sever();
    }
    let _ = thread.join();
}

/// The writer holds the other end for as long as it lives.
fn wait_for_writer(ended: &Receiver<()>) {
    let _ = ended.recv_timeout(LAST_WORDS);
}

/// What the reader knows of one connection.
struct Session {
    hub: Arc<Hub>,
    index: usize,
    orders: Sender<Order>,
    /// Set by the writer, just before the `ok` is on the wire.
    authenticated: Arc<AtomicBool>,
    session: Option<String>,
    /// A first message has come; on a channel none is needed.
    begun: bool,
    gate: Gate,
}

impl Session {
    fn read(mut self, reader: Reader, held: Vec<u8>) {
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let mut socket = WebSocket::from_partially_read(reader, held, Role::Server, Some(limits));
        let fault = loop {
            match socket.read() {
                Ok(message) => self.take(message),
                Err(error) => break fault_of(&error),
            }
        };
        let end = match fault {
            _ if self.hub.is_stopped() => End::Stopped,
            Some(fault) => End::ClientFault(fault),
            None => End::ClientGone,
        };
        if matches!(end, End::ClientFault(_)) {
            self.note_end(end);
            self.order(Order::Act(vec![Action::close(1002, "protocol error")]));
        } else {
            // After both close frames the client still has its TCP connection to end.
            socket.get_mut().drain();
            self.note_end(end);
        }
        self.order(Order::Stop);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Text(text) => self.take_text(text.as_str()),
            Message::Binary(data) => self.take_message(true, &data),
            Message::Ping(data) => {
                self.hub.record.note(|log, _| log.pings += 1);
                self.order(Order::Pong(data.to_vec()));
            }
            Message::Pong(_) => self.hub.record.note(|log, _| log.pongs += 1),
            Message::Close(frame) => {
                let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                self.take_close(code, reason);
            }
            Message::Frame(_) => {}
        }
    }

    fn take_text(&mut self, text: &str) {
        if self.gate.channel().is_some() {
            return self.take_channel_text(text);
        }
        let frame = auth_frame(text);
        self.begun |= frame.is_some();
        match frame {
            Some(frame) => self.take_auth(&frame),
            None => self.take_message(false, text.as_bytes()),
        }
    }

    /// Genesys Cloud, "WebSocket health check".
    fn take_channel_text(&mut self, text: &str) {
        let frame: Option<Value> = serde_json::from_str(text).ok();
        if frame.is_some_and(|frame| frame.get("message").is_some_and(|message| message == "ping")) {
            self.hub.record.note(|log, _| log.channel_pings += 1);
            self.order(Order::System(notify::metadata("pong")));
        } else {
            self.take_message(false, text.as_bytes());
        }
    }

    fn take_message(&mut self, binary: bool, data: &[u8]) {
        // The answer is ordered before the message is on record: orders of a test that has seen it come later.
        if !self.begun {
            self.order(Order::Act(vec![Action::close(1008, "the first message must be auth")]));
        } else if self.hub.ws().echo {
            let text = || Action::Text(String::from_utf8_lossy(data).into_owned());
            self.order(Order::Push(if binary { Action::Binary(data.to_vec()) } else { text() }));
        }
        let index = self.index;
        self.hub.record.note(|log, at| log.receive(at, index, binary, data));
    }

    fn take_close(&mut self, code: u16, reason: String) {
        let connection = self.index;
        // Before the answer: whoever has it finds the channel without a socket, and makes room by it.
        self.hub.books().detach(connection);
        self.hub.record.note(|log, at| {
            log.closes.push(Close { at, connection, code, reason });
            log.end(at, connection, End::ClientClosed(code));
        });
        // Before it is answered: whoever has the answer knows that the channel is without a socket.
        self.hub.books().detach(connection);
        self.order(Order::ClientClosed(code));
    }

    fn take_auth(&mut self, frame: &Value) {
        let field = |name| frame.get(name).and_then(Value::as_str).map(str::to_owned);
        let auth = Auth {
            at: Duration::ZERO,
            connection: self.index,
            token: field("token").unwrap_or_default(),
            session_id: field("sessionId"),
            again: self.authenticated.load(Ordering::SeqCst),
            accepted: None,
        };
        let reply = self.hub.script().auth(auth.again);
        let known = auth.clone();
        let number = self.hub.record.note(|log, at| {
            log.auths.push(Auth { at, ..auth });
            log.auths.len() - 1
        });
        let mut steps = VecDeque::new();
        self.plan_answer(reply, number, &known, &mut steps);
        self.order(Order::Answer(steps));
    }

    fn plan_answer(&mut self, reply: AuthReply, number: usize, auth: &Auth, steps: &mut VecDeque<Step>) {
        match reply {
            AuthReply::Honest => steps.push_back(self.honest(number, auth, 0)),
            AuthReply::Padded(bytes) => steps.push_back(self.honest(number, auth, bytes)),
            AuthReply::Refuse(message) => steps.push_back(refusal(number, message.as_deref())),
            AuthReply::Never => {}
            AuthReply::Text(text) => steps.push_back(Step::Answer { text, number, good_until: None }),
            AuthReply::Act(actions) => steps.extend(actions.into_iter().map(Step::Act)),
            AuthReply::Before(actions, then) => {
                steps.extend(actions.into_iter().map(Step::Act));
                self.plan_answer(*then, number, auth, steps);
            }
            AuthReply::After(first, actions) => {
                self.plan_answer(*first, number, auth, steps);
                steps.extend(actions.into_iter().map(Step::Act));
            }
            AuthReply::Delay { ms, then } => {
                steps.push_back(Step::Act(Action::Pause { ms }));
                self.plan_answer(*then, number, auth, steps);
            }
        }
    }

    fn honest(&mut self, number: usize, auth: &Auth, pad: usize) -> Step {
        let strict = self.hub.ws().strict_expiry;
        let mut ledger = self.hub.ledger();
        let Some(good_until) = ledger.judge(&auth.token, strict) else {
            return refusal(number, Some("invalid token"));
        };
        let offered = self.session.as_deref().or(auth.session_id.as_deref());
        let session = ledger.session(offered);
        drop(ledger);
        // Written out, so that the fields are in the order in which they are documented.
        let pad = if pad > 0 { format!(r#","pad":"{}""#, "x".repeat(pad)) } else { String::new() };
        let text = format!(r#"{{"type":"auth","status":"ok","sessionId":"{session}"{pad}}}"#);
        self.session = Some(session);
        Step::Answer { text, number, good_until: Some(good_until) }
    }

    fn note_end(&self, end: End) {
        let index = self.index;
        self.hub.record.note(|log, at| log.end(at, index, end));
    }

    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

/// What the client did wrong; `None` when its connection just ended.
fn fault_of(error: &Error) -> Option<String> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => None,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        other => Some(other.to_string()),
    }
}

fn refusal(number: usize, message: Option<&str>) -> Step {
    let message = message.map_or(String::new(), |words| format!(r#","message":{}"#, Value::from(words)));
    let text = format!(r#"{{"type":"auth","status":"error"{message}}}"#);
    Step::Answer { text, number, good_until: None }
}

/// The frame, if it is an `auth` frame.
fn auth_frame(text: &str) -> Option<Value> {
    if text.len() > AUTH_MAX || !text.contains("auth") {
        return None;
    }
    let frame: Value = serde_json::from_str(text).ok()?;
    (frame.get("type")? == "auth").then_some(frame)
}
