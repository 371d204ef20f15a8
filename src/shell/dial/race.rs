//! Connecting to the first of several addresses that answers (RFC 8305).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use crate::proto::time::Now;
use crate::shell::socket::Socket;
use crate::shell::wait::{Ready, Waiter};
use crate::sys;

/// How long an attempt has the field to itself (RFC 8305 5).
const STAGGER_MS: u64 = 250;
/// The least of that (RFC 8305 8).
const LEAST_STAGGER_MS: u64 = 10;
/// Most addresses that are tried.
const MOST: usize = 16;
/// Data that is not acknowledged for this long ends the connection, in milliseconds.
const UNACKNOWLEDGED_MS: u32 = 30_000;

/// Attempts under way, and addresses still to be tried. Dropping it ends all of them.
pub struct Race {
    waiting: VecDeque<SocketAddr>,
    running: Vec<Attempt>,
    next_at: u64,
    stagger_ms: u64,
    failure: Option<io::Error>,
}

struct Attempt {
    socket: Socket,
    token: usize,
    has_news: bool,
    /// The peer has ended its direction already; no further wake will tell.
    is_closed: bool,
}

/// The connection that was made first.
pub struct Winner {
    pub socket: Socket,
    pub token: usize,
    /// What is known of it: whoever reads it has not seen the wakes so far.
    pub news: Ready,
}

impl Race {
    /// A race between these addresses, the two families taking turns, over after `limit_ms`.
    ///
    /// None is given up before that: one that answers slowly costs the others nothing, they run beside it. The last
    /// one starts when half of the time is left, so a black hole in front of it leaves it enough.
    pub fn new(addresses: &[SocketAddr], limit_ms: u64) -> Self {
        let waiting = take_turns(addresses);
        let share = limit_ms / 2 / (waiting.len() as u64).max(1);
        let stagger_ms = share.clamp(LEAST_STAGGER_MS, STAGGER_MS);
        Self { waiting, running: Vec::new(), next_at: 0, stagger_ms, failure: None }
    }

    /// What the last address that failed has failed with.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// When the next attempt starts, if one is left.
    pub fn deadline(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// Takes note of news; whether they are of one of its sockets.
    pub fn on_ready(&mut self, ready: &Ready) -> bool {
        let mine = self.running.iter_mut().find(|attempt| attempt.token == ready.token);
        let Some(attempt) = mine else { return false };
        attempt.has_news = true;
        attempt.is_closed |= ready.closed;
        true
    }

    /// The winner, or the last failure if all have failed.
    pub fn advance(&mut self, now: Now, waiter: &Waiter) -> Option<io::Result<Winner>> {
        let mut place = 0;
        while let Some(attempt) = self.running.get_mut(place) {
            match attempt.outcome() {
                None => place += 1,
                Some(Ok(())) => {
                    let Attempt { socket, token, is_closed, .. } = self.running.swap_remove(place);
                    let news = Ready { token, readable: true, writable: true, closed: is_closed };
                    return Some(Ok(Winner { socket, token, news }));
                }
                Some(Err(error)) => {
                    self.running.swap_remove(place);
                    self.failure = Some(error);
                    self.next_at = now.boot_ms;
                }
            }
        }
        self.start_due(now, waiter);
        let over = self.running.is_empty() && self.waiting.is_empty();
        over.then(|| Err(self.failure.take().unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())))
    }

    /// Starts what is due: the next address when its turn has come, or at once when nothing is under way.
    fn start_due(&mut self, now: Now, waiter: &Waiter) {
        while self.running.is_empty() || now.boot_ms >= self.next_at {
            let Some(address) = self.waiting.pop_front() else { break };
            match Attempt::start(address, waiter) {
                Ok(attempt) => {
                    self.running.push(attempt);
                    self.next_at = now.boot_ms + self.stagger_ms;
                }
                Err(error) => self.failure = Some(error),
            }
        }
    }
}

impl Attempt {
    fn start(address: SocketAddr, waiter: &Waiter) -> io::Result<Self> {
        let mut socket = Socket::connect(address)?;
        // A kernel without one of these options still connects.
        let _ = socket.set_nodelay(true);
        let _ = sys::keep_alive(socket.as_fd(), UNACKNOWLEDGED_MS);
        let _ = sys::bound_unsent(socket.as_fd());
        let token = waiter.register(&mut socket)?;
        Ok(Self { socket, token, has_news: false, is_closed: false })
    }

    /// Whether it is connected, failed, or neither yet.
    fn outcome(&mut self) -> Option<io::Result<()>> {
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        if let Err(error) | Ok(Some(error)) = self.socket.take_error() {
            return Some(Err(error));
        }
        match self.socket.peer_addr() {
            Ok(_) => Some(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The addresses in the resolver's order, but with the families alternating.
fn take_turns(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
    let mut order = VecDeque::new();
    while order.len() < MOST && !(first.is_empty() && second.is_empty()) {
        order.extend(first.pop_front());
        order.extend(second.pop_front());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let list = |text: &[&str]| text.iter().map(|address| address.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let order = take_turns(&list(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"]));
        assert_eq!(Vec::from(order), list(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"]));
        assert!(take_turns(&[]).is_empty());
    }

    #[test]
    fn every_address_starts_in_the_first_half_of_the_time() {
        let address = "127.0.0.1:1".parse::<SocketAddr>().unwrap();
        let stagger = |count, limit_ms| Race::new(&vec![address; count], limit_ms).stagger_ms;
        assert_eq!((stagger(16, 10_000), stagger(1, 10_000), stagger(99, 8_000)), (250, 250, 250));
        assert_eq!((stagger(16, 1_000), stagger(2, 500), stagger(16, 0), stagger(0, 0)), (31, 125, 10, 10));
    }

    #[test]
    fn the_second_address_has_its_turn_after_a_while_and_may_win() {
        let listeners = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let clock = crate::shell::clock::Clock::new();
        let mut waiter = Waiter::new(&clock).unwrap();
        let at = |boot_ms| Now { boot_ms, ..Now::default() };
        let mut race = Race::new(&addresses, 10_000);
        for (now, running) in [(0, 1), (249, 1), (250, 2), (9_999, 2)] {
            assert!(race.advance(at(now), &waiter).is_none());
            assert_eq!(race.running.len(), running, "at {now} ms");
        }
        let second = race.running[1].token;
        let winner = loop {
            let woken = waiter.wait(None, clock.now()).unwrap();
            woken.sockets().filter(|ready| ready.token == second).for_each(|ready| assert!(race.on_ready(ready)));
            if let Some(outcome) = race.advance(at(9_999), &waiter) {
                break outcome.unwrap();
            }
        };
        assert_eq!((winner.socket.peer_addr().unwrap(), winner.token), (addresses[1], second));
    }

    #[test]
    fn a_failure_brings_the_next_one_on_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let clock = crate::shell::clock::Clock::new();
        let mut waiter = Waiter::new(&clock).unwrap();
        let mut race = Race::new(&[refused, listener.local_addr().unwrap()], 10_000);
        // Time stands still: the stagger never ends.
        let winner = loop {
            if let Some(outcome) = race.advance(Now::default(), &waiter) {
                break outcome.unwrap().socket;
            }
            let woken = waiter.wait(None, clock.now()).unwrap();
            woken.sockets().for_each(|ready| _ = race.on_ready(ready));
        };
        assert_eq!(winner.peer_addr().unwrap(), listener.local_addr().unwrap());
    }
}
