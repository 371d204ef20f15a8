//! Access tokens that the provider signs (RFC 9068), verified by its published keys, through rotations of those; and its
//! word on tokens that say nothing (RFC 7662).

use serde_json::Value;

use super::app::{count, provider, signed_in, user, App, LIMIT};
use super::harness::Server;
use genesys_ws_auth::Code;

/// The machine, with tokens that have to verify.
fn verifying(server: &Server, more: &[(&str, &str)]) -> App {
    let env = |name| server.env.value(name);
    let keys = [
        ("client.id", env("MACHINE_ID")),
        ("token.grant", "client_credentials"),
        ("scopes.requested", "api:read"),
        ("scopes.required", "api:read"),
        ("token.verify", "jwt"),
        ("token.issuer", env("GWA_ISSUER")),
        ("token.audience", env("GWA_AUDIENCE")),
        ("token.jwks_url", env("GWA_KEYS_URL")),
    ];
    App::new(server, &[&keys, more].concat(), env("MACHINE_SECRET"))
}

/// Records of a kind, newest last.
fn records(lines: &[String], kind: &str) -> Vec<Value> {
    let json = lines.iter().filter_map(|line| line.strip_prefix("audit "));
    let all = json.map(|json| serde_json::from_str(json).expect("a record is JSON"));
    all.filter(|record: &Value| record["event_type"] == kind).collect()
}

#[test]
fn its_tokens_are_verified_whatever_they_are_signed_with() {
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let arguments = ["--jwt", algorithm];
        let Some(mut server) = provider("its_tokens_are_verified_whatever_they_are_signed_with", &arguments) else {
            return;
        };
        let app = verifying(&server, &[("token.algorithms", algorithm)]);
        app.client.connect(Some(LIMIT)).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        server.wait_for("KEYS");
        server.wait_for("AUTH 1");
        let lines = app.close();
        assert_eq!(records(&lines, "keys_loaded").len(), 1, "{algorithm}: {lines:#?}");
    }
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let Some(server) = provider("what_was_not_asked_for_is_not_taken", &["--jwt", "ES256"]) else { return };
    let wrong = [
        ("token.algorithms", "RS256", "not among token.algorithms"),
        ("token.audience", "https://other.example", "another audience than token.audience"),
        ("token.issuer", "https://other.example", "another issuer than token.issuer"),
    ];
    for (key, value, words) in wrong {
        let app = verifying(&server, &[(key, value)]);
        let error = app.client.connect(Some(LIMIT)).expect_err(key);
        assert_eq!(error.code(), Code::TokenUnverified, "{key}: {error}");
        assert!(error.to_string().contains(words), "{key}: {error}");
        app.close();
    }
}

/// Renews the token on the live socket, now.
fn renew(server: &mut Server, app: &mut App) {
    app.client.refresh_now().expect("it runs");
    server.wait_for("REAUTH 1");
    app.wait_for("state Ready (renewed)");
}

#[test]
fn its_keys_are_rotated_on_the_live_connection() {
    let arguments = ["--jwt", "ES256", "--expires", "600"];
    let Some(mut server) = provider("its_keys_are_rotated_on_the_live_connection", &arguments) else { return };
    let mut app = verifying(&server, &[("token.refresh_floor_ms", "0")]);
    app.client.connect(Some(LIMIT)).expect("it connects");
    server.wait_for("KEYS");
    renew(&mut server, &mut app);
    for old in ["kept", "dropped"] {
        let rotate = format!("{}?old={old}", server.env.value("GWA_ROTATE_URL"));
        user(&server, &["get", &rotate]);
        server.wait_for("ROTATED");
        // The next token names a key that nobody here has seen, the one after it does not.
        renew(&mut server, &mut app);
        renew(&mut server, &mut app);
    }
    let metrics = app.client.metrics();
    assert_eq!((metrics.connects, metrics.gaps, metrics.handovers), (1, 0, 0), "{:#?}", app.seen);
    let lines = app.close();
    assert_eq!(records(&lines, "keys_loaded").len(), 3, "one at first, one for each rotation: {lines:#?}");
    assert_eq!(records(&lines, "token_refused").len(), 0, "{lines:#?}");
    server.wait_for("CLOSED 1 1000");
}

#[test]
fn a_users_tokens_are_verified_too() {
    let arguments = ["--jwt", "PS256", "--expires", "6"];
    let Some(mut server) = provider("a_users_tokens_are_verified_too", &arguments) else { return };
    let env = |name| server.env.value(name).to_owned();
    let (issuer, audience, url) = (env("GWA_ISSUER"), env("GWA_AUDIENCE"), env("GWA_KEYS_URL"));
    let keys = [
        ("token.verify", "jwt"),
        ("token.issuer", issuer.as_str()),
        ("token.audience", audience.as_str()),
        ("token.jwks_url", url.as_str()),
    ];
    let mut app = signed_in(&server, &keys);
    server.wait_for("REAUTH 1");
    app.wait_for("token");
    let lines = app.close();
    assert_eq!(count(&lines, "code"), 1, "{lines:#?}");
}

#[test]
fn its_word_is_taken_for_opaque_tokens() {
    let Some(mut server) = provider("its_word_is_taken_for_opaque_tokens", &["--expires", "6"]) else { return };
    let url = server.env.value("GWA_INTROSPECTION_URL").to_owned();
    let issuer = server.env.value("GWA_ISSUER").to_owned();
    let id = server.env.value("MACHINE_ID").to_owned();
    let keys = [
        ("client.id", id.as_str()),
        ("token.grant", "client_credentials"),
        ("token.verify", "introspection"),
        ("token.introspection_url", url.as_str()),
        ("token.issuer", issuer.as_str()),
    ];
    let mut app = App::new(&server, &keys, server.env.value("MACHINE_SECRET"));
    app.client.connect(Some(LIMIT)).expect("it connects");
    for _ in 0..2 {
        server.wait_for("ASKED 200");
        server.wait_for("REAUTH 1");
        app.wait_for("token");
    }
    assert_eq!((app.client.metrics().connects, app.client.metrics().gaps), (1, 0));
    app.close();
    // An issuer that says it is another one.
    let other = [&keys[..4], &[("token.issuer", "https://other.example")]].concat();
    let app = App::new(&server, &other, server.env.value("MACHINE_SECRET"));
    let error = app.client.connect(Some(LIMIT)).expect_err("another issuer");
    assert_eq!(error.code(), Code::TokenUnverified, "{error}");
    app.close();
}
