//! Stories of opaque tokens: where their scopes come from, how long they live, and how they end.

use super::hand::{opaque, stored, Hand};
use crate::config::settings::{Grant, Profile, Settings, UnknownScopes};
use crate::error::{Code, Error, Stage};
use crate::hooks::Answer;
use crate::proto::http::Method;
use crate::proto::refresher::Input;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    scopes_of_the_answer_count,
    scopes_are_asked_for_where_the_answer_has_none,
    what_cannot_be_known_follows_the_policy,
    rights_that_come_from_roles_are_not_asked_for,
    a_token_that_the_api_refuses_is_none,
    a_rotation_outlives_the_question,
    an_idle_timeout_ends_a_token_early,
    a_token_is_revoked_at_the_end_if_that_is_wanted,
];

const QUESTION: &str = "Get https://api.example/api/v2/tokens/me?preserveIdleTTL=true";

fn denying() -> Settings {
    Settings { unknown_scopes: UnknownScopes::Deny, ..opaque() }
}

fn allowing() -> Settings {
    Settings { unknown_scopes: UnknownScopes::Allow, ..opaque() }
}

fn started(settings: Settings) -> Hand {
    let mut hand = Hand::new(settings, false);
    hand.feed(Input::Start);
    hand
}

/// A machine that asks for scopes.
fn probing(settings: Settings) -> Hand {
    let mut hand = started(settings);
    assert_eq!(hand.granted(""), [QUESTION]);
    hand
}

fn scopes_of_the_answer_count() {
    let mut hand = started(denying());
    assert_eq!(hand.granted(r#","scope":"b:read a:read""#), ["publish"]);
    assert_eq!(hand.tokens[0].scopes.as_deref().unwrap(), ["b:read", "a:read"]);
    let mut hand = started(allowing());
    assert_eq!(hand.granted(r#","scope":"b:read""#), ["denied", "blocked"]);
    assert_eq!(hand.errors[0].code(), Code::ScopeDenied);
    // A source does not know what its clients need.
    let mut hand = Hand::new(Settings { required_scopes: Vec::new(), ..denying() }, false).sharing();
    hand.feed(Input::Start);
    assert_eq!(hand.granted(""), [QUESTION]);
    // Nobody asks for what nobody needs, and no token has to be a JWT.
    let mut hand = started(Settings { required_scopes: Vec::new(), ..denying() });
    let body = r#"{"access_token":"a.b.c","token_type":"bearer","expires_in":600}"#;
    assert_eq!(hand.replied(200, body), ["publish"]);
}

fn scopes_are_asked_for_where_the_answer_has_none() {
    let mut hand = probing(denying());
    let request = hand.requests.last().unwrap();
    assert_eq!((request.method, request.authorization.expose()), (Method::Get, "Bearer hush-t"));
    assert_eq!(request.timeout_ms, 14_990);
    let body = r#"{"organization":{"id":"o"},"authorizedScope":["a:read","c"]}"#;
    assert_eq!(hand.replied(200, body), ["publish"]);
    assert_eq!(hand.tokens[0].scopes.as_deref().unwrap(), ["a:read", "c"]);
    let mut hand = probing(allowing());
    assert_eq!(hand.replied(200, r#"{"authorizedScope":[]}"#), ["denied", "blocked"]);
    // A short life does not wait for long, and a token in hand bounds the question too.
    let mut hand = started(denying());
    hand.replied(200, r#"{"access_token":"hush-t","token_type":"bearer","expires_in":20}"#);
    assert_eq!(hand.requests.last().unwrap().timeout_ms, 5_000);
}

fn what_cannot_be_known_follows_the_policy() {
    for (status, body) in [
        (200, "{}"),
        (200, "html"),
        (200, r#"{"authorizedScope":[1]}"#),
        (403, "{}"),
        (404, ""),
        (429, "{}"),
        (503, ""),
    ] {
        assert_eq!(probing(allowing()).replied(status, body), ["publish"], "{status} {body}");
        let mut hand = probing(denying());
        assert_eq!(hand.replied(status, body), ["denied", "blocked"], "{status} {body}");
        assert_eq!(hand.errors[0].code(), Code::ScopeUnknown);
    }
    assert_eq!(probing(allowing()).no_answer(), ["publish"]);
    assert_eq!(probing(denying()).no_answer(), ["denied", "blocked"]);
    // Another request's answer is none to the question.
    let mut hand = probing(denying());
    hand.epoch -= 1;
    assert!(hand.granted(r#","scope":"a:read""#).is_empty());
    assert_eq!(hand.refresher.senseless(), 1);
}

fn rights_that_come_from_roles_are_not_asked_for() {
    let roles = |settings| Settings { refresh_token: None, ..settings };
    // Not even a scope of the answer says anything.
    for more in ["", r#","scope":"b:read""#] {
        assert_eq!(started(roles(allowing())).granted(more), ["publish"]);
        assert_eq!(started(roles(denying())).granted(more), ["denied", "blocked"]);
    }
    // Who knows what the application's own token is.
    let mut hand = Hand::new(Settings { grant: Grant::Application, ..allowing() }, true);
    hand.feed(Input::Start);
    let token = Answer::AccessToken { token: super::hand::secret("hush-t"), expires_in_ms: Some(600_000) };
    assert_eq!(hand.feed(Input::Answered { id: 1, answer: Ok(token) }), [QUESTION]);
    assert_eq!(hand.replied(200, r#"{"authorizedScope":[]}"#), ["publish"]);
}

fn a_token_that_the_api_refuses_is_none() {
    let mut hand = probing(allowing());
    assert_eq!(hand.replied(401, r#"{"code":"bad.credentials","status":401}"#), ["waiting"]);
    assert!(hand.tokens.is_empty());
    hand.wait();
    hand.granted("");
    hand.replied(401, "");
    hand.wait();
    hand.granted("");
    assert_eq!(hand.replied(401, ""), ["waiting", "failed"]);
    assert_eq!((hand.errors[0].code(), hand.errors[0].detail().http_status), (Code::TokenRevoked, 401));
}

fn a_rotation_outlives_the_question() {
    let probing = || {
        let mut hand = Hand::new(Settings { token_store: stored().token_store, ..denying() }, true);
        hand.feed(Input::Start);
        hand.finds_nothing();
        assert_eq!(hand.rotated("hush-r1"), ["store hush-r1"]);
        assert_eq!(hand.feed(Input::Stored(Ok(()))), ["free", QUESTION], "others need not wait for it");
        hand
    };
    let mut hand = probing();
    assert_eq!(hand.replied(200, r#"{"authorizedScope":["a:read"]}"#), ["persist hush-r1"]);
    assert_eq!(hand.feed(Input::Answered { id: 1, answer: Ok(Answer::Done) }), ["publish"]);
    let mut hand = probing();
    assert_eq!(hand.replied(401, ""), ["persist hush-r1", "waiting"]);
    assert_eq!(hand.held().as_deref(), Some("hush-r1"));
    let mut hand = probing();
    assert_eq!(hand.feed(Input::Close), ["persist hush-r1", "stopped"]);
    let broken_off = Err(Error::new(Code::Cancelled, Stage::Token, ""));
    assert!(hand.feed(Input::Replied { epoch: hand.epoch, outcome: broken_off }).is_empty());
    assert_eq!(hand.refresher.senseless(), 0);
}

fn an_idle_timeout_ends_a_token_early() {
    let lifetime = |idle_timeout_ms| {
        let mut hand = started(Settings { required_scopes: Vec::new(), idle_timeout_ms, ..opaque() });
        hand.granted("");
        (hand.tokens[0].lifetime_ms, hand.refresher.next_timeout().unwrap())
    };
    let (alone, _) = lifetime(None);
    let (idle, renewal) = lifetime(Some(300_000));
    assert_eq!((alone, idle), (600_000, 300_000));
    assert!(renewal < 160_000, "{renewal}");
    assert_eq!(lifetime(Some(900_000)).0, 600_000);
    assert_eq!(lifetime(Some(1)).0, 1_000, "no hot loop");
}

fn a_token_is_revoked_at_the_end_if_that_is_wanted() {
    let wanted = Settings { required_scopes: Vec::new(), revoke_on_close: true, ..opaque() };
    const REVOKED: &str = "Delete https://api.example/api/v2/tokens/me";
    let holding = |settings| {
        let mut hand = started(settings);
        assert_eq!(hand.granted(""), ["publish"]);
        hand
    };
    let mut hand = holding(wanted.clone());
    assert_eq!(hand.feed(Input::Close), [REVOKED]);
    let request = hand.requests.last().unwrap();
    assert_eq!((request.authorization.expose(), request.timeout_ms), ("Bearer hush-t", 2_000));
    assert_eq!(hand.replied(204, ""), ["stopped"]);
    // Whatever the answer, and without one.
    let mut hand = holding(wanted.clone());
    hand.feed(Input::Close);
    assert_eq!(hand.no_answer(), ["stopped"]);
    let mut hand = holding(wanted.clone());
    hand.feed(Input::Close);
    assert_eq!(hand.wait(), ["stopped"]);
    // What is in flight is waited for first.
    let mut hand = holding(wanted.clone());
    hand.feed(Input::RefreshNow);
    assert!(hand.feed(Input::Close).is_empty());
    assert_eq!(hand.rotated("hush-r1"), [REVOKED]);
    // Nothing to revoke, nobody who wants it, nobody to ask.
    assert_eq!(started(Settings { refresh_token: None, ..wanted.clone() }).feed(Input::Close), [""; 0]);
    let not_wanted = Settings { revoke_on_close: false, ..wanted.clone() };
    assert_eq!(holding(not_wanted).feed(Input::Close), ["stopped"]);
    let other = Settings { profile: Profile::AuthMessage, ..wanted };
    assert_eq!(holding(other).feed(Input::Close), ["stopped"]);
}

#[test]
fn all_stories() {
    ALL.iter().for_each(|story| story());
}
