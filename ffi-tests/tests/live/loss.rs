//! Sockets that end: close codes, drops, silence; and what the client makes of them.

use std::time::Duration;

use ffi_tests::sim::{Action, AuthReply, Plan, Pump, Trigger, UpgradeReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Code, Stage};

use crate::harness::*;

fn causes(saws: &[Saw]) -> Vec<(Code, u16, Stage, String)> {
    let cause = |saw: &Saw| match saw {
        Saw::GapBegin(gap) => gap.cause.as_ref().map(|error| {
            let detail = error.detail();
            (error.code(), detail.ws_close_code, detail.stage, detail.message.clone())
        }),
        _ => None,
    };
    saws.iter().filter_map(cause).collect()
}

#[test]
fn closes_by_the_server_are_reported_and_survived() {
    let cases = [(1000, "bye"), (1011, "oops"), (4000, ""), (1005, "")];
    let pump = Pump::every(Duration::from_millis(1));
    each(cases, |(code, reason)| {
        let rig = Setup::default().sim(|options| options.ws.pump = Some(pump.clone())).connect();
        rig.seen.wait_seq(20);
        rig.sim.ws().close_all(code, reason);
        rig.seen.wait_state(State::Ready, 2);
        rig.seen.wait("messages after it", |saws| matches!(saws.last(), Some(Saw::Message { connection: 2, .. })));
        let saws = rig.close();
        check_order(&saws).unwrap();
        let [(cause, number, stage, text)] = &causes(&saws)[..] else { panic!("{}", show(&saws)) };
        assert_eq!((*cause, *number, *stage), (Code::WsClosed, code, Stage::Live));
        assert!(text.contains(reason), "{text}");
        let lost = |saw: &Saw| matches!(saw, Saw::Audit(r) if r["event_type"] == "connection_lost");
        assert_eq!(count(&saws, lost), 1);
    });
}

#[test]
fn a_close_that_blames_the_token_gets_another_one() {
    each([1008, 4401], |code| {
        let rig = Setup::default().connect();
        rig.sim.ws().close_all(code, "token revoked");
        rig.seen.wait_state(State::Ready, 2);
        let sim = rig.sim.record().snapshot();
        assert_eq!(sim.token_requests(), 2, "{code}");
        assert_ne!(sim.auths[0].token, sim.auths[1].token, "{code}");
        rig.close();
    });
}

#[test]
fn drops_resets_half_frames_and_what_breaks_the_protocol() {
    let text = || "x".repeat(200);
    let cases: Vec<(&str, Action, Code)> = vec![
        ("drop", Action::Drop, Code::Dropped),
        ("reset", Action::Reset, Code::Dropped),
        ("half a frame", Action::CutFrame { text: text(), keep: 50 }, Code::Dropped),
        ("half a header", Action::CutFrame { text: text(), keep: 1 }, Code::Dropped),
        ("too large", Action::OversizedHeader { announced: 5 << 20 }, Code::MessageTooLarge),
        ("no UTF-8", Action::InvalidUtf8, Code::WsProtocol),
        ("masked", Action::Masked("x".into()), Code::WsProtocol),
        ("reserved opcode", Action::Raw(vec![0x83, 0]), Code::WsProtocol),
    ];
    each(cases, |(which, action, code)| {
        let rig = Setup::default().connect();
        rig.sim.ws().act(None, [Action::Text(r#"{"seq":1}"#.into()), action]);
        rig.seen.wait("the gap", |saws| gaps(saws) == 1);
        rig.seen.wait_state(State::Ready, 2);
        let saws = rig.close();
        assert_eq!(causes(&saws)[0].0, code, "{which}: {}", show(&saws));
        assert_eq!(seqs(&saws), [1], "{which}: what came before is delivered");
    });
}

#[test]
fn silence_is_found_out_by_a_ping() {
    let rig = Setup::default().key("ws.ping_after_ms", 200).key("ws.dead_after_ms", 3_000).connect();
    rig.wait_sim("pings", |log| log.pings >= 3);
    assert_eq!(rig.client.metrics().drops, 0, "a peer that answers lives");
    rig.sim.ws().go_silent();
    rig.seen.wait_state(State::Ready, 2);
    let saws = rig.close();
    assert_eq!(causes(&saws)[0].0, Code::PeerDead);
}

#[test]
fn a_ping_of_the_server_is_answered() {
    let rig = Setup::default().connect();
    rig.sim.ws().act(None, [Action::Ping(b"are you there".to_vec())]);
    rig.wait_sim("a pong", |log| log.pongs == 1);
    rig.close();
}

#[test]
fn refusals_while_reconnecting_do_not_stop_it() {
    let rig = Setup::default().key("ws.auth_timeout_ms", 200).key("ws.upgrade_timeout_ms", 200).connect();
    rig.sim.ws().on_upgrade(UpgradeReply::Hang).on_upgrade(UpgradeReply::Drop);
    rig.sim.ws().on_first_auth(AuthReply::Never);
    rig.sim.ws().drop_all();
    rig.seen.wait_state(State::Ready, 2);
    let saws = rig.close();
    assert_eq!(gaps(&saws), 1, "one outage, one gap: {}", show(&saws));
}

#[test]
fn a_server_that_restarts_is_found_again() {
    let rig = Setup::default().connect();
    rig.sim.down();
    rig.seen.wait_state(State::Reconnecting, 1);
    rig.sim.up();
    rig.seen.wait_state(State::Ready, 2);
    assert_eq!(rig.sim.record().token_requests(), 1, "the token is still good");
    rig.close();
}

#[test]
fn odd_messages_pass_untouched() {
    let actions = vec![
        Action::not_json(),
        Action::Text(String::new()),
        Action::Binary(Vec::new()),
        Action::unsolicited_auth("ok"),
        Action::Fragmented { text: "in pieces".into(), parts: 4 },
        Action::Trickle { text: "byte by byte".into(), chunk: 1, delay_ms: 1 },
        Action::Binary(vec![0, 1, 2, 255]),
        Action::oversized(4 << 20),
    ];
    let rig = Setup::default().build();
    rig.sim.ws().plan(0, Plan::new().on(Trigger::Auths(1), actions));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.seen.wait("eight messages", |saws| count(saws, |saw| matches!(saw, Saw::Message { .. })) == 8);
    let saws = rig.close();
    let lens = saws.iter().filter_map(|saw| if let Saw::Message { data, .. } = saw { Some(data.len()) } else { None });
    assert_eq!(lens.collect::<Vec<_>>(), [17, 0, 0, 53, 9, 12, 4, 4 << 20]);
    assert_eq!(gaps(&saws), 0);
}
