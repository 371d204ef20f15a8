//! TLS over rustls's unbuffered API: the records are decrypted where they were received.

use std::io;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};

use super::{Wire, KEEP};

/// Size of the ciphertext buffer to begin with: a small event fits, and what comes between two silences.
const SMALL: usize = 2 << 10;
/// Size it grows to when reads fill it. A record is at most 18 KiB, so it always fits.
const LARGE: usize = 64 << 10;
/// Size it may have at most. Only a handshake message in many records needs more than one record's room.
const HUGE: usize = 128 << 10;
/// Header of a record (RFC 8446 5.1).
const HEADER: usize = 5;
/// Longest record a peer may send (RFC 5246 6.2.3); anything above is for rustls to refuse.
const LONGEST: usize = (16 << 10) + 2048 + HEADER;
/// Most plaintext in a record.
const RECORD: usize = 16 << 10;
/// Room for what encryption adds to a record, in any cipher suite.
const OVERHEAD: usize = 64;

/// One TLS session.
pub(super) struct Session {
    connection: UnbufferedClientConnection,
    cipher: Cipher,
    plain: Plain,
    /// rustls has something to say before it needs another record.
    restless: bool,
    /// close_notify has come.
    peer_closed: bool,
    /// An error has ended it: rustls is not asked again.
    dead: bool,
    /// An error behind data that the reader has not seen yet; it comes with the next read.
    fault: Option<io::Error>,
}

/// What is to be done when rustls is ready to send.
enum Want<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

/// What one step came to.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Step {
    /// Go on.
    Progress,
    /// Application data was delivered.
    Data,
    /// The handshake needs more from the peer.
    Handshake,
    /// The session is open and needs nothing; what was wanted is done.
    Open,
    /// Both directions are closed.
    Closed,
}

impl Session {
    pub(super) fn new(connection: UnbufferedClientConnection) -> Self {
        Self {
            connection,
            cipher: Cipher::default(),
            plain: Plain::default(),
            restless: true,
            peer_closed: false,
            dead: false,
            fault: None,
        }
    }

    /// Goes on with the handshake; whether it is done and our last flight is with the kernel.
    pub(super) fn handshake(&mut self, wire: &mut Wire) -> io::Result<bool> {
        loop {
            match self.step(wire, Want::Nothing, &mut [], &mut 0)? {
                Step::Progress | Step::Data => continue,
                Step::Open => {
                    // Certificates take more room than most of what follows.
                    self.trim();
                    return wire.flush();
                }
                Step::Handshake => {}
                Step::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
            wire.flush()?;
            if self.peer_closed {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match self.cipher.fill(wire) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads plaintext: as many whole records as fit.
    pub(super) fn read(&mut self, wire: &mut Wire, buffer: &mut [u8]) -> io::Result<usize> {
        let mut used = self.plain.take(buffer);
        if used > 0 || buffer.is_empty() {
            return Ok(used);
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        loop {
            match self.decrypt(wire, buffer, &mut used) {
                // What was whole before the error is the application's.
                Err(fault) if used > 0 => self.fault = Some(fault),
                result => result?,
            }
            if used > 0 || self.peer_closed {
                return Ok(used);
            }
            self.cipher.fill(wire)?;
        }
    }

    /// Decrypts records while they fit into the rest of `buffer`; the first goes in whatever its size.
    fn decrypt(&mut self, wire: &mut Wire, buffer: &mut [u8], used: &mut usize) -> io::Result<()> {
        while self.restless || self.cipher.holds_record() {
            if *used > 0 && self.cipher.record_len() > buffer.len() - *used {
                break;
            }
            match self.step(wire, Want::Nothing, buffer, used)? {
                Step::Data => self.restless = false,
                Step::Progress => self.restless = true,
                Step::Open | Step::Handshake | Step::Closed => {
                    self.restless = false;
                    break;
                }
            }
        }
        if wire.unsent() > 0 {
            // What was read must not get lost; a failure will show in the next read.
            let _ = wire.flush();
        }
        Ok(())
    }

    /// Encrypts all of `data`, and sends what the kernel has room for.
    pub(super) fn write(&mut self, wire: &mut Wire, data: &[u8]) -> io::Result<()> {
        for record in data.chunks(RECORD) {
            loop {
                match self.step(wire, Want::Encrypt(record), &mut [], &mut 0)? {
                    Step::Progress | Step::Data => {}
                    Step::Open => break,
                    Step::Handshake => return Err(io::ErrorKind::NotConnected.into()),
                    Step::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
                }
            }
            wire.flush()?;
        }
        Ok(())
    }

    /// Queues close_notify, if the session got as far as that.
    pub(super) fn close(&mut self, wire: &mut Wire) {
        // Bounded: what is left in the buffers is at most some hundred records.
        for _ in 0..LARGE {
            match self.step(wire, Want::CloseNotify, &mut [], &mut 0) {
                Ok(Step::Progress | Step::Data) => {}
                Ok(Step::Open | Step::Handshake | Step::Closed) | Err(_) => break,
            }
        }
    }

    /// Gives back empty buffers.
    pub(super) fn trim(&mut self) {
        self.cipher.trim();
        self.plain.trim(0);
    }

    /// Asks rustls what is next, and does it. Plaintext goes to `buffer` from `used` on, and what does not fit is kept.
    fn step(&mut self, wire: &mut Wire, want: Want<'_>, buffer: &mut [u8], used: &mut usize) -> io::Result<Step> {
        if self.dead {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(self.cipher.filled());
        let step = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(refused)?;
                    discard += record.discard;
                    self.plain.put(record.payload, buffer, used);
                }
                Ok(Step::Data)
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut wire.out).map(|()| Step::Progress),
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // The bytes are in the queue, which keeps their order: as good as sent.
                data.done();
                Ok(Step::Progress)
            }
            Ok(ConnectionState::PeerClosed) => {
                self.peer_closed = true;
                Ok(Step::Progress)
            }
            Ok(ConnectionState::BlockedHandshake) => Ok(Step::Handshake),
            Ok(ConnectionState::WriteTraffic(traffic)) => perform(want, traffic, &mut wire.out).map(|()| Step::Open),
            Ok(ConnectionState::Closed) => Ok(Step::Closed),
            Ok(_) => Err(io::Error::other("TLS is in a state that a client does not have")),
            Err(error) => {
                self.cipher.discard(discard);
                self.say_why(wire);
                return Err(refused(error));
            }
        };
        self.cipher.discard(discard);
        step
    }

    /// Sends the alert that rustls has queued for an error, if it can be sent at once.
    ///
    /// rustls keeps places in the received bytes, so it has to be shown the rest of them, not an empty slice.
    fn say_why(&mut self, wire: &mut Wire) {
        self.dead = true;
        let state = self.connection.process_tls_records(self.cipher.filled()).state;
        if let Ok(ConnectionState::EncodeTlsData(mut alert)) = state {
            let _ = encode(&mut alert, &mut wire.out);
        }
        let _ = wire.flush();
    }
}

/// Sends application data or close_notify into `out`.
fn perform(want: Want<'_>, mut traffic: WriteTraffic<'_, ClientConnectionData>, out: &mut Vec<u8>) -> io::Result<()> {
    let length = match want {
        Want::Nothing => return Ok(()),
        Want::Encrypt(data) => data.len(),
        Want::CloseNotify => 0,
    };
    append(out, length + OVERHEAD, |space| {
        let result = match want {
            Want::Encrypt(data) => traffic.encrypt(data, space),
            Want::Nothing | Want::CloseNotify => traffic.queue_close_notify(space),
        };
        result.map_err(|error| match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => Short::By(required_size),
            EncryptError::EncryptExhausted => Short::Never(io::Error::other("the TLS session is used up")),
        })
    })
}

/// Writes a handshake record or an alert into `out`.
fn encode(data: &mut EncodeTlsData<'_, ClientConnectionData>, out: &mut Vec<u8>) -> io::Result<()> {
    append(out, OVERHEAD, |space| {
        data.encode(space).map_err(|error| match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => Short::By(required_size),
            EncodeError::AlreadyEncoded => Short::Never(io::Error::other("a TLS record was encoded twice")),
        })
    })
}

/// Why nothing was written.
enum Short {
    /// This much room is needed.
    By(usize),
    /// Room would not help.
    Never(io::Error),
}

/// Lets `write` append to `out`, with as much room as it asks for.
fn append(out: &mut Vec<u8>, guess: usize, mut write: impl FnMut(&mut [u8]) -> Result<usize, Short>) -> io::Result<()> {
    let (start, mut room) = (out.len(), guess);
    loop {
        out.resize(start + room, 0);
        let result = write(out.get_mut(start..).unwrap_or_default());
        out.truncate(start + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(_) => return Ok(()),
            Err(Short::By(required)) if required > room => room = required,
            Err(Short::By(_)) => return Err(io::Error::other("TLS asks for room it has")),
            Err(Short::Never(error)) => return Err(error),
        }
    }
}

/// A TLS error on its way through `io::Error`; [`crate::shell::tls::fault`] takes it out again.
fn refused(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Received bytes that are not decrypted yet: `buffer[start..end]`.
#[derive(Default)]
struct Cipher {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Cipher {
    fn filled(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    fn discard(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Length of the first record with its header, or 0 if not even the header is there.
    fn record_len(&self) -> usize {
        match self.buffer.get(self.start..self.end) {
            Some([_, _, _, high, low, ..]) => HEADER + usize::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        }
    }

    /// Whether rustls can do something with the first record: it is complete, or too long to be one.
    fn holds_record(&self) -> bool {
        let length = self.record_len();
        length > 0 && (length <= self.end - self.start || length > LONGEST)
    }

    /// Reads from the socket, at least one byte.
    fn fill(&mut self, wire: &mut Wire) -> io::Result<()> {
        self.make_room();
        if self.end == HUGE {
            return Err(refused(rustls::Error::General("a handshake message is too long".into())));
        }
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let size = space.len();
        let count = wire.receive(space)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += count;
        if count == size && self.buffer.len() < LARGE {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        Ok(())
    }

    /// Makes room for at least a byte, unless the buffer is at its largest.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.buffer.len() - self.end < LONGEST {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() == self.end {
            self.buffer.resize((self.buffer.len() * 2).clamp(SMALL, HUGE), 0);
        }
    }

    fn trim(&mut self) {
        if self.start == self.end {
            *self = Self::default();
        }
    }
}

/// Plaintext that did not fit into the reader's buffer.
#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    taken: usize,
}

impl Plain {
    /// Moves what fits to `buffer`; how much that was.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let count = copy(rest, buffer);
        self.taken += count;
        if self.taken >= self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
            self.trim(KEEP);
        }
        count
    }

    /// Puts `payload` into `buffer` from `used` on, and keeps the rest.
    fn put(&mut self, payload: &[u8], buffer: &mut [u8], used: &mut usize) {
        let count = copy(payload, buffer.get_mut(*used..).unwrap_or_default());
        *used += count;
        if let Some(rest @ [_, ..]) = payload.get(count..) {
            self.bytes.extend_from_slice(rest);
        }
    }

    fn trim(&mut self, keep: usize) {
        if self.bytes.is_empty() && self.bytes.capacity() > keep {
            self.bytes = Vec::new();
        }
    }
}

/// Copies as much as fits.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let Some((from, to)) = from.get(..count).zip(to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}
