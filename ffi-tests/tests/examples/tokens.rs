//! Programs that take part in what becomes of tokens.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ffi_tests::cprog::{each, output, Variant};
use ffi_tests::example::{command, Live, Recipe};
use ffi_tests::sim::{AuthorizeReply, ClientAuth, Issue, Rotation, Sim, TokenForm};

use crate::notifications::TOPIC;
use crate::{closed_with_1000, ended_well, eventful, eventful_for, lives_through, showed_its_states, shown, BOUND};

/// Each refresh token is good once.
fn rotating(variant: Variant) -> Sim {
    let mut options = variant.options();
    options.token.lifetime = Duration::from_secs(5 * u64::from(variant.slowness().min(5)));
    options.token.rotation = Rotation::RevokeOld { grace: Duration::ZERO };
    Sim::start(options)
}

const PERSIST: Recipe<'static> = Recipe {
    source: "c/persist_refresh_token.c",
    compiler: "gcc",
    flags: &["-std=c99"],
    libraries: &[],
    with_library: true,
};

/// Runs it until it has stored `count` tokens.
fn persist(variant: Variant, sim: &Sim, directory: &Path, count: usize) {
    let mut command = command(&PERSIST.build(variant), variant);
    command.arg(directory);
    let live = Live::start(command, sim, variant);
    let already = sim.record().read(|log| log.auths.iter().filter(|auth| auth.accepted == Some(true)).count());
    live.wait_for("stored tokens", |lines| {
        lines.iter().filter(|line| *line == "refresh token stored").count() >= count
    });
    // The access token that came with the last one is used after that.
    assert!(sim.record().wait_until(BOUND, |log| {
        log.auths.iter().filter(|auth| auth.accepted == Some(true)).count() >= already + count
    }));
    live.signal("TERM");
    let ended = live.finish().well();
    assert!(ended.lines.iter().all(|line| line == "refresh token stored"), "{ended:?}");
}

#[test]
fn persist_refresh_token() {
    each("examples/c/persist_refresh_token.c", |variant| {
        let sim = rotating(variant);
        let directory = output(Command::new("mktemp").arg("-d")).unwrap();
        let directory = Path::new(directory.trim_end());
        fs::write(directory.join("refresh_token.new"), "left over from a crash").unwrap();
        for (run, count) in [(1, 3), (2, 1)] {
            persist(variant, &sim, directory, count);
            let stored = fs::read_to_string(directory.join("refresh_token")).unwrap();
            assert_eq!(Some(stored), sim.token().issued().pop().and_then(|last| last.refresh_token), "run {run}");
            let mode = fs::metadata(directory.join("refresh_token")).unwrap().permissions().mode();
            assert_eq!((mode & 0o7777, fs::read_dir(directory).unwrap().count()), (0o600, 1));
        }
        // The second run would have got nothing for the token of its environment: that was used up.
        assert!(sim.record().read(|log| log.requests.iter().all(|request| request.status != Some(400))));
        closed_with_1000(&sim);
        fs::remove_dir_all(directory).unwrap();
    });
}

#[test]
fn a_refresh_token_that_cannot_be_stored_is_told() {
    each("examples/c/persist_refresh_token.c", |variant| {
        let sim = rotating(variant);
        let directory = output(Command::new("mktemp").arg("-d")).unwrap();
        let directory = Path::new(directory.trim_end());
        // A directory in the place of the file: rename(2) refuses.
        fs::create_dir(directory.join("refresh_token")).unwrap();
        let mut command = command(&PERSIST.build(variant), variant);
        command.arg(directory);
        let ended = Live::start(command, &sim, variant).finish();
        assert_eq!(ended.status.code(), Some(1), "it refuses to start: {ended:?}");
        assert!(!ended.stderr.is_empty());
        assert_eq!(sim.record().token_requests(), 0);
        fs::remove_dir_all(directory).unwrap();
    });
}

/// Answers the provider's command, through two FIFOs: nothing at first, then a new token each time. Says how many it gave.
fn vault(sim: &Sim, directory: &Path, over: &AtomicBool) -> usize {
    for given in 0.. {
        let mut asked = String::new();
        File::open(directory.join("ask")).and_then(|mut ask| ask.read_to_string(&mut asked)).unwrap();
        if over.load(Ordering::SeqCst) {
            return given - 1;
        }
        let mut answer = File::options().write(true).open(directory.join("answer")).unwrap();
        if given > 0 {
            let token = sim.token().mint(&Issue::new());
            writeln!(answer, "{}\n{}", token.access_token, token.lifetime.as_secs()).unwrap();
        }
    }
    unreachable!("more questions than numbers")
}

#[test]
fn own_token() {
    each("examples/c/own_token.c", |variant| {
        let sim = Arc::new(eventful(variant));
        let directory = output(Command::new("mktemp").arg("-d")).unwrap();
        let directory = Path::new(directory.trim_end()).to_owned();
        output(Command::new("mkfifo").args([directory.join("ask"), directory.join("answer")])).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let provider = thread::spawn({
            let (sim, directory, over) = (Arc::clone(&sim), directory.clone(), Arc::clone(&over));
            move || vault(&sim, &directory, &over)
        });
        let program = Recipe::c("c/own_token.c", &["-std=c99"]).build(variant);
        let mut command = command(&program, variant);
        command.arg(format!("cd {}; echo >ask; cat answer", directory.display()));
        for name in ["GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET", "GENESYS_REFRESH_TOKEN", "GWA_TOKEN_URL"] {
            command.env(name, ""); // an empty value is the default: no secret is known
        }
        let live = Live::start(command, &sim, variant);
        lives_through(&live, &sim);
        live.signal("TERM");
        let ended = live.finish().well();
        ended_well(&ended.lines, &sim);
        showed_its_states(&ended.lines);
        over.store(true, Ordering::SeqCst);
        drop(File::options().write(true).open(directory.join("ask")).unwrap());
        let given = provider.join().unwrap();
        assert_eq!((sim.record().token_requests(), sim.token().issued().len()), (0, given));
        assert!(given >= 2, "one for the start, one for the renewal");
        fs::remove_dir_all(directory).unwrap();
    });
}

/// What a browser shows after it has followed every redirect: status and text.
fn browse(url: &str, sim: &Sim) -> (String, String) {
    const BROWSER: &str = "import ssl, sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], context=ssl.create_default_context(cadata=sys.argv[2]), timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
print(answer.read().decode(), end='')";
    let mut browser = Command::new("python3");
    browser.args(["-I", "-c", BROWSER, url, sim.ca_pem()]).env("no_proxy", "*");
    let shown = output(&mut browser).unwrap_or_else(|why| panic!("{why}"));
    let (status, text) = shown.split_once('\n').expect("a status and a page");
    (status.to_owned(), text.to_owned())
}

#[test]
fn pkce_login() {
    if output(Command::new("python3").arg("--version")).is_err() {
        return crate::skip("examples/c/pkce_login.c", "there is no python3 to be the browser");
    }
    each("examples/c/pkce_login.c", |variant| {
        let mut options = variant.options();
        options.token.client_auth = ClientAuth::Public;
        options.token.form = TokenForm::Opaque;
        options.token.answer_scope = false;
        let sim = Sim::start(options);
        sim.token().on_authorize(AuthorizeReply::WrongState).always_authorize(AuthorizeReply::Consent);
        let program = Recipe::c("c/pkce_login.c", &["-std=c99"]).build(variant);
        let mut command = command(&program, variant);
        command.args(["http://127.0.0.1:0/callback", TOPIC]).env("GWA_AUTHORIZE_URL", sim.authorize_url());
        for name in ["GENESYS_CLIENT_SECRET", "GENESYS_REFRESH_TOKEN"] {
            command.env(name, ""); // a public client has none
        }
        let live = Live::start(command, &sim, variant);
        let url = RefCell::new(String::new());
        live.wait_for("the URL", |lines| {
            let found = lines.iter().find_map(|line| line.strip_prefix("open     "));
            *url.borrow_mut() = found.unwrap_or_default().to_owned();
            found.is_some()
        });
        let url = url.into_inner();
        let (status, text) = browse(&url, &sim);
        assert_eq!((status.as_str(), text.contains("another sign-in")), ("400", true), "{text}");
        assert_eq!(sim.record().token_requests(), 0, "the answer to another question is none to this");
        let (status, text) = browse(&url, &sim);
        assert_eq!((status.as_str(), text.contains("close this window")), ("200", true), "{text}");
        live.wait_for("a live socket", |lines| shown(lines, "state    Ready ("));
        let end = format!("\"seq\":{}}}", sim.channels().event(TOPIC, None));
        live.wait_for("an event", |lines| {
            lines.iter().any(|line| line.starts_with("message  {") && line.contains(&end))
        });
        live.signal("TERM");
        let ended = live.finish().well();
        assert!(
            shown(&ended.lines, &format!("topic    {TOPIC} permitted")) && shown(&ended.lines, "token    until 20"),
            "{ended:?}"
        );
        let forms = sim.record().read(|log| {
            let posts = log.requests.iter().filter(|request| request.method == "POST");
            posts
                .map(|request| ["grant_type", "redirect_uri", "client_id"].map(|name| request.form(name)))
                .collect::<Vec<_>>()
        });
        assert_eq!(forms[0][0].as_deref(), Some("authorization_code"));
        assert!(
            forms[0][1].as_ref().is_some_and(|uri| !uri.contains(":0/") && uri.ends_with("/callback")),
            "{forms:?}"
        );
        assert!(forms[0][2].is_some(), "it says who it is, and proves nothing: {forms:?}");
        closed_with_1000(&sim);
    });
}

#[test]
fn two_clients() {
    each("examples/c/two_clients.c", |variant| {
        let sim = eventful_for(variant, 2);
        let program = Recipe::c("c/two_clients.c", &["-std=c99"]).build(variant);
        let live = Live::start(command(&program, variant), &sim, variant);
        lives_through(&live, &sim);
        live.signal("TERM");
        let ended = live.finish().well();
        let mut seen = crate::numbers(&ended.lines);
        seen.sort_unstable(); // each client keeps its own order
        assert_eq!(seen, (1..=crate::MESSAGES + 1).collect::<Vec<_>>());
        for name in ["left", "right"] {
            assert!(shown(&ended.lines, &format!("message  {name} {{")), "{name}");
            assert!(shown(&ended.lines, &format!("state    {name} Closed (closed by the application)")), "{name}");
        }
        let log = sim.record().snapshot();
        let told = ended.lines.iter().filter(|line| line.starts_with("token ")).count();
        let (requests, issued) = (log.token_requests(), sim.token().issued().len());
        assert_eq!(requests, issued);
        // The last one may have come when all ended.
        assert!((told..=told + 1).contains(&issued) && told >= 2, "one request a token: {issued}, {told} told");
        let first = &sim.token().issued()[0].access_token;
        let sockets =
            log.auths.iter().filter(|auth| auth.token == *first).map(|auth| auth.connection).collect::<Vec<_>>();
        assert!(sockets.contains(&0) && sockets.contains(&1), "both have shown the first token: {sockets:?}");
        closed_with_1000(&sim);
    });
}
