//! What the application registers: functions that are told, and functions that are asked.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::event::{MessageKind, Notice, Question, Sent};
use crate::proto::token::Token;
use crate::secret::Secret;
use crate::sys::process;

/// A message, borrowed for the call.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Text or binary.
    pub kind: MessageKind,
    /// The payload followed by one NUL byte that is not part of it.
    pub data_with_nul: &'a [u8],
    /// Number of the socket it came by, from 1.
    pub connection: u64,
}

impl<'a> Message<'a> {
    /// The payload.
    pub fn data(&self) -> &'a [u8] {
        self.data_with_nul.split_last().map_or(&[], |(_, data)| data)
    }
}

/// An audit record or SIEM event, borrowed for the call.
#[derive(Clone, Copy, Debug)]
pub struct AuditView<'a> {
    /// One line without its break, followed by one NUL byte that is not part of it: a JSON object, unless `audit.format`
    /// or `audit.siem_format` is `cef` or `rfc5424`.
    pub json_with_nul: &'a str,
    /// Position in the order of this client's records, from 1. `on_audit` sees every number, or a record of kind
    /// `audit_loss` that covers the lost ones and carries the last of them; `on_siem` is given that too. Scope payloads
    /// it is not given: its JSON says in `prev_seq` which number it was given before.
    pub seq: u64,
    /// `event_type` or `action` of the record; `audit_loss` for the marker of a loss.
    pub kind: &'static str,
}

/// A question of the library. Answer it once, from any thread, now or later; unanswered it times out.
#[derive(Clone)]
pub struct Request {
    /// Number of the request within its client.
    pub id: u64,
    /// What is asked.
    pub question: Question,
    /// Takes the answer to the thread that waits for it.
    reply: Reply,
    /// Where that thread is.
    process: u32,
}

/// Where an answer goes: the request's number and what the application said.
pub type Reply = Arc<dyn Fn(u64, Result<Answer, Error>) + Send + Sync>;

impl Request {
    /// A question of this process, and where its answer goes.
    pub fn new(id: u64, question: Question, reply: Reply) -> Self {
        Self { id, question, reply, process: process() }
    }

    /// Answers. A second answer, one that comes too late, and one in a child of `fork` are ignored.
    pub fn complete(&self, answer: Answer) {
        self.answer(Ok(answer));
    }

    /// Says that there will be no answer.
    pub fn fail(&self, why: Error) {
        self.answer(Err(why));
    }

    /// Whether the question is that of a process which this one was forked from.
    pub fn is_forked(&self) -> bool {
        self.process != process()
    }

    /// In a child the locks on the way may be held for ever.
    fn answer(&self, answer: Result<Answer, Error>) {
        if !self.is_forked() {
            (self.reply)(self.id, answer);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("id", &self.id).field("question", &self.question).finish()
    }
}

/// What the application answers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Done: the refresh token is stored.
    Done,
    /// The authorization code asked for.
    Code(Secret),
    /// The access token asked for.
    AccessToken {
        /// The token itself.
        token: Secret,
        /// How long it lives from now on, in milliseconds; `None`: as its JWT says, or 300 s.
        expires_in_ms: Option<u64>,
    },
}

/// A hook of an audit sink failed; it is counted and logged, and harms nothing. With a chain it says that the record was
/// not kept: the sink is given a marker of the loss before the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HookFailed;

/// One of the application's functions. The numbers are those of the C ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Callback {
    /// [`Hooks::on_message`].
    Message = 1,
    /// [`Hooks::on_audit`].
    Audit = 2,
    /// [`Hooks::on_siem`].
    Siem = 3,
    /// [`Hooks::on_state`].
    State = 4,
    /// [`Hooks::on_token`].
    Token = 5,
    /// [`Hooks::on_ask`].
    Ask = 6,
    /// [`Hooks::on_sent`].
    Sent = 7,
    /// [`Hooks::on_log`].
    Log = 8,
    /// [`Hooks::on_thread`].
    Thread = 9,
}

impl Callback {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Message,
        Self::Audit,
        Self::Siem,
        Self::State,
        Self::Token,
        Self::Ask,
        Self::Sent,
        Self::Log,
        Self::Thread,
    ];

    /// The name in logs, stats and the shutdown report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "on_message",
            Self::Audit => "on_audit",
            Self::Siem => "on_siem",
            Self::State => "on_state",
            Self::Token => "on_token",
            Self::Ask => "on_ask",
            Self::Sent => "on_sent",
            Self::Log => "on_log",
            Self::Thread => "on_thread",
        }
    }

    /// Whether what it is given comes out of the event queue.
    pub(crate) fn is_event(self) -> bool {
        !matches!(self, Self::Audit | Self::Siem | Self::Log | Self::Thread)
    }
}

/// When `on_thread` is called. The numbers are those of the C ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Moment {
    /// Before anything else that the thread does, but for blocking signals.
    Started = 1,
    /// After everything else that the thread does.
    Ending = 2,
}

/// A thread of the library. The numbers are those of the C ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ThreadKind {
    /// Makes token requests.
    Refresh = 1,
    /// Reads and writes the socket; calls `on_message` in `Delivery::Inline`.
    Socket = 2,
    /// Calls all other functions; not in `Delivery::Poll`.
    Dispatch = 3,
}

impl ThreadKind {
    /// The name the system knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refresh => "gwa-refresh",
            Self::Socket => "gwa-socket",
            Self::Dispatch => "gwa-dispatch",
        }
    }
}

/// The application's functions. All but `on_message` in `Delivery::Inline`, and `on_thread`, are called by one thread, one at
/// a time; in `Delivery::Poll` by the thread that polls. No lock is held meanwhile, so they may call back. A panic in one is
/// caught, counted and logged. They are dropped after the last call, and with them what they own.
// Written out: what a hook is given is best read where it is registered.
#[allow(clippy::type_complexity)]
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Hooks {
    /// A message arrived.
    pub on_message: Option<Arc<dyn Fn(Message<'_>) + Send + Sync>>,
    /// State changes, gaps and hand-overs.
    pub on_state: Option<Arc<dyn Fn(&Notice) + Send + Sync>>,
    /// A new token is in use.
    pub on_token: Option<Arc<dyn Fn(&Token) + Send + Sync>>,
    /// The library asks something.
    pub on_ask: Option<Arc<dyn Fn(Request) + Send + Sync>>,
    /// A message was sent or returned.
    pub on_sent: Option<Arc<dyn Fn(&Sent) + Send + Sync>>,
    /// An audit record.
    pub on_audit: Option<Arc<dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync>>,
    /// A SIEM event.
    pub on_siem: Option<Arc<dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync>>,
    /// A line of log: level (1 error – 5 trace), target, text.
    pub on_log: Option<Arc<dyn Fn(i32, &str, &str) + Send + Sync>>,
    /// A thread of the library begins or ends; called on that thread, so perhaps on several at once.
    pub on_thread: Option<Arc<dyn Fn(Moment, ThreadKind) + Send + Sync>>,
}

impl Hooks {
    /// Whether this one is registered.
    pub(crate) fn has(&self, callback: Callback) -> bool {
        match callback {
            Callback::Message => self.on_message.is_some(),
            Callback::Audit => self.on_audit.is_some(),
            Callback::Siem => self.on_siem.is_some(),
            Callback::State => self.on_state.is_some(),
            Callback::Token => self.on_token.is_some(),
            Callback::Ask => self.on_ask.is_some(),
            Callback::Sent => self.on_sent.is_some(),
            Callback::Log => self.on_log.is_some(),
            Callback::Thread => self.on_thread.is_some(),
        }
    }

    /// Takes a function out; what it owns goes when the box is dropped.
    pub(crate) fn take(&mut self, callback: Callback) -> Option<Box<dyn Send>> {
        fn boxed<H: ?Sized + Send + Sync + 'static>(hook: &mut Option<Arc<H>>) -> Option<Box<dyn Send>> {
            hook.take().map(|hook| Box::new(hook) as Box<dyn Send>)
        }
        match callback {
            Callback::Message => boxed(&mut self.on_message),
            Callback::Audit => boxed(&mut self.on_audit),
            Callback::Siem => boxed(&mut self.on_siem),
            Callback::State => boxed(&mut self.on_state),
            Callback::Token => boxed(&mut self.on_token),
            Callback::Ask => boxed(&mut self.on_ask),
            Callback::Sent => boxed(&mut self.on_sent),
            Callback::Log => boxed(&mut self.on_log),
            Callback::Thread => boxed(&mut self.on_thread),
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}
