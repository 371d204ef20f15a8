//! Connections through a proxy: token request and socket alike.

use std::time::Duration;

use ffi_tests::proxy::{Proxy, Reply};
use ffi_tests::sim::{Action, TcpReply};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Client, Code, Error, Secret, Stage, TokenSource};
use serde_json::Value;

use crate::harness::*;

const PASSWORD: &str = "pass-word-of-this-test";

/// A client behind a proxy that fails with its first attempt, and asks for the token before it asks for the socket: the
/// proxy's answers are in that order.
fn behind(proxy: &Proxy) -> Setup {
    Setup::default().key("proxy", proxy.url()).key("token.attempts", 1).key("connect.overlap", "off")
}

fn network(rig: &Rig) -> Value {
    serde_json::from_str::<Value>(&rig.client.stats_json()).unwrap()["network"].take()
}

/// Code, stage, status and the peer named.
fn told(error: &Error) -> (Code, Stage, u16, String) {
    let detail = error.detail();
    (detail.code, detail.stage, detail.http_status, detail.host.clone())
}

#[test]
fn token_and_socket_go_through_it() {
    let proxy = Proxy::start();
    let rig = behind(&proxy).connect();
    let asked = proxy.asked();
    let wanted = rig.sim.addr().to_string();
    assert_eq!(asked.iter().map(|one| one.authority.as_str()).collect::<Vec<_>>(), [&wanted, &wanted]);
    assert!(asked[0].head.starts_with(&format!("CONNECT {wanted} HTTP/1.1\r\nHost: {wanted}\r\nUser-Agent: genesys-")));
    let peer = proxy.addr().to_string();
    assert_eq!((&network(&rig)["token_proxy"], &network(&rig)["socket_proxy"]), (&(&*peer).into(), &(&*peer).into()));
    rig.sim.ws().push_text("through the tunnel");
    rig.seen.wait("a message", |saws| saws.iter().any(|saw| matches!(saw, Saw::Message { .. })));
    rig.close();
}

#[test]
fn plain_connections_are_tunnelled_too_and_reconnect() {
    let proxy = Proxy::start();
    let rig = behind(&proxy).sim(|options| options.tls = None).connect();
    assert_eq!(proxy.asked().len(), 2);
    rig.sim.ws().act(None, [Action::Drop]);
    rig.seen.wait_state(State::Ready, 2);
    assert_eq!(proxy.asked().len(), 3, "the socket's way alone is opened again");
    rig.close();
}

#[test]
fn names_are_the_proxys_to_resolve() {
    let proxy = Proxy::start();
    let rig = behind(&proxy).build();
    let mut config = rig.config.clone();
    let port = rig.sim.addr().port();
    // Nobody here can resolve it, and the certificate is for another host: the handshake with the server is reached.
    config.set("token.url", &format!("https://api.example.invalid:{port}/oauth/token")).unwrap();
    let client = Client::new(&config).unwrap();
    let error = client.connect(Some(BOUND)).unwrap_err();
    let host = format!("api.example.invalid:{port}");
    assert_eq!(told(&error), (Code::CertificateHost, Stage::Tls, 0, host.clone()), "{error}");
    assert_eq!(proxy.asked()[0].authority, host);
}

#[test]
fn the_environment_is_read_when_a_key_says_so() {
    let proxy = Proxy::start();
    proxy.demand("us er", PASSWORD);
    let rig = Setup::default().build();
    let port = rig.sim.addr().port();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "proxies::child_with_a_proxy_in_its_environment", "--ignored"])
        .env("HTTPS_PROXY", format!("http://us%20er:{PASSWORD}@{}", proxy.addr()))
        .env("GWA_TEST_PORT", port.to_string())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let asked: Vec<_> = proxy.asked().into_iter().map(|one| one.authority).collect();
    assert_eq!(asked, [format!("api.example.invalid:{port}")], "neither unasked, nor to this machine");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn child_with_a_proxy_in_its_environment() {
    let port = std::env::var("GWA_TEST_PORT").unwrap();
    let attempt = |proxy: &str, host: &str| {
        let mut config = Setup::default().key("proxy", proxy).key("token.attempts", 1).config;
        config.set("client.id", "id").unwrap();
        config.set_secret("client.secret", Secret::new("hush".into())).unwrap();
        config.set("token.url", &format!("https://{host}:{port}/oauth/token")).unwrap();
        let client = Client::new(&config).unwrap();
        assert!(!format!("{client:?} {config:?} {}", client.stats_json()).contains(PASSWORD));
        client.connect(Some(BOUND)).unwrap_err()
    };
    let through = attempt("environment", "api.example.invalid");
    assert_eq!(through.detail().stage, Stage::Tls, "{through}");
    // This machine is reached directly.
    let direct = attempt("environment", "localhost");
    assert_eq!(direct.detail().stage, Stage::Tls, "{direct}");
    let unasked = attempt("none", "localhost");
    assert_eq!(unasked.detail().stage, Stage::Tls, "{unasked}");
}

#[test]
fn each_scheme_may_go_its_own_way() {
    let proxy = Proxy::start();
    let https = Setup::default().key("proxy.https", proxy.url()).connect();
    assert_eq!(proxy.asked().len(), 1);
    assert!(network(&https)["socket_proxy"].is_null());
    https.close();
    let wss = Setup::default().key("proxy", "http://127.0.0.1:1").key("proxy.wss", proxy.url());
    wss.key("proxy.https", "none").connect().close();
    assert_eq!(proxy.asked().len(), 2);
    let spared = behind(&proxy).key("proxy.except", "example.com, 127.0.0.0/8").connect();
    assert_eq!(proxy.asked().len(), 2);
    assert!(network(&spared)["token_proxy"].is_null());
    spared.close();
}

#[test]
fn credentials_are_shown_to_the_proxy_alone() {
    let proxy = Proxy::start();
    proxy.demand("j\u{e4}ger", PASSWORD);
    let mut setup = behind(&proxy).key("proxy.user", "j\u{e4}ger");
    setup.config.set_secret("proxy.password", Secret::new(PASSWORD.into())).unwrap();
    let rig = setup.connect();
    let seen_by_server = rig.sim.record().read(|log| format!("{log:?}"));
    let out = format!("{:?} {:?} {}", rig.config, rig.client, rig.client.stats_json());
    let report = rig.close();
    let encoded = proxy.asked()[0].head.split("Basic ").nth(1).unwrap().split('\r').next().unwrap().to_owned();
    for text in [seen_by_server, out, format!("{report:?}")] {
        assert!(!text.contains(PASSWORD) && !text.contains(&encoded) && !text.contains("Proxy-Authorization"));
    }
}

#[test]
fn wrong_credentials_are_final_and_name_the_proxy() {
    for line in ["407 Proxy Authentication Required", "401 Unauthorized"] {
        let proxy = Proxy::start();
        proxy.demand("user", "right");
        proxy.deny_with(line);
        let mut setup = behind(&proxy).key("token.attempts", 3).key("proxy.user", "user");
        // Side by side it would be shown twice, were it not for the rule.
        setup = setup.key("connect.overlap", "on");
        setup.config.set_secret("proxy.password", Secret::new(PASSWORD.into())).unwrap();
        let rig = setup.build();
        let error = refused(&rig);
        let status = line[..3].parse().unwrap();
        assert_eq!(told(&error), (Code::ProxyAuth, Stage::Proxy, status, proxy.addr().to_string()), "{error}");
        assert!(!error.is_retriable() && !error.to_string().contains(PASSWORD), "{error}");
        assert_eq!(proxy.asked().len(), 1, "wrong credentials are not shown again and again");
        rig.close();
    }
}

#[test]
fn the_password_is_replaced_on_a_client_that_runs() {
    let proxy = Proxy::start();
    proxy.demand("user", "the first one");
    let mut setup = behind(&proxy).key("proxy.user", "user");
    setup.config.set_secret("proxy.password", Secret::new(PASSWORD.into())).unwrap();
    let rig = setup.build();
    rig.client.start().unwrap();
    rig.seen.wait_state(State::ReauthRequired, 1);
    // Refused: it waits for somebody to act, and goes on by itself when somebody does.
    rig.client.set_secret("proxy.password", Secret::new("the first one".into())).unwrap();
    rig.seen.wait_state(State::Ready, 1);
    // Replaced while it is well: from the next connection on.
    proxy.demand("user", "the second one");
    rig.client.set_secret("proxy.password", Secret::new("the second one".into())).unwrap();
    rig.sim.ws().act(None, [Action::Drop]);
    rig.seen.wait_state(State::Ready, 2);
    let shown = rig.client.config_json();
    assert!(shown.contains("\"proxy.password\":\"***\"") && !shown.contains("one"), "{shown}");
    let error =
        rig.client.set_secret("tls.client_key_pem", Secret::new("-----BEGIN PRIVATE KEY-----".into())).unwrap_err();
    assert_eq!(error.code(), Code::UnknownKey, "{error}");
    rig.close();
    let direct = Setup::default().build();
    let error = direct.client.set_secret("proxy.password", Secret::new("unused".into())).unwrap_err();
    assert!(error.code() == Code::BadValue && error.to_string().contains("proxy.user"), "{error}");
}

#[test]
fn a_source_that_others_share_keeps_its_own_password() {
    let (of_source, of_client) = (Proxy::start(), Proxy::start());
    of_source.demand("user", PASSWORD);
    of_client.demand("user", "the right one");
    let mut setup = behind(&of_source).key("proxy.user", "user");
    setup.config.set_secret("proxy.password", Secret::new(PASSWORD.into())).unwrap();
    let rig = setup.build();
    let source = TokenSource::new(&rig.config).unwrap();
    let mut config = rig.config.clone();
    config.set("proxy", &of_client.url()).unwrap();
    let client = Client::with_source(&config, &source).unwrap();
    client.set_secret("proxy.password", Secret::new("a wrong one".into())).unwrap();
    client.start().unwrap();
    rig.seen.wait_state(State::ReauthRequired, 1);
    client.set_secret("proxy.password", Secret::new("the right one".into())).unwrap();
    rig.seen.wait_state(State::Ready, 1);
    assert!(rig.sim.record().token_requests() > 0);
    let shown: std::collections::HashSet<_> = of_source.asked().iter().map(|asked| asked.head.clone()).collect();
    assert_eq!(shown.len(), 1, "one password was shown to the proxy of the source: {shown:?}");
    assert!(client.shutdown(Some(BOUND)).complete && source.release(Some(BOUND)));
}

#[test]
fn what_a_proxy_may_answer() {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let status = Reply::status;
    let ok = "HTTP/1.1 200 OK\r\n";
    let refused_with = |status| (Code::ProxyRefused, status);
    let cases = [
        ("403", status("403 Forbidden", ""), refused_with(403), "answered 403"),
        ("502", status("502 Bad Gateway", "Content-Length: 3\r\n"), refused_with(502), "answered 502"),
        ("302", status("302 Found", "Location: http://x/\r\n"), refused_with(302), "answered 302"),
        ("NTLM", status("407 No", "Proxy-Authenticate: NTLM\r\n"), (Code::ProxyAuth, 407), "asks for NTLM"),
        ("garbage", Reply::Say(bytes("SSH-2.0-OpenSSH\r\n")), refused_with(0), "not HTTP"),
        ("half a head", Reply::SayAndHangUp(bytes(ok)), refused_with(0), "hung up"),
        ("nothing", Reply::HangUp, refused_with(0), ""),
        (
            "extra bytes",
            Reply::Say(bytes("HTTP/1.1 200 OK\r\n\r\nSURPRISE")),
            refused_with(200),
            "more than its answer",
        ),
        ("endless head", Reply::Say([bytes(ok), vec![b'a'; 40_000]].concat()), refused_with(0), "too long"),
        ("silent", Reply::Silent, (Code::ProxyTimeout, 0), "1500 ms"),
        ("half a head and silent", Reply::Say(bytes(ok)), (Code::ProxyTimeout, 0), "1500 ms"),
    ];
    each(cases, |(which, reply, (code, http_status), text)| {
        let proxy = Proxy::start();
        proxy.then(reply);
        // Only who waits for it has a short limit: on a busy machine an honest answer may take its time.
        let silent = code == Code::ProxyTimeout;
        let rig = behind(&proxy).key("proxy.timeout_ms", if silent { 1_500 } else { 10_000 }).build();
        let error = refused(&rig);
        assert_eq!(told(&error), (code, Stage::Proxy, http_status, proxy.addr().to_string()), "{which}: {error}");
        assert!(error.to_string().contains(text), "{which}: {error}");
        assert_eq!(rig.sim.record().token_requests(), 0, "{which}");
        // The same client, an honest answer: all is well.
        if !silent {
            rig.client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{which}: then {error}"));
        }
        rig.close();
    });
}

#[test]
fn odd_answers_that_open_the_way() {
    let heads = [
        "HTTP/1.0 200 Connection established\n\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 299\r\nX: y\r\n\r\n",
    ];
    each(heads, |head| {
        let proxy = Proxy::start();
        proxy.always(Reply::Slowly(head.as_bytes().to_vec()));
        behind(&proxy).connect().close();
    });
}

#[test]
fn the_socket_s_proxy_is_told_like_the_token_s() {
    let proxy = Proxy::start();
    proxy.then(Reply::Honest).then(Reply::status("503 Busy", ""));
    let rig = behind(&proxy).build();
    let error = refused(&rig);
    assert_eq!(told(&error), (Code::ProxyRefused, Stage::Proxy, 503, proxy.addr().to_string()), "{error}");
    assert!(error.is_retriable());
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

#[test]
fn a_proxy_that_is_not_there() {
    let setup = Setup::default().key("token.attempts", 1);
    let gone = Proxy::start().addr();
    let rig = setup.key("proxy", format!("http://{gone}")).build();
    let error = refused(&rig);
    assert_eq!(told(&error), (Code::Connect, Stage::Connect, 0, gone.to_string()), "{error}");
    rig.close();
    // A label above 63 characters is refused without asking anybody.
    let name = format!("{}.invalid", "x".repeat(64));
    let mut config = Setup::default().config;
    assert_eq!(code(config.set("proxy", &format!("http://{name}:1"))), Some(Code::BadValue));
}

#[test]
fn the_limit_of_the_whole_request_says_where_it_was() {
    // Long enough to get there on a busy machine.
    const LIMIT_MS: u32 = 5_000;
    each([true, false], |proxied| {
        let proxy = Proxy::start();
        proxy.then(Reply::Silent);
        let setup = if proxied {
            behind(&proxy)
        } else {
            Setup::default().key("token.attempts", 1).key("connect.overlap", "off")
        };
        let rig = setup.key("token.timeout_ms", LIMIT_MS).build();
        rig.sim.tcp().then(TcpReply::Stall);
        let error = refused(&rig);
        let wanted = if proxied {
            (Code::ProxyTimeout, Stage::Proxy, 0, proxy.addr().to_string())
        } else {
            (Code::TlsTimeout, Stage::Tls, 0, rig.sim.addr().to_string())
        };
        assert_eq!(told(&error), wanted, "{error}");
        assert!(error.to_string().contains("whole request"), "{error}");
        rig.close();
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_silent_proxy() {
    for (before, what) in [(0, "token"), (1, "socket")] {
        let proxy = Proxy::start();
        (0..before).for_each(|_| _ = proxy.then(Reply::Honest));
        proxy.always(Reply::Silent);
        let rig = behind(&proxy).key("proxy.timeout_ms", 300_000).key("token.timeout_ms", 300_000).build();
        rig.client.start().unwrap();
        assert!(proxy.wait_asked(before + 1, BOUND), "{what}");
        // Far below the proxy's limit: what is waited for is the end, and it is not the limit that brings it.
        let report = rig.client.shutdown(Some(Duration::from_secs(20)));
        assert!(report.complete, "{what}: {report:?}");
    }
}
