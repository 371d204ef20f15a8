//! gwa-refresh: drives the refresher, and makes the clients' REST calls while that has nothing to do. All HTTP runs here,
//! so that the socket thread never waits for it.

mod listening;

use std::sync::mpsc::Receiver;
use std::sync::Arc;

use self::listening::Listening;
use super::crypto;
use super::http::{Cancel, Http};
use super::inbox::ToRefresh;
use super::random::Entropy;
use super::source::{may_repeat, unanswered, Call, Source};
use super::store::{Lock, Store};
use super::wait::Waiter;
use crate::audit::Record;
use crate::error::{Code, Error, Stage};
use crate::hooks::Answer;
use crate::metrics::{Counter, Timing};
use crate::proto::http::{Method, Purpose, Request};
use crate::proto::identity::Identity;
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{Credential, Input, Memory, News, Output, Refresher};
use crate::secret::Secret;

/// A wall clock that is off by more is worth a line of log: certificates and audit records depend on it.
const CLOCK_TOLERANCE_MS: u64 = 30_000;

/// Between two looks at a store that somebody else has locked.
const LOCK_RETRY_MS: u64 = 50;

/// What outlives the thread when a connect failed: a rotated refresh token above all.
#[derive(Clone, Debug)]
pub struct Carry {
    pub credentials: Credentials,
    pub unauthorized: u32,
    pub memory: Memory,
}

impl Carry {
    /// Replaces a credential.
    pub fn replace(&mut self, credential: Credential) {
        match credential {
            Credential::ClientSecret(secret) => self.credentials.client_secret = secret,
            Credential::RefreshToken(secret) => {
                self.credentials.refresh_token = Some(secret);
                self.memory.unsaved = true;
            }
            Credential::SamlAssertion(secret) => self.credentials.saml_assertion = Some(secret),
            Credential::ProxyPassword => return,
        }
        self.unauthorized = 0;
        self.memory.identity = Identity::default();
    }
}

/// Everything the thread owns.
pub struct RefreshThread {
    pub entropy: Entropy,
    pub waiter: Waiter,
    pub inbox: Receiver<ToRefresh>,
    pub machine: Refresher,
    pub http: Http,
    pub cancel: Cancel,
    /// Interrupts the REST call under way.
    pub calls: Cancel,
    pub source: Arc<Source>,
    pub store: Store,
    /// While the store is ours.
    pub lock: Option<Lock>,
    /// Host and port of the token endpoint, or nothing if the application provides tokens.
    pub endpoint: String,
    /// A request that was cancelled; the machine hears of it after the close.
    pub broken_off: Option<(u64, Error)>,
    /// The token request before failed: the next one is a retry.
    pub failed: bool,
    /// Who waits for a browser, while a question is open.
    pub listening: Option<Listening>,
    /// The machine was told to stop.
    pub closed: bool,
    pub stopped: bool,
}

impl RefreshThread {
    /// Runs until the machine has stopped, and nobody has joined meanwhile who needs another.
    pub fn run(mut self: Box<Self>) {
        loop {
            self.run_machine();
            let (credentials, unauthorized) = (self.machine.credentials().clone(), self.machine.unauthorized());
            let carry = Carry { credentials, unauthorized, memory: self.machine.memory() };
            let Some((machine, cancel)) = self.source.next(carry, self.waiter.bell()) else { return };
            (self.machine, self.cancel) = (machine, cancel);
            (self.broken_off, self.closed, self.stopped) = (None, false, false);
        }
    }

    fn run_machine(&mut self) {
        while !self.stopped {
            while let Ok(message) = self.inbox.try_recv() {
                self.take(message);
            }
            self.despair();
            self.serve_browser();
            self.obey();
            if !self.stopped && !self.make_call() {
                self.wait();
            }
        }
        self.listening = None;
        self.source.delivery.count(Counter::SenselessInputs, self.machine.senseless());
    }

    fn take(&mut self, ToRefresh { member, input }: ToRefresh) {
        match input {
            Input::Close => {
                self.closed = true;
                self.handle(Input::Close);
                if let Some((epoch, error)) = self.broken_off.take() {
                    self.handle(Input::Replied { epoch, outcome: Err(error) });
                }
            }
            // What one client's server says of it is no end for the others.
            Input::GiveUp { serial, ref error }
                if self.machine.would_give_up(serial) && !self.source.give_up(member, error) => {}
            Input::GiveUp { .. } | Input::Refused { .. } => {
                self.handle(input);
                self.source.holds(self.machine.token());
            }
            Input::RefreshNow => {
                self.source.wake(member);
                self.handle(input);
            }
            // Tokens that were refused are none the better for another password of the proxy.
            Input::Credential(Credential::ProxyPassword) | Input::Answered { answer: Ok(Answer::Code(_)), .. } => {
                self.source.wake_all();
                self.handle(input);
            }
            Input::Credential(_) => {
                let anew = self.source.wake_all();
                self.handle(input);
                if anew {
                    self.handle(Input::RefreshNow);
                }
            }
            input => self.handle(input),
        }
    }

    /// The last client that went on has left, and those who stay have given up: no token is of use to anybody.
    fn despair(&mut self) {
        if !self.machine.would_give_up(u64::MAX) {
            return;
        }
        if let Some(error) = self.source.despair() {
            self.handle(Input::GiveUp { error, serial: u64::MAX });
            self.source.holds(self.machine.token());
        }
    }

    fn handle(&mut self, input: Input) {
        let random = self.entropy.random_u64();
        // Whoever answered may have been unregistered.
        self.machine.set_can_ask(self.source.delivery.has_on_ask());
        if self.machine.wants_fresh() {
            crypto::fresh().into_iter().for_each(|fresh| self.machine.refill(fresh));
        }
        let failed = self.machine.attempts_failed();
        self.machine.handle(self.source.clock.now(), random, input);
        let failed = self.machine.attempts_failed().saturating_sub(failed);
        self.source.delivery.count(Counter::TokenFailures, failed);
        self.failed |= failed > 0;
    }

    fn obey(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Http { epoch, request } => self.request(epoch, &request),
                Output::Sign { epoch, claims } => {
                    let outcome = self.source.assertion(&claims);
                    self.handle(Input::Signed { epoch, outcome });
                }
                Output::Publish(token) => self.source.publish(&token),
                Output::News(news) => self.pass_on(news),
                Output::Ask { id, question } => self.ask(id, question),
                Output::LoadStore { wait_ms } => self.load_store(wait_ms),
                Output::Store(refresh_token) => self.save(&refresh_token),
                Output::FreeStore => self.lock = None,
                Output::Audit(record) => self.record(record),
                Output::ServerClock { ahead_ms } => self.learn_clock(ahead_ms),
                Output::Answer { id, outcome } => {
                    self.source.answer(id, outcome.map_err(|error| self.located(error)));
                }
                Output::Stopped => self.stopped = true,
            }
        }
    }

    fn request(&mut self, epoch: u64, request: &Request) {
        if request.purpose == Purpose::Token {
            self.count_token_request();
        }
        self.cancel.set_grace(if request.purpose == Purpose::Token { self.grace_ms() } else { 0 });
        // A token is revoked after the close, which has cancelled all else.
        let fresh = (request.method == Method::Delete).then(|| Cancel::new(self.waiter.bell()));
        let cancel = fresh.as_ref().unwrap_or(&self.cancel);
        let began_ms = self.source.clock.now().boot_ms;
        let outcome = self.http.send(request, cancel, &mut self.waiter, &self.source.clock);
        if request.purpose == Purpose::Token {
            let took_ms = self.source.clock.now().boot_ms.saturating_sub(began_ms);
            self.source.delivery.observe(Timing::TokenRequest, took_ms);
        }
        self.source.learn_rate_limit(outcome.as_ref().ok().and_then(|reply| reply.rate_limit));
        match outcome {
            // Broken off by a close, which is on its way: no failed attempt, so no record of one.
            Err(error) if error.code() == Code::Cancelled && !self.closed => self.broken_off = Some((epoch, error)),
            outcome => {
                if let Err(error) = &outcome {
                    self.log_failure(error);
                }
                self.handle(Input::Replied { epoch, outcome });
            }
        }
    }

    fn count_token_request(&mut self) {
        self.source.delivery.count(Counter::TokenRequests, 1);
        self.source.delivery.count(Counter::RetriesToken, u64::from(std::mem::take(&mut self.failed)));
    }

    /// Makes the REST call whose turn it is, if there is one and nothing about tokens is to be done before.
    fn make_call(&mut self) -> bool {
        if self.is_due() {
            return false;
        }
        let Some(call) = self.source.next_call(&self.calls) else { return false };
        // From here on whoever says something interrupts it; who has said it before is heard first.
        match self.inbox.try_recv() {
            Ok(message) => {
                self.source.put_back(call);
                self.take(message);
            }
            Err(_) => self.call(call),
        }
        true
    }

    /// One attempt at a REST call. It ends when a token request is due, or something is said that may ask for one.
    fn call(&mut self, mut call: Call) {
        self.calls.cancel_at(self.machine.next_timeout());
        let started_ms = self.source.clock.now().boot_ms;
        let outcome = Http::rest(&call.net).send(&call.request, &self.calls, &mut self.waiter, &self.source.clock);
        match outcome {
            Err(error) if error.code() == Code::Cancelled => {
                if may_repeat(&call.request, self.calls.is_sent()) {
                    let spent_ms = self.source.clock.now().boot_ms.saturating_sub(started_ms).max(1);
                    call.request.timeout_ms = call.request.timeout_ms.saturating_sub(spent_ms);
                    call.is_repeated = true;
                    self.source.put_back(call);
                } else {
                    self.source.answer_call(&call, Err(unanswered()));
                }
            }
            outcome => self.source.answer_call(&call, outcome),
        }
    }

    /// How long a close lets a request in flight go on: not at all, unless its answer may replace a credential.
    fn grace_ms(&self) -> u64 {
        let Credentials { refresh_token, code, .. } = self.machine.credentials();
        if refresh_token.is_some() || code.is_some() {
            self.source.settings.close_timeout_ms
        } else {
            0
        }
    }

    /// Waits for the lock where a close is heard too; without it the store is read all the same.
    fn load_store(&mut self, wait_ms: u64) {
        let clock = self.source.clock;
        let until = clock.now().boot_ms.saturating_add(wait_ms);
        let mut heard = false;
        let outcome = loop {
            if self.lock.is_some() {
                // It was kept since the first look.
                break self.store.load();
            }
            match self.store.lock() {
                Err(error) => break Err(error),
                Ok(Some(lock)) => {
                    self.lock = Some(lock);
                    break self.store.load();
                }
                Ok(None) => {}
            }
            let now = clock.now();
            if self.cancel.is_cancelled() || now.boot_ms >= until {
                self.source.delivery.log(2, "store", format_args!("{} is locked by somebody else", self.store.path()));
                break self.store.load();
            }
            // A wait that fails rests.
            if self.waiter.wait(Some(until.min(now.boot_ms + LOCK_RETRY_MS)), now).is_ok_and(|woken| woken.bell) {
                heard = true;
            }
        };
        if heard {
            self.waiter.bell().ring();
        }
        if let Err(error) = &outcome {
            self.log_failure(error);
        }
        self.handle(Input::Loaded(outcome));
    }

    fn save(&mut self, refresh_token: &Secret) {
        let outcome = self.store.save(refresh_token, self.source.clock.now().wall_ms, &self.entropy.uuid_v4());
        if let Err(error) = &outcome {
            self.log_failure(error);
        }
        self.handle(Input::Stored(outcome));
    }

    fn pass_on(&mut self, mut news: News) {
        if let News::Throttled { error, .. }
        | News::RoundFailed { error, .. }
        | News::ScopesLost { error, .. }
        | News::Blocked { error, .. } = &mut news
        {
            *error = self.located(error.clone());
        }
        self.source.delivery.count(Counter::Throttles, u64::from(matches!(news, News::Throttled { .. })));
        if let News::RoundFailed { error, .. } | News::ScopesLost { error, .. } | News::Blocked { error, .. } = &news {
            self.log_failure(error);
        }
        self.source.pass_on(&news);
    }

    fn record(&mut self, record: Record) {
        let record = match record {
            Record::TokenRefused { error } => Record::TokenRefused { error: self.located(error) },
            other => other,
        };
        let id = self.entropy.uuid_v4();
        self.source.record(id, record);
    }

    fn learn_clock(&self, ahead_ms: i64) {
        self.source.learn_clock(ahead_ms);
        if ahead_ms.unsigned_abs() > CLOCK_TOLERANCE_MS {
            let text = format_args!("this machine's clock is {} ms off the server's", ahead_ms.saturating_neg());
            self.source.delivery.log(2, "clock", text);
        }
    }

    /// The machine does not know who answered.
    fn located(&self, error: Error) -> Error {
        error.with(|detail| {
            if detail.stage == Stage::Token && detail.host.is_empty() {
                detail.host.clone_from(&self.endpoint);
            }
        })
    }

    fn log_failure(&self, error: &Error) {
        self.source.delivery.log(2, "refresh", format_args!("{error}"));
    }

    fn wait(&mut self) {
        let browser = self.listening.as_ref().and_then(Listening::deadline);
        let until = self.machine.next_timeout().into_iter().chain(browser).min();
        // A wait that fails leaves nothing to do but to look again: the machine's deadlines still hold.
        let _ = self.waiter.wait(until, self.source.clock.now());
        if self.is_due() {
            self.handle(Input::Timeout);
        }
    }

    fn is_due(&self) -> bool {
        self.machine.next_timeout().is_some_and(|at| at <= self.source.clock.now().boot_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_is_replaced_between_two_machines_may_be_somebody_elses() {
        let known = Identity { subject: Some("somebody".into()), ..Identity::default() };
        let memory = Memory { identity: known.clone(), ..Memory::default() };
        let mut carry = Carry { credentials: Credentials::default(), unauthorized: 2, memory };
        carry.replace(Credential::ProxyPassword);
        assert_eq!((&carry.memory.identity, carry.unauthorized), (&known, 2));
        carry.replace(Credential::RefreshToken(Secret::new("r".into())));
        assert_eq!((carry.memory.identity, carry.unauthorized), (Identity::default(), 0));
    }
}
