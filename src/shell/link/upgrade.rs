//! The WebSocket upgrade: the request, and what a refusal means.

use tungstenite::error::ProtocolError;
use tungstenite::handshake::client::{generate_key, Request};
use tungstenite::http::header::HeaderValue;
use tungstenite::http::StatusCode;
use tungstenite::Error as WsError;
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::error::{Code, Error, Stage};
use crate::proto::oauth::LONG_WAIT_MS;
use crate::proto::retry_after;
use crate::shell::dial::Target;
use crate::shell::tls;

/// Headers that belong to the upgrade itself.
const RESERVED: [&str; 4] = ["host", "connection", "upgrade", "user-agent"];

/// The upgrade request, without its path and the application's own headers: a channel's path is a secret.
pub fn request(target: &Target, settings: &Settings) -> Result<Request, Error> {
    let scheme = if target.tls { "wss" } else { "ws" };
    let mut builder = Request::builder()
        .uri(format!("{scheme}://{}/", target.authority()))
        .header("Host", target.authority())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("User-Agent", &settings.user_agent);
    for (name, value) in [("Origin", &settings.origin), ("Sec-WebSocket-Protocol", &settings.subprotocol)] {
        if !value.is_empty() {
            builder = builder.header(name, value);
        }
    }
    builder.body(()).map_err(|error| bad(format!("The upgrade cannot be asked for: {error}.")))
}

/// The application's own headers as they go on the wire. They may hold credentials, so tungstenite, which logs the
/// request, does not see them.
pub fn private_headers(settings: &Settings) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut lines = Zeroizing::new(Vec::new());
    for (name, value) in &settings.headers {
        let is_reserved = RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        let is_ours = name.to_ascii_lowercase().starts_with("sec-websocket-");
        let is_name = tungstenite::http::HeaderName::from_bytes(name.as_bytes()).is_ok();
        if is_reserved || is_ours || !is_name || HeaderValue::from_str(value).is_err() {
            return Err(bad(format!("The header {name:?} cannot be sent.")));
        }
        lines.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    Ok(lines)
}

/// Why the upgrade failed.
pub fn refusal(error: &WsError, wall_ms: u64) -> Error {
    match error {
        WsError::Http(response) => refused(response.as_ref(), wall_ms),
        // What `Head` says of an answer that does not end.
        WsError::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Error::new(Code::WsProtocol, Stage::Upgrade, "The head of the answer is too long.")
        }
        WsError::Io(error) => tls::fault(error, Stage::Upgrade),
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => {
            Error::new(Code::Dropped, Stage::Upgrade, "The peer hung up.")
        }
        other => Error::new(Code::WsProtocol, Stage::Upgrade, format!("{other}.")),
    }
}

fn refused<T>(response: &tungstenite::http::Response<T>, wall_ms: u64) -> Error {
    let status = response.status();
    let code = match status {
        StatusCode::UNAUTHORIZED => Code::UpgradeUnauthorized,
        StatusCode::FORBIDDEN => Code::UpgradeForbidden,
        StatusCode::NOT_FOUND | StatusCode::GONE => Code::UpgradeNotFound,
        StatusCode::TOO_MANY_REQUESTS => Code::Throttled,
        _ => Code::UpgradeRefused,
    };
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let redirected = if status.is_redirection() { " A redirect is not followed." } else { "" };
    let message = format!("The answer was {}.{redirected}", status.as_u16());
    let asked_ms = text("Retry-After").and_then(|value| retry_after::read(value, text("Date"), wall_ms));
    let long = asked_ms.is_some_and(|ms| ms > LONG_WAIT_MS);
    let code = if long && code.is_retriable() { Code::ThrottledLong } else { code };
    Error::new(code, Stage::Upgrade, message).with(|detail| {
        detail.http_status = status.as_u16();
        detail.retry_after_ms = asked_ms;
        detail.correlation_id = text("ININ-Correlation-Id").unwrap_or_default().into();
        detail.fatal |= status.is_redirection();
    })
}

/// Bytes of an answer, for tests of the mapping.
#[cfg(test)]
fn answer(status: u16, retry_after: &str) -> WsError {
    let response = tungstenite::handshake::client::Response::new(None);
    let (mut parts, body) = response.into_parts();
    parts.status = StatusCode::from_u16(status).unwrap();
    parts.headers.insert("Retry-After", HeaderValue::from_str(retry_after).unwrap());
    WsError::Http(Box::new(tungstenite::http::Response::from_parts(parts, body)))
}

fn bad(text: String) -> Error {
    Error::new(Code::BadValue, Stage::Configure, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_status() {
        let cases = [
            (401, Code::UpgradeUnauthorized),
            (403, Code::UpgradeForbidden),
            (404, Code::UpgradeNotFound),
            (410, Code::UpgradeNotFound),
            (429, Code::Throttled),
            (503, Code::UpgradeRefused),
            (302, Code::UpgradeRefused),
            (200, Code::UpgradeRefused),
        ];
        for (status, code) in cases {
            let error = refusal(&answer(status, "7"), 0);
            assert_eq!((error.code(), error.detail().http_status), (code, status));
            assert_eq!(error.retry_after_ms(), Some(7_000));
            assert_eq!(error.detail().fatal, !code.is_retriable() || status == 302);
        }
    }

    #[test]
    fn a_wait_beyond_all_numbers_is_cut_and_not_wrapped() {
        let wait = refusal(&answer(503, "99999999999999999999999"), 0).retry_after_ms().unwrap();
        assert!(wait > 180_000 && wait < 365 * 24 * 3_600_000, "{wait}");
        assert_eq!(refusal(&answer(503, "-1"), 0).retry_after_ms(), None);
    }

    #[test]
    fn headers_that_cannot_or_must_not_be_sent_are_refused() {
        let with = |name: &str, value: &str| {
            let settings = Settings { headers: vec![(name.into(), value.into())], ..Settings::default() };
            private_headers(&settings)
        };
        assert_eq!(**with("X-Key", "a b").unwrap(), *b"X-Key: a b\r\n");
        for (name, value) in [("Host", "x"), ("Sec-WebSocket-Key", "x"), ("a b", "x"), ("", "x"), ("X", "a\r\nB: c")] {
            assert_eq!(with(name, value).unwrap_err().code(), Code::BadValue, "{name}");
        }
    }
}
