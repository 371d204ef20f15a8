//! The REST API: `/api/v2/notifications/channels` and `/api/v2/tokens/me`.

use std::time::{Duration, SystemTime};

use serde_json::{json, Value};

use super::channels::{Books, Channel, NotSubscribed};
use super::clock;
use super::policy::Farewell;
use super::record::ChannelEnd;
use super::script::{ApiReply, Route};
use crate::sim::http::{iso_date, Answer, Incoming};
use crate::sim::server::{redirect, scripted, Conn, Next};
use crate::sim::token::Standing;

const CHANNELS: &str = "/api/v2/notifications/channels";
const ME: &str = "/api/v2/tokens/me";

/// Whoever asks, with a good token.
struct Caller {
    token: String,
    client_id: String,
    grant: String,
    scope: String,
}

/// An error of the API: status, `code`, `message`.
struct Fault(u16, &'static str, String);

/// What is asked for, and of which channel; the status when it is nothing there is.
fn route(method: &str, path: &str) -> Result<(Route, String), u16> {
    if path == ME {
        let route = match method {
            "GET" | "HEAD" => Route::Me,
            "DELETE" => Route::Revoke,
            _ => return Err(405),
        };
        return Ok((route, String::new()));
    }
    let rest = path.strip_prefix(CHANNELS).ok_or(404_u16)?;
    let mut parts = rest.split('/').skip(1);
    let route = match (method, parts.next(), parts.next(), parts.next()) {
        ("POST", None, ..) => Route::Create,
        ("GET", None, ..) => Route::List,
        ("GET" | "HEAD", Some(_), None, _) => Route::Check,
        ("PUT", Some(_), Some("subscriptions"), None) => Route::Replace,
        ("POST", Some(_), Some("subscriptions"), None) => Route::Add,
        ("GET", Some(_), Some("subscriptions"), None) => Route::Topics,
        ("DELETE", Some(_), Some("subscriptions"), None) => Route::Clear,
        (_, None, ..) | (_, Some(_), None, _) | (_, Some(_), Some("subscriptions"), None) => return Err(405),
        _ => return Err(404),
    };
    Ok((route, rest.split('/').nth(1).unwrap_or_default().to_owned()))
}

/// Answers one request below `/api/`.
pub(crate) fn serve(conn: &mut Conn, request: &Incoming, entry: usize) -> Next {
    let correlation = conn.hub.ledger().uuid();
    conn.hub.record.note(|log, _| log.requests[entry].correlation_id = Some(correlation.clone()));
    let mut call = Call { conn, request, entry, correlation };
    match route(&request.method, &request.path) {
        Ok((route, id)) => {
            let reply = call.conn.hub.books().replies.take(route);
            call.reply(route, &id, reply)
        }
        Err(status) => {
            let code = if status == 405 { "method.not.allowed" } else { "not.found" };
            let answer = call.error(&Fault(status, code, "There is nothing of that name".to_owned()));
            call.send(answer)
        }
    }
}

/// One request on its way to an answer.
struct Call<'a> {
    conn: &'a mut Conn,
    request: &'a Incoming,
    entry: usize,
    correlation: String,
}

impl Call<'_> {
    fn reply(&mut self, route: Route, id: &str, reply: ApiReply) -> Next {
        let answer = match reply {
            ApiReply::Honest => self.honest(route, id),
            ApiReply::Altered(fields) => self.altered(route, id, &fields),
            ApiReply::Error { status, code } => self.scripted_error(status, &code),
            ApiReply::Throttle429 { retry_after } => self.throttled(retry_after.as_deref()),
            ApiReply::Status { code, headers, body } => scripted(code, headers, body),
            ApiReply::NotJson => Answer::new(200, "text/html", "<html><body>It works!</body></html>"),
            ApiReply::Redirect { to } => redirect(&to),
            ApiReply::Delay { ms, then } => {
                if !self.conn.hub.pause(Duration::from_millis(ms)) {
                    return Next::Over;
                }
                return self.reply(route, id, *then);
            }
            ApiReply::Lost => {
                self.honest(route, id);
                return self.conn.vanish();
            }
            ApiReply::CutMidBody => {
                let answer = self.honest(route, id);
                let keep = answer.bytes().len() - answer.body.len().div_ceil(2);
                let _ = self.conn.link.send(&answer.bytes()[..keep]);
                return self.conn.vanish();
            }
            ApiReply::Hang => return self.conn.hang(),
            ApiReply::Drop => return self.conn.vanish(),
            ApiReply::Reset => return self.conn.reset(),
        };
        self.send(answer)
    }

    fn send(&mut self, answer: Answer) -> Next {
        let answer = if answer.headers.iter().any(|(name, _)| name == "ININ-Correlation-Id") {
            answer
        } else {
            answer.with("ININ-Correlation-Id", &self.correlation)
        };
        let bodiless = self.request.method == "HEAD" || answer.status == 204;
        let bytes = if bodiless { answer.bytes_without_body() } else { answer.bytes() };
        self.conn.send(self.request, self.entry, answer.status, &bytes)
    }

    fn honest(&mut self, route: Route, id: &str) -> Answer {
        let caller = match self.caller() {
            Ok(caller) => caller,
            Err(fault) => return self.error(&fault),
        };
        let (count, left) = self.conn.hub.books().count(&caller.token);
        let limit = self.conn.hub.books().policy.rate_limit;
        let answer = if limit.is_some_and(|limit| count > limit) {
            self.throttled(Some(&left.to_string()))
        } else {
            self.perform(route, id, &caller).unwrap_or_else(|fault| self.error(&fault))
        };
        let allowed = limit.unwrap_or(300);
        answer
            .with("inin-ratelimit-count", &count.to_string())
            .with("inin-ratelimit-allowed", &allowed.to_string())
            .with("inin-ratelimit-reset", &left.to_string())
    }

    /// Honest, with fields set or taken out.
    fn altered(&mut self, route: Route, id: &str, fields: &[(String, Option<Value>)]) -> Answer {
        let mut answer = self.honest(route, id);
        if let Ok(mut body) = serde_json::from_slice(&answer.body) {
            crate::sim::token::override_with(&mut body, fields);
            answer.body = body.to_string().into_bytes();
        }
        answer
    }

    fn caller(&self) -> Result<Caller, Fault> {
        let header = self.request.header("authorization").unwrap_or_default();
        let token = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return Err(Fault(401, "authentication.required", "No authentication bearer token specified.".to_owned()));
        };
        let counts = !self.request.query.split('&').any(|pair| pair == "preserveIdleTTL=true");
        let mut ledger = self.conn.hub.ledger();
        match ledger.standing(token) {
            Standing::Good { client_id, grant, scope } => {
                if counts {
                    ledger.touch(token);
                }
                Ok(Caller { token: token.to_owned(), client_id, grant, scope })
            }
            Standing::Expired => Err(Fault(401, "credentials.expired", "Your session has expired.".to_owned())),
            Standing::Unknown => Err(Fault(401, "bad.credentials", "Invalid login credentials.".to_owned())),
        }
    }

    fn perform(&mut self, route: Route, id: &str, caller: &Caller) -> Result<Answer, Fault> {
        match route {
            Route::Create => Ok(self.create(caller)),
            Route::List => Ok(self.list(caller)),
            Route::Check => {
                self.with_channel(id, caller, |_, uri, channel| Answer::json(200, &entity(id, uri, channel)))
            }
            Route::Replace | Route::Add => self.subscribe(id, caller, route == Route::Replace),
            Route::Topics => self.with_channel(id, caller, |_, _, channel| {
                let all: Vec<Value> = channel.topics.iter().map(|topic| json!({"id": topic})).collect();
                Answer::json(200, &json!({"entities": all}))
            }),
            Route::Clear => {
                self.with_channel(id, caller, |_, _, _| ())?;
                let mut books = self.conn.hub.books();
                let _ = books.subscribe(&self.conn.hub, id, &[], true, true);
                Ok(Answer { status: 204, headers: Vec::new(), body: Vec::new() })
            }
            Route::Me => Ok(self.me(caller)),
            Route::Revoke => Ok(self.revoke(caller)),
        }
    }

    /// Where the sockets of this simulator's channels are.
    fn connect_uri(&self, books: &Books, id: &str) -> String {
        let host = books.policy.connect_host.clone().unwrap_or_else(|| self.conn.hub.addr().to_string());
        let scheme = if self.conn.hub.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{host}{}{id}", crate::sim::CHANNEL_PATH)
    }

    fn create(&mut self, caller: &Caller) -> Answer {
        let hub = &self.conn.hub;
        clock::start(hub);
        let id = format!("streaming-0-{}", hub.ledger().uuid().replace('-', ""));
        let mut books = hub.fresh_books();
        books.create(hub, &id, &caller.token, &caller.client_id);
        let uri = self.connect_uri(&books, &id);
        let channel = &books.channels[&id];
        Answer::json(200, &entity(&id, &uri, channel))
    }

    fn list(&mut self, caller: &Caller) -> Answer {
        let books = self.conn.hub.fresh_books();
        let own = books.of_client(&caller.client_id);
        let all: Vec<Value> =
            own.iter().map(|id| entity(id, &self.connect_uri(&books, id), &books.channels[*id])).collect();
        Answer::json(200, &json!({"entities": all}))
    }

    fn with_channel<T>(
        &self,
        id: &str,
        caller: &Caller,
        look: impl FnOnce(&Caller, &str, &Channel) -> T,
    ) -> Result<T, Fault> {
        let mut books = self.conn.hub.fresh_books();
        let uri = self.connect_uri(&books, id);
        let channel = books.live(id, &caller.token);
        channel.map(|channel| look(caller, &uri, channel)).ok_or_else(no_channel)
    }

    fn subscribe(&mut self, id: &str, caller: &Caller, replace: bool) -> Result<Answer, Fault> {
        self.with_channel(id, caller, |_, _, _| ())?;
        let bad = || Fault(400, "bad.request", "The body is no list of topics.".to_owned());
        let asked = super::topics::listed(&self.request.body).ok_or_else(bad)?;
        let lenient = self.request.query.split('&').any(|pair| pair == "ignoreErrors=true");
        let hub = &self.conn.hub;
        let done = hub.books().subscribe(hub, id, &asked, replace, lenient);
        match done {
            Ok(entities) => Ok(Answer::json(200, &json!({"entities": entities}))),
            Err(NotSubscribed::TooMany) => {
                Err(Fault(400, "bad.request", "A channel has at most 1000 topics.".to_owned()))
            }
            Err(NotSubscribed::Bad(topic, bad)) if bad.missing.is_empty() => {
                Err(Fault(400, "bad.request", format!("{}: {topic}", bad.reason)))
            }
            Err(NotSubscribed::Bad(_, bad)) => {
                let words = format!("Unable to perform the requested action: {}", bad.missing.join(", "));
                Err(Fault(403, "missing.permissions", words))
            }
        }
    }

    /// `GET /api/v2/tokens/me`. Scopes do not apply to client credentials: that list is empty.
    fn me(&mut self, caller: &Caller) -> Answer {
        let applies = caller.grant != "client_credentials";
        let scopes: Vec<&str> = caller.scope.split_whitespace().filter(|_| applies).collect();
        let organization = json!({"id": "0a1b2c3d-0000-4000-8000-000000000001", "name": "simulator"});
        let client = json!({"id": caller.client_id, "name": "client", "organization": organization});
        let me = json!({
            "organization": organization,
            "homeOrganization": organization,
            "authorizedScope": scopes,
            "OAuthClient": client,
        });
        Answer::json(200, &me)
    }

    fn revoke(&mut self, caller: &Caller) -> Answer {
        let hub = &self.conn.hub;
        let mut books = hub.books();
        hub.ledger().revoke(&caller.token);
        let farewell = books.policy.on_revocation.clone();
        books.end_of_token(hub, Some(&caller.token), &farewell);
        Answer { status: 204, headers: Vec::new(), body: Vec::new() }
    }

    fn error(&self, fault: &Fault) -> Answer {
        error(fault.0, fault.1, &fault.2, &self.correlation)
    }

    fn scripted_error(&self, status: u16, code: &str) -> Answer {
        error(status, code, "Scripted.", &self.correlation)
    }

    /// Genesys Cloud, "Rate limits".
    fn throttled(&self, retry_after: Option<&str>) -> Answer {
        let words = format!(
            "Rate limit exceeded the maximum. Retry the request in [{}] seconds",
            retry_after.unwrap_or("a few")
        );
        let answer = error(429, "too.many.requests.retry.after", &words, &self.correlation);
        match retry_after {
            Some(value) => answer.with("Retry-After", value),
            None => answer,
        }
    }
}

impl Books {
    /// The channels of one token, or of all, end with it.
    pub(crate) fn end_of_token(&mut self, hub: &crate::sim::hub::Hub, token: Option<&str>, farewell: &Farewell) {
        let own = self.channels.iter().filter(|(_, channel)| token.is_none_or(|token| channel.token == token));
        let ids: Vec<String> = own.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.end(hub, &id, ChannelEnd::TokenDied, farewell);
        }
    }
}

fn no_channel() -> Fault {
    Fault(404, "not.found", "The requested resource was not found.".to_owned())
}

fn entity(id: &str, uri: &str, channel: &Channel) -> Value {
    json!({"connectUri": uri, "id": id, "expires": date(channel.expires_at)})
}

fn date(at: SystemTime) -> String {
    iso_date(at)
}

/// An error as the platform writes it.
fn error(status: u16, code: &str, message: &str, correlation: &str) -> Answer {
    let body = json!({
        "message": message,
        "code": code,
        "status": status,
        "contextId": correlation,
        "details": [],
        "errors": [],
    });
    Answer::json(status, &body)
}
