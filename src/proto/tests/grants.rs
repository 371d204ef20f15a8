//! Stories of what a token request proves: grants, codes and their guards, assertions.

use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::Value;

use super::server::Nature;
use super::stories::{settings, HOUR, MINUTE};
use super::world::{fresh, sha256, World};
use crate::config::settings::{ClientAuthentication, Grant, Settings};
use crate::error::{Code, Error, Stage};
use crate::event::{Authorization, Question, State};
use crate::hooks::Answer;
use crate::proto::dice::Dice;
use crate::proto::http::Reply;
use crate::proto::oauth::{assertion, Credentials};
use crate::proto::pkce;
use crate::proto::refresher::{Credential, Input, News, Output, Refresher};
use crate::proto::session::Rounds;
use crate::proto::time::Now;
use crate::secret::Secret;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    every_grant_sends_its_proof,
    a_code_is_bound_to_its_question,
    a_dead_refresh_token_asks_once,
    a_refused_code_is_not_asked_for_again_at_once,
    a_refused_assertion_waits_for_the_next,
    a_refresh_token_that_comes_for_an_assertion_is_left_alone,
    assertions_are_fresh_and_dated_by_the_server,
    an_assertion_of_a_wrong_clock_is_made_anew_once,
    a_signature_that_fails_is_a_failed_attempt,
    closing_does_not_wait_for_a_signature,
    codes_are_guarded_by_what_is_fresh_or_not_asked_for_blindly,
];

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn world(settings: Settings, rotates: bool) -> World {
    World::new(1, settings, Nature { rotates, ..Nature::default() })
}

/// The value of a field of a form or URL; what is looked for here needs no decoding.
fn field<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.split(['?', '&'])
        .find_map(|pair| pair.split_once('=').filter(|(found, _)| *found == name))
        .map(|(_, value)| value)
}

fn asked(w: &World) -> Vec<&Authorization> {
    let code = |question: &'_ Question| matches!(question, Question::AuthorizationCode(_));
    let asks = w.watch.asks.iter().filter(|(_, question)| code(question));
    asks.filter_map(|(_, question)| if let Question::AuthorizationCode(it) = question { Some(it) } else { None })
        .collect()
}

#[test]
fn every_grant_sends_its_proof() {
    let saml = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Asaml2-bearer&orgName=org&assertion=hush-saml";
    let code = "grant_type=authorization_code&code=hush-c1&redirect_uri=app%3A%2Fback";
    for (grant, rotates, form) in [
        (Grant::Auto, true, "grant_type=refresh_token&refresh_token=hush-r0"),
        (Grant::Auto, false, "grant_type=client_credentials"),
        (Grant::ClientCredentials, true, "grant_type=client_credentials"),
        (Grant::RefreshToken, true, "grant_type=refresh_token&refresh_token=hush-r0"),
        (Grant::AuthorizationCode, false, code),
        (Grant::Saml2Bearer, false, saml),
    ] {
        let set = Settings {
            grant,
            redirect_uri: "app:/back".into(),
            saml_org: "org".into(),
            saml_assertion: Some(secret("hush-saml")),
            ..settings()
        };
        let mut w = world(set, rotates);
        w.start(Rounds::Forever);
        w.until_live(2 * MINUTE);
        assert_eq!(w.server.forms[0], form, "{grant:?}");
        assert_eq!(asked(&w).len(), usize::from(grant == Grant::AuthorizationCode), "{grant:?}");
    }
}

#[test]
fn a_code_is_bound_to_its_question() {
    let guarded = Settings { grant: Grant::AuthorizationCode, pkce: true, ..settings() };
    let mut w = world(guarded, false);
    w.start(Rounds::Forever);
    w.until_live(2 * MINUTE);
    // Without a refresh token the next one needs another code.
    w.run_for(3 * HOUR);
    let (urls, codes) = (asked(&w), &w.server.forms);
    assert!(urls.len() >= 3 && codes.len() + 1 >= urls.len(), "{} questions, {} codes", urls.len(), codes.len());
    let mut seen = Vec::new();
    for (question, form) in urls.iter().zip(codes) {
        let verifier = field(form, "code_verifier").unwrap();
        assert!((43..=128).contains(&verifier.len()), "{verifier}");
        assert_eq!(field(question.url(), "code_challenge"), Some(&*pkce::challenge(verifier, sha256)));
        assert_eq!(field(question.url(), "code_challenge_method"), Some("S256"));
        seen.extend([verifier, field(question.url(), "state").unwrap()]);
        assert!(!question.url().contains(verifier));
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all, "no verifier and no state serves twice");
    let mut plain = world(Settings { grant: Grant::AuthorizationCode, ..settings() }, false);
    plain.start(Rounds::Forever);
    plain.until_live(2 * MINUTE);
    assert_eq!(field(asked(&plain)[0].url(), "code_challenge"), None);
    assert!(
        field(asked(&plain)[0].url(), "state").is_some() && field(&plain.server.forms[0], "code_verifier").is_none()
    );
}

#[test]
fn a_dead_refresh_token_asks_once() {
    for answers in [true, false] {
        let mut w = World::new(1, settings(), Nature { answers, ..Nature::default() });
        w.fault_for(super::faults::Fault::AppHasNoCode, 24 * HOUR);
        w.server.kill_refresh_token();
        w.start(Rounds::Forever);
        w.until_state(State::ReauthRequired, MINUTE);
        w.run_for(5 * HOUR);
        assert_eq!(
            (w.state(), asked(&w).len(), w.watch.refreshes.len()),
            (State::ReauthRequired, usize::from(answers), 1)
        );
        let error = w.watch.errors.iter().find(|error| error.code() == Code::InvalidGrant).unwrap();
        assert!(error.code().hint().contains("gwa_client_set_secret"), "{error}");
    }
}

#[test]
fn a_refused_code_is_not_asked_for_again_at_once() {
    let mut w = world(settings(), true);
    w.server.kill_refresh_token();
    w.start(Rounds::Forever);
    assert!(w.run_until(MINUTE, |w| !w.watch.asks.is_empty()));
    // The code that is on its way is none of the server's any more.
    w.server.new_code();
    w.run_for(5 * HOUR);
    let requests = |w: &World| w.server.forms.iter().filter(|form| form.contains("authorization_code")).count();
    assert_eq!((w.state(), asked(&w).len(), requests(&w)), (State::ReauthRequired, 1, 1));
    w.refresh_now();
    w.until_live(5 * MINUTE);
    assert_eq!((asked(&w).len(), requests(&w)), (2, 2));
}

// ---- the machine by itself --------------------------------------------------------------------------------------

const WALL_MS: u64 = 1_767_225_600_000;

/// The machine, and somebody who signs.
struct Desk {
    machine: Refresher,
    boot_ms: u64,
    fresh: Dice,
    /// Forms of the requests, and the number of the last one.
    sent: Vec<String>,
    epoch: u64,
    claims: Vec<Value>,
    /// What came of the last input.
    said: Vec<String>,
    /// Whether the signature fails.
    is_dumb: bool,
}

impl Desk {
    fn new(settings: Settings) -> Self {
        let saml_assertion = settings.saml_assertion.clone();
        let credentials = Credentials { client_secret: secret("hush"), saml_assertion, ..Credentials::default() };
        Self {
            machine: Refresher::new(Arc::new(settings), credentials, true, 0),
            boot_ms: 0,
            fresh: Dice::new(7),
            sent: Vec::new(),
            epoch: 0,
            claims: Vec::new(),
            said: Vec::new(),
            is_dumb: false,
        }
    }

    fn feed(&mut self, input: Input) {
        self.said.clear();
        self.handle(input);
    }

    fn handle(&mut self, input: Input) {
        if self.machine.wants_fresh() {
            self.machine.refill(fresh(&mut self.fresh));
        }
        let now = Now { boot_ms: self.boot_ms, awake_ms: self.boot_ms, wall_ms: WALL_MS + self.boot_ms };
        self.machine.handle(now, 1, input);
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Http { epoch, request } => {
                    self.epoch = epoch;
                    self.sent.push(request.body.text().to_owned());
                    self.said.push("sent".into());
                }
                Output::Sign { epoch, claims } => self.sign(epoch, &claims),
                Output::News(News::Blocked { error, .. }) => self.said.push(format!("blocked {:?}", error.code())),
                Output::News(News::Waiting) => self.said.push("waiting".into()),
                Output::Publish(_) => self.said.push("published".into()),
                Output::Ask { question, .. } => self.said.push(format!("asked {question:?}")),
                Output::Stopped => self.said.push("stopped".into()),
                Output::LoadStore { .. } | Output::Store(_) | Output::FreeStore => panic!("there is no store"),
                Output::News(_) | Output::Audit(_) | Output::ServerClock { .. } | Output::Answer { .. } => {}
            }
        }
    }

    fn sign(&mut self, epoch: u64, claims: &str) {
        self.claims.push(serde_json::from_str(claims).unwrap());
        let signed = assertion::signed(&assertion::signing_input(claims, "ES256", "k"), b"signature");
        let outcome = if self.is_dumb { Err(Error::new(Code::Internal, Stage::Token, "")) } else { Ok(signed) };
        self.handle(Input::Signed { epoch, outcome });
    }

    fn reply(&mut self, status: u16, body: &str, date: Option<&str>) {
        let reply = Reply { status, body: body.into(), date: date.map(str::to_owned), ..Reply::default() };
        self.feed(Input::Replied { epoch: self.epoch, outcome: Ok(reply) });
    }

    fn grant(&mut self, more: &str) {
        let body = format!(r#"{{"access_token":"t","token_type":"bearer","expires_in":600,"scope":"a:read"{more}}}"#);
        self.reply(200, &body, None);
        assert!(self.said.contains(&"published".into()), "{:?}", self.said);
    }

    fn refuse(&mut self) {
        self.reply(400, r#"{"error":"invalid_grant"}"#, None);
    }

    /// Time passes, and the timer that falls into it is served.
    fn pass(&mut self, ms: u64) {
        self.boot_ms += ms;
        self.feed(Input::Timeout);
    }
}

fn saml() -> Settings {
    let saml_assertion = Some(secret("hush-saml"));
    Settings { grant: Grant::Saml2Bearer, saml_org: "org".into(), saml_assertion, ..settings() }
}

#[test]
fn a_refused_assertion_waits_for_the_next() {
    let mut desk = Desk::new(saml());
    desk.feed(Input::Start);
    desk.grant("");
    desk.pass(HOUR);
    assert_eq!(field(&desk.sent[1], "assertion"), Some("hush-saml"), "it serves until it is refused");
    desk.refuse();
    assert_eq!(desk.said, ["blocked InvalidGrant"], "and no code is asked for");
    desk.pass(HOUR);
    desk.feed(Input::RefreshNow);
    assert_eq!(
        (&desk.said[..], desk.sent.len()),
        (&["blocked ReauthRequired".to_owned()][..], 2),
        "it is not sent again"
    );
    desk.feed(Input::Credential(Credential::SamlAssertion(secret("hush-next"))));
    assert_eq!(field(&desk.sent[2], "assertion"), Some("hush-next"));
    desk.grant("");
    // One that comes while its predecessor is being refused is kept.
    desk.pass(HOUR);
    desk.feed(Input::Credential(Credential::SamlAssertion(secret("hush-third"))));
    desk.refuse();
    assert_eq!(field(&desk.sent[4], "assertion"), Some("hush-third"));
}

#[test]
fn a_refresh_token_that_comes_for_an_assertion_is_left_alone() {
    let mut desk = Desk::new(saml());
    desk.feed(Input::Start);
    desk.grant(r#","refresh_token":"hush-r1""#);
    assert_eq!(desk.said, ["published"], "and nobody is asked to store it");
    desk.pass(HOUR);
    assert_eq!(field(&desk.sent[1], "assertion"), Some("hush-saml"));
}

fn signing() -> Settings {
    Settings {
        authentication: ClientAuthentication::PrivateKeyJwt,
        grant: Grant::ClientCredentials,
        assertion_audience: "https://as.example".into(),
        ..settings()
    }
}

#[test]
fn assertions_are_fresh_and_dated_by_the_server() {
    let mut desk = Desk::new(signing());
    desk.feed(Input::Start);
    // Ten days ahead of us.
    let body = r#"{"access_token":"t","token_type":"bearer","expires_in":600,"scope":"a:read"}"#;
    desk.reply(200, body, Some("Sun, 11 Jan 2026 00:00:00 GMT"));
    for _ in 0..3 {
        desk.pass(HOUR);
        desk.grant("");
    }
    let seconds = |claims: &Value, name: &str| claims[name].as_u64().unwrap();
    for (n, (claims, form)) in desk.claims.iter().zip(&desk.sent).enumerate() {
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&"id".into(), &"id".into(), &"https://as.example".into())
        );
        let wall_s = WALL_MS / 1_000 + n as u64 * 3_600 + if n > 0 { 10 * 86_400 } else { 0 };
        assert!(seconds(claims, "iat").abs_diff(wall_s) <= 10, "{n}: {claims}");
        let (issued, expires) = (seconds(claims, "iat"), seconds(claims, "exp"));
        assert!(expires > wall_s + 30 && expires <= issued + 60, "{n}: {claims}");
        let payload = field(form, "client_assertion").unwrap().split('.').nth(1).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap(), *claims);
        assert_eq!(field(form, "client_secret"), None);
    }
    let mut ids: Vec<&str> = desk.claims.iter().map(|claims| claims["jti"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

#[test]
fn an_assertion_of_a_wrong_clock_is_made_anew_once() {
    let refusal = r#"{"error":"invalid_client"}"#;
    let mut desk = Desk::new(signing());
    desk.feed(Input::Start);
    desk.reply(401, refusal, Some("Thu, 01 Jan 2026 01:00:00 GMT"));
    assert_eq!(desk.said, ["sent"], "the answer says what time it is");
    assert!(desk.claims[1]["iat"].as_u64().unwrap() >= desk.claims[0]["iat"].as_u64().unwrap() + 3_500);
    // A server whose clock jumps is no reason to go on.
    desk.reply(401, refusal, Some("Thu, 01 Jan 2026 05:00:00 GMT"));
    assert_eq!((&desk.said[..], desk.sent.len()), (&["blocked Unauthorized".to_owned()][..], 2));
    let mut right = Desk::new(signing());
    right.feed(Input::Start);
    right.reply(401, refusal, Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    assert_eq!(right.said, ["blocked Unauthorized"], "it was not the clock");
}

#[test]
fn a_signature_that_fails_is_a_failed_attempt() {
    let mut desk = Desk::new(signing());
    desk.is_dumb = true;
    desk.feed(Input::Start);
    assert_eq!((&desk.said[..], desk.sent.len()), (&["waiting".to_owned()][..], 0));
    desk.is_dumb = false;
    desk.pass(HOUR);
    assert_eq!(desk.said, ["sent"]);
    // An answer to nothing, and one that comes too late.
    desk.feed(Input::Signed { epoch: 1, outcome: Ok(secret("a.b.c")) });
    assert!(desk.said.is_empty() && desk.machine.senseless() == 1);
    desk.grant("");
}

#[test]
fn closing_does_not_wait_for_a_signature() {
    let mut desk = Desk::new(signing());
    // As when the order to stop is there before the claims are looked at.
    desk.machine.refill(fresh(&mut desk.fresh));
    desk.machine.handle(Now::default(), 1, Input::Start);
    desk.machine.handle(Now::default(), 1, Input::Close);
    desk.feed(Input::Timeout);
    assert_eq!((&desk.said[..], desk.sent.len()), (&["stopped".to_owned()][..], 0));
}

#[test]
fn codes_are_guarded_by_what_is_fresh_or_not_asked_for_blindly() {
    // Without entropy there is no URL, and nothing that a redirect could be compared with.
    let set = Settings { grant: Grant::AuthorizationCode, pkce: true, ..settings() };
    let mut machine = Refresher::new(Arc::new(set), Credentials::default(), true, 0);
    machine.handle(Now::default(), 1, Input::Start);
    let questions = std::iter::from_fn(|| machine.poll()).filter_map(|output| match output {
        Output::Ask { question: Question::AuthorizationCode(authorization), .. } => Some(authorization),
        _ => None,
    });
    let urls: Vec<String> = questions.map(|authorization| authorization.url().to_owned()).collect();
    assert_eq!(urls, [""]);
    let mut desk = Desk::new(Settings { grant: Grant::AuthorizationCode, pkce: true, ..settings() });
    desk.feed(Input::Start);
    assert!(desk.said.iter().any(|said| said.starts_with("asked AuthorizationCode")), "{:?}", desk.said);
    assert!(!desk.said.concat().contains("state="), "{:?}", desk.said);
    desk.feed(Input::Answered { id: 1, answer: Ok(Answer::Code(secret("hush-c"))) });
    let verifier = field(&desk.sent[0], "code_verifier").unwrap().to_owned();
    // A transient fault: the same code with the same verifier.
    desk.reply(503, "", None);
    desk.pass(MINUTE);
    assert_eq!(field(&desk.sent[1], "code_verifier"), Some(&*verifier));
}
