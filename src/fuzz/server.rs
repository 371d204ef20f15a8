//! What servers say: to a token request, to an authentication message, of a channel.

use serde_json::{json, Value};

use super::said::{Said, AUDIENCE, ISSUER};
use super::{line, text_line};
use crate::config::settings::Settings;
use crate::error::Error;
use crate::proto::frame::{printable, read_reply, without_secrets, AuthReply};
use crate::proto::http::Reply;
use crate::proto::introspection::{self, Introspected};
use crate::proto::jwks;
use crate::proto::notifications::frames;
use crate::proto::oauth::{self, Granted};
use crate::secret::Secret;

const NOW_MS: u64 = 1_700_000_000_000;

/// Nobody but the library knows it, and a server that repeats it.
const CANARY: &str = "canary-0123456789abcdef-canary";

/// Headers of an answer, a line each: status, `Retry-After`, `Date`, `ININ-Correlation-Id`; then its body. No error
/// shows a secret that was sent, or leaves its line.
pub fn token_response(data: &[u8]) {
    token_response_by(data, oauth::read);
}

fn token_response_by(data: &[u8], read: fn(Reply, &Settings, &[Secret], u64) -> Result<Granted, Error>) {
    let (status, rest) = text_line(data);
    let (retry_after, rest) = text_line(rest);
    let (date, rest) = text_line(rest);
    let (correlation_id, body) = text_line(rest);
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let reply = Reply {
        status: status.parse().unwrap_or(200),
        retry_after: given(retry_after),
        date: given(date),
        correlation_id: given(correlation_id),
        body: body.to_vec(),
        ..Reply::default()
    };
    let settings = Settings::default();
    match read(reply, &settings, &[Secret::new(CANARY.into())], NOW_MS) {
        Ok(granted) => {
            let token = granted.access_token.expose();
            assert!(oauth::is_token(token) && token.len() <= settings.max_token_bytes);
            assert!(granted.token_type.eq_ignore_ascii_case("bearer"));
            assert!(
                !format!("{granted:?}").contains(CANARY) || granted.scope.is_some_and(|scope| scope.contains(CANARY))
            );
        }
        Err(error) => {
            let shown = format!("{error} {:?}", error.detail());
            assert!(!shown.contains(CANARY), "{shown}");
            assert!(!error.to_string().contains(char::is_control), "{shown}");
        }
    }
}

/// A status and `Cache-Control`, a line each, and the answer to the question about a token: what is believed is active,
/// for us and good now, and no error has anything of the answer.
pub fn introspection(data: &[u8]) {
    introspection_by(data, introspection::read);
}

fn introspection_by(data: &[u8], read: impl Fn(Reply, &Settings, u64) -> Result<Introspected, Error>) {
    let (status, rest) = text_line(data);
    let (cache_control, body) = text_line(rest);
    let status = status.parse().unwrap_or(200);
    let reply = |body: &[u8]| Reply {
        status,
        cache_control: Some(cache_control.clone()),
        body: body.to_vec(),
        ..Reply::default()
    };
    if let Ok((keys, fresh_ms)) = jwks::read(&reply(body), NOW_MS) {
        assert!(keys.len() <= 100 && (60_000..=86_400_000).contains(&fresh_ms));
    }
    for issuer in ["", ISSUER] {
        let settings = asks_for(issuer);
        match read(reply(body), &settings, NOW_MS) {
            Ok(said) => {
                assert_eq!(status, 200);
                keeps_the_rules(body, &said, &settings);
            }
            Err(error) => {
                let shown = error.to_string();
                assert!(!shown.contains(char::is_control) && shown.len() < 300, "{shown}");
            }
        }
    }
    let settings = asks_for(ISSUER);
    for body in planted(body) {
        let errors = [read(reply(&body), &settings, NOW_MS).err(), jwks::read(&reply(&body), NOW_MS).err()];
        errors.iter().flatten().for_each(has_nothing_planted);
    }
}

fn asks_for(issuer: &str) -> Settings {
    let mut settings = Settings::default();
    settings.verification.audience = AUDIENCE.into();
    settings.verification.issuer = issuer.into();
    settings
}

fn keeps_the_rules(body: &[u8], said: &Introspected, settings: &Settings) {
    let answer = Said::of_answer(body);
    assert!(answer.is_true("active"), "believed, and not active");
    answer.assert_types(&["iss", "sub", "client_id", "azp", "org"], &["aud", "scope"]);
    answer.assert_in_time(NOW_MS, settings.verification.leeway_ms);
    answer.assert_audience();
    if !settings.verification.issuer.is_empty() {
        answer.assert_issuer();
    }
    assert_eq!(answer.text("sub"), said.identity.subject.as_deref(), "another subject");
    let scopes = said.scopes.as_ref().map(|scopes| scopes.iter().map(String::as_str).collect());
    assert_eq!(answer.scopes(), scopes, "other scopes");
}

/// What nobody says but the answer: a text, and times long gone and far ahead.
const PLANTED: &str = "planted-7f3a91";
const PLANTED_TIMES: [u64; 2] = [1_234_567_890, 9_876_543_210];
/// Where it is planted: in every member that somebody reads.
const READ: [&str; 13] =
    ["active", "scope", "client_id", "azp", "sub", "org", "aud", "iss", "exp", "nbf", "iat", "keys", PLANTED];
/// Larger answers have it only after their end, or little else would be done than planting.
const PLANTED_MOST: usize = 1 << 10;

/// The answer with something in it, in one place each, that an error would show if it showed anything of the answer.
fn planted(body: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![[body, PLANTED.as_bytes()].concat()];
    if body.len() > PLANTED_MOST {
        return all;
    }
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return all };
    let [past, future] = PLANTED_TIMES;
    let values =
        [json!(PLANTED), json!([PLANTED, 1]), json!([{ "kty": PLANTED, PLANTED: 1 }]), json!(past), json!(future)];
    for (name, value) in READ.iter().flat_map(|name| values.iter().map(move |value| (*name, value))) {
        let mut answer = answer.clone();
        answer.insert(name.to_owned(), value.clone());
        all.push(Value::Object(answer).to_string().into_bytes());
    }
    all
}

fn has_nothing_planted(error: &Error) {
    let shown = format!("{error} {:?}", error.detail());
    let times = PLANTED_TIMES.map(|time| time.to_string());
    assert!(!shown.contains(PLANTED) && !times.iter().any(|time| shown.contains(time)), "of the answer: {shown}");
}

/// A secret, and after it a text that may be the reply to an authentication message. What is struck out of it is out.
pub fn auth_reply(data: &[u8]) {
    auth_reply_by(data, |text, secret| without_secrets(text, [secret]));
}

fn auth_reply_by(data: &[u8], strike: fn(&str, &Secret) -> String) {
    let (secret, text) = text_line(data);
    let reply = read_reply(text);
    let said = match &reply {
        Some(AuthReply::Refused(message)) => message.clone(),
        _ => String::from_utf8_lossy(text).into_owned(),
    };
    if let Some(AuthReply::Accepted { session_id: Some(id) }) = reply {
        assert!(!id.is_empty());
    }
    let struck = strike(&said, &Secret::new(secret.clone()));
    // What stands for a secret may be a part of one that looks like it.
    assert!(secret.len() < 4 || secret.contains('*') || !struck.contains(&secret), "{secret:?} in {struck:?}");
    let shown = printable(&struck);
    assert!(!shown.contains(char::is_control) && shown.chars().count() <= 300);
}

/// A message of the Notifications API. What is read as the system's is what looks possible at first sight.
pub fn frames(data: &[u8]) {
    frames_by(data, frames::is_possible);
}

fn frames_by(data: &[u8], is_possible: fn(&[u8]) -> bool) {
    let possible = is_possible(data);
    if frames::read(data).is_some() {
        assert!(possible, "the system's, and does not look so");
        let text = std::str::from_utf8(data).expect("JSON is UTF-8");
        assert!(text.contains("topicName") || text.contains('\\'));
    }
    // Cut anywhere, it is still no reason to stop.
    let (head, tail) = line(data);
    _ = (frames::read(head), frames::read(tail));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_broken, seed};
    use super::*;

    /// Reads that leave one rule out, and the file that only this rule refuses.
    const LAX: [(&str, fn(&mut Settings), &str); 5] = [
        ("other-issuer", |settings| settings.verification.issuer.clear(), "another issuer"),
        ("other-audience", |settings| settings.verification.audience.clear(), "another audience"),
        ("expired", |settings| settings.verification.leeway_ms = 1 << 40, "and expired"),
        ("not-yet", |settings| settings.verification.leeway_ms = 1 << 40, "nbf is to come"),
        ("from-the-future", |settings| settings.verification.leeway_ms = 1 << 40, "iat is to come"),
    ];

    #[test]
    fn a_rule_that_is_left_out_breaks_a_law() {
        for (name, leave_out, words) in LAX {
            let lax = |reply: Reply, settings: &Settings, wall_ms| {
                let mut settings = settings.clone();
                leave_out(&mut settings);
                introspection::read(reply, &settings, wall_ms)
            };
            assert_broken(words, || introspection_by(&seed("introspection", name), lax));
        }
        assert_broken("not active", || {
            introspection_by(&seed("introspection", "inactive"), |_, _, _| Ok(Introspected::default()));
        });
        assert_broken("sub is no text", || {
            introspection_by(&seed("introspection", "types"), |_, _, _| Ok(Introspected::default()));
        });
    }

    #[test]
    fn an_error_that_shows_what_was_answered_breaks_a_law() {
        const SHOWN: [fn(&Value, &str) -> String; 4] = [
            |_, body| body.to_owned(),
            |answer, _| answer["exp"].to_string(),
            |answer, _| answer["aud"].to_string(),
            |answer, _| answer["active"].to_string(),
        ];
        for what in SHOWN {
            let shows = |reply: Reply, settings: &Settings, wall_ms| {
                let body = String::from_utf8_lossy(&reply.body).into_owned();
                let answer = serde_json::from_str(&body).unwrap_or_default();
                let read = introspection::read(reply, settings, wall_ms);
                read.map_err(|error| error.with(|detail| detail.message.push_str(&what(&answer, &body))))
            };
            assert_broken("of the answer", || introspection_by(&seed("introspection", "active"), shows));
        }
    }

    #[test]
    fn a_secret_that_is_shown_breaks_a_law() {
        let repeated = format!("400\n\n\n\n{{\"error\":\"{CANARY}\"}}");
        token_response(repeated.as_bytes());
        assert_broken(CANARY, || {
            token_response_by(repeated.as_bytes(), |reply, settings, _, now| oauth::read(reply, settings, &[], now));
        });
        let repeated = b"hunter22\n{\"type\":\"auth\",\"status\":\"error\",\"message\":\"no hunter22\"}";
        auth_reply(repeated);
        assert_broken("hunter22", || auth_reply_by(repeated, |text, _| text.to_owned()));
    }

    #[test]
    fn a_frame_that_is_not_found_breaks_a_law() {
        assert_broken("does not look so", || frames_by(&seed("frames", "closing"), |_| false));
    }
}
