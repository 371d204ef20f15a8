//! Real keys and signatures: public vectors, tokens that were changed, keys that were mistaken for others.

use std::collections::HashMap;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::PrivatePkcs1KeyDer;
use serde_json::{json, Value};

use super::*;
use crate::proto::jose::{check, verify_signature, KeySet, Refusal, Rules};

const MAX: usize = 16 << 10;
const NOW_S: u64 = 1_700_000_000;

/// Of RFC 7515 A.2.1.
const RSA: &str = include_str!("../rfc7515.pem");

/// Tokens and key sets of RFC 7515 A, RFC 7517 A, RFC 7520 3 and 4, RFC 8037 A.
const VECTORS: &str = include_str!("../vectors/jose.json");

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key_set(keys: &Value) -> KeySet {
    KeySet::parse(keys.to_string().as_bytes(), 256 << 10).unwrap()
}

/// Whoever issues tokens here.
enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn of(algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let ecdsa = |kind| {
            let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap()
        };
        match algorithm {
            Algorithm::Es256 => Self::P256(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)),
            Algorithm::Es384 => Self::P384(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)),
            Algorithm::EdDsa => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Self::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
            }
            _ => {
                let der = PrivatePkcs1KeyDer::from_pem_slice(RSA.as_bytes()).unwrap();
                Self::Rsa(RsaKeyPair::from_der(der.secret_pkcs1_der()).unwrap())
            }
        }
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    fn jwk(&self) -> Value {
        let point = |bytes: &[u8]| {
            let (x, y) = bytes[1..].split_at(bytes.len() / 2);
            (base64(x), base64(y))
        };
        let (kind, curve, (x, y)) = match self {
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                return json!({"kty": "RSA", "n": base64(&public.n), "e": base64(&public.e), "kid": "k"});
            }
            Self::P256(key) => ("EC", "P-256", point(key.public_key().as_ref())),
            Self::P384(key) => ("EC", "P-384", point(key.public_key().as_ref())),
            Self::Ed25519(key) => ("OKP", "Ed25519", (base64(key.public_key().as_ref()), String::new())),
        };
        json!({"kty": kind, "crv": curve, "x": x, "y": y, "kid": "k"})
    }

    fn keys(&self) -> KeySet {
        key_set(&json!({"keys": [self.jwk()]}))
    }
}

/// An access token of RFC 9068 without its signature.
fn unsigned(algorithm: &str) -> String {
    let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": "k"}).to_string();
    let claims = json!({
        "iss": "https://issuer.example", "aud": "socket", "sub": "u", "client_id": "c", "jti": "1", "iat": NOW_S,
        "exp": NOW_S + 60, "scope": "a b",
    });
    format!("{}.{}", base64(header.as_bytes()), base64(claims.to_string().as_bytes()))
}

fn token(signer: &Signer, algorithm: Algorithm) -> String {
    let message = unsigned(algorithm.name());
    let signature = signer.sign(algorithm, message.as_bytes());
    format!("{message}.{}", base64(&signature))
}

fn checked(token: &str, keys: &KeySet) -> Result<(), Refusal> {
    let rules =
        Rules { issuer: Some("https://issuer.example".into()), audience: Some("socket".into()), ..Rules::default() };
    check(token, keys, &rules, NOW_S * 1_000, verify).map(|_| ())
}

#[test]
fn public_vectors_pass_or_are_refused_as_they_should() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut passed = 0;
    for vector in vectors["signatures"].as_array().unwrap() {
        let (name, token) = (vector["name"].as_str().unwrap(), vector["token"].as_str().unwrap());
        let outcome = verify_signature(token, MAX, &key_set(&vector["keys"]), &Algorithm::ALL, verify);
        match (outcome, vector["payload"].as_str()) {
            (Ok(signed), Some(payload)) => {
                assert_eq!(String::from_utf8(signed.payload).unwrap(), payload, "{name}");
                passed += 1;
            }
            (Err(refusal), None) => assert_eq!(format!("{refusal:?}"), vector["refusal"].as_str().unwrap(), "{name}"),
            (outcome, _) => panic!("{name}: {:?}", outcome.err()),
        }
    }
    assert_eq!(passed, 5);
    for set in vectors["sets"].as_array().unwrap() {
        let keys = key_set(&set["keys"]);
        let (name, usable) = (set["name"].as_str().unwrap(), set["usable"].as_array().unwrap());
        assert_eq!(keys.len(), usable.len(), "{name}");
        assert_eq!(keys.len() + keys.skipped(), set["keys"]["keys"].as_array().unwrap().len(), "{name}");
    }
}

#[test]
fn every_algorithm_verifies_with_a_key_of_its_own_and_no_other() {
    let signers = HashMap::from(Algorithm::ALL.map(|algorithm| (algorithm, Signer::of(algorithm))));
    for (algorithm, signer) in &signers {
        let good = token(signer, *algorithm);
        assert_eq!(checked(&good, &signer.keys()), Ok(()), "{algorithm:?}");
        // The same signature under another algorithm's name.
        let signature = good.rsplit_once('.').unwrap().1;
        for other in Algorithm::ALL.into_iter().filter(|other| other != algorithm) {
            let renamed = format!("{}.{signature}", unsigned(other.name()));
            assert!(checked(&renamed, &signer.keys()).is_err(), "{algorithm:?} as {other:?}");
            let signature = signer.sign(*algorithm, unsigned(other.name()).as_bytes());
            let forged = format!("{}.{}", unsigned(other.name()), base64(&signature));
            assert!(checked(&forged, &signer.keys()).is_err(), "{algorithm:?} signed as {other:?}");
            assert!(checked(&good, &key_set(&json!({"keys": []}))).is_err());
        }
    }
    let (another, es256) = (Signer::of(Algorithm::Es256), token(&signers[&Algorithm::Es256], Algorithm::Es256));
    assert_eq!(checked(&es256, &another.keys()), Err(Refusal::Signature));
    assert_eq!(checked(&es256, &signers[&Algorithm::Es384].keys()), Err(Refusal::KeyUnfit));
    assert_eq!(checked(&es256, &signers[&Algorithm::Rs256].keys()), Err(Refusal::KeyUnfit));
}

#[test]
fn a_token_changed_in_any_byte_is_refused() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let signer = Signer::of(algorithm);
        let (keys, good) = (signer.keys(), token(&signer, algorithm));
        assert_eq!(checked(&good, &keys), Ok(()));
        for at in 0..good.len() {
            for changed in mutations(&good, at) {
                assert!(changed != good && checked(&changed, &keys).is_err(), "{algorithm:?} at {at}: {changed}");
            }
        }
    }
}

/// What one place may become: each bit turned, what base64url and the compact form are sensitive to, less, more, swapped.
fn mutations(good: &str, at: usize) -> Vec<String> {
    let (before, rest) = good.split_at(at);
    let (own, after) = (rest.as_bytes()[0], &rest[1..]);
    let bits = (0..7).map(|bit| char::from(own ^ 1 << bit));
    let others = ['A', '_', '.', '=', '+', '/', '%', '\0', '\n', 'é'].into_iter();
    let mut all: Vec<_> = bits.chain(others).map(|other| format!("{before}{other}{after}")).collect();
    all.push(format!("{before}{after}"));
    all.push(format!("{before}A{rest}"));
    all.push(before.to_owned());
    if let Some(next) = after.chars().next() {
        all.push(format!("{before}{next}{}{}", char::from(own), &after[1..]));
    }
    all.retain(|changed| changed != good);
    all
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let signer = Signer::of(Algorithm::Rs256);
    let jwk = signer.jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, jwk.to_string().into_bytes(), RSA.as_bytes().to_vec()] {
        for name in ["HS256", "RS256"] {
            let message = unsigned(name);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            let forged = format!("{message}.{}", base64(tag.as_ref()));
            let wanted = if name == "HS256" { Refusal::SharedSecret } else { Refusal::Signature };
            assert_eq!(checked(&forged, &signer.keys()), Err(wanted));
        }
    }
}

#[test]
fn signatures_of_zeros_and_other_oddities_are_refused() {
    for (algorithm, size) in
        [(Algorithm::Es256, 64), (Algorithm::Es384, 96), (Algorithm::EdDsa, 64), (Algorithm::Rs256, 256)]
    {
        let (signer, message) = (Signer::of(algorithm), unsigned(algorithm.name()));
        let keys = signer.keys();
        let mut ones = vec![0; size];
        ones[size / 2 - 1] = 1;
        ones[size - 1] = 1;
        let good = signer.sign(algorithm, message.as_bytes());
        let (short, long, twice) = (good[1..].to_vec(), [&good[..], &[0]].concat(), [&good[..], &good].concat());
        for odd in [vec![], vec![0; size], vec![0xFF; size], ones, short, long, [&[0], &good[..]].concat(), twice] {
            let forged = format!("{message}.{}", base64(&odd));
            assert_eq!(checked(&forged, &keys), Err(Refusal::Signature), "{algorithm:?} {odd:?}");
        }
    }
}

#[test]
fn a_signature_in_der_is_refused() {
    let document = EcdsaKeyPair::generate_pkcs8(&ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    let asn1 = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::from_pkcs8(asn1, document.unwrap().as_ref(), &SystemRandom::new()).unwrap();
    let signer = Signer::P256(key);
    assert_eq!(checked(&token(&signer, Algorithm::Es256), &signer.keys()), Err(Refusal::Signature));
}

#[test]
fn keys_that_are_no_points_verify_nothing() {
    let signer = Signer::of(Algorithm::Es256);
    let good = token(&signer, Algorithm::Es256);
    for (x, y) in [(0, 0), (1, 1), (0xFF, 0xFF)] {
        let key = json!({"kty": "EC", "crv": "P-256", "x": base64(&[x; 32]), "y": base64(&[y; 32]), "kid": "k"});
        assert_eq!(checked(&good, &key_set(&json!({"keys": [key]}))), Err(Refusal::Signature));
    }
}

#[test]
fn keys_of_small_order_are_no_keys() {
    // Under the neutral element this signature is good for whatever message, so such keys must not get that far.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let forged = [&neutral[..], &[0; 32]].concat();
    assert!(verify(Algorithm::EdDsa, &Key::Ed25519 { x: neutral }, b"nobody signed this", &forged));
    let prime = |last: u8| [&[last][..], &[0xFF; 30], &[0x7F]].concat();
    let mut weak = vec![vec![0; 32], neutral.to_vec(), prime(0xEC), prime(0xED), prime(0xEE), prime(0xFF)];
    weak.extend(EIGHTHS.map(|text| URL_SAFE_NO_PAD.decode(text).unwrap()));
    let signed: Vec<_> = weak.iter().map(|point| [&point[..31], &[point[31] | 0x80]].concat()).collect();
    for point in weak.into_iter().chain(signed) {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": base64(&point), "kid": "k"});
        let token = format!("{}.{}", unsigned("EdDSA"), base64(&forged));
        assert_eq!(checked(&token, &key_set(&json!({"keys": [key]}))), Err(Refusal::UnknownKey), "{point:?}");
    }
}

/// Points of order 8.
const EIGHTHS: [&str; 2] =
    ["JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"];
