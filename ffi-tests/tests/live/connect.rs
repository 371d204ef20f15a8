//! Connecting: grants, rotation, what is kept from one connect to the next, two clients, secrets.

use std::sync::Arc;
use std::time::Duration;

use ffi_tests::sim::{Action, AuthReply, Rotation, TokenForm, TokenPolicy, TokenReply};
use genesys_ws_auth::event::{Question, State};
use genesys_ws_auth::hooks::Answer;
use genesys_ws_auth::{Client, Code, Error, Secret, Stage};

use crate::harness::*;

#[test]
fn connects_and_closes() {
    let rig = Setup::default().connect();
    assert_eq!(rig.client.state(), State::Ready);
    // The record of the outcome has been delivered by the time connect returns.
    let saws = rig.seen.all();
    let attempts = |saw: &Saw| matches!(saw, Saw::Audit(r) if r["event_type"] == "authentication_attempt");
    assert_eq!(count(&saws, attempts), 1, "{}", show(&saws));
    assert_eq!(count(&saws, |saw| matches!(saw, Saw::Audit(record) if record["status"] == "failure")), 0);
    assert_eq!(code(rig.client.connect(Some(BOUND))), Some(Code::BadState));
    let sim = rig.sim.record().snapshot();
    assert_eq!((sim.token_requests(), sim.ws_connects(), sim.auths()), (1, 1, 1));
    let grants: Vec<_> = sim.requests.iter().filter_map(|request| request.form("grant_type")).collect();
    assert_eq!(grants, ["client_credentials"]);
    let client = Arc::clone(&rig.client);
    rig.wait_sim("nothing yet", |log| log.closes.is_empty());
    let report = client.shutdown(Some(BOUND));
    assert!(report.complete && report.close_handshake, "{report:?}");
    assert_eq!(rig.sim.record().read(|log| log.closes[0].code), 1000);
    let saws = rig.seen.all();
    let steps = [State::AcquiringToken, State::Authenticating, State::Ready, State::Closed];
    // Whether token or socket is there first is not said.
    let either = |state: &State| !matches!(state, State::VerifyingToken | State::Connecting);
    let seen: Vec<State> = states(&saws).into_iter().filter(either).collect();
    assert_eq!(seen, steps, "{}", show(&saws));
    assert_eq!(code(client.start()), Some(Code::BadState));
    assert_eq!(code(client.send(genesys_ws_auth::event::MessageKind::Text, b"late")), Some(Code::Closed));
}

#[test]
fn a_rotated_refresh_token_is_persisted_before_the_token_is_used() {
    let rotation = Rotation::RevokeOld { grace: Duration::ZERO };
    let barrier = Barrier::new();
    let gate = Arc::clone(&barrier);
    let rig = Setup::default()
        .with_refresh_token()
        .sim(|options| options.token.rotation = rotation)
        .answering(move |request| {
            gate.pass();
            request.complete(Answer::Done);
        })
        .build();
    rig.client.start().unwrap();
    barrier.wait_reached();
    assert_eq!(rig.sim.record().auths(), 0, "the token is not used yet");
    barrier.open();
    rig.seen.wait_state(State::Ready, 1);
    rig.client.refresh_now().unwrap();
    rig.wait_sim("a renewal", |log| log.reauths() == 1);
    let requests = rig.sim.record().snapshot().requests;
    let issued = rig.sim.token().issued();
    let used: Vec<_> = requests.iter().filter_map(|request| request.form("refresh_token")).collect();
    assert_eq!(used[1], issued[0].refresh_token.clone().unwrap(), "the rotated one is used");
    let saws = rig.close();
    let asked = saws.iter().filter_map(|saw| match saw {
        Saw::Ask(Question::PersistRefreshToken(secret)) => Some(secret.expose().to_owned()),
        _ => None,
    });
    assert_eq!(
        asked.collect::<Vec<_>>(),
        issued.iter().filter_map(|one| one.refresh_token.clone()).collect::<Vec<_>>()
    );
}

#[test]
fn persisting_that_fails_or_never_ends_is_audited_and_the_token_used() {
    let fail = |request: &genesys_ws_auth::hooks::Request| {
        request.fail(Error::new(Code::CallbackFailed, Stage::Callback, "disk full"));
    };
    let answers: [(&str, fn(&genesys_ws_auth::hooks::Request)); 2] = [("fails", fail), ("never", |_| {})];
    for (which, answer) in answers {
        let rig = Setup::default()
            .with_refresh_token()
            .key("token.persist_timeout_ms", 200)
            .sim(|options| options.token.rotation = Rotation::KeepOld)
            .answering(answer)
            .connect();
        let saws = rig.close();
        let audited = |saw: &Saw| matches!(saw, Saw::Audit(r) if r["event_type"] == "refresh_token_not_persisted");
        assert_eq!(count(&saws, audited), 1, "{which}: {}", show(&saws));
    }
}

#[test]
fn an_answer_that_comes_late_is_ignored() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&kept);
    let rig = Setup::default()
        .with_refresh_token()
        .key("token.persist_timeout_ms", 100)
        .sim(|options| options.token.rotation = Rotation::KeepOld)
        .answering(move |request| *keep.lock().unwrap() = Some(request.clone()))
        .connect();
    let request = kept.lock().unwrap().take().unwrap();
    request.complete(Answer::Done);
    request.fail(Error::new(Code::CallbackFailed, Stage::Callback, ""));
    rig.client.refresh_now().unwrap();
    rig.wait_sim("a renewal", |log| log.reauths() == 1);
    rig.close();
    request.complete(Answer::Done);
}

#[test]
fn two_401s_ask_for_an_authorization_code() {
    let rig = Setup::default()
        .with_refresh_token()
        .key("token.redirect_uri", "http://localhost/callback")
        .answering(|request| match request.question {
            Question::AuthorizationCode(_) => request.complete(Answer::Code(Secret::new("a-code".into()))),
            _ => request.complete(Answer::Done),
        })
        .build();
    rig.sim.token().register_code("a-code", ffi_tests::sim::Code::default());
    rig.sim.token().times(2, &TokenReply::InvalidClient);
    let error = refused(&rig);
    assert_eq!(
        (error.code(), error.detail().stage, error.detail().http_status),
        (Code::Unauthorized, Stage::Token, 401)
    );
    assert!(error.detail().host.contains("127.0.0.1"), "{error}");
    rig.client.start().unwrap();
    rig.seen.wait_state(State::Ready, 1);
    let grants =
        |log: &ffi_tests::sim::Log| log.requests.iter().filter_map(|r| r.form("grant_type")).collect::<Vec<_>>();
    assert_eq!(rig.sim.record().read(grants), ["refresh_token", "refresh_token", "authorization_code"]);
    rig.close();
}

#[test]
fn what_a_failed_connect_learned_is_kept() {
    let rotation = Rotation::RevokeOld { grace: Duration::ZERO };
    let rig = Setup::default()
        .with_refresh_token()
        .key("token.attempts", 1)
        .sim(|options| options.token.rotation = rotation)
        .build();
    rig.sim.ws().on_first_auth(AuthReply::Text(r#"{"type":"auth","status":"what"}"#.into()));
    let error = refused(&rig);
    assert_eq!((error.code(), error.detail().stage), (Code::AuthReply, Stage::Authenticate), "{error}");
    assert_eq!(rig.client.state(), State::Idle);
    assert_eq!(code(rig.client.refresh_now()), Some(Code::BadState));
    rig.client.connect(Some(BOUND)).unwrap();
    let used =
        rig.sim.record().read(|log| log.requests.iter().filter_map(|r| r.form("refresh_token")).collect::<Vec<_>>());
    let issued = rig.sim.token().issued();
    assert_eq!(used[1], issued[0].refresh_token.clone().unwrap());
    rig.close();
}

#[test]
fn a_secret_replaced_after_a_failed_connect_is_used() {
    let rig = Setup::default().build();
    rig.client.set_secret("client.secret", Secret::new("wrong".into())).unwrap();
    assert_eq!(refused(&rig).code(), Code::Unauthorized);
    rig.client.set_secret("client.secret", Secret::new("sim-client-secret".into())).unwrap();
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

#[test]
fn scopes_are_checked_before_the_socket_is_used() {
    let rig = Setup::default().key("scopes.required", "user:read routing:write").build();
    let error = refused(&rig);
    assert_eq!((error.code(), error.detail().stage), (Code::ScopeDenied, Stage::Scopes));
    assert_eq!(error.detail().missing_scopes, ["routing:write"]);
    // The socket that waited for the token has seen none.
    assert_eq!(rig.sim.record().auths(), 0);
    rig.wait_sim("no socket left", |log| log.connections.iter().all(|connection| connection.end.is_some()));
    let denied =
        |saw: &Saw| matches!(saw, Saw::Audit(r) if r["action"] == "scope_validation" && r["result"] == "denied");
    assert_eq!(count(&rig.seen.all(), denied), 1);
    let opaque = Setup::default().key("scopes.required", "x").sim(|options| {
        options.token.form = TokenForm::Malformed;
    });
    assert_eq!(refused(&opaque.build()).code(), Code::TokenMalformed);
}

#[test]
fn two_clients_live_side_by_side() {
    let rig = Setup::default().connect();
    let seen = Arc::new(Seen::default());
    let mut config = rig.config.clone();
    config.hooks = hooks(&seen, Arc::new(|_| {}));
    let second = Client::new(&config).unwrap();
    second.connect(Some(BOUND)).unwrap();
    rig.sim.ws().push_text(r#"{"seq":1}"#);
    rig.seen.wait_seq(1);
    seen.wait_seq(1);
    assert!(second.shutdown(Some(BOUND)).complete);
    rig.sim.ws().push_text(r#"{"seq":2}"#);
    rig.seen.wait_seq(2);
    rig.close();
}

#[test]
fn clients_come_and_go_on_many_threads() {
    let rig = Setup::default().build();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let config = &rig.config;
            scope.spawn(move || {
                for round in 0..3 {
                    let client = Client::new(config).unwrap();
                    match (n + round) % 3 {
                        0 => client.connect(Some(BOUND)).unwrap(),
                        1 => client.start().unwrap(),
                        _ => {}
                    }
                    if round % 2 == 0 {
                        assert!(client.shutdown(Some(BOUND)).complete);
                    }
                }
            });
        }
    });
}

/// Everything that left the library but tokens and questions as such, as text; those as `Debug` shows them.
fn all_that_left(rig: &Rig, error: Option<&Error>) -> String {
    let saws = rig.seen.all();
    format!("{error:?} {} {saws:?} {:?} {:?}", error.map(Error::to_string).unwrap_or_default(), rig.client, rig.config)
        + &rig.client.stats_json()
}

#[test]
fn no_secret_leaves() {
    let rig = Setup::default().with_refresh_token().sim(|options| options.token.rotation = Rotation::KeepOld).connect();
    rig.client.refresh_now().unwrap();
    rig.wait_sim("a renewal", |log| log.reauths() == 1);
    let issued = rig.sim.token().issued();
    let report = rig.client.shutdown(Some(BOUND));
    let out = all_that_left(&rig, None) + &format!("{report:?}");
    let secrets = issued.iter().flat_map(|one| [Some(one.access_token.clone()), one.refresh_token.clone()]).flatten();
    for secret in secrets.chain(["sim-client-secret".to_owned()]) {
        assert!(!out.contains(&secret), "a secret left");
    }
}

#[test]
fn servers_that_quote_secrets_are_not_quoted() {
    const TOKEN: &str = "literal-token-of-this-test";
    let refresh_token = TokenPolicy::default().refresh_token;
    let body = format!(r#"{{"error":"invalid_grant","error_description":"sim-client-secret {refresh_token}"}}"#);
    let quoting = TokenReply::Status { code: 400, headers: Vec::new(), body };
    let close = |code| Some(AuthReply::Act(vec![Action::close(code, TOKEN)]));
    let cases = [
        ("token endpoint", Some(quoting), None),
        ("refusal", None, Some(AuthReply::Refuse(Some(format!("bad {TOKEN}"))))),
        ("close", None, close(1011)),
        ("close that blames the token", None, close(1008)),
        ("close of a live socket", None, None),
    ];
    for (which, token, auth) in cases {
        let setup = Setup::default().with_refresh_token().key("token.attempts", 1).key("scopes.unknown", "allow");
        let rig = setup.sim(|options| options.token.form = TokenForm::Literal(TOKEN.into())).build();
        token.into_iter().for_each(|reply| _ = rig.sim.token().then(reply));
        auth.into_iter().for_each(|reply| _ = rig.sim.ws().on_first_auth(reply));
        let error = rig.client.connect(Some(BOUND)).err();
        if error.is_none() {
            rig.sim.ws().close_all(4000, TOKEN);
            rig.seen.wait("the gap", |saws| gaps(saws) == 1);
        }
        rig.client.shutdown(Some(BOUND));
        let out = all_that_left(&rig, error.as_ref());
        for secret in [TOKEN, "sim-client-secret", &refresh_token] {
            assert!(!out.contains(secret), "{which}: {secret} in {out}");
        }
    }
}
