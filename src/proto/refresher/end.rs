//! The end: a refresh token that is on its way is not lost, and the token is revoked if that is wanted.

use super::grant::Arrival;
use super::wishes::cancelled;
use super::{Input, Output, Phase, Refresher};
use crate::config::settings::Profile;
use crate::error::Code;
use crate::proto::http;
use crate::proto::mutant::{active, Mutant};
use crate::proto::scope;
use crate::proto::time::Now;
use crate::secret::Secret;

impl Refresher {
    /// A request in flight is let finish for a moment: its answer may carry the only valid refresh token.
    pub(super) fn close(&mut self, now: Now) {
        for wish in std::mem::take(&mut self.wanted) {
            self.out.push_back(Output::Answer { id: wish.id, outcome: Err(cancelled()) });
        }
        // What still has to be signed was not sent.
        let waits =
            matches!(self.phase, Phase::Fetching { asked: None } | Phase::Storing(_)) && self.unsigned.is_none();
        let wake_ms = now.boot_ms + self.settings.close_timeout_ms;
        if waits && !active(Mutant::CloseDropsAnswer) {
            self.closing = true;
            self.wake_ms = Some(wake_ms);
            return;
        }
        if let Phase::Checking(_, arrival) = &mut self.phase {
            let rotated = arrival.rotated.take();
            self.hand_over(rotated);
        }
        self.wake_ms = Some(wake_ms);
        self.finally(now);
    }

    /// After `Close` only the answer to the request in flight matters, after `Stopped` nothing.
    pub(super) fn handle_closing(&mut self, now: Now, input: Input) {
        match input {
            Input::Replied { epoch, outcome } if self.closing && epoch == self.epoch => {
                self.answered_late(now, outcome);
            }
            Input::Stored(outcome) if self.closing => {
                if let Some(Arrival { rotated, .. }) = self.after_storing(outcome).map(|arrival| *arrival) {
                    self.hand_over(rotated);
                    self.finally(now);
                }
            }
            Input::Timeout if self.closing && self.wake_ms.is_some_and(|wake| wake <= now.boot_ms) => self.stop(),
            Input::Wanted { id, .. } if self.closing => {
                self.out.push_back(Output::Answer { id, outcome: Err(cancelled()) });
            }
            // What the close broke off: a question about scopes, a look at the store.
            Input::Replied { outcome: Err(error), .. } if error.code() == Code::Cancelled => {}
            Input::Timeout | Input::Loaded(_) => {}
            Input::Start
            | Input::Replied { .. }
            | Input::Signed { .. }
            | Input::Refused { .. }
            | Input::GiveUp { .. }
            | Input::Wanted { .. }
            | Input::RefreshNow
            | Input::Credential(_)
            | Input::Answered { .. }
            | Input::Stored(_)
            | Input::Close => self.senseless += 1,
        }
    }

    fn answered_late(&mut self, now: Now, outcome: http::Outcome) {
        if !matches!(self.phase, Phase::Fetching { .. }) {
            return self.stop();
        }
        let granted = match outcome.and_then(|reply| self.read(now, reply)) {
            Ok(granted) => granted,
            Err(error) => {
                if error.code() != Code::Cancelled {
                    self.attempt_failed(&error);
                }
                return self.finally(now);
            }
        };
        if let Err(error) = self.check_claimed(&granted) {
            self.attempt_failed(&error);
            return self.finally(now);
        }
        let rotated = self.adopt(&granted);
        match self.to_store(rotated.as_ref()).filter(|_| !active(Mutant::CloseDoesNotStore)) {
            Some(refresh_token) => self.store(Arrival::late(granted, rotated), refresh_token),
            None => {
                self.hand_over(rotated);
                self.finally(now);
            }
        }
    }

    /// The application is told of a refresh token whose access token nobody will use.
    fn hand_over(&mut self, rotated: Option<Secret>) {
        if let Some(refresh_token) = rotated.filter(|_| self.can_ask) {
            self.ask_to_persist(refresh_token);
        }
    }

    /// Nothing is waited for any more but the end of the token, if it is to end.
    fn finally(&mut self, now: Now) {
        let wanted = self.settings.revoke_on_close && self.settings.profile == Profile::Notifications;
        let token = self.token.as_ref().filter(|token| wanted && token.is_usable(now.boot_ms));
        let left_ms = self.wake_ms.map_or(0, |wake| wake.saturating_sub(now.boot_ms));
        let Some(token) = token.filter(|_| left_ms > 0 && !self.settings.api_url.is_empty()) else {
            return self.stop();
        };
        let request = scope::revoke(&self.settings, &token.access_token, left_ms);
        self.epoch += 1;
        self.closing = true;
        self.set_phase(Phase::Revoking, self.wake_ms);
        self.out.push_back(Output::Http { epoch: self.epoch, request });
    }

    /// A token that waits for its refresh token to be stored is lost; the refresh token is not.
    fn stop(&mut self) {
        (self.closing, self.closed) = (false, true);
        self.record_end();
        self.set_phase(Phase::Stopped, None);
        self.out.push_back(Output::Stopped);
    }
}
