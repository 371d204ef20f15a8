//! System calls that std lacks. Unsafe lives here and in `ffi`, one operation a block.

#[allow(dead_code)]
mod clock;
#[allow(dead_code)]
mod descriptor;
#[allow(dead_code)]
mod poll;
#[allow(dead_code)]
mod signals;
#[allow(dead_code)]
mod socket;

#[allow(unused_imports)]
pub use self::{
    clock::boottime,
    descriptor::{EventFd, TimerFd},
    poll::{poll, Polled},
    signals::block_signals_in_this_thread,
    socket::keep_alive,
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
