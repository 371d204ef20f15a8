//! The library as a peer of other people's servers: a client whose hooks write one line for everything they are told.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};

use genesys_ws_auth::event::{MessageKind, Notice, State};
use genesys_ws_auth::hooks::{Answer, Hooks};
use genesys_ws_auth::metrics::Metrics;
use genesys_ws_auth::{Client, Config, Error, Secret};
use serde_json::Value;

use super::harness::Env;

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// A client and what its hooks said:
///
/// `message 1 text {…}` (by connection 1) · `state Ready (authenticated)` · `gap begins`, `gap ends` · `handover 1 2` ·
/// `token` · `sent 1 ok` · `log 3 …`
pub struct App {
    client: Client,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl App {
    /// A client of the server that `env` describes, with these keys set too; it is not started.
    pub fn new(env: &Env, keys: &[(&str, &str)]) -> Self {
        let (sender, lines) = mpsc::channel();
        let config = configuration(env, keys, sender);
        Self { client: Client::new(&config).expect("the configuration is sound"), lines, seen: Vec::new() }
    }

    /// As [`App::new`], connected.
    #[track_caller]
    pub fn connected(env: &Env, keys: &[(&str, &str)]) -> Self {
        let app = Self::new(env, keys);
        app.connect().unwrap_or_else(|error| panic!("{error}"));
        app
    }

    /// Waits until it is Ready, or one round failed.
    pub fn connect(&self) -> Result<(), Error> {
        self.client.connect(Some(LIMIT))
    }

    /// What the connect fails with.
    #[track_caller]
    pub fn refused(&self) -> Error {
        self.connect().expect_err("it must not connect")
    }

    /// Starts it; it tries for ever.
    pub fn start(&self) {
        self.client.start().expect("it starts");
    }

    /// Sends a message.
    pub fn send(&self, kind: MessageKind, data: &[u8]) {
        self.client.send(kind, data).expect("it is queued");
    }

    /// The counters.
    pub fn metrics(&self) -> Metrics {
        self.client.metrics()
    }

    /// Reads lines until one that begins so, which is returned.
    #[track_caller]
    pub fn wait_for(&mut self, prefix: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.starts_with(prefix) {
                        return line;
                    }
                }
                Err(_) => panic!("never saw {prefix:?}, but {:#?}", self.said()),
            }
        }
    }

    /// Everything so far but messages.
    fn said(&self) -> Vec<&String> {
        self.seen.iter().filter(|line| !line.starts_with("message")).collect()
    }

    /// Shuts it down and checks that everything ended, and that the numbers of each connection came without a hole.
    /// Every line there was.
    #[track_caller]
    pub fn close(mut self) -> Vec<String> {
        let report = self.client.shutdown(Some(LIMIT));
        assert!(report.complete, "{report:?} {:#?}", self.said());
        assert_eq!(self.client.state(), State::Closed);
        self.seen.extend(self.lines.try_iter());
        if let Err(why) = numbered(&self.seen) {
            panic!("{why} {:#?}", self.said());
        }
        std::mem::take(&mut self.seen)
    }
}

/// How many lines begin so.
pub fn count(lines: &[String], prefix: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(prefix)).count()
}

/// Events of the peers carry `connection` and `seq`, which counts from 0 on each connection.
fn numbered(lines: &[String]) -> Result<(), String> {
    let (mut connection, mut next) = (0, 0);
    for line in lines.iter().filter_map(|line| line.strip_prefix("message ")) {
        let text = line.splitn(3, ' ').nth(2).unwrap_or_default();
        let Ok(event @ Value::Object(_)) = serde_json::from_str::<Value>(text) else { continue };
        let (Some(by), Some(seq)) = (event["connection"].as_u64(), event["seq"].as_u64()) else { continue };
        if by != connection {
            (connection, next) = (by, 0);
        }
        if seq != next {
            return Err(format!("{seq} instead of {next} by the server's connection {connection}"));
        }
        next += 1;
    }
    Ok(())
}

fn configuration(env: &Env, keys: &[(&str, &str)], sender: Sender<String>) -> Config {
    let mut config = Config::new();
    let given = [("token.url", "GWA_TOKEN_URL"), ("ws.url", "GWA_WS_URL"), ("tls.ca_file", "GWA_CA_FILE")];
    let given = given.map(|(key, name)| (key, env.value(name)));
    let id = [("client.id", env.value("GENESYS_CLIENT_ID"))];
    for (key, value) in given.iter().chain(&id).chain(keys) {
        let set = match *key {
            "proxy.password" => config.set_secret(key, Secret::new((*value).to_owned())),
            _ => config.set(key, value),
        };
        set.unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    let secret = |name: &str| Secret::new(env.value(name).to_owned());
    config.set_secret("client.secret", secret("GENESYS_CLIENT_SECRET")).expect("a secret");
    config.set_secret("token.refresh_token", secret("GENESYS_REFRESH_TOKEN")).expect("a token");
    config.hooks = hooks(sender);
    config
}

fn hooks(sender: Sender<String>) -> Hooks {
    let say = Arc::new(move |line: String| drop(sender.send(line)));
    let mut hooks = Hooks::default();
    let with = || Arc::clone(&say);
    let say = with();
    hooks.on_message = Some(Arc::new(move |message| {
        let kind = if message.kind == MessageKind::Text { "text" } else { "binary" };
        say(format!("message {} {kind} {}", message.connection, String::from_utf8_lossy(message.data())));
    }));
    let say = with();
    hooks.on_state = Some(Arc::new(move |notice| match notice {
        Notice::State(change) => {
            let error = change.error.as_ref().map(|error| format!(" {error}")).unwrap_or_default();
            say(format!("state {} ({}){error}", change.to.name(), change.reason));
        }
        Notice::GapBegin(_) => say("gap begins".into()),
        Notice::GapEnd(_) => say("gap ends".into()),
        Notice::Handover(over) => say(format!("handover {} {}", over.from_connection, over.to_connection)),
        _ => {}
    }));
    let say = with();
    hooks.on_token = Some(Arc::new(move |_| say("token".into())));
    let say = with();
    hooks.on_sent = Some(Arc::new(move |sent| {
        let outcome = sent.outcome.as_ref().map_or_else(ToString::to_string, |()| "ok".into());
        say(format!("sent {} {outcome}", sent.id));
    }));
    let say = with();
    hooks.on_log = Some(Arc::new(move |level, _, text| say(format!("log {level} {text}"))));
    hooks.on_ask = Some(Arc::new(|request| request.complete(Answer::Done)));
    hooks
}
