//! Days of a client that verifies its tokens: the issuer rotates its keys, withdraws them, cannot be reached, and grants
//! what is forged, foreign or somebody else's; this machine's clock is anywhere.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Arc;

use serde_json::json;

use super::hand::secret;
use super::issuer::{claims, header, key_set, settings, signed, verify, with, WALL_MS};
use super::{keeps_secrets, muted, random};
use crate::audit::Record;
use crate::config::settings::{Settings, Verification, Verify};
use crate::error::{Code, Error, Stage};
use crate::proto::dice::Dice;
use crate::proto::http::{Outcome, Purpose, Reply, Request};
use crate::proto::mutant::{activate, Mutant};
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{Credential, Input, News, Output, Refresher};
use crate::proto::time::Now;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// What the issuer says of how long its keys are fresh.
const FRESH_MS: u64 = 30 * MINUTE;
const LIFE_MS: u64 = 40 * MINUTE;
/// After the last fault: the longest wait after a failure, a question that hangs, and the same once more.
const WELL_AGAIN_MS: u64 = 10 * MINUTE;

/// What goes wrong until when.
#[derive(Debug, Default)]
struct Faults {
    keys_ms: u64,
    forged_ms: u64,
    foreign_ms: u64,
    answers_ms: u64,
}

/// What is known of a token that was granted.
#[derive(Clone, Copy, Debug)]
struct Granted {
    key: u64,
    forged: bool,
    subject: u64,
    ends_ms: u64,
}

struct Walk {
    dice: Dice,
    machine: Refresher,
    boot_ms: u64,
    /// How far this machine's clock is off.
    off_ms: i64,
    /// The issuer signs with this key; it publishes those from the second number on, and since when each is withdrawn.
    signs: u64,
    published: u64,
    withdrawn: BTreeMap<u64, u64>,
    faults: Faults,
    flight: Option<(u64, u64, Outcome)>,
    granted: BTreeMap<String, Granted>,
    newest: Option<String>,
    /// Whom the tokens are about, and whom the next login is about.
    pinned: Option<u64>,
    subject: u64,
    fresh_until_ms: u64,
    /// When keys were asked for although there were fresh ones.
    unneeded: Vec<u64>,
    blocked: bool,
    published_at: Vec<u64>,
    asked: u64,
    stale: u64,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let by = if dice.up_to(4) == 0 { Verify::Introspection } else { Verify::Jwt };
        let verification = Verification { by, ..settings().verification };
        let settings = Settings { verification, ..settings() };
        let credentials = Credentials { client_secret: secret("hush"), ..Credentials::default() };
        let credentials = Credentials { refresh_token: Some(secret("hush-r0")), ..credentials };
        Self {
            machine: Refresher::new(Arc::new(settings), credentials, false, 0).verifying(verify),
            boot_ms: 0,
            off_ms: dice.up_to(2 * DAY) as i64 - DAY as i64,
            dice,
            signs: 1,
            published: 1,
            withdrawn: BTreeMap::new(),
            faults: Faults::default(),
            flight: None,
            granted: BTreeMap::new(),
            newest: None,
            pinned: None,
            subject: 0,
            fresh_until_ms: 0,
            unneeded: Vec::new(),
            blocked: false,
            published_at: Vec::new(),
            asked: 0,
            stale: 0,
        }
    }

    fn server_ms(&self) -> u64 {
        WALL_MS + self.boot_ms
    }

    fn feed(&mut self, input: Input) {
        let now = Now {
            boot_ms: self.boot_ms,
            awake_ms: self.boot_ms,
            wall_ms: self.server_ms().saturating_add_signed(self.off_ms),
        };
        let held = self.machine.token().cloned();
        self.machine.handle(now, self.dice.up_to(u64::MAX), input);
        while let Some(output) = self.machine.poll() {
            keeps_secrets(&output, &mut self.dice);
            self.obey(output);
        }
        // Nothing that happens to a new token takes the old one away.
        let kept = self.machine.token().map(|token| token.serial) >= held.map(|token| token.serial);
        assert!(kept, "a token went");
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Http { epoch, request } => self.requested(epoch, &request),
            Output::Publish(token) => self.took(token.access_token.expose()),
            Output::News(News::Blocked { error, .. }) => {
                let expected = matches!(error.code(), Code::IdentityChanged | Code::TokenUnverified);
                assert!(expected, "blocked by {error}");
                self.blocked = true;
            }
            Output::Audit(Record::KeysStale { age_ms, .. }) => {
                assert!(self.boot_ms >= self.fresh_until_ms && age_ms < FRESH_MS + DAY, "{age_ms}");
                self.stale += 1;
            }
            _ => {}
        }
    }

    /// A token is in force.
    fn took(&mut self, text: &str) {
        let granted = self.granted[text];
        assert!(!granted.forged, "a forged token is used");
        let withdrawn_ms = self.withdrawn.get(&granted.key).map_or(0, |since| self.boot_ms - since);
        assert!(withdrawn_ms <= FRESH_MS + DAY, "a key is believed {withdrawn_ms} ms after it was withdrawn");
        assert!(granted.ends_ms + MINUTE > self.boot_ms, "a token that is over is used");
        assert_eq!(*self.pinned.get_or_insert(granted.subject), granted.subject, "somebody else's token is used");
        self.newest = Some(text.to_owned());
        self.published_at.push(self.boot_ms);
    }

    fn requested(&mut self, epoch: u64, request: &Request) {
        assert!(self.flight.is_none(), "two requests");
        let outcome = match request.purpose {
            Purpose::Token => Ok(self.grant()),
            Purpose::Keys => self.keys(),
            Purpose::Introspection => self.judge(request),
            Purpose::Api => unreachable!(),
        };
        let hangs = matches!(&outcome, Err(error) if error.code() == Code::HttpTimeout);
        let delay = if hangs { request.timeout_ms } else { 1 + self.dice.up_to(request.timeout_ms.min(2_000)) };
        self.flight = Some((self.boot_ms + delay, epoch, outcome));
    }

    fn grant(&mut self) -> Reply {
        let issued = self.server_ms();
        let forged = self.boot_ms < self.faults.forged_ms && self.dice.up_to(2) > 0;
        let foreign = self.boot_ms < self.faults.foreign_ms;
        let subject = if foreign { 1_000 + self.dice.up_to(3) } else { self.subject };
        // Whoever has stolen a key that was withdrawn for that uses it.
        let stolen = self.withdrawn.keys().next_back().copied().filter(|_| forged && self.dice.up_to(2) == 0);
        let forged = forged && stolen.is_none();
        let key = stolen.unwrap_or(self.signs);
        let name = format!("k{key}");
        self.asked += 1;
        let own = json!({
            "sub": format!("s{subject}"), "jti": self.asked.to_string(), "exp": (issued + LIFE_MS) / 1_000
        });
        let claims = with(claims(issued), own);
        let text = match self.dice.up_to(3) {
            _ if !forged => signed(&name, &header(&name), &claims),
            0 => signed("hers", &header(&name), &claims),
            1 => signed("hers", &header("hers"), &claims),
            2 => signed(&name, &header(&name), &with(claims, json!({"iss": "https://other.example"}))),
            _ => signed(&name, &header(&name), &with(claims, json!({"exp": issued / 1_000 - 61}))),
        };
        let known = Granted { key, forged, subject, ends_ms: self.boot_ms + LIFE_MS };
        self.granted.insert(text.clone(), known);
        let body = json!({"access_token": text, "token_type": "bearer", "expires_in": LIFE_MS / 1_000}).to_string();
        let date = date(issued);
        Reply { status: 200, body: body.into(), date: Some(date), ..Reply::default() }
    }

    fn fault(&mut self) -> Outcome {
        let body = ["<html>", "", "{}", "{\"keys\":3}"][self.dice.up_to(3) as usize];
        match self.dice.up_to(4) {
            0 => Err(Error::new(Code::HttpTimeout, Stage::Token, "")),
            1 => Err(Error::new(Code::Connect, Stage::Connect, "")),
            2 => Ok(Reply { status: 503, ..Reply::default() }),
            3 => Ok(Reply { status: 302, ..Reply::default() }),
            _ => Ok(Reply { status: 200, body: body.into(), ..Reply::default() }),
        }
    }

    fn keys(&mut self) -> Outcome {
        if self.boot_ms < self.fresh_until_ms {
            self.unneeded.push(self.boot_ms);
            for (at, since) in self.unneeded.iter().enumerate() {
                let (count, passed) = (self.unneeded.len() - at, self.boot_ms - since);
                assert!(count as u64 <= 3 + passed / 30_000, "keys were asked for {count} times in {passed} ms");
            }
        }
        if self.boot_ms < self.faults.keys_ms {
            return self.fault();
        }
        let names: Vec<String> = (self.published..=self.signs).map(|number| format!("k{number}")).collect();
        let body = key_set(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let cache_control = Some(format!("max-age={}", FRESH_MS / 1_000));
        Ok(Reply { status: 200, body: body.into(), cache_control, ..Reply::default() })
    }

    fn judge(&mut self, request: &Request) -> Outcome {
        assert!(!request.url.contains("eyJ"), "a token in a URL");
        if self.boot_ms < self.faults.answers_ms {
            return self.fault();
        }
        let text = request.body.text().split(['=', '&']).nth(1).unwrap();
        let Granted { forged, subject, key, .. } = self.granted[text];
        let good = !forged && !self.withdrawn.contains_key(&key);
        let said = with(claims(self.server_ms()), json!({"active": good, "exp": null, "sub": format!("s{subject}")}));
        Ok(Reply { status: 200, body: said.to_string().into(), ..Reply::default() })
    }

    /// Something happens to the issuer, or to this machine.
    fn strike(&mut self) {
        let longest = [MINUTE, 2 * HOUR][self.dice.up_to(1) as usize];
        let until = self.boot_ms + self.dice.up_to(longest);
        // About a day: around the time when old keys are over.
        let days = self.boot_ms + 20 * HOUR + self.dice.up_to(7 * HOUR);
        match self.dice.up_to(9) {
            0 | 1 => self.signs += 1,
            2 => {
                for gone in self.published..self.signs {
                    self.withdrawn.insert(gone, self.boot_ms);
                }
                self.published = self.signs;
            }
            3 => self.faults.keys_ms = self.faults.keys_ms.max(until),
            4 => self.faults.keys_ms = days,
            5 => self.faults.forged_ms = until,
            6 => self.faults.foreign_ms = until.min(self.boot_ms + HOUR),
            7 => self.faults.answers_ms = until,
            8 => self.feed(Input::RefreshNow),
            _ => self.login(),
        }
    }

    /// Somebody signs in anew, perhaps another user.
    fn login(&mut self) {
        self.subject += self.dice.up_to(1);
        (self.pinned, self.blocked) = (None, false);
        let text = format!("hush-r{}", self.asked);
        self.feed(Input::Credential(Credential::RefreshToken(secret(&text))));
        // What is in flight is of the login before, and says nothing of whom the next one is about.
        if self.flight.is_some() {
            self.run_for(MINUTE);
            self.pinned = None;
        }
    }

    fn run_for(&mut self, ms: u64) {
        let end = self.boot_ms + ms;
        loop {
            let arrives = self.flight.as_ref().map(|(at, ..)| *at);
            let due = self.machine.next_timeout();
            let Some(next) = arrives.into_iter().chain(due).min().filter(|next| *next <= end) else { break };
            self.boot_ms = self.boot_ms.max(next);
            if arrives == Some(next) {
                let Some((_, epoch, outcome)) = self.flight.take() else { break };
                self.learn(&outcome);
                self.feed(Input::Replied { epoch, outcome });
            } else {
                self.feed(Input::Timeout);
            }
        }
        self.boot_ms = self.boot_ms.max(end);
    }

    /// Keys that arrive are fresh from then on.
    fn learn(&mut self, outcome: &Outcome) {
        if outcome.as_ref().is_ok_and(|reply| reply.cache_control.is_some()) {
            self.fresh_until_ms = self.boot_ms + FRESH_MS;
        }
    }
}

/// `Date` (RFC 9110 5.6.7) of the days around 2026-01-01.
fn date(wall_ms: u64) -> String {
    let seconds = (wall_ms - WALL_MS) / 1_000;
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    assert!(day < 31, "the walk is too long for January");
    let week = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(day % 7) as usize];
    format!("{week}, {:02} Jan 2026 {:02}:{:02}:{:02} GMT", day + 1, rest / 3_600, rest / 60 % 60, rest % 60)
}

/// How many tokens there were, and how many of them were verified with keys that were over.
fn walk(seed: u64) -> (usize, u64) {
    let mut walk = Walk::new(seed);
    walk.feed(Input::Start);
    for _ in 0..60 {
        let longest = [MINUTE, 10 * MINUTE, 8 * HOUR][walk.dice.up_to(2) as usize];
        let pause = walk.dice.up_to(longest);
        walk.run_for(pause);
        walk.strike();
        if walk.blocked && walk.dice.up_to(1) == 0 {
            walk.login();
        }
    }
    // All is well from here on.
    walk.faults = Faults::default();
    walk.run_for(MINUTE);
    walk.login();
    walk.run_for(WELL_AGAIN_MS);
    let before = walk.published_at.len();
    walk.run_for(4 * HOUR);
    let passed = walk.published_at.len() - before;
    assert!(passed >= 5, "{passed} tokens in four hours without faults");
    // A new key is no reason to wait.
    walk.signs += 1;
    let before = walk.published_at.len();
    walk.feed(Input::RefreshNow);
    walk.run_for(MINUTE);
    assert!(walk.published_at.len() > before, "a new key is not asked for");
    assert!(!walk.blocked && walk.machine.senseless() == 0);
    walk.feed(Input::Close);
    walk.run_for(MINUTE);
    (walk.published_at.len(), walk.stale)
}

#[test]
fn walks_of_fixed_seeds() {
    let walks = if cfg!(debug_assertions) { 16 } else { 1_000 };
    let (mut tokens, mut stale) = (0, 0);
    for seed in 0..walks {
        let outcome = muted(|| catch_unwind(|| walk(seed)));
        let (more, old) = outcome.unwrap_or_else(|panic| panic!("the walk of seed {seed}: {}", random::words(&*panic)));
        (tokens, stale) = (tokens + more, stale + old);
    }
    println!("{tokens} tokens, {stale} of them by keys that were over");
    assert!(tokens as u64 > 50 * walks && stale > walks, "{tokens} tokens, {stale} by old keys: too dull");
}

/// What the walk notices without the help of a story.
#[test]
fn broken_rules_are_noticed() {
    let mutants = [
        Mutant::NothingVerified,
        Mutant::KeysNeverExpire,
        Mutant::StaleForEver,
        Mutant::UnknownKeyIsFinal,
        Mutant::OwnClockVerifies,
        Mutant::InactiveTaken,
        Mutant::IdentityUnpinned,
        Mutant::PinForEver,
        Mutant::FailureDropsToken,
    ];
    let missed: Vec<Mutant> = mutants
        .into_iter()
        .filter(|mutant| {
            activate(Some(*mutant));
            let words =
                |seed: u64| muted(|| catch_unwind(|| walk(seed))).err().map(|panic| (seed, random::words(&*panic)));
            let noticed = (0..40).find_map(words);
            activate(None);
            println!("{mutant:?}: {noticed:?}");
            noticed.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "no walk notices {missed:?}");
}
