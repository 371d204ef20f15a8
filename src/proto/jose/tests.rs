//! The rules, with signatures that are good when they say so. Those of real keys are in `shell/crypto/verify`.

mod keys;

use std::collections::HashSet;

use serde_json::{json, Value};

use super::*;
use crate::error::Code;

const NOW_MS: u64 = 1_700_000_000_000;
const NOW_S: i64 = 1_700_000_000;
const MAX: usize = 256 << 10;

/// Who verifies here: a signature is good when it says so.
fn says_good(_: Algorithm, _: &Key, _: &[u8], signature: &[u8]) -> bool {
    signature == b"good"
}

fn octets(count: usize) -> String {
    URL_SAFE_NO_PAD.encode(vec![0x81; count])
}

fn ec(id: &str) -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": octets(32), "y": octets(32), "kid": id})
}

fn rsa(bytes: usize, exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "n": octets(bytes), "e": URL_SAFE_NO_PAD.encode(exponent)})
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), MAX).unwrap()
}

/// The issuer's keys here: one of each sort.
fn keys() -> KeySet {
    set(&[ec("e1"), json!({"kty": "OKP", "crv": "Ed25519", "x": octets(32), "kid": "o1"}), rsa(256, &[1, 0, 1])])
}

fn rules() -> Rules {
    Rules {
        max_bytes: 4_000,
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256],
        issuer: Some("https://issuer.example".into()),
        audience: Some("socket".into()),
        leeway_ms: 1_000,
        types: vec!["at+jwt".into(), "JWT".into()],
        organisation: "org".into(),
    }
}

fn joined(header: &str, payload: &str, signature: &str) -> String {
    [header, payload, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// The claims of a good token, some of them changed; null takes one away.
fn claims(changes: Value) -> Value {
    let mut all = json!({
        "iss": "https://issuer.example", "aud": ["other", "socket"], "sub": "u1", "client_id": "c1", "jti": "1",
        "exp": NOW_S + 3_600, "iat": NOW_S, "nbf": NOW_S, "scope": "b a", "org": "o1",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => all.as_object_mut().unwrap().remove(name),
            value => all.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    all
}

fn with_header(header: Value) -> String {
    joined(&header.to_string(), &claims(json!({})).to_string(), "good")
}

fn with_claims(changes: Value) -> String {
    joined(r#"{"alg":"ES256","kid":"e1","typ":"at+jwt"}"#, &claims(changes).to_string(), "good")
}

fn plain_with_claims(changes: Value) -> String {
    joined(r#"{"alg":"ES256","kid":"e1"}"#, &claims(changes).to_string(), "good")
}

fn checked(token: &str) -> Result<Verified, Refusal> {
    check(token, &keys(), &rules(), NOW_MS, says_good)
}

#[test]
fn a_good_token_says_what_it_says() {
    let verified = checked(&with_claims(json!({}))).unwrap();
    let wanted = Verified {
        algorithm: Algorithm::Es256,
        subject: Some("u1".into()),
        client_id: Some("c1".into()),
        organisation: Some("o1".into()),
        scopes: Some(vec!["b".into(), "a".into()]),
        expires_ms: NOW_MS + 3_600_000,
        lifetime_ms: Some(3_600_000),
    };
    assert_eq!(verified, wanted);
    let other = json!({"client_id": null, "azp": "c2", "scope": null, "scp": ["x", "y z"], "iat": null, "org": null});
    let verified = checked(&plain_with_claims(other)).unwrap();
    assert_eq!(verified.client_id.as_deref(), Some("c2"));
    assert_eq!(verified.scopes, Some(vec!["x".into(), "y z".into()]));
    assert_eq!((verified.lifetime_ms, verified.organisation), (None, None));
}

/// Every reason, by tokens that are good but for it.
fn refused() -> Vec<(Refusal, String)> {
    let good = with_claims(json!({}));
    let (body, signature) = good.rsplit_once('.').unwrap();
    let head =
        |more: &str| joined(&format!(r#"{{"alg":"ES256","kid":"e1"{more}}}"#), &claims(json!({})).to_string(), "good");
    let payload = |text: &str| joined(r#"{"alg":"ES256","kid":"e1"}"#, text, "good");
    let algorithm = |name: &str| with_header(json!({ "alg": name }));
    let deep = format!(r#"{{"exp":{}1{}}}"#, "[".repeat(8), "]".repeat(8));
    let mut all = vec![
        (Refusal::TooLong, with_claims(json!({"pad": "x".repeat(4_000)}))),
        (Refusal::NotCompact, String::new()),
        (Refusal::NotCompact, "opaque".into()),
        (Refusal::NotCompact, body.into()),
        (Refusal::NotCompact, format!("{good}.")),
        (Refusal::NotCompact, format!("{good}.a.b")),
        (Refusal::Base64, format!("{good}=")),
        (Refusal::Base64, format!("{body}.Z29vZB")), // As `good`, with bits after it that are not zero.
        (Refusal::Base64, format!("{body}.Z29v_A==")),
        (Refusal::Base64, format!("{body}.Z29v/A")),
        (Refusal::Base64, format!(" {good}")),
        (Refusal::Base64, format!("{good}\n")),
        (Refusal::HeaderMalformed, format!(".{signature}.{signature}")),
        (Refusal::HeaderMalformed, joined("[]", "{}", "good")),
        (Refusal::HeaderMalformed, joined("{} {}", "{}", "good")),
        (Refusal::HeaderMalformed, joined("{\"alg\":1e999}", "{}", "good")),
        (Refusal::PayloadMalformed, payload("[1]")),
        (Refusal::PayloadMalformed, payload("")),
        (Refusal::PayloadMalformed, payload(r#"{"sub":"\ud800"}"#)),
        (Refusal::DuplicateMember, head(r#","kid":"e1""#)),
        (Refusal::DuplicateMember, head(r#","jwk":{"x":1,"x":1}"#)),
        (Refusal::DuplicateMember, payload(r#"{"exp":9999999999,"\u0065xp":1}"#)),
        (Refusal::TooDeep, payload(&deep)),
        (Refusal::TooDeep, payload(&"[".repeat(1_000))),
        (Refusal::TooDeep, head(&format!(r#","x":{}{}"#, "[".repeat(8), "]".repeat(8)))),
        (Refusal::HeaderType, with_header(json!({"alg": 256}))),
        (Refusal::HeaderType, with_header(json!({"alg": "ES256", "kid": 1}))),
        (Refusal::HeaderType, with_header(json!({"alg": "ES256", "kid": null}))),
        (Refusal::HeaderType, with_header(json!({"alg": "ES256", "kid": "e1", "typ": ["JWT"]}))),
        (Refusal::AlgorithmMissing, with_header(json!({}))),
        (Refusal::AlgorithmNotAllowed, algorithm("PS256")),
        (Refusal::Critical, head(r#","crit":["exp"],"exp":1"#)),
        (Refusal::Critical, head(r#","crit":["b64"],"b64":true"#)),
        (Refusal::Critical, head(r#","crit":[]"#)),
        (Refusal::Critical, head(r#","crit":null"#)),
        (Refusal::Unencoded, head(r#","b64":false"#)),
        (Refusal::Unencoded, head(r#","b64":"true""#)),
        (Refusal::Compressed, head(r#","zip":"DEF""#)),
        (Refusal::TypeNotAllowed, head(r#","typ":"dpop+jwt""#)),
        (Refusal::TypeNotAllowed, head(r#","typ":"""#)),
        (Refusal::TypeNotAllowed, head(r#","typ":"text/at+jwt""#)),
        (Refusal::UnknownKey, with_header(json!({"alg": "ES256", "kid": "e2"}))),
        (Refusal::UnknownKey, with_header(json!({"alg": "ES256", "kid": ""}))),
        (Refusal::KeyUnfit, with_header(json!({"alg": "RS256", "kid": "e1"}))),
        (Refusal::KeyUnfit, with_header(json!({"alg": "ES256", "kid": "o1"}))),
        (Refusal::Signature, joined(r#"{"alg":"ES256","kid":"e1"}"#, "{}", "bad")),
        (Refusal::Signature, joined(r#"{"alg":"ES256","kid":"e1"}"#, "{}", "")),
        (Refusal::SignatureOfNone, joined(r#"{"alg":"RS256"}"#, "{}", "bad")),
        (Refusal::ClaimMissing, plain_with_claims(json!({"exp": null}))),
        (Refusal::ClaimMissing, plain_with_claims(json!({"iss": null}))),
        (Refusal::ClaimMissing, plain_with_claims(json!({"aud": null}))),
        (Refusal::Time, with_claims(json!({"exp": 1e300}))),
        (Refusal::Time, with_claims(json!({"iat": -1}))),
        (Refusal::Time, with_claims(json!({"nbf": 253_402_300_800_u64}))),
        (Refusal::Expired, with_claims(json!({"exp": NOW_S - 1}))),
        (Refusal::Expired, with_claims(json!({"exp": 0, "iat": 0, "nbf": 0}))),
        (Refusal::NotYetValid, with_claims(json!({"nbf": NOW_S + 2}))),
        (Refusal::FromTheFuture, with_claims(json!({"iat": NOW_S as f64 + 1.001}))),
        (Refusal::Issuer, with_claims(json!({"iss": "https://issuer.example/"}))),
        (Refusal::Issuer, with_claims(json!({"iss": "HTTPS://issuer.example"}))),
        (Refusal::Audience, with_claims(json!({"aud": "sock"}))),
        (Refusal::Audience, with_claims(json!({"aud": "other socket"}))),
        (Refusal::Audience, with_claims(json!({"aud": []}))),
    ];
    all.extend(["none", "NONE", "nOnE"].map(|name| (Refusal::Unsecured, algorithm(name))));
    all.extend(["HS256", "HS384", "HS512"].map(|name| (Refusal::SharedSecret, algorithm(name))));
    let unknown = ["", "ES512", "es256", "ES256 ", "ES256K", "RS1", "Ed448", "A128KW"];
    all.extend(unknown.map(|name| (Refusal::AlgorithmUnknown, algorithm(name))));
    let missing = ["iss", "aud", "sub", "client_id", "iat", "jti", "exp"];
    all.extend(missing.map(|name| (Refusal::ClaimMissing, with_claims(json!({ name: null })))));
    // What is required and null is not there.
    let null = |name: &str| {
        let payload =
            claims(json!({ name: "_" })).to_string().replace(&format!(r#""{name}":"_""#), &format!(r#""{name}":null"#));
        joined(r#"{"alg":"ES256","kid":"e1","typ":"at+jwt"}"#, &payload, "good")
    };
    all.extend(missing[..6].iter().map(|name| (Refusal::ClaimMissing, null(name))));
    let wrong = ["jti", "iss", "aud", "sub", "client_id", "azp", "exp", "iat", "nbf", "scope", "scp", "org"];
    all.extend(wrong.map(|name| (Refusal::ClaimType, with_claims(json!({ name: {"x": 1} })))));
    all.extend(["exp", "iat", "nbf"].map(|name| (Refusal::ClaimType, with_claims(json!({ name: "1700000000" })))));
    all.extend(["aud", "scope"].map(|name| (Refusal::ClaimType, with_claims(json!({ name: ["socket", 1] })))));
    all
}

#[test]
fn every_refusal_has_its_tokens() {
    let all = refused();
    for (refusal, token) in &all {
        assert_eq!(checked(token).unwrap_err(), *refusal, "{token}");
    }
    let seen: HashSet<_> = all.iter().map(|(refusal, _)| *refusal).collect();
    let unseen: Vec<_> = Refusal::ALL.iter().filter(|refusal| !seen.contains(refusal)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn a_refusal_becomes_an_error_with_nothing_of_the_token_in_it() {
    let mut texts = HashSet::new();
    for refusal in Refusal::ALL {
        let error = refusal.error();
        assert_eq!(error.code(), Code::TokenUnverified);
        assert_eq!(error.is_retriable(), !refusal.is_lasting());
        assert!(refusal.text().ends_with('.') && texts.insert(refusal.text()), "{refusal:?}");
        assert!(!refusal.newer_keys_may_help() || !refusal.is_lasting(), "{refusal:?}");
    }
    for (refusal, token) in refused() {
        let shown = format!("{refusal:?} {}", refusal.error());
        assert!(!token.split('.').any(|part| part.len() > 8 && shown.contains(part)));
    }
}

#[test]
fn leeway_is_the_only_slack_of_the_times() {
    for (changes, good) in [
        (json!({"exp": NOW_S}), true), // A second of leeway is left.
        (json!({"exp": NOW_S as f64 - 0.999}), true),
        (json!({"exp": NOW_S - 1}), false),
        (json!({"nbf": NOW_S + 1}), true),
        (json!({"nbf": NOW_S as f64 + 1.5}), false),
        (json!({"iat": NOW_S + 1}), true),
        (json!({"iat": NOW_S + 2}), false),
        (json!({"exp": 253_402_300_799_u64}), true),
    ] {
        assert_eq!(checked(&with_claims(changes.clone())).is_ok(), good, "{changes}");
    }
    // A token that ends before it was issued lives for no time at all; who asked for it refuses that.
    assert_eq!(checked(&with_claims(json!({"exp": NOW_S, "iat": NOW_S + 1}))).unwrap().lifetime_ms, Some(0));
    assert!(check(&with_claims(json!({})), &keys(), &rules(), u64::MAX, says_good).is_err());
}

#[test]
fn the_type_is_compared_as_a_media_type() {
    let typed = |typ: &str| with_header(json!({"alg": "ES256", "kid": "e1", "typ": typ}));
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt", "JWT", "jwt", "application/jwt"] {
        checked(&typed(typ)).unwrap_or_else(|refusal| panic!("{typ}: {refusal:?}"));
    }
    // Where only access tokens are believed, a token that does not say what it is is none.
    let strict = Rules { types: vec!["application/at+jwt".into()], ..rules() };
    let outcome = |token: String| check(&token, &keys(), &strict, NOW_MS, says_good);
    assert!(outcome(typed("at+jwt")).is_ok());
    assert_eq!(outcome(typed("JWT")), Err(Refusal::TypeNotAllowed));
    assert_eq!(outcome(with_header(json!({"alg": "ES256", "kid": "e1"}))), Err(Refusal::TypeNotAllowed));
    assert_eq!(Rules::default().types, ["at+jwt"]);
}

#[test]
fn nobody_is_asked_for_who_is_not_named() {
    let open = Rules { issuer: None, audience: None, ..rules() };
    let token = plain_with_claims(json!({"iss": null, "aud": null, "sub": null, "client_id": null, "nbf": null}));
    assert_eq!(check(&token, &keys(), &open, NOW_MS, says_good).unwrap().subject, None);
    let other = Rules { organisation: "organization".into(), ..rules() };
    let token = with_claims(json!({"organization": "g1"}));
    assert_eq!(check(&token, &keys(), &other, NOW_MS, says_good).unwrap().organisation.as_deref(), Some("g1"));
}

#[test]
fn keys_that_a_token_brings_along_are_not_looked_at() {
    let header = json!({
        "alg": "ES256", "kid": "theirs", "jwk": ec("theirs"), "jku": "https://evil.example/", "x5u": "https://evil.example/",
        "x5c": ["MIIB"], "x5t": "x", "cty": "x",
    });
    assert_eq!(checked(&with_header(header.clone())), Err(Refusal::UnknownKey));
    let mut ours = header;
    ours["kid"] = json!("e1");
    assert!(checked(&with_header(ours)).is_ok());
}

/// Good only for the key whose octets the signature repeats.
fn says_which(_: Algorithm, key: &Key, _: &[u8], signature: &[u8]) -> bool {
    matches!(key, Key::P256 { x, .. } if x.first() == signature.first())
}

#[test]
fn a_few_keys_are_tried_and_no_more() {
    let numbered = |number: u8, id: Option<&str>| {
        let mut key = ec("");
        key["x"] = json!(URL_SAFE_NO_PAD.encode([number; 32]));
        key["kid"] = id.map_or(Value::Null, Value::from);
        key.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        key
    };
    let try_key = |keys: &KeySet, header: &str, number: u8| {
        let token = joined(header, &claims(json!({})).to_string(), "");
        let token = format!("{token}{}", URL_SAFE_NO_PAD.encode([number]));
        check(&token, keys, &rules(), NOW_MS, says_which).map(|_| ())
    };
    let (named, unnamed) = (r#"{"alg":"ES256","kid":"k"}"#, r#"{"alg":"ES256"}"#);
    // Two keys of one id: both are tried. A key of another id is not, nor one without.
    let keys = set(&[numbered(1, Some("k")), numbered(2, Some("k")), numbered(3, Some("other")), numbered(4, None)]);
    for (number, wanted) in [(1, Ok(())), (2, Ok(())), (3, Err(Refusal::Signature)), (4, Err(Refusal::Signature))] {
        assert_eq!(try_key(&keys, named, number), wanted, "{number}");
    }
    assert_eq!(try_key(&keys, unnamed, 4), Ok(()));
    let many: Vec<_> = (0..20).map(|number| numbered(number, Some("k"))).collect();
    for (header, refusal) in [(named, Refusal::Signature), (unnamed, Refusal::SignatureOfNone)] {
        assert_eq!(try_key(&set(&many), header, 3), Ok(()));
        assert_eq!(try_key(&set(&many), header, 4), Err(refusal));
    }
}
