//! Every way to a token, against a server that checks each of them: codes with PKCE, SAML assertions, clients that prove
//! themselves by a signed JWT, a certificate or not at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use ffi_tests::sim::{AuthorizeReply, ClientAuth, ClientKey, Issue, Options, Sim, TlsOptions, TokenReply};
use genesys_ws_auth::event::{Question, State};
use genesys_ws_auth::hooks::{Answer, Request};
use genesys_ws_auth::{Client, Code, Config, Error, Secret, Stage};
use jsonwebtoken::{decode, decode_header, Algorithm, DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{json, Value};

use super::harness::{aim, count, hooks, Rig, Saw, Seen, BOUND};

/// The key of RFC 7515 A.2.1, in PKCS #1, and the numbers that are known to all.
const RSA: &str = include_str!("../../../src/shell/crypto/rfc7515.pem");
const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS\
                 -pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2C\
                 apHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb\
                 54h4FRWyuXpoQ";

const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
oQIDAQAB
-----END PUBLIC KEY-----";

/// A client at a simulator without TLS, unless it is asked for.
fn rig(
    options: Options,
    change: impl FnOnce(&mut Config, &Sim),
    answer: impl Fn(&Request) + Send + Sync + 'static,
) -> Rig {
    let sim = Sim::start(options);
    let seen = Arc::new(Seen::default());
    let mut config = aim(Config::new(), &sim, false);
    config.hooks = hooks(&seen, Arc::new(answer));
    config.set("token.authorize_url", &sim.authorize_url()).unwrap();
    change(&mut config, &sim);
    let client = Arc::new(Client::new(&config).unwrap());
    Rig { sim, client, seen, config }
}

fn plain(auth: ClientAuth) -> Options {
    let mut options = Options { tls: None, ..Options::default() };
    options.token.client_auth = auth;
    options
}

fn set(config: &mut Config, pairs: &[(&str, &str)]) {
    pairs.iter().for_each(|(key, value)| config.set(key, value).unwrap());
}

fn secret(text: impl Into<String>) -> Secret {
    Secret::new(text.into())
}

/// A person signs in: where the browser is sent back to.
fn sign_in(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location =
        answer.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap_or_else(|| panic!("{answer}"));
    location.to_owned()
}

/// The fields of the token requests.
fn sent(rig: &Rig, name: &str) -> Vec<Option<String>> {
    rig.sim.record().read(|log| {
        let tokens = log.requests.iter().filter(|request| request.method == "POST");
        tokens.map(|request| request.form(name)).collect()
    })
}

fn asks(saws: &[Saw]) -> usize {
    count(saws, |saw| matches!(saw, Saw::Ask(Question::AuthorizationCode(_))))
}

#[test]
fn a_person_signs_in_at_the_ready_made_url_and_the_code_is_guarded() {
    for (auth, key) in [(ClientAuth::Public, "none"), (ClientAuth::Secret, "basic")] {
        let (ask, asked) = channel();
        let change = |config: &mut Config, sim: &Sim| {
            sim.token().always_authorize(AuthorizeReply::Consent);
            let redirect = "http://127.0.0.1:1/back?app=1";
            set(config, &[("client.authentication", key), ("token.grant", "authorization_code")]);
            set(config, &[("token.redirect_uri", redirect), ("scopes.requested", "user:read analytics:read")]);
        };
        let rig = rig(plain(auth), change, move |request| match &request.question {
            Question::AuthorizationCode(_) => ask.send(request.clone()).unwrap(),
            _ => request.complete(Answer::Done),
        });
        rig.client.start().unwrap();
        // Later, and on another thread than the one that asked.
        let request = asked.recv_timeout(BOUND).unwrap();
        let Question::AuthorizationCode(question) = &request.question else { panic!("another question") };
        assert!(question.url().contains("scope=user%3Aread+analytics%3Aread"), "{}", question.url());
        let redirect = sign_in(question.url());
        let forged = redirect.replace("state=", "state=x");
        let refusal = question.code_of(&forged).unwrap_err();
        assert_eq!((refusal.code(), rig.client.state()), (Code::InvalidArgument, State::ReauthRequired));
        request.complete(Answer::Code(question.code_of(&redirect).unwrap()));
        rig.seen.wait_state(State::Ready, 1);
        let verifier = sent(&rig, "code_verifier")[0].clone().unwrap();
        assert!((43..=128).contains(&verifier.len()));
        assert_eq!(sent(&rig, "client_id")[0].is_some(), key == "none");
        let saws = rig.close();
        assert_eq!(asks(&saws), 1);
        assert!(!format!("{saws:?}").contains(&verifier), "the verifier is out");
    }
}

#[test]
fn a_refused_code_is_asked_for_once_and_again_when_the_application_wants() {
    let change = |config: &mut Config, _: &Sim| {
        set(config, &[("token.grant", "authorization_code"), ("token.redirect_uri", "app:/back")]);
    };
    let rig = rig(plain(ClientAuth::Secret), change, |request| match &request.question {
        Question::AuthorizationCode(_) => request.complete(Answer::Code(secret("no-code-of-this-server"))),
        _ => request.complete(Answer::Done),
    });
    rig.client.start().unwrap();
    let refused = |saws: &[Saw]| {
        count(saws, |saw| matches!(saw, Saw::State(change) if change.error.as_ref().is_some_and(is_invalid_grant)))
    };
    rig.seen.wait("a refusal", |saws| refused(saws) == 1);
    rig.client.refresh_now().unwrap();
    rig.wait_sim("the second code", |log| log.requests.iter().filter(|request| request.method == "POST").count() == 2);
    let saws = rig.close();
    assert_eq!(asks(&saws), 2, "once at the start and once when it was wanted");
}

fn is_invalid_grant(error: &Error) -> bool {
    error.code() == Code::InvalidGrant && error.code().hint().contains("gwa_client_set_secret")
}

#[test]
fn a_saml_assertion_is_replaced_when_it_is_refused() {
    let change = |config: &mut Config, sim: &Sim| {
        set(config, &[("token.grant", "saml2-bearer"), ("token.saml_org", "acme & co")]);
        config.set_secret("token.saml_assertion", secret("PHNhbWw6b2xkPg==")).unwrap();
        sim.token().register_assertion("acme & co", "PHNhbWw6bmV3Pg==");
    };
    let rig = rig(plain(ClientAuth::Secret), change, |request| request.complete(Answer::Done));
    rig.client.start().unwrap();
    rig.seen.wait_state(State::ReauthRequired, 1);
    rig.client.set_secret("token.saml_assertion", secret("PHNhbWw6bmV3Pg==")).unwrap();
    rig.seen.wait_state(State::Ready, 1);
    assert_eq!(sent(&rig, "assertion"), ["PHNhbWw6b2xkPg==", "PHNhbWw6bmV3Pg=="].map(|text| Some(text.to_owned())));
    let saws = rig.close();
    assert_eq!(asks(&saws), 0);
    assert!(!format!("{saws:?}").contains("PHNhbWw6"), "an assertion is out");
}

/// A key in PEM, what verifies its signatures, and how.
fn keys() -> [(String, ClientKey, DecodingKey, Algorithm); 2] {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let point = DecodingKey::from_ec_der(pair.public_key_raw());
    let known = ClientKey::from_pem(&pair.public_key_pem());
    let numbers = DecodingKey::from_rsa_components(N, "AQAB").unwrap();
    let rsa = ClientKey::from_pem(RSA_PUBLIC);
    [(pair.serialize_pem(), known, point, Algorithm::ES256), (RSA.to_owned(), rsa, numbers, Algorithm::RS256)]
}

#[test]
fn an_assertion_is_one_to_a_library_that_is_not_ours() {
    for (pem, known, public, algorithm) in keys() {
        let mut options = plain(ClientAuth::PrivateKeyJwt(known));
        options.token.issuer = Some("https://login.example/".into());
        let change = |config: &mut Config, _: &Sim| {
            set(config, &[("client.authentication", "private_key_jwt"), ("client.key_id", "key-1")]);
            set(config, &[("client.assertion_audience", "https://login.example/")]);
            config.set_secret("client.private_key_pem", secret(pem)).unwrap();
        };
        let rig = rig(options, change, |request| request.complete(Answer::Done));
        rig.client.connect(Some(BOUND)).unwrap();
        rig.client.refresh_now().unwrap();
        rig.wait_sim("a renewal", |log| log.reauths() == 1);
        let mut validation = Validation::new(algorithm);
        validation.leeway = 5;
        validation.set_audience(&["https://login.example/"]);
        validation.set_issuer(&["abc123-def456"]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.sub = Some("abc123-def456".into());
        let mut ids = Vec::new();
        let assertions: Vec<String> = sent(&rig, "client_assertion").into_iter().flatten().collect();
        for assertion in &assertions {
            assert_eq!(decode_header(assertion).unwrap().kid.as_deref(), Some("key-1"));
            let claims = decode::<Value>(assertion, &public, &validation).unwrap().claims;
            assert!(claims["exp"].as_u64().unwrap() <= claims["iat"].as_u64().unwrap() + 60, "{claims}");
            ids.push(claims["jti"].as_str().unwrap().to_owned());
        }
        assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
        assert!(sent(&rig, "client_secret").iter().chain(&sent(&rig, "client_id")).all(Option::is_none));
        let saws = format!("{:?}", rig.close());
        assert!(assertions.iter().all(|text| !saws.contains(text)), "an assertion is out");
    }
}

#[test]
fn an_assertion_of_a_clock_that_is_off_is_made_anew() {
    let (pem, known, ..) = keys().into_iter().next().unwrap();
    let change = |config: &mut Config, sim: &Sim| {
        set(config, &[("client.authentication", "private_key_jwt"), ("client.assertion_audience", &sim.token_url())]);
        config.set_secret("client.private_key_pem", secret(pem)).unwrap();
        // A server of another century: what it refuses, it dates.
        let headers = vec![("Date".to_owned(), "Sat, 01 Jan 2050 00:00:00 GMT".to_owned())];
        let body = r#"{"error":"invalid_client"}"#.to_owned();
        sim.token().times(1, &TokenReply::Status { code: 401, headers: headers.clone(), body });
        let token = sim.token().mint(&Issue::new()).access_token;
        let body = json!({"access_token": token, "token_type": "bearer", "expires_in": 3600}).to_string();
        sim.token().times(1, &TokenReply::Status { code: 200, headers, body });
    };
    let rig = rig(plain(ClientAuth::PrivateKeyJwt(known)), change, |request| request.complete(Answer::Done));
    rig.client.connect(Some(BOUND)).unwrap();
    let issued = |assertion: &Option<String>| {
        let payload = URL_SAFE_NO_PAD.decode(assertion.as_ref().unwrap().split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&payload).unwrap()["iat"].as_u64().unwrap()
    };
    let times: Vec<u64> = sent(&rig, "client_assertion").iter().map(issued).collect();
    assert!(times.len() == 2 && times[1].abs_diff(2_524_608_000) < 60, "{times:?}");
    rig.close();
}

#[test]
fn a_certificate_says_who_the_client_is() {
    let tls = TlsOptions { asks_certificate: true, ..TlsOptions::default() };
    let mut options = Options { tls: Some(tls), ..Options::default() };
    options.token.client_auth = ClientAuth::Certificate;
    let change = |config: &mut Config, sim: &Sim| {
        set(
            config,
            &[("client.authentication", "tls"), ("tls.client_cert_pem", &sim.client_identity().certificate_pem)],
        );
        config.set_secret("tls.client_key_pem", secret(sim.client_identity().key_pem.clone())).unwrap();
    };
    let rig = rig(options, change, |request| request.complete(Answer::Done));
    rig.client.connect(Some(BOUND)).unwrap();
    let headers =
        rig.sim.record().read(|log| log.requests.iter().filter(|r| r.header("authorization").is_some()).count());
    assert_eq!((headers, sent(&rig, "client_id")), (0, vec![Some("abc123-def456".to_owned())]));
    rig.close();
}

#[test]
fn a_key_that_cannot_be_used_is_told_when_the_client_is_made() {
    let sim = Sim::start(Options { tls: None, ..Options::default() });
    let mut config = aim(Config::new(), &sim, false);
    set(&mut config, &[("client.authentication", "private_key_jwt")]);
    let code = |config: &Config| Client::new(config).map(drop).unwrap_err();
    assert_eq!(code(&config).code(), Code::MissingKey);
    set(&mut config, &[("client.private_key_file", "/nowhere/key.pem")]);
    let error = code(&config);
    assert!(
        error.code() == Code::MissingKey && error.to_string().contains("client.assertion_audience, the issuer"),
        "{error}"
    );
    set(&mut config, &[("client.assertion_audience", "https://as.example")]);
    let error = code(&config);
    assert_eq!((error.code(), error.detail().stage), (Code::BadValue, Stage::Configure));
    assert!(error.to_string().contains("/nowhere/key.pem"), "{error}");
}
