//! Signed tokens and key sets.

use std::sync::OnceLock;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{json, Value};

use super::line;
use crate::proto::jose::{check, verify_signature, Algorithm, Key, KeySet, Rules, Verified};
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
        issuer: Some("https://issuer.example".into()),
        audience: Some("socket".into()),
        types: vec!["at+jwt".into(), "JWT".into()],
        ..Rules::default()
    }
}

/// A token as text: none is believed but those that somebody has signed.
pub fn jws(data: &[u8]) {
    let Ok(token) = std::str::from_utf8(data) else { return };
    if verify_signature(token, MAX, &known().keys, &Algorithm::ALL, verify).is_ok() {
        assert!(known().tokens.iter().any(|signed| signed == token), "a token that nobody signed: {token}");
    }
    agree(token);
}

/// A header, and after it a payload: the token is made of them.
pub fn claims(data: &[u8]) {
    agree(&made_of(data));
}

fn made_of(data: &[u8]) -> String {
    let (header, payload) = line(data);
    [header, payload, b"signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// What is believed keeps the rules, and says what whoever reads it without verifying has read too.
fn agree(token: &str) {
    let rules = rules();
    let outcome = check(token, &known().keys, &rules, NOW_S * 1_000, always);
    assert_eq!(outcome, check(token, &known().keys, &rules, NOW_S * 1_000, always), "twice the same");
    let Ok(Verified { client_id, scopes, expires_ms, lifetime_ms, .. }) = outcome else { return };
    assert!(expires_ms + rules.leeway_ms > NOW_S * 1_000, "an old token");
    let Jwt::Claims(read) = jwt::read(token, MAX) else { panic!("verified, and not read: {token}") };
    assert_eq!(read.scopes, scopes);
    assert!(read.client_id.is_none() || read.client_id == client_id);
    match (read.lifetime_ms, lifetime_ms) {
        // One is rounded after the subtraction, one before it.
        (Some(one), Some(other)) => assert!(one.abs_diff(other) <= 1, "{one} and {other}"),
        (one, other) => assert_eq!(one, other),
    }
}

/// A key set: with its keys nothing is verified that nobody signed.
pub fn jwks(data: &[u8]) {
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
    use super::*;

    /// Else the laws would hold because nothing gets as far as them.
    #[test]
    fn what_is_good_is_believed() {
        for token in &known().tokens {
            assert!(verify_signature(token, MAX, &known().keys, &Algorithm::ALL, verify).is_ok(), "{token}");
        }
        for seed in ["access-token", "plain", "typed", "kid", "edges"] {
            let path = format!("{}/ffi-tests/fuzz/corpus/claims/{seed}", env!("CARGO_MANIFEST_DIR"));
            let token = made_of(&std::fs::read(path).unwrap());
            assert!(check(&token, &known().keys, &rules(), NOW_S * 1_000, always).is_ok(), "{seed}");
        }
    }
}
