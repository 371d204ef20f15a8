//! What goes wrong on the way, and what the error says.

use std::time::Duration;

use ffi_tests::cprog::{each, Outcome, Program, Variant};
use ffi_tests::proxy::{Proxy, Reply};
use ffi_tests::sim::{
    Action, AuthReply, End, Issue, Leaf, Log, Plan, Sim, TcpReply, TokenForm, TokenReply, Trigger, UpgradeReply,
};

use crate::{honest, BOUND};

/// `connect` fails with this status at this stage; the simulator is scripted before.
fn fails(status: &str, stage: &str, script: impl Fn(&Sim)) {
    fails_with(status, stage, script, &[], |_, _| ());
}

fn fails_with(
    status: &str,
    stage: &str,
    script: impl Fn(&Sim),
    extra: &[(&str, &str)],
    judge: impl Fn(&Sim, &Outcome),
) {
    each(status, |variant| {
        let sim = honest(variant);
        script(&sim);
        let program = Program::new("connect_fails", variant).against(&sim).set("token.attempts", 1);
        let program = program.env("GWA_TEST_STATUS", status).env("GWA_TEST_STAGE", stage);
        // Names with a dot are keys, the others variables.
        let given = extra.iter().fold(program, |program, (name, value)| match name.contains('.') {
            true => program.set(name, value),
            false => program.env(name, value),
        });
        let run = given.run().passed();
        judge(&sim, &run);
    });
}

/// A socket may have been opened ahead of the token; it has seen nothing and was closed in order, or broken off before
/// the client knew that it was open.
fn no_socket(sim: &Sim, _: &Outcome) {
    let ended = |log: &Log| log.connections.iter().all(|connection| connection.end.is_some());
    assert!(sim.record().wait_until(BOUND, ended));
    let log = sim.record().snapshot();
    assert_eq!((log.auths(), log.received_total), (0, 0));
    let left = |end: &End| matches!(end, End::ClientClosed(1000) | End::ClientGone);
    let ends = log.connections.iter().filter_map(|connection| connection.end.as_ref());
    assert!(log.connections.len() <= 1 && ends.clone().all(|(_, end)| left(end)), "{:?}", ends.collect::<Vec<_>>());
}

#[test]
fn a_scope_that_is_denied() {
    let needs = [
        ("scopes.required", "user:read routing:read admin:write"),
        ("GWA_TEST_MISSING", "routing:read admin:write"),
        ("GWA_TEST_MESSAGE", "admin:write"),
    ];
    fails_with(
        "GWA_E_SCOPE_DENIED",
        "",
        |_| (),
        &needs,
        |sim, run| {
            assert_eq!(sim.record().auths(), 0, "no token left for the socket");
            assert_eq!(run.stdout.matches("\"action\":\"scope_validation\"").count(), 1, "recorded once");
            assert!(run.stdout.contains("\"missing\":[\"routing:read\",\"admin:write\"]"));
            no_socket(sim, run);
        },
    );
}

#[test]
fn tokens_without_scopes_to_know() {
    let opaque = |sim: &Sim| _ = sim.token().policy(|policy| policy.form = TokenForm::Malformed);
    let needs = [("scopes.required", "user:read")];
    fails_with("GWA_E_TOKEN_MALFORMED", "", opaque, &needs, no_socket);
    let unknown = |sim: &Sim| {
        let issue = Issue::new().form(TokenForm::Opaque).without("scope");
        sim.token().always(TokenReply::Issue(issue));
    };
    fails_with("GWA_E_SCOPE_UNKNOWN", "", unknown, &needs, no_socket);
}

#[test]
fn wrong_credentials() {
    let wrong = [("GENESYS_CLIENT_SECRET", "wrong-secret"), ("GWA_TEST_HINT", "secret")];
    fails_with(
        "GWA_E_UNAUTHORIZED",
        "token",
        |_| (),
        &wrong,
        |sim, run| {
            assert_eq!(run.number("http_status"), 401);
            no_socket(sim, run);
        },
    );
    fails_with("GWA_E_FORBIDDEN", "token", |sim| _ = sim.token().always(TokenReply::Forbidden), &[], no_socket);
    fails_with("GWA_E_INVALID_GRANT", "token", |sim| _ = sim.token().always(TokenReply::InvalidGrant), &[], no_socket);
}

#[test]
fn the_token_endpoint_is_down() {
    fails_with("GWA_E_CONNECT", "connect", Sim::down, &[], no_socket);
    let busy = |sim: &Sim| {
        let reply = TokenReply::Status { code: 503, headers: Vec::new(), body: String::new() };
        sim.token().always(reply);
    };
    fails_with("GWA_E_UNAVAILABLE", "token", busy, &[], |sim, run| {
        assert_eq!((run.number("http_status"), run.number("retriable")), (503, 1));
        no_socket(sim, run);
    });
    fails("GWA_E_THROTTLED", "token", |sim| _ = sim.token().always(TokenReply::Throttle400));
    let hours = |sim: &Sim| _ = sim.token().always(TokenReply::Throttle429 { retry_after: Some("7200".into()) });
    fails("GWA_E_THROTTLED_LONG", "token", hours);
}

#[test]
fn answers_of_the_token_endpoint_that_are_none() {
    fails("GWA_E_TOKEN_RESPONSE", "token", |sim| _ = sim.token().always(TokenReply::NotJson));
    fails("GWA_E_RESPONSE_TOO_LARGE", "token", |sim| _ = sim.token().always(TokenReply::Huge { bytes: 1 << 20 }));
    fails("GWA_E_REDIRECT", "token", |sim| {
        _ = sim.token().always(TokenReply::Redirect { to: "https://evil.example/".into() })
    });
    let short = |sim: &Sim| {
        let issue = Issue::new().lifetime(Duration::from_millis(100)).field("expires_in", 0.into());
        sim.token().always(TokenReply::Issue(issue));
    };
    fails("GWA_E_TOKEN_LIFETIME", "token", short);
    fails("GWA_E_TOKEN_TYPE", "token", |sim| _ = sim.token().policy(|policy| policy.token_type = "mac".into()));
}

#[test]
fn tls_that_ends_early_or_is_none() {
    fails("GWA_E_TLS", "tls", |sim| _ = sim.tcp().always(TcpReply::Garbage(b"HTTP/1.0 200 OK\r\n\r\n".to_vec())));
    // The first bytes of a TLS record, and no more of it.
    fails("GWA_E_TLS", "tls", |sim| _ = sim.tcp().always(TcpReply::Garbage(vec![0x16, 3, 3, 0, 80, 2, 0])));
}

#[test]
fn certificates_that_cannot_be_trusted() {
    let shows = |leaf: Leaf, status: &str| {
        each(status, |variant: Variant| {
            let mut options = variant.options();
            options.tls.as_mut().unwrap().leaf = leaf;
            let sim = Sim::start(options);
            let program = Program::new("connect_fails", variant).against(&sim).set("token.attempts", 1);
            program.env("GWA_TEST_STATUS", status).env("GWA_TEST_STAGE", "tls").run().passed();
            assert_eq!(sim.record().token_requests(), 0, "no credential left");
        });
    };
    shows(Leaf::Expired, "GWA_E_CERTIFICATE_EXPIRED");
    shows(Leaf::WrongHost, "GWA_E_CERTIFICATE_HOST");
    shows(Leaf::SelfSigned, "GWA_E_CERTIFICATE_SELF_SIGNED");
}

#[test]
fn a_key_that_is_not_pinned() {
    let pin = format!("sha256/{}=", "A".repeat(43));
    fails_with(
        "GWA_E_CERTIFICATE_PIN",
        "tls",
        |_| (),
        &[("tls.pins", &pin)],
        |sim, outcome| {
            assert_eq!(sim.record().token_requests(), 0, "no credential left");
            assert_eq!(outcome.number("retriable"), 0);
        },
    );
}

#[test]
fn the_proxy_refuses() {
    for (reply, status, http_status) in [
        (Reply::status("407 Who are you", "Proxy-Authenticate: Basic\r\n"), "GWA_E_PROXY_AUTH", 407),
        (Reply::status("502 Bad Gateway", ""), "GWA_E_PROXY_REFUSED", 502),
        (Reply::Silent, "GWA_E_PROXY_TIMEOUT", 0),
    ] {
        let proxy = Proxy::start();
        proxy.always(reply);
        let url = proxy.url();
        // It does not answer at all, so a short limit costs nothing on a busy machine.
        let limit = if http_status == 0 { "500" } else { "10000" };
        let keys = [("proxy.https", url.as_str()), ("proxy.timeout_ms", limit)];
        fails_with(
            status,
            "proxy",
            |_| (),
            &keys,
            |sim, outcome| {
                assert_eq!(outcome.number("http_status"), http_status);
                assert_eq!(sim.record().token_requests(), 0, "no credential left");
            },
        );
    }
}

#[test]
fn the_upgrade_is_refused() {
    for (code, status) in [
        (401, "GWA_E_UPGRADE_UNAUTHORIZED"),
        (403, "GWA_E_UPGRADE_FORBIDDEN"),
        (404, "GWA_E_UPGRADE_NOT_FOUND"),
        (400, "GWA_E_UPGRADE_REFUSED"),
    ] {
        let refuse = |sim: &Sim| {
            let reply = UpgradeReply::Status { code, headers: Vec::new(), body: String::new() };
            sim.ws().always_upgrade(reply);
        };
        fails_with(status, "upgrade", refuse, &[], |_, run| assert_eq!(run.number("http_status"), u64::from(code)));
    }
}

#[test]
fn the_authentication_is_refused() {
    let refuse = |sim: &Sim| _ = sim.ws().always_first_auth(AuthReply::Refuse(Some("no such user".into())));
    let text = [("GWA_TEST_MESSAGE", "no such user")];
    fails_with("GWA_E_AUTH_REFUSED", "auth", refuse, &text, |sim, _| assert_eq!(sim.record().auths(), 1));
    let unknown = [("GWA_TEST_MESSAGE", "Unknown error")];
    fails_with(
        "GWA_E_AUTH_REFUSED",
        "auth",
        |sim| _ = sim.ws().always_first_auth(AuthReply::Refuse(None)),
        &unknown,
        |_, _| (),
    );
    let limit = |sim: &Sim| _ = sim.ws().always_first_auth(AuthReply::Refuse(Some("Rate Limit exceeded".into())));
    fails("GWA_E_AUTH_THROTTLED", "auth", limit);
}

#[test]
fn the_authentication_is_never_answered() {
    let soon = [("ws.auth_timeout_ms", "500")];
    let never = |sim: &Sim| _ = sim.ws().always_first_auth(AuthReply::Never);
    fails_with("GWA_E_AUTH_TIMEOUT", "auth", never, &soon, |sim, _| assert_eq!(sim.record().auths(), 1));
}

#[test]
fn resets_before_the_client_is_live() {
    fails("GWA_E_DROPPED", "token", |sim| _ = sim.token().always(TokenReply::Reset));
    fails("GWA_E_DROPPED", "upgrade", |sim| _ = sim.ws().always_upgrade(UpgradeReply::Reset));
    fails("GWA_E_DROPPED", "authenticate", |sim| _ = sim.ws().always_first_auth(AuthReply::Act(vec![Action::Reset])));
}

#[test]
fn frames_a_server_must_not_send() {
    let ends = |status: &str, actions: &[Action]| {
        each(status, |variant| {
            let sim = honest(variant);
            sim.ws().plan(0, Plan::new().on(Trigger::Auths(1), actions.to_vec()));
            Program::new("gap_cause", variant).against(&sim).env("GWA_TEST_STATUS", status).run().passed();
            assert_eq!(sim.record().ws_connects(), 2);
        });
    };
    ends("GWA_E_MESSAGE_TOO_LARGE", &[Action::oversized((4 << 20) + 1)]);
    ends("GWA_E_MESSAGE_TOO_LARGE", &[Action::OversizedHeader { announced: 1 << 62 }]);
    ends("GWA_E_WS_PROTOCOL", &[Action::InvalidUtf8]);
    ends("GWA_E_WS_PROTOCOL", &[Action::Masked("x".into())]);
    ends("GWA_E_DROPPED", &[Action::CutFrame { text: "half of it".into(), keep: 5 }]);
    ends("GWA_E_DROPPED", &[Action::Reset]);
    ends("GWA_E_WS_CLOSED", &[Action::close(1011, "internal error")]);
}
