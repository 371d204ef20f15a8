//! A request over HTTP/1.1: ureq writes the request and reads the head of the answer, over our connections.
//!
//! ureq's log calls show, at trace level, every byte of the request's head and of the answer's body. No secret passes
//! through it: the stream adds path, query and `Authorization` header, and the body is read here.

mod body;
mod lane;
mod transport;

use ureq::http::{header, HeaderMap, Response};
use ureq::typestate::WithBody;
use ureq::{Agent, Body as UreqBody, RequestBuilder};
use zeroize::Zeroizing;

use self::body::{Body, Framing, Wrong};
pub use self::lane::Cancel;
use self::lane::Lane;
use self::transport::{cut_off, NoResolver, Slot, Wire};
use super::clock::Clock;
use super::dial::Net;
use super::wait::{went_deep, Waiter};
use crate::error::{Code, Detail, Error, Stage};
use crate::proto::http::{Body as RequestBody, Method, Purpose, RateLimit, Reply, Request};
use crate::proto::jwks;

/// Longest head of an answer.
const LONGEST_HEAD: usize = 16 << 10;

/// Largest answer of the REST API: that to a subscription names each of 1,000 topics, and why it was rejected.
const REST_BYTES: usize = 1 << 20;

/// Sends requests, each over a connection of its own.
pub struct Http {
    net: Net,
    /// Largest answer.
    limit: usize,
}

impl Http {
    /// One for a token endpoint.
    pub fn new(net: &Net) -> Self {
        Self { net: net.clone(), limit: net.settings.max_response_bytes }
    }

    /// One for the REST API.
    pub fn rest(net: &Net) -> Self {
        Self { net: net.clone(), limit: REST_BYTES }
    }

    /// Sends the request and waits for the whole answer, whatever its status; a redirect is an error.
    ///
    /// Waits in `waiter`, which must watch no other sockets. `cancel` ends it at any point: resolving, connecting,
    /// TLS, sending, waiting. A bell that rings meanwhile is heard by the next wait.
    pub fn send(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        waiter: &mut Waiter,
        clock: &Clock,
    ) -> Result<Reply, Error> {
        let target = self.net.target(&request.url)?;
        let (peer, path) = (target.peer(), target.path.clone());
        let root = format!("{}://{}/", if target.tls { "https" } else { "http" }, target.authority());
        let mut lane = Lane::new(waiter, clock, request.timeout_ms, cancel);
        let outcome = match lane.open(&self.net, target) {
            Ok(opened) => {
                let wire = Wire { lane, opened, leftover: Zeroizing::default(), fault: None };
                self.exchange(wire, request, (&root, &path), waiter)
            }
            Err(error) => {
                lane.give_back(waiter);
                Err(error)
            }
        };
        outcome.map_err(|error| error.with(|detail| name_host(detail, &peer)))
    }

    /// Request and answer over an open connection. Gives the wait back.
    fn exchange(
        &self,
        mut wire: Wire,
        request: &Request,
        (root, path): (&str, &str),
        waiter: &mut Waiter,
    ) -> Result<Reply, Error> {
        let private = authorization(request).map(|lines| wire.opened.stream.set_private(path, lines));
        let variable = [root.len(), self.net.settings.user_agent.len(), request.body.text().len()];
        let slot = Slot::new(wire, variable.iter().sum());
        let head = private.and_then(|()| self.head(request, root, &slot));
        // Whatever ureq held is dropped by now, and the wire is back in its slot.
        let Some(mut wire) = slot.take() else {
            return Err(Error::new(Code::Internal, Stage::Token, "The connection was lost in ureq."));
        };
        let outcome = match (wire.fault.take(), head) {
            (Some(fault), _) => Err(fault),
            (None, head) => head.and_then(|head| self.reply(request, &head, &mut wire)),
        };
        wire.opened.stream.close();
        wire.lane.give_back(waiter);
        went_deep();
        outcome
    }

    /// Sends the request and receives the head of the answer. `root` is the URL without its path.
    fn head(&self, request: &Request, root: &str, slot: &Slot) -> Result<Response<()>, Error> {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(LONGEST_HEAD)
            .max_idle_connections(0)
            .accept_encoding("identity")
            .build();
        let agent = Agent::with_parts(config, slot.clone(), NoResolver);
        let user_agent = &self.net.settings.user_agent;
        let answer = match request.method {
            Method::Get => common(agent.get(root), user_agent).call(),
            Method::Head => common(agent.head(root), user_agent).call(),
            Method::Delete => common(agent.delete(root), user_agent).call(),
            Method::Post => send(common(agent.post(root), user_agent), &request.body),
            Method::Put => send(common(agent.put(root), user_agent), &request.body),
        };
        answer.map(head_only).map_err(|error| protocol_fault(&error))
    }

    /// The rest of the answer.
    fn reply(&self, request: &Request, head: &Response<()>, wire: &mut Wire) -> Result<Reply, Error> {
        let text = |name: &str| head.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = head.status();
        if status.is_redirection() {
            let error = Error::new(Code::Redirect, Stage::Token, format!("The answer was {}.", status.as_u16()));
            return Err(error.with(|detail| detail.http_status = status.as_u16()));
        }
        let framing = match request.method {
            Method::Head => Framing::Length(0),
            _ => framing(status.as_u16(), head.headers()),
        };
        let limit = if request.purpose == Purpose::Keys { jwks::MAX_BYTES } else { self.limit };
        let body = receive(framing, limit, wire);
        let body = body.map_err(|error| error.with(|detail| detail.http_status = status.as_u16()))?;
        Ok(Reply {
            status: status.as_u16(),
            retry_after: text("Retry-After"),
            date: text("Date"),
            cache_control: all(head.headers(), header::CACHE_CONTROL),
            age: text("Age"),
            correlation_id: text("ININ-Correlation-Id"),
            rate_limit: rate_limit(text),
            body,
        })
    }
}

/// A header whose lines are one list (RFC 9110 5.3).
fn all(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// The headers of every request.
fn common<B>(builder: RequestBuilder<B>, user_agent: &str) -> RequestBuilder<B> {
    builder
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, user_agent)
        .header(header::CONNECTION, "close")
}

/// Sends a request that may have a body.
fn send(builder: RequestBuilder<WithBody>, body: &RequestBody) -> Result<Response<UreqBody>, ureq::Error> {
    match body.content_type() {
        Some(content_type) => builder.header(header::CONTENT_TYPE, content_type).send(body.text().as_bytes()),
        None => builder.send_empty(),
    }
}

/// What the API says of its limit, if it says all of it.
fn rate_limit(header: impl Fn(&str) -> Option<String>) -> Option<RateLimit> {
    let number = |name: &str| header(name)?.trim().parse().ok();
    Some(RateLimit {
        count: number("inin-ratelimit-count")?,
        allowed: number("inin-ratelimit-allowed")?,
        reset_s: number("inin-ratelimit-reset")?,
    })
}

/// The peer of an error that does not name one itself, as a proxy's does.
fn name_host(detail: &mut Detail, peer: &str) {
    if detail.host.is_empty() {
        peer.clone_into(&mut detail.host);
    }
}

/// The header that holds the credentials, for the stream to add.
fn authorization(request: &Request) -> Result<Zeroizing<Vec<u8>>, Error> {
    let value = request.authorization.expose();
    if value.is_empty() {
        return Ok(Zeroizing::default());
    }
    if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(Error::new(Code::BadValue, Stage::Token, "The Authorization header cannot be sent."));
    }
    Ok(Zeroizing::new([b"Authorization: ", value.as_bytes(), b"\r\n"].concat()))
}

/// Leaves ureq's body unread, which gives the connection back.
fn head_only(answer: Response<UreqBody>) -> Response<()> {
    answer.map(drop)
}

/// How the body of an answer to a POST ends (RFC 9112 6.3). ureq has checked that lengths do not contradict.
fn framing(status: u16, headers: &HeaderMap) -> Framing {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    if status == 204 || status == 304 {
        Framing::Length(0)
    } else if text(header::TRANSFER_ENCODING).is_some_and(|value| value.contains("chunked")) {
        Framing::Chunked
    } else {
        let length = text(header::CONTENT_LENGTH).and_then(|value| value.trim().parse().ok());
        length.map_or(Framing::Close, Framing::Length)
    }
}

fn receive(framing: Framing, limit: usize, wire: &mut Wire) -> Result<Vec<u8>, Error> {
    let wrong = |wrong| match wrong {
        Wrong::TooLarge => Error::new(Code::ResponseTooLarge, Stage::Token, format!("The maximum is {limit} bytes.")),
        Wrong::Malformed => Error::new(Code::HttpProtocol, Stage::Token, "The body of the answer is malformed."),
    };
    let mut body = Body::new(framing, limit).map_err(wrong)?;
    body.push(&std::mem::take(&mut wire.leftover)).map_err(wrong)?;
    let mut buffer = Zeroizing::new([0; 4096]);
    while !body.is_done() {
        match wire.receive(&mut *buffer)? {
            0 if body.ends_with_connection() => break,
            0 => return Err(cut_off()),
            count => body.push(buffer.get(..count).unwrap_or_default()).map_err(wrong)?,
        }
    }
    Ok(body.into_content())
}

/// What ureq finds wrong by itself.
fn protocol_fault(error: &ureq::Error) -> Error {
    match error {
        ureq::Error::Http(error) => Error::new(Code::BadValue, Stage::Configure, format!("{error}.")),
        ureq::Error::BadUri(error) => Error::new(Code::BadValue, Stage::Configure, format!("{error}.")),
        other => Error::new(Code::HttpProtocol, Stage::Token, format!("{other}.")),
    }
}

#[cfg(test)]
mod tests;
