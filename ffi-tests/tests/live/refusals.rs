//! What can go wrong on the way, and whether the error says where and what.

use std::time::Duration;

use ffi_tests::sim::{AuthReply, Issue, Leaf, TcpReply, TlsOptions, TokenReply, UpgradeReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Code, Error, Stage};
use serde_json::json;

use crate::harness::*;

/// A client that fails with the first attempt, and does one thing after the other.
fn once() -> Setup {
    let setup = Setup::default().key("token.attempts", 1).key("connect.overlap", "off");
    setup.key("token.timeout_ms", 700).key("ws.upgrade_timeout_ms", 400)
}

#[track_caller]
fn check(which: &str, rig: &Rig, error: &Error, code: Code, stage: Stage) {
    let detail = error.detail();
    assert_eq!((error.code(), detail.stage), (code, stage), "{which}: {error}");
    if stage != Stage::Scopes && code != Code::TokenLifetime {
        assert_eq!(detail.host, rig.sim.addr().to_string(), "{which}: {error}");
    }
    assert_eq!(rig.client.state(), State::Idle);
    let failed = |saw: &Saw| matches!(saw, Saw::Audit(r) if r["status"] == "failure" && r["event_type"] == "authentication_attempt");
    assert_eq!(count(&rig.seen.all(), failed), 1, "{which}: one record of one failure {}", show(&rig.seen.all()));
}

fn status(code: u16, headers: &[(&str, &str)]) -> TokenReply {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    TokenReply::Status { code, headers, body: "{}".into() }
}

#[test]
fn every_answer_of_the_token_endpoint() {
    let retry = |value: &str| TokenReply::Throttle429 { retry_after: Some(value.into()) };
    let issue = |issue: Issue| TokenReply::Issue(issue);
    let cases: Vec<(&str, TokenReply, Code, Stage)> = vec![
        ("429", retry("1"), Code::Throttled, Stage::Token),
        ("429 long", retry("3600"), Code::ThrottledLong, Stage::Token),
        ("400 throttle", TokenReply::Throttle400, Code::Throttled, Stage::Token),
        ("invalid_grant", TokenReply::InvalidGrant, Code::InvalidGrant, Stage::Token),
        ("401", TokenReply::InvalidClient, Code::Unauthorized, Stage::Token),
        ("403", TokenReply::Forbidden, Code::Forbidden, Stage::Token),
        ("503", status(503, &[("Retry-After", "1")]), Code::Unavailable, Stage::Token),
        ("500", status(500, &[]), Code::Unavailable, Stage::Token),
        ("404", status(404, &[]), Code::HttpStatus, Stage::Token),
        ("html", TokenReply::NotJson, Code::TokenResponse, Stage::Token),
        ("huge", TokenReply::Huge { bytes: 100_000 }, Code::ResponseTooLarge, Stage::Token),
        ("redirect", TokenReply::Redirect { to: "https://localhost/x".into() }, Code::Redirect, Stage::Token),
        ("hang", TokenReply::Hang, Code::HttpTimeout, Stage::Token),
        ("half a head", TokenReply::CutMidHeader, Code::HttpProtocol, Stage::Token),
        ("half a body", TokenReply::CutMidBody, Code::HttpProtocol, Stage::Token),
        ("drop", TokenReply::Drop, Code::HttpProtocol, Stage::Token),
        ("reset", TokenReply::Reset, Code::Dropped, Stage::Token),
        ("mac", issue(Issue::new().field("token_type", json!("mac"))), Code::TokenType, Stage::Token),
        ("expired", issue(Issue::new().field("expires_in", json!(0))), Code::TokenLifetime, Stage::Token),
        ("no token", issue(Issue::new().without("access_token")), Code::TokenResponse, Stage::Token),
    ];
    for (which, reply, code, stage) in cases {
        let rig = once().build();
        rig.sim.token().then(reply);
        let error = refused(&rig);
        check(which, &rig, &error, code, stage);
        assert_eq!(rig.sim.record().ws_connects(), 0, "{which}");
        // The same client, an honest answer: all is well.
        rig.client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{which}: then {error}"));
        rig.close();
    }
}

#[test]
fn odd_answers_that_are_good() {
    let slow = TokenReply::Delay { ms: 100, then: Box::new(TokenReply::Chunked) };
    let odd = Issue::new().field("expires_in", json!("3600")).without("scope");
    for reply in [slow, TokenReply::TrickleBytes { chunk: 50, delay_ms: 1 }, TokenReply::Issue(odd)] {
        let rig = once().key("token.timeout_ms", 5_000).build();
        rig.sim.token().then(reply);
        rig.client.connect(Some(BOUND)).unwrap();
        rig.close();
    }
}

#[test]
fn every_answer_to_the_upgrade() {
    let status = |code, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        UpgradeReply::Status { code, headers, body: String::new() }
    };
    let cases: Vec<(&str, UpgradeReply, Code, u16)> = vec![
        ("401", status(401, &[]), Code::UpgradeUnauthorized, 401),
        ("403", status(403, &[]), Code::UpgradeForbidden, 403),
        ("404", status(404, &[]), Code::UpgradeNotFound, 404),
        ("429", status(429, &[("Retry-After", "7")]), Code::Throttled, 429),
        ("503", status(503, &[]), Code::UpgradeRefused, 503),
        ("wrong key", UpgradeReply::WrongAcceptKey, Code::WsProtocol, 0),
        ("hang", UpgradeReply::Hang, Code::UpgradeTimeout, 0),
        ("redirect", UpgradeReply::Redirect { to: "wss://localhost/x".into() }, Code::UpgradeRefused, 302),
        ("drop", UpgradeReply::Drop, Code::Dropped, 0),
        ("reset", UpgradeReply::Reset, Code::Dropped, 0),
    ];
    for (which, reply, code, status) in cases {
        let rig = once().build();
        rig.sim.ws().on_upgrade(reply);
        let error = refused(&rig);
        check(which, &rig, &error, code, Stage::Upgrade);
        assert_eq!(error.detail().http_status, status, "{which}");
        if status == 429 {
            assert_eq!(error.retry_after_ms(), Some(7_000));
        }
        assert_eq!(rig.sim.record().auths(), 0, "{which}: no token leaves");
        rig.client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{which}: then {error}"));
        rig.close();
    }
}

#[test]
fn every_reply_to_the_first_auth_frame() {
    let text = |text: &str| AuthReply::Text(text.into());
    let cases = [
        ("refused", AuthReply::Refuse(Some("no".into())), Code::AuthRefused),
        ("refused without a word", AuthReply::Refuse(None), Code::AuthRefused),
        ("never", AuthReply::Never, Code::AuthTimeout),
        ("throttled", AuthReply::Refuse(Some("Rate limit reached".into())), Code::AuthThrottled),
        ("nonsense", text(r#"{"type":"auth"}"#), Code::AuthReply),
        ("application's", text(r#"{"type":"hello"}"#), Code::AuthTimeout),
        ("close 1008", AuthReply::Act(vec![ffi_tests::sim::Action::close(1008, "who are you")]), Code::WsClosed),
        ("drop", AuthReply::Act(vec![ffi_tests::sim::Action::Drop]), Code::Dropped),
    ];
    for (which, reply, code) in cases {
        let rig = once().key("ws.auth_timeout_ms", 300).build();
        rig.sim.ws().on_first_auth(reply);
        let error = refused(&rig);
        check(which, &rig, &error, code, Stage::Authenticate);
        rig.client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{which}: then {error}"));
        rig.close();
    }
}

#[test]
fn certificates_and_what_is_no_tls() {
    let leaf =
        |leaf| Setup::default().sim(move |options| options.tls = Some(TlsOptions { leaf, ..TlsOptions::default() }));
    let cases = [
        ("expired", Leaf::Expired, Code::CertificateExpired),
        ("wrong host", Leaf::WrongHost, Code::CertificateHost),
        ("self-signed", Leaf::SelfSigned, Code::CertificateSelfSigned),
    ];
    for (which, kind, expected) in cases {
        let rig = leaf(kind).key("token.attempts", 1).build();
        let error = refused(&rig);
        check(which, &rig, &error, expected, Stage::Tls);
    }
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    for (which, reply, code, stage) in [
        ("plain HTTP", TcpReply::Garbage(http), Code::Tls, Stage::Tls),
        ("garbage", TcpReply::Garbage(vec![0x16, 3, 1, 0xff, 0xff, 7]), Code::Tls, Stage::Tls),
        ("drop", TcpReply::Drop, Code::Tls, Stage::Tls),
        ("stall", TcpReply::Stall, Code::TlsTimeout, Stage::Tls),
    ] {
        let rig = once().key("tls.timeout_ms", 300).build();
        rig.sim.tcp().then(reply);
        let error = refused(&rig);
        check(which, &rig, &error, code, stage);
    }
}

#[test]
fn a_connection_reset_at_once() {
    let rig = once().build();
    rig.sim.tcp().then(TcpReply::Reset);
    let error = refused(&rig);
    // The reset may come before the connection is looked at for the first time.
    assert!(matches!(error.detail().stage, Stage::Connect | Stage::Tls), "{error}");
    assert!(matches!(error.code(), Code::Connect | Code::Tls) && !error.detail().host.is_empty(), "{error}");
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

#[test]
fn nobody_listens() {
    let rig = once().build();
    rig.sim.down();
    let error = refused(&rig);
    check("down", &rig, &error, Code::Connect, Stage::Connect);
    assert!(error.detail().os_errno > 0);
    rig.sim.up();
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

#[test]
fn two_tokens_refused_alike_end_in_reauth_required() {
    let rig = Setup::default().build();
    rig.sim.ws().always_first_auth(AuthReply::Refuse(Some("not you".into())));
    let error = rig.client.connect(Some(BOUND)).unwrap_err();
    assert_eq!(error.code(), Code::ReauthRequired, "{error}");
    rig.sim.ws().always_first_auth(AuthReply::Honest);
    rig.client.start().unwrap();
    rig.seen.wait_state(State::Ready, 1);
    rig.close();
}

#[test]
fn a_token_that_was_refused_is_not_handed_out() {
    let rig = Setup::default().build();
    rig.sim.ws().always_first_auth(AuthReply::Refuse(Some("not you".into())));
    rig.client.start().unwrap();
    rig.seen.wait_state(State::ReauthRequired, 1);
    for timeout in [Duration::ZERO, BOUND] {
        let error = rig.client.token(Duration::ZERO, Some(timeout)).unwrap_err();
        assert!(matches!(error.code(), Code::Timeout | Code::ReauthRequired), "{error}");
    }
    rig.sim.ws().always_first_auth(AuthReply::Honest);
    rig.client.refresh_now().unwrap();
    rig.seen.wait_state(State::Ready, 1);
    rig.close();
}

#[test]
fn a_connect_that_takes_too_long_says_where_it_was() {
    let rig = Setup::default().build();
    rig.sim.token().then(TokenReply::Hang);
    let error = rig.client.connect(Some(Duration::from_millis(200))).unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
    assert!(error.detail().message.contains("AcquiringToken"), "{error}");
    let failures = |saw: &Saw| matches!(saw, Saw::Audit(r) if r["status"] == "failure");
    assert_eq!(count(&rig.seen.all(), failures), 0, "a request broken off is no failed attempt");
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}
