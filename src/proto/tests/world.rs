//! The world: simulated time, the two threads, the wires between them, the application.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use super::faults::{Fault, Weather};
use super::server::{Nature, Server};
use super::watch::Watch;
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::event::{Question, State};
use crate::hooks::Answer;
use crate::proto::dice::Dice;
use crate::proto::http::Request;
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{self, Credential, Refresher};
use crate::proto::session::{self, Rounds, Session, Whose};
use crate::proto::time::Now;
use crate::secret::Secret;

/// Where wall time begins: 2026-01-01.
const WALL_MS: u64 = 1_767_225_600_000;
/// More inputs than this in one millisecond are a loop that stands still.
const ROUNDS_MAX: u32 = 300;
/// When the account of a socket that is gone is closed.
const SETTLE_MS: u64 = 60_000;

/// What travels on a socket.
#[derive(Clone, Debug)]
pub enum Wire {
    Text(Vec<u8>),
    Message(u64),
    Ping,
    Pong,
    Close(u16),
    Eof,
}

#[derive(Debug)]
pub enum Event {
    ToRefresher(refresher::Input),
    ToSession(session::Input),
    Request { epoch: u64, request: Request, sent_ms: u64 },
    Dialled { epoch: u64 },
    DialDone { epoch: u64, outcome: Result<(), Error> },
    Up { epoch: u64, wire: Wire },
    Down { epoch: u64, wire: Wire },
    Push,
    Expire { epoch: u64 },
    Unstall,
    Settle { epoch: u64 },
}

struct Due {
    at_ms: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    Dialing,
    Open,
    Leaving,
    Gone,
}

/// Both ends of a socket.
#[derive(Debug)]
pub struct Socket {
    pub end: End,
    pub held: bool,
    kept: Vec<u64>,
    unread: VecDeque<Wire>,
    pub stalled: bool,
    extra: bool,
    /// The server's end is open.
    pub served: bool,
    /// The token the server accepted last.
    pub accepted: Option<String>,
    /// Nothing gets through any more, either way.
    pub swallowed: bool,
    up_ms: u64,
    down_ms: u64,
    /// What the server wrote, and when.
    pub written: Vec<(u64, u64)>,
    pub delivered: usize,
}

pub struct World {
    pub now_ms: u64,
    pub slept_ms: u64,
    pub wall_step_ms: i64,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    rounds: u32,
    pub dice: Dice,
    pub refresher: Refresher,
    pub session: Session,
    pub nature: Nature,
    pub server: Server,
    pub weather: Weather,
    pub sockets: BTreeMap<u64, Socket>,
    pub watch: Watch,
    pub queue_full: bool,
    to_session_ms: u64,
    to_refresher_ms: u64,
    wishes: u64,
    /// Print everything: for whoever hunts a bug.
    pub trace: bool,
}

impl World {
    /// A world at rest.
    pub fn new(seed: u64, settings: Settings, nature: Nature) -> Self {
        let settings = Arc::new(settings);
        let credentials = Credentials {
            client_secret: Secret::new("hush-secret".into()),
            refresh_token: nature.rotates.then(|| Secret::new("hush-r0".into())),
            code: None,
        };
        let mut world = Self {
            now_ms: 0,
            slept_ms: 0,
            wall_step_ms: 0,
            queue: BinaryHeap::new(),
            order: 0,
            rounds: 0,
            dice: Dice::new(seed),
            refresher: Refresher::new(Arc::clone(&settings), credentials, nature.answers, 0),
            session: Session::new(Arc::clone(&settings), None),
            server: Server::new(),
            weather: Weather::default(),
            sockets: BTreeMap::new(),
            watch: Watch::new(settings, &nature),
            queue_full: false,
            to_session_ms: 0,
            to_refresher_ms: 0,
            wishes: 0,
            trace: std::env::var("GWA_TRACE").is_ok(),
            nature,
        };
        world.later(world.nature.push_ms, Event::Push);
        world
    }

    pub fn start(&mut self, rounds: Rounds) {
        self.feed_session(session::Input::Start(rounds));
        self.feed_refresher(refresher::Input::Start);
    }

    pub fn close(&mut self) {
        self.feed_session(session::Input::Close);
        self.feed_refresher(refresher::Input::Close);
    }

    // ---- time -----------------------------------------------------------------------------------------------

    pub fn now(&self) -> Now {
        let wall = WALL_MS.checked_add_signed(self.wall_step_ms).unwrap();
        Now { boot_ms: self.now_ms, awake_ms: self.now_ms - self.slept_ms, wall_ms: wall + self.now_ms }
    }

    pub fn later(&mut self, delay_ms: u64, event: Event) {
        self.at(self.now_ms + delay_ms, event);
    }

    pub fn at(&mut self, at_ms: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Due { at_ms, order: self.order, event }));
    }

    pub fn up_to(&mut self, bound: u64) -> u64 {
        self.dice.up_to(bound)
    }

    /// Once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.dice.up_to(n - 1) == 0
    }

    /// The machine sleeps: boot time passes, awake time does not, nothing is done.
    pub fn suspend(&mut self, ms: u64) {
        self.now_ms += ms;
        self.slept_ms += ms;
    }

    pub fn run_for(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.step(end) {}
    }

    /// Runs until `done`, at most so long; whether it came to that.
    pub fn run_until(&mut self, limit_ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now_ms + limit_ms;
        while !done(self) {
            if !self.step(end) {
                return done(self);
            }
        }
        true
    }

    /// The next thing that happens, if it happens before `end_ms`.
    fn step(&mut self, end_ms: u64) -> bool {
        let of_queue = self.queue.peek().map(|Reverse(due)| due.at_ms);
        let of_session = self.session.next_timeout();
        let of_refresher = self.refresher.next_timeout();
        let Some(next) = [of_queue, of_session, of_refresher].into_iter().flatten().min() else {
            self.now_ms = self.now_ms.max(end_ms);
            return false;
        };
        if next > end_ms {
            self.now_ms = self.now_ms.max(end_ms);
            return false;
        }
        if next > self.now_ms {
            (self.now_ms, self.rounds) = (next, 0);
        }
        self.rounds += 1;
        assert!(self.rounds < ROUNDS_MAX, "{ROUNDS_MAX} rounds without time moving at {}", self.now_ms);
        if of_queue == Some(next) {
            let Some(Reverse(due)) = self.queue.pop() else { return false };
            self.happen(due.event);
        } else if of_session == Some(next) {
            self.feed_session(session::Input::Timeout);
        } else {
            self.feed_refresher(refresher::Input::Timeout);
        }
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToRefresher(input) => self.feed_refresher(input),
            Event::ToSession(input) => self.feed_session(input),
            Event::Request { epoch, request, sent_ms } => self.requested(epoch, &request, sent_ms),
            Event::Dialled { epoch } => self.dialled(epoch),
            Event::DialDone { epoch, outcome } => self.dial_done(epoch, outcome),
            Event::Up { epoch, wire } => self.up(epoch, wire),
            Event::Down { epoch, wire } => self.down(epoch, wire),
            Event::Push => self.push(),
            Event::Expire { epoch } => self.expire(epoch),
            Event::Unstall => self.unstall(),
            Event::Settle { epoch } => self.settle(epoch),
        }
    }

    // ---- the refresh thread ---------------------------------------------------------------------------------

    pub fn feed_refresher(&mut self, input: refresher::Input) {
        let random = self.dice.up_to(u64::MAX);
        self.say("R <", &input);
        self.watch.before_refresher(self.now_ms, &input);
        self.refresher.handle(self.now(), random, input);
        while let Some(output) = self.refresher.poll() {
            self.say("R   >", &output);
            self.watch.refresher_said(self.now_ms, &output, &mut self.dice);
            self.do_refresher(output);
        }
        self.watch.after_refresher();
    }

    fn do_refresher(&mut self, output: refresher::Output) {
        use refresher::Output as O;
        match output {
            O::Http { epoch, request } => {
                let delay = self.network_ms();
                self.later(delay, Event::Request { epoch, request, sent_ms: self.now_ms });
            }
            O::Publish(token) => self.cross_to_session(session::Input::Publish(token)),
            O::News(news) => self.cross_to_session(session::Input::News(news)),
            O::Ask { id, question } => self.asked(id, &question),
            O::Audit(_) | O::Answer { .. } | O::Stopped => {}
        }
    }

    fn cross_to_session(&mut self, input: session::Input) {
        self.to_session_ms = self.to_session_ms.max(self.now_ms + self.crossing_ms());
        self.at(self.to_session_ms, Event::ToSession(input));
    }

    fn cross_to_refresher(&mut self, input: refresher::Input) {
        self.to_refresher_ms = self.to_refresher_ms.max(self.now_ms + self.crossing_ms());
        self.at(self.to_refresher_ms, Event::ToRefresher(input));
    }

    fn crossing_ms(&mut self) -> u64 {
        let most = self.nature.crossing_ms * if self.one_in(30) { 10 } else { 1 };
        self.dice.up_to(most)
    }

    pub fn network_ms(&mut self) -> u64 {
        let slow = if self.on(Fault::NetworkSlow) { 2_000 } else { 0 };
        let (least, most) = self.nature.network_ms;
        least + self.dice.up_to(most - least + slow)
    }

    pub fn on(&self, fault: Fault) -> bool {
        self.weather.on(fault, self.now_ms)
    }

    // ---- the application ------------------------------------------------------------------------------------

    fn asked(&mut self, id: u64, question: &Question) {
        let fault = |text| Err(Error::new(Code::CallbackFailed, Stage::Callback, text));
        let (delay, answer) = match question {
            Question::PersistRefreshToken(_) if self.on(Fault::AppNeverPersists) => return,
            Question::PersistRefreshToken(_) if self.on(Fault::AppPersistsLate) => {
                (self.up_to(20_000), Ok(Answer::Done))
            }
            Question::PersistRefreshToken(_) if self.on(Fault::AppCannotPersist) => (5, fault("disk full")),
            Question::PersistRefreshToken(_) => (self.up_to(self.nature.persist_ms), Ok(Answer::Done)),
            Question::AuthorizationCode if self.on(Fault::AppHasNoCode) => return,
            Question::AuthorizationCode if self.on(Fault::AppDeniesCode) => (500, fault("nobody there")),
            Question::AuthorizationCode => {
                let code = self.server.new_code();
                (self.up_to(60_000), Ok(Answer::Code(Secret::new(code))))
            }
        };
        self.later(delay, Event::ToRefresher(refresher::Input::Answered { id, answer }));
    }

    pub fn refresh_now(&mut self) {
        self.watch.app_acted(self.now_ms);
        self.feed_refresher(refresher::Input::RefreshNow);
    }

    pub fn wish(&mut self, min_left_ms: u64) -> u64 {
        self.wishes += 1;
        self.feed_refresher(refresher::Input::Wanted { id: self.wishes, min_left_ms });
        self.wishes
    }

    /// The application hands over a refresh token that the server has just granted it elsewhere.
    pub fn new_credential(&mut self) {
        self.watch.app_acted(self.now_ms);
        let text = self.server.new_refresh_token();
        self.watch.provided(&text);
        let secret = Secret::new(text);
        self.feed_refresher(refresher::Input::Credential(Credential::RefreshToken(secret)));
    }

    pub fn stall(&mut self, ms: u64) {
        self.queue_full = true;
        self.later(ms, Event::Unstall);
    }

    pub fn unstall(&mut self) {
        self.queue_full = false;
        let epochs: Vec<u64> = self.sockets.iter().filter(|(_, s)| s.stalled).map(|(epoch, _)| *epoch).collect();
        for epoch in epochs {
            let Some(socket) = self.sockets.get_mut(&epoch) else { continue };
            (socket.stalled, socket.extra) = (false, false);
            self.feed_session(session::Input::Resumed { epoch });
            self.read_on(epoch);
        }
    }

    // ---- the socket thread ----------------------------------------------------------------------------------

    pub fn feed_session(&mut self, input: session::Input) {
        let random = self.dice.up_to(u64::MAX);
        self.say("S <", &input);
        self.watch.before_session(self.now_ms, &input);
        self.session.handle(self.now(), random, input);
        while let Some(output) = self.session.poll() {
            self.say("S   >", &output);
            self.watch.session_said(self.now(), &output, &self.sockets, &mut self.dice);
            self.do_session(output);
        }
        self.watch.after_session(self.now_ms, &self.sockets, self.session.state());
    }

    fn do_session(&mut self, output: session::Output) {
        use session::Output as O;
        match output {
            O::Dial { epoch, hold } => {
                self.sockets.insert(epoch, Socket::dialing(hold));
                let delay = self.network_ms();
                self.later(delay, Event::Dialled { epoch });
            }
            O::SendAuth { epoch, frame } => self.send_up(epoch, Wire::Text(frame.expose().as_bytes().to_vec())),
            O::Ping { epoch } => self.send_up(epoch, Wire::Ping),
            O::Release { epoch } => self.release(epoch),
            O::Leave { epoch, code } => {
                self.send_up(epoch, Wire::Close(code));
                if let Some(socket) = self.sockets.get_mut(&epoch) {
                    socket.end = End::Leaving;
                }
            }
            O::Abort { epoch } => {
                self.send_up(epoch, Wire::Eof);
                self.gone(epoch);
            }
            O::Refused { serial } => self.cross_to_refresher(refresher::Input::Refused { serial }),
            O::GiveUp { error, serial } => self.cross_to_refresher(refresher::Input::GiveUp { error, serial }),
            O::MarkInBandUnable => {
                let until_ms = self.now_ms + 24 * 3_600_000;
                self.later(1, Event::ToSession(session::Input::InBandUnable { until_ms }));
            }
            O::SendOn(_) | O::Notice(_) | O::Audit(_) | O::Renewed { .. } => {}
            O::Connected | O::Failed(_) | O::Stopped { .. } => {}
        }
    }

    fn send_up(&mut self, epoch: u64, wire: Wire) {
        let delay = self.network_ms();
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| !socket.swallowed) else { return };
        socket.up_ms = socket.up_ms.max(self.now_ms + delay);
        let at_ms = socket.up_ms;
        self.at(at_ms, Event::Up { epoch, wire });
    }

    pub fn send_down(&mut self, epoch: u64, wire: Wire) {
        let delay = self.network_ms();
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| !socket.swallowed) else { return };
        socket.down_ms = socket.down_ms.max(self.now_ms + delay);
        let at_ms = socket.down_ms;
        self.at(at_ms, Event::Down { epoch, wire });
    }

    fn dial_done(&mut self, epoch: u64, outcome: Result<(), Error>) {
        let dialing = self.sockets.get_mut(&epoch).filter(|socket| socket.end == End::Dialing);
        match outcome {
            Ok(()) => {
                if let Some(socket) = dialing {
                    socket.end = End::Open;
                }
                self.feed_session(session::Input::Opened { epoch });
            }
            Err(error) => {
                self.gone(epoch);
                self.feed_session(session::Input::Failed { epoch, error });
            }
        }
    }

    fn gone(&mut self, epoch: u64) {
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| socket.end != End::Gone) else { return };
        (socket.end, socket.stalled) = (End::Gone, false);
        socket.unread.clear();
        self.later(SETTLE_MS, Event::Settle { epoch });
    }

    fn down(&mut self, epoch: u64, wire: Wire) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        if socket.swallowed || !matches!(socket.end, End::Open | End::Leaving) {
            return;
        }
        socket.unread.push_back(wire);
        self.read_on(epoch);
    }

    fn read_on(&mut self, epoch: u64) {
        loop {
            let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| !socket.stalled) else { return };
            let is_message = matches!(socket.unread.front(), Some(Wire::Message(_)));
            if self.queue_full && is_message && !socket.held {
                // One message more than the bound while a reply or a pong is awaited.
                if socket.extra || !self.session.awaits(epoch) {
                    socket.stalled = true;
                    return self.feed_session(session::Input::Stalled { epoch });
                }
                socket.extra = true;
            }
            let Some(wire) = socket.unread.pop_front() else { return };
            self.session.heard(self.now(), epoch);
            self.read(epoch, wire);
        }
    }

    fn read(&mut self, epoch: u64, wire: Wire) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        let leaving = socket.end == End::Leaving;
        match wire {
            Wire::Text(text) => match self.session.judge(epoch, &text) {
                Whose::Ours => self.feed_session(session::Input::Reply { epoch, text }),
                Whose::Application => {}
            },
            Wire::Message(number) if socket.held => socket.kept.push(number),
            Wire::Message(number) => self.deliver(epoch, number),
            Wire::Ping | Wire::Pong => {}
            Wire::Close(code) => {
                self.gone(epoch);
                let input = if leaving {
                    session::Input::Drained { epoch, clean: code == 1000 }
                } else {
                    session::Input::Closed { epoch, code, reason: "as asked".into() }
                };
                self.feed_session(input);
            }
            Wire::Eof => {
                self.gone(epoch);
                let error = Error::new(Code::Dropped, Stage::Live, "");
                self.feed_session(session::Input::Dropped { epoch, error });
            }
        }
    }

    fn release(&mut self, epoch: u64) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        socket.held = false;
        for number in std::mem::take(&mut socket.kept) {
            self.deliver(epoch, number);
        }
    }

    fn deliver(&mut self, epoch: u64, number: u64) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        let next = socket.written.get(socket.delivered).map(|(number, _)| *number);
        assert_eq!(next, Some(number), "socket {epoch}: out of order or lost in between");
        socket.delivered += 1;
        self.watch.delivered(epoch, number);
    }

    /// A socket is gone for good: what the server wrote on it and nobody saw must lie in a gap.
    fn settle(&mut self, epoch: u64) {
        let Some(socket) = self.sockets.remove(&epoch) else { return };
        for (number, at_ms) in socket.written.iter().skip(socket.delivered) {
            self.watch.lost(*number, *at_ms, epoch);
        }
    }

    fn say(&self, who: &str, what: &impl std::fmt::Debug) {
        if self.trace {
            println!("{} {who} {what:?}", self.now_ms);
        }
    }

    // ---- what a story asks ----------------------------------------------------------------------------------

    pub fn state(&self) -> State {
        self.session.state()
    }

    pub fn is_live(&self) -> bool {
        self.state().is_live()
    }

    /// Runs until live; a story that does not get there has failed.
    pub fn until_live(&mut self, limit_ms: u64) {
        assert!(self.run_until(limit_ms, Self::is_live), "not live after {limit_ms} ms but {:?}", self.state());
    }

    pub fn until_state(&mut self, state: State, limit_ms: u64) {
        assert!(self.run_until(limit_ms, |w| w.state() == state), "not {state:?} but {:?}", self.state());
    }
}

impl Socket {
    fn dialing(held: bool) -> Self {
        Self {
            end: End::Dialing,
            held,
            kept: Vec::new(),
            unread: VecDeque::new(),
            stalled: false,
            extra: false,
            served: false,
            accepted: None,
            swallowed: false,
            up_ms: 0,
            down_ms: 0,
            written: Vec::new(),
            delivered: 0,
        }
    }

    /// The server takes it for authenticated.
    pub fn is_live(&self) -> bool {
        self.served && self.accepted.is_some()
    }
}
