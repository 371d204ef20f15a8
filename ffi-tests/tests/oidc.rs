//! `oidc-provider` as the token endpoint, over TLS: an OAuth 2.0 server that nobody here wrote, which rotates refresh
//! tokens, revokes a whole grant when one is used twice, and lets its users sign in. Beside it a socket that accepts
//! whatever token the provider finds in its store. Every wait is for a line somebody says, with a limit.

#[allow(dead_code, reason = "shared with the tests of other peers")]
#[path = "../peers/harness.rs"]
mod harness;

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use genesys_ws_auth::event::{Notice, Question, State};
use genesys_ws_auth::hooks::{Answer, Hooks, Request};
use genesys_ws_auth::{Client, Code, Config, Secret};
use serde_json::Value;

use harness::{available, run_client, Output, Peer, Server};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(60);
/// Of the one confidential client whose users sign in; nobody listens there, the browser's address line is read.
const CALLBACK: &str = "https://desk.example/callback";

/// The socket is closed when its token ends, not later.
const ENDS_WITH_TOKEN: [(&str, &str); 1] = [("ws.expired_grace_ms", "0")];

// --- The library ---

/// A client of the library at the provider, what its hooks said, and what it asked.
///
/// `state Ready (authenticated)` · `token` · `persist` · `code`
struct App {
    client: Client,
    said: Receiver<String>,
    seen: Vec<String>,
    asked: Arc<Mutex<Asked>>,
}

/// What the library asked of the application.
#[derive(Default)]
struct Asked {
    /// Questions for an authorization code that nobody has answered.
    codes: VecDeque<Request>,
    /// Refresh tokens as they were rotated.
    stored: Vec<Secret>,
}

impl App {
    /// As a machine: with client credentials.
    fn machine(server: &Server, secret: &str) -> Self {
        let id = server.env.value("MACHINE_ID");
        Self::new(server, &[("client.id", id), ("token.grant", "client_credentials")], secret)
    }

    /// As a program whose users sign in, and that can keep a secret.
    fn desk(server: &Server, keys: &[(&str, &str)]) -> Self {
        let own = [("client.id", "desk"), ("token.grant", "authorization_code"), ("token.redirect_uri", CALLBACK)];
        Self::new(server, &[&own, keys].concat(), server.env.value("DESK_SECRET"))
    }

    fn new(server: &Server, keys: &[(&str, &str)], secret: &str) -> Self {
        let env = |name| server.env.value(name);
        let given = [
            ("token.url", env("GWA_TOKEN_URL")),
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
    fn wait_for(&mut self, prefix: &str) -> String {
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
    fn question(&mut self) -> Request {
        self.wait_for("code");
        self.open_question()
    }

    fn open_question(&self) -> Request {
        self.asked.lock().expect("no panic").codes.pop_front().expect("it asks")
    }

    /// The refresh token it was given so many rotations ago.
    fn refresh_token(&self, ago: usize) -> String {
        let stored = &self.asked.lock().expect("no panic").stored;
        stored[stored.len() - 1 - ago].expose().to_owned()
    }

    /// Shuts it down: every line there was.
    #[track_caller]
    fn close(mut self) -> Vec<String> {
        let report = self.client.shutdown(Some(LIMIT));
        assert!(report.complete, "{report:?} {:#?}", self.seen);
        assert_eq!(self.client.state(), State::Closed);
        self.seen.extend(self.said.try_iter());
        self.seen
    }
}

fn hooks(say: Sender<String>, asked: Arc<Mutex<Asked>>) -> Hooks {
    let mut hooks = Hooks::default();
    let tell = say.clone();
    hooks.on_state = Some(Arc::new(move |notice| {
        if let Notice::State(change) = notice {
            let error = change.error.as_ref().map(|error| format!(" {error}")).unwrap_or_default();
            let _ = tell.send(format!("state {} ({}){error}", change.to.name(), change.reason));
        }
    }));
    let tell = say.clone();
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

fn count(lines: &[String], prefix: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(prefix)).count()
}

// --- Everybody else ---

fn provider(test: &str, args: &[&str]) -> Option<Server> {
    available(&format!("oidc::{test}"), &[Peer::Oidc]).then(|| Server::start(Peer::Oidc, args))
}

/// What a person or another program does at the provider.
#[track_caller]
fn user(server: &Server, args: &[&str]) -> Output {
    let mut command = Peer::Oidc.client(args);
    command.env("NODE_EXTRA_CA_CERTS", server.env.value("GWA_CA_FILE"));
    let output = run_client(command, &server.env);
    assert!(output.success, "{output:#?}");
    output
}

/// Somebody signs in and consents; the authorization code that comes of it.
#[track_caller]
fn sign_in(server: &Server) -> Secret {
    let callback = CALLBACK.replace(':', "%3A").replace('/', "%2F");
    let url = format!(
        "{}?response_type=code&client_id=desk&redirect_uri={callback}&state=a",
        server.env.value("GWA_AUTHORIZE_URL")
    );
    let output = user(server, &["login", &url]);
    let location = output.stdout.iter().find_map(|line| line.strip_prefix("LOCATION ")).expect("a location");
    let (before, query) = location.split_once('?').expect("a query");
    assert_eq!(before, CALLBACK);
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code=")).expect("a code");
    Secret::new(code.to_owned())
}

/// Posts a form as the confidential client does: status and answer.
#[track_caller]
fn post(server: &Server, url: &str, fields: &[&str]) -> (String, Value) {
    let credentials = ["--id", server.env.value("DESK_ID"), "--secret", server.env.value("DESK_SECRET")];
    let output = user(server, &[&["post", server.env.value(url)], &credentials[..], fields].concat());
    let line = |prefix| output.stdout.iter().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default();
    (line("STATUS ").to_owned(), serde_json::from_str(line("BODY ")).unwrap_or_default())
}

/// A program whose user has signed in, live.
fn signed_in(server: &Server, keys: &[(&str, &str)]) -> App {
    let mut app = App::desk(server, keys);
    app.client.start().expect("it starts");
    let question = app.question();
    question.complete(Answer::Code(sign_in(server)));
    app.wait_for("persist");
    app.wait_for("state Ready");
    app
}

// --- Tests ---

#[test]
fn client_credentials_are_renewed_in_band() {
    let Some(mut server) = provider("client_credentials_are_renewed_in_band", &["--expires", "5"]) else { return };
    let mut app = App::machine(&server, server.env.value("MACHINE_SECRET"));
    app.client.connect(Some(LIMIT)).expect("it connects");
    for _ in 0..4 {
        app.wait_for("token");
    }
    for _ in 0..3 {
        server.wait_for("REAUTH 1");
    }
    let metrics = app.client.metrics();
    assert_eq!((metrics.connects, metrics.gaps, metrics.token_failures), (1, 0, 0));
    let lines = app.close();
    assert_eq!((count(&lines, "code"), count(&lines, "persist")), (0, 0), "{lines:#?}");
    server.wait_for("CLOSED 1 1000");
}

#[test]
fn wrong_credentials_are_told_apart_from_an_outage() {
    let Some(server) = provider("wrong_credentials_are_told_apart_from_an_outage", &[]) else { return };
    for (id, secret) in [("MACHINE_ID", "not it"), ("GWA_ISSUER", "whatever")] {
        let keys = [("client.id", server.env.value(id)), ("token.grant", "client_credentials")];
        let app = App::new(&server, &keys, secret);
        let error = app.client.connect(Some(LIMIT)).expect_err("it is refused");
        assert_eq!((error.code(), error.detail().http_status), (Code::Unauthorized, 401), "{error}");
        assert_eq!(error.detail().oauth_error, "invalid_client", "{error}");
        assert!(error.detail().host.starts_with("localhost:"), "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(secret), "{text}");
        app.close();
    }
    // A client that may not use refresh tokens: which, the provider does not even look at.
    let keys = [("client.id", server.env.value("MACHINE_ID"))];
    let app = App::new(&server, &keys, server.env.value("MACHINE_SECRET"));
    app.client.set_secret("token.refresh_token", Secret::new("found-on-the-street".into())).expect("a token");
    let error = app.client.connect(Some(LIMIT)).expect_err("it is refused");
    assert_eq!((error.code(), error.detail().http_status), (Code::Oauth, 400), "{error}");
    assert_eq!(error.detail().oauth_error, "invalid_request", "{error}");
    assert!(error.to_string().contains("requested grant type is not allowed for this client"), "{error}");
    assert!(!format!("{error:?}").contains("found-on-the-street"), "{error}");
    app.close();
}

#[test]
fn a_refresh_token_is_rotated_at_every_renewal() {
    let Some(mut server) = provider("a_refresh_token_is_rotated_at_every_renewal", &["--expires", "5"]) else { return };
    let mut app = signed_in(&server, &[]);
    for _ in 0..3 {
        // The rotated token is stored before the access token that came with it is used.
        app.wait_for("persist");
        app.wait_for("token");
        server.wait_for("GRANTED refresh_token desk");
        server.wait_for("REAUTH 1");
    }
    let mut stored: Vec<_> = (0..4).map(|ago| app.refresh_token(ago)).collect();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), 4, "each renewal brings another one");
    assert_eq!((app.client.metrics().connects, app.client.metrics().gaps), (1, 0));
    let lines = app.close();
    assert_eq!((count(&lines, "code"), count(&lines, "state ReauthRequired")), (1, 1), "{lines:#?}");
}

#[test]
fn a_stolen_refresh_token_ends_the_grant_and_a_login_recovers() {
    let test = "a_stolen_refresh_token_ends_the_grant_and_a_login_recovers";
    let Some(mut server) = provider(test, &["--expires", "6"]) else { return };
    let mut app = signed_in(&server, &ENDS_WITH_TOKEN);
    app.wait_for("persist");
    // Somebody else uses the one that is spent: the provider cannot know which of the two is the thief.
    let stolen = format!("refresh_token={}", app.refresh_token(1));
    let (status, answer) = post(&server, "GWA_TOKEN_URL", &["grant_type=refresh_token", &stolen]);
    assert_eq!((status.as_str(), &answer["error"]), ("400", &Value::from("invalid_grant")), "{answer}");
    server.wait_for("REVOKED");
    recovers(&mut server, app);
}

#[test]
fn a_revoked_refresh_token_is_asked_for_once_and_a_login_recovers() {
    let test = "a_revoked_refresh_token_is_asked_for_once_and_a_login_recovers";
    let Some(mut server) = provider(test, &["--expires", "6"]) else { return };
    let app = signed_in(&server, &ENDS_WITH_TOKEN);
    // RFC 7009, as an administrator would. Should a renewal be faster, the provider finds the whole grant by the old one.
    let token = format!("token={}", app.refresh_token(0));
    let (status, _) = post(&server, "GWA_REVOKE_URL", &[&token, "token_type_hint=refresh_token"]);
    assert_eq!(status, "200");
    server.wait_for("REVOKED");
    recovers(&mut server, app);
}

/// The next renewal fails for good, one question is asked, and whoever signs in again is live again.
fn recovers(server: &mut Server, mut app: App) {
    server.wait_for("REFUSED invalid_grant refresh token not found");
    // Until the token ends the socket is live.
    let line = app.wait_for("state ReauthRequired");
    assert!(line.contains("invalid_grant"), "{line} {:#?}", app.seen);
    let before = app.client.metrics().token_requests;
    if count(&app.seen, "code") == 1 {
        app.wait_for("code"); // both are on their way; which is first is not said
    }
    let question = app.open_question();
    // Nothing is tried while a person is waited for.
    assert_eq!(app.client.metrics().token_requests, before);
    question.complete(Answer::Code(sign_in(server)));
    app.wait_for("persist");
    app.wait_for("state Ready");
    // And its tokens are renewed as those before.
    app.wait_for("persist");
    server.wait_for("GRANTED refresh_token desk");
    let lines = app.close();
    let asked = count(&lines, "code");
    assert_eq!((asked, count(&lines, "state ReauthRequired")), (2, asked), "once at the start, once now: {lines:#?}");
}

#[test]
fn a_code_that_is_none_is_refused_and_asked_for_again() {
    let Some(mut server) = provider("a_code_that_is_none_is_refused_and_asked_for_again", &[]) else { return };
    let mut app = App::desk(&server, &[]);
    app.client.start().expect("it starts");
    app.question().complete(Answer::Code(Secret::new("mistyped-code".into())));
    server.wait_for("REFUSED invalid_grant");
    let question = app.question();
    question.complete(Answer::Code(sign_in(&server)));
    app.wait_for("state Ready");
    let lines = app.close();
    assert!(lines.iter().any(|line| line.contains("invalid_grant")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("mistyped-code")), "{lines:#?}");
}
