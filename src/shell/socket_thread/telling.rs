//! What the machine says goes on to the application, to the refresher and to whoever waits for a connect.

use super::SocketThread;
use crate::audit::{Outcome, Record};
use crate::error::{Code, Error, Stage};
use crate::event::{Notice, State};
use crate::metrics::{counter_of_loss, counter_of_reconnect, Counter, Timing};

/// What an attempt comes after, for the counters.
#[derive(Debug, Default)]
pub struct Before {
    /// What the live socket was lost to, until there is another.
    loss: Option<Counter>,
    /// The attempt before failed.
    failed: bool,
}

impl SocketThread {
    pub(super) fn notice(&mut self, mut notice: Notice) {
        match &mut notice {
            Notice::State(change) => {
                if !self.shared.set_state(change.to) {
                    return;
                }
                change.error = change.error.take().map(|error| self.located(error));
                if let (State::Failed, Some(error)) = (change.to, &change.error) {
                    self.shared.fail(error.clone());
                }
                self.delivery.log(3, "session", format_args!("{} ({})", change.to.name(), change.reason));
            }
            Notice::GapBegin(gap) | Notice::GapEnd(gap) => {
                gap.cause = gap.cause.take().map(|error| self.located(error));
            }
            Notice::Resumed(resumed) => {
                self.delivery.log(3, "clock", format_args!("the machine slept for {} ms", resumed.slept_ms));
            }
            Notice::ClockStep(step) => {
                self.delivery.log(2, "clock", format_args!("the wall clock was set by {} ms", step.by_ms));
            }
            _ => {}
        }
        match &notice {
            Notice::GapBegin(_) => self.delivery.count(Counter::Gaps, 1),
            Notice::GapEnd(gap) => {
                self.delivery.count(Counter::GapMs, gap.duration_ms);
                self.delivery.observe(Timing::Gap, gap.duration_ms);
            }
            _ => {}
        }
        self.delivery.push_notice(notice);
    }

    pub(super) fn audit(&mut self, record: Record) {
        self.count_record(&record);
        let record = match record {
            Record::ConnectionLost { connection, error } => {
                Record::ConnectionLost { connection, error: self.located(error) }
            }
            Record::Displaced { error } => Record::Displaced { error: self.located(error) },
            Record::Attempt { phase, outcome: Outcome::Failure(error), latency_ms, scopes_validated } => {
                let outcome = Outcome::Failure(self.located(error));
                Record::Attempt { phase, outcome, latency_ms, scopes_validated }
            }
            other => other,
        };
        let id = self.entropy.uuid_v4();
        self.delivery.push_record(self.clock.now(), id, record);
    }

    /// Losses and reconnects by cause, retries, and throttles of the socket's server and the API: the refresher counts those
    /// of the token endpoint.
    fn count_record(&mut self, record: &Record) {
        match record {
            Record::ConnectionLost { error, .. } => {
                let loss = counter_of_loss(error, self.machine.class_of(error));
                self.delivery.count(Counter::Drops, 1);
                self.delivery.count(loss, 1);
                self.before.loss = Some(loss);
            }
            Record::Attempt { outcome, .. } => {
                let failed = matches!(outcome, Outcome::Failure(_));
                let again = std::mem::replace(&mut self.before.failed, failed);
                self.delivery.count(Counter::RetriesAttempt, u64::from(again));
                match outcome {
                    Outcome::Failure(error) => {
                        let is_throttle =
                            matches!(error.code(), Code::Throttled | Code::ThrottledLong | Code::AuthThrottled);
                        let is_own = is_throttle && error.detail().stage != Stage::Token;
                        self.delivery.count(Counter::Throttles, u64::from(is_own));
                    }
                    // Without a live socket no other attempt succeeds than the one that makes the next.
                    Outcome::Success { .. } => {
                        if let Some(loss) = self.before.loss.take() {
                            self.delivery.count(Counter::Reconnects, 1);
                            self.delivery.count(counter_of_reconnect(loss), 1);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn count_renewal(&self, lead_ms: u64, in_time: bool, handover: bool) {
        self.delivery.count(Counter::Renewals, 1);
        self.delivery.count(Counter::GoalsMet, u64::from(in_time));
        self.delivery.count(Counter::Handovers, u64::from(handover));
        self.delivery.token_took_effect(lead_ms);
    }

    /// Who waits for the outcome of the start hears it, once.
    pub(super) fn outcome(&mut self, outcome: Result<(), Error>) {
        if let Some(promise) = self.connecting.take() {
            promise.keep(outcome.map_err(|error| self.located(error)));
        }
    }

    /// `connect` has failed, or the client has: then no further token is fetched either.
    pub(super) fn failed(&mut self, error: Error, for_good: bool) {
        if for_good {
            // First: who waits for a token is told why there will be none.
            self.shared.keep_failure(self.located(error.clone()));
            self.tokens.leave();
            // Nothing will be sent any more.
            self.give_back(&error);
        }
        self.outcome(Err(error));
    }

    /// The machine does not know where its sockets and requests go.
    fn located(&self, error: Error) -> Error {
        let peer = match error.detail().stage {
            Stage::Upgrade | Stage::Authenticate | Stage::Renew | Stage::Live => &self.endpoint,
            Stage::Channel | Stage::Subscribe => &self.api,
            _ => return error,
        };
        error.with(|detail| {
            if detail.host.is_empty() {
                detail.host.clone_from(peer);
            }
        })
    }
}
