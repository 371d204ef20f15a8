//! Real peers: servers and clients that nobody here wrote, against each other, the simulator and the library.
//!
//! The cross-checks (one runtime's client, the other's server) are what makes the servers worth testing against.

#[path = "../peers/harness.rs"]
mod harness;

use serde_json::{json, Value};

use harness::{available, run_client, start_client, tutorial, Peer, Server};

const BOTH: [Peer; 2] = [Peer::Node, Peer::Python];
/// Server, client.
const PAIRS: [(Peer, Peer); 2] = [(Peer::Node, Peer::Python), (Peer::Python, Peer::Node)];

#[test]
fn renews_in_band_with_messages_both_ways() {
    if !available("renews_in_band_with_messages_both_ways", &BOTH) {
        return;
    }
    for (server, client) in PAIRS {
        let server_args = ["--pump", "5", "--count", "60", "--echo"];
        let client_args = ["--messages", "60", "--renew-at", "20", "--echo"];
        let (seen, counted) = converse(server, &server_args, client, &client_args);
        let connection = &seen["connections"][0];
        let expected = json!({"auth": "ok", "renewal": "ok", "text": 30, "binary": 30, "disorder": 0, "echoed": 2});
        assert_eq!(part(connection, &expected), expected, "{client:?} at {server:?}");
        assert_eq!(connection["code"], 1000);
        assert_eq!(connection["sessionId"], connection["renewedSessionId"]);
        let expected = json!({"connects": 1, "auths": 1, "reauths": 1, "refusals": 0});
        assert_eq!(part(&counted, &expected), expected, "{client:?} at {server:?}");
        let expected = json!({"sent": 60, "received": 2, "endedBy": "client"});
        assert_eq!(part(&counted["connections"][0], &expected), expected, "{client:?} at {server:?}");
    }
}

#[test]
fn rotates_the_refresh_token() {
    if !available("rotates_the_refresh_token", &BOTH) {
        return;
    }
    for (server, client) in PAIRS {
        let (seen, counted) = converse(server, &["--pump", "1"], client, &["--messages", "4", "--renew-at", "2"]);
        assert_eq!(seen["spentRefreshToken"], "invalid_grant", "{client:?} at {server:?}");
        assert_eq!(counted["tokenRequests"], json!({"client_credentials": 0, "refresh_token": 2, "refused": 1}));
    }
}

#[test]
fn refused_renewal_leaves_the_socket_open() {
    if !available("refused_renewal_leaves_the_socket_open", &BOTH) {
        return;
    }
    for (server, client) in PAIRS {
        let server_args = ["--pump", "5", "--count", "60", "--reauth", "refuse"];
        let (seen, counted) = converse(server, &server_args, client, &["--messages", "60", "--renew-at", "20"]);
        let expected = json!({"renewal": "already authenticated", "text": 30, "binary": 30, "code": 1000});
        assert_eq!(part(&seen["connections"][0], &expected), expected, "{client:?} at {server:?}");
        let expected = json!({"connects": 1, "auths": 1, "reauths": 0, "refusals": 1});
        assert_eq!(part(&counted, &expected), expected, "{client:?} at {server:?}");
    }
}

#[test]
fn dropped_connection_resumes_its_session() {
    if !available("dropped_connection_resumes_its_session", &BOTH) {
        return;
    }
    for (server, client) in PAIRS {
        let server_args = ["--pump", "5", "--drop-after", "0.2"];
        let (seen, counted) = converse(server, &server_args, client, &["--messages", "0", "--connections", "2"]);
        let connections = &seen["connections"];
        assert_eq!([&connections[0]["code"], &connections[1]["code"]], [1006, 1006], "{client:?} at {server:?}");
        assert_eq!(connections[0]["sessionId"], connections[1]["sessionId"]);
        let expected = json!({"resumed": true, "endedBy": "drop"});
        assert_eq!(part(&counted["connections"][1], &expected), expected, "{client:?} at {server:?}");
    }
}

#[test]
fn expired_token_ends_the_connection() {
    if !available("expired_token_ends_the_connection", &BOTH) {
        return;
    }
    for ((server, client), code) in PAIRS.into_iter().zip([4401, 1008]) {
        let server_args = ["--expires", "1", "--grace", "0.1", "--expiry-code", &code.to_string()];
        let (seen, counted) = converse(server, &server_args, client, &["--messages", "0"]);
        let expected = json!({"auth": "ok", "code": code, "reason": "token expired"});
        assert_eq!(part(&seen["connections"][0], &expected), expected, "{client:?} at {server:?}");
        assert_eq!(counted["connections"][0]["endedBy"], "server");
    }
}

#[test]
fn tutorial_authenticates_and_renews_at_a_server_of_ws() {
    if !available("tutorial_authenticates_and_renews_at_a_server_of_ws", &[Peer::Node]) {
        return;
    }
    // It renews 120 s before expiry, here after one second, and always with the refresh token it was started with.
    let server_args = ["--expires", "121", "--keep-refresh-token", "--pump", "20", "--payload", "text"];
    let mut server = Server::start(Peer::Node, &server_args);
    let mut client = start_client(tutorial(&server.env), &server.env);
    client.wait_for(|line| line == "Connected and authenticated. Ready for subscriptions.");
    client.wait_for(|line| line.starts_with(r#"Received: {"type":"event""#));
    server.wait_for("REAUTH");
    client.wait_for(|line| line.starts_with(r#"Received: {"type":"auth","status":"ok""#));
    assert_records(&client.kill().stdout);
    let expected = json!({"connects": 1, "auths": 1, "refusals": 0});
    assert_eq!(part(&server.stop(), &expected), expected);
}

/// The two records of a successful `connect()`, with the fields of the tutorial.
fn assert_records(lines: &[String]) {
    let expected = json!({"event_type": "authentication_attempt", "status": "success", "success_rate": 100});
    let (audit, siem) = (record(lines, "AUDIT: "), record(lines, "SIEM: "));
    assert_eq!(part(&audit, &expected), expected);
    assert_eq!(audit["metadata"]["scopes"][0], "conversation:read");
    assert_eq!(part(&siem, &audit), audit);
    assert_eq!(siem["source"], "genesys_ws_auth");
}

/// The JSON object that the tutorial prints, over many lines, after `prefix`.
fn record(lines: &[String], prefix: &str) -> Value {
    let start = lines.iter().position(|line| line.starts_with(prefix)).expect("a record");
    let text = lines[start..].join("\n");
    let mut values = serde_json::Deserializer::from_str(&text[prefix.len()..]).into_iter::<Value>();
    values.next().expect("an object").expect("JSON")
}

/// What the client saw and what the server counted, after one conversation.
fn converse(server: Peer, server_args: &[&str], client: Peer, client_args: &[&str]) -> (Value, Value) {
    let server = Server::start(server, server_args);
    let output = run_client(client.client(client_args), &server.env);
    assert!(output.success, "the client failed: {output:#?}");
    (output.json(""), server.stop())
}

/// `value` reduced to the fields that `like` has.
fn part(value: &Value, like: &Value) -> Value {
    like.as_object().into_iter().flatten().map(|(name, _)| (name.clone(), value[name].clone())).collect()
}
