//! The REST API and the channels, by a plain client.

use std::io::{Read as _, Write as _};

use ffi_tests::sim::{ApiReply, ChannelEnd, Options, Route, Sim};
use serde_json::{json, Value};
use tungstenite::client::IntoClientRequest;

use crate::client::{ask, credentials, dial, read_json, token_request, Reply, Socket, BOUND};

pub const USER: &str = "v2.users.1.presence";

pub fn start() -> Sim {
    Sim::start(Options::notifications())
}

/// A token for client credentials.
pub fn token(sim: &Sim) -> String {
    ask(sim, &token_request(&credentials(), "grant_type=client_credentials")).unwrap().token()
}

pub fn rest(sim: &Sim, token: &str, method: &str, path: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("{method} /api/v2/{path} HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer {token}\r\n");
    ask(sim, &format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")).unwrap()
}

/// The status of a HEAD, whose answer has to be nothing but a head.
pub fn head(sim: &Sim, token: &str, path: &str) -> u16 {
    let mut wire = dial(sim);
    let request = format!("HEAD /api/v2/{path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    wire.write_all(request.as_bytes()).unwrap();
    wire.flush().unwrap();
    let mut text = String::new();
    wire.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A new channel; its id and where its socket is.
pub fn channel(sim: &Sim, token: &str) -> (String, String) {
    let reply = rest(sim, token, "POST", "notifications/channels", "");
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
    (text("id"), text("connectUri"))
}

pub fn subscribe(sim: &Sim, token: &str, id: &str, topics: &[&str]) -> Reply {
    let body: Value = topics.iter().map(|topic| json!({"id": topic})).collect();
    rest(sim, token, "PUT", &format!("notifications/channels/{id}/subscriptions?ignoreErrors=true"), &body.to_string())
}

pub fn open(sim: &Sim, uri: &str) -> Result<Socket, u16> {
    match tungstenite::client::client(uri.into_client_request().unwrap(), dial(sim)) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => Err(answer.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

/// A channel with topics and a socket.
pub fn live(sim: &Sim, topics: &[&str]) -> (String, String, Socket) {
    let token = token(sim);
    let (id, uri) = channel(sim, &token);
    assert_eq!(subscribe(sim, &token, &id, topics).status, 200);
    let socket = open(sim, &uri).unwrap();
    (token, id, socket)
}

#[test]
fn a_channel_lives() {
    let sim = start();
    let (token, id, mut socket) = live(&sim, &[USER, "v2.users.1?routingStatus&conversations"]);
    let number = sim.channels().event("v2.users.1.routingStatus", Some(&json!({"a": 1})));
    let event = read_json(&mut socket);
    assert_eq!((&event["topicName"], &event["version"]), (&json!("v2.users.1.routingStatus"), &json!("2")));
    assert_eq!((&event["eventBody"], number), (&json!({"a": 1}), 1));
    socket.send(r#"{"message":"ping"}"#.into()).unwrap();
    assert_eq!(read_json(&mut socket), json!({"topicName": "channel.metadata", "eventBody": {"message": "pong"}}));
    sim.channels().event("v2.users.2.presence", None);
    let log = sim.record().snapshot();
    assert_eq!(log.emitted[0].correlation_id, event["metadata"]["CorrelationId"]);
    assert_eq!((&log.emitted[0].connections, &log.emitted[1].connections), (&vec![0], &vec![]));
    assert_eq!((log.channel_pings, log.received_total, log.connections[0].channel.as_ref()), (1, 0, Some(&id)));
    assert_eq!(rest(&sim, &token, "DELETE", &format!("notifications/channels/{id}/subscriptions"), "").status, 204);
    assert!(sim.record().read(|log| log.channels[0].topics.is_empty()));
}

#[test]
fn the_21st_channel_evicts() {
    let sim = start();
    let (first, first_id, mut socket) = live(&sim, &[USER]);
    let ids: Vec<String> = (0..19).map(|_| channel(&sim, &first).0).collect();
    assert_eq!(sim.channels().live().len(), 20);
    channel(&sim, &first);
    assert_eq!(sim.record().read(|log| log.channels[1].end.map(|(_, why)| why)), Some(ChannelEnd::Evicted));
    sim.channels().policy(|policy| policy.strict_lru = true);
    channel(&sim, &first);
    let notice = read_json(&mut socket);
    assert_eq!(notice["topicName"], format!("v2.system.no_longer_subscribed.{first_id}"));
    assert_eq!(notice["eventBody"]["reason"], "another_channel_subscribed");
    assert!(
        matches!(socket.read().unwrap(), tungstenite::Message::Close(Some(frame)) if u16::from(frame.code) == 1000)
    );
    let live = sim.channels().live();
    assert!(!live.contains(&first_id) && !live.contains(&ids[0]) && live.contains(&ids[1]));
    assert_eq!(rest(&sim, &first, "GET", &format!("notifications/channels/{first_id}"), "").status, 404);
    assert!(sim.record().wait_until(BOUND, |log| log.evictions() == 2));
}

#[test]
fn routes_are_scripted() {
    let sim = start();
    let token = token(&sim);
    sim.api().then(Route::Create, ApiReply::error(403, "missing.permissions")).next(ApiReply::slow(1));
    let reply = rest(&sim, &token, "POST", "notifications/channels", "");
    assert_eq!((reply.status, reply.json()["code"].clone()), (403, json!("missing.permissions")));
    assert_eq!(reply.header("inin-correlation-id"), reply.json()["contextId"].as_str());
    let (id, _) = channel(&sim, &token);
    let bad = rest(&sim, "nobody", "GET", &format!("notifications/channels/{id}"), "");
    assert_eq!((bad.status, bad.json()["code"].clone()), (401, json!("bad.credentials")));
    sim.channels().policy(|policy| policy.rate_limit = Some(2));
    assert_eq!(rest(&sim, &token, "GET", "tokens/me", "").header("inin-ratelimit-count"), Some("2"));
    let full = rest(&sim, &token, "GET", "tokens/me", "");
    let wait: u64 = full.header("retry-after").unwrap().parse().unwrap();
    assert!(full.status == 429 && (1..=60).contains(&wait));
}
