//! Machine 2: when to dial, authenticate, renew, replace, wait, leave.
//!
//! Up to two sockets are in use at once: the *primary*, which carries the application's messages, and a *standby*
//! that is being authenticated to take over when the server cannot renew on the primary. Sockets that were left
//! are read out and closed. Every socket has an epoch; a fact about an epoch that is gone is ignored.
//!
//! The state that the application sees is not stored: [`state`] derives it after every input, so it cannot
//! disagree with what the machine is doing.

mod auth;
mod io;
mod link;
mod loss;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;

pub use self::io::{Input, Output, Rounds};
use self::link::{Leaving, Link, Stage};
use super::backoff::Reconnect;
use super::dice::Dice;
use super::mutant::{active, Mutant};
use super::refresher::News;
use super::time::Now;
use super::token::Token;
use crate::audit::{Outcome, Phase, Record};
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::{Gap, Notice, State};

/// New work waits this long for a token request in flight once the old token is near its end.
const MANDATORY_WAIT_MS: u64 = 5_000;
/// The boot clock ran ahead of the awake clock by more than this: the machine was suspended.
const SUSPEND_MS: u64 = 2_000;

/// Whose a text is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// The reply to our auth frame: feed it back as [`Input::Reply`].
    Ours,
    /// The application's: deliver it untouched.
    Application,
}

/// What the refresher last said, as far as it matters here.
#[derive(Clone, Debug)]
enum Trouble {
    Throttled { until_ms: u64 },
    Blocked(Error),
}

/// An authentication error and the token it was about: the same with another token is two strikes.
#[derive(Clone, Debug)]
struct Strike {
    serial: u64,
    message: String,
}

impl Strike {
    /// Whether this and the other make two.
    fn alike(&self, message: &str, serial: u64) -> bool {
        self.message == message && self.serial != serial && !active(Mutant::NoTwoStrikes)
    }
}

/// The machine that keeps a socket authenticated. See the [module](self).
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    rounds: Rounds,
    started: bool,
    closing: bool,
    clean: bool,
    stopped: bool,
    failed: Option<Error>,

    /// The newest token; forgotten when it is refused or can no longer be used.
    token: Option<Arc<Token>>,
    /// Serial of the newest token that was published.
    seen_serial: u64,
    /// Whether the scopes of the newest token were checked and allowed.
    verified: bool,
    fetching: bool,
    verifying: bool,
    trouble: Option<Trouble>,
    strike: Option<Strike>,

    epoch: u64,
    primary: Option<Link>,
    standby: Option<Link>,
    leaving: Vec<Leaving>,
    session_id: Option<String>,

    reconnect: Reconnect,
    /// When the next dial is due: of the primary, or of the standby while the primary is live.
    dial_ms: Option<u64>,
    draining: bool,
    calm_ms: Option<u64>,
    hold_ms: Option<u64>,
    /// When a throttled renewal is presented again.
    renew_ms: Option<u64>,

    /// Renewals in a row that the server could do only on a second socket.
    in_band_failures: u32,
    /// The renewal under way had failed in band before the standby was opened.
    in_band_failed: bool,
    in_band_unable_until_ms: u64,

    ever_ready: bool,
    attempt_ms: Option<u64>,
    round_failures: u32,
    gap: Option<Gap>,
    gap_boot_ms: u64,
    gaps: u64,

    slept_ms: u64,
    /// When the token of the live socket changes what is shown or done.
    age_ms: Option<u64>,
    shown: State,
    shown_reason: &'static str,
    why: (&'static str, Option<Error>),
    senseless: u64,
    dice: Dice,
    out: VecDeque<Output>,
}

impl Session {
    /// A machine at rest. `session_id` is offered when a session is to be resumed.
    pub fn new(settings: Arc<Settings>, session_id: Option<String>) -> Self {
        Self {
            settings,
            rounds: Rounds::Forever,
            started: false,
            closing: false,
            clean: true,
            stopped: false,
            failed: None,
            token: None,
            seen_serial: 0,
            verified: false,
            fetching: false,
            verifying: false,
            trouble: None,
            strike: None,
            epoch: 0,
            primary: None,
            standby: None,
            leaving: Vec::new(),
            session_id,
            reconnect: Reconnect::default(),
            dial_ms: None,
            draining: false,
            calm_ms: None,
            hold_ms: None,
            renew_ms: None,
            in_band_failures: 0,
            in_band_failed: false,
            in_band_unable_until_ms: 0,
            ever_ready: false,
            attempt_ms: None,
            round_failures: 0,
            gap: None,
            gap_boot_ms: 0,
            gaps: 0,
            slept_ms: 0,
            age_ms: None,
            shown: State::Idle,
            shown_reason: "",
            why: ("", None),
            senseless: 0,
            dice: Dice::new(0),
            out: VecDeque::new(),
        }
    }

    /// Takes a fact in. `random` feeds the jitter.
    pub fn handle(&mut self, now: Now, random: u64, input: Input) {
        self.dice = Dice::new(random);
        if self.stopped {
            self.senseless += 1;
            return;
        }
        self.look_at_clocks(now);
        match input {
            Input::Start(_)
            | Input::Publish(_)
            | Input::News(_)
            | Input::Opened { .. }
            | Input::Reply { .. }
            | Input::InBandUnable { .. }
                if self.is_over() =>
            {
                self.senseless += 1;
            }
            Input::Start(rounds) => self.start(now, rounds),
            Input::Publish(token) => self.publish(now, token),
            Input::News(news) => self.news(now, news),
            Input::Opened { epoch } => self.opened(now, epoch),
            Input::Failed { epoch, error } => self.lost(now, epoch, error),
            Input::Reply { epoch, text } => self.reply(now, epoch, &text),
            Input::Closed { epoch, code, reason } => self.peer_closed(now, epoch, code, &reason),
            Input::Dropped { epoch, error } => self.lost(now, epoch, error),
            Input::Drained { epoch, clean } => self.drained(now, epoch, clean),
            Input::Stalled { epoch } => self.stalled(now, epoch),
            Input::Resumed { epoch } => self.resumed(now, epoch),
            Input::InBandUnable { until_ms } => self.in_band_unable_until_ms = until_ms,
            Input::Close => self.close(now),
            Input::Timeout => self.timeout(now),
        }
        if !self.closing {
            self.drop_expired(now);
        }
        self.dial_if_due(now);
        self.show(now);
        self.age_ms = self.next_age_ms(now);
    }

    /// Tokens end whatever else happens; after a suspend the token is looked at first, the socket probed second.
    fn look_at_clocks(&mut self, now: Now) {
        let over = |token: &Token| !token.is_usable(now.boot_ms) && !active(Mutant::ExpiredPresented);
        let ended = self.token.take_if(|token| over(token)).is_some();
        if self.closing {
            return;
        }
        if let (true, None, Some(Trouble::Blocked(error))) = (ended, &self.primary, &self.trouble) {
            let error = error.clone();
            self.fail_if_once(error);
        }
        self.drop_expired(now);
        let Some(slept_ms) = self.newly_slept_ms(now) else { return };
        self.slept_ms += slept_ms;
        for link in self.primary.iter_mut().chain(&mut self.standby) {
            link.woke(now.boot_ms, slept_ms);
            if link.is_live() {
                link.pinged_ms = Some(now.boot_ms);
                self.out.push_back(Output::Ping { epoch: link.epoch });
            }
        }
    }

    /// How long the machine slept since this was last looked at, if it did.
    fn newly_slept_ms(&self, now: Now) -> Option<u64> {
        let slept_ms = now.boot_ms.saturating_sub(now.awake_ms).saturating_sub(self.slept_ms);
        (slept_ms > SUSPEND_MS && !active(Mutant::SuspendIgnored)).then_some(slept_ms)
    }

    /// Only the end of sockets is still of interest.
    fn is_over(&self) -> bool {
        (self.closing || self.failed.is_some()) && !active(Mutant::DialAfterEnd)
    }

    /// The next order, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due, in boot milliseconds.
    pub fn next_timeout(&self) -> Option<u64> {
        let settings = &*self.settings;
        let leaving = self.leaving.iter().map(Leaving::deadline_ms).min();
        if self.closing {
            return leaving;
        }
        let of_link = |link: &Link| {
            let timers = [link.auth_deadline_ms(settings), link.ping_ms(settings), link.dead_ms(settings)];
            timers.into_iter().flatten().min()
        };
        let links = self.primary.iter().chain(&self.standby).filter_map(of_link).min();
        let own = [leaving, links, self.dial_wake_ms(), self.calm_ms, self.renew_ms, self.age_ms];
        own.into_iter().flatten().min()
    }

    /// Whose this text is. Cheap unless a reply is awaited on this socket.
    pub fn judge(&self, epoch: u64, text: &[u8]) -> Whose {
        let awaited = self.link(epoch).is_some_and(Link::awaits_reply);
        if awaited && text.len() <= self.settings.max_auth_reply_bytes && super::frame::read_reply(text).is_some() {
            return Whose::Ours;
        }
        Whose::Application
    }

    /// Bytes arrived on this socket, of whatever kind.
    pub fn heard(&mut self, now: Now, epoch: u64) {
        let awake = self.newly_slept_ms(now).is_none();
        if let Some(link) = self.link_mut(epoch) {
            link.heard(now, awake);
        }
    }

    /// Whether a reply or a pong is awaited on this socket: then it is read past the bound of the event queue.
    pub fn awaits(&self, epoch: u64) -> bool {
        self.link(epoch).is_some_and(|link| link.awaits_reply() || link.pinged_ms.is_some())
    }

    /// The state the application was last told.
    pub fn state(&self) -> State {
        self.shown
    }

    /// The session id the server gave last: offered again by a later session of the same client.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// Inputs that made no sense in their state.
    pub fn senseless(&self) -> u64 {
        self.senseless
    }

    fn start(&mut self, now: Now, rounds: Rounds) {
        if self.started {
            self.senseless += 1;
            return;
        }
        (self.started, self.rounds) = (true, rounds);
        self.attempt_ms = Some(now.boot_ms);
        self.why = ("started", None);
    }

    fn publish(&mut self, now: Now, token: Arc<Token>) {
        // One that was seen before is published again because of a late refusal; by now it may be refused or dead too.
        if token.serial > self.seen_serial || active(Mutant::SeenTakenAgain) && self.token.is_none() {
            self.seen_serial = token.serial;
            (self.fetching, self.verifying, self.verified, self.trouble) = (false, false, true, None);
            self.why = ("token granted", None);
            self.token = Some(token).filter(|token| token.is_usable(now.boot_ms));
            self.renew_ms = None;
        }
        if self.primary.is_none() && self.dial_ms.is_none() {
            self.dial_ms = Some(now.boot_ms);
        }
        self.renew_if_possible(now);
    }

    fn news(&mut self, now: Now, news: News) {
        self.fetching = matches!(news, News::Fetching);
        self.verifying = matches!(news, News::Verifying);
        match news {
            News::Fetching => {
                self.trouble = None;
                self.why = ("token requested", None);
                if self.primary.is_none() {
                    self.attempt_ms.get_or_insert(now.boot_ms);
                }
            }
            News::Verifying => self.why = ("token received", None),
            News::Waiting => {}
            News::Throttled { error, until_ms, long: _ } => {
                self.why = ("throttled", Some(error));
                self.trouble = Some(Trouble::Throttled { until_ms });
            }
            News::RoundFailed { error, started_ms } => self.token_round_failed(now, error, started_ms),
            News::Blocked { error, started_ms } => {
                self.why = ("credentials refused", Some(error.clone()));
                self.trouble = Some(Trouble::Blocked(error.clone()));
                self.token_round_failed(now, error, started_ms);
            }
        }
    }

    /// A round of token requests failed: one failed attempt, and the end of a `connect`.
    fn token_round_failed(&mut self, now: Now, error: Error, started_ms: u64) {
        if self.why.1.is_none() {
            self.why = ("token request failed", Some(error.clone()));
        }
        self.verified &= !is_about_scopes(&error);
        if self.primary.is_some() || self.token.is_some() {
            // What is being done with the old token goes on, and is an attempt of its own.
            return self.audit_attempt(now, started_ms, Phase::Renewal, Err(error));
        }
        let began = self.attempt_ms.take().unwrap_or(started_ms);
        self.audit_attempt(now, began, self.phase(), Err(error.clone()));
        self.fail_if_once(error);
    }

    fn timeout(&mut self, now: Now) {
        let at = now.boot_ms;
        let due = |deadline: Option<u64>| deadline.is_some_and(|deadline| deadline <= at);
        let overdue: Vec<u64> =
            self.leaving.iter().filter(|left| left.deadline_ms() <= at).map(|left| left.epoch).collect();
        for epoch in overdue {
            self.out.push_back(Output::Abort { epoch });
            self.drained(now, epoch, false);
        }
        if self.closing {
            return;
        }
        let epochs: Vec<u64> = self.primary.iter().chain(&self.standby).map(|link| link.epoch).collect();
        for epoch in epochs {
            self.link_timeout(now, epoch);
        }
        if due(self.calm_ms) {
            self.reconnect.calm();
            self.calm_ms = self.reconnect.calm_after_ms().map(|after| at + after);
        }
        if due(self.renew_ms) {
            self.renew_ms = None;
            self.renew_if_possible(now);
        }
    }

    fn link_timeout(&mut self, now: Now, epoch: u64) {
        let settings = Arc::clone(&self.settings);
        let due = |deadline: Option<u64>| deadline.is_some_and(|deadline| deadline <= now.boot_ms);
        let Some(link) = self.link_mut(epoch) else { return };
        if due(link.auth_deadline_ms(&settings)) {
            return self.reply_overdue(now, epoch);
        }
        if due(link.dead_ms(&settings)) {
            self.out.push_back(Output::Abort { epoch });
            let text = format!("No answer to a ping within {} ms.", settings.dead_after_ms);
            return self.lost(now, epoch, Error::new(Code::PeerDead, ErrorStage::Live, text));
        }
        if due(link.ping_ms(&settings)) {
            link.pinged_ms = Some(now.boot_ms);
            self.out.push_back(Output::Ping { epoch });
        }
    }

    // ---- dialling -------------------------------------------------------------------------------------------

    /// A dial waits for its delay, for a usable token, and near the token's end for a request in flight.
    fn dial_if_due(&mut self, now: Now) {
        let one = self.standby.is_none() || active(Mutant::SecondStandby);
        let wanted = self.started && !self.is_over() && one && !self.is_reading_out();
        let live = self.primary.as_ref().is_some_and(Link::is_live);
        let due = self.dial_ms.is_some_and(|at| at <= now.boot_ms);
        if !wanted || !due || (self.primary.is_some() && !live) {
            return;
        }
        let Some(token) = self.token.clone().filter(|token| token.is_usable(now.boot_ms)) else { return };
        if self.holds(now, &token) {
            return;
        }
        (self.hold_ms, self.dial_ms, self.draining) = (None, None, false);
        self.epoch += 1;
        let link = Link::new(self.epoch, token, now.boot_ms);
        self.out.push_back(Output::Dial { epoch: self.epoch, hold: live && !active(Mutant::NotHeldBack) });
        if live {
            self.standby = Some(link);
        } else {
            self.attempt_ms.get_or_insert(now.boot_ms);
            self.why = ("dialling", None);
            self.primary = Some(link);
        }
    }

    /// Whether a dial with this token waits for the request in flight: at most 5 s.
    fn holds(&mut self, now: Now, token: &Token) -> bool {
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
    fn is_reading_out(&self) -> bool {
        self.leaving.iter().any(|left| left.successor.is_some()) && !active(Mutant::HandoversOverlap)
    }

    /// When a dial that is waited for can happen.
    fn dial_wake_ms(&self) -> Option<u64> {
        let busy = self.standby.is_some() || self.primary.as_ref().is_some_and(|link| !link.is_live());
        // Without a usable token there is nothing to wake for: a token will come as an input.
        let idle = busy || self.is_reading_out() || self.is_over() || !self.started;
        let (false, Some(token)) = (idle, &self.token) else { return None };
        let at = self.dial_ms?;
        let held = self.hold_ms.map_or(0, |since| since + MANDATORY_WAIT_MS);
        let at = at.max(held);
        (at < token.schedule.usable_ms).then_some(at)
    }

    // ---- small helpers --------------------------------------------------------------------------------------

    fn link(&self, epoch: u64) -> Option<&Link> {
        self.primary.iter().chain(&self.standby).find(|link| link.epoch == epoch)
    }

    fn link_mut(&mut self, epoch: u64) -> Option<&mut Link> {
        self.primary.iter_mut().chain(&mut self.standby).find(|link| link.epoch == epoch)
    }

    fn is_standby(&self, epoch: u64) -> bool {
        self.standby.as_ref().is_some_and(|link| link.epoch == epoch)
    }

    /// Phase of an attempt that is not a renewal.
    fn phase(&self) -> Phase {
        if self.ever_ready {
            Phase::Reconnect
        } else {
            Phase::First
        }
    }

    fn audit_attempt(&mut self, now: Now, began_ms: u64, phase: Phase, outcome: Result<Vec<String>, Error>) {
        let scopes_validated = match &outcome {
            Ok(scopes) => !scopes.is_empty() || self.settings.required_scopes.is_empty(),
            Err(_) => self.verified,
        };
        let outcome = match outcome {
            Ok(scopes) => Outcome::Success { scopes },
            Err(error) => Outcome::Failure(error),
        };
        let latency_ms = now.boot_ms.saturating_sub(began_ms);
        let record = Record::Attempt { phase, outcome, latency_ms, scopes_validated };
        if active(Mutant::AuditedTwice) {
            self.out.push_back(Output::Audit(record.clone()));
        }
        self.out.push_back(Output::Audit(record));
    }

    /// `connect` ends with the first round that failed.
    fn fail_if_once(&mut self, error: Error) {
        if self.rounds == Rounds::Once && self.failed.is_none() && !active(Mutant::OnceIsForEver) {
            self.failed = Some(error.clone());
            self.out.push_back(Output::Failed(error));
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.out.push_back(Output::Notice(notice));
    }
}

fn is_about_scopes(error: &Error) -> bool {
    matches!(error.code(), Code::ScopeDenied | Code::ScopeUnknown | Code::TokenMalformed)
}
