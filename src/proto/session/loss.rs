//! Losing and leaving sockets: what a loss means, when to dial again, gaps, the end.

use super::link::Leaving;
use super::{Link, Output, Rounds, Session, Stage, Trouble};
use crate::audit::{Phase, Record};
use crate::config::settings::CloseClass;
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::{Gap, Notice};
use crate::proto::backoff;
use crate::proto::frame::printable;
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;

/// How long an application that reads nothing may keep a second channel.
const READ_OUT_MS: u64 = 60_000;

impl Session {
    pub(super) fn peer_closed(&mut self, now: Now, epoch: u64, code: u16, reason: &str) {
        let stage = match self.link(epoch) {
            Some(link) if link.is_live() => ErrorStage::Live,
            _ => ErrorStage::Authenticate,
        };
        let text = format!("{code} {}", printable(&self.without_secrets(reason)));
        let error = Error::new(Code::WsClosed, stage, text.trim_end()).with(|detail| detail.ws_close_code = code);
        self.lost(now, epoch, error);
    }

    /// A socket could not be opened, was refused, or ended.
    pub(super) fn lost(&mut self, now: Now, epoch: u64, error: Error) {
        if self.leaving.iter().any(|left| left.epoch == epoch) {
            let clean = error.detail().ws_close_code == 1000;
            return self.drained(now, epoch, clean);
        }
        let error = self.cleaned(self.of_channel(error));
        if self.makes_another(now, epoch, &error) {
            return;
        }
        if self.is_standby(epoch) {
            return self.standby_lost(now, error);
        }
        match self.primary.take_if(|link| link.epoch == epoch || active(Mutant::OldEpoch)) {
            Some(mut link) => {
                self.record_failure(&link, &error);
                self.retire(&mut link, &error);
                if link.is_live() {
                    self.live_lost(now, &link, error);
                } else {
                    self.opening_lost(now, &link, error);
                }
            }
            None => self.senseless += 1,
        }
    }

    /// The correlation id of a refused handshake is a text of the server's too.
    fn cleaned(&self, error: Error) -> Error {
        if error.detail().correlation_id.is_empty() {
            return error;
        }
        let id = printable(&self.without_secrets(&error.detail().correlation_id));
        error.with(|detail| detail.correlation_id = id)
    }

    /// The second socket failed; the first one is still good.
    fn standby_lost(&mut self, now: Now, error: Error) {
        let Some(mut link) = self.standby.take() else { return };
        let error = before_live(error);
        self.record_failure(&link, &error);
        self.retire(&mut link, &error);
        self.channels.pairs.failed(now.boot_ms, link.epoch);
        self.blame_token(&link, &error);
        let began = link.sent_ms.filter(|_| !self.has_channels()).unwrap_or(link.dialled_ms);
        // A socket that was to replace one whose server goes away may have had its token already.
        let renewal = self.primary.as_ref().is_none_or(|primary| primary.serial() < link.serial());
        let phase = if renewal { Phase::Renewal } else { Phase::Reconnect };
        self.audit_attempt(now, began, phase, Err(error.clone()));
        // What a second channel brings, the first one brings too.
        if link.stage == Stage::Authenticating && !self.has_channels() {
            self.out.push_back(Output::Release { epoch: link.epoch });
            // Unless the server said no, it may have begun to use this socket.
            if !matches!(error.code(), Code::AuthRefused | Code::AuthThrottled) {
                self.brief_gap(now, link.heard_wall_ms, &error);
            }
        }
        self.dial_later(now, &error);
        self.end_if_final(now, &error);
    }

    fn opening_lost(&mut self, now: Now, link: &Link, error: Error) {
        let error = before_live(error);
        if link.token.is_none() && !is_answer(&error) {
            // Dialled ahead of its token: no attempt yet, and no reason for one to come sooner than it may. What the
            // server says is told like any other refusal: nobody may wait for it without knowing.
            return self.dial_later(now, &error);
        }
        let error = error.with(|detail| detail.attempt = self.round_failures + 1);
        self.blame_token(link, &error);
        let began = self.attempt_ms.take().unwrap_or(now.boot_ms);
        self.audit_attempt(now, began, self.phase(), Err(error.clone()));
        self.dial_later(now, &error);
        self.round_failures += 1;
        let given_up = match &self.trouble {
            Some(Trouble::Blocked(error)) => Some(error.clone()),
            Some(Trouble::Throttled { .. }) | None => None,
        };
        let round_over = self.round_failures >= self.settings.attempts_per_round;
        let long = error.code() == Code::ThrottledLong;
        if round_over || long || given_up.is_some() || !error.is_retriable() {
            self.round_failures = 0;
            self.fail_if_once(given_up.unwrap_or_else(|| error.clone()));
        }
        self.end_if_final(now, &error);
        self.why = ("connect failed", Some(error));
    }

    fn live_lost(&mut self, now: Now, link: &Link, error: Error) {
        if !active(Mutant::SendOnDead) {
            self.out.push_back(Output::SendOn(None));
        }
        self.out.push_back(Output::Audit(Record::ConnectionLost { connection: link.epoch, error: error.clone() }));
        if self.class_of(&error) == CloseClass::Token {
            self.out.push_back(Output::Refused { serial: link.serial() });
            self.token.take_if(|token| token.serial == link.serial());
        }
        let unaudited = active(Mutant::LostRenewalUnaudited);
        if let (Some(sent), Some(_), false) = (link.sent_ms, &link.offered, unaudited) {
            self.audit_attempt(now, sent, Phase::Renewal, Err(error.clone()));
        }
        self.begin_gap(now, self.unread_wall_ms(link), &error);
        // What still reads the socket before this one out must not hold the next one up.
        let by_ms = now.boot_ms + self.settings.close_timeout_ms;
        for left in &mut self.leaving {
            left.at_latest_ms = left.at_latest_ms.min(by_ms);
        }
        (self.calm_ms, self.renew_ms, self.in_band.failed) = (None, None, false);
        self.replacing = false;
        if let Some(standby) = self.standby.take() {
            // The replacement is on its way already.
            self.dial_ms = None;
            self.channels.pairs.closed(link.epoch, now.boot_ms, standby.events());
            if standby.stage != Stage::Preparing {
                self.out.push_back(Output::Release { epoch: standby.epoch });
            }
            self.attempt_ms = Some(now.boot_ms);
            let (epoch, waits) = (standby.epoch, standby.dials_ms.is_some());
            self.primary = Some(standby);
            if waits {
                self.subscribe_or_dial(now, epoch);
            }
        } else {
            self.dial_later(now, &error);
        }
        self.end_if_final(now, &error);
        self.why = ("connection lost", Some(error));
    }

    /// A token that the upgrade or a close during authentication refused is treated like one refused by a reply.
    fn blame_token(&mut self, link: &Link, error: &Error) {
        if link.token.is_none() {
            return;
        }
        // Once a proxy has let a socket through, its refusal is more likely the outage of a directory.
        let current = link.epoch > self.old_password_epoch || active(Mutant::OldPasswordBlocks);
        let proxy = error.code() == Code::ProxyAuth && !self.ever_ready && current;
        // The URI of a channel is all that its handshake shows: a refusal means the token that made it.
        let of_channel = error.code() == Code::UpgradeForbidden && self.has_channels();
        let forbidden = error.code() == Code::UpgradeForbidden && !of_channel || proxy;
        let closed = error.code() == Code::WsClosed && self.class_of(error) == CloseClass::Token;
        if closed && link.stage == Stage::Authenticating {
            let refusal = Error::new(Code::AuthRefused, ErrorStage::Authenticate, error.detail().message.clone());
            self.strike(&refusal, link.serial());
        } else if error.code() == Code::UpgradeUnauthorized || of_channel {
            // The auth-message profile shows no token in the upgrade: the one it was dialled for is meant.
            self.strike(error, link.serial());
        } else if forbidden && !active(Mutant::ForbiddenGoesOn) {
            // A refusal of whoever asks, not of the token: only the application can help.
            (self.token, self.in_band.failed, self.proxy_refused) = (None, false, proxy);
            self.trouble = Some(Trouble::Blocked(error.clone()));
            self.out.push_back(Output::GiveUp { error: error.clone(), serial: self.seen_serial });
        }
    }

    /// What this loss asks for.
    pub fn class_of(&self, error: &Error) -> CloseClass {
        match error.code() {
            Code::WsClosed => self.settings.close_class(error.detail().ws_close_code),
            _ => CloseClass::Retry,
        }
    }

    /// Whether there is nothing to come back to: by the class of a close code, or because there never was a WebSocket
    /// at this address. Where there was one, a 404 is an outage like any other.
    fn is_the_end(&self, error: &Error) -> bool {
        let missing = error.code() == Code::UpgradeNotFound && !self.ever_ready && !active(Mutant::MissingGoesOn);
        missing || self.class_of(error) == CloseClass::Final && !active(Mutant::FinalGoesOn)
    }

    /// Gives up for good where that is what the loss means.
    fn end_if_final(&mut self, now: Now, error: &Error) {
        if !self.is_the_end(error) || self.is_over() {
            return;
        }
        self.failed = Some(error.clone());
        self.dial_ms = None;
        if let Some(live) = self.primary.as_ref().filter(|link| link.is_live()) {
            // It is left although it works: what it would have brought is missed.
            let heard_wall_ms = self.unread_wall_ms(live);
            self.out.push_back(Output::SendOn(None));
            self.begin_gap(now, heard_wall_ms, error);
        }
        for link in [self.primary.take(), self.standby.take()].into_iter().flatten() {
            self.hang_up(now, link);
        }
        let for_good = self.rounds == Rounds::Forever;
        self.out.push_back(Output::Failed { error: error.clone(), for_good });
    }

    /// Times the next dial: soon and spread for the first one after a drain, by the sticky backoff else, never before
    /// Retry-After. A server that drains again before the connection was stable is met with the backoff.
    fn dial_later(&mut self, now: Now, error: &Error) {
        let calm = self.reconnect.calm_after_ms().is_none();
        let drain = calm && self.class_of(error) == CloseClass::Drain && !active(Mutant::DrainIsPlain);
        let backoff = self.reconnect.next_ms(&mut self.dice);
        let delay = if drain { backoff::drain_ms(&mut self.dice) } else { backoff };
        self.draining = drain;
        if let Some(asked) = error.retry_after_ms().filter(|_| !active(Mutant::ServerAskedInVain)) {
            self.not_before_ms = now.boot_ms.saturating_add(backoff::asked_ms(asked, &mut self.dice));
        }
        if matches!(error.code(), Code::Throttled | Code::ThrottledLong) {
            self.throttled_until_ms = self.not_before_ms;
        }
        self.dial_ms = Some(now.boot_ms.saturating_add(delay).max(self.not_before_ms));
    }

    /// The server serves an old token's socket for a while after it expired, and no longer.
    pub(super) fn drop_expired(&mut self, now: Now) {
        let grace = self.settings.expired_grace_ms;
        let over = |usable: u64| usable + grace <= now.boot_ms && !active(Mutant::ExpiredKept);
        let expired = |link: &Link| link.usable_ms().is_some_and(over);
        let Some(epoch) = self.primary.as_ref().filter(|link| expired(link)).map(|link| link.epoch) else { return };
        // The second channel's socket, if it is as old, would be lost in the same step: with what it brings between two gaps.
        let is_as_old = |link: &&Link| link.token.as_ref().is_some_and(|token| over(token.schedule.usable_ms));
        let second = self.standby.as_ref().filter(is_as_old).filter(|_| self.has_channels()).map(|link| link.epoch);
        for epoch in second.into_iter().chain([epoch]) {
            self.out.push_back(Output::Abort { epoch });
            self.lost(now, epoch, Error::new(Code::TokenExpired, ErrorStage::Live, ""));
        }
        if self.primary.is_none() {
            self.dial_ms = Some(now.boot_ms.max(self.not_before_ms));
        }
    }

    /// When the state or the socket changes next because the token of the live socket, or else the one that is
    /// held, grows old.
    pub(super) fn next_age_ms(&self, now: Now) -> Option<u64> {
        let Some(link) = &self.primary else {
            return self
                .token
                .as_ref()
                .filter(|_| self.started && !self.is_over())
                .map(|token| token.schedule.usable_ms);
        };
        let usable = link.usable_ms()?;
        let ages = [link.goal_ms(&self.settings)?, usable, usable + self.settings.expired_grace_ms];
        ages.into_iter().find(|age| *age > now.boot_ms)
    }

    // ---- gaps -----------------------------------------------------------------------------------------------

    /// Since when something may be missed that this link, now gone, or the one before it still holds.
    pub(super) fn unread_wall_ms(&self, link: &Link) -> u64 {
        let unread = self.leaving.iter().filter(|left| left.successor.is_some()).map(|left| left.heard_wall_ms);
        unread.fold(link.heard_wall_ms, u64::min)
    }

    pub(super) fn begin_gap(&mut self, now: Now, from_wall_ms: u64, error: &Error) {
        if self.gap.is_some() || active(Mutant::NoGap) {
            return;
        }
        self.gaps += 1;
        self.gap_boot_ms = now.boot_ms;
        let gap = Gap {
            number: self.gaps,
            from_wall_ms,
            to_wall_ms: 0,
            duration_ms: 0,
            cause: Some(error.clone()),
            last_correlation_id: self.last_correlation_id(),
        };
        self.notice(Notice::GapBegin(gap.clone()));
        self.gap = Some(gap);
    }

    pub(super) fn end_gap(&mut self, now: Now) {
        let Some(gap) = self.gap.take_if(|_| !active(Mutant::GapStaysOpen)) else { return };
        let duration_ms = now.boot_ms.saturating_sub(self.gap_boot_ms);
        self.notice(Notice::GapEnd(Gap { to_wall_ms: now.wall_ms, duration_ms, ..gap }));
    }

    // ---- leaving --------------------------------------------------------------------------------------------

    /// Reads a socket out and closes it with 1000.
    pub(super) fn leave(&mut self, now: Now, link: Link, successor: Option<u64>) {
        let (covered, is_behind) = (self.is_covered(&link, successor), link.is_behind(now.boot_ms));
        let usable = link.usable_ms().unwrap_or(now.boot_ms);
        let mut at_latest_ms = usable.max(now.boot_ms) + self.settings.expired_grace_ms;
        if self.has_channels() {
            // The clients that share the token wait for the spare channel.
            at_latest_ms = at_latest_ms.min(now.boot_ms + READ_OUT_MS);
        }
        let by_ms = now.boot_ms + self.settings.close_timeout_ms;
        let stalled_ms = link.stalled_ms.map(|_| now.boot_ms);
        self.out.push_back(Output::Leave { epoch: link.epoch, code: 1000 });
        let (epoch, heard_wall_ms) = (link.epoch, link.heard_wall_ms);
        self.leaving.push(Leaving {
            epoch,
            by_ms,
            stalled_ms,
            at_latest_ms,
            successor,
            heard_wall_ms,
            covered,
            is_behind,
            is_lost: false,
        });
    }

    pub(super) fn drained(&mut self, now: Now, epoch: u64, clean: bool) {
        let Some(index) = self.leaving.iter().position(|left| left.epoch == epoch) else {
            self.senseless += 1;
            return;
        };
        let left = self.leaving.swap_remove(index);
        self.record_departure(&left, clean);
        if let Some(successor) = left.successor.filter(|_| !self.closing) {
            let new = self.link(successor).map_or(0, Link::events);
            self.channels.pairs.closed(epoch, now.boot_ms, new);
            if !clean && !left.covered && !active(Mutant::UnreadIsNoGap) {
                let text = "The old socket could not be read out.";
                let error = Error::new(Code::Timeout, ErrorStage::Close, text);
                self.brief_gap(now, left.heard_wall_ms, &error);
            }
            self.announce_handover(epoch, successor);
            self.settle_spare();
        }
        self.clean &= clean;
        self.stop_if_closed(now);
    }

    /// A second socket is in use, yet what came by this one may not have been seen: that is a gap, however short.
    pub(super) fn brief_gap(&mut self, now: Now, from_wall_ms: u64, error: &Error) {
        if self.gap.is_none() {
            self.begin_gap(now, from_wall_ms, error);
            self.end_gap(now);
        }
    }

    pub(super) fn close(&mut self, now: Now) {
        if self.closing {
            self.senseless += 1;
            return;
        }
        // What was left long ago says nothing about this end.
        (self.closing, self.dial_ms, self.clean) = (true, None, true);
        self.out.push_back(Output::SendOn(None));
        for link in [self.primary.take(), self.standby.take()].into_iter().flatten() {
            self.hang_up(now, link);
        }
        let by_ms = now.boot_ms + self.settings.close_timeout_ms;
        for left in &mut self.leaving {
            left.at_latest_ms = left.at_latest_ms.min(by_ms);
        }
        self.settle_spare();
        self.stop_if_closed(now);
    }

    fn stop_if_closed(&mut self, now: Now) {
        if !self.closing || !self.leaving.is_empty() || self.stopped {
            return;
        }
        self.stopped = true;
        if self.started {
            self.out.push_back(Output::Audit(Record::Closed));
        }
        self.show(now);
        self.out.push_back(Output::Stopped { clean: self.clean });
    }

    // ---- back-pressure --------------------------------------------------------------------------------------

    pub(super) fn stalled(&mut self, now: Now, epoch: u64) {
        if let Some(link) = self.link_mut(epoch) {
            link.stalled_ms.get_or_insert(now.boot_ms);
        } else if let Some(left) = self.leaving.iter_mut().find(|left| left.epoch == epoch) {
            left.is_behind = true;
            left.stalled_ms.get_or_insert(now.boot_ms);
        } else {
            self.senseless += 1;
        }
    }

    pub(super) fn resumed(&mut self, now: Now, epoch: u64) {
        if let Some(link) = self.link_mut(epoch) {
            link.resume(now.boot_ms);
        } else if let Some(left) = self.leaving.iter_mut().find(|left| left.epoch == epoch) {
            left.resume(now.boot_ms);
        } else {
            self.senseless += 1;
        }
    }
}

/// Whether the server has answered the upgrade with a refusal that no token changes; a 401 is about the token that is
/// still on its way.
fn is_answer(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::UpgradeRefused | Code::UpgradeForbidden | Code::UpgradeNotFound | Code::Throttled | Code::ThrottledLong
    )
}

/// A fault of the transport does not know how far the authentication was.
fn before_live(error: Error) -> Error {
    error.with(|detail| {
        if detail.stage == ErrorStage::Live {
            detail.stage = ErrorStage::Authenticate;
        }
    })
}
