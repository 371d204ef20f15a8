//! Delivery to the application: what producers queue, who calls the hooks, what is counted on the way.
//!
//! *One lock.* All queues are behind one mutex, held for a push, a swap or a pop; never while the
//! application's code runs, and never while a record is turned into text. Depths are read without it.
//!
//! *Order.* Messages and notices share one queue and its order. Audit records have their own queue, their own
//! bound and their own order, and go first: a slow `on_message` must not cost records. Lines of log likewise.
//!
//! *Who calls.* By mode: the dispatcher calls everything; or everything but `on_message`, which runs on the
//! socket thread (`inline`); or there is no dispatcher, and [`Delivery::next_event`] calls and returns (`poll`).
//!
//! *Bounds.* A message counts until its callback has returned, with its entry beside its payload. The memory of
//! a batch is reused when the whole batch is done, so that the queue takes at most about twice its bound.

mod audit_queue;
mod batch;
mod calls;
mod checkpoints;
mod dispatcher;
mod end;
mod log_queue;
mod missed;
mod poll;
mod producer;
mod state;
mod stats;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_audit;
#[cfg(test)]
mod tests_bench;
#[cfg(test)]
mod tests_chain;
#[cfg(test)]
mod tests_chain_end;
#[cfg(test)]
mod tests_chain_refused;
#[cfg(test)]
mod tests_poll;
#[cfg(test)]
mod tests_unregister;
mod threads;
mod unregister;
mod wants;

pub(crate) use producer::{Drain, Room, Scratch};
pub(crate) use stats::{NetworkReport, SourceReport, TokenTimes};
pub(crate) use threads::OnThread;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use audit_queue::AuditQueue;
use calls::{Inside, Slot};
use checkpoints::Checkpoints;
use state::{Apart, Bounds, Gauges, State};
use wants::Wants;

use crate::audit::json::Context;
use crate::audit::Formats;
use crate::config::settings::{Delivery as Mode, Settings};
use crate::hooks::{Callback, Hooks, Reply};
use crate::metrics::{CallTimes, Counter, Counters, Timing};
use crate::proto::time::Now;
use crate::shell::chain::Sealer;
use crate::sys::process;

/// How long a dispatcher sleeps after a flood before it gives the memory back.
const IDLE: Duration = Duration::from_secs(1);

/// A level-triggered descriptor for the application's own event loop. All three are called under the lock.
pub(crate) trait EventFd: Send + Sync {
    /// Makes it readable.
    fn set(&self);
    /// Makes it unreadable.
    fn clear(&self);
    /// The descriptor.
    fn raw(&self) -> i32;
}

/// Longest single wait of who looks at the clock: a condition variable sleeps through a suspend, the clock does not.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What delivery needs from the rest of the shell.
pub(crate) struct Parts {
    /// UUID of this client instance: every record carries it.
    pub(crate) boot_id: String,
    /// Reads the three clocks. Used for deadlines.
    pub(crate) clock: Arc<dyn Fn() -> Now + Send + Sync>,
    /// Milliseconds of the awake clock. Read after every callback, so it should be cheap; coarse will do.
    pub(crate) tick: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// In poll mode: what the application waits on.
    pub(crate) event_fd: Option<Box<dyn EventFd>>,
    /// The chain of the audit records, if there is one.
    pub(crate) sealer: Option<Sealer>,
}

/// What delivery could not deliver.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Undelivered {
    /// Events that no callback has seen.
    pub(crate) events: u64,
    /// Audit records that no sink has seen; what the bound cost earlier is in the metrics.
    pub(crate) audit: u64,
}

/// The way from the library's threads to the application. Shared by all of them.
pub(crate) struct Delivery {
    /// Whose threads and descriptors these are.
    process: u32,
    mode: Mode,
    bounds: Bounds,
    slow_ms: u64,
    idle: Duration,
    context: Context,
    formats: Formats,
    clock: Arc<dyn Fn() -> Now + Send + Sync>,
    tick: Arc<dyn Fn() -> u64 + Send + Sync>,
    event_fd: Option<Box<dyn EventFd>>,
    /// Locked by who renders records, one at a time; the lock of the queues is not held meanwhile.
    sealer: Option<Mutex<Sealer>>,
    /// How often the chain's state could not be kept, and whether it was so the last time.
    state_failures: AtomicU64,
    is_state_failing: AtomicBool,
    wants: Wants,
    counters: Apart<Counters>,
    gauges: Gauges,
    /// A producer found the queue full and waits for the bell.
    is_starved: AtomicBool,
    /// A record or a line of log waits: looked at between two events.
    urgent: AtomicBool,
    /// No callback is to begin any more.
    abandoned: AtomicBool,
    /// `on_message` was unregistered, and the socket thread still has a copy (inline mode).
    is_inline_stale: AtomicBool,
    /// What the dispatcher, or `next_event`, is running.
    calling: Slot,
    /// What the socket thread is running (inline mode).
    inline: Slot,
    /// `on_thread` of each thread.
    threads: [Slot; 3],
    /// How long calls of each callback took, by its number.
    calls: [CallTimes; Callback::ALL.len() + 1],
    /// What was registered at the beginning: told of for as long as the client is, so that no series ends before it.
    registered: Vec<Callback>,
    state: Apart<Mutex<State>>,
    /// Consumers sleep here until there is work.
    work: Condvar,
    /// Producers of records, and those who wait for a flush or an end, sleep here until something was delivered.
    progress: Condvar,
}

impl Delivery {
    /// Queues for these settings and hooks. Starts no thread, calls no hook.
    pub(crate) fn new(settings: &Settings, hooks: Hooks, parts: Parts) -> Arc<Self> {
        let audit = AuditQueue::new(settings.audit_queue_records, settings.audit_policy);
        let checkpoints = Checkpoints::new(settings, parts.sealer.as_ref());
        Arc::new(Self {
            process: process(),
            mode: settings.delivery,
            bounds: Bounds {
                messages: settings.event_queue_events.max(1) as u64,
                bytes: settings.event_queue_bytes.max(1) as u64,
            },
            slow_ms: u64::try_from(settings.slow_callback.as_millis()).unwrap_or(u64::MAX).max(1),
            idle: IDLE,
            context: context(settings, parts.boot_id),
            formats: settings.formats.clone(),
            clock: parts.clock,
            tick: parts.tick,
            event_fd: parts.event_fd,
            sealer: parts.sealer.map(Mutex::new),
            state_failures: AtomicU64::new(0),
            is_state_failing: AtomicBool::new(false),
            wants: Wants::of(settings.delivery, &hooks),
            counters: Apart::default(),
            gauges: Gauges::default(),
            is_starved: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            is_inline_stale: AtomicBool::new(false),
            calling: Slot::default(),
            inline: Slot::default(),
            threads: Default::default(),
            calls: Default::default(),
            registered: Callback::ALL.into_iter().filter(|callback| hooks.has(*callback)).collect(),
            state: Apart(Mutex::new(State::new(audit, checkpoints, hooks))),
            work: Condvar::new(),
            progress: Condvar::new(),
        })
    }

    /// Says where answers to questions go. Called whenever threads are spawned.
    pub(crate) fn set_reply(&self, reply: Reply) {
        let before = self.lock().reply.replace(reply);
        drop(before);
    }

    /// Says what to call when a queue that [`Delivery::room`] reported full has room again. It runs on the
    /// consumer's thread, without the lock, and must not block.
    pub(crate) fn set_room_bell(&self, bell: Box<dyn Fn() + Send + Sync>) {
        let before = self.lock().bell.replace(Arc::from(bell));
        drop(before);
    }

    /// Whether somebody may answer questions. In poll mode a request may always be polled.
    pub(crate) fn has_on_ask(&self) -> bool {
        self.wants.asks.load(Ordering::Relaxed)
    }

    /// Raises a counter.
    pub(crate) fn count(&self, counter: Counter, n: u64) {
        self.counters.0.add(counter, n);
    }

    /// Counts a duration.
    pub(crate) fn observe(&self, timing: Timing, ms: u64) {
        self.lock().timings.add(timing, ms);
    }

    /// A new token took effect with this much left of the old one: the gauge, and a histogram.
    pub(crate) fn token_took_effect(&self, lead_ms: u64) {
        self.counters.0.set(Counter::LastLeadMs, lead_ms);
        self.observe(Timing::Lead, lead_ms);
    }

    /// The callback that is running and for how long it has been; of several the one that began first.
    pub(crate) fn running_callback(&self) -> Option<(&'static str, Duration)> {
        let slots = [&self.calling, &self.inline].into_iter().chain(&self.threads);
        let (callback, since_ms) = slots.filter_map(Slot::read).min_by_key(|(_, since_ms)| *since_ms)?;
        let for_ms = (self.tick)().saturating_sub(since_ms);
        Some((callback.name(), Duration::from_millis(for_ms)))
    }

    /// Whether this thread is running a callback of this client right now, or is its dispatcher. What would
    /// wait for that callback to return has to be deferred or refused here.
    pub(crate) fn is_dispatch_thread(&self) -> bool {
        Inside::is(self)
    }

    /// The descriptor for the application's event loop; -1 when there is none.
    pub(crate) fn event_fd(&self) -> i32 {
        self.event_fd.as_ref().map_or(-1, |fd| fd.raw())
    }

    /// Waits until every record pushed so far has been through its hooks; `false` when the time is up first.
    /// Does not wait where nobody would deliver meanwhile: inside a callback, in poll mode, after the end.
    pub(crate) fn flush_audit(&self, timeout: Duration) -> bool {
        let timeout = if self.is_dispatch_thread() { Duration::ZERO } else { timeout };
        let state = self.lock();
        let target = state.audit.seq();
        let is_done = move |state: &State| state.delivered_seq >= target;
        let state = self.watch(state, timeout, |state| is_done(state) || !state.has_dispatcher);
        is_done(&state)
    }

    /// Called before a dispatcher is spawned: for the first time, or again after a connect that failed and whose
    /// dispatcher has ended. In poll mode it only makes a closed queue usable again.
    pub(crate) fn begin(&self) {
        let mut state = self.lock();
        state.has_dispatcher = self.mode != Mode::Poll;
        state.is_closed = false;
        state.is_finished = false;
        self.abandoned.store(false, Ordering::Relaxed);
        if !state.has_work() {
            self.lower(&mut state);
        }
    }

    /// After [`Delivery::begin`]: the thread could not be spawned, so nobody must wait for it.
    pub(crate) fn begin_failed(&self) {
        let mut state = self.lock();
        state.has_dispatcher = false;
        state.is_closed = true;
        self.progress.notify_all();
    }

    /// No more work will come. The dispatcher delivers what is queued, records first, and ends. Never waits.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        self.end_log(&mut state);
        state.is_closed = true;
        // Readable for good, as a socket is at its end: the next `next_event` is worth calling.
        self.raise(&mut state);
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// After [`Delivery::close`]: waits until the dispatcher, if there is one, has delivered everything and ended.
    #[cfg(test)]
    pub(crate) fn wait_finished(&self, timeout: Duration) -> bool {
        let state = self.lock();
        !self.watch(state, timeout, |state| !state.has_dispatcher).has_dispatcher
    }

    /// After [`Delivery::close`]: no callback begins any more; the dispatcher ends as soon as the one that may be
    /// running returns.
    pub(crate) fn abandon(&self) {
        let _state = self.lock();
        self.abandoned.store(true, Ordering::Relaxed);
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// Closes, waits, and abandons what is not delivered in time; `true` when everything was.
    #[cfg(test)]
    pub(crate) fn close_by(&self, timeout: Duration) -> bool {
        self.close();
        let is_finished = self.wait_finished(timeout);
        if !is_finished {
            self.abandon();
        }
        is_finished
    }

    /// What is left in the queues. What the running callback was given counts as seen.
    pub(crate) fn undelivered(&self) -> Undelivered {
        let state = self.lock();
        let in_hand = self.calling.read().is_some_and(|(callback, _)| callback.is_event());
        let events = self.gauges.events().saturating_sub(u64::from(in_hand));
        Undelivered { events, audit: state.audit.len() as u64 }
    }

    /// A line for `on_log`. Without that hook it costs nothing: the text is not even made.
    pub(crate) fn log(&self, level: i32, target: &'static str, text: fmt::Arguments<'_>) {
        if !self.wants.logs.load(Ordering::Relaxed) {
            return;
        }
        let text = text.to_string();
        self.push(|state| {
            let order = state.next_order();
            state.log.push(order, level, target, text);
            self.urgent.store(true, Ordering::Relaxed);
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that panics runs under the lock; should it ever, the queues are still whole.
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boot_ms(&self) -> u64 {
        (self.clock)().boot_ms
    }

    /// Queues something, and wakes a consumer if the queues were empty before.
    fn push(&self, push: impl FnOnce(&mut State)) {
        self.push_into(self.lock(), push);
    }

    fn push_into(&self, mut state: MutexGuard<'_, State>, push: impl FnOnce(&mut State)) {
        let was_empty = !state.has_work();
        push(&mut state);
        let wakes = was_empty && self.announce(&mut state);
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    /// There is work where there was none: raises the descriptor; whether a consumer has to be woken.
    fn announce(&self, state: &mut State) -> bool {
        self.raise(state);
        state.waiters > 0
    }

    /// While a hook runs inside `next_event` there is nothing to take: who polls the descriptor is not to spin.
    fn raise(&self, state: &mut State) {
        if let (false, false, Some(fd)) = (state.is_raised, state.is_delivering, &self.event_fd) {
            fd.set();
            state.is_raised = true;
        }
    }

    fn lower(&self, state: &mut State) {
        let is_over = state.is_closed && !state.is_delivering;
        if let (true, false, Some(fd)) = (state.is_raised, is_over, &self.event_fd) {
            fd.clear();
            state.is_raised = false;
        }
    }

    /// Sleeps on `progress` until `done` or the time is up.
    fn watch<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        if done(&state) {
            return state;
        }
        state.watchers += 1;
        let waited = self.progress.wait_timeout_while(state, timeout, |state| !done(state));
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.watchers -= 1;
        state
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.leave_chain();
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("mode", &self.mode).field("gauges", &self.gauges).finish_non_exhaustive()
    }
}

fn context(settings: &Settings, boot_id: String) -> Context {
    Context {
        region: settings.region.clone(),
        client_id: settings.client_id.clone(),
        source: settings.siem_source.clone(),
        boot_id,
    }
}

fn wait<'a>(condvar: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condvar.wait(state).unwrap_or_else(PoisonError::into_inner)
}

fn wait_for<'a>(condvar: &Condvar, state: MutexGuard<'a, State>, time: Duration) -> (MutexGuard<'a, State>, bool) {
    let (state, outcome) = condvar.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner);
    (state, outcome.timed_out())
}
