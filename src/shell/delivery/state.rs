//! What the one lock of delivery guards, and the gauges that are read without it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::audit_queue::AuditQueue;
use super::batch::{Batch, ENTRY_BYTES};
use super::checkpoints::Checkpoints;
use super::log_queue::LogQueue;
use super::missed::Missed;
use super::unregister::{Keeper, Retired};
use crate::audit::json::Entry;
use crate::hooks::{Callback, Hooks, Reply};
use crate::metrics::Timings;

/// Length of a table with a place for each callback's number.
const CALLBACKS: usize = Callback::ALL.len() + 1;

/// Called when a full queue has room again.
pub(super) type Bell = Arc<dyn Fn() + Send + Sync>;

/// Queues, waiting threads and the stage of life.
pub(super) struct State {
    /// Filled by producers.
    pub(super) back: Batch,
    /// Emptied by `next_event` (poll mode only; the dispatcher keeps its own).
    pub(super) front: Batch,
    pub(super) audit: AuditQueue,
    /// When the next checkpoint is due, if there are any.
    pub(super) checkpoints: Option<Checkpoints>,
    /// A record whose audit form was handed out and whose SIEM form is next, with the `prev_seq` of that: in poll mode, and
    /// where a dispatcher was told to end between the two.
    pub(super) siem_next: Option<(Entry, u64)>,
    /// What `on_audit` and `on_siem` have refused, if there is a chain.
    pub(super) missed: [Option<Missed>; 2],
    pub(super) log: LogQueue,
    /// Counts everything queued: one order for poll mode.
    pub(super) order: u64,
    /// `seq` of the last record the SIEM sink was given.
    pub(super) siem_seq: u64,
    /// `seq` of the last record whose hooks have returned.
    pub(super) delivered_seq: u64,
    /// Consumers asleep on `work`.
    pub(super) waiters: usize,
    /// Threads asleep on `progress`.
    pub(super) watchers: usize,
    /// Whether the event descriptor is readable.
    pub(super) is_raised: bool,
    /// A thread runs a hook inside `next_event`; the others wait, so that hooks stay serial.
    pub(super) is_delivering: bool,
    /// Latencies, leads, and whatever else is timed.
    pub(super) timings: Timings,
    /// The most events a consumer has found waiting.
    pub(super) events_most: u64,
    /// No more work will come.
    pub(super) is_closed: bool,
    /// Poll mode: the client is gone, and nothing is handed out any more.
    pub(super) is_ended: bool,
    /// A dispatcher runs, or is about to.
    pub(super) has_dispatcher: bool,
    /// The dispatcher has ended: events that come now are counted and not kept.
    pub(super) is_finished: bool,
    /// What is registered; threads call copies.
    pub(super) hooks: Hooks,
    /// What is registered no more and not yet released.
    pub(super) retired: Vec<Retired>,
    /// How many of each callback are retired, or are being released right now.
    pub(super) leaving: [u32; CALLBACKS],
    /// Calls under way that took a copy of their own, of each callback: polled ones, and `on_thread`.
    pub(super) calls: [u32; CALLBACKS],
    /// The socket thread may have a copy of `on_message` (inline mode).
    pub(super) has_scratch: bool,
    pub(super) reply: Option<Reply>,
    pub(super) bell: Option<Bell>,
}

impl State {
    pub(super) fn new(audit: AuditQueue, checkpoints: Option<Checkpoints>, hooks: Hooks) -> Self {
        Self {
            back: Batch::default(),
            front: Batch::default(),
            audit,
            checkpoints,
            siem_next: None,
            missed: [None, None],
            log: LogQueue::default(),
            order: 0,
            siem_seq: 0,
            delivered_seq: 0,
            waiters: 0,
            watchers: 0,
            is_raised: false,
            is_delivering: false,
            timings: Timings::default(),
            events_most: 0,
            is_closed: false,
            is_ended: false,
            has_dispatcher: false,
            is_finished: false,
            hooks,
            retired: Vec::new(),
            leaving: [0; CALLBACKS],
            calls: [0; CALLBACKS],
            has_scratch: false,
            reply: None,
            bell: None,
        }
    }

    /// Whether a consumer would find something.
    pub(super) fn has_work(&self) -> bool {
        !self.back.is_empty() || self.has_urgent() || self.siem_next.is_some() || !self.front.is_empty()
    }

    /// Whether records were made that a sink has yet to be given.
    pub(super) fn owes_records(&self) -> bool {
        !self.audit.is_empty() || self.siem_next.is_some() || self.missed.iter().any(Option::is_some)
    }

    /// Whether something waits that goes before events: an audit record, a line of log, a release.
    pub(super) fn has_urgent(&self) -> bool {
        !self.audit.is_empty() || !self.log.is_empty() || self.has_retired(Keeper::Consumer)
    }

    /// The next place in the order of everything.
    pub(super) fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// Takes the oldest record with its `prev_seq` for the SIEM sink.
    pub(super) fn pop_audit(&mut self) -> Option<(Entry, u64)> {
        let entry = self.audit.pop()?;
        let prev_seq = self.siem_seq;
        if entry.is_for_siem() {
            self.siem_seq = entry.seq;
        }
        Some((entry, prev_seq))
    }
}

/// How much went into the event queue and came out of it. Each side has one writer at a time (producers write
/// under the lock, the consumer is one), so plain stores do; anybody reads without the lock.
///
/// The two sides lie on cache lines of their own, and the producer looks at the consumer's only when what it
/// saw there last would make the queue full: otherwise every message would move both lines between two cores.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pushed: Apart<Pushed>,
    done: Apart<Flow>,
}

/// A value on cache lines of its own (two: neighbours are fetched in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

#[derive(Debug, Default)]
struct Pushed {
    flow: Flow,
    /// `flow.bytes` when the queue last became full.
    crossed_bytes: AtomicU64,
    /// What the producer last saw of the consumer's side: never more than is there.
    seen_messages: AtomicU64,
    seen_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Flow {
    messages: AtomicU64,
    /// Payloads and entries of messages.
    bytes: AtomicU64,
    notices: AtomicU64,
}

/// The bounds of the event queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Gauges {
    /// A message of this length went in. Called under the lock.
    pub(super) fn message_in(&self, len: usize, bounds: Bounds) {
        let was_full = self.is_full(bounds);
        let flow = &self.pushed.0.flow;
        raise(&flow.bytes, (len + ENTRY_BYTES) as u64, Ordering::Relaxed);
        raise(&flow.messages, 1, Ordering::Release);
        if !was_full && self.is_full(bounds) {
            self.pushed.0.crossed_bytes.store(flow.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// A message of this length was dealt with. Ordered against the producer's note that it waits for room.
    pub(super) fn message_out(&self, len: usize) {
        raise(&self.done.0.bytes, (len + ENTRY_BYTES) as u64, Ordering::Release);
        raise(&self.done.0.messages, 1, Ordering::SeqCst);
    }

    /// A notice went in. Called under the lock.
    pub(super) fn notice_in(&self) {
        raise(&self.pushed.0.flow.notices, 1, Ordering::Release);
    }

    /// A notice was dealt with.
    pub(super) fn notice_out(&self) {
        raise(&self.done.0.notices, 1, Ordering::Release);
    }

    /// Whether the queue is at its bound, as a producer asks. Messages that the consumer has in hand count.
    pub(super) fn is_full(&self, bounds: Bounds) -> bool {
        let Pushed { flow, seen_messages, seen_bytes, .. } = &self.pushed.0;
        let exceeds = |pushed: &AtomicU64, seen: u64, bound| pushed.load(Ordering::Relaxed).wrapping_sub(seen) >= bound;
        if !exceeds(&flow.messages, seen_messages.load(Ordering::Relaxed), bounds.messages)
            && !exceeds(&flow.bytes, seen_bytes.load(Ordering::Relaxed), bounds.bytes)
        {
            return false;
        }
        // Two producers may both store here; either value was true a moment ago.
        let messages = self.done.0.messages.load(Ordering::SeqCst);
        let bytes = self.done.0.bytes.load(Ordering::SeqCst);
        seen_messages.store(messages, Ordering::Relaxed);
        seen_bytes.store(bytes, Ordering::Relaxed);
        exceeds(&flow.messages, messages, bounds.messages) || exceeds(&flow.bytes, bytes, bounds.bytes)
    }

    /// Bytes that went in since the queue became full.
    pub(super) fn bytes_over(&self) -> u64 {
        let Pushed { flow, crossed_bytes, .. } = &self.pushed.0;
        flow.bytes.load(Ordering::Relaxed).saturating_sub(crossed_bytes.load(Ordering::Relaxed))
    }

    /// Messages not yet dealt with.
    pub(super) fn messages(&self) -> u64 {
        depth(&self.pushed.0.flow.messages, &self.done.0.messages)
    }

    /// Their payloads and entries.
    pub(super) fn bytes(&self) -> u64 {
        depth(&self.pushed.0.flow.bytes, &self.done.0.bytes)
    }

    /// Messages and notices not yet dealt with.
    pub(super) fn events(&self) -> u64 {
        self.messages().saturating_add(depth(&self.pushed.0.flow.notices, &self.done.0.notices))
    }
}

/// Adds without a locked instruction: the caller is the only writer.
fn raise(counter: &AtomicU64, n: u64, ordering: Ordering) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), ordering);
}

fn depth(pushed: &AtomicU64, done: &AtomicU64) -> u64 {
    // `done` first: it never passes `pushed`, so the difference cannot come out negative.
    let done = done.load(Ordering::SeqCst);
    pushed.load(Ordering::Acquire).saturating_sub(done)
}
