//! Stories of opaque tokens about which the issuer is asked, and of tokens that turn out to be somebody else's.

use serde_json::{json, Value};

use super::hand::{opaque, secret, Hand};
use super::issuer::{claims, header, settings, signed, with, DATE, WALL_MS};
use super::world::fresh;
use crate::audit::Trust;
use crate::config::settings::{ClientAuthentication, Grant, Settings, Verification, Verify};
use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::hooks::Answer;
use crate::proto::dice::Dice;
use crate::proto::http::{Method, Purpose, Reply};
use crate::proto::refresher::{Credential, Input, Memory};
use crate::proto::scope;
use crate::proto::token::Token;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    the_issuer_is_asked_before_a_token_is_used,
    what_the_issuer_says_is_judged_like_claims,
    an_issuer_that_does_not_answer_is_a_failed_attempt,
    the_question_is_signed_where_the_client_signs,
    what_the_issuer_says_of_scopes_counts,
    what_the_issuer_says_of_the_end_counts,
    a_renewal_is_about_the_same_subject_client_and_organisation,
    a_new_credential_may_be_somebody_elses,
    a_credential_that_was_replaced_pins_nothing,
    identities_are_as_far_known_as_they_are_told,
];

pub(super) const QUESTION: &str = "request access_token";

pub(super) fn asking() -> Settings {
    let verification = Verification { by: Verify::Introspection, ..settings().verification };
    Settings { verification, ..settings() }
}

pub(super) fn started(settings: Settings) -> Hand {
    Hand::verifying(settings, true, Memory::default())
}

/// The issuer is being asked about the token `hush-t`.
fn asked(settings: Settings) -> Hand {
    let mut hand = started(settings);
    assert_eq!(hand.granted(""), [QUESTION]);
    hand
}

fn active() -> Value {
    with(claims(WALL_MS), json!({"active": true, "token_type": "bearer", "iss": "https://issuer.example"}))
}

pub(super) fn says(hand: &mut Hand, other: Value) -> Vec<String> {
    hand.replied(200, &with(active(), other).to_string())
}

#[test]
fn the_issuer_is_asked_before_a_token_is_used() {
    let mut hand = asked(asking());
    let request = hand.requests.last().unwrap().clone();
    assert_eq!((request.method, request.purpose, request.timeout_ms), (Method::Post, Purpose::Introspection, 14_990));
    assert_eq!(request.url, "https://issuer.example/introspect", "no token in it");
    assert_eq!(request.body.text(), "token=hush-t&token_type_hint=access_token");
    assert_eq!(request.authorization, hand.requests[0].authorization, "as at the token endpoint");
    assert!(!request.authorization.is_empty());
    assert_eq!(says(&mut hand, json!({})), ["publish"]);
    assert_eq!(hand.tokens[0].trust, Trust::Introspected);
    // Asked every time: what an issuer says is not kept.
    hand.renew();
    assert_eq!(hand.granted(r#","refresh_token":"hush-r1""#), [QUESTION]);
    assert_eq!(hand.replied(200, r#"{"active":false}"#), ["persist hush-r1", "waiting"]);
    assert_eq!((hand.tokens.len(), hand.held().as_deref()), (1, Some("hush-r1")), "the old one is used on");
    // By its certificate.
    let mut hand = started(Settings { authentication: ClientAuthentication::Tls, ..asking() });
    assert_eq!(hand.granted(""), ["request id"]);
    let body = "token=hush-t&token_type_hint=access_token&client_id=id";
    assert_eq!(hand.requests.last().unwrap().body.text(), body);
    assert_eq!(hand.feed(Input::Close), ["stopped"]);
}

#[test]
fn what_the_issuer_says_is_judged_like_claims() {
    let seconds = WALL_MS / 1_000;
    for (other, good) in [
        (json!({}), true),
        (json!({"exp": null, "iat": null, "nbf": null, "sub": null, "org": null}), true),
        (json!({"aud": "us"}), true),
        (json!({"exp": seconds - 59, "iat": seconds - 600}), false),
        (json!({"active": false}), false),
        (json!({"exp": seconds - 61}), false),
        (json!({"exp": "soon"}), false),
        (json!({"exp": -1}), false),
        (json!({"nbf": seconds + 59}), true),
        (json!({"nbf": seconds + 62}), false),
        (json!({"iat": seconds + 62}), false),
        (json!({"iss": "https://other.example"}), false),
        (json!({"iss": null}), false),
        (json!({"aud": ["them"]}), false),
        (json!({"aud": null}), false),
        (json!({"aud": [1]}), false),
        (json!({"scope": {}}), false),
        // Of the types that claims have to have.
        (json!({"iss": ["https://issuer.example"]}), false),
        (json!({"sub": 7}), false),
        (json!({"org": {}}), false),
        (json!({"client_id": []}), false),
        (json!({"azp": true}), false),
        (json!({"azp": null, "client_id": null}), true),
        (json!({"exp": 1e300}), false),
        (json!({"exp": 253_402_300_799_u64}), true),
        (json!({"exp": 253_402_300_800_u64}), false),
        (json!({"iat": 1e300}), false),
        (json!({"scope": ["a:read", "b:read"]}), true),
        (json!({"scope": ["a:read b:read"]}), false),
        (json!({"scope": ["a:read", 1]}), false),
    ] {
        let mut hand = asked(asking());
        let words = says(&mut hand, other.clone());
        assert_eq!(words == ["publish"], good, "{other} {words:?}");
        assert_eq!(hand.tokens.len(), usize::from(good), "{other}");
    }
    // Whoever gives neither issuer nor audience does not ask for them.
    let verification = Verification { issuer: String::new(), audience: String::new(), ..asking().verification };
    let mut hand = asked(Settings { verification, ..asking() });
    assert_eq!(says(&mut hand, json!({"iss": "x", "aud": null})), ["publish"]);
    // By the clock of the token endpoint.
    let mut hand = started(asking());
    hand.now.wall_ms = WALL_MS + 86_400_000;
    let body = r#"{"access_token":"hush-t","token_type":"bearer","expires_in":600}"#;
    let reply = Reply { status: 200, body: body.into(), date: Some(DATE.into()), ..Reply::default() };
    assert_eq!(hand.feed(Input::Replied { epoch: hand.epoch, outcome: Ok(reply) }), [QUESTION]);
    assert_eq!(says(&mut hand, json!({})), ["publish"]);
}

#[test]
fn an_issuer_that_does_not_answer_is_a_failed_attempt() {
    for (status, body) in [
        (200, ""),
        (200, "true"),
        (200, "{}"),
        (200, r#"{"active":"true"}"#),
        (200, r#"{"active":true,"active":true}"#),
        (204, ""),
        (302, ""),
        (401, r#"{"error":"invalid_client","active":true}"#),
        (403, ""),
        (429, ""),
        (503, r#"{"active":true}"#),
    ] {
        let mut hand = asked(asking());
        for last in [&["waiting"][..], &["waiting"], &["waiting", "failed"]] {
            assert_eq!(hand.replied(status, body), last, "{status} {body}");
            hand.wait_on();
            hand.granted("");
        }
        assert_eq!((hand.errors[0].code(), hand.errors[0].is_retriable()), (Code::Introspection, true), "{status}");
        assert_eq!(says(&mut hand, json!({})), ["publish"]);
    }
    let mut hand = asked(asking());
    assert_eq!(hand.no_answer(), ["waiting"]);
    // An inactive token has a code of its own, and says nothing of itself.
    let mut hand = asked(asking());
    hand.replied(200, r#"{"active":false}"#);
    for _ in 0..2 {
        hand.wait_on();
        hand.granted("");
        hand.replied(200, r#"{"active":false}"#);
    }
    assert_eq!(hand.errors[0].code(), Code::TokenUnverified);
    assert!(!format!("{:?}", hand.errors).contains("hush-t"));
}

#[test]
fn the_question_is_signed_where_the_client_signs() {
    let signing = Settings {
        authentication: ClientAuthentication::PrivateKeyJwt,
        assertion_audience: "https://issuer.example".into(),
        ..asking()
    };
    let assertion = |hand: &Hand| Input::Signed { epoch: hand.signs, outcome: Ok(secret("hush-assertion")) };
    let asked = || {
        let mut hand = Hand::after(signing.clone(), false, Memory::default());
        hand.now.wall_ms = WALL_MS;
        hand.refresher.refill(fresh(&mut Dice::new(1)));
        assert_eq!(hand.feed(Input::Start), ["sign"]);
        hand.refresher.refill(fresh(&mut Dice::new(2)));
        assert_eq!(hand.feed(assertion(&hand)), ["request hush-assertion"]);
        assert_eq!(hand.granted(""), ["sign"]);
        hand
    };
    let mut hand = asked();
    assert_eq!(hand.feed(assertion(&hand)), ["request hush-assertion"]);
    let body = hand.requests.last().unwrap().body.text();
    assert!(body.starts_with("token=hush-t&token_type_hint=access_token&client_assertion_type="), "{body}");
    assert_eq!(says(&mut hand, json!({})), ["publish"]);
    // What cannot be signed is not asked, and what was not asked is not answered.
    let mut hand = asked();
    let failed = Err(Error::new(Code::Internal, Stage::Token, ""));
    assert_eq!(hand.feed(Input::Signed { epoch: hand.signs, outcome: failed }), ["waiting"]);
    let mut hand = asked();
    assert!(says(&mut hand, json!({})).is_empty());
    assert_eq!(hand.refresher.senseless(), 1);
    // Without entropy there is no assertion.
    let mut hand = Hand::after(signing.clone(), false, Memory::default());
    hand.refresher.refill(fresh(&mut Dice::new(1)));
    hand.feed(Input::Start);
    hand.feed(assertion(&hand));
    assert_eq!(hand.granted(""), ["waiting"]);
}

#[test]
fn what_the_issuer_says_of_scopes_counts() {
    let mut hand = started(asking());
    assert_eq!(hand.granted(r#","scope":"a:read""#), [QUESTION]);
    assert_eq!(says(&mut hand, json!({"scope": "b:read"})), ["denied", "blocked"]);
    let mut hand = asked(asking());
    says(&mut hand, json!({"scope": "c a:read"}));
    assert_eq!(hand.tokens[0].scopes.as_deref().unwrap(), ["c", "a:read"]);
    // Whose they are is known as well, where the token says nothing or another thing.
    assert_eq!(hand.judged[0].client_id, "id");
    let mut hand = started(asking());
    assert_eq!(grants(&mut hand, json!({"client_id": "x"})), [QUESTION]);
    says(&mut hand, json!({}));
    assert_eq!(hand.judged[0].client_id, "id");
    // Where it says nothing, the answer that brought the token does, or nobody.
    let mut hand = started(asking());
    hand.granted(r#","scope":"a:read""#);
    assert_eq!(says(&mut hand, json!({"scope": null})), ["publish"]);
    let mut hand = asked(asking());
    assert_eq!(says(&mut hand, json!({"scope": null})), ["denied", "blocked"]);
    assert_eq!(hand.errors[0].code(), Code::ScopeUnknown);
    // A token that looks like a JWT and is none: its issuer should know.
    let mut hand = started(asking());
    assert_eq!(hand.grants("hush.to.ken", ""), [QUESTION]);
    assert_eq!(says(&mut hand, json!({})), ["publish"]);
    // So do the clients that share it; of one that nobody vouches for they do not.
    let shared = &hand.tokens[0];
    assert_eq!(scope::check_token(shared, &asking()).outcome, Ok(()));
    let more = Settings { required_scopes: vec!["c".into()], ..asking() };
    assert_eq!(scope::check_token(shared, &more).outcome.unwrap_err().code(), Code::ScopeDenied);
    let unverified = Token { trust: Trust::Unverified, ..Token::clone(shared) };
    assert_eq!(scope::check_token(&unverified, &asking()).outcome.unwrap_err().code(), Code::TokenMalformed);
    // What the issuer said need not be asked of the API.
    let channels = || Settings { verification: asking().verification, ..opaque() };
    let mut hand = asked(channels());
    assert_eq!(says(&mut hand, json!({})), ["publish"]);
    let mut hand = asked(channels());
    let question = "Get https://api.example/api/v2/tokens/me?preserveIdleTTL=true";
    assert_eq!(says(&mut hand, json!({"scope": null})), [question]);
    assert_eq!(hand.replied(200, r#"{"authorizedScope":["a:read"]}"#), ["publish"]);
}

#[test]
fn what_the_issuer_says_of_the_end_counts() {
    let lifetime = |answer: &str, other: Value| {
        let mut hand = started(asking());
        hand.replied(200, &format!(r#"{{"access_token":"hush-t","token_type":"bearer"{answer}}}"#));
        says(&mut hand, other);
        hand.tokens[0].lifetime_ms
    };
    let in_s = |seconds: u64| json!({"exp": WALL_MS / 1_000 + seconds});
    assert_eq!(lifetime(r#","expires_in":600"#, in_s(3_600)), 600_000);
    assert!(lifetime(r#","expires_in":3600"#, in_s(600)).abs_diff(600_000) < 1_000);
    assert!(lifetime("", in_s(900)).abs_diff(900_000) < 1_000);
    assert_eq!(lifetime("", json!({"exp": null})), 300_000);
}

// ---- whom it is about ---------------------------------------------------------------------------------------

/// Tokens are not verified, and say whom they are about.
pub(super) fn claiming() -> Settings {
    Settings { verification: Verification::default(), ..settings() }
}

pub(super) fn grants(hand: &mut Hand, other: Value) -> Vec<String> {
    let token = signed("k1", &header("k1"), &with(claims(hand.now.wall_ms), other));
    hand.grants(&token, "")
}

/// A token is in force, and another one is awaited.
pub(super) fn renewing(settings: Settings) -> Hand {
    let mut hand = started(settings);
    assert_eq!(grants(&mut hand, json!({})), ["publish"]);
    hand.renew();
    hand
}

#[test]
fn a_renewal_is_about_the_same_subject_client_and_organisation() {
    for (claim, other) in
        [("sub", json!({"sub": "else"})), ("client_id", json!({"client_id": "x"})), ("org", json!({"org": ""}))]
    {
        let another = format!("another {claim}");
        // Whether it was verified, or the issuer was asked, or it was merely said.
        let mut hand = started(settings()).renewing(None);
        assert_eq!(grants(&mut hand, other.clone()), [&another, "blocked"]);
        let mut hand = asked(asking());
        says(&mut hand, json!({}));
        hand.renew();
        hand.granted("");
        assert_eq!(says(&mut hand, other.clone()), [&another, "blocked"]);
        let mut hand = renewing(claiming());
        assert_eq!(grants(&mut hand, other.clone()), [&another, "blocked"]);
        let error = &hand.errors[0];
        assert_eq!((error.code(), error.is_retriable()), (Code::IdentityChanged, false));
        assert!(!format!("{error:?}").contains("else"), "whose it is, is nobody's business");
        assert_eq!((hand.tokens.len(), hand.refresher.token().unwrap().serial), (1, 1), "the old one is used on");
        // It is asked for again when somebody says so, and judged alike.
        assert_eq!(hand.feed(Input::RefreshNow), ["request hush-r0"]);
        assert_eq!(grants(&mut hand, other.clone()), [&another, "blocked"]);
        hand.pass(60_000);
        assert_eq!(hand.feed(Input::RefreshNow), ["request hush-r0"]);
        assert_eq!(grants(&mut hand, json!({})), ["publish"]);
        // The next machine knows as much, unless nobody wants to know.
        let mut next = Hand::verifying(claiming(), true, hand.refresher.memory());
        assert_eq!(grants(&mut next, other.clone()), [&another, "blocked"]);
        let off = Verification { pins_identity: false, ..Verification::default() };
        let mut hand = renewing(Settings { verification: off, ..claiming() });
        assert_eq!(grants(&mut hand, other), ["publish"]);
    }
}

#[test]
fn a_new_credential_may_be_somebody_elses() {
    let blocked = || {
        let mut hand = renewing(claiming());
        assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["another sub", "blocked"]);
        hand
    };
    let mut hand = blocked();
    assert_eq!(hand.feed(Input::Credential(Credential::RefreshToken(secret("hush-r9")))), ["request hush-r9"]);
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["publish"]);
    // From then on it is the other one.
    assert_eq!(hand.wait_on(), ["request hush-r9"]);
    assert_eq!(grants(&mut hand, json!({})), ["another sub", "blocked"]);
    // A password of a proxy is nobody's login.
    let mut hand = blocked();
    assert!(hand.feed(Input::Credential(Credential::ProxyPassword)).is_empty());
    assert_eq!(hand.feed(Input::RefreshNow), ["request hush-r0"]);
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["another sub", "blocked"]);
    // A user who signs in may be another one.
    let mut hand = renewing(claiming());
    assert_eq!(hand.refused(), ["blocked", "ask"]);
    assert!(matches!(hand.asked, Some(Question::AuthorizationCode(_))));
    let code = Ok(Answer::Code(secret("hush-c1")));
    assert_eq!(hand.feed(Input::Answered { id: 1, answer: code }), ["request hush-c1"]);
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["publish"]);
    // The application's tokens are to be one user's too.
    let mut hand = started(Settings { grant: Grant::Application, ..claiming() });
    let token = |other| {
        let text = signed("k1", &header("k1"), &with(claims(WALL_MS), other));
        Ok(Answer::AccessToken { token: secret(&text), expires_in_ms: Some(600_000) })
    };
    assert_eq!(hand.feed(Input::Answered { id: 1, answer: token(json!({})) }), ["publish"]);
    assert_eq!(hand.wait_on(), ["ask"]);
    assert_eq!(hand.feed(Input::Answered { id: 2, answer: token(json!({"org": "p"})) }), ["another org", "blocked"]);
}

#[test]
fn a_credential_that_was_replaced_pins_nothing() {
    let mut hand = renewing(claiming());
    // The request in flight is still made with the old one, and its token may be used.
    assert!(hand.feed(Input::Credential(Credential::RefreshToken(secret("hush-r9")))).is_empty());
    assert_eq!(grants(&mut hand, json!({})), ["publish"]);
    assert_eq!(hand.wait_on(), ["request hush-r9"]);
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["publish"]);
}

#[test]
fn identities_are_as_far_known_as_they_are_told() {
    let mut hand = renewing(claiming());
    // What is not said is no difference, and is not forgotten.
    assert_eq!(grants(&mut hand, json!({"sub": null, "org": null})), ["publish"]);
    hand.renew();
    assert_eq!(grants(&mut hand, json!({"sub": "else"})), ["another sub", "blocked"]);
    // A token that is not taken for another reason says nothing of whom the next one is about.
    let mut hand = started(claiming());
    assert_eq!(grants(&mut hand, json!({"scope": "c", "sub": "else"})), ["denied", "blocked"]);
    hand.feed(Input::RefreshNow);
    assert_eq!(grants(&mut hand, json!({})), ["publish"]);
    // The organisation of an opaque token, as the API says it.
    let question = "Get https://api.example/api/v2/tokens/me?preserveIdleTTL=true";
    let of = |hand: &mut Hand, organisation: &str| {
        assert_eq!(hand.granted(""), [question]);
        hand.replied(200, &format!(r#"{{"organization":{{"id":"{organisation}"}},"authorizedScope":["a:read"]}}"#))
    };
    let mut hand = started(opaque());
    assert_eq!(of(&mut hand, "o"), ["publish"]);
    hand.renew();
    assert_eq!(of(&mut hand, "o"), ["publish"]);
    hand.renew();
    assert_eq!(of(&mut hand, "p"), ["another org", "blocked"]);
}
