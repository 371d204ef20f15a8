//! Time as it is passed in.

/// One reading of the three clocks, taken together. All in milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// `CLOCK_BOOTTIME` since the client was made: runs through a suspend. Deadlines are in this clock.
    pub boot_ms: u64,
    /// `CLOCK_MONOTONIC` since the client was made: stands still during a suspend.
    pub awake_ms: u64,
    /// Since 1970.
    pub wall_ms: u64,
}
