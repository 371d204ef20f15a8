//! The body of `gwa-dispatch`, the only thread of a client that runs the application's code (but see `inline`).

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::MutexGuard;
use std::time::Duration;

use super::batch::{Batch, Item};
use super::calls::{Caller, Inside};
use super::log_queue::Line;
use super::state::State;
use super::table::Table;
use super::unregister::Keeper;
use super::{wait, wait_for, Delivery, LONGEST_WAIT};
use crate::audit::json::{Entry, Sink};
use crate::config::settings::Delivery as Mode;
use crate::hooks::Callback;

/// How often the clock of the checkpoints is looked at between events, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// Work that goes before events.
enum Urgent {
    /// A hook was unregistered.
    Retired,
    Record(Box<Entry>, u64),
    /// A record that `on_audit` was given, and then an earlier dispatcher ended.
    Siem(Box<Entry>, u64),
    Line(Line),
}

impl Delivery {
    /// Calls hooks until the client is closed and everything is delivered, or until delivery is abandoned.
    pub(crate) fn run_dispatcher(&self) {
        let is_mine = |callback| self.mode != Mode::Inline || callback != Callback::Message;
        let table = Rc::new(Table::of(&self.lock().hooks, is_mine));
        let _inside = Inside::enter(self, Some(Rc::clone(&table)));
        let _finish = Finish { delivery: self, table: &table };
        let mut dispatcher = Dispatcher::new(self, &table);
        while self.refill(&mut dispatcher.batch) {
            dispatcher.caller.at_ms = (self.tick)();
            if self.urgent.load(Ordering::Relaxed) {
                dispatcher.serve_urgent();
            }
            dispatcher.serve_batch();
        }
    }

    /// Waits for work and takes all events there are; `false` when there will be none.
    pub(super) fn refill(&self, batch: &mut Batch) -> bool {
        let mut state = self.lock();
        state.has_dispatcher = true;
        loop {
            if self.abandoned.load(Ordering::Relaxed) {
                return false;
            }
            // First of all: a dispatcher that always has work would never look.
            let is_due = !state.is_closed && self.look_at_the_clock(&mut state);
            if is_due || state.has_work() {
                state.events_most = state.events_most.max(state.back.len() as u64);
                std::mem::swap(&mut state.back, batch);
                return true;
            }
            if state.is_closed {
                return false;
            }
            state = self.park(state, batch);
        }
    }

    /// Sleeps until there may be work. After a flood that is one wake-up more, once: its memory goes back.
    pub(super) fn park<'a>(&self, mut state: MutexGuard<'a, State>, batch: &mut Batch) -> MutexGuard<'a, State> {
        state.waiters += 1;
        if batch.is_bulky() || state.back.is_bulky() {
            let (woken, timed_out) = wait_for(&self.work, state, self.idle);
            state = woken;
            if timed_out {
                batch.give_back();
                state.back.give_back();
            }
        } else if let Some(left_ms) = self.until_checkpoint_ms(&state) {
            // The condition sleeps through a suspend, the time of a checkpoint does not.
            (state, _) = wait_for(&self.work, state, Duration::from_millis(left_ms.max(1)).min(LONGEST_WAIT));
        } else {
            state = wait(&self.work, state);
        }
        state.waiters -= 1;
        state
    }

    /// The next record or line; the records up to `delivered` have been through their hooks.
    fn take_urgent(&self, delivered: Option<u64>) -> Option<Urgent> {
        let mut state = self.lock();
        if let Some(seq) = delivered {
            state.delivered_seq = seq;
        }
        let urgent = if state.has_retired(Keeper::Consumer) {
            Some(Urgent::Retired)
        } else {
            let siem = state.siem_next.take().map(|(entry, prev_seq)| Urgent::Siem(Box::new(entry), prev_seq));
            let record = || state.pop_audit().map(|(entry, prev_seq)| Urgent::Record(Box::new(entry), prev_seq));
            siem.or_else(record).or_else(|| state.log.pop().map(Urgent::Line))
        };
        if urgent.is_none() {
            self.urgent.store(false, Ordering::Relaxed);
        }
        if state.watchers > 0 {
            self.progress.notify_all();
        }
        urgent
    }
}

/// What the thread has in hand.
struct Dispatcher<'a> {
    delivery: &'a Delivery,
    caller: Caller<'a>,
    batch: Batch,
    json: String,
    /// When it looks at the clock between two events; time is read after each callback anyway.
    look_at_ms: u64,
}

impl<'a> Dispatcher<'a> {
    fn new(delivery: &'a Delivery, table: &'a Table) -> Self {
        let caller = Caller { delivery, table, slot: &delivery.calling, at_ms: 0 };
        Self { delivery, caller, batch: Batch::default(), json: String::new(), look_at_ms: 0 }
    }

    fn is_abandoned(&self) -> bool {
        self.delivery.abandoned.load(Ordering::Relaxed)
    }

    fn serve_urgent(&mut self) {
        let mut delivered = None;
        while !self.is_abandoned() {
            match self.delivery.take_urgent(delivered.take()) {
                Some(Urgent::Retired) => self.delivery.leave_table(self.caller.table),
                Some(Urgent::Record(entry, prev_seq)) => {
                    delivered = Some(entry.seq);
                    self.serve_record(entry, prev_seq);
                }
                Some(Urgent::Siem(entry, prev_seq)) => {
                    delivered = Some(entry.seq);
                    self.serve_siem(entry, prev_seq);
                }
                Some(Urgent::Line(line)) => self.caller.log(line.level, line.target, &line.text),
                None => return,
            }
        }
    }

    fn serve_record(&mut self, entry: Box<Entry>, prev_seq: u64) {
        self.caller.audit(&entry, Sink::Audit, &mut self.json);
        if entry.is_for_siem() {
            self.serve_siem(entry, prev_seq);
        }
    }

    /// The second half of a record, for who comes next if no callback is to begin any more. Checkpoints are for both
    /// sinks: the epoch is over when both have them.
    fn serve_siem(&mut self, entry: Box<Entry>, prev_seq: u64) {
        if self.is_abandoned() {
            self.delivery.lock().siem_next = Some((*entry, prev_seq));
            return self.delivery.urgent.store(true, Ordering::Relaxed);
        }
        self.caller.audit(&entry, Sink::Siem { prev_seq }, &mut self.json);
        self.delivery.rendered(&entry);
        self.delivery.turn_chain();
    }

    fn serve_batch(&mut self) {
        let delivery = self.delivery;
        while !self.is_abandoned() {
            match self.batch.pop() {
                Some(Item::Message(message)) => {
                    let len = message.data().len();
                    self.caller.message(message);
                    delivery.message_done(len);
                }
                Some(Item::Notice(notice)) => {
                    self.caller.notice(&notice);
                    delivery.gauges.notice_out();
                }
                None => break,
            }
            if self.caller.at_ms >= self.look_at_ms {
                self.look_at_the_clock();
            }
            if delivery.urgent.load(Ordering::Relaxed) {
                self.serve_urgent();
            }
        }
        self.batch.rewind();
    }

    /// A batch of slow callbacks may last for longer than a checkpoint may wait.
    fn look_at_the_clock(&mut self) {
        self.look_at_ms = self.caller.at_ms.saturating_add(LOOK_MS);
        self.delivery.push(|state| _ = !state.is_closed && self.delivery.look_at_the_clock(state));
    }
}

/// Announces the end of the thread however it ends: after its hooks are dropped, and perhaps released.
struct Finish<'a> {
    delivery: &'a Delivery,
    table: &'a Table,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let delivery = self.delivery;
        self.table.clear();
        let mut state = delivery.lock();
        while state.has_retired(Keeper::Consumer) {
            state = delivery.let_go(state, |retired| retired.is_kept_by(Keeper::Consumer));
        }
        state.is_finished = true;
        state.has_dispatcher = false;
        // What nobody will see may hold tokens: it goes now. Its count stays, for the report.
        let left = (std::mem::take(&mut state.back), std::mem::take(&mut state.front));
        delivery.progress.notify_all();
        drop(state);
        drop(left);
    }
}
