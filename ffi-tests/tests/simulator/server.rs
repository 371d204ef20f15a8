//! TLS, the port, and the life of the simulator.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ffi_tests::sim::{End, Leaf, Options, Sim, TcpReply, TlsOptions, TokenReply};

use crate::client::{self, connect, dial_as, tcp, BOUND};

fn with_tls(tls: TlsOptions) -> Sim {
    Sim::start(Options { tls: Some(tls), ..Options::default() })
}

#[test]
fn the_certificate_is_good_for_all_its_names() {
    let sim = Sim::start(Options::default());
    for name in ["localhost", "api.localhost", "127.0.0.1", "::1"] {
        assert!(dial_as(&sim, name).is_ok(), "{name}");
    }
    assert!(dial_as(&sim, "elsewhere.example").is_err());
    let failed = |log: &ffi_tests::sim::Log| log.tls.iter().any(|shake| shake.result.is_err());
    assert!(sim.record().wait_until(BOUND, failed));
}

#[test]
fn broken_certificates_are_broken() {
    for (leaf, words) in
        [(Leaf::Expired, "Expired"), (Leaf::WrongHost, "NotValidForName"), (Leaf::SelfSigned, "UnknownIssuer")]
    {
        let sim = with_tls(TlsOptions { leaf, ..TlsOptions::default() });
        let error = dial_as(&sim, "localhost").err().expect("no handshake");
        let said = format!("{:?} {error}", error.get_ref());
        assert!(said.contains(words) || said.to_lowercase().contains(&words.to_lowercase()), "{leaf:?}: {said}");
    }
}

#[test]
fn tls_is_as_narrow_as_asked() {
    let sim = with_tls(TlsOptions { tls12_only: true, chacha20_only: true, ..TlsOptions::default() });
    let _socket = connect(&sim);
    let log = sim.record().snapshot();
    let facts = log.tls[0].result.as_ref().unwrap();
    assert_eq!(facts.version, "TLSv1_2");
    assert!(facts.suite.contains("CHACHA20"), "{facts:?}");
}

#[test]
fn plain_mode_has_plain_urls() {
    let sim = Sim::start(Options { tls: None, ..Options::default() });
    assert!(sim.token_url().starts_with("http://127.0.0.1:"));
    assert!(sim.ws_url().starts_with("ws://") && sim.ca_pem().is_empty());
    connect(&sim);
}

#[test]
fn down_refuses_and_up_serves_again_on_the_same_port() {
    let sim = Sim::start(Options::default());
    let mut socket = connect(&sim);
    sim.down();
    assert!(socket.read().is_err());
    let refused = TcpStream::connect(sim.addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    sim.up();
    connect(&sim);
    sim.restart();
    connect(&sim);
    let first = sim.record().snapshot().connections[0].clone();
    assert_eq!(first.end.map(|(_, end)| end), Some(End::Dropped));
}

#[test]
fn a_taken_port_is_an_error() {
    let sim = Sim::start(Options::default());
    let second = Sim::try_start(Options { port: sim.addr().port(), ..Options::default() });
    assert!(second.is_err());
}

#[test]
fn tcp_connections_are_scripted() {
    let sim = Sim::start(Options::default());
    let first_byte = || tcp(&sim).read(&mut [0; 1]);
    sim.tcp().then(TcpReply::Drop).then(TcpReply::Reset).then(TcpReply::Garbage(b"SSH-2.0".to_vec()));
    assert_eq!(first_byte().unwrap(), 0);
    assert_eq!(first_byte().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(dial_as(&sim, "localhost").is_err());
    sim.tcp().then(TcpReply::Stall).always(TcpReply::Serve);
    let stalled = tcp(&sim);
    stalled.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    assert_eq!((&stalled).read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(dial_as(&sim, "localhost").is_ok());
}

#[test]
fn stopping_is_quick_whatever_is_going_on() {
    let sim = Sim::start(Options::default());
    sim.token().then(TokenReply::Issue(ffi_tests::sim::Issue::new()));
    let mut socket = connect(&sim);
    let idle = tcp(&sim);
    sim.ws().go_silent();
    sim.token().always(TokenReply::Delay { ms: 60_000, then: Box::new(TokenReply::Hang) });
    let mut wire = client::dial(&sim);
    std::io::Write::write_all(&mut wire, client::good_request().as_bytes()).unwrap();
    assert!(sim.record().wait_until(BOUND, |log| log.token_requests() == 2));
    let began = Instant::now();
    drop(sim);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(socket.read().is_err());
    assert_eq!((&idle).read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn it_listens_where_it_is_told_to() {
    let ip = std::net::Ipv6Addr::LOCALHOST.into();
    let sim = Sim::start(Options { ip, ..Options::default() });
    assert!(sim.token_url().starts_with("https://[::1]:"), "{}", sim.token_url());
    assert!(dial_as(&sim, "::1").is_ok());
}

#[test]
fn a_second_handshake_can_resume_the_first() {
    let sim = Sim::start(Options::default());
    let config = client::tls_config(sim.ca_pem());
    for _ in 0..2 {
        let mut wire = client::dial_with(&sim, "localhost", &config).unwrap();
        assert_eq!(client::exchange(&mut wire, &client::good_request()).unwrap().status, 200);
    }
    let resumed = |log: &ffi_tests::sim::Log| {
        let facts = log.tls.iter().map(|shake| shake.result.as_ref().unwrap().resumed);
        facts.collect::<Vec<_>>()
    };
    assert_eq!(sim.record().read(resumed), [false, true]);
}

#[test]
fn client_certificates_can_be_required() {
    let sim = with_tls(TlsOptions { client_certificate: true, ..TlsOptions::default() });
    let ask = |config| {
        let mut wire = client::dial_with(&sim, "localhost", &config)?;
        client::exchange(&mut wire, &client::good_request())
    };
    assert!(ask(client::tls_config(sim.ca_pem())).is_err());
    assert_eq!(ask(client::tls_config_with_certificate(&sim)).unwrap().status, 200);
    assert!(sim.record().wait_until(BOUND, |log| log.tls.len() == 2));
    let mut shakes = sim.record().snapshot().tls;
    shakes.sort_by_key(|shake| shake.tcp);
    assert!(shakes[0].result.is_err());
    assert!(shakes[1].result.as_ref().unwrap().client_certificate);
}
