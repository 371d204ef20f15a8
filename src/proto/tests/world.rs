//! The world: simulated time, the two threads, the wires between them, the application.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::faults::{Fault, Weather};
use super::scope_laws::ScopeLaws;
use super::server::{Nature, Server};
use super::socket_laws::SocketLaws;
use super::token_laws::TokenLaws;
use super::watch::Watch;
use super::wires::Socket;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::proto::dice::Dice;
use crate::proto::http::Request;
use crate::proto::oauth::{assertion, Credentials};
use crate::proto::pkce::{Fresh, BYTES};
use crate::proto::refresher::{self, Refresher};
use crate::proto::session::{self, Rounds, Session};
use crate::proto::time::Now;
use crate::secret::Secret;
use zeroize::Zeroizing;

/// Where wall time begins: 2026-01-01.
const WALL_MS: u64 = 1_767_225_600_000;
/// More inputs than this in one millisecond are a loop that stands still.
const ROUNDS_MAX: u32 = 300;

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
    Request {
        epoch: u64,
        request: Request,
        sent_ms: u64,
    },
    /// A SYN arrives.
    Dialled {
        epoch: u64,
    },
    ConnectDone {
        epoch: u64,
        outcome: Result<(), Error>,
    },
    /// The request for an upgrade arrives.
    Asked {
        epoch: u64,
    },
    DialDone {
        epoch: u64,
        outcome: Result<(), Error>,
    },
    /// The server's own timer for the authentication.
    AuthDue {
        epoch: u64,
    },
    Up {
        epoch: u64,
        wire: Wire,
    },
    Down {
        epoch: u64,
        wire: Wire,
    },
    Push,
    Expire {
        epoch: u64,
    },
    Unstall,
    Settle {
        epoch: u64,
    },
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

pub struct World {
    pub now_ms: u64,
    pub slept_ms: u64,
    pub wall_step_ms: i64,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    rounds: u32,
    pub dice: Dice,
    /// For what nobody may guess.
    fresh: Dice,
    pub refresher: Refresher,
    pub session: Session,
    pub nature: Nature,
    pub server: Server,
    pub weather: Weather,
    pub sockets: BTreeMap<u64, Socket>,
    pub watch: Watch,
    pub token_laws: TokenLaws,
    pub socket_laws: SocketLaws,
    pub scope_laws: ScopeLaws,
    pub queue_full: bool,
    to_session_ms: u64,
    to_refresher_ms: u64,
    pub wishes: u64,
    /// What is known of the server's clock.
    pub ahead_ms: Option<i64>,
    /// Print everything: for whoever hunts a bug.
    pub trace: bool,
}

/// As the shell makes it, of another generator.
pub fn fresh(dice: &mut Dice) -> Fresh {
    let mut bytes = Zeroizing::new([0; BYTES]);
    bytes.iter_mut().for_each(|byte| *byte = dice.up_to(255) as u8);
    Fresh::new(&bytes, sha256)
}

/// SHA-256, by which a server checks a verifier.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().unwrap()
}

impl World {
    /// A world at rest.
    pub fn new(seed: u64, settings: Settings, nature: Nature) -> Self {
        let settings = Arc::new(settings);
        let credentials = Credentials {
            client_secret: Secret::new("hush-secret".into()),
            refresh_token: nature.rotates.then(|| Secret::new("hush-r0".into())),
            saml_assertion: settings.saml_assertion.clone(),
            ..Credentials::default()
        };
        let mut world = Self {
            now_ms: 0,
            slept_ms: 0,
            wall_step_ms: 0,
            queue: BinaryHeap::new(),
            order: 0,
            rounds: 0,
            dice: Dice::new(seed),
            fresh: Dice::new(!seed),
            refresher: Refresher::new(Arc::clone(&settings), credentials, nature.answers, 0),
            session: Session::new(Arc::clone(&settings), None),
            server: Server::new(),
            weather: Weather::default(),
            sockets: BTreeMap::new(),
            token_laws: TokenLaws::new(Arc::clone(&settings), nature.answers, nature.rotates.then_some("hush-r0")),
            socket_laws: SocketLaws::new(settings.lead_goal_ms),
            scope_laws: ScopeLaws::new(Arc::clone(&settings)),
            watch: Watch::new(settings, &nature),
            queue_full: false,
            to_session_ms: 0,
            to_refresher_ms: 0,
            wishes: 0,
            ahead_ms: None,
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
            Event::ConnectDone { epoch, outcome } => self.connect_done(epoch, outcome),
            Event::Asked { epoch } => self.asked_to_upgrade(epoch),
            Event::AuthDue { epoch } => self.auth_due(epoch),
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
        self.token_laws.before(self.now(), random, &input);
        if self.refresher.wants_fresh() {
            self.refresher.refill(fresh(&mut self.fresh));
        }
        self.refresher.handle(self.now(), random, input);
        while let Some(output) = self.refresher.poll() {
            self.say("R   >", &output);
            self.token_laws.said(self.now(), &output);
            self.watch.refresher_said(self.now_ms, &output, &mut self.dice);
            self.do_refresher(output);
        }
        self.watch.after_refresher(self.refresher.attempts_failed());
        self.token_laws.after(self.now(), &self.refresher);
    }

    fn do_refresher(&mut self, output: refresher::Output) {
        use refresher::Output as O;
        match output {
            O::Http { epoch, request } => {
                let delay = self.network_ms();
                self.later(delay, Event::Request { epoch, request, sent_ms: self.now_ms });
            }
            O::Sign { epoch, claims } => {
                let signed = assertion::signed(&assertion::signing_input(&claims, "ES256", ""), b"hush-signature");
                self.feed_refresher(refresher::Input::Signed { epoch, outcome: Ok(signed) });
            }
            O::Publish(token) => self.cross_to_session(session::Input::Publish(token)),
            O::News(news) => self.cross_to_session(session::Input::News(news)),
            O::Ask { id, question } => self.asked(id, &question),
            O::ServerClock { ahead_ms } => self.ahead_ms = Some(ahead_ms),
            O::LoadStore { .. } | O::Store(_) | O::FreeStore => unreachable!("no token store is set in this world"),
            O::Audit(_) | O::Answer { .. } | O::Stopped => {}
        }
    }

    fn cross_to_session(&mut self, input: session::Input) {
        self.to_session_ms = self.to_session_ms.max(self.now_ms + self.crossing_ms());
        self.at(self.to_session_ms, Event::ToSession(input));
    }

    pub fn cross_to_refresher(&mut self, input: refresher::Input) {
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
}
