//! How a client ends: while it dials, in its own callbacks, at exit, ten thousand times over.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use ffi_tests::cprog::{each, Program};
use ffi_tests::sim::{AuthReply, Log, Sim, TcpReply, TokenReply, UpgradeReply};
use socket2::{Domain, Socket, Type};

use crate::{honest, pumping, BOUND};

/// The client hangs at a stage; then shutdown, free, and both while another thread is inside `connect`.
fn ends_at(stage: &str, script: impl Fn(&Sim), reached: impl Fn(&Log) -> bool) {
    for (how, who) in [("shutdown", "start"), ("free", "start"), ("shutdown", "connect"), ("free", "connect")] {
        each("close_while_dialling", |variant| {
            let sim = honest(variant);
            script(&sim);
            let program = Program::new("close_while_dialling", variant).against(&sim).arg(how).arg(who);
            let mut running = program.start();
            assert!(sim.record().wait_until(BOUND, &reached), "{stage} is reached");
            running.go();
            running.finish().passed();
        });
    }
}

#[test]
fn while_tls_hangs() {
    ends_at("TLS", |sim| _ = sim.tcp().always(TcpReply::Stall), |log| log.tcp_connections > 0);
}

#[test]
fn while_the_token_request_hangs() {
    ends_at("token", |sim| _ = sim.token().always(TokenReply::Hang), |log| log.token_requests() > 0);
}

#[test]
fn while_the_upgrade_hangs() {
    let upgrade = |log: &Log| log.requests.iter().any(|request| request.path == "/ws");
    ends_at("upgrade", |sim| _ = sim.ws().always_upgrade(UpgradeReply::Hang), upgrade);
}

#[test]
fn while_the_auth_reply_hangs() {
    ends_at("auth", |sim| _ = sim.ws().always_first_auth(AuthReply::Never), |log| log.auths() > 0);
}

#[test]
fn while_tcp_hangs() {
    // A listener whose backlog is full answers no SYN.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _full = TcpStream::connect(address).unwrap();
    for (how, who) in [("shutdown", "start"), ("free", "connect")] {
        each("close_while_dialling", |variant| {
            let sim = honest(variant);
            let program = Program::new("close_while_dialling", variant).against(&sim).arg(how).arg(who);
            let mut running = program.env("GWA_TOKEN_URL", format!("https://{address}/oauth/token")).start();
            running.go();
            running.finish().passed();
            assert_eq!(sim.record().token_requests(), 0);
        });
    }
}

#[test]
fn no_callback_after_free() {
    each("no_callback_after_free", |variant| {
        let sim = pumping(variant, 1, 0);
        let races = if variant.slowness() > 2 { 200 } else { 10_000 };
        let program = Program::new("no_callback_after_free", variant).against(&sim);
        let program = program.set("close.timeout_ms", 100).limit(Duration::from_secs(300));
        let run = program.env("GWA_TEST_COUNT", races).run().passed();
        assert!(run.number("longest_free_ms") < 4_000 * u64::from(variant.slowness()), "{}", run.stdout);
        assert_eq!(run.number("races"), races);
        assert!(sim.record().ws_connects() as u64 >= run.number("live"));
    });
}
