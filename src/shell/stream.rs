//! A byte stream over a non-blocking socket, plain or TLS. No `writev`, hence no SIGPIPE.

mod secure;

use std::io::{self, Read, Write};
use std::net::Shutdown;

use rustls::client::UnbufferedClientConnection;
use zeroize::Zeroizing;

use self::secure::Session;
use super::socket::Socket;
use super::wait::{went_deep, Ready};

/// [`Write::write`] takes no more while this many bytes wait for the kernel.
const HIGH_WATER: usize = 64 << 10;
/// Buffers above this size are given back when they are empty.
const KEEP: usize = 16 << 10;

/// A connection, non-blocking.
///
/// Reading: after a wake, read until `WouldBlock`. Writing: what is taken is taken whole, and waits here until
/// the kernel has room, so that frames of different writers never mix; see [`Stream::unflushed`].
pub struct Stream {
    wire: Wire,
    tls: Option<Box<Session>>,
    private: Option<Private>,
}

/// What the head of a request has that those who write it do not see.
struct Private {
    /// Path and query.
    target: Zeroizing<String>,
    /// Header lines, each with its CRLF.
    lines: Zeroizing<Vec<u8>>,
}

impl Stream {
    /// Plain TCP over a connected socket.
    pub fn plain(socket: Socket) -> Self {
        Self { wire: Wire::new(socket), tls: None, private: None }
    }

    /// TLS over a connected socket; [`Stream::handshake`] comes first.
    pub fn tls(socket: Socket, session: UnbufferedClientConnection) -> Self {
        Self { tls: Some(Box::new(Session::new(session))), ..Self::plain(socket) }
    }

    /// Goes on with the TLS handshake; whether it is done. Plain streams have none.
    pub fn handshake(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            Some(session) => {
                let is_done = session.handshake(&mut self.wire)?;
                if is_done {
                    went_deep();
                }
                Ok(is_done)
            }
            None => Ok(true),
        }
    }

    /// Takes note of what a wait said about this socket.
    pub fn on_ready(&mut self, ready: &Ready) {
        self.wire.drained &= !(ready.readable || ready.closed);
        self.wire.closing |= ready.closed;
    }

    /// Whether this is TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Bytes taken but not yet handed to the kernel, as they go on the wire. 0 means that the last byte is out.
    pub fn unflushed(&self) -> usize {
        self.wire.unsent()
    }

    /// Bytes read from the socket so far.
    pub fn bytes_read(&self) -> u64 {
        self.wire.bytes_read
    }

    /// Bytes handed to the kernel so far.
    #[cfg(test)]
    pub fn bytes_written(&self) -> u64 {
        self.wire.bytes_written
    }

    /// Gives the request that the next write is the head of this path and query instead of its own, and these header
    /// lines, each with its CRLF.
    ///
    /// ureq and tungstenite log at trace level what they write: credentials, and the path of a channel, join the head here,
    /// behind their backs.
    pub fn set_private(&mut self, target: &str, lines: Zeroizing<Vec<u8>>) {
        self.private = Some(Private { target: target.to_owned().into(), lines });
    }

    /// Takes `data` whole, however much is waiting already, and hands the kernel what it has room for.
    pub fn push(&mut self, data: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(session) => session.write(&mut self.wire, data),
            None => self.wire.send(data),
        }
    }

    /// Hands waiting bytes to the kernel; whether none are left.
    pub fn flush_some(&mut self) -> io::Result<bool> {
        self.wire.flush()
    }

    /// Gives back buffers that are empty, and stack at the next wait: the connection is idle.
    pub fn trim(&mut self) {
        went_deep();
        self.wire.trim(0);
        if let Some(session) = &mut self.tls {
            session.trim();
        }
    }

    /// Says goodbye: TLS close_notify, then FIN. Never waits; failures do not matter any more.
    pub fn close(&mut self) {
        if let Some(session) = &mut self.tls {
            session.close(&mut self.wire);
        }
        if self.wire.flush().unwrap_or(true) {
            let _ = self.wire.socket.shutdown(Shutdown::Write);
        }
    }

    /// What a failed write means. A TLS 1.3 server refuses a client's certificate, or its lack, when the client has
    /// begun to speak: its alert may lie here unread, and says more than that it hung up.
    fn last_word(&mut self, failure: io::Error) -> io::Error {
        let Some(session) = self.tls.as_mut().filter(|_| failure.kind() != io::ErrorKind::WouldBlock) else {
            return failure;
        };
        // No wait has told of it yet.
        (self.wire.drained, self.wire.closing) = (false, true);
        match session.read(&mut self.wire, &mut [0]) {
            Err(said) if said.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()).is_some() => said,
            _ => failure,
        }
    }

    /// Ends the connection in both directions at once.
    #[cfg(test)]
    pub fn abort(&mut self) {
        let _ = self.wire.socket.shutdown(Shutdown::Both);
    }
}

impl Read for Stream {
    /// `WouldBlock` until the next wake, 0 at a proper end, `UnexpectedEof` at an end without close_notify.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(session) => session.read(&mut self.wire, buffer),
            None => self.wire.receive(buffer),
        }
    }
}

impl Write for Stream {
    /// Takes all of `data` or, while too much is waiting, nothing (`WouldBlock`).
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.wire.unsent() > HIGH_WATER && !self.wire.flush()? && self.wire.unsent() > HIGH_WATER {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = match data.strip_suffix(b"\r\n").filter(|head| head.ends_with(b"\r\n")).zip(self.private.take()) {
            Some((head, private)) => self.push(&private.complete(head)),
            None => self.push(data),
        };
        taken.map_err(|error| self.last_word(error))?;
        Ok(data.len())
    }

    /// `WouldBlock` while bytes are left.
    fn flush(&mut self) -> io::Result<()> {
        match self.wire.flush() {
            Ok(true) => Ok(()),
            Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(self.last_word(error)),
        }
    }
}

impl Private {
    /// The head as it goes on the wire. `head` ends before the blank line.
    fn complete(&self, head: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut parts = head.splitn(3, |byte| *byte == b' ');
        let (method, _, rest) = (parts.next(), parts.next(), parts.next());
        let (method, rest) = (method.unwrap_or_default(), rest.unwrap_or_default());
        Zeroizing::new([method, b" ", self.target.as_bytes(), b" ", rest, &self.lines, b"\r\n"].concat())
    }
}

/// The socket, and the bytes it had no room for.
struct Wire {
    socket: Socket,
    out: Vec<u8>,
    sent: usize,
    /// The last read took all there was: the next would block.
    drained: bool,
    /// The peer has ended its direction; no further wake will announce that, so reading must go on to the end.
    closing: bool,
    bytes_read: u64,
    bytes_written: u64,
}

impl Wire {
    fn new(socket: Socket) -> Self {
        Self { socket, out: Vec::new(), sent: 0, drained: false, closing: false, bytes_read: 0, bytes_written: 0 }
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Reads from the socket. A read that did not fill the buffer saves the system call that would only block.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.drained {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = retry(|| self.socket.read(buffer)).inspect_err(|error| {
            self.drained = error.kind() == io::ErrorKind::WouldBlock;
        })?;
        self.drained = count < buffer.len() && count > 0 && !self.closing;
        self.bytes_read += count as u64;
        Ok(count)
    }

    /// Writes to the socket, keeping what it has no room for.
    fn send(&mut self, data: &[u8]) -> io::Result<()> {
        let mut rest = data;
        while self.unsent() == 0 && !rest.is_empty() {
            match self.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.out.extend_from_slice(rest);
        Ok(())
    }

    /// Writes what is waiting; whether nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        let mut out = std::mem::take(&mut self.out);
        let result = self.drain(&out);
        if self.sent >= out.len() {
            out.clear();
            self.sent = 0;
        }
        self.out = out;
        self.trim(KEEP);
        result
    }

    fn drain(&mut self, out: &[u8]) -> io::Result<bool> {
        while let Some(rest) = out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// One `send(2)`; std passes MSG_NOSIGNAL.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = retry(|| self.socket.write(data))?;
        self.bytes_written += count as u64;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(count)
    }

    /// Gives the empty buffer back if it is larger than `keep`.
    fn trim(&mut self, keep: usize) {
        if self.out.is_empty() && self.out.capacity() > keep {
            self.out = Vec::new();
        }
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
