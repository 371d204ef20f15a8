//! `gwa_scopes_check`: the scope check without a client.

use std::ffi::c_char;

use super::boundary;
use super::error::gwa_error_t;
use super::raw;
use super::status::gwa_status_t;
use super::text::{self, gwa_text_t};

/// Compares the scopes of a token with those an application needs, without a client and without a network. Writes one
/// JSON object: {"isValid", "missingScopes", "grantedScopes", "auditPayload"}. A denial is a result, not an error. The
/// token's signature is not checked. `token` is not kept.
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
