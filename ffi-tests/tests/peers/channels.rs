//! The simulator's `notifications` profile, by clients over `ws`, `axios` and `jsonwebtoken`, and over `websockets` and
//! `urllib`: rollovers under a stream of events, and the end of a channel.

use std::process::{Command, Stdio};
use std::time::Duration;

use ffi_tests::sim::{AuthorizeReply, ClientAuth, ClientKey, EventPump, Farewell, Log, Options, Sim, TokenPolicy};
use serde_json::{json, Value};

use super::harness::{available, start_client, Env, Output, Peer};
use super::runtimes::{part, simulator};

const LIMIT: Duration = Duration::from_secs(60);
const TOPICS: [&str; 4] = ["--topic", "v2.users.1?presence&routingStatus", "--topic", "v2.routing.queues.1.users"];

fn start(name: &str, options: Options) -> (Sim, Env) {
    let (sim, mut env) = simulator(name, options);
    for (name, value) in [("GWA_API_URL", sim.api_url()), ("GWA_AUTHORIZE_URL", sim.authorize_url())] {
        env.0.push((name.to_owned(), value));
    }
    (sim, env)
}

/// So many events over three rollovers; what the client saw.
fn roll_over(sim: &Sim, command: Command, env: &Env, events: u64) -> Value {
    let mut client = start_client(command, env);
    client.wait_for(|line| line == "LIVE");
    let pump = EventPump { limit: events, ..EventPump::every(Duration::from_millis(2)) };
    sim.channels().policy(|policy| policy.events = Some(pump));
    let output = client.finish(LIMIT);
    assert!(output.success, "the client failed: {output:#?}");
    assert!(sim.record().wait_until(LIMIT, |log| log.connections.iter().all(|c| c.end.is_some())));
    last(&output)
}

fn last(output: &Output) -> Value {
    output.json("")
}

fn command(peer: Peer, args: &[&str]) -> Command {
    let mut command = peer.program("channels", args);
    command.args(TOPICS);
    command
}

/// Every event once or, while two sockets were open, as a pair.
fn assert_rolled_over(seen: &Value, log: &Log, events: u64) {
    let expected = json!({
        "unique": events, "twice": 0, "pongs": 4, "states": ["Permitted", "Rejected"], "system": [],
        "closes": [1000, 1000, 1000, 1000],
    });
    assert_eq!(part(seen, &expected), expected);
    assert_eq!((log.channels_made(), log.ws_connects(), log.evictions()), (4, 4, 0));
    assert_eq!((log.most_sockets(), log.channel_pings), (2, 4));
    let sent: u64 = log.connections.iter().map(|c| c.sent.messages).sum();
    assert!(sent > events, "the sockets have overlapped");
}

#[test]
fn node_rolls_over_with_a_key_of_its_own() {
    if !available("node_rolls_over_with_a_key_of_its_own", &[Peer::Node]) {
        return;
    }
    let key = format!("{}/peers-channels-key.pem", env!("CARGO_TARGET_TMPDIR"));
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &key]);
    let public = openssl(&["pkey", "-in", &key, "-pubout"]);
    let client_auth = ClientAuth::PrivateKeyJwt(ClientKey::from_pem(&public));
    let token = TokenPolicy { client_auth, ..TokenPolicy::genesys() };
    let (sim, env) = start("channels-node", Options { token, ..Options::default() });
    sim.channels().reject("v2.routing.", "no permission", &["routing:queue:view"]);
    let program = command(Peer::Node, &["--events", "600", "--rollovers", "3", "--key", &key]);
    let seen = roll_over(&sim, program, &env, 600);
    let log = sim.record().snapshot();
    assert_rolled_over(&seen, &log, 600);
    // `ws` hands over what comes before the close is answered: the counts agree socket by socket.
    let sent: Vec<u64> = log.connections.iter().map(|c| c.sent.messages).collect();
    assert_eq!(seen["sockets"], json!(sent));
    std::fs::remove_file(key).expect("the key is there");
}

fn openssl(args: &[&str]) -> String {
    let output = Command::new("openssl").args(args).stderr(Stdio::null()).output().expect("run openssl");
    assert!(output.status.success(), "openssl {args:?}");
    String::from_utf8(output.stdout).expect("PEM")
}

#[test]
fn python_rolls_over_with_pkce() {
    if !available("python_rolls_over_with_pkce", &[Peer::Python]) {
        return;
    }
    let token = TokenPolicy { client_auth: ClientAuth::Public, ..TokenPolicy::genesys() };
    let (sim, env) = start("channels-python", Options { token, ..Options::default() });
    sim.token().always_authorize(AuthorizeReply::Consent);
    sim.channels().reject("v2.routing.", "no permission", &[]);
    let program = command(Peer::Python, &["--events", "600", "--rollovers", "3", "--pkce"]);
    let seen = roll_over(&sim, program, &env, 600);
    assert_rolled_over(&seen, &sim.record().snapshot(), 600);
}

#[test]
fn both_see_the_end_of_their_channel() {
    if !available("both_see_the_end_of_their_channel", &[Peer::Node, Peer::Python]) {
        return;
    }
    for peer in [Peer::Node, Peer::Python] {
        let mut options = Options::notifications();
        options.notify.heartbeat = Duration::from_millis(50);
        let (sim, env) = start(&format!("channels-end-{peer:?}"), options);
        let mut client = start_client(command(peer, &[]), &env);
        client.wait_for(|line| line == "LIVE");
        assert!(sim.record().wait_until(LIMIT, |log| log.connections[0].heartbeats >= 3));
        let id = sim.channels().live().remove(0);
        sim.channels().socket_closing(None).evict(&id, Farewell::default());
        let output = client.finish(LIMIT);
        assert!(output.success, "{peer:?} failed: {output:#?}");
        let seen = last(&output);
        let system = ["v2.system.socket_closing".to_owned(), format!("v2.system.no_longer_subscribed.{id}")];
        let expected = json!({"system": system, "closes": [1000], "pongs": 1, "unique": 0, "head": 404, "again": 404});
        assert_eq!(part(&seen, &expected), expected, "{peer:?}");
        assert!(seen["heartbeats"].as_u64() >= Some(3), "{seen}");
    }
}
