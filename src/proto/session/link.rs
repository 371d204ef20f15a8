//! One socket as the session sees it.

use std::cell::Cell;
use std::sync::Arc;

use super::channel::{Asked, Channel, Step};
use crate::config::settings::{Profile, Settings};
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// After a stall or a suspend, what had piled up is read within this time.
const LATE_MS: u64 = 10_000;

/// How far a socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Its channel is being made (profile `notifications`).
    Preparing,
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
    /// Everything the peer wrote until then was read, by both clocks.
    pub heard_wall_ms: u64,
    pub read_out_ms: u64,
    /// What is read until then may have arrived long before: reading was held up.
    late_until_ms: u64,
    pub pinged_ms: Option<u64>,
    /// Since when the socket is not read, because the application's queue is full.
    pub stalled_ms: Option<u64>,
    pub live_ms: u64,
    /// When its upgrade was done: what the server sends from then on arrives.
    pub opened_ms: u64,

    // Profile `notifications`.
    pub channel: Option<Channel>,
    /// What the API was asked for this link.
    pub asked: Option<Asked>,
    /// When the last text came. Before it is live: whether one came.
    pub text_ms: Option<u64>,
    /// A text was judged since bytes were heard.
    text_seen: Cell<bool>,
    /// How many of the application's texts were judged.
    events: Cell<u32>,
    /// The second socket's channel is ready: when it is dialled.
    pub dials_ms: Option<u64>,
    /// The second socket has brought its first frame: when the first one has lingered long enough.
    pub takes_over_ms: Option<u64>,
    /// Its token was revoked.
    pub revoked: bool,
    /// The server has announced its end.
    pub closes_soon: bool,
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
            read_out_ms: 0,
            late_until_ms: 0,
            pinged_ms: None,
            stalled_ms: None,
            live_ms: 0,
            opened_ms: 0,
            channel: None,
            asked: None,
            text_ms: None,
            text_seen: Cell::new(false),
            events: Cell::new(0),
            dials_ms: None,
            takes_over_ms: None,
            revoked: false,
            closes_soon: false,
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
            Stage::Preparing | Stage::Dialing | Stage::Upgrading | Stage::Authenticating | Stage::Live => return None,
        };
        Some(self.waits_since_ms? + patience).filter(|_| !active(Mutant::WaitsForEver))
    }

    /// When the reply, or the first frame, is overdue. Time during which the socket is not read does not count.
    pub fn auth_deadline_ms(&self, settings: &Settings) -> Option<u64> {
        let patience_ms = match settings.profile {
            Profile::AuthMessage => settings.auth_timeout_ms,
            Profile::Notifications => settings.heartbeat_timeout_ms,
        };
        self.counting(self.sent_ms? + patience_ms).filter(|_| !active(Mutant::NoAuthDeadline))
    }

    /// When to ping. Where there are heartbeats, silence is told without.
    pub fn ping_ms(&self, settings: &Settings) -> Option<u64> {
        let pings = settings.profile == Profile::AuthMessage && !active(Mutant::NoPing);
        let idle = self.is_live() && self.pinged_ms.is_none() && pings;
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

    /// When the token it was authenticated with ends.
    pub fn expires_ms(&self) -> Option<u64> {
        self.token.as_ref().filter(|_| self.is_live()).map(|token| token.schedule.expires_ms)
    }

    /// When a new token ought to have taken effect: `t_mandatory`, unless the lead is too short for that.
    pub fn goal_ms(&self) -> Option<u64> {
        let schedule = self.token.as_ref().filter(|_| self.is_live())?.schedule;
        let early = schedule.refresh_ms < schedule.mandatory_ms && !active(Mutant::GoalIgnored);
        Some(if early { schedule.mandatory_ms } else { schedule.usable_ms })
    }

    /// Bytes were read; `slept_ms`: the machine slept for so long, and [`Link::woke`] is still to be told.
    pub fn heard(&mut self, now: Now, slept_ms: Option<u64>) {
        let awake = slept_ms.is_none();
        (self.heard_ms, self.pinged_ms) = (now.boot_ms, None);
        if self.text_seen.take() {
            self.text_ms = Some(now.boot_ms.saturating_sub(slept_ms.unwrap_or(0)));
        }
        if awake && now.boot_ms >= self.late_until_ms || active(Mutant::LateReadIsFresh) {
            (self.heard_wall_ms, self.read_out_ms) = (now.wall_ms, now.boot_ms);
        }
    }

    /// The machine slept: what the peer sent meanwhile is still to be read, so a reply is not overdue yet.
    pub fn woke(&mut self, boot_ms: u64, slept_ms: u64) {
        self.late_until_ms = boot_ms + LATE_MS;
        let asked = self.asked.as_mut().map(|asked| &mut asked.by_ms);
        for timer in [self.sent_ms.as_mut(), self.text_ms.as_mut(), asked].into_iter().flatten() {
            *timer += slept_ms;
        }
    }

    /// Reading goes on: every timer that stood still moves by the time that passed.
    pub fn resume(&mut self, boot_ms: u64) {
        let Some(since) = self.stalled_ms.take() else { return };
        self.late_until_ms = boot_ms + LATE_MS;
        // What began during the stall has stood still since then only.
        let own = [self.sent_ms.as_mut(), self.pinged_ms.as_mut(), self.text_ms.as_mut()];
        let timers = own.into_iter().chain([Some(&mut self.heard_ms)]);
        for timer in timers.flatten() {
            *timer += boot_ms.saturating_sub(since.max(*timer));
        }
    }

    // ---- profile `notifications` ----------------------------------------------------------------------------

    /// A text was judged.
    pub fn saw_text(&self, is_event: bool) {
        self.text_seen.set(true);
        self.events.set(self.events.get().saturating_add(u32::from(is_event)));
    }

    /// Whether what is read may have been sent long ago.
    pub fn is_behind(&self, boot_ms: u64) -> bool {
        self.stalled_ms.is_some() || boot_ms < self.late_until_ms
    }

    /// How many events it has brought.
    pub fn events(&self) -> u32 {
        self.events.get()
    }

    /// Whether the server may know by now that its channel wants the topics.
    pub fn is_subscribing(&self) -> bool {
        let asking = self.asked.as_ref().is_some_and(|asked| asked.step == Step::Subscribe);
        asking || self.channel.as_ref().is_some_and(|channel| !channel.subscribed.is_empty())
    }

    /// When the live socket counts as dead, because not even a heartbeat came.
    pub fn silent_ms(&self, settings: &Settings) -> Option<u64> {
        let watched = self.is_live() || self.takes_over_ms.is_some();
        let watched = watched && settings.profile == Profile::Notifications && !active(Mutant::NoWatchdog);
        self.counting(self.text_ms.filter(|_| watched)? + settings.heartbeat_timeout_ms)
    }

    /// When the live channel is to be prolonged.
    pub fn prolong_ms(&self) -> Option<u64> {
        let idle = self.is_live() && self.asked.is_none() && !active(Mutant::ChannelLetExpire);
        let renew_ms = self.channel.as_ref().filter(|_| idle)?.renew_ms;
        (renew_ms < u64::MAX).then_some(renew_ms)
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
    /// What cannot be read out of it any more came by its successor (profile `notifications`).
    pub covered: bool,
    /// What is read of it may have been sent long ago.
    pub is_behind: bool,
    /// Its loss is on record already.
    pub is_lost: bool,
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
