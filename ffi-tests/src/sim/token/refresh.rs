//! Refresh tokens: which are good, how they follow each other, and what a second use of a spent one means.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Ledger, FOREVER};
use crate::sim::policy::{ClientAuth, Rotation};

/// All refresh tokens of a simulator.
pub(crate) struct RefreshTokens {
    all: HashMap<String, RefreshToken>,
    next_family: u64,
    /// Families that were revoked because a spent token was used again.
    pub(crate) revoked: u64,
}

struct RefreshToken {
    /// `None`: not by itself.
    ends: Option<Instant>,
    /// Those that came from one login.
    family: u64,
    /// The one this was given for.
    parent: Option<String>,
}

impl RefreshTokens {
    pub(crate) fn new(first: &str) -> Self {
        let mut tokens = Self { all: HashMap::new(), next_family: 0, revoked: 0 };
        tokens.add(first);
        tokens
    }

    /// A token of a family of its own.
    pub(crate) fn add(&mut self, token: &str) {
        self.next_family += 1;
        let fresh = RefreshToken { ends: None, family: self.next_family, parent: None };
        self.all.insert(token.to_owned(), fresh);
    }

    pub(crate) fn forget(&mut self, token: &str) {
        self.all.remove(token);
    }

    /// Whether a token may be used now. In a rotating family a spent one takes the whole family with it.
    pub(super) fn check(&mut self, token: &str, rotation: Rotation) -> bool {
        let Some(known) = self.all.get(token) else { return false };
        if known.ends.is_none_or(|ends| Instant::now() < ends) {
            return true;
        }
        if matches!(rotation, Rotation::Family { .. }) {
            let family = known.family;
            self.all.retain(|_, token| token.family != family);
            self.revoked += 1;
        }
        false
    }

    /// `fresh` follows `used`, in the same family; whatever `used` was given for is spent now.
    fn follow(&mut self, used: &str, fresh: &str, grace: Duration) {
        let Some(known) = self.all.get(used) else { return self.add(fresh) };
        let (family, parent) = (known.family, known.parent.clone());
        self.revoke_after(used, grace);
        let spent = parent.and_then(|parent| self.all.get_mut(&parent));
        spent.into_iter().for_each(|parent| parent.ends = Some(Instant::now()));
        self.all.insert(fresh.to_owned(), RefreshToken { ends: None, family, parent: Some(used.to_owned()) });
    }

    /// A grace already running is not made longer by using the token again.
    fn revoke_after(&mut self, used: &str, grace: Duration) {
        if let Some(RefreshToken { ends: ends @ None, .. }) = self.all.get_mut(used) {
            *ends = Some(Instant::now() + grace.min(FOREVER));
        }
    }
}

impl Ledger {
    /// The refresh token of the answer: only an authorization code and a refresh token bring one, and only to a client
    /// that can keep a secret; the one used, or `fresh`.
    pub(super) fn next_refresh(&mut self, grant: &str, used: Option<&str>, fresh: String) -> Option<String> {
        let public = self.policy.client_auth == ClientAuth::Public;
        match (grant, used, self.policy.rotation) {
            ("authorization_code" | "refresh_token", ..) if public => return None,
            ("authorization_code" | "refresh_token", ..) => {}
            _ => return None,
        }
        match (used, self.policy.rotation) {
            (Some(used), Rotation::Off) => return Some(used.to_owned()),
            (Some(used), Rotation::Family { grace }) => self.refresh.follow(used, &fresh, grace),
            (Some(used), Rotation::RevokeOld { grace }) => {
                self.refresh.add(&fresh);
                self.refresh.revoke_after(used, grace);
            }
            (Some(_), Rotation::KeepOld) | (None, _) => self.refresh.add(&fresh),
        }
        Some(fresh)
    }
}
