//! Machine 2: when to dial, authenticate, renew, replace, wait, leave.
//!
//! Up to two sockets are in use at once: the *primary*, which carries the application's messages, and a *standby*
//! that is being authenticated to take over when the server cannot renew on the primary. Sockets that were left
//! are read out and closed. Every socket has an epoch; a fact about an epoch that is gone is ignored.
//!
//! In the profile `notifications` every socket gets a channel of its own by REST first, the token is shown there, and it
//! is renewed by replacing both: `channel.rs`, `upkeep.rs`, `frames.rs`.
//!
//! The state that the application sees is not stored: `state.rs` derives it after every input, so it cannot
//! disagree with what the machine is doing.

mod auth;
mod channel;
mod clocks;
mod dial;
mod frames;
mod io;
mod link;
mod loss;
mod news;
mod records;
mod state;
mod strike;
mod upkeep;

use std::collections::VecDeque;
use std::sync::Arc;

use self::channel::Channels;
pub use self::io::{Input, Output, Rounds};
use self::link::{Leaving, Link, Stage};
use self::strike::Strike;
use super::backoff::Reconnect;
use super::dice::Dice;
use super::mutant::{active, Mutant};
use super::time::Now;
use super::token::Token;
use crate::audit::Phase;
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::{Gap, Notice, State};

/// Whose a text is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// The reply to our auth frame, or a frame of the system: feed it back as [`Input::Reply`].
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

/// What is known of the server's way with renewals in band.
#[derive(Debug, Default)]
struct InBand {
    /// Renewals in a row that the server could do only on a second socket.
    failures: u32,
    /// The renewal under way had failed in band before the standby was opened.
    failed: bool,
    /// The token that was refused, or not acknowledged, in band.
    refused_serial: u64,
    /// The endpoint is marked as unable until then.
    unable_until_ms: u64,
}

/// The machine that keeps a socket authenticated. See the [module](self).
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    /// Tokens come from a source that others share: what this client needs of them is checked here.
    shares: bool,
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
    fetching_since_ms: Option<u64>,
    /// A socket was dialled ahead of the token that is awaited.
    ahead: bool,
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
    /// The server asked not to be dialled before: `Retry-After` of an upgrade.
    not_before_ms: u64,
    /// Until when it limits the rate.
    throttled_until_ms: u64,
    draining: bool,
    /// The server has announced the end of the live socket.
    replacing: bool,
    calm_ms: Option<u64>,
    hold_ms: Option<u64>,
    /// When a throttled renewal is presented again.
    renew_ms: Option<u64>,

    in_band: InBand,
    channels: Channels,

    /// The newest socket that may have been dialled with an older password of a proxy.
    old_password_epoch: u64,
    /// The proxy has refused the password.
    proxy_refused: bool,

    ever_ready: bool,
    attempt_ms: Option<u64>,
    round_failures: u32,
    gap: Option<Gap>,
    gap_boot_ms: u64,
    gaps: u64,

    slept_ms: u64,
    /// Wall clock minus boot clock when it was last looked at.
    wall_minus_boot_ms: Option<i64>,
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
        let channels = Channels::new(&settings.topics);
        Self {
            settings,
            shares: false,
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
            fetching_since_ms: None,
            ahead: false,
            trouble: None,
            strike: None,
            epoch: 0,
            primary: None,
            standby: None,
            leaving: Vec::new(),
            session_id,
            reconnect: Reconnect::default(),
            dial_ms: None,
            not_before_ms: 0,
            throttled_until_ms: 0,
            draining: false,
            replacing: false,
            calm_ms: None,
            hold_ms: None,
            renew_ms: None,
            in_band: InBand::default(),
            channels,
            old_password_epoch: 0,
            proxy_refused: false,
            ever_ready: false,
            attempt_ms: None,
            round_failures: 0,
            gap: None,
            gap_boot_ms: 0,
            gaps: 0,
            slept_ms: 0,
            wall_minus_boot_ms: None,
            age_ms: None,
            shown: State::Idle,
            shown_reason: "",
            why: ("", None),
            senseless: 0,
            dice: Dice::new(0),
            out: VecDeque::new(),
        }
    }

    /// Its tokens come from a source that others share, which has checked only what it needs itself.
    pub fn sharing(self) -> Self {
        Self { shares: true, ..self }
    }

    /// Takes a fact in. `random` feeds the jitter.
    pub fn handle(&mut self, now: Now, random: u64, input: Input) {
        self.dice = Dice::new(random);
        if self.stopped {
            self.senseless += 1;
            return;
        }
        self.look_at_clocks(now);
        if self.has_channels() {
            self.see_first_frames(now);
        }
        match input {
            // They were on their way when the end came.
            Input::Publish(_)
            | Input::News(_)
            | Input::Topics(_)
            | Input::Rest { .. }
            | Input::SpareGranted
            | Input::Return
                if self.is_over() => {}
            // A frame of the system, by a socket that is being left.
            Input::Reply { .. } if self.is_over() && self.has_channels() => {}
            Input::Start(_)
            | Input::Connected { .. }
            | Input::Opened { .. }
            | Input::DrainNotice
            | Input::ProxyPassword
            | Input::Reply { .. }
            | Input::InBandUnable { .. }
                if self.is_over() =>
            {
                self.senseless += 1;
            }
            Input::Start(rounds) => self.start(now, rounds),
            Input::Publish(token) => self.publish(now, token),
            Input::News(news) => self.news(now, news),
            Input::Recorded(record) => self.out.push_back(Output::Audit(record)),
            Input::Connected { epoch } => self.connected(now, epoch),
            Input::DrainNotice => self.drain_notice(now),
            Input::ProxyPassword => self.proxy_password(),
            Input::Opened { epoch } => self.opened(now, epoch),
            Input::Reply { epoch, text } => self.reply(now, epoch, &text),
            Input::Closed { epoch, code, reason } => self.peer_closed(now, epoch, code, &reason),
            Input::Failed { epoch, error } | Input::Dropped { epoch, error } => self.lost(now, epoch, error),
            Input::Drained { epoch, clean } => self.drained(now, epoch, clean),
            Input::Stalled { epoch } => self.stalled(now, epoch),
            Input::Resumed { epoch } => self.resumed(now, epoch),
            Input::InBandUnable { until_ms } => self.in_band.unable_until_ms = until_ms,
            Input::Topics(topics) => self.topics(now, &topics),
            Input::Rest { id, outcome } => self.rest(now, id, outcome),
            Input::SpareGranted => self.spare_granted(),
            Input::Return => self.come_back(now),
            Input::Close => self.close(now),
            Input::Timeout => self.timeout(now),
        }
        if !self.closing {
            self.drop_expired(now);
        }
        if self.has_channels() {
            // One may have become the first one, or has waited long enough.
            self.see_first_frames(now);
        }
        self.dial_if_due(now);
        self.settle_spare();
        self.show(now);
        self.age_ms = self.next_age_ms(now);
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
            let waits = [link.auth_deadline_ms(settings), link.patience_ms(settings)];
            let silence = [link.ping_ms(settings), link.dead_ms(settings)];
            waits.into_iter().chain(silence).flatten().min()
        };
        let links = self.primary.iter().chain(&self.standby).filter_map(of_link).min();
        let own =
            [leaving, links, self.dial_wake_ms(), self.calm_ms, self.renew_ms, self.age_ms, self.channel_wake_ms()];
        own.into_iter().flatten().min()
    }

    /// Whose this text is. Cheap unless a reply is awaited on this socket.
    pub fn judge(&self, epoch: u64, text: &[u8]) -> Whose {
        if self.has_channels() {
            return self.judge_frame(epoch, text);
        }
        let awaited = self.link(epoch).is_some_and(Link::awaits_reply);
        if awaited && text.len() <= self.settings.max_auth_reply_bytes && super::frame::read_reply(text).is_some() {
            return Whose::Ours;
        }
        Whose::Application
    }

    /// Whether a message of the application's is delivered: not if it came by both sockets of a rollover. Asked once for
    /// each text message, in the order of delivery.
    pub fn admit(&mut self, now: Now, epoch: u64, text: &[u8]) -> bool {
        !self.has_channels() || self.admit_event(now, epoch, text)
    }

    /// Bytes arrived on this socket, of whatever kind.
    pub fn heard(&mut self, now: Now, epoch: u64) {
        let slept_ms = self.newly_slept_ms(now);
        let awake = slept_ms.is_none();
        let has_channels = self.has_channels();
        if let Some(link) = self.link_mut(epoch) {
            link.heard(now, slept_ms);
        } else if let Some(left) = self.leaving.iter_mut().find(|left| left.epoch == epoch && has_channels) {
            // What the old socket brings now was sent when the new one had the topics already.
            left.covered |= awake && !left.is_behind;
        }
    }

    /// A socket that is on its way may still be refused for the password before.
    fn proxy_password(&mut self) {
        self.old_password_epoch = self.epoch;
        let blocked = matches!(self.trouble, Some(Trouble::Blocked(_)));
        if std::mem::take(&mut self.proxy_refused) && blocked {
            self.out.push_back(Output::TryAgain);
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

    /// The settings it follows.
    pub fn settings(&self) -> &Settings {
        &self.settings
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
        self.return_if_due(now);
        self.ask_again_if_due(now);
    }

    fn link_timeout(&mut self, now: Now, epoch: u64) {
        let settings = Arc::clone(&self.settings);
        let due = |deadline: Option<u64>| deadline.is_some_and(|deadline| deadline <= now.boot_ms);
        let Some(link) = self.link_mut(epoch) else { return };
        if due(link.auth_deadline_ms(&settings)) {
            return self.reply_overdue(now, epoch);
        }
        if due(link.patience_ms(&settings)) {
            return self.stop_waiting(now);
        }
        if due(link.silent_ms(&settings)) {
            return self.silent(now, epoch);
        }
        if due(link.prolong_ms()) {
            return self.prolong(now, epoch);
        }
        if due(link.asked.as_ref().map(|asked| asked.by_ms)) && !active(Mutant::RestForEver) {
            return self.rest_overdue(now, epoch);
        }
        if due(link.dials_ms) {
            return self.subscribe_or_dial(now, epoch);
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

    fn notice(&mut self, notice: Notice) {
        self.out.push_back(Output::Notice(notice));
    }
}
