//! Presenting tokens: on a new socket, on the live one, and on a second one when the live one cannot.

use std::sync::Arc;

use super::{Link, Output, Session, Stage};
use crate::audit::Phase;
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::{Handover, Notice};
use crate::proto::frame::{self, AuthReply};
use crate::proto::mutant::{active, Mutant};
use crate::proto::time::Now;
use crate::proto::token::Token;

/// After so many renewals in a row that failed in band, the endpoint is remembered as unable.
const IN_BAND_FAILURES_MAX: u32 = 2;
const IN_BAND_UNABLE_MS: u64 = 24 * 3_600_000;

impl Session {
    /// The socket is open: the auth frame goes out at once, with the newest token, or as soon as there is one.
    pub(super) fn opened(&mut self, now: Now, epoch: u64) {
        let has_token = self.token.is_some();
        let Some(link) = self.link_mut(epoch).filter(|link| link.stage == Stage::Upgrading) else {
            self.senseless += 1;
            return;
        };
        (link.heard_ms, link.read_out_ms, link.opened_ms) = (now.boot_ms, now.boot_ms, now.boot_ms);
        link.heard_wall_ms = now.wall_ms;
        let was_for_token = link.token.is_some();
        if !has_token {
            (link.stage, link.waits_since_ms) = (Stage::Waiting, Some(now.boot_ms));
        }
        self.record_opening(epoch);
        if has_token {
            return if self.has_channels() { self.greet(now, epoch) } else { self.present(now, epoch) };
        }
        if was_for_token {
            self.token_is_gone(now, epoch);
        }
    }

    /// Shows the newest token on a socket that was opened for it.
    pub(super) fn present(&mut self, now: Now, epoch: u64) {
        let session_id = self.session_id.clone().filter(|_| !active(Mutant::SessionIdForgotten));
        let Some(token) = self.token.clone() else { return };
        let Some(link) = self.link_mut(epoch) else { return };
        (link.stage, link.waits_since_ms) = (Stage::Authenticating, None);
        link.sent_ms = Some(now.boot_ms);
        let frame = frame::auth(&token.access_token, session_id.as_deref());
        link.token = Some(token);
        if !self.is_standby(epoch) {
            self.why = ("socket open", None);
        }
        self.out.push_back(Output::SendAuth { epoch, frame });
    }

    /// Presents the newest token on the live connection: in band if the server can, else on a second socket.
    pub(super) fn renew_if_possible(&mut self, now: Now) {
        let Some(token) = self.token.clone() else { return };
        let unable = now.boot_ms < self.in_band.unable_until_ms && !active(Mutant::MarkIgnored) || self.has_channels();
        let second = self.standby.is_some() && !active(Mutant::SecondStandby);
        // A replacement that waits for its delay does not keep a new token from the live socket, only the one that the
        // server would not take there.
        let refused = self.in_band.refused_serial == token.serial && self.dial_ms.is_some();
        let busy = second || refused || self.closing || self.failed.is_some();
        let Some(link) = self.primary.as_mut() else { return };
        if busy || !link.is_live() || link.awaits_reply() || link.serial() >= token.serial {
            return;
        }
        if unable {
            self.dial_ms.get_or_insert(now.boot_ms.max(self.not_before_ms));
            return;
        }
        link.sent_ms = Some(now.boot_ms);
        let frame = frame::auth(&token.access_token, None);
        link.offered = Some(token);
        let epoch = link.epoch;
        self.out.push_back(Output::SendAuth { epoch, frame });
    }

    pub(super) fn reply(&mut self, now: Now, epoch: u64, text: &[u8]) {
        if self.has_channels() {
            return self.system_frame(now, epoch, text);
        }
        let awaited = self.link(epoch).is_some_and(Link::awaits_reply);
        match frame::read_reply(text).filter(|_| awaited) {
            Some(AuthReply::Accepted { session_id }) => self.accepted(now, epoch, session_id),
            Some(AuthReply::Refused(message)) => {
                let error = self.refusal(epoch, &message);
                self.refused(now, epoch, error);
            }
            Some(AuthReply::Malformed) => {
                let error = Error::new(Code::AuthReply, self.auth_stage(epoch), "");
                self.refused(now, epoch, error);
            }
            None => self.senseless += 1,
        }
    }

    pub(super) fn reply_overdue(&mut self, now: Now, epoch: u64) {
        if self.has_channels() {
            return self.no_first_frame(now, epoch);
        }
        let text = format!("No reply within {} ms.", self.settings.auth_timeout_ms);
        let error = Error::new(Code::AuthTimeout, self.auth_stage(epoch), text);
        self.refused(now, epoch, error);
    }

    fn auth_stage(&self, epoch: u64) -> ErrorStage {
        let renewing = self.link(epoch).is_some_and(|link| link.offered.is_some()) || self.is_standby(epoch);
        if renewing {
            ErrorStage::Renew
        } else {
            ErrorStage::Authenticate
        }
    }

    /// The server's text as an error; a throttle is told by its words.
    fn refusal(&self, epoch: u64, message: &str) -> Error {
        let lower = message.to_lowercase();
        let throttled = self.settings.throttle_patterns.iter().any(|pattern| lower.contains(pattern.as_str()));
        let code = if throttled { Code::AuthThrottled } else { Code::AuthRefused };
        Error::new(code, self.auth_stage(epoch), frame::printable(&self.without_secrets(message)))
    }

    /// The server's text, with everything struck out that it was shown or gave us, by whichever socket.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        frame::without_secrets(text, &self.secrets())
    }

    // ---- accepted -------------------------------------------------------------------------------------------

    pub(super) fn accepted(&mut self, now: Now, epoch: u64, session_id: Option<String>) {
        if session_id.is_some() {
            self.session_id = session_id;
        }
        self.strike = None;
        if self.is_standby(epoch) {
            self.handed_over(now);
            self.watch_calm(now);
        } else if self.primary.as_ref().is_some_and(Link::is_live) {
            self.renewed(now);
            self.watch_calm(now);
        } else {
            self.ready(now);
        }
        self.renew_if_possible(now);
    }

    /// The first authentication of the primary.
    fn ready(&mut self, now: Now) {
        let Some(link) = self.primary.as_mut() else { return };
        (link.stage, link.live_ms, link.sent_ms) = (Stage::Live, now.boot_ms, None);
        let (epoch, scopes) = (link.epoch, scopes_of(link.token.as_ref()));
        let began = self.attempt_ms.take().unwrap_or(now.boot_ms);
        self.audit_attempt(now, began, self.phase(), Ok(scopes));
        self.end_gap(now);
        if active(Mutant::NotSticky) {
            self.reconnect = super::Reconnect::default();
        }
        (self.round_failures, self.ever_ready, self.dial_ms) = (0, true, None);
        self.rounds = super::Rounds::Forever;
        self.calm_ms = None;
        self.watch_calm(now);
        self.why = ("authenticated", None);
        self.out.push_back(Output::SendOn(Some(epoch)));
        self.show(now);
        self.out.push_back(Output::Connected);
    }

    /// Stability counts from here, unless it counts already.
    fn watch_calm(&mut self, now: Now) {
        if self.calm_ms.is_none() {
            self.calm_ms = self.reconnect.calm_after_ms().map(|after| now.boot_ms + after);
        }
    }

    /// A new token was accepted on the live socket.
    fn renewed(&mut self, now: Now) {
        let Some(link) = self.primary.as_mut() else { return };
        let sent = link.sent_ms.take().unwrap_or(now.boot_ms);
        let Some(new) = link.offered.take() else { return };
        let old = link.token.replace(Arc::clone(&new));
        self.in_band.failures = 0;
        if !self.replacing {
            // A second socket that was for this token has nothing to do.
            self.dial_ms = None;
        }
        self.audit_attempt(now, sent, Phase::Renewal, Ok(scopes_of(Some(&new))));
        self.report_renewal(now, old.as_deref(), false);
    }

    /// The standby was accepted: it carries what is sent from now on; the old socket is read out first.
    fn handed_over(&mut self, now: Now) {
        let Some(mut link) = self.standby.take() else { return };
        let sent = link.sent_ms.take().unwrap_or(now.boot_ms);
        // What replaces a channel begins with making the next one.
        let began = if self.has_channels() { link.dialled_ms } else { sent };
        (link.stage, link.live_ms) = (Stage::Live, now.boot_ms);
        let (epoch, new) = (link.epoch, link.token.clone());
        let old = self.primary.replace(link);
        // A socket that is replaced because the server goes away may have had this token already.
        let renewed = old.as_ref().is_none_or(|old| old.serial() < new.as_ref().map_or(0, |token| token.serial));
        let phase = if renewed { Phase::Renewal } else { Phase::Reconnect };
        self.audit_attempt(now, began, phase, Ok(scopes_of(new.as_ref())));
        (self.replacing, self.draining) = (false, false);
        if renewed {
            self.count_in_band_failure(now);
        }
        self.out.push_back(Output::SendOn(Some(epoch)));
        if renewed {
            self.report_renewal(now, old.as_ref().and_then(|link| link.token.as_deref()), true);
        } else {
            self.why = ("socket replaced", None);
        }
        if let Some(mut old) = old {
            self.unsubscribe(now, &mut old);
            if active(Mutant::HandoverEarly) {
                self.announce_handover(old.epoch, epoch);
            }
            self.leave(now, old, Some(epoch));
        }
    }

    /// The same token was refused in band and accepted on a second socket: it is the server that cannot.
    fn count_in_band_failure(&mut self, now: Now) {
        if !std::mem::take(&mut self.in_band.failed) || active(Mutant::NeverMarked) {
            return;
        }
        self.in_band.failures += 1;
        if self.in_band.failures >= IN_BAND_FAILURES_MAX || active(Mutant::MarkedAtOnce) {
            self.in_band.failures = 0;
            self.in_band.unable_until_ms = now.boot_ms + IN_BAND_UNABLE_MS;
            self.out.push_back(Output::MarkInBandUnable);
        }
    }

    fn report_renewal(&mut self, now: Now, old: Option<&Token>, handover: bool) {
        let lead_ms = old.map_or(0, |old| old.schedule.expires_ms.saturating_sub(now.boot_ms));
        self.why = ("renewed", None);
        self.out.push_back(Output::Renewed { lead_ms, handover });
    }

    /// Announces the hand-over between the last message of the old socket and the first of the new one.
    pub(super) fn announce_handover(&mut self, from: u64, to: u64) {
        self.notice(Notice::Handover(Handover { from_connection: from, to_connection: to }));
        self.out.push_back(Output::Release { epoch: to });
    }

    // ---- refused --------------------------------------------------------------------------------------------

    /// An error reply, no reply, or one that makes no sense.
    fn refused(&mut self, now: Now, epoch: u64, error: Error) {
        let live = self.primary.as_ref().is_some_and(|link| link.epoch == epoch && link.is_live());
        if live && !active(Mutant::RefusedRenewalCloses) {
            return self.renewal_refused(now, error);
        }
        let serial = self.link(epoch).map_or(0, Link::serial);
        self.out.push_back(Output::Abort { epoch });
        self.strike(&error, serial);
        self.lost(now, epoch, error);
    }

    /// A live socket stays in use; a second one will tell whether it was the token or the server.
    fn renewal_refused(&mut self, now: Now, error: Error) {
        let Some(link) = self.primary.as_mut() else { return };
        let sent = link.sent_ms.take().unwrap_or(now.boot_ms);
        let offered = link.offered.take().map_or(0, |token| token.serial);
        let usable = link.usable_ms().unwrap_or(0).saturating_sub(now.boot_ms);
        let throttled = error.code() == Code::AuthThrottled;
        self.audit_attempt(now, sent, Phase::Renewal, Err(error.clone()));
        self.why = ("renewal refused", Some(error));
        if throttled {
            // Presented again on the same socket, well before the old token ends.
            let delay = self.reconnect.next_ms(&mut self.dice).min((usable / 4).max(1_000));
            self.renew_ms = Some(now.boot_ms + delay).filter(|_| !active(Mutant::ThrottledForgotten));
        } else {
            (self.in_band.failed, self.in_band.refused_serial) = (true, offered);
            self.dial_ms = Some(now.boot_ms.max(self.not_before_ms));
        }
    }
}

fn scopes_of(token: Option<&Arc<Token>>) -> Vec<String> {
    token.and_then(|token| token.scopes.clone()).unwrap_or_default()
}
