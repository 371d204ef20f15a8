//! Walks of several processes that share one token store, through hours of rotations: they are killed at any moment,
//! between the server's answer and the rename too, start again, and their store fails.
//!
//! A server that forgives (a grace without end) must never refuse anybody, whatever happens; one that forgives nothing must
//! not either, as long as nobody is killed and nothing fails: then no refresh token is used twice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use super::hand::{secret, stored};
use crate::audit::Record;
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::proto::dice::Dice;
use crate::proto::http::Reply;
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{Found, Input, News, Output, Refresher};
use crate::proto::time::Now;

const PROCESSES: usize = 3;
const LIFETIME_MS: u64 = 60_000;
const END_MS: u64 = 4 * 3_600_000;
/// From here on nothing goes wrong any more.
const CALM_MS: u64 = END_MS - 600_000;

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Start,
    Kill,
    Timeout,
    /// The server has the request.
    Asked {
        epoch: u64,
        used: String,
    },
    Replied {
        epoch: u64,
        body: String,
    },
    /// The wait for the lock is over.
    GiveUpLock,
    Load,
    /// The rename; `fails`: there is none.
    Rename {
        token: String,
        fails: bool,
    },
    Stored {
        fails: bool,
    },
}

/// A process: its machine if it lives. What happened to an earlier life does not concern the next one.
#[derive(Default)]
struct Process {
    refresher: Option<Refresher>,
    life: u64,
    /// It waits for the lock.
    waits: bool,
    usable_ms: u64,
}

struct Walk {
    dice: Dice,
    now_ms: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64, usize, u64, Event)>>,
    processes: Vec<Process>,
    forgives: bool,
    /// Refresh tokens, and how often each one was used.
    tokens: BTreeMap<String, u32>,
    store: Option<String>,
    holder: Option<usize>,
    waiting: VecDeque<usize>,
    kills: u32,
    faults: u32,
}

impl Walk {
    fn new(seed: u64, forgives: bool) -> Self {
        let mut walk = Self {
            dice: Dice::new(seed),
            now_ms: 0,
            order: 0,
            queue: BinaryHeap::new(),
            processes: std::iter::repeat_with(Process::default).take(PROCESSES).collect(),
            forgives,
            tokens: BTreeMap::from([("hush-r0".to_owned(), 0)]),
            store: None,
            holder: None,
            waiting: VecDeque::new(),
            kills: 0,
            faults: 0,
        };
        for process in 0..PROCESSES {
            let delay = walk.dice.up_to(2 * LIFETIME_MS);
            walk.later(delay, process, Event::Start);
        }
        walk
    }

    fn later(&mut self, delay_ms: u64, process: usize, event: Event) {
        self.order += 1;
        let life = self.processes[process].life;
        self.queue.push(Reverse((self.now_ms + delay_ms, self.order, process, life, event)));
    }

    fn run(mut self) -> (u32, u32) {
        while let Some(Reverse((at_ms, _, process, life, event))) = self.queue.pop() {
            if at_ms > END_MS {
                break;
            }
            self.now_ms = at_ms;
            let is_past = life != self.processes[process].life;
            if !is_past {
                self.happens(process, event);
            } else if let Event::Asked { used, .. } = event {
                // The request was on its way when the process died.
                self.grants(&used);
            }
        }
        for (number, process) in self.processes.iter().enumerate() {
            assert!(process.usable_ms > END_MS, "process {number} has no token at the end");
        }
        (self.kills, self.faults)
    }

    fn happens(&mut self, process: usize, event: Event) {
        match event {
            Event::Start => self.start(process),
            Event::Kill => self.kill(process),
            Event::Timeout => {
                let due = self.processes[process].refresher.as_ref().and_then(Refresher::next_timeout);
                if due.is_some_and(|due| due <= self.now_ms) {
                    self.feed(process, Input::Timeout);
                }
            }
            Event::Asked { epoch, used } => {
                let body = self.grants(&used);
                let delay = 1 + self.dice.up_to(300);
                self.later(delay, process, Event::Replied { epoch, body });
            }
            Event::Replied { epoch, body } => {
                let reply = Reply { status: 200, body: body.into(), ..Reply::default() };
                self.feed(process, Input::Replied { epoch, outcome: Ok(reply) });
            }
            Event::GiveUpLock if self.processes[process].waits => {
                assert!(self.forgives, "the lock is kept for too long");
                self.processes[process].waits = false;
                self.later(1, process, Event::Load);
            }
            Event::GiveUpLock => {}
            Event::Load => self.load(process),
            Event::Rename { token, fails } => {
                if !fails {
                    self.store = Some(token);
                }
                let delay = self.dice.up_to(5);
                self.later(delay, process, Event::Stored { fails });
            }
            Event::Stored { fails } => self.feed(process, Input::Stored(if fails { Err(fault()) } else { Ok(()) })),
        }
    }

    fn start(&mut self, process: usize) {
        let settings = Arc::new(Settings { token_timeout_ms: 5_000, ..stored() });
        let credentials = Credentials {
            client_secret: secret("hush"),
            refresh_token: settings.refresh_token.clone(),
            ..Credentials::default()
        };
        self.processes[process].refresher = Some(Refresher::new(settings, credentials, false, 0));
        if self.forgives && self.now_ms < CALM_MS {
            let delay = self.dice.up_to(5 * LIFETIME_MS);
            self.later(delay, process, Event::Kill);
        }
        self.feed(process, Input::Start);
    }

    fn kill(&mut self, process: usize) {
        self.kills += 1;
        let life = self.processes[process].life + 1;
        self.processes[process] = Process { life, ..Process::default() };
        self.waiting.retain(|waits| *waits != process);
        self.unlock(process);
        let delay = self.dice.up_to(LIFETIME_MS);
        self.later(delay, process, Event::Start);
    }

    /// What the server says; a new refresh token with every answer.
    fn grants(&mut self, used: &str) -> String {
        let times = self.tokens.get_mut(used).expect("a refresh token that nobody issued");
        *times += 1;
        assert!(*times == 1 || self.forgives, "{used} is used twice");
        let fresh = format!("hush-r{}", self.tokens.len());
        self.tokens.insert(fresh.clone(), 0);
        let body = format!(
            r#"{{"access_token":"hush-t","token_type":"bearer","expires_in":{},"refresh_token":"{fresh}"}}"#,
            LIFETIME_MS / 1_000
        );
        body
    }

    /// Something goes wrong once in a while, with a server that forgives.
    fn goes_wrong(&mut self) -> bool {
        let wrong = self.forgives && self.now_ms < CALM_MS && self.dice.up_to(9) == 0;
        self.faults += u32::from(wrong);
        wrong
    }

    fn load(&mut self, process: usize) {
        let found = self.store.as_deref().map(|token| Found { refresh_token: secret(token), follows: true });
        let outcome = if self.goes_wrong() { Err(fault()) } else { Ok(found) };
        self.feed(process, Input::Loaded(outcome));
    }

    fn lock(&mut self, process: usize, wait_ms: u64) {
        if self.holder.is_none() || self.holder == Some(process) {
            self.holder = Some(process);
            return self.later(1, process, Event::Load);
        }
        self.processes[process].waits = true;
        self.waiting.push_back(process);
        self.later(wait_ms, process, Event::GiveUpLock);
    }

    fn unlock(&mut self, process: usize) {
        if self.holder != Some(process) {
            return;
        }
        self.holder = None;
        while let Some(next) = self.waiting.pop_front() {
            if std::mem::take(&mut self.processes[next].waits) {
                self.holder = Some(next);
                return self.later(1, next, Event::Load);
            }
        }
    }

    fn feed(&mut self, process: usize, input: Input) {
        let now = Now { boot_ms: self.now_ms, awake_ms: self.now_ms, wall_ms: self.now_ms };
        let random = self.dice.up_to(u64::MAX);
        let Some(mut refresher) = self.processes[process].refresher.take() else { return };
        refresher.handle(now, random, input);
        while let Some(output) = refresher.poll() {
            self.does(process, output);
        }
        if let Some(at_ms) = refresher.next_timeout() {
            self.later(at_ms.saturating_sub(self.now_ms), process, Event::Timeout);
        }
        assert_eq!(refresher.senseless(), 0);
        self.processes[process].refresher = Some(refresher);
    }

    fn does(&mut self, process: usize, output: Output) {
        match output {
            Output::Http { epoch, request } => {
                let used = request.body.text().rsplit('=').next().unwrap_or_default().to_owned();
                let delay = 1 + self.dice.up_to(300);
                self.later(delay, process, Event::Asked { epoch, used });
            }
            Output::LoadStore { wait_ms } => self.lock(process, wait_ms),
            Output::Store(token) => {
                let fails = self.goes_wrong();
                let delay = 1 + self.dice.up_to(5);
                self.later(delay, process, Event::Rename { token: token.expose().to_owned(), fails });
            }
            Output::FreeStore => self.unlock(process),
            Output::Publish(token) => self.processes[process].usable_ms = token.schedule.usable_ms,
            Output::News(News::Blocked { error, .. }) => panic!("process {process} is refused: {error}"),
            Output::Audit(Record::RefreshTokenNotPersisted { .. }) => assert!(self.forgives),
            Output::News(_) | Output::Audit(_) => {}
            other => panic!("{other:?} does not belong here"),
        }
    }
}

fn fault() -> Error {
    Error::new(Code::Store, Stage::Configure, "")
}

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[nobody_is_refused_by_a_server_that_forgives, no_token_is_used_twice];

fn nobody_is_refused_by_a_server_that_forgives() {
    let (mut kills, mut faults) = (0, 0);
    for seed in 0..20 {
        let (killed, failed) = Walk::new(seed, true).run();
        (kills, faults) = (kills + killed, faults + failed);
    }
    assert!(kills > 1_000 && faults > 1_000, "{kills} kills, {faults} faults");
}

fn no_token_is_used_twice() {
    for seed in 0..20 {
        Walk::new(seed, false).run();
    }
}

#[test]
fn all_walks() {
    ALL.iter().for_each(|walk| walk());
}
