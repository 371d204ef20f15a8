//! The session in the profile `notifications` under inputs in no order at all: nothing hangs, spins or follows the end, and
//! what is told is told in pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::alone::{error, token};
use super::notify_rig::{event, settings, HOUR, PONG};
use crate::config::settings::{Displaced, Settings};
use crate::error::{Code, Error, Stage};
use crate::event::{Notice, State};
use crate::proto::dice::Dice;
use crate::proto::http::Reply;
use crate::proto::refresher::News;
use crate::proto::session::{Input, Output, Rounds, Session, Whose};
use crate::proto::time::Now;

const WALKS: u64 = 1_500;
const STEPS: u64 = 200;

/// How far a socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    Dialled,
    Upgrading,
    Open,
    Leaving,
}

struct Chaos {
    session: Session,
    dice: Dice,
    /// One fault among so many turns of luck.
    luck: u64,
    at_ms: u64,
    slept_ms: u64,
    serial: u64,
    sockets: BTreeMap<u64, At>,
    requests: BTreeSet<u64>,
    highest: u64,
    spare: bool,
    granted: bool,
    live: Option<u64>,
    gap: bool,
    stopped: bool,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let displaced = if seed % 2 == 0 { Displaced::Stop } else { Displaced::Return };
        let settings =
            Settings { displaced, channel_reuses: 1 + (seed % 4) as u32, linger_ms: seed % 3 * 2_000, ..settings() };
        Self {
            session: Session::new(Arc::new(settings), None),
            dice: Dice::new(seed),
            luck: 1 + seed % 30,
            at_ms: 0,
            slept_ms: 0,
            serial: 0,
            sockets: BTreeMap::new(),
            requests: BTreeSet::new(),
            highest: 0,
            spare: false,
            granted: false,
            live: None,
            gap: false,
            stopped: false,
        }
    }

    fn now(&self) -> Now {
        Now { boot_ms: self.at_ms, awake_ms: self.at_ms - self.slept_ms, wall_ms: self.at_ms }
    }

    fn feed(&mut self, input: Input) {
        let random = self.dice.up_to(u64::MAX - 1);
        self.session.handle(self.now(), random, input);
        while let Some(output) = self.session.poll() {
            assert!(!self.stopped, "{output:?} after the end");
            self.obey(output);
        }
        let open = self.sockets.len();
        assert!(
            open <= 2 + usize::from(self.session.state() == State::Closed) || self.is_leaving(),
            "{:?}",
            self.sockets
        );
    }

    /// Sockets without a successor are closed while others are dialled already.
    fn is_leaving(&self) -> bool {
        self.sockets.values().filter(|at| **at != At::Leaving).count() <= 2
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Dial { epoch, uri, .. } => {
                assert!(uri.is_some_and(|uri| uri.expose().starts_with("wss://streaming.x/")));
                let others = self.sockets.values().filter(|at| **at != At::Leaving).count();
                assert!(others == 0 || others == 1 && self.spare && self.granted, "a second one without a permit");
                assert!(self.sockets.insert(epoch, At::Dialled).is_none());
            }
            Output::Rest { id, .. } => {
                assert!(id > self.highest);
                self.highest = id;
                self.requests.insert(id);
            }
            Output::DropRest { id } => {
                // Its answer may be on its way.
                assert!(id <= self.highest);
                self.requests.remove(&id);
            }
            Output::AskSpare => {
                assert!(!self.spare && self.live.is_some());
                (self.spare, self.granted) = (true, false);
            }
            Output::ReturnSpare => {
                assert!(self.spare, "returned twice");
                (self.spare, self.granted) = (false, false);
            }
            Output::Upgrade { epoch } => assert_eq!(self.sockets.insert(epoch, At::Upgrading), Some(At::Dialled)),
            Output::SendAuth { epoch, .. } => assert_eq!(self.sockets.get(&epoch), Some(&At::Open)),
            Output::Leave { epoch, .. } => assert_eq!(self.sockets.insert(epoch, At::Leaving), Some(At::Open)),
            Output::Abort { epoch } => assert!(self.sockets.remove(&epoch).is_some(), "abort {epoch}"),
            Output::SendOn(epoch) => self.live = epoch,
            Output::Notice(Notice::GapBegin(_)) => assert!(!std::mem::replace(&mut self.gap, true)),
            Output::Notice(Notice::GapEnd(_)) => assert!(std::mem::replace(&mut self.gap, false)),
            Output::Stopped { .. } => {
                assert!(self.sockets.is_empty() && !self.spare, "{:?} {}", self.sockets, self.spare);
                self.stopped = true;
            }
            _ => {}
        }
    }

    fn bad(&mut self) -> bool {
        self.dice.up_to(self.luck) == 0
    }

    fn pick(&mut self, at: At) -> Option<u64> {
        let some: Vec<u64> = self.sockets.iter().filter(|(_, is)| **is == at).map(|(epoch, _)| *epoch).collect();
        let last = some.len().checked_sub(1)? as u64;
        some.get(self.dice.up_to(last) as usize).copied()
    }

    fn step(&mut self) {
        match self.dice.up_to(23) {
            0 => {
                self.serial += 1;
                // From the start of the walk: a token that came late has been used up in part.
                self.feed(Input::Publish(token(self.serial, self.at_ms + HOUR)));
            }
            1 => self.feed(Input::News(News::Fetching)),
            2..=7 => self.answer(),
            8 | 9 => self.connects(),
            10 | 11 => self.opens(),
            12..=14 => self.hears(),
            15 if self.bad() => self.ends(),
            16 | 17 => self.drains(),
            18 if self.spare && !self.granted => {
                self.granted = true;
                self.feed(Input::SpareGranted);
            }
            19 => {
                let topics = (0..self.dice.up_to(3)).map(|n| format!("v2.{n}")).collect();
                self.feed(Input::Topics(topics));
            }
            20 => self.feed(Input::Return),
            21 => {
                let slept = self.dice.up_to(10_000);
                (self.at_ms, self.slept_ms) = (self.at_ms + slept, self.slept_ms + slept);
                self.feed(Input::Timeout);
            }
            _ => self.waits(),
        }
    }

    fn answer(&mut self) {
        let Some(id) = self.requests.pop_last() else { return };
        let bad = self.bad();
        let status = if bad { [401, 403, 404, 429, 503][self.dice.up_to(4) as usize] } else { 200 };
        let channel =
            format!(r#"{{"id":"streaming-{id}","connectUri":"wss://streaming.x/{id}","entities":[{{"id":"v2.1"}}]}}"#);
        let retry_after = (status == 429).then(|| "30".to_owned());
        let outcome = match self.dice.up_to(9) {
            0 if bad => Err(error(Code::Dns)),
            _ => Ok(Reply { status, retry_after, body: channel.into(), ..Reply::default() }),
        };
        self.feed(Input::Rest { id, outcome });
    }

    fn connects(&mut self) {
        let Some(epoch) = self.pick(At::Dialled) else { return };
        if !self.bad() {
            return self.feed(Input::Connected { epoch });
        }
        self.sockets.remove(&epoch);
        self.feed(Input::Failed { epoch, error: error(Code::Connect) });
    }

    fn opens(&mut self) {
        let Some(epoch) = self.pick(At::Upgrading) else { return };
        let codes = [Code::UpgradeNotFound, Code::UpgradeUnauthorized, Code::UpgradeForbidden, Code::UpgradeRefused];
        let which = if self.bad() { self.dice.up_to(3) as usize } else { codes.len() };
        match codes.get(which) {
            Some(code) => {
                self.sockets.remove(&epoch);
                self.feed(Input::Failed { epoch, error: Error::new(*code, Stage::Upgrade, "no") });
            }
            None => {
                self.sockets.insert(epoch, At::Open);
                self.feed(Input::Opened { epoch });
            }
        }
    }

    fn hears(&mut self) {
        let leaving = self.dice.up_to(4) == 0;
        let Some(epoch) = self.pick(if leaving { At::Leaving } else { At::Open }) else { return };
        let channel = self.dice.up_to(self.highest);
        let system = |name: &str, reason: &str| {
            format!(
                r#"{{"topicName":"v2.system.{name}.x","eventBody":{{"channelId":"streaming-{channel}","reason":"{reason}"}}}}"#
            )
        };
        let which = if self.bad() { self.dice.up_to(3) } else { 4 + self.dice.up_to(8) };
        let text = match which {
            0 => r#"{"topicName":"v2.system.socket_closing","eventBody":{}}"#.to_owned(),
            1 => system("token_revoked", ""),
            2 => system("no_longer_subscribed", "another_channel_subscribed"),
            3 => r#"{"topicName":"v2.system.no_longer_subscribed","eventBody":{}}"#.to_owned(),
            4..=6 => event("c", channel as u32),
            _ => PONG.to_owned(),
        };
        let whose = self.session.judge(epoch, text.as_bytes());
        self.session.heard(self.now(), epoch);
        match whose {
            Whose::Ours => self.feed(Input::Reply { epoch, text: text.into() }),
            Whose::Application => _ = self.session.admit(self.now(), epoch, text.as_bytes()),
        }
    }

    fn ends(&mut self) {
        let at = [At::Dialled, At::Open, At::Open, At::Leaving][self.dice.up_to(3) as usize];
        let Some(epoch) = self.pick(at) else { return };
        self.sockets.remove(&epoch);
        match (at, self.dice.up_to(2)) {
            (At::Dialled, _) => self.feed(Input::Failed { epoch, error: error(Code::Connect) }),
            (At::Leaving, _) => self.feed(Input::Drained { epoch, clean: false }),
            (_, 0) => self.feed(Input::Dropped { epoch, error: error(Code::Dropped) }),
            (_, n) => self.feed(Input::Closed { epoch, code: [1001, 1008][n as usize - 1], reason: String::new() }),
        }
    }

    fn drains(&mut self) {
        let Some(epoch) = self.pick(At::Leaving) else { return };
        self.sockets.remove(&epoch);
        self.feed(Input::Drained { epoch, clean: true });
    }

    /// Until the next deadline, which must lead somewhere.
    fn waits(&mut self) {
        let longest =
            self.at_ms + [500, 5_000, if self.luck > 9 { 10_000 } else { 600_000 }][self.dice.up_to(2) as usize];
        self.at_ms = self.session.next_timeout().map_or(longest, |at| at.clamp(self.at_ms, longest));
        self.feed(Input::Timeout);
        for _ in 0..4 {
            if self.session.next_timeout().is_none_or(|at| at > self.at_ms) {
                return;
            }
            self.feed(Input::Timeout);
        }
        panic!("a deadline that leads nowhere");
    }
}

#[test]
fn nothing_hangs_spins_or_follows_the_end() {
    let mut lives = 0;
    for seed in 0..WALKS {
        let mut chaos = Chaos::new(seed);
        let rounds = if seed % 5 == 0 { Rounds::Once } else { Rounds::Forever };
        chaos.feed(Input::Start(rounds));
        for _ in 0..STEPS {
            chaos.step();
            lives += usize::from(chaos.live.is_some() && chaos.sockets.len() == 2);
        }
        chaos.feed(Input::Close);
        while !chaos.stopped {
            chaos.waits();
        }
        assert_eq!(chaos.session.next_timeout(), None);
    }
    assert!(lives > 1_000, "only {lives} steps with two sockets");
}
