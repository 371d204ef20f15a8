//! Clocks that jump: what `c/shim_clock.c`, which the runner puts under such cells, offers.
//!
//! The simulator shares the wall clock of the cell, and the clock of its waits does not jump. What is not simulated of a
//! suspend: the kernel's timers of TCP, the network card, and a peer that has given the connection up.

use std::ffi::c_long;
use std::time::Duration;

use genesys_ws_auth::event::Notice;

/// The shim, by the name of its source.
pub const SHIM: &str = "shim_clock";
/// The clocks are read one after the other, on a machine under load.
const SLACK_MS: i64 = 5_000;

/// How the clocks jump.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Jump {
    /// The wall clock is set, by so many seconds.
    Wall(i64),
    /// The machine sleeps for so long: the boot clock and the wall clock go on meanwhile.
    Sleep(Duration),
}

impl Jump {
    /// Makes the clocks of this process jump.
    ///
    /// # Panics
    ///
    /// Without the shim.
    pub fn make(self) {
        let (boot_ms, wall_ms) = match self {
            Self::Wall(seconds) => (0, seconds * 1_000),
            Self::Sleep(time) => (millis(time), millis(time)),
        };
        step()(boot_ms, wall_ms);
    }

    /// Whether the application is told of this one so: of the wall clock only what the machine did not sleep through.
    pub fn is(self, notice: &Notice) -> bool {
        let close = |told: i64, true_ms: i64| (told - true_ms).abs() < SLACK_MS;
        match (self, notice) {
            (Self::Wall(seconds), Notice::ClockStep(step)) => close(step.by_ms, seconds * 1_000),
            (Self::Sleep(time), Notice::Resumed(resumed)) => {
                close(i64::try_from(resumed.slept_ms).expect("not that long"), millis(time))
            }
            _ => false,
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("not that long")
}

fn step() -> extern "C" fn(c_long, c_long) {
    // SAFETY: the name ends with NUL.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"shim_clock_step".as_ptr()) };
    assert!(!found.is_null(), "run it with the shim: LD_PRELOAD=target/debug/cprogs/{SHIM}.so");
    // SAFETY: the shim defines it so: void shim_clock_step(long boot_ms, long wall_ms).
    unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn(c_long, c_long)>(found) }
}
