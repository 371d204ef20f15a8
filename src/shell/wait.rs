//! One wait for everything: sockets, a bell that other threads ring, and a deadline that runs through a suspend.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::clock::Clock;
use crate::proto::time::Now;
use crate::sys::{give_back_stack, ClockWatch, EventFd, Held, TimerFd};

/// Most sockets reported by one wait; others come with the next.
const BATCH: usize = 8;
/// By how much the timer may be early.
const SLACK_MS: u64 = 5_000;
/// Rest after a wait that failed.
const REST: Duration = Duration::from_millis(50);
/// Token of the bell.
const BELL: Token = Token(usize::MAX);
/// Token of the timer.
const TIMER: Token = Token(usize::MAX - 1);
/// Token of the watch over the clocks.
const CLOCKS: Token = Token(usize::MAX - 2);

thread_local! {
    /// This thread has done what it rarely does, and needed a lot of stack for it.
    static WENT_DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread's next wait is to give back the stack that is not in use then.
pub fn went_deep() {
    WENT_DEEP.set(true);
}

/// The wait of one thread. Edge-triggered: after a wake a socket must be read until it would block.
///
/// A default one is empty and refuses to wait: it stands in while the real one is lent out.
#[derive(Default)]
pub struct Waiter(Option<Box<Parts>>);

struct Parts {
    /// Of `poll`, in front of it: it goes first.
    _held: Held,
    poll: Poll,
    events: Events,
    bell: Bell,
    timer: TimerFd,
    watch: Option<ClockWatch>,
    /// When the timer ends, in boot milliseconds, if it is set. It may be earlier than what is waited for.
    armed: Option<u64>,
    clock: Clock,
    next_token: AtomicUsize,
    /// The time at which a wait last ended at once because its deadline had passed.
    passed_at: Option<u64>,
}

impl Waiter {
    /// A wait with its own bell and timer (three descriptors).
    pub fn new(clock: &Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        let held = Held::new(poll.as_raw_fd());
        let timer = TimerFd::new()?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let event = EventFd::new()?;
        poll.registry().register(&mut SourceFd(&event.as_raw_fd()), BELL, Interest::READABLE)?;
        Ok(Self(Some(Box::new(Parts {
            _held: held,
            poll,
            events: Events::with_capacity(BATCH),
            bell: Bell(Arc::new(BellState { event: Some(event), rung: AtomicBool::new(false) })),
            timer,
            watch: None,
            armed: None,
            clock: *clock,
            next_token: AtomicUsize::new(0),
            passed_at: None,
        }))))
    }

    /// What other threads ring to end the wait.
    pub fn bell(&self) -> Bell {
        self.0.as_ref().map_or_else(Bell::mute, |parts| parts.bell.clone())
    }

    /// From now on a wait also ends when the wall clock is set or the machine wakes from a suspend. Where the system has
    /// no such news, jumps are found when next a clock is read.
    pub fn watch_clocks(&mut self) {
        let Some(parts) = &mut self.0 else { return };
        let watched = |watch: &ClockWatch| {
            parts.poll.registry().register(&mut SourceFd(&watch.as_raw_fd()), CLOCKS, Interest::READABLE).is_ok()
        };
        parts.watch = ClockWatch::new().ok().filter(watched);
    }

    /// Watches a socket, and gives it a token. Closing the socket ends the watch.
    pub fn register(&self, socket: &mut TcpStream) -> io::Result<usize> {
        self.watch(socket, Interest::READABLE | Interest::WRITABLE)
    }

    /// As [`Waiter::register`]: after a wake, accept until it would block.
    pub fn register_listener(&self, listener: &mut TcpListener) -> io::Result<usize> {
        self.watch(listener, Interest::READABLE)
    }

    fn watch(&self, source: &mut impl Source, interest: Interest) -> io::Result<usize> {
        let parts = self.0.as_ref().ok_or_else(lent_out)?;
        // Counting up to the three tokens above would take centuries.
        let token = parts.next_token.fetch_add(1, Ordering::Relaxed);
        parts.poll.registry().register(source, Token(token), interest)?;
        Ok(token)
    }

    /// Waits until a socket is ready, the bell rings, or the boot time `until_boot_ms` has come.
    ///
    /// A deadline that is not later than `now` ends the wait at once, whatever is ready being reported;
    /// twice in a row without time moving, it takes a millisecond, so that a defect in a caller cannot spin.
    /// Without traffic and before the deadline nothing wakes the thread.
    pub fn wait(&mut self, until_boot_ms: Option<u64>, now: Now) -> io::Result<Woken> {
        self.0.as_mut().ok_or_else(lent_out)?.wait(until_boot_ms, now).inspect_err(rest)
    }

    /// Reports what is ready, without waiting: for a caller that has work left, and is not held up by the guard
    /// against spinning.
    pub fn peek(&mut self) -> io::Result<Woken> {
        let parts = self.0.as_mut().ok_or_else(lent_out)?;
        parts.poll(Some(Duration::ZERO)).inspect_err(rest)?;
        Ok(parts.sort(None))
    }
}

/// Callers look again after a failure. One that lasts, as when the application has closed our descriptors, must not
/// make that a loop without rest.
fn rest(_: &io::Error) {
    thread::park_timeout(REST);
}

impl Parts {
    fn wait(&mut self, until: Option<u64>, now: Now) -> io::Result<Woken> {
        if until.is_some_and(|until| until <= now.boot_ms) {
            return self.look(now);
        }
        self.passed_at = None;
        if WENT_DEEP.take() {
            give_back_stack();
        }
        loop {
            self.arm(until)?;
            self.poll(None)?;
            let woken = self.sort(until);
            if woken.bell || woken.deadline || woken.clocks || woken.count > 0 {
                return Ok(woken);
            }
            // The timer was still set for a deadline that has moved since: set it anew.
        }
    }

    /// Reports what is ready without waiting: the deadline has passed.
    fn look(&mut self, now: Now) -> io::Result<Woken> {
        let again = self.passed_at.replace(now.boot_ms) == Some(now.boot_ms);
        self.poll(Some(Duration::from_millis(again.into())))?;
        Ok(Woken { deadline: true, ..self.sort(None) })
    }

    /// Sets the timer, unless it already ends in time: a deadline that moves away a little costs no system call,
    /// and one that moves away for long no needless wake-up.
    fn arm(&mut self, until: Option<u64>) -> io::Result<()> {
        match (self.armed, until) {
            (None, None) => {}
            (Some(_), None) => {
                self.timer.stop()?;
                self.armed = None;
            }
            (Some(armed), Some(until)) if armed <= until && until - armed < SLACK_MS => {}
            (_, Some(until)) => {
                self.timer.set(self.clock.system_boottime(until))?;
                self.armed = Some(until);
            }
        }
        Ok(())
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        loop {
            match self.poll.poll(&mut self.events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Turns mio's events into ours.
    fn sort(&mut self, until: Option<u64>) -> Woken {
        let mut woken = Woken::default();
        for event in &self.events {
            match event.token() {
                BELL => {
                    // Cleared before the caller looks at its inbox: what is put there later rings again.
                    self.bell.0.rung.store(false, Ordering::SeqCst);
                    woken.bell = true;
                }
                CLOCKS => {
                    if let Some(watch) = &self.watch {
                        watch.clear();
                    }
                    woken.clocks = true;
                }
                TIMER => woken.deadline = self.armed.take() == until && until.is_some(),
                Token(token) => woken.push(Ready {
                    token,
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                    closed: event.is_read_closed() || event.is_write_closed() || event.is_error(),
                }),
            }
        }
        woken
    }
}

/// Ends the wait of the thread it belongs to. Many rings before the thread wakes are one system call.
#[derive(Clone)]
pub struct Bell(Arc<BellState>);

struct BellState {
    /// Edge-triggered: every write is news, and nothing has to be read.
    event: Option<EventFd>,
    rung: AtomicBool,
}

impl Bell {
    /// Ends the wait, or the next one if the thread is not waiting.
    pub fn ring(&self) {
        if !self.0.rung.swap(true, Ordering::SeqCst) {
            if let Some(event) = &self.0.event {
                event.raise();
            }
        }
    }

    /// A bell that nobody hears.
    fn mute() -> Self {
        Self(Arc::new(BellState { event: None, rung: AtomicBool::new(false) }))
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Woken {
    /// The bell rang: look at the inbox, and advance what is being dialled.
    pub bell: bool,
    /// The deadline has passed.
    pub deadline: bool,
    /// A clock has jumped.
    pub clocks: bool,
    sockets: [Ready; BATCH],
    count: usize,
}

impl Woken {
    /// The sockets with news.
    pub fn sockets(&self) -> impl Iterator<Item = &Ready> {
        self.sockets.iter().take(self.count)
    }

    fn push(&mut self, ready: Ready) {
        if let Some(slot) = self.sockets.get_mut(self.count) {
            *slot = ready;
            self.count += 1;
        }
    }
}

/// News of one socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    /// What [`Waiter::register`] gave.
    pub token: usize,
    /// There may be something to read.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// One direction has ended, or the connection is broken: reading will tell.
    pub closed: bool,
}

fn lent_out() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the wait is lent out")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn waiter() -> (Clock, Waiter) {
        let clock = Clock::new();
        (clock, Waiter::new(&clock).unwrap())
    }

    #[test]
    fn a_bell_ends_the_wait_once() {
        let (clock, mut waiter) = waiter();
        let bell = waiter.bell();
        let ringer = thread::spawn(move || (0..100).for_each(|_| bell.ring()));
        assert!(waiter.wait(None, clock.now()).unwrap().bell);
        ringer.join().unwrap();
        waiter.wait(Some(0), clock.now()).unwrap();
        assert!(!waiter.wait(Some(0), clock.now()).unwrap().bell);
    }

    #[test]
    fn a_deadline_ends_the_wait_and_never_early() {
        let (clock, mut waiter) = waiter();
        let until = clock.now().boot_ms + 5;
        let woken = waiter.wait(Some(until), clock.now()).unwrap();
        assert!(woken.deadline && !woken.bell);
        assert!(clock.now().boot_ms >= until);
    }

    #[test]
    fn a_deadline_that_moves_away_does_not_wake_early() {
        let (clock, mut waiter) = waiter();
        let bell = waiter.bell();
        bell.ring();
        assert!(!waiter.wait(Some(clock.now().boot_ms + 2), clock.now()).unwrap().deadline);
        let until = clock.now().boot_ms + 10;
        assert!(waiter.wait(Some(until), clock.now()).unwrap().deadline);
        assert!(clock.now().boot_ms >= until);
    }

    #[test]
    fn a_deadline_in_the_past_does_not_wait_but_cannot_spin() {
        let (clock, mut waiter) = waiter();
        let now = Now { boot_ms: 7, ..Now::default() };
        let start = clock.now().awake_ms;
        for _ in 0..6 {
            assert!(waiter.wait(Some(7), now).unwrap().deadline);
        }
        assert!(clock.now().awake_ms >= start + 4);
    }

    #[test]
    fn a_socket_is_reported_with_its_token() {
        let (clock, mut waiter) = waiter();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let token = waiter.register(&mut socket).unwrap();
        let mut peer = listener.accept().unwrap().0;
        peer.write_all(b"x").unwrap();
        loop {
            let woken = waiter.wait(None, clock.now()).unwrap();
            assert!(woken.sockets().all(|ready| ready.token == token));
            if woken.sockets().any(|ready| ready.readable) {
                break;
            }
        }
        drop(peer);
        while !waiter.wait(None, clock.now()).unwrap().sockets().any(|ready| ready.closed) {}
    }

    #[test]
    fn one_that_is_lent_out_refuses() {
        let (clock, mut waiter) = waiter();
        let lent = std::mem::take(&mut waiter);
        assert!(waiter.wait(None, clock.now()).is_err());
        waiter.bell().ring();
        drop(lent);
    }
}
