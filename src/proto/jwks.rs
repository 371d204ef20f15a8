//! The keys of an issuer, for as long as they may be used (RFC 7517; what `Cache-Control` says by RFC 9111 4.2 and 5.2.2).
//!
//! A set is *fresh* for as long as its answer says, within a minute and a day, or ten minutes. When it is not any more and
//! no newer one can be had, it is used on, *stale*, for one more day: an issuer's keys outlive an outage of the place where
//! they are published, and a day bounds for how long a withdrawn one is believed.
//!
//! A token that names a key which is not in a fresh set, or whose signature is not of the key with that name, is a reason to
//! ask again, as issuers sign with new keys before old ones are over, some of them under the old name; but whoever makes such
//! tokens could have us ask without end. So that takes a permit from a bucket of three, into which one more comes every 30 s.
//!
//! Nor is an issuer in trouble asked at every token: when a question has failed, a stale set is used for 30 s unasked.

use std::sync::Arc;

use super::http::{Body, Method, Purpose, Reply, Request};
use super::jose::KeySet;
use super::oauth::LONG_WAIT_MS;
use super::retry_after;
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::proto::mutant::{active, Mutant};
use crate::secret::Secret;

/// Largest key set.
pub const MAX_BYTES: usize = 256 << 10;

/// A set is fresh for so long at least, at most, and where its answer says nothing.
const FRESH_LEAST_MS: u64 = 60_000;
const FRESH_MOST_MS: u64 = 24 * 3_600_000;
const FRESH_DEFAULT_MS: u64 = 600_000;
/// It is used for so long after that.
const STALE_MS: u64 = 24 * 3_600_000;

/// Permits to ask for keys that a token names and a fresh set has not.
const PERMITS: u64 = 3;
/// A new one comes after so long.
const COOLDOWN_MS: u64 = 30_000;

/// The newest set, and when others may be asked for. Times are of the boot clock.
#[derive(Clone, Debug, Default)]
pub struct KeyCache {
    held: Option<Held>,
    /// Since then there is nothing newer, and why.
    missed: Option<(u64, Error)>,
    /// When the bucket is full again.
    full_ms: u64,
}

#[derive(Clone, Debug)]
struct Held {
    set: Arc<KeySet>,
    read_ms: u64,
    fresh_until_ms: u64,
}

impl KeyCache {
    /// The set, while it is fresh.
    pub fn fresh(&self, boot_ms: u64) -> Option<Arc<KeySet>> {
        let outlives = active(Mutant::KeysNeverExpire);
        self.held.as_ref().filter(|held| boot_ms < held.fresh_until_ms || outlives).map(|held| Arc::clone(&held.set))
    }

    /// The set when no newer one can be had, and how long ago it was read.
    pub fn stale(&self, boot_ms: u64) -> Option<(Arc<KeySet>, u64)> {
        let stale_ms = if active(Mutant::StaleForEver) { u64::MAX / 2 } else { STALE_MS };
        let held = self.held.as_ref().filter(|held| boot_ms < held.fresh_until_ms.saturating_add(stale_ms))?;
        Some((Arc::clone(&held.set), boot_ms.saturating_sub(held.read_ms)))
    }

    /// Takes a permit to ask for newer keys although the set is fresh.
    pub fn may_ask_again(&mut self, boot_ms: u64) -> bool {
        let from_ms = self.full_ms.max(boot_ms);
        if from_ms - boot_ms > (PERMITS - 1) * COOLDOWN_MS && !active(Mutant::NoKeyCooldown) {
            return false;
        }
        self.full_ms = from_ms + COOLDOWN_MS;
        true
    }

    /// Takes a set over that was just read.
    pub fn put(&mut self, boot_ms: u64, set: KeySet, fresh_ms: u64) {
        let held = Held { set: Arc::new(set), read_ms: boot_ms, fresh_until_ms: boot_ms.saturating_add(fresh_ms) };
        (self.held, self.missed) = (Some(held), None);
    }

    /// No set could be had.
    pub fn miss(&mut self, boot_ms: u64, error: Error) {
        self.missed = Some((boot_ms, error));
    }

    /// Why nobody is asked now although the set is stale: somebody was a moment ago, or is to come later.
    pub fn missed(&self, boot_ms: u64) -> Option<Error> {
        let (since_ms, error) = self.missed.as_ref()?;
        self.stale(boot_ms).filter(|_| !active(Mutant::IssuerPestered))?;
        let (passed_ms, asked_ms) = (boot_ms.saturating_sub(*since_ms), error.retry_after_ms());
        let wait_ms = asked_ms.unwrap_or(0).max(COOLDOWN_MS);
        let left_ms = asked_ms.map(|ms| ms.saturating_sub(passed_ms));
        (passed_ms < wait_ms).then(|| error.clone().with(|detail| detail.retry_after_ms = left_ms))
    }
}

/// The request for the keys.
pub fn request(settings: &Settings, timeout_ms: u64) -> Request {
    Request {
        purpose: Purpose::Keys,
        method: Method::Get,
        url: settings.verification.jwks_url.clone(),
        authorization: Secret::default(),
        body: Body::None,
        timeout_ms,
    }
}

/// The keys of an answer, and for how long they are fresh.
pub fn read(reply: &Reply, wall_ms: u64) -> Result<(KeySet, u64), Error> {
    if reply.status != 200 {
        let asked =
            reply.retry_after.as_deref().and_then(|text| retry_after::read(text, reply.date.as_deref(), wall_ms));
        let error = Error::new(Code::IssuerKeys, Stage::Token, format!("HTTP {}.", reply.status));
        return Err(error.with(|detail| {
            detail.http_status = reply.status;
            detail.retry_after_ms = asked.map(|ms| ms.min(LONG_WAIT_MS));
        }));
    }
    let set = KeySet::parse(&reply.body, MAX_BYTES)?;
    Ok((set, fresh_ms(reply.cache_control.as_deref(), reply.age.as_deref())))
}

/// Why there are no keys, in the words of whoever knows.
pub fn unavailable(error: Error, settings: &Settings) -> Error {
    let url = &settings.verification.jwks_url;
    let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    error.with(|detail| {
        if detail.code != Code::IssuerKeys {
            detail.message = format!("{} {}", detail.code.text(), detail.message).trim_end().to_owned();
        }
        (detail.code, detail.stage, detail.fatal) = (Code::IssuerKeys, Stage::Token, false);
        if detail.host.is_empty() {
            host.clone_into(&mut detail.host);
        }
    })
}

/// How long an answer is fresh (RFC 9111 4.2.1): `max-age` less what caches on the way have used up of it.
fn fresh_ms(cache_control: Option<&str>, age: Option<&str>) -> u64 {
    let mut fresh_ms = None;
    for directive in cache_control.unwrap_or_default().split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return FRESH_LEAST_MS,
            // Of several the shortest; what is no number counts as absent.
            "max-age" => fresh_ms = [fresh_ms, seconds_ms(value)].into_iter().flatten().min(),
            _ => {}
        }
    }
    let Some(fresh_ms) = fresh_ms else { return FRESH_DEFAULT_MS };
    if active(Mutant::KeyAgeUnbounded) {
        return fresh_ms;
    }
    fresh_ms.saturating_sub(age.and_then(seconds_ms).unwrap_or(0)).clamp(FRESH_LEAST_MS, FRESH_MOST_MS)
}

/// `delta-seconds` (RFC 9111 1.2.2): what is too large is very large. Quotes are not allowed, and sent.
fn seconds_ms(text: &str) -> Option<u64> {
    let digits = text.trim().trim_matches('"');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn how_long_an_answer_is_fresh() {
        for (cache_control, age, expected) in [
            ("", "", FRESH_DEFAULT_MS),
            ("public", "5", FRESH_DEFAULT_MS),
            ("max-age=3600", "", HOUR),
            ("Public, Max-Age = 3600 , must-revalidate", "", HOUR),
            ("max-age=\"3600\"", "", HOUR),
            ("max-age=3600", "600", HOUR - 600_000),
            ("max-age=3600", "junk", HOUR),
            ("max-age=3600", "99999999999999999999", FRESH_LEAST_MS),
            ("max-age=0", "", FRESH_LEAST_MS),
            ("max-age=59", "", FRESH_LEAST_MS),
            ("max-age=86401", "", FRESH_MOST_MS),
            ("max-age=99999999999999999999999", "", FRESH_MOST_MS),
            ("max-age=-1", "", FRESH_DEFAULT_MS),
            ("max-age=soon", "", FRESH_DEFAULT_MS),
            ("max-age", "", FRESH_DEFAULT_MS),
            ("s-maxage=7200", "", FRESH_DEFAULT_MS),
            ("max-age=7200, max-age=3600", "", HOUR),
            ("no-store", "", FRESH_LEAST_MS),
            ("max-age=3600, no-cache", "", FRESH_LEAST_MS),
            ("no-cache=\"set-cookie\", max-age=3600", "", FRESH_LEAST_MS),
        ] {
            let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
            assert_eq!(fresh_ms(given(cache_control), given(age)), expected, "{cache_control} {age}");
        }
    }

    #[test]
    fn a_set_is_fresh_then_stale_then_gone() {
        let mut cache = KeyCache::default();
        assert!(cache.fresh(0).is_none() && cache.stale(0).is_none());
        cache.put(1_000, KeySet::default(), HOUR);
        assert!(cache.fresh(1_000 + HOUR - 1).is_some() && cache.fresh(1_000 + HOUR).is_none());
        let age = |at| cache.stale(at).map(|(_, age_ms)| age_ms);
        assert_eq!(age(1_000 + HOUR), Some(HOUR));
        assert_eq!(age(1_000 + 25 * HOUR - 1), Some(25 * HOUR - 1));
        assert_eq!(age(1_000 + 25 * HOUR), None);
    }

    #[test]
    fn three_at_once_then_one_every_thirty_seconds() {
        let mut cache = KeyCache::default();
        let taken = |cache: &mut KeyCache, at| (0..9).filter(|_| cache.may_ask_again(at)).count();
        assert_eq!([0, 29_999, 30_000, 59_999, 60_000].map(|at| taken(&mut cache, at)), [3, 0, 1, 0, 1]);
        assert_eq!(taken(&mut cache, 10 * HOUR), 3, "the bucket holds three");
        // However it is asked.
        let mut cache = KeyCache::default();
        let all: usize = (0..1_000).map(|second| taken(&mut cache, second * 1_000)).sum();
        assert_eq!(all, 3 + 33);
    }

    #[test]
    fn what_is_no_key_set_is_an_error_of_its_own() {
        let reply = |status, body: &str| Reply { status, body: body.into(), ..Reply::default() };
        for (status, body) in [
            (204, ""),
            (302, ""),
            (404, "{\"keys\":[]}"),
            (503, ""),
            (200, "<html>"),
            (200, "{}"),
            (200, "[]"),
            (200, "{\"keys\":1}"),
        ] {
            assert_eq!(read(&reply(status, body), 0).unwrap_err().code(), Code::IssuerKeys, "{status} {body}");
        }
        let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(MAX_BYTES));
        assert_eq!(read(&reply(200, &huge), 0).unwrap_err().code(), Code::IssuerKeys);
        assert_eq!(read(&reply(200, "{\"keys\":[]}"), 0).unwrap().0.len(), 0);
        let throttled = Reply { retry_after: Some("7".into()), ..reply(429, "") };
        assert_eq!(read(&throttled, 0).unwrap_err().retry_after_ms(), Some(7_000));
        let throttled = Reply { retry_after: Some("86400".into()), ..reply(503, "") };
        assert_eq!(read(&throttled, 0).unwrap_err().retry_after_ms(), Some(180_000), "tokens do not wait for a day");
    }

    #[test]
    fn an_error_of_the_way_there_says_where_and_is_tried_again() {
        let mut settings = Settings::default();
        settings.verification.jwks_url = "https://keys.example:8443/jwks?x".into();
        let error =
            Error::new(Code::Redirect, Stage::Token, "The answer was 302.").with(|detail| detail.http_status = 302);
        let error = unavailable(error, &settings);
        assert_eq!((error.code(), error.detail().http_status, error.is_retriable()), (Code::IssuerKeys, 302, true));
        assert_eq!(error.detail().host, "keys.example:8443");
        assert!(error.detail().message.ends_with("The answer was 302."), "{error}");
        let own = unavailable(Error::new(Code::IssuerKeys, Stage::Token, "HTTP 500."), &settings);
        assert_eq!(own.detail().message, "HTTP 500.");
    }
}
