//! The rules of the session, told a second time: after every input, in every world, it must have done what this
//! model expects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::wires::{End, Socket};
use crate::audit::{Outcome, Phase, Record};
use crate::error::{Code, Error};
use crate::event::{Notice, State};
use crate::proto::frame::{self, AuthReply};
use crate::proto::refresher::News;
use crate::proto::session::{Input, Output, Rounds};
use crate::proto::time::Now;
use crate::proto::token::Token;

const DAY_MS: u64 = 24 * 3_600_000;

/// What one input brought.
#[derive(Debug, Default)]
struct Step {
    slept: bool,
    /// A socket that becomes live in this step has just been heard.
    was_live: Option<u64>,
    is_news_of_round: bool,
    must_mark: bool,
    marked: bool,
    pinged: bool,
    gave_up: bool,
    refused: Option<u64>,
    first_failed: bool,
    forbidden: bool,
    /// The live socket was lost: a renewal that was under way on it is no verdict on a token.
    lost: bool,
    resumed: bool,
    slept_started: bool,
    by_ms: Option<i64>,
    stepped: Option<i64>,
    strike: Option<(Code, String)>,
}

#[derive(Default)]
pub struct SocketLaws {
    once: bool,
    over: bool,
    live: Option<u64>,
    token: Option<Arc<Token>>,
    shown: BTreeMap<u64, Arc<Token>>,
    live_token: Option<Arc<Token>>,
    session_id: Option<String>,
    offered: bool,
    in_band_failed: bool,
    in_band_failures: u32,
    unable_until_ms: u64,
    strike: Option<(Code, String, u64)>,
    /// A throttled renewal is to be presented again by then.
    again_by_ms: Option<u64>,
    fetching_since: Option<u64>,
    slept_ms: u64,
    started: bool,
    /// Whether each renewal was in time.
    pub in_time: Vec<bool>,
    /// Tokens whose goal passed.
    pub missed: Vec<u64>,
    /// `token.lead_goal_ms`.
    lead_goal_ms: Option<u64>,
    not_before_ms: u64,
    /// Sockets that were left because a scope was lost.
    abandoned: BTreeSet<u64>,
    wall_minus_boot: Option<u64>,
    step: Step,
}

impl SocketLaws {
    /// `lead_goal_ms`: what `token.lead_goal_ms` says.
    pub fn new(lead_goal_ms: Option<u64>) -> Self {
        Self { lead_goal_ms, ..Self::default() }
    }

    pub fn before(&mut self, now: Now, input: &Input) {
        let slept_ms = now.boot_ms - now.awake_ms;
        let slept = slept_ms > self.slept_ms + 2_000;
        self.step = Step { slept, was_live: self.live, ..Step::default() };
        if self.step.slept {
            (self.slept_ms, self.again_by_ms) = (slept_ms, None);
        }
        let offset = now.wall_ms - now.boot_ms;
        let before = self.wall_minus_boot.replace(offset).unwrap_or(offset);
        let by_ms = offset as i64 - before as i64;
        self.step.by_ms = (by_ms.abs() > 2_000 && self.started).then_some(by_ms);
        self.step.slept_started = self.step.slept && self.started;
        self.started |= matches!(input, Input::Start(_));
        match input {
            Input::Start(rounds) => self.once |= *rounds == Rounds::Once && self.token.is_none(),
            Input::Publish(token) => {
                if self.token.as_ref().is_none_or(|held| held.serial < token.serial) {
                    self.token = Some(Arc::clone(token));
                }
                (self.fetching_since, self.again_by_ms) = (None, None);
            }
            Input::News(news) => {
                self.step.is_news_of_round =
                    matches!(news, News::RoundFailed { .. } | News::ScopesLost { .. } | News::Blocked { .. });
                let busy = matches!(news, News::Fetching | News::Verifying);
                self.fetching_since = busy.then(|| self.fetching_since.unwrap_or(now.boot_ms));
            }
            Input::Reply { text, .. } => {
                if let Some(AuthReply::Accepted { session_id: Some(id) }) = frame::read_reply(text) {
                    self.session_id = Some(id);
                }
            }
            Input::InBandUnable { until_ms } => self.unable_until_ms = *until_ms,
            Input::Close => self.over = true,
            _ => {}
        }
    }

    pub fn said(&mut self, now: Now, output: &Output, sockets: &BTreeMap<u64, Socket>) {
        match output {
            Output::Dial { hold, .. } => self.dialled(now, *hold, sockets),
            Output::SendAuth { epoch, frame } => self.presented(now, *epoch, frame.expose()),
            Output::Ping { epoch } => {
                self.step.pinged = true;
                let stalled = sockets.get(epoch).is_some_and(|socket| socket.stalled);
                assert!(!stalled || self.step.slept, "a socket that is not read is pinged");
            }
            Output::SendOn(None) => {
                (self.live, self.offered, self.in_band_failed, self.again_by_ms) = (None, false, false, None);
            }
            Output::SendOn(Some(epoch)) => {
                (self.live, self.again_by_ms) = (Some(*epoch), None);
                self.live_token = self.shown.get(epoch).cloned();
                self.shown.retain(|other, _| other >= epoch);
            }
            // Nothing takes over from a socket that is left while none is in use.
            Output::Leave { epoch, .. } if self.live.is_none() => _ = self.abandoned.insert(*epoch),
            Output::Renewed { in_time, handover, .. } => {
                if let (Some(old), false) = (&self.live_token, handover) {
                    assert_eq!(*in_time, !self.is_late(now, old), "the service level");
                }
                self.in_time.push(*in_time);
                self.renewed(now, *handover);
            }
            Output::GoalMissed { serial } => {
                assert!(self.missed.last().is_none_or(|last| last < serial), "goal {serial} missed twice");
                self.missed.push(*serial);
            }
            Output::MarkInBandUnable => self.step.marked = true,
            Output::Refused { serial } | Output::GiveUp { serial, .. } => {
                self.step.gave_up = matches!(output, Output::GiveUp { .. });
                self.step.refused = Some(*serial);
                self.in_band_failed = false;
            }
            Output::Notice(Notice::Resumed(_)) => self.step.resumed = true,
            Output::Notice(Notice::ClockStep(step)) => self.step.stepped = Some(step.by_ms),
            Output::Notice(Notice::Handover(handover)) => {
                let from = sockets.get(&handover.from_connection).map(|socket| socket.end);
                assert!(matches!(from, None | Some(End::Gone)), "handed over before the old socket was read out");
            }
            Output::Audit(record) => self.audited(now, record),
            Output::Connected => self.once = false,
            Output::Failed { .. } => self.over = true,
            _ => {}
        }
    }

    fn dialled(&mut self, now: Now, hold: bool, sockets: &BTreeMap<u64, Socket>) {
        assert!(now.boot_ms >= self.not_before_ms, "dialled before Retry-After");
        assert_eq!(hold, self.live.is_some(), "messages of a second socket, and only those, are held back");
        let leaves = |(epoch, socket): (&u64, &Socket)| {
            socket.end == End::Leaving && socket.accepted.is_some() && !self.abandoned.contains(epoch)
        };
        assert!(!sockets.iter().any(leaves), "dialled before a hand-over was done");
        let token = self.token.as_ref().filter(|token| token.schedule.usable_ms > now.boot_ms);
        let Some(token) = token else {
            return assert!(self.live.is_none(), "a second socket is dialled ahead of its token");
        };
        let late = self.fetching_since.filter(|_| now.boot_ms >= token.schedule.mandatory_ms);
        let early = late.is_some_and(|since| now.boot_ms < since.max(token.schedule.mandatory_ms) + 5_000);
        assert!(!early, "dialled with an old token while a new one is on its way");
        self.again_by_ms = None;
    }

    fn presented(&mut self, now: Now, epoch: u64, frame: &str) {
        self.again_by_ms = None;
        if self.live == Some(epoch) {
            self.offered = true;
            assert!(now.boot_ms >= self.unable_until_ms, "renewed in band although the endpoint is marked");
        } else if let Some(id) = &self.session_id {
            assert!(frame.contains(&format!("\"sessionId\":\"{id}\"")), "the session id is not offered again");
        }
        self.shown.extend(self.token.clone().map(|token| (epoch, token)));
    }

    fn renewed(&mut self, now: Now, handover: bool) {
        if !handover {
            (self.offered, self.in_band_failures) = (false, 0);
            self.live_token = self.live.and_then(|live| self.shown.get(&live).cloned());
        } else if std::mem::take(&mut self.in_band_failed) {
            self.in_band_failures += 1;
            self.step.must_mark = self.in_band_failures >= 2;
        }
        if self.step.must_mark {
            (self.in_band_failures, self.unable_until_ms) = (0, now.boot_ms + DAY_MS);
        }
    }

    fn audited(&mut self, now: Now, record: &Record) {
        match record {
            Record::ConnectionLost { .. } => self.step.lost = true,
            Record::Attempt { outcome: Outcome::Success { .. }, .. } => self.strike = None,
            Record::Attempt { outcome: Outcome::Failure(error), phase, .. } => {
                self.step.first_failed |= *phase == Phase::First;
                if !self.step.is_news_of_round {
                    self.attempt_failed(now, error, *phase);
                }
            }
            _ => {}
        }
    }

    fn attempt_failed(&mut self, now: Now, error: &Error, phase: Phase) {
        if phase == Phase::Renewal && self.offered && self.live.is_some() {
            self.offered = false;
            if error.code() != Code::AuthThrottled {
                self.in_band_failed = true;
                return;
            }
            self.again_by_ms = Some(now.boot_ms + 30_000);
            return;
        }
        self.not_before_ms = error.retry_after_ms().map_or(self.not_before_ms, |asked| now.boot_ms + asked);
        self.step.forbidden |= error.code() == Code::UpgradeForbidden && self.token.is_some();
        if self.step.lost {
            return;
        }
        let closed = error.code() == Code::WsClosed && [1008, 4401, 4403].contains(&error.detail().ws_close_code);
        match error.code() {
            Code::AuthRefused => self.step.strike = Some((Code::AuthRefused, words(&error.detail().message))),
            _ if closed => self.step.strike = Some((Code::AuthRefused, words(&error.detail().message))),
            Code::UpgradeUnauthorized => self.step.strike = Some((error.code(), words(&error.detail().message))),
            _ => {}
        }
    }

    pub fn after(&mut self, now: Now, state: State) {
        let step = std::mem::take(&mut self.step);
        assert_eq!(step.must_mark, step.marked, "an endpoint is marked after two failures in band");
        if let Some(serial) = step.refused {
            self.struck(now, &step, serial);
            self.token.take_if(|token| token.serial == serial);
        }
        if self.over {
            return;
        }
        assert_eq!((step.slept_started, step.by_ms), (step.resumed, step.stepped), "of sleep or step nobody hears");
        let once = self.once && step.is_news_of_round && step.first_failed;
        assert!(!once, "connect goes on after a round that failed");
        let unprobed = step.slept && self.live.is_some() && self.live == step.was_live && !step.pinged;
        assert!(!unprobed, "no probe after a suspend");
        assert!(self.again_by_ms.is_none_or(|by| now.boot_ms <= by), "a throttled renewal is forgotten");
        if let (Some(token), State::Ready | State::Renewing) = (&self.live_token, state) {
            assert!(!self.is_late(now, token), "nobody hears that the goal is missed");
        }
    }

    /// Whether a token ought to have been replaced by now.
    fn is_late(&self, now: Now, token: &Token) -> bool {
        let times = token.schedule;
        let left_ms = times.expires_ms.saturating_sub(now.boot_ms);
        match self.lead_goal_ms {
            Some(goal_ms) => {
                let lead_ms = times.expires_ms - times.refresh_ms;
                left_ms <= goal_ms.min(lead_ms / 2) || now.boot_ms >= times.usable_ms
            }
            None if times.refresh_ms < times.mandatory_ms => now.boot_ms >= times.mandatory_ms,
            None => now.boot_ms >= times.usable_ms,
        }
    }

    /// Two different tokens that were refused alike are two strikes, unless a newer one is here.
    fn struck(&mut self, now: Now, step: &Step, serial: u64) {
        assert!(step.gave_up || !step.forbidden, "tried again although it is forbidden");
        let Some((code, words)) = step.strike.clone() else { return };
        let newest =
            self.token.as_ref().is_none_or(|token| token.serial <= serial || token.schedule.usable_ms <= now.boot_ms);
        let alike = |(first, said, other): &(Code, String, u64)| *first == code && *said == words && *other != serial;
        let two = self.strike.as_ref().is_some_and(alike) && newest;
        assert!(two || !step.gave_up, "fewer than two strikes end it");
        self.strike = (!step.gave_up).then_some((code, words, serial));
    }
}

/// What two refusals have in common whose numbers differ.
fn words(text: &str) -> String {
    text.split_whitespace().filter(|word| !word.bytes().any(|byte| byte.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}
