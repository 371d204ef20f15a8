//! One socket of gwa-socket: what is read from it and where that goes.

use super::delivery::{Delivery, Drain, Room};
use super::link::{Link, ReadOutcome};
use crate::config::settings::Settings;
use crate::error::Error;
use crate::event::MessageKind;
use crate::proto::session::{Session, Whose};
use crate::proto::time::Now;
use crate::secret::Secret;

/// Messages read from one socket before the others, the inbox and the timers get their turn.
const BUDGET: usize = 512;
/// Time that callbacks may take before they do (inline delivery).
const LONGEST_TURN_MS: u64 = 10;

/// A socket and how it is used.
pub struct Active {
    pub link: Link,
    pub epoch: u64,
    /// When it was dialled, in boot milliseconds.
    pub dialled_ms: u64,
    pub is_open: bool,
    /// Edge-triggered: there may be something to read until a read would block.
    pub readable: bool,
    /// Not read, because the application's queue is full.
    pub stalled: bool,
    /// Messages kept back until the socket it replaces is read out.
    pub held: Option<Held>,
    /// It is the socket of a channel: the machine admits each text, as an event may come by two of them.
    has_channel: bool,
    pub leaving: Option<Leaving>,
    /// An auth frame that waits for earlier bytes to go out.
    pub auth: Option<Secret>,
}

/// How far a socket that is being left is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leaving {
    /// Reading what is there; then closing with this code.
    ReadOut(u16),
    /// The close frame is sent.
    Closing,
}

/// Messages kept back.
#[derive(Debug, Default)]
pub struct Held {
    messages: Vec<(MessageKind, Vec<u8>)>,
    bytes: usize,
}

/// Why reading paused.
#[derive(Debug)]
pub enum Turn {
    /// Nothing more to read now.
    Idle,
    /// There may be more, but others wait.
    Budget,
    /// The application's queue is full.
    Full,
    /// A reply for the machine.
    Ours(Vec<u8>),
    /// The peer's close frame.
    Closed { code: u16, reason: String },
    /// The connection is over.
    Ended(Error),
}

impl Active {
    /// A socket that is being dialled from now on; `hold`: keep its messages back.
    pub fn new(link: Link, dialled_ms: u64, hold: bool, has_channel: bool) -> Self {
        let epoch = link.epoch();
        let held = hold.then(Held::default);
        let (is_open, readable, stalled) = (false, false, false);
        let (leaving, auth) = (None, None);
        Self { link, epoch, dialled_ms, is_open, readable, stalled, held, has_channel, leaving, auth }
    }

    /// Reads until something has to be decided. The hot path: an application message goes straight to delivery.
    pub fn read(&mut self, machine: &mut Session, drain: &mut Drain<'_>, delivery: &Delivery, now: Now) -> Turn {
        let before = self.link.bytes_read();
        let turn = self.read_on(machine, drain, delivery, now);
        if self.link.bytes_read() != before {
            machine.heard(now, self.epoch);
        }
        turn
    }

    fn read_on(&mut self, machine: &mut Session, drain: &mut Drain<'_>, delivery: &Delivery, now: Now) -> Turn {
        for _ in 0..BUDGET {
            if !self.may_read(machine, delivery) {
                return Turn::Full;
            }
            if drain.spent_ms() > LONGEST_TURN_MS {
                return Turn::Budget;
            }
            if let Some(turn) = self.read_one(machine, drain, now) {
                return turn;
            }
        }
        Turn::Budget
    }

    /// Reads one message; why to pause, if there is a reason.
    fn read_one(&mut self, machine: &mut Session, drain: &mut Drain<'_>, now: Now) -> Option<Turn> {
        let (kind, data) = match self.link.read() {
            ReadOutcome::Text(text) => match machine.judge(self.epoch, text.as_bytes()) {
                Whose::Ours => return Some(Turn::Ours(text.as_bytes().to_vec())),
                Whose::Application => (MessageKind::Text, text.as_bytes()),
            },
            ReadOutcome::Binary(data) => (MessageKind::Binary, data),
            ReadOutcome::Control => return None,
            ReadOutcome::WouldBlock => return Some(Turn::Idle),
            ReadOutcome::Closed { code, reason } => return Some(Turn::Closed { code, reason }),
            ReadOutcome::Ended(error) => return Some(Turn::Ended(error)),
        };
        match &mut self.held {
            Some(held) => held.keep(kind, data),
            // A second copy, which came by the other socket before.
            None if self.has_channel && kind == MessageKind::Text && !machine.admit(now, self.epoch, data) => {}
            None => drain.push_message(kind, data, self.epoch),
        }
        None
    }

    /// Below the bound always; past it by one maximum message while a reply or a pong is awaited.
    pub fn may_read(&self, machine: &Session, delivery: &Delivery) -> bool {
        let settings = machine.settings();
        let over = match &self.held {
            Some(held) => held.over(settings),
            None => match delivery.room() {
                Room::Below => None,
                Room::Full { bytes_over } => Some(bytes_over),
            },
        };
        over.is_none_or(|over| over < settings.max_message_bytes as u64 && machine.awaits(self.epoch))
    }

    /// What was kept back, to be delivered now. Nothing is kept back from now on.
    pub fn release(&mut self) -> Option<Held> {
        self.readable = true;
        self.held.take()
    }
}

impl Held {
    fn keep(&mut self, kind: MessageKind, data: &[u8]) {
        self.bytes += data.len();
        self.messages.push((kind, data.to_vec()));
    }

    /// Passes everything on, but texts that are not admitted.
    pub fn deliver(self, epoch: u64, drain: &mut Drain<'_>, admits: &mut impl FnMut(&[u8]) -> bool) {
        for (kind, data) in self.messages {
            if kind == MessageKind::Binary || admits(&data) {
                drain.push_message(kind, &data, epoch);
            }
        }
    }

    /// By how many bytes it is over the bound of the event queue.
    fn over(&self, settings: &Settings) -> Option<u64> {
        let full = self.bytes >= settings.event_queue_bytes || self.messages.len() >= settings.event_queue_events;
        full.then(|| self.bytes.saturating_sub(settings.event_queue_bytes) as u64)
    }
}
