//! What the three clocks say: tokens that end, suspends, steps of the wall clock.

use super::{Output, Session, Trouble};
use crate::audit::Record;
use crate::event::{ClockStep, Notice, Resumed};
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// The boot clock ran ahead of the awake clock by more than this: the machine was suspended.
const SUSPEND_MS: u64 = 2_000;

/// The wall clock moved against the boot clock by more than this: it was set.
const STEP_MS: u64 = 2_000;

impl Session {
    /// Tokens end whatever else happens; after a suspend the token is looked at first, the socket probed second.
    pub(super) fn look_at_clocks(&mut self, now: Now) {
        let over = |token: &Token| !token.is_usable(now.boot_ms) && !active(Mutant::ExpiredPresented);
        let ended = self.token.take_if(|token| over(token)).is_some();
        if self.closing {
            return;
        }
        if let (true, None, Some(Trouble::Blocked(error))) = (ended, &self.primary, &self.trouble) {
            let error = error.clone();
            self.fail_if_once(error);
        }
        self.drop_expired(now);
        self.look_at_wall(now);
        let Some(slept_ms) = self.newly_slept_ms(now) else { return };
        self.slept_ms += slept_ms;
        if self.started {
            self.notice(Notice::Resumed(Resumed { slept_ms }));
            self.record_clock(Record::Resumed { slept_ms });
        }
        for link in self.primary.iter_mut().chain(&mut self.standby) {
            link.woke(now.boot_ms, slept_ms);
            if link.is_live() {
                link.pinged_ms = Some(now.boot_ms);
                self.out.push_back(Output::Ping { epoch: link.epoch });
            }
        }
    }

    /// The wall clock times nothing here; the application hears of a step, because its own timestamps jump.
    fn look_at_wall(&mut self, now: Now) {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let offset = signed(now.wall_ms).saturating_sub(signed(now.boot_ms));
        let before = self.wall_minus_boot_ms.replace(offset).unwrap_or(offset);
        let by_ms = offset.saturating_sub(before);
        if by_ms.unsigned_abs() > STEP_MS && self.started && !active(Mutant::StepUntold) {
            self.notice(Notice::ClockStep(ClockStep { by_ms }));
            self.record_clock(Record::ClockStepped { by_ms });
        }
    }

    /// How long the machine slept since this was last looked at, if it did.
    pub(super) fn newly_slept_ms(&self, now: Now) -> Option<u64> {
        let slept_ms = now.boot_ms.saturating_sub(now.awake_ms).saturating_sub(self.slept_ms);
        (slept_ms > SUSPEND_MS && !active(Mutant::SuspendIgnored)).then_some(slept_ms)
    }
}
