//! The `sim` program: what it prints, what it runs, what it sums up.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine as _;
use ffi_tests::sim::TokenPolicy;
use serde_json::Value;

const SIM: &str = env!("CARGO_BIN_EXE_sim");

fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

#[test]
fn a_program_runs_in_its_environment_and_its_status_is_passed_on() {
    let summary = scratch("summary.json");
    let script = r#"test -r "$GWA_CA_FILE" && test "$GENESYS_CLIENT_SECRET" = "it's" &&
        base=${GWA_TOKEN_URL%/oauth/token} && test "$GWA_WS_URL" = "wss${base#https}/ws" && exit 7"#;
    let mut sim = Command::new(SIM);
    sim.args(["--client-secret", "it's", "--json-summary"]).arg(&summary);
    let output = sim.args(["--run", "--", "sh", "-c", script]).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let written: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    fs::remove_file(summary).unwrap();
    for name in ["messages_sent", "messages_sent_on_forced_drops", "token_requests", "connects", "forced_drops"] {
        assert_eq!(written[name], 0, "{name}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 token requests"));
}

#[test]
fn what_it_prints_can_be_used() {
    let ready = scratch("ready.sh");
    let mut sim = Command::new(SIM);
    sim.args(["--plain", "--lifetime", "2.5", "--rotate", "--opaque", "--ready-file"]).arg(&ready);
    let mut child = sim.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed: Vec<String> = Vec::new();
    for line in lines {
        printed.push(line.unwrap());
        if printed.last().unwrap().contains("GWA_WS_URL") {
            break;
        }
    }
    let exports: Vec<&String> = printed.iter().filter(|line| line.starts_with("export ")).collect();
    let expected = fs::read_to_string(&ready).unwrap();
    assert_eq!(exports, expected.lines().collect::<Vec<_>>());
    let value = |name: &str| {
        let prefix = format!("export {name}='");
        let line = expected.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap();
        line.trim_end_matches('\'').to_owned()
    };
    let addr = value("GWA_TOKEN_URL").replace("http://", "").replace("/oauth/token", "");
    let mut tcp = TcpStream::connect(addr).unwrap();
    tcp.write_all(b"POST /oauth/token HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    tcp.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(ready).unwrap();
}

#[test]
fn the_notifications_profile_prints_a_configuration() {
    let mut sim = Command::new(SIM);
    sim.args(["--profile", "notifications", "--plain", "--heartbeat", "0.1", "--event-every-ms", "10"]);
    sim.args(["--event-limit", "5", "--reject", "v2.routing.", "--rate-limit", "100", "--grace", "5"]);
    let script = r#"test -n "$GWA_API_URL" && test -z "$GWA_WS_URL" && printf 'CONFIG %s\n' "$GWA_CONFIG""#;
    let output = sim.args(["--run", "--", "sh", "-c", script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = printed.lines().find_map(|line| line.strip_prefix("CONFIG ")).unwrap();
    let keys: Value = serde_json::from_str(line).unwrap();
    let host = keys["notifications.streaming_host"].as_str().unwrap();
    assert_eq!(keys["api.url"], format!("http://{host}"));
    let mut config = genesys_ws_auth::Config::new();
    config.set_json(line).unwrap();
    let secret = genesys_ws_auth::secret::Secret::new(TokenPolicy::default().client_secret);
    config.set_secret("client.secret", secret).unwrap();
    for bad in [&["--profile", "neither"][..], &["--event-colour", "red"], &["--heartbeat", "x"]] {
        assert_eq!(Command::new(SIM).args(bad).output().unwrap().status.code(), Some(2), "{bad:?}");
    }
    assert_eq!(config.settings().unwrap().streaming_host, host);
}

#[test]
fn signed_tokens_come_with_the_keys_to_verify_them() {
    let mut sim = Command::new(SIM);
    sim.args(["--plain", "--sign", "ES384", "--audience", "me", "--keys-max-age", "90", "--run-seconds", "60"]);
    let mut child = sim.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let addr = read_export(&mut out, "GWA_TOKEN_URL").replace("http://", "").replace("/oauth/token", "");
    assert_eq!(read_export(&mut out, "GWA_ISSUER"), format!("http://{addr}"));
    assert_eq!(read_export(&mut out, "GWA_AUDIENCE"), "me");
    let path = read_export(&mut out, "GWA_KEYS_URL").replace(&format!("http://{addr}"), "");
    let part = |token: &str, at: usize| -> Value {
        let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
        serde_json::from_slice(&part).unwrap()
    };
    let token = fetch_token(&addr);
    let mut tcp = TcpStream::connect(&addr).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    tcp.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("Cache-Control: max-age=90\r\n"), "{reply}");
    let keys: Value = serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&keys["keys"][0]["kid"], &keys["keys"][0]["crv"]), (&part(&token, 0)["kid"], &Value::from("P-384")));
    assert_eq!(part(&token, 1)["aud"], "me");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(Command::new(SIM).args(["--sign", "HS256"]).output().unwrap().status.code(), Some(2));
}

/// What `examples` do by the library: a token, a channel, a topic, an event; here by hand.
#[test]
fn the_printed_urls_lead_to_an_event() {
    let mut sim = Command::new(SIM);
    sim.args(["--plain", "--profile", "notifications", "--event-every-ms", "5", "--run-seconds", "60"]);
    sim.args(["--closing-after", "0.3", "--stall-after", "50"]);
    let mut child = sim.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let token = fetch_token(&read_export(&mut out, "GWA_TOKEN_URL").replace("http://", "").replace("/oauth/token", ""));
    let addr = read_export(&mut out, "GWA_API_URL").replace("http://", "");
    let api = |method: &str, path: &str, body: &str| -> Value {
        let mut tcp = TcpStream::connect(&addr).unwrap();
        let length = body.len();
        let head = format!("{method} /api/v2/notifications/channels{path} HTTP/1.1\r\nConnection: close\r\n");
        write!(tcp, "{head}Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut reply = String::new();
        tcp.read_to_string(&mut reply).unwrap();
        serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let channel = api("POST", "", "");
    let path = format!("/{}/subscriptions?ignoreErrors=true", channel["id"].as_str().unwrap());
    assert_eq!(api("PUT", &path, r#"[{"id":"v2.users.1.presence"}]"#)["entities"][0]["state"], "Permitted");
    let stream = TcpStream::connect(&addr).unwrap();
    let (mut socket, _) = tungstenite::client(channel["connectUri"].as_str().unwrap(), stream).unwrap();
    let event: Value = serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(event["topicName"], "v2.users.1.presence");
    while !socket.read().unwrap().to_text().unwrap().contains("v2.system.socket_closing") {}
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_ends_by_itself_and_says_what_is_wrong() {
    let ends = Command::new(SIM).args(["--run-seconds", "0.05"]).output().unwrap();
    assert!(ends.status.success());
    let limited = ["--run-seconds", "0.05", "--run", "--", "sleep", "60"];
    assert_eq!(Command::new(SIM).args(limited).status().unwrap().code(), Some(137));
    for bad in [&["--nonsense"][..], &["--port", "x"], &["--run"], &["--run", "--"], &["--lifetime", "-1"]] {
        assert_eq!(Command::new(SIM).args(bad).output().unwrap().status.code(), Some(2), "{bad:?}");
    }
    let help = Command::new(SIM).arg("--help").output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"A Genesys Cloud"));
}

#[test]
fn a_drop_after_a_renewal_is_summed_up() {
    let summary = scratch("drop.json");
    let mut sim = Command::new(SIM);
    sim.args(["--plain", "--message-every-ms", "5", "--drop-after-renewals", "1", "--run-seconds", "1.5"]);
    sim.arg("--json-summary").arg(&summary);
    let mut child = sim.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let url = read_export(&mut out, "GWA_WS_URL");
    let addr = url.replace("ws://", "").replace("/ws", "");
    let token = fetch_token(&addr);
    let (mut socket, _) = tungstenite::client(&url, TcpStream::connect(&addr).unwrap()).unwrap();
    let auth = serde_json::json!({"type": "auth", "token": token}).to_string();
    let (mut events, mut oks) = (0_u64, 0);
    socket.send(auth.as_str().into()).unwrap();
    while let Ok(message) = socket.read() {
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        events += u64::from(frame["type"] == "event");
        oks += u64::from(frame["status"] == "ok");
        if frame["status"] == "ok" && oks == 1 {
            socket.send(auth.as_str().into()).unwrap();
        }
    }
    assert!(child.wait().unwrap().success());
    let written: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    fs::remove_file(summary).unwrap();
    assert_eq!((&written["forced_drops"], &written["reauths"]), (&1.into(), &1.into()));
    assert_eq!(written["messages_sent"], events);
    assert_eq!(written["messages_sent_on_forced_drops"], events);
    assert_eq!(written["connections"][0]["end"], "dropped by the script");
}

fn read_export(out: &mut impl BufRead, name: &str) -> String {
    let prefix = format!("export {name}='");
    let mut lines = out.lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with(&prefix)).unwrap();
    line[prefix.len()..].trim_end_matches('\'').to_owned()
}

fn fetch_token(addr: &str) -> String {
    let policy = TokenPolicy::default();
    let basic = STANDARD.encode(format!("{}:{}", policy.client_id, policy.client_secret));
    let body = "grant_type=client_credentials";
    let mut tcp = TcpStream::connect(addr).unwrap();
    write!(
        tcp,
        "POST /oauth/token HTTP/1.1\r\nAuthorization: Basic {basic}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    tcp.read_to_string(&mut reply).unwrap();
    let (_, json) = reply.split_once("\r\n\r\n").unwrap();
    let fields: Value = serde_json::from_str(json).unwrap();
    fields["access_token"].as_str().unwrap().to_owned()
}
