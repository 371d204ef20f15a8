//! When the audit log makes a record of itself, and what follows for its chain.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::state::State;
use super::Delivery;
use crate::audit::chain::Log;
use crate::audit::checkpoint::{Checkpoint, Reason};
use crate::audit::json::{Body, Entry, Sink};
use crate::config::settings::Settings;
use crate::error::Error;
use crate::metrics::Tally;
use crate::proto::time::Now;
use crate::shell::chain::Sealer;
use crate::shell::random::Entropy;

/// When the next one is due.
pub(super) struct Checkpoints {
    every: u64,
    interval_ms: u64,
    /// What the chain is called, and how the run before ended.
    chain: &'static str,
    before: &'static str,
    entropy: Entropy,
    /// Number and time of the last one.
    last_seq: u64,
    last_ms: u64,
}

impl Checkpoints {
    /// Those that the settings ask for; with a chain there always are some.
    pub(super) fn new(settings: &Settings, sealer: Option<&Sealer>) -> Option<Self> {
        (settings.chain.checkpoints || sealer.is_some()).then(|| Self {
            every: settings.chain.checkpoint_records.max(1),
            interval_ms: settings.chain.checkpoint_ms,
            chain: sealer.map_or("none", Sealer::promise),
            before: sealer.map_or("unknown", Sealer::before),
            entropy: Entropy::new(),
            last_seq: 0,
            last_ms: 0,
        })
    }

    /// Why one is due, if one is.
    fn due(&self, seq: u64, boot_ms: u64) -> Option<Reason> {
        if self.last_seq == 0 {
            // The log has not begun.
            None
        } else if seq.saturating_sub(self.last_seq) >= self.every {
            Some(Reason::Records)
        } else {
            (boot_ms.saturating_sub(self.last_ms) >= self.interval_ms).then_some(Reason::Time)
        }
    }

    fn left_ms(&self, boot_ms: u64) -> u64 {
        self.last_ms.saturating_add(self.interval_ms).saturating_sub(boot_ms)
    }
}

impl Delivery {
    /// Before a record is queued: the first of all is a checkpoint.
    pub(super) fn begin_log(&self, state: &mut State, now: Now) {
        let first = state.checkpoints.as_ref().filter(|checkpoints| checkpoints.last_seq == 0);
        if let Some(before) = first.map(|checkpoints| checkpoints.before) {
            self.checkpoint(state, now, Reason::Start(before));
        }
    }

    /// Queues a checkpoint if one is due; whether one was.
    pub(super) fn checkpoint_if_due(&self, state: &mut State, now: Now) -> bool {
        let seq = state.audit.seq();
        let due = state.checkpoints.as_ref().and_then(|checkpoints| checkpoints.due(seq, now.boot_ms));
        due.map(|reason| self.checkpoint(state, now, reason)).is_some()
    }

    /// The same where nothing else reads the clock.
    pub(super) fn look_at_the_clock(&self, state: &mut State) -> bool {
        state.checkpoints.is_some() && self.checkpoint_if_due(state, (self.clock)())
    }

    /// How long a consumer may sleep; `None`: as long as it likes.
    pub(super) fn until_checkpoint_ms(&self, state: &State) -> Option<u64> {
        let checkpoints = state.checkpoints.as_ref().filter(|checkpoints| checkpoints.last_seq > 0)?;
        Some(checkpoints.left_ms(self.boot_ms()))
    }

    /// The last record of a run, unless there was none.
    pub(super) fn end_log(&self, state: &mut State) {
        if state.audit.seq() > 0 && !state.is_closed && state.checkpoints.is_some() {
            self.checkpoint(state, (self.clock)(), Reason::Close);
        }
    }

    fn checkpoint(&self, state: &mut State, now: Now, reason: Reason) {
        let order = state.next_order();
        let Some(checkpoints) = &mut state.checkpoints else { return };
        let checkpoint = Checkpoint {
            reason,
            chain: checkpoints.chain,
            tally: Tally::default(),
            lost: state.audit.lost(),
            counted: self.counters.0.snapshot(),
            state_failures: self.state_failures.load(Ordering::Relaxed),
        };
        let id = checkpoints.entropy.uuid_v4();
        state.audit.push_checkpoint(order, now.wall_ms, id, checkpoint);
        (checkpoints.last_seq, checkpoints.last_ms) = (state.audit.seq(), now.boot_ms);
        self.urgent.store(true, Ordering::Relaxed);
    }

    /// A record as text and one NUL byte, sealed if there is a chain. Called in the order of the records.
    pub(super) fn render(&self, entry: &Entry, sink: Sink, out: &mut String) {
        let Some(mut sealer) = self.sealer() else {
            return self.formats.render_with_nul(entry, &self.context, sink, None, out);
        };
        let outcome = sealer.turn();
        self.formats.render_with_nul(entry, &self.context, sink, Some(&sealer.seal()), out);
        let nul = out.pop();
        sealer.fill(log(sink), out);
        out.extend(nul);
        drop(sealer);
        self.note_kept(outcome);
    }

    /// The sink has refused the record that was rendered for it last.
    pub(super) fn take_back(&self, sink: Sink) {
        if let Some(mut sealer) = self.sealer() {
            sealer.take_back(log(sink));
        }
    }

    /// A record has been through all sinks: after a checkpoint the next epoch begins with whatever comes next.
    pub(super) fn rendered(&self, entry: &Entry) {
        if let (Body::Checkpoint(_), Some(mut sealer)) = (&entry.body, self.sealer()) {
            sealer.end_epoch();
        }
    }

    /// Forgets the key of an epoch that is over. The sinks have its records.
    pub(super) fn turn_chain(&self) {
        let outcome = self.sealer().and_then(|mut sealer| sealer.turn());
        self.note_kept(outcome);
    }

    /// A run whose records did not all come to their sinks was not closed, whatever its last record is.
    pub(super) fn leave_chain(&mut self) {
        let state = self.state.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (true, Some(sealer)) = (state.owes_records(), &mut self.sealer) {
            sealer.get_mut().unwrap_or_else(PoisonError::into_inner).leave_open();
        }
    }

    fn sealer(&self) -> Option<MutexGuard<'_, Sealer>> {
        Some(self.sealer.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A state that could not be kept is on record once, until it can be kept again; counted and logged always.
    fn note_kept(&self, outcome: Option<Result<(), Error>>) {
        let Some(outcome) = outcome else { return };
        let was_failing = self.is_state_failing.swap(outcome.is_err(), Ordering::Relaxed);
        let Err(error) = outcome else { return };
        self.state_failures.fetch_add(1, Ordering::Relaxed);
        self.log(1, "audit", format_args!("the chain's state is not kept, its key is used on: {error}"));
        if !was_failing {
            self.push(|state| self.checkpoint(state, (self.clock)(), Reason::StateFailed(error)));
        }
    }
}

fn log(sink: Sink) -> Log {
    match sink {
        Sink::Audit => Log::Audit,
        Sink::Siem { .. } => Log::Siem,
    }
}
