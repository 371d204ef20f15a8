//! `gwa_event_t`: what the application is told, lent to a callback or owned by C.

use std::borrow::Cow;
use std::ffi::c_void;
use std::sync::Arc;

use crate::client;
use crate::error::Error;
use crate::event::{Gap, MessageKind, Notice, Question};
use crate::hooks::{Message, Request};

use super::audit::gwa_audit_t;
use super::boundary;
use super::error::gwa_error_t;
use super::live::Live;
use super::raw;
use super::scopes::Changed;
use super::status::gwa_status_t;
use super::text::{self, Text};
use super::token::gwa_token_t;
use super::topics::Told;

/// A message that arrived.
pub const GWA_EVENT_MESSAGE: i32 = 1;
/// The state changed.
pub const GWA_EVENT_STATE: i32 = 2;
/// Messages may be missed from here on.
pub const GWA_EVENT_GAP_BEGIN: i32 = 3;
/// Messages flow again.
pub const GWA_EVENT_GAP_END: i32 = 4;
/// A second socket took over; nothing was missed.
pub const GWA_EVENT_HANDOVER: i32 = 5;
/// A new token is in use.
pub const GWA_EVENT_TOKEN: i32 = 6;
/// A sent message was handed to the kernel, or returned unsent.
pub const GWA_EVENT_SENT: i32 = 7;
/// The library asks something.
pub const GWA_EVENT_REQUEST: i32 = 8;
/// An audit record.
pub const GWA_EVENT_AUDIT: i32 = 9;
/// A SIEM event.
pub const GWA_EVENT_SIEM: i32 = 10;
/// A line of log.
pub const GWA_EVENT_LOG: i32 = 11;
/// The machine was suspended for more than 2 s and goes on: gwa_event_clock_ms() says for how long. Given to on_state.
pub const GWA_EVENT_RESUMED: i32 = 12;
/// The wall clock was set by more than 2 s: gwa_event_clock_ms() says by how much. Given to on_state.
pub const GWA_EVENT_CLOCK_STEP: i32 = 13;
/// The server has answered a subscription: gwa_event_topic_count() and its kin say what became of each topic (profile
/// notifications). Given to on_state.
pub const GWA_EVENT_TOPICS: i32 = 14;
/// A renewal changed what is granted: gwa_event_scope_count() and its kin say by which scopes. Given to on_state.
pub const GWA_EVENT_SCOPES: i32 = 15;

/// A text message (UTF-8).
pub const GWA_TEXT: i32 = 1;
/// A binary message.
pub const GWA_BINARY: i32 = 2;

/// Something that happened. Lent to a callback for the time of the call, or owned: taken by
/// gwa_client_next_event() or gwa_event_clone() and freed by gwa_event_free(). An owned event may outlive its client.
pub struct gwa_event_t<'a> {
    body: Body<'a>,
    /// Counted only when C owns it.
    live: Option<Live>,
}

/// What the accessors read. Only messages and audit records borrow: they are many, or large.
pub(super) enum Body<'a> {
    Message {
        kind: MessageKind,
        data_with_nul: Cow<'a, [u8]>,
        connection: u64,
    },
    State {
        from: i32,
        to: i32,
        reason: Text,
        error: Option<gwa_error_t>,
    },
    Gap {
        begin: bool,
        gap: Gap,
        correlation_id: Text,
        cause: Option<gwa_error_t>,
    },
    Handover {
        from: u64,
        to: u64,
    },
    /// The machine slept, or the wall clock was set; by how many milliseconds.
    Clock {
        kind: i32,
        by_ms: i64,
    },
    Token(gwa_token_t),
    Sent {
        id: u64,
        error: Option<gwa_error_t>,
    },
    /// Without a request where the library only says that it asked.
    Request {
        kind: i32,
        request: Option<Request>,
    },
    Audit {
        audit: gwa_audit_t<'a>,
        siem: bool,
    },
    /// Shared with its copies: there may be a thousand.
    Topics(Arc<[Told]>),
    Scopes(Arc<[Changed]>),
    Log {
        level: i32,
        target: Text,
        text: Text,
    },
}

impl<'a> gwa_event_t<'a> {
    /// A message, lent for a call. Allocates nothing.
    pub(super) fn message(message: &Message<'a>) -> Self {
        let data_with_nul = Cow::Borrowed(message.data_with_nul);
        Self::lent(Body::Message { kind: message.kind, data_with_nul, connection: message.connection })
    }

    /// A notice, for a call or to be owned.
    pub(super) fn notice(notice: &Notice) -> Self {
        Self::lent(match notice {
            Notice::State(change) => Body::State {
                from: change.from as i32,
                to: change.to as i32,
                reason: Text::new(change.reason),
                error: part(change.error.as_ref()),
            },
            Notice::GapBegin(gap) => Body::gap(true, gap),
            Notice::GapEnd(gap) => Body::gap(false, gap),
            Notice::Handover(handover) => Body::Handover { from: handover.from_connection, to: handover.to_connection },
            Notice::ScopesChanged(change) => Body::Scopes(Changed::all(change)),
            Notice::Topics(topics) => Body::Topics(topics.results.iter().map(Told::new).collect()),
            Notice::Resumed(resumed) => {
                Body::Clock { kind: GWA_EVENT_RESUMED, by_ms: i64::try_from(resumed.slept_ms).unwrap_or(i64::MAX) }
            }
            Notice::ClockStep(step) => Body::Clock { kind: GWA_EVENT_CLOCK_STEP, by_ms: step.by_ms },
            Notice::Token(token) => Body::Token(gwa_token_t::new(token)),
            Notice::Sent(sent) => Body::Sent { id: sent.id, error: part(sent.outcome.as_ref().err()) },
            Notice::Ask { question, .. } => Body::Request { kind: question_number(question), request: None },
        })
    }

    /// An event of the queue, for C to own.
    pub(super) fn owned(event: client::Event) -> *mut gwa_event_t<'static> {
        give(match event {
            client::Event::Message { kind, data_with_nul, connection } => {
                Body::Message { kind, data_with_nul: Cow::Owned(data_with_nul), connection }
            }
            client::Event::Notice(notice) => gwa_event_t::notice(&notice).body,
            client::Event::Request(request) => {
                Body::Request { kind: question_number(&request.question), request: Some(request) }
            }
            client::Event::Audit { json_with_nul, seq, kind, siem } => {
                Body::Audit { audit: gwa_audit_t::new(Cow::Owned(json_with_nul), seq, kind, siem), siem }
            }
            client::Event::Log { level, target, text } => {
                Body::Log { level, target: Text::new(target), text: Text::new(&text) }
            }
        })
    }

    /// What the accessors read.
    pub(super) fn body(&self) -> &Body<'a> {
        &self.body
    }

    fn lent(body: Body<'a>) -> Self {
        Self { body, live: None }
    }
}

/// The number of a question in the header.
pub(super) fn question_number(question: &Question) -> i32 {
    match question {
        Question::PersistRefreshToken(_) => super::request::GWA_REQUEST_PERSIST_REFRESH_TOKEN,
        Question::AuthorizationCode(_) => super::request::GWA_REQUEST_AUTHORIZATION_CODE,
        Question::AccessToken => super::request::GWA_REQUEST_TOKEN,
    }
}

fn part(error: Option<&Error>) -> Option<gwa_error_t> {
    error.map(copy_of)
}

fn copy_of(error: &Error) -> gwa_error_t {
    gwa_error_t::new(error.clone())
}

fn give(body: Body<'static>) -> *mut gwa_event_t<'static> {
    raw::give(gwa_event_t { body, live: Some(Live::new()) })
}

impl Body<'_> {
    fn gap(begin: bool, gap: &Gap) -> Self {
        let correlation_id = Text::new(&gap.last_correlation_id);
        Self::Gap { begin, gap: gap.clone(), correlation_id, cause: part(gap.cause.as_ref()) }
    }

    fn kind(&self) -> i32 {
        match self {
            Self::Message { .. } => GWA_EVENT_MESSAGE,
            Self::State { .. } => GWA_EVENT_STATE,
            Self::Topics(_) => GWA_EVENT_TOPICS,
            Self::Scopes(_) => GWA_EVENT_SCOPES,
            Self::Gap { begin: true, .. } => GWA_EVENT_GAP_BEGIN,
            Self::Gap { begin: false, .. } => GWA_EVENT_GAP_END,
            Self::Handover { .. } => GWA_EVENT_HANDOVER,
            Self::Clock { kind, .. } => *kind,
            Self::Token(_) => GWA_EVENT_TOKEN,
            Self::Sent { .. } => GWA_EVENT_SENT,
            Self::Request { .. } => GWA_EVENT_REQUEST,
            Self::Audit { siem: false, .. } => GWA_EVENT_AUDIT,
            Self::Audit { siem: true, .. } => GWA_EVENT_SIEM,
            Self::Log { .. } => GWA_EVENT_LOG,
        }
    }

    /// The error that is part of the event.
    pub(super) fn error(&self) -> Option<&gwa_error_t> {
        match self {
            Self::State { error, .. } | Self::Sent { error, .. } | Self::Gap { cause: error, .. } => error.as_ref(),
            _ => None,
        }
    }

    fn copied(&self) -> Body<'static> {
        let error = self.error().map(|error| copy_of(error.error()));
        match self {
            Self::Message { kind, data_with_nul, connection } => Body::Message {
                kind: *kind,
                data_with_nul: Cow::Owned(data_with_nul.clone().into_owned()),
                connection: *connection,
            },
            Self::State { from, to, reason, .. } => Body::State { from: *from, to: *to, reason: reason.clone(), error },
            Self::Gap { begin, gap, .. } => Body::gap(*begin, gap),
            Self::Handover { from, to } => Body::Handover { from: *from, to: *to },
            Self::Topics(topics) => Body::Topics(Arc::clone(topics)),
            Self::Scopes(scopes) => Body::Scopes(Arc::clone(scopes)),
            Self::Clock { kind, by_ms } => Body::Clock { kind: *kind, by_ms: *by_ms },
            Self::Token(token) => Body::Token(token.copied()),
            Self::Sent { id, .. } => Body::Sent { id: *id, error },
            Self::Request { kind, request } => Body::Request { kind: *kind, request: request.clone() },
            Self::Audit { audit, siem } => Body::Audit { audit: audit.copied(), siem: *siem },
            Self::Log { level, target, text } => {
                Body::Log { level: *level, target: target.clone(), text: text.clone() }
            }
        }
    }
}

/// What an event is, one of GWA_EVENT_...; 0 for NULL. A newer library may have kinds that this header
/// does not name: ignore them.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_kind(event: *const gwa_event_t) -> i32 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| event.body.kind()) }
}

/// The payload of a message, byte for byte as it arrived, followed by one NUL byte that is not part of it; NULL
/// for any other event and for NULL. `len`, if not NULL, takes the length without the NUL (0 to ws.max_message_bytes).
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the payload. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_data(event: *const gwa_event_t, len: *mut usize) -> *const c_void {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe { text::read(event, len, payload) }.cast()
}

fn payload<'e>(event: &'e gwa_event_t<'_>) -> Option<&'e [u8]> {
    match &event.body {
        Body::Message { data_with_nul, .. } => Some(data_with_nul),
        _ => None,
    }
}

/// GWA_TEXT or GWA_BINARY for a message, else 0.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_message_kind(event: *const gwa_event_t) -> i32 {
    let kind = |event: &gwa_event_t<'_>| match event.body {
        Body::Message { kind, .. } => kind as i32,
        _ => 0,
    };
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, kind) }
}

/// Number of the socket a message came by, or of the socket that took over (GWA_EVENT_HANDOVER); else 0. Counts every
/// socket that was dialled, failed ones included, from 1 for each client.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_connection(event: *const gwa_event_t) -> u64 {
    let number = |event: &gwa_event_t<'_>| match event.body {
        Body::Message { connection, .. } => connection,
        Body::Handover { to, .. } => to,
        _ => 0,
    };
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, number) }
}

/// Makes an owned copy of an event, e.g. of one that is lent to a callback. The copy may outlive callback and client.
///
/// Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the caller frees `*out` with gwa_event_free(). Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_clone(event: *const gwa_event_t, out: *mut *mut gwa_event_t) -> gwa_status_t {
    boundary::status(|| {
        // SAFETY: an event or NULL.
        let event = unsafe { raw::borrowed(event) }.ok_or_else(|| raw::invalid("event", "is NULL"))?;
        // SAFETY: writable or NULL.
        let out = unsafe { raw::out(out, "out") }?;
        out.write(give(event.body.copied()).cast());
        Ok(())
    })
}

/// Frees an event that gwa_client_next_event() or gwa_event_clone() gave, with everything that is part of it.
/// NULL, and an event that is lent to a callback, are left alone.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: takes the event. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_free(event: *mut gwa_event_t) {
    // SAFETY: an event or NULL.
    let owned = unsafe { raw::read(event, false, |event| event.live.is_some()) };
    if owned {
        // SAFETY: C owned it, and gives it up.
        boundary::value((), || unsafe { raw::free(event) });
    }
}
