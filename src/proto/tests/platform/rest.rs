//! The REST API: channels and their subscriptions.

use super::cloud::{self, CHANNEL_LIFE_MS, DENIED, TOPICS_MAX};
use super::faults::Fault;
use super::wires::Wire;
use super::world::{Event, Platform};
use crate::error::{Code, Error, Stage};
use crate::proto::http::{Body, Method, Outcome, RateLimit, Reply, Request};
use crate::proto::session;

const CHANNELS: &str = "/api/v2/notifications/channels";

/// What a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    Make,
    Subscribe(u64),
    Unsubscribe(u64),
    Probe(u64),
}

/// A request, taken apart; panics if it is none that this API has.
#[derive(Debug)]
pub struct Call {
    pub what: What,
    pub token: String,
    pub topics: Vec<String>,
}

impl Call {
    pub fn read(request: &Request, api_url: &str) -> Self {
        let path = request.url.strip_prefix(api_url).and_then(|rest| rest.strip_prefix(CHANNELS)).expect("elsewhere");
        let channel = cloud::channel_of(path);
        let tail = path.splitn(3, '/').nth(2);
        let what = match (request.method, channel, tail) {
            (Method::Post, None, None) if path.is_empty() => What::Make,
            (Method::Put, Some(channel), Some("subscriptions?ignoreErrors=true")) => What::Subscribe(channel),
            (Method::Delete, Some(channel), Some("subscriptions")) => What::Unsubscribe(channel),
            (Method::Head, Some(channel), None) => What::Probe(channel),
            other => panic!("the API has no {other:?}"),
        };
        let token = request.authorization.expose().strip_prefix("Bearer ").expect("no bearer token").to_owned();
        let topics = match (&request.body, what) {
            (Body::Json(text), What::Subscribe(_)) => ids(text),
            (Body::None, What::Make | What::Unsubscribe(_) | What::Probe(_)) => Vec::new(),
            (body, _) => panic!("{what:?} with {body:?}"),
        };
        Self { what, token, topics }
    }
}

fn ids(text: &str) -> Vec<String> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).expect("not a list");
    list.iter().map(|topic| topic["id"].as_str().expect("a topic without an id").to_owned()).collect()
}

impl Platform {
    pub fn rest_asked(&mut self, who: usize, id: u64, request: &Request, sent_ms: u64) {
        let call = Call::read(request, &self.settings.api_url);
        if self.calls.len() < 100_000 {
            self.calls.push((self.now_ms, who, call.what));
        }
        let slow = if self.on(Fault::RestSlow) { 20_000 } else { 0 };
        let delay = self.up_to(self.nature.rest_ms + slow) + self.network_ms();
        let deadline = (sent_ms + request.timeout_ms).max(self.now_ms);
        let timeout = |at_ms| (at_ms, Err(Error::new(Code::HttpTimeout, Stage::Channel, "")));
        if self.on(Fault::RestSwallowed) {
            return;
        }
        let (at_ms, outcome) = match () {
            () if self.on(Fault::RestHangs) => timeout(deadline),
            () if self.on(Fault::RestUnreachable) => {
                (self.now_ms, Err(Error::new(Code::Connect, Stage::Connect, "refused")))
            }
            () => {
                let outcome = self.rest_fault(&call).unwrap_or_else(|| self.rest(who, &call));
                let lost = self.on(Fault::RestAnswerLost) || self.now_ms + delay > deadline;
                if lost {
                    timeout(deadline)
                } else {
                    (self.now_ms + delay, Ok(self.with_headers(outcome)))
                }
            }
        };
        self.at(at_ms, Event::RestDone { who, id, outcome });
    }

    /// The answer arrives; to a request that is of no use any more it does so half the time.
    pub fn rest_done(&mut self, who: usize, id: u64, outcome: Outcome) {
        let wanted = self.clients[who].rests.remove(&id).is_some();
        if wanted || self.one_in(2) {
            self.feed(who, session::Input::Rest { id, outcome });
        }
    }

    /// Faults that come before the API does anything.
    fn rest_fault(&mut self, call: &Call) -> Option<Reply> {
        let puts = matches!(call.what, What::Subscribe(_));
        Some(match () {
            () if self.on(Fault::RestUnavailable) => {
                let status = [502, 503, 504][self.up_to(2) as usize];
                refusal(status, "service.unavailable", "The service is unavailable")
            }
            () if self.on(Fault::RestGarbage) => Reply { status: 200, body: "<html>hush".into(), ..Reply::default() },
            () if self.on(Fault::RestUnauthorized) => refusal(401, "bad.credentials", "Invalid login credentials."),
            () if self.on(Fault::RestForbidden) => refusal(403, "not.authorized", &format!("Not you, {}", call.token)),
            () if self.on(Fault::RestThrottled) => throttle(1 + self.up_to(19)),
            () if self.on(Fault::RestQuota) => throttle(3_600 + self.up_to(7_200)),
            () if puts && self.on(Fault::SubscribeMissing) => {
                if let What::Subscribe(channel) = call.what {
                    self.channel_ends(channel, None);
                }
                not_found(call.what)
            }
            () => return None,
        })
    }

    fn rest(&mut self, who: usize, call: &Call) -> Reply {
        if self.rate.0 != self.now_ms / 60_000 {
            self.rate = (self.now_ms / 60_000, 0);
        }
        self.rate.1 += 1;
        if self.rate.1 > self.nature.calls_per_minute {
            return throttle(60 - self.now_ms / 1_000 % 60);
        }
        let idle = self.is_idle(&call.token);
        let Some(ends_ms) = self.server.ends_ms(&call.token, self.now_ms).filter(|_| !idle) else {
            return refusal(401, "bad.credentials", &format!("The token {} is invalid", call.token));
        };
        self.used_ms.insert(call.token.clone(), self.now_ms);
        match call.what {
            What::Make => self.make(who, &call.token, ends_ms),
            What::Subscribe(channel) => self.subscribe(channel, call),
            What::Unsubscribe(channel) => match self.cloud.find(self.now_ms, channel, &call.token) {
                Some(found) => {
                    found.topics.clear();
                    Reply { status: 200, ..Reply::default() }
                }
                None => not_found(call.what),
            },
            What::Probe(channel) => {
                let found = self.cloud.find(self.now_ms, channel, &call.token).is_some();
                Reply { status: if found { 200 } else { 404 }, ..Reply::default() }
            }
        }
    }

    fn make(&mut self, who: usize, token: &str, ends_ms: u64) -> Reply {
        let (channel, evicted) = self.cloud.make(self.now_ms, who, token);
        if let Some(evicted) = evicted {
            self.evict(evicted);
        }
        self.at(ends_ms, Event::TokenEnds { channel });
        self.later(CHANNEL_LIFE_MS, Event::ExpiryDue { channel });
        if let Some(idle_ms) = self.nature.idle_ms {
            self.later(idle_ms, Event::IdleDue { channel });
        }
        let id = cloud::id_of(channel);
        let host = &self.settings.streaming_host;
        let uri = match () {
            () if self.on(Fault::UriElsewhere) => format!("wss://{host}.example/channels/{id}"),
            () if self.on(Fault::UriPlain) => format!("ws://{host}/channels/{id}"),
            () if self.on(Fault::UriGarbage) => format!("{id} is here"),
            () => format!("wss://{host}/channels/{id}"),
        };
        let expires = instant(self.platform_wall_ms() + CHANNEL_LIFE_MS);
        let body = format!(r#"{{"connectUri":"{uri}","id":"{id}","expires":"{expires}"}}"#);
        Reply { status: 200, body: body.into(), ..Reply::default() }
    }

    fn subscribe(&mut self, channel: u64, call: &Call) -> Reply {
        if call.topics.len() > TOPICS_MAX {
            return refusal(400, "notification.too.many.topics", "Too many topics");
        }
        let rejects = self.on(Fault::TopicsRejected);
        let denied = |index: usize, topic: &str| topic.starts_with(DENIED) || rejects && index == 0;
        let Some(found) = self.cloud.find(self.now_ms, channel, &call.token) else { return not_found(call.what) };
        let topics = call.topics.iter().enumerate();
        found.topics = topics.clone().filter(|(index, topic)| !denied(*index, topic)).map(|(_, t)| t.clone()).collect();
        found.expires_ms = self.now_ms + CHANNEL_LIFE_MS;
        let due = Event::ExpiryDue { channel };
        if found.socket.is_some() {
            self.clients[found.owner].laws.account.withdraw(self.now_ms, |topic| found.topics.contains(topic));
        }
        self.later(CHANNEL_LIFE_MS, due);
        let results: Vec<String> = topics
            .map(|(index, topic)| match denied(index, topic) {
                true => format!(
                    r#"{{"id":"{topic}","state":"Rejected","rejectionReason":"no","missingPermissions":["a:b:view"]}}"#
                ),
                false => format!(r#"{{"id":"{topic}","state":"Permitted"}}"#),
            })
            .collect();
        Reply { status: 200, body: format!(r#"{{"entities":[{}]}}"#, results.join(",")).into(), ..Reply::default() }
    }

    /// A new channel was one too many.
    fn evict(&mut self, channel: u64) {
        if self.cloud.channels[&channel].socket.is_some() {
            self.cloud.evicted.push(channel);
        }
        self.channel_ends(channel, Some("another_channel_subscribed"));
    }

    fn with_headers(&self, reply: Reply) -> Reply {
        let limit =
            RateLimit { count: self.rate.1, allowed: self.nature.calls_per_minute, reset_s: 60 - self.rate.1 % 60 };
        Reply {
            date: Some(http_date(self.platform_wall_ms())),
            correlation_id: Some("corr-1".into()),
            rate_limit: Some(limit),
            ..reply
        }
    }

    // ---- the end of channels --------------------------------------------------------------------------------

    /// A channel is no more; its socket is told so, or closed without a word.
    pub fn channel_ends(&mut self, channel: u64, reason: Option<&str>) {
        let Some(gone) = self.cloud.channels.remove(&channel) else { return };
        let Some(epoch) = gone.socket else { return };
        if let Some(reason) = reason {
            self.no_longer_subscribed(gone.owner, epoch, channel, reason);
        }
        let delay = if reason.is_some() { self.up_to(5_000) } else { 0 };
        self.later(delay, Event::CloseDue { who: gone.owner, epoch, code: 1000 });
    }

    pub fn channels_end(&mut self, reason: &str) {
        let channels: Vec<u64> = self.cloud.channels.keys().copied().collect();
        for channel in channels {
            self.channel_ends(channel, Some(reason).filter(|reason| !reason.is_empty()));
        }
    }

    /// The token of a channel has reached its end: so has the channel, for who is connected perhaps a little later.
    pub fn token_ends(&mut self, channel: u64) {
        let Some(found) = self.cloud.channels.get_mut(&channel) else { return };
        found.is_dead = true;
        let (who, socket) = (found.owner, found.socket);
        if let (Some(epoch), Some(kept_ms)) = (socket, self.nature.base.kept_ms) {
            self.later(kept_ms, Event::CloseDue { who, epoch, code: 1008 });
        }
    }

    /// Looks whether a channel has reached its end without having been subscribed again.
    pub fn expiry_due(&mut self, channel: u64) {
        if self.cloud.channels.get(&channel).is_some_and(|found| found.expires_ms <= self.now_ms) {
            self.channel_ends(channel, None);
        }
    }

    /// Whether nobody has used this token for too long.
    fn is_idle(&self, token: &str) -> bool {
        let used_ms = self.used_ms.get(token).copied();
        matches!((self.nature.idle_ms, used_ms), (Some(idle), Some(used)) if used + idle <= self.now_ms)
    }

    /// Looks whether the token of a channel has died because nobody used it.
    pub fn idle_due(&mut self, channel: u64) {
        let Some(found) = self.cloud.channels.get(&channel) else { return };
        let (Some(idle_ms), Some(used_ms)) = (self.nature.idle_ms, self.used_ms.get(&found.token).copied()) else {
            return;
        };
        if self.is_idle(&found.token.clone()) {
            self.token_ends(channel);
        } else {
            self.at(used_ms + idle_ms, Event::IdleDue { channel });
        }
    }

    /// All tokens of now are dead, and their channels with them.
    pub fn tokens_end(&mut self, with_a_word: bool) {
        self.server.revoke_tokens();
        for (channel, gone) in std::mem::take(&mut self.cloud.channels) {
            let Some(epoch) = gone.socket else { continue };
            if with_a_word {
                self.token_revoked(gone.owner, epoch, channel);
                let delay = self.up_to(5_000);
                self.later(delay, Event::CloseDue { who: gone.owner, epoch, code: 1008 });
            } else {
                self.hang_up(gone.owner, epoch, Wire::Close(1008));
            }
        }
    }
}

fn not_found(what: What) -> Reply {
    let (What::Subscribe(channel) | What::Unsubscribe(channel) | What::Probe(channel)) = what else {
        return refusal(404, "not.found", "Unable to find it");
    };
    refusal(404, "not.found", &format!("Unable to find {}", cloud::id_of(channel)))
}

fn throttle(seconds: u64) -> Reply {
    let retry_after = Some(seconds.to_string());
    Reply { retry_after, ..refusal(429, "too.many.requests.retry.after", "Rate limit exceeded") }
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        r#"{{"message":"{message}","code":"{code}","status":{status},"contextId":"ctx","details":[],"errors":[]}}"#
    );
    Reply { status, body: body.into(), ..Reply::default() }
}

/// Year, month, day of a day since 1970.
fn date(days: u64) -> (u64, usize, u64) {
    let (mut year, mut left) = (1970, days);
    let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    (year, month, left + 1)
}

fn time(ms: u64) -> (u64, u64, u64) {
    (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60)
}

/// As the API writes an instant (RFC 3339).
fn instant(ms: u64) -> String {
    let ((year, month, day), (hour, minute, second)) = (date(ms / 86_400_000), time(ms));
    format!("{year}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", month + 1, ms % 1_000)
}

/// As HTTP does (RFC 9110 5.6.7).
fn http_date(ms: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let ((year, month, day), (hour, minute, second)) = (date(ms / 86_400_000), time(ms));
    let weekday = DAYS[(ms / 86_400_000 % 7) as usize];
    format!("{weekday}, {day:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", MONTHS[month])
}

#[test]
fn times_are_written_as_the_api_writes_them() {
    assert_eq!(instant(1_597_236_114_707), "2020-08-12T12:41:54.707Z");
    assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    for ms in (0..4_000_000_000_000).step_by(98_765_432_000) {
        assert_eq!(crate::proto::http_date::millis(&http_date(ms)), Some(ms / 1_000 * 1_000));
    }
}
