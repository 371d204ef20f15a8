//! An access token and the times that follow from its lifetime.

use super::dice::Dice;
use super::mutant::{active, Mutant};
use crate::audit::Trust;
use crate::secret::Secret;

/// Longest lifetime that is believed: 450 days, the longest Genesys Cloud grants (SCIM clients).
pub const LIFETIME_MAX_MS: u64 = 450 * 24 * 3_600_000;
/// Shortest lifetime that is accepted.
pub const LIFETIME_MIN_MS: u64 = 1_000;
/// Lifetime of a token that names none.
pub const LIFETIME_DEFAULT_MS: u64 = 300_000;

/// When to do what with a token, in boot milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// Renewal starts: `L − lead − U(0, min(0.05·L, lead/2))`.
    pub refresh_ms: u64,
    /// New work waits for a request in flight from here on: `max(t_refresh, L − min(60 s, L/4))`.
    pub mandatory_ms: u64,
    /// The token is never presented after this: `L − min(10 s, L/10)`.
    pub usable_ms: u64,
    /// The token ends.
    pub expires_ms: u64,
}

impl Schedule {
    /// The times of a token of `lifetime_ms` whose request started at `start_ms`; `lead_ms` is the fixed lead if one is set.
    pub fn new(start_ms: u64, lifetime_ms: u64, lead_ms: Option<u64>, dice: &mut Dice) -> Self {
        let lead = if active(Mutant::NoLead) { lifetime_ms / 9 } else { lead_of(lifetime_ms, lead_ms) };
        let jitter = dice.up_to((lifetime_ms / 20).min(lead / 2));
        let refresh = lifetime_ms - lead - jitter.min(lifetime_ms - lead);
        let mandatory = refresh.max(lifetime_ms - (lifetime_ms / 4).min(60_000));
        let usable = lifetime_ms - (lifetime_ms / 10).min(10_000);
        Self {
            refresh_ms: start_ms + refresh,
            mandatory_ms: start_ms + mandatory,
            usable_ms: start_ms + usable,
            expires_ms: start_ms + lifetime_ms,
        }
    }
}

/// `min(max(0.20·L, min(300 s, L/2)), 3600 s)`, or the fixed lead clamped to `[L/10 + 1 s, L/2]`.
fn lead_of(lifetime_ms: u64, fixed_ms: Option<u64>) -> u64 {
    match fixed_ms {
        Some(fixed) => fixed.max(lifetime_ms / 10 + 1_000).min(lifetime_ms / 2),
        None => (lifetime_ms / 5).max((lifetime_ms / 2).min(300_000)).min(3_600_000),
    }
}

/// An access token as granted (RFC 6749 5.1).
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself.
    pub access_token: Secret,
    /// As sent by the server, e.g. `bearer`.
    pub token_type: String,
    /// Lifetime in milliseconds, counted from the start of the request.
    pub lifetime_ms: u64,
    /// Refresh token in force with this token: from the answer, else the one it was got with.
    pub refresh_token: Option<Secret>,
    /// `scope` of the answer, or empty.
    pub scope: String,
    /// Start of the request that brought it, milliseconds since 1970.
    pub granted_at_wall_ms: u64,
    /// Counts the tokens of this client, from 1.
    pub serial: u64,
    /// When to do what.
    pub schedule: Schedule,
    /// Granted scopes in the token's order; `None` when they cannot be known.
    pub scopes: Option<Vec<String>>,
    /// What makes it believable.
    pub trust: Trust,
}

impl Token {
    /// What is left until `t_usable`, in milliseconds; 0 from then on.
    pub fn remaining_ms(&self, boot_ms: u64) -> u64 {
        self.schedule.usable_ms.saturating_sub(boot_ms)
    }

    /// Whether the token may still be presented.
    pub fn is_usable(&self, boot_ms: u64) -> bool {
        self.remaining_ms(boot_ms) > 0
    }

    /// The shortest time between two refreshes that something forces (a 401, `refresh_now`): `min(20 s, L/4)`, unless the
    /// 20 s are set to something else.
    pub fn forced_floor_ms(&self, longest_ms: u64) -> u64 {
        (self.lifetime_ms / 4).min(longest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(lifetime_ms: u64, seed: u64) -> Schedule {
        Schedule::new(0, lifetime_ms, None, &mut Dice::new(seed))
    }

    #[test]
    fn the_table_of_leads() {
        for (lifetime, lead) in [
            (1_000, 500),
            (8_000, 4_000),
            (120_000, 60_000),
            (600_000, 300_000),
            (3_600_000, 720_000),
            (86_400_000, 3_600_000),
        ] {
            assert_eq!(lead_of(lifetime, None), lead, "L = {lifetime}");
        }
        assert_eq!(lead_of(3_600_000, Some(120_000)), 361_000);
        assert_eq!(lead_of(3_600_000, Some(u64::MAX)), 1_800_000);
        assert_eq!(lead_of(1_000, Some(1)), 500);
    }

    #[test]
    fn times_are_ordered_for_every_lifetime() {
        let mut lifetime = LIFETIME_MIN_MS;
        while lifetime <= LIFETIME_MAX_MS {
            for seed in 0..20 {
                let s = schedule(lifetime, seed);
                assert!(s.refresh_ms > 0, "a hot loop at L = {lifetime}");
                assert!(s.refresh_ms <= s.mandatory_ms, "{lifetime} {s:?}");
                assert!(s.refresh_ms < s.usable_ms && s.usable_ms < s.expires_ms, "{lifetime} {s:?}");
                assert!(s.mandatory_ms <= s.usable_ms, "{lifetime} {s:?}");
                if lifetime >= 240_000 {
                    assert!(s.refresh_ms <= lifetime - 120_000, "later than the tutorial: {lifetime}");
                }
            }
            lifetime += lifetime / 7 + 1;
        }
    }
}
