//! Tokens that have to prove whose they are: by the issuer's keys, or by the issuer's word. What is refused is never used,
//! and never costs a live socket.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ffi_tests::sim::{Forgery, Issue, IssuerReply, Retired, SignAlg, Sim, TokenForm, TokenPolicy, TokenReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Client, Code, Config, Secret, Stage};
use serde_json::{json, Value};

use crate::harness::*;

/// A client that takes signed tokens alone, and does one thing after the other.
fn strict(algorithm: SignAlg) -> Setup {
    let setup = Setup::default().key("token.attempts", 1).key("token.timeout_ms", 5_000);
    setup.sim(|options| options.token.form = TokenForm::Signed(algorithm))
}

/// Where keys and issuer are is known when the simulator runs.
fn build(setup: Setup, more: impl FnOnce(&mut Config, &Sim)) -> Rig {
    let sim = Sim::start(setup.options);
    let seen = Arc::new(Seen::default());
    let mut config = setup.config;
    config.hooks = hooks(&seen, setup.answer);
    let mut config = aim(config, &sim, setup.refresh_token);
    more(&mut config, &sim);
    let client = Arc::new(Client::new(&config).unwrap());
    Rig { sim, client, seen, config }
}

fn verifying(setup: Setup) -> Rig {
    build(setup, |config, sim| {
        let keys = [
            ("token.verify", "jwt"),
            ("token.issuer", &sim.issuer()),
            ("token.audience", "genesys-cloud"),
            ("token.jwks_url", &sim.keys_url()),
        ];
        keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    })
}

fn introspecting(setup: Setup) -> Rig {
    build(setup, |config, sim| {
        config.set("token.verify", "introspection").unwrap();
        config.set("token.introspection_url", &sim.introspection_url()).unwrap();
    })
}

fn records(rig: &Rig, kind: &str) -> Vec<Value> {
    let is_one = |saw| if let Saw::Audit(record) = saw { Some(record) } else { None };
    rig.seen.all().into_iter().filter_map(is_one).filter(|record| record["event_type"] == kind).collect()
}

fn has_record(saws: &[Saw], kind: &str, n: usize) -> bool {
    count(saws, |saw| matches!(saw, Saw::Audit(record) if record["event_type"] == kind)) >= n
}

/// A renewal that does not touch the socket.
#[track_caller]
fn check_one_socket(rig: &Rig) {
    let (saws, metrics) = (rig.seen.all(), rig.client.metrics());
    assert_eq!((gaps(&saws), handovers(&saws), metrics.connects), (0, 0, 1), "{}", show(&saws));
    assert_eq!(rig.sim.record().ws_connects(), 1);
}

#[test]
fn tokens_of_every_algorithm_are_verified() {
    for algorithm in SignAlg::ALL {
        let rig = verifying(strict(algorithm));
        rig.client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{}: {error}", algorithm.name()));
        assert_eq!(records(&rig, "keys_loaded")[0]["metadata"]["keys"], 1);
        assert_eq!(rig.sim.record().read(|log| (log.key_requests(), log.token_requests())), (1, 1));
        rig.close();
    }
}

/// What is wrong with a token, and what the error says of it.
fn forgeries() -> Vec<(Issue, &'static str)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let issue = Issue::new;
    vec![
        (issue().forged(Forgery::OtherKey), "The signature is not that of the key"),
        (issue().forged(Forgery::Flipped), "The signature is not that of the key"),
        (issue().forged(Forgery::Cut), "The signature is not that of the key"),
        (issue().forged(Forgery::UnknownKid), "No key of the issuer has the token's kid"),
        (issue().forged(Forgery::AlgNone), "The token is not signed"),
        (issue().forged(Forgery::PublicKeyAsSecret), "signed with a shared secret (HMAC)"),
        (issue().claim("aud", json!("somebody-else")), "for another audience than token.audience"),
        (issue().claim("iss", json!("https://evil.example")), "of another issuer than token.issuer"),
        (issue().header("typ", json!("JWT")), "typ is not one of an access token"),
        (issue().header("crit", json!(["exp"])), "makes an extension critical"),
        (issue().claim("exp", json!(now - 600)), "The token has expired"),
        (issue().claim("nbf", json!(now + 600)), "The token is not valid yet"),
        (issue().claim("iat", json!(now + 600)), "was issued in the future"),
        (issue().without_claim("exp"), "A claim that is required is missing"),
        (issue().claim("aud", json!(7)), "A claim is not of the type it has to be"),
        (issue().form(TokenForm::Jwt), "signed with a shared secret (HMAC)"),
        (issue().form(TokenForm::Opaque), "An opaque token can only be introspected"),
    ]
}

#[test]
fn what_does_not_verify_is_refused_and_goes_to_no_socket() {
    each(forgeries().chunks(6).map(<[_]>::to_vec), |part| {
        for (issue, words) in part {
            let rig = verifying(strict(SignAlg::Es256));
            rig.sim.token().always(TokenReply::Issue(issue));
            let error = refused(&rig);
            assert_eq!((error.code(), error.detail().stage), (Code::TokenUnverified, Stage::Token), "{error}");
            assert!(error.to_string().contains(words), "{words}: {error}");
            assert!(error.code().hint().contains("token.*"), "{}", error.code().hint());
            assert_eq!(rig.sim.record().auths(), 0, "{words}");
            assert_eq!(records(&rig, "token_refused").len(), 1, "{words}: {}", show(&rig.seen.all()));
            let token = rig.sim.token().issued().remove(0).access_token;
            assert!(rig.seen.all().iter().all(|saw| !format!("{saw:?}").contains(&token)), "the token was shown");
            rig.close();
        }
    });
}

#[test]
fn keys_that_cannot_be_had_or_read_are_told_from_bad_tokens() {
    let moved = |sim: &Sim| IssuerReply::Redirect { to: format!("{}/elsewhere", sim.api_url()) };
    type Reply = fn(&Sim) -> IssuerReply;
    let cases: Vec<(&str, Reply)> = vec![
        ("503", |_| IssuerReply::status(503)),
        ("404", |_| IssuerReply::status(404)),
        ("no JSON", |_| IssuerReply::Body("<html>".into())),
        ("no set", |_| IssuerReply::Body("[]".into())),
        ("too large", |_| IssuerReply::Huge { bytes: 300_000 }),
        ("never", |_| IssuerReply::Hang),
        ("half", |_| IssuerReply::CutMidBody),
        ("reset", |_| IssuerReply::Reset),
    ];
    let check = |which: &str, reply: &dyn Fn(&Sim) -> IssuerReply| {
        let rig = verifying(strict(SignAlg::Es256).key("token.timeout_ms", 5_000));
        rig.sim.keys().always(reply(&rig.sim));
        let error = refused(&rig);
        assert_eq!((error.code(), error.detail().stage), (Code::IssuerKeys, Stage::Token), "{which}: {error}");
        assert_eq!(error.detail().host, rig.sim.addr().to_string(), "{which}: {error}");
        rig.sim.record().read(|log| {
            assert!(
                log.requests.iter().all(|request| request.path != "/elsewhere"),
                "{which}: a redirect was followed"
            );
            assert_eq!((log.key_requests(), log.auths()), (1, 0), "{which}");
        });
        // The issuer is back, and so is the client.
        rig.sim.keys().honest();
        rig.client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{which}: {error}"));
        rig.close();
    };
    each(cases, |(which, reply)| check(which, &reply));
    check("redirect", &moved);
}

#[test]
fn a_set_without_a_usable_key_is_no_set() {
    let rig = verifying(strict(SignAlg::Es256));
    rig.sim.keys().always(IssuerReply::with("keys", json!([{"kty": "oct", "k": "c2VjcmV0", "kid": "sim-1"}])));
    let error = refused(&rig);
    assert_eq!(error.code(), Code::TokenUnverified, "{error}");
    assert_eq!(rig.sim.record().auths(), 0);
    rig.close();
    // Beside one that is usable it does no harm.
    let rig = verifying(strict(SignAlg::Es256));
    rig.sim
        .keys()
        .publish(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "sim-1"}))
        .publish(json!({"kty": "new", "kid": "sim-1"}));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

#[test]
fn new_keys_are_found_on_the_live_connection() {
    let rig = verifying(at_will(strict(SignAlg::Rs256)));
    rig.client.connect(Some(BOUND)).unwrap();
    renewed(&rig);
    assert_eq!(rig.sim.record().read(|log| log.key_requests()), 1, "the set is fresh");
    for (round, old) in [Retired::Kept, Retired::Dropped].into_iter().enumerate() {
        rig.sim.keys().rotate(SignAlg::Rs256, old);
        (0..2).for_each(|_| renewed(&rig));
        assert_eq!(rig.sim.record().read(|log| log.key_requests()), round + 2, "asked for once a rotation");
    }
    assert_eq!((records(&rig, "keys_loaded").len(), records(&rig, "token_refused").len()), (3, 0));
    rig.close();
}

/// Renewals happen when the test says so, and the tokens live for long.
fn at_will(setup: Setup) -> Setup {
    setup.lifetime(600_000).key("token.refresh_floor_ms", 0)
}

/// Asks for a renewal until so many were refused.
#[track_caller]
fn refused_renewals(rig: &Rig, n: usize) {
    for n in 1..=n {
        rig.client.refresh_now().unwrap();
        rig.seen.wait(&format!("refusal {n}"), |saws| has_record(saws, "token_refused", n));
    }
}

/// Asks for a renewal that is accepted, on the one socket there is.
#[track_caller]
fn renewed(rig: &Rig) {
    let before = rig.client.metrics().renewals;
    rig.client.refresh_now().unwrap();
    rig.wait_sim("a renewal", |log| log.reauths() > before as usize);
    rig.seen.wait("its token", |_| rig.client.metrics().renewals > before);
    check_one_socket(rig);
}

#[test]
fn a_renewal_that_does_not_verify_costs_neither_token_nor_socket() {
    let rig = verifying(at_will(strict(SignAlg::Es256)));
    rig.client.connect(Some(BOUND)).unwrap();
    let bad = [Issue::new().forged(Forgery::OtherKey), Issue::new().claim("aud", json!("somebody-else"))];
    for issue in bad {
        rig.sim.token().then(TokenReply::Issue(issue));
    }
    refused_renewals(&rig, 2);
    let held = rig.client.token(Duration::ZERO, Some(BOUND)).unwrap();
    let issued = rig.sim.token().issued();
    assert_eq!(
        (held.access_token.expose(), issued.len()),
        (issued[0].access_token.as_str(), 3),
        "the old one is used on"
    );
    renewed(&rig);
    let used: Vec<_> = rig.sim.record().read(|log| log.auths.iter().map(|auth| auth.token.clone()).collect());
    assert!(issued[1..3].iter().all(|bad| !used.contains(&bad.access_token)), "a refused token went to the socket");
    rig.close();
}

#[test]
fn tokens_of_unknown_keys_do_not_make_the_client_ask_without_end() {
    let rig = verifying(at_will(strict(SignAlg::Es256)));
    rig.client.connect(Some(BOUND)).unwrap();
    let connected = rig.sim.record().now();
    rig.sim.token().always(TokenReply::Issue(Issue::new().forged(Forgery::UnknownKid)));
    // The fifth failure opens the breaker.
    refused_renewals(&rig, 5);
    let took = rig.sim.record().now() - connected;
    let (keys, tokens) = rig.sim.record().read(|log| (log.key_requests() as u64, log.token_requests()));
    assert!(tokens >= 6, "{tokens}");
    // A bucket of three, and one more for every 30 s that this took.
    assert!((4..=4 + took.as_secs() / 30).contains(&keys), "{keys} requests for keys in {took:?}");
    check_one_socket(&rig);
    rig.close();
}

#[test]
fn an_outage_of_the_keys_is_not_noticed_while_they_are_fresh() {
    let rig = verifying(at_will(strict(SignAlg::EdDsa)));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.keys().always(IssuerReply::status(503));
    (0..3).for_each(|_| renewed(&rig));
    assert_eq!(rig.sim.record().read(|log| log.key_requests()), 1);
    rig.close();
}

/// A set is fresh for a minute at least, whatever the issuer says.
#[test]
#[ignore = "more than a minute by the clock: .ci/long"]
fn keys_are_used_on_through_an_outage_and_that_is_on_record() {
    let setup = strict(SignAlg::Es256).lifetime(10_000);
    let rig = verifying(setup.sim(|options| options.token.keys_cache_control = Some("max-age=1".into())));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.keys().always(IssuerReply::status(503));
    let came = rig.sim.record().wait_until(Duration::from_secs(120), |_| has_record(&rig.seen.all(), "keys_stale", 2));
    assert!(came, "{}", show(&rig.seen.all()));
    let stale = records(&rig, "keys_stale").remove(0);
    assert!(stale["metadata"]["age_ms"].as_u64().unwrap() >= 60_000, "{stale}");
    assert_eq!(stale["metadata"]["error_code"], "GWA_E_ISSUER_KEYS", "{stale}");
    rig.sim.keys().honest();
    rig.seen.wait("new keys", |saws| has_record(saws, "keys_loaded", 2));
    assert!(records(&rig, "token_refused").is_empty(), "{}", show(&rig.seen.all()));
    check_one_socket(&rig);
    rig.close();
}

/// A renewal that brings somebody else's token: the old one is used on, on the same socket, until somebody acts.
#[track_caller]
fn keeps_to_whom_it_was(rig: &Rig, claim: &str) {
    rig.client.refresh_now().unwrap();
    rig.seen.wait_state(State::Degraded, 1);
    let degraded = |saw: &Saw| if let Saw::State(change) = saw { change.error.clone() } else { None };
    let error = rig.seen.all().iter().find_map(degraded).expect("why it is degraded");
    assert_eq!(error.code(), Code::IdentityChanged, "{error}");
    assert!(error.to_string().contains(&format!("{claim} is another one")), "{error}");
    let changes = records(rig, "identity_changed");
    assert_eq!((changes.len(), &changes[0]["metadata"]["claim"]), (1, &json!(claim)), "{changes:?}");
    assert_eq!(records(rig, "token_refused")[0]["metadata"]["error_code"], "GWA_E_IDENTITY_CHANGED");
    check_one_socket(rig);
    assert_eq!(rig.sim.record().reauths(), 0, "the token of somebody else went to the socket");
    // Who it was is nobody's business: the records go to many.
    assert!(rig.seen.all().iter().all(|saw| !format!("{saw:?}").contains("somebody-else")));
}

#[test]
fn a_renewal_may_not_be_about_somebody_else() {
    each(["sub", "client_id", "org"], |claim| {
        let rig = verifying(at_will(strict(SignAlg::Es256)));
        let home = || Issue::new().claim("org", json!("home"));
        rig.sim.token().always(TokenReply::Issue(home()));
        rig.client.connect(Some(BOUND)).unwrap();
        rig.sim.token().then(TokenReply::Issue(home().claim(claim, json!("somebody-else"))));
        keeps_to_whom_it_was(&rig, claim);
        renewed(&rig);
        // A new credential may be somebody else's.
        rig.sim.token().always(TokenReply::Issue(home().claim(claim, json!("somebody-else"))));
        rig.client.set_secret("client.secret", Secret::new(TokenPolicy::default().client_secret)).unwrap();
        renewed(&rig);
        rig.close();
    });
}

#[test]
fn whom_a_token_is_about_may_change_where_that_is_allowed() {
    let rig = verifying(at_will(strict(SignAlg::Es256)).key("token.identity", "off"));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.token().always(TokenReply::Issue(Issue::new().claim("sub", json!("somebody-else"))));
    renewed(&rig);
    assert!(records(&rig, "identity_changed").is_empty());
    rig.close();
}

fn opaque() -> Setup {
    let setup = Setup::default().key("token.attempts", 1).key("token.timeout_ms", 3_000);
    setup.sim(|options| (options.token.form, options.token.answer_scope) = (TokenForm::Opaque, false))
}

#[test]
fn an_opaque_token_is_believed_when_the_issuer_says_so() {
    // Nobody else tells its scopes.
    let rig = introspecting(at_will(opaque()).key("scopes.required", "user:read"));
    rig.client.connect(Some(BOUND)).unwrap();
    (0..2).for_each(|_| renewed(&rig));
    rig.sim.record().read(|log| {
        assert_eq!(log.introspections(), 3);
        let asked = log.requests.iter().find(|request| request.path == "/introspect").unwrap();
        assert_eq!((asked.method.as_str(), asked.query.as_str()), ("POST", ""), "the token is in no URL");
        assert!(asked.header("authorization").unwrap().starts_with("Basic "));
        assert_eq!(asked.form("token_type_hint").as_deref(), Some("access_token"));
    });
    rig.close();
    let rig = introspecting(opaque().key("scopes.required", "admin:everything"));
    assert_eq!(refused(&rig).code(), Code::ScopeDenied);
    rig.close();
}

#[test]
fn what_the_issuer_does_not_vouch_for_is_refused() {
    let cases = [
        ("inactive", IssuerReply::inactive(), Code::TokenUnverified),
        ("expired", IssuerReply::with("exp", json!(1_000)), Code::TokenUnverified),
        ("401", IssuerReply::status(401), Code::Introspection),
        ("503", IssuerReply::status(503), Code::Introspection),
        ("no JSON", IssuerReply::Body("yes".into()), Code::Introspection),
        ("neither", IssuerReply::Body("{}".into()), Code::Introspection),
        ("as text", IssuerReply::with("active", json!("true")), Code::Introspection),
        ("too large", IssuerReply::Huge { bytes: 100_000 }, Code::Introspection),
        ("never", IssuerReply::Hang, Code::Introspection),
        ("redirect", IssuerReply::Redirect { to: "https://elsewhere.example/".into() }, Code::Introspection),
    ];
    each(cases, |(which, reply, code)| {
        let rig = introspecting(opaque().key("token.timeout_ms", 5_000));
        rig.sim.introspection().always(reply);
        let error = refused(&rig);
        assert_eq!((error.code(), error.detail().stage), (code, Stage::Token), "{which}: {error}");
        assert_eq!(rig.sim.record().auths(), 0, "{which}");
        assert_eq!(rig.client.state(), State::Idle);
        rig.sim.introspection().honest();
        rig.client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{which}: {error}"));
        rig.close();
    });
}

#[test]
fn an_issuer_that_is_slow_or_down_costs_no_socket() {
    let rig = introspecting(at_will(opaque()));
    rig.client.connect(Some(BOUND)).unwrap();
    for reply in [IssuerReply::status(503), IssuerReply::inactive(), IssuerReply::Hang, IssuerReply::slow(100)] {
        rig.sim.introspection().then(reply);
    }
    refused_renewals(&rig, 3);
    renewed(&rig);
    rig.close();
}

#[test]
fn the_issuer_may_not_say_that_a_renewal_is_about_somebody_else() {
    let rig = introspecting(at_will(opaque()));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.introspection().then(IssuerReply::with("sub", json!("somebody-else")));
    keeps_to_whom_it_was(&rig, "sub");
    renewed(&rig);
    rig.close();
}
