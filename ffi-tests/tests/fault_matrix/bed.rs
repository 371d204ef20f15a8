//! A simulator, the ways to it that can be broken, and a client: how every fault begins and ends.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ffi_tests::names::{Answer, Names};
use ffi_tests::netlink::{Line, Link};
use ffi_tests::netns;
use ffi_tests::proxy::{Proxy, Reply};
use ffi_tests::relay::{Flow, Gate, Relay};
use ffi_tests::sim::{AuthReply, Options, Plan, Pump, Sim, TlsOptions, TokenReply, UpgradeReply};
use genesys_ws_auth::{Client, Config, Secret};

use crate::rows::{Fault, Leg, Way};
use crate::watch::Watch;

/// The name both endpoints have where names matter; the simulator's certificate is good for it.
const NAME: &str = "api.localhost";
const LIVE_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const DEAD_ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Of the relays where names matter, in a namespace of their own: nothing else has them, at no address.
const PORTS: [u16; 2] = [8443, 8444];
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// How long tokens live where the endpoint is down for longer.
const SHORT_LIFE: Duration = Duration::from_secs(3);

/// Everything around a client.
pub struct Bed {
    pub sim: Sim,
    pub token: Relay,
    pub ws: Relay,
    names: Option<Names>,
    link: Option<Link>,
    /// Black holes at the dead address, on the ports of both relays.
    holes: Vec<Relay>,
    /// Between the client and both relays.
    proxy: Option<Proxy>,
    /// Shows the bad certificate.
    bad: Option<Sim>,
    config: Config,
    urls: [String; 2],
}

impl Bed {
    /// `resolver_s`: how long a resolver waits for an answer, of two it asks for.
    pub fn new(way: Way, fault: &Fault, resolver_s: u32) -> Self {
        let mut options = Options::default();
        options.ws.pump = Some(Pump::every(Duration::from_millis(200)));
        if matches!(fault, Fault::TokenOutage) {
            options.token.lifetime = SHORT_LIFE;
        }
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        if way != Way::Relay {
            netns::isolate().expect("namespaces");
            netns::resolve_at("127.0.0.1", resolver_s, scratch).expect("a resolver of our own");
        }
        let (sim, link) = match way {
            Way::Line => far_away(options),
            Way::Relay | Way::Named => (Sim::start(options), None),
        };
        let ip = if way == Way::Named { LIVE_ADDRESS } else { Ipv4Addr::LOCALHOST };
        let relay = |port| Relay::start_at(SocketAddr::new(ip.into(), port), sim.addr()).expect("a relay");
        let [token, ws] = if way == Way::Named { PORTS.map(relay) } else { [0, 0].map(relay) };
        let address = if way == Way::Line { FAR } else { LIVE_ADDRESS };
        let names = (way != Way::Relay).then(|| {
            let at = SocketAddr::from(([127, 0, 0, 1], 53));
            Names::start(at, Answer::Addresses(vec![address])).expect("a DNS server")
        });
        let host = if way == Way::Relay { "127.0.0.1" } else { NAME };
        let port = |relay: &Relay| if way == Way::Line { sim.addr().port() } else { relay.addr().port() };
        let urls = [format!("https://{host}:{}/oauth/token", port(&token)), format!("wss://{host}:{}/ws", port(&ws))];
        let (bad, roots) = bad_server(fault, &sim);
        let mut config = configure(&roots, &urls);
        let proxy = matches!(fault, Fault::Proxy(_)).then(Proxy::start);
        if let Some(proxy) = &proxy {
            config.set("proxy", &proxy.url()).expect("a key");
        }
        Self { sim, token, ws, names, link, holes: Vec::new(), proxy, bad, config, urls }
    }

    /// A client, told these settings besides; its hooks are the watch's.
    pub fn client(&self, settings: &[(&str, u64)], watch: &Arc<Watch>) -> Client {
        let mut config = self.config.clone();
        for (key, value) in settings {
            config.set(key, &value.to_string()).expect("a key");
        }
        config.hooks = watch.hooks();
        Client::new(&config).unwrap_or_else(|error| panic!("no client for {:?}: {error}", self.urls))
    }

    fn legs(&self, leg: Leg) -> Vec<&Relay> {
        match leg {
            Leg::Token => vec![&self.token],
            Leg::Ws => vec![&self.ws],
            Leg::Both => vec![&self.token, &self.ws],
        }
    }

    fn flow(&self, leg: Leg, flow: Flow) {
        for relay in self.legs(leg) {
            relay.flow_to_server(flow);
            relay.flow_to_client(flow);
        }
    }

    /// What the servers say gets through so.
    pub fn answers(&self, flow: Flow) {
        self.token.flow_to_client(flow);
        self.ws.flow_to_client(flow);
    }

    fn answer(&self, answer: Answer) {
        self.names.as_ref().expect("a name server").answer(answer);
    }

    fn line(&self, line: Line) {
        self.link.as_ref().expect("a line").set(line);
    }

    pub fn begin(&mut self, fault: &Fault) {
        match fault {
            Fault::DnsFails => self.answer(Answer::NoSuchName),
            Fault::DnsHangs => self.answer(Answer::Silence),
            Fault::OneAddressDead => self.one_address_dies(),
            Fault::Gate(leg, gate) => self.legs(*leg).into_iter().for_each(|relay| relay.gate(gate.clone())),
            Fault::Flow(leg, flow) => self.flow(*leg, *flow),
            Fault::Slow(leg) => self.flow(*leg, Flow::Throttle(1_000)),
            Fault::StopsReading => self.ws.flow_to_server(Flow::Freeze),
            Fault::Ends(leg, cut) => self.legs(*leg).into_iter().for_each(|relay| relay.cut(*cut)),
            Fault::Certificate(..) => self.lead_to(self.bad.as_ref().expect("a bad server").addr()),
            Fault::Proxy(line) => self.proxy_answers(line.map_or(Reply::Silent, |line| Reply::status(line, ""))),
            Fault::Upgrade(status, retry_after) => _ = self.sim.ws().always_upgrade(refusal(*status, *retry_after)),
            Fault::Plan(trigger, action) => {
                self.sim.ws().plan_every(Plan::new().on(*trigger, [action.clone()]));
            }
            Fault::TokenReset => _ = self.sim.token().always(TokenReply::Reset),
            Fault::TokenOutage => {
                self.token.gate(Gate::Refuse);
                self.token.cut(ffi_tests::relay::Cut::Reset);
            }
            Fault::Lossy => self.line(Line { delay: Duration::from_millis(40), loss_permille: 50 }),
            Fault::LineDown => self.line(Line::DEAD),
            Fault::Clock(jump) => jump.make(),
        }
    }

    pub fn end(&mut self, fault: &Fault) {
        match fault {
            Fault::DnsFails | Fault::DnsHangs | Fault::OneAddressDead => {
                self.answer(Answer::Addresses(vec![LIVE_ADDRESS]));
            }
            Fault::Gate(leg, _) => self.legs(*leg).into_iter().for_each(|relay| relay.gate(Gate::Open)),
            Fault::Flow(leg, _) | Fault::Slow(leg) => self.flow(*leg, Flow::Pass),
            Fault::StopsReading => self.ws.flow_to_server(Flow::Pass),
            Fault::Ends(..) | Fault::Clock(_) => {}
            Fault::Certificate(..) => self.lead_to(self.sim.addr()),
            Fault::Proxy(_) => self.proxy_answers(Reply::Honest),
            Fault::Upgrade(..) => _ = self.sim.ws().always_upgrade(UpgradeReply::Accept),
            Fault::Plan(..) => _ = self.sim.ws().plan_every(Plan::new()),
            Fault::TokenReset => _ = self.sim.token().honest(),
            Fault::TokenOutage => self.token.gate(Gate::Open),
            Fault::Lossy | Fault::LineDown => self.line(Line::default()),
        }
    }

    /// For faults that live connections do not feel: a plan for those that live already.
    pub fn live_plan(&self, fault: &Fault) {
        if let Fault::Plan(_, action) = fault {
            self.sim.ws().on_reauth(AuthReply::After(Box::new(AuthReply::Honest), vec![action.clone()]));
        }
    }

    fn proxy_answers(&self, reply: Reply) {
        self.proxy.as_ref().expect("a proxy").always(reply);
    }

    fn lead_to(&self, addr: SocketAddr) {
        self.token.upstream(addr);
        self.ws.upstream(addr);
    }

    fn one_address_dies(&mut self) {
        for port in [self.token.addr().port(), self.ws.addr().port()] {
            let hole = Relay::start_at(SocketAddr::new(DEAD_ADDRESS.into(), port), self.sim.addr()).expect("a hole");
            hole.gate(Gate::BlackHole);
            self.holes.push(hole);
        }
        self.answer(Answer::Addresses(vec![DEAD_ADDRESS, LIVE_ADDRESS]));
    }

    /// How many packets the line lost.
    pub fn packets_lost(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.counts().1)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // The simulator's door is shut by a connection to it.
        if let Some(link) = &self.link {
            link.set(Line::default());
        }
    }
}

/// A simulator in a namespace of its own, and the line to it.
fn far_away(mut options: Options) -> (Sim, Option<Link>) {
    options.ip = IpAddr::V4(FAR);
    let near = netns::tun("gwa-near", &NEAR.to_string(), &FAR.to_string()).expect("a device here");
    // A namespace is a thread's: what is started on this one stays on the far side.
    let there = thread::spawn(move || {
        netns::isolate().expect("a second namespace");
        let far = netns::tun("gwa-far", &FAR.to_string(), &NEAR.to_string()).expect("a device there");
        (Sim::start(options), far)
    });
    let (sim, far) = there.join().expect("the far side");
    let link = Link::start([near, far], Line::default(), 0x5EED).expect("a line");
    (sim, Some(link))
}

/// The server with the bad certificate, and the roots the client trusts.
fn bad_server(fault: &Fault, sim: &Sim) -> (Option<Sim>, String) {
    let mut roots = sim.ca_pem().to_owned();
    let Fault::Certificate(leaf, trusted) = fault else { return (None, roots) };
    let tls = TlsOptions { leaf: *leaf, ..TlsOptions::default() };
    let bad = Sim::start(Options { tls: Some(tls), ..Options::default() });
    if *trusted {
        roots.push_str(bad.ca_pem());
    }
    (Some(bad), roots)
}

fn configure(roots: &str, urls: &[String; 2]) -> Config {
    let policy = Options::default().token;
    let mut config = Config::new();
    let pairs = [
        ("token.url", urls[0].as_str()),
        ("ws.url", &urls[1]),
        ("tls.ca_pem", roots),
        ("client.id", &policy.client_id),
        ("token.attempts", "2"),
    ];
    for (key, value) in pairs {
        config.set(key, value).expect("a key");
    }
    config.set_secret("client.secret", Secret::new(policy.client_secret)).expect("a secret");
    config
}

/// Status 0 stands for a reset instead of an answer.
fn refusal(code: u16, retry_after: Option<u32>) -> UpgradeReply {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let mut headers: Vec<_> =
        retry_after.map(|seconds| header("Retry-After", seconds.to_string())).into_iter().collect();
    match code {
        0 => return UpgradeReply::Reset,
        301 => headers.push(header("Location", "https://localhost/elsewhere".to_owned())),
        _ => {}
    }
    UpgradeReply::Status { code, headers, body: "no".to_owned() }
}
