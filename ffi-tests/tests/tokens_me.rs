//! What the refresher asks of `/api/v2/tokens/me` over real sockets: the scopes of an opaque token, and its end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ffi_tests::sim::{
    ApiReply, Issue, Log, Options, Request, Rotation, Route, Sim, TokenForm, TokenPolicy, TokenReply,
};
use genesys_ws_auth::proto::token::Token;
use genesys_ws_auth::{Client, Code, Config, Error, Secret, TokenSource};
use serde_json::Value;

/// No test waits longer for anything.
const BOUND: Duration = Duration::from_secs(60);

/// A simulator whose tokens are opaque, with answers that name no scope.
fn opaque() -> Sim {
    let mut options = Options::default();
    options.token.form = TokenForm::Opaque;
    let sim = Sim::start(options);
    sim.token().always(TokenReply::Issue(Issue::new().without("scope")));
    sim
}

/// The configuration of a client of the profile that needs `user:read`, with a refresh token.
fn config(sim: &Sim) -> Config {
    let policy = TokenPolicy::default();
    let mut config = Config::new();
    let keys = [
        ("profile", "notifications".to_owned()),
        ("token.url", sim.token_url()),
        ("api.url", sim.api_url()),
        ("notifications.streaming_host", sim.streaming_host()),
        ("tls.ca_pem", sim.ca_pem().to_owned()),
        ("client.id", policy.client_id),
        ("scopes.required", "user:read".to_owned()),
    ];
    for (key, value) in keys {
        config.set(key, &value).unwrap();
    }
    config.set_secret("client.secret", Secret::new(policy.client_secret)).unwrap();
    config.set_secret("token.refresh_token", Secret::new(policy.refresh_token)).unwrap();
    config
}

fn with(mut config: Config, keys: &[(&str, &str)]) -> Config {
    keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

/// The first token of a client, or why there is none.
fn token(config: &Config) -> (Client, Result<Arc<Token>, Error>) {
    let client = Client::new(config).unwrap();
    client.start().unwrap();
    let token = client.token(Duration::ZERO, Some(BOUND));
    (client, token)
}

fn of_me(log: &Log, method: &str) -> Vec<Request> {
    log.requests
        .iter()
        .filter(|request| request.path == "/api/v2/tokens/me" && request.method == method)
        .cloned()
        .collect()
}

#[track_caller]
fn close(client: &Client) {
    assert!(client.shutdown(Some(BOUND)).complete);
}

#[test]
fn scopes_are_asked_for_and_the_question_is_no_use_of_the_token() {
    let sim = opaque();
    let (client, token) = token(&config(&sim));
    let token = token.unwrap();
    assert_eq!(token.scopes.as_deref().unwrap(), ["conversation:read", "user:read", "analytics:read"]);
    let asked = of_me(&sim.record().snapshot(), "GET");
    assert_eq!((asked.len(), asked[0].query.as_str()), (1, "preserveIdleTTL=true"));
    let bearer = format!("Bearer {}", token.access_token.expose());
    assert_eq!(asked[0].header("authorization"), Some(bearer.as_str()));
    assert_eq!(client.metrics().token_requests, 1, "a question is none");
    close(&client);
    assert!(of_me(&sim.record().snapshot(), "DELETE").is_empty(), "nobody asked for that");
}

#[test]
fn a_scope_that_is_missing_denies() {
    let sim = opaque();
    let (client, token) = token(&with(config(&sim), &[("scopes.required", "user:write")]));
    let error = token.unwrap_err();
    assert_eq!(
        (error.code(), error.detail().missing_scopes.as_slice()),
        (Code::ScopeDenied, &["user:write".into()][..])
    );
    close(&client);
}

#[test]
fn who_does_not_answer_leaves_them_unknown() {
    let replies = [ApiReply::Hang, ApiReply::Drop, ApiReply::NotJson, ApiReply::error(403, "not.authorized")];
    for reply in replies {
        let sim = opaque();
        sim.api().always(Route::Me, reply.clone());
        let quick = [("api.timeout_ms", "300")];
        let (client, allowed) = token(&with(config(&sim), &quick));
        assert_eq!(allowed.unwrap().scopes, None, "{reply:?}");
        close(&client);
        let (client, denied) = token(&with(with(config(&sim), &quick), &[("scopes.unknown", "deny")]));
        assert_eq!(denied.unwrap_err().code(), Code::ScopeUnknown, "{reply:?}");
        close(&client);
    }
}

#[test]
fn a_token_that_the_api_refuses_is_replaced() {
    let sim = opaque();
    sim.api().then(Route::Me, ApiReply::error(401, "bad.credentials"));
    let (client, token) = token(&config(&sim));
    assert_eq!(token.unwrap().access_token.expose(), sim.token().issued()[1].access_token);
    assert_eq!(sim.record().token_requests(), 2);
    close(&client);
}

#[test]
fn client_credentials_are_not_asked_about() {
    let sim = opaque();
    let (client, token) = token(&with(config(&sim), &[("token.grant", "client_credentials")]));
    assert_eq!(token.unwrap().scopes, None);
    close(&client);
    assert!(of_me(&sim.record().snapshot(), "GET").is_empty());
}

#[test]
fn a_token_is_revoked_at_the_end_if_that_is_wanted() {
    let sim = opaque();
    let (client, token) = token(&with(config(&sim), &[("token.revoke_on_close", "true")]));
    let bearer = format!("Bearer {}", token.unwrap().access_token.expose());
    close(&client);
    let revoked = of_me(&sim.record().snapshot(), "DELETE");
    assert_eq!((revoked.len(), revoked[0].status), (1, Some(204)));
    assert_eq!(revoked[0].header("authorization"), Some(bearer.as_str()));
}

#[test]
fn revoking_holds_nobody_up_for_longer_than_a_close_may_take() {
    let sim = opaque();
    sim.api().always(Route::Revoke, ApiReply::Hang);
    let keys = [("token.revoke_on_close", "true"), ("close.timeout_ms", "200")];
    let (client, token) = token(&with(config(&sim), &keys));
    token.unwrap();
    close(&client);
    assert_eq!(of_me(&sim.record().snapshot(), "DELETE").len(), 1);
}

#[test]
fn what_is_shared_is_revoked_when_the_last_one_leaves() {
    let sim = opaque();
    let source = TokenSource::new(&with(config(&sim), &[("token.revoke_on_close", "true")])).unwrap();
    let guest = || {
        let keys = [("profile", "notifications"), ("notifications.streaming_host", &sim.streaming_host())];
        let config = with(Config::new(), &keys);
        let config = with(config, &[("api.url", &sim.api_url()), ("tls.ca_pem", sim.ca_pem())]);
        let client = Client::with_source(&config, &source).unwrap();
        client.start().unwrap();
        client.token(Duration::ZERO, Some(BOUND)).unwrap();
        client
    };
    let (first, last) = (guest(), guest());
    close(&first);
    assert!(last.token(Duration::ZERO, Some(BOUND)).is_ok());
    assert!(of_me(&sim.record().snapshot(), "DELETE").is_empty(), "somebody uses it");
    close(&last);
    assert!(sim.record().wait_until(BOUND, |log| of_me(log, "DELETE").len() == 1));
    drop((first, last));
    assert!(source.release(Some(BOUND)));
}

#[test]
fn an_answer_that_comes_after_the_close_is_stored() {
    let sim = opaque();
    sim.token().policy(|policy| policy.rotation = Rotation::RevokeOld { grace: Duration::ZERO });
    sim.token().then(TokenReply::TrickleBytes { chunk: 32, delay_ms: 30 });
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("late-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    let file = place.join("tokens");
    let keys = [("token.store", file.to_str().unwrap()), ("close.timeout_ms", "60000"), ("free.timeout_ms", "60000")];
    let client = Client::new(&with(config(&sim), &keys)).unwrap();
    client.start().unwrap();
    assert!(sim.record().wait_until(BOUND, |log| log.token_requests() == 1));
    close(&client);
    let content: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let issued = sim.token().issued().pop().unwrap();
    assert_eq!(content["refresh_token"].as_str(), issued.refresh_token.as_deref());
    fs::remove_dir_all(&place).unwrap();
}
