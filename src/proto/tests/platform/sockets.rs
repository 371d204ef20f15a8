//! The streaming host: handshakes, heartbeats, events, and what it says of itself.

use std::rc::Rc;

use super::account::Made;
use super::cloud::{self, expanded};
use super::faults::Fault;
use super::wires::{End, Socket, Wire};
use super::world::{Event, Platform};
use crate::error::{Code, Error, Stage};

pub const BEAT: &str = r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
pub const PONG: &str = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
pub const CLOSING: &str =
    r#"{"topicName":"v2.system.socket_closing","eventBody":{"message":"Websocket closing soon"}}"#;
/// Frames of a kind that nobody has described: they are the application's.
pub const ODDITIES: [&str; 4] = [
    r#"{"topicName":"v2.of.the.future","version":"3","eventBody":{"x":1},"metadata":{}}"#,
    r#"{"type":"auth","status":"error","message":"not of this profile"}"#,
    r#"{"eventBody":null}"#,
    "no JSON at all",
];

impl Platform {
    pub fn socket(&mut self, who: usize, epoch: u64) -> &mut Socket {
        self.clients[who].sockets.get_mut(&epoch).expect("no such socket")
    }

    pub fn dialled(&mut self, who: usize, epoch: u64) {
        let fault = |code| Err(Error::new(code, Stage::Connect, ""));
        let (delay, outcome) = match () {
            () if self.on(Fault::DialHangs) => (10_000, fault(Code::ConnectTimeout)),
            () if self.on(Fault::DialRefused) => (0, fault(Code::Connect)),
            () => (0, Ok(())),
        };
        let delay = delay + self.network_ms();
        self.later(delay, Event::ConnectDone { who, epoch, outcome });
    }

    /// The handshake: granted, or refused with a status.
    pub fn asked_to_upgrade(&mut self, who: usize, epoch: u64) {
        let Some(socket) = self.clients[who].sockets.get(&epoch).filter(|socket| socket.end != End::Gone) else {
            return;
        };
        let channel = socket.channel;
        if self.on(Fault::UpgradeMissing) {
            self.channel_ends(channel, None);
        }
        let fault = |code| Err(Error::new(code, Stage::Upgrade, ""));
        let outcome = match () {
            () if self.on(Fault::UpgradeUnauthorized) => fault(Code::UpgradeUnauthorized),
            () if self.on(Fault::UpgradeForbidden) => fault(Code::UpgradeForbidden),
            () if self.on(Fault::UpgradeUnavailable) => {
                let asked = self.up_to(10_000);
                fault(Code::UpgradeRefused).map_err(|error| error.with(|detail| detail.retry_after_ms = Some(asked)))
            }
            () if !self.cloud.is_there(self.now_ms, channel) => fault(Code::UpgradeNotFound),
            () => Ok(()),
        };
        if outcome.is_ok() {
            self.socket(who, epoch).served = true;
            if let Some(displaced) = self.cloud.connect(self.now_ms, channel, epoch) {
                self.no_longer_subscribed(who, displaced, channel, "another_channel_subscribed");
                self.hang_up(who, displaced, Wire::Close(1000));
            }
            let first = self.up_to(self.nature.beat_ms);
            self.later(first, Event::Beat { who, epoch });
        }
        let delay = self.network_ms();
        // What is sent at once comes right behind the answer to the upgrade.
        self.socket(who, epoch).down_ms = self.now_ms + delay;
        self.later(delay, Event::DialDone { who, epoch, outcome });
    }

    /// Something arrives at the platform.
    pub fn up(&mut self, who: usize, epoch: u64, wire: &Wire) {
        let (no_pong, no_close) = (self.on(Fault::PingUnanswered), self.on(Fault::CloseUnanswered));
        let served = |socket: &&mut Socket| socket.served && !socket.swallowed;
        if self.clients[who].sockets.get_mut(&epoch).filter(served).is_none() {
            return;
        }
        match wire {
            Wire::Text(text) => {
                assert_eq!(&**text, r#"{"message":"ping"}"#, "the platform knows no other frame");
                if !no_pong {
                    self.system(who, epoch, PONG);
                }
            }
            Wire::Ping => self.send_down(who, epoch, Wire::Pong),
            Wire::Close(code) => {
                self.disconnected(who, epoch);
                if !no_close {
                    self.send_down(who, epoch, Wire::Close(*code));
                }
            }
            Wire::Eof => self.disconnected(who, epoch),
            Wire::Pong => {}
        }
    }

    fn disconnected(&mut self, who: usize, epoch: u64) {
        let socket = self.socket(who, epoch);
        socket.served = false;
        let channel = socket.channel;
        if let Some(found) = self.cloud.channels.get_mut(&channel) {
            found.socket.take_if(|connected| *connected == epoch);
        }
    }

    /// The platform ends a socket.
    pub fn hang_up(&mut self, who: usize, epoch: u64, how: Wire) {
        if self.clients[who].sockets.get(&epoch).is_some_and(|socket| socket.served) {
            self.disconnected(who, epoch);
            self.send_down(who, epoch, how);
        }
    }

    /// A text of the platform's own, unless the socket is mute.
    pub fn system(&mut self, who: usize, epoch: u64, text: &str) {
        if self.clients[who].sockets.get(&epoch).is_some_and(|socket| socket.served && socket.mute_ms.is_none()) {
            self.send_down(who, epoch, Wire::Text(text.into()));
        }
        let client = &mut self.clients[who];
        if client.queue_full && text.starts_with(r#"{"topicName":"v2.system."#) {
            // It waits behind what the application does not read, and may be read when the socket is left already.
            client.laws.account.excuse(self.now_ms, self.now_ms + 10 * 60_000);
        }
    }

    pub fn beat(&mut self, who: usize, epoch: u64) {
        if !self.clients[who].sockets.get(&epoch).is_some_and(|socket| socket.served) {
            return;
        }
        for _ in 0..=usize::from(self.on(Fault::BeatsTwice)) {
            self.system(who, epoch, BEAT);
        }
        self.later(self.nature.beat_ms, Event::Beat { who, epoch });
    }

    // ---- what it says of itself -----------------------------------------------------------------------------

    pub fn no_longer_subscribed(&mut self, who: usize, epoch: u64, channel: u64, reason: &str) {
        let id = cloud::id_of(channel);
        let text = format!(
            r#"{{"topicName":"v2.system.no_longer_subscribed.{id}","eventBody":{{"channelId":"{id}","systemTopicType":"no_longer_subscribed","reason":"{reason}","message":"You are no longer subscribed on {id}"}}}}"#
        );
        self.system(who, epoch, &text);
    }

    pub fn token_revoked(&mut self, who: usize, epoch: u64, channel: u64) {
        let id = cloud::id_of(channel);
        let text = format!(
            r#"{{"topicName":"v2.system.token_revoked.{id}","eventBody":{{"channelId":"{id}","systemTopicType":"token_revoked","reason":"user_tokens_revoked","message":"The token of {id} is revoked"}}}}"#
        );
        self.system(who, epoch, &text);
    }

    /// Somebody else connects to the channel of this socket.
    pub fn displace(&mut self, who: usize, epoch: u64) {
        let channel = self.socket(who, epoch).channel;
        self.no_longer_subscribed(who, epoch, channel, "another_channel_subscribed");
        if let Some(found) = self.cloud.channels.get_mut(&channel) {
            found.socket = None;
        }
        if self.one_in(2) {
            let delay = self.up_to(3_000);
            self.later(delay, Event::CloseDue { who, epoch, code: 1000 });
        }
    }

    pub fn send_oddities(&mut self, who: usize, epoch: u64) {
        ODDITIES.iter().for_each(|text| self.system(who, epoch, text));
    }

    // ---- events ---------------------------------------------------------------------------------------------

    /// Something happens in the organisation.
    pub fn push(&mut self) {
        self.happens();
        let pause = self.nature.base.push_ms / 2 + self.up_to(self.nature.base.push_ms);
        self.later(pause, Event::Push);
    }

    pub fn happens(&mut self) {
        let mut names: Vec<String> = Vec::new();
        for client in &self.clients {
            names.extend(client.laws.wanted().iter().flat_map(|topic| expanded(topic)));
        }
        if names.is_empty() {
            return;
        }
        let name = names.swap_remove(self.up_to(names.len() as u64 - 1) as usize);
        self.made += 1;
        // Some happen twice in a row with nothing to tell them apart; some share their correlation id with others.
        let copies = if self.one_in(20) { 2 } else { 1 };
        let correlation = if self.one_in(10) { self.made / 3 } else { self.made };
        let made = Rc::new(Made::new(self.made, &name, correlation, copies, self.now_ms));
        self.say("  made", &(made.number, &made.name));
        for client in &mut self.clients {
            client.laws.account.made(&made);
        }
        for channel in self.cloud.channels.keys().copied().collect::<Vec<_>>() {
            let at_ms = self.now_ms + self.up_to(self.nature.skew_ms);
            let found = self.cloud.channels.get_mut(&channel).expect("just seen");
            found.fan_ms = found.fan_ms.max(at_ms);
            let (at_ms, made) = (found.fan_ms, Rc::clone(&made));
            self.at(at_ms, Event::Fan { channel, made });
        }
    }

    /// An event reaches a channel: its socket gets it, if there is one and the channel is subscribed.
    pub fn fan(&mut self, channel: u64, made: &Made) {
        let Some(found) = self.cloud.channels.get(&channel) else { return };
        let wants = found.topics.iter().any(|topic| cloud::covers(topic, &made.name));
        let (who, Some(epoch)) = (found.owner, found.socket) else { return };
        if wants && self.socket(who, epoch).mute_ms.is_none() {
            self.say("  written", &(made.number, who, epoch));
            self.clients[who].laws.account.written(made.number, self.now_ms);
            for _ in 0..made.copies {
                self.send_down(who, epoch, Wire::Text(Rc::clone(&made.text)));
            }
        }
    }
}
