//! What the server's word means to a client that runs: refused upgrades, drains and close codes.

use std::time::Duration;

use ffi_tests::sim::{Log, Pump, UpgradeReply};
use genesys_ws_auth::event::{MessageKind, State};
use genesys_ws_auth::{Code, Secret};

use crate::harness::*;

fn status(code: u16) -> UpgradeReply {
    UpgradeReply::Status { code, headers: Vec::new(), body: String::new() }
}

fn upgrades(log: &Log) -> usize {
    log.requests.iter().filter(|request| request.path == "/ws").count()
}

/// Nothing more is asked for, though the longest delay before the next dial is over.
#[track_caller]
fn check_quiet(rig: &Rig) {
    let before = rig.sim.record().read(|log| log.requests.len());
    let more = rig.sim.record().wait_until(Duration::from_secs(3), |log| log.requests.len() > before);
    assert!(!more, "asked again: {}", show(&rig.seen.all()));
}

#[test]
fn an_address_without_a_socket_ends_the_client() {
    each([404, 410], |code| {
        let rig = Setup::default().build();
        rig.sim.ws().always_upgrade(status(code));
        rig.client.start().unwrap();
        rig.seen.wait_state(State::Failed, 1);
        assert_eq!(rig.client.state(), State::Failed);
        let missing = Some(Code::UpgradeNotFound);
        let token = rig.client.token(Duration::ZERO, Some(Duration::ZERO));
        assert_eq!((crate::harness::code(rig.client.refresh_now()), crate::harness::code(token)), (missing, missing));
        let sent = rig.client.send(MessageKind::Text, b"x");
        assert_eq!((crate::harness::code(sent), crate::harness::code(rig.client.drain_notice())), (missing, missing));
        // The request for the first token may still be on its way; there is no other, and no other socket.
        let more = |log: &Log| upgrades(log) > 1 || log.token_requests() > 1 || log.auths() > 0;
        assert!(!rig.sim.record().wait_until(Duration::from_secs(3), more), "{}", show(&rig.seen.all()));
        let report = rig.client.shutdown(Some(BOUND));
        assert!(report.complete, "{report:?}");
        assert_eq!(rig.client.state(), State::Failed, "final");
        let saws = rig.seen.all();
        let failed = |saw: &Saw| matches!(saw, Saw::State(change) if change.error.as_ref().is_some_and(|error| error.detail().http_status == code));
        assert_eq!(count(&saws, failed), 1, "{}", show(&saws));
    });
}

#[test]
fn an_address_that_had_a_socket_is_tried_again() {
    let rig = Setup::default().connect();
    rig.sim.ws().on_upgrade(status(404)).on_upgrade(status(410));
    rig.sim.ws().drop_all();
    rig.seen.wait_state(State::Ready, 2);
    let log = rig.sim.record().snapshot();
    assert_eq!((upgrades(&log), log.token_requests()), (4, 1));
    assert_eq!(gaps(&rig.close()), 1);
}

#[test]
fn a_forbidden_upgrade_waits_for_the_application() {
    let helps: [(&str, fn(&Rig)); 2] = [
        ("refresh_now", |rig| rig.client.refresh_now().unwrap()),
        ("a new secret", |rig| {
            rig.client.set_secret("client.secret", Secret::new("sim-client-secret".into())).unwrap()
        }),
    ];
    each(helps, |(which, help)| {
        let rig = Setup::default().connect();
        rig.sim.ws().on_upgrade(status(403));
        rig.sim.ws().drop_all();
        rig.seen.wait_state(State::ReauthRequired, 1);
        check_quiet(&rig);
        assert_eq!(rig.client.state(), State::ReauthRequired, "{which}");
        help(&rig);
        rig.seen.wait_state(State::Ready, 2);
        let log = rig.sim.record().snapshot();
        assert_eq!((upgrades(&log), log.token_requests()), (3, 2), "{which}");
        assert_ne!(log.auths[0].token, log.auths[1].token, "{which}");
        assert_eq!(gaps(&rig.close()), 1, "{which}");
    });
}

#[test]
fn a_forbidden_upgrade_fails_a_connect_at_once() {
    let rig = Setup::default().build();
    rig.sim.ws().always_upgrade(status(403));
    let error = refused(&rig);
    assert_eq!((error.code(), error.detail().http_status), (Code::UpgradeForbidden, 403));
    let asked = rig.sim.record().read(upgrades);
    assert!(asked <= 2, "{asked}: one attempt of three, and perhaps one socket ahead of its token");
    rig.sim.ws().always_upgrade(UpgradeReply::Accept);
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

/// The application has read in a message that the server will go: nothing is missed.
#[test]
fn a_drain_notice_hands_over_without_a_gap() {
    let pump = Pump::every(Duration::from_millis(2));
    let rig = Setup::default().sim(|options| options.ws.pump = Some(pump)).connect();
    rig.seen.wait_seq(20);
    rig.client.drain_notice().unwrap();
    rig.seen.wait_state(State::Draining, 1);
    rig.seen.wait("the hand-over", |saws| handovers(saws) == 1);
    rig.seen.wait("messages of the second", |saws| on(saws, 2).len() >= 20);
    rig.seen.wait_state(State::Ready, 2);
    // The server counts a message a moment after the client may have it.
    let first = on(&rig.seen.all(), 1);
    rig.wait_sim("the end of the first, and its count", |log| {
        let [left, new] = &log.connections[..] else { return false };
        left.end.is_some() && left.sent.messages >= first.len() as u64 && new.sent.messages >= 20
    });
    let log = rig.sim.record().snapshot();
    assert_eq!((log.closes.len(), log.closes[0].connection, log.closes[0].code), (1, 0, 1000));
    assert_eq!((log.token_requests(), log.auths(), log.reauths()), (1, 2, 0), "the token is still good");
    let metrics = rig.client.metrics();
    assert_eq!((metrics.connects, metrics.gaps, metrics.drops, metrics.renewals), (2, 0, 0, 0));
    let saws = rig.close();
    assert_eq!(gaps(&saws), 0);
    let second = on(&saws, 2);
    assert_eq!(first, log.connections[0].sent.seqs().collect::<Vec<_>>(), "the first is read out");
    let sent: Vec<u64> = log.connections[1].sent.seqs().collect();
    assert_eq!(second[..20], sent[..20], "of the second all is there from its beginning");
    let handover = saws.iter().position(|saw| matches!(saw, Saw::Handover(_))).unwrap();
    assert_eq!((on(&saws[..handover], 1), on(&saws[..handover], 2)), (first, Vec::new()), "old before new");
}

/// Numbers of the pump's messages that came by this socket.
fn on(saws: &[Saw], number: u64) -> Vec<u64> {
    let seq = |saw: &Saw| match saw {
        Saw::Message { connection, data, .. } if *connection == number => seq_of(data),
        _ => None,
    };
    saws.iter().filter_map(seq).collect()
}

#[test]
fn a_notice_to_a_client_that_is_not_live_changes_nothing() {
    let rig = Setup::default().build();
    assert_eq!(code(rig.client.drain_notice()), Some(Code::BadState));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.down();
    rig.seen.wait_state(State::Reconnecting, 1);
    rig.client.drain_notice().unwrap();
    rig.sim.up();
    rig.seen.wait_state(State::Ready, 2);
    let client = std::sync::Arc::clone(&rig.client);
    let saws = rig.close();
    assert_eq!((handovers(&saws), gaps(&saws)), (0, 1), "{}", show(&saws));
    assert!(!states(&saws).contains(&State::Draining), "{}", show(&saws));
    assert_eq!(code(client.drain_notice()), Some(Code::Closed));
}

#[test]
fn a_server_that_goes_away_is_let_go_at_leisure() {
    each([1001, 1012, 1013], |number| {
        let rig = Setup::default().connect();
        rig.sim.ws().close_all(number, "going away");
        rig.seen.wait_state(State::Draining, 1);
        rig.seen.wait_state(State::Ready, 2);
        // The session id is offered again, with the same token.
        let log = rig.sim.record().snapshot();
        assert!(log.auths[1].session_id.is_some());
        assert_eq!(log.token_requests(), 1, "{number}");
        assert_eq!(gaps(&rig.close()), 1, "{number}");
    });
}

#[test]
fn close_codes_mean_what_the_application_says() {
    let setup = |classes: &str| Setup::default().key("ws.close_codes", classes);
    // Blames the token, unless told otherwise.
    let rig = setup("1008=retry,4001=final").connect();
    rig.sim.ws().close_all(1008, "busy");
    rig.seen.wait_state(State::Ready, 2);
    let log = rig.sim.record().snapshot();
    assert_eq!((log.token_requests(), &log.auths[0].token), (1, &log.auths[1].token));
    // Is an ordinary loss, unless told otherwise.
    rig.sim.ws().close_all(4001, "licence revoked");
    rig.seen.wait_state(State::Failed, 1);
    check_quiet(&rig);
    let error = rig.client.refresh_now().unwrap_err();
    assert_eq!((error.code(), error.detail().ws_close_code), (Code::WsClosed, 4001));
    let report = rig.client.shutdown(Some(BOUND));
    assert!(report.complete, "{report:?}");
    let saws = rig.seen.all();
    assert_eq!(gaps(&saws), 2, "{}", show(&saws));
}

#[test]
fn a_code_of_ones_own_drains_or_fetches_a_token() {
    let rig = Setup::default().key("ws.close_codes", "4002=drain,4003=token").connect();
    rig.sim.ws().close_all(4002, "moving");
    rig.seen.wait_state(State::Draining, 1);
    rig.seen.wait_state(State::Ready, 2);
    assert_eq!(rig.sim.record().token_requests(), 1);
    rig.sim.ws().close_all(4003, "who are you");
    rig.seen.wait_state(State::Ready, 3);
    assert_eq!(rig.sim.record().token_requests(), 2);
    rig.close();
}
