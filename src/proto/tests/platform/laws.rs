//! What must be true of every client after every single step, in every world.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::super::record_laws::RecordLaws;
use super::account::Account;
use super::rest::{Call, What};
use super::sockets::BEAT;
use super::wires::{End, Socket};
use super::world::Platform;
use crate::audit::{Outcome, Record};
use crate::config::settings::{Displaced, Settings};
use crate::error::{Code, Error};
use crate::event::{Gap, Notice, State, StateChange, Topic, Topics};
use crate::proto::http;
use crate::proto::session::{Input, Output};
use crate::proto::time::Now;

/// What was refused is left alone for so long.
const REFUSED_MS: u64 = 5 * 60_000;
/// Nobody keeps the spare channel from the others for longer.
const SPARE_MAX_MS: u64 = 10 * 60_000;
/// REST calls of a client in a minute, apart from what its rollovers and its application need.
const CALLS_MAX: u64 = 30;
/// How long after a second socket was dialled, or took over, its messages may be copies.
const OVERLAP_MS: u64 = 3 * 60_000;
/// What follows silence takes no longer.
const PROMPT_MS: u64 = 1_000;

/// What one input brought.
#[derive(Debug, Default)]
struct Step {
    /// The end of a socket, or what the platform says of a channel or token.
    loss: bool,
    aborted: bool,
}

#[derive(Default)]
pub struct Laws {
    settings: Arc<Settings>,
    pub account: Account,
    // What was seen, for stories.
    pub states: Vec<StateChange>,
    pub gaps: Vec<Gap>,
    pub handovers: Vec<(u64, u64)>,
    pub topics: Vec<Arc<[Topic]>>,
    pub records: Vec<Record>,
    pub failures: Vec<Error>,
    pub failed: Vec<Error>,
    pub dials: Vec<(u64, u64)>,
    pub renewals: Vec<u64>,
    pub order: Vec<String>,
    pub beats: u64,
    pub stopped: u32,
    pub connected: u32,
    pub asked_spare: u64,
    // What is checked.
    wanted: Vec<String>,
    state: State,
    pub live: Option<u64>,
    gap_open: bool,
    closing: bool,
    last_epoch: u64,
    delivered_on: u64,
    /// Calls in flight.
    calls: BTreeMap<u64, (What, String)>,
    /// A token with which the API refused something for good, and when.
    refused: Option<(String, u64)>,
    /// Channels that were subscribed, and how often each was dialled.
    subscribed: BTreeMap<u64, u32>,
    revoked: BTreeSet<String>,
    /// The spare channel: asked for, and held since.
    asks: bool,
    pub held_since: Option<u64>,
    rest_not_before_ms: u64,
    dial_not_before_ms: u64,
    recent_calls: VecDeque<u64>,
    recent_dials: VecDeque<u64>,
    /// When two sockets were there last, or were to be.
    overlapped_ms: Option<u64>,
    /// When the last second socket was dialled.
    second_ms: Option<u64>,
    /// Channels that the API has said are gone.
    gone: BTreeSet<u64>,
    acted: u64,
    /// When each open socket last said something, or began to be read again.
    heard: BTreeMap<u64, u64>,
    awake_ms: u64,
    displaced: bool,
    on_record: RecordLaws,
    step: Step,
}

impl Laws {
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { wanted: settings.topics.clone(), settings, ..Self::default() }
    }

    /// What the application wants.
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    pub fn wants(&mut self, now_ms: u64, topics: Vec<String>) {
        self.account.wants(now_ms, &topics);
        self.wanted = topics;
        self.refused = None;
        self.acted += 1;
    }

    /// The application does what may make a client come back.
    pub fn app_acted(&mut self) {
        (self.displaced, self.refused) = (false, None);
        self.acted += 1;
    }

    /// The machine slept until now.
    pub fn woke(&mut self, now_ms: u64) {
        self.awake_ms = now_ms;
    }

    pub fn resumed(&mut self, now_ms: u64, epoch: u64) {
        self.heard.entry(epoch).and_modify(|at| *at = now_ms);
    }

    // ---- facts ----------------------------------------------------------------------------------------------

    pub fn before(&mut self, now: Now, input: &Input, sockets: &BTreeMap<u64, Socket>) {
        self.step = Step::default();
        self.on_record.before_session(input);
        match input {
            Input::Opened { epoch } => {
                self.heard.insert(*epoch, now.boot_ms);
            }
            Input::Closed { .. } | Input::Dropped { .. } | Input::Drained { clean: false, .. } => self.step.loss = true,
            Input::Reply { text, .. } => self.step.loss = text != BEAT.as_bytes(),
            Input::Failed { error, .. } => {
                let asked = error.retry_after_ms().unwrap_or(0);
                self.dial_not_before_ms = self.dial_not_before_ms.max(now.boot_ms + asked);
            }
            Input::Rest { id, outcome } => {
                self.step.loss = outcome.as_ref().is_ok_and(|reply| reply.status == 404);
                self.answered(now, *id, outcome, sockets);
            }
            Input::SpareGranted if self.asks => self.held_since = Some(now.boot_ms),
            Input::Close => {
                self.closing = true;
                self.account.ends(now.boot_ms);
            }
            _ => {}
        }
        self.heard.retain(|epoch, _| sockets.get(epoch).is_some_and(|socket| socket.end == End::Open));
    }

    fn answered(&mut self, now: Now, id: u64, outcome: &http::Outcome, sockets: &BTreeMap<u64, Socket>) {
        let (Some((what, token)), Ok(reply)) = (self.calls.remove(&id), outcome) else { return };
        match reply.status {
            200 => self.refused = None,
            404 => {
                if let What::Probe(channel) | What::Subscribe(channel) = what {
                    self.gone.insert(channel);
                }
            }
            403 if matches!(what, What::Make | What::Subscribe(_)) && !self.is_of_live(what, sockets) => {
                self.refused = Some((token, now.boot_ms));
            }
            _ => {}
        }
        if let (What::Subscribe(channel), 200) = (what, reply.status) {
            self.subscribed.entry(channel).or_default();
        }
        // What is wanted of an older token says nothing of the one in use.
        if reply.status == 429 && !matches!(what, What::Unsubscribe(_)) {
            let asked = reply.retry_after.as_ref().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            self.rest_not_before_ms = now.boot_ms + asked * 1_000;
        }
    }

    /// Whether a call is about the channel in use.
    fn is_of_live(&self, what: What, sockets: &BTreeMap<u64, Socket>) -> bool {
        let live = self.live.and_then(|live| sockets.get(&live)).map(|socket| socket.channel);
        matches!(what, What::Subscribe(channel) if Some(channel) == live)
    }

    /// A text arrives.
    pub fn heard(&mut self, now: Now, epoch: u64, text: &str) {
        self.heard.insert(epoch, now.boot_ms);
        self.beats += u64::from(text == BEAT);
    }

    /// A frame said that this token is no good: from now on it is not shown.
    pub fn forbid(&mut self, token: &str) {
        self.revoked.insert(token.to_owned());
    }

    /// A text was offered to the application.
    pub fn read(&mut self, now: Now, epoch: u64, text: &str, admitted: bool) {
        let old = epoch < self.delivered_on;
        let handed = old && self.handovers.iter().rev().take(50).any(|pair| *pair == (epoch, self.delivered_on));
        assert!(!handed, "old after new");
        self.delivered_on = epoch;
        // An equal text by the other socket of a rollover is the same one.
        let overlaps = self.overlapped_ms.is_some_and(|at| now.boot_ms <= at + OVERLAP_MS);
        self.account.read(text, admitted, self.second_ms.filter(|_| overlaps));
    }

    // ---- orders ---------------------------------------------------------------------------------------------

    fn noticed(&mut self, now: Now, notice: &Notice) {
        match notice {
            Notice::State(change) => {
                assert_eq!(change.from, self.state, "state changes do not chain");
                self.state = change.to;
                self.displaced |= change.to == State::Displaced && self.settings.displaced == Displaced::Stop;
                self.order.push(format!("{:?}", change.to));
                self.states.push(change.clone());
            }
            Notice::GapBegin(gap) => {
                assert!(!self.gap_open, "a gap within a gap");
                // Of a channel that ended with its token before the next one could take over in time.
                let ended = gap.cause.as_ref().is_some_and(|error| error.code() == Code::TokenExpired);
                assert!(self.step.loss || self.step.aborted || ended, "a gap although nothing was lost");
                assert!(
                    gap.from_wall_ms <= now.wall_ms || self.account.is_blurred(),
                    "a gap that begins later than now"
                );
                self.gap_open = true;
                self.gaps.push(gap.clone());
                self.account.gap_begins(now, gap);
                self.order.push("gap".into());
            }
            Notice::GapEnd(gap) => {
                assert!(self.gap_open, "the end of no gap");
                self.gap_open = false;
                self.gaps.pop();
                self.gaps.push(gap.clone());
                self.account.gap_ends(now.boot_ms);
                self.order.push("gap end".into());
            }
            Notice::Handover(handover) => {
                self.overlapped_ms = Some(now.boot_ms);
                self.handovers.push((handover.from_connection, handover.to_connection));
                self.order.push("handover".into());
            }
            Notice::Topics(Topics { results }) => {
                assert!(!results.iter().any(|topic| topic.id.starts_with("v2.system.")), "a topic nobody asked for");
                self.account.told(results);
                self.topics.push(Arc::clone(results));
                self.order.push("topics".into());
            }
            Notice::Resumed(_) | Notice::ClockStep(_) => {}
            other => panic!("not of the session: {other:?}"),
        }
    }

    fn audited(&mut self, record: &Record) {
        if let Record::Attempt { outcome: Outcome::Failure(error), .. } = record {
            self.failures.push(error.clone());
        }
        self.records.push(record.clone());
    }

    fn bounded(recent: &mut VecDeque<u64>, now_ms: u64) -> u64 {
        while recent.front().is_some_and(|at| at + 60_000 < now_ms) {
            recent.pop_front();
        }
        recent.push_back(now_ms);
        recent.len() as u64
    }

    /// Nothing is asked for after the end, nor while somebody else has the channel.
    fn may_act(&self, what: &str) {
        assert!(!self.closing && self.failed.is_empty(), "{what} after the end");
        assert!(!self.displaced, "{what} although displaced");
    }

    // ---- after every step -----------------------------------------------------------------------------------

    pub fn after(&mut self, now: Now, sockets: &BTreeMap<u64, Socket>, state: State) {
        assert_eq!(state, self.state, "the state that is shown");
        self.on_record.after_session(|epoch| sockets.get(&epoch).is_none_or(|socket| socket.end == End::Gone));
        self.account.flows(self.live.is_some());
        if let Some(epoch) = self.live {
            assert_eq!(sockets.get(&epoch).map(|socket| socket.end), Some(End::Open), "SendOn names a dead socket");
        }
        if self.closing || !self.failed.is_empty() {
            return;
        }
        let flows = self.live.is_some();
        assert!(!state.is_live() || flows, "{state:?} without a socket");
        if self.connected > 0 {
            // A socket may be open whose channel brings nothing more: then something else is shown than Ready.
            assert!(self.gap_open || flows, "no gap in {state:?}");
            assert!(!self.gap_open || !flows || state != State::Ready, "a gap in {state:?}");
        }
        if let Some(since) = self.held_since {
            assert!(now.boot_ms <= since.max(self.awake_ms) + SPARE_MAX_MS, "the spare channel is kept");
        }
        self.silence(now, sockets);
    }

    /// A socket that says nothing is left on time.
    fn silence(&self, now: Now, sockets: &BTreeMap<u64, Socket>) {
        let Some((epoch, since)) = self.live.and_then(|live| self.heard.get_key_value(&live)) else { return };
        let unread = sockets.get(epoch).is_some_and(|socket| socket.stalled);
        let latest = (*since).max(self.awake_ms) + self.settings.heartbeat_timeout_ms + PROMPT_MS;
        assert!(unread || now.boot_ms <= latest, "socket {epoch} has been silent since {since}");
    }

    /// Forgets what only stories look at, so that a long walk stays small.
    pub fn forget(&mut self) {
        self.order.clear();
        self.states.clear();
        self.topics.clear();
        self.records.clear();
        self.failures.clear();
        self.account.recent.clear();
        self.account.oddities.clear();
        self.dials.clear();
        let newest = self.subscribed.len().saturating_sub(50);
        self.subscribed = std::mem::take(&mut self.subscribed).into_iter().skip(newest).collect();
        let newest = self.gone.last().copied().unwrap_or(0);
        self.gone.retain(|channel| channel + 100 > newest);
        let newest = self.handovers.len().saturating_sub(50);
        self.handovers.drain(..newest);
    }
}

impl Platform {
    /// Judges an order before it is obeyed.
    pub fn judge(&mut self, who: usize, output: &Output) {
        let now = self.now();
        self.keeps_secrets(output);
        assert_eq!(self.clients[who].laws.stopped, 0, "after Stopped: {output:?}");
        match output {
            Output::Dial { epoch, hold, uri } => {
                let uri = uri.as_ref().expect("dialled without a channel");
                self.judge_dial(who, *epoch, *hold, uri.expose());
            }
            Output::Rest { id, request } => self.judge_call(who, *id, request),
            _ => {}
        }
        let laws = &mut self.clients[who].laws;
        laws.on_record.session_said(output);
        match output {
            Output::DropRest { id } => {
                laws.calls.remove(id);
            }
            Output::AskSpare => {
                assert!(!laws.asks, "the spare channel is asked for twice");
                laws.asks = true;
                laws.asked_spare += 1;
            }
            Output::ReturnSpare => {
                assert!(laws.asks, "a spare channel is returned that was not asked for");
                (laws.asks, laws.held_since) = (false, None);
            }
            Output::Abort { .. } | Output::Leave { .. } => laws.step.aborted = true,
            Output::SendOn(epoch) => laws.live = *epoch,
            Output::Notice(notice) => laws.noticed(now, notice),
            Output::Audit(record) => laws.audited(record),
            Output::Renewed { lead_ms, .. } => laws.renewals.push(*lead_ms),
            Output::Connected => laws.connected += 1,
            Output::Failed { error, .. } => laws.failed.push(error.clone()),
            Output::Stopped { .. } => {
                laws.stopped += 1;
                assert!(!laws.asks, "stopped with the spare channel");
            }
            _ => {}
        }
        if matches!(output, Output::SendOn(_) | Output::Notice(Notice::Topics(_))) {
            self.promise(who);
        }
    }

    /// What the platform sends by the socket in use is promised from now on.
    fn promise(&mut self, who: usize) {
        let client = &mut self.clients[who];
        let Some(socket) = client.laws.live.and_then(|live| client.sockets.get(&live)) else { return };
        let Some(channel) = self.cloud.channels.get(&socket.channel) else { return };
        client.laws.account.flows(true);
        client.laws.account.promise(|topic| channel.topics.contains(topic));
    }

    fn judge_dial(&mut self, who: usize, epoch: u64, hold: bool, uri: &str) {
        let now_ms = self.now_ms;
        let start = format!("wss://{}/channels/", self.settings.streaming_host);
        assert!(uri.starts_with(&start), "dialled elsewhere");
        let channel = super::cloud::channel_of(uri).expect("no channel");
        for (other, client) in self.clients.iter().enumerate() {
            let on = |socket: &&Socket| socket.end != End::Gone && socket.channel == channel;
            assert!(!client.sockets.values().any(|socket| on(&socket)), "client {other} has a socket on the channel");
        }
        let lifetime_ms = self.nature.base.lifetime_ms;
        let client = &mut self.clients[who];
        // One that is closed already, and waits for the other end or to be read, is no longer in use.
        let counts = |s: &&Socket| matches!(s.end, End::Dialing | End::Open);
        let in_use = client.sockets.values().filter(counts).count();
        let laws = &mut client.laws;
        laws.may_act("dialled");
        assert!(in_use < 2, "a third socket");
        assert!(epoch > laws.last_epoch, "epoch {epoch} is not new");
        laws.last_epoch = epoch;
        laws.second_ms = laws.live.map(|_| now_ms).or(laws.second_ms);
        laws.overlapped_ms = laws.live.map(|_| now_ms).or(laws.overlapped_ms);
        assert_eq!(hold, laws.live.is_some(), "messages of a second socket, and only those, are held back");
        assert!(now_ms >= laws.dial_not_before_ms, "dialled before Retry-After");
        let dials = laws.subscribed.get_mut(&channel).expect("dialled before it was subscribed");
        *dials += 1;
        assert!(*dials <= 1 + laws.settings.channel_reuses, "channel {channel} is dialled {dials} times");
        let number = Laws::bounded(&mut laws.recent_dials, now_ms);
        assert!(number <= 30 + 240_000 / lifetime_ms, "{number} dials in a minute");
        laws.dials.push((now_ms, channel));
        laws.on_record.dials_channel(channel);
        if let Some(found) = self.cloud.channels.get(&channel) {
            assert_eq!(found.owner, who, "a channel of another client");
        }
    }

    fn judge_call(&mut self, who: usize, id: u64, request: &http::Request) {
        let (now_ms, call) = (self.now_ms, Call::read(request, &self.settings.api_url));
        let shown = |token: &crate::proto::token::Token| token.access_token.expose() == call.token;
        let (_, token) =
            self.watch.tokens.iter().rev().find(|(_, token)| shown(token)).expect("a token nobody published");
        assert!(token.schedule.usable_ms > now_ms, "a token is shown after t_usable");
        let holder = self.spare.holder;
        let (lifetime_ms, is_faulty) = (self.nature.base.lifetime_ms, self.faulty);
        let client = &mut self.clients[who];
        let sockets = &client.sockets;
        let laws = &mut client.laws;
        let live = laws.live.and_then(|live| sockets.get(&live)).map(|socket| socket.channel);
        laws.may_act("a call");
        assert!(!laws.revoked.contains(&call.token), "a token is shown that was revoked");
        assert!(now_ms >= laws.rest_not_before_ms, "{:?} before Retry-After", call.what);
        if let What::Probe(channel) | What::Subscribe(channel) = call.what {
            let asks_again = laws.gone.contains(&channel) && !laws.is_of_live(call.what, sockets);
            assert!(!asks_again, "channel {channel} is asked for although it is gone");
            assert!(self.cloud.is_made_with(channel, &call.token), "channel {channel} with another token than its own");
        }
        match call.what {
            What::Make => {
                assert!(!laws.calls.values().any(|(what, _)| *what == What::Make), "two channels are made at once");
                let second = laws.live.is_some();
                assert!(!second || laws.held_since.is_some(), "a second channel without leave");
                assert!(!second || holder == Some(who), "a second channel although the source has lent it elsewhere");
            }
            What::Subscribe(_) => laws.lists(&call.topics),
            What::Unsubscribe(channel) => assert_ne!(live, Some(channel), "the channel in use is unsubscribed"),
            What::Probe(_) => {}
        }
        let asks = matches!(call.what, What::Make | What::Subscribe(_)) && !laws.is_of_live(call.what, sockets);
        // As long as there is a socket to lose, it is asked for again now and then.
        let since = laws.refused.as_ref().filter(|(token, _)| *token == call.token).map(|(_, since)| *since);
        let insists = asks && since.is_some_and(|at| laws.live.is_none() || now_ms < at + REFUSED_MS);
        assert!(!insists, "what was refused for good is asked for again");
        laws.calls.insert(id, (call.what, call.token));
        let number = Laws::bounded(&mut laws.recent_calls, now_ms);
        let most = CALLS_MAX + 480_000 / lifetime_ms + if is_faulty { 4 * laws.acted } else { 0 };
        assert!(number <= most, "{number} calls in a minute");
    }

    /// Formatting is slow, so one order in some is looked at.
    fn keeps_secrets(&mut self, output: &Output) {
        if let Output::Audit(record) = output {
            return super::super::hides_secrets_of(record, &mut self.dice);
        }
        if self.dice.up_to(15) == 0 || matches!(output, Output::Failed { .. }) {
            let text = format!("{output:?}");
            assert!(!text.contains("hush"), "a secret shows: {text}");
        }
    }
}

impl Laws {
    /// The list of a subscription is what the application wants, without what comes unasked.
    fn lists(&self, topics: &[String]) {
        let mut wanted: Vec<&String> = Vec::new();
        let mut seen = BTreeSet::new();
        wanted.extend(self.wanted.iter().filter(|topic| !topic.starts_with("v2.system.") && seen.insert(*topic)));
        wanted.truncate(super::cloud::TOPICS_MAX);
        assert_eq!(topics.iter().collect::<Vec<_>>(), wanted, "the topics of a subscription");
        assert!(topics.len() <= super::cloud::TOPICS_MAX, "too many topics");
    }
}
