//! `gwa_token_t`: an access token with its six fields.

use std::ffi::c_char;

use crate::proto::token::Token;

use super::boundary;
use super::live::Live;
use super::raw;
use super::text::{self, Text};

/// An access token. Holds copies of secrets, wiped when it is freed.
pub struct gwa_token_t {
    access_token: Text,
    token_type: Text,
    refresh_token: Option<Text>,
    scope: Text,
    expires_in_ms: u64,
    granted_at_ms: u64,
    /// Counted only when C owns it.
    live: Option<Live>,
}

impl gwa_token_t {
    /// A token that is part of something else, or lent for a call.
    pub(super) fn new(token: &Token) -> Self {
        Self {
            access_token: Text::new(token.access_token.expose()),
            token_type: Text::new(&token.token_type),
            refresh_token: token.refresh_token.as_ref().map(|secret| Text::new(secret.expose())),
            scope: Text::new(&token.scope),
            expires_in_ms: token.lifetime_ms,
            granted_at_ms: token.granted_at_wall_ms,
            live: None,
        }
    }

    /// A token that C owns.
    pub(super) fn owned(token: &Token) -> *mut Self {
        Self::new(token).into_owned()
    }

    /// The same for C to own.
    fn into_owned(self) -> *mut Self {
        raw::give(Self { live: Some(Live::new()), ..self })
    }

    /// A copy that is part of something else.
    pub(super) fn copied(&self) -> Self {
        Self {
            access_token: self.access_token.clone(),
            token_type: self.token_type.clone(),
            refresh_token: self.refresh_token.clone(),
            scope: self.scope.clone(),
            expires_in_ms: self.expires_in_ms,
            granted_at_ms: self.granted_at_ms,
            live: None,
        }
    }
}

/// The access token, a secret; NULL for NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the token object keeps the text and wipes it. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_access_token(token: *const gwa_token_t, len: *mut usize) -> *const c_char {
    // SAFETY: a token or NULL; a writable length or NULL.
    unsafe { text::read(token, len, |token| Some(token.access_token.with_nul())) }
}

/// The token's type as the server wrote it, e.g. "bearer"; NULL for NULL. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the token object keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_type(token: *const gwa_token_t, len: *mut usize) -> *const c_char {
    // SAFETY: a token or NULL; a writable length or NULL.
    unsafe { text::read(token, len, |token| Some(token.token_type.with_nul())) }
}

/// The refresh token in force with this token, a secret; NULL if there is none. `len`, if not NULL, takes the
/// length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the token object keeps the text and wipes it. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_refresh_token(token: *const gwa_token_t, len: *mut usize) -> *const c_char {
    // SAFETY: a token or NULL; a writable length or NULL.
    unsafe { text::read(token, len, |token| token.refresh_token.as_ref().map(Text::with_nul)) }
}

/// The scopes the server granted, separated by blanks, or "" if it did not say; NULL for NULL. `len`, if not
/// NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the token object keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_scope(token: *const gwa_token_t, len: *mut usize) -> *const c_char {
    // SAFETY: a token or NULL; a writable length or NULL.
    unsafe { text::read(token, len, |token| Some(token.scope.with_nul())) }
}

/// Lifetime in milliseconds, counted from gwa_token_granted_at_ms(); 0 for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_expires_in_ms(token: *const gwa_token_t) -> u64 {
    // SAFETY: a token or NULL.
    unsafe { raw::read(token, 0, |token| token.expires_in_ms) }
}

/// When the request that brought the token began, in milliseconds since 1970 (UTC); 0 for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_granted_at_ms(token: *const gwa_token_t) -> u64 {
    // SAFETY: a token or NULL.
    unsafe { raw::read(token, 0, |token| token.granted_at_ms) }
}

/// A copy of a token, e.g. of one that is lent to a callback; NULL for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees the copy with gwa_token_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_clone(token: *const gwa_token_t) -> *mut gwa_token_t {
    // SAFETY: a token or NULL.
    unsafe { raw::read(token, std::ptr::null_mut(), |token| token.copied().into_owned()) }
}

/// Frees a token that gwa_client_token() or gwa_token_clone() gave, and wipes it. NULL, and a token that is
/// lent or part of an event, are left alone.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: takes the token. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_free(token: *mut gwa_token_t) {
    // SAFETY: a token or NULL.
    let owned = unsafe { raw::read(token, false, |token| token.live.is_some()) };
    if owned {
        // SAFETY: C owned it, and gives it up.
        boundary::value((), || unsafe { raw::free(token) });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::proto::token::Schedule;
    use crate::secret::Secret;
    use std::ffi::CStr;

    /// A token as the tutorial's server grants it.
    pub(in crate::ffi) fn granted() -> Token {
        Token {
            access_token: Secret::new("eyJ".into()),
            token_type: "bearer".into(),
            lifetime_ms: 3_600_000,
            refresh_token: None,
            scope: "conversation:read user:read".into(),
            granted_at_wall_ms: 1_715_767_800_000,
            serial: 1,
            schedule: Schedule { refresh_ms: 0, mandatory_ms: 0, usable_ms: 0, expires_ms: 0 },
            scopes: None,
            trust: crate::audit::Trust::Unverified,
        }
    }

    #[test]
    fn the_six_fields_are_read() {
        let token = gwa_token_t::owned(&granted());
        let mut len = 7;
        // SAFETY: a living token, a writable length.
        assert!(unsafe { gwa_token_refresh_token(token, &raw mut len) }.is_null());
        assert_eq!(len, 0);
        // SAFETY: as above.
        let text = unsafe { gwa_token_access_token(token, &raw mut len) };
        // SAFETY: the text ends with NUL.
        assert_eq!((unsafe { CStr::from_ptr(text) }, len), (c"eyJ", 3));
        // SAFETY: as above.
        assert_eq!(unsafe { gwa_token_expires_in_ms(token) }, 3_600_000);
        // SAFETY: C would free it here.
        unsafe { gwa_token_free(token) };
    }
}
