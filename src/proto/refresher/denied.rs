//! A renewed token that lacks a required scope.
//!
//! It is not used, and what was granted before is no better for it: the old token serves until it ends, and tokens are asked for
//! meanwhile, because somebody may give the scope back. Not as often as after a failure: the endpoint is well, every answer is
//! a token that is minted for nothing, and a change takes a person. An attempt follows after a quarter of what is left of the
//! old token: two dozen in all, and never two within `min(1 s, L/20)`. Without a token that can be used a denial
//! is final, as it is at the start. `refresh_now` and a new credential do not wait for the time: that is what they are for.
//!
//! A scope that is known to be lost stays so while nobody says what is granted: that `tokens/me` did not answer gives nothing back,
//! whatever `scopes.unknown` says of tokens of which nothing was ever known. Another login may have it.
//!
//! A denial is recorded when it is another than the one before, or somebody asked for the attempt; that it is final is told by
//! a failed attempt of its own.

use super::{News, Output, Phase, Refresher};
use crate::audit::{Record, ScopeAudit};
use crate::error::Error;
use crate::proto::backoff;
use crate::proto::mutant::{active, Mutant};
use crate::proto::scope::{self, Checked, Grants, Verdict};
use crate::proto::time::Now;

/// What is known of the newest token's denial.
#[derive(Debug, Default)]
pub(super) struct Denial {
    /// The last one, until a token is taken or somebody asks for another attempt.
    last: Option<ScopeAudit>,
    /// What the last token granted of which that is known, if it lacks something.
    lost: Option<Grants>,
    /// The one at hand repeats it.
    again: bool,
    /// The next attempt is timed because of it.
    pub(super) waits: Option<Error>,
}

impl Refresher {
    /// The check, and its record.
    pub(super) fn check_scopes(&mut self, grants: &Grants) -> Result<(), Error> {
        let (required, unknown) = (&self.settings.required_scopes, self.settings.unknown_scopes);
        let mut checked = scope::check(grants, required, unknown);
        match (&checked.verdict, &self.denial.lost) {
            (Verdict::Missing(_), _) => self.denial.lost = Some(grants.clone()).filter(|lost| lost.scopes.is_some()),
            (Verdict::Ok, _) => self.denial.lost = None,
            (Verdict::Unknown, Some(lost)) if !active(Mutant::SilenceGivesBack) => {
                checked = scope::check(lost, required, unknown);
            }
            (Verdict::Unknown, _) => {}
        }
        let Checked { audit, outcome, .. } = checked;
        let denied = outcome.is_err();
        self.denial.again = denied && self.denial.last.as_ref() == Some(&audit) && !active(Mutant::DenialRepeated);
        if !self.denial.again {
            self.out.push_back(Output::Audit(Record::Scopes(audit.clone())));
            if let (true, Some(granted)) = (denied, grants.scopes.clone()) {
                self.out.push_back(Output::News(News::Declined { granted }));
            }
        }
        self.denial.last = denied.then_some(audit);
        if active(Mutant::LostScopeTaken) && self.token.is_some() {
            return Ok(());
        }
        outcome
    }

    /// Somebody asks for an attempt: its outcome is recorded, whatever it is.
    pub(super) fn denial_is_asked_for(&mut self) {
        self.denial.last = None;
    }

    /// Somebody else may have what was lost.
    pub(super) fn denial_is_over(&mut self) {
        self.denial.lost = None;
    }

    /// Whether an error is a denial that the old token outlives.
    pub(super) fn outlives(&self, now: Now, error: &Error) -> bool {
        scope::is_denial(error) && self.held(now).is_some() && !active(Mutant::LostScopeBlocks)
    }

    /// The old token is used on, and the next attempt is timed.
    pub(super) fn scopes_lost(&mut self, now: Now, error: Error) {
        let wait_ms = self.held(now).map_or(0, backoff::denied_ms);
        (self.round_attempts, self.throttles) = (0, 0);
        self.failures = self.failures.saturating_add(1);
        let started_ms = self.round_started_ms;
        self.not_before_ms = now.boot_ms;
        let wait_ms = if active(Mutant::DenialHurries) { 1_000.min(wait_ms) } else { wait_ms };
        self.set_phase(Phase::Waiting, Some(now.boot_ms + wait_ms));
        self.denial.waits = Some(error.clone()).filter(|_| !active(Mutant::DenialNotHurried));
        self.out.push_back(Output::News(News::Waiting));
        self.answer_all(now, &error);
        if !self.denial.again {
            self.out.push_back(Output::News(News::ScopesLost { error, started_ms }));
        }
    }
}
