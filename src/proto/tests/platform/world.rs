//! Simulated time, the source of tokens, its clients, and what is on its way between them and the platform.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;

use super::account::Made;
use super::cloud::Cloud;
use super::faults::{Fault, Weather};
use super::laws::Laws;
use super::rest::What;
use super::source::Spare;
use super::wires::{Socket, Wire};
use crate::config::settings::Settings;
use crate::error::Error;
use crate::event::State;
use crate::proto::dice::Dice;
use crate::proto::http::{Outcome, Request};
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{self, Refresher};
use crate::proto::session::{self, Rounds, Session};
use crate::proto::tests::server::{self, Server};
use crate::proto::tests::token_laws::TokenLaws;
use crate::proto::tests::watch::Watch;
use crate::proto::time::Now;
use crate::secret::Secret;

/// Where wall time begins: 2026-01-01.
pub const WALL_MS: u64 = 1_767_225_600_000;
/// More inputs than this in one millisecond are a loop that stands still.
const ROUNDS_MAX: u32 = 2_000;

/// How this platform is, faults apart.
#[derive(Clone, Debug)]
pub struct Nature {
    /// The token endpoint, the network, the events.
    pub base: server::Nature,
    /// Between two heartbeats.
    pub beat_ms: u64,
    /// By how much later than at once an event may reach a channel.
    pub skew_ms: u64,
    /// Longest time that the REST API takes.
    pub rest_ms: u64,
    /// By how much the platform's clock is ahead of this machine's.
    pub ahead_ms: i64,
    /// Clients of the one source.
    pub clients: usize,
    /// A token that nobody uses for so long dies.
    pub idle_ms: Option<u64>,
    /// REST calls a minute of one token.
    pub calls_per_minute: u32,
}

impl Default for Nature {
    fn default() -> Self {
        let base = server::Nature { rotates: false, kept_ms: Some(0), push_ms: 5_000, ..server::Nature::default() };
        Self {
            base,
            beat_ms: 30_000,
            skew_ms: 2_000,
            rest_ms: 200,
            ahead_ms: 0,
            clients: 1,
            idle_ms: None,
            calls_per_minute: 300,
        }
    }
}

#[derive(Debug)]
pub enum Event {
    ToSource(refresher::Input),
    ToClient {
        who: usize,
        input: session::Input,
    },
    TokenAsked {
        epoch: u64,
        request: Request,
        sent_ms: u64,
    },
    RestAsked {
        who: usize,
        id: u64,
        request: Request,
        sent_ms: u64,
    },
    RestDone {
        who: usize,
        id: u64,
        outcome: Outcome,
    },
    /// A client wants the spare channel, or gives it back.
    Spare {
        who: usize,
        wanted: bool,
    },
    /// Somebody else has returned the spare channel.
    SpareFree,
    Dialled {
        who: usize,
        epoch: u64,
    },
    ConnectDone {
        who: usize,
        epoch: u64,
        outcome: Result<(), Error>,
    },
    Asked {
        who: usize,
        epoch: u64,
    },
    DialDone {
        who: usize,
        epoch: u64,
        outcome: Result<(), Error>,
    },
    Up {
        who: usize,
        epoch: u64,
        wire: Wire,
    },
    Down {
        who: usize,
        epoch: u64,
        wire: Wire,
    },
    Push,
    /// An event reaches a channel.
    Fan {
        channel: u64,
        made: Rc<Made>,
    },
    Beat {
        who: usize,
        epoch: u64,
    },
    /// The platform closes a socket for a reason it had before.
    CloseDue {
        who: usize,
        epoch: u64,
        code: u16,
    },
    /// A channel may have expired.
    ExpiryDue {
        channel: u64,
    },
    /// The token of a channel may have been idle for too long.
    IdleDue {
        channel: u64,
    },
    /// The token of a channel has ended.
    TokenEnds {
        channel: u64,
    },
    Unstall {
        who: usize,
    },
}

struct Due {
    at_ms: u64,
    order: u64,
    /// Boxed: the queue moves it about.
    event: Box<Event>,
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

/// One client of the source: its machine, its sockets, its application.
pub struct Client {
    pub session: Session,
    pub sockets: BTreeMap<u64, Socket>,
    pub laws: Laws,
    /// REST requests that are of use, by number.
    pub rests: BTreeMap<u64, u64>,
    pub queue_full: bool,
    pub started: bool,
    /// When its machine wants to be woken.
    pub wake_ms: Option<u64>,
    to_client_ms: u64,
    to_source_ms: u64,
}

pub struct Platform {
    pub now_ms: u64,
    pub slept_ms: u64,
    pub wall_step_ms: i64,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    rounds: u32,
    pub dice: Dice,
    pub nature: Nature,
    pub settings: Arc<Settings>,
    pub source: Refresher,
    pub token_laws: TokenLaws,
    pub watch: Watch,
    pub server: Server,
    pub cloud: Cloud,
    pub weather: Weather,
    pub spare: Spare,
    pub clients: Vec<Client>,
    /// REST requests as they arrived: when, whose, what.
    pub calls: Vec<(u64, usize, What)>,
    pub rate: (u64, u32),
    pub made: u64,
    /// When each token was used last.
    pub used_ms: BTreeMap<String, u64>,
    /// Something has gone wrong already.
    pub faulty: bool,
    trace: bool,
}

/// Settings of a client of this profile.
pub fn settings() -> Settings {
    let region = "mypurecloud.com";
    Settings {
        profile: crate::config::settings::Profile::Notifications,
        client_id: "id".into(),
        token_url: format!("https://login.{region}/oauth/token"),
        ws_url: String::new(),
        api_url: format!("https://api.{region}"),
        streaming_host: format!("streaming.{region}"),
        unknown_scopes: crate::config::settings::UnknownScopes::Allow,
        topics: TOPICS.iter().map(ToString::to_string).collect(),
        ..Settings::default()
    }
}

/// What the application wants to begin with.
pub const TOPICS: &[&str] = &["v2.users.u1.presence", "v2.users.u2?presence&routingStatus", "v2.queues.q1.users"];

impl Platform {
    /// A world at rest.
    pub fn new(seed: u64, settings: Settings, nature: Nature) -> Self {
        let settings = Arc::new(settings);
        let refresh = nature.base.rotates.then_some("hush-r0");
        let credentials = Credentials {
            client_secret: Secret::new("hush-secret".into()),
            refresh_token: refresh.map(|text| Secret::new(text.into())),
            ..Credentials::default()
        };
        let clients = (0..nature.clients).map(|_| Client::new(&settings, nature.clients > 1)).collect();
        let mut world = Self {
            now_ms: 0,
            slept_ms: 0,
            wall_step_ms: 0,
            queue: BinaryHeap::new(),
            order: 0,
            rounds: 0,
            dice: Dice::new(seed),
            source: Refresher::new(Arc::clone(&settings), credentials, nature.base.answers, 0),
            token_laws: TokenLaws::new(Arc::clone(&settings), nature.base.answers, refresh),
            watch: Watch::new(Arc::clone(&settings), &nature.base),
            server: Server::new(),
            cloud: Cloud::default(),
            weather: Weather::default(),
            spare: Spare::default(),
            clients,
            calls: Vec::new(),
            rate: (0, 0),
            made: 0,
            used_ms: BTreeMap::new(),
            faulty: false,
            trace: std::env::var("GWA_TRACE").is_ok(),
            settings,
            nature,
        };
        world.later(world.nature.base.push_ms, Event::Push);
        world
    }

    pub fn start(&mut self, rounds: Rounds) {
        (0..self.clients.len()).for_each(|who| self.start_client(who, rounds));
        self.feed_source(refresher::Input::Start);
    }

    pub fn start_client(&mut self, who: usize, rounds: Rounds) {
        self.clients[who].started = true;
        self.feed(who, session::Input::Start(rounds));
        if let Some((_, token)) = self.watch.tokens.last() {
            let token = Arc::clone(token);
            self.cross_to_client(who, session::Input::Publish(token));
        }
    }

    pub fn close(&mut self) {
        (0..self.clients.len()).for_each(|who| self.feed(who, session::Input::Close));
        self.feed_source(refresher::Input::Close);
    }

    // ---- time -----------------------------------------------------------------------------------------------

    pub fn now(&self) -> Now {
        let wall = WALL_MS.checked_add_signed(self.wall_step_ms).unwrap();
        Now { boot_ms: self.now_ms, awake_ms: self.now_ms - self.slept_ms, wall_ms: wall + self.now_ms }
    }

    /// The platform's own clock.
    pub fn platform_wall_ms(&self) -> u64 {
        (WALL_MS + self.now_ms).checked_add_signed(self.nature.ahead_ms).unwrap()
    }

    pub fn later(&mut self, delay_ms: u64, event: Event) {
        self.at(self.now_ms + delay_ms, event);
    }

    pub fn at(&mut self, at_ms: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Due { at_ms, order: self.order, event: Box::new(event) }));
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
        self.clients.iter_mut().for_each(|client| client.laws.woke(self.now_ms + ms));
        self.now_ms += ms;
        self.slept_ms += ms;
    }

    pub fn step_wall(&mut self, by_ms: i64) {
        self.wall_step_ms += by_ms;
        let now_ms = self.now_ms;
        self.clients.iter_mut().for_each(|client| client.laws.account.stepped(now_ms));
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
        let of_source = self.source.next_timeout();
        let timers = self.clients.iter().enumerate();
        let of_client = timers.filter_map(|(who, client)| Some((client.wake_ms?, who))).min();
        let next = [of_queue, of_source, of_client.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end_ms) else {
            self.now_ms = self.now_ms.max(end_ms);
            return false;
        };
        if next > self.now_ms {
            (self.now_ms, self.rounds) = (next, 0);
        }
        self.rounds += 1;
        assert!(self.rounds < ROUNDS_MAX, "{ROUNDS_MAX} rounds without time moving at {}", self.now_ms);
        match of_client {
            _ if of_queue == Some(next) => {
                let Some(Reverse(due)) = self.queue.pop() else { return false };
                self.happen(*due.event);
            }
            Some((at_ms, who)) if at_ms == next => self.feed(who, session::Input::Timeout),
            _ => self.feed_source(refresher::Input::Timeout),
        }
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToSource(input) => self.feed_source(input),
            Event::ToClient { who, input } => self.feed(who, input),
            Event::TokenAsked { epoch, request, sent_ms } => self.token_asked(epoch, &request, sent_ms),
            Event::RestAsked { who, id, request, sent_ms } => self.rest_asked(who, id, &request, sent_ms),
            Event::RestDone { who, id, outcome } => self.rest_done(who, id, outcome),
            Event::Spare { who, wanted } => self.spare_wanted(who, wanted),
            Event::SpareFree => self.grant_spare(),
            Event::Dialled { who, epoch } => self.dialled(who, epoch),
            Event::ConnectDone { who, epoch, outcome } => self.connect_done(who, epoch, outcome),
            Event::Asked { who, epoch } => self.asked_to_upgrade(who, epoch),
            Event::DialDone { who, epoch, outcome } => self.dial_done(who, epoch, outcome),
            Event::Up { who, epoch, wire } => self.up(who, epoch, &wire),
            Event::Down { who, epoch, wire } => self.down(who, epoch, wire),
            Event::Push => self.push(),
            Event::Fan { channel, made } => self.fan(channel, &made),
            Event::Beat { who, epoch } => self.beat(who, epoch),
            Event::CloseDue { who, epoch, code } => self.hang_up(who, epoch, Wire::Close(code)),
            Event::ExpiryDue { channel } => self.expiry_due(channel),
            Event::IdleDue { channel } => self.idle_due(channel),
            Event::TokenEnds { channel } => self.token_ends(channel),
            Event::Unstall { who } => self.unstall(who),
        }
    }

    // ---- between threads ------------------------------------------------------------------------------------

    pub fn cross_to_client(&mut self, who: usize, input: session::Input) {
        let at_ms = self.now_ms + self.crossing_ms();
        let client = &mut self.clients[who];
        client.to_client_ms = client.to_client_ms.max(at_ms);
        let at_ms = client.to_client_ms;
        self.at(at_ms, Event::ToClient { who, input });
    }

    pub fn cross_to_source(&mut self, who: usize, event: Event) {
        let at_ms = self.now_ms + self.crossing_ms();
        let client = &mut self.clients[who];
        client.to_source_ms = client.to_source_ms.max(at_ms);
        let at_ms = client.to_source_ms;
        self.at(at_ms, event);
    }

    fn crossing_ms(&mut self) -> u64 {
        let most = self.nature.base.crossing_ms * if self.one_in(30) { 10 } else { 1 };
        self.dice.up_to(most)
    }

    pub fn network_ms(&mut self) -> u64 {
        let slow = if self.on(Fault::NetworkSlow) { 2_000 } else { 0 };
        let (least, most) = self.nature.base.network_ms;
        least + self.dice.up_to(most - least + slow)
    }

    // ---- what a story asks ----------------------------------------------------------------------------------

    pub fn state(&self) -> State {
        self.clients[0].session.state()
    }

    pub fn laws(&self) -> &Laws {
        &self.clients[0].laws
    }

    pub fn is_live(&self) -> bool {
        self.clients.iter().all(|client| client.session.state().is_live())
    }

    /// Runs until every client is live; a story that does not get there has failed.
    pub fn until_live(&mut self, limit_ms: u64) {
        assert!(self.run_until(limit_ms, Self::is_live), "not live after {limit_ms} ms but {:?}", self.state());
    }

    pub fn until_state(&mut self, state: State, limit_ms: u64) {
        assert!(self.run_until(limit_ms, |w| w.state() == state), "not {state:?} but {:?}", self.state());
    }

    pub fn say_of(&self, who: usize, how: &str, what: &impl std::fmt::Debug) {
        if self.trace {
            println!("{} S{who} {how} {what:?}", self.now_ms);
        }
    }

    pub fn say(&self, who: &str, what: &impl std::fmt::Debug) {
        if self.trace {
            println!("{} {who} {what:?}", self.now_ms);
        }
    }
}

impl Client {
    fn new(settings: &Arc<Settings>, shares: bool) -> Self {
        let session = Session::new(Arc::clone(settings), None);
        Self {
            session: if shares { session.sharing() } else { session },
            sockets: BTreeMap::new(),
            laws: Laws::new(Arc::clone(settings)),
            rests: BTreeMap::new(),
            queue_full: false,
            started: false,
            wake_ms: None,
            to_client_ms: 0,
            to_source_ms: 0,
        }
    }
}
