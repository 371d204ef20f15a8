//! Where a user signs in: `GET /oauth/authorize`. The user consents, refuses or does nothing, as scripted.

use std::fmt::Write as _;

use super::{Code, Ledger};
use crate::sim::http::{form_field, Answer, Incoming};
use crate::sim::script::AuthorizeReply;
use crate::sim::server::redirect;

/// What the sign-in page answers (RFC 6749, 4.1.1 and 4.1.2; RFC 7636, 4.3).
pub(crate) fn consent(ledger: &mut Ledger, request: &Incoming, reply: &AuthorizeReply) -> Answer {
    let field = |name| form_field(request.query.as_bytes(), name);
    let page = |status, text: &str| Answer::new(status, "text/html", format!("<html><body>{text}</body></html>"));
    if request.method != "GET" || field("response_type").as_deref() != Some("code") {
        return page(400, "response_type is not code");
    }
    if field("client_id").is_none_or(|id| id != ledger.policy.client_id) {
        return page(400, "client_id is not known");
    }
    let Some(redirect_uri) = field("redirect_uri").filter(|uri| !uri.is_empty()) else {
        return page(400, "redirect_uri is missing");
    };
    let challenge = field("code_challenge");
    if challenge.is_some() && field("code_challenge_method").as_deref() != Some("S256") {
        return page(400, "code_challenge_method is not S256");
    }
    let state = field("state");
    let answered = match reply {
        AuthorizeReply::Page => return page(200, "Sign in"),
        AuthorizeReply::Deny { error } => vec![("error", error.clone())],
        AuthorizeReply::Consent | AuthorizeReply::WrongState => {
            let code = ledger.noise(43);
            let terms = Code { redirect_uri: Some(redirect_uri.clone()), challenge };
            ledger.codes.insert(code.clone(), terms);
            vec![("code", code)]
        }
    };
    let state = match reply {
        AuthorizeReply::WrongState => Some(ledger.noise(20)),
        _ => state,
    };
    let fields: Vec<_> = answered.into_iter().chain(state.map(|state| ("state", state))).collect();
    redirect(&with_query(&redirect_uri, &fields))
}

fn with_query(uri: &str, fields: &[(&str, String)]) -> String {
    let mut out = uri.to_owned();
    for (name, value) in fields {
        let mark = if out.contains('?') { '&' } else { '?' };
        let _ = write!(out, "{mark}{name}={}", percent(value));
    }
    out
}

/// Percent-encoded but for unreserved characters (RFC 3986, 2.1).
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_carry_their_fields() {
        let fields = [("code", "a/b".to_owned()), ("state", "x y".to_owned())];
        assert_eq!(with_query("http://127.0.0.1/cb", &fields), "http://127.0.0.1/cb?code=a%2Fb&state=x%20y");
        assert_eq!(with_query("app:cb?q=1", &fields[..1]), "app:cb?q=1&code=a%2Fb");
    }
}
