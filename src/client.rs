//! The client: everything an application does with a connection, blocking and thread-safe.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::error::Error;
use crate::event::{MessageKind, State};
use crate::hooks::Request;
use crate::metrics::Metrics;
use crate::proto::token::Token;
use crate::secret::Secret;

/// One authenticated connection and the threads that keep it alive. `Send + Sync`: any thread may call anything.
pub struct Client {}

/// What a shutdown left behind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Every thread is joined and no callback will run again.
    pub complete: bool,
    /// The WebSocket close handshake finished.
    pub close_handshake: bool,
    /// Audit records that no sink has seen.
    pub audit_undelivered: u64,
    /// Events that no callback has seen.
    pub events_undelivered: u64,
    /// Messages handed back unsent.
    pub messages_unsent: u64,
    /// Resolver threads still stuck in getaddrinfo.
    pub resolvers_stuck: u32,
    /// Name of the callback that is still running, if one is.
    pub stuck_callback: Option<&'static str>,
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
    Notice(crate::event::Notice),
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

/// Waits take `None` for "no limit".
impl Client {
    /// A client with a copy of `config`. Starts no thread, calls no hook.
    pub fn new(config: &Config) -> Result<Self, Error> {
        unimplemented!("{config:?}")
    }
    /// Starts the threads and returns at once; rounds of attempts go on for ever.
    pub fn start(&self) -> Result<(), Error> {
        unimplemented!()
    }
    /// Starts, and waits until Ready, or one round failed, or the time is up: then everything it started is stopped.
    pub fn connect(&self, _timeout: Option<Duration>) -> Result<(), Error> {
        unimplemented!()
    }
    /// Queues a message; its id.
    pub fn send(&self, _kind: MessageKind, _data: &[u8]) -> Result<u64, Error> {
        unimplemented!()
    }
    /// Asks for a new token now; returns at once.
    pub fn refresh_now(&self) -> Result<(), Error> {
        unimplemented!()
    }
    /// A token with at least `min_left` of usable life, for the application's own REST calls.
    pub fn token(&self, _min_left: Duration, _timeout: Option<Duration>) -> Result<Arc<Token>, Error> {
        unimplemented!()
    }
    /// Replaces `client.secret` or `token.refresh_token` on a stopped or running client.
    pub fn set_secret(&self, _key: &str, _value: Secret) -> Result<(), Error> {
        unimplemented!()
    }
    /// What the client is doing.
    pub fn state(&self) -> State {
        unimplemented!()
    }
    /// Counters.
    pub fn metrics(&self) -> Metrics {
        unimplemented!()
    }
    /// Counters and state as one JSON object.
    pub fn stats_json(&self) -> String {
        unimplemented!()
    }
    /// Level-triggered descriptor, readable while events wait (poll mode); -1 in other modes.
    pub fn event_fd(&self) -> i32 {
        unimplemented!()
    }
    /// The next event (poll mode); `Ok(None)` when the time is up.
    pub fn next_event(&self, _timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        unimplemented!()
    }
    /// Ends the current or next blocking call with `Interrupted`. Async-signal-safe.
    pub fn interrupt(&self) {
        unimplemented!()
    }
    /// Stops everything under one deadline. Inside a callback of this client: asks for it and returns at once.
    pub fn shutdown(&self, _timeout: Option<Duration>) -> Result<ShutdownReport, Error> {
        unimplemented!()
    }
}
