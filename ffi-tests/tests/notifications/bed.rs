//! A simulator, clients at its channels, and everything they said; tests wait for that, never for time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ffi_tests::sim::{EventPump, Log, Options, Sim, TokenPolicy};
use genesys_ws_auth::event::{Gap, Handover, Notice, State, StateChange, Topic};
use genesys_ws_auth::hooks::Hooks;
use genesys_ws_auth::{Client, Config, Secret, TokenSource};
use serde_json::Value;

/// No test waits longer for anything.
pub const BOUND: Duration = Duration::from_secs(60);
/// What the clients are subscribed to.
pub const TOPIC: &str = "v2.users.11111111-2222-3333-4444-555555555555.presence";

/// What the hooks of one client were told. Events are numbered by the simulator.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Numbers of the events, in the order in which they came.
    pub events: Vec<u64>,
    /// Texts that are no event of the simulator's.
    pub others: Vec<String>,
    pub states: Vec<StateChange>,
    pub gaps: Vec<Gap>,
    pub gap_ends: Vec<Gap>,
    pub handovers: Vec<Handover>,
    pub topics: Vec<Topic>,
    pub tokens: usize,
    /// Everything that was said in words: notices, records, lines of log.
    pub words: Vec<String>,
}

impl Told {
    /// The number of the newest event.
    pub fn last(&self) -> u64 {
        self.events.last().copied().unwrap_or(0)
    }

    /// How often the state was entered.
    pub fn times(&self, state: State) -> usize {
        self.states.iter().filter(|change| change.to == state).count()
    }

    pub fn receive(&mut self, data: &[u8]) {
        let event: Value = serde_json::from_slice(data).unwrap_or_default();
        match event["eventBody"]["seq"].as_u64() {
            Some(seq) => self.events.push(seq),
            None => self.others.push(String::from_utf8_lossy(data).into_owned()),
        }
    }

    pub fn note(&mut self, notice: &Notice) {
        self.words.push(format!("{notice:?}"));
        match notice {
            Notice::State(change) => self.states.push(change.clone()),
            Notice::GapBegin(gap) => self.gaps.push(gap.clone()),
            Notice::GapEnd(gap) => self.gap_ends.push(gap.clone()),
            Notice::Handover(handover) => self.handovers.push(handover.clone()),
            Notice::Topics(topics) => self.topics = topics.results.to_vec(),
            _ => {}
        }
    }

    /// Without the bulk.
    fn show(&self) -> String {
        let states = self.states.iter().rev().take(20).map(|change| (change.to, change.reason, &change.error));
        let states: Vec<_> = states.collect();
        let Self { events, others, gaps, gap_ends, handovers, topics, tokens, .. } = self;
        let (count, last) = (events.len(), self.last());
        let handovers = handovers.len();
        format!(
            "{count} events up to {last}, {tokens} tokens, {handovers} hand-overs, gaps {gaps:?} {gap_ends:?}, \
             topics {topics:?}, others {others:?}, states, the last first: {states:?}"
        )
    }
}

/// What is told, and a wait for it.
#[derive(Default)]
pub struct Seen {
    told: Mutex<Told>,
    changed: Condvar,
}

impl Seen {
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell(&self, add: impl FnOnce(&mut Told)) {
        add(&mut self.told());
        self.changed.notify_all();
    }

    /// Waits until `wanted`; shows what there was instead.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&Told) -> bool) {
        let waited = self.changed.wait_timeout_while(self.told(), BOUND, |told| !wanted(told));
        let (told, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(wanted(&told), "never saw {what}; but {}", told.show());
    }

    #[track_caller]
    pub fn wait_state(&self, state: State, n: usize) {
        self.wait(&format!("{state:?} {n} times"), |told| told.times(state) >= n);
    }
}

fn hooks(seen: &Arc<Seen>) -> Hooks {
    let mut hooks = Hooks::default();
    let with = Arc::clone(seen);
    hooks.on_message = Some(Arc::new(move |message| with.tell(|told| told.receive(message.data()))));
    let with = Arc::clone(seen);
    hooks.on_state = Some(Arc::new(move |notice| with.tell(|told| told.note(notice))));
    let with = Arc::clone(seen);
    hooks.on_token = Some(Arc::new(move |_| with.tell(|told| told.tokens += 1)));
    let with = Arc::clone(seen);
    hooks.on_audit = Some(Arc::new(move |view| {
        with.tell(|told| told.words.push(view.json_with_nul.to_owned()));
        Ok(())
    }));
    let with = Arc::clone(seen);
    hooks.on_log = Some(Arc::new(move |_, _, text| with.tell(|told| told.words.push(text.to_owned()))));
    hooks
}

/// A client, and what it was told.
pub struct Guest {
    pub client: Client,
    pub seen: Arc<Seen>,
}

impl Guest {
    #[track_caller]
    pub fn connect(&self) {
        let outcome = self.client.connect(Some(BOUND));
        assert!(outcome.is_ok(), "{outcome:?}; {}", self.seen.told().show());
    }

    /// Waits until a client that was started is Ready.
    #[track_caller]
    pub fn ready(&self) {
        self.seen.wait_state(State::Ready, 1);
    }

    /// A new token, and with it a new channel; returns when that has taken over.
    #[track_caller]
    pub fn roll_over(&self) {
        let before = self.seen.told().handovers.len();
        self.client.refresh_now().unwrap();
        self.seen.wait("another hand-over", |told| told.handovers.len() > before);
    }

    /// Shuts down, checks that everything ended, and gives all that was told.
    #[track_caller]
    pub fn close(self) -> Told {
        let report = self.client.shutdown(Some(BOUND));
        assert!(report.complete, "{report:?} {}", self.seen.told().show());
        assert_eq!(self.client.state(), State::Closed);
        let told = self.seen.told().clone();
        told
    }
}

/// A simulator for clients of one token source, or of their own.
pub struct Bed {
    pub sim: Sim,
}

/// A simulator without TLS: what is tested is what happens in it.
pub fn plain() -> Options {
    Options { tls: None, ..Options::notifications() }
}

/// The same with an event each so many milliseconds.
pub fn pumping(every_ms: u64) -> Options {
    let mut options = plain();
    options.notify.events = Some(EventPump::every(Duration::from_millis(every_ms)));
    options
}

impl Bed {
    pub fn new(options: Options) -> Self {
        Self { sim: Sim::start(options) }
    }

    /// A client with its own tokens.
    pub fn guest(&self, set: impl FnOnce(&mut Config)) -> Guest {
        let (mut config, seen) = self.config();
        self.credentials(&mut config);
        set(&mut config);
        Guest { client: Client::new(&config).unwrap(), seen }
    }

    /// A client with its own tokens, connected.
    #[track_caller]
    pub fn connected(&self) -> Guest {
        let guest = self.guest(|_| {});
        guest.connect();
        guest
    }

    /// A source of tokens for many.
    pub fn source(&self) -> TokenSource {
        let (mut config, _) = self.config();
        self.credentials(&mut config);
        config.hooks = Hooks::default();
        TokenSource::new(&config).unwrap()
    }

    /// A client of a source.
    pub fn guest_of(&self, source: &TokenSource, set: impl FnOnce(&mut Config)) -> Guest {
        let (mut config, seen) = self.config();
        set(&mut config);
        Guest { client: Client::with_source(&config, source).unwrap(), seen }
    }

    #[track_caller]
    pub fn wait_sim(&self, what: &str, wanted: impl Fn(&Log) -> bool) {
        assert!(self.sim.record().wait_until(BOUND, wanted), "the server never saw {what}");
    }

    /// Everything that is about the channels.
    fn config(&self) -> (Config, Arc<Seen>) {
        let mut config = Config::new();
        let host = self.sim.streaming_host();
        for (key, value) in [
            ("profile", "notifications"),
            ("api.url", &self.sim.api_url()),
            ("notifications.streaming_host", &host),
            ("notifications.topics", TOPIC),
            ("token.refresh_floor_ms", "0"),
            ("notifications.linger_ms", "0"),
        ] {
            config.set(key, value).unwrap();
        }
        if self.sim.ca_pem().is_empty() {
            config.set("net.allow_plain_loopback", "true").unwrap();
        } else {
            config.set("tls.ca_pem", self.sim.ca_pem()).unwrap();
        }
        let seen = Arc::new(Seen::default());
        config.hooks = hooks(&seen);
        (config, seen)
    }

    fn credentials(&self, config: &mut Config) {
        let policy = TokenPolicy::default();
        config.set("token.url", &self.sim.token_url()).unwrap();
        config.set("client.id", &policy.client_id).unwrap();
        config.set_secret("client.secret", Secret::new(policy.client_secret)).unwrap();
    }
}

/// Stops the pump, waits until the client has what was sent to its channels, and checks that this is every event once,
/// in order: from the first that any of its sockets was given.
#[track_caller]
pub fn every_event_once(bed: &Bed, guest: &Guest) -> usize {
    bed.sim.channels().policy(|policy| policy.events = None);
    let sent: Vec<u64> = bed.sim.record().read(|log| {
        let handed = log.emitted.iter().filter(|event| !event.connections.is_empty());
        handed.map(|event| event.number).collect()
    });
    let last = sent.last().copied().unwrap_or(0);
    guest.seen.wait("the last event", |told| told.last() >= last);
    let told = guest.seen.told();
    let first_wrong = told.events.iter().zip(&sent).position(|(got, sent)| got != sent);
    let around = |events: &[u64], at: usize| events[at.saturating_sub(2)..events.len().min(at + 3)].to_vec();
    if let Some(at) = first_wrong {
        panic!("event {at}: {:?} of {:?}; {}", around(&told.events, at), around(&sent, at), told.show());
    }
    assert_eq!(told.events.len(), sent.len(), "{}", told.show());
    assert!(told.gaps.is_empty() && told.others.is_empty(), "{}", told.show());
    sent.len()
}
