//! `gwa_client_t`: one authenticated connection.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use crate::client::Client;
use crate::error::{Code, Error};
use crate::event::MessageKind;
use crate::secret::Secret;
use crate::sys::Descriptors;

use super::boundary;
use super::config::gwa_config_t;
use super::error::gwa_error_t;
use super::event::{gwa_event_t, GWA_BINARY, GWA_TEXT};
use super::handle::{self, Checked, Object};
use super::live::Live;
use super::raw::{self, invalid};
use super::report::gwa_shutdown_report_t;
use super::status::{gwa_status_t, GWA_DEFERRED, GWA_OK};
use super::text::{self, gwa_text_t};
use super::token::gwa_token_t;

/// One authenticated WebSocket and the threads that keep it alive; a checked handle.
pub struct gwa_client_t {
    client: Client,
    free_timeout: Duration,
    _live: Live,
}

impl gwa_client_t {
    /// The object behind a new handle.
    pub(super) fn new(client: Client, free_timeout: Duration) -> Self {
        Self { client, free_timeout, _live: Live::new() }
    }

    /// The client itself.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}

impl Checked for gwa_client_t {
    const KIND: u64 = 2;

    fn descriptors(&self) -> Option<&Arc<Descriptors>> {
        Some(self.client.descriptors())
    }

    fn into_object(this: Arc<Self>) -> Object {
        Object::Client(this)
    }

    fn from_object(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Client(client) => Some(client),
            Object::Config(_) | Object::Request(_) | Object::Source(_) => None,
        }
    }
}

/// Makes a client with a copy of the configuration, which is checked as a whole. Starts no thread, calls no callback,
/// opens no connection; reads the file tls.ca_file names; with audit.chain_state reads, writes and syncs that file.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_MISSING_KEY or GWA_E_BAD_VALUE, naming the key;
/// GWA_E_TRUST_STORE or GWA_E_STORE (audit.chain_state), naming the file; GWA_E_INTERNAL. `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: reads files, and with
/// audit.chain_state writes one.
/// Ownership: the caller frees `*out` with gwa_client_free(), `*err` with gwa_error_free() (NULL for `err` is allowed), and
/// keeps the configuration. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_new(
    config: *const gwa_config_t,
    out: *mut *mut gwa_client_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let config = handle::find(config)?.snapshot();
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let client = Client::new(&config)?;
        out.write(handle::put(gwa_client_t::new(client, config.free_timeout()))?);
        Ok(())
    })
}

/// Starts the threads and returns at once. Rounds of attempts go on for ever, under the circuit breaker, until a final
/// state or a shutdown; callbacks tell what happens.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_BAD_STATE if it is started or closed already; GWA_E_CHANNEL_LIMIT if 19 clients of
/// its token source have a channel (profile notifications): one of them has to end first; GWA_E_INTERNAL if the system
/// gives no thread: then it can be started anew, unless on_thread holds a thread that was started up for more than a
/// second, which closes the client.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_start(client: *mut gwa_client_t, err: *mut *mut gwa_error_t) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || handle::find(client)?.client.start())
}

/// Starts the client and waits until it is Ready (GWA_OK), or one round of attempts failed, or the time is up: then
/// everything it started is stopped again and the client can be started anew. Returns after the audit records of its
/// outcome were delivered.
///
/// `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit.
///
/// Returns GWA_OK; GWA_E_TIMEOUT; GWA_E_INTERRUPTED; GWA_E_CANCELLED by a shutdown; GWA_E_BAD_HANDLE; GWA_E_BAD_STATE;
/// GWA_E_REENTRANT; GWA_E_CHANNEL_LIMIT; else what failed, from GWA_E_DNS to GWA_E_TOKEN_REVOKED.
///
/// Thread: any. Callback: GWA_E_REENTRANT. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_connect(
    client: *mut gwa_client_t,
    timeout_ms: u32,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || handle::find(client)?.client.connect(limit(timeout_ms)))
}

/// Queues a message, which is copied, and gives it an id. The id comes back, with the outcome, in the on_sent callback or
/// a GWA_EVENT_SENT. `kind` is GWA_TEXT (checked to be UTF-8) or GWA_BINARY; `len` 0 sends an empty message.
///
/// Returns GWA_OK; GWA_E_QUEUE_FULL; GWA_E_TOO_LARGE above ws.max_message_bytes; GWA_E_INVALID_UTF8; GWA_E_INVALID_ARGUMENT;
/// GWA_E_BAD_STATE; GWA_E_CLOSED; GWA_E_BAD_HANDLE. `out_id`, if not NULL, is written only with GWA_OK.
///
/// Thread: any, also several at once. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller keeps `data` and frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_send(
    client: *mut gwa_client_t,
    data: *const c_void,
    len: usize,
    kind: i32,
    out_id: *mut u64,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let client = handle::find(client)?;
        // SAFETY: `len` readable bytes, or NULL.
        let data = unsafe { text::bytes(data, len, "data") }?;
        let id = client.client.send(message_kind(kind, data)?, data)?;
        // SAFETY: writable or NULL.
        if let Some(out_id) = unsafe { raw::optional_out(out_id) } {
            out_id.write(id);
        }
        Ok(())
    })
}

/// Asks for a new token now, e.g. after the application's own request was answered with 401, and returns at once. The
/// outcome comes by the on_token or on_state callback. Not more often than once in min(20 s, a quarter of the token's life);
/// token.refresh_floor_ms says how long the 20 s are. A client that another one has displaced comes back.
///
/// Returns GWA_OK; GWA_E_BAD_STATE if the client is not started; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_refresh_now(client: *mut gwa_client_t, err: *mut *mut gwa_error_t) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || handle::find(client)?.client.refresh_now())
}

/// Tells the client what the application has learned from a message of the server's: that the socket will end soon.
/// Another socket takes over after a random delay of up to 5 s, and the old one stays in use until then: nothing is
/// missed. Returns at once; the outcome comes by on_state (GWA_STATE_DRAINING, then GWA_EVENT_HANDOVER). Ignored while
/// no socket is live or a replacement is on its way. Close codes that mean the same (1001, 1012, 1013) need no call.
///
/// Returns GWA_OK; GWA_E_BAD_STATE if the client is not started; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_drain_notice(
    client: *mut gwa_client_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || handle::find(client)?.client.drain_notice())
}

/// A token for the application's own REST calls, with at least `min_left_ms` of usable life left (0: any that is valid).
/// Waits for one that is being fetched.
///
/// `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit.
///
/// Returns GWA_OK; GWA_E_TIMEOUT; GWA_E_INTERRUPTED; GWA_E_CANCELLED by a shutdown; GWA_E_BAD_STATE if the client is not
/// started; GWA_E_CLOSED; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_HANDLE; else what failed. `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed, but it delays other callbacks. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to
/// timeout_ms.
/// Ownership: the caller frees `*out` with gwa_token_free() and `*err` with gwa_error_free(); NULL for `err` is allowed.
/// Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_token(
    client: *mut gwa_client_t,
    min_left_ms: u32,
    timeout_ms: u32,
    out: *mut *mut gwa_token_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let client = handle::find(client)?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let token = client.client.token(Duration::from_millis(min_left_ms.into()), limit(timeout_ms))?;
        out.write(gwa_token_t::owned(&token));
        Ok(())
    })
}

/// Replaces client.secret, token.refresh_token, token.saml_assertion or proxy.password (where proxy.user is set) of a client,
/// running or not; the next token request, or connection through the proxy, uses it. tls.client_key_pem cannot be replaced: it belongs to its
/// certificate, make another client. A client in GWA_STATE_REAUTH_REQUIRED begins anew; with proxy.password, if that was what was refused.
/// Of a client of gwa_client_new_with_source(), proxy.password is that of its own connections: a token source keeps the one it
/// was made with. `value` is UTF-8 and copied; the old one is wiped when it is no longer in use.
///
/// Returns GWA_OK; GWA_E_UNKNOWN_KEY or GWA_E_BAD_VALUE, also for a key that is none of these; GWA_E_INVALID_ARGUMENT;
/// GWA_E_INVALID_UTF8; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_set_secret(
    client: *mut gwa_client_t,
    key: *const c_char,
    value: *const c_void,
    len: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let client = handle::find(client)?;
        // SAFETY: a text that ends with NUL, or NULL.
        let key = unsafe { text::c_text(key, "key") }?;
        // SAFETY: `len` readable bytes, or NULL.
        let value = unsafe { text::bytes(value, len, "value") }?;
        let value = Secret::new(text::utf8(value, "value")?.to_owned());
        crate::config::check_secret(key, &value)?;
        client.client.set_secret(key, value)
    })
}

/// The configuration in force, as gwa_config_json() writes it; secrets that gwa_client_set_secret() has set are counted in.
/// Which proxies and trust store that comes to is told by gwa_client_stats().
///
/// Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_config(client: *mut gwa_client_t, out: *mut *mut gwa_text_t) -> gwa_status_t {
    boundary::status(|| {
        let client = handle::find(client)?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        out.write(gwa_text_t::owned(&client.client.config_json()));
        Ok(())
    })
}

/// What the client is doing: writes one of GWA_STATE_... to `state`.
///
/// Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL; `state` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_state(client: *mut gwa_client_t, state: *mut i32) -> gwa_status_t {
    boundary::status(|| {
        let client = handle::find(client)?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(state, "state") }?;
        out.write(client.client.state() as i32);
        Ok(())
    })
}

/// For delivery = poll: a descriptor that is readable while events wait (level-triggered), for poll, epoll, select and event
/// loops built on them. Do not read from it, write to it or close it; after a shutdown it stays readable until
/// gwa_client_next_event() has returned GWA_E_CLOSED.
///
/// Returns the descriptor, or -1 for another delivery and for a handle that is none.
///
/// Thread: any. Callback: allowed. Fork: -1. Signal: unsafe. Blocking: no.
/// Ownership: the client closes it when it is freed. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_client_event_fd(client: *mut gwa_client_t) -> c_int {
    boundary::value(-1, || handle::find(client).map_or(-1, |client| client.client.event_fd()))
}

/// For delivery = poll: takes the next event from the queue, waiting for one if need be. A callback that is registered
/// for it is called on this thread before the function returns. After a shutdown it gives what is left, then GWA_E_CLOSED.
///
/// `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit.
///
/// Returns GWA_OK; GWA_E_TIMEOUT if there is none; GWA_E_INTERRUPTED; GWA_E_CLOSED; GWA_E_BAD_STATE for another delivery;
/// GWA_E_REENTRANT; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_HANDLE. `out` is written only with GWA_OK.
///
/// Thread: any. Callback: GWA_E_REENTRANT. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
/// Ownership: the caller frees `*out` with gwa_event_free(), also after the client is gone. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_next_event(
    client: *mut gwa_client_t,
    timeout_ms: u32,
    out: *mut *mut gwa_event_t,
) -> gwa_status_t {
    boundary::status_or(None, || {
        let client = handle::find(client)?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let event = match client.client.next_event(limit(timeout_ms)) {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Code::Timeout.number()),
            Err(error) => {
                if error.code() == Code::Forked {
                    // A callback has forked, and this is the child: should this be the last, dropping it would wait for threads.
                    std::mem::forget(client);
                }
                return Err(error);
            }
        };
        out.write(gwa_event_t::owned(event).cast());
        Ok(GWA_OK)
    })
}

/// Ends the current or next blocking call (connect, token, next_event) of every thread on this client with
/// GWA_E_INTERRUPTED, once for each thread. Made for signal handlers.
///
/// Returns GWA_OK or GWA_E_BAD_HANDLE (also while another thread frees the client).
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: safe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_client_interrupt(client: *mut gwa_client_t) -> gwa_status_t {
    // No boundary: it is not fit for signal handlers, and nothing here can panic.
    handle::peek(client, |client: &gwa_client_t| client.client.interrupt()).map_or_else(Code::number, |()| GWA_OK)
}

/// Stops the client for good: renewal first, then the WebSocket is closed with a code, audit records are delivered, threads
/// joined, all under one deadline. Blocking calls of other threads return GWA_E_CANCELLED. The handle stays valid, and in
/// delivery = poll gives what is left. Called a second time it goes on where the first one stopped.
///
/// `timeout_ms`: 0 asks for it and does not wait, GWA_NO_LIMIT waits without limit. `report`, if not NULL, says what was
/// left; set it up with GWA_SHUTDOWN_REPORT_INIT() first. It is written with GWA_OK and GWA_DEFERRED.
///
/// Returns GWA_OK: every thread of the client is joined, no callback will run again (delivery = poll: but those that
/// gwa_client_next_event() calls for what is left, until the client is freed). (Before a plugin unloads the library:
/// a resolver stuck in getaddrinfo, which report.resolvers_stuck counts, may outlive this; link it with -z nodelete.)
/// GWA_DEFERRED: the time was up, or the call came from a callback of this client; the rest is done when what
/// hinders it is over. GWA_E_INVALID_ARGUMENT; GWA_E_BAD_HANDLE. gwa_client_interrupt() does not end it.
///
/// Thread: any. Callback: GWA_DEFERRED, does not wait. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
/// Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_shutdown(
    client: *mut gwa_client_t,
    timeout_ms: u32,
    report: *mut gwa_shutdown_report_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::status_or(err, || {
        let client = handle::find(client)?;
        // SAFETY: NULL, or set up by the caller as the header asks.
        let room = unsafe { gwa_shutdown_report_t::room(report) }?;
        let done = client.client.shutdown(limit(timeout_ms));
        if room > 0 {
            // SAFETY: `room` bytes of the report are the caller's, as its struct_size says.
            unsafe { gwa_shutdown_report_t::new(&done).fill(report, room) };
        }
        Ok(if done.complete { GWA_OK } else { GWA_DEFERRED })
    })
}

/// Stops the client if it runs, waiting at most free.timeout_ms, and frees it. The handle is dead afterwards, whatever is
/// returned; calls of other threads that are under way end with GWA_E_CANCELLED, gwa_client_next_event() with GWA_E_CLOSED:
/// what was not polled is dropped, and a callback that it is making is waited for. NULL is nothing.
///
/// Returns GWA_OK: every thread is joined (shared ones are done with this client), no callback of it will run again.
/// GWA_DEFERRED: a callback is still running, or a destructor that the application gave one of the threads
/// (pthread_key_create()); all else is stopped. After a wait of free.timeout_ms release functions run when it returns, and
/// no other callback. From inside a callback, what was received and recorded before is delivered first, and messages that
/// were not sent are returned. GWA_E_BAD_HANDLE if the handle is dead already.
///
/// In a child of the process that made it: GWA_E_FORKED, the handle is dead there, too, and the child's copies of its
/// descriptors are closed. The client of the parent goes on undisturbed: nothing is sent, waited for, called or released, and
/// memory that its threads share is left. Call it before anything else there closes descriptors by number. (A descriptor
/// that a thread was opening or closing at the moment of the fork may stay open; all of them are closed by exec.)
///
/// Thread: any. Callback: GWA_DEFERRED, does not wait. Fork: GWA_E_FORKED, closes its descriptors. Signal: unsafe. Blocking: up to
/// free.timeout_ms.
/// Ownership: takes the client; events, errors, texts and tokens it gave live on. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_client_free(client: *mut gwa_client_t) -> gwa_status_t {
    if client.is_null() {
        return GWA_OK;
    }
    boundary::status_or(None, || {
        let client = handle::take(client)?;
        let is_over = client.client.end(client.free_timeout);
        Ok(if is_over { GWA_OK } else { GWA_DEFERRED })
    })
}

/// `timeout_ms` of C.
pub(super) fn limit(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms != u32::MAX).then(|| Duration::from_millis(timeout_ms.into()))
}

fn message_kind(kind: i32, data: &[u8]) -> Result<MessageKind, Error> {
    match kind {
        GWA_TEXT => text::utf8(data, "data").map(|_| MessageKind::Text),
        GWA_BINARY => Ok(MessageKind::Binary),
        _ => Err(invalid("kind", "is neither GWA_TEXT nor GWA_BINARY")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn no_client_is_refused_everywhere() {
        let none: *mut gwa_client_t = ptr::null_mut();
        let dead: *mut gwa_client_t = ptr::without_provenance_mut(5);
        for client in [none, dead] {
            // SAFETY: handles are only looked up, and all else is NULL.
            assert_eq!(unsafe { gwa_client_start(client, ptr::null_mut()) }, 4100);
            // SAFETY: as above.
            assert_eq!(unsafe { gwa_client_shutdown(client, 0, ptr::null_mut(), ptr::null_mut()) }, 4100);
            // SAFETY: as above.
            assert_eq!(unsafe { gwa_client_next_event(client, 0, ptr::null_mut()) }, 4100);
            assert_eq!(gwa_client_event_fd(client), -1);
            assert_eq!(gwa_client_interrupt(client), 4100);
        }
        assert_eq!(gwa_client_free(none), GWA_OK);
        assert_eq!(gwa_client_free(dead), 4100);
    }

    #[test]
    fn kinds_and_times_come_in_as_integers() {
        assert_eq!(message_kind(GWA_TEXT, b"ok"), Ok(MessageKind::Text));
        assert_eq!(message_kind(GWA_TEXT, b"\xff").unwrap_err().code(), Code::InvalidUtf8);
        assert_eq!(message_kind(GWA_BINARY, b"\xff"), Ok(MessageKind::Binary));
        assert_eq!(message_kind(0, b"").unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(limit(0), Some(Duration::ZERO));
        assert_eq!(limit(u32::MAX), None);
    }
}
