//! What must be true after every step, in every world.

mod messages;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::record_laws::RecordLaws;
use super::server::Nature;
use super::wires::{End, Socket};
use crate::audit::{Outcome, Phase, Record};
use crate::config::settings::Settings;
use crate::error::{Code, Stage};
use crate::event::{Gap, Question, ScopesChanged, State, StateChange};
use crate::proto::dice::Dice;
use crate::proto::oauth::Granted;
use crate::proto::refresher::{self, News};
use crate::proto::session;
use crate::proto::time::Now;
use crate::proto::token::Token;

/// An attempt takes at most: connect 10 s, slow network, auth 10 s. Stalls and suspends come on top.
const ATTEMPT_MAX_MS: u64 = 60_000;

#[derive(Default)]
pub struct Watch {
    settings: Arc<Settings>,
    lifetime_ms: u64,
    answers: bool,
    // What was seen, for stories.
    pub states: Vec<StateChange>,
    pub attempts: Vec<(Phase, bool, u64)>,
    pub errors: Vec<crate::error::Error>,
    pub records: Vec<Record>,
    pub gaps: Vec<Gap>,
    pub handovers: Vec<(u64, u64)>,
    pub received: Vec<(u64, u64)>,
    pub renewals: Vec<(u64, bool)>,
    pub asks: Vec<(u64, Question)>,
    pub tokens: Vec<(u64, Arc<Token>)>,
    pub refreshes: Vec<u64>,
    pub dials: Vec<u64>,
    pub pings: u32,
    pub answers_given: Vec<(u64, u64, bool)>,
    pub failed: Vec<crate::error::Error>,
    pub marked: u32,
    pub connected: u32,
    pub give_ups: u32,
    pub stopped: (u32, u32),
    pub send_on: Option<u64>,
    pub order: Vec<String>,
    // What is checked.
    state: State,
    in_flight: bool,
    /// The application was asked for a token, and the attempt goes on.
    token_asked: bool,
    not_before_ms: u64,
    sent_refresh: BTreeSet<String>,
    granted: Option<String>,
    /// The application replaced the refresh token while a request was in flight.
    replaced: bool,
    last_epoch: u64,
    live: Option<(u64, u64)>,
    trying: BTreeMap<u64, u64>,
    /// The token the session holds.
    held: Option<Arc<Token>>,
    /// The socket that was dialled ahead of its token.
    ahead: Option<u64>,
    ahead_before: bool,
    fetching_since: Option<u64>,
    is_blocked: bool,
    pub slept: u32,
    pub steps: Vec<i64>,
    pub changes: Vec<ScopesChanged>,
    presented: BTreeMap<u64, u64>,
    refused: BTreeSet<u64>,
    /// Refused, or given up with its credentials.
    dropped: BTreeSet<u64>,
    now_trying: usize,
    ended: usize,
    audited: usize,
    is_news_of_round: bool,
    is_timeout: bool,
    is_quiet: bool,
    requests: VecDeque<u64>,
    recent_dials: VecDeque<u64>,
    acted: VecDeque<u64>,
    open_wishes: BTreeSet<u64>,
    lost: Vec<(u64, u64, u64)>,
    first_ready_ms: Option<u64>,
    closing_ms: Option<u64>,
    last_delivered: (u64, u64),
    gap_open: bool,
    pub on_record: RecordLaws,
    pub loose_clock: bool,
    /// The wall clock was set: times of gaps say little.
    pub stepped: bool,
}

impl Watch {
    pub fn new(settings: Arc<Settings>, nature: &Nature) -> Self {
        Self { settings, lifetime_ms: nature.lifetime_ms, answers: nature.answers, ..Self::default() }
    }

    pub fn provided(&mut self, refresh_token: &str) {
        self.sent_refresh.insert(refresh_token.to_owned());
        self.replaced = self.in_flight;
    }

    /// The application asks for something that may lead to a request of its own.
    pub fn app_acted(&mut self, now_ms: u64) {
        self.acted.push_back(now_ms);
    }

    // ---- refresher ------------------------------------------------------------------------------------------

    pub fn before_refresher(&mut self, now_ms: u64, input: &refresher::Input) {
        match input {
            // Requests count from 1: 0 is an answer that nobody waits for.
            refresher::Input::Replied { epoch, outcome } if *epoch > 0 => {
                self.in_flight = false;
                let replaced = std::mem::take(&mut self.replaced);
                let reply = outcome.as_ref().ok().filter(|_| !replaced && self.stopped.0 == 0);
                self.granted = reply.and_then(|reply| self.refresh_token_of(reply));
            }
            refresher::Input::Wanted { id, .. } => {
                self.app_acted(now_ms);
                self.open_wishes.insert(*id);
            }
            refresher::Input::Answered { .. } => self.app_acted(now_ms),
            _ => {}
        }
    }

    fn refresh_token_of(&self, reply: &crate::proto::http::Reply) -> Option<String> {
        let granted: Granted = crate::proto::oauth::read(reply.clone(), &self.settings, &[], 0).ok()?;
        let text = granted.refresh_token?.expose().to_owned();
        (self.answers && !self.sent_refresh.contains(&text)).then_some(text)
    }

    pub fn refresher_said(&mut self, now_ms: u64, output: &refresher::Output, dice: &mut Dice) {
        use refresher::Output as O;
        match output {
            O::Audit(record) => super::hides_secrets_of(record, dice),
            other => super::keeps_secrets(other, dice),
        }
        assert_eq!(self.stopped.0, 0, "after Stopped: {output:?}");
        self.on_record.refresher_said(output);
        match output {
            O::Http { .. } => {
                assert!(!self.in_flight, "two token requests in flight");
                assert!(now_ms >= self.not_before_ms, "a request before Retry-After");
                self.in_flight = true;
                self.bounded_requests(now_ms);
                self.refreshes.push(now_ms);
            }
            O::Publish(token) => {
                let newest = self.tokens.last().map_or(0, |(_, token)| token.serial);
                assert!(token.serial >= newest, "an older token is published");
                if let (true, Some(text)) = (self.answers, &token.refresh_token) {
                    let known = text.expose() == "hush-r0" || self.sent_refresh.contains(text.expose());
                    assert!(known, "published before the application got the refresh token");
                }
                if token.serial > newest {
                    self.tokens.push((now_ms, Arc::clone(token)));
                }
            }
            O::Ask { id, question } => {
                if *question == Question::AccessToken {
                    assert!(!self.token_asked, "two questions for a token are open");
                    assert!(now_ms >= self.not_before_ms, "a question before Retry-After");
                    self.token_asked = true;
                    self.bounded_requests(now_ms);
                    self.refreshes.push(now_ms);
                }
                if let Question::PersistRefreshToken(text) = question {
                    self.sent_refresh.insert(text.expose().to_owned());
                    self.granted.take_if(|granted| granted == text.expose());
                }
                self.asks.push((*id, question.clone()));
            }
            O::Audit(record) => self.records.push(record.clone()),
            O::Answer { id, outcome } => {
                assert!(self.open_wishes.remove(id), "wish {id} answered twice");
                if let Ok(token) = outcome {
                    assert!(token.is_usable(now_ms), "a dead token is handed out");
                }
                self.answers_given.push((now_ms, *id, outcome.is_ok()));
            }
            O::Stopped => self.stopped.0 += 1,
            O::News(News::Throttled { error, .. }) => {
                self.not_before_ms = now_ms + error.retry_after_ms().unwrap_or(0);
            }
            O::News(News::Waiting | News::Verifying | News::Blocked { .. }) => self.token_asked = false,
            O::News(_) | O::Sign { .. } | O::ServerClock { .. } | O::LoadStore { .. } | O::Store(_) | O::FreeStore => {}
        }
    }

    /// `failed`: attempts, as the machine counts them.
    pub fn after_refresher(&mut self, failed: u64) {
        assert!(self.granted.is_none(), "the refresh token of an answer is lost");
        self.on_record.after_refresher(failed);
    }

    /// A hot loop is impossible: at most the breaker's pace, and what somebody asked for.
    fn bounded_requests(&mut self, now_ms: u64) {
        let window = 60_000;
        for times in [&mut self.requests, &mut self.acted] {
            while times.front().is_some_and(|at| at + window < now_ms) {
                times.pop_front();
            }
        }
        self.requests.push_back(now_ms);
        let pace = (self.lifetime_ms / 20).clamp(50, 20_000);
        let bound = 14 + window / pace + 2 * self.acted.len() as u64;
        assert!(self.requests.len() as u64 <= bound, "{} token requests in a minute", self.requests.len());
    }

    // ---- session --------------------------------------------------------------------------------------------

    pub fn before_session(&mut self, now_ms: u64, input: &session::Input) {
        use session::Input as I;
        self.on_record.before_session(input);
        (self.ended, self.audited) = (0, 0);
        self.now_trying = self.trying.len();
        self.is_news_of_round =
            matches!(input, I::News(News::RoundFailed { .. } | News::ScopesLost { .. } | News::Blocked { .. }));
        self.is_timeout = matches!(input, I::Timeout);
        self.is_quiet = self.closing_ms.is_some() || !self.failed.is_empty();
        self.is_blocked = matches!(input, I::News(News::Blocked { .. }));
        match input {
            I::Publish(token) if self.held.as_ref().is_none_or(|held| held.serial < token.serial) => {
                self.held = Some(Arc::clone(token));
                (self.fetching_since, self.ahead_before) = (None, false);
                if let Some(epoch) = self.ahead.take_if(|_| token.is_usable(now_ms)) {
                    self.trying.insert(epoch, now_ms);
                }
            }
            I::News(news) => {
                let since = self.fetching_since.unwrap_or(now_ms);
                self.fetching_since = match news {
                    News::Fetching => Some(now_ms),
                    News::Verifying => Some(since),
                    _ => None,
                };
            }
            I::Failed { epoch, error } if self.ahead == Some(*epoch) => {
                self.ahead = None;
                // What the server says is an attempt, token or not, unless it is the token that it misses.
                let answer = error.detail().stage == Stage::Upgrade && error.code() != Code::UpgradeUnauthorized;
                self.ended += usize::from(answer);
            }
            I::Closed { epoch, .. } | I::Dropped { epoch, .. } if self.ahead == Some(*epoch) => self.ahead = None,
            I::Failed { epoch, .. } | I::Closed { epoch, .. } | I::Dropped { epoch, .. } | I::Reply { epoch, .. } => {
                self.end_attempt(*epoch);
            }
            // Time during which a socket is not read does not count.
            I::Resumed { epoch } => {
                self.trying.entry(*epoch).and_modify(|since| *since = now_ms);
            }
            I::Close => self.closing_ms = Some(now_ms),
            _ => {}
        }
    }

    fn end_attempt(&mut self, epoch: u64) {
        self.ended += usize::from(self.trying.remove(&epoch).is_some());
    }

    pub fn session_said(
        &mut self,
        now: Now,
        output: &session::Output,
        sockets: &BTreeMap<u64, Socket>,
        dice: &mut Dice,
    ) {
        use session::Output as O;
        match output {
            O::Audit(record) => super::hides_secrets_of(record, dice),
            other => super::keeps_secrets(other, dice),
        }
        assert_eq!(self.stopped.1, 0, "after Stopped: {output:?}");
        self.on_record.session_said(output);
        match output {
            O::Dial { epoch, .. } => self.dialled(now, *epoch, sockets),
            O::Upgrade { epoch } => self.upgrades(now, *epoch),
            O::SendAuth { epoch, frame } => self.presents(now, *epoch, frame.expose()),
            O::Ping { .. } => self.pings += 1,
            O::Release { epoch } => self.order.push(format!("release {epoch}")),
            O::Leave { epoch, .. } => {
                self.ahead.take_if(|ahead| ahead == epoch);
                self.end_attempt(*epoch);
            }
            O::Abort { epoch } => {
                self.ahead.take_if(|ahead| ahead == epoch);
                self.end_attempt(*epoch);
                self.live.take_if(|(live, _)| live == epoch);
            }
            O::SendOn(epoch) => self.send_on = *epoch,
            O::Notice(notice) => self.noticed(notice),
            O::Refused { serial } => {
                self.refused.insert(*serial);
                self.dropped.insert(*serial);
            }
            O::GiveUp { serial, .. } => {
                self.give_ups += 1;
                self.dropped.insert(*serial);
            }
            O::Audit(record) => self.audit(record),
            O::Renewed { lead_ms, handover, .. } => self.renewals.push((*lead_ms, *handover)),
            O::GoalMissed { .. } => {}
            O::Rest { .. } | O::DropRest { .. } | O::AskSpare | O::ReturnSpare => {
                panic!("not of this profile: {output:?}")
            }
            O::TryAgain => panic!("no password is replaced here"),
            O::MarkInBandUnable => self.marked += 1,
            O::Connected => {
                self.connected += 1;
                self.first_ready_ms.get_or_insert(now.boot_ms);
                assert!(!self.is_quiet, "connected after the end");
            }
            O::Failed { error, .. } => self.failed.push(error.clone()),
            O::Stopped { .. } => self.stopped.1 += 1,
        }
    }

    fn dialled(&mut self, now: Now, epoch: u64, sockets: &BTreeMap<u64, Socket>) {
        assert!(epoch > self.last_epoch, "epoch {epoch} is not new");
        assert!(!self.is_quiet, "dialled after the end");
        self.last_epoch = epoch;
        let in_use = sockets.values().filter(|socket| matches!(socket.end, End::Dialing | End::Open)).count();
        assert!(in_use < 2, "a third socket");
        if self.is_held(now) {
            self.trying.insert(epoch, now.boot_ms);
        } else {
            assert!(self.settings.overlap && self.fetching_since.is_some(), "dialled without a token on its way");
            assert!(!self.ahead_before, "dialled ahead of the same token again");
            (self.ahead, self.ahead_before) = (Some(epoch), true);
        }
        self.dials.push(now.boot_ms);
        while self.recent_dials.front().is_some_and(|at| at + 60_000 < now.boot_ms) {
            self.recent_dials.pop_front();
        }
        self.recent_dials.push_back(now.boot_ms);
        let bound = 40 + 120_000 / self.lifetime_ms.max(1_000);
        assert!(self.recent_dials.len() as u64 <= bound, "{} dials in a minute", self.recent_dials.len());
    }

    /// Whether the session has a token that it may show.
    fn is_held(&self, now: Now) -> bool {
        let good = |token: &Arc<Token>| token.is_usable(now.boot_ms) && !self.dropped.contains(&token.serial);
        self.held.as_ref().is_some_and(good)
    }

    fn upgrades(&self, now: Now, epoch: u64) {
        if self.ahead == Some(epoch) {
            let soon = self.fetching_since.is_some_and(|since| now.boot_ms < since + 2_500);
            assert!(soon, "upgraded although the token is slow");
        }
    }

    fn presents(&mut self, now: Now, epoch: u64, frame: &str) {
        let shown = |token: &Token| frame.contains(&format!("\"{}\"", token.access_token.expose()));
        let (_, token) = self.tokens.iter().rev().find(|(_, token)| shown(token)).expect("a token nobody published");
        assert!(token.schedule.usable_ms > now.boot_ms, "token {} presented after t_usable", token.serial);
        assert!(!self.refused.contains(&token.serial), "token {} presented after it was refused", token.serial);
        if self.live.is_some_and(|(live, _)| live == epoch) {
            let (_, standby) = (epoch, self.trying.keys().any(|other| *other != epoch));
            assert!(!standby, "renewed in band while a second socket is on its way");
        }
        self.presented.insert(epoch, token.schedule.usable_ms);
        self.trying.entry(epoch).or_insert(now.boot_ms);
    }

    fn audit(&mut self, record: &Record) {
        // The clocks are looked at before the close is.
        let clocks = matches!(record, Record::ClockStepped { .. } | Record::Resumed { .. });
        let ends = clocks || matches!(record, Record::Closed | Record::Attempt { .. } | Record::SocketClosed { .. });
        assert!(self.closing_ms.is_none() || ends, "{record:?} after the end");
        if let Record::Attempt { phase, outcome, latency_ms, .. } = record {
            self.audited += 1;
            let success = matches!(outcome, Outcome::Success { .. });
            assert!(!(self.is_quiet && success), "a success after the end");
            let first = self.attempts.iter().any(|(_, success, _)| *success);
            let odd =
                *phase == Phase::First && first || *phase != Phase::First && self.connected == 0 && success && !first;
            assert!(!odd, "{phase:?} {outcome:?}");
            self.attempts.push((*phase, success, *latency_ms));
            if let Outcome::Failure(error) = outcome {
                self.errors.push(error.clone());
            }
        }
        self.records.push(record.clone());
    }

    pub fn after_session(&mut self, now_ms: u64, sockets: &BTreeMap<u64, Socket>, state: State) {
        assert_eq!(state, self.state);
        self.on_record.after_session(|epoch| sockets.get(&epoch).is_none_or(|socket| socket.end == End::Gone));
        self.check_audits(now_ms, sockets);
        if let Some(epoch) = self.send_on {
            assert_eq!(sockets.get(&epoch).map(|socket| socket.end), Some(End::Open), "SendOn names a dead socket");
            let usable = self.presented.get(&epoch).copied().unwrap_or(0);
            let latest = usable + self.settings.expired_grace_ms + 1_000 + self.lifetime_ms;
            assert!(now_ms <= latest, "a socket outlives its token");
        }
        let flows = self.send_on.is_some();
        let shown = state.is_live() && self.closing_ms.is_none() || flows && state == State::Draining;
        assert_eq!(shown, flows, "{state:?} and SendOn disagree");
        assert!(!(self.is_blocked && self.ahead.is_some()), "a socket waits for a token that will not come");
        if self.stopped.1 == 0 && self.closing_ms.is_none() && self.connected > 0 {
            assert_eq!(self.gap_open, self.send_on.is_none(), "gap and life disagree");
        }
    }

    /// Every attempt that ended is audited once, in the step in which it ended.
    fn check_audits(&mut self, now_ms: u64, sockets: &BTreeMap<u64, Socket>) {
        if self.closing_ms.is_some() || !self.failed.is_empty() {
            return;
        }
        let expected = self.ended + usize::from(self.is_news_of_round);
        if self.is_timeout && self.audited == expected + 1 {
            // A renewal in band was not acknowledged in time; its socket lives on.
            let live = self.send_on.expect("an attempt ended that never began");
            assert!(self.trying.remove(&live).is_some(), "an attempt ended that never began");
        } else {
            assert_eq!(self.audited, expected, "attempts ended and audits differ at {now_ms}");
        }
        for (epoch, since) in &self.trying {
            let socket = sockets.get(epoch);
            assert!(socket.is_some_and(|socket| socket.end != End::Gone), "the attempt on {epoch} never ended");
            let stalled = socket.is_some_and(|socket| socket.stalled) || self.loose_clock;
            assert!(stalled || now_ms <= since + ATTEMPT_MAX_MS, "the attempt on {epoch} takes too long");
        }
    }

    /// Wishes that nobody has answered.
    pub fn wishes_open(&self) -> usize {
        self.open_wishes.len()
    }

    /// Forgets what only stories look at, so that a long walk stays small.
    pub fn forget(&mut self) {
        self.order.clear();
        self.received.clear();
        let (live, newest) = (self.send_on, self.last_epoch);
        self.presented.retain(|epoch, _| Some(*epoch) == live || *epoch == newest);
        self.tokens.drain(..self.tokens.len().saturating_sub(50));
    }
}
