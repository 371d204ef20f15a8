//! Published keys and introspection. That the tokens are right is for others to say: `tests/peers/tokens.rs`.

use std::io::ErrorKind;

use ffi_tests::sim::{Forgery, Issue, IssuerReply, Options, Retired, SignAlg, Sim, TokenForm, TokenPolicy};
use serde_json::{json, Value};

use crate::client::{self, ask, credentials, exchange, good_request, Reply, BOUND};

fn start(token: TokenPolicy) -> Sim {
    Sim::start(Options { tls: None, token, ..Options::default() })
}

fn signed(algorithm: SignAlg) -> Sim {
    start(TokenPolicy { form: TokenForm::Signed(algorithm), ..TokenPolicy::default() })
}

const GET: &str = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: sim\r\n\r\n";

fn keys(sim: &Sim) -> std::io::Result<Reply> {
    ask(sim, GET)
}

fn kids(sim: &Sim) -> Vec<String> {
    let set = keys(sim).unwrap().json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn introspection(basic: &str, token: &str) -> String {
    client::token_request(basic, &format!("token={token}&token_type_hint=access_token"))
        .replace("/oauth/token", "/introspect")
}

fn header(token: &str) -> Value {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use base64::Engine as _;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

#[test]
fn the_key_of_the_next_token_is_published_before_it_is_issued() {
    let sim = signed(SignAlg::Es256);
    let before = kids(&sim);
    let token = client::token(&sim);
    assert_eq!(before, [header(&token)["kid"].as_str().unwrap()]);
    let reply = keys(&sim).unwrap();
    assert_eq!(reply.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(reply.header("cache-control"), None);
    assert!(reply.json()["keys"][0].get("d").is_none(), "the private half stays here");
    sim.token().policy(|policy| policy.keys_cache_control = Some("public, max-age=90".into()));
    assert_eq!(keys(&sim).unwrap().header("cache-control"), Some("public, max-age=90"));
    assert_eq!(ask(&sim, &GET.replace("GET", "POST")).unwrap().status, 405);
    assert_eq!(sim.record().snapshot().key_requests(), 4);
}

#[test]
fn keys_rotate_and_foreign_ones_stand_before_them() {
    let sim = signed(SignAlg::EdDsa);
    let first = kids(&sim);
    let second = sim.keys().rotate(SignAlg::EdDsa, Retired::Kept);
    assert_eq!(kids(&sim), [first[0].clone(), second]);
    assert_eq!(header(&client::token(&sim))["kid"], kids(&sim)[1]);
    let third = sim.keys().rotate(SignAlg::EdDsa, Retired::Dropped);
    sim.keys().publish(json!({"kty": "oct", "k": "AAAA", "kid": "secret"}));
    assert_eq!(kids(&sim), ["secret".to_owned(), third]);
    assert_eq!(sim.keys().published(), keys(&sim).unwrap().json());
}

#[test]
fn tokens_are_forged_on_demand() {
    let sim = signed(SignAlg::Es256);
    let mint = |issue: Issue| sim.token().mint(&issue).access_token;
    let of = |forgery| header(&mint(Issue::new().forged(forgery)));
    assert_eq!(of(Forgery::AlgNone)["alg"], "none");
    assert_eq!(of(Forgery::PublicKeyAsSecret)["alg"], "HS256");
    assert_ne!(of(Forgery::UnknownKid)["kid"], of(Forgery::UnknownKid)["kid"]);
    assert!(mint(Issue::new().forged(Forgery::AlgNone)).ends_with('.'));
    let odd =
        header(&mint(Issue::new().header("typ", json!("JWT")).header("crit", json!(["exp"])).without_header("kid")));
    assert_eq!(odd, json!({"alg": "ES256", "typ": "JWT", "crit": ["exp"]}));
}

#[test]
fn the_keys_are_answered_in_odd_ways() {
    let sim = signed(SignAlg::Es256);
    let of = |reply: IssuerReply| {
        sim.keys().then(reply);
        keys(&sim)
    };
    assert_eq!(of(IssuerReply::status(503)).unwrap().status, 503);
    let reply = of(IssuerReply::Redirect { to: "https://elsewhere/".into() }).unwrap();
    assert_eq!((reply.status, reply.header("location")), (302, Some("https://elsewhere/")));
    assert_eq!(of(IssuerReply::Body("not JSON".into())).unwrap().body, b"not JSON");
    let huge = of(IssuerReply::Huge { bytes: 300_000 }).unwrap();
    assert!(huge.body.len() > 300_000 && huge.json()["keys"].is_array());
    assert_eq!(of(IssuerReply::with("keys", json!([]))).unwrap().json(), json!({"keys": []}));
    assert_eq!(of(IssuerReply::slow(5)).unwrap().status, 200);
    let slow = of(IssuerReply::TrickleBytes { chunk: 100, delay_ms: 1 }).unwrap();
    assert!(slow.json()["keys"].is_array());
    assert_eq!(of(IssuerReply::CutMidBody).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(of(IssuerReply::Drop).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(of(IssuerReply::Reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
    sim.keys().always(IssuerReply::status(500));
    assert_eq!([keys(&sim).unwrap().status, keys(&sim).unwrap().status], [500, 500]);
    assert_eq!(kids_after_honest(&sim), 1);
}

fn kids_after_honest(sim: &Sim) -> usize {
    sim.keys().honest();
    kids(sim).len()
}

#[test]
fn a_request_for_keys_hangs_until_the_end() {
    let sim = signed(SignAlg::Es256);
    sim.keys().always(IssuerReply::Hang);
    let mut wire = client::dial(&sim);
    let asking = std::thread::spawn(move || exchange(&mut wire, GET));
    assert!(sim.record().wait_until(BOUND, |log| log.key_requests() == 1));
    drop(sim);
    assert!(asking.join().unwrap().is_err());
}

#[test]
fn introspection_knows_its_tokens() {
    let sim = start(TokenPolicy { form: TokenForm::Opaque, ..TokenPolicy::default() });
    let token = ask(&sim, &good_request()).unwrap().token();
    let of = |token: &str| ask(&sim, &introspection(&credentials(), token)).unwrap().json();
    let seen = of(&token);
    let wanted = [
        ("active", json!(true)),
        ("client_id", json!("abc123-def456")),
        ("scope", json!("conversation:read user:read analytics:read")),
        ("iss", json!(sim.issuer())),
        ("aud", json!("genesys-cloud")),
    ];
    for (name, value) in wanted {
        assert_eq!(seen[name], value, "{seen}");
    }
    assert!(seen["exp"].as_u64().unwrap() - seen["iat"].as_u64().unwrap() <= 3600);
    assert_eq!(of("never-issued"), json!({"active": false}));
    sim.introspection().then(IssuerReply::inactive()).then(IssuerReply::with("sub", json!("another")));
    assert_eq!(of(&token), json!({"active": false}));
    assert_eq!(of(&token)["sub"], "another");
    sim.token().revoke_access();
    assert_eq!(of(&token), json!({"active": false}));
    let stranger = ask(&sim, &introspection("abc123-def456:wrong", &token)).unwrap();
    assert_eq!((stranger.status, stranger.json()["error"].clone()), (401, json!("invalid_client")));
    sim.introspection().always(IssuerReply::status(503));
    assert_eq!(ask(&sim, &introspection(&credentials(), &token)).unwrap().status, 503);
    sim.introspection().honest();
    assert_eq!(sim.record().snapshot().introspections(), 7);
}
