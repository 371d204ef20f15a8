//! What makes a token believable before it is used (`token.verify`): the issuer's keys, or the issuer's word.
//!
//! ```text
//!                    off ──────────────────────────────────────────────────────────┐
//!  granted, stored ──┤                    keys missing, expired, or without the key │
//!                    jwt ──▶ check ──────────────▶ Checking(Keys) ──▶ check ────────┤──▶ scopes ──▶ identity ──▶ in force
//!                    │                                                              │
//!                    introspection ──────────────▶ Checking(Issuer) ────────────────┘
//! ```
//!
//! A token that is not believed is a failed attempt like any other: its refresh token is kept, the old token is used on,
//! and the next attempt is timed by the usual rules. Only what no repetition can mend, and only before there ever was a
//! token, is final: a setting is wrong then. Later it is more likely the issuer that is being changed.
//!
//! Times are judged by the token endpoint's clock (its `Date`), where this machine's is off: the endpoint has just dated
//! the token. With `token.grant = application` there is none, and this machine's clock counts. `Date` of the keys says
//! nothing, as they may come out of a cache.

use super::grant::Arrival;
use super::phase::Check;
use super::{Output, Phase, Refresher};
use crate::audit::{Record, Trust};
use crate::config::settings::{ClientAuthentication, Grant, Settings, Verification, Verify};
use crate::error::Error;
use crate::proto::http::{self, Request};
use crate::proto::identity::{self, Identity};
use crate::proto::jose::{self, Algorithm, KeySet, Refusal, Rules, Verified};
use crate::proto::jwt::{self, Jwt};
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::Granted;
use crate::proto::time::Now;
use crate::proto::{introspection, jwks, oauth};

/// A question has this long at least, whatever a token nobody has believed yet says of its life.
const QUESTION_LEAST_MS: u64 = 1_000;

impl Refresher {
    /// By this function signatures are verified; without one none is.
    pub fn verifying(self, verify: jose::Verify) -> Self {
        Self { verify, ..self }
    }

    /// The refresh token is where it belongs.
    pub(super) fn arrived(&mut self, now: Now, arrival: Box<Arrival>) {
        match self.settings.verification.by {
            Verify::Jwt if !active(Mutant::NothingVerified) => self.verify_signature(now, arrival),
            Verify::Introspection if !active(Mutant::NothingVerified) => self.introspect(now, arrival),
            Verify::Off | Verify::Jwt | Verify::Introspection => self.believed(now, arrival),
        }
    }

    /// Its scopes may still have to be asked for.
    fn believed(&mut self, now: Now, arrival: Box<Arrival>) {
        if self.must_probe(&arrival) {
            return self.probe(now, arrival);
        }
        self.finish(now, *arrival);
    }

    /// The answer to a question about a token that is not in force yet.
    pub(super) fn checked(&mut self, now: Now, outcome: http::Outcome) {
        // What follows says which phase it is.
        match std::mem::replace(&mut self.phase, Phase::Fetching { asked: None }) {
            Phase::Checking(Check::Keys, arrival) => self.keys_read(now, outcome, arrival),
            Phase::Checking(Check::Issuer, arrival) => self.introspected(now, outcome, arrival),
            Phase::Checking(Check::Scopes, arrival) => self.probed(now, outcome, arrival),
            other => self.phase = other,
        }
    }

    /// The token's own time pays for a question: a quarter of it, a second at least. So does the attempt's, which began with
    /// the request for the token.
    pub(super) fn question_ms(&self, now: Now, arrival: &Arrival, most: u64) -> u64 {
        let Granted { access_token, expires_in_ms, .. } = &arrival.granted;
        let claimed_ms = match jwt::read(access_token.expose(), self.settings.max_token_bytes) {
            Jwt::Claims(claims) => claims.lifetime_ms,
            Jwt::Malformed | Jwt::Opaque => None,
        };
        let answered_ms = expires_in_ms.and_then(|ms| u64::try_from(ms).ok());
        let life_ms = answered_ms.into_iter().chain(claimed_ms).min().unwrap_or(u64::MAX);
        let life_ms = if active(Mutant::KeysForEver) { u64::MAX } else { life_ms };
        let least_ms = if active(Mutant::NoLeastForQuestions) { 1 } else { QUESTION_LEAST_MS.min(most) };
        self.attempt_left_ms(now).min(most).min(life_ms / 4).max(least_ms)
    }

    fn attempt_left_ms(&self, now: Now) -> u64 {
        let whole_ms = match self.settings.grant {
            Grant::Application => self.settings.provider_timeout_ms,
            _ => self.settings.token_timeout_ms,
        };
        let spent_ms = now.boot_ms.saturating_sub(self.requested.boot_ms);
        let spent_ms = if active(Mutant::TimeBeginsAnew) { 0 } else { spent_ms };
        self.attempt_ms(now, whole_ms).saturating_sub(spent_ms)
    }

    /// Now, by the clock that dated the token.
    fn issuer_ms(&self, now: Now) -> u64 {
        now.wall_ms.saturating_add_signed(if active(Mutant::OwnClockVerifies) { 0 } else { self.ahead_ms })
    }

    /// What is left now, from the request on: that is where a token's life is counted from.
    fn since_request(&self, now: Now, left_ms: u64) -> u64 {
        left_ms.saturating_add(now.boot_ms.saturating_sub(self.requested.boot_ms))
    }

    // ---- by the issuer's keys -------------------------------------------------------------------------------

    fn verify_signature(&mut self, now: Now, arrival: Box<Arrival>) {
        let fresh = self.keys.fresh(now.boot_ms);
        // Without keys a token that no key can help is refused all the same, and nobody is asked.
        let outcome = self.verify_with(now, &arrival, fresh.as_deref().unwrap_or(&KeySet::default()));
        let may_help = outcome.as_ref().is_err_and(|refusal| newer_keys_may_help(*refusal)) && !arrival.asked_for_keys;
        if may_help && fresh.is_none() {
            return match self.keys.missed(now.boot_ms) {
                Some(error) => self.without_newer_keys(now, arrival, error),
                None => self.ask_for_keys(now, arrival),
            };
        }
        if may_help && self.may_ask_again(now) {
            return self.ask_for_keys(now, arrival);
        }
        self.verified(now, arrival, outcome);
    }

    fn may_ask_again(&mut self, now: Now) -> bool {
        !active(Mutant::UnknownKeyIsFinal) && self.keys.may_ask_again(now.boot_ms)
    }

    fn verify_with(&self, now: Now, arrival: &Arrival, keys: &KeySet) -> Result<Verified, Refusal> {
        let rules = rules(&self.settings);
        jose::check(arrival.granted.access_token.expose(), keys, &rules, self.issuer_ms(now), self.verify)
    }

    fn verified(&mut self, now: Now, mut arrival: Box<Arrival>, outcome: Result<Verified, Refusal>) {
        match outcome {
            Ok(Verified { subject, client_id, organisation, scopes, expires_ms, .. }) => {
                arrival.trust = Trust::Verified;
                arrival.said_scopes = scopes;
                arrival.identity = Identity { subject, client: client_id, organisation };
                let left_ms = expires_ms.saturating_sub(self.issuer_ms(now));
                arrival.lives_ms =
                    Some(self.since_request(now, left_ms)).filter(|_| !active(Mutant::VerifiedEndIgnored));
                self.believed(now, arrival);
            }
            Err(refusal) => self.disbelieved(now, *arrival, refusal),
        }
    }

    fn disbelieved(&mut self, now: Now, arrival: Arrival, refusal: Refusal) {
        let error = match refusal {
            Refusal::NotCompact => refusal.error().with(|detail| {
                detail.message.push_str(" An opaque token can only be introspected: token.verify = introspection.");
            }),
            _ => refusal.error(),
        };
        self.turned_down(now, arrival.rotated, error);
    }

    /// Once for a token at most.
    fn ask_for_keys(&mut self, now: Now, mut arrival: Box<Arrival>) {
        arrival.asked_for_keys = !active(Mutant::KeysAskedForEver);
        let timeout_ms = self.question_ms(now, &arrival, self.settings.token_timeout_ms);
        let request = jwks::request(&self.settings, timeout_ms);
        self.epoch += 1;
        self.set_phase(Phase::Checking(Check::Keys, arrival), None);
        self.out.push_back(Output::Http { epoch: self.epoch, request });
    }

    fn keys_read(&mut self, now: Now, outcome: http::Outcome, arrival: Box<Arrival>) {
        let read = outcome.and_then(|reply| jwks::read(&reply, now.wall_ms));
        let error = match read.map_err(|error| jwks::unavailable(error, &self.settings)) {
            Ok((set, fresh_ms)) => {
                self.out.push_back(Output::Audit(Record::KeysLoaded { keys: set.len() as u64 }));
                self.keys.put(now.boot_ms, set, fresh_ms);
                return self.verify_signature(now, arrival);
            }
            Err(error) => error,
        };
        self.keys.miss(now.boot_ms, error.clone());
        self.without_newer_keys(now, arrival, error);
    }

    /// The old ones are used on, if there are any.
    fn without_newer_keys(&mut self, now: Now, arrival: Box<Arrival>, error: Error) {
        let Some((set, age_ms)) = self.keys.stale(now.boot_ms).filter(|_| !active(Mutant::NeverStale)) else {
            return self.turned_down(now, arrival.rotated, error);
        };
        match self.verify_with(now, &arrival, &set) {
            // Why there are no newer keys says more than that they are wanted.
            Err(refusal) if newer_keys_may_help(refusal) => self.turned_down(now, arrival.rotated, error),
            outcome => {
                if self.keys.fresh(now.boot_ms).is_none() {
                    self.out.push_back(Output::Audit(Record::KeysStale { age_ms, error }));
                }
                self.verified(now, arrival, outcome);
            }
        }
    }

    // ---- by the issuer's word -------------------------------------------------------------------------------

    fn introspect(&mut self, now: Now, arrival: Box<Arrival>) {
        let timeout_ms = self.question_ms(now, &arrival, self.settings.token_timeout_ms);
        let token = &arrival.granted.access_token;
        let request = oauth::introspection(&self.settings, &self.credentials, token, timeout_ms);
        self.epoch += 1;
        self.set_phase(Phase::Checking(Check::Issuer, arrival), None);
        match self.settings.authentication {
            ClientAuthentication::PrivateKeyJwt => self.ask_to_sign(now, request),
            _ => self.ask_issuer(request),
        }
    }

    pub(super) fn ask_issuer(&mut self, request: Request) {
        self.out.push_back(Output::Http { epoch: self.epoch, request });
    }

    fn introspected(&mut self, now: Now, outcome: http::Outcome, mut arrival: Box<Arrival>) {
        let issuer_ms = self.issuer_ms(now);
        let outcome = outcome.map_err(introspection::unavailable);
        let read = outcome.and_then(|reply| introspection::read(reply, &self.settings, issuer_ms));
        match read {
            Ok(said) => {
                arrival.trust = Trust::Introspected;
                arrival.said_scopes = said.scopes;
                arrival.identity = said.identity;
                arrival.lives_ms = said.left_ms.map(|left_ms| self.since_request(now, left_ms));
                self.believed(now, arrival);
            }
            Err(error) => self.turned_down(now, arrival.rotated, error),
        }
    }
}

fn newer_keys_may_help(refusal: Refusal) -> bool {
    refusal.newer_keys_may_help() && !(refusal == Refusal::Signature && active(Mutant::NameIsKey))
}

/// What a token has to be.
fn rules(settings: &Settings) -> Rules {
    let Verification { issuer, audience, algorithms, types, leeway_ms, .. } = &settings.verification;
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Rules {
        max_bytes: settings.max_token_bytes,
        algorithms: algorithms.iter().filter_map(|name| Algorithm::parse(name)).collect(),
        issuer: given(issuer),
        audience: given(audience),
        leeway_ms: *leeway_ms,
        types: types.clone(),
        organisation: identity::ORGANISATION.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_settings_is_an_algorithm() {
        assert_eq!(rules(&Settings::default()).algorithms, Algorithm::ALL);
        assert_eq!(rules(&Settings::default()).types, Rules::default().types);
    }
}
