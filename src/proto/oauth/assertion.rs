//! A JWT that proves who the client is instead of a shared secret (RFC 7523 2.2 and 3, OpenID Connect Core 9
//! `private_key_jwt`). What it says is decided here; whoever has the key signs it.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::Value;

use super::form::Form;
use crate::config::settings::Settings;
use crate::proto::http::{Body, Request};
use crate::secret::Secret;

/// `client_assertion_type` (RFC 7523 2.2).
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long it is good, and how much of that lies in the past: clocks are known to about a second, and an assertion
/// from the future is refused.
const LIFE_S: u64 = 60;
const PAST_S: u64 = 5;

/// The claims of one assertion. It serves for one request.
pub fn claims(settings: &Settings, id: &str, server_wall_ms: u64) -> String {
    let issued = (server_wall_ms / 1_000).saturating_sub(PAST_S);
    let text = |text: &str| Value::from(text).to_string();
    let (client, audience) = (text(&settings.client_id), text(&settings.assertion_audience));
    let expires = issued + LIFE_S;
    format!(r#"{{"iss":{client},"sub":{client},"aud":{audience},"jti":{},"iat":{issued},"exp":{expires}}}"#, text(id))
}

/// What is signed (RFC 7515 5.1).
pub fn signing_input(claims: &str, algorithm: &str, key_id: &str) -> String {
    let key_id = if key_id.is_empty() { String::new() } else { format!(r#","kid":{}"#, Value::from(key_id)) };
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"{key_id}}}"#);
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// The assertion: what was signed, and its signature.
pub fn signed(input: &str, signature: &[u8]) -> Secret {
    Secret::new(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The request with the assertion in its form.
pub fn with_assertion(request: Request, assertion: &Secret) -> Request {
    let mut form = Form::default();
    form.add("client_assertion_type", TYPE);
    form.add("client_assertion", assertion.expose());
    let whole = format!("{}&{}", request.body.text(), form.finish().expose());
    Request { body: Body::Form(Secret::new(whole)), ..request }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_are_those_of_rfc_7523() {
        let settings = Settings {
            client_id: "s6BhdRkqt3\"".into(),
            assertion_audience: "https://as.example/".into(),
            ..Settings::default()
        };
        let claims: Value = serde_json::from_str(&claims(&settings, "fresh", 1_767_225_600_900)).unwrap();
        let wanted = serde_json::json!({
            "iss": "s6BhdRkqt3\"", "sub": "s6BhdRkqt3\"", "aud": "https://as.example/", "jti": "fresh",
            "iat": 1_767_225_595, "exp": 1_767_225_655
        });
        assert_eq!(claims, wanted);
    }

    #[test]
    fn the_input_is_that_of_rfc_7515() {
        // Appendix A.2.1 and A.3.1: the same header member and payload, the header without spaces.
        let payload = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let input = signing_input(payload, "RS256", "");
        let (header, rest) = input.split_once('.').unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(header).unwrap(), br#"{"alg":"RS256","typ":"JWT"}"#);
        assert_eq!(
            rest,
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        );
        let header = signing_input("", "ES256", "a\"b");
        assert_eq!(
            URL_SAFE_NO_PAD.decode(header.trim_end_matches('.')).unwrap(),
            br#"{"alg":"ES256","typ":"JWT","kid":"a\"b"}"#
        );
    }
}
