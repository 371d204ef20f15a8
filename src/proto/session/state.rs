//! The state the application sees, derived from what the machine is doing.

use super::{Link, Session, Stage, Trouble};
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::{Notice, State, StateChange};
use crate::proto::session::Output;
use crate::proto::time::Now;

impl Session {
    /// Tells the application if the state is another than it was last told.
    pub(super) fn show(&mut self, now: Now) {
        let (to, own_reason) = self.derive(now);
        if to == self.shown {
            return;
        }
        let from = std::mem::replace(&mut self.shown, to);
        let (reason, error) = std::mem::replace(&mut self.why, ("", None));
        let (reason, error) = own_reason.unwrap_or((reason, error));
        self.out.push_back(Output::Notice(Notice::State(StateChange { from, to, reason, error })));
    }

    fn derive(&self, now: Now) -> (State, Option<(&'static str, Option<Error>)>) {
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
            Some(_) => (State::Connecting, None),
            None => (self.derive_waiting(now), None),
        }
    }

    fn derive_live(&self, link: &Link, now: Now) -> (State, Option<(&'static str, Option<Error>)>) {
        if link.usable_ms().is_some_and(|usable| usable <= now.boot_ms) {
            let error = Error::new(Code::TokenExpired, ErrorStage::Live, "");
            return (State::Degraded, Some(("token expired", Some(error))));
        }
        if let Some(Trouble::Blocked(error)) = &self.trouble {
            return (State::Degraded, Some(("credentials refused", Some(error.clone()))));
        }
        if link.offered.is_some() || self.standby.is_some() || self.renew_ms.is_some() || self.dial_ms.is_some() {
            return (State::Renewing, None);
        }
        (State::Ready, None)
    }

    fn derive_waiting(&self, now: Now) -> State {
        match &self.trouble {
            Some(Trouble::Blocked(_)) => return State::ReauthRequired,
            Some(Trouble::Throttled { until_ms, .. }) if *until_ms > now.boot_ms => return State::Throttled,
            Some(Trouble::Throttled { .. }) | None => {}
        }
        let usable = self.token.as_ref().is_some_and(|token| token.is_usable(now.boot_ms));
        match usable {
            false if self.verifying => State::VerifyingToken,
            false => State::AcquiringToken,
            true if self.draining => State::Draining,
            true if self.ever_ready || self.dial_ms.is_some_and(|at| at > now.boot_ms) => State::Reconnecting,
            true => State::Connecting,
        }
    }
}
