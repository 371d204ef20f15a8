//! One socket as the session sees it.

use std::sync::Arc;

use crate::config::settings::Settings;
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// After a stall or a suspend, what had piled up is read within this time.
const LATE_MS: u64 = 10_000;

/// How far a socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// On its way to be connected.
    Dialing,
    /// Connected; the upgrade is held back until the token is here.
    Connected,
    /// The upgrade is on its way.
    Upgrading,
    /// Upgraded; the auth frame waits for the token.
    Waiting,
    Authenticating,
    Live,
}

/// A socket in use, or on its way to be.
#[derive(Debug)]
pub(super) struct Link {
    pub epoch: u64,
    pub stage: Stage,
    /// The token it was authenticated with, is being authenticated with, or was dialled for.
    pub token: Option<Arc<Token>>,
    /// A newer token whose reply is awaited on the live socket.
    pub offered: Option<Arc<Token>>,
    /// When the auth frame that awaits its reply was sent.
    pub sent_ms: Option<u64>,
    pub dialled_ms: u64,
    /// Since when a connected or upgraded socket waits for a token.
    pub waits_since_ms: Option<u64>,
    pub heard_ms: u64,
    /// Everything the peer wrote until then was read.
    pub heard_wall_ms: u64,
    /// What is read until then may have arrived long before: reading was held up.
    late_until_ms: u64,
    pub pinged_ms: Option<u64>,
    /// Since when the socket is not read, because the application's queue is full.
    pub stalled_ms: Option<u64>,
    pub live_ms: u64,
}

impl Link {
    /// One that is being dialled, with its token or ahead of it.
    pub fn new(epoch: u64, token: Option<Arc<Token>>, dialled_ms: u64) -> Self {
        Self {
            epoch,
            stage: Stage::Dialing,
            token,
            offered: None,
            sent_ms: None,
            dialled_ms,
            waits_since_ms: None,
            heard_ms: 0,
            heard_wall_ms: 0,
            late_until_ms: 0,
            pinged_ms: None,
            stalled_ms: None,
            live_ms: 0,
        }
    }

    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Whether the next text of type `auth` is the reply to ours.
    pub fn awaits_reply(&self) -> bool {
        self.sent_ms.is_some()
    }

    pub fn serial(&self) -> u64 {
        self.token.as_ref().map_or(0, |token| token.serial)
    }

    /// Whether the server may have seen anything of a WebSocket yet: then it is closed with a close frame.
    pub fn is_upgraded(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Authenticating | Stage::Live)
    }

    /// When it has waited long enough for a token: half the time the server gives it to authenticate, or as long as
    /// an upgrade may take.
    pub fn patience_ms(&self, settings: &Settings) -> Option<u64> {
        let patience = match self.stage {
            Stage::Connected => settings.upgrade_timeout_ms,
            Stage::Waiting => settings.auth_timeout_ms / 2,
            Stage::Dialing | Stage::Upgrading | Stage::Authenticating | Stage::Live => return None,
        };
        Some(self.waits_since_ms? + patience).filter(|_| !active(Mutant::WaitsForEver))
    }

    /// When the reply is overdue. Time during which the socket is not read does not count.
    pub fn auth_deadline_ms(&self, settings: &Settings) -> Option<u64> {
        self.counting(self.sent_ms? + settings.auth_timeout_ms).filter(|_| !active(Mutant::NoAuthDeadline))
    }

    /// When to ping.
    pub fn ping_ms(&self, settings: &Settings) -> Option<u64> {
        let idle = self.is_live() && self.pinged_ms.is_none() && !active(Mutant::NoPing);
        idle.then_some(self.heard_ms + settings.ping_after_ms).and_then(|at| self.counting(at))
    }

    /// When the peer counts as dead.
    pub fn dead_ms(&self, settings: &Settings) -> Option<u64> {
        self.counting(self.pinged_ms? + settings.dead_after_ms).filter(|_| !active(Mutant::PongNotMissed))
    }

    /// When the token it was authenticated with may no longer be presented.
    pub fn usable_ms(&self) -> Option<u64> {
        self.token.as_ref().filter(|_| self.is_live()).map(|token| token.schedule.usable_ms)
    }

    /// When a new token ought to have taken effect: `t_mandatory`, unless the lead is too short for that.
    pub fn goal_ms(&self) -> Option<u64> {
        let schedule = self.token.as_ref().filter(|_| self.is_live())?.schedule;
        let early = schedule.refresh_ms < schedule.mandatory_ms && !active(Mutant::GoalIgnored);
        Some(if early { schedule.mandatory_ms } else { schedule.usable_ms })
    }

    /// Bytes were read. `awake`: the machine has not just slept.
    pub fn heard(&mut self, now: Now, awake: bool) {
        (self.heard_ms, self.pinged_ms) = (now.boot_ms, None);
        if awake && now.boot_ms >= self.late_until_ms || active(Mutant::LateReadIsFresh) {
            self.heard_wall_ms = now.wall_ms;
        }
    }

    /// The machine slept: what the peer sent meanwhile is still to be read, so a reply is not overdue yet.
    pub fn woke(&mut self, boot_ms: u64, slept_ms: u64) {
        self.late_until_ms = boot_ms + LATE_MS;
        if let Some(sent) = &mut self.sent_ms {
            *sent += slept_ms;
        }
    }

    /// Reading goes on: every timer that stood still moves by the time that passed.
    pub fn resume(&mut self, boot_ms: u64) {
        let Some(since) = self.stalled_ms.take() else { return };
        self.late_until_ms = boot_ms + LATE_MS;
        // What began during the stall has stood still since then only.
        let timers = [Some(&mut self.heard_ms), self.sent_ms.as_mut(), self.pinged_ms.as_mut()];
        for timer in timers.into_iter().flatten() {
            *timer += boot_ms.saturating_sub(since.max(*timer));
        }
    }

    fn counting(&self, at_ms: u64) -> Option<u64> {
        (self.stalled_ms.is_none() || active(Mutant::StallIgnored)).then_some(at_ms)
    }
}

/// A socket that was replaced or is being closed: read out, then gone.
#[derive(Debug)]
pub(super) struct Leaving {
    pub epoch: u64,
    pub by_ms: u64,
    pub stalled_ms: Option<u64>,
    /// Give up even if it is not read out.
    pub at_latest_ms: u64,
    /// The socket that took over, whose messages wait for this one's.
    pub successor: Option<u64>,
    pub heard_wall_ms: u64,
}

impl Leaving {
    pub fn deadline_ms(&self) -> u64 {
        if self.stalled_ms.is_some() {
            self.at_latest_ms
        } else {
            self.by_ms.min(self.at_latest_ms)
        }
    }

    pub fn resume(&mut self, boot_ms: u64) {
        if let Some(since) = self.stalled_ms.take() {
            self.by_ms += boot_ms.saturating_sub(since);
        }
    }
}
