//! One WebSocket connection: dialled, upgraded, read and written without ever blocking.
//!
//! tungstenite does the upgrade. Frames are read and written here: see `reader` and `frame` for why.

mod frame;
mod head;
mod reader;
mod socket;
mod upgrade;
mod writer;

use std::io::{self, Read};

use tungstenite::handshake::client::ClientHandshake;
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::protocol::WebSocketConfig;

use self::head::Head;
use self::socket::Socket;
use super::dial::{Dial, Net, Opened, Target};
use super::stream::Stream;
use super::tls;
use super::wait::{Ready, Waiter};
use crate::error::{Code, Error, Stage};
use crate::proto::time::Now;
use crate::secret::Secret;

/// A WebSocket connection. Dropping it closes the socket.
///
/// While [`Link::advance`] says `Pending`, call it after every wake and at [`Link::deadline`]. Once it says `Connected`,
/// call [`Link::upgrade`] now or later, and go on advancing. Once it says `Open`,
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
}

enum Phase {
    Dialling(Dial),
    Connected(Box<Opened>, Target),
    Upgrading(Box<MidHandshake<ClientHandshake<Head>>>),
    Open(Box<Socket>),
    Over,
}

/// How far the opening is.
#[derive(Debug)]
pub enum Opening {
    /// Not open yet.
    Pending,
    /// Connected, TLS included: the upgrade waits for [`Link::upgrade`]. Said once.
    Connected,
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

/// What a read brought. A message lies in the receive buffer: use it before the next read.
#[derive(Debug)]
pub enum ReadOutcome<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
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

impl Link {
    /// Begins to connect to the client's WebSocket URL. What is wrong at once is told by the first [`Link::advance`].
    pub fn dial(epoch: u64, uri: Option<&Secret>, net: &Net, waiter: &Waiter, now: Now) -> Result<Self, Error> {
        let settings = &net.settings;
        let target = net.target(uri.map_or(settings.ws_url.as_str(), Secret::expose))?;
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
        })
    }

    /// The number it was dialled under.
    pub fn epoch(&self) -> u64 {
        self.epoch
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
            Ok(opening) => opening,
            Err(error) => {
                self.phase = Phase::Over;
                self.deadline = None;
                // A proxy that refused is named by the error already.
                let unnamed = error.detail().host.is_empty();
                Opening::Failed(if unnamed { error.with(|detail| detail.host.clone_from(&self.peer)) } else { error })
            }
        }
    }

    /// Asks for the upgrade, once the link has said `Connected`; then it is advanced again.
    pub fn upgrade(&mut self, now: Now) -> Result<(), Error> {
        let Phase::Connected(opened, target) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Err(Error::new(Code::Internal, Stage::Upgrade, "The link is not connected."));
        };
        self.deadline = Some(now.boot_ms.saturating_add(self.upgrade_timeout_ms));
        self.phase = Phase::Upgrading(Box::new(self.ask(*opened, &target)?));
        Ok(())
    }

    fn open(&mut self, now: Now, waiter: &Waiter) -> Result<Opening, Error> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Dialling(mut dial) => {
                    let Some(opened) = dial.advance(now, waiter)? else {
                        self.deadline = Some(dial.deadline());
                        self.phase = Phase::Dialling(dial);
                        return Ok(Opening::Pending);
                    };
                    (self.deadline, self.token) = (None, Some(opened.token));
                    self.phase = Phase::Connected(Box::new(opened), dial.target().clone());
                    return Ok(Opening::Connected);
                }
                Phase::Connected(mut opened, target) => {
                    still_there(&mut opened.stream)?;
                    self.phase = Phase::Connected(opened, target);
                    return Ok(Opening::Pending);
                }
                Phase::Upgrading(handshake) => match handshake.handshake() {
                    Ok((socket, _)) => {
                        let socket = Socket::new(socket.into_inner(), self.max_message_bytes);
                        self.phase = Phase::Open(Box::new(socket));
                    }
                    Err(HandshakeError::Failure(error)) => return Err(upgrade::refusal(&error, now.wall_ms)),
                    Err(HandshakeError::Interrupted(handshake)) => {
                        self.phase = Phase::Upgrading(Box::new(handshake));
                        return self.in_time(now).map(|()| Opening::Pending);
                    }
                },
                open @ Phase::Open(_) => {
                    (self.phase, self.deadline) = (open, None);
                    return Ok(Opening::Open);
                }
                Phase::Over => return Err(Error::new(Code::Internal, Stage::Upgrade, "The link is over.")),
            }
        }
    }

    /// Prepares the upgrade over an open connection.
    fn ask(&self, opened: Opened, target: &Target) -> Result<MidHandshake<ClientHandshake<Head>>, Error> {
        let settings = &self.net.settings;
        let mut stream = opened.stream;
        stream.set_private(&target.path, upgrade::private_headers(settings)?);
        let request = upgrade::request(target, settings)?;
        // It reads the answer's head and nothing else; its own default are 128 KiB.
        let config = WebSocketConfig::default().read_buffer_size(0);
        ClientHandshake::start(Head::new(stream), request, Some(config)).map_err(|error| upgrade::refusal(&error, 0))
    }

    fn in_time(&self, now: Now) -> Result<(), Error> {
        if self.deadline.is_none_or(|deadline| now.boot_ms < deadline) {
            return Ok(());
        }
        let text = format!("Not done after {} ms.", self.upgrade_timeout_ms);
        Err(Error::new(Code::UpgradeTimeout, Stage::Upgrade, text))
    }

    /// Reads one message. After `Closed` or `Ended` only dropping is left.
    pub fn read(&mut self) -> ReadOutcome<'_> {
        match &mut self.phase {
            Phase::Open(socket) => socket.read(),
            _ => ReadOutcome::Ended(writer::over()),
        }
    }

    /// Sends a text message. It is taken whole, even if some of it has to wait.
    pub fn send_text(&mut self, text: &str) -> Result<Flushed, Error> {
        self.socket()?.writer.send(frame::TEXT, text.as_bytes())
    }

    /// Sends a binary message. It is taken whole, even if some of it has to wait.
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<Flushed, Error> {
        self.socket()?.writer.send(frame::BINARY, bytes)
    }

    /// Hands the kernel what waits.
    pub fn flush(&mut self) -> Result<Flushed, Error> {
        self.socket()?.writer.flush()
    }

    /// Sends a ping, and gives back buffers: a ping is only sent after a silence.
    pub fn ping(&mut self) -> Result<Flushed, Error> {
        let socket = self.socket()?;
        socket.trim();
        socket.writer.send(frame::PING, &[])
    }

    /// Starts the close handshake. The peer's answer comes as [`ReadOutcome::Closed`]; the caller minds the time.
    /// A reason that is too long is cut off.
    pub fn start_close(&mut self, code: u16, reason: &str) -> Result<Flushed, Error> {
        self.socket()?.writer.close(code, reason)
    }

    /// Ends the connection at once, without a goodbye.
    #[cfg(test)]
    pub fn abort(&mut self) {
        if let Some(stream) = self.stream() {
            stream.abort();
        }
        self.phase = Phase::Over;
        self.deadline = None;
    }

    /// Bytes read from the socket so far: whether the peer was heard.
    pub fn bytes_read(&self) -> u64 {
        self.open_socket().map_or(0, |socket| socket.writer.stream.bytes_read())
    }

    /// Bytes handed to the kernel so far.
    #[cfg(test)]
    pub fn bytes_written(&self) -> u64 {
        self.open_socket().map_or(0, |socket| socket.writer.stream.bytes_written())
    }

    /// Bytes taken but not yet handed to the kernel.
    pub fn unflushed(&self) -> usize {
        self.open_socket().map_or(0, |socket| socket.writer.stream.unflushed())
    }

    fn open_socket(&self) -> Option<&Socket> {
        match &self.phase {
            Phase::Open(socket) => Some(socket),
            _ => None,
        }
    }

    fn socket(&mut self) -> Result<&mut Socket, Error> {
        match &mut self.phase {
            Phase::Open(socket) => Ok(socket),
            _ => Err(writer::over()),
        }
    }

    fn stream(&mut self) -> Option<&mut Stream> {
        match &mut self.phase {
            Phase::Connected(opened, _) => Some(&mut opened.stream),
            Phase::Upgrading(handshake) => Some(&mut handshake.get_mut().get_mut().stream),
            Phase::Open(socket) => Some(&mut socket.writer.stream),
            Phase::Dialling(_) | Phase::Over => None,
        }
    }
}

/// A connection that waits for its upgrade hears nothing but session tickets, and its end.
fn still_there(stream: &mut Stream) -> Result<(), Error> {
    match stream.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(tls::fault(&error, Stage::Upgrade)),
        Ok(0) => Err(Error::new(Code::Dropped, Stage::Upgrade, "The peer hung up before it was asked.")),
        Ok(_) => Err(Error::new(Code::UpgradeRefused, Stage::Upgrade, "The peer spoke before it was asked.")),
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(stream) = self.stream() {
            stream.close();
        }
    }
}

#[cfg(test)]
mod tests;
