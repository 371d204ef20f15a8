//! The token endpoint: one rate limit for the whole fleet.

use std::collections::VecDeque;

use super::library::proto::http::Reply;
use super::plan::MINUTE_MS;

/// The windows of the endpoint do not begin when the fleet is lost.
const WINDOW_OFFSET_MS: u64 = 23_000;

/// How requests are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// Not at all.
    None,
    /// The first n of every minute are granted.
    Window,
    /// The same, told as servers do that count everything: it makes no difference.
    WindowOfAll,
    /// At most n in any 60 seconds.
    Sliding {
        /// Whether requests that were refused are among them.
        counts_refused: bool,
    },
    /// A bucket of n that is refilled evenly.
    Bucket,
}

/// How the endpoint says no.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// HTTP 400 `rate limit exceeded`, without a hint when to come back.
    Genesys,
    /// HTTP 429 with a `Retry-After` that tells when the limit allows the next request.
    TooMany,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The token of this number.
    Granted(u64),
    /// Over the limit; this long until it is not.
    Refused(u64),
}

/// The endpoint.
#[derive(Debug)]
pub struct Endpoint {
    limit: Limit,
    per_minute: u64,
    issued: u64,
    window: u64,
    in_window: u64,
    /// Times of the requests that count, of the last 60 s.
    recent: VecDeque<u64>,
    /// In requests times 60,000, so that it is refilled evenly every millisecond.
    bucket: u64,
    filled_ms: u64,
    is_limited: bool,
}

impl Endpoint {
    /// An endpoint that grants everything until [`Self::limit`].
    pub fn new(limit: Limit, per_minute: u32) -> Self {
        let per_minute = u64::from(per_minute);
        Self {
            limit,
            per_minute,
            issued: 0,
            window: 0,
            in_window: 0,
            recent: VecDeque::new(),
            bucket: per_minute * MINUTE_MS,
            filled_ms: 0,
            is_limited: false,
        }
    }

    /// From now on requests are counted.
    pub fn limit(&mut self, now_ms: u64) {
        (self.is_limited, self.filled_ms) = (true, now_ms);
    }

    /// Number of the newest token.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// A request arrives.
    pub fn judge(&mut self, now_ms: u64) -> Verdict {
        let wait_ms = match self.limit {
            _ if !self.is_limited => None,
            Limit::None => None,
            Limit::Window | Limit::WindowOfAll => self.count_in_window(now_ms),
            Limit::Sliding { counts_refused } => self.count_recent(now_ms, counts_refused),
            Limit::Bucket => self.take_from_bucket(now_ms),
        };
        if let Some(wait_ms) = wait_ms {
            return Verdict::Refused(wait_ms);
        }
        self.issued += 1;
        Verdict::Granted(self.issued)
    }

    fn count_in_window(&mut self, now_ms: u64) -> Option<u64> {
        let at_ms = now_ms + WINDOW_OFFSET_MS;
        if self.window != at_ms / MINUTE_MS {
            (self.window, self.in_window) = (at_ms / MINUTE_MS, 0);
        }
        // Whether the refused ones are counted too changes nothing: the window is full, and it ends.
        let is_full = self.in_window >= self.per_minute;
        self.in_window += u64::from(!is_full || self.limit == Limit::WindowOfAll);
        is_full.then_some(MINUTE_MS - at_ms % MINUTE_MS)
    }

    fn count_recent(&mut self, now_ms: u64, counts_refused: bool) -> Option<u64> {
        while self.recent.front().is_some_and(|at| at + MINUTE_MS <= now_ms) {
            self.recent.pop_front();
        }
        let is_full = self.recent.len() as u64 >= self.per_minute;
        let wait_ms = self.recent.front().map_or(0, |at| at + MINUTE_MS - now_ms);
        if !is_full || counts_refused {
            self.recent.push_back(now_ms);
        }
        is_full.then_some(wait_ms)
    }

    fn take_from_bucket(&mut self, now_ms: u64) -> Option<u64> {
        let gained = (now_ms - self.filled_ms) * self.per_minute;
        (self.bucket, self.filled_ms) = ((self.bucket + gained).min(self.per_minute * MINUTE_MS), now_ms);
        if let Some(left) = self.bucket.checked_sub(MINUTE_MS) {
            self.bucket = left;
            return None;
        }
        Some((MINUTE_MS - self.bucket).div_ceil(self.per_minute))
    }
}

/// The answer on the wire.
pub fn reply(verdict: Verdict, refusal: Refusal) -> Reply {
    let (status, retry_after, body) = match (verdict, refusal) {
        (Verdict::Granted(number), _) => {
            (200, None, format!(r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":86399}}"#))
        }
        (Verdict::Refused(_), Refusal::Genesys) => {
            let body = r#"{"error":"invalid_request","description":"rate limit exceeded"}"#;
            (400, None, body.to_owned())
        }
        (Verdict::Refused(wait_ms), Refusal::TooMany) => {
            (429, Some(wait_ms.div_ceil(1_000).to_string()), String::new())
        }
    };
    Reply { status, retry_after, body: body.into_bytes(), ..Reply::default() }
}
