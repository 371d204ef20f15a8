//! Machine 1: when to fetch a token, publish it, keep the old one, give up.
//!
//! ```text
//!            Start                 Replied(ok)                       Answered / timer
//!  Stopped ─────────▶ Fetching ───────────────▶ Persisting (rotated) ───────────────▶ Holding
//!                     ▲  │  ▲                                                          │
//!        timer/forced │  │  └──────────────── timer t_refresh, RefreshNow, Refused ◀───┘
//!                  Waiting◀┘ Replied(transient)
//!                     ▲  │ Replied(final)
//!    Credential, code │  ▼
//!                    Blocked ── asks the application for an authorization code after a second 401
//! ```
//!
//! With a token store `Loading` comes before `Fetching` and `Storing` after it (`store.rs`); `Checking` asks whether the
//! token is to be believed (`trust.rs`, `pin.rs`), and for the scopes of an opaque one (`probe.rs`), and `Revoking` is the last thing of a machine that is to revoke its token.
//!
//! With `token.grant = application` a question takes the place of the request; all else is the same.
//!
//! One request is in flight at most: only `Fetching` waits for an answer, and its epoch tells a stale one.

mod denied;
mod end;
mod grant;
mod io;
mod listening;
mod memory;
mod phase;
mod pin;
mod probe;
mod proofs;
mod provider;
mod records;
mod refusal;
mod store;
mod trust;
mod wishes;

use std::collections::VecDeque;
use std::sync::Arc;

pub use self::io::{Credential, Found, Input, News, Output};
pub use self::memory::Memory;
use self::phase::Phase;
use self::refusal::is_final;
use self::wishes::{serve, Wish};
use super::backoff::{retry_ms, Held, Retry};
use super::dice::Dice;
use super::http::{self, Reply, Request};
use super::http_date;
use super::jose;
use super::jwks::KeyCache;
use super::mutant::{active, Mutant};
use super::oauth::{self, Credentials, Granted, Proof};
use super::pkce::Fresh;
use super::time::Now;
use super::token::Token;
use crate::audit::Trust;
use crate::config::settings::{Grant, Settings};
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

/// An authorization code is asked for after this many 401s in a row.
const UNAUTHORIZED_BEFORE_ASKING: u32 = 2;

/// The machine that keeps a token fresh. See the [module](self) for its states.
#[derive(Debug)]
pub struct Refresher {
    settings: Arc<Settings>,
    credentials: Credentials,
    /// Whether somebody answers questions.
    can_ask: bool,
    /// A token was asked for, and what came of it is not on record yet.
    is_open: bool,
    /// The last token that was granted brought a new refresh token.
    has_rotated: bool,
    /// What makes it believable.
    trust: Trust,
    /// Others use its tokens, and what they need of them is not known here.
    shares: bool,
    phase: Phase,
    /// The one timer; what it means follows from the phase.
    wake_ms: Option<u64>,
    token: Option<Arc<Token>>,
    epoch: u64,
    requested: Now,
    credentials_version: u64,
    requested_version: u64,
    /// The refresh token in force when the request was made.
    requested_refresh: Option<Secret>,
    /// What the request proved our right with.
    requested_proof: Proof,
    /// How far the server's clock is ahead of ours, as far as is known, and as was known when the request was made.
    ahead_ms: i64,
    requested_ahead_ms: i64,
    has_corrected_clock: bool,
    /// Texts that nobody may guess: for one use.
    fresh: Option<Fresh>,
    /// The request that waits for its assertion.
    unsigned: Option<Request>,
    /// What a server could repeat of the request in flight.
    requested_secrets: Vec<Secret>,
    serial: u64,
    asks: u64,
    failures: u32,
    /// Throttles in a row.
    throttles: u32,
    round_attempts: u32,
    round_started_ms: u64,
    unauthorized: u32,
    /// The server asked for no request before.
    not_before_ms: u64,
    /// When the last refresh that something forced was made, or will be.
    last_forced_ms: Option<u64>,
    /// The token that was refused last: the application is not to provide it again.
    refused: Option<Secret>,
    wanted: Vec<Wish>,
    denial: denied::Denial,
    /// What is known of the token store.
    store: store::Known,
    /// Whom the tokens are about.
    pin: pin::Pin,
    /// The issuer's keys, and who verifies with them.
    keys: KeyCache,
    verify: jose::Verify,
    /// Only the answer to the request in flight is still waited for.
    closing: bool,
    closed: bool,
    /// Attempts that failed, ever.
    attempts_failed: u64,
    senseless: u64,
    dice: Dice,
    out: VecDeque<Output>,
}

impl Refresher {
    /// A machine at rest. `can_ask`: the application registered a function for questions.
    /// `unauthorized`: 401s in a row that an earlier machine of this client has seen.
    pub fn new(settings: Arc<Settings>, credentials: Credentials, can_ask: bool, unauthorized: u32) -> Self {
        Self {
            settings,
            credentials,
            can_ask,
            is_open: false,
            has_rotated: false,
            trust: Trust::Unverified,
            shares: false,
            phase: Phase::Stopped,
            wake_ms: None,
            token: None,
            epoch: 0,
            requested: Now::default(),
            credentials_version: 0,
            requested_version: 0,
            requested_refresh: None,
            requested_proof: Proof::Missing,
            ahead_ms: 0,
            requested_ahead_ms: 0,
            has_corrected_clock: false,
            fresh: None,
            unsigned: None,
            requested_secrets: Vec::new(),
            serial: 0,
            asks: 0,
            failures: 0,
            throttles: 0,
            round_attempts: 0,
            round_started_ms: 0,
            unauthorized,
            not_before_ms: 0,
            last_forced_ms: None,
            refused: None,
            wanted: Vec::new(),
            denial: denied::Denial::default(),
            store: store::Known::default(),
            pin: pin::Pin::default(),
            keys: KeyCache::default(),
            verify: |_, _, _, _| false,
            closing: false,
            closed: false,
            attempts_failed: 0,
            senseless: 0,
            dice: Dice::new(0),
            out: VecDeque::new(),
        }
    }

    /// Whether somebody answers questions from here on; those that were asked stay open.
    pub fn set_can_ask(&mut self, can_ask: bool) {
        self.can_ask = can_ask;
    }

    /// Its tokens are for others, who check themselves whether these grant what they need.
    pub fn sharing(self) -> Self {
        Self { shares: true, ..self }
    }

    /// Takes a fact in. `random` feeds the jitter.
    pub fn handle(&mut self, now: Now, random: u64, input: Input) {
        self.dice = Dice::new(random);
        if self.closing || self.closed && !active(Mutant::ActiveAfterStop) {
            return self.handle_closing(now, input);
        }
        match input {
            Input::Start => self.start(now),
            Input::Replied { epoch, outcome } => self.replied(now, epoch, outcome),
            Input::Signed { epoch, outcome } => self.signed(now, epoch, outcome),
            Input::Refused { serial } => self.refused(now, serial),
            Input::GiveUp { error, serial } => self.give_up(now, error, serial),
            Input::Wanted { id, min_left_ms } => self.wanted(now, id, min_left_ms),
            Input::RefreshNow => self.force(now),
            Input::Credential(credential) => self.credential(now, credential),
            Input::Answered { id, answer } => self.answered(now, id, answer),
            Input::Loaded(outcome) => self.loaded(now, outcome),
            Input::Stored(outcome) => self.stored(now, outcome),
            Input::Close => self.close(now),
            Input::Timeout => self.timeout(now),
        }
    }

    /// The next order, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due, in boot milliseconds.
    pub fn next_timeout(&self) -> Option<u64> {
        let wish = self.wanted.iter().filter_map(|wish| wish.by_ms).min();
        self.wake_ms.into_iter().chain(wish).min()
    }

    /// The credentials in force: a rotated refresh token outlives the machine.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// 401s in a row.
    pub fn unauthorized(&self) -> u32 {
        self.unauthorized
    }

    /// The token in force.
    pub fn token(&self) -> Option<&Arc<Token>> {
        self.token.as_ref()
    }

    /// Whether [`Input::GiveUp`] would end the attempts: not while a newer token than `serial` is out or on its way.
    pub fn would_give_up(&self, serial: u64) -> bool {
        let newer = self.serial > serial && !active(Mutant::GiveUpIsStale);
        matches!(self.phase, Phase::Holding | Phase::Waiting) && !newer
    }

    /// Inputs that made no sense in their state.
    pub fn senseless(&self) -> u64 {
        self.senseless
    }

    fn start(&mut self, now: Now) {
        match self.phase {
            Phase::Stopped => self.begin_round(now),
            _ => self.senseless += 1,
        }
    }

    fn timeout(&mut self, now: Now) {
        self.serve_overdue(now);
        if self.wake_ms.is_none_or(|wake| wake > now.boot_ms) {
            return;
        }
        self.wake_ms = None;
        match &self.phase {
            Phase::Holding => self.begin_round(now),
            Phase::Waiting => self.fetch(now),
            Phase::Persisting { .. } => {
                let text = format!("No answer within {} ms.", self.settings.persist_timeout_ms);
                self.persisted(now, Err(Error::new(Code::Timeout, Stage::Callback, text)));
            }
            Phase::Blocked { .. } => self.set_phase(Phase::Blocked { error: self.block_error(), asked: None }, None),
            Phase::Fetching { .. } => self.provider_is_late(now),
            // Somebody else keeps the time of these.
            Phase::Stopped | Phase::Loading { .. } | Phase::Storing(_) | Phase::Checking(..) | Phase::Revoking => {}
        }
    }

    // ---- fetching -------------------------------------------------------------------------------------------

    fn begin_round(&mut self, now: Now) {
        self.round_attempts = 0;
        if now.boot_ms < self.not_before_ms && !active(Mutant::RetryAfterForgotten) {
            return self.set_phase(Phase::Waiting, Some(self.not_before_ms));
        }
        self.round_started_ms = now.boot_ms;
        self.fetch(now);
    }

    fn fetch(&mut self, now: Now) {
        if self.round_attempts == 0 {
            self.round_started_ms = now.boot_ms;
            self.store.read_again = false;
        }
        if self.settings.grant == Grant::Application {
            return self.ask_for_token(now);
        }
        if self.has_store() {
            return self.load(now, None);
        }
        self.request_token(now);
    }

    fn request_token(&mut self, now: Now) {
        let timeout_ms = self.attempt_ms(now, self.settings.token_timeout_ms);
        let Some(request) = oauth::request(&self.settings, &self.credentials, timeout_ms) else {
            self.block(now, self.no_proof());
            return self.ask_for_code(now);
        };
        self.begin_request(now, request);
    }

    /// `min(most, max(3 s, remaining/4))` while a token is held, else `most` (15 s).
    fn attempt_ms(&self, now: Now, most: u64) -> u64 {
        self.held(now).map_or(most, |held| (held.remaining_ms / 4).max(3_000).min(most))
    }

    fn held(&self, now: Now) -> Option<Held> {
        let token = self.token.as_deref()?;
        let remaining_ms = token.remaining_ms(now.boot_ms);
        (remaining_ms > 0).then_some(Held { lifetime_ms: token.lifetime_ms, remaining_ms })
    }

    fn replied(&mut self, now: Now, epoch: u64, outcome: http::Outcome) {
        let stale = (epoch != self.epoch || self.unsigned.is_some()) && !active(Mutant::StaleReply);
        if matches!(self.phase, Phase::Checking(..)) && !stale {
            return self.checked(now, outcome);
        }
        if !matches!(self.phase, Phase::Fetching { asked: None }) || stale {
            self.senseless += 1;
            return;
        }
        if let Ok(Reply { date: Some(date), .. }) = &outcome {
            self.learn_clock(now, date);
        }
        match outcome.and_then(|reply| self.read(now, reply)) {
            Ok(granted) => self.granted(now, granted),
            Err(error) => self.failed(now, error),
        }
    }

    /// How far the server's clock is ahead of ours: `Date` (RFC 9110 6.6.1) has whole seconds, and was written about
    /// half way between request and answer.
    fn learn_clock(&mut self, now: Now, date: &str) {
        let Some(date_ms) = http_date::millis(date) else { return };
        let half_way = now.boot_ms.saturating_sub(self.requested.boot_ms) / 2;
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let ahead_ms = signed(date_ms + 500).saturating_sub(signed(now.wall_ms.saturating_sub(half_way)));
        self.ahead_ms = ahead_ms;
        self.out.push_back(Output::ServerClock { ahead_ms });
    }

    fn read(&self, now: Now, reply: Reply) -> Result<Granted, Error> {
        oauth::read(reply, &self.settings, &self.requested_secrets, now.wall_ms)
    }

    // ---- an attempt failed ----------------------------------------------------------------------------------

    fn failed(&mut self, now: Now, error: Error) {
        self.round_attempts += 1;
        let error = error.with(|detail| detail.attempt = self.round_attempts);
        self.attempt_failed(&error);
        if self.outlives(now, &error) {
            return self.scopes_lost(now, error);
        }
        // Repeating wrong credentials may lock an account that a whole company shares. Once they have let a token
        // through, a refusal is more likely the directory's outage.
        let unfit = error.code() == Code::ProxyAuth || error.code() == Code::TokenUnverified && error.detail().fatal;
        let stranger = unfit && self.serial == 0 && !active(Mutant::StrangerInsists);
        if is_final(error.code()) || stranger {
            return self.failed_for_good(now, error);
        }
        let error = error.with(|detail| detail.fatal &= detail.code != Code::TokenUnverified);
        self.failures = self.failures.saturating_add(1);
        let throttled = matches!(error.code(), Code::Throttled | Code::ThrottledLong);
        self.throttles = if throttled { self.throttles.saturating_add(1) } else { 0 };
        let retry = Retry {
            failures: self.failures,
            held: self.held(now),
            throttles: self.throttles,
            retry_after_ms: error.retry_after_ms(),
        };
        self.not_before_ms = now.boot_ms + error.retry_after_ms().unwrap_or(0);
        let until_ms = now.boot_ms + retry_ms(retry, &mut self.dice);
        self.set_phase(Phase::Waiting, Some(until_ms));
        self.out.push_back(Output::News(News::Waiting));
        if active(Mutant::FailureDropsToken) {
            self.token = None;
        }
        self.serve_by_old(now);
        let long = error.code() == Code::ThrottledLong && !active(Mutant::QuotaIsPlain);
        if throttled {
            self.out.push_back(Output::News(News::Throttled { error: error.clone(), until_ms, long }));
        }
        if long || self.round_attempts >= self.settings.attempts_per_round {
            self.end_round(now, error);
        }
    }

    fn end_round(&mut self, now: Now, error: Error) {
        self.round_attempts = 0;
        self.answer_all(now, &error);
        let started_ms = self.round_started_ms;
        if active(Mutant::RoundUnreported) {
            return;
        }
        self.out.push_back(Output::News(News::RoundFailed { error, started_ms }));
    }

    fn failed_for_good(&mut self, now: Now, error: Error) {
        // A refused code must not be sent again.
        self.credentials.code.take_if(|_| !active(Mutant::CodeTwice));
        // The credential that was refused has been replaced meanwhile: the new one gets its own round.
        if self.requested_version != self.credentials_version || self.was_out_of_time(&error) {
            return self.begin_round(now);
        }
        if self.may_read_again(&error) {
            return self.load(now, Some(error));
        }
        self.drop_assertion(&error);
        if error.code() == Code::Unauthorized {
            self.unauthorized = self.unauthorized.saturating_add(1);
        }
        let asks = self.calls_for_code(&error);
        self.block(now, error);
        if asks {
            self.ask_for_code(now);
        }
    }

    /// A request in flight is let finish: its answer may carry the only valid refresh token.
    fn give_up(&mut self, now: Now, error: Error, serial: u64) {
        // A newer token may be on its way to the session, which has not seen it yet.
        if !self.would_give_up(serial) {
            self.senseless += 1;
            return;
        }
        self.token = None;
        self.answer_all(now, &error);
        self.set_phase(Phase::Blocked { error, asked: None }, None);
    }

    fn block(&mut self, now: Now, error: Error) {
        self.answer_all(now, &error);
        let started_ms = if self.round_attempts > 0 { self.round_started_ms } else { now.boot_ms };
        self.round_attempts = 0;
        self.set_phase(Phase::Blocked { error: error.clone(), asked: None }, None);
        self.out.push_back(Output::News(News::Blocked { error, started_ms }));
    }

    fn block_error(&self) -> Error {
        match &self.phase {
            Phase::Blocked { error, .. } => error.clone(),
            _ => Error::new(Code::ReauthRequired, Stage::Token, ""),
        }
    }

    /// The one place where the phase changes, so that no timer outlives its phase, and no lock.
    fn set_phase(&mut self, phase: Phase, wake_ms: Option<u64>) {
        if self.store.locked && !phase.is_locked() {
            self.store.locked = false;
            self.out.push_back(Output::FreeStore);
        }
        self.phase = phase;
        self.wake_ms = wake_ms;
        self.unsigned = None;
        self.denial.waits = None;
    }
}
