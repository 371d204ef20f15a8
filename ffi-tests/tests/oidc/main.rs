//! `oidc-provider` as the token endpoint, over TLS: an OAuth 2.0 server that nobody here wrote, which rotates refresh
//! tokens, revokes a whole grant when one is used twice, and lets its users sign in. Beside it a socket that accepts
//! whatever token the provider finds in its store. Every wait is for a line somebody says, with a limit.

#[allow(dead_code, reason = "shared with the tests of other peers")]
#[path = "../../peers/harness.rs"]
mod harness;

mod app;
mod desktop;
mod keys;
mod signed;

use genesys_ws_auth::hooks::Answer;
use genesys_ws_auth::{Code, Secret};
use serde_json::Value;

use app::{answer, count, post, provider, signed_in, App, ENDS_WITH_TOKEN, LIMIT};
use harness::Server;

#[test]
fn client_credentials_are_renewed_in_band() {
    let Some(mut server) = provider("client_credentials_are_renewed_in_band", &["--expires", "5"]) else { return };
    let mut app = App::machine(&server, server.env.value("MACHINE_SECRET"));
    app.client.connect(Some(LIMIT)).expect("it connects");
    for _ in 0..4 {
        app.wait_for("token");
    }
    for _ in 0..3 {
        server.wait_for("REAUTH 1");
    }
    let metrics = app.client.metrics();
    assert_eq!((metrics.connects, metrics.gaps, metrics.token_failures), (1, 0, 0));
    let lines = app.close();
    assert_eq!((count(&lines, "code"), count(&lines, "persist")), (0, 0), "{lines:#?}");
    server.wait_for("CLOSED 1 1000");
}

#[test]
fn wrong_credentials_are_told_apart_from_an_outage() {
    let Some(server) = provider("wrong_credentials_are_told_apart_from_an_outage", &[]) else { return };
    for (id, secret) in [("MACHINE_ID", "not it"), ("GWA_ISSUER", "whatever")] {
        let keys = [("client.id", server.env.value(id)), ("token.grant", "client_credentials")];
        let app = App::new(&server, &keys, secret);
        let error = app.client.connect(Some(LIMIT)).expect_err("it is refused");
        assert_eq!((error.code(), error.detail().http_status), (Code::Unauthorized, 401), "{error}");
        assert_eq!(error.detail().oauth_error, "invalid_client", "{error}");
        assert!(error.detail().host.starts_with("localhost:"), "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(secret), "{text}");
        app.close();
    }
    // A client that may not use refresh tokens: which, the provider does not even look at.
    let keys = [("client.id", server.env.value("MACHINE_ID"))];
    let app = App::new(&server, &keys, server.env.value("MACHINE_SECRET"));
    app.client.set_secret("token.refresh_token", Secret::new("found-on-the-street".into())).expect("a token");
    let error = app.client.connect(Some(LIMIT)).expect_err("it is refused");
    assert_eq!((error.code(), error.detail().http_status), (Code::Oauth, 400), "{error}");
    assert_eq!(error.detail().oauth_error, "invalid_request", "{error}");
    assert!(error.to_string().contains("requested grant type is not allowed for this client"), "{error}");
    assert!(!format!("{error:?}").contains("found-on-the-street"), "{error}");
    app.close();
}

#[test]
fn a_refresh_token_is_rotated_at_every_renewal() {
    let Some(mut server) = provider("a_refresh_token_is_rotated_at_every_renewal", &["--expires", "5"]) else { return };
    let mut app = signed_in(&server, &[]);
    for _ in 0..3 {
        // The rotated token is stored before the access token that came with it is used.
        app.wait_for("persist");
        app.wait_for("token");
        server.wait_for("GRANTED refresh_token desk");
        server.wait_for("REAUTH 1");
    }
    let mut stored: Vec<_> = (0..4).map(|ago| app.refresh_token(ago)).collect();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), 4, "each renewal brings another one");
    assert_eq!((app.client.metrics().connects, app.client.metrics().gaps), (1, 0));
    let lines = app.close();
    assert_eq!((count(&lines, "code"), count(&lines, "state ReauthRequired")), (1, 1), "{lines:#?}");
}

#[test]
fn a_stolen_refresh_token_ends_the_grant_and_a_login_recovers() {
    let test = "a_stolen_refresh_token_ends_the_grant_and_a_login_recovers";
    let Some(mut server) = provider(test, &["--expires", "6"]) else { return };
    let mut app = signed_in(&server, &ENDS_WITH_TOKEN);
    app.wait_for("persist");
    // Somebody else uses the one that is spent: the provider cannot know which of the two is the thief.
    let stolen = format!("refresh_token={}", app.refresh_token(1));
    let (status, answer) = post(&server, "GWA_TOKEN_URL", &["grant_type=refresh_token", &stolen]);
    assert_eq!((status.as_str(), &answer["error"]), ("400", &Value::from("invalid_grant")), "{answer}");
    server.wait_for("REVOKED");
    recovers(&mut server, app);
}

#[test]
fn a_revoked_refresh_token_is_asked_for_once_and_a_login_recovers() {
    let test = "a_revoked_refresh_token_is_asked_for_once_and_a_login_recovers";
    let Some(mut server) = provider(test, &["--expires", "6"]) else { return };
    let app = signed_in(&server, &ENDS_WITH_TOKEN);
    // RFC 7009, as an administrator would. Should a renewal be faster, the provider finds the whole grant by the old one.
    let token = format!("token={}", app.refresh_token(0));
    let (status, _) = post(&server, "GWA_REVOKE_URL", &[&token, "token_type_hint=refresh_token"]);
    assert_eq!(status, "200");
    server.wait_for("REVOKED");
    recovers(&mut server, app);
}

/// The next renewal fails for good, one question is asked, and whoever signs in again is live again.
fn recovers(server: &mut Server, mut app: App) {
    server.wait_for("REFUSED invalid_grant refresh token not found");
    // Until the token ends the socket is live.
    let line = app.wait_for("state ReauthRequired");
    assert!(line.contains("invalid_grant"), "{line} {:#?}", app.seen);
    let before = app.client.metrics().token_requests;
    if count(&app.seen, "code") == 1 {
        app.wait_for("code"); // both are on their way; which is first is not said
    }
    let question = app.open_question();
    // Nothing is tried while a person is waited for.
    assert_eq!(app.client.metrics().token_requests, before);
    answer(server, &question);
    app.wait_for("persist");
    app.wait_for("state Ready");
    // And its tokens are renewed as those before.
    app.wait_for("persist");
    server.wait_for("GRANTED refresh_token desk");
    let lines = app.close();
    let asked = count(&lines, "code");
    assert_eq!((asked, count(&lines, "state ReauthRequired")), (2, asked), "once at the start, once now: {lines:#?}");
}

#[test]
fn a_code_that_is_none_is_refused() {
    let Some(mut server) = provider("a_code_that_is_none_is_refused", &[]) else { return };
    let mut app = App::desk(&server, &[]);
    app.client.start().expect("it starts");
    app.question().complete(Answer::Code(Secret::new("mistyped-code".into())));
    server.wait_for("REFUSED invalid_grant");
    let refused =
        "state ReauthRequired (credentials refused) token: The refresh token, authorization code or assertion is no longer valid";
    assert!(app.wait_for(refused).contains("invalid_grant"));
    // Nobody is asked again and again by a server that refuses every code: the application says when.
    app.client.refresh_now().expect("it runs");
    let question = app.question();
    answer(&server, &question);
    app.wait_for("state Ready");
    let lines = app.close();
    assert!(!lines.iter().any(|line| line.contains("mistyped-code")), "{lines:#?}");
}
