//! What is seen of a client and of its server while a cell is under way.

use std::fs;
use std::time::Instant;

use ffi_tests::sim::Log;
use genesys_ws_auth::event::{MessageKind, State};
use genesys_ws_auth::{Code, Error, Stage};

use crate::cell::{Run, BOUND, SLACK};
use crate::clock::Jump;
use crate::rows::{Expect, Fault, Phase};
use crate::watch::Told;

impl Run {
    /// Ready, a message of the server arrives, one of the client's arrives there.
    #[track_caller]
    pub fn is_ready_and_talks(&self) {
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
    pub fn loses_packets(&self) {
        let until = Instant::now() + BOUND;
        while matches!(self.cell.fault, Fault::Lossy) && self.bed.packets_lost() < 3 {
            assert!(Instant::now() < until, "no packet was lost");
            self.is_ready_and_talks();
        }
    }

    /// The application hears of clocks that jumped; and a client that lives goes on, after a sleep with a probe.
    pub fn clock_is_told(&self) {
        let Fault::Clock(jump) = self.cell.fault else { return };
        self.wait("word of the clock", |told| told.clocks.iter().any(|notice| jump.is(notice)));
        if self.phase == Phase::Steady && matches!(self.cell.expect, Expect::Works) {
            let slept = matches!(jump, Jump::Sleep(_));
            self.wait_sim("probe", |log| !slept || log.pings > 0);
            assert_eq!(self.bed.sim.record().token_requests(), 1, "\n{}", self.watch.story());
        }
        if matches!(self.cell.expect, Expect::Recovers(..)) {
            let auths = self.bed.sim.record().snapshot().auths;
            let (last, before) = auths.split_last().expect("it was Ready");
            assert!(before.iter().all(|auth| auth.token != last.token), "a token that had ended: {auths:?}");
        }
    }

    /// What failed for good was tried with one token, or with the two that the two strikes take.
    pub fn tries_no_more(&self, code: Code) {
        let upgrades = self.bed.sim.record().read(|log| log.requests.iter().filter(|one| one.path == "/ws").count());
        // A refusal of the one dialled ahead of the token says nothing of the token; that there is nothing, it does say.
        let most = match code {
            Code::ReauthRequired => 1 + 2,
            Code::UpgradeForbidden => 1 + 1,
            _ => 1,
        };
        assert!(upgrades <= most, "{upgrades} upgrades\n{}", self.watch.story());
    }

    /// Whether it is the error that the cell states, or one as right.
    pub fn is_meant(&self, error: &Error, code: Code, stage: Stage) -> bool {
        let told = (error.code(), error.detail().stage);
        told == (code, stage) || self.cell.fault.or((code, stage)) == Some(told)
    }

    #[track_caller]
    pub fn is_told(&self, code: Code, stage: Stage, besides: usize) {
        let or = self.cell.fault.or((code, stage));
        let count = |told: &Told| told.count(code, stage) + or.map_or(0, |(code, stage)| told.count(code, stage));
        self.wait(&format!("{code:?} at {stage:?}"), |told| count(told) > besides);
    }

    #[track_caller]
    pub fn is_renewed(&self) {
        self.wait_sim("renewal", |log| log.auths.iter().any(|auth| auth.again && auth.accepted == Some(true)));
    }

    #[track_caller]
    pub fn was_never_lost(&self) {
        let gaps = self.watch.read(|told| told.gaps);
        let connects = self.bed.sim.record().ws_connects();
        assert_eq!((gaps, connects), (0, 1), "gaps and connections\n{}", self.watch.story());
    }

    /// Sends until the queue is at its bound; on a server that does not read it is soon.
    pub fn fill_the_queue(&self) {
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

    pub fn check_end(&self) {
        let report = self.client.shutdown(Some(BOUND));
        assert!(report.complete, "{report:?}\n{}", self.watch.story());
        self.is_over();
    }

    /// No thread is left, nothing missing is unannounced, no record is missing.
    pub fn is_over(&self) {
        // A thread that was joined is still seen for a moment.
        let until = Instant::now() + SLACK;
        while !threads().is_empty() && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(threads(), Vec::<String>::new(), "threads are left");
        // The server puts on record what it has sent a moment after that.
        let seen: Vec<u64> = self.watch.read(|told| told.stream.iter().flatten().copied().collect());
        self.wait_sim("record of what it sent", |log| seen.iter().all(|seq| carrier(log, *seq).is_some()));
        let log = self.bed.sim.record().snapshot();
        let carrier = |seq: u64| carrier(&log, seq);
        let whole = |told: &Told| told.check_order(carrier).and_then(|()| told.check_audit());
        self.watch.read(whole).unwrap_or_else(|error| panic!("{error}\n{}", self.watch.story()));
        println!("{}", self.watch.story());
    }

    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&Told) -> bool) {
        self.watch.wait(BOUND, what, wanted);
    }

    #[track_caller]
    pub fn wait_sim(&self, what: &str, wanted: impl Fn(&Log) -> bool) {
        let came = self.bed.sim.record().wait_until(BOUND, wanted);
        assert!(came, "the server never saw a {what}; but\n{}", self.watch.story());
    }
}

/// The connection that a message was sent on.
fn carrier(log: &Log, seq: u64) -> Option<usize> {
    log.connections.iter().position(|one| one.sent.seqs().any(|sent| sent == seq))
}

/// Threads of the library that still run; resolvers may be held up by getaddrinfo, and own nothing.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("proc").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("gwa-") && name != "gwa-resolve").collect()
}
