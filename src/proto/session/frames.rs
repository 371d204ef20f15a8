//! Profile `notifications`: the frames of the system, the first of which makes a socket live.

use super::{Leaving, Link, Output, Session, Stage, Whose};
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::proto::backoff;
use crate::proto::mutant::{active, Mutant};
use crate::proto::notifications::frames::{self, Frame};
use crate::proto::time::Now;
use crate::secret::Secret;

impl Session {
    /// Whose a text is, by its first bytes if it is the application's.
    pub(super) fn judge_frame(&self, epoch: u64, text: &[u8]) -> Whose {
        let is_system = frames::is_possible(text) && frames::read(text).is_some();
        if let Some(link) = self.link(epoch) {
            link.saw_text(!is_system);
        }
        if is_system {
            Whose::Ours
        } else {
            Whose::Application
        }
    }

    /// Whether an event is delivered; the last one is remembered, for a gap after it.
    pub(super) fn admit_event(&mut self, now: Now, epoch: u64, text: &[u8]) -> bool {
        let fresh = self.channels.pairs.admit(now.boot_ms, epoch, text);
        if fresh {
            self.channels.last.keep(text);
        }
        fresh
    }

    /// A channel needs no authentication, its URI is enough. What is sent is answered at once, so that a socket need not wait
    /// for its first event or heartbeat to count as live.
    pub(super) fn greet(&mut self, now: Now, epoch: u64) {
        let Some(link) = self.link_mut(epoch) else { return };
        (link.stage, link.sent_ms) = (Stage::Authenticating, Some(now.boot_ms));
        if !self.is_standby(epoch) {
            self.why = ("socket open", None);
        }
        self.out.push_back(Output::SendAuth { epoch, frame: Secret::new(frames::PING.to_owned()) });
    }

    /// Sockets that have brought their first frame are live. A second one takes over when the first one has lingered: an
    /// event that the next channel was too young for may be on a longer way by the old one.
    pub(super) fn see_first_frames(&mut self, now: Now) {
        let came = |link: &&Link| link.stage == Stage::Authenticating && link.text_ms.is_some();
        if let Some(epoch) = self.primary.as_ref().filter(came).map(|link| link.epoch) {
            self.accepted(now, epoch, None);
            self.settle(now);
        }
        let until_ms = now.boot_ms + if active(Mutant::LeavesAtOnce) { 0 } else { self.settings.linger_ms };
        // The old channel ends with its token.
        let ends_ms = self.primary.as_ref().and_then(Link::expires_ms).unwrap_or(now.boot_ms);
        let Some(link) = self.standby.as_mut().filter(|link| came(&&**link)) else { return };
        // The reply that was awaited is here.
        link.sent_ms = None;
        let at_ms = *link.takes_over_ms.get_or_insert(until_ms.min(ends_ms));
        // What it holds back has reached its bound: it is to be read again.
        if at_ms <= now.boot_ms || link.stalled_ms.is_some() {
            let epoch = link.epoch;
            self.admit_cut(now, at_ms >= ends_ms);
            self.accepted(now, epoch, None);
            self.settle(now);
        }
    }

    /// The old channel has ended before it could linger: what was on its way there is missed.
    fn admit_cut(&mut self, now: Now, is_cut: bool) {
        let heard_wall_ms = self.primary.as_ref().map_or(now.wall_ms, |link| self.unread_wall_ms(link));
        if is_cut && self.settings.linger_ms > 0 {
            self.brief_gap(now, heard_wall_ms, &Error::new(Code::TokenExpired, ErrorStage::Live, ""));
        }
    }

    /// Nothing more comes by the live socket's channel. A second one that is live already takes over at once; else what
    /// happens until there is one is missed.
    pub(super) fn runs_dry(&mut self, now: Now, error: &Error) {
        if let Some(at_ms) = self.standby.as_mut().and_then(|standby| standby.takes_over_ms.as_mut()) {
            *at_ms = now.boot_ms;
            return;
        }
        let live = self.primary.as_ref().filter(|link| link.is_live()).map(|link| self.unread_wall_ms(link));
        if let Some(heard_wall_ms) = live.filter(|_| !active(Mutant::DryIsNoGap)) {
            self.begin_gap(now, heard_wall_ms, error);
        }
    }

    /// A socket has just become the live one.
    fn settle(&mut self, now: Now) {
        self.channels.was_gone = false;
        self.end_gap(now);
        if self.primary.as_ref().is_some_and(|link| link.is_live() && link.closes_soon) {
            self.replace_soon(now);
        }
        self.keep_up(now);
    }

    pub(super) fn no_first_frame(&mut self, now: Now, epoch: u64) {
        let text = format!("No first frame within {} ms.", self.settings.heartbeat_timeout_ms);
        self.out.push_back(Output::Abort { epoch });
        self.lost(now, epoch, Error::new(Code::PeerDead, ErrorStage::Authenticate, text));
    }

    /// No frame for so long: heartbeats fail to come. Pongs of the WebSocket protocol may come from anything on the way.
    pub(super) fn silent(&mut self, now: Now, epoch: u64) {
        let text = format!("No frame within {} ms.", self.settings.heartbeat_timeout_ms);
        self.out.push_back(Output::Abort { epoch });
        self.lost(now, epoch, Error::new(Code::PeerDead, ErrorStage::Live, text));
    }

    /// A frame of the system. By a socket that is being left it means nothing any more, unless it was read late.
    pub(super) fn system_frame(&mut self, now: Now, epoch: u64, text: &[u8]) {
        let Some(frame) = frames::read(text) else {
            self.senseless += 1;
            return;
        };
        let Some(link) = self.link_mut(epoch) else { return self.late_frame(now, epoch, &frame) };
        link.text_ms = Some(now.boot_ms);
        match frame {
            Frame::Heartbeat | Frame::Pong => {}
            Frame::SocketClosing => self.socket_closing(now, epoch),
            Frame::NoLongerSubscribed { channel, reason } => {
                if let Some(epoch) = self.named(epoch, channel) {
                    self.no_longer_subscribed(now, epoch, &reason);
                }
            }
            Frame::TokenRevoked { channel } => {
                if let Some(epoch) = self.named(epoch, channel) {
                    self.token_revoked(now, epoch);
                }
            }
        }
        self.see_first_frames(now);
    }

    /// The old socket's channel may have ended before its successor had the topics, while the application read nothing.
    fn late_frame(&mut self, now: Now, epoch: u64, frame: &Frame) {
        let behind = |left: &&Leaving| left.epoch == epoch && left.successor.is_some() && left.is_behind;
        let left = self.leaving.iter().find(behind).filter(|_| !active(Mutant::LateNoticeIgnored));
        let Some(heard_wall_ms) = left.map(|left| left.heard_wall_ms) else { return };
        let code = match frame {
            Frame::NoLongerSubscribed { .. } => Code::Displaced,
            Frame::TokenRevoked { .. } => Code::TokenRevoked,
            _ => return,
        };
        self.brief_gap(now, heard_wall_ms, &Error::new(code, ErrorStage::Live, "The notice was read late."));
    }

    /// The link whose channel a frame names; one that names none is about the socket it came by. A channel that is not in use
    /// may have been ours: what happens to it is of no interest.
    fn named(&self, epoch: u64, channel: Option<String>) -> Option<u64> {
        let Some(id) = channel.map(Secret::new) else { return Some(epoch) };
        let mut links = self.primary.iter().chain(&self.standby);
        links.find(|link| link.channel.as_ref().is_some_and(|channel| channel.id == id)).map(|link| link.epoch)
    }

    fn socket_closing(&mut self, now: Now, epoch: u64) {
        if active(Mutant::ClosingIgnored) {
            return;
        }
        let Some(link) = self.link_mut(epoch) else { return };
        let again = std::mem::replace(&mut link.closes_soon, true);
        if link.is_live() && !again {
            self.replace_soon(now);
        }
    }

    /// The server will close the live socket: another takes over, after a delay that spreads its clients.
    fn replace_soon(&mut self, now: Now) {
        self.replacing = true;
        if self.standby.is_some() {
            return;
        }
        let soon = now.boot_ms + backoff::drain_ms(&mut self.dice);
        let at = self.dial_ms.map_or(soon, |at| at.min(soon));
        (self.draining, self.dial_ms) = (true, Some(at.max(self.not_before_ms)));
        self.why = ("the server goes away", None);
    }

    fn no_longer_subscribed(&mut self, now: Now, epoch: u64, reason: &str) {
        if reason == "user_tokens_revoked" {
            return self.token_revoked(now, epoch);
        }
        // While our own second channel subscribes to the same topics, the other channel is ours.
        let of_ours = self.standby.as_ref().is_some_and(|standby| standby.epoch != epoch && standby.is_subscribing());
        // Whatever the reason, the events go elsewhere, and nobody asked for that here.
        let text = if reason == "another_channel_subscribed" { "Another channel was subscribed." } else { "" };
        let error = Error::new(Code::Displaced, ErrorStage::Live, text);
        if of_ours {
            return self.runs_dry(now, &error);
        }
        self.displaced(now, error);
    }

    /// The token is no good for anything new, and its channel is dead. The socket lasts until the server ends it; the next
    /// token replaces it.
    fn token_revoked(&mut self, now: Now, epoch: u64) {
        let Some(link) = self.link_mut(epoch).filter(|link| !link.revoked) else { return };
        if active(Mutant::RevokedIgnored) {
            return;
        }
        link.revoked = true;
        let serial = link.serial();
        self.token.take_if(|token| token.serial == serial);
        self.out.push_back(Output::Refused { serial });
        let error = Error::new(Code::TokenRevoked, ErrorStage::Live, "");
        if let Some(standby) = self.standby.as_ref().filter(|standby| standby.serial() == serial) {
            let (dead, dialled) = (standby.epoch, standby.stage != Stage::Preparing);
            self.out.extend(dialled.then_some(Output::Abort { epoch: dead }));
            self.lost(now, dead, error.clone());
        }
        if self.primary.as_ref().is_some_and(|primary| primary.epoch == epoch) {
            self.runs_dry(now, &error);
        }
    }
}
