//! The settings of one client, checked: what the machines and threads read.

use std::time::Duration;

use crate::audit::Formats;
use crate::secret::Secret;

pub use super::chain::Chain;
pub use super::pin::Pin;
pub use super::proxy::{Exception, Proxy};
pub use super::verification::{Verification, Verify};

/// Which wire is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// An `auth` message on one socket, renewed in band (the tutorial's).
    #[default]
    AuthMessage,
    /// Genesys Cloud's Notifications API: channels made by REST, a socket each, renewed by rollover.
    Notifications,
}

/// What to do when another client has taken the channel or its topics over (profile `notifications`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Displaced {
    /// Nothing until the application asks for it.
    #[default]
    Stop,
    /// Come back by a new channel, late enough that two instances do not fight.
    Return,
}

/// Which OAuth 2.0 grant the token request uses (RFC 6749 4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Grant {
    /// `refresh_token` when one is known, else `client_credentials`.
    #[default]
    Auto,
    /// Always `refresh_token`.
    RefreshToken,
    /// Always `client_credentials`.
    ClientCredentials,
    /// `authorization_code` first; a refresh token that came with it from then on.
    AuthorizationCode,
    /// None: the application provides tokens of its own.
    Application,
    /// A SAML assertion of the organisation's identity provider (RFC 7522).
    Saml2Bearer,
}

/// How the client proves who it is at the token endpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClientAuthentication {
    /// Id and secret in a Basic header (RFC 6749 2.3.1).
    #[default]
    Basic,
    /// Not at all: a public client, whose codes are guarded by PKCE (RFC 7636).
    None,
    /// A JWT signed with a key of its own (RFC 7523 2.2).
    PrivateKeyJwt,
    /// Its certificate, shown in the TLS handshake (RFC 8705).
    Tls,
}

/// How client id and secret enter the Basic header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BasicEncoding {
    /// Form-url-encoded first, as RFC 6749 2.3.1 says.
    #[default]
    Rfc6749,
    /// As they are (the tutorial, Genesys's SDKs).
    Raw,
}

/// What to do with a token whose scopes cannot be known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UnknownScopes {
    /// Deny (default of the `auth-message` profile).
    #[default]
    Deny,
    /// Allow: the server checks them itself.
    Allow,
}

/// Who runs the application's callbacks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Delivery {
    /// The dispatcher thread runs all of them.
    #[default]
    Callbacks,
    /// `on_message` on the socket thread, all others on the dispatcher thread.
    Inline,
    /// Nobody: the application takes events from one queue.
    Poll,
}

/// What happens to audit records when their queue is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuditPolicy {
    /// The oldest record goes; a loss marker says which.
    #[default]
    DropOldest,
    /// The new record goes; a loss marker says which.
    DropNewest,
    /// The producing thread waits up to 1 s, then drops the new record and marks it.
    Block,
}

/// Where trusted certificate authorities come from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Trust {
    /// The bundle or directory of this machine.
    #[default]
    System,
    /// A PEM file.
    File(String),
    /// Every file of a directory.
    Directory(String),
    /// PEM text.
    Memory(Vec<u8>),
}

/// What a close code of the server asks for (RFC 6455 7.4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CloseClass {
    /// An ordinary loss: dial again by the reconnect delay.
    #[default]
    Retry,
    /// The server goes away on purpose: the first dial is spread over 5 s.
    Drain,
    /// The token was at fault: a new one is fetched first.
    Token,
    /// Nothing to come back to: the client becomes `Failed`.
    Final,
}

impl CloseClass {
    /// All, in the order of the documentation.
    pub(super) const ALL: [Self; 4] = [Self::Retry, Self::Drain, Self::Token, Self::Final];

    /// As the key `ws.close_codes` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Drain => "drain",
            Self::Token => "token",
            Self::Final => "final",
        }
    }
}

/// What is known of close codes unless [`Settings::close_codes`] says otherwise; all others are [`CloseClass::Retry`].
/// 1001, 1012, 1013 (RFC 6455 7.4.1 and the IANA registry), 1008 (policy), 4401 and 4403 (in use for HTTP's 401, 403).
pub const CLOSE_CODES: [(u16, CloseClass); 6] = [
    (1001, CloseClass::Drain),
    (1008, CloseClass::Token),
    (1012, CloseClass::Drain),
    (1013, CloseClass::Drain),
    (4401, CloseClass::Token),
    (4403, CloseClass::Token),
];

/// PEM, or where it lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pem {
    /// In a file.
    File(String),
    /// Here.
    Text(Secret),
}

/// What the client shows to a server that wants to know it by TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientIdentity {
    /// Certificate, then those between it and its authority.
    pub certificate: Pem,
    /// Its private key.
    pub key: Pem,
}

/// Oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

impl TlsVersion {
    /// As the key `tls.min_version` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }
}

/// The proxies of a client; `None`: directly.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies {
    /// To the token endpoint, and everything else that is HTTP.
    pub token: Option<Proxy>,
    /// To the socket.
    pub socket: Option<Proxy>,
}

/// The checked settings of one client. Times are in milliseconds, sizes in bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Which wire is spoken.
    pub profile: Profile,
    /// A domain such as `mypurecloud.com`.
    pub region: String,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: Secret,
    /// Refresh token to begin with.
    pub refresh_token: Option<Secret>,
    /// Grant of the token request.
    pub grant: Grant,
    /// How the client proves who it is.
    pub authentication: ClientAuthentication,
    /// Key that signs its assertions, in PEM.
    pub signing_key: Option<Pem>,
    /// `kid` of that key, or empty.
    pub key_id: String,
    /// `aud` of its assertions. Never guessed: one that also fits another server can be replayed there (RFC 7523 3, draft rfc7523bis).
    pub assertion_audience: String,
    /// Encoding of the Basic header.
    pub basic: BasicEncoding,
    /// Whether authorization codes are guarded by PKCE.
    pub pkce: bool,
    /// `orgName` of the SAML grant.
    pub saml_org: String,
    /// SAML assertion to begin with.
    pub saml_assertion: Option<Secret>,
    /// Scopes to ask for; none: what the client has.
    pub requested_scopes: Vec<String>,
    /// `redirect_uri` of the authorization-code grant.
    pub redirect_uri: String,
    /// Whether the redirect is listened for there.
    pub redirect_listener: bool,
    /// Token endpoint; `https://api.{region}/oauth/token` unless set.
    pub token_url: String,
    /// Socket; `wss://api.{region}/ws` unless set. Empty in the profile `notifications`.
    pub ws_url: String,
    /// Where the application's user signs in (RFC 6749 3.1); `https://login.{region}/oauth/authorize` unless set.
    pub authorize_url: String,
    /// REST API without a path; `https://api.{region}` unless set. Empty in the profile `auth-message`.
    pub api_url: String,
    /// Host, and port if it is another than 443, that a channel's `connectUri` may lead to.
    pub streaming_host: String,
    /// Scopes the application needs, in its order.
    pub required_scopes: Vec<String>,
    /// What to do when the scopes cannot be known.
    pub unknown_scopes: UnknownScopes,

    /// Attempts in a round (1–100).
    pub attempts_per_round: u32,
    /// Fixed renewal lead, clamped to \[L/10 + 1 s, L/2\].
    pub lead_ms: Option<u64>,
    /// Shortest time between two refreshes that something forces; a quarter of the token's life if that is less.
    pub refresh_floor_ms: u64,
    /// Longest wait for the application to persist a rotated refresh token.
    pub persist_timeout_ms: u64,
    /// File in which the newest refresh token is kept, or empty.
    pub token_store: String,
    /// Whether the token is revoked at the end (profile `notifications`).
    pub revoke_on_close: bool,
    /// Longest wait for an authorization code.
    pub authorize_timeout_ms: u64,
    /// Longest wait for a token that the application provides.
    pub provider_timeout_ms: u64,
    /// Upper bound of a token request.
    pub token_timeout_ms: u64,
    /// What makes a token believable.
    pub verification: Verification,

    /// Upper bound of a REST request (profile `notifications`).
    pub api_timeout_ms: u64,
    /// An idle timeout of the organisation: a token that nobody uses for so long dies early.
    pub idle_timeout_ms: Option<u64>,

    /// Topics to begin with (profile `notifications`).
    pub topics: Vec<String>,
    /// Silence of a channel's socket, heartbeats included, after which it counts as dead.
    pub heartbeat_timeout_ms: u64,
    /// How often a channel is used again before a new one is made.
    pub channel_reuses: u32,
    /// How long a channel that is replaced keeps its topics once the next one is live: events take ways of different length.
    pub linger_ms: u64,
    /// What to do when another client has taken the channel.
    pub displaced: Displaced,

    /// DNS and TCP connect together.
    pub connect_timeout_ms: u64,
    /// A proxy's answer to CONNECT.
    pub proxy_timeout_ms: u64,
    /// TLS handshake.
    pub tls_timeout_ms: u64,
    /// WebSocket upgrade.
    pub upgrade_timeout_ms: u64,
    /// Reply to the authentication message.
    pub auth_timeout_ms: u64,
    /// Close handshake.
    pub close_timeout_ms: u64,
    /// `gwa_client_free`.
    pub free_timeout_ms: u64,
    /// Silence before a ping.
    pub ping_after_ms: u64,
    /// Silence after a ping before the peer counts as dead.
    pub dead_after_ms: u64,
    /// Longest time an old token's socket is kept after `t_usable`.
    pub expired_grace_ms: u64,
    /// Whether the socket is opened while its token is still being fetched.
    pub overlap: bool,
    /// Classes of close codes that differ from [`CLOSE_CODES`].
    pub close_codes: Vec<(u16, CloseClass)>,
    /// Text patterns (lower case) in an auth refusal that mean a throttle.
    pub throttle_patterns: Vec<String>,

    /// Largest message, both ways.
    pub max_message_bytes: usize,
    /// Largest token response.
    pub max_response_bytes: usize,
    /// Largest token.
    pub max_token_bytes: usize,
    /// Largest auth reply.
    pub max_auth_reply_bytes: usize,
    /// Bound of the send queue.
    pub send_queue_messages: usize,
    /// Bound of the send queue.
    pub send_queue_bytes: usize,
    /// Bound of the event queue.
    pub event_queue_events: usize,
    /// Bound of the event queue.
    pub event_queue_bytes: usize,
    /// Bound of the audit queue.
    pub audit_queue_records: usize,
    /// What happens when the audit queue is full.
    pub audit_policy: AuditPolicy,
    /// The chain of MACs over audit records, and their checkpoints.
    pub chain: Chain,
    /// `source` of a SIEM event.
    pub siem_source: String,
    /// In which form each audit sink is given its records.
    pub formats: Formats,
    /// Who runs callbacks.
    pub delivery: Delivery,
    /// Callbacks slower than this are reported.
    pub slow_callback: Duration,
    /// Stack of each thread; 0: as built in.
    pub stack_bytes: usize,

    /// Where trusted authorities come from.
    pub trust: Trust,
    /// PEM file of further authorities, or empty.
    pub extra_ca_file: String,
    /// PEM text of further authorities, or empty.
    pub extra_ca_pem: String,
    /// Keys of which one has to be in the server's verified chain, unless there are none.
    pub pins: Vec<Pin>,
    /// Client certificate.
    pub client_identity: Option<ClientIdentity>,
    /// Oldest version of TLS.
    pub min_tls: TlsVersion,
    /// Which proxies are used.
    pub proxies: Proxies,
    /// Whether plain `http`/`ws` to a loopback address is allowed.
    pub allow_plain_loopback: bool,
    /// `User-Agent` of all requests.
    pub user_agent: String,
    /// `Origin` of the upgrade, or empty.
    pub origin: String,
    /// `Sec-WebSocket-Protocol` of the upgrade, or empty.
    pub subprotocol: String,
    /// Further headers of the upgrade.
    pub headers: Vec<(String, String)>,
}

impl Settings {
    /// Where the sockets of channels are, without their path; empty in the profile `auth-message`.
    pub fn streaming_url(&self) -> String {
        // As the settings are checked: both with TLS, or both on this machine without.
        let scheme = if self.api_url.starts_with("http:") { "ws" } else { "wss" };
        match self.streaming_host.as_str() {
            "" => String::new(),
            host => format!("{scheme}://{host}/"),
        }
    }

    /// What this close code asks for.
    pub fn close_class(&self, code: u16) -> CloseClass {
        let known = self.close_codes.iter().chain(&CLOSE_CODES).find(|(known, _)| *known == code);
        known.map_or(CloseClass::Retry, |(_, class)| *class)
    }
}

impl Default for Settings {
    /// The numbers of the README's table; no region's URLs, no credentials.
    fn default() -> Self {
        Self {
            profile: Profile::AuthMessage,
            region: "mypurecloud.com".into(),
            client_id: String::new(),
            client_secret: Secret::new(String::new()),
            refresh_token: None,
            grant: Grant::Auto,
            authentication: ClientAuthentication::Basic,
            signing_key: None,
            key_id: String::new(),
            assertion_audience: String::new(),
            basic: BasicEncoding::Rfc6749,
            pkce: false,
            saml_org: String::new(),
            saml_assertion: None,
            requested_scopes: Vec::new(),
            redirect_uri: String::new(),
            redirect_listener: false,
            token_url: "https://api.mypurecloud.com/oauth/token".into(),
            ws_url: "wss://api.mypurecloud.com/ws".into(),
            authorize_url: "https://login.mypurecloud.com/oauth/authorize".into(),
            api_url: String::new(),
            streaming_host: String::new(),
            required_scopes: Vec::new(),
            unknown_scopes: UnknownScopes::Deny,
            attempts_per_round: 3,
            lead_ms: None,
            refresh_floor_ms: 20_000,
            persist_timeout_ms: 5_000,
            token_store: String::new(),
            revoke_on_close: false,
            authorize_timeout_ms: 600_000,
            provider_timeout_ms: 15_000,
            token_timeout_ms: 15_000,
            verification: Verification::default(),
            api_timeout_ms: 15_000,
            idle_timeout_ms: None,
            topics: Vec::new(),
            heartbeat_timeout_ms: 35_000,
            channel_reuses: 10,
            linger_ms: 3_000,
            displaced: Displaced::Stop,
            connect_timeout_ms: 10_000,
            proxy_timeout_ms: 10_000,
            tls_timeout_ms: 10_000,
            upgrade_timeout_ms: 10_000,
            auth_timeout_ms: 10_000,
            close_timeout_ms: 2_000,
            free_timeout_ms: 5_000,
            ping_after_ms: 25_000,
            dead_after_ms: 10_000,
            expired_grace_ms: 25_000,
            overlap: true,
            close_codes: Vec::new(),
            throttle_patterns: vec!["rate limit".into(), "too many".into()],
            max_message_bytes: 4 << 20,
            max_response_bytes: 64 << 10,
            max_token_bytes: 16 << 10,
            max_auth_reply_bytes: 64 << 10,
            send_queue_messages: 1_024,
            send_queue_bytes: 4 << 20,
            event_queue_events: 4_096,
            event_queue_bytes: 8 << 20,
            audit_queue_records: 4_096,
            audit_policy: AuditPolicy::DropOldest,
            chain: Chain::default(),
            siem_source: "genesys_websocket_authenticator".into(),
            formats: Formats::default(),
            delivery: Delivery::Callbacks,
            slow_callback: Duration::from_secs(1),
            stack_bytes: 0,
            trust: Trust::System,
            extra_ca_file: String::new(),
            extra_ca_pem: String::new(),
            pins: Vec::new(),
            client_identity: None,
            min_tls: TlsVersion::V12,
            proxies: Proxies::default(),
            allow_plain_loopback: false,
            user_agent: concat!("genesys-ws-auth/", env!("CARGO_PKG_VERSION")).into(),
            origin: String::new(),
            subprotocol: String::new(),
            headers: Vec::new(),
        }
    }
}
