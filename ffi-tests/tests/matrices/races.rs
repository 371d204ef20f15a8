//! Destroy races: a client is ended from two threads at once while others call everything, wherever it hangs.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use ffi_tests::cprog::{each, Program, Variant};
use ffi_tests::proxy::{Proxy, Reply};
use ffi_tests::shim::Net;
use ffi_tests::sim::{AuthReply, Log, Sim, TcpReply, TokenReply, UpgradeReply};
use socket2::{Domain, Socket, Type};

use crate::{renewing, say};

/// `free.timeout_ms` unless set.
const FREE_MS: u64 = 5_000;
/// For a busy machine, on top of the bound.
const SLACK_MS: u64 = 5_000;
/// Longest wait for a stage to be reached.
const BOUND: Duration = Duration::from_secs(60);
const ENDS: [&str; 2] = ["free", "shutdown"];

/// Where the network goes silent, and how the simulator's record shows that the client is there.
struct Stage {
    name: &'static str,
    script: fn(&Sim),
    reached: fn(&Log) -> bool,
}

const STAGES: [Stage; 5] = [
    Stage { name: "TLS", script: |sim| _ = sim.tcp().always(TcpReply::Stall), reached: |log| log.tcp_connections > 0 },
    Stage {
        name: "token request",
        script: |sim| _ = sim.token().always(TokenReply::Hang),
        reached: |log| log.token_requests() > 0,
    },
    Stage {
        name: "upgrade",
        script: |sim| _ = sim.ws().always_upgrade(UpgradeReply::Hang),
        reached: |log| log.requests.iter().any(|request| request.path == "/ws"),
    },
    Stage {
        name: "authentication",
        script: |sim| _ = sim.ws().always_first_auth(AuthReply::Never),
        reached: |log| log.auths() > 0,
    },
    Stage {
        name: "renewal",
        script: |sim| _ = sim.ws().always_reauth(AuthReply::Never),
        reached: |log| log.reauths() > 0,
    },
];

/// An address that answers no SYN: that of a listener whose backlog is full.
pub struct BlackHole {
    listener: Socket,
    _full: TcpStream,
}

impl BlackHole {
    pub fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        Self { listener, _full: TcpStream::connect(address).unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }
}

fn program<'a>(sim: &'a Sim, variant: Variant, how: &str, place: &str) -> Program<'a> {
    let program = Program::new("destroy_race", variant).against(sim).set("close.timeout_ms", 300);
    program.arg(how).arg(place).limit(Duration::from_secs(120) * variant.slowness().min(5))
}

fn assert_bounded(name: &str, how: &str, variant: Variant, longest_ms: u64) {
    let bound_ms = FREE_MS * u64::from(variant.slowness()) + SLACK_MS;
    assert!(longest_ms <= bound_ms, "{name}, {how}: {longest_ms} ms, at most {bound_ms}");
    say(&format!("destroy race: {name}, {how}: {longest_ms} ms at most, {}", variant.name()));
}

#[test]
fn while_the_server_is_silent() {
    for Stage { name, script, reached } in STAGES {
        for how in ENDS {
            each("destroy_race", |variant| {
                let sim = renewing(variant);
                script(&sim);
                let mut running = program(&sim, variant, how, "harness").start();
                assert!(sim.record().wait_until(BOUND, reached), "{name} is reached");
                running.go();
                assert_bounded(name, how, variant, running.finish().passed().number("longest_end_ms"));
            });
        }
    }
}

#[test]
fn while_nobody_answers_a_syn() {
    let hole = BlackHole::new();
    for how in ENDS {
        each("destroy_race", |variant| {
            let sim = renewing(variant);
            let program = program(&sim, variant, how, "now").env("GWA_TEST_COUNT", 5);
            let run = program.env("GWA_TOKEN_URL", format!("https://{}/oauth/token", hole.address())).run().passed();
            assert_bounded("connect", how, variant, run.number("longest_end_ms"));
            assert_eq!(sim.record().token_requests(), 0);
        });
    }
}

#[test]
fn while_the_resolver_hangs() {
    for how in ENDS {
        each("destroy_race", |variant| {
            if variant != Variant::Plain {
                return; // the shim and the tools both want to come first
            }
            let sim = renewing(variant);
            let program = program(&sim, variant, how, "resolver");
            let named = sim.token_url().replace("127.0.0.1", "api.localhost");
            let (program, _report) = Net::HangResolver.under(program.env("GWA_TOKEN_URL", named));
            assert_bounded("DNS", how, variant, program.run().passed().number("longest_end_ms"));
        });
    }
}

#[test]
fn while_a_proxy_is_silent() {
    for how in ENDS {
        each("destroy_race", |variant| {
            let (sim, proxy) = (renewing(variant), Proxy::start());
            proxy.always(Reply::Silent);
            let mut running = program(&sim, variant, how, "harness").set("proxy", proxy.url()).start();
            assert!(proxy.wait_asked(1, BOUND));
            running.go();
            assert_bounded("proxy", how, variant, running.finish().passed().number("longest_end_ms"));
        });
    }
}

#[test]
fn anywhere_on_the_way() {
    for place in ["now", "signal"] {
        for how in ENDS {
            each("destroy_race", |variant| {
                let sim = renewing(variant);
                let rounds = if variant == Variant::Plain { 100 } else { 20 };
                let run = program(&sim, variant, how, place).env("GWA_TEST_COUNT", rounds).run().passed();
                assert_eq!(run.number("rounds"), rounds);
                assert_bounded(&format!("{rounds} rounds, {place}"), how, variant, run.number("longest_end_ms"));
            });
        }
    }
}
