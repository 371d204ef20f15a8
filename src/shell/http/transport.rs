//! What ureq talks through: a connection that is open already, and waits that can be cancelled.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use zeroize::Zeroizing;

use super::lane::Lane;
use crate::error::{Code, Error, Stage};
use crate::shell::dial::Opened;
use crate::shell::tls;

/// Size that a buffer may have. The head of an answer has to fit into one.
const LARGEST: usize = 16 << 10;
/// Size of the buffer for the answer to begin with: most heads fit, and a token beside them.
const SMALL: usize = 4 << 10;
/// What ureq and HTTP add to what a request consists of.
const HEAD: usize = 1 << 10;

/// An open connection with the means to wait for it.
pub struct Wire {
    /// The wait, the deadline and the cancellation.
    pub lane: Lane,
    /// The connection.
    pub opened: Opened,
    /// Bytes that came after the head of the answer.
    pub leftover: Zeroizing<Vec<u8>>,
    /// Why an exchange failed, in our terms; ureq's error says less.
    pub fault: Option<Error>,
}

impl Wire {
    /// Sends all of `data`, and waits until the kernel has it.
    fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.lane.sending();
        let mut taken = false;
        loop {
            let stream = &mut self.opened.stream;
            let result = if taken { stream.flush() } else { stream.write(data).map(|_| taken = true) };
            match result {
                Ok(()) if taken && self.opened.stream.unflushed() == 0 => return Ok(()),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.lane.wait(&mut self.opened)?,
                Err(error) => return Err(tls::fault(&error, Stage::Token)),
            }
        }
    }

    /// Waits for bytes; 0 is a proper end of the connection.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.opened.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.lane.wait(&mut self.opened)?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(cut_off()),
                Err(error) => return Err(tls::fault(&error, Stage::Token)),
                Ok(count) => return Ok(count),
            }
        }
    }
}

/// The connection ended before the answer did.
pub fn cut_off() -> Error {
    Error::new(Code::HttpProtocol, Stage::Token, "The connection ended before the answer did.")
}

/// Where the wire is while nobody uses it.
#[derive(Clone)]
pub struct Slot {
    wire: Arc<Mutex<Option<Wire>>>,
    room: usize,
}

impl Slot {
    /// A slot with the wire in it, for a request whose variable parts have so many bytes.
    pub fn new(wire: Wire, request_bytes: usize) -> Self {
        Self { wire: Arc::new(Mutex::new(Some(wire))), room: LARGEST.min(request_bytes + HEAD) }
    }

    /// Takes the wire.
    pub fn take(&self) -> Option<Wire> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wire>> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

impl Connector for Slot {
    type Out = Exchange;

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Exchange>, ureq::Error> {
        Ok(self.take().map(|wire| Exchange { wire: Some(wire), slot: self.clone(), buffers: Wiped::new(self.room) }))
    }
}

/// Name resolution is done by the time ureq asks.
#[derive(Debug)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// One request and its answer. Dropping it puts the wire back into its slot.
pub struct Exchange {
    wire: Option<Wire>,
    slot: Slot,
    buffers: Wiped,
}

impl Exchange {
    /// Does something with the wire, and keeps our error where ureq's would lose it.
    fn attempt<T>(&mut self, work: impl FnOnce(&mut Wire, &mut Wiped) -> Result<T, Error>) -> Result<T, ureq::Error> {
        let wire = self.wire.as_mut().ok_or(ureq::Error::ConnectionFailed)?;
        work(wire, &mut self.buffers).map_err(|error| {
            wire.fault = Some(error);
            ureq::Error::ConnectionFailed
        })
    }
}

impl Transport for Exchange {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.attempt(|wire, buffers| wire.send(buffers.output.get(..amount).unwrap_or_default()))
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.attempt(|wire, buffers| {
            let space = buffers.input_append_buf();
            if space.is_empty() {
                return Err(Error::new(Code::HttpProtocol, Stage::Token, "The head of the answer is too long."));
            }
            match wire.receive(space)? {
                0 => Err(cut_off()),
                count => {
                    buffers.input_appended(count);
                    Ok(true)
                }
            }
        })
    }

    fn is_open(&mut self) -> bool {
        // Never used a second time.
        false
    }

    fn is_tls(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.opened.stream.is_tls())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(mut wire) = self.wire.take() {
            wire.leftover.extend_from_slice(self.buffers.input());
            *self.slot.lock() = Some(wire);
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// Buffers that are wiped on drop: a form and an answer hold secrets. As small as they can be: the memory of a thread
/// that rarely allocates stays with it.
struct Wiped {
    output: Zeroizing<Vec<u8>>,
    input: Zeroizing<Vec<u8>>,
    consumed: usize,
    filled: usize,
    progress: bool,
}

impl Wiped {
    fn new(room: usize) -> Self {
        let buffer = |size| Zeroizing::new(vec![0; size]);
        Self { output: buffer(room), input: buffer(SMALL), consumed: 0, filled: 0, progress: false }
    }

    /// Twice the room for the answer; what it had is wiped.
    fn grow(&mut self) {
        let mut larger = Zeroizing::new(vec![0; LARGEST.min(self.input.len() * 2)]);
        if let Some(begin) = larger.get_mut(..self.input.len()) {
            begin.copy_from_slice(&self.input);
        }
        self.input = larger;
    }
}

impl Buffers for Wiped {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        self.input.get(self.consumed..self.filled).unwrap_or_default()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.filled == self.input.len() && self.filled < LARGEST {
            self.grow();
        }
        self.input.get_mut(self.filled..).unwrap_or_default()
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled = self.input.len().min(self.filled + amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed = self.filled.min(self.consumed + amount);
    }

    /// What is asked for first holds pieces of a body whose length is not known. Ours is.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut [], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && !self.input().is_empty()
    }
}
