//! Scopes: the check without a client, and what a renewal changed.

use std::ffi::c_char;

use std::sync::Arc;

use crate::event::ScopesChanged;

use super::boundary;
use super::error::gwa_error_t;
use super::event::{gwa_event_t, Body};
use super::raw;
use super::status::gwa_status_t;
use super::text::{self, gwa_text_t, Text};

/// A scope that is granted now and was not before.
pub const GWA_SCOPE_ADDED: i32 = 1;
/// A scope that was granted before and is not now; nothing requires it.
pub const GWA_SCOPE_REMOVED: i32 = 2;
/// A scope that was granted before and is not now, and that scopes.required names: the new token is not used (scopes.lost).
pub const GWA_SCOPE_MISSING: i32 = 3;

/// One scope of a `GWA_EVENT_SCOPES`, as C reads it.
pub(super) struct Changed {
    name: Text,
    change: i32,
}

impl Changed {
    /// Those that are new first, then those that are gone.
    pub(super) fn all(changed: &ScopesChanged) -> Arc<[Self]> {
        let gone = |name: &String| {
            let change = if changed.missing.contains(name) { GWA_SCOPE_MISSING } else { GWA_SCOPE_REMOVED };
            Self { name: Text::new(name), change }
        };
        let new = |name: &String| Self { name: Text::new(name), change: GWA_SCOPE_ADDED };
        changed.added.iter().map(new).chain(changed.removed.iter().map(gone)).collect()
    }
}

/// Compares the scopes of a token with those an application needs, without a client and without a network. Writes one
/// JSON object: {"isValid", "missingScopes", "grantedScopes", "auditPayload", "verdict"}. A denial is a result, not an error.
/// `token` is not kept.
///
/// "verdict" is "ok", "missing" or "unknown". Here the token is the one source: its claim `scope` (a text or an array), else
/// `scp`. Its signature is not checked. An opaque token says nothing: "unknown", not valid, everything required is missing. What
/// looks like a JWT and is none is "missing". A client knows more sources, and puts them in an order: a verified claim or the
/// introspection answer, an unverified claim, the token response, GET /api/v2/tokens/me.
///
/// Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL, and for a required scope that is empty or has blanks;
/// GWA_E_INVALID_UTF8. `result_json` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*result_json` with gwa_text_free() and `*err` with gwa_error_free(); NULL for `err` is
/// allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_scopes_check(
    token: *const c_char,
    len: usize,
    required: *const *const c_char,
    required_count: usize,
    result_json: *mut *mut gwa_text_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(result_json, "result_json") }?;
        // SAFETY: `len` readable bytes, or NULL.
        let token = unsafe { text::bytes(token.cast(), len, "token") }?;
        let token = text::utf8(token, "token")?;
        // SAFETY: an array of texts that end with NUL, or NULL.
        let required = unsafe { text::c_texts(required, required_count, "required") }?;
        out.write(gwa_text_t::owned(&crate::scopes_check(token, &required)?));
        Ok(())
    })
}

/// How many scopes a GWA_EVENT_SCOPES tells of; else 0. The grants of the newest token are compared with those of the one before,
/// in a set: their order means nothing. Scopes that are unknown are no change; the next ones that are known are compared with the
/// last that were. A token that is not used because it lacks a required scope is told of as well, once.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_scope_count(event: *const gwa_event_t) -> usize {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| all(event).len()) }
}

/// A scope that is granted now and was not, or the other way round; `index` from 0 to gwa_event_scope_count() - 1, for others
/// NULL. New ones come first. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_scope(event: *const gwa_event_t, index: usize, len: *mut usize) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe { text::read(event, len, |event| all(event).get(index).map(|scope| scope.name.with_nul())) }
}

/// What became of a scope: GWA_SCOPE_ADDED, GWA_SCOPE_REMOVED or GWA_SCOPE_MISSING; 0 for an `index` beyond them. A newer library
/// may have further ones.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_scope_change(event: *const gwa_event_t, index: usize) -> i32 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| all(event).get(index).map_or(0, |scope| scope.change)) }
}

fn all<'e>(event: &'e gwa_event_t<'_>) -> &'e [Changed] {
    match event.body() {
        Body::Scopes(scopes) => scopes,
        _ => &[],
    }
}
