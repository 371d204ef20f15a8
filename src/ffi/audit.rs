//! `gwa_audit_t`: an audit record or SIEM event.

use std::borrow::Cow;
use std::ffi::c_char;

use crate::hooks::AuditView;

use super::boundary;
use super::live::Live;
use super::raw;
use super::text::{self, Text};

/// An audit record or SIEM event: one JSON object and what is needed to file it.
pub struct gwa_audit_t<'a> {
    json_with_nul: Cow<'a, str>,
    seq: u64,
    kind: Text,
    siem: bool,
    /// Counted only when C owns it.
    live: Option<Live>,
}

impl<'a> gwa_audit_t<'a> {
    /// A record that is lent for a call.
    pub(super) fn lent(view: &AuditView<'a>, siem: bool) -> Self {
        Self::new(Cow::Borrowed(view.json_with_nul), view.seq, view.kind, siem)
    }

    /// A record that is part of something else.
    pub(super) fn new(json_with_nul: Cow<'a, str>, seq: u64, kind: &str, siem: bool) -> Self {
        Self { json_with_nul, seq, kind: Text::new(kind), siem, live: None }
    }

    /// A copy that lives on its own.
    pub(super) fn copied(&self) -> gwa_audit_t<'static> {
        gwa_audit_t {
            json_with_nul: Cow::Owned(self.json_with_nul.clone().into_owned()),
            seq: self.seq,
            kind: self.kind.clone(),
            siem: self.siem,
            live: None,
        }
    }
}

/// The record as one line without its break; NULL for NULL. It is a JSON object, unless audit.format (of on_audit) or
/// audit.siem_format (of on_siem) is cef or rfc5424. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the record keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_json(audit: *const gwa_audit_t, len: *mut usize) -> *const c_char {
    // SAFETY: a record or NULL; a writable length or NULL.
    unsafe { text::read(audit, len, |audit| Some(audit.json_with_nul.as_bytes())) }
}

/// Position in the order of this client's records, from 1, counted once for both sinks; 0 for NULL. on_audit sees every
/// number, or an audit_loss record that names the lost ones (first_lost, last_lost, count), which on_siem is given too.
/// on_siem is not given scope checks: each of its events carries as prev_seq the number of the one it was given before, so
/// that a hole that is no loss can be told.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_seq(audit: *const gwa_audit_t) -> u64 {
    // SAFETY: a record or NULL.
    unsafe { raw::read(audit, 0, |audit| audit.seq) }
}

/// `event_type` or `action` of the record, e.g. "authentication_attempt"; NULL for NULL. `len`, if not NULL, takes
/// the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the record keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_kind(audit: *const gwa_audit_t, len: *mut usize) -> *const c_char {
    // SAFETY: a record or NULL; a writable length or NULL.
    unsafe { text::read(audit, len, |audit| Some(audit.kind.with_nul())) }
}

/// 1 for the SIEM form (with severity and source), 0 for the audit form and for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_is_siem(audit: *const gwa_audit_t) -> i32 {
    // SAFETY: a record or NULL.
    unsafe { raw::read(audit, 0, |audit| audit.siem.into()) }
}

/// A copy of a record, e.g. of one that is lent to a callback; NULL for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees the copy with gwa_audit_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_clone(audit: *const gwa_audit_t) -> *mut gwa_audit_t {
    let copy = |audit: &gwa_audit_t<'_>| raw::give(gwa_audit_t { live: Some(Live::new()), ..audit.copied() });
    // SAFETY: a record or NULL.
    unsafe { raw::read(audit, std::ptr::null_mut(), copy) }
}

/// Frees a record that gwa_audit_clone() gave. NULL, and a record that is lent or part of an event, are left alone.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: takes the record. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_audit_free(audit: *mut gwa_audit_t) {
    // SAFETY: a record or NULL.
    let owned = unsafe { raw::read(audit, false, |audit| audit.live.is_some()) };
    if owned {
        // SAFETY: C owned it, and gives it up.
        boundary::value((), || unsafe { raw::free(audit) });
    }
}
