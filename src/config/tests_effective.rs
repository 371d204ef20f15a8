//! Tests of the values in force.

use super::tests::{another, good, with};
use super::*;

/// What `to_json` tells, as a map.
fn effective(config: &Config) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(&config.to_json()).unwrap()
}

#[test]
fn the_effective_configuration_has_every_key_and_derives_what_is_not_set() {
    let shown = effective(&Config::new());
    let missing = keys().iter().find(|key| key.kind != Type::Header && !shown.contains_key(key.name));
    assert_eq!(missing.map(|key| key.name), None);
    let config = with(&[
        ("region", "us-west-2"),
        ("proxy", "http://p:1"),
        ("proxy.wss", "none"),
        ("ws.close_codes", "4001=final, 4002=retry"),
        ("ws.throttle_patterns", "Slow Down"),
        ("tls.ca_pem", "-----BEGIN CERTIFICATE-----"),
        ("token.attempts", "007"),
        ("delivery", ""),
    ]);
    let shown = effective(&config);
    for (key, value) in [
        ("region", serde_json::json!("usw2.pure.cloud")),
        ("token.url", serde_json::json!("https://api.usw2.pure.cloud/oauth/token")),
        ("ws.url", serde_json::json!("wss://api.usw2.pure.cloud/ws")),
        ("proxy.https", serde_json::json!("http://p:1")),
        ("proxy.wss", serde_json::json!("none")),
        ("ws.close_codes", serde_json::json!(["4001=final", "4002=retry"])),
        ("ws.throttle_patterns", serde_json::json!(["slow down"])),
        ("tls.trust", serde_json::json!("memory")),
        ("token.attempts", serde_json::json!(7)),
        ("net.allow_plain_loopback", serde_json::json!(false)),
        ("delivery", serde_json::json!("callbacks")),
        ("client.secret", serde_json::json!("***")),
        ("proxy.password", serde_json::Value::Null),
    ] {
        assert_eq!(shown.get(key), Some(&value), "{key}");
    }
}

#[test]
fn the_effective_configuration_hides_what_may_be_secret() {
    let mut config = with(&[
        ("ws.header.Authorization", "Bearer canary"),
        ("ws.header.X-Old", "canary"),
        ("ws.header.x-old", ""),
        ("ws.url", "wss://h/ws?key=canary"),
    ]);
    for key in keys().iter().filter(|key| key.is_secret()) {
        config.set_secret(key.name, Secret::new("-----BEGIN PRIVATE KEY-----canary".into())).unwrap();
    }
    let text = config.to_json();
    assert!(!text.contains("canary"), "{text}");
    let shown = effective(&config);
    let hidden: Vec<_> = shown.iter().filter(|(_, value)| *value == "***").map(|(key, _)| key.as_str()).collect();
    let secrets = keys().iter().filter(|key| key.is_secret()).count();
    assert_eq!(hidden.len(), secrets + 2, "{hidden:?}");
    assert!(hidden.contains(&"ws.header.Authorization") && hidden.contains(&"ws.url"));
    config.set_secret("proxy.password", Secret::new(String::new())).unwrap();
    assert_eq!(effective(&config)["proxy.password"], serde_json::Value::Null);
}

#[test]
fn the_effective_configuration_round_trips() {
    let mut all = good();
    for key in keys().iter().filter(|key| !key.is_secret() && key.kind != Type::Header) {
        all.set(key.name, &another(key)).unwrap();
    }
    let lists = r#"{"ws.throttle_patterns":[],"proxy.except":["*"],"ws.close_codes":["4001=final"],"tls.pins":[]}"#;
    let mut listed = good();
    listed.set_json(lists).unwrap();
    for config in [Config::new(), good(), all, listed, with(&[("proxy", "http://p:1"), ("tls.ca_file", "/ca.pem")])] {
        let mut shown = effective(&config);
        shown.retain(|_, value| !value.is_null() && value != "***");
        let mut again = Config::new();
        again.set_json(&serde_json::Value::Object(shown).to_string()).unwrap();
        for key in keys().iter().filter(|key| key.is_secret() && effective(&config)[key.name] == "***") {
            again.set_secret(key.name, Secret::new("hush".into())).unwrap();
        }
        assert_eq!(again.to_json(), config.to_json());
        let settings = |config: &Config| format!("{:?}", config.settings());
        assert_eq!(settings(&again), settings(&config));
    }
}
