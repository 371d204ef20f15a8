//! One relayed connection: two pipes, and how it ends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::SockRef;

use super::{Cut, Flow};

/// Most bytes that are held of one direction.
const HELD: usize = 16 * 1024;
/// How often a throttled pipe lets something through.
const TICK: Duration = Duration::from_millis(10);

/// A connection that was accepted.
pub(super) enum Conn {
    /// Relayed.
    Pair(Box<Pair>),
    /// Kept, and never looked at.
    Held(TcpStream),
    /// Waits for the client's first bytes, to answer them with these.
    Say(TcpStream, Vec<u8>),
}

/// Both sides of a relayed connection.
pub(super) struct Pair {
    client: TcpStream,
    server: TcpStream,
    up: Pipe,
    down: Pipe,
    /// How it ends when the server has sent its share.
    cut: Cut,
}

impl Pair {
    /// With `until`, it ends so once the server has sent so many bytes.
    pub(super) fn new(client: TcpStream, server: TcpStream, until: Option<(usize, Cut)>) -> Self {
        let (left, cut) = until.map_or((None, Cut::Reset), |(bytes, cut)| (Some(bytes), cut));
        Self { client, server, up: Pipe::new(None), down: Pipe::new(left), cut }
    }
}

impl Conn {
    /// Does what can be done without waiting; whether it lives on.
    pub(super) fn step(&mut self, flows: [Flow; 2], now: Instant) -> bool {
        match self {
            Self::Held(_) => true,
            Self::Say(client, words) => match client.read(&mut [0; 4096]) {
                Err(error) if is_pending(&error) => true,
                Ok(1..) => {
                    let _ = client.write_all(words);
                    let _ = client.shutdown(Shutdown::Write);
                    false
                }
                Ok(0) | Err(_) => false,
            },
            Self::Pair(pair) => {
                let Pair { client, server, up, down, cut } = &mut **pair;
                let moved =
                    up.step(client, server, flows[0], now).and_then(|()| down.step(server, client, flows[1], now));
                match moved {
                    Ok(()) if down.left == Some(0) => {
                        let cut = *cut;
                        self.end(cut);
                        false
                    }
                    Ok(()) => !(up.done && down.done),
                    Err(_) => {
                        self.end(Cut::Reset);
                        false
                    }
                }
            }
        }
    }

    /// When to look again, without news.
    pub(super) fn due(&self, flows: [Flow; 2]) -> Option<Duration> {
        let Self::Pair(pair) = self else { return None };
        let waits = |pipe: &Pipe, flow| matches!(flow, Flow::Throttle(_)) && !pipe.held.is_empty();
        (waits(&pair.up, flows[0]) || waits(&pair.down, flows[1])).then_some(TICK)
    }

    /// What dropping it means to both sides.
    pub(super) fn end(&self, cut: Cut) {
        let sides = match self {
            Self::Pair(pair) => vec![&pair.client, &pair.server],
            Self::Held(client) | Self::Say(client, _) => vec![client],
        };
        for side in sides {
            let _ = match cut {
                Cut::Reset => SockRef::from(side).set_linger(Some(Duration::ZERO)),
                Cut::Fin => side.shutdown(Shutdown::Write),
            };
        }
    }
}

/// One direction.
struct Pipe {
    held: Vec<u8>,
    eof: bool,
    done: bool,
    /// How many bytes may still pass, if that is limited.
    left: Option<usize>,
    /// Bytes a throttle allows by now.
    credit: f64,
    credited: Instant,
}

impl Pipe {
    fn new(left: Option<usize>) -> Self {
        Self { held: Vec::new(), eof: false, done: false, left, credit: 0.0, credited: Instant::now() }
    }

    fn step(&mut self, from: &mut TcpStream, to: &mut TcpStream, flow: Flow, now: Instant) -> io::Result<()> {
        if flow == Flow::Freeze || self.done {
            return Ok(());
        }
        loop {
            let read = self.fill(from)?;
            let wrote = self.pour(to, flow, now)?;
            if !read && !wrote {
                break;
            }
        }
        if self.eof && self.held.is_empty() {
            self.done = true;
            let _ = to.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Whether something came.
    fn fill(&mut self, from: &mut TcpStream) -> io::Result<bool> {
        if self.eof || self.held.len() >= HELD {
            return Ok(false);
        }
        let mut chunk = [0; 4096];
        match from.read(&mut chunk) {
            Ok(0) => {
                self.eof = true;
                Ok(false)
            }
            Ok(count) => {
                self.held.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error) if is_pending(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether something went.
    fn pour(&mut self, to: &mut TcpStream, flow: Flow, now: Instant) -> io::Result<bool> {
        let allowed = match flow {
            Flow::Pass => self.held.len(),
            Flow::Trickle => 1,
            Flow::Throttle(rate) => self.allowance(rate, now),
            Flow::Freeze => 0,
        };
        let allowed = allowed.min(self.held.len()).min(self.left.unwrap_or(usize::MAX));
        if allowed == 0 {
            return Ok(false);
        }
        match to.write(&self.held[..allowed]) {
            Ok(count) => {
                self.held.drain(..count);
                self.credit -= count as f64;
                self.left = self.left.map(|left| left - count);
                Ok(count > 0)
            }
            Err(error) if is_pending(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A tenth of a second's worth at most may have been saved up.
    fn allowance(&mut self, rate: u32, now: Instant) -> usize {
        let earned = now.duration_since(self.credited).as_secs_f64() * f64::from(rate);
        self.credited = now;
        self.credit = (self.credit.max(0.0) + earned).min(f64::from(rate) / 10.0);
        self.credit as usize
    }
}

/// Nothing to read, or no room to write, or the connection is not made yet.
fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}
