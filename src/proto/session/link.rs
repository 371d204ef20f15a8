//! One socket as the session sees it.

use std::sync::Arc;

use crate::config::settings::Settings;
use crate::proto::token::Token;

/// How far a socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Dialing,
    Authenticating,
    Live,
}

/// A socket in use, or on its way to be.
#[derive(Debug)]
pub(super) struct Link {
    pub epoch: u64,
    pub stage: Stage,
    /// The token it was authenticated with, or is being authenticated with for the first time.
    pub token: Option<Arc<Token>>,
    /// A newer token whose reply is awaited on the live socket.
    pub offered: Option<Arc<Token>>,
    /// When the auth frame that awaits its reply was sent.
    pub sent_ms: Option<u64>,
    pub heard_ms: u64,
    pub heard_wall_ms: u64,
    pub pinged_ms: Option<u64>,
    /// Since when the socket is not read, because the application's queue is full.
    pub stalled_ms: Option<u64>,
    pub live_ms: u64,
}

impl Link {
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            stage: Stage::Dialing,
            token: None,
            offered: None,
            sent_ms: None,
            heard_ms: 0,
            heard_wall_ms: 0,
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

    /// When the reply is overdue. Time during which the socket is not read does not count.
    pub fn auth_deadline_ms(&self, settings: &Settings) -> Option<u64> {
        self.counting(self.sent_ms? + settings.auth_timeout_ms)
    }

    /// When to ping.
    pub fn ping_ms(&self, settings: &Settings) -> Option<u64> {
        let idle = self.is_live() && self.pinged_ms.is_none();
        idle.then_some(self.heard_ms + settings.ping_after_ms).and_then(|at| self.counting(at))
    }

    /// When the peer counts as dead.
    pub fn dead_ms(&self, settings: &Settings) -> Option<u64> {
        self.counting(self.pinged_ms? + settings.dead_after_ms)
    }

    /// When the token it was authenticated with may no longer be presented.
    pub fn usable_ms(&self) -> Option<u64> {
        self.token.as_ref().filter(|_| self.is_live()).map(|token| token.schedule.usable_ms)
    }

    /// Reading goes on: every timer that stood still moves by the time that passed.
    pub fn resume(&mut self, boot_ms: u64) {
        let Some(since) = self.stalled_ms.take() else { return };
        let stood = boot_ms.saturating_sub(since);
        self.heard_ms += stood;
        for timer in [&mut self.sent_ms, &mut self.pinged_ms].into_iter().flatten() {
            *timer += stood;
        }
    }

    fn counting(&self, at_ms: u64) -> Option<u64> {
        self.stalled_ms.is_none().then_some(at_ms)
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
