//! Topics of the profile `notifications`: subscribing, and what became of each.

use std::ffi::c_char;

use crate::event::{Topic, TopicState};

use super::boundary;
use super::client::gwa_client_t;
use super::error::gwa_error_t;
use super::event::{gwa_event_t, Body};
use super::handle;
use super::raw;
use super::status::gwa_status_t;
use super::text::{self, Text};

/// The server sends the topic's events.
pub const GWA_TOPIC_PERMITTED: i32 = 1;
/// It does not: gwa_event_topic_reason() and gwa_event_topic_missing() say why.
pub const GWA_TOPIC_REJECTED: i32 = 2;

/// One result of a `GWA_EVENT_TOPICS`, as C reads it.
pub(super) struct Told {
    id: Text,
    state: i32,
    reason: Text,
    missing: Text,
}

impl Told {
    pub(super) fn new(topic: &Topic) -> Self {
        Self {
            id: Text::new(&topic.id),
            state: match topic.state {
                TopicState::Permitted => GWA_TOPIC_PERMITTED,
                TopicState::Rejected => GWA_TOPIC_REJECTED,
            },
            reason: Text::new(&topic.reason),
            missing: Text::new(&topic.missing_permissions.join(",")),
        }
    }
}

/// Subscribes to more topics of the Notifications API (profile = notifications), before the start or at any time later,
/// and returns at once. What becomes of each is told by a GWA_EVENT_TOPICS, given to on_state. Topics stay through
/// renewals, losses and restarts, until gwa_client_unsubscribe(). One that is there already stands once; `v2.system.*`
/// arrives unasked and is left out. Those of the key notifications.topics come first.
///
/// `scopes`: what the token must grant for these topics; none if `scope_count` is 0. With a token in force they are compared at
/// once: where one is missing nothing is added and nothing sent. Without, the next token is asked, and topics that lack a
/// scope are told as GWA_TOPIC_REJECTED. Every later token is asked again. An audit record (scope_validation) tells of
/// each outcome; with audit.policy = block it may wait up to 1 s for room. Scopes that cannot be known are a matter of
/// scopes.unknown.
///
/// Returns GWA_OK; GWA_E_SCOPE_DENIED, GWA_E_SCOPE_UNKNOWN or GWA_E_TOKEN_MALFORMED of the token in force;
/// GWA_E_INVALID_ARGUMENT for NULL, a topic that is not 1 to 200 visible ASCII characters, a scope that is none, and more
/// than 1,000 topics in all; GWA_E_INVALID_UTF8; GWA_E_BAD_STATE in the profile auth-message; GWA_E_CLOSED;
/// GWA_E_BAD_HANDLE. All topics are added, or none.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller keeps `topics` and `scopes` and frees `*err` with gwa_error_free(); NULL for `err` is allowed.
/// Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_subscribe(
    client: *mut gwa_client_t,
    topics: *const *const c_char,
    topic_count: usize,
    scopes: *const *const c_char,
    scope_count: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let client = handle::find(client)?;
        // SAFETY: an array of texts that end with NUL, or NULL.
        let topics = unsafe { text::c_texts(topics, topic_count, "topics") }?;
        // SAFETY: an array of texts that end with NUL, or NULL.
        let scopes = unsafe { text::c_texts(scopes, scope_count, "scopes") }?;
        client.client().subscribe(&topics, &scopes)
    })
}

/// Unsubscribes from topics, each written as it was subscribed to, and returns at once; others are ignored. Events that are on
/// their way still arrive.
///
/// Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL and a topic that is not 1 to 200 visible ASCII characters;
/// GWA_E_INVALID_UTF8; GWA_E_BAD_STATE in the profile auth-message; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
///
/// Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
/// Ownership: the caller keeps `topics` and frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_client_unsubscribe(
    client: *mut gwa_client_t,
    topics: *const *const c_char,
    topic_count: usize,
    err: *mut *mut gwa_error_t,
) -> gwa_status_t {
    // SAFETY: writable or NULL.
    let err = unsafe { raw::optional_out(err) };
    boundary::reported(err, || {
        let client = handle::find(client)?;
        // SAFETY: an array of texts that end with NUL, or NULL.
        let topics = unsafe { text::c_texts(topics, topic_count, "topics") }?;
        client.client().unsubscribe(&topics)
    })
}

/// How many topics a GWA_EVENT_TOPICS tells of; else 0. It tells of all that are subscribed to, whenever an answer of the server
/// differs from the one before. Topics whose scopes a token lacks come in an event of their own.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_topic_count(event: *const gwa_event_t) -> usize {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| all(event).len()) }
}

/// A topic, as it was subscribed to; `index` from 0 to gwa_event_topic_count() - 1, for others NULL. `len`, if not NULL, takes
/// the length. The server expands a combined topic (v2.users.ID?presence&calls): its events arrive under other names.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_topic(event: *const gwa_event_t, index: usize, len: *mut usize) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe { text::read(event, len, |event| all(event).get(index).map(|topic| topic.id.with_nul())) }
}

/// What became of a topic: GWA_TOPIC_PERMITTED or GWA_TOPIC_REJECTED; 0 for an `index` beyond them. A newer library may
/// have further ones.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_topic_state(event: *const gwa_event_t, index: usize) -> i32 {
    // SAFETY: an event or NULL.
    unsafe { raw::read(event, 0, |event| all(event).get(index).map_or(0, |topic| topic.state)) }
}

/// Why a topic was rejected: the server's reason, or the name of a status (GWA_E_SCOPE_DENIED and the like) where the
/// library did not ask for it; empty for one that is permitted. NULL for an `index` beyond them. `len`, if not NULL, takes
/// the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_topic_reason(
    event: *const gwa_event_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe { text::read(event, len, |event| all(event).get(index).map(|topic| topic.reason.with_nul())) }
}

/// The permissions, or scopes, that a rejected topic lacks, separated by commas; empty if none is named. NULL for an
/// `index` beyond them. `len`, if not NULL, takes the length.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the event keeps the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_event_topic_missing(
    event: *const gwa_event_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: an event or NULL; a writable length or NULL.
    unsafe { text::read(event, len, |event| all(event).get(index).map(|topic| topic.missing.with_nul())) }
}

fn all<'e>(event: &'e gwa_event_t<'_>) -> &'e [Told] {
    match event.body() {
        Body::Topics(topics) => topics,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr;

    use super::*;
    use crate::config::Config;
    use crate::event::{Notice, Topics};
    use crate::ffi::event::{gwa_event_clone, gwa_event_free, gwa_event_kind, GWA_EVENT_TOPICS};
    use crate::ffi::status::*;
    use crate::{Client, Secret};

    fn text<'e>(text: *const c_char) -> Option<&'e str> {
        // SAFETY: texts of the library end with NUL, and the tests keep their objects.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap())
    }

    fn told() -> gwa_event_t<'static> {
        let permitted = Topic {
            id: "v2.a".into(),
            state: TopicState::Permitted,
            reason: String::new(),
            missing_permissions: vec![],
        };
        let missing_permissions = vec!["p:one".to_owned(), "p:two".to_owned()];
        let rejected =
            Topic { id: "v2.b".into(), state: TopicState::Rejected, reason: "No.".into(), missing_permissions };
        gwa_event_t::notice(&Notice::Topics(Topics { results: [permitted, rejected].into() }))
    }

    #[test]
    fn every_topic_has_a_name_a_state_and_what_it_lacks() {
        let event = told();
        let mut copy = ptr::null_mut();
        // SAFETY: a living event and a writable place.
        assert_eq!(unsafe { gwa_event_clone(&raw const event, &raw mut copy) }, GWA_OK);
        drop(event);
        // SAFETY: a living event.
        assert_eq!(unsafe { gwa_event_kind(copy) }, GWA_EVENT_TOPICS);
        // SAFETY: as above.
        assert_eq!(unsafe { gwa_event_topic_count(copy) }, 2);
        let rows = [("v2.a", GWA_TOPIC_PERMITTED, "", ""), ("v2.b", GWA_TOPIC_REJECTED, "No.", "p:one,p:two")];
        for (index, row) in rows.into_iter().enumerate() {
            let mut len = 0;
            // SAFETY: a living event, a writable length.
            let id = text(unsafe { gwa_event_topic(copy, index, &raw mut len) }).unwrap();
            // SAFETY: a living event, no length.
            let reason = text(unsafe { gwa_event_topic_reason(copy, index, ptr::null_mut()) }).unwrap();
            // SAFETY: as above.
            let missing = text(unsafe { gwa_event_topic_missing(copy, index, ptr::null_mut()) }).unwrap();
            // SAFETY: as above.
            let state = unsafe { gwa_event_topic_state(copy, index) };
            assert_eq!((id, state, reason, missing), row);
            assert_eq!(len, id.len());
        }
        // SAFETY: as above.
        assert!(unsafe { gwa_event_topic(copy, 2, ptr::null_mut()) }.is_null());
        // SAFETY: as above.
        assert_eq!(unsafe { gwa_event_topic_state(copy, usize::MAX) }, 0);
        // SAFETY: owned, freed once.
        unsafe { gwa_event_free(copy) };
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { gwa_event_topic_count(ptr::null()) }, 0);
    }

    fn client(profile: &str) -> *mut gwa_client_t {
        let mut config = Config::new();
        for (key, value) in [("profile", profile), ("client.id", "id"), ("notifications.topics", "v2.first")] {
            config.set(key, value).unwrap();
        }
        config.set_secret("client.secret", Secret::new("s".into())).unwrap();
        let client = Client::new(&config).unwrap();
        handle::put(gwa_client_t::new(client, config.free_timeout())).unwrap()
    }

    fn subscribe(client: *mut gwa_client_t, topics: &[*const c_char], scopes: &[*const c_char]) -> gwa_status_t {
        let (t, n, s, m) = (topics.as_ptr(), topics.len(), scopes.as_ptr(), scopes.len());
        // SAFETY: arrays of texts that end with NUL, or of NULL, which is looked for.
        unsafe { gwa_client_subscribe(client, t, n, s, m, ptr::null_mut()) }
    }

    fn unsubscribe(client: *mut gwa_client_t, topics: &[*const c_char]) -> gwa_status_t {
        // SAFETY: as above.
        unsafe { gwa_client_unsubscribe(client, topics.as_ptr(), topics.len(), ptr::null_mut()) }
    }

    #[test]
    fn topics_are_checked_before_anything_runs() {
        let one = client("notifications");
        let long = format!("{}\0", "t".repeat(201));
        for bad in [c"".as_ptr(), c"a b".as_ptr(), c"a\n".as_ptr(), c"\xc3\xa9".as_ptr(), long.as_ptr().cast()] {
            assert_eq!(subscribe(one, &[c"v2.ok".as_ptr(), bad], &[]), GWA_E_INVALID_ARGUMENT);
            assert_eq!(unsubscribe(one, &[bad]), GWA_E_INVALID_ARGUMENT);
        }
        assert_eq!(subscribe(one, &[ptr::null()], &[]), GWA_E_INVALID_ARGUMENT);
        assert_eq!(subscribe(one, &[c"\xff".as_ptr()], &[]), GWA_E_INVALID_UTF8);
        assert_eq!(subscribe(one, &[c"v2.ok".as_ptr()], &[c"a b".as_ptr()]), GWA_E_INVALID_ARGUMENT);
        assert_eq!(subscribe(one, &[], &[]), GWA_OK);
        assert_eq!(subscribe(one, &[c"v2.a?b&c".as_ptr(), c"v2.system.x".as_ptr()], &[c"s".as_ptr()]), GWA_OK);
        assert_eq!(unsubscribe(one, &[c"v2.a?b&c".as_ptr(), c"v2.nobody".as_ptr()]), GWA_OK);
        assert_eq!(super::super::client::gwa_client_free(one), GWA_OK);
        assert_eq!(subscribe(one, &[], &[]), GWA_E_BAD_HANDLE);
    }

    #[test]
    fn a_thousand_in_all_those_of_the_configuration_included() {
        let one = client("notifications");
        let names: Vec<_> = (0..1_000).map(|n| format!("v2.t{n}\0")).collect();
        let all: Vec<*const c_char> = names.iter().map(|name| name.as_ptr().cast()).collect();
        assert_eq!(subscribe(one, &all, &[]), GWA_E_INVALID_ARGUMENT, "and v2.first");
        assert_eq!(subscribe(one, &all[1..], &[]), GWA_OK, "nothing was added before");
        assert_eq!(subscribe(one, &all[1..], &[]), GWA_OK, "they are there");
        assert_eq!(subscribe(one, &all[..1], &[]), GWA_E_INVALID_ARGUMENT);
        assert_eq!(unsubscribe(one, &all[1..2]), GWA_OK);
        assert_eq!(subscribe(one, &all[..1], &[]), GWA_OK);
        assert_eq!(super::super::client::gwa_client_free(one), GWA_OK);
    }

    #[test]
    fn the_other_profile_has_no_topics() {
        let one = client("auth-message");
        assert_eq!(subscribe(one, &[c"v2.a".as_ptr()], &[]), GWA_E_BAD_STATE);
        assert_eq!(unsubscribe(one, &[c"v2.a".as_ptr()]), GWA_E_BAD_STATE);
        assert_eq!(super::super::client::gwa_client_free(one), GWA_OK);
    }

    #[test]
    fn a_closed_client_takes_none() {
        let one = client("notifications");
        handle::find(one).unwrap().client().shutdown(None);
        assert_eq!(subscribe(one, &[c"v2.a".as_ptr()], &[]), GWA_E_CLOSED);
        assert_eq!(unsubscribe(one, &[c"v2.a".as_ptr()]), GWA_E_CLOSED);
        assert_eq!(super::super::client::gwa_client_free(one), GWA_OK);
    }
}
