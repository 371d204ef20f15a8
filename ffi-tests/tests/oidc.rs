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

/// Somebody signs in and consents where the question leads; the URL that the browser is sent back to.
#[track_caller]
fn sign_in(server: &Server, question: &Request) -> Secret {
    let output = user(server, &["login", &url_of(question)]);
    let location = output.stdout.iter().find_map(|line| line.strip_prefix("LOCATION ")).expect("a location");
    assert!(location.starts_with(&format!("{CALLBACK}?code=")), "{location}");
    Secret::new(location.to_owned())
}

/// Answers the question as somebody who has signed in: with the whole redirect.
#[track_caller]
fn answer(server: &Server, question: &Request) {
    let Question::AuthorizationCode(authorization) = &question.question else { panic!("{question:?}") };
    let code = authorization.code_of(sign_in(server, question).expose()).expect("the redirect of this question");
    question.complete(Answer::Code(code));
}

fn url_of(question: &Request) -> String {
    let Question::AuthorizationCode(authorization) = &question.question else { panic!("{question:?}") };
    authorization.url().to_owned()
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
    answer(server, &question);
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
    answer(server, &question);
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
fn a_code_that_is_none_is_refused() {
    let Some(mut server) = provider("a_code_that_is_none_is_refused", &[]) else { return };
    let mut app = App::desk(&server, &[]);
    app.client.start().expect("it starts");
    app.question().complete(Answer::Code(Secret::new("mistyped-code".into())));
    server.wait_for("REFUSED invalid_grant");
    let refused =
        "state ReauthRequired (credentials refused) token: The refresh token or authorization code is no longer valid";
    assert!(app.wait_for(refused).contains("invalid_grant"));
    // Nobody is asked again and again by a server that refuses every code: the application says when.
    app.client.refresh_now().expect("it runs");
    let question = app.question();
    answer(&server, &question);
    app.wait_for("state Ready");
    let lines = app.close();
    assert!(!lines.iter().any(|line| line.contains("mistyped-code")), "{lines:#?}");
}

// --- A program on a desktop: public, PKCE, and its own listener ---

/// Loopback of version 4 and of version 6; the system says which port.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1:0/callback", "http://[::1]:0/callback"];

/// A public client that listens for the redirect itself; it has asked. The question, and where it listens.
#[track_caller]
fn pocket(server: &Server, redirect_uri: &str) -> (App, Request, String) {
    let keys = [
        ("client.id", "pocket"),
        ("client.authentication", "none"),
        ("token.grant", "authorization_code"),
        ("token.redirect_uri", redirect_uri),
        ("token.redirect_listener", "true"),
    ];
    let mut app = App::new(server, &keys, "");
    app.client.start().expect("it starts");
    let question = app.question();
    let url = url_of(&question);
    let encoded = url.split('&').find_map(|pair| pair.strip_prefix("redirect_uri=")).expect("a redirect_uri");
    let place = ["%3A", "%2F", "%5B", "%5D"].iter().zip([":", "/", "[", "]"]);
    let place = place.fold(encoded.to_owned(), |text, (from, to)| text.replace(from, to));
    assert!(place.starts_with(redirect_uri.trim_end_matches("0/callback")) && place != redirect_uri, "{place}");
    (app, question, place)
}

/// What a browser shows: status, header fields, text.
#[track_caller]
fn visited(output: &Output) -> (u64, Value, String) {
    let text = output.json("BODY ");
    let status = output.json("STATUS ").as_u64().expect("a status");
    (status, output.json("HEADERS "), text.as_str().unwrap_or_default().to_owned())
}

/// Whether nobody listens there any more.
fn is_closed(place: &str) -> bool {
    let address = place.trim_start_matches("http://").trim_end_matches("/callback");
    std::net::TcpStream::connect(address).is_err()
}

#[test]
fn a_desktop_login_needs_no_answer_of_the_application() {
    let Some(server) = provider("a_desktop_login_needs_no_answer_of_the_application", &["--expires", "5"]) else {
        return;
    };
    for redirect_uri in LOOPBACK {
        let (mut app, question, place) = pocket(&server, redirect_uri);
        let (status, headers, text) = visited(&user(&server, &["login", &url_of(&question), "--visit"]));
        assert_eq!((status, &headers["cache-control"]), (200, &Value::from("no-store")), "{headers}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{headers}");
        assert!(text.contains("close this window") && !text.contains("code="), "{text}");
        app.wait_for("state Ready");
        assert!(is_closed(&place), "{place}");
        // Too late, and nothing comes of it.
        question.complete(Answer::Code(Secret::new("another".into())));
        // A public client's refresh token is rotated as well.
        app.wait_for("persist");
        app.wait_for("persist");
        let lines = app.close();
        assert_eq!(count(&lines, "code"), 1, "{lines:#?}");
    }
}

#[test]
fn nobody_else_can_answer_for_the_browser() {
    let Some(server) = provider("nobody_else_can_answer_for_the_browser", &[]) else { return };
    let (mut app, question, place) = pocket(&server, LOOPBACK[0]);
    let redirect = format!("{place}?code=stolen&state=guessed");
    let elsewhere = format!("{}?code=stolen", place.replace("callback", "elsewhere"));
    let cases: [(&[&str], u64); 6] = [
        (&["get", &redirect], 400),
        (&["get", &format!("{place}?error=access_denied&state=guessed")], 400),
        (&["get", &place], 400),
        (&["get", &redirect, "--host", "evil.example"], 421),
        (&["get", &redirect, "--method", "POST"], 405),
        (&["get", &elsewhere], 404),
    ];
    for (args, wanted) in cases {
        let (status, headers, text) = visited(&user(&server, args));
        assert_eq!(status, wanted, "{args:?}");
        assert_eq!(headers["cache-control"], "no-store", "{args:?}");
        assert!(!text.contains("stolen") && !text.contains("guessed"), "{args:?}: {text}");
    }
    // Whoever connects and says nothing keeps nobody out.
    let address = place.trim_start_matches("http://").trim_end_matches("/callback");
    let silent: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(address).expect("it listens")).collect();
    // Somebody who declines may still think better of it.
    let url = url_of(&question);
    let (status, _, text) = visited(&user(&server, &["login", &url, "--deny", "--visit"]));
    assert_eq!((status, text.contains("refused")), (200, true), "{text}");
    assert_eq!(app.client.metrics().token_requests, 0);
    let (status, ..) = visited(&user(&server, &["login", &url, "--visit"]));
    assert_eq!(status, 200);
    app.wait_for("state Ready");
    drop(silent);
    let lines = app.close();
    assert_eq!(count(&lines, "code"), 1, "{lines:#?}");
}

#[test]
fn the_listener_ends_with_its_question() {
    let Some(server) = provider("the_listener_ends_with_its_question", &[]) else { return };
    // Answered by the application, as if the browser were on another machine.
    let (mut app, question, place) = pocket(&server, LOOPBACK[0]);
    let output = user(&server, &["login", &url_of(&question)]);
    let location = output.stdout.iter().find_map(|line| line.strip_prefix("LOCATION ")).expect("a location");
    let Question::AuthorizationCode(authorization) = &question.question else { panic!("{question:?}") };
    question.complete(Answer::Code(authorization.code_of(location).expect("a code")));
    app.wait_for("state Ready");
    assert!(is_closed(&place));
    app.close();
    // Ended by a shutdown.
    let (app, _, place) = pocket(&server, LOOPBACK[0]);
    assert!(!is_closed(&place));
    app.close();
    assert!(is_closed(&place));
}

// --- A key instead of a secret ---

/// A client that signs its assertions with this key.
fn signer(server: &Server, key: &std::path::Path) -> App {
    let file = key.display().to_string();
    let keys = [
        ("client.id", "signer"),
        ("client.authentication", "private_key_jwt"),
        ("client.private_key_file", file.as_str()),
        ("client.assertion_audience", server.env.value("GWA_ISSUER")),
        ("token.grant", "client_credentials"),
    ];
    App::new(server, &keys, "")
}

/// A new key, by `openssl genpkey`.
fn key(name: &str, args: &[&str]) -> std::path::PathBuf {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oidc-{}-{name}", std::process::id()));
    let made = std::process::Command::new("openssl").arg("genpkey").args(args).arg("-out").arg(&path).output();
    assert!(made.as_ref().is_ok_and(|output| output.status.success()), "{made:?}");
    path
}

#[test]
fn a_signed_assertion_takes_the_place_of_a_secret() {
    let p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    for (alg, args) in [("ES256", p256), ("RS256", rsa)] {
        if !available("oidc::a_signed_assertion_takes_the_place_of_a_secret", &[Peer::Oidc]) {
            return;
        }
        let (own, other) = (key(alg, &args), key(&format!("{alg}-other"), &args));
        let file = own.display().to_string();
        let mut server = Server::start(Peer::Oidc, &["--expires", "5", "--client-key", &file, "--client-alg", alg]);
        let mut app = signer(&server, &own);
        app.client.connect(Some(LIMIT)).unwrap_or_else(|error| panic!("{alg}: {error}"));
        // Each has a jti of its own: the provider takes none twice.
        for _ in 0..3 {
            app.wait_for("token");
            server.wait_for("GRANTED client_credentials signer");
        }
        app.close();
        let app = signer(&server, &other);
        let error = app.client.connect(Some(LIMIT)).expect_err("another key");
        assert_eq!(
            (error.code(), error.detail().oauth_error.as_str()),
            (Code::Unauthorized, "invalid_client"),
            "{error}"
        );
        app.close();
        for path in [own, other] {
            std::fs::remove_file(path).expect("ours");
        }
    }
}
