//! Numbers of the ABI that never change: statuses, states, categories; and their names.
// Most constants are there for the header alone.
#![allow(dead_code)]

use std::ffi::{c_char, CStr};
use std::ptr;

use crate::error::Code;
use crate::event::State;
use crate::sys::OnceBox;

use super::boundary;
use super::raw;
use super::text::Text;

/// Result of a call: GWA_OK, GWA_DEFERRED (no error), or one of GWA_E_... (from 4100 up). Numbers are
/// never changed or used again; a newer library may return new ones.
pub type gwa_status_t = i32;

/// Done.
pub const GWA_OK: i32 = 0;
/// Not an error: done, except for a callback that is still running. What is left to do happens when it returns.
pub const GWA_DEFERRED: i32 = 1;
/// The handle is NULL, was freed, or is of another type.
pub const GWA_E_BAD_HANDLE: i32 = 4100;
/// An argument is NULL, out of range or contradictory.
pub const GWA_E_INVALID_ARGUMENT: i32 = 4101;
/// A text argument is not UTF-8.
pub const GWA_E_INVALID_UTF8: i32 = 4102;
/// No configuration key has this name.
pub const GWA_E_UNKNOWN_KEY: i32 = 4103;
/// The value of a configuration key cannot be used.
pub const GWA_E_BAD_VALUE: i32 = 4104;
/// A configuration key that is needed has no value.
pub const GWA_E_MISSING_KEY: i32 = 4105;
/// The call does not fit the state the client is in.
pub const GWA_E_BAD_STATE: i32 = 4106;
/// The call would wait for the callback it is made from.
pub const GWA_E_REENTRANT: i32 = 4107;
/// The work was ended by a shutdown or free.
pub const GWA_E_CANCELLED: i32 = 4108;
/// The time allowed for the call is up.
pub const GWA_E_TIMEOUT: i32 = 4109;
/// gwa_client_interrupt ended the wait.
pub const GWA_E_INTERRUPTED: i32 = 4110;
/// The client is closed and its queue is empty.
pub const GWA_E_CLOSED: i32 = 4111;
/// The send queue is at its bound.
pub const GWA_E_QUEUE_FULL: i32 = 4112;
/// The data is larger than the configured maximum.
pub const GWA_E_TOO_LARGE: i32 = 4113;
/// The program was compiled with a header of another version.
pub const GWA_E_ABI_MISMATCH: i32 = 4114;
/// The handle was made before fork().
pub const GWA_E_FORKED: i32 = 4115;
/// The trust store cannot be read or holds no certificate.
pub const GWA_E_TRUST_STORE: i32 = 4116;
/// The client certificate or its key cannot be used.
pub const GWA_E_CLIENT_CERTIFICATE: i32 = 4117;
/// The source of tokens has 19 clients with a channel already; with the spare one they are the 20 that Genesys Cloud allows.
pub const GWA_E_CHANNEL_LIMIT: i32 = 4118;
/// The token store cannot be read or written.
pub const GWA_E_STORE: i32 = 4119;
/// The host name could not be resolved.
pub const GWA_E_DNS: i32 = 4200;
/// No TCP connection could be made to any address.
pub const GWA_E_CONNECT: i32 = 4201;
/// Connecting took too long.
pub const GWA_E_CONNECT_TIMEOUT: i32 = 4202;
/// The TLS handshake failed.
pub const GWA_E_TLS: i32 = 4203;
/// The TLS handshake took too long.
pub const GWA_E_TLS_TIMEOUT: i32 = 4204;
/// The server's certificate is expired or not yet valid.
pub const GWA_E_CERTIFICATE_EXPIRED: i32 = 4205;
/// The server's certificate is for another host.
pub const GWA_E_CERTIFICATE_HOST: i32 = 4206;
/// The server's certificate was not issued by a trusted authority.
pub const GWA_E_CERTIFICATE_UNTRUSTED: i32 = 4207;
/// The server's certificate is not acceptable.
pub const GWA_E_CERTIFICATE: i32 = 4208;
/// The connection ended without a close.
pub const GWA_E_DROPPED: i32 = 4209;
/// The peer did not answer a ping in time.
pub const GWA_E_PEER_DEAD: i32 = 4210;
/// The server's certificate is signed by nobody but itself.
pub const GWA_E_CERTIFICATE_SELF_SIGNED: i32 = 4211;
/// No key of the server's certificate chain is among tls.pins.
pub const GWA_E_CERTIFICATE_PIN: i32 = 4212;
/// The proxy wants other credentials (407).
pub const GWA_E_PROXY_AUTH: i32 = 4220;
/// The proxy did not open a way to the host.
pub const GWA_E_PROXY_REFUSED: i32 = 4221;
/// The proxy took too long to open a way to the host.
pub const GWA_E_PROXY_TIMEOUT: i32 = 4222;
/// The answer is not HTTP, or ended early.
pub const GWA_E_HTTP_PROTOCOL: i32 = 4300;
/// The answer took too long.
pub const GWA_E_HTTP_TIMEOUT: i32 = 4301;
/// The answer is larger than the configured maximum.
pub const GWA_E_RESPONSE_TOO_LARGE: i32 = 4302;
/// The server answered with a redirect; credentials are never sent on.
pub const GWA_E_REDIRECT: i32 = 4303;
/// The server is temporarily unable to answer.
pub const GWA_E_UNAVAILABLE: i32 = 4304;
/// The server refused the request.
pub const GWA_E_HTTP_STATUS: i32 = 4305;
/// Wrong client credentials, or the refresh token is revoked (401).
pub const GWA_E_UNAUTHORIZED: i32 = 4310;
/// The OAuth client may not use this grant (403).
pub const GWA_E_FORBIDDEN: i32 = 4311;
/// The refresh token, authorization code or assertion is no longer valid.
pub const GWA_E_INVALID_GRANT: i32 = 4312;
/// The server limits the rate of requests.
pub const GWA_E_THROTTLED: i32 = 4313;
/// The server asks to wait longer than 180 s: a quota is used up.
pub const GWA_E_THROTTLED_LONG: i32 = 4314;
/// The token answer is not the JSON object that RFC 6749 5.1 asks for.
pub const GWA_E_TOKEN_RESPONSE: i32 = 4315;
/// The token is not a bearer token.
pub const GWA_E_TOKEN_TYPE: i32 = 4316;
/// The token lives for less than a second, or was too old on arrival.
pub const GWA_E_TOKEN_LIFETIME: i32 = 4317;
/// The token endpoint refused the request.
pub const GWA_E_OAUTH: i32 = 4318;
/// The credentials no longer work; somebody has to provide new ones.
pub const GWA_E_REAUTH_REQUIRED: i32 = 4319;
/// The token's signature or claims do not pass the checks that were asked for.
pub const GWA_E_TOKEN_UNVERIFIED: i32 = 4320;
/// The issuer's keys cannot be had or read (RFC 7517).
pub const GWA_E_ISSUER_KEYS: i32 = 4321;
/// The issuer could not be asked about the token (RFC 7662).
pub const GWA_E_INTROSPECTION: i32 = 4322;
/// The renewed token is about another subject, client or organisation than the one before it, and is not used.
pub const GWA_E_IDENTITY_CHANGED: i32 = 4323;
/// The token lacks required scopes (a 403-class error).
pub const GWA_E_SCOPE_DENIED: i32 = 4400;
/// The token looks like a JWT and is not one.
pub const GWA_E_TOKEN_MALFORMED: i32 = 4401;
/// The token is opaque and its scopes are not known.
pub const GWA_E_SCOPE_UNKNOWN: i32 = 4402;
/// The WebSocket upgrade was refused.
pub const GWA_E_UPGRADE_REFUSED: i32 = 4500;
/// The WebSocket upgrade was refused with 401.
pub const GWA_E_UPGRADE_UNAUTHORIZED: i32 = 4501;
/// The WebSocket upgrade was refused with 403.
pub const GWA_E_UPGRADE_FORBIDDEN: i32 = 4502;
/// There is no WebSocket at this address (404 or 410).
pub const GWA_E_UPGRADE_NOT_FOUND: i32 = 4503;
/// The WebSocket upgrade took too long.
pub const GWA_E_UPGRADE_TIMEOUT: i32 = 4504;
/// The server refused the authentication message.
pub const GWA_E_AUTH_REFUSED: i32 = 4510;
/// The server did not answer the authentication message in time.
pub const GWA_E_AUTH_TIMEOUT: i32 = 4511;
/// The server limits the rate of authentications.
pub const GWA_E_AUTH_THROTTLED: i32 = 4512;
/// The reply to the authentication message is malformed.
pub const GWA_E_AUTH_REPLY: i32 = 4513;
/// The peer broke the WebSocket protocol.
pub const GWA_E_WS_PROTOCOL: i32 = 4520;
/// The server closed the WebSocket.
pub const GWA_E_WS_CLOSED: i32 = 4521;
/// The peer sent a message above the configured maximum.
pub const GWA_E_MESSAGE_TOO_LARGE: i32 = 4522;
/// The token expired before a new one was accepted.
pub const GWA_E_TOKEN_EXPIRED: i32 = 4523;
/// Another client has taken the channel or its topics.
pub const GWA_E_DISPLACED: i32 = 4530;
/// The channel has expired, was evicted, or its token has ended.
pub const GWA_E_CHANNEL_GONE: i32 = 4531;
/// The API refused the channel or the subscription.
pub const GWA_E_CHANNEL_REFUSED: i32 = 4532;
/// The channel's connectUri does not lead to the streaming host by wss.
pub const GWA_E_CHANNEL_URI: i32 = 4533;
/// The server has revoked the token.
pub const GWA_E_TOKEN_REVOKED: i32 = 4534;
/// A callback or the answer to a request reported a failure.
pub const GWA_E_CALLBACK_FAILED: i32 = 4600;
/// A defect in the library was caught.
pub const GWA_E_PANIC: i32 = 4900;
/// The library could not get what it needs from the system.
pub const GWA_E_INTERNAL: i32 = 4901;

/// Not started, or stopped after a failed connect.
pub const GWA_STATE_IDLE: i32 = 0;
/// A token request is under way and no socket is live.
pub const GWA_STATE_ACQUIRING_TOKEN: i32 = 1;
/// A token's scopes are being checked.
pub const GWA_STATE_VERIFYING_TOKEN: i32 = 2;
/// DNS, TCP, TLS or upgrade.
pub const GWA_STATE_CONNECTING: i32 = 3;
/// The auth message is sent, its reply awaited.
pub const GWA_STATE_AUTHENTICATING: i32 = 4;
/// Authenticated: messages flow.
pub const GWA_STATE_READY: i32 = 5;
/// Ready, and a new token is being presented.
pub const GWA_STATE_RENEWING: i32 = 6;
/// Ready, but something is wrong: the reason says what.
pub const GWA_STATE_DEGRADED: i32 = 7;
/// Waiting before the next attempt.
pub const GWA_STATE_RECONNECTING: i32 = 8;
/// The server limits the rate; waiting as long as it asked.
pub const GWA_STATE_THROTTLED: i32 = 9;
/// The server asked to go; waiting before the first attempt.
pub const GWA_STATE_DRAINING: i32 = 10;
/// Another client took the channel (profile `notifications`).
pub const GWA_STATE_DISPLACED: i32 = 11;
/// New credentials are needed.
pub const GWA_STATE_REAUTH_REQUIRED: i32 = 12;
/// Closed by the application. Final.
pub const GWA_STATE_CLOSED: i32 = 13;
/// Given up. Final.
pub const GWA_STATE_FAILED: i32 = 14;

/// A setting or an argument.
pub const GWA_CATEGORY_CONFIG: i32 = 1;
/// Name resolution.
pub const GWA_CATEGORY_DNS: i32 = 2;
/// TCP.
pub const GWA_CATEGORY_TCP: i32 = 3;
/// A proxy on the way.
pub const GWA_CATEGORY_PROXY: i32 = 4;
/// TLS, certificates included.
pub const GWA_CATEGORY_TLS: i32 = 5;
/// HTTP.
pub const GWA_CATEGORY_HTTP: i32 = 6;
/// OAuth 2.0.
pub const GWA_CATEGORY_OAUTH: i32 = 7;
/// WebSocket and its authentication.
pub const GWA_CATEGORY_WS: i32 = 8;
/// Scopes of a token.
pub const GWA_CATEGORY_SCOPE: i32 = 9;
/// A callback of the application.
pub const GWA_CATEGORY_CALLBACK: i32 = 10;
/// A panic that was caught.
pub const GWA_CATEGORY_PANIC: i32 = 11;
/// Everything else inside the library.
pub const GWA_CATEGORY_INTERNAL: i32 = 12;

/// Level of log: something failed that the library cannot mend by itself.
pub const GWA_LOG_ERROR: i32 = 1;
/// Level of log: something failed and is tried again.
pub const GWA_LOG_WARN: i32 = 2;
/// Level of log: the course of a connection.
pub const GWA_LOG_INFO: i32 = 3;
/// Level of log: what support asks for.
pub const GWA_LOG_DEBUG: i32 = 4;
/// Level of log: everything; never a secret.
pub const GWA_LOG_TRACE: i32 = 5;

/// Everything C asks about a status, as texts that end with NUL.
struct Row {
    number: i32,
    name: Text,
    text: Text,
}

/// All statuses, made at the first question.
fn rows() -> &'static [Row] {
    static ROWS: OnceBox<Vec<Row>> = OnceBox::new();
    ROWS.get_or_init(|| {
        let row = |number, name: &str, text: &str| Row { number, name: Text::new(name), text: Text::new(text) };
        let mut rows = vec![
            row(GWA_OK, "GWA_OK", "Done."),
            row(GWA_DEFERRED, "GWA_DEFERRED", "Done, except for a callback that is still running."),
        ];
        rows.extend(Code::ALL.iter().map(|code| row(code.number(), code.name(), code.text())));
        rows
    })
}

fn find(status: gwa_status_t, pick: fn(&Row) -> &Text) -> *const c_char {
    boundary::value(ptr::null(), || {
        let row = rows().iter().find(|row| row.number == status);
        row.map_or(c"unknown status".as_ptr(), |row| pick(row).with_nul().as_ptr().cast())
    })
}

/// The stable name of a status, e.g. "GWA_E_DNS"; "unknown status" for a number that is none.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the text lives as long as the library. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_status_name(status: gwa_status_t) -> *const c_char {
    find(status, |row| &row.name)
}

/// What a status means, in one sentence; "unknown status" for a number that is none.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the text lives as long as the library. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_status_text(status: gwa_status_t) -> *const c_char {
    find(status, |row| &row.text)
}

/// The table of all statuses, for programs that make one of their own: writes number `index`, counted from
/// 0, to `status`. Name and text are those of gwa_status_name() and gwa_status_text().
///
/// Returns GWA_OK, or GWA_E_INVALID_ARGUMENT behind the last one and for NULL.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_status_at(index: usize, status: *mut gwa_status_t) -> gwa_status_t {
    boundary::status(|| {
        // SAFETY: writable or NULL, by the caller's contract.
        let out = unsafe { raw::out(status, "status") }?;
        let row = rows().get(index).ok_or_else(|| raw::invalid("index", "is behind the last status"))?;
        out.write(row.number);
        Ok(())
    })
}

/// States by number; the numbers are those of `State`.
const STATES: [(State, &CStr); 15] = [
    (State::Idle, c"Idle"),
    (State::AcquiringToken, c"AcquiringToken"),
    (State::VerifyingToken, c"VerifyingToken"),
    (State::Connecting, c"Connecting"),
    (State::Authenticating, c"Authenticating"),
    (State::Ready, c"Ready"),
    (State::Renewing, c"Renewing"),
    (State::Degraded, c"Degraded"),
    (State::Reconnecting, c"Reconnecting"),
    (State::Throttled, c"Throttled"),
    (State::Draining, c"Draining"),
    (State::Displaced, c"Displaced"),
    (State::ReauthRequired, c"ReauthRequired"),
    (State::Closed, c"Closed"),
    (State::Failed, c"Failed"),
];

/// The name of a state, e.g. "Ready" for GWA_STATE_READY; "unknown state" for a number that is none.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
/// Ownership: the text lives as long as the library. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_state_name(state: i32) -> *const c_char {
    STATES.iter().find(|(known, _)| *known as i32 == state).map_or(c"unknown state", |(_, name)| name).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: *const c_char) -> &'static str {
        // SAFETY: texts of these functions end with NUL and live for ever.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap()
    }

    /// `NAME = number` of every constant of this file that begins with `prefix`.
    fn constants(prefix: &str) -> Vec<(String, i32)> {
        let lines = include_str!("status.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
        lines
            .filter(|line| line.starts_with(prefix))
            .map(|line| {
                let (name, value) = line.split_once(": i32 = ").unwrap();
                (name.to_owned(), value.trim_end_matches(';').parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn the_constants_are_the_codes() {
        let codes: Vec<_> = Code::ALL.iter().map(|code| (code.name().to_owned(), code.number())).collect();
        assert_eq!(constants("GWA_E_"), codes);
    }

    #[test]
    fn the_constants_are_the_states() {
        let upper = |name: &str| name.to_uppercase();
        let states: Vec<_> = STATES.iter().map(|(state, _)| (upper(state.name()), *state as i32)).collect();
        let constants = constants("GWA_STATE_");
        let plain = constants.iter().map(|(name, number)| (name["GWA_STATE_".len()..].replace('_', ""), *number));
        assert_eq!(plain.collect::<Vec<_>>(), states);
        assert!(STATES.iter().all(|(state, name)| name.to_str() == Ok(state.name())));
    }

    #[test]
    fn the_constants_are_the_categories() {
        for &code in Code::ALL {
            let category = code.category();
            let name = format!("GWA_CATEGORY_{}", category.name().to_uppercase());
            assert!(constants("GWA_CATEGORY_").contains(&(name, category as i32)), "{code:?}");
        }
    }

    #[test]
    fn every_status_has_a_name_and_a_text() {
        let mut status = 0;
        let mut count = 0;
        // SAFETY: a writable number.
        while unsafe { gwa_status_at(count, &raw mut status) } == GWA_OK {
            count += 1;
            assert!(text(gwa_status_name(status)).starts_with("GWA_"));
            assert!(text(gwa_status_text(status)).ends_with('.'));
        }
        assert_eq!(count, Code::ALL.len() + 2);
        assert_eq!(text(gwa_status_name(-1)), "unknown status");
        assert_eq!(text(gwa_state_name(5)), "Ready");
        assert_eq!(text(gwa_state_name(99)), "unknown state");
    }
}
