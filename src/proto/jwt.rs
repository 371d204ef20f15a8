//! What an access token says of itself, without verifying it (RFC 7519, bounded).

use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine;
use serde_json::{Map, Value};

/// Padding is not allowed by RFC 7515 2, yet servers send it: it says nothing, so it is let pass.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What kind of token it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Jwt {
    /// Three parts, a header with `alg`, a payload that is a JSON object.
    Claims(Claims),
    /// Three parts that are no JWT.
    Malformed,
    /// Anything else: nothing can be read from it.
    Opaque,
}

/// The claims this library reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// `scope` (string or array, RFC 8693 4.2) or else `scp`, in the token's order.
    pub scopes: Option<Vec<String>>,
    /// `client_id` (RFC 8693 4.3).
    pub client_id: Option<String>,
    /// `exp − iat` in milliseconds, when both are there.
    pub lifetime_ms: Option<u64>,
}

/// Reads a token of at most `max_bytes`; a longer one is malformed.
pub fn read(token: &str, max_bytes: usize) -> Jwt {
    if token.len() > max_bytes {
        return Jwt::Malformed;
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Jwt::Opaque;
    };
    match (object(header), object(payload)) {
        (Some(header), Some(payload)) if header.contains_key("alg") => Jwt::Claims(claims(&payload)),
        _ => Jwt::Malformed,
    }
}

/// The payload of what looks like a JWT of at most `max_bytes`.
pub fn payload(token: &str, max_bytes: usize) -> Option<Map<String, Value>> {
    let mut parts = Some(token).filter(|token| token.len() <= max_bytes)?.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(payload), Some(_), None) => object(payload),
        _ => None,
    }
}

/// A part as a JSON object; serde_json bounds the depth at 128.
fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = BASE64.decode(part).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

fn claims(payload: &Map<String, Value>) -> Claims {
    let number = |name| payload.get(name).and_then(Value::as_f64);
    let lifetime_ms = match (number("exp"), number("iat")) {
        // A cast saturates: a token that ends before it begins lives 0 ms and is refused.
        (Some(exp), Some(iat)) => Some(((exp - iat) * 1_000.0) as u64),
        _ => None,
    };
    Claims {
        scopes: ["scope", "scp"].into_iter().find_map(|name| payload.get(name).and_then(scope_list)),
        client_id: payload.get("client_id").and_then(Value::as_str).map(str::to_owned),
        lifetime_ms,
    }
}

/// A list of scopes as a space-separated string or an array of strings.
fn scope_list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(split(text)),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Splits a space-separated list (RFC 6749 3.3).
pub fn split(text: &str) -> Vec<String> {
    text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 16 << 10;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.sig", BASE64.encode(header), BASE64.encode(payload))
    }

    fn scopes(payload: &str) -> Option<Vec<String>> {
        match read(&token(r#"{"alg":"RS256"}"#, payload), MAX) {
            Jwt::Claims(claims) => claims.scopes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scopes_as_string_array_or_scp() {
        let both = Some(vec!["b".to_owned(), "a".to_owned()]);
        assert_eq!(scopes(r#"{"scope":"b  a"}"#), both);
        assert_eq!(scopes(r#"{"scope":["b","a"]}"#), both);
        assert_eq!(scopes(r#"{"scp":"b a"}"#), both);
        assert_eq!(scopes(r#"{"scp":["b","a"]}"#), both);
        assert_eq!(scopes(r#"{"scope":""}"#), Some(vec![]));
        assert_eq!(scopes("{}"), None);
        assert_eq!(scopes(r#"{"scope":[1]}"#), None);
    }

    #[test]
    fn three_parts_are_a_jwt_or_malformed_and_the_rest_is_opaque() {
        let bomb = format!(r#"{{"a":{}}}"#, "[".repeat(5_000));
        for bad in
            ["..", "a.b.c", "eyJ.eyJ.x", &token("{}", "{}"), &token(r#"{"alg":1}"#, "[]"), &token("{\"alg\":1}", &bomb)]
        {
            assert_eq!(read(bad, MAX), Jwt::Malformed, "{bad}");
        }
        for opaque in ["", "abc", "a.b", "a.b.c.d", "opaque-token_1"] {
            assert_eq!(read(opaque, MAX), Jwt::Opaque, "{opaque}");
        }
        assert_eq!(read(&"x".repeat(MAX + 1), MAX), Jwt::Malformed);
    }

    #[test]
    fn the_lifetime_needs_both_times_and_never_wraps() {
        let lifetime = |payload: &str| match read(&token(r#"{"alg":"x"}"#, payload), MAX) {
            Jwt::Claims(claims) => claims.lifetime_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(lifetime(r#"{"iat":1700000000,"exp":1700000060}"#), Some(60_000));
        assert_eq!(lifetime(r#"{"iat":10,"exp":5}"#), Some(0));
        assert_eq!(lifetime(r#"{"iat":0,"exp":1e300}"#), Some(u64::MAX));
        assert_eq!(lifetime(r#"{"exp":5}"#), None);
    }
}
