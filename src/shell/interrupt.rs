//! Interrupting the blocking calls of all threads of the application, from a signal handler if need be.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::gate::{no_descriptor, Deadline};
use crate::error::{Code, Error, Stage};
use crate::sys::{self, EventFd};

/// Clients whose interrupts a thread remembers to have seen.
const REMEMBERED: usize = 64;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Client and the number of its interrupts that this thread was told of, the latest last.
    static SEEN: RefCell<VecDeque<(u64, u64)>> = const { RefCell::new(VecDeque::new()) };
}

/// Sticky and for every thread: the current or next blocking call of each one is told once.
#[derive(Debug)]
pub struct Interrupt {
    id: u64,
    raised: AtomicU64,
    /// Threads that look at the descriptor. The last one to leave clears it.
    waiting: AtomicUsize,
    event: EventFd,
}

impl Interrupt {
    /// One that was never raised.
    pub fn new() -> Result<Self, Error> {
        let event = EventFd::new().map_err(|source| no_descriptor(&source))?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, raised: AtomicU64::new(0), waiting: AtomicUsize::new(0), event })
    }

    /// Interrupts. Async-signal-safe: an atomic addition and one `write`.
    pub fn raise(&self) {
        self.raised.fetch_add(1, Ordering::SeqCst);
        self.event.raise();
    }

    /// `Interrupted` if it was raised since this thread was last told.
    pub fn check(&self) -> Result<(), Error> {
        let raised = self.raised.load(Ordering::SeqCst);
        if raised > 0 && self.is_news(raised) {
            return Err(Error::new(Code::Interrupted, Stage::Call, ""));
        }
        Ok(())
    }

    /// Waits until `descriptor` is readable, the time is up, or it is raised.
    pub fn wait_for(&self, descriptor: RawFd, until: Deadline) -> Result<(), Error> {
        // Counted before it looks: what is raised after the look is not cleared before the wait.
        let _waiting = Waiting::enter(self);
        self.check()?;
        match sys::poll(&[descriptor, self.event.as_raw_fd()], until.left()) {
            Err(source) if source.kind() != io::ErrorKind::Interrupted => {
                Err(Error::from_io(Code::Internal, Stage::Call, "poll", &source))
            }
            _ => Ok(()),
        }
    }

    /// Whether this thread was told of fewer; it is told now.
    fn is_news(&self, raised: u64) -> bool {
        SEEN.try_with(|seen| {
            let mut seen = seen.borrow_mut();
            let place = seen.iter().position(|(id, _)| *id == self.id);
            if place.and_then(|place| seen.get(place)).is_some_and(|(_, told)| *told >= raised) {
                return false;
            }
            if let Some(place) = place {
                seen.remove(place);
            } else if seen.len() >= REMEMBERED {
                seen.pop_front();
            }
            seen.push_back((self.id, raised));
            true
        })
        // The thread is ending: its calls are not held up.
        .unwrap_or(true)
    }
}

/// A thread that looks at the descriptor.
struct Waiting<'a>(&'a Interrupt);

impl<'a> Waiting<'a> {
    fn enter(interrupt: &'a Interrupt) -> Self {
        interrupt.waiting.fetch_add(1, Ordering::SeqCst);
        Self(interrupt)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Interrupt { raised, waiting, event, .. } = self.0;
        let before = raised.load(Ordering::SeqCst);
        // Others that have not been told yet still look at it: they leave soon.
        if waiting.fetch_sub(1, Ordering::SeqCst) == 1 && before > 0 {
            event.clear();
            if raised.load(Ordering::SeqCst) != before {
                event.raise();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn wait(interrupt: &Interrupt, silent: &EventFd, timeout: Duration) -> Result<(), Error> {
        let until = Deadline::after(Some(timeout));
        while !until.is_over() {
            interrupt.wait_for(silent.as_raw_fd(), until)?;
        }
        Ok(())
    }

    #[test]
    fn every_thread_is_told_once() {
        let interrupt = Arc::new(Interrupt::new().unwrap());
        let silent = EventFd::new().unwrap();
        let run = |interrupt: Arc<Interrupt>| {
            thread::spawn(move || {
                let silent = EventFd::new().unwrap();
                let first = wait(&interrupt, &silent, Duration::from_secs(20)).map_err(|error| error.code());
                assert_eq!(first, Err(Code::Interrupted));
                assert_eq!(wait(&interrupt, &silent, Duration::from_millis(20)), Ok(()));
            })
        };
        let threads: Vec<_> = (0..8).map(|_| run(Arc::clone(&interrupt))).collect();
        interrupt.raise();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // Sticky for a thread that has not called yet, and once.
        assert!(wait(&interrupt, &silent, Duration::from_secs(20)).is_err());
        assert_eq!(wait(&interrupt, &silent, Duration::from_millis(20)), Ok(()));
        interrupt.raise();
        interrupt.raise();
        assert!(wait(&interrupt, &silent, Duration::from_secs(20)).is_err());
        assert_eq!(wait(&interrupt, &silent, Duration::from_millis(20)), Ok(()));
    }
}
