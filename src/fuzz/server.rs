//! What servers say: to a token request, to an authentication message, of a channel.

use serde_json::Value;

use super::{line, text_line};
use crate::config::settings::Settings;
use crate::proto::frame::{printable, read_reply, without_secrets, AuthReply};
use crate::proto::http::Reply;
use crate::proto::notifications::frames;
use crate::proto::{introspection, jwks, oauth};
use crate::secret::Secret;

const NOW_MS: u64 = 1_700_000_000_000;

/// Nobody but the library knows it, and a server that repeats it.
const CANARY: &str = "canary-0123456789abcdef-canary";

/// Headers of an answer, a line each: status, `Retry-After`, `Date`, `ININ-Correlation-Id`; then its body. No error
/// shows a secret that was sent, or leaves its line.
pub fn token_response(data: &[u8]) {
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
    match oauth::read(reply, &settings, &[Secret::new(CANARY.into())], NOW_MS) {
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
/// and no error has anything of the answer.
pub fn introspection(data: &[u8]) {
    let (status, rest) = text_line(data);
    let (cache_control, body) = text_line(rest);
    let status = status.parse().unwrap_or(200);
    let reply = Reply { status, cache_control: Some(cache_control), body: body.to_vec(), ..Reply::default() };
    if let Ok((keys, fresh_ms)) = jwks::read(&reply, NOW_MS) {
        assert!(keys.len() <= 100 && (60_000..=86_400_000).contains(&fresh_ms));
    }
    let mut settings = Settings::default();
    settings.verification.audience = "socket".into();
    match introspection::read(reply, &settings, NOW_MS) {
        Ok(said) => {
            let read: Value = serde_json::from_slice(body).expect("JSON");
            assert_eq!((status, &read["active"]), (200, &Value::Bool(true)));
            let names_us = |aud: &Value| {
                aud == "socket" || aud.as_array().is_some_and(|all| all.iter().any(|one| one == "socket"))
            };
            assert!(names_us(&read["aud"]), "for somebody else");
            // The items of an array are names as they are.
            let are_names = |all: &Vec<String>| all.iter().all(|scope| !scope.is_empty() && !scope.contains(' '));
            assert!(said.scopes.as_ref().is_none_or(|all| read["scope"].is_array() || are_names(all)));
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains(char::is_control) && shown.len() < 300, "{shown}");
        }
    }
}

/// A secret, and after it a text that may be the reply to an authentication message. What is struck out of it is out.
pub fn auth_reply(data: &[u8]) {
    let (secret, text) = text_line(data);
    let reply = read_reply(text);
    let said = match &reply {
        Some(AuthReply::Refused(message)) => message.clone(),
        _ => String::from_utf8_lossy(text).into_owned(),
    };
    if let Some(AuthReply::Accepted { session_id: Some(id) }) = reply {
        assert!(!id.is_empty());
    }
    let struck = without_secrets(&said, [&Secret::new(secret.clone())]);
    // What stands for a secret may be a part of one that looks like it.
    assert!(secret.len() < 4 || secret.contains('*') || !struck.contains(&secret), "{secret:?} in {struck:?}");
    let shown = printable(&struck);
    assert!(!shown.contains(char::is_control) && shown.chars().count() <= 300);
}

/// A message of the Notifications API. What is read as the system's is what looks possible at first sight.
pub fn frames(data: &[u8]) {
    let possible = frames::is_possible(data);
    if frames::read(data).is_some() {
        assert!(possible);
        let text = std::str::from_utf8(data).expect("JSON is UTF-8");
        assert!(text.contains("topicName") || text.contains('\\'));
    }
    // Cut anywhere, it is still no reason to stop.
    let (head, tail) = line(data);
    _ = (frames::read(head), frames::read(tail));
}
