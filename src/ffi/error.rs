//! `gwa_error_t`: everything an error knows, field by field.

use std::ffi::c_char;

use crate::error::Error;

use super::boundary;
use super::live::Live;
use super::raw;
use super::status::gwa_status_t;
use super::text::{self, Text};

/// What went wrong, where, and what to do next. Made by a call that failed (then freed by
/// gwa_error_free()), or part of an event.
pub struct gwa_error_t {
    error: Error,
    name: Text,
    message: Text,
    stage: Text,
    category: Text,
    oauth_error: Text,
    correlation_id: Text,
    host: Text,
    hint: Text,
    missing_scopes: Text,
    /// Counted only when C owns it.
    live: Option<Live>,
}

impl gwa_error_t {
    /// An error that is part of another object.
    pub(super) fn new(error: Error) -> Self {
        let detail = error.detail();
        Self {
            name: Text::new(error.code().name()),
            message: Text::new(&error.to_string()),
            stage: Text::new(detail.stage.name()),
            category: Text::new(error.code().category().name()),
            oauth_error: Text::new(&detail.oauth_error),
            correlation_id: Text::new(&detail.correlation_id),
            host: Text::new(&detail.host),
            hint: Text::new(error.code().hint()),
            missing_scopes: Text::new(&detail.missing_scopes.join(" ")),
            live: None,
            error,
        }
    }

    /// An error that C owns.
    pub(super) fn owned(error: Error) -> *mut Self {
        raw::give(Self { live: Some(Live::new()), ..Self::new(error) })
    }

    /// The error itself.
    pub(super) fn error(&self) -> &Error {
        &self.error
    }
}

/// The status the failed call returned, one of GWA_E_...; GWA_OK for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_code(error: *const gwa_error_t) -> gwa_status_t {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.code().number()) }
}

/// The stable name of the status, e.g. "GWA_E_DNS"; NULL for NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_name(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.name.with_nul())) }
}

/// The whole error in one line for a log: stage, what the code means, the particulars of the case, the
/// host. Never holds a secret. NULL for NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_message(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.message.with_nul())) }
}

/// What to do about it, in one sentence; NULL for NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_hint(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.hint.with_nul())) }
}

/// The part of the work that failed, one of GWA_CATEGORY_...; 0 for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_category(error: *const gwa_error_t) -> i32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.code().category() as i32) }
}

/// The category as a word, e.g. "oauth"; NULL for NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_category_name(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.category.with_nul())) }
}

/// The step during which it happened, as a word: call, configure, resolve, connect, proxy, tls, token,
/// scopes, upgrade, authenticate, renew, live, callback, close. More may be added. NULL for NULL. `len`, if
/// not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_stage(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.stage.with_nul())) }
}

/// HTTP status of the answer (100 to 599), or 0 when there was none.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_http_status(error: *const gwa_error_t) -> i32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.detail().http_status.into()) }
}

/// The `error` member of an OAuth answer (RFC 6749 5.2), e.g. "invalid_grant", or ""; NULL for NULL.
/// `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_oauth_error(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.oauth_error.with_nul())) }
}

/// `errno` of the system call that failed, or 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_os_errno(error: *const gwa_error_t) -> i32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.detail().os_errno) }
}

/// Number of the TLS alert that was sent or received (RFC 8446 6; 0 is close_notify), or -1 for none.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_tls_alert(error: *const gwa_error_t) -> i32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, -1, |error| error.error.detail().tls_alert.map_or(-1, i32::from)) }
}

/// WebSocket close code (RFC 6455 7.4), or 0 for none.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_ws_close_code(error: *const gwa_error_t) -> i32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.detail().ws_close_code.into()) }
}

/// Correlation id of the answer (header ININ-Correlation-Id), for Genesys support, or ""; NULL for NULL.
/// `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_correlation_id(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.correlation_id.with_nul())) }
}

/// Host and port of the peer, e.g. "api.mypurecloud.com:443", or ""; NULL for NULL. `len`, if not NULL,
/// takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_host(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.host.with_nul())) }
}

/// Which attempt of its round failed, from 1, or 0 where there are no attempts.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_attempt(error: *const gwa_error_t) -> u32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.detail().attempt) }
}

/// 1 if the same call or request may succeed later without anybody acting, else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_retriable(error: *const gwa_error_t) -> i32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.is_retriable().into()) }
}

/// 1 if nothing but the application or an administrator can help now, else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_fatal(error: *const gwa_error_t) -> i32 {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, 0, |error| error.error.detail().fatal.into()) }
}

/// How long the server asked to wait, in milliseconds, or -1 if it did not ask.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_retry_after_ms(error: *const gwa_error_t) -> i64 {
    // SAFETY: an error or NULL.
    unsafe {
        raw::read(error, -1, |error| {
            error.error.retry_after_ms().map_or(-1, |wait| i64::try_from(wait).unwrap_or(i64::MAX))
        })
    }
}

/// The scopes that are missing, separated by one space, in the order they were required, or ""; NULL for
/// NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the error keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_missing_scopes(error: *const gwa_error_t, len: *mut usize) -> *const c_char {
    // SAFETY: an error or NULL; a writable length or NULL.
    unsafe { text::read(error, len, |error| Some(error.missing_scopes.with_nul())) }
}

/// A copy of an error, e.g. of one that is part of an event; NULL for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees the copy with gwa_error_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_clone(error: *const gwa_error_t) -> *mut gwa_error_t {
    // SAFETY: an error or NULL.
    unsafe { raw::read(error, std::ptr::null_mut(), |error| gwa_error_t::owned(error.error.clone())) }
}

/// Frees an error that a call or gwa_error_clone() gave. NULL, and an error that is part of an event,
/// are left alone.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: takes the error. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_error_free(error: *mut gwa_error_t) {
    // SAFETY: an error or NULL.
    let owned = unsafe { raw::read(error, false, |error| error.live.is_some()) };
    if owned {
        // SAFETY: C owned it, and gives it up.
        boundary::value((), || unsafe { raw::free(error) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Stage};
    use std::ffi::CStr;

    #[test]
    fn every_field_can_be_read() {
        let error = Error::new(Code::ScopeDenied, Stage::Scopes, "two are missing").with(|detail| {
            detail.http_status = 403;
            detail.tls_alert = Some(0);
            detail.retry_after_ms = Some(u64::MAX);
            detail.missing_scopes = vec!["a".into(), "b".into()];
        });
        let error = gwa_error_t::owned(error);
        // SAFETY: a living error, and no length.
        let name = unsafe { gwa_error_name(error, std::ptr::null_mut()) };
        // SAFETY: texts of the library end with NUL.
        assert_eq!(unsafe { CStr::from_ptr(name) }, c"GWA_E_SCOPE_DENIED");
        // SAFETY: as above.
        let missing = unsafe { gwa_error_missing_scopes(error, std::ptr::null_mut()) };
        // SAFETY: as above.
        assert_eq!(unsafe { CStr::from_ptr(missing) }, c"a b");
        // SAFETY: a living error.
        let number = |read: unsafe extern "C" fn(*const gwa_error_t) -> i32| unsafe { read(error) };
        assert_eq!([number(gwa_error_code), number(gwa_error_http_status)], [4400, 403]);
        assert_eq!([number(gwa_error_tls_alert), number(gwa_error_fatal)], [0, 1]);
        // SAFETY: a living error.
        assert_eq!(unsafe { gwa_error_retry_after_ms(error) }, i64::MAX);
        // SAFETY: C would free it here.
        unsafe { gwa_error_free(error) };
    }

    #[test]
    fn null_reads_as_nothing() {
        let none = std::ptr::null();
        // SAFETY: NULL is allowed everywhere.
        let number = |read: unsafe extern "C" fn(*const gwa_error_t) -> i32| unsafe { read(none) };
        assert_eq!([number(gwa_error_code), number(gwa_error_tls_alert), number(gwa_error_retriable)], [0, -1, 0]);
        // SAFETY: as above.
        assert!(unsafe { gwa_error_message(none, std::ptr::null_mut()) }.is_null());
    }

    #[test]
    fn an_error_that_is_part_of_something_is_not_freed() {
        let mut error = gwa_error_t::new(Error::new(Code::Dns, Stage::Resolve, ""));
        // SAFETY: it says itself that C does not own it.
        unsafe { gwa_error_free(&raw mut error) };
        assert_eq!(error.error().code(), Code::Dns);
    }
}
