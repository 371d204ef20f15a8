//! The frames of the `auth-message` profile: what we send, and which frames are ours to read.

use std::ops::Range;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Longest text of a server that is repeated in an error.
const MESSAGE_MAX_CHARS: usize = 300;
const SESSION_ID_MAX: usize = 512;

/// The reply to an auth message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuthReply {
    /// `status: ok`.
    Accepted {
        /// `sessionId`, if the server gave one.
        session_id: Option<String>,
    },
    /// `status: error`, with its message as sent: it may repeat the token, and is to be struck and cut in this order.
    Refused(String),
    /// Of type `auth`, but without a status that is known.
    Malformed,
}

/// `{"type":"auth","token":…[,"sessionId":…]}`; the session id is there when a session is being resumed.
pub fn auth(token: &Secret, session_id: Option<&str>) -> Secret {
    let mut frame = Zeroizing::new(String::from(r#"{"type":"auth","token":"#));
    // Room for all of it at once, so that no smaller copy of the token is left behind by growing.
    frame.reserve(token.expose().len() * 2 + SESSION_ID_MAX);
    push_json(&mut frame, token.expose());
    if let Some(id) = session_id {
        frame.push_str(r#","sessionId":"#);
        push_json(&mut frame, id);
    }
    frame.push('}');
    Secret::new(std::mem::take(&mut *frame))
}

/// Reads a text as a reply to an auth message; `None`: it is the application's.
pub fn read_reply(text: &[u8]) -> Option<AuthReply> {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if *first != b'{' {
        return None;
    }
    let Ok(Value::Object(frame)) = serde_json::from_slice(text) else { return None };
    if frame.get("type").and_then(Value::as_str) != Some("auth") {
        return None;
    }
    Some(match frame.get("status").and_then(Value::as_str) {
        Some("ok") => AuthReply::Accepted { session_id: session_id(&frame) },
        Some("error") => AuthReply::Refused(message(&frame)),
        _ => AuthReply::Malformed,
    })
}

fn session_id(frame: &Map<String, Value>) -> Option<String> {
    let id = frame.get("sessionId")?.as_str()?;
    (!id.is_empty() && id.len() <= SESSION_ID_MAX).then(|| id.to_owned())
}

fn message(frame: &Map<String, Value>) -> String {
    match frame.get("message").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => "Unknown error".to_owned(),
    }
}

/// A peer's text made fit for an error: one line, bounded.
pub fn printable(text: &str) -> String {
    text.chars().take(MESSAGE_MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A secret is found by so many of its first bytes: servers cut what they repeat.
const STRUCK_PREFIX: usize = 16;

/// `text` with every secret in it struck out, and every beginning of one: servers have been seen to repeat what they
/// were sent. To be done before a text is cut, or a part of a secret would stay.
pub fn without_secrets<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let secrets = secrets.into_iter().map(Secret::expose).filter(|secret| secret.len() >= 4);
    // All are looked for in the text as it came: two secrets may begin alike, as JWTs do, and what the one has in common with
    // the other must not hide the rest.
    let mut found: Vec<Range<usize>> = secrets.flat_map(|secret| places(text, secret)).collect();
    found.sort_unstable_by_key(|place| place.start);
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for place in found {
        if place.start >= done {
            out.push_str(text.get(done..place.start).unwrap_or_default());
            out.push_str("***");
        }
        done = done.max(place.end);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Where a secret, or the beginning of it, stands in a text.
fn places(text: &str, secret: &str) -> Vec<Range<usize>> {
    let known = secret.get(..STRUCK_PREFIX).unwrap_or(secret);
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some((at, rest)) = text.get(from..).and_then(|rest| rest.find(known).map(|at| rest.split_at(at))) {
        let start = from + at.len();
        let same = rest.char_indices().zip(secret.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
        from = start + same.unwrap_or(rest.len().min(secret.len()));
        found.push(start..from);
    }
    found
}

fn push_json(out: &mut String, text: &str) {
    let quoted = Zeroizing::new(Value::from(text).to_string());
    out.push_str(&quoted);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auth_frame_is_the_tutorials() {
        let token = Secret::new("a.b\"c".into());
        assert_eq!(auth(&token, None).expose(), r#"{"type":"auth","token":"a.b\"c"}"#);
        assert_eq!(auth(&token, Some("id")).expose(), r#"{"type":"auth","token":"a.b\"c","sessionId":"id"}"#);
    }

    #[test]
    fn replies_are_read_in_any_spelling() {
        let ok = |id: Option<&str>| Some(AuthReply::Accepted { session_id: id.map(str::to_owned) });
        assert_eq!(read_reply(br#" {"status":"ok","type":"auth","sessionId":"x"}"#), ok(Some("x")));
        assert_eq!(read_reply(br#"{"\u0074ype":"\u0061uth","status":"ok"}"#), ok(None));
        assert_eq!(
            read_reply(b"{\"type\":\"auth\",\"status\":\"error\",\"message\":\"no\\nway\"}"),
            Some(AuthReply::Refused("no\nway".into()))
        );
        assert_eq!(
            read_reply(br#"{"type":"auth","status":"error"}"#),
            Some(AuthReply::Refused("Unknown error".into()))
        );
        assert_eq!(read_reply(br#"{"type":"auth"}"#), Some(AuthReply::Malformed));
    }

    #[test]
    fn everything_else_is_the_applications() {
        let bomb = "[".repeat(60_000);
        for text in ["", "auth", "{", "[\"auth\"]", r#"{"type":"event"}"#, r#"{"type":["auth"]}"#, &bomb] {
            assert_eq!(read_reply(text.as_bytes()), None);
        }
    }

    #[test]
    fn secrets_are_struck_out() {
        let secret = Secret::new("hunter22".into());
        assert_eq!(without_secrets("bad hunter22! hunter22", [&secret]), "bad ***! ***");
        let long = Secret::new("abcdefghijklmnopqrstuvwxyz".into());
        assert_eq!(without_secrets("cut: abcdefghijklmnopqrs…", [&long]), "cut: ***…");
        assert_eq!(without_secrets("abcdefghijklmnopqrstuvwxyz", [&long]), "***");
        assert_eq!(without_secrets("abcdefghijklmno is common", [&long]), "abcdefghijklmno is common");
        // Two tokens of one server begin with the same header, and one secret may stand in another.
        let other = Secret::new("abcdefghijklmnopqrst98765".into());
        for secrets in [[&long, &other, &secret], [&secret, &other, &long]] {
            assert_eq!(without_secrets("an abcdefghijklmnopqrst98765.", secrets), "an ***.");
            assert_eq!(without_secrets("abcdefghijklmnopqrst98 abcdefghijklmnopqrstuv", secrets), "*** ***");
        }
        let inner = Secret::new("rst98765-tail".into());
        for secrets in [[&inner, &other], [&other, &inner]] {
            assert_eq!(without_secrets("<abcdefghijklmnopqrst98765-tail>", secrets), "<***>");
        }
    }
}
