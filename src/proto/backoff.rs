//! Delays: retries of the token request, its circuit breaker, and reconnects.

use super::dice::Dice;
use super::mutant::{active, Mutant};

const SHIFT_MAX: u32 = 16;
const RETRY_MAX_MS: u64 = 30_000;
const BREAKER_AFTER: u32 = 5;
const BREAKER_MS: u64 = 30_000;
/// Least wait of a breaker that a throttle opened, and how much longer it may be.
const THROTTLED_MS: (u64, u64) = (300_000, 200_000);
/// Longest time by which those who were told the same `Retry-After` are spread.
const RETRY_AFTER_SPREAD_MS: u64 = 300_000;
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
    /// Throttles (429, or Genesys's 400) in a row so far, this one included; 0 if this failure was none.
    pub throttles: u32,
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
/// else; `b = min(1 s, L/20)`, else 1 s. From the fifth failure on the breaker waits U(30 s, 60 s), or longer if the
/// failure was a throttle (`throttled_ms`), at most `remaining/4` while a token is held. `Retry-After` is a lower
/// bound, and what comes after it is spread over as long again (300 s at most): all who were refused in one window
/// are told the same end of it, and would come back as one.
pub fn retry_ms(retry: Retry, dice: &mut Dice) -> u64 {
    let base = retry.held.map_or(1_000, |held| (held.lifetime_ms / 20).clamp(1, 1_000));
    let bound = retry.held.map(|held| (held.remaining_ms / 4).max(base)).filter(|_| !active(Mutant::RetryUnbounded));
    let exponent = retry.failures.saturating_sub(1).min(SHIFT_MAX);
    let mut delay = (base + dice.up_to(base << exponent)).min(RETRY_MAX_MS);
    if retry.failures >= BREAKER_AFTER && !active(Mutant::NoBreaker) {
        delay = delay.max(breaker_ms(retry, dice));
    }
    let asked = retry.retry_after_ms.filter(|_| !active(Mutant::RetryAfterIgnored)).unwrap_or(0);
    if !active(Mutant::RetryAfterInStep) {
        delay = delay.max(asked_ms(asked, dice));
    }
    if let Some(bound) = bound {
        delay = delay.min(bound);
    }
    delay.max(asked)
}

/// How long to wait after a token that lacks a required scope, while the one before can still be used:
/// `max(b, remaining/4)`.
pub fn denied_ms(held: Held) -> u64 {
    (held.remaining_ms / 4).max((held.lifetime_ms / 20).clamp(1, 1_000))
}

/// When those who were told this `Retry-After` come: spread over as long again, 300 s at most.
pub fn asked_ms(retry_after_ms: u64, dice: &mut Dice) -> u64 {
    retry_after_ms.saturating_add(dice.up_to(retry_after_ms.min(RETRY_AFTER_SPREAD_MS)))
}

fn breaker_ms(retry: Retry, dice: &mut Dice) -> u64 {
    if retry.throttles == 0 || active(Mutant::ThrottleIsPlain) {
        return BREAKER_MS + dice.up_to(BREAKER_MS);
    }
    throttled_ms(retry.throttles == 1 || retry.failures == BREAKER_AFTER, dice)
}

/// `w = U(300 s, 500 s)`; the first time a random part of such a wait, `U(30 s, w)`.
///
/// One credential has one rate limit, however many clients are behind it, and none of them knows of the others. The
/// numbers are for N = 10,000 clients that lose everything at once and a limit of 300 requests a minute, g = 5/s:
///
/// * Clients that wait w on average ask N/w times a second. 10·g = 50/s in *any* second is to hold for half an hour of
///   seconds. The sum of independent clients is nearly Poisson, which strays to its mean plus 4.5 times the root of it:
///   `N/w + 4.5·√(N/w) ≤ 50` allows N/w = 26, so w of 400 s does (25/s) and 300 s does not (33/s, 59 at times).
/// * The breaker opens 12 s after the loss for all of them. If all waited w then, they would come back as one, in 200 s
///   instead of 400 s. A random part of a wait is what a stranger sees who looks in at any time: with it the fleet is
///   evenly spread from the start, N/400 s is its density at once, and the whole waits that follow keep it so.
/// * The waits differ by 200 s, and the spread is not cut off at the top: `min(300 s, …)` gave most clients 300 s
///   exactly, five windows of 60 s, so that whoever came late in a window came late in every one of them.
/// * All is granted that can be while more than g·w = 2,000 clients wait; those left then ask once each within w, which
///   is 400 s for the 2,000 grants that take 400 s anyway. A few meet a full window once more: measured, the last one
///   is live after 1.06 to 1.17 times the optimum N/g = 2,000 s. A w that doubled would be felt here.
/// * Five requests in the first 12 s and one every 400 s for 1,000 s on average make 6.7 wasted requests a grant.
///
/// The price: who is alone with a limit waits 215 s on average after the fifth throttle, for a window that ends sooner.
fn throttled_ms(is_first: bool, dice: &mut Dice) -> u64 {
    let (least, spread) = THROTTLED_MS;
    let whole = least + if active(Mutant::ThrottledInStep) { 0 } else { dice.up_to(spread) };
    if is_first && !active(Mutant::FirstThrottleWhole) {
        return BREAKER_MS + dice.up_to(whole - BREAKER_MS);
    }
    whole
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
        Retry { failures, held: None, throttles: 0, retry_after_ms: None }
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
            for throttles in [0, 1, failures] {
                let delay = retry_ms(Retry { held, throttles, ..cold(failures) }, &mut Dice::new(u64::from(failures)));
                assert!((1_000..=2_000).contains(&delay), "{delay}");
            }
        }
    }

    #[test]
    fn retry_after_is_a_lower_bound_and_those_who_are_told_the_same_differ() {
        let asked = |seconds: u64, seed| {
            let retry = Retry { retry_after_ms: Some(seconds * 1_000), ..cold(1) };
            retry_ms(retry, &mut Dice::new(seed)) / 1_000
        };
        let delays: Vec<u64> = (0..500).map(|seed| asked(90, seed)).collect();
        assert!(delays.iter().all(|delay| (90..=180).contains(delay)));
        assert!(delays.iter().min() < Some(&95) && delays.iter().max() > Some(&175), "spread over as long again");
        assert!((0..500).all(|seed| (3_600..=3_900).contains(&asked(3_600, seed))), "yet not by more than 300 s");
        // A token that is running out does not wait for the others.
        let held = Some(Held { lifetime_ms: 3_600_000, remaining_ms: 400_000 });
        for seed in 0..500 {
            let delay = retry_ms(Retry { held, retry_after_ms: Some(90_000), ..cold(1) }, &mut Dice::new(seed));
            assert!((90_000..=100_000).contains(&delay), "{delay}");
        }
    }

    #[test]
    fn a_throttle_opens_the_breaker_for_longer_and_no_two_clients_wait_alike() {
        let delays = |failures, throttles| -> Vec<u64> {
            let delay = |seed| retry_ms(Retry { throttles, ..cold(failures) }, &mut Dice::new(seed));
            (0..1_000).map(delay).collect()
        };
        assert!(delays(4, 4).iter().all(|delay| *delay <= 9_000), "not before the fifth");
        for (failures, throttles) in [(5, 5), (5, 2), (20, 1)] {
            let first = delays(failures, throttles);
            assert!(first.iter().all(|delay| (30_000..=500_000).contains(delay)));
            assert!(first.iter().filter(|delay| **delay < 215_000).count() > 400, "a part of a wait");
        }
        let mut later = delays(40, 40);
        assert!(later.iter().all(|delay| (300_000..=500_000).contains(delay)));
        later.sort_unstable();
        later.dedup();
        assert!(later.len() > 980, "a bound that cuts off makes clients alike");
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
