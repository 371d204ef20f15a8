//! The state the application sees, derived from what the machine is doing.

use super::{Link, Rounds, Session, Stage, Trouble};
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::{Notice, State, StateChange};
use crate::proto::mutant::{active, Mutant};
use crate::proto::session::Output;
use crate::proto::time::Now;

impl Session {
    /// Tells the application if the state, or what is wrong in `Degraded`, is another than it was last told.
    pub(super) fn show(&mut self, now: Now) {
        let (to, own_reason) = self.derive(now);
        let other_trouble = own_reason.as_ref().is_some_and(|(reason, _)| *reason != self.shown_reason);
        if to == self.shown && !(to == State::Degraded && other_trouble) {
            return;
        }
        let from = std::mem::replace(&mut self.shown, to);
        let why = std::mem::take(&mut self.why);
        let (reason, error) = own_reason.unwrap_or(why);
        self.shown_reason = reason;
        self.out.push_back(Output::Notice(Notice::State(StateChange { from, to, reason, error })));
    }

    /// Says once of each token of a live socket that its goal has passed.
    pub(super) fn note_goal(&mut self, now: Now) {
        let missed = |link: &&Link| link.goal_ms(&self.settings).is_some_and(|goal| goal <= now.boot_ms);
        let Some(serial) = self.primary.as_ref().filter(missed).map(Link::serial) else { return };
        if serial > self.missed_serial && !active(Mutant::GoalUntold) {
            self.missed_serial = serial;
            self.out.push_back(Output::GoalMissed { serial });
        }
    }

    fn derive(&self, now: Now) -> (State, Option<(&'static str, Option<Error>)>) {
        if let (Some(error), Rounds::Forever) = (&self.failed, self.rounds) {
            return (State::Failed, Some(("nothing to come back to", Some(error.clone()))));
        }
        if self.stopped {
            return match &self.failed {
                // Not `Failed`: that is final, and `connect` may be called again.
                Some(error) => (State::Idle, Some(("connect failed", Some(error.clone())))),
                None => (State::Closed, Some(("closed by the application", None))),
            };
        }
        if !self.started || self.closing {
            return (self.shown, None);
        }
        match &self.primary {
            Some(link) if link.stage == Stage::Live => self.derive_live(link, now),
            Some(link) if link.stage == Stage::Authenticating => (State::Authenticating, None),
            Some(link) if link.token.is_some() => (State::Connecting, None),
            None if self.is_barred() => self.derive_barred().unwrap_or((self.shown, None)),
            Some(_) | None => self.derive_waiting(now),
        }
    }

    fn derive_live(&self, link: &Link, now: Now) -> (State, Option<(&'static str, Option<Error>)>) {
        let is_past = |at: Option<u64>| at.is_some_and(|at| at <= now.boot_ms);
        if let Some(reason) = self.derive_refusal() {
            return (State::Degraded, Some(reason));
        }
        if let Some(reason) = self.derive_channel(link) {
            return (State::Degraded, Some(reason));
        }
        if is_past(link.usable_ms()) {
            let error = Error::new(Code::TokenExpired, ErrorStage::Live, "");
            return (State::Degraded, Some(("token expired", Some(error))));
        }
        if is_past(link.goal_ms(&self.settings)) {
            return (State::Degraded, Some(("lead-time goal missed", None)));
        }
        if self.draining {
            return (State::Draining, None);
        }
        if link.offered.is_some() || self.standby.is_some() || self.renew_ms.is_some() || self.dial_ms.is_some() {
            return (State::Renewing, None);
        }
        (State::Ready, None)
    }

    fn derive_waiting(&self, now: Now) -> (State, Option<(&'static str, Option<Error>)>) {
        match (&self.token, &self.trouble) {
            (None, Some(Trouble::Blocked(error))) => {
                // The last news may be how the connection ended; what a person has to see to is the refusal before it.
                let is_news = self.why.1.as_ref().is_some_and(|why| why.code() == error.code());
                let reason = (!is_news).then(|| ("credentials refused", Some(error.clone())));
                return (State::ReauthRequired, reason);
            }
            (None, Some(Trouble::Throttled { until_ms })) if *until_ms > now.boot_ms => {
                return (State::Throttled, None);
            }
            (None, Some(Trouble::Throttled { .. }) | None) | (Some(_), _) => {}
        }
        (self.derive_dialling(now), None)
    }

    fn derive_dialling(&self, now: Now) -> State {
        if self.token.is_some() && self.throttled_until_ms > now.boot_ms {
            return State::Throttled;
        }
        match self.token.is_some() {
            false if self.verifying => State::VerifyingToken,
            false => State::AcquiringToken,
            true if self.draining => State::Draining,
            true if self.ever_ready || self.dial_ms.is_some_and(|at| at > now.boot_ms) => State::Reconnecting,
            true => State::Connecting,
        }
    }
}
