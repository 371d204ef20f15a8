//! Tests of keys, values and checks.

use super::settings::{Grant, Pem, Trust};
use super::*;
use crate::audit::Format;

pub(super) fn good() -> Config {
    let mut config = Config::new();
    config.set("client.id", "abc123").unwrap();
    config.set_secret("client.secret", Secret::new("hush".into())).unwrap();
    config
}

pub(super) fn with(pairs: &[(&str, &str)]) -> Config {
    let mut config = good();
    for (key, value) in pairs {
        config.set(key, value).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    config
}

fn code(result: Result<impl Sized, Error>) -> Option<Code> {
    result.err().map(|error| error.code())
}

/// A value of the key that is not its default.
pub(super) fn another(key: &Key) -> String {
    match key.kind {
        Type::Text { .. } | Type::HeaderValue | Type::Header | Type::Patterns | Type::Hosts => "other".into(),
        Type::Secret | Type::Scopes | Type::Topics => "other:read".into(),
        Type::Region => "eu-central-1".into(),
        Type::Url { secure, .. } => format!("{secure}://other/"),
        Type::Integer { min, max, .. } | Type::OrZero { min, max, .. } => {
            if max.to_string() == key.default { min } else { max }.to_string()
        }
        Type::Flag => "true".into(),
        Type::Choice(options) => (*options.last().unwrap()).into(),
        Type::CloseCodes => "4001=final".into(),
        Type::Algorithms => "ES256".into(),
        Type::Pem => "-----BEGIN CERTIFICATE-----".into(),
        Type::SecretPem => "-----BEGIN PRIVATE KEY-----".into(),
        Type::Proxy => "http://other:3128".into(),
        Type::Pins => format!("sha256/{}=", "A".repeat(43)),
    }
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_settings() {
    let mut draft = Draft::default();
    for key in keys().iter().filter(|key| !matches!(key.kind, Type::Header)) {
        key.set(&mut draft, "", "").unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(format!("{draft:?}"), format!("{:?}", Draft::default()));
}

#[test]
fn every_key_changes_something_of_its_own() {
    let mut seen = vec![format!("{:?}", Draft::default())];
    for key in keys() {
        let mut draft = Draft::default();
        let secret = key.is_secret();
        let value = another(key);
        let stored =
            if secret { key.set_secret(&mut draft, Secret::new(value)) } else { key.set(&mut draft, "X", &value) };
        stored.unwrap_or_else(|error| panic!("{error}"));
        // A secret shows as `***` whether it is empty or not.
        let shown = format!("{draft:?}{}", draft.settings.client_secret.expose());
        assert!(!seen.contains(&shown), "{}", key.name);
        seen.push(shown);
    }
}

/// Fields that are filled when the whole is checked.
const DERIVED: [&str; 10] = [
    "signing_key",
    "pkce",
    "token_url",
    "ws_url",
    "authorize_url",
    "api_url",
    "streaming_host",
    "unknown_scopes",
    "trust",
    "client_identity",
];

#[test]
fn every_field_of_the_settings_can_be_reached() {
    let mut draft = Draft::default();
    for key in keys() {
        let value = Secret::new(another(key));
        let stored =
            if key.is_secret() { key.set_secret(&mut draft, value) } else { key.set(&mut draft, "X", value.expose()) };
        stored.unwrap();
    }
    let (before, after) = (format!("{:#?}", Settings::default()), format!("{:#?}", draft.settings));
    for line in before.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     ")) {
        // A secret shows as `***` either way.
        let derived =
            line.trim().starts_with("client_secret") || DERIVED.iter().any(|name| line.trim().starts_with(name));
        let opens = line.ends_with(['[', '{', ']', '}', ')']) || line.ends_with("],") || line.ends_with("},");
        assert!(derived || opens || !after.lines().any(|other| other == line), "{line} cannot be changed");
    }
}

#[test]
fn documentation_is_complete_and_names_are_unique() {
    let mut names: Vec<_> = keys().iter().map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), keys().len());
    assert!(keys().iter().all(|key| !key.doc.is_empty() && !key.doc.ends_with('.')));
}

#[test]
fn a_bad_value_names_key_type_and_range_and_is_not_quoted() {
    for (key, value) in [
        ("token.attempts", "0"),
        ("token.attempts", "101"),
        ("token.attempts", "+3"),
        ("thread.stack_bytes", "1"),
        ("thread.stack_bytes", "131071"),
        ("token.attempts", "99999999999999999999"),
        ("tls.trust", "none"),
        ("net.allow_plain_loopback", "yes"),
        ("region", "https://mypurecloud.com"),
        ("region", "my_secret:443"),
        ("client.id", "a\nb"),
        ("ws.url", "https://h/"),
        ("token.url", "https://user:my_secret@h/"),
        ("scopes.required", "a\tb"),
        ("ws.throttle_patterns", "a,,b"),
        ("ws.origin", "a\r\nX: my_secret"),
        ("ws.header.Host", "h"),
        ("ws.header.Sec-WebSocket-Key", "h"),
        ("ws.header.a b", "h"),
        ("tls.ca_pem", "my_secret"),
        ("tls.min_version", "1.1"),
        ("tls.pins", "sha256/my_secret"),
        ("proxy", "http://user:my_secret@h:1"),
        ("proxy", "socks5://h:1"),
        ("proxy.wss", "h"),
        ("proxy.except", "a b,my_secret"),
    ] {
        let error = Config::new().set(key, value).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.code(), Code::BadValue, "{key}");
        assert!(text.contains("wanted: ") && !text.contains("my_secret"), "{text}");
    }
}

#[test]
fn secrets_have_their_own_setter() {
    let error = Config::new().set("client.secret", "hush").unwrap_err();
    assert!(error.to_string().contains("set_secret") && !error.to_string().contains("hush"), "{error}");
    assert_eq!(code(Config::new().set_json(r#"{"client":{"secret":"hush"}}"#)), Some(Code::BadValue));
    let error = Config::new().set_secret("client.secret", Secret::new("hush\r\n".into())).unwrap_err();
    assert!(!error.to_string().contains("hush"), "{error}");
    assert!(!format!("{:?}", good()).contains("hush"));
    assert_eq!(code(check_secret("region", &Secret::new("x".into()))), Some(Code::BadValue));
    assert_eq!(code(check_secret("client.secret", &Secret::new(String::new()))), Some(Code::BadValue));
    assert_eq!(code(check_secret("token.refresh_token", &Secret::new("x".into()))), None);
}

#[test]
fn what_is_needed_and_missing_is_named() {
    let missing = |config: Config| config.settings().unwrap_err();
    assert!(missing(Config::new()).to_string().contains("client.id"));
    let error = missing(with(&[("token.grant", "refresh_token")]));
    assert!(error.code() == Code::MissingKey && error.to_string().contains("token.refresh_token"));
    let error = missing(with(&[("token.grant", "authorization_code"), ("token.redirect_uri", "app://x")]));
    assert!(error.to_string().contains("on_ask"), "{error}");
    let polled = [("token.grant", "authorization_code"), ("token.redirect_uri", "app://x"), ("delivery", "poll")];
    assert_eq!(with(&polled).settings().unwrap().grant, Grant::AuthorizationCode);
}

#[test]
fn a_listener_is_for_loopback() {
    let set = |uri| {
        let keys = [("delivery", "poll"), ("client.authentication", "none"), ("token.grant", "authorization_code")];
        let listens = [("token.redirect_listener", "true"), ("token.redirect_uri", uri)];
        with(&[&keys[..], &listens[..]].concat()).settings()
    };
    for uri in ["http://127.0.0.1:0/cb", "http://127.0.0.1:8137/", "http://[::1]:1/cb"] {
        assert!(set(uri).unwrap().redirect_listener, "{uri}");
    }
    for uri in
        ["http://localhost:1/cb", "https://127.0.0.1:1/cb", "http://0.0.0.0:1/cb", "http://127.0.0.1:1", "app:/cb"]
    {
        let error = set(uri).unwrap_err();
        assert!(error.code() == Code::BadValue && error.to_string().contains("token.redirect_uri"), "{uri}: {error}");
    }
}

#[test]
fn tokens_of_the_application_need_somebody_to_ask_and_no_credentials() {
    let mut config = Config::new();
    config.set("token.grant", "application").unwrap();
    let error = config.settings().unwrap_err();
    assert!(error.code() == Code::MissingKey && error.to_string().contains("on_ask"), "{error}");
    let mut asked = config.clone();
    asked.hooks.on_ask = Some(std::sync::Arc::new(|_| ()));
    assert_eq!(asked.settings().unwrap().grant, Grant::Application);
    config.set("delivery", "poll").unwrap();
    assert_eq!(config.settings().unwrap().provider_timeout_ms, 15_000);
}

#[test]
fn addresses_follow_the_region_unless_set() {
    let settings = with(&[("region", "usw2.pure.cloud"), ("ws.url", "wss://proxy:8443/ws")]).settings().unwrap();
    assert_eq!(settings.token_url, "https://api.usw2.pure.cloud/oauth/token");
    assert_eq!(settings.ws_url, "wss://proxy:8443/ws");
    let settings = with(&[("ws.url", "wss://proxy/ws"), ("ws.url", "")]).settings().unwrap();
    assert_eq!(settings.ws_url, "wss://api.mypurecloud.com/ws");
}

#[test]
fn plain_text_goes_only_to_this_machine_and_only_if_allowed() {
    let allow = ("net.allow_plain_loopback", "true");
    assert_eq!(code(with(&[("ws.url", "ws://127.0.0.1:80/")]).settings()), Some(Code::BadValue));
    assert_eq!(code(with(&[("token.url", "http://10.0.0.1/"), allow]).settings()), Some(Code::BadValue));
    assert_eq!(code(with(&[("ws.url", "ws://[::1]:80/"), ("token.url", "http://localhost/"), allow]).settings()), None);
}

#[test]
fn formats_are_chosen_by_sink() {
    let settings = with(&[]).settings().unwrap();
    assert_eq!((settings.formats.audit, settings.formats.siem), (Format::Native, Format::Native));
    let words = ["native", "ocsf", "ecs", "cef", "rfc5424"];
    for (word, format) in words.into_iter().zip(Format::ALL) {
        let settings = with(&[("audit.siem_format", word)]).settings().unwrap();
        assert_eq!((settings.formats.audit, settings.formats.siem, format.name()), (Format::Native, format, word));
        assert_eq!(with(&[("audit.format", word)]).settings().unwrap().formats.audit, format);
    }
    for (word, number) in [("kern", 0), ("authpriv", 10), ("audit", 13), ("local7", 23)] {
        assert_eq!(with(&[("audit.syslog_facility", word)]).settings().unwrap().formats.syslog.facility, number);
    }
    assert_eq!(code(good().set("audit.syslog_facility", "10")), Some(Code::BadValue));
}

#[test]
fn contradictions_are_refused() {
    for pairs in [
        [("delivery", "poll"), ("audit.policy", "block")],
        [("audit.siem_format", "rfc5424"), ("audit.syslog_hostname", "my host")],
        [("client.id", "a:b"), ("token.basic", "raw")],
        [("tls.trust", "system"), ("tls.ca_file", "ca.pem")],
        [("tls.ca_pem", "-----BEGIN CERTIFICATE-----"), ("tls.ca_file", "ca.pem")],
        [("tls.trust", "directory"), ("tls.ca_file", "ca.pem")],
        [("tls.ca_directory", "/etc"), ("tls.ca_file", "ca.pem")],
        [("tls.client_cert_file", "c"), ("tls.client_cert_pem", "-----BEGIN CERTIFICATE-----")],
        [("proxy.user", "u"), ("region", "h")],
        [("proxy.user", "u:v"), ("proxy", "http://h:1")],
    ] {
        assert_eq!(code(with(&pairs).settings()), Some(Code::BadValue), "{pairs:?}");
    }
    for pair in [
        ("tls.trust", "memory"),
        ("tls.trust", "directory"),
        ("tls.client_cert_file", "c"),
        ("tls.client_key_file", "k"),
    ] {
        assert_eq!(code(with(&[pair]).settings()), Some(Code::MissingKey), "{pair:?}");
    }
}

#[test]
fn whom_an_assertion_is_for_is_never_guessed() {
    let key = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----";
    let mut config = with(&[("client.authentication", "private_key_jwt")]);
    config.set_secret("client.private_key_pem", Secret::new(key.into())).unwrap();
    let error = config.settings().unwrap_err();
    assert!(error.code() == Code::MissingKey && error.to_string().contains("client.assertion_audience"), "{error}");
    config.set("client.assertion_audience", "https://as.example").unwrap();
    assert_eq!(config.settings().unwrap().assertion_audience, "https://as.example");
    assert_eq!(with(&[("client.assertion_audience", "https://as.example")]).settings().map(drop), Ok(()), "of no use");
}

#[test]
fn the_trust_file_is_read_when_a_client_is_made() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for wrong in ["/nowhere/ca.pem", "/dev/null", "/", manifest] {
        let error = with(&[("tls.ca_file", wrong)]).settings().unwrap_err();
        assert!(error.code() == Code::TrustStore && error.to_string().contains(wrong), "{error}");
    }
    let directory = with(&[("tls.ca_directory", "/etc")]).settings().unwrap();
    assert_eq!(directory.trust, Trust::Directory("/etc".into()));
    assert_eq!(code(with(&[("tls.ca_directory", manifest)]).settings()), Some(Code::TrustStore));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests.rs");
    let settings = with(&[("tls.trust", "file"), ("tls.ca_file", source)]).settings().unwrap();
    assert_eq!(settings.trust, Trust::File(source.into()));
}

#[test]
fn certificate_and_key_come_from_files_or_texts_in_any_mix() {
    let key = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----";
    let mut config = with(&[("tls.client_cert_file", "c.pem")]);
    config.set_secret("tls.client_key_pem", Secret::new(key.into())).unwrap();
    let identity = config.settings().unwrap().client_identity.unwrap();
    assert_eq!(identity.certificate, Pem::File("c.pem".into()));
    assert_eq!(identity.key, Pem::Text(Secret::new(key.into())));
    assert!(!format!("{identity:?}").contains("hush"));
    assert_eq!(code(config.set("tls.client_key_pem", key)), Some(Code::BadValue), "it is a secret");
    assert_eq!(code(config.set_secret("tls.client_key_pem", Secret::new("hush".into()))), Some(Code::BadValue));
}

#[test]
fn proxies_and_pins_are_read() {
    let pin = format!("sha256/{}=", "A".repeat(43));
    let config = with(&[("proxy", "http://p:3128"), ("proxy.wss", "none"), ("tls.pins", &format!("{pin}, {pin}"))]);
    let settings = config.settings().unwrap();
    assert_eq!(settings.proxies.token.unwrap().peer(), "p:3128");
    assert_eq!((settings.proxies.socket, settings.pins.len()), (None, 2));
    let mut config = good();
    config
        .set_json(&format!(
            r#"{{"tls":{{"pins":["{pin}"]}},"proxy.except":["a.b","10.0.0.0/8"],"proxy":"http://p:1"}}"#
        ))
        .unwrap();
    assert_eq!(config.settings().unwrap().proxies.token.unwrap().except.len(), 2);
}

#[test]
fn json_is_flat_or_nested() {
    let mut config = good();
    config
        .set_json(
            r#"{"region":"mypurecloud.ie","token":{"attempts":5,"url":"https://t/"},"scopes.required":["b:read","a:read"],
            "net":{"allow_plain_loopback":true},"ws":{"header":{"X-Site":"a\":b"},"throttle_patterns":["Slow down","busy"]}}"#,
        )
        .unwrap();
    let settings = config.settings().unwrap();
    assert_eq!((settings.region.as_str(), settings.attempts_per_round), ("mypurecloud.ie", 5));
    assert_eq!((settings.token_url.as_str(), settings.allow_plain_loopback), ("https://t/", true));
    assert_eq!(settings.required_scopes, ["b:read", "a:read"]);
    assert_eq!(settings.throttle_patterns, ["slow down", "busy"]);
    assert_eq!(settings.headers, [("X-Site".to_owned(), "a\":b".to_owned())]);
}

#[test]
fn json_is_all_or_nothing() {
    for wrong in [
        "",
        "[]",
        "{",
        r#"{"region":"h","region":"i"}"#,
        r#"{"token.attempts":5,"token":{"attempts":6}}"#,
        r#"{"region":"h","token":{"attempts":0}}"#,
        r#"{"region":"h","token":{"attempts":1.5}}"#,
        r#"{"region":null}"#,
        r#"{"region":["h"]}"#,
        r#"{"scopes.required":["a",""]}"#,
        r#"{"scopes.required":["a b"]}"#,
        r#"{"scopes.required":[1]}"#,
        r#"{"region":{"a":{"a":1}}}"#,
        r#"{"region":5}"#,
        r#"{"token.attempts":"5"}"#,
        r#"{"token.attempts":-5}"#,
        r#"{"net.allow_plain_loopback":"true"}"#,
        r#"{"tls.min_version":1.2}"#,
        r#"{"scopes.required":"a b"}"#,
        r#"{"ws.close_codes":["4001=final","4001=retry"]}"#,
    ] {
        let mut config = good();
        assert_eq!(code(config.set_json(wrong)), Some(Code::BadValue), "{wrong}");
        assert_eq!(config.settings().unwrap().region, "mypurecloud.com", "{wrong}");
    }
    assert_eq!(code(good().set_json(r#"{"regoin":"h"}"#)), Some(Code::UnknownKey));
    assert_eq!(code(good().set_json(r#"{"tokn":{"timeout_ms":5}}"#)), Some(Code::UnknownKey));
    assert_eq!(code(good().set_json(r#"{"tokn":{}}"#)), Some(Code::UnknownKey));
    assert_eq!(code(good().set_json(r#"{"ws":{"header":{"X":{"Y":"1"}}}}"#)), Some(Code::BadValue));
    assert_eq!(code(good().set_json(r#"{"token":{"attempts":5.0},"ws":{"header":{}}}"#)), None);
    assert_eq!(code(good().set_json(&" ".repeat((1 << 20) + 1))), Some(Code::TooLarge));
    assert_eq!(code(good().set_json(&"[".repeat(10_000))), Some(Code::BadValue));
}

#[test]
fn the_environment_sets_what_is_there() {
    let mut config = good();
    let there = |name: &str| match name {
        "GENESYS_REGION" => Some("ap-northeast-1".into()),
        "GENESYS_CLIENT_ID" => Some(OsString::new()),
        "GENESYS_REFRESH_TOKEN" => Some("dGhp".into()),
        _ => None,
    };
    config.set_from(there).unwrap();
    let settings = config.settings().unwrap();
    assert_eq!((settings.region.as_str(), settings.client_id.as_str()), ("mypurecloud.jp", "abc123"));
    assert_eq!(settings.refresh_token, Some(Secret::new("dGhp".into())));
    let wrong = |name: &str| Some(if name == "GENESYS_CLIENT_SECRET" { "a\nb".into() } else { "h".into() });
    assert_eq!(code(config.set_from(wrong)), Some(Code::BadValue));
    assert_eq!(config.settings().unwrap().region, "mypurecloud.jp", "all or nothing");
}

#[test]
fn a_header_is_replaced_and_removed_whatever_its_case() {
    let config = with(&[("ws.header.X-A", "1"), ("ws.header.x-a", "2"), ("ws.header.X-B", "3"), ("ws.header.X-B", "")]);
    assert_eq!(config.settings().unwrap().headers, [("x-a".to_owned(), "2".to_owned())]);
}

#[test]
fn scopes_are_checked_by_name() {
    assert!(check_scopes(&[]).is_ok() && check_scopes(&["conversation:read"]).is_ok());
    for bad in ["", "a b", "a\u{a0}b", "a\0"] {
        assert_eq!(code(check_scopes(&["a", bad])), Some(Code::InvalidArgument), "{bad:?}");
    }
}

#[test]
fn a_region_is_an_aws_name_or_a_domain_and_its_hosts_follow() {
    let hosts = |pairs: &[(&str, &str)]| {
        let settings = with(pairs).settings().unwrap();
        [settings.token_url, settings.authorize_url, settings.ws_url, settings.api_url, settings.streaming_host]
    };
    let login = "https://login.mypurecloud.de/oauth";
    let (token, authorize) = (format!("{login}/token"), format!("{login}/authorize"));
    assert_eq!(
        hosts(&[("region", "EU-Central-1"), ("profile", "notifications")]),
        [&token, &authorize, "", "https://api.mypurecloud.de", "streaming.mypurecloud.de"]
    );
    assert_eq!(
        hosts(&[("region", "eu-central-1")]),
        ["https://api.mypurecloud.de/oauth/token", &authorize, "wss://api.mypurecloud.de/ws", "", ""]
    );
    let given = ["https://t/", "https://a/", "", "https://r:8443", "s:8443"];
    let overridden = [
        ("profile", "notifications"),
        ("token.url", given[0]),
        ("token.authorize_url", given[1]),
        ("api.url", given[3]),
        ("notifications.streaming_host", given[4]),
    ];
    assert_eq!(hosts(&overridden), given);
    let error = Config::new().set("region", "https://login.eu-central-9/").unwrap_err();
    assert!(error.to_string().contains("no host name; the nearest that is known is \"eu-central-1\""), "{error}");
}

#[test]
fn where_a_channel_may_lead_is_a_host() {
    let host = |host: &str| {
        let pairs = [("profile", "notifications"), ("notifications.streaming_host", host)];
        with(&pairs).settings().map(|settings| settings.streaming_host)
    };
    for good in ["streaming.x", "streaming.x:8443", "[::1]:8443", "127.0.0.1"] {
        assert_eq!(host(good).as_deref(), Ok(good));
    }
    for bad in ["streaming.x/abc", "streaming.x?abc", "streaming.x/", "wss://streaming.x", "a b", "u@h", "h#f", "h:0"] {
        assert_eq!(code(host(bad)), Some(Code::BadValue), "{bad}");
    }
}

#[test]
fn the_api_has_no_path_of_its_own() {
    let api = |url: &str| with(&[("profile", "notifications"), ("api.url", url)]).settings();
    for good in ["https://api.x", "https://api.x/", "HTTPS://[::1]:8443"] {
        assert!(api(good).is_ok(), "{good}");
    }
    for bad in ["https://api.x/base", "https://api.x?a=b", "https://api.x/?a=b", "https://api.x//", "https://api.x?"] {
        let error = api(bad).unwrap_err();
        assert_eq!(error.code(), Code::BadValue, "{bad}");
        assert!(error.to_string().contains(r#""api.url": it has a path or a query"#), "{error}");
    }
}

#[test]
fn a_token_store_has_a_file_name() {
    let store = |path: &str| with(&[("token.store", path)]).settings();
    for good in ["tokens".to_owned(), "/a/../tokens".into(), format!("/a/{}", "n".repeat(200))] {
        assert!(store(&good).is_ok(), "{good}");
    }
    for bad in ["/", "..", ".", "/a/", "/a/..", "/a/."].map(str::to_owned).into_iter().chain(["n".repeat(201)]) {
        let error = store(&bad).unwrap_err();
        assert_eq!(error.code(), Code::BadValue, "{bad}");
        assert!(error.to_string().contains("\"token.store\": "), "{error}");
    }
}

#[test]
fn a_chain_has_a_key_of_32_bytes_and_checkpoints() {
    let chain = |key: &str, pairs: &[(&str, &str)]| {
        let mut config = with(pairs);
        config.set_secret("audit.chain_key", Secret::new(key.into())).unwrap();
        config.settings().map(|settings| settings.chain)
    };
    let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
    let set = chain(&digits, &[]).unwrap();
    assert!(set.checkpoints && set.key.is_some() && set.checkpoint_records == 256 && set.checkpoint_ms == 300_000);
    assert!(chain("", &[("audit.chain_state", "/x/chain")]).unwrap().checkpoints);
    assert!(chain("", &[("audit.checkpoints", "on")]).unwrap().checkpoints);
    assert!(!chain("", &[]).unwrap().checkpoints);
    for wrong in ["hush", &digits[1..], &format!("{digits}0"), &digits.replace('0', "g")] {
        let error = chain(wrong, &[]).unwrap_err();
        assert_eq!(error.code(), Code::BadValue);
        assert!(error.to_string().contains("\"audit.chain_key\": ") && !error.to_string().contains(wrong), "{error}");
    }
    for wrong in [[("audit.chain_state", "/x/")], [("audit.checkpoints", "off")]] {
        assert_eq!(code(chain(&digits, &wrong)), Some(Code::BadValue), "{wrong:?}");
    }
}
