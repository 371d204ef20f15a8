//! Every field of an error is filled where there is something to tell.

use ffi_tests::sim::{Action, AuthReply, Leaf, TlsOptions, TokenReply, UpgradeReply};
use genesys_ws_auth::error::Detail;
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Category, Code};

use crate::harness::*;

fn once(attempts: u32) -> Setup {
    Setup::default().key("token.attempts", attempts).key("connect.overlap", "off")
}

/// What a connect fails with, after the simulator was told how.
fn failure(setup: Setup, script: impl FnOnce(&Rig)) -> (Detail, String) {
    let rig = setup.build();
    script(&rig);
    let error = refused(&rig);
    let host = rig.sim.addr().to_string();
    rig.close();
    (error.detail().clone(), host)
}

fn answer(code: u16, headers: &[(&str, &str)], body: &str) -> TokenReply {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    TokenReply::Status { code, headers, body: body.into() }
}

#[test]
fn an_answer_of_the_token_endpoint() {
    let body = r#"{"error":"invalid_grant","error_description":"description: gone"}"#;
    let reply = answer(400, &[("ININ-Correlation-Id", "corr-1")], body);
    let (detail, host) = failure(once(1), |rig| _ = rig.sim.token().always(reply));
    assert_eq!(
        (detail.code, detail.http_status, detail.oauth_error.as_str()),
        (Code::InvalidGrant, 400, "invalid_grant")
    );
    assert_eq!((detail.correlation_id.as_str(), &detail.host, detail.attempt), ("corr-1", &host, 1));
    assert!(detail.fatal && detail.code.category() == Category::Oauth && detail.message.contains("gone"));
}

#[test]
fn attempts_are_counted_and_a_wait_is_passed_on() {
    let (detail, host) = failure(once(2), |rig| _ = rig.sim.token().always(answer(503, &[], "{}")));
    assert_eq!((detail.code, detail.attempt, &detail.host), (Code::Unavailable, 2, &host));
    assert!(!detail.fatal && detail.retry_after_ms.is_none());
    let busy = answer(429, &[("Retry-After", "2")], "{}");
    let (detail, _) = failure(once(1), |rig| _ = rig.sim.token().always(busy));
    assert_eq!((detail.code, detail.retry_after_ms), (Code::Throttled, Some(2_000)));
}

#[test]
fn a_system_call_that_fails() {
    let (detail, host) = failure(once(1), |rig| rig.sim.down());
    assert_eq!((detail.code, detail.os_errno, &detail.host), (Code::Connect, 111, &host));
    assert_eq!(detail.code.category(), Category::Tcp);
}

#[test]
fn a_certificate() {
    let expired = TlsOptions { leaf: Leaf::Expired, ..TlsOptions::default() };
    let (detail, host) = failure(once(1).sim(|options| options.tls = Some(expired)), |_| ());
    // certificate_expired, RFC 8446 6.2.
    assert_eq!((detail.code, detail.tls_alert, &detail.host), (Code::CertificateExpired, Some(45), &host));
}

#[test]
fn an_upgrade_and_an_authentication() {
    let headers =
        vec![("ININ-Correlation-Id".to_owned(), "corr-2".to_owned()), ("Retry-After".to_owned(), "3".to_owned())];
    let reply = UpgradeReply::Status { code: 503, headers, body: String::new() };
    let (detail, host) = failure(once(1), |rig| _ = rig.sim.ws().always_upgrade(reply));
    assert_eq!((detail.http_status, detail.correlation_id.as_str(), &detail.host), (503, "corr-2", &host));
    assert_eq!((detail.retry_after_ms, detail.attempt), (Some(3_000), 1));
    let refuse = AuthReply::Refuse(Some("no such user".into()));
    let (detail, host) = failure(once(1), |rig| _ = rig.sim.ws().always_first_auth(refuse));
    assert_eq!((detail.code, &detail.host, detail.attempt), (Code::AuthRefused, &host, 1));
}

#[test]
fn scopes_that_are_missing() {
    let setup = once(1).key("scopes.required", "first:one second:one");
    let (detail, _) = failure(setup, |_| ());
    assert_eq!(
        (detail.code, detail.missing_scopes),
        (Code::ScopeDenied, vec!["first:one".into(), "second:one".into()])
    );
}

#[test]
fn a_socket_that_is_lost() {
    let lost = |action: Action| {
        let rig = Setup::default().connect();
        rig.sim.ws().act(None, [action]);
        rig.seen.wait_state(State::Ready, 2);
        let host = rig.sim.addr().to_string();
        let cause = |saw: &Saw| match saw {
            Saw::State(change) => change.error.clone(),
            _ => None,
        };
        let error = rig.close().iter().find_map(cause).expect("a change of state with an error");
        (error.detail().clone(), host)
    };
    let (detail, host) = lost(Action::close(1011, "internal error"));
    assert_eq!((detail.code, detail.ws_close_code, &detail.host), (Code::WsClosed, 1011, &host));
    let (detail, host) = lost(Action::Drop);
    assert_eq!((detail.code, &detail.host), (Code::Dropped, &host));
}
