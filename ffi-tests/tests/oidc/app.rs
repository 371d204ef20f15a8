//! The library as a client of the provider, and everybody else: people who sign in, and programs that post forms.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use genesys_ws_auth::event::{Notice, Question, State};
use genesys_ws_auth::hooks::{Answer, Hooks, Request};
use genesys_ws_auth::{Client, Config, Secret};
use serde_json::Value;

use super::harness::{available, run_client, Output, Peer, Server};

/// No test waits longer for anything.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Of the one confidential client whose users sign in; nobody listens there, the browser's address line is read.
pub const CALLBACK: &str = "https://desk.example/callback";

/// The socket is closed when its token ends, not later.
pub const ENDS_WITH_TOKEN: [(&str, &str); 1] = [("ws.expired_grace_ms", "0")];

/// A client of the library at the provider, what its hooks said, and what it asked.
///
/// `state Ready (authenticated)` · `token` · `persist` · `code` · `audit {…}`
pub struct App {
    pub client: Client,
    said: Receiver<String>,
    pub seen: Vec<String>,
    asked: Arc<Mutex<Asked>>,
}

/// What the library asked of the application.
#[derive(Default)]
pub struct Asked {
    /// Questions for an authorization code that nobody has answered.
    codes: VecDeque<Request>,
    /// Refresh tokens as they were rotated.
    stored: Vec<Secret>,
}

impl App {
    /// As a machine: with client credentials.
    pub fn machine(server: &Server, secret: &str) -> Self {
        let id = server.env.value("MACHINE_ID");
        Self::new(server, &[("client.id", id), ("token.grant", "client_credentials")], secret)
    }

    /// As a program whose users sign in, and that can keep a secret.
    pub fn desk(server: &Server, keys: &[(&str, &str)]) -> Self {
        let own = [("client.id", "desk"), ("token.grant", "authorization_code"), ("token.redirect_uri", CALLBACK)];
        Self::new(server, &[&own, keys].concat(), server.env.value("DESK_SECRET"))
    }

    pub fn new(server: &Server, keys: &[(&str, &str)], secret: &str) -> Self {
        let env = |name| server.env.value(name);
        let given = [
            ("token.url", env("GWA_TOKEN_URL")),
            ("token.authorize_url", env("GWA_AUTHORIZE_URL")),
            ("ws.url", env("GWA_WS_URL")),
            ("tls.ca_file", env("GWA_CA_FILE")),
            // The provider's tokens are opaque, and its answer tells no scope for a machine.
            ("scopes.unknown", "allow"),
        ];
        let mut config = Config::new();
        for (key, value) in given.iter().chain(keys) {
            config.set(key, value).unwrap_or_else(|error| panic!("{key}: {error}"));
        }
        if !secret.is_empty() {
            config.set_secret("client.secret", Secret::new(secret.to_owned())).expect("a secret");
        }
        let (say, said) = mpsc::channel();
        let asked = Arc::<Mutex<Asked>>::default();
        config.hooks = hooks(say, Arc::clone(&asked));
        let client = Client::new(&config).expect("the configuration is sound");
        Self { client, said, seen: Vec::new(), asked }
    }

    /// Waits for the next line that begins so, which is returned.
    #[track_caller]
    pub fn wait_for(&mut self, prefix: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.starts_with(prefix) {
                        return line;
                    }
                }
                Err(_) => panic!("never saw {prefix:?}, but {:#?}", self.seen),
            }
        }
    }

    /// Waits until it asks for an authorization code.
    #[track_caller]
    pub fn question(&mut self) -> Request {
        self.wait_for("code");
        self.open_question()
    }

    pub fn open_question(&self) -> Request {
        self.asked.lock().expect("no panic").codes.pop_front().expect("it asks")
    }

    /// The refresh token it was given so many rotations ago.
    pub fn refresh_token(&self, ago: usize) -> String {
        let stored = &self.asked.lock().expect("no panic").stored;
        stored[stored.len() - 1 - ago].expose().to_owned()
    }

    /// Shuts it down: every line there was.
    #[track_caller]
    pub fn close(mut self) -> Vec<String> {
        let report = self.client.shutdown(Some(LIMIT));
        assert!(report.complete, "{report:?} {:#?}", self.seen);
        assert_eq!(self.client.state(), State::Closed);
        self.seen.extend(self.said.try_iter());
        self.seen
    }
}

pub fn hooks(say: Sender<String>, asked: Arc<Mutex<Asked>>) -> Hooks {
    let mut hooks = Hooks::default();
    let tell = say.clone();
    hooks.on_state = Some(Arc::new(move |notice| {
        if let Notice::State(change) = notice {
            let error = change.error.as_ref().map(|error| format!(" {error}")).unwrap_or_default();
            let _ = tell.send(format!("state {} ({}){error}", change.to.name(), change.reason));
        }
    }));
    let tell = say.clone();
    let audit = say.clone();
    hooks.on_audit = Some(Arc::new(move |record| {
        let _ = audit.send(format!("audit {}", record.json_with_nul.trim_end_matches('\0')));
        Ok(())
    }));
    hooks.on_token = Some(Arc::new(move |_| drop(tell.send("token".into()))));
    hooks.on_ask = Some(Arc::new(move |request: Request| {
        let mut asked = asked.lock().expect("no panic");
        let line = match &request.question {
            Question::PersistRefreshToken(token) => {
                asked.stored.push(token.clone());
                request.complete(Answer::Done);
                "persist"
            }
            _ => {
                asked.codes.push_back(request);
                "code"
            }
        };
        drop(asked);
        let _ = say.send(line.into());
    }));
    hooks
}

pub fn count(lines: &[String], prefix: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(prefix)).count()
}

// --- Everybody else ---

pub fn provider(test: &str, args: &[&str]) -> Option<Server> {
    available(&format!("oidc::{test}"), &[Peer::Oidc]).then(|| Server::start(Peer::Oidc, args))
}

/// What a person or another program does at the provider.
#[track_caller]
pub fn user(server: &Server, args: &[&str]) -> Output {
    let mut command = Peer::Oidc.client(args);
    command.env("NODE_EXTRA_CA_CERTS", server.env.value("GWA_CA_FILE"));
    let output = run_client(command, &server.env);
    assert!(output.success, "{output:#?}");
    output
}

/// Somebody signs in and consents where the question leads; the URL that the browser is sent back to.
#[track_caller]
pub fn sign_in(server: &Server, question: &Request) -> Secret {
    let output = user(server, &["login", &url_of(question)]);
    let location = output.stdout.iter().find_map(|line| line.strip_prefix("LOCATION ")).expect("a location");
    assert!(location.starts_with(&format!("{CALLBACK}?code=")), "{location}");
    Secret::new(location.to_owned())
}

/// Answers the question as somebody who has signed in: with the whole redirect.
#[track_caller]
pub fn answer(server: &Server, question: &Request) {
    let Question::AuthorizationCode(authorization) = &question.question else { panic!("{question:?}") };
    let code = authorization.code_of(sign_in(server, question).expose()).expect("the redirect of this question");
    question.complete(Answer::Code(code));
}

pub fn url_of(question: &Request) -> String {
    let Question::AuthorizationCode(authorization) = &question.question else { panic!("{question:?}") };
    authorization.url().to_owned()
}

/// Posts a form as the confidential client does: status and answer.
#[track_caller]
pub fn post(server: &Server, url: &str, fields: &[&str]) -> (String, Value) {
    let credentials = ["--id", server.env.value("DESK_ID"), "--secret", server.env.value("DESK_SECRET")];
    let output = user(server, &[&["post", server.env.value(url)], &credentials[..], fields].concat());
    let line = |prefix| output.stdout.iter().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default();
    (line("STATUS ").to_owned(), serde_json::from_str(line("BODY ")).unwrap_or_default())
}

/// A program whose user has signed in, live.
pub fn signed_in(server: &Server, keys: &[(&str, &str)]) -> App {
    let mut app = App::desk(server, keys);
    app.client.start().expect("it starts");
    let question = app.question();
    answer(server, &question);
    app.wait_for("persist");
    app.wait_for("state Ready");
    app
}
