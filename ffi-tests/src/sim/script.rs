//! What a test can ask of the simulator, as plain data.
//!
//! Three places have a queue: accepting TCP connections ([`TcpReply`]), the token endpoint ([`TokenReply`]) and
//! upgrades and `auth` frames ([`UpgradeReply`], [`AuthReply`]). Each entry is used once; when the queue is empty
//! the sticky reply applies, which is the honest one unless set otherwise. What a live connection does by itself
//! is a [`Plan`]: what to do ([`Action`]) and when ([`Trigger`]).

use std::collections::VecDeque;

use super::issuer::IssuerScript;
use super::policy::Issue;

/// What happens to a TCP connection before anything is read from it.
#[derive(Clone, Debug)]
pub enum TcpReply {
    /// It is served.
    Serve,
    /// It is accepted and nothing more: no TLS handshake, no answer.
    Stall,
    /// It is closed at once.
    Drop,
    /// It is reset at once.
    Reset,
    /// These bytes are sent, then it is closed: not TLS, or not HTTP.
    Garbage(Vec<u8>),
}

/// The answer to one token request.
#[derive(Clone, Debug)]
pub enum TokenReply {
    /// The honest answer: checks the credentials and the grant; a token shaped by [`Issue`].
    Issue(Issue),
    /// The honest answer in chunked transfer encoding.
    Chunked,
    /// The honest answer, `chunk` bytes at a time with pauses.
    TrickleBytes {
        /// Bytes at a time.
        chunk: usize,
        /// Pause between them.
        delay_ms: u64,
    },
    /// HTTP 429, with a Retry-After when there is one.
    Throttle429 {
        /// Value of Retry-After, unchecked.
        retry_after: Option<String>,
    },
    /// How Genesys really throttles: HTTP 400 `invalid_request`, `rate limit exceeded`.
    Throttle400,
    /// HTTP 400 `invalid_grant`.
    InvalidGrant,
    /// HTTP 401 `invalid_client`.
    InvalidClient,
    /// HTTP 403 `unauthorized_client`.
    Forbidden,
    /// Any status, headers and body.
    Status {
        /// The status.
        code: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// HTTP 200 with a page of HTML.
    NotJson,
    /// HTTP 200 with JSON of about this many bytes.
    Huge {
        /// Size of the body.
        bytes: usize,
    },
    /// HTTP 302.
    Redirect {
        /// The Location.
        to: String,
    },
    /// No answer; the connection stays open.
    Hang,
    /// Half of the head, then the connection ends.
    CutMidHeader,
    /// The head and half of the body of an honest answer, then the connection ends.
    CutMidBody,
    /// The connection ends without an answer.
    Drop,
    /// The connection is reset without an answer.
    Reset,
    /// Some time, then another reply.
    Delay {
        /// The time.
        ms: u64,
        /// The reply.
        then: Box<TokenReply>,
    },
}

/// What the user does on the sign-in page.
#[derive(Clone, Debug)]
pub enum AuthorizeReply {
    /// Nothing: a page of HTML.
    Page,
    /// A redirect with a code and the state.
    Consent,
    /// A redirect with a code and another state than was sent.
    WrongState,
    /// A redirect with an error: `access_denied`, say.
    Deny {
        /// The error.
        error: String,
    },
}

/// The answer to one WebSocket upgrade.
#[derive(Clone, Debug)]
pub enum UpgradeReply {
    /// 101.
    Accept,
    /// 101 with further headers.
    AcceptWith(Vec<(String, String)>),
    /// 101 with a `Sec-WebSocket-Accept` that does not fit.
    WrongAcceptKey,
    /// Any other status, headers and body.
    Status {
        /// The status.
        code: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// HTTP 302.
    Redirect {
        /// The Location.
        to: String,
    },
    /// No answer; the connection stays open.
    Hang,
    /// The connection ends without an answer.
    Drop,
    /// The connection is reset without an answer.
    Reset,
    /// Some time, then another reply.
    Delay {
        /// The time.
        ms: u64,
        /// The reply.
        then: Box<UpgradeReply>,
    },
}

/// The answer to one `auth` frame. Application messages flow meanwhile.
#[derive(Clone, Debug)]
pub enum AuthReply {
    /// `ok` for a token that was issued and is good, else `error` with `invalid token`.
    Honest,
    /// `error`, with this message when there is one.
    Refuse(Option<String>),
    /// No answer.
    Never,
    /// An honest `ok` made longer by so many bytes.
    Padded(usize),
    /// This text, whatever it is. It does not authenticate the socket.
    Text(String),
    /// These actions instead of an answer.
    Act(Vec<Action>),
    /// These actions, then a reply.
    Before(Vec<Action>, Box<AuthReply>),
    /// A reply, then these actions.
    After(Box<AuthReply>, Vec<Action>),
    /// Some time, then another reply.
    Delay {
        /// The time.
        ms: u64,
        /// The reply.
        then: Box<AuthReply>,
    },
}

/// One thing a live connection does.
#[derive(Clone, Debug)]
pub enum Action {
    /// A text message.
    Text(String),
    /// A text of a channel's own, `v2.system.*` say: not counted as a message.
    System(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A text message in several frames.
    Fragmented {
        /// The message.
        text: String,
        /// How many frames.
        parts: usize,
    },
    /// A text message, `chunk` bytes at a time with pauses.
    Trickle {
        /// The message.
        text: String,
        /// Bytes at a time.
        chunk: usize,
        /// Pause between them.
        delay_ms: u64,
    },
    /// A ping frame.
    Ping(Vec<u8>),
    /// A close frame; the client's answer is waited for, two seconds at most. Code 1005 sends none.
    Close {
        /// The code, unchecked.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// The first `keep` bytes of a text frame, then [`Action::Drop`].
    CutFrame {
        /// The message.
        text: String,
        /// How much of the frame, header included, is sent.
        keep: usize,
    },
    /// A frame header that announces so many bytes, and nothing after it.
    OversizedHeader {
        /// The length announced.
        announced: u64,
    },
    /// A text frame that is not UTF-8.
    InvalidUtf8,
    /// A masked text frame, which a server must not send.
    Masked(String),
    /// These bytes.
    Raw(Vec<u8>),
    /// End of the TCP connection without a close frame; what was sent still arrives.
    Drop,
    /// Reset of the TCP connection.
    Reset,
    /// From here on nothing is sent: no message, no pong, no answer.
    GoSilent,
    /// From here on a channel's socket sends neither heartbeats nor events nor `v2.system.*`, nor answers
    /// `{"message":"ping"}`; WebSocket pings are answered.
    Stall,
    /// The end of [`Action::GoSilent`] and of [`Action::Stall`].
    Resume,
    /// From here on nothing is read, so that what the client sends fills the kernel's buffers. Messages flow on.
    GoDeaf,
    /// The end of [`Action::GoDeaf`].
    Listen,
    /// The client's close frame will not be answered.
    IgnoreClose,
    /// Some time before the next action of the same list.
    Pause {
        /// The time.
        ms: u64,
    },
}

impl Action {
    /// A text message that is not JSON.
    pub fn not_json() -> Self {
        Action::Text("this is {not JSON".to_owned())
    }

    /// A text message of so many bytes in one frame; beyond 4 MiB clients should refuse it.
    pub fn oversized(bytes: usize) -> Self {
        Action::Text("x".repeat(bytes))
    }

    /// An `auth` frame nobody asked for.
    pub fn unsolicited_auth(status: &str) -> Self {
        let frame = serde_json::json!({"type": "auth", "status": status, "message": "unsolicited"});
        Action::Text(frame.to_string())
    }

    /// `v2.system.socket_closing` (Genesys Cloud, "WebSocket manual reconnect").
    pub fn closing_notice() -> Self {
        let body = r#"{"message":"Websocket closing soon"}"#;
        Action::System(format!(r#"{{"topicName":"v2.system.socket_closing","eventBody":{body}}}"#))
    }

    /// A close frame.
    pub fn close(code: u16, reason: &str) -> Self {
        Action::Close { code, reason: reason.to_owned() }
    }
}

/// When a planned action is due on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// Right after the upgrade.
    Open,
    /// After the n-th `ok` to an `auth` frame; 1 is the first authentication, 2 the first renewal.
    Auths(u64),
    /// After the n-th application message handed to the socket.
    Messages(u64),
    /// After the n-th frame of any kind handed to the socket.
    Frames(u64),
    /// So many milliseconds after the upgrade.
    AfterMs(u64),
}

/// What one connection does by itself; each entry happens once.
///
/// ```
/// use ffi_tests::sim::{Action, Plan, Trigger};
/// let plan = Plan::new().on(Trigger::Messages(3), [Action::Drop]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(crate) entries: Vec<(Trigger, Vec<Action>)>,
}

impl Plan {
    /// A plan that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds actions to be done, in order, when `trigger` is due.
    pub fn on(mut self, trigger: Trigger, actions: impl IntoIterator<Item = Action>) -> Self {
        self.entries.push((trigger, actions.into_iter().collect()));
        self
    }
}

/// Replies to be used once each, and the one for the rest.
pub(crate) struct Queue<T> {
    pub(crate) next: VecDeque<T>,
    pub(crate) always: T,
}

impl<T: Clone> Queue<T> {
    pub(crate) fn new(always: T) -> Self {
        Self { next: VecDeque::new(), always }
    }

    pub(crate) fn take(&mut self) -> T {
        self.next.pop_front().unwrap_or_else(|| self.always.clone())
    }
}

/// All scripts of one simulator.
pub(crate) struct Script {
    pub(crate) tcp: Queue<TcpReply>,
    pub(crate) token: Queue<TokenReply>,
    pub(crate) authorize: Queue<AuthorizeReply>,
    pub(crate) issuer: IssuerScript,
    pub(crate) upgrade: Queue<UpgradeReply>,
    pub(crate) any_auth: VecDeque<AuthReply>,
    pub(crate) first_auth: Queue<AuthReply>,
    pub(crate) reauth: Queue<AuthReply>,
    pub(crate) plans: Vec<(usize, Plan)>,
    pub(crate) every: Plan,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            tcp: Queue::new(TcpReply::Serve),
            token: Queue::new(TokenReply::Issue(Issue::new())),
            authorize: Queue::new(AuthorizeReply::Page),
            issuer: IssuerScript::new(),
            upgrade: Queue::new(UpgradeReply::Accept),
            any_auth: VecDeque::new(),
            first_auth: Queue::new(AuthReply::Honest),
            reauth: Queue::new(AuthReply::Honest),
            plans: Vec::new(),
            every: Plan::new(),
        }
    }

    pub(crate) fn auth(&mut self, again: bool) -> AuthReply {
        let queue = if again { &mut self.reauth } else { &mut self.first_auth };
        if queue.next.is_empty() {
            if let Some(reply) = self.any_auth.pop_front() {
                return reply;
            }
        }
        queue.take()
    }

    /// What was planned for the connection of that index, and for every one.
    pub(crate) fn plan(&self, index: usize) -> Vec<(Trigger, Vec<Action>)> {
        let own = self.plans.iter().filter(|(of, _)| *of == index).map(|(_, plan)| plan);
        let all = own.chain([&self.every]);
        all.flat_map(|plan| plan.entries.clone()).collect()
    }
}
