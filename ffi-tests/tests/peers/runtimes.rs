//! Servers and clients of the profile in two runtimes. The cross-checks (one runtime's client, the other's server) are
//! what makes the servers worth testing against.

use std::time::Duration;

use ffi_tests::cprog::{Program, Variant};
use ffi_tests::sim::{End, Options, Pump, Rotation, Sim, TokenPolicy, WsPolicy};
use serde_json::{json, Value};

use super::harness::{available, run_client, start_client, tutorial, Env, Peer, Server};

const BOTH: [Peer; 2] = [Peer::Node, Peer::Python];
const LIMIT: Duration = Duration::from_secs(10);
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

#[test]
fn tutorial_authenticates_and_renews_at_the_simulator() {
    if !available("tutorial_authenticates_and_renews_at_the_simulator", &[Peer::Node]) {
        return;
    }
    let token = TokenPolicy { lifetime: Duration::from_secs(121), ..TokenPolicy::default() };
    let ws = WsPolicy { pump: Some(Pump::every(Duration::from_millis(20))), ..WsPolicy::default() };
    let (sim, env) = simulator("tutorial", Options { token, ws, ..Options::default() });
    let mut client = start_client(tutorial(&env), &env);
    client.wait_for(|line| line == "Connected and authenticated. Ready for subscriptions.");
    client.wait_for(|line| line.starts_with(r#"Received: {"type":"event""#));
    client.wait_for(|line| line.starts_with("Received: ") && line.contains(r#""type":"auth""#));
    assert_records(&client.kill().stdout);
    let log = sim.record().snapshot();
    assert_eq!((log.ws_connects(), log.auths()), (1, 1));
    assert_eq!(log.auths[0].session_id, None);
    assert_eq!((log.auths[1].again, log.auths[1].accepted), (true, Some(true)));
    assert_ne!(log.auths[0].token, log.auths[1].token);
    let mut tokens = log.requests.iter().filter(|request| request.method == "POST");
    assert!(tokens.all(|request| request.form("grant_type").as_deref() == Some("refresh_token")));
}

#[test]
fn clients_renew_in_band_at_the_simulator() {
    if !available("clients_renew_in_band_at_the_simulator", &BOTH) {
        return;
    }
    for client in BOTH {
        let rotation = Rotation::RevokeOld { grace: Duration::ZERO };
        let token = TokenPolicy { rotation, ..TokenPolicy::default() };
        let pump = Pump { binary_every: 2, limit: 60, ..Pump::every(Duration::from_millis(5)) };
        let ws = WsPolicy { pump: Some(pump), echo: true, ..WsPolicy::default() };
        let (sim, env) = simulator(&format!("{client:?}"), Options { token, ws, ..Options::default() });
        let output = run_client(client.client(&["--messages", "60", "--renew-at", "20", "--echo"]), &env);
        assert!(output.success, "{output:#?}");
        let seen = output.json("");
        let connection = &seen["connections"][0];
        let expected = json!({"auth": "ok", "renewal": "ok", "text": 30, "binary": 30, "disorder": 0, "echoed": 2});
        assert_eq!(part(connection, &expected), expected, "{client:?}");
        assert_eq!(connection["sessionId"], connection["renewedSessionId"]);
        assert_eq!(seen["spentRefreshToken"], "invalid_grant");
        assert!(sim.record().wait_until(LIMIT, |log| log.connections.iter().all(|c| c.end.is_some())));
        let log = sim.record().snapshot();
        assert_eq!((log.ws_connects(), log.auths(), log.reauths(), log.received_total), (1, 1, 1, 2));
        let end = log.connections[0].end.as_ref().map(|(_, end)| end);
        assert_eq!(end, Some(&End::ClientClosed(1000)), "{client:?}");
    }
}

/// `examples/c/minimal.c` and what it printed, for so many seconds at this server.
fn minimal(server: &Server, seconds: &str) -> Vec<String> {
    let program = Program::new("../../examples/c/minimal", Variant::Plain);
    let mut command = std::process::Command::new(program.path());
    command.arg(seconds);
    let output = start_client(command, &server.env).finish(Duration::from_secs(30));
    assert!(output.success, "{output:#?}");
    output.stdout
}

/// The number after `name=` in the last line, which the C program prints after its shutdown.
fn last(lines: &[String], name: &str) -> u64 {
    let line = lines.last().filter(|line| line.ends_with("shutdown=clean")).expect("a clean shutdown");
    let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line}"))
}

pub(super) fn sent(counted: &Value) -> u64 {
    let connections = counted["connections"].as_array().into_iter().flatten();
    connections.filter_map(|connection| connection["sent"].as_u64()).sum()
}

#[test]
fn the_c_client_renews_in_band_at_both_servers() {
    if !available("the_c_client_renews_in_band_at_both_servers", &BOTH) {
        return;
    }
    for peer in BOTH {
        let mut server = Server::start(peer, &["--expires", "3", "--grace", "1", "--pump", "10", "--count", "400"]);
        let lines = minimal(&server, "7");
        server.wait_for("CLOSED 1 1000");
        let counted = server.stop();
        let what = ["connects", "gaps", "messages"].map(|name| last(&lines, name));
        assert_eq!(what, [1, 0, 400], "{peer:?}: {lines:#?}");
        let renewals = last(&lines, "renewals");
        assert!(renewals >= 3, "{peer:?}: {lines:#?}");
        let expected = json!({"connects": 1, "auths": 1, "reauths": renewals, "refusals": 0});
        assert_eq!(part(&counted, &expected), expected, "{peer:?}");
        assert_eq!(counted["connections"][0]["endedBy"], "client", "{peer:?}");
    }
}

#[test]
fn the_c_client_hands_over_where_the_server_cannot_renew() {
    if !available("the_c_client_hands_over_where_the_server_cannot_renew", &BOTH) {
        return;
    }
    for peer in BOTH {
        let server = Server::start(peer, &["--expires", "3", "--reauth", "refuse", "--pump", "10", "--count", "200"]);
        let lines = minimal(&server, "6");
        let counted = server.stop();
        assert_eq!(last(&lines, "gaps"), 0, "{peer:?}: {lines:#?}");
        assert!(last(&lines, "connects") >= 3 && last(&lines, "renewals") >= 2, "{peer:?}: {lines:#?}");
        assert_eq!(last(&lines, "messages"), sent(&counted), "{peer:?}: {lines:#?}");
        assert_eq!(counted["reauths"], 0);
    }
}

#[test]
fn the_c_client_comes_back_after_a_cut() {
    if !available("the_c_client_comes_back_after_a_cut", &BOTH) {
        return;
    }
    for peer in BOTH {
        let server = Server::start(peer, &["--drop-after", "1.5", "--pump", "10"]);
        let lines = minimal(&server, "5");
        server.stop();
        let (connects, gaps) = (last(&lines, "connects"), last(&lines, "gaps"));
        assert!(connects >= 2 && gaps >= 1, "{peer:?}: {lines:#?}");
        let begun = lines.iter().filter(|line| line.starts_with("gap") && line.contains("begins")).count();
        assert_eq!(begun as u64, gaps, "{peer:?}: {lines:#?}");
    }
}

/// A simulator and what its clients need; `name` keeps the CA files apart.
pub(super) fn simulator(name: &str, options: Options) -> (Sim, Env) {
    let policy = options.token.clone();
    let sim = Sim::start(options);
    let ca = format!("{}/peers-{name}-ca.pem", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&ca, sim.ca_pem()).expect("write the CA");
    let pairs = [
        ("GENESYS_CLIENT_ID", policy.client_id),
        ("GENESYS_CLIENT_SECRET", policy.client_secret),
        ("GENESYS_REFRESH_TOKEN", policy.refresh_token),
        ("GWA_TOKEN_URL", sim.token_url()),
        ("GWA_WS_URL", sim.ws_url()),
        ("GWA_CA_FILE", ca),
    ];
    (sim, Env(pairs.map(|(name, value)| (name.to_owned(), value)).into()))
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
pub(super) fn part(value: &Value, like: &Value) -> Value {
    like.as_object().into_iter().flatten().map(|(name, _)| (name.clone(), value[name].clone())).collect()
}
