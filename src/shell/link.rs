//! One WebSocket connection: dialled, upgraded, read and written without ever blocking.

mod frame;
mod upgrade;

use std::ops::Deref;

use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Bytes, Error as WsError, Message, Utf8Bytes, WebSocket};

use super::dial::{Dial, Net, Opened};
use super::random::Entropy;
use super::stream::Stream;
use super::tls;
use super::wait::{Ready, Waiter};
use crate::error::{Code, Error, Stage};
use crate::proto::time::Now;

/// Bytes tungstenite asks for at a time.
const READ_BUFFER: usize = 8 << 10;
/// Most bytes of pongs and closes that wait in tungstenite.
const CONTROL_BUFFER: usize = 4 << 10;
/// Longest reason in a close frame (RFC 6455 5.5: 125 bytes with the code).
const LONGEST_REASON: usize = 123;
/// No code in the close frame (RFC 6455 7.4.1).
const NO_STATUS: u16 = 1005;

/// A WebSocket connection. Dropping it closes the socket.
///
/// While [`Link::advance`] says `Pending`, call it after every wake and at [`Link::deadline`]. Once it says `Open`,
/// read until `WouldBlock` at once and after every wake that was for this link.
pub struct Link {
    epoch: u64,
    peer: String,
    max_message_bytes: usize,
    phase: Phase,
    token: Option<usize>,
    deadline: Option<u64>,
    upgrade_timeout_ms: u64,
    net: Net,
    entropy: Entropy,
}

enum Phase {
    Dialling(Dial),
    Upgrading(Box<MidHandshake<ClientHandshake<Stream>>>),
    Open(Box<WebSocket<Stream>>),
    Over,
}

/// How far the opening is.
#[derive(Debug)]
pub enum Opening {
    /// Not open yet.
    Pending,
    /// Open: read at once, the peer may have spoken already.
    Open,
    /// It will not open.
    Failed(Error),
}

/// Whether bytes wait for the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flushed {
    /// The last byte is with the kernel.
    Done,
    /// Some wait; call [`Link::flush`] after the next wake, and send nothing before it says `Done`.
    Pending,
}

/// What a read brought.
#[derive(Debug)]
pub enum ReadOutcome {
    /// A text message.
    Text(Text),
    /// A binary message.
    Binary(Binary),
    /// A ping (answered already) or a pong: the peer is alive.
    Control,
    /// A close frame, answered already. Nothing more will come.
    Closed {
        /// Close code, 1005 if the frame had none.
        code: u16,
        /// Reason, or empty.
        reason: String,
    },
    /// Nothing now.
    WouldBlock,
    /// The connection is over.
    Ended(Error),
}

/// A text message, sharing the receive buffer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Text(Utf8Bytes);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A binary message, sharing the receive buffer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binary(Bytes);

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Link {
    /// Begins to connect to the client's WebSocket URL. What is wrong at once is told by the first [`Link::advance`].
    pub fn dial(epoch: u64, net: &Net, waiter: &Waiter, now: Now) -> Result<Self, Error> {
        let settings = &net.settings;
        let target = net.target(&settings.ws_url)?;
        let peer = target.peer();
        let dial = Dial::start(net, target, waiter, now)?;
        Ok(Self {
            epoch,
            peer,
            max_message_bytes: settings.max_message_bytes,
            deadline: Some(dial.deadline()),
            phase: Phase::Dialling(dial),
            token: None,
            upgrade_timeout_ms: settings.upgrade_timeout_ms,
            net: net.clone(),
            entropy: Entropy::new(),
        })
    }

    /// The number it was dialled under.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Host and port of the peer.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// When [`Link::advance`] has to be called at the latest; `None` once it is open.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Takes note of news of a socket; whether it is this link's.
    pub fn on_ready(&mut self, ready: &Ready) -> bool {
        if let Phase::Dialling(dial) = &mut self.phase {
            return dial.on_ready(ready);
        }
        let mine = self.token == Some(ready.token);
        if let Some(stream) = self.stream().filter(|_| mine) {
            stream.on_ready(ready);
        }
        mine
    }

    /// Goes on with opening, as far as it can without waiting.
    pub fn advance(&mut self, now: Now, waiter: &Waiter) -> Opening {
        match self.open(now, waiter) {
            Ok(true) => {
                self.deadline = None;
                Opening::Open
            }
            Ok(false) => Opening::Pending,
            Err(error) => {
                self.phase = Phase::Over;
                self.deadline = None;
                Opening::Failed(error.with(|detail| detail.host.clone_from(&self.peer)))
            }
        }
    }

    fn open(&mut self, now: Now, waiter: &Waiter) -> Result<bool, Error> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Dialling(mut dial) => {
                    let Some(opened) = dial.advance(now, waiter)? else {
                        self.deadline = Some(dial.deadline());
                        self.phase = Phase::Dialling(dial);
                        return Ok(false);
                    };
                    self.deadline = Some(now.boot_ms.saturating_add(self.upgrade_timeout_ms));
                    self.phase = Phase::Upgrading(Box::new(self.ask(opened, &dial)?));
                }
                Phase::Upgrading(handshake) => match handshake.handshake() {
                    Ok((socket, _)) => self.phase = Phase::Open(Box::new(socket)),
                    Err(HandshakeError::Failure(error)) => return Err(upgrade::refusal(&error, now.wall_ms)),
                    Err(HandshakeError::Interrupted(handshake)) => {
                        self.phase = Phase::Upgrading(Box::new(handshake));
                        return self.in_time(now).map(|()| false);
                    }
                },
                open @ Phase::Open(_) => {
                    self.phase = open;
                    return Ok(true);
                }
                Phase::Over => return Err(Error::new(Code::Internal, Stage::Upgrade, "The link is over.")),
            }
        }
    }

    /// Prepares the upgrade over an open connection.
    fn ask(&mut self, opened: Opened, dial: &Dial) -> Result<MidHandshake<ClientHandshake<Stream>>, Error> {
        let settings = &self.net.settings;
        let Opened { mut stream, token } = opened;
        self.token = Some(token);
        stream.set_private_headers(upgrade::private_headers(settings)?);
        let request = upgrade::request(dial.target(), settings)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BUFFER)
            .max_message_size(Some(self.max_message_bytes))
            .max_frame_size(Some(self.max_message_bytes));
        ClientHandshake::start(stream, request, Some(config)).map_err(|error| upgrade::refusal(&error, 0))
    }

    fn in_time(&self, now: Now) -> Result<(), Error> {
        if self.deadline.is_none_or(|deadline| now.boot_ms < deadline) {
            return Ok(());
        }
        let text = format!("Not done after {} ms.", self.upgrade_timeout_ms);
        Err(Error::new(Code::UpgradeTimeout, Stage::Upgrade, text))
    }

    /// Reads one message. After `Closed` or `Ended` only dropping is left.
    pub fn read(&mut self) -> ReadOutcome {
        let Phase::Open(socket) = &mut self.phase else {
            return ReadOutcome::Ended(self.over());
        };
        match socket.read() {
            Ok(Message::Text(text)) => ReadOutcome::Text(Text(text)),
            Ok(Message::Binary(bytes)) => ReadOutcome::Binary(Binary(bytes)),
            Ok(Message::Ping(_)) => {
                // The pong is queued; an idle connection has no other occasion to send it. A failure will show
                // in the next read.
                let _ = socket.flush();
                ReadOutcome::Control
            }
            Ok(Message::Pong(_) | Message::Frame(_)) => ReadOutcome::Control,
            Ok(Message::Close(frame)) => {
                let _ = socket.flush();
                let (code, reason) = frame.map_or((NO_STATUS, String::new()), |frame| {
                    (u16::from(frame.code), frame.reason.as_str().to_owned())
                });
                ReadOutcome::Closed { code, reason }
            }
            Err(WsError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => ReadOutcome::WouldBlock,
            Err(error) => ReadOutcome::Ended(self.fault(&error)),
        }
    }

    /// Sends a text message. It is taken whole, even if some of it has to wait.
    pub fn send_text(&mut self, text: &str) -> Result<Flushed, Error> {
        self.send(frame::TEXT, text.as_bytes())
    }

    /// Sends a binary message. It is taken whole, even if some of it has to wait.
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<Flushed, Error> {
        self.send(frame::BINARY, bytes)
    }

    /// Hands the kernel what waits.
    pub fn flush(&mut self) -> Result<Flushed, Error> {
        let result = match &mut self.phase {
            Phase::Open(socket) => socket.flush(),
            _ => return Err(self.over()),
        };
        self.flushed(result)
    }

    /// Sends a ping, and gives back buffers: a ping is only sent after a silence.
    pub fn ping(&mut self) -> Result<Flushed, Error> {
        let result = match &mut self.phase {
            Phase::Open(socket) => {
                socket.get_mut().trim();
                socket.send(Message::Ping(Bytes::new()))
            }
            _ => return Err(self.over()),
        };
        self.flushed(result)
    }

    /// Starts the close handshake. The peer's answer comes as [`ReadOutcome::Closed`]; the caller minds the time.
    pub fn start_close(&mut self, code: u16, reason: &str) -> Result<Flushed, Error> {
        let mut end = reason.len().min(LONGEST_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = Utf8Bytes::from(reason.get(..end).unwrap_or_default());
        let result = match &mut self.phase {
            Phase::Open(socket) => socket.close(Some(CloseFrame { code: CloseCode::from(code), reason })),
            _ => return Err(self.over()),
        };
        self.flushed(result)
    }

    /// Ends the connection at once, without a goodbye.
    pub fn abort(&mut self) {
        if let Some(stream) = self.stream() {
            stream.abort();
        }
        self.phase = Phase::Over;
        self.deadline = None;
    }

    /// Bytes read from the socket so far: whether the peer was heard.
    pub fn bytes_read(&mut self) -> u64 {
        self.stream().map_or(0, |stream| stream.bytes_read())
    }

    /// Bytes handed to the kernel so far.
    pub fn bytes_written(&mut self) -> u64 {
        self.stream().map_or(0, |stream| stream.bytes_written())
    }

    /// Bytes taken but not yet handed to the kernel.
    pub fn unflushed(&mut self) -> usize {
        self.stream().map_or(0, |stream| stream.unflushed())
    }

    fn send(&mut self, first: u8, payload: &[u8]) -> Result<Flushed, Error> {
        if payload.len() > self.max_message_bytes {
            let text =
                format!("The message is {} bytes long, the maximum is {}.", payload.len(), self.max_message_bytes);
            return Err(Error::new(Code::TooLarge, Stage::Live, text));
        }
        let mask = self.entropy.bytes();
        let result = match &mut self.phase {
            Phase::Open(socket) if socket.can_write() => {
                let stream = socket.get_mut();
                stream.push(&frame::encode(first, payload, mask)).map_err(WsError::Io)
            }
            _ => return Err(self.over()),
        };
        self.flushed(result)
    }

    /// What an attempt to write came to.
    fn flushed(&mut self, result: Result<(), WsError>) -> Result<Flushed, Error> {
        match result {
            Ok(()) if self.unflushed() == 0 => Ok(Flushed::Done),
            Ok(()) => Ok(Flushed::Pending),
            Err(WsError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(Flushed::Pending),
            Err(WsError::WriteBufferFull(_)) => Ok(Flushed::Pending),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn stream(&mut self) -> Option<&mut Stream> {
        match &mut self.phase {
            Phase::Upgrading(handshake) => Some(handshake.get_mut().get_mut()),
            Phase::Open(socket) => Some(socket.get_mut()),
            Phase::Dialling(_) | Phase::Over => None,
        }
    }

    fn over(&self) -> Error {
        let text = "The connection is not open.";
        Error::new(Code::Dropped, Stage::Live, text).with(|detail| detail.host.clone_from(&self.peer))
    }

    fn fault(&self, error: &WsError) -> Error {
        live_fault(error).with(|detail| detail.host.clone_from(&self.peer))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(stream) = self.stream() {
            stream.close();
        }
    }
}

/// What an error on the live socket means.
fn live_fault(error: &WsError) -> Error {
    let (code, text) = match error {
        WsError::Io(error) => return tls::fault(error, Stage::Live),
        WsError::ConnectionClosed | WsError::AlreadyClosed => (Code::Dropped, "The connection is closed.".into()),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => (Code::Dropped, "The peer hung up.".into()),
        WsError::Protocol(ProtocolError::SendAfterClosing) => (Code::Dropped, "The connection is closing.".into()),
        WsError::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            (Code::MessageTooLarge, format!("It has at least {size} bytes, the maximum is {max_size}."))
        }
        WsError::Utf8(_) => (Code::WsProtocol, "A text message is not UTF-8.".into()),
        other => (Code::WsProtocol, format!("{other}.")),
    };
    Error::new(code, Stage::Live, text)
}

#[cfg(test)]
mod tests;
