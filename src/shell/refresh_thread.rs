//! gwa-refresh: drives the refresher. All HTTP runs here, so that the socket thread never waits for it.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::sync::Arc;

use super::clock::Clock;
use super::delivery::Delivery;
use super::gate::Promise;
use super::http::{Cancel, Http};
use super::inbox::{Inbox, ToRefresh};
use super::random::Entropy;
use super::wait::Waiter;
use super::Shared;
use crate::error::{Code, Error, Stage};
use crate::event::Notice;
use crate::metrics::Counter;
use crate::proto::http::Request;
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{Credential, Input, News, Output, Refresher};
use crate::proto::session;
use crate::proto::token::Token;

/// A wall clock that is off by more is worth a line of log: certificates and audit records depend on it.
const CLOCK_TOLERANCE_MS: u64 = 30_000;

/// What outlives the thread when a connect failed: a rotated refresh token above all.
#[derive(Clone, Debug)]
pub struct Carry {
    pub credentials: Credentials,
    pub unauthorized: u32,
}

impl Carry {
    /// Replaces a credential.
    pub fn replace(&mut self, credential: Credential) {
        self.unauthorized = 0;
        match credential {
            Credential::ClientSecret(secret) => self.credentials.client_secret = secret,
            Credential::RefreshToken(secret) => self.credentials.refresh_token = Some(secret),
        }
    }
}

/// Everything the thread owns.
pub struct RefreshThread {
    pub clock: Clock,
    pub entropy: Entropy,
    pub waiter: Waiter,
    pub inbox: Receiver<ToRefresh>,
    pub machine: Refresher,
    pub http: Http,
    pub cancel: Cancel,
    pub socket: Inbox<session::Input>,
    pub delivery: Arc<Delivery>,
    pub shared: Arc<Shared>,
    pub wanted: HashMap<u64, Promise<Arc<Token>>>,
    pub last_wish: u64,
    /// Host and port of the token endpoint.
    pub endpoint: String,
    pub close_timeout_ms: u64,
    /// A request that was cancelled; the machine hears of it after the close.
    pub broken_off: Option<(u64, Error)>,
    /// The machine was told to stop.
    pub closed: bool,
    pub stopped: bool,
}

impl RefreshThread {
    /// Runs until the machine has stopped.
    pub fn run(mut self: Box<Self>) -> Carry {
        while !self.stopped {
            while let Ok(message) = self.inbox.try_recv() {
                self.take(message);
            }
            self.obey();
            if !self.stopped {
                self.wait();
            }
        }
        self.delivery.count(Counter::SenselessInputs, self.machine.senseless());
        Carry { credentials: self.machine.credentials().clone(), unauthorized: self.machine.unauthorized() }
    }

    fn take(&mut self, message: ToRefresh) {
        match message {
            ToRefresh::Input(Input::Close) => {
                self.closed = true;
                self.handle(Input::Close);
                if let Some((epoch, error)) = self.broken_off.take() {
                    self.handle(Input::Replied { epoch, outcome: Err(error) });
                }
            }
            ToRefresh::Input(input) => self.handle(input),
            ToRefresh::Wanted { min_left_ms, promise } => {
                self.last_wish += 1;
                self.wanted.insert(self.last_wish, promise);
                self.handle(Input::Wanted { id: self.last_wish, min_left_ms });
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let random = self.entropy.random_u64();
        // Whoever answered may have been unregistered.
        self.machine.set_can_ask(self.delivery.has_on_ask());
        self.machine.handle(self.clock.now(), random, input);
    }

    fn obey(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Http { epoch, request } => self.request(epoch, &request),
                Output::Publish(token) => self.publish(token),
                Output::News(news) => self.pass_on(news),
                Output::Ask { id, question } => self.delivery.push_notice(Notice::Ask { id, question }),
                Output::Audit(record) => {
                    let id = self.entropy.uuid_v4();
                    self.delivery.push_record(self.clock.now(), id, record);
                }
                Output::ServerClock { ahead_ms } => self.learn_clock(ahead_ms),
                Output::Answer { id, outcome } => {
                    if let Some(promise) = self.wanted.remove(&id) {
                        promise.keep(outcome.map_err(|error| self.located(error)));
                    }
                }
                Output::Stopped => self.stopped = true,
            }
        }
    }

    fn request(&mut self, epoch: u64, request: &Request) {
        self.delivery.count(Counter::TokenRequests, 1);
        self.cancel.set_grace(self.grace_ms());
        let outcome = self.http.post(request, &self.cancel, &mut self.waiter, &self.clock);
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

    /// How long a close lets a request in flight go on: not at all, unless its answer may replace a credential.
    fn grace_ms(&self) -> u64 {
        let Credentials { refresh_token, code, .. } = self.machine.credentials();
        if refresh_token.is_some() || code.is_some() {
            self.close_timeout_ms
        } else {
            0
        }
    }

    /// The snapshot first: who reads it after the event must find the new token.
    fn publish(&mut self, token: Arc<Token>) {
        let new = self.shared.set_token(&token);
        if new {
            self.delivery.push_notice(Notice::Token(Arc::clone(&token)));
        }
        self.socket.send(session::Input::Publish(token));
    }

    fn pass_on(&mut self, mut news: News) {
        if let News::Throttled { error, .. } | News::RoundFailed { error, .. } | News::Blocked { error, .. } = &mut news
        {
            *error = self.located(error.clone());
        }
        match &news {
            News::Throttled { .. } => self.delivery.count(Counter::Throttles, 1),
            News::Waiting | News::Blocked { .. } => self.delivery.count(Counter::TokenFailures, 1),
            News::Fetching | News::Verifying | News::RoundFailed { .. } => {}
        }
        if let News::RoundFailed { error, .. } | News::Blocked { error, .. } = &news {
            self.log_failure(error);
        }
        self.socket.send(session::Input::News(news));
    }

    fn learn_clock(&self, ahead_ms: i64) {
        self.shared.set_server_ahead_ms(ahead_ms);
        if ahead_ms.unsigned_abs() > CLOCK_TOLERANCE_MS {
            let text = format_args!("this machine's clock is {} ms off the server's", ahead_ms.saturating_neg());
            self.delivery.log(2, "clock", text);
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
        self.delivery.log(2, "refresh", format_args!("{error}"));
    }

    fn wait(&mut self) {
        let until = self.machine.next_timeout();
        // A wait that fails leaves nothing to do but to look again: the machine's deadlines still hold.
        let _ = self.waiter.wait(until, self.clock.now());
        if self.machine.next_timeout().is_some_and(|at| at <= self.clock.now().boot_ms) {
            self.handle(Input::Timeout);
        }
    }
}
