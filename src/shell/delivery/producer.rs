//! The producers' side: the socket thread hands over messages, both threads hand over notices and records.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::batch::KEEP_BYTES;
use super::calls::{Caller, Inside};
use super::state::State;
use super::table::Table;
use super::Delivery;
use crate::audit::{Outcome, Record};
use crate::config::settings::Delivery as Mode;
use crate::event::{MessageKind, Notice};
use crate::hooks::{Callback, Message};
use crate::metrics::{counter_of_failure, Counter};
use crate::proto::time::Now;

/// Messages after which a consumer is woken although the socket is not read out yet.
const WAKE_MESSAGES: usize = 64;

/// Longest wait for room under the audit policy `Block`.
const LONGEST_BLOCK: Duration = Duration::from_secs(1);

/// Whether the event queue takes more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    /// Below its bound.
    Below,
    /// At or past its bound: stop reading the socket, or read on for at most one maximum message.
    Full {
        /// What went in, payloads and entries, since the bound was reached.
        bytes_over: u64,
    },
}

/// What the socket thread keeps between messages for inline delivery. Dropped when that thread ends.
#[derive(Default)]
pub(crate) struct Scratch {
    inline: Option<(Arc<Delivery>, Table)>,
    data: Vec<u8>,
}

impl Scratch {
    /// The hooks that this thread calls.
    pub(super) fn table(&self) -> Option<&Table> {
        self.inline.as_ref().map(|(_, table)| table)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some((delivery, table)) = &self.inline {
            delivery.leave_socket(Some(table), true);
        }
    }
}

/// One pass over a readable socket: messages go in one by one, the consumer is woken once.
pub(crate) struct Drain<'a> {
    delivery: &'a Delivery,
    scratch: &'a mut Scratch,
    /// When the pass began, and the end of the last callback (inline mode).
    began_ms: u64,
    at_ms: u64,
    /// Messages since a wake-up fell due; 0 when none is.
    owed: usize,
    /// The pass as a whole counts as user code (inline mode): marking every call costs more than the call.
    _inside: Option<Inside>,
}

#[cfg(test)]
impl Scratch {
    pub(super) fn capacity(&self) -> usize {
        self.data.capacity()
    }
}

impl Delivery {
    /// The socket thread's scratch space; holds `on_message` in inline mode.
    pub(crate) fn scratch(self: &Arc<Self>) -> Scratch {
        if self.mode != Mode::Inline {
            return Scratch::default();
        }
        let mut state = self.lock();
        state.has_scratch = true;
        let table = Table::of(&state.hooks, |callback| callback == Callback::Message);
        Scratch { inline: Some((Arc::clone(self), table)), data: Vec::new() }
    }

    /// Begins a pass over a readable socket. Drop it before waiting for the socket: that wakes the consumer.
    pub(crate) fn drain<'a>(&'a self, scratch: &'a mut Scratch) -> Drain<'a> {
        let inside = scratch.inline.is_some().then(|| Inside::enter(self, None));
        let at_ms = if inside.is_some() { (self.tick)() } else { 0 };
        Drain { delivery: self, scratch, began_ms: at_ms, at_ms, owed: 0, _inside: inside }
    }

    /// Delivers or queues a single message.
    #[cfg(test)]
    pub(crate) fn push_message(&self, scratch: &mut Scratch, kind: MessageKind, data: &[u8], connection: u64) {
        self.drain(scratch).push_message(kind, data, connection);
    }

    /// Queues a notice behind the messages and notices before it, whatever the bound.
    pub(crate) fn push_notice(&self, notice: Notice) {
        match &notice {
            Notice::Sent(_) if !self.wants.sent.load(Ordering::Relaxed) => return,
            Notice::Ask { id, .. } if !self.wants.asks.load(Ordering::Relaxed) => return self.refuse(*id),
            _ => {}
        }
        let notice = Box::new(notice);
        self.push(|state| {
            self.gauges.notice_in();
            // Nobody will look: what a notice holds, a token perhaps, is not kept.
            if !state.is_finished {
                let order = state.next_order();
                state.back.push_notice(order, notice);
            }
        });
    }

    /// Numbers, counts and queues an audit record. `id` is a UUID. Under the policy `Block` this may wait for a second.
    pub(crate) fn push_record(&self, now: Now, id: String, record: Record) {
        let state = self.lock_with_audit_room();
        self.push_into(state, |state| {
            self.count_record(state, &record);
            self.begin_log(state, now);
            let order = state.next_order();
            state.audit.push(order, now.wall_ms, id, record);
            self.urgent.store(true, Ordering::Relaxed);
            self.checkpoint_if_due(state, now);
        });
    }

    /// What the metrics have of a record beside the queue's own counters. Under the lock: sums agree in every snapshot.
    fn count_record(&self, state: &mut State, record: &Record) {
        if let Record::Attempt { phase, outcome, latency_ms, .. } = record {
            state.timings.add_attempt(*phase, *latency_ms);
            if let Outcome::Failure(error) = outcome {
                self.count(counter_of_failure(error), 1);
            }
        }
    }

    /// Whether the event queue takes more. Found full, the bell rings once when that changes.
    pub(crate) fn room(&self) -> Room {
        // Inline, messages are not queued at all.
        if self.mode == Mode::Inline || !self.gauges.is_full(self.bounds) {
            return Room::Below;
        }
        // First the note, then a second look; the consumer does it the other way round, so one of the two sees.
        self.is_starved.store(true, Ordering::SeqCst);
        if !self.gauges.is_full(self.bounds) {
            self.is_starved.store(false, Ordering::SeqCst);
            return Room::Below;
        }
        Room::Full { bytes_over: self.gauges.bytes_over() }
    }

    /// A message's callback has returned (dispatcher only).
    pub(super) fn message_done(&self, len: usize) {
        self.gauges.message_out(len);
        self.ring_if_room();
    }

    /// Rings the bell if a producer waits for it and there is room.
    pub(super) fn ring_if_room(&self) {
        let is_due = self.is_starved.load(Ordering::SeqCst) && !self.gauges.is_full(self.bounds);
        if is_due && self.is_starved.swap(false, Ordering::SeqCst) {
            let bell = self.lock().bell.clone();
            if let Some(bell) = bell {
                bell();
            }
        }
    }

    /// Queues a message; whether the queues were empty before.
    fn queue_message(&self, kind: MessageKind, data: &[u8], connection: u64) -> bool {
        let mut state = self.lock();
        let was_empty = !state.has_work();
        self.gauges.message_in(data.len(), self.bounds);
        if !state.is_finished {
            let order = state.next_order();
            state.back.push_message(order, kind, data, connection);
        }
        was_empty
    }

    fn wake_consumer(&self) {
        let mut state = self.lock();
        let wakes = state.has_work() && self.announce(&mut state);
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    /// The lock; under the policy `Block` when there is room for a record, or no more time to wait for it. Never
    /// waits on a thread that would have to make the room itself.
    fn lock_with_audit_room(&self) -> MutexGuard<'_, State> {
        let state = self.lock();
        // A checkpoint may follow the record, and the last one the end of the client: nobody waits for their room then.
        let room = if state.checkpoints.is_some() { 3 } else { 1 };
        if !state.audit.blocks(room) || !state.has_dispatcher || self.is_dispatch_thread() {
            return state;
        }
        self.watch(state, LONGEST_BLOCK, |state| !state.audit.blocks(room) || state.is_closed)
    }
}

impl Drain<'_> {
    /// Delivers a message (inline mode) or queues it.
    pub(crate) fn push_message(&mut self, kind: MessageKind, data: &[u8], connection: u64) {
        let delivery = self.delivery;
        // Only the socket thread drains.
        delivery.counters.0.raise(Counter::MessagesReceived, 1);
        delivery.counters.0.raise(Counter::BytesReceived, data.len() as u64);
        if !delivery.wants.messages.load(Ordering::Relaxed) {
            // Perhaps not any more.
            return delivery.freshen(self.scratch);
        }
        if delivery.mode == Mode::Inline {
            self.deliver(kind, data, connection);
            return;
        }
        let was_empty = delivery.queue_message(kind, data, connection);
        if was_empty || self.owed > 0 {
            self.owed += 1;
        }
        if self.owed >= WAKE_MESSAGES {
            self.wake();
        }
    }

    /// How long callbacks have taken so far (inline mode; else 0).
    pub(crate) fn spent_ms(&self) -> u64 {
        self.at_ms.saturating_sub(self.began_ms)
    }

    fn wake(&mut self) {
        if self.owed > 0 {
            self.owed = 0;
            self.delivery.wake_consumer();
        }
    }

    /// Calls `on_message` here and now.
    fn deliver(&mut self, kind: MessageKind, data: &[u8], connection: u64) {
        let Scratch { inline: Some((_, table)), data: copy } = &mut *self.scratch else { return };
        if self.delivery.abandoned.load(Ordering::Relaxed) {
            return;
        }
        copy.clear();
        copy.reserve(data.len() + 1);
        copy.extend_from_slice(data);
        copy.push(0);
        let mut caller = Caller { delivery: self.delivery, table, slot: &self.delivery.inline, at_ms: self.at_ms };
        caller.message(Message { kind, data_with_nul: copy, connection });
        self.at_ms = caller.at_ms;
        if copy.capacity() > KEEP_BYTES {
            *copy = Vec::new();
        }
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.wake();
    }
}
