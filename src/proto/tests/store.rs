//! Stories of the token store.

use super::hand::{secret, stored, Hand};
use crate::config::settings::{Grant, Settings};
use crate::error::Code;
use crate::hooks::Answer;
use crate::proto::refresher::{Credential, Input};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    what_is_stored_goes_before_what_is_configured,
    another_configured_token_replaces_what_is_stored,
    a_rotation_is_stored_then_persisted_then_used,
    what_could_not_be_stored_stays_in_force,
    a_store_that_cannot_be_read_is_waited_for_at_first,
    a_refused_token_is_read_again_once,
    a_token_handed_over_is_stored_when_it_has_proved_good,
    what_comes_at_the_end_is_stored,
    a_refused_access_token_leaves_its_refresh_token_stored,
    without_refresh_tokens_there_is_no_store,
    the_lock_is_waited_for_longer_than_one_request_takes,
    what_a_person_signed_in_for_is_stored,
];

/// A machine that has its first token, got with what was stored.
fn holding(can_ask: bool) -> Hand {
    let mut hand = Hand::new(stored(), can_ask);
    assert_eq!(hand.feed(Input::Start), ["load"]);
    assert_eq!(hand.finds("hush-s1", true), ["request hush-s1"]);
    assert_eq!(hand.granted(""), ["free", "publish"]);
    hand
}

fn what_is_stored_goes_before_what_is_configured() {
    holding(false);
    let mut hand = Hand::new(stored(), false);
    hand.feed(Input::Start);
    assert_eq!(hand.finds_nothing(), ["request hush-r0"]);
    // One that came by a code, and nothing configured.
    let none = Settings { refresh_token: None, grant: Grant::RefreshToken, ..stored() };
    let mut hand = Hand::new(none, false);
    hand.feed(Input::Start);
    assert_eq!(hand.finds("hush-s1", true), ["request hush-s1"]);
    // Read before every request: another process may have replaced it.
    assert_eq!(hand.granted(""), ["free", "publish"]);
    assert_eq!(hand.feed(Input::RefreshNow), ["load"]);
    assert_eq!(hand.finds("hush-s2", true), ["request hush-s2"]);
}

fn another_configured_token_replaces_what_is_stored() {
    let mut hand = Hand::new(stored(), false);
    hand.feed(Input::Start);
    assert_eq!(hand.finds("hush-s1", false), ["request hush-r0"]);
    // It is good, so it is what is to be stored.
    assert_eq!(hand.granted(""), ["store hush-r0"]);
    assert_eq!(hand.feed(Input::Stored(Ok(()))), ["free", "publish"]);
    // A token of another descent is no help when it is refused.
    hand.feed(Input::RefreshNow);
    assert_eq!(hand.finds("hush-s1", false), ["request hush-r0"]);
    assert_eq!(hand.refused(), ["load"]);
    assert_eq!(hand.finds("hush-s1", false), ["free", "blocked"]);
}

fn a_rotation_is_stored_then_persisted_then_used() {
    let mut hand = holding(true);
    hand.feed(Input::RefreshNow);
    hand.finds("hush-s1", true);
    assert_eq!(hand.rotated("hush-s2"), ["store hush-s2"]);
    assert_eq!(hand.feed(Input::Stored(Ok(()))), ["persist hush-s2", "free"]);
    assert_eq!(hand.feed(Input::Answered { id: 1, answer: Ok(Answer::Done) }), ["publish"]);
    assert_eq!(hand.refresher.senseless(), 0);
}

fn what_could_not_be_stored_stays_in_force() {
    let mut hand = holding(false);
    hand.feed(Input::RefreshNow);
    hand.finds("hush-s1", true);
    hand.rotated("hush-s2");
    assert_eq!(hand.store_fails(true), ["audit", "free", "publish"]);
    assert!(hand.refresher.memory().unsaved);
    hand.wait();
    assert_eq!(hand.finds("hush-s1", true), ["request hush-s2"], "the older one is no news");
    assert_eq!(hand.granted(""), ["store hush-s2"], "once more");
    hand.feed(Input::Stored(Ok(())));
    hand.wait();
    assert_eq!(hand.finds("hush-s3", true), ["request hush-s3"]);
    // The next machine of the source knows too.
    let mut hand =
        Hand::after(stored(), false, crate::proto::refresher::Memory { unsaved: true, ..Default::default() });
    hand.feed(Input::Start);
    assert_eq!(hand.finds("hush-s1", true), ["request hush-r0"]);
}

fn a_store_that_cannot_be_read_is_waited_for_at_first() {
    let mut hand = Hand::new(stored(), false);
    hand.feed(Input::Start);
    assert_eq!(hand.store_fails(false), ["free", "waiting"]);
    assert_eq!(hand.wait(), ["load"]);
    hand.store_fails(false);
    hand.wait();
    assert_eq!(hand.store_fails(false), ["free", "waiting", "failed"]);
    assert_eq!(hand.errors[0].code(), Code::Store);
    assert!(hand.requests.is_empty(), "an old refresh token may be used again");
    hand.wait();
    assert_eq!(hand.finds("hush-s1", true), ["request hush-s1"]);
    hand.granted("");
    // What is in memory is the newest that is known.
    hand.wait();
    assert_eq!(hand.store_fails(false), ["request hush-s1"]);
}

fn a_refused_token_is_read_again_once() {
    for status in [400, 401] {
        let mut hand = holding(false);
        let refused = |hand: &mut Hand| hand.replied(status, r#"{"error":"invalid_grant"}"#);
        hand.feed(Input::RefreshNow);
        hand.finds("hush-s1", true);
        assert_eq!(refused(&mut hand), ["load"]);
        assert_eq!(hand.finds("hush-s2", true), ["request hush-s2"]);
        assert_eq!(refused(&mut hand), ["free", "blocked"], "once");
        assert_eq!(hand.held().as_deref(), Some("hush-s2"));
        // The same token is no other.
        hand.feed(Input::RefreshNow);
        hand.wait();
        hand.finds("hush-s2", true);
        assert_eq!(refused(&mut hand), ["load"]);
        assert_eq!(hand.finds("hush-s2", true).first().map(String::as_str), Some("free"));
        let error = hand.errors.last().unwrap();
        assert!(error.detail().message.ends_with("token.store holds no other refresh token."), "{error}");
        // Nor is a store that cannot be read a reason to try on.
        hand.feed(Input::Credential(Credential::RefreshToken(secret("hush-new"))));
        hand.finds("hush-s2", true);
        refused(&mut hand);
        assert!(hand.store_fails(false).contains(&"blocked".to_owned()));
    }
}

fn a_token_handed_over_is_stored_when_it_has_proved_good() {
    let mut hand = holding(false);
    hand.feed(Input::Credential(Credential::RefreshToken(secret("hush-new"))));
    hand.feed(Input::RefreshNow);
    assert_eq!(hand.finds("hush-s1", true), ["request hush-new"]);
    assert_eq!(hand.granted(""), ["store hush-new"]);
    hand.feed(Input::Stored(Ok(())));
    // While a request is in flight: what has not been tried yet is not stored.
    hand.wait();
    hand.finds("hush-new", true);
    hand.feed(Input::Credential(Credential::RefreshToken(secret("hush-newer"))));
    assert_eq!(hand.rotated("hush-s9"), ["free", "publish"]);
    assert_eq!(hand.held().as_deref(), Some("hush-newer"));
}

fn what_comes_at_the_end_is_stored() {
    let fetching = || {
        let mut hand = holding(true);
        hand.feed(Input::RefreshNow);
        hand.finds("hush-s1", true);
        hand
    };
    let mut hand = fetching();
    assert!(hand.feed(Input::Close).is_empty());
    assert_eq!(hand.rotated("hush-s2"), ["store hush-s2"]);
    assert_eq!(hand.feed(Input::Stored(Ok(()))), ["persist hush-s2", "free", "stopped"]);
    // Before it is stored, and while the store is read.
    let mut hand = fetching();
    hand.rotated("hush-s2");
    assert!(hand.feed(Input::Close).is_empty());
    assert_eq!(hand.store_fails(true), ["audit", "persist hush-s2", "free", "stopped"]);
    let mut hand = holding(true);
    hand.feed(Input::RefreshNow);
    assert_eq!(hand.feed(Input::Close), ["free", "stopped"]);
    assert!(hand.finds("hush-s1", true).is_empty());
    // An answer without one, and none at all.
    let mut hand = fetching();
    hand.feed(Input::Close);
    assert_eq!(hand.granted(""), ["free", "stopped"]);
    let mut hand = fetching();
    hand.feed(Input::Close);
    assert_eq!(hand.wait(), ["free", "stopped"]);
}

fn a_refused_access_token_leaves_its_refresh_token_stored() {
    let mut hand = holding(true);
    hand.feed(Input::RefreshNow);
    hand.finds("hush-s1", true);
    let short = r#"{"access_token":"hush-t","token_type":"bearer","expires_in":0,"refresh_token":"hush-s2"}"#;
    assert_eq!(hand.replied(200, short), ["store hush-s2"]);
    assert_eq!(hand.feed(Input::Stored(Ok(()))), ["persist hush-s2", "free", "waiting"]);
}

fn without_refresh_tokens_there_is_no_store() {
    let mut hand = Hand::new(Settings { grant: Grant::ClientCredentials, ..stored() }, false);
    assert_eq!(hand.feed(Input::Start), ["request client_credentials"]);
    let mut hand = Hand::new(Settings { grant: Grant::Application, ..stored() }, true);
    assert_eq!(hand.feed(Input::Start), ["ask"]);
    // One that a server gives all the same is kept in memory.
    let mut hand = Hand::new(Settings { token_store: String::new(), ..stored() }, false);
    assert_eq!(hand.feed(Input::Start), ["request hush-r0"]);
    assert_eq!(hand.rotated("hush-s1"), ["publish"]);
}

fn the_lock_is_waited_for_longer_than_one_request_takes() {
    let mut hand = holding(false);
    assert_eq!(hand.lock_waits, [16_000]);
    hand.feed(Input::RefreshNow);
    assert_eq!(hand.lock_waits, [16_000; 2]);
    hand.finds("hush-s1", true);
    // With what is left of the token it becomes less.
    while hand.refresher.token().is_some_and(|token| token.is_usable(hand.now.boot_ms + 10_000)) {
        hand.no_answer();
        hand.wait();
        hand.finds("hush-s1", true);
    }
    let last = *hand.lock_waits.last().unwrap();
    assert!((3_000..16_000).contains(&last), "{:?}", hand.lock_waits);
}

fn what_a_person_signed_in_for_is_stored() {
    let none = Settings { refresh_token: None, grant: Grant::AuthorizationCode, ..stored() };
    let mut hand = Hand::new(none, true);
    hand.feed(Input::Start);
    assert_eq!(hand.finds_nothing(), ["free", "blocked", "ask"]);
    assert_eq!(hand.feed(Input::Answered { id: 1, answer: Ok(Answer::Code(secret("hush-code"))) }), ["load"]);
    let request = hand.finds_nothing();
    assert!(hand.requests[0].body.text().contains("code=hush-code"), "{request:?}");
    assert_eq!(hand.rotated("hush-r1"), ["store hush-r1"]);
    assert_eq!(hand.feed(Input::Stored(Ok(()))), ["persist hush-r1", "free"]);
    // A stored token that has died: what comes of the next sign-in replaces it.
    hand.feed(Input::Answered { id: 2, answer: Ok(Answer::Done) });
    hand.feed(Input::RefreshNow);
    hand.finds("hush-r1", true);
    assert_eq!(hand.refused(), ["load"]);
    assert_eq!(hand.finds("hush-r1", true), ["free", "blocked", "ask"]);
    hand.feed(Input::Answered { id: 3, answer: Ok(Answer::Code(secret("hush-next"))) });
    hand.finds("hush-r1", true);
    assert_eq!(hand.rotated("hush-r2"), ["store hush-r2"]);
}

#[test]
fn all_stories() {
    ALL.iter().for_each(|story| story());
}
