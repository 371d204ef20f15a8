//! Tests of digests and signatures, with public vectors.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use ring::signature::{UnparsedPublicKey, ECDSA_P256_SHA256_FIXED};

use super::*;
use crate::proto::pkce;

/// The key of RFC 7515 A.2.1, in PKCS #1.
const RSA: &str = include_str!("rfc7515.pem");

fn text(pem: &str) -> Pem {
    Pem::Text(Secret::new(pem.into()))
}

#[test]
fn the_challenge_is_that_of_rfc_7636_appendix_b() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(pkce::challenge(verifier, sha256), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn nothing_fresh_comes_twice() {
    let (one, other) = (fresh().unwrap(), fresh().unwrap());
    assert!(one.verifier != other.verifier && one.state != other.state && one.id != other.id);
    assert_eq!(one.challenge, pkce::challenge(one.verifier.expose(), sha256));
}

#[test]
fn an_assertion_of_a_p256_key_verifies() {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let key = SigningKey::load(&text(&pair.serialize_pem())).unwrap();
    // Short numbers come once in 128 signatures.
    for _ in 0..400 {
        let assertion = key.assertion(r#"{"iss":"x"}"#, "k1").unwrap();
        let (input, signature) = assertion.expose().rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key_raw());
        public.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let header = URL_SAFE_NO_PAD.decode(input.split('.').next().unwrap()).unwrap();
        assert_eq!(header, br#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#);
    }
}

#[test]
fn the_signature_of_an_rsa_key_is_that_of_rfc_7515_a2() {
    let key = SigningKey::load(&text(RSA)).unwrap();
    let input =
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb\
                 290Ijp0cnVlfQ";
    let signature =
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbd\
                     s9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0Gar\
                     ZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9\
                     Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert_eq!(URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()).unwrap()), signature);
    let assertion = key.assertion("{}", "").unwrap();
    let header = URL_SAFE_NO_PAD.decode(assertion.expose().split('.').next().unwrap()).unwrap();
    assert_eq!(header, br#"{"alg":"RS256","typ":"JWT"}"#);
    assert_eq!(format!("{key:?}"), "SigningKey(Rs256)");
}

#[test]
fn other_keys_are_refused_and_never_shown() {
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem();
    let broken = "-----BEGIN PRIVATE KEY-----\naHVzaA==\n-----END PRIVATE KEY-----\n".to_owned();
    let encrypted = broken.replace("PRIVATE", "ENCRYPTED PRIVATE");
    for pem in [p384, ed25519, broken, encrypted, String::new()] {
        let error = SigningKey::load(&text(&pem)).unwrap_err();
        assert_eq!(error.code(), Code::BadValue);
        assert!(!error.to_string().contains("aHVz"), "{error}");
    }
    let missing = SigningKey::load(&Pem::File("/nowhere/key.pem".into())).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/key.pem"), "{missing}");
}

#[test]
fn what_is_wrong_with_a_key_is_told() {
    let wanted = ["2048 to 8192 bits", "and no RSA-PSS", "P-256", "is encrypted"];
    let keys: Vec<_> = include_str!("unusable.pem").split("\n# ").skip(1).collect();
    assert_eq!(keys.len(), wanted.len());
    for (key, why) in keys.into_iter().zip(wanted) {
        let told = SigningKey::load(&text(key)).unwrap_err().to_string();
        assert!(told.contains(why), "{told} {key}");
    }
}

#[test]
fn a_der_signature_becomes_two_numbers_of_32_bytes() {
    assert_eq!(fixed(&[0x30, 6, 2, 1, 1, 2, 1, 2]).unwrap()[31..], [[1].as_slice(), &[0; 31], &[2]].concat());
    let long = [[0x30, 38, 2, 33, 0].as_slice(), &[0xff; 32], &[2, 1, 0x7f]].concat();
    assert_eq!(fixed(&long).unwrap()[..33], [[0xff; 32].as_slice(), &[0]].concat());
    for bad in [
        &[][..],
        &[0x30],
        &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 2],
        &[0x31, 6, 2, 1, 1, 2, 1, 2],
        &[0x30, 6, 2, 1, 1, 2, 2, 2],
        &[0x30, 6, 2, 1, 1, 2, 1, 2, 0],
        &[0x30, 7, 2, 1, 1, 2, 1, 2, 0],
    ] {
        assert_eq!(fixed(bad), None, "{bad:?}");
    }
    assert_eq!(fixed(&[[0x30, 38, 2, 33].as_slice(), &[0xff; 33], &[2, 1, 1]].concat()), None);
}
