//! The token endpoint.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use ffi_tests::sim::{Code, Issue, Options, Rotation, Sim, TokenForm, TokenPolicy, TokenReply};
use serde_json::{json, Value};

use crate::client::{self, ask, credentials, exchange, good_request, token_request, BOUND};

fn start(token: TokenPolicy) -> Sim {
    Sim::start(Options { token, ..Options::default() })
}

fn plain() -> Sim {
    Sim::start(Options { tls: None, ..Options::default() })
}

fn refresh(sim: &Sim, token: &str) -> client::Reply {
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    ask(sim, &token_request(&credentials(), &body)).unwrap()
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn the_tutorial_gets_its_token() {
    let sim = Sim::start(Options::default());
    let reply = ask(&sim, &good_request()).unwrap();
    assert_eq!(reply.status, 200);
    let fields = reply.json();
    assert_eq!(fields["token_type"], "bearer");
    assert_eq!(fields["expires_in"], 3600);
    assert_eq!(fields["scope"], "conversation:read user:read analytics:read");
    assert_eq!(fields["refresh_token"], TokenPolicy::default().refresh_token);
    let claims = claims(&reply.token());
    assert_eq!(claims["client_id"], "abc123-def456");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    let log = sim.record().snapshot();
    assert_eq!(log.token_requests(), 1);
    assert_eq!(log.requests[0].status, Some(200));
    assert_eq!(log.requests[0].header("accept"), Some("application/json"));
    assert_eq!(log.requests[0].form("grant_type").as_deref(), Some("refresh_token"));
}

#[test]
fn one_connection_serves_many_requests() {
    let sim = plain();
    let mut wire = client::dial(&sim);
    let first = exchange(&mut wire, &good_request()).unwrap().token();
    let second = exchange(&mut wire, &good_request()).unwrap().token();
    assert_ne!(first, second);
    assert_eq!(sim.record().snapshot().tcp_connections, 1);
    assert_eq!(exchange(&mut wire, "GET /elsewhere HTTP/1.1\r\n\r\n").unwrap().status, 404);
}

#[test]
fn odd_credentials_are_taken_raw_and_encoded() {
    let policy = TokenPolicy { client_id: "a b".into(), client_secret: "p:w+%".into(), ..TokenPolicy::default() };
    let sim = start(policy);
    for basic in ["a b:p:w+%", "a+b:p%3Aw%2B%25"] {
        assert_eq!(ask(&sim, &token_request(basic, &client::refresh_body())).unwrap().status, 200);
    }
    let wrong = ask(&sim, &token_request("a b:other", &client::refresh_body())).unwrap();
    assert_eq!((wrong.status, wrong.json()["error"].clone()), (401, json!("invalid_client")));
}

#[test]
fn every_grant_is_known() {
    let sim = plain();
    let of = |body: &str| ask(&sim, &token_request(&credentials(), body)).unwrap();
    let reply = of("grant_type=client_credentials");
    assert_eq!(reply.status, 200);
    assert!(reply.json().get("refresh_token").is_none());
    assert_eq!(of("grant_type=password").json()["error"], "unsupported_grant_type");
    assert_eq!(of("grant_type=refresh_token&refresh_token=no").json()["error"], "invalid_grant");
    // RFC 7636, appendix B.
    let challenge = Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned());
    let terms = Code { redirect_uri: Some("http://localhost/cb".into()), challenge };
    sim.token().register_code("c1", terms.clone()).register_code("c2", terms);
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let exchange = |code: &str, verifier: &str| {
        let uri = "http%3A%2F%2Flocalhost%2Fcb";
        of(&format!("grant_type=authorization_code&code={code}&redirect_uri={uri}&code_verifier={verifier}"))
    };
    assert_eq!(exchange("c2", "another").status, 400);
    let reply = exchange("c1", verifier);
    let fresh = reply.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(refresh(&sim, &fresh).status, 200);
    assert_eq!(exchange("c1", verifier).json()["error"], "invalid_grant");
    assert_eq!(sim.token().issued().len(), 3);
}

#[test]
fn refresh_tokens_rotate() {
    let first = TokenPolicy::default().refresh_token;
    let rotation = Rotation::RevokeOld { grace: Duration::ZERO };
    let sim = start(TokenPolicy { rotation, ..TokenPolicy::default() });
    let second = refresh(&sim, &first).json()["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(refresh(&sim, &first).json()["error"], "invalid_grant");
    sim.token().policy(|p| p.rotation = Rotation::RevokeOld { grace: BOUND });
    assert_eq!(refresh(&sim, &second).status, 200);
    assert_eq!(refresh(&sim, &second).status, 200, "within its grace");
    sim.token().policy(|p| p.rotation = Rotation::KeepOld).add_refresh("third");
    let fourth = refresh(&sim, "third").json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(refresh(&sim, "third").status, 200);
    assert_eq!(refresh(&sim, &fourth).status, 200);
    sim.token().revoke_refresh(&fourth);
    assert_eq!(refresh(&sim, &fourth).status, 400);
}

#[test]
fn tokens_take_every_shape() {
    let sim = plain();
    let odd = Issue::new()
        .lifetime(Duration::from_millis(1500))
        .scope("user:read")
        .field("expires_in", json!("3600"))
        .without("token_type")
        .claim("scp", json!(["user:read"]))
        .without_claim("jti");
    sim.token().then(TokenReply::Issue(odd));
    let reply = ask(&sim, &good_request()).unwrap();
    assert_eq!(reply.json()["expires_in"], "3600");
    assert!(reply.json().get("token_type").is_none());
    let claims = claims(&reply.token());
    assert_eq!((claims["scope"].as_str(), claims.get("jti")), (Some("user:read"), None));
    assert!(claims["scp"].is_array());
    sim.token().then(TokenReply::Issue(Issue::new().form(TokenForm::Opaque)));
    assert!(!client::token(&sim).contains('.'));
    sim.token().then(TokenReply::Issue(Issue::new().form(TokenForm::Malformed)));
    assert_eq!(client::token(&sim).split('.').count(), 3);
    sim.token().then(TokenReply::Issue(Issue::new().form(TokenForm::Literal("t".into()))));
    assert_eq!(client::token(&sim), "t");
    sim.token().policy(|p| p.expires_in = Some(json!(-1)));
    assert_eq!(ask(&sim, &good_request()).unwrap().json()["expires_in"], -1);
}

#[test]
fn refusals_are_as_scripted() {
    let sim = plain();
    let of = |reply: TokenReply| {
        sim.token().then(reply);
        ask(&sim, &good_request()).unwrap()
    };
    let reply = of(TokenReply::Throttle429 { retry_after: Some("2".into()) });
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2")));
    assert!(of(TokenReply::Throttle429 { retry_after: None }).header("retry-after").is_none());
    let reply = of(TokenReply::Throttle400);
    assert_eq!((reply.status, reply.json()["error"].clone()), (400, json!("invalid_request")));
    assert!(reply.json()["description"].as_str().unwrap().starts_with("rate limit exceeded; "));
    assert_eq!(of(TokenReply::InvalidGrant).json()["error"], "invalid_grant");
    assert_eq!(of(TokenReply::InvalidClient).status, 401);
    assert_eq!(of(TokenReply::Forbidden).status, 403);
    assert!(of(TokenReply::NotJson).body.starts_with(b"<html>"));
    assert!(of(TokenReply::Huge { bytes: 100_000 }).body.len() > 100_000);
    let reply = of(TokenReply::Redirect { to: "https://elsewhere/".into() });
    assert_eq!((reply.status, reply.header("location")), (302, Some("https://elsewhere/")));
    let headers = vec![("Date".to_owned(), "Sun, 06 Nov 1994 08:49:37 GMT".to_owned())];
    let reply = of(TokenReply::Status { code: 503, headers, body: "busy".into() });
    assert_eq!((reply.status, reply.body.as_slice()), (503, b"busy".as_slice()));
    assert_eq!(reply.header("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
}

#[test]
fn the_script_is_used_up_and_the_sticky_reply_stays() {
    let sim = plain();
    sim.token().times(2, &TokenReply::Forbidden).always(TokenReply::InvalidClient);
    let statuses: Vec<u16> = (0..4).map(|_| ask(&sim, &good_request()).unwrap().status).collect();
    assert_eq!(statuses, [403, 403, 401, 401]);
    sim.token().honest();
    assert_eq!(ask(&sim, &good_request()).unwrap().status, 200);
}

#[test]
fn answers_come_in_odd_ways() {
    let sim = Sim::start(Options::default());
    let of = |reply: TokenReply| {
        sim.token().then(reply);
        ask(&sim, &good_request())
    };
    assert_eq!(of(TokenReply::Chunked).unwrap().json()["token_type"], "bearer");
    let began = Instant::now();
    assert_eq!(of(TokenReply::TrickleBytes { chunk: 200, delay_ms: 1 }).unwrap().status, 200);
    let then = Box::new(TokenReply::Forbidden);
    assert_eq!(of(TokenReply::Delay { ms: 30, then }).unwrap().status, 403);
    assert!(began.elapsed() >= Duration::from_millis(30));
    for cut in [TokenReply::CutMidHeader, TokenReply::CutMidBody, TokenReply::Drop] {
        assert_eq!(of(cut).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
    assert_eq!(of(TokenReply::Reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let statuses: Vec<_> = sim.record().snapshot().requests.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [Some(200), Some(200), Some(403), None, None, None, None]);
}

#[test]
fn a_hung_request_is_on_record_and_does_not_hold_up_the_end() {
    let sim = plain();
    sim.token().always(TokenReply::Hang);
    let mut wire = client::dial(&sim);
    let client::Wire::Plain(tcp) = &mut wire else { panic!("plain") };
    let end = tcp.try_clone().unwrap();
    let asking = std::thread::spawn(move || exchange(&mut wire, &good_request()));
    assert!(sim.record().wait_until(BOUND, |log| log.token_requests() == 1));
    drop(sim);
    assert!(asking.join().unwrap().is_err());
    let _ = end.shutdown(Shutdown::Both);
}

#[test]
fn requests_out_of_bounds_are_refused() {
    let sim = plain();
    let status = |request: &str| ask(&sim, request).unwrap().status;
    assert_eq!(status("nonsense\r\n\r\n"), 400);
    assert_eq!(status("POST /oauth/token HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"), 413);
    assert_eq!(status("POST /oauth/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
    assert_eq!(status("GET /oauth/token HTTP/1.1\r\n\r\n"), 405);
    assert_eq!(status("GET /ws HTTP/1.1\r\n\r\n"), 426);
    let json = good_request().replace("x-www-form-urlencoded", "json");
    assert_eq!(status(&json), 400);
}
