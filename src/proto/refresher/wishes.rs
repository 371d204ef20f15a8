//! What others want of the refresher: a new token, a token at all, other credentials, the end.

use std::sync::Arc;

use super::{Credential, Output, Phase, Refresher};
use crate::error::{Code, Error, Stage};
use crate::hooks::Answer;
use crate::proto::time::Now;
use crate::proto::token::Token;

impl Refresher {
    /// The refusal of an older token than the one in force is answered by publishing that one again.
    pub(super) fn refused(&mut self, now: Now, serial: u64) {
        match &self.token {
            Some(token) if token.serial > serial => {
                let token = Arc::clone(token);
                self.out.push_back(Output::Publish(token));
            }
            Some(token) if token.serial == serial => {
                let floor_ms = token.forced_floor_ms();
                self.token = None;
                self.force_after(now, floor_ms);
            }
            Some(_) | None => self.force_after(now, 1_000),
        }
    }

    pub(super) fn force(&mut self, now: Now) {
        if let Phase::Blocked { .. } = self.phase {
            return self.begin_round(now);
        }
        let floor_ms = self.token.as_ref().map_or(1_000, |token| token.forced_floor_ms());
        self.force_after(now, floor_ms);
    }

    /// Fetches now, or when `floor_ms` have passed since the last forced refresh. A request in flight serves as well.
    fn force_after(&mut self, now: Now, floor_ms: u64) {
        match self.phase {
            Phase::Holding => {}
            // A retry is timed already, perhaps by the server itself: it is not hurried.
            Phase::Waiting | Phase::Stopped | Phase::Fetching | Phase::Persisting { .. } | Phase::Blocked { .. } => {
                return
            }
        }
        let due = self.last_forced_ms.map_or(now.boot_ms, |last| (last + floor_ms).max(now.boot_ms));
        if due > now.boot_ms {
            let due = self.wake_ms.map_or(due, |wake| wake.min(due));
            return self.set_phase(Phase::Waiting, Some(due));
        }
        self.last_forced_ms = Some(now.boot_ms);
        self.begin_round(now);
    }

    pub(super) fn wanted(&mut self, now: Now, id: u64, min_left_ms: u64) {
        let in_flight = matches!(self.phase, Phase::Fetching | Phase::Persisting { .. });
        let served = self.token.as_ref().filter(|token| {
            let must_wait = in_flight && now.boot_ms >= token.schedule.mandatory_ms;
            token.remaining_ms(now.boot_ms) >= min_left_ms.max(1) && !must_wait
        });
        if let Some(token) = served {
            let outcome = Ok(Arc::clone(token));
            return self.out.push_back(Output::Answer { id, outcome });
        }
        match &self.phase {
            Phase::Blocked { error, .. } => {
                let outcome = Err(error.clone());
                self.out.push_back(Output::Answer { id, outcome });
            }
            Phase::Stopped => self.out.push_back(Output::Answer { id, outcome: Err(cancelled()) }),
            Phase::Holding => {
                self.wanted.push((id, min_left_ms));
                self.force(now);
            }
            Phase::Fetching | Phase::Waiting | Phase::Persisting { .. } => self.wanted.push((id, min_left_ms)),
        }
    }

    /// Wishes that waited for a request that failed are served by the old token if it will do.
    pub(super) fn answer_all(&mut self, now: Now, error: &Error) {
        for (id, min_left_ms) in std::mem::take(&mut self.wanted) {
            let outcome = match &self.token {
                Some(token) => serve(token, now, min_left_ms).map_err(|_| error.clone()),
                None => Err(error.clone()),
            };
            self.out.push_back(Output::Answer { id, outcome });
        }
    }

    pub(super) fn credential(&mut self, now: Now, credential: Credential) {
        self.unauthorized = 0;
        self.credentials_version += 1;
        match credential {
            Credential::ClientSecret(secret) => self.credentials.client_secret = secret,
            Credential::RefreshToken(secret) => self.credentials.refresh_token = Some(secret),
        }
        if let Phase::Blocked { .. } = self.phase {
            self.begin_round(now);
        }
    }

    pub(super) fn answered(&mut self, now: Now, id: u64, answer: Result<Answer, Error>) {
        match (&self.phase, answer) {
            (Phase::Persisting { id: asked, .. }, answer) if *asked == id => self.persisted(now, answer.map(|_| ())),
            (Phase::Blocked { asked: Some(asked), .. }, Ok(Answer::Code(code))) if *asked == id => {
                self.credentials.code = Some(code);
                self.begin_round(now);
            }
            (Phase::Blocked { asked: Some(asked), .. }, _) if *asked == id => {
                self.set_phase(Phase::Blocked { error: self.block_error(), asked: None }, None);
            }
            // Too late, or answered before.
            _ => self.senseless += 1,
        }
    }

    pub(super) fn close(&mut self) {
        if matches!(self.phase, Phase::Stopped) && self.epoch == 0 {
            self.out.push_back(Output::Stopped);
            return;
        }
        for (id, _) in std::mem::take(&mut self.wanted) {
            self.out.push_back(Output::Answer { id, outcome: Err(cancelled()) });
        }
        // A token that waits for its refresh token to be stored is lost; the refresh token is not.
        self.set_phase(Phase::Stopped, None);
        self.out.push_back(Output::Stopped);
    }
}

pub(super) fn serve(token: &Arc<Token>, now: Now, min_left_ms: u64) -> Result<Arc<Token>, Error> {
    let left = token.remaining_ms(now.boot_ms);
    if left >= min_left_ms.max(1) {
        return Ok(Arc::clone(token));
    }
    let text = format!("A new token is usable for {left} ms, {min_left_ms} ms were asked for.");
    Err(Error::new(Code::TokenLifetime, Stage::Token, text))
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, Stage::Token, "")
}
