//! `gwa_token_source_t`: one token for many clients.

use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, TokenSource};
use crate::sys::Descriptors;

use super::boundary;
use super::client::gwa_client_t;
use super::config::gwa_config_t;
use super::error::gwa_error_t;
use super::handle::{self, Checked, Object};
use super::live::Live;
use super::raw;
use super::status::{gwa_status_t, GWA_DEFERRED, GWA_OK};

/// A source of tokens for any number of clients of this process; a checked handle.
pub struct gwa_token_source_t {
    source: TokenSource,
    free_timeout: Duration,
    _live: Live,
}

impl Checked for gwa_token_source_t {
    const KIND: u64 = 4;

    fn descriptors(&self) -> Option<&Arc<Descriptors>> {
        Some(self.source.descriptors())
    }

    fn into_object(this: Arc<Self>) -> Object {
        Object::Source(this)
    }

    fn from_object(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Source(source) => Some(source),
            Object::Config(_) | Object::Client(_) | Object::Request(_) => None,
        }
    }
}

/// Makes a source of tokens with a copy of the configuration: one token request serves all clients that are made with it
/// (gwa_client_new_with_source()). Used of the configuration are the credentials, token.*, scopes.*, connect.*, tls.*, proxy*
/// and close, free and audit settings, and its callbacks: on_token, on_ask, on_audit, on_siem, on_log and on_state tell of the
/// source itself, one at a time on a gwa-dispatch thread of the source (none without callbacks). `delivery` is callbacks.
/// Starts no thread, calls no callback: a gwa-refresh thread runs from when the first client is started until the last one
/// that runs has stopped; the gwa-dispatch thread from then on to the end of the source.
///
/// When its tokens are refused by the server of one client, by two of them alike or with 403, only that client goes to
/// GWA_STATE_REAUTH_REQUIRED, until its gwa_client_refresh_now() or a new secret; the source goes on for the others, unless the
/// token endpoint refuses the credentials.
///
/// Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_MISSING_KEY or GWA_E_BAD_VALUE, naming the key
/// (delivery = poll or inline among them); GWA_E_TRUST_STORE or GWA_E_STORE (audit.chain_state), naming the file;
/// GWA_E_INTERNAL. `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: reads files, and with
/// audit.chain_state writes one.
/// Ownership: the caller frees `*out` with gwa_token_source_free(), `*err` with gwa_error_free() (NULL for `err` is allowed),
/// and keeps the configuration. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_token_source_new(
    config: *const gwa_config_t,
    out: *mut *mut gwa_token_source_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let config = handle::find(config)?.snapshot();
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let source = TokenSource::new(&config)?;
        out.write(handle::put(gwa_token_source_t { source, free_timeout: config.free_timeout(), _live: Live::new() })?);
        Ok(())
    })
}

/// Frees a source. The handle is dead afterwards, whatever is returned. Clients that were made with it keep it alive and go
/// on, its callbacks included; the last of them to be shut down or freed ends it. NULL is nothing.
///
/// Returns GWA_OK: clients use it still, or every thread of it is joined and no callback of it will run again. GWA_DEFERRED: no
/// client uses it and a callback of it is still running after free.timeout_ms (or is the one this is called from): release
/// functions run when it returns. GWA_E_BAD_HANDLE if the handle is dead already. GWA_E_FORKED in a child of the process that
/// made it, as gwa_client_free().
///
/// Thread: any. Callback: allowed, in one of the source itself it gives GWA_DEFERRED when no client uses it, and does not
/// wait. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to free.timeout_ms.
/// Ownership: takes the source; errors and tokens it gave live on. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_token_source_free(source: *mut gwa_token_source_t) -> gwa_status_t {
    if source.is_null() {
        return GWA_OK;
    }
    boundary::status_or(None, || {
        let source = handle::take(source)?;
        let is_done = source.source.release(Some(source.free_timeout));
        Ok(if is_done { GWA_OK } else { GWA_DEFERRED })
    })
}

/// Makes a client, as gwa_client_new() does, whose tokens come from a source. It has socket and dispatch threads of its own;
/// what configures tokens (client.*, token.*) is ignored and may be missing; but who sets token.verify, token.issuer or
/// token.audience with it, gets GWA_E_BAD_VALUE unless the source has the same. scopes.required is checked for this client too, of
/// every token: what the source requires is what it takes from the endpoint. scopes.lost is this client's own; with keep the next
/// token of the source is its next chance. on_token is called for the tokens this client is
/// given; on_ask is never called. gwa_client_set_secret() replaces client.secret and token.refresh_token of the source, for all of its
/// clients, but proxy.password for the connections of this client only: that of the source cannot be replaced.
/// gwa_client_refresh_now() brings a new token to all of them.
///
/// Returns as gwa_client_new(), and GWA_E_BAD_HANDLE for a source that is dead. `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: reads files, and with
/// audit.chain_state writes one.
/// Ownership: the caller frees `*out` with gwa_client_free(), `*err` with gwa_error_free() (NULL for `err` is allowed), and
/// keeps the configuration and the source, which it may free at once. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_new_with_source(
    config: *const gwa_config_t,
    source: *mut gwa_token_source_t,
    out: *mut *mut gwa_client_t,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let config = handle::find(config)?.snapshot();
        let source = handle::find(source.cast_const())?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        let client = Client::with_source(&config, &source.source)?;
        out.write(handle::put(gwa_client_t::new(client, config.free_timeout()))?);
        Ok(())
    })
}
