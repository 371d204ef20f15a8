//! Tokens that lack a required scope.

use super::{Step, TokenLaws};
use crate::config::settings::{Profile, UnknownScopes};
use crate::proto::oauth;
use crate::proto::time::Now;

impl TokenLaws {
    /// The tokens of this world are opaque: the answer says what they grant.
    pub(super) fn lacks(&self, granted: &oauth::Granted, age_ms: u64) -> bool {
        // Its life is looked at first.
        let life_ms =
            granted.expires_in_ms.map_or(0, |ms| ms as u64).min(self.settings.idle_timeout_ms.unwrap_or(u64::MAX));
        if life_ms < 1_000 || life_ms - (life_ms / 10).min(10_000) <= age_ms {
            return false;
        }
        // Scopes of client credentials do not apply in Genesys Cloud.
        let by_roles = self.flight.as_ref().is_some_and(|flight| flight.refresh.is_none() && !flight.by_code);
        let is_unknown = granted.scope.is_none() || by_roles && self.settings.profile == Profile::Notifications;
        if is_unknown && self.settings.unknown_scopes == UnknownScopes::Allow {
            return false;
        }
        let names = granted.scope.as_deref().unwrap_or_default();
        let opaque = granted.access_token.expose().starts_with("hush-");
        let has = |name: &String| names.split(' ').any(|granted| granted == name);
        opaque && !self.settings.required_scopes.iter().all(has)
    }

    /// The old token outlives the denial: the round is not over, and nothing is blocked.
    pub(super) fn step_is_lost(&self, step: &Step) -> bool {
        assert!(!(step.is_lost && step.blocked), "a lost scope ends all attempts while a token is held");
        step.is_lost && step.failed
    }

    /// After a denial that the old token outlives: the server is well, and a person has to act. A quarter of what is left, as long
    /// as there is something left.
    pub(super) fn denied_ms(&self, now: Now) -> Option<u64> {
        let token = self.held(now).filter(|_| self.step.is_lost)?;
        let left = token.schedule.usable_ms - now.boot_ms;
        Some((left / 4).max((token.lifetime_ms / 20).clamp(1, 1_000)))
    }
}
