//! The socket is opened while its token is being fetched: what reaches the server when, and what does not.

use std::time::Duration;

use ffi_tests::relay::{Flow, Relay};
use ffi_tests::sim::{Action, Issue, Log, Plan, Request, TokenReply, Trigger, UpgradeReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::Code;

use crate::harness::*;

/// The server waits for an authentication as long as the client believes it does: a minute. A token is slow after a
/// quarter of it.
fn patient() -> Setup {
    let setup = Setup::default().key("ws.auth_timeout_ms", 60_000).key("token.timeout_ms", 60_000);
    setup.sim(|options| options.ws.auth_timeout = Duration::from_secs(60))
}

/// The next token comes so much later.
fn late(rig: &Rig, ms: u64) {
    rig.sim.token().then(TokenReply::Delay { ms, then: Box::new(TokenReply::Issue(Issue::new())) });
}

fn upgrades(log: &Log) -> Vec<&Request> {
    log.requests.iter().filter(|request| request.path == "/ws").collect()
}

/// The first token request is not answered yet.
fn is_waiting(log: &Log) -> bool {
    log.requests.iter().any(|request| request.path != "/ws")
        && log.requests.iter().all(|request| request.path == "/ws" || request.status.is_none())
}

fn failures(saws: &[Saw]) -> usize {
    count(saws, |saw| matches!(saw, Saw::Audit(r) if r["status"] == "failure"))
}

/// Starts, and waits until the socket is upgraded, the client knows it, and its token is not there.
#[track_caller]
fn start_ahead(rig: &Rig) {
    late(rig, 6_000);
    rig.sim.ws().plan(0, Plan::new().on(Trigger::Open, [Action::Ping(b"there?".to_vec())]));
    rig.client.start().unwrap();
    rig.wait_sim("the upgrade ahead of the token", |log| log.pongs == 1 && is_waiting(log));
    assert_eq!(rig.sim.record().read(|log| log.auths.len()), 0, "nothing to show yet");
}

#[test]
fn the_socket_is_open_before_its_token_is_there() {
    let rig = patient().build();
    start_ahead(&rig);
    assert_eq!(rig.client.state(), State::AcquiringToken);
    rig.seen.wait_state(State::Ready, 1);
    let log = rig.sim.record().snapshot();
    assert_eq!((log.token_requests(), log.ws_connects(), log.auths(), log.tcp_connections), (1, 1, 1, 2));
    let saws = rig.close();
    assert_eq!(failures(&saws), 0, "{}", show(&saws));
}

#[test]
fn a_socket_that_waits_too_long_is_closed_and_another_one_serves() {
    // The client waits for half of the server's 20 s, the token for 14 s.
    let setup = Setup::default().key("ws.auth_timeout_ms", 20_000).key("token.timeout_ms", 60_000);
    let rig = setup.sim(|options| options.ws.auth_timeout = Duration::from_secs(20)).build();
    late(&rig, 14_000);
    rig.client.connect(Some(BOUND * 2)).unwrap();
    rig.wait_sim("the end of the first", |log| log.connections[0].end.is_some());
    let log = rig.sim.record().snapshot();
    assert_eq!((log.token_requests(), log.ws_connects(), log.auths()), (1, 2, 1));
    let close = &log.closes[0];
    assert_eq!((close.connection, close.code), (0, 1000));
    assert!(close.at - log.connections[0].at >= Duration::from_secs(9), "closed too early");
    assert_eq!(log.auths[0].connection, 1);
    let saws = rig.close();
    assert_eq!(failures(&saws), 0, "{}", show(&saws));
}

#[test]
fn without_overlap_the_upgrade_follows_the_token() {
    let rig = Setup::default().key("connect.overlap", "off").build();
    late(&rig, 1_000);
    rig.client.connect(Some(BOUND)).unwrap();
    let log = rig.sim.record().snapshot();
    let [token, upgrade] = &log.requests[..] else { panic!("{:?}", log.requests) };
    assert_eq!((token.status, upgrade.path.as_str()), (Some(200), "/ws"));
    assert!(upgrade.at >= token.at + Duration::from_secs(1), "the upgrade did not wait");
    assert!(log.tls[1].at >= token.at + Duration::from_secs(1), "nor did the connection");
    rig.close();
}

/// While the next request for a token is only timed, a socket that is connected by then waits with its upgrade.
#[test]
fn the_upgrade_is_held_back_while_no_token_is_near() {
    let mut setup = patient();
    let sim = ffi_tests::sim::Sim::start(setup.options.clone());
    let relay = Relay::start(sim.addr()).unwrap();
    relay.flow_to_client(Flow::Freeze);
    setup = setup.key("tls.timeout_ms", 60_000).key("ws.upgrade_timeout_ms", 60_000);
    let mut config = aim(setup.config, &sim, false);
    config.set("ws.url", &format!("wss://{}/ws", relay.addr())).unwrap();
    let seen = std::sync::Arc::new(Seen::default());
    config.hooks = hooks(&seen, setup.answer);
    let client = genesys_ws_auth::Client::new(&config).unwrap();
    sim.token().then(TokenReply::Throttle429 { retry_after: Some("6".into()) });
    client.start().unwrap();
    seen.wait_state(State::Throttled, 1);
    assert!(relay.wait_accepted(1, BOUND), "dialled ahead");
    relay.flow_to_client(Flow::Pass);
    seen.wait_state(State::Ready, 1);
    let log = sim.record().snapshot();
    let granted = log.requests.iter().find(|request| request.status == Some(200)).unwrap();
    let [upgrade] = upgrades(&log)[..] else { panic!("{:?}", log.requests) };
    assert!(upgrade.at > granted.at, "upgraded before there was hope of a token");
    assert_eq!((log.ws_connects(), log.tcp_connections), (1, 3), "two token requests and one socket");
    assert!(client.shutdown(Some(BOUND)).complete);
}

#[test]
fn a_token_without_its_scopes_never_reaches_the_socket_that_waits() {
    let rig = patient().key("scopes.required", "routing:write").build();
    start_ahead(&rig);
    rig.seen.wait_state(State::ReauthRequired, 1);
    rig.wait_sim("the close", |log| log.closes.len() == 1 && log.connections[0].end.is_some());
    let log = rig.sim.record().snapshot();
    assert_eq!((log.closes[0].code, log.auths.len(), log.ws_connects()), (1000, 0, 1));
    rig.close();
}

#[test]
fn what_the_server_says_ahead_of_the_token_is_a_failed_attempt() {
    let rig = patient().build();
    let busy = UpgradeReply::Status { code: 503, headers: Vec::new(), body: String::new() };
    rig.sim.ws().on_upgrade(busy);
    late(&rig, 6_000);
    rig.client.start().unwrap();
    let refused = |log: &Log| is_waiting(log) && upgrades(log).iter().any(|request| request.status == Some(503));
    rig.wait_sim("the refusal ahead of the token", refused);
    rig.seen.wait_state(State::Ready, 1);
    let log = rig.sim.record().snapshot();
    assert_eq!((log.token_requests(), upgrades(&log).len(), log.auths()), (1, 2, 1), "one socket for each token");
    let saws = rig.close();
    assert_eq!(failures(&saws), 1, "{}", show(&saws));
}

#[test]
fn a_socket_that_is_lost_ahead_of_its_token_is_no_failed_attempt() {
    let rig = patient().build();
    rig.sim.ws().on_upgrade(UpgradeReply::Reset);
    late(&rig, 6_000);
    rig.client.connect(Some(BOUND)).unwrap();
    let saws = rig.close();
    assert_eq!(failures(&saws), 0, "{}", show(&saws));
}

#[test]
fn a_shutdown_closes_the_socket_that_waits() {
    let rig = patient().build();
    start_ahead(&rig);
    let report = rig.client.shutdown(Some(BOUND));
    assert!(report.complete && report.close_handshake, "{report:?}");
    let log = rig.sim.record().snapshot();
    assert_eq!((log.closes[0].code, log.auths.len()), (1000, 0));
    assert_eq!(code(rig.client.start()), Some(Code::BadState));
}

/// Token request and sockets share one session cache: what comes after the first handshake resumes it (RFC 8446 2.2).
#[test]
fn handshakes_after_the_first_are_resumed() {
    let resumed = |log: &Log| log.tls.iter().map(|one| one.result.as_ref().unwrap().resumed).collect::<Vec<_>>();
    // One after the other: the socket resumes what the token request began.
    let rig = Setup::default().key("connect.overlap", "off").connect();
    assert_eq!(resumed(&rig.sim.record().snapshot()), [false, true]);
    rig.sim.ws().drop_all();
    rig.seen.wait_state(State::Ready, 2);
    assert_eq!(resumed(&rig.sim.record().snapshot()), [false, true, true]);
    rig.close();
    // Side by side at first; then a reconnect and the next token resume.
    let rig = Setup::default().connect();
    rig.sim.ws().drop_all();
    rig.seen.wait_state(State::Ready, 2);
    assert_eq!(resumed(&rig.sim.record().snapshot())[2..], [true]);
    rig.client.refresh_now().unwrap();
    rig.wait_sim("the renewal", |log| log.reauths() == 1);
    assert_eq!(resumed(&rig.sim.record().snapshot())[2..], [true, true]);
    rig.close();
}
