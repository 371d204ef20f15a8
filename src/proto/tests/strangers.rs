//! Stories of tokens that are somebody else's, and of the refresh tokens that come with them.

use serde_json::json;

use super::hand::{opaque, secret, stored, Hand};
use super::introspected::{asking, claiming, grants, renewing, says, started, QUESTION};
use super::issuer::{claims, header, settings, signed, with};
use crate::config::settings::Settings;
use crate::error::Code;
use crate::event::Question;
use crate::proto::refresher::{Credential, Input, Memory};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_strangers_refresh_token_is_not_kept,
    one_that_was_stored_before_it_was_known_is_put_back,
    what_the_application_handed_over_stays,
    a_close_keeps_no_strangers_refresh_token,
    the_claims_of_a_token_count_where_its_issuer_says_nothing,
    a_password_of_a_proxy_is_no_login,
    the_answer_to_an_older_login_is_judged_by_that,
];

/// A token of this subject, with a new refresh token.
fn rotates(hand: &mut Hand, subject: &str) -> Vec<String> {
    let token = signed("k1", &header("k1"), &with(claims(hand.now.wall_ms), json!({ "sub": subject })));
    hand.grants(&token, r#","refresh_token":"hush-r1""#)
}

fn keeping(settings: Settings) -> Settings {
    Settings { token_store: stored().token_store, ..settings }
}

/// With a store, in which nothing is yet; a token is in force and another one is awaited.
fn stored_and_renewing(settings: Settings, first: fn(&mut Hand) -> Vec<String>) -> Hand {
    let mut hand = started(keeping(settings));
    assert_eq!(hand.finds_nothing(), ["request hush-r0"]);
    assert_eq!(first(&mut hand).last().unwrap(), "publish");
    assert_eq!(hand.wait_on(), ["load"]);
    assert_eq!(hand.finds("hush-r0", true), ["request hush-r0"]);
    hand
}

/// Whoever starts anew knows nobody, and goes by what the store holds.
fn restarts_with(settings: Settings, held: &str) {
    let mut hand = started(keeping(settings));
    assert_eq!(hand.finds(held, true), [format!("request {held}")]);
    assert_eq!(held, "hush-r0", "the next process is somebody else");
}

/// What the store holds in the end.
fn kept(words: &[String]) -> String {
    let stored = |word: &String| word.strip_prefix("store ").map(str::to_owned);
    words.iter().rev().find_map(stored).unwrap_or("hush-r0".into())
}

#[test]
fn a_strangers_refresh_token_is_not_kept() {
    let mut hand = renewing(claiming());
    assert_eq!(rotates(&mut hand, "else"), ["another sub", "blocked"]);
    assert_eq!(hand.held().as_deref(), Some("hush-r0"));
    // A server that rotates has spent the old one, and says so.
    assert_eq!(hand.feed(Input::RefreshNow), ["request hush-r0"]);
    assert_eq!(hand.refused(), ["blocked", "ask"]);
    assert!(matches!(hand.asked, Some(Question::AuthorizationCode(_))));
    // Nor is it in the store when the next process starts; whether tokens are verified or not.
    let mut hand = stored_and_renewing(claiming(), |hand| grants(hand, json!({})));
    let words = rotates(&mut hand, "else");
    assert_eq!(words, ["another sub", "free", "blocked"]);
    restarts_with(claiming(), &kept(&words));
    let mut hand = started(settings()).renewing(None);
    assert_eq!(rotates(&mut hand, "else"), ["another sub", "blocked"]);
    assert_eq!(hand.held().as_deref(), Some("hush-r0"));
    // A token that is refused for something else is still ours.
    let mut hand = renewing(claiming());
    let less = signed("k1", &header("k1"), &with(claims(hand.now.wall_ms), json!({"scope": "c"})));
    let words = hand.grants(&less, r#","refresh_token":"hush-r1""#);
    assert_eq!(words, ["denied", "persist hush-r1", "waiting", "lost"]);
}

#[test]
fn one_that_was_stored_before_it_was_known_is_put_back() {
    let asked = || {
        let mut hand = stored_and_renewing(asking(), |hand| {
            assert_eq!(hand.granted(""), ["free", QUESTION]);
            says(hand, json!({}))
        });
        assert_eq!(hand.rotated("hush-r1"), ["store hush-r1"]);
        assert_eq!(hand.feed(Input::Stored(Ok(()))), ["free", QUESTION]);
        hand
    };
    let mut hand = asked();
    let words = says(&mut hand, json!({"sub": "else"}));
    assert_eq!(words, ["another sub", "store hush-r0"]);
    assert_eq!(hand.feed(Input::Stored(Ok(()))), ["blocked"]);
    assert_eq!((hand.held().as_deref(), hand.errors[0].code()), (Some("hush-r0"), Code::IdentityChanged));
    restarts_with(asking(), &kept(&words));
    // Where it cannot be put back it is what memory holds that counts, and the next token brings it there.
    let mut hand = asked();
    says(&mut hand, json!({"sub": "else"}));
    assert_eq!(hand.store_fails(true), ["audit", "blocked"]);
    assert_eq!(hand.feed(Input::RefreshNow), ["load"]);
    assert_eq!(hand.finds("hush-r1", true), ["request hush-r0"]);
    // What the API says of the organisation.
    let mut hand = started(opaque());
    let of = |hand: &mut Hand, organisation: &str| {
        hand.rotated(&format!("hush-{organisation}"));
        hand.replied(200, &format!(r#"{{"organization":{{"id":"{organisation}"}},"authorizedScope":["a:read"]}}"#))
    };
    assert_eq!(of(&mut hand, "o"), ["persist hush-o"]);
    hand.feed(Input::Answered { id: 1, answer: Ok(crate::hooks::Answer::Done) });
    hand.wait_on();
    assert_eq!(of(&mut hand, "p"), ["another org", "blocked"]);
    assert_eq!(hand.held().as_deref(), Some("hush-o"));
}

#[test]
fn what_the_application_handed_over_stays() {
    let mut hand = started(asking());
    hand.granted("");
    says(&mut hand, json!({}));
    hand.renew();
    assert_eq!(hand.rotated("hush-r1"), [QUESTION]);
    assert!(hand.feed(Input::Credential(Credential::RefreshToken(secret("hush-r9")))).is_empty());
    // The new credential gets a round of its own.
    assert_eq!(says(&mut hand, json!({"sub": "else"})), ["another sub", "request hush-r9"]);
    assert_eq!(hand.held().as_deref(), Some("hush-r9"));
}

#[test]
fn a_close_keeps_no_strangers_refresh_token() {
    let mut hand = renewing(claiming());
    assert!(hand.feed(Input::Close).is_empty());
    assert_eq!(rotates(&mut hand, "else"), ["another sub", "stopped"]);
    let mut hand = renewing(claiming());
    assert!(hand.feed(Input::Close).is_empty());
    assert_eq!(rotates(&mut hand, "somebody"), ["persist hush-r1", "stopped"]);
}

#[test]
fn the_claims_of_a_token_count_where_its_issuer_says_nothing() {
    let silent = || json!({"sub": null, "org": null, "client_id": null});
    let renewing = || {
        let mut hand = started(asking());
        assert_eq!(grants(&mut hand, json!({})), [QUESTION]);
        assert_eq!(says(&mut hand, silent()), ["publish"]);
        hand.renew();
        hand
    };
    for (claim, other) in
        [("sub", json!({"sub": "else"})), ("client_id", json!({"client_id": "x"})), ("org", json!({"org": "p"}))]
    {
        let mut hand = renewing();
        assert_eq!(grants(&mut hand, other.clone()), [QUESTION]);
        assert_eq!(says(&mut hand, silent()), [&format!("another {claim}"), "blocked"]);
    }
    // What it does say comes before them.
    let mut hand = started(asking());
    for (at, sub) in ["one", "two"].into_iter().enumerate() {
        assert_eq!(grants(&mut hand, json!({ "sub": sub })), [QUESTION]);
        assert_eq!(says(&mut hand, json!({})), ["publish"], "{at}");
        hand.renew();
    }
}

#[test]
fn a_password_of_a_proxy_is_no_login() {
    // While the first token is on its way, and while another one is.
    let mut hand = started(claiming());
    hand.feed(Input::Credential(Credential::ProxyPassword));
    assert_eq!(grants(&mut hand, json!({})), ["publish"]);
    hand.renew();
    hand.feed(Input::Credential(Credential::ProxyPassword));
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["another sub", "request hush-r0"]);
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["another sub", "blocked"]);
}

#[test]
fn the_answer_to_an_older_login_is_judged_by_that() {
    let mut hand = renewing(claiming());
    hand.feed(Input::Credential(Credential::ClientSecret(secret("hush-s9"))));
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["another sub", "request hush-r0"]);
    // Neither before the new one has brought a token; from then on it is whom that is about.
    assert_eq!(hand.replied(503, ""), ["waiting"]);
    hand.wait_on();
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["publish"]);
    hand.renew();
    assert_eq!(grants(&mut hand, json!({})), ["another sub", "blocked"]);
    // The next machine takes what the new login brings.
    let mut hand = renewing(claiming());
    hand.feed(Input::Credential(Credential::ClientSecret(secret("hush-s9"))));
    let mut next = Hand::verifying(claiming(), true, hand.refresher.memory());
    assert_eq!(grants(&mut next, json!({"sub": "else"})), ["publish"]);
    let known = Hand::verifying(claiming(), true, Memory::default()).refresher.memory().identity;
    assert_eq!(known, Default::default());
}
