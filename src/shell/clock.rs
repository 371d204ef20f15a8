//! The only place that reads a clock.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::proto::time::Now;
use crate::sys;

/// The three clocks, counted from when this was made. Copies share the origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: Duration,
    awake: Instant,
}

impl Clock {
    /// Starts counting.
    pub fn new() -> Self {
        Self { boot: sys::boottime(), awake: Instant::now() }
    }

    /// All three clocks, rounded down to the millisecond.
    pub fn now(&self) -> Now {
        Now {
            boot_ms: millis(sys::boottime().saturating_sub(self.boot)),
            awake_ms: millis(self.awake.elapsed()),
            wall_ms: millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        }
    }

    /// Milliseconds of a clock that is awake, to measure callbacks with: cheap, and a few milliseconds coarse.
    pub fn tick_ms() -> u64 {
        millis(sys::coarse_monotonic())
    }

    /// A boot time of this clock as the system counts it, for a timer.
    pub fn system_boottime(&self, boot_ms: u64) -> Duration {
        self.boot.saturating_add(Duration::from_millis(boot_ms))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// A point of the awake clock, for threads of the application that wait.
pub fn instant() -> Instant {
    Instant::now()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_its_making_and_copies_agree() {
        let clock = Clock::new();
        let (first, second) = (clock.now(), { clock }.now());
        assert!(first.boot_ms < 60_000 && first.awake_ms < 60_000);
        assert!(second.boot_ms >= first.boot_ms && second.awake_ms >= first.awake_ms);
        assert!(first.wall_ms > 1_700_000_000_000);
    }

    #[test]
    fn a_boot_time_converts_to_the_system_s() {
        let clock = Clock::new();
        assert_eq!(clock.system_boottime(1_500) - clock.system_boottime(0), Duration::from_millis(1_500));
    }
}
