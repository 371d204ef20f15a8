//! Times and delays.

use super::TokenLaws;
use crate::proto::dice::Dice;
use crate::proto::time::Now;
use crate::proto::token::Token;

impl TokenLaws {
    pub(super) fn delay_ms(&self, now: Now, asked: u64) -> u64 {
        let mut dice = Dice::new(self.step.random);
        let held = self.held(now).map(|token| (token.lifetime_ms, token.schedule.usable_ms - now.boot_ms));
        let b = held.map_or(1_000, |(life, _)| (life / 20).clamp(1, 1_000));
        let plain = (b + dice.up_to(b << (self.failures - 1).min(16))).min(30_000);
        let slow = match (self.failures, self.throttles) {
            (0..=4, _) => 0,
            (_, 0) => 30_000 + dice.up_to(30_000),
            (5, _) | (_, 1) => {
                let whole = 300_000 + dice.up_to(200_000);
                30_000 + dice.up_to(whole - 30_000)
            }
            _ => 300_000 + dice.up_to(200_000),
        };
        let spread = asked + dice.up_to(asked.min(300_000));
        let delay = plain.max(slow).max(spread);
        held.map_or(delay, |(_, left)| delay.min(b.max(left / 4))).max(asked)
    }
}

/// The lead, told a second time: a fifth of the life, at least 5 min or half of it, at most an hour; or as set, between a
/// tenth of the life and a second, and half of it.
pub(super) fn renews_in_time(token: &Token, set_ms: Option<u64>) {
    let life = token.lifetime_ms;
    let own = (life / 5).max((life / 2).min(300_000)).min(3_600_000);
    let lead = set_ms.map_or(own, |set| set.max(life / 10 + 1_000).min(life / 2));
    let renewal = token.schedule.refresh_ms + life - token.schedule.expires_ms;
    assert!(renewal <= life - lead, "a token of {life} ms is renewed after {renewal} ms");
    assert!(renewal * 20 >= (life - lead) * 20 - life, "a token of {life} ms is renewed after {renewal} ms already");
}
