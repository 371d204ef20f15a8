//! The token request as data, and what its answer means (RFC 6749 4–6, and Genesys's ways).

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::frame::{printable, without_secrets};
use super::http::{Body, Method, Reply, Request};
use super::retry_after;
use crate::config::settings::{BasicEncoding, Grant, Settings};
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

/// A `Retry-After` above this is no throttle to sit out quietly but a quota that is used up.
pub const LONG_WAIT_MS: u64 = 180_000;

/// The credentials in force.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Client secret.
    pub client_secret: Secret,
    /// Refresh token, the newest that is known.
    pub refresh_token: Option<Secret>,
    /// Authorization code; serves once.
    pub code: Option<Secret>,
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

/// What proves our right in the next request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// `authorization_code`.
    Code,
    /// `refresh_token`.
    RefreshToken,
    /// `client_credentials`.
    ClientCredentials,
    /// Nothing at hand: the application has to be asked for a code.
    Missing,
}

/// Which grant the next request uses: a code that was just handed over, else as set.
pub fn proof(grant: Grant, credentials: &Credentials) -> Proof {
    let refresh = credentials.refresh_token.is_some();
    match grant {
        _ if credentials.code.is_some() => Proof::Code,
        Grant::Auto | Grant::RefreshToken | Grant::AuthorizationCode if refresh => Proof::RefreshToken,
        Grant::Auto | Grant::ClientCredentials => Proof::ClientCredentials,
        // `Application`: the application is asked instead, for the token itself.
        Grant::RefreshToken | Grant::AuthorizationCode | Grant::Application => Proof::Missing,
    }
}

/// The request for a token; `None` when there is no proof to send.
pub fn request(settings: &Settings, credentials: &Credentials, timeout_ms: u64) -> Option<Request> {
    let mut form = Form::default();
    match proof(settings.grant, credentials) {
        Proof::Code => {
            form.add("grant_type", "authorization_code");
            form.add("code", credentials.code.as_ref()?.expose());
            form.add("redirect_uri", &settings.redirect_uri);
        }
        Proof::RefreshToken => {
            form.add("grant_type", "refresh_token");
            form.add("refresh_token", credentials.refresh_token.as_ref()?.expose());
        }
        Proof::ClientCredentials => form.add("grant_type", "client_credentials"),
        Proof::Missing => return None,
    }
    Some(Request {
        method: Method::Post,
        url: settings.token_url.clone(),
        authorization: basic(settings, &credentials.client_secret),
        body: Body::Form(form.finish()),
        timeout_ms,
    })
}

fn basic(settings: &Settings, client_secret: &Secret) -> Secret {
    let encode = |text: &str| match settings.basic {
        BasicEncoding::Rfc6749 => form_encoded(text),
        BasicEncoding::Raw => Zeroizing::new(text.to_owned()),
    };
    let pair = Zeroizing::new(format!("{}:{}", *encode(&settings.client_id), *encode(client_secret.expose())));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    Secret::new(format!("Basic {}", *encoded))
}

#[derive(Default)]
struct Form(Zeroizing<String>);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { "" } else { "&" };
        // A new string each time: growing in place would leave an unwiped copy behind.
        self.0 = Zeroizing::new(format!("{}{separator}{name}={}", *self.0, *form_encoded(value)));
    }

    fn finish(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.0))
    }
}

/// Everything of a request that a server could repeat: credentials plain and encoded, and the Basic header.
pub fn secrets_of(request: &Request, credentials: &Credentials) -> Vec<Secret> {
    let Credentials { client_secret, refresh_token, code } = credentials;
    let basic = request.authorization.expose().strip_prefix("Basic ").unwrap_or_default();
    let plain = [Some(client_secret), refresh_token.as_ref(), code.as_ref()].into_iter().flatten();
    let encoded = plain.clone().map(|secret| Secret::new(std::mem::take(&mut *form_encoded(secret.expose()))));
    let mut all: Vec<Secret> = plain.cloned().chain(encoded).collect();
    all.push(Secret::new(basic.to_owned()));
    all
}

/// `application/x-www-form-urlencoded` (WHATWG URL 5.2), as RFC 6749 appendix B asks.
fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                const HEX: [char; 16] =
                    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
                out.push('%');
                out.extend(HEX.get(usize::from(byte >> 4)));
                out.extend(HEX.get(usize::from(byte & 15)));
            }
        }
    }
    out
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

    fn credentials(refresh_token: Option<&str>) -> Credentials {
        Credentials {
            client_secret: Secret::new("s:&é".into()),
            refresh_token: refresh_token.map(|text| Secret::new(text.into())),
            code: None,
        }
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
    fn the_request_is_the_tutorials() {
        let request = request(&settings(), &credentials(Some("r+/=")), 1).unwrap();
        assert_eq!(request.body.text(), "grant_type=refresh_token&refresh_token=r%2B%2F%3D");
        assert_eq!(request.authorization.expose(), format!("Basic {}", STANDARD.encode("id+one:s%3A%26%C3%A9")));
        let raw = Settings { basic: BasicEncoding::Raw, ..settings() };
        let request = super::request(&raw, &credentials(None), 1).unwrap();
        assert_eq!(request.body.text(), "grant_type=client_credentials");
        assert_eq!(request.authorization.expose(), format!("Basic {}", STANDARD.encode("id one:s:&é")));
    }

    #[test]
    fn a_code_goes_first_and_a_missing_proof_is_no_request() {
        let set = Settings { grant: Grant::AuthorizationCode, redirect_uri: "http://x/".into(), ..settings() };
        assert!(request(&set, &credentials(None), 1).is_none());
        let with_code = Credentials { code: Some(Secret::new("c".into())), ..credentials(Some("r")) };
        assert_eq!(
            request(&set, &with_code, 1).unwrap().body.text(),
            "grant_type=authorization_code&code=c&redirect_uri=http%3A%2F%2Fx%2F"
        );
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
    fn whatever_of_the_request_a_server_repeats_is_struck_out() {
        let credentials = credentials(Some("refresh+token/with=signs"));
        let request = request(&settings(), &credentials, 1).unwrap();
        let secrets = secrets_of(&request, &credentials);
        let sent = format!("{} {} s:&é", request.authorization.expose(), request.body.text());
        let body = serde_json::json!({"error": "invalid_grant", "error_description": sent, "x": 1}).to_string();
        let with_id = Reply { correlation_id: Some(sent), ..reply(400, &body) };
        let shown = format!("{:?}", read(with_id, &settings(), &secrets, 0).unwrap_err());
        let basic = request.authorization.expose().strip_prefix("Basic ").unwrap();
        for secret in [basic, "refresh+token/with=signs", "refresh%2Btoken", "s:&é"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
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
