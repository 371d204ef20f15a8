//! Events and callbacks, as C sees them.

use std::ffi::{c_char, c_void, CStr};
use std::ptr;
use std::sync::{Arc, Mutex};

use crate::client;
use crate::error::{Code, Error, Stage};
use crate::event::{Authorization, Gap, Handover, MessageKind, Notice, Question, Sent, State, StateChange};
use crate::hooks::{AuditView, HookFailed, Message, Request};

use super::audit::*;
use super::callbacks::{self, Registration};
use super::error::gwa_error_code;
use super::event::*;
use super::event_fields::*;
use super::handle;
use super::request::*;
use super::status::*;
use super::token::tests::granted;
use super::token::*;

fn number<'a, N>(event: &gwa_event_t<'a>, read: unsafe extern "C" fn(*const gwa_event_t<'a>) -> N) -> N {
    // SAFETY: a living event.
    unsafe { read(event) }
}

fn text<'e>(text: *const c_char) -> Option<&'e str> {
    // SAFETY: texts of the library end with NUL, and the tests keep their objects.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap())
}

/// An owned copy of an event, freed at the end of `look`.
fn with_copy(event: &gwa_event_t<'_>, look: impl FnOnce(&gwa_event_t<'_>)) {
    let mut copy = ptr::null_mut();
    // SAFETY: a living event and a writable place.
    assert_eq!(unsafe { gwa_event_clone(event, &raw mut copy) }, GWA_OK);
    // SAFETY: just written.
    look(unsafe { &*copy });
    // SAFETY: owned, freed once.
    unsafe { gwa_event_free(copy) };
}

fn dropped() -> Error {
    Error::new(Code::Dropped, Stage::Live, "")
}

#[test]
fn a_message_is_bytes_with_a_length_and_a_nul() {
    let message = Message { kind: MessageKind::Binary, data_with_nul: b"a\0b\0", connection: 3 };
    let look = |event: &gwa_event_t<'_>| {
        let mut len = 0;
        // SAFETY: a living event, a writable length.
        let data = unsafe { gwa_event_data(event, &raw mut len) };
        // SAFETY: the payload and its NUL.
        assert_eq!(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len + 1) }, b"a\0b\0");
        assert_eq!(number(event, gwa_event_kind), GWA_EVENT_MESSAGE);
        assert_eq!(number(event, gwa_event_message_kind), GWA_BINARY);
        assert_eq!(number(event, gwa_event_connection), 3);
        assert_eq!(number(event, gwa_event_state_to), -1, "not a state change");
    };
    let event = gwa_event_t::message(&message);
    look(&event);
    with_copy(&event, look);
}

#[test]
fn a_state_change_has_two_states_a_reason_and_an_error() {
    let change = StateChange { from: State::Ready, to: State::Reconnecting, reason: "lost", error: Some(dropped()) };
    let look = |event: &gwa_event_t<'_>| {
        assert_eq!(number(event, gwa_event_kind), GWA_EVENT_STATE);
        assert_eq!(number(event, gwa_event_state_from), GWA_STATE_READY);
        assert_eq!(number(event, gwa_event_state_to), GWA_STATE_RECONNECTING);
        // SAFETY: a living event, no length.
        assert_eq!(text(unsafe { gwa_event_reason(event, ptr::null_mut()) }), Some("lost"));
        // SAFETY: part of a living event.
        assert_eq!(unsafe { gwa_error_code(number(event, gwa_event_error)) }, GWA_E_DROPPED);
    };
    let event = gwa_event_t::notice(&Notice::State(change));
    look(&event);
    with_copy(&event, look);
}

#[test]
fn gaps_and_handovers_have_their_numbers() {
    let gap = Gap {
        number: 2,
        from_wall_ms: 10,
        to_wall_ms: 30,
        duration_ms: 20,
        cause: None,
        last_correlation_id: "c-9".into(),
    };
    with_copy(&gwa_event_t::notice(&Notice::GapEnd(gap.clone())), |event| {
        assert_eq!(number(event, gwa_event_kind), GWA_EVENT_GAP_END);
        assert_eq!(number(event, gwa_event_gap_number), 2);
        assert_eq!(number(event, gwa_event_gap_from_ms), 10);
        assert_eq!(number(event, gwa_event_gap_to_ms), 30);
        assert_eq!(number(event, gwa_event_gap_duration_ms), 20);
        // SAFETY: a living event, no length.
        assert_eq!(text(unsafe { gwa_event_gap_correlation_id(event, ptr::null_mut()) }), Some("c-9"));
        assert!(number(event, gwa_event_error).is_null());
    });
    assert_eq!(number(&gwa_event_t::notice(&Notice::GapBegin(gap)), gwa_event_kind), GWA_EVENT_GAP_BEGIN);
    let handover = Notice::Handover(Handover { from_connection: 1, to_connection: 2 });
    with_copy(&gwa_event_t::notice(&handover), |event| {
        assert_eq!(number(event, gwa_event_kind), GWA_EVENT_HANDOVER);
        assert_eq!(number(event, gwa_event_previous_connection), 1);
        assert_eq!(number(event, gwa_event_connection), 2);
    });
}

#[test]
fn tokens_and_outcomes_are_part_of_their_events() {
    let token = Notice::Token(Arc::new(granted()));
    with_copy(&gwa_event_t::notice(&token), |event| {
        // SAFETY: part of a living event, no length.
        let scope = unsafe { gwa_token_scope(number(event, gwa_event_token), ptr::null_mut()) };
        assert_eq!(text(scope), Some("conversation:read user:read"));
    });
    for (outcome, status) in [(Ok(()), GWA_OK), (Err(dropped()), GWA_E_DROPPED)] {
        with_copy(&gwa_event_t::notice(&Notice::Sent(Sent { id: 9, outcome })), |event| {
            assert_eq!(number(event, gwa_event_kind), GWA_EVENT_SENT);
            assert_eq!((number(event, gwa_event_sent_id), number(event, gwa_event_outcome)), (9, status));
        });
    }
}

#[test]
fn events_of_the_queue_are_owned() {
    let request = Request::new(1, Question::AuthorizationCode(Authorization::default()), Arc::new(|_, _| ()));
    let audit = client::Event::Audit { json_with_nul: "{}\0".into(), seq: 5, kind: "scope_validation", siem: true };
    let log = client::Event::Log { level: GWA_LOG_WARN, target: "socket", text: "lost".into() };
    for (event, kind) in
        [(client::Event::Request(request), GWA_EVENT_REQUEST), (audit, GWA_EVENT_SIEM), (log, GWA_EVENT_LOG)]
    {
        let event = gwa_event_t::owned(event);
        // SAFETY: a living event.
        let seen = unsafe { &*event };
        assert_eq!(number(seen, gwa_event_kind), kind);
        with_copy(seen, |copy| look_at_parts(copy, kind));
        // SAFETY: owned, freed once.
        unsafe { gwa_event_free(event) };
    }
}

fn look_at_parts(event: &gwa_event_t<'_>, kind: i32) {
    let mut request = ptr::null_mut();
    // SAFETY: a living event and a writable place.
    let taken = unsafe { gwa_event_request(event, &raw mut request) };
    let audit = number(event, gwa_event_audit);
    if kind == GWA_EVENT_REQUEST {
        assert_eq!((taken, gwa_request_kind(request)), (GWA_OK, GWA_REQUEST_AUTHORIZATION_CODE));
        gwa_request_free(request);
    } else {
        assert_eq!(taken, GWA_E_INVALID_ARGUMENT);
    }
    // SAFETY: part of a living event, or NULL; no length.
    let json = text(unsafe { gwa_audit_json(audit, ptr::null_mut()) });
    assert_eq!(json, (kind == GWA_EVENT_SIEM).then_some("{}"));
    // SAFETY: a living event, no length.
    let line = text(unsafe { gwa_event_log_text(event, ptr::null_mut()) });
    assert_eq!(line, (kind == GWA_EVENT_LOG).then_some("lost"));
}

#[test]
fn what_is_lent_is_not_freed() {
    let mut event = gwa_event_t::notice(&Notice::Sent(Sent { id: 9, outcome: Ok(()) }));
    // SAFETY: the event says itself that C does not own it.
    unsafe { gwa_event_free(&raw mut event) };
    // SAFETY: NULL is nothing.
    unsafe { gwa_event_free(ptr::null_mut()) };
    assert_eq!(number(&event, gwa_event_sent_id), 9);
}

type Lines = Mutex<Vec<String>>;

fn note(user_data: *mut c_void, line: String) {
    // SAFETY: the test registers its list.
    unsafe { &*user_data.cast::<Lines>() }.lock().unwrap().push(line);
}

unsafe extern "C" fn released(user_data: *mut c_void) {
    note(user_data, "released".into());
}

fn registration(lines: &Lines) -> Registration {
    Registration::new(ptr::from_ref(lines).cast_mut().cast(), Some(released))
}

#[test]
fn an_audit_hook_may_fail() {
    unsafe extern "C" fn sink(user_data: *mut c_void, record: *const gwa_audit_t<'_>) -> i32 {
        let mut len = 0;
        // SAFETY: the record is lent for this call.
        let json = text(unsafe { gwa_audit_json(record, &raw mut len) });
        // SAFETY: as above.
        let seq = unsafe { gwa_audit_seq(record) };
        note(user_data, format!("{} {len} {seq}", json.unwrap_or_default()));
        i32::from(seq == 2)
    }
    let lines = Lines::default();
    let hook = callbacks::sink(Some(sink), registration(&lines), false).unwrap();
    let view = |seq| AuditView { json_with_nul: "{}\0", seq, kind: "closed" };
    assert_eq!((hook(view(1)), hook(view(2))), (Ok(()), Err(HookFailed)));
    drop(hook);
    assert_eq!(*lines.lock().unwrap(), ["{} 2 1", "{} 2 2", "released"]);
}

#[test]
fn a_question_reaches_the_application_as_a_handle() {
    unsafe extern "C" fn ask(_: *mut c_void, request: *mut gwa_request_t) {
        // SAFETY: a literal.
        assert_eq!(unsafe { gwa_request_complete(request, c"code".as_ptr().cast(), 4, 0) }, GWA_OK);
        assert!(handle::find(request).is_err(), "answered, so dead");
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let reply = Arc::new(move |id, answer: Result<_, Error>| sender.send((id, answer.is_ok())).unwrap());
    let lines = Lines::default();
    let hook = callbacks::ask(Some(ask), registration(&lines)).unwrap();
    hook(Request::new(7, Question::AuthorizationCode(Authorization::default()), reply));
    assert_eq!(receiver.try_recv(), Ok((7, true)));
}

#[test]
fn lines_and_outcomes_reach_the_application() {
    unsafe extern "C" fn log(user_data: *mut c_void, level: i32, target: *const c_char, line: *const c_char) {
        note(user_data, format!("{level} {} {}", text(target).unwrap_or_default(), text(line).unwrap_or_default()));
    }
    unsafe extern "C" fn sent(user_data: *mut c_void, id: u64, outcome: gwa_status_t) {
        note(user_data, format!("{id} {outcome}"));
    }
    let lines = Lines::default();
    callbacks::log(Some(log), registration(&lines)).unwrap()(2, "socket", "cut\0off");
    callbacks::sent(Some(sent), registration(&lines)).unwrap()(&Sent { id: 9, outcome: Err(dropped()) });
    assert_eq!(*lines.lock().unwrap(), ["2 socket cut", "released", "9 4209", "released"]);
}

#[test]
fn states_and_tokens_reach_the_application() {
    unsafe extern "C" fn state(user_data: *mut c_void, change: *const gwa_event_t<'_>) {
        // SAFETY: the event is lent for this call.
        note(user_data, unsafe { gwa_event_kind(change) }.to_string());
    }
    unsafe extern "C" fn token(user_data: *mut c_void, token: *const gwa_token_t) {
        // SAFETY: the token is lent for this call.
        note(user_data, unsafe { gwa_token_granted_at_ms(token) }.to_string());
    }
    let lines = Lines::default();
    let handover = Notice::Handover(Handover { from_connection: 1, to_connection: 2 });
    callbacks::state(Some(state), registration(&lines)).unwrap()(&handover);
    callbacks::token(Some(token), registration(&lines)).unwrap()(&granted());
    assert_eq!(*lines.lock().unwrap(), ["5", "released", "1715767800000", "released"]);
}

#[test]
fn null_is_read_as_nothing() {
    let none = ptr::null::<gwa_event_t<'_>>();
    // SAFETY: NULL is allowed everywhere.
    let kind = |read: unsafe extern "C" fn(*const gwa_event_t<'static>) -> i32| unsafe { read(none.cast()) };
    assert_eq!([kind(gwa_event_kind), kind(gwa_event_log_level), kind(gwa_event_request_kind)], [0; 3]);
    assert_eq!([kind(gwa_event_state_from), kind(gwa_event_state_to)], [-1; 2]);
    let mut len = 5;
    // SAFETY: as above; a writable length.
    assert!(unsafe { gwa_event_data(none, &raw mut len) }.is_null());
    assert_eq!(len, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { gwa_event_clone(none, ptr::null_mut()) }, GWA_E_INVALID_ARGUMENT);
}
