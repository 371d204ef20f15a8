//! What others want of the refresher: a new token, a token at all, other credentials.

use std::sync::Arc;

use super::{Credential, Output, Phase, Refresher};
use crate::error::{Code, Error, Stage};
use crate::hooks::Answer;
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// Longest wait for a request in flight once the old token is near its end: then that one serves.
const MANDATORY_WAIT_MS: u64 = 5_000;
/// Between two forced refreshes when no token gives a lifetime to go by.
const FORCED_FLOOR_MS: u64 = 1_000;

/// Somebody waits for a token.
#[derive(Debug)]
pub(super) struct Wish {
    pub id: u64,
    pub min_left_ms: u64,
    /// When the old token is to serve, if it can.
    pub by_ms: Option<u64>,
}

impl Refresher {
    /// The refusal of an older token than the one in force is answered by publishing that one again.
    pub(super) fn refused(&mut self, now: Now, serial: u64) {
        if active(Mutant::RefusalIgnored) {
            return;
        }
        let stale_counts = active(Mutant::StaleRefusalFetches);
        match &self.token {
            Some(token) if token.serial > serial && !stale_counts && token.is_usable(now.boot_ms) => {
                let token = Arc::clone(token);
                self.out.push_back(Output::Publish(token));
            }
            Some(token) if token.serial == serial => {
                let floor_ms = token.forced_floor_ms(self.settings.refresh_floor_ms);
                self.refused = self.token.take().map(|token| token.access_token.clone());
                self.force_after(now, floor_ms);
            }
            Some(_) | None => self.force_after(now, FORCED_FLOOR_MS),
        }
    }

    pub(super) fn force(&mut self, now: Now) {
        self.denial_is_asked_for();
        let longest_ms = self.settings.refresh_floor_ms;
        let floor_ms = self.token.as_ref().map_or(FORCED_FLOOR_MS, |token| token.forced_floor_ms(longest_ms));
        if let Phase::Blocked { .. } = self.phase {
            return self.fetch_after(now, FORCED_FLOOR_MS);
        }
        self.force_after(now, floor_ms);
    }

    /// A request in flight serves as well; a retry is timed already, perhaps by the server itself: it is not hurried. One after
    /// a denial waits for a person, who may be this one.
    fn force_after(&mut self, now: Now, floor_ms: u64) {
        match self.phase {
            Phase::Holding => self.fetch_after(now, floor_ms),
            Phase::Waiting if self.denial.waits.is_some() => self.fetch_after(now, floor_ms),
            Phase::Fetching { .. } if active(Mutant::SecondRequest) => self.begin_round(now),
            Phase::Waiting
            | Phase::Stopped
            | Phase::Loading { .. }
            | Phase::Fetching { .. }
            | Phase::Storing(_)
            | Phase::Checking(..)
            | Phase::Persisting { .. }
            | Phase::Blocked { .. }
            | Phase::Revoking => {}
        }
    }

    /// Fetches now, or when `floor_ms` have passed since the last forced refresh.
    fn fetch_after(&mut self, now: Now, floor_ms: u64) {
        let due = self.last_forced_ms.map_or(now.boot_ms, |last| (last + floor_ms).max(now.boot_ms));
        if due <= now.boot_ms || active(Mutant::NoForcedFloor) {
            self.last_forced_ms = Some(now.boot_ms);
            return self.begin_round(now);
        }
        let planned = self.wake_ms.filter(|_| matches!(self.phase, Phase::Holding) || self.denial.waits.is_some());
        let asked = if active(Mutant::RetryAfterForgotten) { 0 } else { self.not_before_ms };
        let due = planned.map_or(due, |planned| planned.min(due)).max(asked);
        if !active(Mutant::ForcedWaitForgotten) {
            self.last_forced_ms = Some(due);
        }
        self.set_phase(Phase::Waiting, Some(due));
    }

    pub(super) fn wanted(&mut self, now: Now, id: u64, min_left_ms: u64) {
        let in_flight = self.phase.is_busy();
        let served = self.token.as_ref().filter(|token| {
            let must_wait = in_flight && now.boot_ms >= token.schedule.mandatory_ms;
            token.remaining_ms(now.boot_ms) >= min_left_ms.max(1) && !must_wait
        });
        if let Some(token) = served {
            let outcome = Ok(Arc::clone(token));
            return self.out.push_back(Output::Answer { id, outcome });
        }
        let by_ms = in_flight.then_some(now.boot_ms + MANDATORY_WAIT_MS).filter(|_| !active(Mutant::WishWaits));
        // The next attempt may be a quarter of an hour away, and a person has to act before it is of any use.
        if let Some(error) = self.denial.waits.clone() {
            return self.out.push_back(Output::Answer { id, outcome: Err(error) });
        }
        match &self.phase {
            Phase::Blocked { error, .. } => {
                let outcome = Err(error.clone());
                self.out.push_back(Output::Answer { id, outcome });
            }
            Phase::Stopped | Phase::Revoking => self.out.push_back(Output::Answer { id, outcome: Err(cancelled()) }),
            Phase::Holding => {
                self.wanted.push(Wish { id, min_left_ms, by_ms: None });
                self.force(now);
            }
            Phase::Loading { .. }
            | Phase::Fetching { .. }
            | Phase::Waiting
            | Phase::Storing(_)
            | Phase::Checking(..)
            | Phase::Persisting { .. } => {
                self.wanted.push(Wish { id, min_left_ms, by_ms });
            }
        }
    }

    /// Wishes that have waited long enough for a request in flight are served by the old token if it will do.
    pub(super) fn serve_overdue(&mut self, now: Now) {
        for wish in &mut self.wanted {
            if wish.by_ms.is_some_and(|by| by <= now.boot_ms) {
                wish.by_ms = None;
            }
        }
        self.serve_by_old(now);
    }

    /// Serves the wishes that wait for no request and for which the old token will do.
    pub(super) fn serve_by_old(&mut self, now: Now) {
        let in_flight = self.phase.is_busy();
        let Some(token) = self.token.clone() else { return };
        let (keep, served) = std::mem::take(&mut self.wanted).into_iter().partition(|wish: &Wish| {
            in_flight && wish.by_ms.is_some() || serve(&token, now, wish.min_left_ms).is_err()
        });
        self.wanted = keep;
        for wish in served {
            self.out.push_back(Output::Answer { id: wish.id, outcome: Ok(Arc::clone(&token)) });
        }
    }

    /// Wishes that waited for a request that failed are served by the old token if it will do.
    pub(super) fn answer_all(&mut self, now: Now, error: &Error) {
        for wish in std::mem::take(&mut self.wanted) {
            let outcome = match &self.token {
                Some(token) => serve(token, now, wish.min_left_ms).map_err(|_| error.clone()),
                None => Err(error.clone()),
            };
            self.out.push_back(Output::Answer { id: wish.id, outcome });
        }
    }

    pub(super) fn credential(&mut self, now: Now, credential: Credential) {
        self.denial_is_asked_for();
        self.credentials_version += 1;
        if self.denial.waits.is_some() && !matches!(credential, Credential::ProxyPassword) {
            self.adopt_credential(credential);
            return self.begin_round(now);
        }
        let Phase::Blocked { error, .. } = &self.phase else { return self.adopt_credential(credential) };
        // What another credential was refused for is not mended by a password of a proxy.
        let helps = !matches!(credential, Credential::ProxyPassword) || error.code() == Code::ProxyAuth;
        self.adopt_credential(credential);
        if helps && !active(Mutant::BlockedForGood) {
            self.begin_round(now);
        }
    }

    fn adopt_credential(&mut self, credential: Credential) {
        match credential {
            Credential::ClientSecret(secret) => self.credentials.client_secret = secret,
            Credential::RefreshToken(secret) => {
                self.credentials.refresh_token = Some(secret);
                self.store.unsaved = true;
            }
            Credential::SamlAssertion(secret) => self.credentials.saml_assertion = Some(secret),
            Credential::ProxyPassword => return,
        }
        self.unauthorized = 0;
        self.login();
    }

    pub(super) fn answered(&mut self, now: Now, id: u64, answer: Result<Answer, Error>) {
        match (&self.phase, answer) {
            (Phase::Fetching { asked: Some(asked) }, answer) if *asked == id => self.provided(now, answer),
            (Phase::Persisting { id: asked, .. }, answer) if *asked == id => self.persisted(now, answer.map(|_| ())),
            (Phase::Blocked { asked: Some(asked), .. }, Ok(Answer::Code(code))) if *asked == id => {
                self.credentials.code = Some(code);
                self.login();
                self.begin_round(now);
            }
            (Phase::Blocked { asked: Some(asked), .. }, _) if *asked == id => {
                self.set_phase(Phase::Blocked { error: self.block_error(), asked: None }, None);
            }
            // Too late, or answered before.
            _ => self.senseless += 1,
        }
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

pub(super) fn cancelled() -> Error {
    Error::new(Code::Cancelled, Stage::Token, "")
}
