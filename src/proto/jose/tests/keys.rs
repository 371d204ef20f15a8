//! Which keys are keys.

use super::*;

#[test]
fn a_key_is_for_what_it_says_it_is_for() {
    let key = |changes: Value| {
        let mut key = ec("e1");
        key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        set(&[key]).len()
    };
    for usable in [
        json!({}),
        json!({"alg": "ES256"}),
        json!({"use": "sig"}),
        json!({"key_ops": ["verify"]}),
        json!({"use": "sig", "key_ops": ["sign", "verify"], "x5c": ["MIIB"], "more": {"x": [1]}}),
    ] {
        assert_eq!(key(usable.clone()), 1, "{usable}");
    }
    for skipped in [
        json!({"alg": "ES384"}),
        json!({"alg": "RS256"}),
        json!({"alg": "ECDH-ES"}),
        json!({"alg": 1}),
        json!({"kid": 1}),
        json!({"use": "enc"}),
        json!({"use": "SIG"}),
        json!({"use": ["sig"]}),
        json!({"key_ops": []}),
        json!({"key_ops": "verify"}),
        json!({"key_ops": ["sign"]}),
        json!({"use": "enc", "key_ops": ["verify"]}),
        json!({"d": octets(32)}),
        json!({"kty": "ec"}),
        json!({"kty": "OKP"}),
        json!({"crv": "P-384"}),
        json!({"crv": "P-521"}),
        json!({"crv": "secp256k1"}),
        json!({"x": octets(31)}),
        json!({"y": octets(33)}),
        json!({"y": format!("{}=", octets(32))}),
    ] {
        assert_eq!(key(skipped.clone()), 0, "{skipped}");
    }
    let own = set(&[json!({"kty": "RSA", "n": octets(256), "e": "AQAB", "alg": "PS256", "kid": "r"})]);
    let token = with_header(json!({"alg": "RS256", "kid": "r"}));
    assert_eq!(check(&token, &own, &rules(), NOW_MS, says_good), Err(Refusal::KeyUnfit));
}

#[test]
fn rsa_keys_have_bounds() {
    for (key, usable) in [
        (rsa(256, &[1, 0, 1]), true),
        (rsa(1_024, &[3]), true),
        (rsa(255, &[1, 0, 1]), false),
        (rsa(1_025, &[1, 0, 1]), false),
        (rsa(256, &[1]), false),
        (rsa(256, &[0]), false),
        (rsa(256, &[]), false),
        (rsa(256, &[1, 0, 0]), false),
        (rsa(256, &[1, 0xFF, 0xFF, 0xFF, 0xFF]), true),
        (rsa(256, &[2, 0, 0, 0, 1]), false),
        (rsa(256, &[0xFF; 400]), false),
        (json!({"kty": "RSA", "n": "", "e": "AQAB"}), false),
        // Zeros that some issuers write before the number are not part of it.
        (json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([&[0][..], &[0x81; 256]].concat()), "e": "AAEAAQ"}), true),
        (json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([&[0][..], &[0x81; 255]].concat()), "e": "AQAB"}), false),
    ] {
        assert_eq!(set(std::slice::from_ref(&key)).len(), usize::from(usable), "{key}");
    }
    assert_eq!(set(&[json!({"kty": "oct", "k": octets(32), "alg": "HS256"})]).skipped(), 1);
}

#[test]
fn what_is_no_key_set_is_refused_as_a_whole() {
    let many = |count| json!({ "keys": vec![ec("e1"); count] }).to_string();
    for good in [many(0), many(100), r#"{"keys":[{}],"more":[1]}"#.to_owned()] {
        KeySet::parse(good.as_bytes(), MAX).unwrap();
    }
    for bad in [
        String::new(),
        "[]".into(),
        "{}".into(),
        r#"{"keys":{}}"#.into(),
        r#"{"keys":[1]}"#.into(),
        r#"{"keys":[],"keys":[]}"#.into(),
        r#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#.into(),
        r#"{"keys":[]} x"#.into(),
        format!(r#"{{"keys":[],"x":{}{}}}"#, "[".repeat(8), "]".repeat(8)),
        many(101),
    ] {
        assert_eq!(KeySet::parse(bad.as_bytes(), MAX).unwrap_err().code(), Code::IssuerKeys, "{bad}");
    }
    let text = many(1);
    assert!(KeySet::parse(text.as_bytes(), text.len()).is_ok());
    assert!(KeySet::parse(text.as_bytes(), text.len() - 1).is_err());
    assert!(KeySet::parse(b"{\"keys\":[{\"kty\":\"\xff\"}]}", MAX).is_err());
    assert!(set(&[]).is_empty() && keys().len() == 3 && format!("{:?}", keys()).len() < 400);
}

#[test]
fn an_algorithm_has_one_name_and_a_key_of_its_own() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
    }
    assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
    let all = [
        Key::Rsa { n: vec![], e: vec![] },
        Key::P256 { x: [0; 32], y: [0; 32] },
        Key::P384 { x: [0; 48], y: [0; 48] },
        Key::Ed25519 { x: [0; 32] },
    ];
    let fitting = all.map(|key| Algorithm::ALL.into_iter().filter(|algorithm| key.fits(*algorithm)).count());
    assert_eq!(fitting, [6, 1, 1, 1]);
}
