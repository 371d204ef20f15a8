//! Stories of tokens that are verified by the issuer's keys before they are used.

use serde_json::{json, Value};

use super::hand::{opaque, secret, stored, Hand};
use super::issuer::{claims, header, key_set, settings, signed, with, DATE, KEYS, WALL_MS};
use crate::audit::Trust;
use crate::config::settings::{Grant, Settings};
use crate::error::{Code, Error, Stage};
use crate::hooks::Answer;
use crate::proto::http::{Method, Purpose, Reply};
use crate::proto::refresher::{Input, Memory};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_token_is_verified_before_it_is_used,
    what_no_key_can_mend_asks_for_none,
    a_setting_that_is_wrong_is_final_for_a_stranger_alone,
    a_rotation_outlives_a_token_that_is_not_believed,
    keys_rotate_while_the_client_lives,
    unknown_keys_are_asked_for_once_and_seldom,
    keys_that_cannot_be_had_are_a_failed_attempt,
    keys_are_fresh_for_as_long_as_their_answer_says,
    old_keys_outlive_an_outage_by_a_day,
    a_short_token_does_not_wait_for_keys,
    a_wrong_clock_of_this_machine_refuses_nothing,
    closing_does_not_wait_for_keys,
    the_next_machine_has_the_keys,
    verified_claims_say_the_scopes,
    verified_claims_say_the_end,
];

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn started() -> Hand {
    Hand::verifying(settings(), false, Memory::default())
}

/// A token is in force and another one is awaited; keys are fresh for ten minutes.
fn renewing() -> Hand {
    started().renewing(None)
}

#[test]
fn a_token_is_verified_before_it_is_used() {
    let mut hand = started();
    assert_eq!(hand.grants_good("k1"), [KEYS]);
    let request = hand.requests.last().unwrap();
    assert_eq!((request.method, request.purpose, request.timeout_ms), (Method::Get, Purpose::Keys, 14_990));
    assert!(request.authorization.is_empty() && request.body.text().is_empty(), "nobody gets a token for that");
    assert_eq!(hand.publishes(&["k0", "k1"], None), ["keys 2", "publish"]);
    assert_eq!(hand.tokens[0].scopes.as_deref().unwrap(), ["a:read", "b:read"]);
    assert_eq!(hand.tokens[0].trust, Trust::Verified);
    // The keys are at hand.
    hand.renew();
    assert_eq!(hand.grants_good("k1"), ["publish"]);
    hand.renew();
    let forged = signed("k2", &header("k1"), &claims(hand.now.wall_ms));
    assert_eq!(hand.grants(&forged, ""), [KEYS]);
    assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "waiting"]);
    assert_eq!((hand.tokens.len(), hand.refresher.token().unwrap().serial), (2, 2), "the old one is used on");
    // Nobody who can verify: nothing is believed.
    let mut hand = Hand::new(settings(), false);
    hand.now.wall_ms = WALL_MS;
    hand.feed(Input::Start);
    assert_eq!(hand.grants_good("k1"), [KEYS]);
    assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "waiting"]);
}

/// Tokens that are wrong whatever the keys are, and whether that lasts.
fn wrong(now_ms: u64) -> Vec<(String, bool)> {
    let good = || claims(now_ms);
    let head = |other: Value| signed("k1", &with(header("k1"), other), &good());
    let claim = |other: Value| signed("k1", &header("k1"), &with(good(), other));
    let seconds = now_ms / 1_000;
    let mut all = vec![
        ("opaque-token".to_owned(), true),
        (head(json!({"alg": "none"})), true),
        (head(json!({"alg": "HS256"})), true),
        (head(json!({"crit": ["exp"]})), true),
    ];
    // These show only when the signature is verified.
    all.extend([json!({"typ": "JWT"}), json!({"typ": null})].map(|other| (head(other), true)));
    all.extend([
        (claim(json!({"iss": "https://issuer.example/"})), true),
        (claim(json!({"iss": null})), true),
        (claim(json!({"aud": "others"})), true),
        (claim(json!({"aud": null})), true),
        (claim(json!({"exp": null})), true),
        (claim(json!({"exp": "soon"})), true),
        (claim(json!({"exp": seconds - 60})), false),
        (claim(json!({"nbf": seconds + 3_600})), false),
        (claim(json!({"iat": seconds + 3_600})), false),
    ]);
    all
}

#[test]
fn what_no_key_can_mend_asks_for_none() {
    for (token, _) in wrong(WALL_MS).iter().take(4) {
        let mut hand = started();
        assert_eq!(hand.grants(token, ""), ["blocked"], "{token}");
        assert_eq!(hand.errors[0].code(), Code::TokenUnverified);
    }
    let mut hand = started();
    hand.grants("opaque-token", "");
    assert!(hand.errors[0].detail().message.ends_with("token.verify = introspection."), "{}", hand.errors[0]);
    assert!(!format!("{:?}", hand.errors).contains("opaque-token"));
}

#[test]
fn a_setting_that_is_wrong_is_final_for_a_stranger_alone() {
    for (token, lasting) in wrong(WALL_MS).iter().skip(4) {
        let mut hand = started();
        assert_eq!(hand.grants(token, ""), [KEYS], "{token}");
        let last = if *lasting { "blocked" } else { "waiting" };
        assert_eq!(hand.publishes(&["k1"], None), ["keys 1", last], "{token}");
    }
    for at in 0..wrong(WALL_MS).len() {
        let mut hand = renewing();
        let token = wrong(hand.now.wall_ms).swap_remove(at).0;
        assert_eq!(hand.grants(&token, ""), ["waiting"], "{at}");
        hand.wait_on();
        assert_eq!(hand.grants(&token, ""), ["waiting"], "{at}");
        hand.wait_on();
        assert_eq!(hand.grants(&token, ""), ["waiting", "failed"], "{at}");
        let error = &hand.errors[0];
        assert_eq!((error.code(), error.is_retriable()), (Code::TokenUnverified, true), "{at}");
        // The old token is used on, and the issuer is mended.
        hand.wait_on();
        assert_eq!(hand.grants_good("k1"), ["publish"], "{at}");
    }
}

#[test]
fn a_rotation_outlives_a_token_that_is_not_believed() {
    let settings = Settings { token_store: stored().token_store, ..settings() };
    let rotated = r#","refresh_token":"hush-r1""#;
    let asking = || {
        let mut hand = Hand::verifying(settings.clone(), true, Memory::default());
        hand.finds_nothing();
        let token = signed("k1", &header("k1"), &claims(hand.now.wall_ms));
        assert_eq!(hand.grants(&token, rotated), ["store hush-r1"]);
        assert_eq!(hand.feed(Input::Stored(Ok(()))), ["free", KEYS], "others need not wait for it");
        hand
    };
    let mut hand = asking();
    assert_eq!(hand.publishes(&["k2"], None), ["keys 1", "persist hush-r1", "waiting"]);
    assert_eq!(hand.held().as_deref(), Some("hush-r1"));
    let mut hand = asking();
    assert_eq!(hand.replied(503, ""), ["persist hush-r1", "waiting"]);
    let mut hand = asking();
    assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "persist hush-r1"]);
    assert_eq!(hand.feed(Input::Answered { id: 1, answer: Ok(Answer::Done) }), ["publish"]);
}

#[test]
fn keys_rotate_while_the_client_lives() {
    let mut hand = renewing();
    for (old, new) in [("k1", "k2"), ("k2", "k3"), ("k3", "k4")] {
        assert_eq!(hand.grants_good(new), [KEYS]);
        assert_eq!(hand.publishes(&[old, new], Some("max-age=86400")), ["keys 2", "publish"]);
        hand.renew();
        // What was signed before goes on to be good while the key is published.
        assert_eq!(hand.grants_good(old), ["publish"]);
        hand.renew();
    }
    assert_eq!(hand.refresher.senseless(), 0);
}

#[test]
fn unknown_keys_are_asked_for_once_and_seldom() {
    let mut hand = renewing();
    let began = hand.now.boot_ms;
    let mut asked = Vec::new();
    for _ in 0..40 {
        if hand.grants_good("nobody's") == [KEYS] {
            asked.push(hand.now.boot_ms);
            // The token's key is not among those that came: that is no reason to ask again.
            assert_eq!(hand.publishes(&["k1"], Some("max-age=86400"))[..2], ["keys 1", "waiting"]);
        }
        hand.wait_on();
    }
    let within = |ms| asked.iter().filter(|at| **at - began < ms).count() as u64;
    let passed = hand.now.boot_ms - began;
    assert!(passed > 5 * MINUTE, "{passed}");
    assert_eq!(within(29_000), 3, "{asked:?}");
    assert!(asked.len() as u64 <= 3 + passed / 30_000 && asked.len() > 5, "{} in {passed} ms", asked.len());
    // It heals by itself.
    while hand.grants_good("k2") != [KEYS] {
        hand.wait_on();
    }
    assert_eq!(hand.publishes(&["k2"], None), ["keys 1", "publish"]);
}

#[test]
fn keys_that_cannot_be_had_are_a_failed_attempt() {
    let huge = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(256 << 10));
    for (status, body) in [
        (204, ""),
        (302, ""),
        (404, r#"{"keys":[]}"#),
        (429, ""),
        (503, ""),
        (200, "<html>"),
        (200, "[]"),
        (200, r#"{"keys":[],"keys":[]}"#),
        (200, &huge),
    ] {
        let mut hand = started();
        for last in [&["waiting"][..], &["waiting"], &["waiting", "failed"]] {
            assert_eq!(hand.grants_good("k1"), [KEYS]);
            assert_eq!(hand.replied(status, body), last, "{status}");
            hand.wait_on();
        }
        let error = &hand.errors[0];
        assert_eq!((error.code(), error.detail().host.as_str()), (Code::IssuerKeys, "issuer.example"), "{status}");
        assert!(error.is_retriable() && hand.tokens.is_empty(), "{status}");
        hand.grants_good("k1");
        assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "publish"], "{status}");
    }
    for code in [Code::HttpTimeout, Code::Redirect, Code::CertificateUntrusted, Code::ResponseTooLarge] {
        let mut hand = started();
        hand.grants_good("k1");
        let outcome = Err(Error::new(code, Stage::Token, ""));
        assert_eq!(hand.feed(Input::Replied { epoch: hand.epoch, outcome }), ["waiting"], "{code:?}");
    }
    // Who is told when to come back comes back then, but tokens do not wait for an hour.
    let mut hand = started();
    hand.grants_good("k1");
    let reply = Reply { status: 503, retry_after: Some("3600".into()), ..Reply::default() };
    hand.feed(Input::Replied { epoch: hand.epoch, outcome: Ok(reply) });
    let wait = hand.refresher.next_timeout().unwrap() - hand.now.boot_ms;
    assert!((180_000..=480_000).contains(&wait), "{wait}");
    // No keys at all are an answer: what is withdrawn is not used on.
    let mut hand = renewing();
    hand.pass(HOUR);
    assert_eq!(hand.grants_good("k1"), [KEYS]);
    assert_eq!(hand.publishes(&[], None), ["keys 0", "waiting"]);
}

#[test]
fn keys_are_fresh_for_as_long_as_their_answer_says() {
    for (cache_control, fresh_ms) in [
        (None, 10 * MINUTE),
        (Some("public, max-age=1800"), 30 * MINUTE),
        (Some("max-age=1"), MINUTE),
        (Some("no-store"), MINUTE),
        (Some("max-age=604800"), 24 * HOUR),
    ] {
        for (at_ms, asks) in [(fresh_ms - 1_000, false), (fresh_ms, true)] {
            let mut hand = started();
            hand.grants_good("k1");
            assert_eq!(hand.publishes(&["k1"], cache_control), ["keys 1", "publish"]);
            hand.pass(at_ms);
            hand.feed(Input::RefreshNow);
            let words = hand.grants_good("k1");
            assert_eq!(words == [KEYS], asks, "{cache_control:?} {at_ms}");
            assert!(asks || words == ["publish"], "{words:?}");
        }
    }
}

#[test]
fn old_keys_outlive_an_outage_by_a_day() {
    // The keys of a token that was verified so long ago that they are over since so long.
    let over_for = |ms: u64| {
        let mut hand = started();
        hand.grants_good("k1");
        hand.publishes(&["k1"], None);
        hand.pass(10 * MINUTE + ms);
        hand.feed(Input::RefreshNow);
        hand
    };
    let mut hand = over_for(24 * HOUR - 1_000);
    assert_eq!(hand.grants_good("k1"), [KEYS]);
    assert_eq!(hand.replied(503, ""), ["stale", "publish"]);
    let (age_ms, error) = hand.stale.pop().unwrap();
    assert!(age_ms.abs_diff(24 * HOUR + 10 * MINUTE) < 2_000, "{age_ms}");
    assert_eq!((error.code(), error.detail().http_status), (Code::IssuerKeys, 503));
    let mut hand = over_for(24 * HOUR);
    assert_eq!(hand.grants_good("k1"), [KEYS]);
    assert_eq!(hand.no_answer(), ["waiting"]);
    // Others are not believed for that, and the reason is told.
    let mut hand = over_for(HOUR);
    assert_eq!(hand.grants_good("k2"), [KEYS]);
    assert_eq!(hand.no_answer(), ["waiting"]);
    hand.wait_on();
    // Nobody is asked again for that at once.
    let forged = signed("k2", &header("k1"), &claims(hand.now.wall_ms));
    assert_eq!(hand.grants(&forged, ""), ["waiting"]);
    hand.pass(30_000);
    hand.feed(Input::Timeout);
    assert_eq!(hand.grants(&forged, ""), [KEYS]);
    assert_eq!(hand.no_answer(), ["waiting", "failed"]);
    // Keys that are fresh are no old ones, whatever becomes of the question for newer ones.
    let mut hand = renewing();
    assert_eq!(hand.grants_good("k2"), [KEYS]);
    assert_eq!(hand.no_answer(), ["waiting"]);
    hand.wait_on();
    assert_eq!(hand.grants_good("k1"), ["publish"]);
}

#[test]
fn a_short_token_does_not_wait_for_keys() {
    let mut hand = started();
    let life = |hand: &Hand, seconds: u64| {
        let claims = with(claims(hand.now.wall_ms), json!({"exp": hand.now.wall_ms / 1_000 + seconds}));
        signed("k1", &header("k1"), &claims)
    };
    let body = |token: &str| format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":8}}"#);
    let token = life(&hand, 8);
    assert_eq!(hand.replied(200, &body(&token)), [KEYS]);
    assert_eq!(hand.requests.last().unwrap().timeout_ms, 2_000);
    // Who does not say how long it lives is taken at the token's own word.
    let silent = format!(r#"{{"access_token":"{token}","token_type":"bearer"}}"#);
    let mut other = started();
    assert_eq!(other.replied(200, &silent), [KEYS]);
    assert_eq!(other.requests.last().unwrap().timeout_ms, 2_000);
    // One that says that it is over is asked about too: nobody has believed that yet.
    let mut over = started();
    let token = life(&over, 0);
    assert_eq!(over.replied(200, &body(&token)), [KEYS]);
    assert_eq!(over.requests.last().unwrap().timeout_ms, 1_000);
    assert_eq!(over.publishes(&["k1"], None), ["keys 1", "waiting"]);
    // The attempt began with the request for the token.
    for (after_ms, timeout_ms) in [(5_000, 9_990), (14_500, 1_000)] {
        let mut late = started();
        late.pass(after_ms);
        assert_eq!(late.grants_good("k1"), [KEYS]);
        assert_eq!(late.requests.last().unwrap().timeout_ms, timeout_ms);
    }
    // What took longer than the token lives is of no use any more.
    hand.pass(8_000);
    assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "waiting"]);
    // A token in hand bounds it too.
    let mut hand = renewing();
    hand.pass(4 * MINUTE);
    let left_ms = hand.refresher.token().unwrap().remaining_ms(hand.now.boot_ms);
    assert_eq!(hand.grants_good("k2"), [KEYS]);
    let timeout_ms = hand.requests.last().unwrap().timeout_ms;
    assert!(left_ms > 0 && timeout_ms <= (left_ms / 4).max(3_000), "{timeout_ms} of {left_ms}");
}

#[test]
fn a_wrong_clock_of_this_machine_refuses_nothing() {
    let granted = |off_ms: i64, date: Option<&str>| {
        let mut hand = started();
        let token = signed("k1", &header("k1"), &claims(WALL_MS));
        let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":600}}"#);
        let date = date.map(str::to_owned);
        hand.now.wall_ms = WALL_MS.saturating_add_signed(off_ms);
        let reply = Reply { status: 200, body: body.into(), date, ..Reply::default() };
        assert_eq!(hand.feed(Input::Replied { epoch: hand.epoch, outcome: Ok(reply) }), [KEYS]);
        hand.publishes(&["k1"], None)
    };
    let day = 24 * 3_600_000;
    for off_ms in [0, day, -day, 400 * day, -400 * day] {
        assert_eq!(granted(off_ms, Some(DATE)), ["keys 1", "publish"], "{off_ms}");
    }
    for (off_ms, last) in [(0, "publish"), (day, "waiting"), (-day, "waiting"), (-50_000, "publish")] {
        assert_eq!(granted(off_ms, None), ["keys 1", last], "{off_ms}");
    }
}

#[test]
fn closing_does_not_wait_for_keys() {
    let mut hand = Hand::verifying(settings(), true, Memory::default());
    let token = signed("k1", &header("k1"), &claims(WALL_MS));
    assert_eq!(hand.grants(&token, r#","refresh_token":"hush-r1""#), [KEYS]);
    assert_eq!(hand.feed(Input::Close), ["persist hush-r1", "stopped"]);
    let broken_off = Err(Error::new(Code::Cancelled, Stage::Token, ""));
    assert!(hand.feed(Input::Replied { epoch: hand.epoch, outcome: broken_off }).is_empty());
    assert_eq!(hand.refresher.senseless(), 0);
    // Another request's answer is none to this question.
    let mut hand = started();
    hand.grants_good("k1");
    hand.epoch -= 1;
    assert!(hand.publishes(&["k1"], None).is_empty());
    assert_eq!(hand.refresher.senseless(), 1);
}

#[test]
fn the_next_machine_has_the_keys() {
    let before = renewing();
    let mut hand = Hand::verifying(settings(), false, before.refresher.memory());
    hand.now = before.now;
    assert_eq!(hand.grants_good("k1"), ["publish"]);
    assert_eq!(hand.refresher.token().unwrap().serial, 2);
}

#[test]
fn verified_claims_say_the_scopes() {
    let verification = settings().verification;
    // Where an opaque token would have to be asked about, this one says it itself, and whose it is.
    let mut hand = Hand::verifying(Settings { verification, ..opaque() }, false, Memory::default());
    assert_eq!(hand.grants_good("k1"), [KEYS]);
    assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "publish"]);
    assert_eq!(hand.tokens[0].scopes.as_deref().unwrap(), ["a:read", "b:read"]);
    assert_eq!(hand.judged[0].client_id, "id");
    let mut hand = started();
    let less = signed("k1", &header("k1"), &with(claims(WALL_MS), json!({"scope": "b:read"})));
    assert_eq!(hand.grants(&less, r#","scope":"a:read""#), [KEYS]);
    assert_eq!(hand.replied(200, &key_set(&["k1"])), ["keys 1", "denied", "blocked"]);
    assert_eq!(hand.errors[0].code(), Code::ScopeDenied);
    let mut hand = started();
    let silent = signed("k1", &header("k1"), &with(claims(WALL_MS), json!({"scope": null})));
    assert_eq!(hand.grants(&silent, r#","scope":"a:read""#), [KEYS]);
    assert_eq!(hand.replied(200, &key_set(&["k1"])), ["keys 1", "publish"], "the answer says it then");
}

#[test]
fn verified_claims_say_the_end() {
    let of = |iat: u64, exp: u64| {
        let own = json!({"iat": WALL_MS / 1_000 - iat, "exp": WALL_MS / 1_000 + exp});
        signed("k1", &header("k1"), &with(claims(WALL_MS), own))
    };
    let verification = || settings().verification;
    // Nobody looks into a token of this profile, but for the claims that were verified.
    let mut hand = Hand::verifying(Settings { verification: verification(), ..opaque() }, false, Memory::default());
    let answer = format!(r#"{{"access_token":"{}","token_type":"bearer","expires_in":86399}}"#, of(0, 600));
    assert_eq!(hand.replied(200, &answer), [KEYS]);
    assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "publish"]);
    assert!(hand.tokens[0].lifetime_ms.abs_diff(600_000) < 1_000, "{}", hand.tokens[0].lifetime_ms);
    // A token that the application has had for a while, of an hour when it was new.
    let provided = |said: Option<u64>, exp: u64| {
        let mut hand = Hand::verifying(Settings { grant: Grant::Application, ..settings() }, true, Memory::default());
        let token = Answer::AccessToken { token: secret(&of(3_600 - exp, exp)), expires_in_ms: said };
        assert_eq!(hand.feed(Input::Answered { id: 1, answer: Ok(token) }), [KEYS]);
        let words = hand.publishes(&["k1"], None);
        (words, hand.tokens.first().map(|token| token.lifetime_ms / 1_000))
    };
    let publish = || ["keys 1", "publish"].map(str::to_owned).to_vec();
    for said in [None, Some(3_600_000), Some(86_399_000)] {
        assert_eq!(provided(said, 600), (publish(), Some(600)), "{said:?}");
    }
    assert_eq!(provided(Some(60_000), 600), (publish(), Some(60)));
    // The leeway is for clocks that differ, and makes no token longer.
    assert_eq!(provided(None, 0).0, ["keys 1", "waiting"]);
}
