//! Both endpoints: the honest answer, and what a script makes of it.

use std::time::Duration;

use serde_json::{json, Value};

use super::script::IssuerReply;
use crate::sim::http::{Answer, Incoming};
use crate::sim::server::{redirect, scripted, Conn, Next};
use crate::sim::token::override_with;

/// `GET /.well-known/jwks.json`.
pub(crate) fn serve_keys(conn: &mut Conn, request: &Incoming, entry: usize) -> Next {
    let reply = conn.hub.script().issuer.keys.take();
    if request.method != "GET" {
        return conn.answer(request, entry, &Answer::new(405, "text/plain", "use GET"));
    }
    let honest = conn.hub.ledger().key_set();
    play(conn, request, entry, honest, reply)
}

/// `POST /introspect`.
pub(crate) fn serve_introspection(conn: &mut Conn, request: &Incoming, entry: usize) -> Next {
    let reply = conn.hub.script().issuer.introspection.take();
    let certificate = conn.link.facts().is_some_and(|facts| facts.client_certificate);
    let honest = conn.hub.ledger().introspect(request, certificate);
    play(conn, request, entry, honest, reply)
}

fn play(conn: &mut Conn, request: &Incoming, entry: usize, honest: Answer, reply: IssuerReply) -> Next {
    let answer = match reply {
        IssuerReply::Honest => honest,
        IssuerReply::Altered(members) => altered(honest, &members),
        IssuerReply::Body(body) => Answer { body: body.into_bytes(), ..honest },
        IssuerReply::Huge { bytes } => altered(honest, &[("pad".to_owned(), Some(json!("x".repeat(bytes))))]),
        IssuerReply::Status { code, headers, body } => scripted(code, headers, body),
        IssuerReply::Redirect { to } => redirect(&to),
        IssuerReply::TrickleBytes { chunk, delay_ms } => return conn.trickle(request, entry, &honest, chunk, delay_ms),
        IssuerReply::Hang => return conn.hang(),
        IssuerReply::CutMidBody => {
            let whole = honest.bytes();
            let _ = conn.link.send(&whole[..whole.len() - honest.body.len() / 2]);
            return conn.vanish();
        }
        IssuerReply::Drop => return conn.vanish(),
        IssuerReply::Reset => return conn.reset(),
        IssuerReply::Delay { ms, then } => {
            if !conn.hub.pause(Duration::from_millis(ms)) {
                return Next::Over;
            }
            return play(conn, request, entry, honest, *then);
        }
    };
    conn.answer(request, entry, &answer)
}

fn altered(answer: Answer, members: &[(String, Option<Value>)]) -> Answer {
    let mut value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    override_with(&mut value, members);
    Answer { body: value.to_string().into_bytes(), ..answer }
}
