//! Signatures that other people's code made, judged by the library: `jsonwebtoken` (Rust), and `jose` (JavaScript).

#[allow(dead_code, reason = "shared with the tests of other peers")]
#[path = "../peers/harness.rs"]
mod harness;

use std::time::{SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine;
use genesys_ws_auth::proto::jose::{check, Algorithm, KeySet, Refusal, Rules};
use genesys_ws_auth::verify_signature;
use jsonwebtoken::{encode, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaPublicKeyComponents, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING,
};
use serde_json::{json, Value};

use harness::Peer;

/// The key of RFC 7515 A.2.1, PKCS #1.
const RSA: &str = include_str!("../../src/shell/crypto/rfc7515.pem");

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis() as u64
}

fn keys(set: &Value) -> KeySet {
    KeySet::parse(set.to_string().as_bytes(), 256 << 10).expect("a key set")
}

fn rules() -> Rules {
    Rules { issuer: Some("https://issuer.example".into()), audience: Some("socket".into()), ..Rules::default() }
}

/// Good as it is, and refused with any byte changed, by another set, or for another audience.
fn judge(name: &str, token: &str, keys: &KeySet) {
    let checked = |token: &str, keys: &KeySet, rules: &Rules| check(token, keys, rules, now_ms(), verify_signature);
    let verified = checked(token, keys, &rules()).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
    assert_eq!(verified.subject.as_deref(), Some("u"), "{name}");
    assert_eq!(verified.client_id.as_deref(), Some("c"), "{name}");
    assert_eq!(verified.scopes, Some(vec!["a".to_owned(), "b".to_owned()]), "{name}");
    assert_eq!(verified.lifetime_ms, Some(300_000), "{name}");
    for (at, byte) in token.char_indices() {
        let other = if byte == 'A' { "B" } else { "A" };
        let changed = [&token[..at], other, &token[at + 1..]].concat();
        assert!(checked(&changed, keys, &rules()).is_err(), "{name}: byte {at}");
    }
    let (body, signature) = token.rsplit_once('.').expect("a signature");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{body}.{first}{}", &signature[1..]);
    assert_eq!(checked(&changed, keys, &rules()), Err(Refusal::Signature), "{name}");
    assert_eq!(checked(token, &KeySet::default(), &rules()), Err(Refusal::UnknownKey), "{name}");
    let elsewhere = Rules { audience: Some("elsewhere".into()), ..rules() };
    assert_eq!(checked(token, keys, &elsewhere), Err(Refusal::Audience), "{name}");
}

/// A new key: for `jsonwebtoken`, and as a JWK.
fn key(algorithm: Algorithm) -> (EncodingKey, Value) {
    let (random, text) = (SystemRandom::new(), |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
    let ecdsa = |kind, curve| {
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("the key");
        let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
        let jwk = json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)});
        (EncodingKey::from_ec_der(document.as_ref()), jwk)
    };
    match algorithm {
        Algorithm::Es256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        Algorithm::Es384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        Algorithm::EdDsa => {
            let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
            let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("the key");
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())});
            (EncodingKey::from_ed_der(document.as_ref()), jwk)
        }
        _ => {
            let lines: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
            let der = STANDARD.decode(lines).expect("base64");
            let pair = RsaKeyPair::from_der(&der).expect("an RSA key");
            let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
            (EncodingKey::from_rsa_der(&der), json!({"kty": "RSA", "n": text(&public.n), "e": text(&public.e)}))
        }
    }
}

#[test]
fn tokens_of_jsonwebtoken_are_verified() {
    for algorithm in Algorithm::ALL {
        let (key, mut jwk) = key(algorithm);
        jwk["kid"] = json!("k");
        let mut header = Header::new(algorithm.name().parse().expect("an algorithm that it knows"));
        header.kid = Some("k".into());
        header.typ = Some("at+jwt".into());
        let now_s = now_ms() / 1_000;
        let claims = json!({
            "iss": "https://issuer.example", "aud": "socket", "sub": "u", "client_id": "c", "jti": "1", "scope": "a b",
            "iat": now_s, "exp": now_s + 300,
        });
        let token = encode(&header, &claims, &key).expect("a token");
        judge(algorithm.name(), &token, &keys(&json!({"keys": [jwk]})));
    }
}

#[test]
fn tokens_of_jose_are_verified_or_refused() {
    if !harness::available("tokens_of_jose_are_verified_or_refused", &[Peer::Oidc]) {
        return;
    }
    let output = Peer::Oidc.program("sign", &[]).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let keys = keys(&said["keys"]);
    assert_eq!((keys.len(), keys.skipped()), (10, 1), "P-521 is the one that is not known");
    let token = |name: &str| said["tokens"][name].as_str().expect("a token");
    for name in Algorithm::ALL.map(Algorithm::name).into_iter().chain(["Ed25519"]) {
        judge(name, token(name), &keys);
    }
    for (name, refusal) in [("ES512", Refusal::AlgorithmUnknown), ("HS256", Refusal::SharedSecret)] {
        let outcome = check(token(name), &keys, &rules(), now_ms(), verify_signature);
        assert_eq!(outcome, Err(refusal), "{name}");
    }
}
