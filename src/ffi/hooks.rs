//! `gwa_config_on_…`: registering callbacks.

use std::ffi::c_void;
use std::sync::Arc;

use crate::error::Error;
use crate::hooks::Hooks;

use super::boundary;
use super::callbacks::{
    self, gwa_ask_fn, gwa_audit_fn, gwa_log_fn, gwa_message_fn, gwa_release_fn, gwa_sent_fn, gwa_state_fn,
    gwa_thread_fn, gwa_token_fn, Registration,
};
use super::config::gwa_config_t;
use super::handle;
use super::status::gwa_status_t;

/// A message arrived. Replaces the callback set before, whose release is called. NULL for `function` unregisters;
/// `release` is then called at once. Clients made before keep what they have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_message(
    config: *mut gwa_config_t,
    function: gwa_message_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::message(function, own), |hooks| &mut hooks.on_message)
}

/// Audit records: one text for each authentication attempt, scope check and other security-relevant step, in the format
/// `audit.format` (a JSON object unless it is cef or rfc5424). Replaces the callback set before, whose release is called.
/// NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_audit(
    config: *mut gwa_config_t,
    function: gwa_audit_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::sink(function, own, false), |hooks| &mut hooks.on_audit)
}

/// SIEM events: the same steps but scope_validation, each after its audit record, in the format `audit.siem_format`;
/// as native with severity, source and the number before it. Replaces the callback set before, whose release is called.
/// NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_siem(
    config: *mut gwa_config_t,
    function: gwa_audit_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::sink(function, own, true), |hooks| &mut hooks.on_siem)
}

/// State changes, gaps and hand-overs. Replaces the callback set before, whose release is called. NULL for
/// `function` unregisters; `release` is then called at once. Clients made before keep what they have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_state(
    config: *mut gwa_config_t,
    function: gwa_state_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::state(function, own), |hooks| &mut hooks.on_state)
}

/// A new token is in use, with its six fields. Replaces the callback set before, whose release is called. NULL
/// for `function` unregisters; `release` is then called at once. Clients made before keep what they have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_token(
    config: *mut gwa_config_t,
    function: gwa_token_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::token(function, own), |hooks| &mut hooks.on_token)
}

/// The library asks something: to store a rotated refresh token, or for an authorization code. Without this
/// callback (and without delivery = poll) refresh tokens are not stored and a client whose credentials die stays
/// in GWA_STATE_REAUTH_REQUIRED. Replaces the callback set before, whose release is called. NULL for `function`
/// unregisters; `release` is then called at once. Clients made before keep what they have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_ask(
    config: *mut gwa_config_t,
    function: gwa_ask_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::ask(function, own), |hooks| &mut hooks.on_ask)
}

/// A message given to gwa_client_send() was sent or returned. Replaces the callback set before, whose release is
/// called. NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they
/// have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_sent(
    config: *mut gwa_config_t,
    function: gwa_sent_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::sent(function, own), |hooks| &mut hooks.on_sent)
}

/// Lines of log. Without this callback the library is silent. Replaces the callback set before, whose release is
/// called. NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they
/// have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_log(
    config: *mut gwa_config_t,
    function: gwa_log_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::log(function, own), |hooks| &mut hooks.on_log)
}

/// A thread of the client begins or ends: for affinity, priority, or what else a thread has to be prepared with. Its name
/// is set and signals are blocked already. Replaces the callback set before, whose release is called. NULL for
/// `function` unregisters; `release` is then called at once. Clients made before keep what they have.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_config_on_thread(
    config: *mut gwa_config_t,
    function: gwa_thread_fn,
    user_data: *mut c_void,
    release: gwa_release_fn,
) -> gwa_status_t {
    let own = Registration::new(user_data, release);
    register(config, callbacks::thread(function, own), |hooks| &mut hooks.on_thread)
}

/// Puts a hook in its place. What was there, and on failure the new one, is dropped with no lock held.
fn register<H: ?Sized>(
    config: *mut gwa_config_t,
    hook: Option<Arc<H>>,
    place: fn(&mut Hooks) -> &mut Option<Arc<H>>,
) -> gwa_status_t {
    boundary::status(|| {
        let config = handle::find(config)?;
        let replaced = config.change(|config| Ok::<_, Error>(std::mem::replace(place(&mut config.hooks), hook)))?;
        drop(replaced);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::event::MessageKind;
    use crate::ffi::config::{gwa_config_free, gwa_config_new};
    use crate::ffi::event::{gwa_event_data, gwa_event_t};
    use crate::hooks::Message;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    unsafe extern "C" fn count(user_data: *mut c_void) {
        // SAFETY: the tests register a counter that outlives the registration.
        unsafe { &*user_data.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
    }

    unsafe extern "C" fn see(user_data: *mut c_void, message: *const gwa_event_t) {
        let mut len = 0;
        // SAFETY: the event is lent for this call.
        unsafe { gwa_event_data(message, &raw mut len) };
        // SAFETY: the test registers a counter.
        unsafe { &*user_data.cast::<AtomicUsize>() }.fetch_add(len * 100, Ordering::Relaxed);
    }

    fn new_config() -> *mut gwa_config_t {
        let mut config = ptr::null_mut();
        // SAFETY: a writable place.
        assert_eq!(unsafe { gwa_config_new(&raw mut config) }, 0);
        config
    }

    fn set(config: *mut gwa_config_t, function: gwa_message_fn, counter: &AtomicUsize) -> gwa_status_t {
        // SAFETY: the counter outlives the registration.
        unsafe { gwa_config_on_message(config, function, ptr::from_ref(counter).cast_mut().cast(), Some(count)) }
    }

    #[test]
    fn release_runs_once_when_the_last_user_is_gone() {
        let counter = AtomicUsize::new(0);
        let config = new_config();
        assert_eq!(set(config, Some(see), &counter), 0);
        let client = handle::find(config).unwrap().snapshot();
        gwa_config_free(config);
        assert_eq!(counter.load(Ordering::Relaxed), 0, "the client's copy still has it");
        let message = Message { kind: MessageKind::Text, data_with_nul: b"hi\0", connection: 1 };
        client.hooks.on_message.as_ref().unwrap()(message);
        assert_eq!(counter.load(Ordering::Relaxed), 200);
        drop(client);
        assert_eq!(counter.load(Ordering::Relaxed), 201);
    }

    #[test]
    fn release_runs_once_when_replaced_unregistered_or_refused() {
        let counters = [const { AtomicUsize::new(0) }; 4];
        let config = new_config();
        assert_eq!(set(config, Some(see), &counters[0]), 0);
        assert_eq!(set(config, Some(see), &counters[1]), 0);
        assert_eq!(set(config, None, &counters[2]), 0);
        gwa_config_free(config);
        assert_eq!(set(config, Some(see), &counters[3]), Code::BadHandle.number());
        assert_eq!(counters.map(AtomicUsize::into_inner), [1; 4]);
    }

    #[test]
    fn a_release_function_may_use_the_configuration() {
        unsafe extern "C" fn again(user_data: *mut c_void) {
            // SAFETY: no function, so nothing is called.
            unsafe { gwa_config_on_message(user_data.cast(), None, ptr::null_mut(), None) };
        }
        let config = new_config();
        // SAFETY: the handle is only looked up.
        assert_eq!(unsafe { gwa_config_on_message(config, Some(see), config.cast(), Some(again)) }, 0);
        assert_eq!(set(config, None, &AtomicUsize::new(0)), 0);
        gwa_config_free(config);
    }
}
