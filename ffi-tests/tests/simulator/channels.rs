//! Channels and their sockets: who has them, what they get, how they end.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use ffi_tests::sim::{
    Action, ApiReply, ChannelEnd, End, EventPump, Farewell, Issue, Log, Options, Plan, Route, Sim, TokenReply, Trigger,
    UpgradeReply,
};
use serde_json::{json, Value};
use tungstenite::Message;

use crate::api::{self, channel, head, live, open, rest, start, subscribe, USER};
use crate::client::{read_close, read_json, read_text, Socket, BOUND};

const QUEUE: &str = "v2.routing.queues.7.users";

fn closed(sim: &Sim, connection: usize) -> bool {
    sim.record().wait_until(BOUND, |log| log.connections[connection].end.is_some())
}

/// Reads events to the close frame that comes instead: their numbers and correlation ids.
fn read_all(socket: &mut Socket) -> BTreeMap<u64, String> {
    let mut all = BTreeMap::new();
    while let Ok(Message::Text(text)) = socket.read() {
        let event: Value = serde_json::from_str(text.as_str()).unwrap();
        let id = event["metadata"]["CorrelationId"].as_str().unwrap_or_default().to_owned();
        if let Some(seq) = event["eventBody"]["seq"].as_u64() {
            assert_eq!(all.insert(seq, id), None, "event {seq} came twice on one socket");
        }
    }
    all
}

#[test]
fn a_second_socket_displaces_the_first() {
    let sim = start();
    let (token, id, mut first) = live(&sim, &[USER]);
    let uri = rest(&sim, &token, "GET", &format!("notifications/channels/{id}"), "").json()["connectUri"].clone();
    let mut second = open(&sim, uri.as_str().unwrap()).unwrap();
    assert_eq!(read_close(&mut first).0, 1000);
    assert_eq!(sim.channels().socket(&id), Some(1));
    sim.channels().event(USER, None);
    assert_eq!(read_json(&mut second)["eventBody"]["seq"], 1);
    let counted = |log: &Log| log.connections[1].sent.messages == 1;
    assert!(sim.record().wait_until(BOUND, counted));
    assert_eq!(sim.record().read(|log| log.emitted[0].connections.clone()), [1]);
    sim.channels().displace(&id);
    assert_eq!(read_close(&mut second).0, 1000);
    assert_eq!(sim.channels().live(), [id], "the channel lives on");
}

#[test]
fn a_channel_is_without_its_socket_once_that_was_closed() {
    let sim = start();
    sim.channels().policy(|policy| policy.channel_limit = 2);
    let (_, older, _socket) = live(&sim, &[USER]);
    let (token, newer, mut socket) = live(&sim, &[USER]);
    socket.close(None).unwrap();
    assert!(matches!(socket.read().unwrap(), Message::Close(_)));
    // At once: the one that has just been closed makes room, not the one that is connected.
    let (third, _) = channel(&sim, &token);
    assert_eq!(sim.channels().live(), [older, third]);
    assert_eq!(sim.channels().socket(&newer), None);
}

#[test]
fn an_event_is_the_same_on_every_channel() {
    let mut options = Options::notifications();
    options.notify.skew = vec![Duration::ZERO, Duration::from_millis(20)];
    let sim = Sim::start(options);
    let (_, _, mut one) = live(&sim, &[USER, QUEUE]);
    let (_, two_id, mut two) = live(&sim, &["v2.users.1?presence&routingStatus"]);
    let pump = EventPump { size: 300, limit: 40, ..EventPump::every(Duration::from_millis(1)) };
    sim.channels().policy(|policy| policy.events = Some(pump));
    assert!(sim.record().wait_until(BOUND, |log| log.emitted_total == 40));
    // What lags behind is sent before the client's close is answered. By hand: tungstenite throws away what comes
    // after a close frame of its own.
    two.get_mut().write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
    two.get_mut().flush().unwrap();
    let of_two = read_all(&mut two);
    assert!(closed(&sim, 1));
    sim.channels().act(None, [Action::close(1000, "done")]);
    let of_one = read_all(&mut one);
    assert!(closed(&sim, 0));
    let log = sim.record().snapshot();
    assert_eq!(log.connections[0].sent.seqs().collect::<Vec<_>>(), of_one.keys().copied().collect::<Vec<_>>());
    assert_eq!(log.connections[1].sent.seqs().collect::<Vec<_>>(), of_two.keys().copied().collect::<Vec<_>>());
    let wanted = |connection: usize| -> BTreeMap<u64, String> {
        let handed = log.emitted.iter().filter(|event| event.connections.contains(&connection));
        handed.map(|event| (event.number, event.correlation_id.clone())).collect()
    };
    assert_eq!((&of_one, &of_two), (&wanted(0), &wanted(1)));
    let shared: Vec<_> = of_one.iter().filter(|(seq, _)| of_two.contains_key(seq)).collect();
    assert!(!shared.is_empty() && shared.iter().all(|(seq, id)| of_two[*seq] == **id));
    assert!(log.emitted.iter().all(|e| e.topic != QUEUE || e.connections == [0]));
    assert_eq!(log.channels[1].id, two_id);
}

#[test]
fn nothing_is_kept_for_an_absent_socket() {
    let sim = start();
    let token = api::token(&sim);
    let (id, uri) = channel(&sim, &token);
    subscribe(&sim, &token, &id, &[USER]);
    sim.channels().event(USER, None);
    let mut socket = open(&sim, &uri).unwrap();
    sim.channels().event(USER, None);
    assert_eq!(read_json(&mut socket)["eventBody"]["seq"], 2);
    assert!(sim.record().wait_until(BOUND, |log| log.events_sent().contains(&2)));
    assert_eq!(sim.record().read(Log::events_lost), [1]);
}

#[test]
fn a_revoked_token_takes_its_channels_along() {
    let sim = start();
    let (token, id, mut socket) = live(&sim, &[USER]);
    let (other_token, other, _socket) = live(&sim, &[USER]);
    let uri = rest(&sim, &token, "GET", &format!("notifications/channels/{id}"), "").json()["connectUri"].clone();
    assert_eq!(head(&sim, &token, &format!("notifications/channels/{id}")), 200);
    assert_eq!(head(&sim, &other_token, &format!("notifications/channels/{id}")), 404, "it is another token's");
    assert_eq!(rest(&sim, &token, "DELETE", "tokens/me", "").status, 204);
    let notice = read_json(&mut socket);
    assert_eq!(notice["topicName"], format!("v2.system.token_revoked.{id}"));
    assert_eq!(notice["eventBody"]["reason"], "user_tokens_revoked");
    assert_eq!(read_close(&mut socket).0, 1000);
    assert_eq!(head(&sim, &token, "tokens/me"), 401);
    assert_eq!(open(&sim, uri.as_str().unwrap()).err(), Some(401));
    assert_eq!(sim.channels().live(), [other]);
    assert_eq!(sim.record().read(|log| log.channels[0].end.map(|(_, why)| why)), Some(ChannelEnd::TokenDied));
}

#[test]
fn a_dead_token_ends_the_socket() {
    let sim = start();
    let (token, id, mut socket) = live(&sim, &[USER]);
    sim.token().revoke_access();
    assert_eq!(read_close(&mut socket).0, 1008);
    let gone = rest(&sim, &token, "GET", &format!("notifications/channels/{id}"), "");
    assert_eq!((gone.status, gone.json()["code"].clone()), (401, json!("bad.credentials")));
    let log = sim.record().snapshot();
    assert!(matches!(log.connections[0].end, Some((_, End::ServerClosed(1008)))));
    assert!(matches!(log.channels[0].end, Some((_, ChannelEnd::TokenDied))));
    // A token past its time is told from one that never was.
    sim.token().then(TokenReply::Issue(Issue::new().lifetime(Duration::ZERO)));
    let late = api::token(&sim);
    assert_eq!(rest(&sim, &late, "GET", "tokens/me", "").json()["code"], "credentials.expired");
    // Where sockets outlive their tokens, only events end.
    sim.channels().policy(|policy| policy.close_after_expiry = None);
    let (_, _, mut stays) = live(&sim, &[USER]);
    sim.token().revoke_access();
    assert!(sim.channels().live().is_empty());
    sim.channels().event(USER, None);
    stays.send(r#"{"message":"ping"}"#.into()).unwrap();
    assert_eq!(read_json(&mut stays)["eventBody"]["message"], "pong");
}

#[test]
fn a_token_idles_only_when_nothing_uses_it() {
    let sim = start();
    let token = api::token(&sim);
    sim.token().policy(|policy| policy.idle_timeout = Some(Duration::ZERO));
    assert_eq!(rest(&sim, &token, "GET", "tokens/me", "").json()["code"], "credentials.expired");
    sim.token().policy(|policy| policy.idle_timeout = Some(Duration::from_secs(3600)));
    assert_eq!(rest(&sim, &token, "GET", "tokens/me?preserveIdleTTL=true", "").status, 200);
}

#[test]
fn a_channel_expires_or_is_evicted_by_script() {
    let sim = start();
    let (token, expired, mut one) = live(&sim, &[USER]);
    let (_, evicted, mut two) = live(&sim, &[USER]);
    let uri = rest(&sim, &token, "GET", &format!("notifications/channels/{expired}"), "").json()["connectUri"].clone();
    sim.channels().expire(&expired, Farewell { notice: false, close: Some(1001) });
    assert_eq!(read_close(&mut one).0, 1001);
    assert_eq!(open(&sim, uri.as_str().unwrap()).err(), Some(404));
    // A notice without a close: the socket stays, and its heartbeats, but no event comes.
    sim.channels().evict(&evicted, Farewell { notice: true, close: None });
    assert!(read_json(&mut two)["topicName"].as_str().unwrap().starts_with("v2.system.no_longer_subscribed."));
    sim.channels().event(USER, None);
    two.send(r#"{"message":"ping"}"#.into()).unwrap();
    assert_eq!(read_json(&mut two)["eventBody"]["message"], "pong");
    assert_eq!(sim.record().read(|log| (log.emitted[0].connections.len(), log.evictions())), (0, 1));
    sim.channels().policy(|policy| policy.channel_lifetime = Duration::ZERO);
    let (brief, _) = channel(&sim, &token);
    assert_eq!(head(&sim, &token, &format!("notifications/channels/{brief}")), 404);
}

#[test]
fn a_stalled_socket_answers_pings_only() {
    let mut options = Options::notifications();
    options.notify.heartbeat = Duration::from_millis(10);
    let sim = Sim::start(options);
    let (_, id, mut socket) = live(&sim, &[USER]);
    assert_eq!(read_json(&mut socket)["eventBody"]["message"], "WebSocket Heartbeat");
    assert!(sim.record().wait_until(BOUND, |log| log.connections[0].heartbeats >= 3));
    sim.channels().stall(Some(&id)).event(USER, None);
    for n in 0..20 {
        socket.send(Message::Ping(vec![n].into())).unwrap();
    }
    // Heartbeats from before the stall may come first; from the first pong on there is nothing else.
    let is_pong = |message: &Message| matches!(message, Message::Pong(_));
    while !is_pong(&socket.read().unwrap()) {}
    assert!((1..20).all(|_| is_pong(&socket.read().unwrap())));
    sim.channels().act(Some(&id), [Action::Resume]);
    assert_eq!(read_json(&mut socket)["topicName"], "channel.metadata");
    assert_eq!(sim.record().read(|log| log.connections[0].sent.messages), 0);
}

#[test]
fn a_closing_notice_precedes_a_close() {
    let sim = start();
    let (_, id, mut socket) = live(&sim, &[USER]);
    sim.channels().socket_closing(Some(&id)).act(Some(&id), [Action::close(1001, "bye")]);
    assert_eq!(read_json(&mut socket)["topicName"], "v2.system.socket_closing");
    assert_eq!(read_close(&mut socket).0, 1001);
    let seen = sim.record().snapshot().system_sent;
    assert_eq!((seen.len(), seen[0].connection, seen[0].topic.as_str()), (1, 0, "v2.system.socket_closing"));
    let (_, id, mut socket) = live(&sim, &[USER]);
    sim.channels().no_longer_subscribed(&id).token_revoked_notice(&id).act(Some(&id), [Action::Drop]);
    for kind in ["no_longer_subscribed", "token_revoked"] {
        assert_eq!(read_json(&mut socket)["eventBody"]["systemTopicType"], kind);
    }
    assert!(socket.read().is_err());
    let (_, id, _socket) = live(&sim, &[USER]);
    sim.channels().kill_token(&id, Farewell { notice: false, close: None });
    assert!(sim.channels().live().iter().all(|live| *live != id));
}

#[test]
fn upgrades_and_plans_are_those_of_every_socket() {
    let sim = start();
    let token = api::token(&sim);
    let (id, uri) = channel(&sim, &token);
    subscribe(&sim, &token, &id, &[USER]);
    assert_eq!(open(&sim, &format!("{uri}0")).err(), Some(404));
    let body = "maintenance".to_owned();
    sim.ws().on_upgrade(UpgradeReply::Status { code: 503, headers: Vec::new(), body });
    assert_eq!(open(&sim, &uri).err(), Some(503));
    assert_eq!(sim.channels().socket(&id), None);
    let text = Action::Text("planned".to_owned());
    sim.ws().plan_next(Plan::new().on(Trigger::Auths(1), [text]).on(Trigger::Messages(2), [Action::Reset]));
    let mut socket = open(&sim, &uri).unwrap();
    assert_eq!(read_text(&mut socket), "planned");
    sim.channels().event(USER, None);
    assert_eq!(read_json(&mut socket)["eventBody"]["seq"], 1);
    assert!(socket.read().is_err());
    assert!(closed(&sim, 0) && sim.record().read(Log::forced_drops) == 1);
    // `notifications.streaming_host` may be a name: the certificate is good for it.
    let host = format!("streaming.localhost:{}", sim.addr().port());
    sim.channels().policy(|policy| policy.connect_host = Some(host.clone()));
    assert!(channel(&sim, &token).1.starts_with(&format!("wss://{host}/channels/streaming-0-")));
    assert!(crate::client::dial_as(&sim, "streaming.localhost").is_ok());
}

#[test]
fn topics_are_permitted_or_rejected() {
    let sim = start();
    let token = api::token(&sim);
    let (id, _) = channel(&sim, &token);
    sim.channels().reject("v2.routing.", "no permission", &["routing:queue:view"]);
    let long = format!("v2.{}?a&b", "x".repeat(200));
    let body = subscribe(&sim, &token, &id, &[USER, QUEUE, "v2.system.socket_closing", &long]).json();
    let states: Vec<&str> = (0..4).map(|i| body["entities"][i]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["Permitted", "Rejected", "Rejected", "Rejected"]);
    assert_eq!(body["entities"][1]["missingPermissions"], json!(["routing:queue:view"]));
    assert_eq!(body["entities"][1]["rejectionReason"], "no permission");
    let path = format!("notifications/channels/{id}/subscriptions");
    let listed = rest(&sim, &token, "GET", &path, "").json();
    assert_eq!(listed["entities"], json!([{"id": USER}]));
    let strict = rest(&sim, &token, "PUT", &path, &json!([{"id": QUEUE}]).to_string());
    assert_eq!((strict.status, strict.json()["code"].clone()), (403, json!("missing.permissions")));
    let bad = rest(&sim, &token, "PUT", &path, &json!([{"id": "v2.system.x"}]).to_string());
    assert_eq!((bad.status, bad.json()["status"].clone()), (400, json!(400)));
    assert_eq!(rest(&sim, &token, "PUT", &path, "{}").status, 400);
    let many = |n: usize| Value::from_iter((0..n).map(|i| json!({"id": format!("v2.users.{i}.presence")}))).to_string();
    assert_eq!(rest(&sim, &token, "PUT", &path, &many(1001)).status, 400);
    assert_eq!(rest(&sim, &token, "PUT", &path, &many(1000)).status, 200);
    assert_eq!(rest(&sim, &token, "POST", &path, &json!([{"id": "v2.more"}]).to_string()).status, 400);
    assert_eq!(sim.record().read(|log| log.channels[0].topics.len()), 1000);
}

#[test]
fn answers_are_lost_cut_and_changed() {
    let sim = start();
    let token = api::token(&sim);
    sim.api()
        .then(Route::Create, ApiReply::Lost)
        .then(Route::Create, ApiReply::CutMidBody)
        .then(Route::Create, ApiReply::Drop);
    let request = format!("POST /api/v2/notifications/channels HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n");
    for _ in 0..3 {
        assert!(crate::client::ask(&sim, &request).is_err());
    }
    assert_eq!(sim.record().read(Log::channels_made), 2, "what is dropped is not done");
    sim.api().then(Route::Create, ApiReply::with("connectUri", json!("wss://evil.example/channels/1")));
    assert_eq!(channel(&sim, &token).1, "wss://evil.example/channels/1");
    sim.api().always(Route::Me, ApiReply::Throttle429 { retry_after: Some("7200".into()) });
    let reply = rest(&sim, &token, "GET", "tokens/me", "");
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7200")));
    assert_eq!(reply.json()["code"], "too.many.requests.retry.after");
    sim.api().honest();
    let me = rest(&sim, &token, "GET", "tokens/me", "").json();
    assert_eq!((&me["authorizedScope"], &me["OAuthClient"]["id"]), (&json!([]), &json!("abc123-def456")));
    assert_eq!(rest(&sim, &token, "PATCH", "tokens/me", "").status, 405);
    assert_eq!(rest(&sim, &token, "GET", "users/me", "").status, 404);
    assert_eq!(sim.record().read(|log| log.rest_requests("GET", "tokens/me")), 2);
}
