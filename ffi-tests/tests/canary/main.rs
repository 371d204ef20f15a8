//! No secret leaves the library but where it must: a logger at trace level listens to every crate below us, every hook
//! but `on_token` is written down, and so are errors, statistics and `Debug` texts. Then all of it is searched for every
//! token the simulator issued, the client's secret and the Basic header, plain and encoded.
//!
//! The output of the C programs is searched by `ffi_tests::cprog` after each run.

mod channels;
mod formats;
mod strict;

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ffi_tests::secrets::{leaked, secrets};
use ffi_tests::sim::{
    Action, AuthReply, Issue, Log, Options, Plan, Pump, Rotation, Sim, TokenForm, TokenReply, Trigger, UpgradeReply,
};
use genesys_ws_auth::event::{MessageKind, Notice, State};
use genesys_ws_auth::hooks::Answer;
use genesys_ws_auth::metrics::Format;
use genesys_ws_auth::{Client, Config, Secret};

const BOUND: Duration = Duration::from_secs(30);
const WRONG: &str = "a-secret-that-is-wrong";

/// Everything that was said, by whom.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MOVED: Condvar = Condvar::new();

fn said() -> MutexGuard<'static, Vec<String>> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(who: &str, what: impl AsRef<str>) {
    said().push(format!("{who}: {}", what.as_ref()));
    MOVED.notify_all();
}

fn show(who: &str, what: &impl Debug) {
    say(who, format!("{what:?}"));
    say(who, format!("{what:#?}"));
}

/// Waits until `n` lines by `who` that contain `what` were said.
fn wait(who: &str, what: &str, n: usize) {
    let is_one = |line: &&String| line.starts_with(who) && line.contains(what);
    let wanted = |lines: &mut Vec<String>| lines.iter().filter(is_one).count() < n;
    let (lines, waited) = MOVED.wait_timeout_while(said(), BOUND, wanted).unwrap_or_else(PoisonError::into_inner);
    assert!(!waited.timed_out(), "{who} never said {what:?}:\n{}", lines.join("\n"));
}

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // The simulator's threads use the same crates, and may say what they like.
        if std::thread::current().name().is_some_and(|name| name.starts_with("sim-")) {
            return;
        }
        // Not through `say`: this is called inside the library, also while something waits.
        said().push(format!("log of {}: {} {}", record.target(), record.level(), record.args()));
    }

    fn flush(&self) {}
}

fn config(sim: &Sim) -> Config {
    let mut config = credentials(sim);
    config.set("ws.url", &sim.ws_url()).unwrap();
    config
}

/// All that a client of either profile needs for its tokens.
fn credentials(sim: &Sim) -> Config {
    let mut config = Config::new();
    let mut secrets = Vec::new();
    sim.token().policy(|policy| {
        secrets.push(("client.secret", policy.client_secret.clone()));
        secrets.push(("token.refresh_token", policy.refresh_token.clone()));
        config.set("client.id", &policy.client_id).unwrap();
    });
    for (key, secret) in secrets {
        config.set_secret(key, Secret::new(secret)).unwrap();
    }
    config.set("token.url", &sim.token_url()).unwrap();
    config.set("tls.ca_pem", sim.ca_pem()).unwrap();
    config.set("token.persist_timeout_ms", "200").unwrap();
    config
}

fn listen(config: &mut Config, tokens: &Arc<AtomicUsize>) {
    let hooks = &mut config.hooks;
    let tokens = Arc::clone(tokens);
    hooks.on_token = Some(Arc::new(move |token| {
        assert!(!token.access_token.expose().is_empty());
        tokens.fetch_add(1, Ordering::Relaxed);
        show("token", token);
    }));
    hooks.on_message = Some(Arc::new(|message| {
        if message.kind == MessageKind::Text {
            say("message", String::from_utf8_lossy(message.data()));
        }
    }));
    hooks.on_state = Some(Arc::new(|notice: &Notice| {
        show("state", notice);
        if let Notice::State(change) = notice {
            say("state", format!("is {}", change.to.name()));
            change.error.iter().for_each(|error| say("state", format!("{error}")));
        }
    }));
    hooks.on_audit = Some(Arc::new(|record| {
        say("audit", record.json_with_nul);
        Ok(())
    }));
    hooks.on_siem = Some(Arc::new(|record| {
        say("siem", record.json_with_nul);
        Ok(())
    }));
    hooks.on_log = Some(Arc::new(|level, target, text| say("on_log", format!("{level} {target} {text}"))));
    hooks.on_sent = Some(Arc::new(|sent| show("sent", sent)));
    let asked = AtomicUsize::new(0);
    hooks.on_ask = Some(Arc::new(move |request| {
        show("ask", &request);
        match asked.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => request.complete(Answer::Done),
            1 => drop(request),
            _ => {
                let why = genesys_ws_auth::Error::new(
                    genesys_ws_auth::Code::CallbackFailed,
                    genesys_ws_auth::Stage::Callback,
                    "the disk is full",
                );
                request.fail(why);
            }
        }
    }));
}

/// One client from its making to its end; what happens between is the story's.
fn live(sim: &Sim, change: impl FnOnce(&mut Config), story: impl FnOnce(&Client, &Arc<AtomicUsize>)) {
    live_with(config(sim), change, story);
}

fn live_with(mut config: Config, change: impl FnOnce(&mut Config), story: impl FnOnce(&Client, &Arc<AtomicUsize>)) {
    said().retain(|line| !line.starts_with("state"));
    let tokens = Arc::default();
    listen(&mut config, &tokens);
    change(&mut config);
    show("config", &config);
    show("settings", &config.settings().map_err(|error| show("error", &error)));
    let client = Client::new(&config).unwrap();
    show("client", &client);
    client.start().unwrap();
    story(&client, &tokens);
    show("client", &client);
    say("stats", client.stats_json());
    say("metrics as text", client.metrics_text(Format::OpenMetrics));
    say("configuration", client.config_json());
    show("metrics", &client.metrics());
    show("report", &client.shutdown(Some(BOUND)));
}

/// `connect` fails, and its error is shown.
fn fails(sim: &Sim, change: impl FnOnce(&mut Config)) {
    let mut config = config(sim);
    listen(&mut config, &Arc::default());
    config.set("token.attempts", "1").unwrap();
    change(&mut config);
    let client = Client::new(&config).unwrap();
    let error = client.connect(Some(BOUND)).unwrap_err();
    show("error", &error);
    show("error", error.detail());
    say("error", error.to_string());
    say("stats", client.stats_json());
    say("metrics as text", client.metrics_text(Format::OpenMetrics));
    say("configuration", client.config_json());
    assert_eq!(client.state(), State::Idle);
}

fn options() -> Options {
    let mut options = Options::default();
    options.token.rotation = Rotation::KeepOld;
    options.ws.echo = true;
    options.ws.pump = Some(Pump::every(Duration::from_millis(50)));
    options
}

fn short_lived() -> Options {
    let mut options = options();
    options.token.lifetime = Duration::from_secs(2);
    options
}

/// Nothing of this simulator's was said, and nothing went where it need not.
fn is_clean(sim: &Sim, story: &str) {
    nothing_was_said(sim, story);
    sim.record().read(|log| went_where_it_must(sim, log, story));
}

fn nothing_was_said(sim: &Sim, story: &str) {
    let lines = said();
    for (what, secret) in secrets(sim).into_iter().chain([("a wrong secret", WRONG.to_owned())]) {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(&secret)).collect();
        assert!(found.is_empty(), "{story}: {what} was said: {found:#?}");
    }
}

fn went_where_it_must(sim: &Sim, log: &Log, story: &str) {
    for request in &log.requests {
        let line = format!("{} {}?{}", request.method, request.path, request.query);
        assert_eq!(leaked(sim, &line), None, "{story}: in the request line {line}");
        for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("authorization")) {
            assert_eq!(leaked(sim, value), None, "{story}: in the header {name}");
        }
    }
    assert!(log.closes.iter().all(|close| leaked(sim, &close.reason).is_none()), "{story}: in a close frame");
    assert!(log.received.iter().all(|message| leaked(sim, &String::from_utf8_lossy(&message.payload)).is_none()));
}

/// One test at a time: the logger is the process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = log::set_logger(&Listener);
    log::set_max_level(log::LevelFilter::Trace);
    said().clear();
    guard
}

#[test]
fn no_secret_is_said() {
    let _alone = alone();
    renewals_and_rotation();
    a_server_that_cannot_renew();
    losses();
    refusals();
    new_secret();
    texts_of_the_server();
    // The search itself works, and the loggers of others were heard.
    assert_eq!(leaked(&Sim::start(Options::default()), "x sim-client-secret x"), Some("the client secret"));
    let crates = ["tungstenite", "ureq", "mio"];
    let heard = |name: &&str| said().iter().any(|line| line.starts_with(&format!("log of {name}")));
    assert!(crates.iter().any(heard), "no crate below us said a word");
}

fn renewals_and_rotation() {
    let sim = Sim::start(short_lived());
    live(
        &sim,
        |_| (),
        |client, tokens| {
            assert!(sim.record().wait_until(BOUND, |log| log.reauths() >= 4));
            client.send(MessageKind::Text, b"there and back").unwrap();
            wait("message", "there and back", 1);
            let token = client.token(Duration::ZERO, Some(BOUND)).unwrap();
            show("token", &*token);
            assert!(leaked(&sim, token.access_token.expose()).is_some(), "the token itself is found where it is");
            assert!(tokens.load(Ordering::Relaxed) >= 4);
        },
    );
    wait("ask", "PersistRefreshToken", 3);
    is_clean(&sim, "renewals");
}

fn a_server_that_cannot_renew() {
    let sim = Sim::start(short_lived());
    sim.ws().always_reauth(AuthReply::Refuse(Some("not supported".into())));
    live(&sim, |_| (), |_, _| wait("state", "Handover", 2));
    is_clean(&sim, "hand-over");
}

fn losses() {
    let sim = Sim::start(options());
    sim.ws().plan(0, Plan::new().on(Trigger::Auths(1), [Action::Reset]));
    sim.ws().plan(1, Plan::new().on(Trigger::Auths(1), [Action::close(1011, "oops")]));
    sim.ws().plan(2, Plan::new().on(Trigger::Auths(1), [Action::InvalidUtf8]));
    sim.ws().plan(3, Plan::new().on(Trigger::Auths(1), [Action::CutFrame { text: "cut".into(), keep: 4 }]));
    let gap_ends = 2 * 3; // each is shown twice
    live(&sim, |_| (), |_, _| wait("state", "GapEnd", gap_ends));
    is_clean(&sim, "losses");
}

fn refusals() {
    let sim = Sim::start(options());
    fails(&sim, |config| config.set_secret("client.secret", Secret::new(WRONG.into())).unwrap());
    for reply in [
        TokenReply::InvalidGrant,
        TokenReply::Forbidden,
        TokenReply::Throttle400,
        TokenReply::NotJson,
        TokenReply::CutMidBody,
        TokenReply::Reset,
        TokenReply::Huge { bytes: 1 << 20 },
        TokenReply::Redirect { to: "https://elsewhere.example/".into() },
    ] {
        sim.token().then(reply);
        fails(&sim, |_| ());
    }
    sim.ws().on_upgrade(UpgradeReply::Status { code: 403, headers: Vec::new(), body: "no".into() });
    fails(&sim, |_| ());
    sim.ws().refuse_auth("no such user");
    fails(&sim, |_| ());
    // Too long to be a reply: it is the application's, and the reply never comes.
    sim.ws().on_auth(AuthReply::Padded(1 << 20));
    fails(&sim, |config| config.set("ws.auth_timeout_ms", "500").unwrap());
    fails(&sim, |config| config.set("scopes.required", "admin:everything").unwrap());
    sim.down();
    fails(&sim, |_| ());
    is_clean(&sim, "refusals");
}

fn new_secret() {
    let sim = Sim::start(options());
    let wrong = |config: &mut Config| config.set_secret("client.secret", Secret::new(WRONG.into())).unwrap();
    live(&sim, wrong, |client, _| {
        wait("state", "is ReauthRequired", 1);
        show("error", &client.set_secret("client.secret", Secret::new("bad\n".into())));
        client.set_secret("client.secret", Secret::new("sim-client-secret".into())).unwrap();
        wait("state", "is Ready", 1);
    });
    is_clean(&sim, "a new secret");
}

const REPEATED: &str = "canary-access-token-0123456789";

/// A simulator whose access tokens are all the same: its script can repeat them.
fn repeating() -> Sim {
    let sim = Sim::start(options());
    let literal = Issue::new().form(TokenForm::Literal(REPEATED.into()));
    sim.token().always(TokenReply::Issue(literal));
    sim
}

/// What a server sends stands in the trace of tungstenite, which reads it; all else is ours.
fn is_clean_but_for_the_wire(sim: &Sim, story: &str) {
    said().retain(|line| !line.starts_with("log of tungstenite"));
    is_clean(sim, story);
}

/// A server that repeats what it was sent, in texts of its own that an error quotes.
fn texts_of_the_server() {
    let sim = repeating();
    let (mut secret, mut refresh) = (String::new(), String::new());
    sim.token().policy(|policy| {
        secret.clone_from(&policy.client_secret);
        refresh.clone_from(&policy.refresh_token);
    });
    for said in [secret, refresh] {
        let body = serde_json::json!({"error": "invalid_request", "error_description": format!("not {said}")});
        sim.token().then(TokenReply::Status { code: 400, headers: Vec::new(), body: body.to_string() });
        fails(&sim, |_| ());
    }
    sim.ws().refuse_auth(&format!("the token {REPEATED} is not good"));
    fails(&sim, |_| ());
    is_clean_but_for_the_wire(&sim, "texts of the server");
}

/// A token longer than what errors keep of a server's text: it has to be struck before the text is cut.
#[test]
fn a_long_token_in_a_text_that_is_cut() {
    let _alone = alone();
    let long = format!("canary-long-token-{}", "0123456789".repeat(90));
    let sim = Sim::start(options());
    sim.token().always(TokenReply::Issue(Issue::new().form(TokenForm::Literal(long.clone()))));
    for text in [format!("the token {long} is not good"), format!("cut: {}", &long[..200])] {
        sim.ws().refuse_auth(&text);
        fails(&sim, |_| ());
    }
    said().retain(|line| !line.starts_with("log of tungstenite"));
    assert!(said().iter().all(|line| !line.contains("canary-long-token")), "{:#?}", said());
    is_clean(&sim, "a long token");
}

/// The reason of a close frame, likewise; it goes back to the server in the answer, as close frames do.
#[test]
fn a_close_reason_that_repeats_the_token() {
    let _alone = alone();
    let sim = repeating();
    sim.ws().plan_next(Plan::new().on(Trigger::Auths(1), [Action::close(1008, REPEATED)]));
    live(&sim, |_| (), |_, _| wait("state", "GapEnd", 1));
    said().retain(|line| !line.starts_with("log of tungstenite"));
    nothing_was_said(&sim, "a close reason");
}
