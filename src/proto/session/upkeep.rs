//! Profile `notifications`: what keeps a live channel alive, the spare one, and what to do when another client takes ours.

use std::sync::Arc;

use super::channel::{Away, Refusal, Spare, Step, REFUSED_MS};
use super::{Link, Output, Session, Stage};
use crate::audit::Record;
use crate::config::settings::Displaced;
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::State;
use crate::proto::backoff;
use crate::proto::mutant::{active, Mutant};
use crate::proto::notifications::topics;
use crate::proto::time::Now;

/// Between two attempts to subscribe on a live socket.
const RETRY_MS: u64 = 5_000;
const RETRY_SPREAD_MS: u64 = 25_000;
/// A client that was displaced comes back after U(w, 2·w), if it may; w doubles with every time in a row.
const RETURN_MS: u64 = 300_000;
const RETURN_MAX_MS: u64 = 3_600_000;

impl Session {
    /// Only the application, a new token or other topics can help: nothing is dialled until then.
    pub(super) fn is_barred(&self) -> bool {
        let refused = self.channels.refusal.as_ref().is_some_and(|refusal| refusal.bars);
        refused || self.channels.away.is_some()
    }

    // ---- topics ---------------------------------------------------------------------------------------------

    /// The application wants these topics, and no others.
    pub(super) fn topics(&mut self, now: Now, list: &[String]) {
        if !self.has_channels() {
            self.senseless += 1;
            return;
        }
        let wanted: Arc<[String]> = topics::wanted(list).into();
        if wanted == self.channels.wanted {
            return;
        }
        self.channels.wanted = wanted;
        self.lift(now);
        // What is being asked for is answered first: two lists that are on their way may arrive in either order.
        self.keep_up(now);
    }

    /// What was refused may be asked for again.
    pub(super) fn lift(&mut self, now: Now) {
        if self.channels.refusal.take().is_some() && self.primary.is_none() {
            self.dial_ms.get_or_insert(now.boot_ms.max(self.not_before_ms));
        }
    }

    /// The live channel gets the topics that are wanted, and is prolonged before it expires.
    pub(super) fn keep_up(&mut self, now: Now) {
        let wanted = Arc::clone(&self.channels.wanted);
        let Some(link) = self.primary.as_ref().filter(|link| link.is_live() && link.asked.is_none()) else { return };
        let Some(channel) = &link.channel else { return };
        if channel.subscribed == wanted || active(Mutant::TopicsForgotten) {
            return;
        }
        let epoch = link.epoch;
        self.prolong(now, epoch);
    }

    /// Subscribes to the topics of a live channel again: not before the API allows it, and not while its successor is dialled.
    /// A topic that only the old channel has would be lost, untold, when the new one takes over.
    pub(super) fn prolong(&mut self, now: Now, epoch: u64) {
        let succeeded = self.standby.as_ref().is_some_and(|next| next.stage != Stage::Preparing);
        let soon_ms = if succeeded { now.boot_ms + RETRY_MS } else { now.boot_ms };
        let at_ms = self.not_before_ms.max(soon_ms);
        if at_ms <= now.boot_ms {
            return self.ask(now, epoch, Step::Subscribe);
        }
        if let Some(channel) = self.link_mut(epoch).and_then(|link| link.channel.as_mut()) {
            channel.renew_ms = at_ms;
        }
    }

    /// The live socket goes on; what its channel needs is tried again, or is for the next socket.
    pub(super) fn upkeep_failed(&mut self, now: Now, epoch: u64, error: Error) {
        let asked_ms = error.retry_after_ms().map(|asked| backoff::asked_ms(asked, &mut self.dice));
        if let Some(asked) = asked_ms {
            self.not_before_ms = self.not_before_ms.max(now.boot_ms.saturating_add(asked));
            self.dial_ms = self.dial_ms.map(|at| at.max(self.not_before_ms));
        }
        let delay = asked_ms.unwrap_or(0).max(RETRY_MS + self.dice.up_to(RETRY_SPREAD_MS));
        let again = match error.code() {
            Code::ChannelGone => {
                if let Some(channel) = self.link_mut(epoch).and_then(|link| link.channel.as_mut()) {
                    channel.ends();
                }
                self.runs_dry(now, &error);
                self.replacing = true;
                self.why = ("the channel is gone", Some(error));
                if self.standby.is_none() {
                    self.dial_ms = Some(now.boot_ms.max(self.not_before_ms));
                }
                None
            }
            Code::TokenRevoked => None,
            Code::ChannelRefused => {
                // What bars the next socket goes on doing so.
                let refusal = Refusal { error, bars: false, again_ms: u64::MAX };
                self.channels.refusal.get_or_insert(refusal);
                // A role that was taken away may be given back.
                Some(now.boot_ms + REFUSED_MS + self.dice.up_to(REFUSED_MS))
            }
            _ => Some(now.boot_ms.saturating_add(delay)),
        };
        if let Some(channel) = self.link_mut(epoch).and_then(|link| link.channel.as_mut()) {
            channel.renew_ms = again.unwrap_or(u64::MAX);
        }
    }

    // ---- the spare channel ----------------------------------------------------------------------------------

    pub(super) fn has_spare(&mut self) -> bool {
        match self.channels.spare {
            Spare::Held => return true,
            Spare::Asked => {}
            Spare::No => {
                self.channels.spare = Spare::Asked;
                self.out.push_back(Output::AskSpare);
            }
        }
        active(Mutant::SecondChannelWithoutSpare)
    }

    /// Every permit that was asked for is given once, and returned once.
    pub(super) fn spare_granted(&mut self) {
        match self.channels.spare {
            Spare::Asked => self.channels.spare = Spare::Held,
            // Returned by the end of this client, before it came.
            Spare::No => {}
            Spare::Held => self.senseless += 1,
        }
    }

    /// Returns the permit as soon as no second channel is in use. One that is asked for is awaited, unless this is the end.
    pub(super) fn settle_spare(&mut self) {
        let over = self.closing || self.failed.is_some();
        let unused = self.standby.is_none() && !self.is_reading_out();
        let returns = match self.channels.spare {
            Spare::Held => unused || over,
            Spare::Asked => over,
            Spare::No => false,
        };
        if returns && !active(Mutant::SpareKept) {
            self.channels.spare = Spare::No;
            self.out.push_back(Output::ReturnSpare);
        }
    }

    // ---- displaced ------------------------------------------------------------------------------------------

    /// Another client has our channel or its topics. Coming back at once would take them from it: two instances would fight
    /// for ever.
    pub(super) fn displaced(&mut self, now: Now, error: Error) {
        self.record_displacement(&error);
        let (primary, standby) = (self.primary.take(), self.standby.take());
        let lost = primary.as_ref().filter(|link| link.is_live()).map(|link| link.epoch);
        self.why = ("another client took the channel", Some(error.clone()));
        if let Some(live) = primary.as_ref().filter(|link| link.is_live()) {
            self.out.push_back(Output::SendOn(None));
            self.out.push_back(Output::Audit(Record::ConnectionLost { connection: live.epoch, error: error.clone() }));
            self.begin_gap(now, self.unread_wall_ms(live), &error);
        } else if primary.is_some() {
            let began = self.attempt_ms.take().unwrap_or(now.boot_ms);
            self.audit_attempt(now, began, self.phase(), Err(error.clone()));
            self.fail_if_once(error.clone());
        }
        if let Some(standby) = &standby {
            self.channels.pairs.failed(now.boot_ms, standby.epoch);
        }
        for mut link in [primary, standby].into_iter().flatten() {
            self.retire(&mut link, &error);
            self.hang_up(now, link);
        }
        self.leaving.iter_mut().filter(|left| Some(left.epoch) == lost).for_each(|left| left.is_lost = true);
        (self.dial_ms, self.calm_ms, self.hold_ms, self.channels.kept) = (None, None, None, None);
        (self.draining, self.replacing) = (false, false);
        let mut return_ms = (self.settings.displaced == Displaced::Return).then(|| self.return_ms(now));
        if active(Mutant::FightsForChannel) {
            return_ms = Some(now.boot_ms + 1);
        }
        self.channels.away = Some(Away { error, return_ms });
    }

    fn return_ms(&mut self, now: Now) -> u64 {
        if now.boot_ms > self.channels.returned_ms.saturating_add(RETURN_MAX_MS) {
            self.channels.displacements = 0;
        }
        let wait = RETURN_MS << self.channels.displacements.min(4);
        self.channels.displacements += 1;
        now.boot_ms + (wait + self.dice.up_to(wait)).min(RETURN_MAX_MS)
    }

    /// Comes back by a new channel: the wait is over.
    pub(super) fn return_if_due(&mut self, now: Now) {
        let due = |away: &mut Away| away.return_ms.is_some_and(|at| at <= now.boot_ms);
        if self.channels.away.take_if(due).is_some() {
            self.channels.returned_ms = now.boot_ms;
            self.dial_ms = Some(now.boot_ms.max(self.not_before_ms));
            self.why = ("coming back", None);
        }
    }

    /// When the next socket's channel is asked for again although it was refused.
    fn refused_until_ms(&self) -> Option<u64> {
        let refusal = self.channels.refusal.as_ref().filter(|refusal| refusal.bars)?;
        self.primary.as_ref().is_some_and(Link::is_live).then_some(refusal.again_ms)
    }

    /// Asks again for what was refused, if it is time.
    pub(super) fn ask_again_if_due(&mut self, now: Now) {
        if self.refused_until_ms().is_some_and(|at| at <= now.boot_ms) {
            self.channels.refusal = None;
            self.dial_ms = Some(now.boot_ms.max(self.not_before_ms));
        }
    }

    /// The application wants the channel back, or what was refused to be tried again.
    pub(super) fn come_back(&mut self, now: Now) {
        if let Some(away) = &mut self.channels.away {
            (away.return_ms, self.channels.displacements) = (Some(now.boot_ms), 0);
            self.return_if_due(now);
        }
        self.lift(now);
        self.keep_up(now);
    }

    // ---- what is shown --------------------------------------------------------------------------------------

    /// Why nothing is dialled, if that is so.
    pub(super) fn derive_barred(&self) -> Option<(State, Option<(&'static str, Option<Error>)>)> {
        if let Some(away) = &self.channels.away {
            let reason = ("another client took the channel", Some(away.error.clone()));
            return Some((State::Displaced, Some(reason)));
        }
        let refusal = self.channels.refusal.as_ref().filter(|refusal| refusal.bars)?;
        Some((State::ReauthRequired, Some(("channel refused", Some(refusal.error.clone())))))
    }

    /// What is wrong with a live channel.
    pub(super) fn derive_channel(&self, link: &Link) -> Option<(&'static str, Option<Error>)> {
        if link.revoked {
            return Some(("token revoked", Some(Error::new(Code::TokenRevoked, ErrorStage::Live, ""))));
        }
        let refusal = self.channels.refusal.as_ref()?;
        let reason = if refusal.bars { "channel refused" } else { "subscription refused" };
        Some((reason, Some(refusal.error.clone())))
    }

    /// When a link that is not live, or not yet, needs something by itself.
    pub(super) fn channel_wake_ms(&self) -> Option<u64> {
        let of_link = |link: &Link| {
            let overdue = link.asked.as_ref().map(|asked| asked.by_ms).filter(|_| !active(Mutant::RestForEver));
            let lingers = link.takes_over_ms.filter(|_| self.is_standby(link.epoch));
            let first = lingers.or(link.text_ms).filter(|_| link.stage == Stage::Authenticating);
            [overdue, first, link.dials_ms, link.prolong_ms(), link.silent_ms(&self.settings)]
                .into_iter()
                .flatten()
                .min()
        };
        if !self.has_channels() {
            return None;
        }
        let links = self.primary.iter().chain(&self.standby).filter_map(of_link).min();
        let back = self.channels.away.as_ref().and_then(|away| away.return_ms);
        [links, back, self.refused_until_ms()].into_iter().flatten().min()
    }
}
