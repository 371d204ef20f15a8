//! One client: the two machines, and what they were seen to do.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::library::config::settings::Settings;
use super::library::event::State;
use super::library::proto::oauth::Credentials;
use super::library::proto::refresher::{self, Refresher};
use super::library::proto::session::{self, Session};
use super::library::proto::time::Now;
use super::library::secret::Secret;

/// Where wall time begins: 2026-01-01.
const WALL_MS: u64 = 1_767_225_600_000;

/// A fact for one of the two machines.
#[derive(Debug)]
pub enum Fact {
    /// For the refresh thread.
    Refresher(refresher::Input),
    /// For the socket thread.
    Session(session::Input),
}

/// What a client does to the world.
#[derive(Debug)]
pub enum Deed {
    /// It asks for a token.
    Ask {
        /// Epoch of the request.
        epoch: u64,
    },
    /// It connects a socket.
    Dial {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// It asks for the upgrade of a socket.
    Upgrade {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// It shows this token on a socket.
    Show {
        /// Epoch of the socket.
        epoch: u64,
        /// Number of the token.
        token: u64,
    },
}

/// The two machines, joined without a delay.
#[derive(Debug)]
pub struct Client {
    refresher: Refresher,
    session: Session,
    /// When a wake-up is in the queue.
    pub armed_ms: Option<u64>,
    /// The socket in use.
    pub socket: Option<u64>,
    /// Whether it was live when last looked at.
    pub is_live: bool,
    /// Whether it waited for new credentials then.
    pub is_blocked: bool,
    /// Token requests since the loss.
    pub requests: u32,
    /// Dials since the loss.
    pub dials: u32,
    /// Different tokens shown to the socket server since the loss.
    pub shown: BTreeSet<u64>,
}

/// The settings of every client of the fleet: the defaults.
pub fn settings() -> Arc<Settings> {
    Arc::new(Settings::default())
}

impl Client {
    /// A client at rest.
    pub fn new(settings: &Arc<Settings>) -> Self {
        let credentials = Credentials { client_secret: Secret::new("hush".into()), ..Credentials::default() };
        Self {
            refresher: Refresher::new(Arc::clone(settings), credentials, false, 0),
            session: Session::new(Arc::clone(settings), None),
            armed_ms: None,
            socket: None,
            is_live: false,
            is_blocked: false,
            requests: 0,
            dials: 0,
            shown: BTreeSet::new(),
        }
    }

    /// When it has to be woken.
    pub fn next_ms(&self) -> Option<u64> {
        self.refresher.next_timeout().into_iter().chain(self.session.next_timeout()).min()
    }

    /// What the application is told.
    pub fn state(&self) -> State {
        self.session.state()
    }

    /// The wake-up is here: whichever machine is due.
    pub fn wake(&mut self, now_ms: u64, random: &mut impl FnMut() -> u64) -> Vec<Deed> {
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now_ms);
        let mut deeds = Vec::new();
        if due(self.session.next_timeout()) {
            deeds.extend(self.take(now_ms, random, Fact::Session(session::Input::Timeout)));
        }
        if due(self.refresher.next_timeout()) {
            deeds.extend(self.take(now_ms, random, Fact::Refresher(refresher::Input::Timeout)));
        }
        deeds
    }

    /// Takes a fact in, and everything that follows from it inside the client.
    pub fn take(&mut self, now_ms: u64, random: &mut impl FnMut() -> u64, fact: Fact) -> Vec<Deed> {
        let now = Now { boot_ms: now_ms, awake_ms: now_ms, wall_ms: WALL_MS + now_ms };
        let mut facts = VecDeque::from([fact]);
        let mut deeds = Vec::new();
        while let Some(fact) = facts.pop_front() {
            match fact {
                Fact::Refresher(input) => self.refresher.handle(now, random(), input),
                Fact::Session(input) => self.session.handle(now, random(), input),
            }
            while let Some(output) = self.refresher.poll() {
                refresher_said(output, &mut facts, &mut deeds);
            }
            while let Some(output) = self.session.poll() {
                self.session_said(now, output, &mut facts, &mut deeds);
            }
        }
        deeds
    }

    fn session_said(&mut self, now: Now, output: session::Output, facts: &mut VecDeque<Fact>, deeds: &mut Vec<Deed>) {
        use session::Output as O;
        match output {
            O::Dial { epoch, .. } => deeds.push(Deed::Dial { epoch }),
            O::Upgrade { epoch } => deeds.push(Deed::Upgrade { epoch }),
            // A socket that waited for a token in vain; the server answers the close at once.
            O::Leave { epoch, .. } => {
                self.socket.take_if(|socket| *socket == epoch);
                facts.push_back(Fact::Session(session::Input::Drained { epoch, clean: true }));
            }
            O::SendAuth { epoch, frame } => {
                deeds.push(Deed::Show { epoch, token: number(frame.expose()) });
            }
            // The server answers pings at once.
            O::Ping { epoch } => self.session.heard(now, epoch),
            O::Abort { epoch } => {
                self.socket.take_if(|socket| *socket == epoch);
            }
            O::Refused { serial } => facts.push_back(Fact::Refresher(refresher::Input::Refused { serial })),
            O::GiveUp { error, serial } => {
                facts.push_back(Fact::Refresher(refresher::Input::GiveUp { error, serial }));
            }
            O::Failed { error, .. } => panic!("a client that starts for ever has failed: {error:?}"),
            O::Stopped { .. } | O::MarkInBandUnable | O::TryAgain => panic!("not in these plans: {output:?}"),
            O::Rest { .. } | O::DropRest { .. } | O::AskSpare | O::ReturnSpare => {
                panic!("not of this profile: {output:?}")
            }
            O::Release { .. }
            | O::SendOn(_)
            | O::Notice(_)
            | O::Audit(_)
            | O::Renewed { .. }
            | O::GoalMissed { .. }
            | O::Connected => {}
        }
    }
}

fn refresher_said(output: refresher::Output, facts: &mut VecDeque<Fact>, deeds: &mut Vec<Deed>) {
    use refresher::Output as O;
    match output {
        O::Http { epoch, .. } => deeds.push(Deed::Ask { epoch }),
        O::Publish(token) => facts.push_back(Fact::Session(session::Input::Publish(token))),
        O::News(news) => facts.push_back(Fact::Session(session::Input::News(news))),
        O::LoadStore { .. }
        | O::Store(_)
        | O::FreeStore
        | O::Ask { .. }
        | O::Sign { .. }
        | O::Answer { .. }
        | O::Stopped => panic!("not in these plans: {output:?}"),
        O::Audit(_) | O::ServerClock { .. } => {}
    }
}

/// The number of the token in an auth frame.
fn number(frame: &str) -> u64 {
    let frame: serde_json::Value = serde_json::from_str(frame).expect("a frame is JSON");
    let token = frame["token"].as_str().and_then(|token| token.strip_prefix('t'));
    token.and_then(|digits| digits.parse().ok()).expect("a token of this endpoint")
}
