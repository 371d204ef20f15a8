//! What stands between C and the rest of the library: no panic passes, every failure becomes a status.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

use crate::error::{Code, Error, Stage};
use crate::panics;
use crate::sys::process;

use super::error::gwa_error_t;
use super::raw::Out;
use super::status::{gwa_status_t, GWA_OK};

thread_local! {
    /// How many boundaries this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `body` and gives what it gives, or `default` if it panics.
pub(super) fn value<T>(default: T, body: impl FnOnce() -> T) -> T {
    caught(body).unwrap_or(default)
}

/// Runs `body` and gives the number of its error, or `GWA_OK`.
pub(super) fn status(body: impl FnOnce() -> Result<(), Error>) -> gwa_status_t {
    status_or(None, || body().map(|()| GWA_OK))
}

/// Runs `body`; an error goes to `slot` and its number to the caller. Without one, `slot` becomes NULL.
pub(super) fn reported(
    slot: Option<Out<'_, *mut gwa_error_t>>,
    body: impl FnOnce() -> Result<(), Error>,
) -> gwa_status_t {
    status_or(slot, || body().map(|()| GWA_OK))
}

/// As [`reported`], for calls that know statuses beside `GWA_OK` which are no errors.
pub(super) fn status_or(
    slot: Option<Out<'_, *mut gwa_error_t>>,
    body: impl FnOnce() -> Result<gwa_status_t, Error>,
) -> gwa_status_t {
    let error = match caught(body) {
        Ok(Ok(status)) => {
            if let Some(slot) = slot {
                slot.write(std::ptr::null_mut());
            }
            return status;
        }
        Ok(Err(error)) => error,
        Err(panicked) => panicked,
    };
    let number = error.code().number();
    if let Some(slot) = slot {
        slot.write(gwa_error_t::owned(error));
    }
    number
}

fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Error> {
    install_hook();
    let _inside = Inside::enter();
    panic::catch_unwind(AssertUnwindSafe(body)).map_err(|_payload| {
        // The payload is not shown: its text may quote what the library was working on.
        Error::new(Code::Panic, Stage::Call, format!("at {}", panics::last_place().unwrap_or_default()))
    })
}

/// Marks the thread as inside a call of ours, until dropped.
struct Inside;

impl Inside {
    fn enter() -> Self {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_add(1)));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_sub(1)));
    }
}

/// Without a hook of ours a panic that is caught would still print to stderr and read `RUST_BACKTRACE`.
/// Panics elsewhere go on to the hook that was there.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    static INSTALLER: AtomicU32 = AtomicU32::new(0);
    // A hook cannot be set while panicking; the next call does it.
    if INSTALLED.is_completed() || std::thread::panicking() {
        return;
    }
    let here = process();
    let first = INSTALLER.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed);
    // Forked while a thread of the parent installed it: here that thread never gets done.
    if first.is_err_and(|installer| installer != here) {
        return;
    }
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if is_ours() {
                panics::note_place(info);
            } else {
                previous(info);
            }
        }));
    });
}

/// Whether this thread is one of the library's, or inside a call of it.
fn is_ours() -> bool {
    DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false)
        || std::thread::current().name().is_some_and(|name| name.starts_with("gwa-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::raw;

    #[test]
    fn a_panic_becomes_a_status_that_says_where() {
        let mut place = std::ptr::null_mut();
        // SAFETY: a writable place.
        let slot = unsafe { raw::optional_out(&raw mut place) };
        let number = reported(slot, || panic!("a token would stand here"));
        assert_eq!(number, Code::Panic.number());
        // SAFETY: `reported` has written an owned error there.
        let error = unsafe { Box::from_raw(place) };
        let text = error.error().to_string();
        assert!(text.contains("boundary.rs:") && !text.contains("token would"), "{text}");
    }

    #[test]
    fn a_panic_gives_the_default() {
        assert_eq!(value(7, || panic!("caught")), 7);
    }
}
