//! When to dial and when to upgrade: a delay, a token or the hope for one, and what else is under way.
//!
//! Where the token is still being fetched, the socket is connected and upgraded meanwhile: the first auth frame goes out
//! four round trips after the start instead of seven. A token that is slow must not meet the server's own timer for
//! the authentication: the upgrade is then held back until the token is here, and a socket that waits for too long is
//! closed, once for each token that is waited for.

use super::channel::Spare;
use super::{Link, Output, Session, Stage};
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::proto::backoff;
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// New work waits this long for a token request in flight once the old token is near its end.
const MANDATORY_WAIT_MS: u64 = 5_000;

impl Session {
    /// A dial waits for its delay, for a usable token or the first request for one, and near the token's end for a
    /// request in flight.
    pub(super) fn dial_if_due(&mut self, now: Now) {
        let one = self.standby.is_none() || active(Mutant::SecondStandby);
        let wanted = self.started && !self.is_over() && one && !self.is_reading_out() && !self.is_barred();
        let live = self.primary.as_ref().is_some_and(Link::is_live);
        let due = self.dial_ms.is_some_and(|at| at <= now.boot_ms);
        if !wanted || !due || (self.primary.is_some() && !live) || self.is_renewing() {
            return;
        }
        let token = self.token.clone().filter(|token| token.is_usable(now.boot_ms));
        let waits = match &token {
            Some(token) => self.holds(now, token),
            None => !self.may_overlap(),
        };
        if waits || live && self.has_channels() && !self.has_spare() {
            return;
        }
        self.ahead = token.is_none();
        (self.hold_ms, self.dial_ms, self.draining) = (None, None, false);
        self.epoch += 1;
        let epoch = self.epoch;
        let link = Link::new(epoch, token, now.boot_ms);
        if !self.has_channels() {
            self.out.push_back(Output::Dial { epoch, hold: live && !active(Mutant::NotHeldBack), uri: None });
        }
        if live {
            self.standby = Some(link);
        } else {
            self.attempt_ms.get_or_insert(now.boot_ms);
            self.why = ("dialling", None);
            self.primary = Some(link);
        }
        if self.has_channels() {
            self.prepare(now, epoch);
        }
    }

    /// The live socket waits for the reply to a renewal: until then no other takes over.
    fn is_renewing(&self) -> bool {
        self.primary.as_ref().is_some_and(|link| link.is_live() && link.awaits_reply())
    }

    /// Whether a socket may be dialled ahead of its token: while the request for it is in flight, and once.
    fn may_overlap(&self) -> bool {
        let again = self.ahead && !active(Mutant::AheadAgain);
        // A wrong proxy password that is shown twice at once locks accounts twice as fast.
        let secret = self.settings.proxies.socket.as_ref().is_some_and(|proxy| proxy.authorization.is_some());
        if secret && !self.ever_ready {
            return false;
        }
        // A channel takes a token to be made.
        let alone = self.settings.overlap && !self.has_channels();
        alone && self.fetching && !again && self.primary.is_none()
    }

    /// The socket is connected: the upgrade follows at once, unless the token is slow.
    pub(super) fn connected(&mut self, now: Now, epoch: u64) {
        let has_token = self.token.is_some();
        let slow = !has_token && self.is_token_slow(now) && !active(Mutant::UpgradeWhenSlow);
        let Some(link) = self.link_mut(epoch).filter(|link| link.stage == Stage::Dialing) else {
            self.senseless += 1;
            return;
        };
        if !has_token && link.token.is_some() {
            return self.token_is_gone(now, epoch);
        }
        if slow {
            (link.stage, link.waits_since_ms) = (Stage::Connected, Some(now.boot_ms));
        } else {
            link.stage = Stage::Upgrading;
            self.out.push_back(Output::Upgrade { epoch });
        }
    }

    /// Whether the token is unlikely to be here soon: no request is in flight, or one has been for a quarter of the
    /// time that the server gives to authenticate.
    fn is_token_slow(&self, now: Now) -> bool {
        let since = self.fetching_since_ms.filter(|_| self.fetching || self.verifying);
        since.is_none_or(|since| now.boot_ms >= since + self.settings.auth_timeout_ms / 4)
    }

    /// The token that a socket was dialled with has ended or was refused meanwhile.
    pub(super) fn token_is_gone(&mut self, now: Now, epoch: u64) {
        if self.link(epoch).is_some_and(|link| link.stage != Stage::Preparing) {
            self.out.push_back(Output::Abort { epoch });
        }
        self.lost(now, epoch, Error::new(Code::TokenExpired, ErrorStage::Authenticate, ""));
    }

    /// A token is here: the socket that was dialled ahead of it is an attempt from now on, and goes on if it waits.
    pub(super) fn go_on(&mut self, now: Now) {
        let Some(token) = &self.token else { return };
        let Some(link) = self.primary.as_mut().filter(|link| !link.is_live()) else { return };
        link.token.get_or_insert_with(|| token.clone());
        let epoch = link.epoch;
        match link.stage {
            Stage::Connected => {
                (link.stage, link.waits_since_ms) = (Stage::Upgrading, None);
                self.out.push_back(Output::Upgrade { epoch });
            }
            Stage::Waiting => self.present(now, epoch),
            Stage::Preparing | Stage::Dialing | Stage::Upgrading | Stage::Authenticating | Stage::Live => {}
        }
    }

    /// There will be no token soon: the socket that waits for one is closed before it has seen any.
    pub(super) fn stop_waiting(&mut self, now: Now) {
        let without = |link: &mut Link| link.token.is_none() && !active(Mutant::DeniedStaysOpen);
        let Some(link) = self.primary.take_if(without) else { return };
        self.hang_up(now, link);
    }

    /// Closes a socket that nothing is expected of: with 1000 where the peer knows it as a WebSocket.
    pub(super) fn hang_up(&mut self, now: Now, mut link: Link) {
        self.drop_request(&mut link);
        if link.is_upgraded() {
            self.leave(now, link, None);
        } else if link.stage != Stage::Preparing {
            self.out.push_back(Output::Abort { epoch: link.epoch });
        }
    }

    /// The application has learned that the server will end the socket: another takes over after a random delay.
    pub(super) fn drain_notice(&mut self, now: Now) {
        let live = self.primary.as_ref().is_some_and(Link::is_live);
        if !live || self.standby.is_some() || self.dial_ms.is_some() || self.closing {
            self.senseless += 1;
            return;
        }
        (self.draining, self.replacing) = (true, true);
        self.why = ("the server goes away", None);
        self.dial_ms = Some(now.boot_ms + backoff::drain_ms(&mut self.dice));
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
        let awaited = self.primary.is_some() && self.channels.spare == Spare::Asked;
        if busy || self.is_renewing() || self.is_reading_out() || self.is_over() || !self.started {
            return None;
        }
        if self.is_barred() || awaited {
            return None;
        }
        let at = self.dial_ms?;
        match &self.token {
            Some(token) => {
                let held = self.hold_ms.map_or(0, |since| since + MANDATORY_WAIT_MS);
                let at = at.max(held);
                (at < token.schedule.usable_ms).then_some(at)
            }
            // Without a usable token there is nothing to wake for, unless a dial may go ahead of it.
            None => self.may_overlap().then_some(at),
        }
    }
}
