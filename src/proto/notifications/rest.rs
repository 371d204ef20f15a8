//! The requests of the Notifications API as data, and what their answers mean (Genesys Cloud, "Notifications").

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::{date, uri};
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::event::{Topic, TopicState};
use crate::proto::frame::{printable, without_secrets};
use crate::proto::http::{Body, Method, Outcome, Purpose, Reply, Request};
use crate::proto::oauth::LONG_WAIT_MS;
use crate::proto::retry_after;
use crate::proto::token::Token;
use crate::secret::Secret;

/// How long a channel lives that says nothing of it, and the longest that is believed: "channels remain active for 24
/// hours".
pub const LIFE_MS: u64 = 24 * 3_600_000;
const LIFE_MIN_MS: u64 = 60_000;
const CHANNELS: &str = "/api/v2/notifications/channels";
const ID_MAX: usize = 256;

/// A channel as it was made. Who knows its id or its URI can take it over: both are secrets.
#[derive(Clone, Debug)]
pub struct Created {
    /// `id`.
    pub id: Secret,
    /// `connectUri`, checked.
    pub uri: Secret,
    /// What is left of it, by the server's clock.
    pub life_ms: u64,
}

/// `POST …/channels`: a new channel. It needs no body and no permission.
pub fn create(settings: &Settings, token: &Token) -> Request {
    request(settings, token, Method::Post, "", Body::None)
}

/// `PUT …/channels/{id}/subscriptions?ignoreErrors=true`: these topics and no others; those that are not allowed do not keep the
/// others out.
pub fn subscribe(settings: &Settings, token: &Token, id: &Secret, topics: &[String]) -> Request {
    let list = topics.iter().map(|topic| Map::from_iter([("id".to_owned(), Value::from(topic.as_str()))]));
    let body = Body::Json(Value::from_iter(list).to_string());
    let path = format!("/{}/subscriptions?ignoreErrors=true", id.expose());
    request(settings, token, Method::Put, &path, body)
}

/// `DELETE …/channels/{id}/subscriptions`: nothing more comes by this channel.
pub fn unsubscribe(settings: &Settings, token: &Token, id: &Secret) -> Request {
    request(settings, token, Method::Delete, &format!("/{}/subscriptions", id.expose()), Body::None)
}

/// `HEAD …/channels/{id}`: whether a channel is still there.
pub fn probe(settings: &Settings, token: &Token, id: &Secret) -> Request {
    request(settings, token, Method::Head, &format!("/{}", id.expose()), Body::None)
}

fn request(settings: &Settings, token: &Token, method: Method, path: &str, body: Body) -> Request {
    Request {
        purpose: Purpose::Api,
        method,
        url: format!("{}{CHANNELS}{path}", settings.api_url.trim_end_matches('/')),
        authorization: Secret::new(format!("Bearer {}", token.access_token.expose())),
        body,
        timeout_ms: settings.api_timeout_ms,
    }
}

/// What an answer is read with.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// Struck out of what an error repeats of the server: the token, the channel.
    pub secrets: &'a [Secret],
    /// Now, milliseconds since 1970: for an answer without a `Date`.
    pub wall_ms: u64,
}

impl Reading<'_> {
    /// The answer to [`create`].
    pub fn created(&self, outcome: Outcome) -> Result<Created, Error> {
        let mut reply = outcome?;
        if !is_success(&reply) {
            // There is no channel yet that could be gone: it is the API that is not there.
            let missing = matches!(reply.status, 404 | 410).then_some(Code::HttpStatus);
            return Err(self.refused(&reply, Stage::Channel, missing));
        }
        let mut body = object(&reply).unwrap_or_default();
        reply.body.zeroize();
        let mut secret = |name: &str| match body.remove(name) {
            Some(Value::String(text)) => Some(Secret::new(text)),
            _ => None,
        };
        let (Some(id), Some(uri)) = (secret("id").filter(|id| is_id(id.expose())), secret("connectUri")) else {
            return Err(self.malformed(&reply, Stage::Channel, "The answer has no id or no connectUri"));
        };
        uri::check(uri.expose(), self.settings)?;
        let life_ms = body.get("expires").and_then(Value::as_str).and_then(date::millis).map_or(LIFE_MS, |expires| {
            let now = reply.date.as_deref().and_then(crate::proto::http_date::millis).unwrap_or(self.wall_ms);
            expires.saturating_sub(now).clamp(LIFE_MIN_MS, LIFE_MS)
        });
        Ok(Created { id, uri, life_ms })
    }

    /// The answer to [`subscribe`]: one result for each topic, in the order they were asked for.
    pub fn subscribed(&self, outcome: Outcome, topics: &[String]) -> Result<Vec<Topic>, Error> {
        let reply = outcome?;
        if !is_success(&reply) {
            return Err(self.refused(&reply, Stage::Subscribe, None));
        }
        let body = object(&reply);
        let Some(entities) = body.as_ref().and_then(|body| body.get("entities")).and_then(Value::as_array) else {
            return Err(self.malformed(&reply, Stage::Subscribe, "The answer has no entities"));
        };
        // Thousands of names are looked up, on the thread that reads the socket. The first of two results counts.
        let named = entities.iter().rev().filter_map(|entity| Some((entity.get("id")?.as_str()?, entity)));
        let named: BTreeMap<&str, &Value> = named.collect();
        Ok(topics.iter().map(|topic| self.result(topic, &named)).collect())
    }

    /// The answer to [`probe`].
    pub fn probed(&self, outcome: Outcome) -> Result<(), Error> {
        let reply = outcome?;
        if is_success(&reply) {
            return Ok(());
        }
        // Of a channel of somebody else's there is nothing to be had either.
        let gone = matches!(reply.status, 400 | 403).then_some(Code::ChannelGone);
        Err(self.refused(&reply, Stage::Channel, gone))
    }

    /// A combined topic may be answered under the names that its events arrive under.
    fn result(&self, topic: &str, named: &BTreeMap<&str, &Value>) -> Topic {
        let of = |name: &str| named.get(name).copied();
        let found: Vec<&Value> = match (of(topic), topic.split_once('?')) {
            (Some(entity), _) => vec![entity],
            (None, Some((base, parts))) => parts.split('&').filter_map(|part| of(&format!("{base}.{part}"))).collect(),
            (None, None) => Vec::new(),
        };
        let is_rejected = |entity: &&&Value| {
            let state = entity.get("state").and_then(Value::as_str);
            state.is_some_and(|state| !state.eq_ignore_ascii_case("Permitted"))
        };
        let id = topic.to_owned();
        let reason = match (found.first(), found.iter().find(is_rejected)) {
            (Some(_), None) => {
                return Topic {
                    id,
                    state: TopicState::Permitted,
                    reason: String::new(),
                    missing_permissions: Vec::new(),
                }
            }
            (_, Some(entity)) => entity.get("rejectionReason").and_then(Value::as_str).unwrap_or_default(),
            (None, None) => "The answer does not name this topic.",
        };
        let missing = found.iter().filter_map(|entity| entity.get("missingPermissions")?.as_array()).flatten();
        let missing_permissions = missing.filter_map(Value::as_str).map(|name| self.clean(name)).collect();
        Topic { id, state: TopicState::Rejected, reason: self.clean(reason), missing_permissions }
    }

    fn refused(&self, reply: &Reply, stage: Stage, known: Option<Code>) -> Error {
        let body = object(reply);
        let text =
            |name: &str| body.as_ref().and_then(|body| body.get(name)).and_then(Value::as_str).unwrap_or_default();
        let (said, words) = (text("code"), text("message"));
        let asked = reply.retry_after.as_deref();
        let asked = asked.and_then(|value| retry_after::read(value, reply.date.as_deref(), self.wall_ms));
        let mut code = known.unwrap_or_else(|| code_of(reply.status, words));
        if code.is_retriable() && asked.is_some_and(|wait| wait > LONG_WAIT_MS) {
            code = Code::ThrottledLong;
        }
        let message = match (said.is_empty(), words.is_empty()) {
            (true, true) => format!("HTTP {}.", reply.status),
            (false, true) => format!("HTTP {}: {}.", reply.status, self.clean(said)),
            (true, false) => format!("HTTP {}: {}", reply.status, self.clean(words)),
            (false, false) => format!("HTTP {}: {} ({})", reply.status, self.clean(said), self.clean(words)),
        };
        let context = self.clean(text("contextId"));
        self.fault(reply, code, stage, &message).with(|detail| {
            detail.retry_after_ms = asked.filter(|_| code.is_retriable());
            if detail.correlation_id.is_empty() {
                detail.correlation_id = context;
            }
        })
    }

    fn malformed(&self, reply: &Reply, stage: Stage, what: &str) -> Error {
        self.fault(reply, Code::Unavailable, stage, &format!("{what} (HTTP {}).", reply.status))
    }

    fn fault(&self, reply: &Reply, code: Code, stage: Stage, message: &str) -> Error {
        Error::new(code, stage, message).with(|detail| {
            detail.http_status = reply.status;
            detail.correlation_id = self.clean(reply.correlation_id.as_deref().unwrap_or_default());
        })
    }

    fn clean(&self, text: &str) -> String {
        printable(&without_secrets(text, self.secrets))
    }
}

/// 401 speaks of the token; what it is about follows from the request.
fn code_of(status: u16, words: &str) -> Code {
    match status {
        300..=399 => Code::Redirect,
        401 => Code::TokenRevoked,
        404 | 410 => Code::ChannelGone,
        429 => Code::Throttled,
        400 if words.to_ascii_lowercase().contains("rate limit") => Code::Throttled,
        408 | 425 | 500..=599 => Code::Unavailable,
        400..=499 => Code::ChannelRefused,
        _ => Code::HttpProtocol,
    }
}

fn is_success(reply: &Reply) -> bool {
    (200..=299).contains(&reply.status)
}

fn object(reply: &Reply) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&reply.body) {
        Ok(Value::Object(body)) => Some(body),
        Ok(_) | Err(_) => None,
    }
}

/// It becomes part of a path: unreserved characters only (RFC 3986 2.3), which all ids that were ever seen consist of.
fn is_id(id: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (1..=ID_MAX).contains(&id.len()) && id.bytes().all(unreserved) && !matches!(id, "." | "..")
}

#[cfg(test)]
#[path = "rest_tests.rs"]
mod tests;
