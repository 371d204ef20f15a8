//! The closed list of what is audited. Secrets cannot enter: no variant has a place for one.

use super::field::{Fields, Value};
use super::kind::{Kind, Level};
use crate::error::{Code, Error};

/// Which kind of attempt a record is about (`metadata.phase`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The first authentication of a client.
    First,
    /// A new token on the live connection.
    Renewal,
    /// A new socket after a loss.
    Reconnect,
}

impl Phase {
    /// The value of `metadata.phase`.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Renewal => "renewal",
            Self::Reconnect => "reconnect",
        }
    }
}

/// Outcome of a scope check (`result` of the scope audit payload).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ScopeResult {
    /// Every required scope is granted, or the policy lets unknown scopes pass.
    Allowed,
    /// Scopes are missing.
    Denied,
    /// The token is malformed.
    InvalidTokenStructure,
}

/// The scope audit payload of the tutorial, without its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeAudit {
    /// Outcome.
    pub result: ScopeResult,
    /// Required scopes, in the application's order.
    pub required: Vec<String>,
    /// Granted scopes, in the token's order.
    pub granted: Vec<String>,
    /// Required and not granted, in the application's order.
    pub missing: Vec<String>,
    /// `client_id` claim of the token, or `unknown`.
    pub client_id: String,
}

/// How an authentication attempt ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Accepted; the scopes the token is known to carry.
    Success {
        /// Granted scopes, in the token's order; empty when unknown.
        scopes: Vec<String>,
    },
    /// Failed.
    Failure(Error),
}

/// What makes a token believable beyond that it came over TLS from the token endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// Nothing more was asked for (`token.verify = off`).
    Unverified,
    /// Its signature and claims were verified with a key of the issuer (RFC 7519 7.2).
    Verified,
    /// The issuer was asked (RFC 7662).
    Introspected,
}

impl Trust {
    /// The value of `metadata.trust`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Introspected => "introspected",
        }
    }
}

/// One security-relevant fact.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// An authentication attempt ended (`event_type: authentication_attempt`).
    Attempt {
        /// Which kind.
        phase: Phase,
        /// How it ended.
        outcome: Outcome,
        /// From start to accepted or failed; for an in-band renewal from auth frame to reply.
        latency_ms: u64,
        /// Whether the token's scopes had been checked and allowed.
        scopes_validated: bool,
    },
    /// A token's scopes were checked; goes to `on_audit` alone.
    Scopes(ScopeAudit),
    /// The application did not persist a rotated refresh token in time, or said it could not.
    RefreshTokenNotPersisted {
        /// Why.
        error: Error,
    },
    /// A live socket was lost or closed by the server. Nothing else ends what [`Self::SocketOpened`] began but
    /// [`Self::SocketClosed`].
    ConnectionLost {
        /// Number of the connection.
        connection: u64,
        /// What ended it.
        error: Error,
    },
    /// The client was closed by the application.
    Closed,
    /// A panic was caught; the client is Failed.
    Panicked {
        /// File and line.
        location: String,
    },
    /// A token is asked for: a request leaves, or the application is asked. What comes of it is
    /// [`Self::TokenIssued`] or [`Self::TokenRefused`], one of them and once.
    TokenRequested {
        /// `grant_type` (RFC 6749 4), or `application`.
        grant: &'static str,
        /// How the client shows who it is (`client.authentication`).
        authentication: &'static str,
    },
    /// A token was granted, checked, and is in force from now on.
    TokenIssued {
        /// Number of the token, from 1.
        serial: u64,
        /// How long it lives.
        lifetime_ms: u64,
        /// Whether a new refresh token came with it.
        rotated: bool,
        /// What makes it believable.
        trust: Trust,
    },
    /// An attempt to get a token failed: none was granted, the one that was is not taken, or nothing could be sent.
    /// `Cancelled`: the client was closed first.
    TokenRefused {
        /// Why.
        error: Error,
    },
    /// A rotated refresh token is kept: `token.store` has it, or the application says that it has.
    RefreshTokenStored {
        /// `store` or `application`.
        by: &'static str,
    },
    /// A renewal changed what is granted.
    ScopesChanged {
        /// New, in the new token's order.
        added: Vec<String>,
        /// Gone, in the old token's order.
        removed: Vec<String>,
        /// Of these the required ones.
        missing: Vec<String>,
    },
    /// A renewed token is about somebody else, and is not taken.
    IdentityChanged {
        /// The claim that differs.
        claim: &'static str,
    },
    /// The issuer's keys were read (RFC 7517).
    KeysLoaded {
        /// How many of them can be used.
        keys: u64,
    },
    /// The issuer's keys cannot be had; those that were read before are used on.
    KeysStale {
        /// Since they were read.
        age_ms: u64,
        /// Why there are no newer ones.
        error: Error,
    },
    /// A WebSocket was opened (the upgrade is done, nobody is authenticated yet).
    SocketOpened {
        /// Number of the connection.
        connection: u64,
    },
    /// A WebSocket ended that was not lost while it was live: it was left on purpose, or it never became live.
    SocketClosed {
        /// Number of the connection.
        connection: u64,
        /// The close code that was sent, or that came; 1006 if there was none (RFC 6455 7.1.5).
        code: u16,
        /// Whether both ends said goodbye (RFC 6455 7.1.4).
        clean: bool,
    },
    /// A channel was made (profile `notifications`).
    ChannelMade,
    /// A channel was subscribed to topics (profile `notifications`).
    Subscribed {
        /// How many are permitted.
        permitted: u64,
        /// How many are not.
        refused: u64,
        /// Of these the first hundred.
        rejected: Vec<String>,
    },
    /// Another client has taken the channel or its topics (profile `notifications`).
    Displaced {
        /// How it was told.
        error: Error,
    },
    /// A client was made with this configuration.
    ConfigurationLoaded {
        /// SHA-256 of the effective configuration in hexadecimal digits. Secrets are hidden in it: another secret is no
        /// other fingerprint.
        fingerprint: String,
    },
    /// Trusted authorities were read.
    TrustLoaded {
        /// Where from.
        store: String,
        /// How many.
        roots: u64,
        /// Public keys of which one has to be in a server's chain.
        pins: u64,
    },
    /// The wall clock was set.
    ClockStepped {
        /// By how much.
        by_ms: i64,
    },
    /// The machine slept.
    Resumed {
        /// For how long.
        slept_ms: u64,
    },
}

impl Record {
    /// What the record is about.
    pub fn about(&self) -> Kind {
        match self {
            Self::Attempt { .. } => Kind::Attempt,
            Self::Scopes(_) => Kind::Scopes,
            Self::RefreshTokenNotPersisted { .. } => Kind::RefreshTokenNotPersisted,
            Self::ConnectionLost { .. } => Kind::ConnectionLost,
            Self::Closed => Kind::Closed,
            Self::Panicked { .. } => Kind::Panicked,
            Self::TokenRequested { .. } => Kind::TokenRequested,
            Self::TokenIssued { .. } => Kind::TokenIssued,
            Self::TokenRefused { .. } => Kind::TokenRefused,
            Self::RefreshTokenStored { .. } => Kind::RefreshTokenStored,
            Self::ScopesChanged { .. } => Kind::ScopesChanged,
            Self::IdentityChanged { .. } => Kind::IdentityChanged,
            Self::KeysLoaded { .. } => Kind::KeysLoaded,
            Self::KeysStale { .. } => Kind::KeysStale,
            Self::SocketOpened { .. } => Kind::SocketOpened,
            Self::SocketClosed { .. } => Kind::SocketClosed,
            Self::ChannelMade => Kind::ChannelMade,
            Self::Subscribed { .. } => Kind::Subscribed,
            Self::Displaced { .. } => Kind::Displaced,
            Self::ConfigurationLoaded { .. } => Kind::ConfigurationLoaded,
            Self::TrustLoaded { .. } => Kind::TrustLoaded,
            Self::ClockStepped { .. } => Kind::ClockStepped,
            Self::Resumed { .. } => Kind::Resumed,
        }
    }

    /// The value of `event_type`, or of `action` for the scope payload.
    pub fn kind(&self) -> &'static str {
        self.about().name()
    }

    /// Whether `on_siem` is given the record too.
    pub fn is_for_siem(&self) -> bool {
        !matches!(self, Self::Scopes(_))
    }

    /// Whether the record says that something went wrong (`status`, and `severity` of the SIEM event).
    pub fn is_failure(&self) -> bool {
        self.level() >= Level::Warning
    }

    /// How bad it is.
    pub fn level(&self) -> Level {
        match self {
            Self::Attempt { outcome, .. } => match outcome {
                Outcome::Success { .. } => Level::Info,
                Outcome::Failure(_) => Level::Warning,
            },
            Self::Scopes(scopes) if scopes.result == ScopeResult::Allowed => Level::Info,
            Self::ScopesChanged { missing, .. } if missing.is_empty() => Level::Notice,
            Self::Subscribed { refused: 0, .. } => Level::Info,
            // The end of the client is no fault of the token's.
            Self::TokenRefused { error } if error.code() == Code::Cancelled => Level::Notice,
            other => other.about().level(),
        }
    }

    /// What went wrong.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Attempt { outcome: Outcome::Failure(error), .. }
            | Self::RefreshTokenNotPersisted { error }
            | Self::ConnectionLost { error, .. }
            | Self::TokenRefused { error }
            | Self::KeysStale { error, .. }
            | Self::Displaced { error } => Some(error),
            _ => None,
        }
    }

    /// What the record says beyond its kind and its error, member by member, in a fixed order.
    pub(crate) fn fields(&self, put: &mut Fields<'_>) {
        match self {
            Self::Attempt { phase, outcome, scopes_validated, .. } => {
                put("scopes_validated", Value::Flag(*scopes_validated));
                put("phase", Value::Text(phase.name()));
                if let Outcome::Success { scopes } = outcome {
                    put("scopes", Value::Texts(scopes));
                }
            }
            Self::Scopes(scopes) => {
                put("required", Value::Texts(&scopes.required));
                put("granted", Value::Texts(&scopes.granted));
                put("missing", Value::Texts(&scopes.missing));
            }
            Self::Panicked { location } => put("location", Value::Text(location)),
            Self::TokenRequested { grant, authentication } => {
                put("grant", Value::Text(grant));
                put("authentication", Value::Text(authentication));
            }
            Self::TokenIssued { serial, lifetime_ms, rotated, trust } => {
                put("serial", Value::Number(*serial));
                put("lifetime_ms", Value::Number(*lifetime_ms));
                put("rotated", Value::Flag(*rotated));
                put("trust", Value::Text(trust.name()));
            }
            Self::RefreshTokenStored { by } => put("by", Value::Text(by)),
            Self::ScopesChanged { added, removed, missing } => {
                put("added", Value::Texts(added));
                put("removed", Value::Texts(removed));
                put("missing", Value::Texts(missing));
            }
            Self::IdentityChanged { claim } => put("claim", Value::Text(claim)),
            Self::KeysLoaded { keys } => put("keys", Value::Number(*keys)),
            Self::KeysStale { age_ms, .. } => put("age_ms", Value::Number(*age_ms)),
            Self::SocketOpened { connection } | Self::ConnectionLost { connection, .. } => {
                put("connection", Value::Number(*connection));
            }
            Self::SocketClosed { connection, code, clean } => {
                put("connection", Value::Number(*connection));
                put("close_code", Value::Number(u64::from(*code)));
                put("clean", Value::Flag(*clean));
            }
            Self::Subscribed { permitted, refused, rejected } => {
                put("permitted", Value::Number(*permitted));
                put("refused", Value::Number(*refused));
                put("rejected", Value::Texts(rejected));
            }
            Self::ConfigurationLoaded { fingerprint } => put("fingerprint", Value::Text(fingerprint)),
            Self::TrustLoaded { store, roots, pins } => {
                put("store", Value::Text(store));
                put("roots", Value::Number(*roots));
                put("pins", Value::Number(*pins));
            }
            Self::ClockStepped { by_ms } => put("by_ms", Value::Signed(*by_ms)),
            Self::Resumed { slept_ms } => put("slept_ms", Value::Number(*slept_ms)),
            Self::RefreshTokenNotPersisted { .. }
            | Self::TokenRefused { .. }
            | Self::Displaced { .. }
            | Self::Closed
            | Self::ChannelMade => {}
        }
    }
}
