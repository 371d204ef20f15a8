//! A simulator, a client at it, and everything the client said, in order; tests wait for it, never for time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ffi_tests::sim::{Options, Sim, TokenPolicy};
use genesys_ws_auth::event::{Gap, Handover, MessageKind, Notice, Question, ScopesChanged, Sent, State, StateChange};
use genesys_ws_auth::hooks::{Answer, Hooks, Request};
use genesys_ws_auth::proto::token::Token;
use genesys_ws_auth::{Client, Code, Config, Error, Secret};
use serde_json::Value;

/// No test waits longer for anything.
pub const BOUND: Duration = Duration::from_secs(30);

/// One thing a hook was told.
#[derive(Clone, Debug)]
pub enum Saw {
    Message { kind: MessageKind, data: Vec<u8>, connection: u64 },
    State(StateChange),
    GapBegin(Gap),
    GapEnd(Gap),
    Handover(Handover),
    Scopes(ScopesChanged),
    Token(Token),
    Ask(Question),
    Sent(Sent),
    Audit(Value),
    Siem(Value),
    Log(String),
}

/// Everything the hooks were told, in order.
#[derive(Default)]
pub struct Seen {
    saws: Mutex<Vec<Saw>>,
    changed: Condvar,
}

impl Seen {
    pub fn add(&self, saw: Saw) {
        self.lock().push(saw);
        self.changed.notify_all();
    }

    pub fn all(&self) -> Vec<Saw> {
        self.lock().clone()
    }

    /// Waits until `wanted`; shows what there was instead.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&[Saw]) -> bool) {
        let waited = self.changed.wait_timeout_while(self.lock(), BOUND, |saws| !wanted(saws));
        let (saws, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(wanted(&saws), "never saw {what}; but {}", show(&saws));
    }

    /// Waits until the state was entered `n` times.
    #[track_caller]
    pub fn wait_state(&self, state: State, n: usize) {
        self.wait(&format!("{state:?} {n} times"), |saws| states(saws).iter().filter(|to| **to == state).count() >= n);
    }

    /// Waits until the pump's message of this number, or a later one, has come.
    #[track_caller]
    pub fn wait_seq(&self, seq: u64) {
        self.wait(&format!("message {seq}"), |saws| last_seq(saws).is_some_and(|last| last >= seq));
    }

    #[track_caller]
    pub fn wait_sent(&self, n: usize) {
        let count = |saws: &[Saw]| saws.iter().filter(|saw| matches!(saw, Saw::Sent(_))).count();
        self.wait(&format!("{n} ends of messages"), |saws| count(saws) >= n);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Saw>> {
        self.saws.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was seen without the bulk: states, gaps, hand-overs, and runs of messages.
pub fn show(saws: &[Saw]) -> String {
    let mut out = String::new();
    for saw in saws {
        let line = match saw {
            Saw::State(change) => format!("{:?} ({}) {:?}", change.to, change.reason, change.error),
            Saw::GapBegin(gap) => format!("gap {} begins", gap.number),
            Saw::GapEnd(gap) => format!("gap {} ends", gap.number),
            Saw::Handover(handover) => format!("{handover:?}"),
            Saw::Scopes(change) => format!("{change:?}"),
            Saw::Message { data, connection, kind } => format!("{kind:?} {:?} on {connection}", seq_of(data)),
            Saw::Sent(sent) => format!("{sent:?}"),
            Saw::Ask(question) => format!("{question:?}"),
            Saw::Audit(record) => format!("audit {}", record["status"]),
            Saw::Token(token) => format!("token {}", token.serial),
            Saw::Siem(event) => format!("siem {}", event["severity"]),
            Saw::Log(line) => format!("log {line}"),
        };
        out.push_str("\n  ");
        out.push_str(&line);
    }
    out
}

pub fn states(saws: &[Saw]) -> Vec<State> {
    let state = |saw: &Saw| if let Saw::State(change) = saw { Some(change.to) } else { None };
    saws.iter().filter_map(state).collect()
}

/// Sequence number of a pumped message.
pub fn seq_of(data: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(data).ok()?;
    value["seq"].as_u64()
}

pub fn seqs(saws: &[Saw]) -> Vec<u64> {
    let seq = |saw: &Saw| if let Saw::Message { data, .. } = saw { seq_of(data) } else { None };
    saws.iter().filter_map(seq).collect()
}

fn last_seq(saws: &[Saw]) -> Option<u64> {
    saws.iter().rev().find_map(|saw| if let Saw::Message { data, .. } = saw { seq_of(data) } else { None })
}

pub fn count(saws: &[Saw], which: impl Fn(&Saw) -> bool) -> usize {
    saws.iter().filter(|saw| which(saw)).count()
}

pub fn gaps(saws: &[Saw]) -> usize {
    count(saws, |saw| matches!(saw, Saw::GapBegin(_)))
}

pub fn handovers(saws: &[Saw]) -> usize {
    count(saws, |saw| matches!(saw, Saw::Handover(_)))
}

/// Checks the promise of gaps: numbers rise, and every one that is missing is covered by a gap notice between its
/// neighbours. `Err` says where not.
pub fn check_order(saws: &[Saw]) -> Result<(), String> {
    let (mut last, mut covered) = (0, false);
    for saw in saws {
        match saw {
            Saw::GapBegin(_) | Saw::GapEnd(_) => covered = true,
            Saw::Message { data, .. } => {
                let Some(seq) = seq_of(data) else { continue };
                if seq <= last {
                    return Err(format!("{seq} after {last}: {}", show(saws)));
                }
                if seq > last + 1 && !covered {
                    return Err(format!("{} to {} missing without a gap: {}", last + 1, seq - 1, show(saws)));
                }
                (last, covered) = (seq, false);
            }
            _ => {}
        }
    }
    Ok(())
}

/// What `connect` failed with.
#[track_caller]
pub fn refused(rig: &Rig) -> Error {
    rig.client.connect(Some(BOUND)).expect_err("it must not connect")
}

/// A test bed in the making.
pub struct Setup {
    pub options: Options,
    pub config: Config,
    /// How the questions of the library are answered.
    pub answer: Arc<dyn Fn(&Request) + Send + Sync>,
    pub refresh_token: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            options: Options::default(),
            config: Config::new(),
            answer: Arc::new(|request| request.complete(Answer::Done)),
            refresh_token: false,
        }
    }
}

impl Setup {
    /// Sets a key.
    pub fn key(mut self, key: &str, value: impl ToString) -> Self {
        self.config.set(key, &value.to_string()).unwrap();
        self
    }

    /// Sets options of the simulator.
    pub fn sim(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.options);
        self
    }

    /// Tokens live for so long.
    pub fn lifetime(self, ms: u64) -> Self {
        self.sim(|options| options.token.lifetime = Duration::from_millis(ms))
    }

    /// The refresh_token grant, instead of client_credentials.
    pub fn with_refresh_token(mut self) -> Self {
        self.refresh_token = true;
        self
    }

    pub fn answering(mut self, answer: impl Fn(&Request) + Send + Sync + 'static) -> Self {
        self.answer = Arc::new(answer);
        self
    }

    /// Starts the simulator and makes the client; it is not started.
    pub fn build(self) -> Rig {
        self.build_with(|_, _| {})
    }

    /// As [`Setup::build`], with hooks changed.
    pub fn build_with(mut self, change: impl FnOnce(&mut Hooks, &Arc<Seen>)) -> Rig {
        let sim = Sim::start(self.options);
        let seen = Arc::new(Seen::default());
        self.config.hooks = hooks(&seen, self.answer);
        change(&mut self.config.hooks, &seen);
        let config = aim(self.config, &sim, self.refresh_token);
        let client = Arc::new(Client::new(&config).unwrap());
        Rig { sim, client, seen, config }
    }

    /// As [`Setup::build`], connected.
    #[track_caller]
    pub fn connect(self) -> Rig {
        let rig = self.build();
        rig.client.connect(Some(BOUND)).unwrap();
        rig
    }
}

/// Points a configuration at a simulator.
pub fn aim(mut config: Config, sim: &Sim, refresh_token: bool) -> Config {
    let policy = TokenPolicy::default();
    let mut set = |key: &str, value: &str| config.set(key, value).unwrap();
    set("token.url", &sim.token_url());
    set("ws.url", &sim.ws_url());
    set("client.id", &policy.client_id);
    if sim.ca_pem().is_empty() {
        set("net.allow_plain_loopback", "true");
    } else {
        set("tls.ca_pem", sim.ca_pem());
    }
    config.set_secret("client.secret", Secret::new(policy.client_secret)).unwrap();
    if refresh_token {
        config.set_secret("token.refresh_token", Secret::new(policy.refresh_token)).unwrap();
    }
    config
}

/// Hooks that write everything down.
pub fn hooks(seen: &Arc<Seen>, answer: Arc<dyn Fn(&Request) + Send + Sync>) -> Hooks {
    let with = || Arc::clone(seen);
    let mut hooks = Hooks::default();
    let seen = with();
    hooks.on_message = Some(Arc::new(move |message| {
        let data = message.data().to_vec();
        seen.add(Saw::Message { kind: message.kind, data, connection: message.connection });
    }));
    let seen = with();
    hooks.on_state = Some(Arc::new(move |notice| match notice {
        Notice::State(change) => seen.add(Saw::State(change.clone())),
        Notice::GapBegin(gap) => seen.add(Saw::GapBegin(gap.clone())),
        Notice::GapEnd(gap) => seen.add(Saw::GapEnd(gap.clone())),
        Notice::Handover(handover) => seen.add(Saw::Handover(handover.clone())),
        Notice::ScopesChanged(change) => seen.add(Saw::Scopes(change.clone())),
        _ => {}
    }));
    let seen = with();
    hooks.on_token = Some(Arc::new(move |token| seen.add(Saw::Token(token.clone()))));
    let seen = with();
    hooks.on_ask = Some(Arc::new(move |request| {
        seen.add(Saw::Ask(request.question.clone()));
        answer(&request);
    }));
    let seen = with();
    hooks.on_sent = Some(Arc::new(move |sent| seen.add(Saw::Sent(sent.clone()))));
    let json = |text: &str| serde_json::from_str(text.trim_end_matches('\0')).unwrap();
    let seen = with();
    hooks.on_audit = Some(Arc::new(move |view| {
        seen.add(Saw::Audit(json(view.json_with_nul)));
        Ok(())
    }));
    let seen = with();
    hooks.on_siem = Some(Arc::new(move |view| {
        seen.add(Saw::Siem(json(view.json_with_nul)));
        Ok(())
    }));
    let seen = with();
    hooks.on_log = Some(Arc::new(move |level, target, text| seen.add(Saw::Log(format!("{level} {target} {text}")))));
    hooks
}

/// A simulator and a client at it.
pub struct Rig {
    pub sim: Sim,
    pub client: Arc<Client>,
    pub seen: Arc<Seen>,
    pub config: Config,
}

impl Rig {
    /// Shuts the client down, checks that everything ended, and gives all that was seen.
    #[track_caller]
    pub fn close(self) -> Vec<Saw> {
        let report = self.client.shutdown(Some(BOUND));
        assert!(report.complete, "{report:?} {}", show(&self.seen.all()));
        assert_eq!((report.audit_undelivered, report.events_undelivered, report.stuck_callback), (0, 0, None));
        assert_eq!(self.client.state(), State::Closed);
        self.seen.all()
    }

    /// Waits on the simulator's record.
    #[track_caller]
    pub fn wait_sim(&self, what: &str, wanted: impl Fn(&ffi_tests::sim::Log) -> bool) {
        let came = self.sim.record().wait_until(BOUND, wanted);
        assert!(came, "the server never saw {what}; {}", show(&self.seen.all()));
    }
}

/// Runs the cases side by side: they wait more than they work.
pub fn each<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    let test = &test;
    std::thread::scope(|scope| cases.into_iter().for_each(|case| drop(scope.spawn(move || test(case)))));
}

/// Blocks whoever passes, until it is opened.
#[derive(Default)]
pub struct Barrier {
    open: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Barrier {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let mut state = self.open.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        let (state, _) = self.changed.wait_timeout_while(state, BOUND * 2, |state| !state.0).unwrap();
        assert!(state.0, "nobody opened the barrier");
    }

    /// Waits until somebody stands before it, or has.
    pub fn wait_reached(&self) {
        let state = self.open.lock().unwrap();
        let (state, _) = self.changed.wait_timeout_while(state, BOUND, |state| state.1 == 0).unwrap();
        assert!(state.1 > 0, "nobody reached the barrier");
    }

    pub fn open(&self) {
        self.open.lock().unwrap().0 = true;
        self.changed.notify_all();
    }
}

/// Code of an error.
pub fn code<T>(result: Result<T, Error>) -> Option<Code> {
    result.err().map(|error| error.code())
}
