//! What is audited: a closed list of records that the machines emit. Secrets cannot enter.

pub(crate) mod json;
pub(crate) mod time;
pub(crate) mod writer;

pub use json::scopes_json;

use crate::error::Error;

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
    /// A live socket was lost or closed.
    ConnectionLost {
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
}

impl Record {
    /// The value of `event_type`, or of `action` for the scope payload.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Attempt { .. } => "authentication_attempt",
            Self::Scopes(_) => "scope_validation",
            Self::RefreshTokenNotPersisted { .. } => "refresh_token_not_persisted",
            Self::ConnectionLost { .. } => "connection_lost",
            Self::Closed => "client_closed",
            Self::Panicked { .. } => "panic",
        }
    }

    /// Whether `on_siem` is given the record too.
    pub fn is_for_siem(&self) -> bool {
        !matches!(self, Self::Scopes(_))
    }

    /// Whether the record says that something went wrong (`status`, and `severity` of the SIEM event).
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Attempt { outcome, .. } => matches!(outcome, Outcome::Failure(_)),
            Self::Scopes(scopes) => scopes.result != ScopeResult::Allowed,
            Self::RefreshTokenNotPersisted { .. } | Self::ConnectionLost { .. } | Self::Panicked { .. } => true,
            Self::Closed => false,
        }
    }
}
