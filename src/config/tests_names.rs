//! Tests of names that no key has.

use super::*;

#[test]
fn an_unknown_key_names_the_nearest() {
    for (wrong, right) in [
        ("regoin", "region"),
        ("ws.ping_ms", "ws.ping_after_ms"),
        ("client_id", "client.id"),
        ("WS.Ping-After-MS", "ws.ping_after_ms"),
        ("ws.headr.Cookie", "ws.header.<Name>"),
        ("ws.header", "ws.header.<Name>"),
        ("proxy.passwd", "proxy.password"),
    ] {
        assert_eq!(nearest(&Config::new().set(wrong, "x").unwrap_err()), right, "{wrong}");
    }
    let nested = [
        (r#"{"tokn":{"timeout_ms":5}}"#, "token.timeout_ms"),
        (r#"{"token":{"timeout-ms":5}}"#, "token.timeout_ms"),
        (r#"{"ws":{"headers":{"X":"1"}}}"#, "ws.header.<Name>"),
        (r#"{"Proxy":{"User":"u"}}"#, "proxy.user"),
    ];
    for (json, right) in nested {
        assert_eq!(nearest(&Config::new().set_json(json).unwrap_err()), right, "{json}");
    }
}

/// The key that the error of an unknown one names.
fn nearest(error: &Error) -> String {
    assert_eq!(error.code(), Code::UnknownKey);
    let text = error.to_string();
    text.rsplit("nearest is \"").next().and_then(|rest| rest.split('"').next()).unwrap().to_owned()
}

/// Every way to slip once in a name: a letter left out, doubled, wrong, or swapped with the next one.
fn slips(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut all = vec![name.to_uppercase(), name.replace('_', "-"), name.replace('.', "_"), name.replace('_', "")];
    for at in 0..letters.len() {
        let with = |change: fn(&mut Vec<char>, usize)| {
            let mut letters = letters.clone();
            change(&mut letters, at);
            letters.into_iter().collect::<String>()
        };
        all.push(with(|letters, at| _ = letters.remove(at)));
        all.push(with(|letters, at| letters.insert(at, letters[at])));
        all.push(with(|letters, at| letters[at] = 'q'));
        if at + 1 < letters.len() {
            all.push(with(|letters, at| letters.swap(at, at + 1)));
        }
    }
    all.retain(|slip| keys().iter().all(|key| key.name != slip));
    all
}

#[test]
fn one_slip_in_a_key_is_always_understood_and_two_nearly_always() {
    let (mut tried, mut missed) = (0, Vec::new());
    for (row, key) in keys().iter().enumerate().filter(|(_, key)| key.kind != Type::Header) {
        // Every key, and over all keys every kind of slip at every place.
        for once in slips(key.name).into_iter().skip(row % 13).step_by(13) {
            assert_eq!(nearest(&keys::unknown(&once)), key.name, "{once}");
            for twice in slips(&once).into_iter().skip(row).step_by(71) {
                tried += 1;
                let found = nearest(&keys::unknown(&twice));
                if found != key.name {
                    missed.push(format!("{twice}: {found}"));
                }
            }
        }
    }
    assert!(tried > 300 && missed.len() * 100 < tried, "{} of {tried}: {missed:?}", missed.len());
}
