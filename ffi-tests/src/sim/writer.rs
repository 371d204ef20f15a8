//! The writing side of one WebSocket connection: the only thread that sends on it. It answers, pumps, keeps the
//! connection's timers and does what scripts and tests ask for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frame;
use super::hub::Hub;
use super::link::Link;
use super::notify::Streaming;
use super::outgoing::{Outgoing, Pumping};
use super::record::End;
use super::script::{Action, Trigger};

/// How long the client's close frame is waited for.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// How long the client may keep its direction open after we ended ours.
const LINGER: Duration = Duration::from_secs(1);
/// No wait is longer; there may be no timer at all.
const IDLE: Duration = Duration::from_secs(3600);

/// What a writer is told.
#[derive(Clone)]
pub(crate) enum Order {
    /// An application message, sent if the connection is authenticated.
    Push(Action),
    /// Actions, at once.
    Act(Vec<Action>),
    /// The answer to an `auth` frame, with what a script put around it.
    Answer(VecDeque<Step>),
    /// An event of a channel.
    Event { number: u64, text: Arc<str> },
    /// A text of a channel's own: a pong, a `v2.system.*` event.
    System(String),
    /// The answer to a ping.
    Pong(Vec<u8>),
    /// The client sent a close frame.
    ClientClosed(u16),
    /// Our direction was ended from outside.
    Severed,
    /// The connection is over.
    Stop,
}

/// One thing to do, in a list that a pause may spread over time.
#[derive(Clone)]
pub(crate) enum Step {
    Act(Action),
    /// The answer to the `auth` frame of that number; `ok` if there is a time until which it is good.
    Answer {
        text: String,
        number: usize,
        good_until: Option<Instant>,
    },
    /// Nobody has tried to authenticate in time.
    AuthDeadline,
    /// The token of the n-th `ok` is past its time.
    Expired(u64),
    /// The other side has had long enough to end the connection.
    HangUp,
}

/// The writer of one connection.
pub(crate) struct Writer {
    pub(crate) hub: Arc<Hub>,
    link: Arc<Link>,
    pub(crate) index: usize,
    inbox: Receiver<Order>,
    authenticated: Arc<AtomicBool>,
    timers: Vec<(Instant, VecDeque<Step>)>,
    plan: Vec<(Trigger, Vec<Action>)>,
    pump: Option<Pumping>,
    /// What a channel's socket sends by itself.
    pub(crate) stream: Option<Streaming>,
    /// An `auth` frame has come.
    auth_seen: bool,
    accepted: u64,
    frames: u64,
    messages: u64,
    silent: bool,
    ignore_close: bool,
    /// Our close frame is out: nothing may follow it.
    closing: bool,
    /// Our direction has ended.
    gone: bool,
    over: bool,
}

impl Writer {
    pub(crate) fn new(
        hub: &Arc<Hub>,
        link: &Arc<Link>,
        index: usize,
        inbox: Receiver<Order>,
        authenticated: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            hub: Arc::clone(hub),
            link: Arc::clone(link),
            index,
            inbox,
            authenticated: Arc::clone(authenticated),
            timers: Vec::new(),
            plan: hub.script().plan(index),
            pump: None,
            stream: authenticated.load(Ordering::SeqCst).then(|| Streaming::new(hub, index)),
            auth_seen: authenticated.load(Ordering::SeqCst),
            accepted: u64::from(authenticated.load(Ordering::SeqCst)),
            frames: 0,
            messages: 0,
            silent: false,
            ignore_close: hub.ws().ignore_close,
            closing: false,
            gone: false,
            over: false,
        }
    }

    /// Works until told to stop. `_alive` is dropped at the end, which tells the reader.
    pub(crate) fn run(mut self, _alive: Sender<()>) {
        let deadline = self.hub.ws().auth_timeout;
        self.later(deadline, Step::AuthDeadline);
        for i in 0..self.plan.len() {
            if let Trigger::AfterMs(ms) = self.plan[i].0 {
                let steps = self.plan[i].1.iter().cloned().map(Step::Act).collect();
                self.timers.push((Instant::now() + Duration::from_millis(ms), steps));
            }
        }
        self.fire();
        while !self.over {
            match self.inbox.recv_timeout(self.wait()) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.tick();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Push(action) if self.accepted > 0 => self.act(action),
            Order::Push(_) => {}
            Order::Act(actions) => self.walk(actions.into_iter().map(Step::Act).collect()),
            Order::Answer(steps) => {
                self.auth_seen = true;
                self.walk(steps);
            }
            Order::Event { number, text } => self.event(number, text),
            Order::System(text) => self.system(&text),
            Order::Pong(data) => {
                self.emit(&frame::whole(frame::PONG, &data), 1);
                self.fire();
            }
            Order::ClientClosed(code) => self.client_closed(code),
            Order::Severed => self.end_direction(),
            Order::Stop => self.over = true,
        }
    }

    /// The time to the next timer or pumped message.
    fn wait(&self) -> Duration {
        let timers = self.timers.iter().map(|(due, _)| *due);
        let pump = self.pump.as_ref().map(Pumping::due);
        let stream = self.stream.as_ref().and_then(Streaming::due);
        let next = timers.chain(pump.into_iter().chain(stream).filter(|_| !self.is_mute())).min();
        next.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()).min(IDLE))
    }

    fn tick(&mut self) {
        let now = Instant::now();
        while let Some(at) = self.timers.iter().position(|(due, _)| *due <= now) {
            let (_, steps) = self.timers.swap_remove(at);
            self.walk(steps);
        }
        self.pump_due(now);
        self.stream_due(now);
    }

    fn later(&mut self, time: Duration, step: Step) {
        self.timers.push((Instant::now() + time, VecDeque::from([step])));
    }

    /// Does the steps in order; a pause puts the rest off.
    fn walk(&mut self, mut steps: VecDeque<Step>) {
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Act(Action::Pause { ms }) => {
                    self.timers.push((Instant::now() + Duration::from_millis(ms), steps));
                    return;
                }
                Step::Act(action) => self.act(action),
                Step::Answer { text, number, good_until } => self.answer(&text, number, good_until),
                Step::AuthDeadline if !self.auth_seen => self.act(Action::close(1008, "authentication timeout")),
                Step::Expired(of) if of == self.accepted => self.act(Action::close(1008, "token expired")),
                Step::AuthDeadline | Step::Expired(_) => {}
                Step::HangUp => self.link.sever(),
            }
        }
    }

    fn answer(&mut self, text: &str, number: usize, good_until: Option<Instant>) {
        if self.is_mute() {
            return;
        }
        let ok = good_until.is_some();
        // Before the bytes: the client may act on them, and its test look, before we come to the next line.
        self.authenticated.fetch_or(ok, Ordering::SeqCst);
        self.note_answer(number, Some(ok));
        if !self.emit(&frame::whole(frame::TEXT, text.as_bytes()), 1) {
            return self.note_answer(number, None);
        }
        if let Some(good_until) = good_until {
            self.accepted += 1;
            self.watch_expiry(good_until);
            self.start_pump();
        }
        self.fire();
    }

    fn note_answer(&self, number: usize, accepted: Option<bool>) {
        let index = self.index;
        self.hub.record.note(|log, _| {
            let auth = &mut log.auths[number];
            let (was, is) = (auth.accepted == Some(true), accepted == Some(true));
            auth.accepted = accepted;
            let count = &mut log.connections[index].accepted;
            *count = *count + u64::from(is) - u64::from(was);
        });
    }

    fn watch_expiry(&mut self, good_until: Instant) {
        if let Some(grace) = self.hub.ws().close_after_expiry {
            let steps = VecDeque::from([Step::Expired(self.accepted)]);
            self.timers.push((good_until + grace, steps));
        }
    }

    fn start_pump(&mut self) {
        if self.pump.is_none() {
            self.pump = self.hub.ws().pump.clone().map(Pumping::new);
        }
    }

    fn pump_due(&mut self, now: Instant) {
        let mute = self.is_mute();
        let Some(pump) = self.pump.as_mut().filter(|pump| !mute && pump.due() <= now) else {
            return;
        };
        match pump.take(&self.hub, now) {
            Some(message) => self.message(&message),
            None => self.pump = None,
        }
        self.fire();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Text(text) => self.message(&Outgoing::text(&text)),
            Action::System(text) => self.system(&text),
            Action::Binary(data) => self.message(&Outgoing::binary(&data)),
            Action::Fragmented { text, parts } => self.message(&Outgoing::fragmented(&text, parts)),
            Action::Trickle { text, chunk, delay_ms } => self.trickle(&text, chunk, delay_ms),
            Action::Close { code, reason } => self.close(code, &reason),
            Action::CutFrame { text, keep } => {
                let whole = frame::whole(frame::TEXT, text.as_bytes());
                self.emit(&whole[..keep.min(whole.len())], 0);
                self.act(Action::Drop);
            }
            Action::Drop => {
                self.hub.books().detach(self.index);
                self.note_end(End::Dropped);
                self.link.finish();
                self.end_direction();
            }
            Action::Reset => {
                self.hub.books().detach(self.index);
                self.note_end(End::Reset);
                self.link.reset();
                self.gone = true;
            }
            Action::GoSilent => self.silent = true,
            Action::Stall => self.stream.iter_mut().for_each(Streaming::stall),
            Action::Resume => self.resume(),
            Action::GoDeaf => self.link.set_deaf(true),
            Action::Listen => self.link.set_deaf(false),
            Action::IgnoreClose => self.ignore_close = true,
            // Handled where lists are walked; alone it has nothing to put off.
            Action::Pause { .. } => {}
            Action::Ping(_) | Action::OversizedHeader { .. } | Action::InvalidUtf8 => self.odd_frame(&action),
            Action::Masked(_) | Action::Raw(_) => self.odd_frame(&action),
        }
        self.fire();
    }

    /// Frames that carry no application message.
    fn odd_frame(&mut self, action: &Action) {
        let bytes = match action {
            Action::Ping(data) => frame::whole(frame::PING, data),
            Action::OversizedHeader { announced } => frame::header(frame::TEXT, true, false, *announced),
            Action::InvalidUtf8 => frame::whole(frame::TEXT, b"{\"bad\":\"\xff\xfe\"}"),
            Action::Masked(text) => frame::masked(text.as_bytes()),
            Action::Raw(bytes) => bytes.clone(),
            _ => return,
        };
        self.emit(&bytes, 1);
    }

    fn trickle(&mut self, text: &str, chunk: usize, delay_ms: u64) {
        let whole = frame::whole(frame::TEXT, text.as_bytes());
        let (last, before) = match whole.chunks(chunk.max(1)).next_back() {
            Some(last) => (last, &whole[..whole.len() - last.len()]),
            None => return,
        };
        for piece in before.chunks(chunk.max(1)) {
            if !self.emit(piece, 0) || !self.hub.pause(Duration::from_millis(delay_ms)) {
                return;
            }
        }
        self.message(&Outgoing::rest(text, last));
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.hub.books().detach(self.index);
        if self.emit(&frame::close(code, reason), 1) {
            self.note_end(End::ServerClosed(code));
            self.closing = true;
            self.later(CLOSE_WAIT, Step::HangUp);
        }
    }

    fn client_closed(&mut self, code: u16) {
        if self.silent || self.ignore_close || self.gone {
            return;
        }
        self.send_lagging();
        self.emit(&frame::close(code, ""), 1);
        let _ = self.link.say_goodbye();
        self.link.finish();
        self.end_direction();
    }

    /// Our direction has ended; the client has a moment to end its own.
    fn end_direction(&mut self) {
        if !self.gone {
            self.gone = true;
            self.later(LINGER, Step::HangUp);
        }
    }

    fn resume(&mut self) {
        self.silent = false;
        if let Some(pump) = &mut self.pump {
            pump.restart();
        }
        self.stream.iter_mut().for_each(Streaming::resume);
    }

    /// An application message; counted once the kernel has all of it.
    pub(crate) fn message(&mut self, message: &Outgoing) {
        if self.emit(&message.bytes, message.frames) {
            self.messages += 1;
            let index = self.index;
            self.hub.record.note(|log, _| log.connections[index].sent.count(message));
        }
    }

    pub(crate) fn emit(&mut self, bytes: &[u8], frames: u64) -> bool {
        if self.is_mute() {
            return false;
        }
        if self.link.send(bytes).is_err() {
            self.gone = true;
            return false;
        }
        self.frames += frames;
        true
    }

    pub(crate) fn is_mute(&self) -> bool {
        self.gone || self.silent || self.closing
    }

    /// Does what the plan has for the counts reached; each entry once.
    pub(crate) fn fire(&mut self) {
        let (accepted, messages, frames) = (self.accepted, self.messages, self.frames);
        let due = |trigger: &Trigger| match *trigger {
            Trigger::Open => true,
            Trigger::Auths(n) => n <= accepted,
            Trigger::Messages(n) => n <= messages,
            Trigger::Frames(n) => n <= frames,
            Trigger::AfterMs(_) => false,
        };
        if let Some(at) = self.plan.iter().position(|(trigger, _)| due(trigger)) {
            let (_, actions) = self.plan.remove(at);
            self.walk(actions.into_iter().map(Step::Act).collect());
            self.fire();
        }
    }

    fn note_end(&self, end: End) {
        let index = self.index;
        self.hub.record.note(|log, at| log.end(at, index, end));
    }
}
