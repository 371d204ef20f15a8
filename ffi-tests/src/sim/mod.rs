//! A Genesys Cloud on this machine, scripted like a programmable mock: the token endpoint, `/ws` of the `auth-message`
//! profile, and REST API and channels of the `notifications` profile, on one host and port, behind a CA made at start.
//!
//! ```
//! use std::time::Duration;
//! use ffi_tests::sim::{AuthReply, Options, Sim, TokenReply};
//!
//! let sim = Sim::start(Options::default());
//! println!("{} {} {}", sim.token_url(), sim.ws_url(), sim.ca_pem());
//! // The first token request is throttled as Genesys does it, the second one after a second; then all is well.
//! sim.token()
//!     .then(TokenReply::Throttle400)
//!     .then(TokenReply::Throttle429 { retry_after: Some("1".into()) });
//! // Renewals on the live socket are never acknowledged.
//! sim.ws().always_reauth(AuthReply::Never);
//! // … start the client under test here, then wait on the record, never on time:
//! let seen = sim.record().wait_until(Duration::from_millis(1), |log| log.token_requests() == 3);
//! assert!(!seen, "nobody has asked yet");
//! ```
//!
//! The other profile: channels, events of every subscribed topic each 10 ms, and what can become of them.
//!
//! ```
//! use std::time::Duration;
//! use ffi_tests::sim::{ApiReply, EventPump, Farewell, Options, Route, Sim};
//!
//! let mut options = Options::notifications();
//! options.notify.events = Some(EventPump::every(Duration::from_millis(10)));
//! let sim = Sim::start(options);
//! println!("{} {} {}", sim.token_url(), sim.api_url(), sim.streaming_host());
//! // The first channel is refused for two hours, the second takes its time; some topics are not permitted.
//! sim.api()
//!     .then(Route::Create, ApiReply::Throttle429 { retry_after: Some("7200".into()) })
//!     .then(Route::Create, ApiReply::slow(300));
//! sim.channels().reject("v2.routing.", "no permission", &["routing:queue:view"]);
//! // … start the client, wait until its socket is there, then take its channel away:
//! sim.channels().wait_connected(1, Duration::from_millis(1));
//! for id in sim.channels().live() {
//!     sim.channels().evict(&id, Farewell::default());
//! }
//! ```
//!
//! Tokens that are signed so that anybody can verify them, and an issuer who is not always there.
//!
//! ```
//! use ffi_tests::sim::{Forgery, Issue, IssuerReply, Options, Retired, SignAlg, Sim, TokenForm, TokenReply};
//!
//! let mut options = Options::default();
//! options.token.form = TokenForm::Signed(SignAlg::Es256);
//! options.token.keys_cache_control = Some("max-age=120".into());
//! let sim = Sim::start(options);
//! println!("{} {} {}", sim.issuer(), sim.keys_url(), sim.introspection_url());
//! // The second token is signed by somebody else.
//! sim.token().then(TokenReply::Issue(Issue::new()));
//! sim.token().then(TokenReply::Issue(Issue::new().forged(Forgery::OtherKey)));
//! // … start the client; then new keys, which cannot be had at first.
//! sim.keys().then(IssuerReply::status(503)).rotate(SignAlg::Es256, Retired::Kept);
//! ```
//!
//! # How to use it
//!
//! * [`Options`] says what the server is: port, TLS, [`TokenPolicy`], [`WsPolicy`], [`NotifyPolicy`]. The policies can
//!   be changed while it runs.
//! * [`Sim::tcp`], [`Sim::token`], [`Sim::keys`], [`Sim::introspection`], [`Sim::ws`], [`Sim::api`] and
//!   [`Sim::channels`] script it: queues of replies, plans
//!   for connections, orders to live connections. Upgrades of either profile come from one queue, and plans go by the
//!   number of the connection; on a channel the upgrade counts as authentication.
//! * [`Sim::record`] is everything it saw and did, with one wait. Times in it count from the start.
//! * Honest by default: credentials, grants, expiry and sessions are checked; tokens are JWTs, signed by a secret of the server's
//!   own or, as [`TokenForm::Signed`], by a key that it publishes.
//!
//! Dropping the [`Sim`] ends every connection and joins every thread.

#![deny(missing_docs, unsafe_code)]

mod door;
mod frame;
mod handles;
mod http;
mod hub;
mod issuer;
mod link;
mod notify;
mod outgoing;
mod policy;
mod record;
mod script;
mod server;
mod tls;
mod token;
mod writer;
mod ws;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use door::{Door, Port};
use hub::Hub;
use notify::Books;
use tls::Authority;
use token::Ledger;

pub use handles::{TcpScript, TokenScript, WsScript};
pub use http::http_date;
pub use issuer::{Forgery, IntrospectionScript, IssuerReply, KeysScript, Retired, SignAlg};
pub use notify::{
    ApiReply, ApiScript, ChannelEnd, ChannelScript, ChannelSeen, Emitted, EventPump, Farewell, NotifyPolicy, Route,
    SystemSent,
};
pub use policy::{ClientAuth, Issue, Pump, Rotation, TokenForm, TokenPolicy, WsPolicy};
pub use record::{Auth, Close, Connection, End, Handshake, Log, Received, Record, Request, Sent, TlsFacts};
pub use script::{Action, AuthReply, AuthorizeReply, Plan, TcpReply, TokenReply, Trigger, UpgradeReply};
pub use tls::{Identity, Leaf, TlsOptions};
pub use token::{ClientKey, Code, Issued};

pub(crate) const TOKEN_PATH: &str = "/oauth/token";
pub(crate) const AUTHORIZE_PATH: &str = "/oauth/authorize";
pub(crate) const KEYS_PATH: &str = "/.well-known/jwks.json";
pub(crate) const INTROSPECTION_PATH: &str = "/introspect";
pub(crate) const WS_PATH: &str = "/ws";
/// A channel's id comes behind it.
pub(crate) const CHANNEL_PATH: &str = "/channels/";
pub(crate) const API_PATH: &str = "/api/";

/// What a simulator is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; 127.0.0.1 unless set.
    pub ip: IpAddr,
    /// The port; 0, the default, is any free one.
    pub port: u16,
    /// TLS, with these options; `None`: plain `http` and `ws`.
    pub tls: Option<TlsOptions>,
    /// The token endpoint.
    pub token: TokenPolicy,
    /// The socket.
    pub ws: WsPolicy,
    /// The REST API and the channels.
    pub notify: NotifyPolicy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            tls: Some(TlsOptions::default()),
            token: TokenPolicy::default(),
            ws: WsPolicy::default(),
            notify: NotifyPolicy::default(),
        }
    }
}

/// A running simulator.
pub struct Sim {
    hub: Arc<Hub>,
    port: Port,
    door: Mutex<Option<Door>>,
    ca_pem: String,
    client: Identity,
}

impl Sim {
    /// Starts a simulator; it accepts connections when this returns.
    ///
    /// # Panics
    ///
    /// Where [`Sim::try_start`] has an error.
    pub fn start(options: Options) -> Sim {
        Sim::try_start(options).expect("the simulator starts")
    }

    /// Starts a simulator, or says why it cannot: the port is taken, say.
    pub fn try_start(options: Options) -> io::Result<Sim> {
        let authority = options.tls.map(Authority::new).transpose()?;
        let (ca_pem, client, tls) = match authority {
            Some(all) => (all.ca_pem, all.client, Some(all.server)),
            None => (String::new(), Identity::default(), None),
        };
        let record = Record::new();
        let ledger = Ledger::new(options.token, record.started());
        let hub = Arc::new(Hub::new(record, tls, ledger, options.ws, Books::new(options.notify)));
        let port = Port::claim(SocketAddr::new(options.ip, options.port))?;
        hub.set_addr(port.addr);
        hub.ledger().base = hub.base();
        let door = Mutex::new(Some(port.open(&hub)?));
        Ok(Sim { hub, port, door, ca_pem, client })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr
    }

    /// The token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}{TOKEN_PATH}", self.hub.base())
    }

    /// The sign-in page.
    pub fn authorize_url(&self) -> String {
        format!("{}{AUTHORIZE_PATH}", self.hub.base())
    }

    /// `iss` of signed access tokens, unless the policy has another.
    pub fn issuer(&self) -> String {
        self.hub.ledger().issuer()
    }

    /// The keys that signed access tokens are verified with.
    pub fn keys_url(&self) -> String {
        format!("{}{KEYS_PATH}", self.hub.base())
    }

    /// Where to ask about a token.
    pub fn introspection_url(&self) -> String {
        format!("{}{INTROSPECTION_PATH}", self.hub.base())
    }

    /// The socket.
    pub fn ws_url(&self) -> String {
        let scheme = if self.hub.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}{WS_PATH}", self.port.addr)
    }

    /// The REST API, without a path: what `api.url` wants.
    pub fn api_url(&self) -> String {
        self.hub.base()
    }

    /// Host and port in every `connectUri`: what `notifications.streaming_host` wants.
    pub fn streaming_host(&self) -> String {
        self.port.addr.to_string()
    }

    /// The CA's certificate; empty without TLS.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A certificate of the CA for a client, and its key; empty without TLS.
    pub fn client_identity(&self) -> &Identity {
        &self.client
    }

    /// Everything it saw and did.
    pub fn record(&self) -> &Record {
        &self.hub.record
    }

    /// The script of TCP connections.
    pub fn tcp(&self) -> TcpScript<'_> {
        TcpScript { hub: &self.hub }
    }

    /// The script and the books of the token endpoint.
    pub fn token(&self) -> TokenScript<'_> {
        TokenScript { hub: &self.hub }
    }

    /// The script of the key set, and the keys.
    pub fn keys(&self) -> KeysScript<'_> {
        KeysScript { hub: &self.hub }
    }

    /// The script of introspection.
    pub fn introspection(&self) -> IntrospectionScript<'_> {
        IntrospectionScript { hub: &self.hub }
    }

    /// The script of `/ws`, and orders to its live connections.
    pub fn ws(&self) -> WsScript<'_> {
        WsScript { hub: &self.hub }
    }

    /// The script of the REST API.
    pub fn api(&self) -> ApiScript<'_> {
        ApiScript { hub: &self.hub }
    }

    /// The script of the channels, and orders to live ones.
    pub fn channels(&self) -> ChannelScript<'_> {
        ChannelScript { hub: &self.hub }
    }

    /// Refuses connections from now on and drops those there are. Tokens and scripts stay.
    pub fn down(&self) {
        if let Some(door) = self.door().take() {
            door.shut();
        }
        self.hub.drop_sockets();
        self.hub.sever_all();
    }

    /// The end of [`Sim::down`].
    ///
    /// # Panics
    ///
    /// If the port cannot be listened on again.
    pub fn up(&self) {
        let mut door = self.door();
        if door.is_none() {
            *door = Some(self.port.open(&self.hub).expect("the port is still ours"));
        }
    }

    /// [`Sim::down`] and [`Sim::up`].
    pub fn restart(&self) {
        self.down();
        self.up();
    }

    fn door(&self) -> MutexGuard<'_, Option<Door>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if let Some(door) = self.door().take() {
            door.shut();
        }
        self.hub.stop();
    }
}
