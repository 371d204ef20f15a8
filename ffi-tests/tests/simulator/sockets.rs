//! Upgrades, authentication and the end of connections.

use std::time::{Duration, Instant};

use ffi_tests::sim::{Action, AuthReply, End, Issue, Options, Plan, Sim, TokenReply, Trigger, UpgradeReply, WsPolicy};
use serde_json::{json, Value};
use tungstenite::error::ProtocolError;
use tungstenite::{Error, Message};

use crate::client::{
    auth, connect, read_close, read_json, read_text, send_auth, token, try_upgrade, upgrade, Socket, BOUND,
};

fn start(ws: WsPolicy) -> Sim {
    Sim::start(Options { ws, ..Options::default() })
}

fn ended(sim: &Sim, connection: usize, wanted: &End) -> bool {
    let end = |log: &ffi_tests::sim::Log| log.connections[connection].end.clone().map(|(_, end)| end);
    sim.record().wait_until(BOUND, |log| end(log).as_ref() == Some(wanted))
}

#[test]
fn the_tutorial_authenticates_and_renews() {
    let sim = start(WsPolicy::default());
    let mut socket = upgrade(&sim);
    let first = token(&sim);
    let reply = auth(&mut socket, &first);
    assert_eq!((&reply["type"], &reply["status"]), (&json!("auth"), &json!("ok")));
    assert_eq!(reply["sessionId"].as_str().unwrap().len(), 36);
    let again = auth(&mut socket, &token(&sim));
    assert_eq!(again["sessionId"], reply["sessionId"]);
    let log = sim.record().snapshot();
    assert_eq!((log.auths(), log.reauths(), log.ws_connects()), (1, 1, 1));
    assert_eq!(log.auths[0].token, first);
    assert_eq!(log.auths[0].accepted, Some(true));
}

#[test]
fn a_known_session_is_resumed_and_an_unknown_one_is_not() {
    let sim = start(WsPolicy::default());
    let session = auth(&mut upgrade(&sim), &token(&sim))["sessionId"].clone();
    let offer = |id: &Value| {
        let mut socket = upgrade(&sim);
        let frame = json!({"type": "auth", "token": token(&sim), "sessionId": id});
        socket.send(Message::text(frame.to_string())).unwrap();
        read_json(&mut socket)["sessionId"].clone()
    };
    assert_eq!(offer(&session), session);
    assert_ne!(offer(&json!("made-up")), json!("made-up"));
    assert_eq!(sim.record().snapshot().auths[1].session_id.as_deref(), session.as_str());
}

#[test]
fn bad_tokens_are_refused() {
    let sim = start(WsPolicy { close_after_expiry: None, ..WsPolicy::default() });
    let mut socket = upgrade(&sim);
    let refused = json!({"type": "auth", "status": "error", "message": "invalid token"});
    assert_eq!(auth(&mut socket, "made-up"), refused);
    let expired = sim.token().mint(&Issue::new().lifetime(Duration::ZERO)).access_token;
    assert_eq!(auth(&mut socket, &expired), refused);
    sim.ws().policy(|p| p.strict_expiry = false);
    assert_eq!(auth(&mut socket, &expired)["status"], "ok");
    sim.token().revoke_access();
    assert_eq!(auth(&mut socket, &expired), refused);
    let outcomes: Vec<_> = sim.record().snapshot().auths.iter().map(|a| a.accepted).collect();
    assert_eq!(outcomes, [Some(false), Some(false), Some(true), Some(false)]);
}

#[test]
fn who_does_not_authenticate_is_closed() {
    let sim = start(WsPolicy { auth_timeout: Duration::from_millis(50), ..WsPolicy::default() });
    assert_eq!(read_close(&mut upgrade(&sim)).0, 1008);
    let mut socket = upgrade(&sim);
    socket.send(Message::text("{\"type\":\"hello\"}")).unwrap();
    assert_eq!(read_close(&mut socket).0, 1008);
}

#[test]
fn a_socket_does_not_outlive_its_token() {
    let sim = start(WsPolicy::default());
    sim.token().policy(|p| p.lifetime = Duration::from_millis(800));
    let mut socket = connect(&sim);
    assert_eq!(read_close(&mut socket), (1008, "token expired".to_owned()));
    // A renewal in time, and it lives on.
    let mut socket = connect(&sim);
    sim.token().policy(|p| p.lifetime = BOUND);
    let renewed = token(&sim);
    auth(&mut socket, &renewed);
    sim.ws().plan_next(Plan::new().on(Trigger::AfterMs(900), [Action::Text("late".into())]));
    upgrade(&sim).read().unwrap();
    sim.ws().push_text("alive");
    assert_eq!(read_text(&mut socket), "alive");
}

#[test]
fn upgrades_are_refused_as_scripted() {
    let sim = start(WsPolicy::default());
    let status = |reply: UpgradeReply| {
        sim.ws().on_upgrade(reply);
        match try_upgrade(&sim) {
            Err(Error::Http(answer)) => (answer.status().as_u16(), answer.headers().clone()),
            other => panic!("a refusal expected, not {:?}", other.err()),
        }
    };
    for code in [401, 403, 404, 503] {
        let refusal = UpgradeReply::Status { code, headers: Vec::new(), body: "no".into() };
        assert_eq!(status(refusal).0, code);
    }
    let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
    let (code, headers) = status(UpgradeReply::Status { code: 429, headers, body: String::new() });
    assert_eq!((code, headers["retry-after"].as_bytes()), (429, b"7".as_slice()));
    let (code, headers) = status(UpgradeReply::Redirect { to: "wss://elsewhere/ws".into() });
    assert_eq!((code, headers["location"].as_bytes()), (302, b"wss://elsewhere/ws".as_slice()));
    assert_eq!(sim.record().ws_connects(), 0);
}

#[test]
fn upgrades_fail_as_scripted() {
    let sim = start(WsPolicy::default());
    sim.ws().on_upgrade(UpgradeReply::WrongAcceptKey).on_upgrade(UpgradeReply::Drop).on_upgrade(UpgradeReply::Reset);
    let mismatch = try_upgrade(&sim).err().unwrap();
    assert!(matches!(mismatch, Error::Protocol(ProtocolError::SecWebSocketAcceptKeyMismatch)), "{mismatch}");
    assert!(try_upgrade(&sim).is_err());
    assert!(try_upgrade(&sim).is_err());
    let extra = vec![("X-Extra".to_owned(), "1".to_owned())];
    let then = Box::new(UpgradeReply::AcceptWith(extra));
    sim.ws().on_upgrade(UpgradeReply::Delay { ms: 30, then });
    let began = Instant::now();
    upgrade(&sim);
    assert!(began.elapsed() >= Duration::from_millis(30));
    sim.ws().always_upgrade(UpgradeReply::Hang);
    std::thread::scope(|scope| {
        let hung = scope.spawn(|| try_upgrade(&sim).is_err());
        assert!(sim.record().wait_until(BOUND, |log| log.requests.len() == 5));
        sim.restart();
        assert!(hung.join().unwrap());
    });
}

#[test]
fn auth_answers_are_scripted() {
    let sim = start(WsPolicy::default());
    let token = token(&sim);
    let first = |reply: AuthReply| {
        sim.ws().on_first_auth(reply);
        let mut socket = upgrade(&sim);
        let answer = auth(&mut socket, &token);
        (socket, answer)
    };
    assert_eq!(first(AuthReply::Refuse(Some("too many".into()))).1["message"], "too many");
    assert!(first(AuthReply::Refuse(None)).1.get("message").is_none());
    assert!(first(AuthReply::Padded(70_000)).1.to_string().len() > 70_000);
    assert_eq!(first(AuthReply::Text("{\"type\":\"auth\"}".into())).1, json!({"type": "auth"}));
    let before = AuthReply::Before(vec![Action::Text("{\"n\":1}".into())], Box::new(AuthReply::Honest));
    let (mut socket, answer) = first(before);
    assert_eq!(answer, json!({"n": 1}));
    assert_eq!(read_json(&mut socket)["status"], "ok");
    let after = AuthReply::After(Box::new(AuthReply::Honest), vec![Action::unsolicited_auth("error")]);
    let (mut socket, answer) = first(after);
    assert_eq!(answer["status"], "ok");
    assert_eq!(read_json(&mut socket)["message"], "unsolicited");
    let (mut socket, _) = first(AuthReply::Before(vec![Action::Text("{}".into())], Box::new(AuthReply::Never)));
    sim.ws().act(None, [Action::Text("{\"type\":\"late\"}".into())]);
    assert_eq!(read_json(&mut socket)["type"], "late", "the auth frame was never acknowledged");
}

#[test]
fn renewals_are_refused_or_never_acknowledged() {
    let sim = start(WsPolicy::default());
    let mut socket = connect(&sim);
    sim.ws().always_reauth(AuthReply::Refuse(Some("not in band".into())));
    assert_eq!(auth(&mut socket, &token(&sim))["message"], "not in band");
    sim.ws().always_reauth(AuthReply::Never);
    send_auth(&mut socket, &token(&sim));
    assert!(sim.record().wait_until(BOUND, |log| log.reauths() == 2));
    sim.ws().push_text("{\"type\":\"event\"}");
    assert_eq!(read_json(&mut socket)["type"], "event", "messages flow all the same");
    sim.ws().on_reauth(AuthReply::Honest);
    assert_eq!(auth(&mut socket, &token(&sim))["status"], "ok");
    let outcomes: Vec<_> = sim.record().snapshot().auths.iter().map(|a| a.accepted).collect();
    assert_eq!(outcomes, [Some(true), Some(false), None, Some(true)]);
}

#[test]
fn a_late_answer_does_not_hold_up_messages() {
    let sim = start(WsPolicy::default());
    let mut socket = connect(&sim);
    let then = Box::new(AuthReply::Honest);
    sim.ws().on_auth(AuthReply::Delay { ms: 50, then });
    send_auth(&mut socket, &token(&sim));
    assert!(sim.record().wait_until(BOUND, |log| log.reauths() == 1));
    sim.ws().push_text("{\"n\":1}");
    assert_eq!(read_json(&mut socket)["n"], 1);
    assert_eq!(read_json(&mut socket)["status"], "ok");
}

#[test]
fn the_next_auth_of_either_kind_can_be_scripted() {
    let sim = start(WsPolicy::default());
    sim.ws().refuse_auth("first").on_first_auth(AuthReply::Honest).never_acknowledge();
    let mut socket = connect(&sim);
    assert_eq!(auth(&mut socket, &token(&sim))["message"], "first");
    send_auth(&mut socket, &token(&sim));
    assert!(sim.record().wait_until(BOUND, |log| log.reauths() == 2));
    assert_eq!(sim.record().snapshot().auths[2].accepted, None);
    sim.ws().always_first_auth(AuthReply::Act(vec![Action::close(4001, "go")]));
    let mut other = upgrade(&sim);
    send_auth(&mut other, "any");
    assert_eq!(read_close(&mut other), (4001, "go".to_owned()));
}

#[test]
fn both_sides_close_with_their_codes() {
    let sim = start(WsPolicy::default());
    let mut socket = connect(&sim);
    sim.ws().close_all(1012, "restart");
    assert_eq!(read_close(&mut socket), (1012, "restart".to_owned()));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    assert!(ended(&sim, 0, &End::ServerClosed(1012)));
    let mut socket = connect(&sim);
    socket.close(None).unwrap();
    assert!(matches!(socket.read(), Ok(Message::Close(_))));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    assert!(ended(&sim, 1, &End::ClientClosed(1005)));
    drop(connect(&sim));
    assert!(ended(&sim, 2, &End::ClientGone));
    let codes: Vec<u16> = sim.record().snapshot().closes.iter().map(|close| close.code).collect();
    assert_eq!(codes, [1012, 1005]);
}

#[test]
fn a_clients_close_can_stay_unanswered() {
    let sim = start(WsPolicy { ignore_close: true, ..WsPolicy::default() });
    let mut socket = connect(&sim);
    socket.close(None).unwrap();
    let frame = |log: &ffi_tests::sim::Log| log.closes.len() == 1;
    assert!(sim.record().wait_until(BOUND, frame));
    sim.ws().act(None, [Action::Text("{\"still\":1}".into())]);
    assert_eq!(read_json(&mut socket)["still"], 1, "what comes instead of an answer");
}

#[test]
fn a_client_that_breaks_the_protocol_is_on_record() {
    let sim = Sim::start(Options { tls: None, ..Options::default() });
    let mut socket: Socket = connect(&sim);
    std::io::Write::write_all(socket.get_mut(), &[0x81, 0x01, b'x']).unwrap();
    assert_eq!(read_close(&mut socket).0, 1002);
    let fault = |log: &ffi_tests::sim::Log| matches!(log.connections[0].end, Some((_, End::ClientFault(_))));
    assert!(sim.record().wait_until(BOUND, fault));
}

#[test]
fn a_first_token_can_be_made_to_fail_on_the_socket_only() {
    let sim = start(WsPolicy::default());
    sim.token().then(TokenReply::Issue(Issue::new().lifetime(Duration::ZERO)));
    let stale = token(&sim);
    assert_eq!(auth(&mut upgrade(&sim), &stale)["status"], "error");
    connect(&sim);
}

#[test]
fn answers_have_their_fields_in_the_documented_order() {
    let sim = start(WsPolicy::default());
    let mut socket = upgrade(&sim);
    sim.ws().refuse_auth("a \"quoted\" word");
    send_auth(&mut socket, "any");
    let refused = r#"{"type":"auth","status":"error","message":"a \"quoted\" word"}"#;
    assert_eq!(read_text(&mut socket), refused);
    send_auth(&mut socket, &token(&sim));
    assert!(read_text(&mut socket).starts_with(r#"{"type":"auth","status":"ok","sessionId":""#));
}

#[test]
fn one_connection_can_be_told_to_ignore_a_close() {
    let sim = start(WsPolicy::default());
    sim.ws().plan(0, Plan::new().on(Trigger::Auths(1), [Action::IgnoreClose]));
    let (mut first, mut second) = (connect(&sim), connect(&sim));
    for socket in [&mut first, &mut second] {
        socket.close(None).unwrap();
    }
    assert!(matches!(second.read(), Ok(Message::Close(_))));
    assert!(sim.record().wait_until(BOUND, |log| log.closes.len() == 2));
    sim.ws().act(Some(0), [Action::Text("{}".into()), Action::close(1005, "")]);
    assert_eq!(read_text(&mut first), "{}");
    assert!(matches!(first.read(), Ok(Message::Close(None))));
}
