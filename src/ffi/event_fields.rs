//! Accessors of all events but messages.

use std::ffi::c_char;
use std::ptr;

use crate::error::{Code, Error, Stage};

use super::audit::gwa_audit_t;
use super::boundary;
use super::error::gwa_error_t;
use super::event::{gwa_event_t, Body};
use super::handle;
use super::raw;
use super::request::gwa_request_t;
use super::status::{gwa_status_t, GWA_OK};
use super::text::{self, Text};
use super::token::gwa_token_t;

/// The state before (GWA_EVENT_STATE), one of GWA_STATE_..., else -1.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_state_from(event: *const gwa_event_t) -> i32 {
    let state = |event: &gwa_event_t<'_>| match event.body() {
        Body::State { from, .. } => *from,
        _ => -1,
    };
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, -1, state) }
}

/// The state now (GWA_EVENT_STATE), one of GWA_STATE_..., else -1.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_state_to(event: *const gwa_event_t) -> i32 {
    let state = |event: &gwa_event_t<'_>| match event.body() {
        Body::State { to, .. } => *to,
        _ => -1,
    };
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, -1, state) }
}

/// Why the state changed, in a few stable words, e.g. "authenticated" (GWA_EVENT_STATE); else NULL. `len`, if not
/// NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_reason(event: *const gwa_event_t, len: *mut usize) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe {
        text::read(event, len, |event| match event.body() {
            Body::State { reason, .. } => Some(reason.with_nul()),
            _ => None,
        })
    }
}

/// The error behind a state change, the cause of a gap, or why a message was returned unsent; NULL if there is none.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: part of the event, do not free; gwa_error_clone() keeps it longer. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_error(event: *const gwa_event_t) -> *const gwa_error_t {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, ptr::null(), |event| event.body().error().map_or(ptr::null(), ptr::from_ref)) }
}

/// Number of the gap, counted from 1 for each client; begin and end carry the same (GWA_EVENT_GAP_BEGIN and _END);
/// else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_gap_number(event: *const gwa_event_t) -> u64 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Gap { gap, .. } = event.body() { gap.number } else { 0 }) }
}

/// When the lost socket was last heard, in milliseconds since 1970 (UTC), for both gap events; else 0. Ask the
/// server for what happened since then.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_gap_from_ms(event: *const gwa_event_t) -> u64 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Gap { gap, .. } = event.body() { gap.from_wall_ms } else { 0 }) }
}

/// When messages flowed again, in milliseconds since 1970 (UTC), for GWA_EVENT_GAP_END; else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_gap_to_ms(event: *const gwa_event_t) -> u64 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Gap { gap, .. } = event.body() { gap.to_wall_ms } else { 0 }) }
}

/// How long the gap was, in milliseconds, time asleep included and independent of the wall clock, for
/// GWA_EVENT_GAP_END; else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_gap_duration_ms(event: *const gwa_event_t) -> u64 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Gap { gap, .. } = event.body() { gap.duration_ms } else { 0 }) }
}

/// Correlation id (metadata.CorrelationId) of the last event before the gap, for both gap events of the profile
/// notifications: where the application's own REST queries for what it missed begin. Empty if no event had come, and in
/// the profile auth-message; NULL for other events. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_gap_correlation_id(event: *const gwa_event_t, len: *mut usize) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe {
        text::read(event, len, |event| match event.body() {
            Body::Gap { correlation_id, .. } => Some(correlation_id.with_nul()),
            _ => None,
        })
    }
}

/// Number of the socket that was left (GWA_EVENT_HANDOVER); else 0. gwa_event_connection() is the one in use now.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_previous_connection(event: *const gwa_event_t) -> u64 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Handover { from, .. } = event.body() { *from } else { 0 }) }
}

/// How long the machine slept (GWA_EVENT_RESUMED), or by how much the wall clock was set, negative when it was set back
/// (GWA_EVENT_CLOCK_STEP), in milliseconds; else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_clock_ms(event: *const gwa_event_t) -> i64 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Clock { by_ms, .. } = event.body() { *by_ms } else { 0 }) }
}

/// The id gwa_client_send() gave (GWA_EVENT_SENT); else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_sent_id(event: *const gwa_event_t) -> u64 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Sent { id, .. } = event.body() { *id } else { 0 }) }
}

/// How a sent message ended (GWA_EVENT_SENT): GWA_OK when its last byte was handed to the kernel, else why it was
/// returned unsent. For other events the code of their error, or GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_outcome(event: *const gwa_event_t) -> gwa_status_t {
    let outcome = |event: &gwa_event_t<'_>| event.body().error().map_or(GWA_OK, |error| error.error().code().number());
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, GWA_OK, outcome) }
}

/// The new token (GWA_EVENT_TOKEN), else NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: part of the event, do not free; gwa_token_clone() keeps it longer. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_token(event: *const gwa_event_t) -> *const gwa_token_t {
    let token = |event: &gwa_event_t<'_>| match event.body() {
        Body::Token(token) => ptr::from_ref(token),
        _ => ptr::null(),
    };
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, ptr::null(), token) }
}

/// What is asked (GWA_EVENT_REQUEST), one of GWA_REQUEST_..., else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_request_kind(event: *const gwa_event_t) -> i32 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Request { kind, .. } = event.body() { *kind } else { 0 }) }
}

/// A handle of the question (GWA_EVENT_REQUEST) to answer with gwa_request_complete() or gwa_request_fail(). It may
/// outlive the event. Every call gives a handle of its own; the first answer counts.
///
/// Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL and for other events, or GWA_E_FORKED for an event of the parent;
/// `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller answers `*out` or frees it with gwa_request_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_request(event: *const gwa_event_t, out: *mut *mut gwa_request_t) -> gwa_status_t {
    boundary::status(|| {
        // SAFETY: an event or NULL.
        let event = unsafe { raw::borrowed(event) }.ok_or_else(|| raw::invalid("event", "is NULL"))?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let Body::Request { request: Some(request), .. } = event.body() else {
            return Err(raw::invalid("event", "is not a question"));
        };
        if request.is_forked() {
            return Err(Error::new(Code::Forked, Stage::Call, ""));
        }
        out.write(handle::put(gwa_request_t::new(request.clone()))?);
        Ok(())
    })
}

/// The record (GWA_EVENT_AUDIT and GWA_EVENT_SIEM), else NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: part of the event, do not free; gwa_audit_clone() keeps it longer. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_audit(event: *const gwa_event_t) -> *const gwa_audit_t {
    let audit = |event: &gwa_event_t<'_>| match event.body() {
        Body::Audit { audit, .. } => ptr::from_ref(audit).cast(),
        _ => ptr::null(),
    };
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, ptr::null(), audit) }
}

/// Level of a line of log (GWA_EVENT_LOG), from GWA_LOG_ERROR (1) to GWA_LOG_TRACE (5), else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_log_level(event: *const gwa_event_t) -> i32 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| if let Body::Log { level, .. } = event.body() { *level } else { 0 }) }
}

/// The part of the library a line of log comes from (GWA_EVENT_LOG), else NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_log_target(event: *const gwa_event_t, len: *mut usize) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe { text::read(event, len, |event| log_parts(event).map(|(target, _)| target.with_nul())) }
}

/// A line of log (GWA_EVENT_LOG), without its line end, else NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_log_text(event: *const gwa_event_t, len: *mut usize) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe { text::read(event, len, |event| log_parts(event).map(|(_, text)| text.with_nul())) }
}

fn log_parts<'e>(event: &'e gwa_event_t<'_>) -> Option<(&'e Text, &'e Text)> {
    match event.body() {
        Body::Log { target, text, .. } => Some((target, text)),
        _ => None,
    }
}
