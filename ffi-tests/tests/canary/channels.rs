//! The same of the profile `notifications`: a channel is a secret like a token, and so is all that leads to one.

use std::net::TcpStream;
use std::{io::Read, io::Write};

use ffi_tests::sim::{ApiReply, AuthorizeReply, ChannelEnd, ClientAuth, ClientKey, Code, Farewell, Route};
use genesys_ws_auth::event::Question;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use super::*;

const CODE: &str = "canary-authorization-code";
const SAML: &str = "Y2FuYXJ5LXNhbWwtYXNzZXJ0aW9u";
/// Channels that are none of the simulator's.
const ELSEWHERE: &str = "canary-channel-elsewhere";

/// A simulator without the heartbeats that nobody waits for here.
fn platform() -> Options {
    let mut options = Options::notifications();
    options.token.rotation = Rotation::KeepOld;
    options
}

fn channel_config(sim: &Sim) -> Config {
    let mut config = credentials(sim);
    for (key, value) in [
        ("profile", "notifications"),
        ("api.url", &*sim.api_url()),
        ("notifications.streaming_host", &sim.streaming_host()),
        ("notifications.topics", "v2.users.1.presence"),
        ("notifications.displaced", "return"),
        ("notifications.linger_ms", "0"),
        ("token.refresh_floor_ms", "0"),
        ("token.authorize_url", &sim.authorize_url()),
    ] {
        config.set(key, value).unwrap();
    }
    config
}

/// What the simulator was shown, or gave away, beyond [`secrets`].
fn more_secrets(sim: &Sim) -> Vec<(&'static str, String)> {
    let known = [("a code", CODE), ("a SAML assertion", SAML), ("a channel", ELSEWHERE)];
    let mut all: Vec<_> = known.map(|(what, text)| (what, text.to_owned())).into();
    sim.record().read(|log| {
        all.extend(log.channels.iter().map(|channel| ("a channel", channel.id.clone())));
        for request in &log.requests {
            for name in ["code", "code_verifier", "client_assertion", "assertion"] {
                all.extend(request.form(name).map(|text| (name_of(name), text)));
            }
            let state = request.query.split('&').find_map(|field| field.strip_prefix("state="));
            all.extend(state.map(|state| ("a state", state.to_owned())));
        }
    });
    all
}

fn name_of(field: &str) -> &'static str {
    match field {
        "code" => "a code",
        "code_verifier" => "a verifier",
        "client_assertion" => "a client assertion",
        _ => "a SAML assertion",
    }
}

/// Nothing was said but by tungstenite, which reads what a server sends.
#[track_caller]
fn nothing_of_channels_was_said(sim: &Sim, story: &str) {
    said().retain(|line| !line.starts_with("log of tungstenite"));
    nothing_was_said(sim, story);
    let lines = said();
    for (what, secret) in more_secrets(sim) {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(&secret)).collect();
        assert!(found.is_empty(), "{story}: {what} was said: {found:#?}");
    }
}

/// The one channel that is connected.
#[track_caller]
fn channel(sim: &Sim) -> String {
    assert!(sim.channels().wait_connected(1, BOUND), "no channel is connected");
    let live = sim.channels().live();
    live.into_iter().find(|id| sim.channels().socket(id).is_some()).expect("a channel")
}

fn uri(sim: &Sim, id: &str) -> String {
    format!("wss://{}/channels/{id}", sim.streaming_host())
}

/// An answer of the API that repeats what it was sent.
fn repeats(status: u16, said: &str) -> ApiReply {
    let body = serde_json::json!({"code": "internal.error", "message": said, "contextId": said});
    let headers = vec![("ININ-Correlation-Id".to_owned(), said.to_owned())];
    ApiReply::Status { code: status, headers, body: body.to_string() }
}

#[test]
fn no_channel_is_said() {
    let _alone = alone();
    what_servers_say_of_channels();
    what_the_api_says();
    ends_of_channels();
    assert!(said().iter().any(|line| line.starts_with("log of ureq")), "the client of the API was not heard");
}

/// Close reasons and refused handshakes that name the channel, its URI and the token.
fn what_servers_say_of_channels() {
    let sim = Sim::start(platform());
    let config = channel_config(&sim);
    live_with(
        config,
        |_| (),
        |client, _| {
            wait("state", "is Ready", 1);
            let id = channel(&sim);
            let refusal = UpgradeReply::Status {
                code: 503,
                headers: vec![("ININ-Correlation-Id".into(), format!("of {id}")), ("Location".into(), uri(&sim, &id))],
                body: format!("{id} cannot be had"),
            };
            sim.ws().on_upgrade(refusal);
            sim.channels().act(Some(&id), [Action::close(1001, &format!("channel {id} evicted"))]);
            wait("state", "GapEnd", 2);
            let id = channel(&sim);
            sim.channels().act(Some(&id), [Action::close(1011, &format!("bye {}", uri(&sim, &id)))]);
            wait("state", "GapEnd", 4);
            client.refresh_now().unwrap();
            wait("state", "Handover", 2);
            sim.channels().event("v2.users.1.presence", None);
            wait("message", "presence", 1);
        },
    );
    wait("audit", "", 4);
    nothing_of_channels_was_said(&sim, "close reasons");
}

fn what_the_api_says() {
    let sim = Sim::start(platform());
    let config = channel_config(&sim);
    live_with(
        config,
        |_| (),
        |client, _| {
            wait("state", "is Ready", 1);
            let id = channel(&sim);
            let token = sim.token().issued().last().unwrap().access_token.clone();
            sim.channels().reject("v2.bad", &format!("not by {id}"), &[&token]);
            client.subscribe(&["v2.bad.topic"], &[]).unwrap();
            wait("state", "Rejected", 1);
            sim.channels().permit_all();
            // The next channel is refused, and then it is somewhere else.
            let elsewhere = serde_json::json!(format!("wss://elsewhere.example/channels/{ELSEWHERE}"));
            sim.api()
                .then(Route::Create, repeats(500, &format!("{token} cannot")))
                .then(Route::Create, ApiReply::with("connectUri", elsewhere))
                .then(Route::Replace, repeats(503, &format!("subscriptions of {token}")));
            sim.channels().evict(&id, Farewell { notice: false, close: Some(1000) });
            wait("state", "GapEnd", 2);
        },
    );
    nothing_of_channels_was_said(&sim, "answers of the API");
}

/// Events of the system that name the channel.
fn ends_of_channels() {
    let sim = Sim::start(platform());
    let config = channel_config(&sim);
    live_with(
        config,
        |_| (),
        |client, _| {
            wait("state", "is Ready", 1);
            sim.channels().kill_token(&channel(&sim), Farewell::default());
            let died = |log: &Log| log.channels.iter().any(|c| matches!(c.end, Some((_, ChannelEnd::TokenDied))));
            assert!(sim.record().wait_until(BOUND, |log| died(log) && log.channels_made() >= 2));
            sim.channels().displace(&channel(&sim));
            sim.channels().no_longer_subscribed(&channel(&sim));
            wait("state", "is Displaced", 1);
            client.refresh_now().unwrap();
            wait("state", "is Ready", 2);
        },
    );
    nothing_of_channels_was_said(&sim, "ends of channels");
}

/// What leads to a token: codes with their state and verifier, SAML assertions, keys and what they sign.
#[test]
fn no_grant_is_said() {
    let _alone = alone();
    a_person_signs_in();
    a_saml_assertion();
    a_private_key();
}

fn sign_in(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a redirect").to_owned()
}

/// A simulator that a browser without TLS can be sent to.
fn plain(change: impl FnOnce(&mut Options)) -> (Sim, Config) {
    let mut options = Options { tls: None, ..platform() };
    change(&mut options);
    let sim = Sim::start(options);
    let mut config = channel_config(&sim);
    config.set("net.allow_plain_loopback", "true").unwrap();
    (sim, config)
}

fn a_person_signs_in() {
    let (sim, config) = plain(|_| ());
    sim.token().always_authorize(AuthorizeReply::Consent).register_code(CODE, Code::default());
    let body = serde_json::json!({"error": "invalid_grant", "error_description": format!("not {CODE}")});
    sim.token().then(TokenReply::Status { code: 400, headers: Vec::new(), body: body.to_string() });
    let base = sim.authorize_url();
    live_with(
        config,
        |config| {
            config.set("token.grant", "authorization_code").unwrap();
            config.set_secret("token.refresh_token", Secret::default()).unwrap();
            config.set("token.redirect_uri", "http://127.0.0.1:1/back").unwrap();
            let asked = AtomicUsize::new(0);
            config.hooks.on_ask = Some(Arc::new(move |request| {
                show("ask", &request);
                let Question::AuthorizationCode(question) = &request.question else {
                    return request.complete(Answer::Done);
                };
                assert!(question.url().starts_with(&base));
                if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                    return request.complete(Answer::Code(Secret::new(CODE.into())));
                }
                let redirect = sign_in(question.url());
                let (_, query) = redirect.split_once('?').unwrap();
                let denied = format!("?error=server_error&error_description={}&{query}", query.replace('&', "+"));
                show("error", &question.code_of(&denied).unwrap_err());
                show("error", &question.code_of(&redirect.replace("state=", "state=x")).unwrap_err());
                request.complete(Answer::Code(question.code_of(&redirect).unwrap()));
            }));
        },
        |client, _| {
            wait("state", "InvalidGrant", 1);
            client.refresh_now().unwrap();
            channel(&sim);
            wait("state", "is Ready", 1);
        },
    );
    let kinds: Vec<_> = more_secrets(&sim).into_iter().map(|(what, _)| what).collect();
    assert!(["a code", "a verifier", "a state"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    nothing_of_channels_was_said(&sim, "a person signs in");
}

fn a_saml_assertion() {
    let (sim, config) = plain(|_| ());
    sim.token().register_assertion("acme", SAML);
    let body = serde_json::json!({"error": "invalid_request", "error_description": format!("what is {SAML}?")});
    sim.token().then(TokenReply::Status { code: 503, headers: Vec::new(), body: body.to_string() });
    let change = |config: &mut Config| {
        config.set("token.grant", "saml2-bearer").unwrap();
        config.set("token.saml_org", "acme").unwrap();
        config.set_secret("token.saml_assertion", Secret::new(SAML.into())).unwrap();
    };
    live_with(config, change, |_, _| drop(channel(&sim)));
    nothing_of_channels_was_said(&sim, "a SAML assertion");
}

fn a_private_key() {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let known = ClientAuth::PrivateKeyJwt(ClientKey::from_pem(&pair.public_key_pem()));
    let (sim, config) = plain(|options| options.token.client_auth = known);
    let (pem, audience) = (pair.serialize_pem(), sim.token_url());
    let change = |config: &mut Config| {
        config.set("client.authentication", "private_key_jwt").unwrap();
        config.set("client.assertion_audience", &audience).unwrap();
        config.set_secret("client.private_key_pem", Secret::new(pem.clone())).unwrap();
    };
    live_with(config, change, |_, _| drop(channel(&sim)));
    assert!(more_secrets(&sim).iter().any(|(what, _)| *what == "a client assertion"));
    nothing_of_channels_was_said(&sim, "a private key");
    let lines = said();
    for part in pem.lines().filter(|line| !line.starts_with("-----")) {
        assert!(part.len() > 16 && lines.iter().all(|line| !line.contains(part)), "a private key was said");
    }
}
