//! A token was granted: its lifetime, its scopes, its refresh token, its publication.

use std::sync::Arc;

use super::{serve, News, Output, Phase, Refresher};
use crate::audit::Trust;
use crate::config::settings::Grant;
use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::proto::identity::Identity;
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::Granted;
use crate::proto::scope::{self, Sources};
use crate::proto::time::Now;
use crate::proto::token::{Schedule, Token, LIFETIME_DEFAULT_MS, LIFETIME_MAX_MS, LIFETIME_MIN_MS};
use crate::secret::Secret;

/// A granted token that is not published yet.
#[derive(Debug)]
pub(super) struct Arrival {
    pub granted: Granted,
    /// The refresh token that came with it and replaces the one that was held.
    pub rotated: Option<Secret>,
    from_code: bool,
    /// What the server said of its scopes when it was asked.
    pub probed: Option<Vec<String>>,
    /// What makes it believable.
    pub trust: Trust,
    /// The scopes that its verified claims, or its issuer, name.
    pub said_scopes: Option<Vec<String>>,
    /// How long it lives, from the request on, as its issuer says.
    pub lives_ms: Option<u64>,
    /// Whom it is about, as far as was asked for.
    pub identity: Identity,
    /// The issuer's keys were asked for because of it.
    pub asked_for_keys: bool,
    /// Why it is not used, while the refresh token of before is being put back.
    pub refused: Option<Error>,
}

impl Arrival {
    fn new(granted: Granted, rotated: Option<Secret>, from_code: bool) -> Box<Self> {
        Box::new(Self {
            granted,
            rotated,
            from_code,
            probed: None,
            trust: Trust::Unverified,
            said_scopes: None,
            lives_ms: None,
            identity: Identity::default(),
            asked_for_keys: false,
            refused: None,
        })
    }

    /// One that came after the end: only its refresh token counts.
    pub(super) fn late(granted: Granted, rotated: Option<Secret>) -> Box<Self> {
        Self::new(granted, rotated, false)
    }
}

impl Refresher {
    pub(super) fn granted(&mut self, now: Now, granted: Granted) {
        self.out.push_back(Output::News(News::Verifying));
        // The code is spent and the old refresh token may be dead, whatever is wrong with the access token. A stranger's is
        // no use all the same.
        let from_code = self.credentials.code.take().is_some();
        self.credentials.verifier.take_if(|_| from_code);
        self.has_corrected_clock = false;
        if let Err(error) = self.check_claimed(&granted) {
            return self.failed(now, error);
        }
        let rotated = self.adopt(&granted);
        self.has_rotated = rotated.is_some();
        let arrival = Arrival::new(granted, rotated, from_code);
        match self.to_store(arrival.rotated.as_ref()) {
            Some(refresh_token) => self.store(arrival, refresh_token),
            None => self.arrived(now, arrival),
        }
    }

    pub(super) fn finish(&mut self, now: Now, mut arrival: Arrival) {
        let (rotated, from_code) = (arrival.rotated.take(), arrival.from_code);
        self.trust = arrival.trust;
        let identity = self.identity_of(&mut arrival);
        if let Err(error) = self.check_identity(&identity) {
            return self.disowned(now, arrival, rotated, error);
        }
        let token = match self.verify(now, arrival, &identity) {
            Ok(token) => token,
            Err(error) => return self.turned_down(now, rotated, error),
        };
        self.pin_identity(identity);
        if from_code {
            self.unauthorized = 0;
        }
        match rotated {
            Some(refresh_token) if self.can_ask && !active(Mutant::PublishFirst) => {
                self.persist(now, token, refresh_token);
            }
            _ => self.publish(now, token),
        }
    }

    /// The access token is no good; its refresh token is, and the one that the application has stored may be dead.
    pub(super) fn turned_down(&mut self, now: Now, rotated: Option<Secret>, error: Error) {
        let forgets = active(Mutant::RotationLostOnRefusal);
        if let Some(refresh_token) = rotated.filter(|_| self.can_ask && !forgets) {
            self.ask_to_persist(refresh_token);
        }
        self.failed(now, error);
    }

    /// Takes a rotated refresh token over, unless the application has replaced the one it came from meanwhile.
    pub(super) fn adopt(&mut self, granted: &Granted) -> Option<Secret> {
        // RFC 7521 4.1: the assertion is what is shown again.
        if self.settings.grant == Grant::Saml2Bearer {
            return None;
        }
        let held = &self.credentials.refresh_token;
        let rotated = granted.refresh_token.clone().filter(|new| held.as_ref() != Some(new))?;
        if *held != self.requested_refresh && !active(Mutant::ReplacementOverwritten) {
            return None;
        }
        if active(Mutant::RotationIgnored) {
            return None;
        }
        self.credentials.refresh_token = Some(rotated.clone());
        Some(rotated)
    }

    /// Lifetime and scopes; the scope audit is made here (`denied.rs`), so a denial is recorded once.
    fn verify(&mut self, now: Now, arrival: Arrival, identity: &Identity) -> Result<Token, Error> {
        let Arrival { granted, probed, trust, said_scopes, lives_ms, .. } = arrival;
        let others = Sources { vouched: said_scopes, probed, ..Sources::default() };
        let mut grants = scope::of_answer(&granted, self.requested_proof, trust, others, &self.settings);
        // Who vouches for the scopes says whose they are.
        grants.client_id = identity.client.clone().filter(|_| trust != Trust::Unverified).or(grants.client_id);
        let claimed_ms = [grants.lifetime_ms, lives_ms].into_iter().flatten().min();
        let lifetime_ms = self.lifetime(now, granted.expires_in_ms, claimed_ms)?;
        self.check_scopes(&grants)?;
        self.serial += 1;
        Ok(Token {
            access_token: granted.access_token,
            token_type: granted.token_type,
            lifetime_ms,
            // One that is set beside a provider had no part in this.
            refresh_token: self.credentials.refresh_token.clone().filter(|_| self.settings.grant != Grant::Application),
            scope: granted.scope.unwrap_or_default(),
            granted_at_wall_ms: self.requested.wall_ms,
            serial: self.serial,
            schedule: Schedule::new(self.requested.boot_ms, lifetime_ms, self.settings.lead_ms, &mut self.dice),
            scopes: grants.scopes,
            trust,
        })
    }

    /// `min(expires_in, exp − iat)`, else `exp − iat`, else 300 s, and no more than the idle timeout; refused below 1 s or when `t_usable` is past.
    fn lifetime(&self, now: Now, expires_in_ms: Option<i64>, claimed_ms: Option<u64>) -> Result<u64, Error> {
        let answered = expires_in_ms.map(|ms| u64::try_from(ms).unwrap_or(0));
        let lifetime = match (answered, claimed_ms) {
            (Some(answered), Some(claimed)) => answered.min(claimed),
            (Some(known), None) | (None, Some(known)) => known,
            (None, None) => LIFETIME_DEFAULT_MS,
        };
        let most = match self.settings.idle_timeout_ms {
            // Nobody may use it for so long: it is renewed as if it ended then.
            Some(idle_ms) if !active(Mutant::IdleTimeoutIgnored) => idle_ms.max(LIFETIME_MIN_MS),
            _ => LIFETIME_MAX_MS,
        };
        let lifetime = lifetime.min(most).min(LIFETIME_MAX_MS);
        let usable_for = lifetime - (lifetime / 10).min(10_000);
        let age = now.boot_ms.saturating_sub(self.requested.boot_ms);
        let short = lifetime < LIFETIME_MIN_MS && !active(Mutant::ShortLifeTaken);
        if short || usable_for <= age {
            let text = format!("It lives {lifetime} ms and was {age} ms old on arrival.");
            return Err(Error::new(Code::TokenLifetime, Stage::Token, text));
        }
        Ok(lifetime)
    }

    pub(super) fn ask_to_persist(&mut self, refresh_token: Secret) {
        self.asks += 1;
        self.out.push_back(Output::Ask { id: self.asks, question: Question::PersistRefreshToken(refresh_token) });
    }

    /// A rotated refresh token is given to the application before the access token is used. The wait is cut to
    /// a quarter of the token's life and half of what is left of it, so that a short token is not spent waiting.
    fn persist(&mut self, now: Now, token: Token, refresh_token: Secret) {
        self.ask_to_persist(refresh_token);
        let most = self.settings.persist_timeout_ms.min(token.lifetime_ms / 4).min(token.remaining_ms(now.boot_ms) / 2);
        let until = now.boot_ms + if active(Mutant::PersistForEver) { u64::MAX / 2 } else { most };
        self.set_phase(Phase::Persisting { id: self.asks, token }, Some(until));
    }

    pub(super) fn persisted(&mut self, now: Now, outcome: Result<(), Error>) {
        self.record_kept("application", outcome);
        if let Phase::Persisting { token, .. } = std::mem::replace(&mut self.phase, Phase::Holding) {
            self.publish(now, token);
        }
    }

    fn publish(&mut self, now: Now, token: Token) {
        (self.failures, self.throttles, self.round_attempts, self.unauthorized) = (0, 0, 0, 0);
        let token = Arc::new(token);
        self.token = Some(Arc::clone(&token));
        self.set_phase(Phase::Holding, Some(token.schedule.refresh_ms.max(now.boot_ms)));
        self.record_issue(&token);
        self.out.push_back(Output::Publish(Arc::clone(&token)));
        if active(Mutant::WishForgotten) {
            return;
        }
        for wish in std::mem::take(&mut self.wanted) {
            let outcome = serve(&token, now, wish.min_left_ms);
            self.out.push_back(Output::Answer { id: wish.id, outcome });
        }
    }
}
