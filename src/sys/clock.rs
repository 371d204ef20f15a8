//! `CLOCK_BOOTTIME`, which std does not offer: it runs on through a suspend.

use std::time::Duration;

/// Time since the machine was started, suspends included.
pub fn boottime() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec that the call only writes to. The clock exists since Linux 2.6.39,
    // so the call cannot fail; if it did, the zeros above would stand.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_runs_forward() {
        let first = boottime();
        assert!(first > Duration::ZERO && boottime() >= first);
    }
}
