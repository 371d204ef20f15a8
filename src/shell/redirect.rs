//! The listener for the redirect of an authorization (RFC 8252 7.3): a server of one page, for as long as a question is
//! open, in the wait of gwa-refresh. It never blocks, and whoever knocks slowly holds up nobody.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::os::fd::AsRawFd;

use mio::net::TcpListener;
use zeroize::Zeroizing;

use super::socket::Socket;
use super::wait::Waiter;
use crate::error::{Code, Error, Stage};
use crate::proto::loopback::{Page, Place};
use crate::proto::time::Now;
use crate::sys::Held;

/// Connections at a time: a browser opens some ahead. One more ends the oldest, so that silent ones keep nobody out.
const CONNECTIONS: usize = 8;
/// Connections taken before others get their turn.
const BATCH: usize = 64;
/// Largest head of a request: a code may have 4 KiB.
const HEAD: usize = 16 << 10;
/// A request has to be there, and its answer away, in so long.
const PATIENCE_MS: u64 = 5_000;
/// After the answer: a close with unread bytes would be a reset, and could overtake the answer (RFC 9112 9.6).
const LINGER_MS: u64 = 2_000;
/// What is read meanwhile.
const LINGER_BYTES: usize = 64 << 10;
/// Until another try when a connection cannot be taken.
const RETRY_MS: u64 = 1_000;

/// A listener on loopback, and those who knocked.
pub struct Redirect {
    place: Place,
    listener: Option<Listener>,
    connections: Vec<Connection>,
    /// When somebody may still be waiting outside.
    again_ms: Option<u64>,
}

struct Listener {
    /// In front of the socket: it goes first.
    _held: Held,
    tcp: TcpListener,
}

struct Connection {
    socket: Socket,
    until_ms: u64,
    step: Step,
}

enum Step {
    /// The head, so far.
    Reading(Zeroizing<Vec<u8>>),
    /// What is left of the answer.
    Writing(Vec<u8>),
    /// How many bytes are still read for nothing.
    Lingering(usize),
    Over,
}

impl Redirect {
    /// Listens from now on.
    pub fn open(place: Place, waiter: &Waiter) -> Result<Self, Error> {
        let fault = |source: io::Error| {
            let what = format!("Nobody can be listened for at {place}");
            Error::from_io(Code::Internal, Stage::Token, &what, &source)
        };
        let address = place.authority().parse().map_err(|_| fault(ErrorKind::InvalidInput.into()))?;
        let mut tcp = TcpListener::bind(address).map_err(fault)?;
        let held = Held::new(tcp.as_raw_fd());
        let port = tcp.local_addr().map_err(fault)?.port();
        waiter.register_listener(&mut tcp).map_err(fault)?;
        let listener = Some(Listener { _held: held, tcp });
        Ok(Self { place: place.at_port(port), listener, connections: Vec::new(), again_ms: None })
    }

    /// The `redirect_uri`, with the port that is in use.
    pub fn uri(&self) -> String {
        self.place.to_string()
    }

    /// Takes nobody any more. Who was answered may read the answer; the rest is hung up on.
    pub fn close(&mut self) {
        (self.listener, self.again_ms) = (None, None);
        self.connections.retain(|one| matches!(one.step, Step::Writing(_) | Step::Lingering(_)));
    }

    /// Whether it has nothing to do any more.
    pub fn is_over(&self) -> bool {
        self.listener.is_none() && self.connections.is_empty()
    }

    /// When it has to be advanced at the latest, in boot milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.connections.iter().map(|one| one.until_ms).chain(self.again_ms).min()
    }

    /// Goes as far as it can without waiting: after every wake, whatever it was for. `judge` is given the query of each
    /// redirect and says what to answer; with [`Page::Taken`] it is the last.
    pub fn advance(&mut self, now: Now, waiter: &Waiter, mut judge: impl FnMut(&str) -> Page) {
        let Self { place, listener, connections, again_ms } = self;
        let is_taken = Cell::new(false);
        let mut serve = |one: &mut Connection| {
            one.advance(now, |head| {
                let page = match place.query_of(head)? {
                    Ok(_) if is_taken.get() => Page::NotOurs,
                    Ok(query) => judge(query),
                    Err(page) => page,
                };
                is_taken.set(is_taken.get() || page == Page::Taken);
                Some(page)
            });
            !matches!(one.step, Step::Over) && one.until_ms > now.boot_ms
        };
        // What has come is read before anybody has to go: the redirect may lie there in front of many that are silent.
        connections.retain_mut(&mut serve);
        *again_ms = listener.as_ref().and_then(|listener| {
            listener.accept(now, waiter, |mut one| {
                let stays = serve(&mut one);
                if stays && !is_taken.get() && connections.len() >= CONNECTIONS {
                    connections.remove(0);
                }
                connections.extend((stays && connections.len() < CONNECTIONS).then_some(one));
            })
        });
        if is_taken.get() {
            self.close();
        }
    }
}

impl Listener {
    /// Takes those who knock; when somebody may still be waiting outside.
    fn accept(&self, now: Now, waiter: &Waiter, mut take: impl FnMut(Connection)) -> Option<u64> {
        for _ in 0..BATCH {
            match self.tcp.accept() {
                Ok((tcp, peer)) if peer.ip().is_loopback() => {
                    let mut socket = Socket::from(tcp);
                    if waiter.register(&mut socket).is_err() {
                        continue;
                    }
                    let until_ms = now.boot_ms.saturating_add(PATIENCE_MS);
                    let step = Step::Reading(Zeroizing::new(Vec::new()));
                    take(Connection { socket, until_ms, step });
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // Out of descriptors or memory.
                Err(_) => return Some(now.boot_ms.saturating_add(RETRY_MS)),
            }
        }
        Some(now.boot_ms)
    }
}

impl Connection {
    fn advance(&mut self, now: Now, judge: impl FnMut(&[u8]) -> Option<Page>) {
        // Whatever fails, nobody is left to be told.
        let step = mem::replace(&mut self.step, Step::Over);
        self.step = self.run(step, now, judge).unwrap_or(Step::Over);
    }

    fn run(&mut self, mut step: Step, now: Now, mut judge: impl FnMut(&[u8]) -> Option<Page>) -> io::Result<Step> {
        loop {
            let outcome = match &mut step {
                Step::Reading(head) => self.read(head, &mut judge)?,
                Step::Writing(rest) => self.write(rest, now)?,
                Step::Lingering(left) => self.linger(left)?,
                Step::Over => None,
            };
            match outcome {
                Some(next) => step = next,
                None => return Ok(step),
            }
        }
    }

    /// The next step, or `None` while it waits.
    fn read(
        &mut self,
        head: &mut Zeroizing<Vec<u8>>,
        judge: impl FnMut(&[u8]) -> Option<Page>,
    ) -> io::Result<Option<Step>> {
        let mut judge = judge;
        if head.capacity() == 0 {
            // All at once: growing would leave copies behind.
            head.reserve_exact(HEAD);
        }
        let mut buffer = Zeroizing::new([0; 2_048]);
        loop {
            let read = match self.socket.read(&mut *buffer) {
                Ok(0) => return Ok(Some(Step::Over)),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let new = buffer.get(..read).unwrap_or_default();
            if head.len() + new.len() > HEAD {
                return Ok(Some(Step::Writing(Page::TooLarge.response().into_bytes())));
            }
            head.extend_from_slice(new);
            if let Some(page) = judge(head) {
                return Ok(Some(Step::Writing(page.response().into_bytes())));
            }
        }
    }

    fn write(&mut self, rest: &mut Vec<u8>, now: Now) -> io::Result<Option<Step>> {
        while !rest.is_empty() {
            match self.socket.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => drop(rest.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.socket.shutdown(Shutdown::Write)?;
        self.until_ms = now.boot_ms.saturating_add(LINGER_MS);
        Ok(Some(Step::Lingering(LINGER_BYTES)))
    }

    fn linger(&mut self, left: &mut usize) -> io::Result<Option<Step>> {
        let mut buffer = Zeroizing::new([0; 2_048]);
        loop {
            match self.socket.read(&mut *buffer) {
                Ok(read) if read > 0 && read < *left => *left -= read,
                Ok(_) => return Ok(Some(Step::Over)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
