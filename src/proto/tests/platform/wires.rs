//! The socket threads of the clients, and the sockets between them and the platform.

use std::collections::VecDeque;
use std::rc::Rc;

use super::cloud;
use super::world::{Event, Platform};
use crate::error::{Code, Error, Stage};
use crate::proto::refresher;
use crate::proto::session::{self, Whose};
use crate::secret::Secret;

/// What travels on a socket.
#[derive(Clone, Debug)]
pub enum Wire {
    Text(Rc<str>),
    Ping,
    Pong,
    Close(u16),
    Eof,
}

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
    pub channel: u64,
    pub held: bool,
    kept: Vec<Rc<str>>,
    unread: VecDeque<Wire>,
    pub stalled: bool,
    extra: bool,
    /// The platform's end is open.
    pub served: bool,
    /// Nothing gets through any more, either way.
    pub swallowed: bool,
    /// The platform says nothing any more, since then.
    pub mute_ms: Option<u64>,
    up_ms: u64,
    down_ms: u64,
}

impl Socket {
    fn dialing(channel: u64, held: bool) -> Self {
        Self {
            end: End::Dialing,
            channel,
            held,
            kept: Vec::new(),
            unread: VecDeque::new(),
            stalled: false,
            extra: false,
            served: false,
            swallowed: false,
            mute_ms: None,
            up_ms: 0,
            down_ms: 0,
        }
    }
}

impl Platform {
    pub fn feed(&mut self, who: usize, input: session::Input) {
        let (random, now) = (self.dice.up_to(u64::MAX), self.now());
        self.say_of(who, "<", &input);
        let client = &mut self.clients[who];
        client.laws.before(now, &input, &client.sockets);
        client.session.handle(now, random, input);
        while let Some(output) = self.clients[who].session.poll() {
            self.say_of(who, "  >", &output);
            self.judge(who, &output);
            self.obey(who, output);
        }
        let client = &mut self.clients[who];
        client.wake_ms = client.session.next_timeout();
        client.laws.after(now, &client.sockets, client.session.state());
    }

    fn obey(&mut self, who: usize, output: session::Output) {
        use session::Output as O;
        match output {
            O::Dial { epoch, hold, uri } => self.dial(who, epoch, hold, uri.as_ref()),
            O::Upgrade { epoch } => {
                let delay = self.network_ms();
                self.later(delay, Event::Asked { who, epoch });
            }
            O::Rest { id, request } => {
                self.clients[who].rests.insert(id, self.now_ms);
                let (delay, sent_ms) = (self.network_ms(), self.now_ms);
                self.later(delay, Event::RestAsked { who, id, request, sent_ms });
            }
            O::DropRest { id } => {
                self.clients[who].rests.remove(&id);
            }
            O::AskSpare => self.cross_to_source(who, Event::Spare { who, wanted: true }),
            O::ReturnSpare => self.cross_to_source(who, Event::Spare { who, wanted: false }),
            O::SendAuth { epoch, frame } => self.send_up(who, epoch, Wire::Text(frame.expose().into())),
            O::Ping { epoch } => self.send_up(who, epoch, Wire::Ping),
            O::Release { epoch } => self.release(who, epoch),
            O::Leave { epoch, code } => {
                self.send_up(who, epoch, Wire::Close(code));
                let client = &mut self.clients[who];
                if let Some(socket) = client.sockets.get_mut(&epoch) {
                    socket.end = End::Leaving;
                }
                self.excuse(who, epoch);
            }
            O::Abort { epoch } => {
                self.send_up(who, epoch, Wire::Eof);
                self.gone(who, epoch);
            }
            O::Refused { serial } => self.cross_to_source(who, Event::ToSource(refresher::Input::Refused { serial })),
            O::TryAgain => self.cross_to_source(who, Event::ToSource(refresher::Input::RefreshNow)),
            O::GiveUp { error, serial } => {
                self.cross_to_source(who, Event::ToSource(refresher::Input::GiveUp { error, serial }));
            }
            O::SendOn(_)
            | O::Notice(_)
            | O::Audit(_)
            | O::Renewed { .. }
            | O::MarkInBandUnable
            | O::Connected
            | O::Failed { .. }
            | O::Stopped { .. } => {}
        }
    }

    fn dial(&mut self, who: usize, epoch: u64, hold: bool, uri: Option<&Secret>) {
        let channel = uri.and_then(|uri| cloud::channel_of(uri.expose())).expect("dialled without a channel");
        let sockets = &mut self.clients[who].sockets;
        sockets.retain(|_, socket| socket.end != End::Gone || socket.served);
        sockets.insert(epoch, Socket::dialing(channel, hold));
        let delay = self.network_ms();
        self.later(delay, Event::Dialled { who, epoch });
    }

    fn send_up(&mut self, who: usize, epoch: u64, wire: Wire) {
        let at_ms = self.now_ms + self.network_ms();
        let Some(socket) = self.clients[who].sockets.get_mut(&epoch).filter(|socket| !socket.swallowed) else { return };
        socket.up_ms = socket.up_ms.max(at_ms);
        let at_ms = socket.up_ms;
        self.at(at_ms, Event::Up { who, epoch, wire });
    }

    pub fn send_down(&mut self, who: usize, epoch: u64, wire: Wire) {
        let at_ms = self.now_ms + self.network_ms();
        let Some(socket) = self.clients[who].sockets.get_mut(&epoch).filter(|socket| !socket.swallowed) else { return };
        socket.down_ms = socket.down_ms.max(at_ms);
        let at_ms = socket.down_ms;
        self.at(at_ms, Event::Down { who, epoch, wire });
    }

    pub fn connect_done(&mut self, who: usize, epoch: u64, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => self.feed(who, session::Input::Connected { epoch }),
            Err(error) => {
                self.gone(who, epoch);
                self.feed(who, session::Input::Failed { epoch, error });
            }
        }
    }

    pub fn dial_done(&mut self, who: usize, epoch: u64, outcome: Result<(), Error>) {
        let dialing = |socket: &&mut Socket| socket.end == End::Dialing;
        match outcome {
            Ok(()) => {
                if let Some(socket) = self.clients[who].sockets.get_mut(&epoch).filter(dialing) {
                    socket.end = End::Open;
                }
                self.feed(who, session::Input::Opened { epoch });
            }
            Err(error) => {
                self.gone(who, epoch);
                self.feed(who, session::Input::Failed { epoch, error });
            }
        }
    }

    /// Silence that is shorter than the watchdog's patience tells nobody anything.
    fn excuse(&mut self, who: usize, epoch: u64) {
        let client = &mut self.clients[who];
        let Some(socket) = client.sockets.get(&epoch) else { return };
        if let Some(since_ms) = socket.mute_ms {
            client.laws.account.excuse(since_ms, self.now_ms);
        }
        // Nor does what a channel would have brought after its token's end.
        let token = self.cloud.channels.get(&socket.channel).map_or("", |channel| channel.token.as_str());
        let ends_ms = self.server.ends_ms(token, self.now_ms).unwrap_or(self.now_ms);
        if ends_ms < self.now_ms + self.nature.base.lifetime_ms / 10 + 10_000 {
            client.laws.account.excuse(self.now_ms.saturating_sub(self.nature.skew_ms), self.now_ms);
        }
    }

    fn gone(&mut self, who: usize, epoch: u64) {
        self.excuse(who, epoch);
        let Some(socket) = self.clients[who].sockets.get_mut(&epoch) else { return };
        (socket.end, socket.stalled) = (End::Gone, false);
        socket.unread.clear();
    }

    pub fn down(&mut self, who: usize, epoch: u64, wire: Wire) {
        let Some(socket) = self.clients[who].sockets.get_mut(&epoch) else { return };
        if !socket.swallowed && matches!(socket.end, End::Open | End::Leaving) {
            socket.unread.push_back(wire);
            self.read_on(who, epoch);
        }
    }

    fn read_on(&mut self, who: usize, epoch: u64) {
        loop {
            let now = self.now();
            let client = &mut self.clients[who];
            let Some(socket) = client.sockets.get_mut(&epoch).filter(|socket| !socket.stalled) else { return };
            let is_text = matches!(socket.unread.front(), Some(Wire::Text(_)));
            if client.queue_full && is_text && !socket.held {
                // One message more than the bound while a reply or a pong is awaited.
                if socket.extra || !client.session.awaits(epoch) {
                    socket.stalled = true;
                    return self.feed(who, session::Input::Stalled { epoch });
                }
                socket.extra = true;
            }
            let Some(wire) = socket.unread.pop_front() else { return };
            if !matches!(wire, Wire::Eof | Wire::Text(_)) {
                client.session.heard(now, epoch);
            }
            client.wake_ms = client.session.next_timeout();
            self.read(who, epoch, wire);
        }
    }

    fn read(&mut self, who: usize, epoch: u64, wire: Wire) {
        let now = self.now();
        let client = &mut self.clients[who];
        let Some(socket) = client.sockets.get_mut(&epoch) else { return };
        let leaving = socket.end == End::Leaving;
        match wire {
            Wire::Text(text) => {
                client.laws.heard(now, epoch, &text);
                if let Some(token) = self.cloud.revoked_by(&text) {
                    client.laws.forbid(token);
                }
                let whose = client.session.judge(epoch, text.as_bytes());
                client.session.heard(now, epoch);
                client.wake_ms = client.session.next_timeout();
                if whose == Whose::Ours {
                    let text = text.as_bytes().to_vec();
                    self.feed(who, session::Input::Reply { epoch, text });
                } else if socket.held {
                    socket.kept.push(text);
                } else {
                    self.deliver(who, epoch, &text);
                }
            }
            Wire::Ping | Wire::Pong => {}
            Wire::Close(code) => {
                self.gone(who, epoch);
                let input = if leaving {
                    session::Input::Drained { epoch, clean: code == 1000 }
                } else {
                    session::Input::Closed { epoch, code, reason: "as asked".into() }
                };
                self.feed(who, input);
            }
            Wire::Eof => {
                self.gone(who, epoch);
                let error = Error::new(Code::Dropped, Stage::Live, "");
                self.feed(who, session::Input::Dropped { epoch, error });
            }
        }
    }

    fn release(&mut self, who: usize, epoch: u64) {
        let Some(socket) = self.clients[who].sockets.get_mut(&epoch) else { return };
        socket.held = false;
        for text in std::mem::take(&mut socket.kept) {
            self.deliver(who, epoch, &text);
        }
    }

    fn deliver(&mut self, who: usize, epoch: u64, text: &str) {
        let now = self.now();
        let client = &mut self.clients[who];
        let admitted = client.session.admit(now, epoch, text.as_bytes());
        client.laws.read(now, epoch, text, admitted);
        self.say("  read", &(text, admitted));
    }

    pub fn stall(&mut self, who: usize, ms: u64) {
        self.clients[who].queue_full = true;
        self.later(ms, Event::Unstall { who });
    }

    pub fn unstall(&mut self, who: usize) {
        self.clients[who].queue_full = false;
        let sockets = &self.clients[who].sockets;
        let epochs: Vec<u64> = sockets.iter().filter(|(_, s)| s.stalled).map(|(epoch, _)| *epoch).collect();
        for epoch in epochs {
            let socket = self.socket(who, epoch);
            (socket.stalled, socket.extra) = (false, false);
            self.clients[who].laws.resumed(self.now_ms, epoch);
            self.feed(who, session::Input::Resumed { epoch });
            self.read_on(who, epoch);
        }
    }

    /// The application wants one topic less, or one more.
    pub fn change_topics(&mut self, who: usize) {
        let mut topics = self.clients[who].laws.wanted().to_vec();
        if topics.len() > 2 && self.one_in(2) {
            topics.remove(self.up_to(topics.len() as u64 - 1) as usize);
        } else {
            let number = self.up_to(1_000_000);
            topics.push(format!("v2.users.n{number}.presence"));
        }
        self.want(who, topics);
    }

    /// The application wants these topics.
    pub fn want(&mut self, who: usize, topics: Vec<String>) {
        self.clients[who].laws.wants(self.now_ms, topics.clone());
        self.feed(who, session::Input::Topics(topics));
    }
}
