//! The token store: the newest refresh token, shared with whoever comes next and with other processes.
//!
//! It is locked from reading it until its token has been replaced, so that no two processes use one refresh token; who
//! does not get the lock in time goes on without it. What it holds is used instead of the configured token it descends
//! from; another configured token replaces it. A refresh token that is refused is dead only when the store, read once
//! more, holds no other.

use super::grant::Arrival;
use super::{Found, Output, Phase, Refresher};
use crate::config::settings::Grant;
use crate::error::{Code, Error};
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::Proof;
use crate::proto::time::Now;
use crate::secret::Secret;

/// What comes on top of a request while the store is locked: reading and writing it.
const LOCK_MARGIN_MS: u64 = 1_000;

/// What the machine knows of the store.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// It is, or may be, locked by us.
    pub locked: bool,
    /// The refresh token in force is not in it.
    pub unsaved: bool,
    /// A refresh token was refused in this round, and the store read again for that.
    pub read_again: bool,
    /// It has been read once.
    pub is_read: bool,
}

impl Refresher {
    /// Whether there is one, for a grant that has refresh tokens.
    pub(super) fn has_store(&self) -> bool {
        let has_refresh_tokens =
            !matches!(self.settings.grant, Grant::ClientCredentials | Grant::Saml2Bearer | Grant::Application);
        !self.settings.token_store.is_empty() && has_refresh_tokens
    }

    /// Reads it, and again when the token it held was refused.
    pub(super) fn load(&mut self, now: Now, refusal: Option<Error>) {
        self.store.read_again |= refusal.is_some();
        self.store.locked = true;
        let wait_ms = self.lock_wait_ms(now);
        self.set_phase(Phase::Loading { refusal }, None);
        self.out.push_back(Output::LoadStore { wait_ms });
    }

    /// Longer than another process may hold it for one request, but not for more than half of what a token has left.
    fn lock_wait_ms(&self, now: Now) -> u64 {
        let most = self.settings.token_timeout_ms + LOCK_MARGIN_MS;
        self.held(now).map_or(most, |held| (held.remaining_ms / 2).max(3_000).min(most))
    }

    pub(super) fn loaded(&mut self, now: Now, outcome: Result<Option<Found>, Error>) {
        let Phase::Loading { refusal } = &mut self.phase else {
            self.senseless += 1;
            return;
        };
        if let Some(refusal) = refusal.take() {
            return self.loaded_again(now, outcome.ok().flatten(), refusal);
        }
        match outcome {
            Ok(found) => {
                self.store.is_read = true;
                if let Some(found) = found {
                    self.take_over(found);
                }
            }
            // Without it an old refresh token might be used again, which some servers punish.
            Err(error) if !self.store.is_read => return self.failed(now, error),
            // What is in memory is the newest that is known.
            Err(_) => {}
        }
        self.request_token(now);
    }

    /// The store's token is the newest, unless the one in force never got there or has been configured anew.
    fn take_over(&mut self, found: Found) {
        if active(Mutant::StoreNotRead) {
            return;
        }
        if !found.follows && !active(Mutant::ForeignStoreTaken) {
            self.store.unsaved = true;
        } else if !self.store.unsaved || active(Mutant::UnsavedDropped) {
            self.credentials.refresh_token = Some(found.refresh_token);
        }
    }

    /// Another process may have replaced the token that was refused.
    fn loaded_again(&mut self, now: Now, found: Option<Found>, refusal: Error) {
        let other =
            found.filter(|found| found.follows && self.requested_refresh.as_ref() != Some(&found.refresh_token));
        let Some(found) = other else {
            let error = refusal.with(|detail| detail.message.push_str(" token.store holds no other refresh token."));
            return self.failed_for_good(now, error);
        };
        self.store.unsaved = false;
        self.credentials.refresh_token = Some(found.refresh_token);
        self.request_token(now);
    }

    /// Whether a refusal may mean that another process was faster.
    pub(super) fn may_read_again(&self, error: &Error) -> bool {
        let of_token = matches!(error.code(), Code::Unauthorized | Code::InvalidGrant);
        let with_token = self.requested_proof == Proof::RefreshToken && matches!(self.phase, Phase::Fetching { .. });
        of_token && with_token && self.has_store() && !self.store.read_again && !active(Mutant::NeverReadAgain)
    }

    /// What has to be stored: a rotated token, or one that is good and is not there.
    pub(super) fn to_store(&self, rotated: Option<&Secret>) -> Option<Secret> {
        let held = self.credentials.refresh_token.as_ref();
        let is_proved = held == self.requested_refresh.as_ref() && self.requested_proof == Proof::RefreshToken;
        let rotated = rotated.filter(|_| !active(Mutant::RotationNotStored));
        rotated.or(held.filter(|_| self.store.unsaved && is_proved)).filter(|_| self.has_store()).cloned()
    }

    /// Before the access token is used: its use may end the old refresh token's grace.
    pub(super) fn store(&mut self, arrival: Box<Arrival>, refresh_token: Secret) {
        self.store.unsaved = true;
        self.set_phase(Phase::Storing(arrival), self.wake_ms.filter(|_| self.closing));
        self.out.push_back(Output::Store(refresh_token));
    }

    /// What cannot be stored is on record; memory still has it, and the next request tries again.
    pub(super) fn stored(&mut self, now: Now, outcome: Result<(), Error>) {
        let Some(mut arrival) = self.after_storing(outcome) else {
            self.senseless += 1;
            return;
        };
        match arrival.refused.take() {
            Some(error) => self.failed(now, error),
            None => self.arrived(now, arrival),
        }
    }

    pub(super) fn after_storing(&mut self, outcome: Result<(), Error>) -> Option<Box<Arrival>> {
        if !matches!(self.phase, Phase::Storing(_)) {
            return None;
        }
        self.store.unsaved &= outcome.is_err();
        self.record_kept("store", outcome);
        // What follows says which phase it is.
        match std::mem::replace(&mut self.phase, Phase::Fetching { asked: None }) {
            Phase::Storing(arrival) => Some(arrival),
            _ => None,
        }
    }
}
