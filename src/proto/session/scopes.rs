//! What renewals change of the grants, and what becomes of the live socket when a required scope is gone (`scopes.lost`).
//!
//! A token that lacks one is never shown to the server: the refresher does not publish it, and a client of a shared source looks
//! for itself. With `keep` the live socket goes on with the old token until that ends, and the state says `Degraded`. With
//! `close` it is left at once and nothing is dialled until the application acts.

use super::{Link, Output, Session, Stage, Trouble};
use crate::audit::{Phase, Record, ScopeAudit};
use crate::config::settings::LostScopes;
use crate::error::{Code, Error};
use crate::event::Notice;
use crate::proto::mutant::{active, Mutant};
use crate::proto::scope::{self, Checked};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// What is known of the grants.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    granted: scope::Grant,
    /// The last denial of this client's own, of a token that others share.
    denied: Option<ScopeAudit>,
    /// The newest token is not used for its scopes.
    pub(super) lost: Option<Error>,
}

impl Session {
    /// A shared token may lack what this client needs. Checked once a token; a denial that repeats the one before is neither
    /// recorded nor told again. The error, and whether it is another than before.
    pub(super) fn check_scopes(&mut self, token: &Token) -> Result<(), (Error, bool)> {
        if !self.shares || token.serial <= self.seen_serial || active(Mutant::SharedUnchecked) {
            return Ok(());
        }
        let Checked { audit, outcome, .. } = scope::check_token(token, &self.settings);
        let again = outcome.is_err() && self.scopes.denied.as_ref() == Some(&audit);
        if !again {
            self.out.push_back(Output::Audit(Record::Scopes(audit.clone())));
        }
        self.scopes.denied = outcome.is_err().then_some(audit);
        outcome.map_err(|error| (error, !again))
    }

    /// A token grants this: what differs from the one before is told, and recorded, once.
    pub(super) fn compare_scopes(&mut self, scopes: Option<&[String]>) {
        let changed = self.scopes.granted.compare(scopes, &self.settings.required_scopes);
        let Some(changed) = changed.filter(|_| !active(Mutant::ScopeChangeUntold)) else { return };
        let (added, removed, missing) = (changed.added.clone(), changed.removed.clone(), changed.missing.clone());
        self.out.push_back(Output::Audit(Record::ScopesChanged { added, removed, missing }));
        self.notice(Notice::ScopesChanged(changed));
    }

    /// A renewal brought a token that lacks what is required, and the refresher goes on asking.
    pub(super) fn scopes_lost(&mut self, now: Now, error: Error, started_ms: u64) {
        self.why = ("scopes denied", Some(error.clone()));
        let verified = std::mem::replace(&mut self.verified, false);
        self.token_round_failed(now, error.clone(), started_ms);
        // The token in use was checked.
        self.verified = verified;
        self.close_if_lost(now, &error);
        self.scopes.lost = Some(error);
    }

    /// The policy `close`: what was granted before is not used any more. A scope has to be known to be gone: what cannot be known,
    /// because `tokens/me` does not answer, is no reason to end what works.
    pub(super) fn close_if_lost(&mut self, now: Now, error: &Error) {
        let closes = self.settings.lost_scopes == LostScopes::Close || active(Mutant::LostScopeCloses);
        let lost = error.code() == Code::ScopeDenied && self.has_used_token() && !active(Mutant::LostScopeKept);
        if !closes || !lost || self.is_over() {
            return;
        }
        self.token = None;
        self.trouble = Some(Trouble::Blocked(error.clone()));
        self.out.push_back(Output::GiveUp { error: error.clone(), serial: self.seen_serial });
        self.end_sockets(now, error);
        self.fail_if_once(error.clone());
        self.why = ("scopes denied", Some(error.clone()));
    }

    /// Whether there is a token that was good before this denial.
    pub(super) fn has_used_token(&self) -> bool {
        self.token.is_some() || self.primary.as_ref().is_some_and(|link| link.token.is_some())
    }

    /// Leaves every socket: what they would have brought is missed.
    pub(super) fn end_sockets(&mut self, now: Now, error: &Error) {
        let (primary, standby) = (self.primary.take(), self.standby.take());
        if let Some(live) = primary.as_ref().filter(|link| link.is_live()) {
            self.out.push_back(Output::SendOn(None));
            self.out.push_back(Output::Audit(Record::ConnectionLost { error: error.clone() }));
            if let (Some(sent), Some(_)) = (live.sent_ms, &live.offered) {
                self.audit_attempt(now, sent, Phase::Renewal, Err(error.clone()));
            }
            self.begin_gap(now, self.unread_wall_ms(live), error);
        } else if primary.as_ref().is_some_and(|link| link.token.is_some() || self.has_channels()) {
            let began = self.attempt_ms.take().unwrap_or(now.boot_ms);
            self.audit_attempt(now, began, self.phase(), Err(error.clone()));
            self.fail_if_once(error.clone());
        }
        if let Some(standby) = &standby {
            self.end_standby(now, standby, primary.as_ref().map_or(0, Link::serial), error);
        }
        for mut link in [primary, standby].into_iter().flatten() {
            self.retire(&mut link, error);
            self.hang_up(now, link);
        }
        (self.dial_ms, self.calm_ms, self.hold_ms, self.renew_ms) = (None, None, None, None);
        (self.draining, self.replacing, self.channels.kept) = (false, false, None);
    }

    /// The attempt on a second socket ends with the first one. Of a second channel nothing was held back.
    fn end_standby(&mut self, now: Now, standby: &Link, serial: u64, error: &Error) {
        self.channels.pairs.failed(now.boot_ms, standby.epoch);
        if self.has_channels() {
            return;
        }
        let phase = if serial < standby.serial() { Phase::Renewal } else { Phase::Reconnect };
        self.audit_attempt(now, standby.sent_ms.unwrap_or(standby.dialled_ms), phase, Err(error.clone()));
        if standby.stage == Stage::Authenticating {
            self.out.push_back(Output::Release { epoch: standby.epoch });
        }
    }

    /// Why the state of a live socket is `Degraded`: no newer token is to be had, or the one that was is not taken.
    pub(super) fn derive_refusal(&self) -> Option<(&'static str, Option<Error>)> {
        let lost = self.scopes.lost.as_ref().filter(|_| !active(Mutant::LostScopeHidden));
        match (&self.trouble, lost) {
            (Some(Trouble::Blocked(error)), Some(_)) if scope::is_denial(error) => {
                Some(("scopes denied", Some(error.clone())))
            }
            (Some(Trouble::Blocked(error)), _) => Some(("credentials refused", Some(error.clone()))),
            (_, lost) => lost.map(|error| ("scopes denied", Some(error.clone()))),
        }
    }
}
