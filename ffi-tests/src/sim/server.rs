//! One TCP connection: handshake, requests, the answers to them and what a script makes of those.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::http::{self, Answer, Fault, Incoming};
use super::hub::Hub;
use super::link::{Link, Reader};
use super::policy::Issue;
use super::record::{Handshake, Request, TlsFacts};
use super::script::{TcpReply, TokenReply};
use super::token::{consent, refusal};
use super::ws::{self, Gate};
use super::{issuer, notify, API_PATH, AUTHORIZE_PATH, INTROSPECTION_PATH, KEYS_PATH, TOKEN_PATH};

/// How Genesys words its throttle.
const THROTTLED: &str = "rate limit exceeded; the client has made too many requests";

/// A connection that speaks HTTP.
pub(crate) struct Conn {
    pub(crate) hub: Arc<Hub>,
    pub(crate) tcp: u64,
    pub(crate) link: Arc<Link>,
    pub(crate) reader: Reader,
    /// Bytes read but not yet understood.
    pub(crate) held: Vec<u8>,
}

/// What comes after an answer.
pub(crate) enum Next {
    /// The next request.
    Again,
    /// The orderly end.
    Close,
    /// Nothing: whoever says so has ended the connection its own way.
    Over,
}

/// Serves one TCP connection to its end.
pub(crate) fn serve(hub: &Arc<Hub>, tcp: u64, stream: Arc<TcpStream>) {
    hub.record.note(|log, _| log.tcp_connections += 1);
    let reply = hub.script().tcp.take();
    let bare = match reply {
        TcpReply::Serve => return serve_requests(hub, tcp, stream),
        TcpReply::Stall | TcpReply::Drop | TcpReply::Reset | TcpReply::Garbage(_) => Link::accept(stream, None),
    };
    let Ok(bare) = bare.map(Arc::new) else { return };
    match reply {
        TcpReply::Stall => Reader::new(bare).drain(),
        TcpReply::Reset => bare.reset(),
        TcpReply::Garbage(bytes) => {
            let _ = bare.send(&bytes);
            bare.finish();
            Reader::new(bare).drain();
        }
        TcpReply::Drop | TcpReply::Serve => bare.finish(),
    }
}

fn serve_requests(hub: &Arc<Hub>, tcp: u64, stream: Arc<TcpStream>) {
    let link = match Link::accept(stream, hub.tls.clone()) {
        Ok(link) => Arc::new(link),
        Err(error) => return note_handshake(hub, tcp, Err(error.to_string())),
    };
    if let Some(facts) = link.facts() {
        note_handshake(hub, tcp, Ok(facts));
    }
    let reader = Reader::new(Arc::clone(&link));
    let conn = Conn { hub: Arc::clone(hub), tcp, link, reader, held: Vec::new() };
    conn.run();
}

fn note_handshake(hub: &Hub, tcp: u64, result: Result<TlsFacts, String>) {
    hub.record.note(|log, at| log.tls.push(Handshake { at, tcp, result }));
}

impl Conn {
    fn run(mut self) {
        loop {
            let next = match http::read_request(&mut self.reader, &mut self.held) {
                Ok(request) => {
                    let entry = self.note_request(&request);
                    if let Some(gate) = Gate::at(&request.path) {
                        return ws::serve(self, &request, entry, gate);
                    }
                    self.route(&request, entry)
                }
                Err(Fault::Bad(status)) => {
                    let _ = self.link.send(&Answer::new(status, "text/plain", "bad request").bytes());
                    Next::Close
                }
                Err(Fault::Gone) => Next::Close,
            };
            match next {
                Next::Again => {}
                Next::Close => {
                    let _ = self.link.say_goodbye();
                    return self.link.finish();
                }
                Next::Over => return,
            }
        }
    }

    fn route(&mut self, request: &Incoming, entry: usize) -> Next {
        if request.path == TOKEN_PATH {
            let reply = self.hub.script().token.take();
            return self.token(request, entry, reply);
        }
        if request.path == AUTHORIZE_PATH {
            return self.authorize(request, entry);
        }
        if request.path == KEYS_PATH {
            return issuer::serve_keys(self, request, entry);
        }
        if request.path == INTROSPECTION_PATH {
            return issuer::serve_introspection(self, request, entry);
        }
        if request.path.starts_with(API_PATH) {
            return notify::serve_api(self, request, entry);
        }
        self.answer(request, entry, &Answer::new(404, "text/plain", "not found"))
    }

    fn token(&mut self, request: &Incoming, entry: usize, reply: TokenReply) -> Next {
        let answer = match reply {
            TokenReply::Issue(issue) => self.honest_token(request, &issue),
            TokenReply::Throttle429 { retry_after } => throttle_429(retry_after),
            TokenReply::Throttle400 => refusal(400, "invalid_request", THROTTLED),
            TokenReply::InvalidGrant => refusal(400, "invalid_grant", "the grant is not valid"),
            TokenReply::InvalidClient => {
                refusal(401, "invalid_client", "client authentication failed").with("WWW-Authenticate", "Basic")
            }
            TokenReply::Forbidden => refusal(403, "unauthorized_client", "the client may not use this grant"),
            TokenReply::Status { code, headers, body } => scripted(code, headers, body),
            TokenReply::NotJson => Answer::new(200, "text/html", "<html><body>It works!</body></html>"),
            TokenReply::Huge { bytes } => huge(bytes),
            TokenReply::Redirect { to } => redirect(&to),
            TokenReply::Delay { ms, then } => {
                if !self.hub.pause(Duration::from_millis(ms)) {
                    return Next::Over;
                }
                return self.token(request, entry, *then);
            }
            TokenReply::Chunked | TokenReply::TrickleBytes { .. } | TokenReply::CutMidHeader => {
                return self.token_odd(request, entry, &reply);
            }
            TokenReply::CutMidBody => return self.token_odd(request, entry, &reply),
            TokenReply::Hang => return self.hang(),
            TokenReply::Drop => return self.vanish(),
            TokenReply::Reset => return self.reset(),
        };
        self.answer(request, entry, &answer)
    }

    fn honest_token(&self, request: &Incoming, issue: &Issue) -> Answer {
        let certificate = self.link.facts().is_some_and(|facts| facts.client_certificate);
        self.hub.ledger().answer(request, certificate, issue)
    }

    fn authorize(&mut self, request: &Incoming, entry: usize) -> Next {
        let reply = self.hub.script().authorize.take();
        let answer = consent(&mut self.hub.ledger(), request, &reply);
        self.answer(request, entry, &answer)
    }

    /// Honest answers sent in another way than in one piece.
    fn token_odd(&mut self, request: &Incoming, entry: usize, reply: &TokenReply) -> Next {
        let answer = self.honest_token(request, &Issue::new());
        let whole = answer.bytes();
        let head = whole.len() - answer.body.len();
        let keep = match *reply {
            TokenReply::Chunked => return self.send(request, entry, answer.status, &answer.chunked(16)),
            TokenReply::TrickleBytes { chunk, delay_ms } => {
                return self.trickle(request, entry, &answer, chunk, delay_ms);
            }
            TokenReply::CutMidHeader => head / 2,
            _ => head + answer.body.len() / 2,
        };
        let _ = self.link.send(&whole[..keep]);
        self.vanish()
    }

    /// Sends an answer so many bytes at a time, with pauses.
    pub(crate) fn trickle(
        &mut self,
        request: &Incoming,
        entry: usize,
        answer: &Answer,
        chunk: usize,
        delay_ms: u64,
    ) -> Next {
        let whole = answer.bytes();
        let mut pieces = whole.chunks(chunk.max(1));
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if self.link.send(piece).is_err() || !self.hub.pause(Duration::from_millis(delay_ms)) {
                return Next::Over;
            }
        }
        self.send(request, entry, answer.status, last)
    }

    /// Sends an answer and enters its status into the record.
    pub(crate) fn answer(&mut self, request: &Incoming, entry: usize, answer: &Answer) -> Next {
        self.send(request, entry, answer.status, &answer.bytes())
    }

    pub(crate) fn send(&mut self, request: &Incoming, entry: usize, status: u16, bytes: &[u8]) -> Next {
        // Before the bytes: who has the answer finds its status in the record.
        self.note_status(entry, Some(status));
        if self.link.send(bytes).is_err() {
            self.note_status(entry, None);
            return Next::Over;
        }
        if request.keep_alive {
            Next::Again
        } else {
            Next::Close
        }
    }

    fn note_status(&self, entry: usize, status: Option<u16>) {
        self.hub.record.note(|log, _| log.requests[entry].status = status);
    }

    /// No answer, until the client gives up.
    pub(crate) fn hang(&mut self) -> Next {
        self.reader.drain();
        Next::Over
    }

    /// The end without TLS's goodbye; what was sent arrives.
    pub(crate) fn vanish(&mut self) -> Next {
        self.link.finish();
        self.reader.drain();
        Next::Over
    }

    pub(crate) fn reset(&mut self) -> Next {
        self.link.reset();
        Next::Over
    }

    fn note_request(&self, request: &Incoming) -> usize {
        let tcp = self.tcp;
        self.hub.record.note(|log, at| {
            log.requests.push(Request {
                at,
                tcp,
                method: request.method.clone(),
                path: request.path.clone(),
                query: request.query.clone(),
                headers: request.headers.clone(),
                body: request.body.clone(),
                correlation_id: None,
                status: None,
            });
            log.requests.len() - 1
        })
    }
}

pub(crate) fn scripted(code: u16, headers: Vec<(String, String)>, body: String) -> Answer {
    Answer { status: code, headers, body: body.into_bytes() }
}

pub(crate) fn redirect(to: &str) -> Answer {
    Answer::new(302, "text/plain", "").with("Location", to)
}

fn throttle_429(retry_after: Option<String>) -> Answer {
    let answer = refusal(429, "rate_limit_exceeded", THROTTLED);
    match retry_after {
        Some(value) => answer.with("Retry-After", &value),
        None => answer,
    }
}

fn huge(bytes: usize) -> Answer {
    let pad = "x".repeat(bytes);
    Answer::json(200, &serde_json::json!({"access_token": pad, "token_type": "bearer", "expires_in": 3600}))
}
