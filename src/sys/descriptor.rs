//! Kernel objects with a descriptor: a counter to wake a wait with, a timer that runs through a suspend, and news of
//! clocks that jump.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use super::{check, process, Held};

/// An eventfd: readable from the first [`EventFd::raise`] until [`EventFd::clear`].
///
/// In a child of `fork` both do nothing: what the descriptor refers to is the parent's, or, once the child has closed its
/// copies, somebody else's.
#[derive(Debug)]
pub struct EventFd {
    process: u32,
    /// In front of the descriptor: it goes first.
    _held: Held,
    own: File,
}

impl EventFd {
    /// A new one, not readable. Close-on-exec, non-blocking.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes two integers and touches no memory of ours.
        let raw = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        Ok(Self { process: process(), _held: Held::new(raw), own: File::from(own(raw)) })
    }

    /// Makes it readable. Async-signal-safe: one `write(2)`, no lock, no allocation.
    ///
    /// A counter at its maximum refuses the write; it is readable then, which is all that is asked for.
    pub fn raise(&self) {
        if self.process == process() {
            let _ = (&self.own).write(&1u64.to_ne_bytes());
        }
    }

    /// Makes it unreadable; whether it was readable.
    pub fn clear(&self) -> bool {
        let mut count = [0; 8];
        self.process == process() && (&self.own).read(&mut count).is_ok_and(|read| read > 0)
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.own.as_raw_fd()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }
}

/// A timerfd on `CLOCK_BOOTTIME`: it ends on time even when the machine was asleep.
#[derive(Debug)]
pub struct TimerFd {
    /// In front of the descriptor: it goes first.
    _held: Held,
    own: OwnedFd,
}

impl TimerFd {
    /// A new one, not set. Close-on-exec, non-blocking.
    pub fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: the call takes two integers and touches no memory of ours.
        let raw = check(unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, flags) })?;
        Ok(Self { _held: Held::new(raw), own: own(raw) })
    }

    /// Lets it become readable at `boottime`, measured as [`super::boottime`] does.
    pub fn set(&self, boottime: Duration) -> io::Result<()> {
        // A value of zero would stop the timer instead.
        self.write(boottime.max(Duration::from_nanos(1)))
    }

    /// Stops it.
    pub fn stop(&self) -> io::Result<()> {
        self.write(Duration::ZERO)
    }

    fn write(&self, at: Duration) -> io::Result<()> {
        let mut spec = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec { tv_sec: 0, tv_nsec: 0 },
        };
        spec.it_value.tv_sec = libc::time_t::try_from(at.as_secs()).unwrap_or(libc::time_t::MAX);
        spec.it_value.tv_nsec = at.subsec_nanos().into();
        let fd = self.own.as_raw_fd();
        // SAFETY: `fd` is a timerfd that `self` owns, `spec` is a live itimerspec that is only read, and the
        // old value is not asked for.
        check(unsafe { libc::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, &raw const spec, ptr::null_mut()) })?;
        Ok(())
    }
}

impl AsRawFd for TimerFd {
    fn as_raw_fd(&self) -> RawFd {
        self.own.as_raw_fd()
    }
}

/// Readable when the wall clock was set, or when the machine woke from a suspend.
#[derive(Debug)]
pub struct ClockWatch {
    /// In front of the descriptor: it goes first.
    _held: Held,
    own: File,
}

impl ClockWatch {
    /// A new one, not readable. Close-on-exec, non-blocking.
    pub fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: the call takes two integers and touches no memory of ours.
        let raw = check(unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, flags) })?;
        let watch = Self { _held: Held::new(raw), own: File::from(own(raw)) };
        // The end of time; what counts is that the kernel gives notice of every jump of the clock until then.
        let never = libc::timespec { tv_sec: libc::time_t::MAX, tv_nsec: 0 };
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = libc::itimerspec { it_interval: none, it_value: never };
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        // SAFETY: `raw` is a timerfd that `watch` owns, `spec` is a live itimerspec that is only read, and the
        // old value is not asked for.
        check(unsafe { libc::timerfd_settime(raw, flags, &raw const spec, ptr::null_mut()) })?;
        Ok(watch)
    }

    /// Makes it unreadable until the next jump.
    pub fn clear(&self) {
        // Fails with ECANCELED: that is the notice.
        let _ = (&self.own).read(&mut [0; 8]);
    }
}

impl AsRawFd for ClockWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.own.as_raw_fd()
    }
}

/// Takes ownership of a descriptor that a system call has just made.
fn own(raw: RawFd) -> OwnedFd {
    // SAFETY: the caller got `raw` from a call that succeeded, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

#[cfg(test)]
mod tests {
    use super::super::{boottime, poll};
    use super::*;

    #[test]
    fn an_event_is_readable_until_cleared() {
        let event = EventFd::new().unwrap();
        assert!(!event.clear());
        event.raise();
        event.raise();
        assert!(event.clear());
        assert!(!event.clear());
    }

    #[test]
    fn a_clock_that_nobody_sets_is_no_news() {
        let watch = ClockWatch::new().unwrap();
        watch.clear();
        assert!(!poll(&[watch.as_raw_fd()], Some(Duration::ZERO)).unwrap().is_ready(0));
    }

    #[test]
    fn a_timer_in_the_past_is_readable_at_once_and_a_stopped_one_is_not() {
        let timer = TimerFd::new().unwrap();
        timer.set(Duration::ZERO).unwrap();
        assert!(poll(&[timer.as_raw_fd()], Some(Duration::from_secs(5))).unwrap().is_ready(0));
        timer.set(boottime() + Duration::from_secs(3600)).unwrap();
        timer.stop().unwrap();
        assert!(!poll(&[timer.as_raw_fd()], Some(Duration::ZERO)).unwrap().is_ready(0));
    }
}
