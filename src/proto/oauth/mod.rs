//! The token request as data, and what its answer means (RFC 6749 4–6, and Genesys's ways).

pub mod assertion;
mod authorize;
mod form;
mod request;

use serde_json::{Map, Value};
use zeroize::Zeroize;

pub use self::authorize::Authorization;
pub use self::request::{introspection, proof, request, secrets_of, Proof};
use super::frame::{printable, without_secrets};
use super::http::Reply;
use super::retry_after;
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

/// A `Retry-After` above this is no throttle to sit out quietly but a quota that is used up.
pub const LONG_WAIT_MS: u64 = 180_000;

/// The credentials in force.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Client secret.
    pub client_secret: Secret,
    /// Refresh token, the newest that is known.
    pub refresh_token: Option<Secret>,
    /// Authorization code; serves once.
    pub code: Option<Secret>,
    /// What proves that the code was asked for here (RFC 7636 4.1): of the last question.
    pub verifier: Option<Secret>,
    /// Where the redirect of the last question comes to, if not to `token.redirect_uri`: the port was to be chosen.
    pub redirect_uri: Option<String>,
    /// SAML assertion, until it is refused.
    pub saml_assertion: Option<Secret>,
}

/// A granted token as answered, nothing checked but its form.
#[derive(Clone, Debug)]
pub struct Granted {
    /// `access_token`.
    pub access_token: Secret,
    /// `token_type`, as sent.
    pub token_type: String,
    /// `expires_in` in milliseconds, if it is a number; negative and zero are kept.
    pub expires_in_ms: Option<i64>,
    /// `refresh_token`.
    pub refresh_token: Option<Secret>,
    /// `scope`.
    pub scope: Option<String>,
}

/// What the answer means. `secrets` are struck out of any text of the server that enters the error.
pub fn read(mut reply: Reply, settings: &Settings, secrets: &[Secret], wall_ms: u64) -> Result<Granted, Error> {
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    reply.body.zeroize();
    reply.correlation_id = reply.correlation_id.map(|id| clean(&id, secrets));
    match (reply.status, body) {
        (200..=299, Some(Value::Object(body))) => granted(body, settings, secrets),
        (200..=299, _) => Err(fault(&reply, Code::TokenResponse, "The body is not a JSON object.")),
        (_, body) => Err(refused(&reply, body.as_ref(), secrets, wall_ms)),
    }
}

fn granted(mut body: Map<String, Value>, settings: &Settings, secrets: &[Secret]) -> Result<Granted, Error> {
    let mut secret = |name: &str| match body.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(Secret::new(text)),
        _ => None,
    };
    let (access_token, refresh_token) = (secret("access_token"), secret("refresh_token"));
    let Some(access_token) = access_token else { return Err(no_token("access_token is missing.")) };
    check_form(&access_token, settings)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let token_type = text("token_type").unwrap_or_default();
    if !token_type.eq_ignore_ascii_case("bearer") {
        let own = [Some(&access_token), refresh_token.as_ref()].into_iter().flatten();
        let text = format!("token_type is {:?}.", clean(&without_secrets(&token_type, own), secrets));
        return Err(Error::new(Code::TokenType, Stage::Token, text));
    }
    let expires_in_ms = body.get("expires_in").and_then(expires_in_ms);
    Ok(Granted { access_token, token_type, expires_in_ms, refresh_token, scope: text("scope") })
}

/// What the application provides, as if it had been granted.
pub fn provided(token: Secret, expires_in_ms: Option<u64>, settings: &Settings) -> Result<Granted, Error> {
    check_form(&token, settings)?;
    Ok(Granted {
        access_token: token,
        token_type: "bearer".into(),
        expires_in_ms: expires_in_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        refresh_token: None,
        scope: None,
    })
}

fn check_form(token: &Secret, settings: &Settings) -> Result<(), Error> {
    if token.expose().len() > settings.max_token_bytes {
        return Err(no_token("access_token is longer than the configured maximum."));
    }
    if !is_token(token.expose()) {
        return Err(no_token("access_token has characters that RFC 6749 A.12 does not allow."));
    }
    Ok(())
}

/// RFC 6749 A.12: visible ASCII. Anything else would not survive a header or a frame.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

fn no_token(text: &str) -> Error {
    Error::new(Code::TokenResponse, Stage::Token, text)
}

/// A number, or a string that holds one; in milliseconds, rounded down. The cast saturates.
fn expires_in_ms(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok().filter(|seconds: &f64| seconds.is_finite())?,
        _ => return None,
    };
    Some((seconds * 1_000.0).floor() as i64)
}

fn refused(reply: &Reply, body: Option<&Value>, secrets: &[Secret], wall_ms: u64) -> Error {
    let text = |name: &str| body.and_then(|body| body.get(name)).and_then(Value::as_str).unwrap_or_default();
    let described = [text("error_description"), text("description"), text("message")];
    let description = described.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let oauth_error = text("error");
    let retry_after =
        reply.retry_after.as_deref().and_then(|value| retry_after::read(value, reply.date.as_deref(), wall_ms));
    let mut code = refusal(reply.status, oauth_error, description);
    if code.is_retriable() && retry_after.is_some_and(|wait| wait > LONG_WAIT_MS) {
        code = Code::ThrottledLong;
    }
    let clean = |text: &str| clean(text, secrets);
    fault(reply, code, &said(reply.status, &clean(oauth_error), &clean(description))).with(|detail| {
        detail.oauth_error = clean(oauth_error);
        detail.retry_after_ms = retry_after.filter(|_| code.is_retriable());
    })
}

fn said(status: u16, oauth_error: &str, description: &str) -> String {
    match (oauth_error.is_empty(), description.is_empty()) {
        (true, true) => format!("HTTP {status}."),
        (false, true) => format!("HTTP {status}: {oauth_error}."),
        (true, false) => format!("HTTP {status}: {description}."),
        (false, false) => format!("HTTP {status}: {oauth_error} ({description})."),
    }
}

/// The table of `seed-protocol.md`: status and OAuth error to code.
fn refusal(status: u16, oauth_error: &str, description: &str) -> Code {
    match (status, oauth_error) {
        (300..=399, _) => Code::Redirect,
        (401, _) | (400, "invalid_client") => Code::Unauthorized,
        (403, _) | (400, "unauthorized_client" | "unsupported_grant_type") => Code::Forbidden,
        (429, _) => Code::Throttled,
        (400, "invalid_request") if description.contains("rate limit exceeded") => Code::Throttled,
        (400, "invalid_grant") => Code::InvalidGrant,
        (408 | 425 | 500..=599, _) => Code::Unavailable,
        (400..=499, "") => Code::HttpStatus,
        (400..=499, _) => Code::Oauth,
        _ => Code::HttpProtocol,
    }
}

fn fault(reply: &Reply, code: Code, text: &str) -> Error {
    Error::new(code, Stage::Token, text).with(|detail| {
        detail.http_status = reply.status;
        detail.correlation_id = reply.correlation_id.clone().unwrap_or_default();
    })
}

/// A text of the server, fit for an error.
fn clean(text: &str, secrets: &[Secret]) -> String {
    printable(&without_secrets(text, secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { client_id: "id one".into(), ..Settings::default() }
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, body: body.into(), ..Reply::default() }
    }

    fn code(status: u16, body: &str) -> Code {
        read(reply(status, body), &settings(), &[], 0).unwrap_err().code()
    }

    fn granted(body: &str) -> Granted {
        read(reply(200, body), &settings(), &[], 0).unwrap()
    }

    #[test]
    fn the_table_of_refusals() {
        for (status, body, expected) in [
            (401, "", Code::Unauthorized),
            (400, r#"{"error":"invalid_client","description":"authentication failed"}"#, Code::Unauthorized),
            (403, "", Code::Forbidden),
            (400, r#"{"error":"unauthorized_client"}"#, Code::Forbidden),
            (429, "", Code::Throttled),
            (400, r#"{"error":"invalid_request","description":"rate limit exceeded; x"}"#, Code::Throttled),
            (400, r#"{"error":"invalid_request","description":"other"}"#, Code::Oauth),
            (400, r#"{"error":"invalid_grant"}"#, Code::InvalidGrant),
            (400, "", Code::HttpStatus),
            (404, "<html>", Code::HttpStatus),
            (408, "", Code::Unavailable),
            (425, "", Code::Unavailable),
            (500, "", Code::Unavailable),
            (504, "", Code::Unavailable),
            (599, "", Code::Unavailable),
            (302, "", Code::Redirect),
            (200, "<html>", Code::TokenResponse),
            (200, "[]", Code::TokenResponse),
            (200, r#"{"token_type":"bearer"}"#, Code::TokenResponse),
            (200, "{\"access_token\":\"a\\nb\",\"token_type\":\"bearer\"}", Code::TokenResponse),
            (200, r#"{"access_token":"a","token_type":"mac"}"#, Code::TokenType),
            (200, r#"{"access_token":"a"}"#, Code::TokenType),
        ] {
            assert_eq!(code(status, body), expected, "{status} {body}");
        }
        let long = format!(r#"{{"access_token":"{}","token_type":"bearer"}}"#, "x".repeat(20_000));
        assert_eq!(code(200, &long), Code::TokenResponse);
        assert_eq!(code(200, &"[".repeat(60_000)), Code::TokenResponse);
    }

    #[test]
    fn lifetimes_in_every_spelling() {
        let with = |value: &str| {
            granted(&format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{value}}}"#)).expires_in_ms
        };
        assert_eq!(with("3600"), Some(3_600_000));
        assert_eq!(with("\"3600\""), Some(3_600_000));
        assert_eq!(with("1.2345"), Some(1_234));
        assert_eq!(with("-5"), Some(-5_000));
        assert_eq!(with("1e300"), Some(i64::MAX));
        for unknown in ["null", "\"soon\"", "\"inf\"", "[]", "true"] {
            assert_eq!(with(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_throttle_carries_its_wait_and_a_long_one_is_told_apart() {
        let wait = |value: &str| {
            let reply = Reply { retry_after: Some(value.into()), ..reply(429, "") };
            let error = read(reply, &settings(), &[], 0).unwrap_err();
            (error.code(), error.retry_after_ms())
        };
        assert_eq!(wait("180"), (Code::Throttled, Some(180_000)));
        assert_eq!(wait("181"), (Code::ThrottledLong, Some(181_000)));
        assert_eq!(wait("soon"), (Code::Throttled, None));
    }

    #[test]
    fn a_server_that_repeats_secrets_is_struck_out() {
        let secret = Secret::new("top-secret".into());
        let body = r#"{"error":"invalid_grant","error_description":"token top-secret is dead"}"#;
        let error = read(reply(400, body), &settings(), &[secret], 0).unwrap_err();
        assert_eq!(error.detail().message, "HTTP 400: invalid_grant (token *** is dead).");
        assert!(!format!("{error:?}").contains("top-secret"));
    }
}
