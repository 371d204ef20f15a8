//! One cell, in a process of its own.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ffi_tests::relay::{Cut, Flow};
use ffi_tests::sim::TokenReply;
use genesys_ws_auth::client::ShutdownReport;
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Client, Code, Stage};

use crate::bed::Bed;
use crate::rows::{find, Cell, Expect, Fault, Moment, Phase};
use crate::watch::Watch;

/// No wait inside a cell is longer with shrunk deadlines; the circuit breaker alone may take a minute.
pub const BOUND: Duration = Duration::from_secs(150);
/// What a shutdown may take beyond the close handshake, on a loaded machine.
pub const SLACK: Duration = Duration::from_secs(5);
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
        Expect::Reauth(..) | Expect::Stays(..) | Expect::Works | Expect::Ends(_) => false,
    };
    // A name that nobody answers for is an error of its own, and a deadline all the same.
    let waits = waits || matches!(cell.fault, Fault::DnsHangs);
    let divisor = if waits { scale.divisor() } else { 1 };
    // A handshake that the cell itself holds up is not late because of that.
    let held_up = |key| if cell.moment == Moment::AtClose && key == "close.timeout_ms" { 10 } else { 1 };
    DEADLINES.map(|(key, ms)| (key, ms * held_up(key) / divisor)).into()
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
pub struct Run {
    pub bed: Bed,
    pub watch: Arc<Watch>,
    pub client: Client,
    settings: Vec<(&'static str, u64)>,
    pub cell: Cell,
    pub phase: Phase,
}

impl Run {
    fn phase(&mut self) {
        match self.phase {
            Phase::First => self.first(),
            Phase::Steady | Phase::Renewal => {
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
        if self.cell.moment == Moment::AtHandshake {
            return self.first_held_up();
        }
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
            Expect::Stays(code, stage, state) => {
                self.connect_fails(code, stage);
                self.tries_no_more(code);
                self.replace();
                self.client.start().expect("it starts");
                self.wait("end of the tries", |told| told.states.last() == Some(&state));
                self.end();
                match state {
                    State::ReauthRequired => self.client.refresh_now().expect("it waits for that"),
                    _ => self.start_again(),
                }
                self.is_ready_and_talks();
            }
            ref other => panic!("a first connect cannot end in {other:?}"),
        }
    }

    /// The fault comes while the first dials wait for their server.
    fn first_held_up(&mut self) {
        self.bed.answers(Flow::Freeze);
        self.client.start().expect("it starts");
        for relay in [&self.bed.token, &self.bed.ws] {
            assert!(relay.wait_accepted(1, BOUND), "no dial; but\n{}", self.watch.story());
        }
        self.begin();
        self.bed.answers(Flow::Pass);
        self.is_ready_and_talks();
        self.clock_is_told();
        self.end();
    }

    /// What connect says; or, where it gets through, what is told of the loss that follows.
    fn connect_fails(&mut self, code: Code, stage: Stage) {
        for _ in 0..TRIES {
            match self.client.connect(Some(BOUND)) {
                Ok(()) => return self.is_told(code, stage, 0),
                Err(error) if self.is_meant(&error, code, stage) => {
                    return self.watch.say(&format!("connect: {error}"))
                }
                Err(error) if is_deadline(error.code()) => self.watch.say(&format!("late: {error}")),
                Err(error) => panic!("connect: {:?} {error}\n{}", error.code(), self.watch.story()),
            }
        }
        panic!("connect never failed with {code:?} at {stage:?}\n{}", self.watch.story());
    }

    /// A client that has failed for good is replaced, as an application would have to.
    fn start_again(&mut self) {
        match self.client.state() {
            State::Failed => self.replace(),
            State::Idle => {}
            // Connect got through, and the client runs.
            _ => return,
        }
        self.client.start().expect("it starts");
    }

    /// The new client tells its own story, and numbers its records anew.
    fn replace(&mut self) {
        self.client.shutdown(Some(BOUND));
        self.watch = Watch::new();
        self.client = self.bed.client(&self.settings, &self.watch);
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
            // The shutdown itself comes first.
            Moment::AtClose => {}
            Moment::AtHandshake => panic!("a live client is past its handshakes"),
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
                self.clock_is_told();
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
                assert_eq!(self.watch.read(|told| told.entered(State::ReauthRequired)), 0, "\n{}", self.watch.story());
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
                self.clock_is_told();
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
            Expect::Ends(_) | Expect::Stays(..) => panic!("not what a live client comes to"),
        }
    }

    fn shut_down(&mut self) {
        let Expect::Ends(clean) = self.cell.expect else { panic!("a shutdown ends") };
        self.watch.say("shutdown");
        let start = Instant::now();
        let report = match self.cell.moment {
            Moment::AtClose => self.shut_down_held_up(),
            _ => self.client.shutdown(Some(BOUND)),
        };
        let took = start.elapsed();
        let close = self.settings.iter().find(|(key, _)| *key == "close.timeout_ms").map_or(0, |(_, ms)| *ms);
        let bound = Duration::from_millis(close) + SLACK;
        assert!(report.complete && took <= bound, "took {took:?}: {report:?}\n{}", self.watch.story());
        assert!(clean.is_none_or(|clean| clean == report.close_handshake), "{report:?}\n{}", self.watch.story());
        self.is_over();
    }

    /// The fault comes while the shutdown waits for the server's close frame.
    fn shut_down_held_up(&mut self) -> ShutdownReport {
        let Self { bed, client, cell, .. } = self;
        bed.ws.flow_to_client(Flow::Freeze);
        thread::scope(|scope| {
            let ending = scope.spawn(|| client.shutdown(Some(BOUND)));
            let closes = bed.sim.record().wait_until(BOUND, |log| !log.closes.is_empty());
            bed.begin(&cell.fault);
            bed.ws.flow_to_client(Flow::Pass);
            let report = ending.join().expect("it does not panic");
            assert!(closes, "no close frame came: {report:?}");
            report
        })
    }

    // ---- small helpers --------------------------------------------------------------------------------------

    fn begin(&mut self) {
        self.bed.begin(&self.cell.fault);
    }

    fn end(&mut self) {
        self.bed.end(&self.cell.fault);
        self.watch.say("the fault is over");
    }
}
