//! The same of what makes tokens and records believable: signed tokens and the claims in them, the issuer's keys and its
//! word on a token, the keys of the chain of audit records; and of all of it when code panics that holds it.

use std::panic;
use std::path::PathBuf;

use ffi_tests::cprog::{each, Program, Variant};
use ffi_tests::sim::{Forgery, IssuerReply, Retired, SignAlg};
use genesys_ws_auth::audit::Format;
use serde_json::json;

use super::formats::{are_told, begins};
use super::*;

/// Of the chain of audit records: 64 digits.
const K0: &str = "cafe0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab";
/// Whom tokens are about.
const SUBJECT: &str = "canary-subject-6f1c";
const HOME: &str = "canary-organisation-home";
const STRANGER: &str = "canary-subject-of-somebody-else";
/// Stands in an issuer's answers where nobody should look for it.
const BYSTANDER: &str = "canary-bystander";

fn about(subject: &str) -> Issue {
    Issue::new().claim("sub", json!(subject)).claim("org", json!(HOME)).claim("name", json!(BYSTANDER))
}

fn signing(form: TokenForm) -> Sim {
    let mut options = options();
    options.token.form = form;
    options.token.lifetime = Duration::from_secs(4);
    let sim = Sim::start(options);
    sim.token().always(TokenReply::Issue(about(SUBJECT)));
    sim
}

fn verifying(sim: &Sim) -> Config {
    let mut config = config(sim);
    for (key, value) in [
        ("token.verify", "jwt"),
        ("token.issuer", &*sim.issuer()),
        ("token.audience", "genesys-cloud"),
        ("token.jwks_url", &sim.keys_url()),
        ("token.refresh_floor_ms", "0"),
        ("audit.checkpoint_records", "2"),
    ] {
        config.set(key, value).unwrap();
    }
    config.set_secret("audit.chain_key", Secret::new(K0.into())).unwrap();
    config
}

fn introspecting(sim: &Sim) -> Config {
    let mut config = config(sim);
    config.set("token.verify", "introspection").unwrap();
    config.set("token.introspection_url", &sim.introspection_url()).unwrap();
    config
}

/// Each part of each token but the header, which names nobody; the claims; and what stands beside them.
fn more_secrets(sim: &Sim) -> Vec<(&'static str, String)> {
    let known = [("K0", K0), ("a subject", SUBJECT), ("an organisation", HOME), ("a subject", STRANGER)];
    let mut all: Vec<_> = known.map(|(what, text)| (what, text.to_owned())).into();
    all.push(("a bystander", BYSTANDER.to_owned()));
    for issued in sim.token().issued() {
        let parts = issued.access_token.split('.').skip(1).filter(|part| part.len() > 16);
        all.extend(parts.map(|part| ("a part of a token", part.to_owned())));
    }
    all
}

#[track_caller]
fn is_clean_of(sim: &Sim, story: &str) {
    is_clean(sim, story);
    let lines = said();
    for (what, secret) in more_secrets(sim) {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(&secret)).collect();
        assert!(found.is_empty(), "{story}: {what} was said: {found:#?}");
    }
}

#[test]
fn nothing_of_signed_tokens_is_said() {
    let _alone = alone();
    verified_and_renewed();
    refused_at_the_start();
    somebody_elses();
    keys_with_private_halves();
    // The search works on what it is for.
    let sim = signing(TokenForm::Signed(SignAlg::Es256));
    let token = sim.token().mint(&about(SUBJECT)).access_token;
    assert!(more_secrets(&sim).iter().any(|(_, part)| token.ends_with(part.as_str())));
    assert!(said().iter().any(|line| line.starts_with("log of ureq")), "the client of the issuer was not heard");
}

fn verified_and_renewed() {
    for algorithm in [SignAlg::Rs256, SignAlg::EdDsa] {
        let sim = signing(TokenForm::Signed(algorithm));
        live_with(
            verifying(&sim),
            |_| (),
            |client, _| {
                assert!(sim.record().wait_until(BOUND, |log| log.reauths() >= 1));
                sim.keys().rotate(algorithm, Retired::Dropped);
                assert!(sim.record().wait_until(BOUND, |log| log.key_requests() >= 2 && log.reauths() >= 2));
                // The claims are the application's: it has the token.
                show("token", &*client.token(Duration::ZERO, Some(BOUND)).unwrap());
                wait("audit", "keys_loaded", 2);
            },
        );
        is_clean_of(&sim, algorithm.name());
    }
}

fn refused_at_the_start() {
    let sim = signing(TokenForm::Signed(SignAlg::Es256));
    let bad = [
        about(SUBJECT).forged(Forgery::Flipped),
        about(SUBJECT).forged(Forgery::UnknownKid),
        about(SUBJECT).forged(Forgery::PublicKeyAsSecret),
        about(SUBJECT).forged(Forgery::AlgNone),
        about(SUBJECT).claim("aud", json!(BYSTANDER)),
        about(SUBJECT).claim("iss", json!(format!("https://{BYSTANDER}.example"))),
        about(SUBJECT).claim("exp", json!(BYSTANDER)),
        about(SUBJECT).header("typ", json!(BYSTANDER)),
        about(SUBJECT).header("crit", json!([BYSTANDER])),
        about(SUBJECT).header("alg", json!(BYSTANDER)),
    ];
    for issue in bad {
        sim.token().then(TokenReply::Issue(issue));
        let of = verifying(&sim);
        fails_with(of);
    }
    is_clean_of(&sim, "tokens that do not verify");
}

/// As [`fails`], with a configuration.
fn fails_with(mut config: Config) {
    listen(&mut config, &Arc::default());
    config.set("token.attempts", "1").unwrap();
    show("config", &config);
    let client = Client::new(&config).unwrap();
    let error = client.connect(Some(BOUND)).unwrap_err();
    show("error", &error);
    say("error", error.to_string());
    say("stats", client.stats_json());
    say("configuration", client.config_json());
    show("report", &client.shutdown(Some(BOUND)));
}

fn somebody_elses() {
    let sim = signing(TokenForm::Signed(SignAlg::Es256));
    live_with(
        verifying(&sim),
        |_| (),
        |client, _| {
            wait("state", "is Ready", 1);
            sim.token().then(TokenReply::Issue(about(STRANGER)));
            client.refresh_now().unwrap();
            wait("audit", "identity_changed", 1);
            wait("state", "is Degraded", 1);
        },
    );
    is_clean_of(&sim, "somebody else's token");
}

/// An issuer that publishes what it should not, and says too much when it fails.
fn keys_with_private_halves() {
    let sim = signing(TokenForm::Signed(SignAlg::Es256));
    sim.keys().publish(json!({"kty": "oct", "k": BYSTANDER, "kid": "sim-1"}));
    sim.keys().publish(json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": BYSTANDER, "kid": BYSTANDER}));
    live_with(verifying(&sim), |_| (), |_, _| wait("state", "is Ready", 1));
    let body = format!("the key of {BYSTANDER} is {BYSTANDER}");
    sim.keys().always(IssuerReply::Status { code: 500, headers: Vec::new(), body: body.clone() });
    fails_with(verifying(&sim));
    sim.keys().always(IssuerReply::Body(body));
    fails_with(verifying(&sim));
    is_clean_of(&sim, "keys");
}

#[test]
fn nothing_of_introspection_is_said() {
    let _alone = alone();
    let sim = signing(TokenForm::Opaque);
    let more = |member: &str, value| (member.to_owned(), Some(value));
    let said_of_it = vec![
        more("sub", json!(SUBJECT)),
        more("org", json!(HOME)),
        more("username", json!(BYSTANDER)),
        more("email", json!(format!("{BYSTANDER}@example.com"))),
    ];
    sim.introspection().always(IssuerReply::Altered(said_of_it));
    live_with(
        introspecting(&sim),
        |_| (),
        |_, _| {
            assert!(sim.record().wait_until(BOUND, |log| log.reauths() >= 2));
        },
    );
    // The answers, whole and in pieces, and an issuer that repeats the question.
    let token = sim.token().issued().remove(0).access_token;
    let refusal = json!({"error": "invalid_request", "error_description": format!("{BYSTANDER} asked about {token}")});
    for reply in [
        IssuerReply::with("exp", json!(BYSTANDER)),
        IssuerReply::with("active", json!(BYSTANDER)),
        IssuerReply::Body(format!("{{\"active\":true,\"sub\":\"{BYSTANDER}\"")),
        IssuerReply::Status { code: 400, headers: Vec::new(), body: refusal.to_string() },
        IssuerReply::Redirect { to: "https://elsewhere.example/".into() },
    ] {
        sim.introspection().then(reply);
        fails_with(introspecting(&sim));
    }
    is_clean_of(&sim, "introspection");
}

/// A file of our own that goes with the test.
struct OwnFile(PathBuf);

impl OwnFile {
    fn new(name: &str) -> Self {
        let name = format!("canary-{}-{name}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.0.with_extension("lock"));
    }
}

/// The keys that are kept, of both logs, as they are written there.
fn keys_in(file: &OwnFile) -> Vec<String> {
    let text = std::fs::read_to_string(&file.0).expect("the state of the chain");
    let state: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let keys: Vec<_> = state.as_object().into_iter().flatten().filter_map(|(_, log)| log["key"].as_str()).collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.len() == 64), "{} keys", keys.len());
    keys.into_iter().map(str::to_owned).collect()
}

#[test]
fn no_key_of_the_chain_is_said() {
    let _alone = alone();
    let file = OwnFile::new("chain");
    let sim = Sim::start(short_lived());
    let mut kept = Vec::new();
    for first in [true, false] {
        let chained = |config: &mut Config| {
            config.set("audit.chain_state", &file.0.display().to_string()).unwrap();
            config.set("audit.checkpoint_records", "2").unwrap();
            if first {
                config.set_secret("audit.chain_key", Secret::new(K0.into())).unwrap();
            }
        };
        live(&sim, chained, |_, _| {
            wait("audit", "audit_checkpoint", 3);
            kept.extend(keys_in(&file));
        });
        kept.extend(keys_in(&file));
    }
    // A key that is given where there is one already, and one that is none.
    let again = |config: &mut Config| {
        config.set("audit.chain_state", &file.0.display().to_string()).unwrap();
        config.set_secret("audit.chain_key", Secret::new(K0.into())).unwrap();
    };
    for change in [&again as &dyn Fn(&mut Config), &|config| {
        show("error", &config.set_secret("audit.chain_key", Secret::new(format!("{K0}zz"))));
    }] {
        let mut config = config(&sim);
        change(&mut config);
        show("config", &config);
        show("error", &Client::new(&config).err());
    }
    is_clean_of(&sim, "the chain");
    let lines = said();
    assert!(
        lines.iter().any(|line| line.starts_with("audit") && line.contains("\"mac\":\"")),
        "the records are sealed"
    );
    for key in kept {
        assert!(lines.iter().all(|line| !line.contains(&key)), "a key of the chain was said");
    }
}

const CALLBACKS: [&str; 8] =
    ["on_message", "on_token", "on_state", "on_sent", "on_ask", "on_audit", "on_siem", "on_log"];

/// The application's code panics in every callback, on the dispatcher and on the socket's thread, whatever the format of what
/// it was given.
#[test]
fn nothing_is_said_when_callbacks_panic() {
    let _alone = alone();
    let before = panic::take_hook();
    panic::set_hook(Box::new(|info| say("panic", format!("{info}"))));
    let inline = ("inline", Format::Native);
    for (delivery, format) in Format::ALL.iter().map(|format| ("callbacks", *format)).chain([inline]) {
        said().clear();
        let sim = signing(TokenForm::Signed(SignAlg::Es256));
        let mut config = verifying(&sim);
        for (key, value) in
            [("delivery", delivery), ("audit.format", format.name()), ("audit.siem_format", format.name())]
        {
            config.set(key, value).unwrap();
        }
        live_with(config, panicking, |client, _| {
            wait("state", "is Ready", 1);
            client.send(MessageKind::Text, b"a message").unwrap();
            assert!(sim.record().wait_until(BOUND, |log| log.reauths() >= 2));
            for callback in CALLBACKS {
                wait("panic", callback, 1);
            }
            assert!(client.metrics().hook_failures >= CALLBACKS.len() as u64);
            show("token", &*client.token(Duration::ZERO, Some(BOUND)).unwrap());
        });
        are_told(format, &["audit_checkpoint"]);
        is_clean_of(&sim, &format!("panics of callbacks, {delivery}, {}", format.name()));
    }
    panic::set_hook(before);
}

/// Hooks that panic after they were told.
fn panicking(config: &mut Config) {
    /// The hook that was there, and then a panic that names it.
    macro_rules! breaks {
        ($($hook:ident($($given:ident),*);)*) => {$(
            let hook = config.hooks.$hook.take().expect("one that listens");
            config.hooks.$hook = Some(Arc::new(move |$($given),*| {
                let _ = hook($($given),*);
                panic!(stringify!($hook));
            }));
        )*};
    }
    breaks! {
        on_message(event);
        on_token(token);
        on_state(notice);
        on_sent(sent);
        on_ask(request);
        on_audit(record);
        on_siem(record);
        on_log(level, target, text);
    }
}

/// A panic in a thread of the library, which holds the token and the key of the chain: the harness searches the output
/// for the simulator's secrets, and here for the rest.
#[test]
fn nothing_is_said_when_a_thread_of_ours_panics() {
    for thread in ["gwa-refresh", "gwa-socket"] {
        each("panic_place", |variant| panics(thread, variant, Format::Native));
        // What is on record of it is in the other formats too; the tools need not look again.
        for format in Format::ALL.iter().filter(|format| **format != Format::Native) {
            panics(thread, Variant::Plain, *format);
        }
    }
}

fn panics(thread: &str, variant: Variant, format: Format) {
    let mut options = Options::default();
    options.token.form = TokenForm::Signed(SignAlg::Es256);
    let sim = Sim::start(options);
    sim.token().always(TokenReply::Issue(about(SUBJECT)));
    let program = Program::new("panic_place", variant).against(&sim).arg(thread).arg("once");
    let program = program.set("token.verify", "jwt").set("token.issuer", sim.issuer());
    let program = program.set("token.audience", "genesys-cloud").set("token.jwks_url", sim.keys_url());
    let program = program.set("audit.format", format.name()).set("audit.siem_format", format.name());
    let program = if format == Format::Native { program } else { program.arg("another format") };
    let run = program.set("!audit.chain_key", K0).run().passed();
    for sink in ["audit", "siem"] {
        let begins = format!("{sink}: {}", begins(format));
        let is_told = |line: &str| line.starts_with(&begins) && line.contains(thread) && line.contains(".rs:");
        assert!(run.stdout.lines().any(is_told), "{begins} {}", run.stdout);
    }
    for (what, secret) in more_secrets(&sim) {
        assert!(!run.stdout.contains(&secret) && !run.stderr.contains(&secret), "{what} was said");
    }
}
