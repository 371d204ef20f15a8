//! What comes from the refresher, and the audit of attempts.

use std::sync::Arc;

use super::{Link, Output, Rounds, Session, Trouble};
use crate::audit::{Outcome, Phase, Record};
use crate::error::Error;
use crate::proto::mutant::{active, Mutant};
use crate::proto::refresher::News;
use crate::proto::scope;
use crate::proto::time::Now;
use crate::proto::token::Token;

impl Session {
    pub(super) fn publish(&mut self, now: Now, token: Arc<Token>) {
        let is_new = token.serial > self.seen_serial;
        let checked = self.check_scopes(&token);
        if is_new {
            self.compare_scopes(token.scopes.as_deref());
        }
        if let Err((error, is_news)) = checked {
            self.seen_serial = token.serial;
            return self.denied(now, error, is_news);
        }
        // One that was seen before is published again because of a late refusal; by now it may be refused or dead too.
        if token.serial > self.seen_serial || active(Mutant::SeenTakenAgain) && self.token.is_none() {
            self.seen_serial = token.serial;
            (self.fetching, self.verifying, self.verified, self.trouble) = (false, false, true, None);
            self.why = ("token granted", None);
            // What the last one was refused for, this one may be allowed.
            self.channels.refusal = None;
            (self.fetching_since_ms, self.ahead) = (None, false);
            self.scopes.lost = None;
            self.token = Some(token).filter(|token| token.is_usable(now.boot_ms));
            (self.renew_ms, self.hold_ms) = (None, None);
            self.go_on(now);
        }
        if self.primary.is_none() && self.dial_ms.is_none() {
            self.dial_ms = Some(now.boot_ms.max(self.not_before_ms));
        }
        self.renew_if_possible(now);
    }

    /// A shared token lacks what this client needs: the next one of the source may have it.
    fn denied(&mut self, now: Now, error: Error, is_news: bool) {
        let lost = self.has_used_token().then(|| error.clone());
        if is_news {
            self.news(now, News::Blocked { error: error.clone(), started_ms: now.boot_ms });
        } else {
            (self.fetching, self.verifying) = (false, false);
            self.why = ("credentials refused", Some(error.clone()));
            self.trouble = Some(Trouble::Blocked(error));
        }
        self.scopes.lost = lost;
    }

    pub(super) fn news(&mut self, now: Now, news: News) {
        self.fetching = matches!(news, News::Fetching);
        self.verifying = matches!(news, News::Verifying);
        if !self.verifying {
            self.fetching_since_ms = self.fetching.then_some(now.boot_ms);
        }
        match news {
            News::Fetching => {
                self.trouble = None;
                self.why = ("token requested", None);
                if !self.primary.as_ref().is_some_and(Link::is_live) {
                    self.attempt_ms.get_or_insert(now.boot_ms);
                }
                if self.primary.is_none() {
                    // Ahead of the token, if that is allowed; else it waits for it.
                    self.dial_ms.get_or_insert(now.boot_ms.max(self.not_before_ms));
                }
            }
            News::Verifying => self.why = ("token received", None),
            News::Waiting => {}
            News::Declined { granted } => self.compare_scopes(Some(&granted)),
            News::ScopesLost { error, started_ms } => self.scopes_lost(now, error, started_ms),
            News::Throttled { error, until_ms, long: _ } => {
                self.why = ("throttled", Some(error));
                self.trouble = Some(Trouble::Throttled { until_ms });
            }
            News::RoundFailed { error, started_ms } => self.token_round_failed(now, error, started_ms),
            News::Blocked { error, started_ms } => {
                self.why = ("credentials refused", Some(error.clone()));
                self.trouble = Some(Trouble::Blocked(error.clone()));
                self.token_round_failed(now, error.clone(), started_ms);
                self.stop_waiting(now);
                self.close_if_lost(now, &error);
            }
        }
    }

    /// A round of token requests failed: one failed attempt, and the end of a `connect`.
    pub(super) fn token_round_failed(&mut self, now: Now, error: Error, started_ms: u64) {
        if self.why.1.is_none() {
            self.why = ("token request failed", Some(error.clone()));
        }
        self.verified &= !scope::is_denial(&error);
        if self.primary.as_ref().is_some_and(|link| link.token.is_some()) || self.token.is_some() {
            // What is being done with the old token goes on, and is an attempt of its own.
            return self.audit_attempt(now, started_ms, Phase::Renewal, Err(error));
        }
        let began = self.attempt_ms.take().unwrap_or(started_ms);
        self.audit_attempt(now, began, self.phase(), Err(error.clone()));
        self.fail_if_once(error);
        if self.is_over() {
            self.stop_waiting(now);
        }
    }

    pub(super) fn audit_attempt(&mut self, now: Now, began_ms: u64, phase: Phase, outcome: Result<Vec<String>, Error>) {
        let scopes_validated = match &outcome {
            Ok(scopes) => !scopes.is_empty() || self.settings.required_scopes.is_empty(),
            Err(_) => self.verified,
        };
        let outcome = match outcome {
            Ok(scopes) => Outcome::Success { scopes },
            Err(error) => Outcome::Failure(error),
        };
        let latency_ms = now.boot_ms.saturating_sub(began_ms);
        let record = Record::Attempt { phase, outcome, latency_ms, scopes_validated };
        if active(Mutant::AuditedTwice) {
            self.out.push_back(Output::Audit(record.clone()));
        }
        self.out.push_back(Output::Audit(record));
    }

    /// `connect` ends with the first round that failed.
    pub(super) fn fail_if_once(&mut self, error: Error) {
        if self.rounds == Rounds::Once && self.failed.is_none() && !active(Mutant::OnceIsForEver) {
            self.failed = Some(error.clone());
            self.out.push_back(Output::Failed { error, for_good: false });
        }
    }
}
