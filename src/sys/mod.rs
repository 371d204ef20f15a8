//! System calls that std lacks. Unsafe lives here and in `ffi`, one operation a block.

mod clock;
mod descriptor;
mod file;
mod held;
mod poll;
mod process;
mod signals;
mod socket;
mod stack;
mod thread;

pub use self::{
    clock::{boottime, coarse_monotonic},
    descriptor::{ClockWatch, EventFd, TimerFd},
    file::{effective_user, FileLock},
    held::{Descriptors, Entered, Held},
    poll::poll,
    process::{end_this_thread, process, OnceBox, PerProcess},
    signals::block_signals_in_this_thread,
    socket::{bound_unsent, keep_alive},
    stack::give_back_stack,
    thread::{is_this_thread, try_join},
};

use std::io;

/// The result of a system call that reports failure as a negative number.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
