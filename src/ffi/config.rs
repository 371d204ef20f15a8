//! `gwa_config_t`: keys and values.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{self, Config};
use crate::error::Error;
use crate::secret::Secret;

use super::boundary;
use super::error::gwa_error_t;
use super::handle::{self, Checked, Object};
use super::live::Live;
use super::raw;
use super::status::gwa_status_t;
use super::text::{self, gwa_text_t};

/// Keys, values and callbacks of clients to be made; a checked handle. Copied when a client is made.
pub struct gwa_config_t {
    config: Mutex<Config>,
    _live: Live,
}

impl gwa_config_t {
    /// The object behind a new handle.
    pub(super) fn new() -> Self {
        Self { config: Mutex::default(), _live: Live::new() }
    }

    /// Changes the configuration. `change` calls nothing of the application's.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Config) -> Result<T, Error>) -> Result<T, Error> {
        change(&mut self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A copy as it is now.
    pub(super) fn snapshot(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Checked for gwa_config_t {
    const KIND: u64 = 1;

    fn into_object(this: Arc<Self>) -> Object {
        Object::Config(this)
    }

    fn from_object(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Config(config) => Some(config),
            Object::Client(_) | Object::Request(_) | Object::Source(_) => None,
        }
    }
}

/// Makes a configuration with the default of every key.
///
/// Returns GWA_OK, GWA_E_INVALID_ARGUMENT for NULL, or GWA_E_INTERNAL; `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: allowed, for use in the child. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_config_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_new(out: *mut *mut gwa_config_t) -> gwa_status_t {
    boundary::status(|| {
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        out.write(handle::put(gwa_config_t::new())?);
        Ok(())
    })
}

/// Frees a configuration; clients made from it keep their copies. Secrets and callbacks that no client has are wiped
/// and released. NULL, and a handle that is dead, are nothing.
///
/// Thread: any. Callback: allowed. Fork: inert, but the handle is dead there. Signal: unsafe. Blocking: no.
/// Ownership: takes the configuration. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_config_free(config: *mut gwa_config_t) {
    boundary::value((), || drop(handle::take(config)));
}

/// Sets a key that is no secret; both texts are UTF-8, end with NUL and are copied. Keys, types, ranges and defaults
/// are listed at the head of this header. An empty value brings back the default.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_UNKNOWN_KEY, naming the nearest key; GWA_E_BAD_VALUE, naming type and range,
/// also for a secret key; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_INVALID_UTF8. After an error nothing is changed.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_set(
    config: *mut gwa_config_t,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let config = handle::find(config)?;
        // SAFETY: a text that ends with NUL, or NULL.
        let key = unsafe { text::c_text(key, "key") }?;
        // SAFETY: a text that ends with NUL, or NULL.
        let value = unsafe { text::c_text(value, "value") }?;
        config.change(|config| config.set(key, value))
    })
}

/// Sets a secret key (client.secret, token.refresh_token, proxy.password, tls.client_key_pem), or any other key whose
/// value has a length instead of a NUL (tls.ca_pem). `value` is UTF-8 and copied; our copy is wiped when the last owner is gone. `len` 0 removes it.
///
/// Returns as gwa_config_set().
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_set_secret(
    config: *mut gwa_config_t,
    key: *const c_char,
    value: *const c_void,
    len: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let config = handle::find(config)?;
        // SAFETY: a text that ends with NUL, or NULL.
        let key = unsafe { text::c_text(key, "key") }?;
        // SAFETY: `len` readable bytes, or NULL.
        let value = unsafe { text::bytes(value, len, "value") }?;
        let value = Secret::new(text::utf8(value, "value")?.to_owned());
        config.change(|config| config.set_secret(key, value))
    })
}

/// Sets keys from one JSON object of at most 1 MiB, flat ({"token.timeout_ms": 5000}) or nested
/// ({"token": {"timeout_ms": 5000}}). Numbers and flags are JSON numbers and booleans, lists are arrays of texts, all else is
/// text, and the empty text brings back the default: gwa_config_schema() says it key by key. Secrets are refused: they have
/// gwa_config_set_secret(). A key that stands there twice is refused.
///
/// Returns as gwa_config_set(). All keys are set, or none.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_set_json(
    config: *mut gwa_config_t,
    json: *const c_char,
    len: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let config = handle::find(config)?;
        // SAFETY: `len` readable bytes, or NULL.
        let json = unsafe { text::bytes(json.cast(), len, "json") }?;
        let json = text::utf8(json, "json")?;
        config.change(|config| config.set_json(json))
    })
}

/// A JSON Schema (2020-12) of what gwa_config_set_json() accepts: every key with type, range, default and meaning; secrets
/// are writeOnly, and accepted nowhere. Two things it cannot say: the limit of 1 MiB, and that a key stands there once.
///
/// Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_schema(out: *mut *mut gwa_text_t) -> gwa_status_t {
    boundary::status(|| {
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        out.write(gwa_text_t::owned(&config::schema()));
        Ok(())
    })
}

/// The effective configuration as one flat JSON object: every key with the value it has, by default or derived from other keys
/// (token.url, ws.url, proxy.https, proxy.wss, tls.trust). Secrets are "***" when they are set and null when not; values of
/// headers and URLs with a query, which may carry credentials, are "***" as well. Without these it can be given to
/// gwa_config_set_json() again, and means the same.
///
/// Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_json(config: *const gwa_config_t, out: *mut *mut gwa_text_t) -> gwa_status_t {
    boundary::status(|| {
        let config = handle::find(config)?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let json = config.change(|config| Ok(config.to_json()))?;
        out.write(gwa_text_t::owned(&json));
        Ok(())
    })
}

/// Sets region, client.id, client.secret and token.refresh_token from the environment variables GENESYS_REGION,
/// GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_REFRESH_TOKEN. Those that are missing or empty change nothing. The
/// library reads the environment nowhere else, but for gwa_client_new() where the key proxy says environment.
///
/// Returns as gwa_config_set(). All keys are set, or none.
///
/// Thread: any, while no other thread changes the environment (getenv(3)). Callback: allowed. Fork: GWA_E_FORKED.
/// Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_set_from_env(
    config: *mut gwa_config_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || handle::find(config)?.change(Config::set_from_env))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::ffi::error::gwa_error_free;
    use std::ptr;

    fn new_config() -> *mut gwa_config_t {
        let mut config = ptr::null_mut();
        // SAFETY: a writable place.
        assert_eq!(unsafe { gwa_config_new(&raw mut config) }, 0);
        config
    }

    #[test]
    fn an_error_is_written_on_failure_and_null_on_success() {
        let config = new_config();
        let mut error = ptr::dangling_mut();
        // SAFETY: literals and a writable place.
        let good = unsafe { gwa_config_set(config, c"region".as_ptr(), c"mypurecloud.de".as_ptr(), &raw mut error) };
        assert_eq!((good, error.is_null()), (0, true));
        // SAFETY: as above.
        let bad = unsafe { gwa_config_set(config, c"regoin".as_ptr(), c"x".as_ptr(), &raw mut error) };
        assert_eq!(bad, Code::UnknownKey.number());
        // SAFETY: written by the call that failed.
        let text = unsafe { &*error }.error().to_string();
        assert!(text.contains("\"region\""), "{text}");
        // SAFETY: freed once.
        unsafe { gwa_error_free(error) };
        gwa_config_free(config);
    }

    #[test]
    fn null_and_dead_handles_are_refused() {
        let none = ptr::null_mut();
        // SAFETY: NULL is allowed everywhere.
        assert_eq!(unsafe { gwa_config_new(ptr::null_mut()) }, Code::InvalidArgument.number());
        // SAFETY: as above.
        assert_eq!(unsafe { gwa_config_set(none, ptr::null(), ptr::null(), ptr::null_mut()) }, 4100);
        let config = new_config();
        // SAFETY: as above.
        assert_eq!(unsafe { gwa_config_set(config, ptr::null(), ptr::null(), ptr::null_mut()) }, 4101);
        gwa_config_free(config);
        gwa_config_free(config);
        gwa_config_free(none);
        // SAFETY: a dead handle is only looked up.
        assert_eq!(unsafe { gwa_config_set_from_env(config, ptr::null_mut()) }, 4100);
    }
}
