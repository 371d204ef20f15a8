use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;

use super::*;
use crate::config::settings::{Proxies, Proxy, Trust};
use crate::shell::testing::{plain, read_until, secure, serve, serve_tls, Authority, Side};

fn code(settings: Settings) -> (Code, Stage) {
    let error = Side::new(settings).dial().map(drop).unwrap_err();
    assert!(error.detail().host.contains(':'), "{error}");
    (error.code(), error.detail().stage)
}

#[test]
fn a_refused_connection_keeps_its_errno() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Side::new(plain(address)).dial().map(drop).unwrap_err();
    assert_eq!((error.code(), error.detail().os_errno), (Code::Connect, libc::ECONNREFUSED));
    assert_eq!(error.detail().host, address.to_string());
}

#[test]
fn a_name_without_address_is_an_error_of_its_own() {
    // A label above 63 characters is refused without asking anybody.
    let ws_url = format!("wss://{}.invalid/ws", "x".repeat(64));
    let authority = Authority::new();
    let trust = Trust::Memory(authority.pem().into_bytes());
    assert_eq!(code(Settings { ws_url, trust, ..Settings::default() }), (Code::Dns, Stage::Resolve));
}

#[test]
fn connecting_and_tls_have_their_own_limits() {
    let silent = serve(|mut peer| drop(read_until(&mut peer, b"never")));
    let settings = Settings { connect_timeout_ms: 0, ..plain(silent) };
    assert_eq!(code(settings), (Code::ConnectTimeout, Stage::Connect));
    let settings = Settings { tls_timeout_ms: 5, ..secure(silent, &Authority::new()) };
    assert_eq!(code(settings), (Code::TlsTimeout, Stage::Tls));
}

#[test]
fn a_look_up_that_takes_too_long_says_so() {
    let silent = serve(|mut peer| drop(read_until(&mut peer, b"never")));
    let mut settings = secure(silent, &Authority::new());
    settings.ws_url = "wss://localhost.localdomain/".into();
    settings.connect_timeout_ms = 0;
    // It may have failed within the millisecond: either way it is the look-up that is told.
    assert_eq!(code(settings), (Code::Dns, Stage::Resolve));
}

/// Settings with this proxy in front of everything.
fn behind(host: &str, port: u16, settings: Settings) -> Settings {
    let proxy = Some(Proxy { host: host.into(), port, authorization: None, login: None, except: Vec::new() });
    Settings { proxies: Proxies { token: proxy.clone(), socket: proxy }, ..settings }
}

/// Who is named, with code and step.
fn told(settings: Settings) -> (String, Code, Stage) {
    let error = Side::new(settings).dial().map(drop).unwrap_err();
    (error.detail().host.clone(), error.code(), error.detail().stage)
}

#[test]
fn faults_on_the_way_to_a_proxy_name_the_proxy() {
    let server = serve(|mut peer| drop(read_until(&mut peer, b"never")));
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = "x".repeat(64);
    let peer = format!("{nowhere}:1");
    assert_eq!(told(behind(&nowhere, 1, plain(server))), (peer, Code::Dns, Stage::Resolve));
    let gone = behind("127.0.0.1", refused.port(), plain(server));
    assert_eq!(told(gone), (refused.to_string(), Code::Connect, Stage::Connect));
    let silent = Settings { proxy_timeout_ms: 5, ..behind("127.0.0.1", server.port(), plain(refused)) };
    assert_eq!(told(silent), (server.to_string(), Code::ProxyTimeout, Stage::Proxy));
}

#[test]
fn a_way_through_a_proxy_is_the_server_s_from_the_first_byte() {
    let (authority, opens) = (Authority::new(), b"HTTP/1.1 200 OK\r\n\r\n");
    let server = serve_tls(authority.server(&["localhost"], 2100), |mut peer| drop(read_until(&mut peer, b"never")));
    let proxy = serve(move |mut client| {
        let asked = String::from_utf8(read_until(&mut client, b"\r\n\r\n")).unwrap();
        assert!(asked.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port())), "{asked}");
        opens.chunks(1).for_each(|byte| client.write_all(byte).unwrap());
        crate::shell::testing::join(client, std::net::TcpStream::connect(server).unwrap());
    });
    let mut side = Side::new(behind("localhost", proxy.port(), secure(server, &authority)));
    assert!(side.dial().unwrap().stream.is_tls());
}

#[test]
fn what_is_under_way_can_be_asked_at_any_time() {
    let server = serve(|mut peer| drop(read_until(&mut peer, b"never")));
    let settings = behind("127.0.0.1", server.port(), secure(server, &Authority::new()));
    let side = Side::new(settings);
    let target = side.net.target(&side.net.settings.ws_url).unwrap();
    let dial = Dial::start(&side.net, target, &side.waiter, side.clock.now()).unwrap();
    assert_eq!(dial.under_way(), (Code::ConnectTimeout, Stage::Connect));
    assert_eq!(dial.peer_at(Stage::Connect), server.to_string());
    assert_eq!(dial.peer_at(Stage::Tls), format!("localhost:{}", server.port()));
}

#[test]
fn an_end_that_comes_with_the_connection_is_not_overlooked() {
    let (sender, gone) = std::sync::mpsc::channel();
    let address = serve(move |mut peer| {
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(peer);
        sender.send(()).unwrap();
    });
    let mut side = Side::new(secure(address, &Authority::new()));
    let target = side.net.target(&side.net.settings.ws_url).unwrap();
    let mut dial = Dial::start(&side.net, target, &side.waiter, side.clock.now()).unwrap();
    assert!(dial.advance(side.clock.now(), &side.waiter).unwrap().is_none());
    gone.recv().unwrap();
    // Connected, readable and ended come in one wake.
    let error = loop {
        let woken = side.waiter.wait(Some(dial.deadline()), side.clock.now()).unwrap();
        woken.sockets().for_each(|ready| _ = dial.on_ready(ready));
        match dial.advance(side.clock.now(), &side.waiter) {
            Ok(opened) => assert!(opened.is_none()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::Tls, "{error}");
}

#[test]
fn bad_certificates_are_told_apart() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = |names: &[&str], until| {
        serve_tls(authority.server(names, until), |mut peer| drop(read_until(&mut peer, b"never")))
    };
    let good = server(&["localhost"], 2100);
    assert_eq!(code(secure(good, &stranger)), (Code::CertificateUntrusted, Stage::Tls));
    let other = server(&["example.com"], 2100);
    assert_eq!(code(secure(other, &authority)), (Code::CertificateHost, Stage::Tls));
    let expired = server(&["localhost"], 2001);
    assert_eq!(code(secure(expired, &authority)), (Code::CertificateExpired, Stage::Tls));
    assert!(Side::new(secure(good, &authority)).dial().is_ok());
}

#[test]
fn something_that_is_not_tls_is_told() {
    use std::io::Write;
    let address = serve(|mut peer| {
        let _ = peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        read_until(&mut peer, b"never");
    });
    assert_eq!(code(secure(address, &Authority::new())), (Code::Tls, Stage::Tls));
    let hung_up = serve(drop);
    assert_eq!(code(secure(hung_up, &Authority::new())), (Code::Tls, Stage::Tls));
}

#[test]
fn a_network_without_tls_needs_no_trust_store() {
    let address = serve(drop);
    let none = Trust::File("/nonexistent".into());
    let net = Net::new(Arc::new(Settings { trust: none.clone(), ..plain(address) })).unwrap();
    assert!(net.trust_report().is_none());
    let error = Net::new(Arc::new(Settings { trust: none, ..Settings::default() })).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::TrustStore);
}
