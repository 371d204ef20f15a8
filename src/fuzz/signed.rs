//! Signed tokens and key sets.

use std::sync::OnceLock;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{json, Value};

use super::line;
use super::said::{Said, AUDIENCE, ISSUER};
use crate::proto::jose::{check, verify_signature, Algorithm, Key, KeySet, Refusal, Rules, Verified, Verify};
use crate::proto::jwt::{self, Jwt};
use crate::shell::crypto::verify::verify;

const MAX: usize = 16 << 10;
const NOW_S: u64 = 1_700_000_000;

/// Public tokens, and the keys of all of them as one set.
struct Known {
    tokens: Vec<String>,
    keys: KeySet,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let vectors: Value = serde_json::from_str(include_str!("../shell/crypto/vectors/jose.json")).expect("JSON");
        let signed = vectors["signatures"].as_array().expect("a list");
        let good = signed.iter().filter(|vector| vector.get("payload").is_some());
        let tokens = good.clone().map(|vector| vector["token"].as_str().expect("a token").to_owned()).collect();
        let keys: Vec<_> = good.flat_map(|vector| vector["keys"]["keys"].as_array().expect("keys").clone()).collect();
        let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), MAX).expect("a set");
        Known { tokens, keys }
    })
}

/// A signature is good whatever it is: the way to what comes after it.
fn always(_: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
    true
}

fn rules() -> Rules {
    Rules {
        issuer: Some(ISSUER.into()),
        audience: Some(AUDIENCE.into()),
        types: vec!["at+jwt".into(), "JWT".into()],
        ..Rules::default()
    }
}

/// Checks a token by these rules, as [`check`] does.
type Checks = fn(&str, &Rules) -> Result<Verified, Refusal>;

/// As if whoever signed it was known.
fn checked(token: &str, rules: &Rules) -> Result<Verified, Refusal> {
    check(token, &known().keys, rules, NOW_S * 1_000, always)
}

/// A token as text: none is believed but those that somebody has signed.
pub fn jws(data: &[u8]) {
    jws_by(data, verify);
}

fn jws_by(data: &[u8], verify: Verify) {
    let Ok(token) = std::str::from_utf8(data) else { return };
    if verify_signature(token, MAX, &known().keys, &Algorithm::ALL, verify).is_ok() {
        assert!(known().tokens.iter().any(|signed| signed == token), "a token that nobody signed: {token}");
    }
    agree(token, checked);
}

/// A header, and after it a payload: the token is made of them.
pub fn claims(data: &[u8]) {
    agree(&made_of(data), checked);
}

fn made_of(data: &[u8]) -> String {
    let (header, payload) = line(data);
    [header, payload, b"signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// What is believed keeps the rules, and says what whoever reads it without verifying has read too.
fn agree(token: &str, checks: Checks) {
    let rules = rules();
    let outcome = checks(token, &rules);
    assert_eq!(outcome, checks(token, &rules), "twice the same");
    let Ok(verified) = outcome else { return };
    keeps_the_rules(token, &verified, &rules);
    let Jwt::Claims(read) = jwt::read(token, MAX) else { panic!("verified, and not read: {token}") };
    assert_eq!(read.scopes, verified.scopes, "other scopes");
    assert!(read.client_id.is_none() || read.client_id == verified.client_id, "another client");
    match (read.lifetime_ms, verified.lifetime_ms) {
        // One is rounded after the subtraction, one before it.
        (Some(one), Some(other)) => assert!(one.abs_diff(other) <= 1, "{one} and {other}"),
        (one, other) => assert_eq!(one, other, "another lifetime"),
    }
}

/// What RFC 9068 2.2 requires.
const REQUIRED: [&str; 7] = ["exp", "iss", "aud", "sub", "client_id", "iat", "jti"];

/// Times, types, issuer and audience, as the token has them.
fn keeps_the_rules(token: &str, verified: &Verified, rules: &Rules) {
    let mut parts = token.split('.').map(Said::of_part);
    let (header, claims) = (parts.next().expect("a header"), parts.next().expect("a payload"));
    let kind = header.text("typ").unwrap_or("jwt").to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    assert!(["at+jwt", "jwt"].contains(&kind), "believed, and of another type: {kind}");
    assert_eq!(header.text("alg"), Some(verified.algorithm.name()), "another algorithm");
    let required = if kind == "at+jwt" { &REQUIRED[..] } else { &REQUIRED[..3] };
    required.iter().for_each(|name| assert!(claims.has(name), "believed without {name}"));
    claims.assert_types(&["iss", "sub", "client_id", "azp", "jti", "org"], &["aud", "scope", "scp"]);
    claims.assert_in_time(NOW_S * 1_000, rules.leeway_ms);
    claims.assert_issuer();
    claims.assert_audience();
    assert_eq!(claims.text("sub"), verified.subject.as_deref(), "another subject");
    assert_eq!(claims.text("org"), verified.organisation.as_deref(), "another organisation");
    let ends = claims.time_ms("exp").expect("it is required");
    assert!((ends - verified.expires_ms as f64).abs() <= 1.0, "another end: {ends}");
}

/// A key set: with its keys nothing is verified that nobody signed.
pub fn jwks(data: &[u8]) {
    jwks_by(data, verify);
}

fn jwks_by(data: &[u8], verify: Verify) {
    let Ok(keys) = KeySet::parse(data, 256 << 10) else { return };
    let set: Value = serde_json::from_slice(data).expect("what is taken strictly is JSON");
    let listed = set["keys"].as_array().expect("an array").len();
    assert!(keys.len() + keys.skipped() == listed && listed <= 100);
    for algorithm in Algorithm::ALL {
        let message = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm.name() }).to_string());
        for signature in forged(algorithm) {
            let token = format!("{message}.e30.{}", URL_SAFE_NO_PAD.encode(signature));
            let outcome = verify_signature(&token, MAX, &keys, &Algorithm::ALL, verify);
            assert!(outcome.is_err(), "{algorithm:?} verified what nobody signed");
        }
    }
}

/// Signatures that weak keys or careless arithmetic take: of zeros, of ones, of neutral elements.
fn forged(algorithm: Algorithm) -> Vec<Vec<u8>> {
    let size = match algorithm {
        Algorithm::Es256 | Algorithm::EdDsa => 64,
        Algorithm::Es384 => 96,
        _ => 256,
    };
    let (mut first, mut last) = (vec![0; size], vec![0; size]);
    first[0] = 1;
    last[size / 2 - 1] = 1;
    last[size - 1] = 1;
    vec![vec![], vec![0; size], vec![0xFF; size], first, last]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_broken, seed};
    use super::*;

    /// Else the laws would hold because nothing gets as far as them.
    #[test]
    fn what_is_good_is_believed() {
        for token in &known().tokens {
            assert!(verify_signature(token, MAX, &known().keys, &Algorithm::ALL, verify).is_ok(), "{token}");
        }
        for name in ["access-token", "plain", "typed", "kid", "edges"] {
            assert!(checked(&made_of(&seed("claims", name)), &rules()).is_ok(), "{name}");
        }
    }

    /// Checks that leave one rule out, and the file that only this rule refuses.
    const LAX: [(&str, Checks, &str); 6] = [
        ("other-issuer", |token, rules| checked(token, &Rules { issuer: None, ..rules.clone() }), "another issuer"),
        (
            "other-audience",
            |token, rules| checked(token, &Rules { audience: None, ..rules.clone() }),
            "another audience",
        ),
        ("other-type", |token, rules| checked(token, &Rules { types: vec!["id+jwt".into()], ..rules.clone() }), "type"),
        ("expired", patient, "and expired"),
        ("not-yet", patient, "nbf is to come"),
        ("from-the-future", patient, "iat is to come"),
    ];

    fn patient(token: &str, rules: &Rules) -> Result<Verified, Refusal> {
        checked(token, &Rules { leeway_ms: 1 << 40, ..rules.clone() })
    }

    #[test]
    fn a_rule_that_is_left_out_breaks_a_law() {
        for (name, lax, words) in LAX {
            let token = made_of(&seed("claims", name));
            assert!(checked(&token, &rules()).is_err() && lax(&token, &rules()).is_ok(), "{name}");
            assert_broken(words, || agree(&token, lax));
        }
    }

    /// A check that says of every token what is true of one.
    fn credulous(_: &str, rules: &Rules) -> Result<Verified, Refusal> {
        checked(&made_of(&seed("claims", "access-token")), rules)
    }

    #[test]
    fn what_is_believed_of_another_token_breaks_a_law() {
        for (name, words) in [
            ("types", "without aud"),
            ("lists", "sub is no text"),
            ("claim-missing", "without jti"),
            ("kid", "another algorithm"),
            ("edges", "another end"),
        ] {
            assert_broken(words, || agree(&made_of(&seed("claims", name)), credulous));
        }
    }

    #[test]
    fn a_signature_that_nobody_looks_at_breaks_a_law() {
        let forged = known().tokens[0].replacen('.', ".e30.", 1).rsplit_once('.').expect("parts").0.to_owned();
        jws(forged.as_bytes());
        assert_broken("nobody signed", || jws_by(forged.as_bytes(), always));
        assert_broken("nobody signed", || jwks_by(&seed("jwks", "all"), always));
    }
}
