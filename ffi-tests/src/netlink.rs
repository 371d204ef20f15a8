//! A slow and lossy line in user space, between two network namespaces: packets are read from one tun device, kept
//! for a while, lost by a seeded generator, and written to the other.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

const WAKER: Token = Token(2);
/// Larger than the MTU of [`crate::netns::tun`].
const PACKET: usize = 2_048;

/// What happens to packets, in both directions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Line {
    /// How long each takes.
    pub delay: Duration,
    /// How many of a thousand are lost.
    pub loss_permille: u32,
}

impl Line {
    /// Nothing comes through.
    pub const DEAD: Line = Line { delay: Duration::ZERO, loss_permille: 1_000 };
}

/// A running line.
pub struct Link {
    state: Arc<Mutex<State>>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    line: Line,
    seed: u64,
    passed: u64,
    lost: u64,
    is_over: bool,
}

impl Link {
    /// Joins two devices. The same seed loses the same packets of the same sequence.
    pub fn start(ends: [File; 2], line: Line, seed: u64) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        for (number, end) in ends.iter().enumerate() {
            poll.registry().register(&mut SourceFd(&end.as_raw_fd()), Token(number), Interest::READABLE)?;
        }
        let state = Arc::new(Mutex::new(State { line, seed, passed: 0, lost: 0, is_over: false }));
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new().name("link".to_owned()).spawn(move || forward(poll, ends, &shared))?;
        Ok(Self { state, waker, thread: Some(thread) })
    }

    /// Packets are treated so from now on.
    pub fn set(&self, line: Line) {
        lock(&self.state).line = line;
    }

    /// Packets that came through, and packets that were lost.
    pub fn counts(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.passed, state.lost)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        lock(&self.state).is_over = true;
        if let (Ok(()), Some(thread)) = (self.waker.wake(), self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// A packet on its way: when it arrives, to which end, and its bytes.
type OnTheWay = (Instant, usize, Vec<u8>);

fn forward(mut poll: Poll, mut ends: [File; 2], state: &Mutex<State>) {
    let mut events = Events::with_capacity(16);
    let mut line: VecDeque<OnTheWay> = VecDeque::new();
    loop {
        let due = line.front().map(|(at, ..)| at.saturating_duration_since(Instant::now()));
        let waited = poll.poll(&mut events, due);
        if lock(state).is_over || waited.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            return;
        }
        for (from, end) in ends.iter_mut().enumerate() {
            take_in(end, 1 - from, &mut line, state);
        }
        let now = Instant::now();
        while line.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, to, packet)) = line.pop_front() else { break };
            // A device that cannot take it loses it, as lines do.
            let _ = ends[to].write(&packet);
        }
    }
}

fn take_in(end: &mut File, to: usize, line: &mut VecDeque<OnTheWay>, state: &Mutex<State>) {
    let mut packet = [0; PACKET];
    while let Ok(count) = end.read(&mut packet) {
        let mut state = lock(state);
        if draw(&mut state.seed) % 1_000 < u64::from(state.line.loss_permille) {
            state.lost += 1;
        } else {
            state.passed += 1;
            line.push_back((Instant::now() + state.line.delay, to, packet[..count].to_vec()));
        }
    }
}

/// SplitMix64.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
