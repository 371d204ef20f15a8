//! Shutdown and free at every stage of a connection, each within its bound: `c/shutdown_stage.c`. The stages are data; what
//! they took is printed as a table. What else there is to say of the end is in `live/closing.rs` and `c_programs/ends.rs`.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use ffi_tests::cprog::{Outcome, Program, Running, Variant};
use ffi_tests::shim::Net;
use ffi_tests::sim::{AuthReply, Log, Options, Pump, Sim, TcpReply, TokenReply, UpgradeReply};
use socket2::{Domain, Socket, Type};

/// No test waits longer for a stage to be reached.
const BOUND: Duration = Duration::from_secs(30);
/// The close handshake, and an answer that may hold the only good refresh token, may take this long.
const CLOSE_MS: u64 = 400;
/// For a machine that is busy. The deadlines of the stages themselves are 10 s and more.
const SLACK_MS: u64 = 4_000;

/// Where the client is when it is ended.
struct Stage {
    name: &'static str,
    sim: fn(&mut Options),
    script: fn(&Sim),
    place: Place,
    reached: fn(&Log) -> bool,
    /// Whether shutdown may wait until `close.timeout_ms` is over; else it has nothing to wait for.
    waits: bool,
    /// Whether no close handshake is left unfinished: there may have been none.
    handshake: bool,
}

/// What stands in the way, apart from the simulator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Nothing.
    Sim,
    /// The token endpoint's name: the resolver hangs.
    TokenName,
    /// The socket's name.
    SocketName,
    /// The token endpoint's address: nobody answers a SYN.
    TokenAddress,
    /// The socket's address.
    SocketAddress,
    /// The simulator, without a refresh token that could be lost.
    Credentials,
    /// A proxy to the token endpoint that never answers.
    TokenProxy,
    /// A proxy to the socket that never answers.
    SocketProxy,
}

const AT_SIM: Stage = Stage {
    name: "",
    sim: |_| (),
    script: |_| (),
    place: Place::Sim,
    reached: |_| true,
    waits: false,
    handshake: true,
};

fn asked(log: &Log) -> bool {
    log.token_requests() == 1
}

fn authenticated(log: &Log) -> bool {
    log.auths.iter().any(|auth| auth.accepted == Some(true))
}

fn upgrading(log: &Log) -> bool {
    log.requests.iter().any(|request| request.path == "/ws")
}

fn trickle(sim: &Sim, chunk: usize) {
    sim.token().always(TokenReply::TrickleBytes { chunk, delay_ms: 60_000 });
}

fn stages() -> Vec<Stage> {
    vec![
        Stage { name: "DNS of the token endpoint", place: Place::TokenName, ..AT_SIM },
        Stage { name: "DNS of the socket", place: Place::SocketName, ..AT_SIM },
        Stage { name: "TCP to the token endpoint", place: Place::TokenAddress, ..AT_SIM },
        Stage { name: "TCP to the socket", place: Place::SocketAddress, ..AT_SIM },
        Stage { name: "proxy to the token endpoint", place: Place::TokenProxy, ..AT_SIM },
        Stage { name: "proxy to the socket", place: Place::SocketProxy, ..AT_SIM },
        Stage {
            name: "TLS to the token endpoint",
            script: |sim| _ = sim.tcp().always(TcpReply::Stall),
            reached: |log| log.tcp_connections == 1,
            ..AT_SIM
        },
        Stage {
            name: "TLS to the socket",
            script: |sim| _ = sim.tcp().then(TcpReply::Serve).always(TcpReply::Stall),
            reached: |log| log.tcp_connections == 2,
            ..AT_SIM
        },
        Stage {
            name: "token request",
            script: |sim| _ = sim.token().always(TokenReply::Hang),
            place: Place::Credentials,
            reached: asked,
            ..AT_SIM
        },
        Stage {
            name: "token request, refresh token",
            script: |sim| _ = sim.token().always(TokenReply::Hang),
            reached: asked,
            waits: true,
            ..AT_SIM
        },
        Stage {
            name: "head of the token answer",
            script: |sim| trickle(sim, 20),
            place: Place::Credentials,
            reached: asked,
            ..AT_SIM
        },
        Stage {
            name: "body of the token answer",
            script: |sim| trickle(sim, 300),
            place: Place::Credentials,
            reached: asked,
            ..AT_SIM
        },
        Stage { name: "body, refresh token", script: |sim| trickle(sim, 300), reached: asked, waits: true, ..AT_SIM },
        Stage {
            name: "upgrade",
            script: |sim| _ = sim.ws().always_upgrade(UpgradeReply::Hang),
            reached: upgrading,
            ..AT_SIM
        },
        Stage {
            name: "authentication",
            script: |sim| _ = sim.ws().always_first_auth(AuthReply::Never),
            reached: |log| log.auths() > 0,
            ..AT_SIM
        },
        Stage { name: "live", reached: authenticated, ..AT_SIM },
        Stage {
            name: "live, messages flow",
            sim: |options| options.ws.pump = Some(Pump::every(Duration::from_millis(1))),
            reached: |log| log.messages_sent() > 20,
            ..AT_SIM
        },
        Stage {
            name: "renewal not acknowledged",
            sim: |options| options.token.lifetime = Duration::from_secs(4),
            script: |sim| _ = sim.ws().always_reauth(AuthReply::Never),
            reached: |log| log.reauths() > 0,
            ..AT_SIM
        },
        Stage {
            name: "close not answered",
            sim: |options| options.ws.ignore_close = true,
            reached: authenticated,
            waits: true,
            handshake: false,
            ..AT_SIM
        },
        Stage {
            name: "between two attempts",
            script: |sim| _ = sim.token().always(TokenReply::Throttle429 { retry_after: Some("600".to_owned()) }),
            reached: |log| log.requests.iter().any(|request| request.status == Some(429)),
            ..AT_SIM
        },
    ]
}

/// How the end comes: by which function, and who waits meanwhile.
const ENDS: [(&str, &str); 3] = [("shutdown", "start"), ("free", "start"), ("free", "connect")];

/// A listener whose backlog is full answers no SYN.
struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _full: TcpStream,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        Self { address, _full: TcpStream::connect(address).unwrap(), _listener: listener }
    }

    /// Waits until somebody's SYN to it is under way (state 02 in the kernel's table).
    fn wait_dialled(&self) {
        let remote = format!(":{:04X} 02 ", self.address.port());
        let until = Instant::now() + BOUND;
        while !fs::read_to_string("/proc/net/tcp").unwrap().contains(&remote) {
            assert!(Instant::now() < until, "nobody dials");
            std::thread::yield_now();
        }
    }
}

/// A proxy that takes connections and says nothing.
struct SilentProxy(TcpListener);

impl SilentProxy {
    fn new() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Waits until it is asked for a tunnel; the connection stays open as long as what this gives.
    fn wait_asked(&self) -> TcpStream {
        let (mut stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let mut word = [0; 8];
        stream.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"CONNECT ");
        stream
    }
}

fn started<'a>(program: Program<'a>, stage: &Stage, sim: &Sim, hole: Option<&BlackHole>) -> Running<'a> {
    let named = |url: String| url.replace("127.0.0.1", "api.localhost");
    let at = |path: &str| hole.map_or_else(String::new, |hole| format!("{}{path}", hole.address));
    let program = match stage.place {
        Place::Sim => program,
        Place::TokenName => program.env("GWA_TOKEN_URL", named(sim.token_url())),
        Place::SocketName => program.env("GWA_WS_URL", named(sim.ws_url())),
        Place::TokenAddress => program.env("GWA_TOKEN_URL", format!("https://{}", at("/oauth/token"))),
        Place::SocketAddress => program.env("GWA_WS_URL", format!("wss://{}", at("/ws"))),
        Place::Credentials => program.env("GENESYS_REFRESH_TOKEN", ""),
        Place::TokenProxy | Place::SocketProxy => program,
    };
    program.start()
}

/// Brings a client to the stage and ends it there.
fn end_at(stage: &Stage, how: &str, who: &str) -> Outcome {
    let hangs = matches!(stage.place, Place::TokenName | Place::SocketName);
    let hole = matches!(stage.place, Place::TokenAddress | Place::SocketAddress).then(BlackHole::new);
    let mut options = Options::default();
    (stage.sim)(&mut options);
    let sim = Sim::start(options);
    (stage.script)(&sim);
    let program = Program::new("shutdown_stage", Variant::Plain).against(&sim).set("close.timeout_ms", CLOSE_MS);
    let program = program.arg(how).arg(who).arg(if hangs { "resolver" } else { "" });
    // One thing after the other: each stage is reached by one connection.
    let program = program.set("connect.overlap", "off");
    let proxy = SilentProxy::new();
    let program = match stage.place {
        Place::TokenProxy => program.set("proxy.https", proxy.url()),
        Place::SocketProxy => program.set("proxy.wss", proxy.url()),
        _ => program,
    };
    let (program, _report) = if hangs { Net::HangResolver } else { Net::Count }.under(program);
    let mut running = started(program, stage, &sim, hole.as_ref());
    if let Some(hole) = &hole {
        hole.wait_dialled();
    }
    let _tunnel = matches!(stage.place, Place::TokenProxy | Place::SocketProxy).then(|| proxy.wait_asked());
    if !hangs {
        if !sim.record().wait_until(BOUND, stage.reached) {
            panic!("{} is never reached: {:?}", stage.name, running.finish());
        }
        running.go();
    }
    running.finish().passed()
}

#[test]
fn every_stage_ends_within_its_bound() {
    let stages = stages();
    let mut table = Vec::new();
    for stage in &stages {
        let mut row = format!("  {:<30}", stage.name);
        for (how, who) in ENDS {
            let outcome = end_at(stage, how, who);
            let took_ms = outcome.number("took_ms");
            let bound_ms = if stage.waits { CLOSE_MS } else { 0 } + SLACK_MS;
            assert!(took_ms <= bound_ms, "{}, {how} after {who}: {took_ms} ms, at most {bound_ms}", stage.name);
            row.push_str(&format!(" {took_ms:>9}"));
            if how == "shutdown" {
                let stuck = u64::from(matches!(stage.place, Place::TokenName | Place::SocketName));
                let left = (outcome.number("close_handshake") == 1, outcome.number("resolvers_stuck"));
                assert_eq!(left, (stage.handshake, stuck), "{}", stage.name);
            }
        }
        table.push(format!("{row} {:>6}", if stage.waits { CLOSE_MS } else { 0 }));
    }
    eprintln!("Time to an end in ms: shutdown, free, free while connect waits; what it may wait for by its settings");
    table.iter().for_each(|row| eprintln!("{row}"));
}
