//! `gwa_shutdown_report_t`: what a shutdown left behind.

use std::ffi::{c_char, CStr};
use std::mem::offset_of;
use std::ptr;

use crate::client::ShutdownReport;
use crate::error::Error;

use super::raw;

/// What a shutdown left behind. Set up with GWA_SHUTDOWN_REPORT_INIT(); newer versions add fields at the end.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct gwa_shutdown_report_t {
    /// Size of the struct the caller has, in bytes.
    pub struct_size: u32,
    /// 1 if every thread is joined and no callback will run again, else 0.
    pub complete: u32,
    /// 1 if no close handshake was left unfinished, also if there was no socket; else 0.
    pub close_handshake: u32,
    /// Resolver threads that are still stuck in getaddrinfo; they hold nothing of this client.
    pub resolvers_stuck: u32,
    /// Audit records that no sink has seen.
    pub audit_undelivered: u64,
    /// Events that no callback has seen.
    pub events_undelivered: u64,
    /// Messages handed back unsent.
    pub messages_unsent: u64,
    /// Name of the callback that is still running, e.g. "on_message", or NULL; lives as long as the library.
    pub stuck_callback: *const c_char,
}

/// The callbacks, as C texts.
const CALLBACKS: [&CStr; 9] =
    [c"on_message", c"on_audit", c"on_siem", c"on_state", c"on_token", c"on_ask", c"on_sent", c"on_log", c"on_thread"];

impl gwa_shutdown_report_t {
    /// The report as C reads it.
    pub(super) fn new(report: &ShutdownReport) -> Self {
        Self {
            struct_size: 0,
            complete: report.complete.into(),
            close_handshake: report.close_handshake.into(),
            resolvers_stuck: report.resolvers_stuck,
            audit_undelivered: report.audit_undelivered,
            events_undelivered: report.events_undelivered,
            messages_unsent: report.messages_unsent,
            stuck_callback: report.stuck_callback.map_or(ptr::null(), callback_name),
        }
    }

    /// How much of a report the caller has; 0 for NULL.
    ///
    /// # Safety
    /// `report` is NULL or was set up by `gwa_shutdown_report_init`.
    pub(super) unsafe fn room(report: *const Self) -> Result<usize, Error> {
        if report.is_null() {
            return Ok(0);
        }
        // SAFETY: the same contract.
        unsafe { raw::room(report, "report") }
    }

    /// Copies as much as there is room for.
    ///
    /// # Safety
    /// `room` comes from [`Self::room`] of the same pointer, which nothing else touches during the call.
    pub(super) unsafe fn fill(&self, report: *mut Self, room: usize) {
        // SAFETY: the same contract.
        unsafe { raw::fill(report, room, self) };
    }
}

fn callback_name(name: &str) -> *const c_char {
    CALLBACKS.iter().find(|known| known.to_bytes() == name.as_bytes()).unwrap_or(&c"callback").as_ptr()
}

/// Sets up a shutdown report: all 0, and its size. Call it as GWA_SHUTDOWN_REPORT_INIT(report). NULL, and a size below 4, are
/// nothing.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_shutdown_report_init(report: *mut gwa_shutdown_report_t, struct_size: u32) {
    // SAFETY: NULL, or `struct_size` writable bytes.
    unsafe { raw::init_sized(report, struct_size) };
}

// `fill` leaves the first four bytes to the caller.
const _: () = assert!(offset_of!(gwa_shutdown_report_t, struct_size) == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_callback_is_named() {
        let name = |callback| {
            let report = ShutdownReport { stuck_callback: callback, ..ShutdownReport::default() };
            gwa_shutdown_report_t::new(&report).stuck_callback
        };
        assert!(name(None).is_null());
        // SAFETY: the names are literals.
        assert_eq!(unsafe { CStr::from_ptr(name(Some("on_audit"))) }, c"on_audit");
        // SAFETY: as above.
        assert_eq!(unsafe { CStr::from_ptr(name(Some("on_something"))) }, c"callback");
    }
}
