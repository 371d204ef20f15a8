//! `poll(2)` of a few descriptors, for calls of the application that block and must be interruptible.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Most descriptors in one [`poll`].
const MOST: usize = 4;

/// Which descriptors of a [`poll`] are readable (or broken, which reading will tell).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Polled(u8);

impl Polled {
    /// Whether the descriptor at this place is ready.
    #[cfg(test)]
    pub fn is_ready(self, place: usize) -> bool {
        place < MOST && self.0 & (1 << place) != 0
    }
}

/// Waits until one of at most four descriptors is readable, or the time is up; `None` waits for ever.
///
/// A signal ends the wait early, with nothing ready: the caller looks at its clock and waits again.
/// The time runs on `CLOCK_MONOTONIC`, so a caller that must end on time after a suspend waits in slices.
pub fn poll(descriptors: &[RawFd], timeout: Option<Duration>) -> io::Result<Polled> {
    let mut set = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; MOST];
    if descriptors.len() > MOST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (slot, &fd) in set.iter_mut().zip(descriptors) {
        slot.fd = fd;
    }
    let count = descriptors.len() as libc::nfds_t;
    // SAFETY: `set` is a live array of at least `count` pollfds, which the call reads and writes.
    let ready = unsafe { libc::poll(set.as_mut_ptr(), count, milliseconds(timeout)) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(Polled(0)) } else { Err(error) };
    }
    let bits = set.iter().enumerate().filter(|(_, slot)| slot.revents != 0);
    Ok(Polled(bits.fold(0, |bits, (place, _)| bits | (1 << place))))
}

/// A time-out as poll takes it: rounded up, so that it is never early; -1 for no limit.
fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    timeout.map_or(-1, |time| {
        let up = time.as_micros().div_ceil(1000);
        libc::c_int::try_from(up).unwrap_or(libc::c_int::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::super::EventFd;
    use super::*;

    #[test]
    fn tells_which_descriptor_is_ready() {
        let (one, two) = (EventFd::new().unwrap(), EventFd::new().unwrap());
        two.raise();
        let ready = poll(&[one.as_raw_fd(), two.as_raw_fd()], None).unwrap();
        assert!(!ready.is_ready(0) && ready.is_ready(1));
    }

    #[test]
    fn too_many_descriptors_are_refused() {
        assert!(poll(&[-1; 5], Some(Duration::ZERO)).is_err());
    }

    #[test]
    fn time_is_rounded_up() {
        assert_eq!(milliseconds(Some(Duration::from_micros(1))), 1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::MAX)), libc::c_int::MAX);
    }
}
