//! Delays: retries of the token request, its circuit breaker, and reconnects.

use super::dice::Dice;
use super::mutant::{active, Mutant};

const SHIFT_MAX: u32 = 16;
const RETRY_MAX_MS: u64 = 30_000;
const THROTTLE_MAX_MS: u64 = 300_000;
const BREAKER_AFTER: u32 = 5;
const RECONNECT_BASE_MS: u64 = 500;
const RECONNECT_MAX_MS: u64 = 30_000;
const DRAIN_SPREAD_MS: u64 = 5_000;

/// What a retry of the token request depends on.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Failures in a row so far, this one included.
    pub failures: u32,
    /// Lifetime of the token that is held, and what is left of it until `t_usable`.
    pub held: Option<Held>,
    /// Whether the server throttled (429, or Genesys's 400).
    pub throttled: bool,
    /// `Retry-After`: a lower bound.
    pub retry_after_ms: Option<u64>,
}

/// A token that can still be used while the next one is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Its lifetime L.
    pub lifetime_ms: u64,
    /// `t_usable − now`.
    pub remaining_ms: u64,
}

/// How long to wait after a failed token request.
///
/// `retry = min(30 s, b + U(0, b·2^n), max(b, remaining/4))` while a token is held, without the last term
/// else; `b = min(1 s, L/20)`, else 1 s. A throttle may wait up to 300 s. From the fifth failure on the
/// breaker waits U(30 s, 60 s), at most `remaining/4` while a token is held.
pub fn retry_ms(retry: Retry, dice: &mut Dice) -> u64 {
    let base = retry.held.map_or(1_000, |held| (held.lifetime_ms / 20).clamp(1, 1_000));
    let bound = retry.held.map(|held| (held.remaining_ms / 4).max(base)).filter(|_| !active(Mutant::RetryUnbounded));
    let max = if retry.throttled && !active(Mutant::ThrottleIsPlain) { THROTTLE_MAX_MS } else { RETRY_MAX_MS };
    let exponent = retry.failures.saturating_sub(1).min(SHIFT_MAX);
    let mut delay = (base + dice.up_to(base << exponent)).min(max);
    if retry.failures >= BREAKER_AFTER && !active(Mutant::NoBreaker) {
        delay = delay.max(30_000 + dice.up_to(30_000));
    }
    if let Some(bound) = bound {
        delay = delay.min(bound);
    }
    delay.max(retry.retry_after_ms.filter(|_| !active(Mutant::RetryAfterIgnored)).unwrap_or(0))
}

/// The sticky full-jitter delay of reconnects: it grows with every loss and shrinks with stability, never by
/// merely connecting (a server that accepts and drops would otherwise be hammered).
#[derive(Clone, Debug, Default)]
pub struct Reconnect {
    exponent: u32,
    last_ms: u64,
}

impl Reconnect {
    /// `min(30 s, 0.5 s + U(0, min(30 s, 0.5 s·2^n)))`; the next one is drawn from a range twice as wide.
    pub fn next_ms(&mut self, dice: &mut Dice) -> u64 {
        let range = (RECONNECT_BASE_MS << self.exponent).min(RECONNECT_MAX_MS);
        self.last_ms = (RECONNECT_BASE_MS + dice.up_to(range)).min(RECONNECT_MAX_MS);
        self.exponent = (self.exponent + 1).min(SHIFT_MAX);
        self.last_ms
    }

    /// How long a connection must be stable before [`Self::calm`]: five times the delay; `None` when calm already.
    pub fn calm_after_ms(&self) -> Option<u64> {
        (self.exponent > 0).then(|| self.last_ms.max(RECONNECT_BASE_MS) * 5)
    }

    /// Stability was seen: halves the exponent and the delay it is measured by.
    pub fn calm(&mut self) {
        if active(Mutant::NeverCalm) {
            return;
        }
        self.exponent /= 2;
        self.last_ms /= 2;
    }
}

/// `U(0, 5 s)`: spreads the clients of a server that goes away on purpose.
pub fn drain_ms(dice: &mut Dice) -> u64 {
    dice.up_to(DRAIN_SPREAD_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cold(failures: u32) -> Retry {
        Retry { failures, held: None, throttled: false, retry_after_ms: None }
    }

    #[test]
    fn cold_retries_grow_to_thirty_seconds() {
        for seed in 0..200 {
            let mut dice = Dice::new(seed);
            let first = retry_ms(cold(1), &mut dice);
            assert!((1_000..=2_000).contains(&first), "{first}");
            let fourth = retry_ms(cold(4), &mut dice);
            assert!((1_000..=9_000).contains(&fourth), "{fourth}");
        }
    }

    #[test]
    fn the_breaker_opens_at_five() {
        for seed in 0..200 {
            let delay = retry_ms(cold(5), &mut Dice::new(seed));
            assert!((30_000..=60_000).contains(&delay), "{delay}");
        }
    }

    #[test]
    fn a_held_token_bounds_every_delay_by_a_quarter_of_what_is_left() {
        let held = Some(Held { lifetime_ms: 3_600_000, remaining_ms: 8_000 });
        for failures in 1..40 {
            for throttled in [false, true] {
                let delay = retry_ms(Retry { held, throttled, ..cold(failures) }, &mut Dice::new(u64::from(failures)));
                assert!((1_000..=2_000).contains(&delay), "{delay}");
            }
        }
    }

    #[test]
    fn retry_after_is_a_lower_bound_and_throttles_wait_longer() {
        let mut most = 0;
        for seed in 0..500 {
            let mut dice = Dice::new(seed);
            let asked = retry_ms(Retry { retry_after_ms: Some(90_000), ..cold(1) }, &mut dice);
            assert!(asked >= 90_000);
            most = most.max(retry_ms(Retry { throttled: true, ..cold(20) }, &mut dice));
        }
        assert!(most > 200_000 && most <= 300_000, "{most}");
    }

    #[test]
    fn reconnects_widen_with_losses_and_calm_with_stability() {
        let mut dice = Dice::new(3);
        let mut reconnect = Reconnect::default();
        assert_eq!(reconnect.calm_after_ms(), None);
        for n in 0..40 {
            let delay = reconnect.next_ms(&mut dice);
            assert!(delay >= 500 && delay <= 500 + (500u64 << n.min(16)).min(30_000), "{n} {delay}");
            assert!(delay <= 30_000);
        }
        let mut halvings = 0;
        while reconnect.calm_after_ms().is_some() {
            reconnect.calm();
            halvings += 1;
        }
        assert_eq!(halvings, 5);
    }
}
