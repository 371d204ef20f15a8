//! When to dial: a delay, a usable token, and what else is under way.

use super::{Link, Output, Session};
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// New work waits this long for a token request in flight once the old token is near its end.
const MANDATORY_WAIT_MS: u64 = 5_000;

impl Session {
    /// A dial waits for its delay, for a usable token, and near the token's end for a request in flight.
    pub(super) fn dial_if_due(&mut self, now: Now) {
        let one = self.standby.is_none() || active(Mutant::SecondStandby);
        let wanted = self.started && !self.is_over() && one && !self.is_reading_out();
        let live = self.primary.as_ref().is_some_and(Link::is_live);
        let due = self.dial_ms.is_some_and(|at| at <= now.boot_ms);
        if !wanted || !due || (self.primary.is_some() && !live) {
            return;
        }
        let Some(token) = self.token.clone().filter(|token| token.is_usable(now.boot_ms)) else { return };
        if self.holds(now, &token) {
            return;
        }
        (self.hold_ms, self.dial_ms, self.draining) = (None, None, false);
        self.epoch += 1;
        let link = Link::new(self.epoch, token, now.boot_ms);
        self.out.push_back(Output::Dial { epoch: self.epoch, hold: live && !active(Mutant::NotHeldBack) });
        if live {
            self.standby = Some(link);
        } else {
            self.attempt_ms.get_or_insert(now.boot_ms);
            self.why = ("dialling", None);
            self.primary = Some(link);
        }
    }

    /// Whether a dial with this token waits for the request in flight: at most 5 s.
    pub(super) fn holds(&mut self, now: Now, token: &Token) -> bool {
        let in_flight = self.fetching || self.verifying;
        let early = now.boot_ms < token.schedule.mandatory_ms || active(Mutant::NeverHolds);
        if !in_flight || early {
            self.hold_ms = None;
            return false;
        }
        let since = *self.hold_ms.get_or_insert(now.boot_ms);
        now.boot_ms < since + MANDATORY_WAIT_MS || active(Mutant::HoldsForEver)
    }

    /// A hand-over is under way: the next one, or a new socket, waits until the old socket is read out.
    pub(super) fn is_reading_out(&self) -> bool {
        self.leaving.iter().any(|left| left.successor.is_some()) && !active(Mutant::HandoversOverlap)
    }

    /// When a dial that is waited for can happen.
    pub(super) fn dial_wake_ms(&self) -> Option<u64> {
        let busy = self.standby.is_some() || self.primary.as_ref().is_some_and(|link| !link.is_live());
        // Without a usable token there is nothing to wake for: a token will come as an input.
        let idle = busy || self.is_reading_out() || self.is_over() || !self.started;
        let (false, Some(token)) = (idle, &self.token) else { return None };
        let at = self.dial_ms?;
        let held = self.hold_ms.map_or(0, |since| since + MANDATORY_WAIT_MS);
        let at = at.max(held);
        (at < token.schedule.usable_ms).then_some(at)
    }
}
