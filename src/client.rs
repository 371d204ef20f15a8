//! The client: everything an application does with a connection, blocking and thread-safe.

mod life;
mod records;
mod source;
mod topics;
mod unregister;

use std::fmt;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::life::Life;
pub use self::life::ShutdownReport;
use self::source::Share;
pub use self::source::TokenSource;
use crate::audit::scopes_json;
use crate::config::settings::{Delivery as Mode, Profile, Proxies, Proxy, Settings};
use crate::config::{Config, Written};
use crate::error::{Code, Error, Stage};
pub use crate::event::Event;
use crate::event::{MessageKind, State};
use crate::metrics::Metrics;
use crate::proto::outbox::Outbox;
use crate::proto::refresher::{Credential, Input};
use crate::proto::scope;
use crate::proto::session::{self, Rounds};
use crate::proto::token::Token;
use crate::secret::Secret;
use crate::shell::chain::Sealer;
use crate::shell::clock::Clock;
use crate::shell::delivery::{Delivery, EventFd as EventSignal, NetworkReport, Parts as DeliveryParts};
use crate::shell::delivery::{SourceReport, TokenTimes};
use crate::shell::engine::Engine;
use crate::shell::gate::{no_descriptor, Deadline, Gate};
use crate::shell::interrupt::Interrupt;
use crate::shell::random::Entropy;
use crate::shell::source::{Kind, Parts as SourceParts, Source};
use crate::shell::subscriptions::Subscriptions;
use crate::shell::{Net, Shared};
use crate::sys::{Descriptors, Entered, EventFd};

/// Near its end, a token that still serves is preferred to a longer wait for the next one.
const MANDATORY_WAIT: Duration = Duration::from_secs(5);

/// One authenticated connection and the threads that keep it alive. Any thread may call anything.
///
/// Dropping it shuts it down within `free.timeout_ms`.
pub struct Client {
    settings: Arc<Settings>,
    clock: Clock,
    net: Net,
    delivery: Arc<Delivery>,
    outbox: Arc<Mutex<Outbox>>,
    /// Its topics, in the profile `notifications`.
    subscriptions: Option<Arc<Subscriptions>>,
    shared: Arc<Shared>,
    /// Where its tokens come from: a source of its own, or one that others use too.
    share: Share,
    interrupt: Interrupt,
    life: Mutex<Life>,
    /// A shutdown has waited for the threads: its caller has decided how long that may take.
    has_waited: AtomicBool,
    /// What the application has set, without secrets.
    written: Mutex<Written>,
    /// What it starts with is on record.
    is_recorded: AtomicBool,
    /// What a child of `fork` closes.
    descriptors: Arc<Descriptors>,
}

/// Waits take `None` for "no limit".
impl Client {
    /// A client with a copy of `config`. Reads the trust store; starts no thread, calls no hook.
    ///
    /// # Errors
    /// What is wrong with the configuration, or `TrustStore`.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Self::build(config, config.settings()?, None)
    }

    fn build(config: &Config, mut settings: Settings, source: Option<&Arc<Source>>) -> Result<Self, Error> {
        let descriptors = Arc::<Descriptors>::default();
        let _entered = Descriptors::enter(Some(Arc::clone(&descriptors)));
        if let Some(source) = source {
            // A child cannot use them any more, whoever of the two is freed there.
            descriptors.join(source.descriptors());
        }
        let sealer = Sealer::open(&mut settings)?;
        let settings = Arc::new(settings);
        // Tokens are timed by the clock of their source.
        let clock = source.map_or_else(Clock::new, |source| source.clock());
        let net = Net::new(Arc::clone(&settings))?;
        let level = match settings.delivery {
            Mode::Poll => Some(Box::new(Level(event_fd()?)) as Box<dyn EventSignal>),
            Mode::Callbacks | Mode::Inline => None,
        };
        let parts = DeliveryParts {
            boot_id: Entropy::new().uuid_v4(),
            clock: Arc::new(move || clock.now()),
            tick: Arc::new(Clock::tick_ms),
            event_fd: level,
            sealer,
        };
        let delivery = Delivery::new(&settings, config.hooks.clone(), parts);
        let shared = Arc::<Shared>::default();
        let own = || {
            let (settings, net, delivery) = (Arc::clone(&settings), net.clone(), Arc::clone(&delivery));
            let (shared, carry, loaded) = (Arc::clone(&shared), source::carry(&settings), Vec::new());
            Source::new(SourceParts { settings, clock, net, delivery, shared, carry, loaded }, Kind::Private)
        };
        Ok(Self {
            outbox: Arc::new(Mutex::new(Outbox::new(settings.send_queue_messages, settings.send_queue_bytes))),
            share: Share::of(source.map_or_else(own, Arc::clone)),
            subscriptions: Subscriptions::new(&settings, clock, &delivery),
            interrupt: Interrupt::new()?,
            life: Mutex::new(Life::Idle(None)),
            delivery,
            shared,
            has_waited: AtomicBool::new(false),
            written: Mutex::new(config.written()),
            is_recorded: AtomicBool::new(false),
            descriptors,
            settings,
            clock,
            net,
        })
    }

    /// Starts the threads and returns at once; rounds of attempts go on for ever.
    ///
    /// # Errors
    /// `BadState` when it is running or closed already, `Internal` when threads or descriptors are short.
    pub fn start(&self) -> Result<(), Error> {
        self.launch(Rounds::Forever, None)
    }

    /// Starts, and waits until Ready, or one round failed, or the time is up: then everything it started is stopped.
    ///
    /// Returns after the audit records of its outcome were delivered (not in poll mode, where the caller delivers).
    ///
    /// # Errors
    /// The last failure of the round; `Timeout`; `Interrupted`; `Reentrant` inside a callback; `BadState`.
    pub fn connect(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.refuse_in_callback("connect")?;
        let until = Deadline::after(timeout);
        let _entered = self.entered();
        let (gate, promise) = Gate::new()?;
        self.launch(Rounds::Once, Some(promise))?;
        match gate.wait(until, &self.interrupt).map_err(|error| self.say_where(error)) {
            Ok(()) => {
                self.delivery.flush_audit(until.left().unwrap_or(self.free_timeout()).min(self.free_timeout()));
                Ok(())
            }
            Err(error) => {
                self.stop_to_idle();
                Err(error)
            }
        }
    }

    /// Queues a message and returns its id; the outcome comes by `on_sent`. Text must be UTF-8.
    ///
    /// # Errors
    /// `BadState` when not started, `TooLarge`, `QueueFull`, `InvalidUtf8`.
    pub fn send(&self, kind: MessageKind, data: &[u8]) -> Result<u64, Error> {
        let engine = self.engine()?;
        let max = self.settings.max_message_bytes;
        if data.len() > max {
            let text = format!("The message has {} bytes, ws.max_message_bytes is {max}.", data.len());
            return Err(Error::new(Code::TooLarge, Stage::Call, text));
        }
        if kind == MessageKind::Text && std::str::from_utf8(data).is_err() {
            return Err(Error::new(Code::InvalidUtf8, Stage::Call, "A text message must be UTF-8."));
        }
        let id = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).push(kind, data)?;
        engine.ring_socket();
        Ok(id)
    }

    /// Asks for a new token now; returns at once. The outcome comes by `on_token` or `on_state`. A client that another one has
    /// displaced comes back.
    ///
    /// # Errors
    /// `BadState` when not started.
    pub fn refresh_now(&self) -> Result<(), Error> {
        let engine = self.engine()?;
        if self.settings.profile == Profile::Notifications {
            engine.tell_session(session::Input::Return);
        }
        engine.tell_refresh(Input::RefreshNow);
        Ok(())
    }

    /// Tells the client what the application has learned from a message of the server's: the socket will end soon.
    /// Another one takes over after a random delay of up to 5 s; the old one stays in use until then. Returns at once;
    /// the outcome comes by `on_state`. Ignored while no socket is live or a replacement is on its way.
    ///
    /// # Errors
    /// `BadState` when not started.
    pub fn drain_notice(&self) -> Result<(), Error> {
        self.engine()?.tell_session(session::Input::DrainNotice);
        Ok(())
    }

    /// A token with at least `min_left` of usable life, for the application's own REST calls. Inside a callback it
    /// holds up the other callbacks while it waits.
    ///
    /// # Errors
    /// Why there is none; `Timeout`; `Interrupted`; `Cancelled` by a shutdown; `BadState` when not started.
    pub fn token(&self, min_left: Duration, timeout: Option<Duration>) -> Result<Arc<Token>, Error> {
        let engine = self.engine()?;
        let min_left_ms = millis(min_left);
        let held = || self.held_token(min_left_ms);
        if let Some(token) = held().filter(|token| self.clock.now().boot_ms < token.schedule.mandatory_ms) {
            return Ok(token);
        }
        if timeout == Some(Duration::ZERO) {
            return held().ok_or_else(|| Error::new(Code::Timeout, Stage::Call, "No token serves now."));
        }
        let _entered = self.entered();
        let (gate, promise) = Gate::new()?;
        engine.want_token(min_left_ms, promise);
        let mut until = Deadline::after(timeout);
        if held().is_some() {
            until = until.or_after(MANDATORY_WAIT);
        }
        match gate.wait(until, &self.interrupt) {
            Err(error) if error.code() == Code::Timeout => held().ok_or(error),
            Err(error) if error.code() == Code::Cancelled => Err(self.shared.failure().cloned().unwrap_or(error)),
            outcome => outcome,
        }
    }

    /// Replaces `client.secret`, `token.refresh_token`, `token.saml_assertion` or `proxy.password`, whether it runs or not.
    ///
    /// # Errors
    /// `UnknownKey` for every other key, `BadValue`, `Closed`.
    pub fn set_secret(&self, key: &str, value: Secret) -> Result<(), Error> {
        crate::config::check_secret(key, &value)?;
        let credential = match key {
            "client.secret" => Credential::ClientSecret(value.clone()),
            "token.refresh_token" => Credential::RefreshToken(value.clone()),
            "token.saml_assertion" => Credential::SamlAssertion(value.clone()),
            "proxy.password" => return self.set_proxy_password(&value),
            _ => {
                let text = format!("{key:?}; client.secret, token.refresh_token, token.saml_assertion and proxy.password can be replaced.");
                return Err(Error::new(Code::UnknownKey, Stage::Call, text));
            }
        };
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        let life = self.life();
        life.is_open()?;
        self.share.source().replace(credential);
        drop(life);
        self.written().secret(key, &value);
        Ok(())
    }

    /// Connections that are there stay; a client that waits because a proxy refused it tries again. A source that others
    /// share keeps its own password: its proxy may be a stranger to this client.
    fn set_proxy_password(&self, password: &Secret) -> Result<(), Error> {
        let Proxies { token, socket } = &self.settings.proxies;
        // REST calls go by this client's own connections, whoever gets its tokens.
        let has_channel = self.settings.profile == Profile::Notifications;
        let token = token.as_ref().filter(|_| has_channel || !self.share.source().is_shared());
        if token.into_iter().chain(socket).all(|proxy| proxy.login.is_none()) {
            let text = "\"proxy.password\": no proxy of this client is asked with proxy.user.";
            return Err(Error::new(Code::BadValue, Stage::Call, text));
        }
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        let life = self.life();
        life.is_open()?;
        self.net.set_proxy_password(password.clone());
        self.share.source().set_proxy_password(password.clone());
        if let Ok(engine) = life.engine() {
            engine.tell_session(session::Input::ProxyPassword);
        }
        drop(life);
        self.written().secret("proxy.password", password);
        Ok(())
    }

    /// The configuration in force, as [`Config::to_json`] has it.
    pub fn config_json(&self) -> String {
        self.written().json()
    }

    /// What the client is doing.
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// Counters.
    pub fn metrics(&self) -> Metrics {
        self.delivery.metrics()
    }

    /// Counters, state and the times of the token as one JSON object.
    pub fn stats_json(&self) -> String {
        let now = self.clock.now();
        let token = self.shared.token().map(|token| TokenTimes {
            age_ms: now.wall_ms.saturating_sub(token.granted_at_wall_ms),
            renewal_in_ms: token.schedule.refresh_ms.saturating_sub(now.boot_ms),
            usable_for_ms: token.remaining_ms(now.boot_ms),
        });
        self.delivery.stats_json(self.state(), token, self.share.source().server_ahead_ms(), &self.network())
    }

    /// Level-triggered descriptor, readable while events wait (poll mode); -1 in other modes. The client owns it.
    pub fn event_fd(&self) -> i32 {
        self.delivery.event_fd()
    }

    /// The next event (poll mode); `Ok(None)` when the time is up.
    ///
    /// # Errors
    /// `Closed` after a shutdown when nothing is left; `Interrupted`; `BadState` in another mode; `Reentrant`.
    pub fn next_event(&self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        if self.settings.delivery != Mode::Poll {
            return Err(bad_state("Events are polled only with delivery = poll."));
        }
        self.refuse_in_callback("next_event")?;
        let until = Deadline::after(timeout);
        loop {
            if let Some(event) = self.delivery.next_event(Some(Duration::ZERO), &|| false)? {
                return Ok(Some(event));
            }
            if until.is_over() {
                return self.interrupt.check().map(|()| None);
            }
            self.interrupt.wait_for(self.delivery.event_fd(), until)?;
        }
    }

    /// Ends the current or next `connect`, `token` or `next_event` of every thread with `Interrupted`, once for each.
    /// Async-signal-safe: an atomic addition and one `write`.
    pub fn interrupt(&self) {
        self.interrupt.raise();
    }

    /// Which trust store, which client certificate, which proxies.
    fn network(&self) -> NetworkReport {
        let Settings { proxies, pins, client_identity, min_tls, token_url, ws_url, api_url, .. } = &*self.settings;
        let streaming_url = self.settings.streaming_url();
        let or = |one: &String, other: &String| if one.is_empty() { other.clone() } else { one.clone() };
        let uses = |proxy: &Option<Proxy>, url: &str| {
            proxy.as_ref().and(self.net.target(url).ok()).and_then(|target| Some(self.net.proxy(&target)?.peer()))
        };
        NetworkReport {
            trust: self.net.trust_report().map(|report| (report.store.clone(), report.roots)),
            pins: pins.len(),
            client_certificate: client_identity.is_some(),
            min_tls: min_tls.name(),
            token_proxy: uses(&proxies.token, &or(token_url, api_url)),
            socket_proxy: uses(&proxies.socket, &or(ws_url, &streaming_url)),
            source: self.source_report(),
            rate_limit: self.share.source().rate_limit(),
        }
    }

    /// The source of its tokens, if others may use it too.
    fn source_report(&self) -> Option<SourceReport> {
        let source = self.share.source();
        source
            .is_shared()
            .then(|| SourceReport { clients: source.running_clients(), token_requests: source.token_requests() })
    }

    // ---- small helpers --------------------------------------------------------------------------------------

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The descriptors of this client and its threads, for a child of `fork`.
    pub(crate) fn descriptors(&self) -> &Arc<Descriptors> {
        &self.descriptors
    }

    /// What this thread opens from here on is the client's.
    fn entered(&self) -> Entered {
        Descriptors::enter(Some(Arc::clone(&self.descriptors)))
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine(&self) -> Result<Arc<Engine>, Error> {
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        self.life().engine()
    }

    fn held_token(&self, min_left_ms: u64) -> Option<Arc<Token>> {
        let boot_ms = self.clock.now().boot_ms;
        self.shared.token().filter(|token| token.remaining_ms(boot_ms) >= min_left_ms.max(1))
    }

    fn refuse_in_callback(&self, call: &str) -> Result<(), Error> {
        if self.delivery.is_dispatch_thread() {
            let text = format!("{call} waits for what the thread of this callback has to do.");
            return Err(Error::new(Code::Reentrant, Stage::Call, text));
        }
        Ok(())
    }

    /// A wait that was cut short says what the client was doing.
    fn say_where(&self, error: Error) -> Error {
        match error.code() {
            Code::Timeout | Code::Interrupted if error.detail().stage == Stage::Call => {
                error.with(|detail| detail.message = format!("The client was {}.", self.state().name()))
            }
            _ => error,
        }
    }

    fn free_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.free_timeout_ms)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// Compares the scopes of a token with those an application needs, without a client and without a network:
/// `{"isValid","missingScopes","grantedScopes","auditPayload"}`. The signature is not checked.
///
/// # Errors
/// `InvalidArgument` for a required scope that is empty or has blanks. A denial is a result, not an error.
pub fn scopes_check(token: &str, required: &[&str]) -> Result<String, Error> {
    crate::config::check_scopes(required)?;
    let defaults = Settings::default();
    let required: Vec<String> = required.iter().map(|name| (*name).to_owned()).collect();
    let grants = scope::grants(token, None, defaults.max_token_bytes);
    let (audit, _) = scope::check(&grants, &required, defaults.unknown_scopes);
    Ok(scopes_json(&audit, Clock::new().now().wall_ms))
}

/// The poll-mode descriptor as delivery wants it.
struct Level(EventFd);

impl EventSignal for Level {
    fn set(&self) {
        self.0.raise();
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

fn event_fd() -> Result<EventFd, Error> {
    EventFd::new().map_err(|source| no_descriptor(&source))
}

fn bad_state(text: &str) -> Error {
    Error::new(Code::BadState, Stage::Call, text)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
