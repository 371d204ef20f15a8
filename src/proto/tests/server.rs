//! The other side: a token endpoint and a socket server.

use std::collections::BTreeMap;

use super::faults::Fault;
use super::wires::End;
use super::world::{Event, Wire, World};
use crate::error::{Code, Error, Stage};
use crate::hooks::Answer;
use crate::proto::http::{Outcome, Reply, Request};
use crate::proto::refresher;
use crate::secret::Secret;

/// How long a socket may be open without an auth frame.
const AUTH_TIMER_MS: u64 = 10_000;
/// Lifetime of a token that must be refused.
pub const TOO_SHORT_MS: u64 = 500;

/// Whether the server takes a new token on a live socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InBand {
    Yes,
    Refuses,
    Silent,
}

/// How this world is, faults apart.
#[derive(Clone, Debug)]
pub struct Nature {
    pub lifetime_ms: u64,
    /// Refresh tokens serve once, and each answer brings a new one.
    pub rotates: bool,
    /// How long a used refresh token still serves.
    pub grace_ms: u64,
    pub in_band: InBand,
    /// How long a socket of an expired token is kept; `None`: for ever.
    pub kept_ms: Option<u64>,
    /// Between two messages.
    pub push_ms: u64,
    /// Longest delay between the two threads, as a rule.
    pub crossing_ms: u64,
    /// Least and most, one way.
    pub network_ms: (u64, u64),
    pub endpoint_ms: u64,
    /// Longest time the application takes to persist, as a rule.
    pub persist_ms: u64,
    pub requests_per_minute: u32,
    /// Whether the application answers questions at all.
    pub answers: bool,
    /// The body of the next token answers, instead of the usual; `{token}` is replaced.
    pub body: Option<String>,
}

impl Default for Nature {
    fn default() -> Self {
        Self {
            lifetime_ms: 3_600_000,
            rotates: true,
            grace_ms: 0,
            in_band: InBand::Yes,
            kept_ms: Some(20_000),
            push_ms: 1_000,
            crossing_ms: 0,
            network_ms: (10, 10),
            endpoint_ms: 0,
            persist_ms: 10,
            requests_per_minute: 300,
            answers: true,
            body: None,
        }
    }
}

#[derive(Debug)]
struct Issued {
    expires_ms: u64,
    revoked: bool,
}

/// What the server remembers.
#[derive(Debug)]
pub struct Server {
    serial: u64,
    issued: BTreeMap<String, Issued>,
    refresh: Option<String>,
    /// Used already, and good until then.
    spent: Option<(String, u64)>,
    code: Option<String>,
    /// What the application was given last, and when it ends.
    provided: Option<(String, u64)>,
    minute: u64,
    requests: u32,
    messages: u64,
    oddity: u64,
    /// Forms of all requests, for stories.
    pub forms: Vec<String>,
    /// Auth frames as they arrived, for stories.
    pub frames: Vec<(u64, String)>,
    /// The `Date` of its answers.
    pub date: Option<String>,
    /// Arrival times of requests.
    pub asked_ms: Vec<u64>,
}

impl Server {
    pub fn new() -> Self {
        Self {
            serial: 0,
            issued: BTreeMap::new(),
            refresh: Some("hush-r0".into()),
            spent: None,
            code: None,
            provided: None,
            minute: 0,
            requests: 0,
            messages: 0,
            oddity: 0,
            date: None,
            forms: Vec::new(),
            frames: Vec::new(),
            asked_ms: Vec::new(),
        }
    }

    pub fn new_code(&mut self) -> String {
        self.serial += 1;
        let code = format!("hush-c{}", self.serial);
        self.code = Some(code.clone());
        code
    }

    pub fn new_refresh_token(&mut self) -> String {
        self.serial += 1;
        let text = format!("hush-r{}", self.serial);
        self.refresh = Some(text.clone());
        text
    }

    pub fn kill_refresh_token(&mut self) {
        (self.refresh, self.spent) = (None, None);
    }

    pub fn revoke_tokens(&mut self) {
        self.issued.values_mut().for_each(|issued| issued.revoked = true);
    }

    /// Whether this refresh token will do.
    pub fn honours(&self, refresh_token: Option<&Secret>) -> bool {
        refresh_token.is_none_or(|text| self.refresh.as_deref() == Some(text.expose()))
    }

    pub fn is_good(&self, token: &str, now_ms: u64) -> bool {
        self.issued.get(token).is_some_and(|issued| !issued.revoked && now_ms < issued.expires_ms)
    }

    /// When a token ends, if it is good.
    pub fn ends_ms(&self, token: &str, now_ms: u64) -> Option<u64> {
        self.is_good(token, now_ms).then(|| self.issued[token].expires_ms)
    }

    /// Whether the grant of this form is good; a spent one is spent.
    pub fn redeem(&mut self, form: &str, now_ms: u64, nature: &Nature) -> bool {
        if let Some(code) = form.strip_prefix("grant_type=authorization_code&code=") {
            let code = code.split('&').next().map(str::to_owned);
            return self.code.take_if(|known| Some(&*known) == code.as_ref()).is_some();
        }
        let Some(given) = form.strip_prefix("grant_type=refresh_token&refresh_token=") else { return true };
        let in_grace = matches!(&self.spent, Some((spent, until)) if spent == given && now_ms < *until);
        if self.refresh.as_deref() != Some(given) && !in_grace {
            return false;
        }
        if nature.rotates && !in_grace {
            self.spent = Some((given.to_owned(), now_ms + nature.grace_ms));
        }
        true
    }

    pub fn issue(&mut self, now_ms: u64, nature: &Nature, lifetime_ms: u64, scope: &str) -> Reply {
        self.serial += 1;
        let token = format!("hush-t{}", self.serial);
        self.issued.insert(token.clone(), Issued { expires_ms: now_ms + lifetime_ms, revoked: false });
        self.issued.retain(|_, issued| now_ms < issued.expires_ms + 60_000);
        let seconds = lifetime_ms as f64 / 1_000.0;
        let mut refresh = String::new();
        if nature.rotates {
            refresh = format!(r#","refresh_token":"{}""#, self.new_refresh_token());
        }
        let body = match &nature.body {
            Some(body) => body.replace("{token}", &token),
            None => format!(
                r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{seconds},"scope":"{scope}"{refresh}}}"#
            ),
        };
        Reply { status: 200, body: body.into_bytes(), date: self.date.clone(), ..Reply::default() }
    }

    /// A token for the application, which says of it that it lives for `said_ms`.
    pub fn provide(&mut self, now_ms: u64, lifetime_ms: u64, said_ms: u64) -> Answer {
        self.serial += 1;
        // `{"alg":"x"}`, `{"scope":"a:read"}`.
        let token = format!("eyJhbGciOiJ4In0.eyJzY29wZSI6ImE6cmVhZCJ9.hush-t{}", self.serial);
        let expires_ms = now_ms + lifetime_ms;
        self.issued.insert(token.clone(), Issued { expires_ms, revoked: false });
        self.issued.retain(|_, issued| now_ms < issued.expires_ms + 60_000);
        self.provided = Some((token.clone(), expires_ms));
        Answer::AccessToken { token: Secret::new(token), expires_in_ms: Some(said_ms) }
    }

    /// The token that was provided last, while it lives.
    pub fn provide_again(&mut self, now_ms: u64, lifetime_ms: u64) -> Answer {
        match &self.provided {
            Some((token, expires_ms)) if *expires_ms > now_ms => {
                Answer::AccessToken { token: Secret::new(token.clone()), expires_in_ms: Some(expires_ms - now_ms) }
            }
            _ => self.provide(now_ms, lifetime_ms, lifetime_ms),
        }
    }

    pub fn over_limit(&mut self, now_ms: u64, nature: &Nature) -> bool {
        if self.minute != now_ms / 60_000 {
            (self.minute, self.requests) = (now_ms / 60_000, 0);
        }
        self.requests += 1;
        self.requests > nature.requests_per_minute
    }
}

fn status(status: u16, body: &str) -> Outcome {
    Ok(Reply { status, body: body.into(), ..Reply::default() })
}

fn throttle(seconds: u64) -> Outcome {
    Ok(Reply { status: 429, retry_after: Some(seconds.to_string()), ..Reply::default() })
}

const INVALID_GRANT: &str = r#"{"error":"invalid_grant"}"#;
const RATE_LIMIT: &str = r#"{"error":"invalid_request","description":"rate limit exceeded; try later"}"#;

impl World {
    // ---- the token endpoint ---------------------------------------------------------------------------------

    pub fn requested(&mut self, epoch: u64, request: &Request, sent_ms: u64) {
        if self.server.forms.len() < 10_000 {
            self.server.forms.push(request.body.text().to_owned());
            self.server.asked_ms.push(self.now_ms);
        }
        let mut delay = self.up_to(self.nature.endpoint_ms) + self.network_ms();
        if self.on(Fault::TokenSlow) {
            delay += self.up_to(20_000);
        }
        let outcome = self.endpoint(request.body.text());
        let deadline = sent_ms + request.timeout_ms;
        let timeout = || Err(Error::new(Code::HttpTimeout, Stage::Token, ""));
        let (at_ms, outcome) = match outcome {
            Some(outcome) if self.now_ms + delay <= deadline => (self.now_ms + delay, outcome),
            Some(_) | None => (deadline.max(self.now_ms), timeout()),
        };
        self.at(at_ms, Event::ToRefresher(refresher::Input::Replied { epoch, outcome }));
    }

    /// `None`: there will be no answer.
    fn endpoint(&mut self, form: &str) -> Option<Outcome> {
        if let Some(outcome) = self.endpoint_fault() {
            return outcome;
        }
        let now_ms = self.now_ms;
        if self.server.over_limit(now_ms, &self.nature) {
            return Some(status(400, RATE_LIMIT));
        }
        if !self.server.redeem(form, now_ms, &self.nature) {
            return Some(status(400, INVALID_GRANT));
        }
        let lifetime_ms = if self.on(Fault::TokenTooShort) { TOO_SHORT_MS } else { self.nature.lifetime_ms };
        let scope = match () {
            () if self.on(Fault::TokenScopeMissing) => "other:read",
            () if self.on(Fault::TokenScopesDiffer) => "c:read a:read",
            () => "a:read b:read",
        };
        let reply = self.server.issue(now_ms, &self.nature, lifetime_ms, scope);
        (!self.on(Fault::TokenAnswerLost)).then_some(Ok(reply))
    }

    /// Faults that come before the endpoint does anything.
    fn endpoint_fault(&mut self) -> Option<Option<Outcome>> {
        Some(match () {
            () if self.on(Fault::TokenHangs) => None,
            () if self.on(Fault::TokenUnreachable) => Some(Err(Error::new(Code::Connect, Stage::Connect, ""))),
            () if self.on(Fault::TokenProxyAuth) => Some(Err(Error::new(Code::ProxyAuth, Stage::Proxy, ""))),
            () if self.on(Fault::TokenUnavailable) => Some(status(503, "")),
            () if self.on(Fault::TokenThrottled) => Some(status(429, "")),
            () if self.on(Fault::TokenThrottledFor) => Some(throttle(1 + self.up_to(59))),
            () if self.on(Fault::TokenRateLimited) => Some(status(400, RATE_LIMIT)),
            () if self.on(Fault::TokenQuota) => Some(throttle(181 + self.up_to(200))),
            () if self.on(Fault::TokenHtml) => Some(status(200, "<html>login</html>")),
            () if self.on(Fault::TokenUnauthorized) => Some(status(401, "")),
            () if self.on(Fault::TokenForbidden) => Some(status(403, "")),
            () => return None,
        })
    }

    // ---- the socket server ----------------------------------------------------------------------------------

    pub fn dialled(&mut self, epoch: u64) {
        let fault = |code, stage| Err(Error::new(code, stage, ""));
        let (delay, outcome) = match () {
            () if self.on(Fault::DialHangs) => (10_000, fault(Code::ConnectTimeout, Stage::Connect)),
            () if self.on(Fault::DialRefused) => (0, fault(Code::Connect, Stage::Connect)),
            () => (0, Ok(())),
        };
        let delay = delay + self.network_ms();
        self.later(delay, Event::ConnectDone { epoch, outcome });
    }

    /// The upgrade: granted, or refused with a status.
    pub fn asked_to_upgrade(&mut self, epoch: u64) {
        if self.sockets.get(&epoch).is_none_or(|socket| socket.end == End::Gone) {
            return;
        }
        let fault = |code| Err(Error::new(code, Stage::Upgrade, ""));
        let outcome = match () {
            () if self.on(Fault::DialUnauthorized) => fault(Code::UpgradeUnauthorized),
            () if self.on(Fault::DialUnavailable) => {
                let asked = self.up_to(10_000);
                fault(Code::UpgradeRefused).map_err(|error| error.with(|detail| detail.retry_after_ms = Some(asked)))
            }
            () if self.on(Fault::DialForbidden) => fault(Code::UpgradeForbidden),
            () if self.on(Fault::DialMissing) => fault(Code::UpgradeNotFound),
            () => Ok(()),
        };
        if let (Ok(()), Some(socket)) = (&outcome, self.sockets.get_mut(&epoch)) {
            socket.served = true;
            self.later(AUTH_TIMER_MS, Event::AuthDue { epoch });
        }
        let delay = self.network_ms();
        self.later(delay, Event::DialDone { epoch, outcome });
    }

    /// The server waits for the first auth frame of a socket so long; the client must never let it come to that.
    pub fn auth_due(&mut self, epoch: u64) {
        let Some(socket) = self.sockets.get(&epoch).filter(|socket| socket.served && !socket.swallowed) else { return };
        let met = !socket.asked && !socket.stalled && !self.watch.loose_clock;
        assert!(!met, "socket {epoch} meets the server's timer while it waits for its token");
    }

    /// Something arrives at the server.
    pub fn up(&mut self, epoch: u64, wire: Wire) {
        let no_pong = self.on(Fault::NoPong);
        let no_close = self.on(Fault::NoCloseReply);
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| socket.served && !socket.swallowed) else {
            return;
        };
        match wire {
            Wire::Text(text) => self.auth(epoch, &String::from_utf8(text).unwrap()),
            Wire::Ping if !no_pong => self.send_down(epoch, Wire::Pong),
            Wire::Close(code) => {
                socket.served = false;
                if !no_close {
                    self.send_down(epoch, Wire::Close(code));
                }
            }
            Wire::Eof => socket.served = false,
            Wire::Ping | Wire::Pong | Wire::Message(_) => {}
        }
    }

    fn auth(&mut self, epoch: u64, text: &str) {
        let frame: serde_json::Value = serde_json::from_str(text).unwrap();
        let token = frame["token"].as_str().unwrap().to_owned();
        if self.server.frames.len() < 10_000 {
            self.server.frames.push((epoch, text.to_owned()));
        }
        self.sockets.get_mut(&epoch).unwrap().asked = true;
        let renewal = self.sockets[&epoch].accepted.is_some();
        let error = |text: &str| Some(format!(r#"{{"type":"auth","status":"error","message":"{text}"}}"#));
        let throttled = self.on(Fault::AuthThrottled) || (renewal && self.on(Fault::RenewalThrottled));
        let silent = renewal && (self.on(Fault::RenewalSilent) || self.nature.in_band == InBand::Silent);
        let refuses = renewal && (self.on(Fault::RenewalRefused) || self.nature.in_band == InBand::Refuses);
        let lost = self.on(Fault::AuthSilent);
        let reply = match () {
            () if silent || (lost && self.one_in(2)) => None,
            () if throttled => error("Too many authentications"),
            () if refuses => error("Already authenticated"),
            () if self.on(Fault::AuthClosed) => return self.hang_up(epoch, Wire::Close(1008)),
            () if self.on(Fault::AuthGarbled) => Some(r#"{"type":"auth"}"#.to_owned()),
            () if self.on(Fault::AuthRefused) => {
                self.server.oddity += 1;
                error(&format!("Go away (request {})", self.server.oddity))
            }
            () if self.on(Fault::AuthRefusedOddly) => {
                self.server.oddity += 1;
                error(&format!(
                    "No, not {token}, {}",
                    ["never", "not now", "not here"][self.server.oddity as usize % 3]
                ))
            }
            () if !self.server.is_good(&token, self.now_ms) => error("Invalid token"),
            () => {
                self.accept(epoch, &token);
                (!lost).then(|| format!(r#"{{"type":"auth","status":"ok","sessionId":"s{epoch}"}}"#))
            }
        };
        if let Some(reply) = reply {
            self.send_down(epoch, Wire::Text(reply.into_bytes()));
        }
    }

    fn accept(&mut self, epoch: u64, token: &str) {
        let expires_ms = self.server.issued[token].expires_ms;
        self.sockets.get_mut(&epoch).unwrap().accepted = Some(token.to_owned());
        if let Some(kept_ms) = self.nature.kept_ms {
            self.at(expires_ms + kept_ms, Event::Expire { epoch });
        }
    }

    /// The server looks whether the token of a socket has expired for too long.
    pub fn expire(&mut self, epoch: u64) {
        let Some(token) = self.sockets.get(&epoch).and_then(|socket| socket.accepted.as_ref()) else { return };
        let over = self.server.issued.get(token).is_none_or(|issued| issued.expires_ms <= self.now_ms);
        if over {
            self.hang_up(epoch, Wire::Close(1008));
        }
    }

    pub fn hang_up(&mut self, epoch: u64, how: Wire) {
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| socket.served) else { return };
        socket.served = false;
        self.send_down(epoch, how);
    }

    /// A message for the application: on the newest socket, or on an older one that is still in use.
    pub fn push(&mut self) {
        self.server.messages += 1;
        let number = self.server.messages;
        let live: Vec<u64> = self.sockets.iter().filter(|(_, s)| s.is_live()).map(|(epoch, _)| *epoch).collect();
        let pick = live.len().saturating_sub(1 + self.up_to(1) as usize);
        let older = live.get(pick).copied().filter(|epoch| self.sockets[epoch].end != End::Gone);
        match older.or(live.last().copied()) {
            Some(epoch) => {
                let at_ms = self.now_ms;
                self.sockets.get_mut(&epoch).unwrap().written.push((number, at_ms));
                self.send_down(epoch, Wire::Message(number));
            }
            None => self.watch.lost(number, self.now_ms, 0),
        }
        let pause = self.nature.push_ms / 2 + self.up_to(self.nature.push_ms);
        self.later(pause, Event::Push);
    }

    /// The newest message the server has made.
    pub fn messages(&self) -> u64 {
        self.server.messages
    }
}
