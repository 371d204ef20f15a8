//! One value from a thread of ours to a thread of the application that waits for it, interruptibly.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::interrupt::Interrupt;
use crate::error::{Code, Error, Stage};
use crate::sys::EventFd;

/// Where the outcome of something arrives. Its other end is a [`Promise`].
#[derive(Debug)]
pub struct Gate<T>(Arc<State<T>>);

/// Hands over one outcome. Dropped without one, it says that there will be none, so that nobody waits for ever for
/// a thread that has ended.
#[derive(Debug)]
pub struct Promise<T>(Arc<State<T>>);

#[derive(Debug)]
struct State<T> {
    outcome: Mutex<Option<Result<T, Error>>>,
    opened: EventFd,
}

impl<T> Gate<T> {
    /// A closed gate and what opens it.
    pub fn new() -> Result<(Self, Promise<T>), Error> {
        let opened = EventFd::new().map_err(|source| no_descriptor(&source))?;
        let state = Arc::new(State { outcome: Mutex::new(None), opened });
        Ok((Self(Arc::clone(&state)), Promise(state)))
    }

    /// Waits for the outcome; `Interrupted` when `interrupt` is raised, `Timeout` when the time is up.
    pub fn wait(&self, until: Deadline, interrupt: &Interrupt) -> Result<T, Error> {
        loop {
            if let Some(outcome) = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return outcome;
            }
            if until.is_over() {
                // Whoever interrupts a call that has no time left is not kept waiting either.
                interrupt.check()?;
                return Err(Error::new(Code::Timeout, Stage::Call, ""));
            }
            interrupt.wait_for(self.0.opened.as_raw_fd(), until)?;
        }
    }
}

impl<T> Promise<T> {
    /// Hands the outcome over.
    pub fn keep(self, outcome: Result<T, Error>) {
        self.hand_over(outcome);
    }

    fn hand_over(&self, outcome: Result<T, Error>) {
        let mut slot = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(outcome);
            self.0.opened.raise();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        // After `keep` the slot is full, or has been emptied by somebody who waits no more.
        let code = if thread::panicking() { Code::Panic } else { Code::Cancelled };
        self.hand_over(Err(Error::new(code, Stage::Call, "")));
    }
}

/// The error when the process is out of descriptors or memory.
pub fn no_descriptor(source: &io::Error) -> Error {
    Error::from_io(Code::Internal, Stage::Call, "cannot open an eventfd", source)
}

/// Until when an application's thread waits.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// After this time; `None`: no limit. A time too far to be counted is no limit either.
    pub fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| super::clock::instant().checked_add(timeout)))
    }

    /// The earlier of two.
    pub fn or_after(self, timeout: Duration) -> Self {
        match (self.0, Self::after(Some(timeout)).0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }

    /// What is left; `None`: no limit.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(super::clock::instant()))
    }

    /// Whether the time is up.
    pub fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}
