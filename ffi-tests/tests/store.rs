//! The token store over real files, processes and sockets: `c/store_client.c`, killed and hindered by `c/shim_store.c`.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{chown, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ffi_tests::cprog::{each, Outcome, Program, Variant};
use ffi_tests::shim::preloaded;
use ffi_tests::sim::{Log, Options, Rotation, Sim, TokenPolicy};
use genesys_ws_auth::{Client, Config, Secret};
use serde_json::Value;

/// No test waits longer for anything.
const BOUND: Duration = Duration::from_secs(60);
/// A server that forgives for longer than any restart takes.
const GRACE: Rotation = Rotation::RevokeOld { grace: Duration::from_secs(3_600) };
/// One that forgives nothing.
const NO_GRACE: Rotation = Rotation::RevokeOld { grace: Duration::ZERO };
const SIGKILL: i32 = 9;

/// A directory of this test's own; it goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tokens")
    }

    /// The program with its store here.
    fn program<'a>(&self, sim: &'a Sim, variant: Variant, how: &str) -> Program<'a> {
        let file = self.file().display().to_string();
        let program = Program::new("store_client", variant).against(sim).arg(how);
        // A new token whenever it is asked for: in a row, as fast as they come.
        program.set("token.store", &file).set("token.refresh_floor_ms", 0).env("GWA_TEST_STORE", file)
    }

    /// The refresh token in the store, which is whole, and nobody else's to read.
    #[track_caller]
    fn token(&self) -> String {
        let text = fs::read_to_string(self.file()).unwrap();
        let content: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!(fs::metadata(self.file()).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(content["version"], 1);
        content["refresh_token"].as_str().filter(|token| !token.is_empty()).expect("a refresh token").to_owned()
    }

    /// Whatever has happened: there is none yet, or a whole one of those that were issued.
    #[track_caller]
    fn holds_one_of(&self, sim: &Sim) -> Option<String> {
        if !self.file().exists() {
            return None;
        }
        let token = self.token();
        assert!(refresh_tokens(sim).contains(&token), "a token that nobody issued");
        Some(token)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn simulator(variant: Variant, rotation: Rotation) -> Sim {
    let sim = Sim::start(variant.options());
    sim.token().policy(|policy| policy.rotation = rotation);
    sim
}

fn refresh_tokens(sim: &Sim) -> Vec<String> {
    sim.token().issued().into_iter().filter_map(|issued| issued.refresh_token).collect()
}

/// What the requests were made with, in order.
fn used(log: &Log) -> Vec<String> {
    log.requests.iter().filter_map(|request| request.form("refresh_token")).collect()
}

/// The value of a line that `store_client refused` prints.
fn line<'a>(outcome: &'a Outcome, name: &str) -> &'a str {
    let found = outcome.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {}", outcome.stdout))
}

#[test]
fn the_next_process_goes_on_with_what_is_stored() {
    each("store_client", |variant| {
        let (sim, place) = (simulator(variant, NO_GRACE), Place::new("next"));
        for n in 1..=3 {
            let outcome = place.program(&sim, variant, "1").run().passed();
            assert_eq!(outcome.number("failures"), 0);
            assert_eq!(Some(place.token()), refresh_tokens(&sim).pop(), "process {n}");
        }
        let log = sim.record().snapshot();
        assert_eq!((log.token_requests(), log.auths()), (3, 3));
        assert_eq!(used(&log)[1..], refresh_tokens(&sim)[..2]);
        // Another token is configured: it replaces what is stored.
        sim.token().add_refresh("another-refresh-token");
        place.program(&sim, variant, "1").env("GENESYS_REFRESH_TOKEN", "another-refresh-token").run().passed();
        assert_eq!(used(&sim.record().snapshot()).last().unwrap(), "another-refresh-token");
        // None is configured: what is stored serves.
        place.program(&sim, variant, "1").env("GENESYS_REFRESH_TOKEN", "").run().passed();
        let (used, issued) = (used(&sim.record().snapshot()), refresh_tokens(&sim));
        assert_eq!(used.last(), issued.get(issued.len() - 2));
    });
}

#[test]
fn what_others_could_have_touched_is_refused() {
    each("store_client", |variant| {
        let (sim, place) = (simulator(variant, NO_GRACE), Place::new("touched"));
        let program = || place.program(&sim, variant, "refused").set("token.attempts", 1);
        place.program(&sim, variant, "1").run().passed();
        let (requests, held) = (sim.record().token_requests(), fs::read(place.file()).unwrap());
        let refused = |why: &str, outcome: Outcome| {
            assert_eq!(line(&outcome, "name"), "GWA_E_STORE");
            let message = line(&outcome, "message");
            assert!(message.contains(&place.file().display().to_string()) && message.contains(why), "{message}");
            assert!(line(&outcome, "hint").contains("token.store"));
            assert_eq!(sim.record().token_requests(), requests, "{why}: no token is asked for");
            assert_eq!(fs::read(place.file()).unwrap(), held, "{why}: left as it is");
        };
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(place.file(), fs::Permissions::from_mode(mode)).unwrap();
            refused("can be read or written by others", program().run().passed());
        }
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).unwrap();
        sim.token().policy(|policy| policy.client_id = "another-client".into());
        refused("belongs to another OAuth client", program().run().passed());
        sim.token().policy(|policy| policy.client_id = Options::default().token.client_id);
        match chown(place.file(), Some(65_534), None) {
            Ok(()) => refused("belongs to another user", program().run().passed()),
            Err(error) => skip("a store of another user", &error),
        }
    });
}

/// Only root may give a file away. Past the capture of tests that pass: what is skipped is seen.
fn skip(what: &str, error: &io::Error) {
    assert!(env::var_os("GWA_REQUIRE_ALL").is_none_or(|value| value != "1"), "{what} is required: {error}");
    writeln!(io::stderr(), "SKIPPED: {what}: {error}").expect("stderr");
}

#[test]
fn two_processes_never_use_one_refresh_token_twice() {
    let (sim, place) = (simulator(Variant::Plain, NO_GRACE), Place::new("two"));
    let start = || place.program(&sim, Variant::Plain, "8").start();
    let both = [start(), start()];
    for running in both {
        assert_eq!(running.finish().passed().number("failures"), 0);
    }
    let used = used(&sim.record().snapshot());
    let mut once = used.clone();
    once.sort();
    once.dedup();
    assert!(used.len() >= 16 && once.len() == used.len(), "{} requests with {} tokens", used.len(), once.len());
    assert_eq!(refresh_tokens(&sim).len(), used.len(), "every request was granted");
    assert_eq!(Some(place.token()), refresh_tokens(&sim).pop());
}

/// Holds the store as another process does.
fn locked(place: &Place) -> fs::File {
    let file = fs::File::create(place.0.join("tokens.lock")).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn who_does_not_get_the_lock_in_time_goes_on_without() {
    let (sim, place) = (simulator(Variant::Plain, NO_GRACE), Place::new("locked"));
    let held = locked(&place);
    let outcome = place.program(&sim, Variant::Plain, "1").set("token.timeout_ms", 300).run().passed();
    assert_eq!(outcome.number("failures"), 0, "what it got is stored all the same");
    assert_eq!(Some(place.token()), refresh_tokens(&sim).pop());
    drop(held);
    place.program(&sim, Variant::Plain, "1").run().passed();
}

#[test]
fn a_shutdown_does_not_wait_for_the_lock() {
    let (sim, place) = (simulator(Variant::Plain, NO_GRACE), Place::new("shutdown"));
    let held = locked(&place);
    let policy = TokenPolicy::default();
    let mut config = Config::new();
    let file = place.file().display().to_string();
    let token_url = sim.token_url();
    let keys = [("token.url", token_url.as_str()), ("ws.url", &sim.ws_url()), ("tls.ca_pem", sim.ca_pem())];
    let more = [("client.id", policy.client_id.as_str()), ("token.store", &file), ("token.timeout_ms", "300000")];
    keys.iter().chain(&more).for_each(|(key, value)| config.set(key, value).unwrap());
    config.set_secret("client.secret", Secret::new(policy.client_secret)).unwrap();
    config.set_secret("token.refresh_token", Secret::new(policy.refresh_token)).unwrap();
    let client = Client::new(&config).unwrap();
    client.start().unwrap();
    assert!(client.shutdown(Some(BOUND)).complete, "five minutes are no shutdown");
    assert_eq!(sim.record().token_requests(), 0);
    drop(held);
}

/// What `shim_store` saw: `open 2 600 tokens.lock`, say.
fn operations(place: &Place, sim: &Sim, how: &str) -> Vec<String> {
    let report = place.0.with_extension("report");
    let _ = fs::remove_file(&report);
    let program = preloaded(place.program(sim, Variant::Plain, how), "shim_store");
    program.env("GWA_SHIM_STORE", place.0.display()).env("GWA_SHIM_REPORT", report.display()).run().passed();
    let text = fs::read_to_string(&report).unwrap();
    fs::remove_file(&report).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_file_is_nobody_elses_from_its_first_instant() {
    let (sim, place) = (simulator(Variant::Plain, NO_GRACE), Place::new("instant"));
    let made = operations(&place, &sim, "1");
    let names = made.iter().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>();
    let order = ["open", "flock", "open", "open", "open", "write", "fsync", "rename", "open", "fsync"];
    // The lock; what is there, read twice and not found; the fresh file; the directory. Its look for what was left is no
    // operation of the shim's kinds, except where libc opens the directory by one of them.
    let without_sweep: Vec<&str> =
        names.iter().copied().take(2).chain(names.iter().copied().skip(names.len() - 8)).collect();
    assert_eq!(without_sweep, order, "{made:?}");
    let flags = |line: &str| {
        let mut words = line.split(' ').skip(1).map(|word| i32::from_str_radix(word, 8));
        (words.next().unwrap().unwrap(), words.next().unwrap().unwrap())
    };
    let created: Vec<&String> =
        made.iter().filter(|line| line.starts_with("open") && flags(line).0 & libc::O_CREAT != 0).collect();
    assert_eq!(created.len(), 2, "{created:?}");
    for line in &created {
        let (flags, mode) = flags(line);
        assert_eq!(mode, 0o600, "{line}");
        let wanted = libc::O_NOFOLLOW | libc::O_CLOEXEC | if line.ends_with(".tmp") { libc::O_EXCL } else { 0 };
        assert_eq!(flags & wanted, wanted, "{line}");
    }
    assert!(created[1].ends_with(".tmp"), "{created:?}");
}

/// Every operation on the store is the last one of a process, before it, after it and half way.
#[test]
fn whatever_operation_a_process_dies_at_the_store_is_whole() {
    let sim = simulator(Variant::Plain, GRACE);
    let count = operations(&Place::new("counted"), &sim, "1").len();
    let (mut old, mut new, mut none) = (0, 0, 0);
    for how in ["before", "half", "after"] {
        for n in 1..=count {
            let place = Place::new(&format!("{how}-{n}"));
            // Without a store at first, then with one.
            for round in 0..2 {
                let program = preloaded(place.program(&sim, Variant::Plain, "1"), "shim_store");
                let program = program.env("GWA_SHIM_STORE", place.0.display()).env("GWA_SHIM_AT", n);
                let outcome = program.env("GWA_SHIM_DO", how).run();
                assert_eq!(outcome.status.signal(), Some(SIGKILL), "{how} {n}: {}", outcome.stderr);
                let newest = refresh_tokens(&sim).pop();
                match place.holds_one_of(&sim) {
                    None => none += 1,
                    held if held == newest => new += 1,
                    Some(_) => old += 1,
                }
                let next = place.program(&sim, Variant::Plain, "1").run().passed();
                assert_eq!(next.number("failures"), 0, "{how} {n} {round}");
                let left: Vec<_> = fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
                assert_eq!(left.len(), 2, "{how} {n} {round}: {left:?}");
            }
        }
    }
    assert!(none > 0 && old > 0 && new > 0);
    println!("{} kills: {none} without a store yet, {old} with the old token, {new} with the new one", 6 * count);
}

/// Every operation fails once: the client comes up with the token it got, and what was not stored is on record.
#[test]
fn whatever_operation_fails_the_store_is_whole_and_the_client_goes_on() {
    let sim = simulator(Variant::Plain, GRACE);
    let count = operations(&Place::new("counted-2"), &sim, "1").len();
    for errno in [libc::EIO, libc::ENOSPC, libc::EACCES] {
        for n in 1..=count {
            let place = Place::new(&format!("fails-{errno}-{n}"));
            let program = preloaded(place.program(&sim, Variant::Plain, "3"), "shim_store");
            let program = program.env("GWA_SHIM_STORE", place.0.display()).env("GWA_SHIM_AT", n);
            let program = program.env("GWA_SHIM_DO", "fail").env("GWA_SHIM_ERRNO", errno);
            let outcome = program.env("GWA_TEST_MAY_FAIL", 1).run().passed();
            assert!(outcome.number("failures") <= 1, "{n}: {}", outcome.stdout);
            assert_eq!(place.holds_one_of(&sim), refresh_tokens(&sim).pop(), "{n}: the next rotation is stored");
        }
    }
}

/// Without a grace a kill between answer and rename costs the login, and says so.
#[test]
fn a_token_that_died_with_its_process_asks_for_a_login() {
    let (sim, place) = (simulator(Variant::Plain, NO_GRACE), Place::new("died"));
    let made = operations(&place, &sim, "1");
    let renamed = operations(&place, &sim, "1").iter().position(|line| line.starts_with("rename")).unwrap() + 1;
    assert!(renamed <= made.len());
    let before = place.token();
    let program = preloaded(place.program(&sim, Variant::Plain, "1"), "shim_store");
    let program = program.env("GWA_SHIM_STORE", place.0.display()).env("GWA_SHIM_AT", renamed);
    assert_eq!(program.env("GWA_SHIM_DO", "before").run().status.signal(), Some(SIGKILL));
    assert_eq!(place.token(), before);
    let outcome = place.program(&sim, Variant::Plain, "refused").run().passed();
    assert_eq!(line(&outcome, "name"), "GWA_E_INVALID_GRANT");
    assert!(line(&outcome, "message").contains("token.store holds no other refresh token"), "{}", outcome.stdout);
    assert!(line(&outcome, "hint").contains("authorization code"), "{}", outcome.stdout);
    assert_eq!(place.token(), before, "a refusal changes nothing");
}

/// What was left when a process was killed.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    before_the_first: usize,
    with_the_newest: usize,
    with_an_older: usize,
}

/// Processes that rotate all the time are killed at random: right after an answer of the server, or at any time.
fn kill_loop(kills: usize, seed: u64) -> Tally {
    let (sim, place) = (simulator(Variant::Plain, GRACE), Place::new(&format!("kills-{seed}")));
    let (mut tally, mut random) = (Tally::default(), seed);
    for n in 0..kills {
        let before = sim.record().token_requests();
        let auths = sim.record().auths();
        let mut running = place.program(&sim, Variant::Plain, "live").start();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Which of its requests it is to die after, and how long after.
        let (rounds, micros) = ((random >> 33) % 10 + 1, (random >> 40) % if n % 2 == 0 { 6_000 } else { 60_000 });
        let wanted = before + usize::try_from(rounds).unwrap();
        assert!(sim.record().wait_until(BOUND, |log| log.token_requests() >= wanted), "kill {n}: no request comes");
        let came_up = |log: &Log| rounds == 1 || log.auths() > auths;
        assert!(sim.record().wait_until(BOUND, came_up), "kill {n}: it never came up");
        // The wait is for nothing but the time to pass: that is what is random.
        sim.record().wait_until(Duration::from_micros(micros), |_| false);
        running.kill();
        let outcome = running.finish();
        assert_eq!(outcome.status.signal(), Some(SIGKILL), "{}\n{}", outcome.stdout, outcome.stderr);
        tally.kills += 1;
        match place.holds_one_of(&sim) {
            None => tally.before_the_first += 1,
            held if held == refresh_tokens(&sim).pop() => tally.with_the_newest += 1,
            Some(_) => tally.with_an_older += 1,
        }
        let are_granted = |log: &Log| log.token_requests() == refresh_tokens(&sim).len();
        assert!(sim.record().wait_until(BOUND, are_granted), "kill {n}: a request was refused");
    }
    // The one that nobody kills.
    assert_eq!(place.program(&sim, Variant::Plain, "2").run().passed().number("failures"), 0);
    assert_eq!(Some(place.token()), refresh_tokens(&sim).pop());
    tally
}

#[test]
fn whenever_a_process_is_killed_the_next_one_logs_in() {
    let tally = kill_loop(40, 1);
    println!("{tally:?}");
}

#[test]
#[ignore = "takes minutes; GWA_KILLS says how many (1,000)"]
fn a_thousand_kills() {
    let kills = env::var("GWA_KILLS").map_or(1_000, |text| text.parse().unwrap());
    let tally = kill_loop(kills, 2);
    println!("{tally:?}");
    assert!(tally.with_the_newest > 0 && tally.with_an_older > 0);
}
