//! `gwa_client_unregister`: letting go of a callback while the client lives.

use crate::error::Error;
use crate::hooks::Callback;

use super::boundary;
use super::client::{gwa_client_t, limit};
use super::handle;
use super::raw::invalid;
use super::status::{gwa_status_t, GWA_DEFERRED, GWA_OK};

/// For gwa_client_unregister(): what gwa_config_on_message() registered.
pub const GWA_CALLBACK_MESSAGE: i32 = 1;
/// For gwa_client_unregister(): what gwa_config_on_audit() registered.
pub const GWA_CALLBACK_AUDIT: i32 = 2;
/// For gwa_client_unregister(): what gwa_config_on_siem() registered.
pub const GWA_CALLBACK_SIEM: i32 = 3;
/// For gwa_client_unregister(): what gwa_config_on_state() registered.
pub const GWA_CALLBACK_STATE: i32 = 4;
/// For gwa_client_unregister(): what gwa_config_on_token() registered.
pub const GWA_CALLBACK_TOKEN: i32 = 5;
/// For gwa_client_unregister(): what gwa_config_on_ask() registered.
pub const GWA_CALLBACK_ASK: i32 = 6;
/// For gwa_client_unregister(): what gwa_config_on_sent() registered.
pub const GWA_CALLBACK_SENT: i32 = 7;
/// For gwa_client_unregister(): what gwa_config_on_log() registered.
pub const GWA_CALLBACK_LOG: i32 = 8;
/// For gwa_client_unregister(): what gwa_config_on_thread() registered.
pub const GWA_CALLBACK_THREAD: i32 = 9;

/// Takes a callback from this client, which goes on without it, and waits until it is not running and has been released.
/// `callback` is one of GWA_CALLBACK_...
///
/// What the callback would be told from here on goes the way it goes with NULL: messages that wait or arrive are counted
/// and dropped, records and lines of log too; with delivery = poll gwa_client_next_event() goes on to give all but lines of
/// log. Questions that on_ask was given stay open and may be answered; no new ones are asked, and one that was on
/// its way counts as not answered. on_thread does not hear of the end of threads that run.
///
/// `release` runs inside this call, or on the thread that makes the client's calls (gwa-dispatch; delivery = inline: for
/// on_message gwa-socket). That thread lets go between two calls, so this waits for whatever callback it is in, also for
/// another one. If the configuration or another client made from it still has the callback, `release` waits for those.
/// Do not call it while holding a mutex that a callback or `release` takes: gwa_client_unregister_later() is for that.
///
/// `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit. gwa_client_interrupt() does not end it.
///
/// Returns GWA_OK: this client never calls it again and has let go of it; also if it is not registered, or was
/// unregistered before. GWA_DEFERRED: the time was up, or the call came from this callback (from another one: if the two run
/// on different threads, and from on_thread); it is not called again after the call that may be running or about
/// to begin, and is released then. GWA_E_INVALID_ARGUMENT for what is no callback; GWA_E_BAD_HANDLE.
///
/// Thread: any. Callback: allowed, does not wait in one of this client, but does in one of another client: two clients that
/// wait for each other's callbacks with GWA_NO_LIMIT wait for ever. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
/// Ownership: `user_data` is the application's again when `release` is called. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_client_unregister(client: *mut gwa_client_t, callback: i32, timeout_ms: u32) -> gwa_status_t {
    boundary::status_or(None, || {
        let client = handle::find(client)?;
        let is_gone = client.client().unregister(known(callback)?, limit(timeout_ms));
        Ok(if is_gone { GWA_OK } else { GWA_DEFERRED })
    })
}

/// As gwa_client_unregister(), but returns at once and never runs `release` inside the call: for callers that hold a
/// mutex which the callback or `release` takes too. A call that is running or about to begin still goes on; `release`
/// says that there will be none after it.
///
/// `release` runs on gwa-dispatch (delivery = inline: for on_message on gwa-socket); of a client whose threads do not
/// run, on gwa-dispatch as soon as they do. With delivery = poll it runs in gwa_client_next_event(): in the one that is
/// making the call, else in the next one, for which gwa_client_event_fd() becomes readable (it may then have no event to
/// give). gwa_client_shutdown(), gwa_client_free() and gwa_client_unregister() run it, if it is still to be run.
///
/// Returns GWA_OK, also if it is not registered; GWA_E_INVALID_ARGUMENT for what is no callback; GWA_E_BAD_HANDLE.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: `user_data` is the application's again when `release` is called. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_client_unregister_later(client: *mut gwa_client_t, callback: i32) -> gwa_status_t {
    boundary::status(|| {
        let client = handle::find(client)?;
        client.client().unregister_later(known(callback)?);
        Ok(())
    })
}

fn known(callback: i32) -> Result<Callback, Error> {
    Ok(match callback {
        GWA_CALLBACK_MESSAGE => Callback::Message,
        GWA_CALLBACK_AUDIT => Callback::Audit,
        GWA_CALLBACK_SIEM => Callback::Siem,
        GWA_CALLBACK_STATE => Callback::State,
        GWA_CALLBACK_TOKEN => Callback::Token,
        GWA_CALLBACK_ASK => Callback::Ask,
        GWA_CALLBACK_SENT => Callback::Sent,
        GWA_CALLBACK_LOG => Callback::Log,
        GWA_CALLBACK_THREAD => Callback::Thread,
        _ => return Err(invalid("callback", "is none of GWA_CALLBACK_...")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_library() {
        for callback in Callback::ALL {
            assert_eq!(known(callback as i32), Ok(callback));
        }
        assert!([-1, 0, 10, 257].into_iter().all(|number| known(number).is_err()));
    }
}
