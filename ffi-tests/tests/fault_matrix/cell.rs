//! One cell, in a process of its own.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ffi_tests::relay::{Cut, Flow};
use ffi_tests::sim::{Log, TokenReply};
use genesys_ws_auth::event::{MessageKind, State};
use genesys_ws_auth::{Client, Code, Error, Stage};

use crate::bed::Bed;
use crate::rows::{find, Cell, Expect, Fault, Moment, Phase};
use crate::watch::{Told, Watch};

/// No wait inside a cell is longer with shrunk deadlines; the circuit breaker alone may take a minute.
const BOUND: Duration = Duration::from_secs(150);
/// What a shutdown may take beyond the close handshake, on a loaded machine.
const SLACK: Duration = Duration::from_secs(5);
/// How often connect is tried where a machine under load may have missed another deadline first.
const TRIES: usize = 4;

/// How much shorter deadlines are than a client's defaults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scale {
    Real,
    Twentieth,
}

impl Scale {
    pub fn from_env() -> Self {
        if std::env::var_os("GWA_REAL_DEADLINES").is_some_and(|value| value == "1") {
            Self::Real
        } else {
            Self::Twentieth
        }
    }

    pub fn divisor(self) -> u64 {
        match self {
            Self::Real => 1,
            Self::Twentieth => 20,
        }
    }
}

/// The deadlines of a client and their defaults.
const DEADLINES: [(&str, u64); 10] = [
    ("connect.timeout_ms", 10_000),
    ("proxy.timeout_ms", 10_000),
    ("tls.timeout_ms", 10_000),
    ("token.timeout_ms", 15_000),
    ("ws.upgrade_timeout_ms", 10_000),
    ("ws.auth_timeout_ms", 10_000),
    ("ws.ping_after_ms", 25_000),
    ("ws.dead_after_ms", 10_000),
    ("ws.expired_grace_ms", 25_000),
    ("close.timeout_ms", 2_000),
];

/// Whether an error is a deadline that was missed.
fn is_deadline(code: Code) -> bool {
    use Code::{AuthTimeout, ConnectTimeout, HttpTimeout, PeerDead, ProxyTimeout, TlsTimeout, UpgradeTimeout};
    matches!(code, ConnectTimeout | ProxyTimeout | TlsTimeout | HttpTimeout | UpgradeTimeout | AuthTimeout | PeerDead)
}

/// Only a cell that waits for a deadline has shorter ones: elsewhere a machine under load would miss them.
fn deadlines(cell: &Cell, scale: Scale) -> Vec<(&'static str, u64)> {
    let waits = match cell.expect {
        Expect::Fails(code, _) | Expect::Keeps(code, _) | Expect::Recovers(code, _) => is_deadline(code),
        Expect::Reauth(..) | Expect::Works | Expect::Ends(_) => false,
    };
    // A name that nobody answers for is an error of its own, and a deadline all the same.
    let waits = waits || matches!(cell.fault, Fault::DnsHangs);
    let divisor = if waits { scale.divisor() } else { 1 };
    DEADLINES.map(|(key, ms)| (key, ms / divisor)).into()
}

/// Runs the cell of this name; panics with the whole story where it does not end as stated.
pub fn run(name: &str, scale: Scale) {
    let (way, phase, cell) = find(name).unwrap_or_else(|| panic!("there is no cell {name:?}"));
    let settings = deadlines(&cell, scale);
    let resolver_s = if scale == Scale::Real { 6 } else { 2 };
    let bed = Bed::new(way, &cell.fault, resolver_s);
    let watch = Watch::new();
    let client = bed.client(&settings, &watch);
    let mut run = Run { bed, watch, client, settings, cell, phase };
    let start = Instant::now();
    run.phase();
    println!("CELL {}", start.elapsed().as_millis());
}

/// A cell under way.
struct Run {
    bed: Bed,
    watch: Arc<Watch>,
    client: Client,
    settings: Vec<(&'static str, u64)>,
    cell: Cell,
    phase: Phase,
}

impl Run {
    fn phase(&mut self) {
        match self.phase {
            Phase::First => self.first(),
            Phase::Steady => {
                self.become_ready();
                self.inject();
                self.meet();
            }
            Phase::Renewal => {
                self.become_ready();
                self.inject();
                self.meet();
            }
            Phase::Shutdown => {
                self.become_ready();
                self.inject();
                return self.shut_down();
            }
        }
        self.check_end();
    }

    // ---- the phases -----------------------------------------------------------------------------------------

    fn first(&mut self) {
        self.begin();
        let start = Instant::now();
        match self.cell.expect {
            Expect::Works => {
                self.client.start().expect("it starts");
                self.is_ready_and_talks();
                self.loses_packets();
                // Both dials, side by side, are held up by the dead address for as long as it has the field to itself.
                let held_up = matches!(self.cell.fault, Fault::OneAddressDead);
                assert!(!held_up || start.elapsed() >= Duration::from_millis(250), "the dead address was not tried");
                self.end();
            }
            Expect::Fails(code, stage) => {
                self.connect_fails(code, stage);
                self.end();
                self.start_again();
                self.is_ready_and_talks();
            }
            ref other => panic!("a first connect cannot end in {other:?}"),
        }
    }

    /// What connect says; or, where it gets through, what is told of the loss that follows.
    fn connect_fails(&mut self, code: Code, stage: Stage) {
        for _ in 0..TRIES {
            match self.client.connect(Some(BOUND)) {
                Ok(()) => return self.is_told(code, stage, 0),
                Err(error) if is(&error, code, stage) => return self.watch.say(&format!("connect: {error}")),
                Err(error) if is_deadline(error.code()) => self.watch.say(&format!("late: {error}")),
                Err(error) => panic!("connect: {:?} {error}\n{}", error.code(), self.watch.story()),
            }
        }
        panic!("connect never failed with {code:?} at {stage:?}\n{}", self.watch.story());
    }

    /// A client that has failed for good is replaced, as an application would have to.
    fn start_again(&mut self) {
        match self.client.state() {
            // The new one tells its own story, and numbers its records anew.
            State::Failed => {
                self.client.shutdown(Some(BOUND));
                self.watch = Watch::new();
                self.client = self.bed.client(&self.settings, &self.watch);
            }
            State::Idle => {}
            // Connect got through, and the client runs.
            _ => return,
        }
        self.client.start().expect("it starts");
    }

    fn become_ready(&mut self) {
        self.client.start().expect("it starts");
        self.is_ready_and_talks();
        self.watch.say("the fault begins");
    }

    /// Begins the fault at its moment.
    fn inject(&mut self) {
        match self.cell.moment {
            Moment::Now => {
                if self.phase == Phase::Renewal {
                    self.bed.live_plan(&self.cell.fault);
                }
                self.begin();
                if self.phase == Phase::Renewal {
                    self.client.refresh_now().expect("it runs");
                }
            }
            Moment::Cut => {
                self.begin();
                let before = self.watch.read(|told| told.entered(State::Connecting));
                self.bed.ws.cut(Cut::Reset);
                if self.phase == Phase::Shutdown {
                    self.wait("dial", |told| told.entered(State::Connecting) > before);
                }
            }
            Moment::AtRequest => {
                self.bed.sim.token().then(TokenReply::Hang);
                let before = self.bed.sim.record().token_requests();
                self.client.refresh_now().expect("it runs");
                self.wait_sim("token request", |log| log.token_requests() > before);
                self.begin();
            }
            Moment::AtAuthFrame => {
                self.bed.ws.flow_to_client(Flow::Freeze);
                let before = self.bed.sim.record().reauths();
                self.client.refresh_now().expect("it runs");
                self.wait_sim("auth frame", |log| log.reauths() > before);
                self.begin();
                if !matches!(self.cell.fault, Fault::Flow(..)) {
                    self.bed.ws.flow_to_client(Flow::Pass);
                }
            }
            Moment::Requested => {
                self.begin();
                self.client.refresh_now().expect("it runs");
            }
        }
    }

    /// A live client meets the fault.
    fn meet(&mut self) {
        let renews = self.phase == Phase::Renewal;
        match self.cell.expect {
            Expect::Works => {
                if matches!(self.cell.fault, Fault::StopsReading) {
                    self.fill_the_queue();
                    self.end();
                }
                self.is_ready_and_talks();
                self.loses_packets();
                if renews {
                    self.is_renewed();
                }
                self.was_never_lost();
                self.end();
            }
            Expect::Keeps(code, stage) => {
                self.is_told(code, stage, 0);
                self.end();
                self.is_renewed();
                self.is_ready_and_talks();
                self.was_never_lost();
            }
            Expect::Fails(code, stage) => {
                // The cut itself is told the same way.
                let own = self.cell.moment == Moment::Cut && (code, stage) == (Code::Dropped, Stage::Live);
                self.is_told(code, stage, usize::from(own));
                if matches!(self.cell.fault, Fault::TokenOutage) {
                    self.wait("loss", |told| told.gaps > 0);
                }
                self.end();
                self.is_ready_and_talks();
            }
            Expect::Recovers(code, stage) => {
                self.is_told(code, stage, 0);
                self.is_ready_and_talks();
                assert!(self.watch.read(|told| told.gaps) > 0, "no gap\n{}", self.watch.story());
                self.end();
            }
            Expect::Reauth(code, stage) => {
                self.is_told(code, stage, 0);
                self.wait("ReauthRequired", |told| told.states.last() == Some(&State::ReauthRequired));
                self.end();
                self.client.refresh_now().expect("it runs");
                self.is_ready_and_talks();
            }
            Expect::Ends(_) => panic!("only a shutdown ends"),
        }
    }

    fn shut_down(&mut self) {
        let Expect::Ends(clean) = self.cell.expect else { panic!("a shutdown ends") };
        self.watch.say("shutdown");
        let start = Instant::now();
        let report = self.client.shutdown(Some(BOUND));
        let took = start.elapsed();
        let close = self.settings.iter().find(|(key, _)| *key == "close.timeout_ms").map_or(0, |(_, ms)| *ms);
        let bound = Duration::from_millis(close) + SLACK;
        assert!(report.complete && took <= bound, "took {took:?}: {report:?}\n{}", self.watch.story());
        assert!(clean.is_none_or(|clean| clean == report.close_handshake), "{report:?}\n{}", self.watch.story());
        self.is_over();
    }

    // ---- what is seen ---------------------------------------------------------------------------------------

    /// Ready, a message of the server arrives, one of the client's arrives there.
    #[track_caller]
    fn is_ready_and_talks(&self) {
        self.wait("Ready", |told| told.states.last() == Some(&State::Ready));
        let seen = self.watch.read(|told| told.stream.len());
        self.wait("message", |told| told.stream.iter().skip(seen).any(Option::is_some));
        let before = self.bed.sim.record().read(|log| log.received_total);
        self.client.send(MessageKind::Text, b"{\"hello\":1}").expect("it is queued");
        self.wait_sim("message of the client", |log| log.received_total > before);
        // What came last may have come before a loss.
        self.wait("Ready", |told| told.states.last() == Some(&State::Ready));
    }

    /// A line that loses packets has lost some when this returns, and everything arrived all the same.
    fn loses_packets(&self) {
        let until = Instant::now() + BOUND;
        while matches!(self.cell.fault, Fault::Lossy) && self.bed.packets_lost() < 3 {
            assert!(Instant::now() < until, "no packet was lost");
            self.is_ready_and_talks();
        }
    }

    #[track_caller]
    fn is_told(&self, code: Code, stage: Stage, besides: usize) {
        self.wait(&format!("{code:?} at {stage:?}"), |told| told.count(code, stage) > besides);
    }

    #[track_caller]
    fn is_renewed(&self) {
        self.wait_sim("renewal", |log| log.auths.iter().any(|auth| auth.again && auth.accepted == Some(true)));
    }

    #[track_caller]
    fn was_never_lost(&self) {
        let gaps = self.watch.read(|told| told.gaps);
        let connects = self.bed.sim.record().ws_connects();
        assert_eq!((gaps, connects), (0, 1), "gaps and connections\n{}", self.watch.story());
    }

    /// Sends until the queue is at its bound; on a server that does not read it is soon.
    fn fill_the_queue(&self) {
        let large = vec![b'x'; 256 * 1024];
        let until = Instant::now() + BOUND;
        loop {
            match self.client.send(MessageKind::Binary, &large) {
                Ok(_) => assert!(Instant::now() < until, "the queue never filled\n{}", self.watch.story()),
                Err(error) => {
                    assert_eq!(error.code(), Code::QueueFull);
                    return;
                }
            }
        }
    }

    fn check_end(&self) {
        let report = self.client.shutdown(Some(BOUND));
        assert!(report.complete, "{report:?}\n{}", self.watch.story());
        self.is_over();
    }

    /// No thread is left, nothing missing is unannounced, no record is missing.
    fn is_over(&self) {
        // A thread that was joined is still seen for a moment.
        let until = Instant::now() + SLACK;
        while !threads().is_empty() && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(threads(), Vec::<String>::new(), "threads are left");
        let log = self.bed.sim.record().snapshot();
        let carrier = |seq: u64| log.connections.iter().position(|one| one.sent.seqs().any(|sent| sent == seq));
        let whole = |told: &Told| told.check_order(carrier).and_then(|()| told.check_audit());
        self.watch.read(whole).unwrap_or_else(|error| panic!("{error}\n{}", self.watch.story()));
        println!("{}", self.watch.story());
    }

    // ---- small helpers --------------------------------------------------------------------------------------

    fn begin(&mut self) {
        self.bed.begin(&self.cell.fault);
    }

    fn end(&mut self) {
        self.bed.end(&self.cell.fault);
        self.watch.say("the fault is over");
    }

    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&Told) -> bool) {
        self.watch.wait(BOUND, what, wanted);
    }

    #[track_caller]
    fn wait_sim(&self, what: &str, wanted: impl Fn(&Log) -> bool) {
        let came = self.bed.sim.record().wait_until(BOUND, wanted);
        assert!(came, "the server never saw a {what}; but\n{}", self.watch.story());
    }
}

fn is(error: &Error, code: Code, stage: Stage) -> bool {
    (error.code(), error.detail().stage) == (code, stage)
}

/// Threads of the library that still run; resolvers may be held up by getaddrinfo, and own nothing.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("proc").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("gwa-") && name != "gwa-resolve").collect()
}
