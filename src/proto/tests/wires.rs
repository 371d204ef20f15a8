//! The socket thread: what it does for the session, and both ends of its sockets.

use std::collections::VecDeque;

use super::world::{Event, Wire, World};
use crate::error::{Code, Error, Stage};
use crate::proto::refresher;
use crate::proto::session::{self, Whose};

/// When the account of a socket that is gone is closed.
const SETTLE_MS: u64 = 60_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    Dialing,
    Open,
    Leaving,
    Gone,
}

/// Both ends of a socket.
#[derive(Debug)]
pub struct Socket {
    pub end: End,
    pub held: bool,
    kept: Vec<u64>,
    unread: VecDeque<Wire>,
    pub stalled: bool,
    pub extra: bool,
    /// The server's end is open.
    pub served: bool,
    /// The server has had an auth frame.
    pub asked: bool,
    /// The token the server accepted last.
    pub accepted: Option<String>,
    /// Nothing gets through any more, either way.
    pub swallowed: bool,
    up_ms: u64,
    down_ms: u64,
    /// What the server wrote, and when.
    pub written: Vec<(u64, u64)>,
    pub delivered: usize,
}

impl World {
    pub fn feed_session(&mut self, input: session::Input) {
        let random = self.dice.up_to(u64::MAX);
        self.say("S <", &input);
        self.watch.before_session(self.now_ms, &input);
        self.socket_laws.before(self.now(), &input);
        self.scope_laws.before(&input);
        self.session.handle(self.now(), random, input);
        while let Some(output) = self.session.poll() {
            self.say("S   >", &output);
            self.socket_laws.said(self.now(), &output, &self.sockets);
            self.scope_laws.said(&output);
            self.watch.session_said(self.now(), &output, &self.sockets, &mut self.dice);
            self.do_session(output);
        }
        self.watch.after_session(self.now_ms, &self.sockets, self.session.state());
        self.socket_laws.after(self.now(), self.session.state());
        self.scope_laws.after(self.session.state());
    }

    pub fn do_session(&mut self, output: session::Output) {
        use session::Output as O;
        match output {
            O::Rest { .. } | O::DropRest { .. } | O::AskSpare | O::ReturnSpare => {
                panic!("not of this profile: {output:?}")
            }
            O::Dial { epoch, hold, .. } => {
                self.sockets.insert(epoch, Socket::dialing(hold));
                let delay = self.network_ms();
                self.later(delay, Event::Dialled { epoch });
            }
            O::Upgrade { epoch } => {
                let delay = self.network_ms();
                self.later(delay, Event::Asked { epoch });
            }
            O::SendAuth { epoch, frame } => self.send_up(epoch, Wire::Text(frame.expose().as_bytes().to_vec())),
            O::Ping { epoch } => self.send_up(epoch, Wire::Ping),
            O::Release { epoch } => self.release(epoch),
            O::Leave { epoch, code } => {
                self.send_up(epoch, Wire::Close(code));
                if let Some(socket) = self.sockets.get_mut(&epoch) {
                    socket.end = End::Leaving;
                }
            }
            O::Abort { epoch } => {
                self.send_up(epoch, Wire::Eof);
                self.gone(epoch);
            }
            O::Refused { serial } => self.cross_to_refresher(refresher::Input::Refused { serial }),
            O::TryAgain => self.cross_to_refresher(refresher::Input::RefreshNow),
            O::GiveUp { error, serial } => self.cross_to_refresher(refresher::Input::GiveUp { error, serial }),
            O::Failed { for_good: true, .. } => self.cross_to_refresher(refresher::Input::Close),
            O::MarkInBandUnable => {
                let until_ms = self.now_ms + 24 * 3_600_000;
                self.later(1, Event::ToSession(session::Input::InBandUnable { until_ms }));
            }
            O::SendOn(_)
            | O::Notice(_)
            | O::Audit(_)
            | O::Renewed { .. }
            | O::GoalMissed { .. }
            | O::Connected
            | O::Failed { for_good: false, .. }
            | O::Stopped { .. } => {}
        }
    }

    pub fn send_up(&mut self, epoch: u64, wire: Wire) {
        let delay = self.network_ms();
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| !socket.swallowed) else { return };
        socket.up_ms = socket.up_ms.max(self.now_ms + delay);
        let at_ms = socket.up_ms;
        self.at(at_ms, Event::Up { epoch, wire });
    }

    pub fn send_down(&mut self, epoch: u64, wire: Wire) {
        let delay = self.network_ms();
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| !socket.swallowed) else { return };
        socket.down_ms = socket.down_ms.max(self.now_ms + delay);
        let at_ms = socket.down_ms;
        self.at(at_ms, Event::Down { epoch, wire });
    }

    pub fn connect_done(&mut self, epoch: u64, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => self.feed_session(session::Input::Connected { epoch }),
            Err(error) => {
                self.gone(epoch);
                self.feed_session(session::Input::Failed { epoch, error });
            }
        }
    }

    pub fn dial_done(&mut self, epoch: u64, outcome: Result<(), Error>) {
        let dialing = self.sockets.get_mut(&epoch).filter(|socket| socket.end == End::Dialing);
        match outcome {
            Ok(()) => {
                if let Some(socket) = dialing {
                    socket.end = End::Open;
                }
                self.feed_session(session::Input::Opened { epoch });
            }
            Err(error) => {
                self.gone(epoch);
                self.feed_session(session::Input::Failed { epoch, error });
            }
        }
    }

    pub fn gone(&mut self, epoch: u64) {
        let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| socket.end != End::Gone) else { return };
        (socket.end, socket.stalled) = (End::Gone, false);
        socket.unread.clear();
        self.later(SETTLE_MS, Event::Settle { epoch });
    }

    pub fn down(&mut self, epoch: u64, wire: Wire) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        if socket.swallowed || !matches!(socket.end, End::Open | End::Leaving) {
            return;
        }
        socket.unread.push_back(wire);
        self.read_on(epoch);
    }

    pub fn read_on(&mut self, epoch: u64) {
        loop {
            let Some(socket) = self.sockets.get_mut(&epoch).filter(|socket| !socket.stalled) else { return };
            let is_message = matches!(socket.unread.front(), Some(Wire::Message(_)));
            if self.queue_full && is_message && !socket.held {
                // One message more than the bound while a reply or a pong is awaited.
                if socket.extra || !self.session.awaits(epoch) {
                    socket.stalled = true;
                    return self.feed_session(session::Input::Stalled { epoch });
                }
                socket.extra = true;
            }
            let Some(wire) = socket.unread.pop_front() else { return };
            self.session.heard(self.now(), epoch);
            self.read(epoch, wire);
        }
    }

    pub fn read(&mut self, epoch: u64, wire: Wire) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        let leaving = socket.end == End::Leaving;
        match wire {
            Wire::Text(text) => match self.session.judge(epoch, &text) {
                Whose::Ours => self.feed_session(session::Input::Reply { epoch, text }),
                Whose::Application => {}
            },
            Wire::Message(number) if socket.held => socket.kept.push(number),
            Wire::Message(number) => self.deliver(epoch, number),
            Wire::Ping | Wire::Pong => {}
            Wire::Close(code) => {
                self.gone(epoch);
                let input = if leaving {
                    session::Input::Drained { epoch, clean: code == 1000 }
                } else {
                    session::Input::Closed { epoch, code, reason: "as asked".into() }
                };
                self.feed_session(input);
            }
            Wire::Eof => {
                self.gone(epoch);
                let error = Error::new(Code::Dropped, Stage::Live, "");
                self.feed_session(session::Input::Dropped { epoch, error });
            }
        }
    }

    pub fn release(&mut self, epoch: u64) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        socket.held = false;
        for number in std::mem::take(&mut socket.kept) {
            self.deliver(epoch, number);
        }
    }

    pub fn deliver(&mut self, epoch: u64, number: u64) {
        let Some(socket) = self.sockets.get_mut(&epoch) else { return };
        let next = socket.written.get(socket.delivered).map(|(number, _)| *number);
        assert_eq!(next, Some(number), "socket {epoch}: out of order or lost in between");
        socket.delivered += 1;
        self.watch.delivered(epoch, number);
    }

    /// A socket is gone for good: what the server wrote on it and nobody saw must lie in a gap.
    pub fn settle(&mut self, epoch: u64) {
        let Some(socket) = self.sockets.remove(&epoch) else { return };
        for (number, at_ms) in socket.written.iter().skip(socket.delivered) {
            self.watch.lost(*number, *at_ms, epoch);
        }
    }

    pub fn say(&self, who: &str, what: &impl std::fmt::Debug) {
        if self.trace {
            println!("{} {who} {what:?}", self.now_ms);
        }
    }
}

impl Socket {
    fn dialing(held: bool) -> Self {
        Self {
            end: End::Dialing,
            held,
            kept: Vec::new(),
            unread: VecDeque::new(),
            stalled: false,
            extra: false,
            served: false,
            asked: false,
            accepted: None,
            swallowed: false,
            up_ms: 0,
            down_ms: 0,
            written: Vec::new(),
            delivered: 0,
        }
    }

    /// The server takes it for authenticated.
    pub fn is_live(&self) -> bool {
        self.served && self.accepted.is_some()
    }
}
