//! One value from a thread of ours to a thread of the application that waits for it, interruptibly.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Stage};
use crate::sys::{self, EventFd};

/// Carries one value; the first one counts.
#[derive(Debug)]
pub struct Gate<T>(Arc<State<T>>);

#[derive(Debug)]
struct State<T> {
    value: Mutex<Option<T>>,
    opened: EventFd,
}

impl<T> Clone for Gate<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Gate<T> {
    /// A closed gate.
    pub fn new() -> Result<Self, Error> {
        let opened = EventFd::new().map_err(|source| no_descriptor(&source))?;
        Ok(Self(Arc::new(State { value: Mutex::new(None), opened })))
    }

    /// Hands the value over, if none was.
    pub fn open(&self, value: T) {
        let mut slot = self.0.value.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(value);
            self.0.opened.raise();
        }
    }

    /// Waits for the value; `Interrupted` when `interrupt` is raised, `Timeout` when the time is up.
    pub fn wait(&self, until: Deadline, interrupt: &EventFd) -> Result<T, Error> {
        loop {
            if let Some(value) = self.0.value.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Ok(value);
            }
            if interrupt.clear() {
                return Err(Error::new(Code::Interrupted, Stage::Call, ""));
            }
            if until.is_over() {
                return Err(Error::new(Code::Timeout, Stage::Call, ""));
            }
            wait_for(&[self.0.opened.as_raw_fd(), interrupt.as_raw_fd()], until)?;
        }
    }
}

/// Waits until one of the descriptors is readable or the time is up.
pub fn wait_for(descriptors: &[RawFd], until: Deadline) -> Result<(), Error> {
    match sys::poll(descriptors, until.left()) {
        Err(source) if source.kind() != io::ErrorKind::Interrupted => {
            Err(Error::from_io(Code::Internal, Stage::Call, "poll", &source))
        }
        _ => Ok(()),
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
