//! What the application is told: messages, states, gaps, tokens, questions, outcomes of sends.

use std::sync::Arc;

use crate::error::Error;
use crate::hooks::Request;
pub use crate::proto::oauth::Authorization;
use crate::proto::token::Token;

/// What a client is doing, as the application sees it (`GWA_STATE_…` in C).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
#[repr(i32)]
pub enum State {
    /// Not started, or stopped after a failed connect.
    #[default]
    Idle = 0,
    /// A token request is under way and no socket is live.
    AcquiringToken = 1,
    /// A token's scopes are being checked.
    VerifyingToken = 2,
    /// DNS, TCP, TLS or upgrade.
    Connecting = 3,
    /// The auth message is sent, its reply awaited.
    Authenticating = 4,
    /// Authenticated: messages flow.
    Ready = 5,
    /// Ready, and a new token is being presented.
    Renewing = 6,
    /// Ready, but something is wrong: the reason says what.
    Degraded = 7,
    /// Waiting before the next attempt.
    Reconnecting = 8,
    /// The server limits the rate; waiting as long as it asked.
    Throttled = 9,
    /// The server asked to go: waiting before the first attempt, or, with the socket still open, before its replacement.
    Draining = 10,
    /// Another client took the channel (profile `notifications`).
    Displaced = 11,
    /// New credentials are needed.
    ReauthRequired = 12,
    /// Closed by the application. Final.
    Closed = 13,
    /// Given up. Final.
    Failed = 14,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: &'static [State] = &[
        Self::Idle,
        Self::AcquiringToken,
        Self::VerifyingToken,
        Self::Connecting,
        Self::Authenticating,
        Self::Ready,
        Self::Renewing,
        Self::Degraded,
        Self::Reconnecting,
        Self::Throttled,
        Self::Draining,
        Self::Displaced,
        Self::ReauthRequired,
        Self::Closed,
        Self::Failed,
    ];

    /// The name as written in logs and JSON, e.g. `Ready`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::AcquiringToken => "AcquiringToken",
            Self::VerifyingToken => "VerifyingToken",
            Self::Connecting => "Connecting",
            Self::Authenticating => "Authenticating",
            Self::Ready => "Ready",
            Self::Renewing => "Renewing",
            Self::Degraded => "Degraded",
            Self::Reconnecting => "Reconnecting",
            Self::Throttled => "Throttled",
            Self::Draining => "Draining",
            Self::Displaced => "Displaced",
            Self::ReauthRequired => "ReauthRequired",
            Self::Closed => "Closed",
            Self::Failed => "Failed",
        }
    }

    /// Whether messages flow.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Ready | Self::Renewing | Self::Degraded)
    }
}

/// The kind of a message (RFC 6455 5.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i32)]
pub enum MessageKind {
    /// UTF-8 text.
    Text = 1,
    /// Bytes.
    Binary = 2,
}

/// A change of state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateChange {
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// Why, in a few stable words, e.g. `authenticated`.
    pub reason: &'static str,
    /// The error behind it, if there is one.
    pub error: Option<Error>,
}

/// A stretch of time during which messages may have been missed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    /// Counts gaps of this client from 1; begin and end carry the same number.
    pub number: u64,
    /// When the lost socket was last heard, milliseconds since 1970.
    pub from_wall_ms: u64,
    /// When messages flowed again, milliseconds since 1970; 0 in `GapBegin`.
    pub to_wall_ms: u64,
    /// How long, in milliseconds of the boot clock; 0 in `GapBegin`.
    pub duration_ms: u64,
    /// What ended the socket.
    pub cause: Option<Error>,
    /// Correlation id of the last event before the gap (profile `notifications`), or empty: from there on the application
    /// may ask the REST API for what it missed.
    pub last_correlation_id: String,
}

/// Whether the server sends a topic's events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(i32)]
pub enum TopicState {
    /// It does.
    Permitted = 1,
    /// It does not: the reason and the missing permissions say why.
    Rejected = 2,
}

/// What became of one topic of a subscription (profile `notifications`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topic {
    /// The topic, as it was asked for.
    pub id: String,
    /// What became of it.
    pub state: TopicState,
    /// `rejectionReason` of the server, or empty.
    pub reason: String,
    /// Permissions that are missing.
    pub missing_permissions: Vec<String>,
}

/// The server's answer to a subscription: one result a topic, in the order of the subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topics {
    /// The results; events of combined topics arrive under the expanded names.
    pub results: Arc<[Topic]>,
}

/// A renewal changed what is granted. The names of a token whose scopes are unknown change nothing, nor does their order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopesChanged {
    /// New, in the new token's order.
    pub added: Vec<String>,
    /// Gone, in the old token's order.
    pub removed: Vec<String>,
    /// Those of them that `scopes.required` names, in its order: the new token is not used.
    pub missing: Vec<String>,
}

/// A second socket took over from the first; nothing was missed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handover {
    /// Number of the socket that was left.
    pub from_connection: u64,
    /// Number of the socket in use from here on.
    pub to_connection: u64,
}

/// The machine was suspended and goes on: the boot clock ran ahead of the awake clock by more than 2 s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resumed {
    /// How long it slept, in milliseconds.
    pub slept_ms: u64,
}

/// The wall clock was set: it moved against the boot clock by more than 2 s. Nothing of ours is timed by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClockStep {
    /// By how much, in milliseconds; negative when it was set back.
    pub by_ms: i64,
}

/// How a sent message ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// The id `send` gave.
    pub id: u64,
    /// `Ok`: its last byte was handed to the kernel. `Err`: it was returned unsent.
    pub outcome: Result<(), Error>,
}

/// What the library needs from the application.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Question {
    /// Store this rotated refresh token durably, then answer.
    PersistRefreshToken(crate::secret::Secret),
    /// Get an authorization code; the credentials no longer work, or there are none yet. A person signs in at its URL.
    AuthorizationCode(Authorization),
    /// Get an access token (`token.grant = application`): another one than before, if that was refused.
    AccessToken,
}

/// Everything but messages that goes through the event queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The state changed.
    State(StateChange),
    /// Messages may be missed from here on.
    GapBegin(Gap),
    /// Messages flow again.
    GapEnd(Gap),
    /// A second socket took over.
    Handover(Handover),
    /// The server has answered a subscription.
    Topics(Topics),
    /// A renewal changed what is granted.
    ScopesChanged(ScopesChanged),
    /// The machine slept.
    Resumed(Resumed),
    /// The wall clock was set.
    ClockStep(ClockStep),
    /// A new token is in use.
    Token(Arc<Token>),
    /// A message was sent or returned.
    Sent(Sent),
    /// The library asks something; answered through the request's number.
    Ask {
        /// Number of the request.
        id: u64,
        /// What is asked.
        question: Question,
    },
}

/// An event taken from the queue in poll mode, owned.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message: payload plus one NUL byte.
    Message {
        /// Text or binary.
        kind: MessageKind,
        /// The payload followed by one NUL byte that is not part of it.
        data_with_nul: Vec<u8>,
        /// Number of the socket it came by.
        connection: u64,
    },
    /// State, gap, hand-over, token or send outcome.
    Notice(Notice),
    /// A question to answer.
    Request(Request),
    /// An audit record.
    Audit {
        /// One JSON object, without line breaks, plus one NUL byte.
        json_with_nul: String,
        /// Sequence number.
        seq: u64,
        /// `event_type` or `action`.
        kind: &'static str,
        /// Whether this is the SIEM form.
        siem: bool,
    },
    /// A line of log.
    Log {
        /// 1 error – 5 trace.
        level: i32,
        /// Part of the library.
        target: &'static str,
        /// Text.
        text: String,
    },
}
