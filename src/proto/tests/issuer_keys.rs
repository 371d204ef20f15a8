//! Stories of an issuer that gives its keys odd names, or cannot be reached, and of those who forge its signatures.

use super::hand::Hand;
use super::issuer::{claims, header, named, settings, signed, KEYS};
use crate::error::Code;
use crate::proto::http::Reply;
use crate::proto::refresher::{Input, Memory};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_new_key_may_go_by_an_old_name,
    forged_signatures_cost_three_questions_and_no_token,
    an_issuer_in_trouble_is_asked_every_thirty_seconds,
];

const MINUTE: u64 = 60_000;

fn started() -> Hand {
    Hand::verifying(settings(), false, Memory::default())
}

#[test]
fn a_new_key_may_go_by_an_old_name() {
    let mut hand = started().renewing(Some("max-age=86400"));
    let renamed = signed("k2", &header("k1"), &claims(hand.now.wall_ms));
    assert_eq!(hand.grants(&renamed, ""), [KEYS]);
    assert_eq!(hand.replied(200, &named(&[("k1", "k2")])), ["keys 1", "publish"]);
    hand.renew();
    // The old key is none any more.
    assert_eq!(hand.grants_good("k1"), [KEYS]);
    assert_eq!(hand.replied(200, &named(&[("k1", "k2")])), ["keys 1", "waiting"]);
}

#[test]
fn forged_signatures_cost_three_questions_and_no_token() {
    let mut hand = started().renewing(Some("max-age=86400"));
    let mut asked = 0;
    for at in 0..6 {
        let forged = signed("hers", &header("k1"), &claims(hand.now.wall_ms));
        if hand.grants(&forged, "") == [KEYS] {
            asked += 1;
            // Whether there are keys or none: the next attempt is timed, and the token in force stays it.
            let words = if at % 2 == 0 { hand.no_answer() } else { hand.publishes(&["k1"], Some("max-age=86400")) };
            assert!(words.contains(&"waiting".to_owned()) && !words.contains(&"blocked".to_owned()), "{words:?}");
        }
        hand.feed(Input::RefreshNow);
        if hand.refresher.next_timeout().is_some() {
            hand.wait_on();
        }
        assert_eq!(hand.refresher.token().unwrap().serial, 1);
    }
    assert!((3..=4).contains(&asked), "{asked}");
    assert_eq!(hand.grants_good("k1"), ["publish"], "what is genuine needs no permit");
}

#[test]
fn an_issuer_in_trouble_is_asked_every_thirty_seconds() {
    let over = || {
        let mut hand = started();
        hand.grants_good("k1");
        hand.publishes(&["k1"], None);
        hand.pass(11 * MINUTE);
        hand.feed(Input::RefreshNow);
        assert_eq!(hand.grants_good("k1"), [KEYS]);
        hand
    };
    let again = |hand: &mut Hand, after_ms: u64| {
        hand.pass(after_ms);
        hand.feed(Input::RefreshNow);
        if hand.refresher.next_timeout().is_some() {
            hand.wait_on();
        }
        hand.grants_good("k1")
    };
    let mut hand = over();
    let failed_ms = hand.now.boot_ms;
    assert_eq!(hand.no_answer(), ["stale", "publish"]);
    assert_eq!(again(&mut hand, 1_000), ["stale", "publish"]);
    assert_eq!((hand.stale.len(), hand.stale[1].1.code()), (2, Code::IssuerKeys), "why there are no newer ones");
    assert!(hand.now.boot_ms - failed_ms < 30_000);
    assert_eq!(again(&mut hand, 31_000), [KEYS]);
    assert_eq!(hand.publishes(&["k1"], None), ["keys 1", "publish"]);
    // Or when it says.
    let mut hand = over();
    let reply = Reply { status: 503, retry_after: Some("120".into()), ..Reply::default() };
    assert_eq!(hand.feed(Input::Replied { epoch: hand.epoch, outcome: Ok(reply) }), ["stale", "publish"]);
    assert_eq!(again(&mut hand, 60_000), ["stale", "publish"]);
    assert_eq!(again(&mut hand, 70_000), [KEYS]);
}
