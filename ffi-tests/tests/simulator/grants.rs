//! The token endpoint as the `notifications` profile has it: rotation with a grace, PKCE, SAML, further ways for a client
//! to authenticate.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use ffi_tests::sim::{AuthorizeReply, ClientAuth, ClientKey, Options, Rotation, Sim, TlsOptions, TokenPolicy};
use rcgen::{KeyPair, SigningKey as _};
use rustls::ClientConfig;
use serde_json::{json, Value};

use crate::client::{self, ask, credentials, token_request, Reply, BOUND};

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http%3A%2F%2F127.0.0.1%3A9%2Fcb";

fn start(token: TokenPolicy) -> Sim {
    Sim::start(Options { tls: None, token, ..Options::default() })
}

fn form(body: &str) -> String {
    let length = body.len();
    let head = "POST /oauth/token HTTP/1.1\r\nHost: sim\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    format!("{head}Content-Length: {length}\r\n\r\n{body}")
}

fn refresh(sim: &Sim, token: &str) -> Reply {
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    ask(sim, &token_request(&credentials(), &body)).unwrap()
}

fn next(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["refresh_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_spent_refresh_token_has_a_grace() {
    let first = TokenPolicy::default().refresh_token;
    let rotation = Rotation::Family { grace: Duration::from_secs(3600) };
    let sim = start(TokenPolicy { rotation, ..TokenPolicy::default() });
    let lost = next(&refresh(&sim, &first));
    // The answer was lost, and the old one works once more; both new ones are good.
    let second = next(&refresh(&sim, &first));
    assert_ne!(lost, second);
    let third = next(&refresh(&sim, &second));
    assert_eq!(sim.token().families_revoked(), 0);
    // The new one has been used: that was the end of the old one's grace, and a further use ends the family.
    assert_eq!(refresh(&sim, &first).json()["error"], "invalid_grant");
    assert_eq!(sim.token().families_revoked(), 1);
    for token in [&lost, &second, &third] {
        assert_eq!(refresh(&sim, token).json()["error"], "invalid_grant");
    }
    assert_eq!(sim.token().families_revoked(), 1, "what is not known ends nothing");
}

#[test]
fn the_grace_ends_by_itself() {
    let first = TokenPolicy::default().refresh_token;
    let rotation = Rotation::Family { grace: Duration::ZERO };
    let sim = start(TokenPolicy { rotation, ..TokenPolicy::default() });
    let second = next(&refresh(&sim, &first));
    let third = next(&refresh(&sim, &second));
    sim.token().add_refresh("another login");
    assert_eq!(refresh(&sim, &second).status, 400);
    assert_eq!(refresh(&sim, &third).status, 400, "its family is gone");
    assert_eq!(refresh(&sim, "another login").status, 200);
}

/// What the redirect of the sign-in page says, or its status.
fn sign_in(sim: &Sim, query: &str) -> Result<Vec<(String, String)>, u16> {
    let reply = ask(sim, &format!("GET /oauth/authorize?{query} HTTP/1.1\r\nHost: sim\r\n\r\n")).unwrap();
    let Some(location) = reply.header("location") else { return Err(reply.status) };
    let fields = location.strip_prefix("http://127.0.0.1:9/cb?").unwrap().split('&');
    Ok(fields.map(|pair| pair.split_once('=').unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
}

#[test]
fn a_public_client_signs_in_with_pkce() {
    let sim = start(TokenPolicy { client_auth: ClientAuth::Public, ..TokenPolicy::genesys() });
    let id = TokenPolicy::default().client_id;
    let pkce = format!("code_challenge={CHALLENGE}&code_challenge_method=S256");
    let query = format!("response_type=code&client_id={id}&redirect_uri={CALLBACK}&state=s%201&{pkce}");
    assert_eq!(sign_in(&sim, &query), Err(200), "nobody consents unless scripted");
    sim.token().on_authorize(AuthorizeReply::Deny { error: "access_denied".into() });
    let denied = sign_in(&sim, &query).unwrap();
    assert_eq!(denied[0], ("error".to_owned(), "access_denied".to_owned()));
    sim.token().on_authorize(AuthorizeReply::WrongState);
    assert_ne!(sign_in(&sim, &query).unwrap()[1].1, "s%201");
    sim.token().always_authorize(AuthorizeReply::Consent);
    for bad in [query.replace("S256", "plain"), query.replace(&id, "other"), query.replace("=code&", "=token&")] {
        assert_eq!(sign_in(&sim, &bad), Err(400), "{bad}");
    }
    let exchange = |code: &str, verifier: &str| {
        let body = format!("grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}&client_id={id}");
        ask(&sim, &form(&format!("{body}&code_verifier={verifier}"))).unwrap()
    };
    let code = || {
        let fields = sign_in(&sim, &query).unwrap();
        assert_eq!(fields[1], ("state".to_owned(), "s%201".to_owned()));
        fields[0].1.clone()
    };
    assert_eq!(exchange(&code(), &VERIFIER.replace('d', "e")).json()["error"], "invalid_grant");
    let once = code();
    let reply = exchange(&once, VERIFIER);
    assert_eq!(reply.status, 200);
    assert!(reply.json().get("refresh_token").is_none() && reply.json().get("scope").is_none());
    assert_eq!(exchange(&once, VERIFIER).json()["error"], "invalid_grant", "a code is good once");
    let unchallenged = query.replace(&pkce, "");
    let bare = sign_in(&sim, &unchallenged).unwrap()[0].1.clone();
    assert_eq!(exchange(&bare, VERIFIER).status, 400, "a public client needs PKCE");
    let basic = token_request(&credentials(), "grant_type=client_credentials");
    assert_eq!(ask(&sim, &basic).unwrap().json()["error"], "invalid_client");
    let credentials = ask(&sim, &form(&format!("grant_type=client_credentials&client_id={id}"))).unwrap();
    assert_eq!(credentials.json()["error"], "unsupported_grant_type");
}

/// A JWT signed with ECDSA and SHA-256, by the library that makes certificates.
fn jwt(key: &KeyPair, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "ES256"})), part(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&signature)))
}

/// JWS has r and s side by side, X.509 as ASN.1.
fn raw(signature: &[u8]) -> Vec<u8> {
    let len = usize::from(signature[3]);
    let (r, s) = (&signature[4..4 + len], &signature[6 + len..]);
    let mut out = Vec::new();
    for number in [r, s] {
        let digits = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - digits.len()));
        out.extend_from_slice(digits);
    }
    out
}

#[test]
fn a_client_signs_who_it_is() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let client_auth = ClientAuth::PrivateKeyJwt(ClientKey::from_pem(&key.public_key_pem()));
    let sim = start(TokenPolicy { client_auth, ..TokenPolicy::default() });
    let id = TokenPolicy::default().client_id;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims =
        |jti: &str| json!({"iss": id, "sub": id, "aud": sim.api_url(), "exp": now + 60, "iat": now, "jti": jti});
    let ask_with = |assertion: &str| {
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let body = format!("grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}");
        ask(&sim, &form(&body)).unwrap()
    };
    let good = jwt(&key, &claims("1"));
    assert_eq!(ask_with(&good).status, 200);
    assert_eq!(ask_with(&good).json()["error"], "invalid_client", "jti is good once");
    assert_eq!(ask_with(&jwt(&other, &claims("2"))).status, 401);
    let odd = |name: &str, value: Value| {
        let mut claims = claims(&format!("odd {name} {value}"));
        claims[name] = value;
        ask_with(&jwt(&key, &claims)).status
    };
    assert_eq!(odd("aud", json!([sim.token_url(), "elsewhere"])), 200);
    assert_eq!(odd("aud", json!("https://elsewhere")), 401);
    assert_eq!(odd("exp", json!(now - 3600)), 401);
    assert_eq!(odd("exp", json!(now + 7200)), 401, "too long a life");
    assert_eq!(odd("iat", json!(now + 3600)), 401);
    assert_eq!(odd("iss", json!("somebody")), 401);
    assert_eq!(odd("jti", Value::Null), 401);
    sim.token().policy(|policy| policy.issuer = Some("https://login.example".into()));
    assert_eq!(ask_with(&jwt(&key, &claims("3"))).status, 401, "the issuer is another now");
    assert_eq!(odd("aud", json!("https://login.example")), 200);
    let basic = token_request(&credentials(), "grant_type=client_credentials");
    assert_eq!(ask(&sim, &basic).unwrap().status, 401, "the secret is not taken");
}

#[test]
fn a_client_shows_a_certificate() {
    let tls = TlsOptions { asks_certificate: true, ..TlsOptions::default() };
    let token = TokenPolicy { client_auth: ClientAuth::Certificate, ..TokenPolicy::default() };
    let sim = Sim::start(Options { tls: Some(tls), token, ..Options::default() });
    let body = |id: &str| form(&format!("grant_type=client_credentials&client_id={id}"));
    let ask_by = |config: &Arc<ClientConfig>, body: &str| {
        let mut wire = client::dial_with(&sim, "login.localhost", config).unwrap();
        client::exchange(&mut wire, body).unwrap()
    };
    let id = TokenPolicy::default().client_id;
    let shown = client::tls_config_with_certificate(&sim);
    assert_eq!(ask_by(&shown, &body(&id)).status, 200);
    assert_eq!(ask_by(&shown, &body("somebody")).status, 401);
    let without = client::tls_config(sim.ca_pem());
    assert_eq!(ask_by(&without, &body(&id)).json()["error"], "invalid_client");
}

#[test]
fn a_saml_assertion_is_a_grant() {
    let sim = start(TokenPolicy::genesys());
    sim.token().register_assertion("acme", "PHNhbWw+");
    let of = |org: &str, assertion: &str| {
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Asaml2-bearer";
        let body = format!("grant_type={grant}&orgName={org}&assertion={assertion}");
        ask(&sim, &token_request(&credentials(), &body)).unwrap()
    };
    let reply = of("acme", "PHNhbWw%2B");
    assert_eq!((reply.status, reply.json()["expires_in"].clone()), (200, json!(86_399)));
    assert!(reply.json().get("refresh_token").is_none());
    assert!(!reply.token().contains('.'), "opaque");
    assert_eq!(of("other", "PHNhbWw%2B").json()["error"], "invalid_grant");
    assert_eq!(of("acme", "forged").json()["error"], "invalid_grant");
    assert_eq!(sim.token().issued()[0].grant, "saml2-bearer");
    assert!(sim.record().wait_until(BOUND, |log| log.token_requests() == 3));
}
