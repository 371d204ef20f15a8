//! One call of the application's code: panics stop here, its duration is known, its thread is marked.

use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::table::{Place, Table};
use super::Delivery;
use crate::audit::json::{Entry, Sink};
use crate::config::settings::Delivery as Mode;
use crate::error::{Code, Error, Stage};
use crate::event::{Notice, Question};
use crate::hooks::{AuditView, Callback, HookFailed, Message, Moment, Request, ThreadKind};
use crate::metrics::Counter;
use crate::sys::{end_this_thread, process};

/// Which callback runs, since when: one word, so that a reader never sees one's name with another's time.
#[derive(Debug, Default)]
pub(super) struct Slot(AtomicU64);

impl Slot {
    fn begin(&self, callback: Callback, at_ms: u64) {
        self.0.store(at_ms << 8 | callback as u64, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The running callback and the tick at which it began.
    pub(super) fn read(&self) -> Option<(Callback, u64)> {
        let word = self.0.load(Ordering::Relaxed);
        let callback = Callback::ALL.into_iter().find(|callback| *callback as u64 == word & 0xff)?;
        Some((callback, word >> 8))
    }
}

thread_local! {
    /// Clients whose callbacks this thread is in, innermost last.
    static INSIDE: RefCell<Vec<Mark>> = const { RefCell::new(Vec::new()) };
}

/// A client, and the hooks this thread calls for it if it is its dispatcher.
struct Mark {
    client: usize,
    table: Option<Rc<Table>>,
}

/// Marks this thread as one that runs user code for a client, until dropped.
pub(super) struct Inside(());

impl Inside {
    pub(super) fn enter(delivery: &Delivery, table: Option<Rc<Table>>) -> Self {
        let mark = Mark { client: address(delivery), table };
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().push(mark));
        Self(())
    }

    /// Whether this thread is marked for this client.
    pub(super) fn is(delivery: &Delivery) -> bool {
        let client = address(delivery);
        INSIDE.try_with(|inside| inside.borrow().iter().any(|mark| mark.client == client)).unwrap_or(false)
    }

    /// The hooks that this thread calls, if it is the dispatcher of this client.
    pub(super) fn table(delivery: &Delivery) -> Option<Rc<Table>> {
        let client = address(delivery);
        let of = |mark: &Mark| if mark.client == client { mark.table.clone() } else { None };
        INSIDE.try_with(|inside| inside.borrow().iter().find_map(of)).ok().flatten()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mark = INSIDE.try_with(|inside| inside.borrow_mut().pop());
        // Outside the borrow: a table that goes with it may release something.
        drop(mark);
    }
}

/// The client's identity: its `Delivery` outlives every mark, so the address is not used twice at a time.
fn address(delivery: &Delivery) -> usize {
    std::ptr::from_ref(delivery).addr()
}

/// Calls hooks one after the other. The end of one call is taken as the start of the next: one reading of the clock each.
pub(super) struct Caller<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) table: &'a Table,
    pub(super) slot: &'a Slot,
    pub(super) at_ms: u64,
}

impl<'a> Caller<'a> {
    /// `on_message`.
    pub(super) fn message(&mut self, message: Message<'_>) {
        self.call_with(Callback::Message, &self.table.message, |hook| hook(message));
    }

    /// `on_state`, `on_token`, `on_sent` or `on_ask`.
    pub(super) fn notice(&mut self, notice: &Notice) {
        let table = self.table;
        match notice {
            Notice::State(_)
            | Notice::GapBegin(_)
            | Notice::GapEnd(_)
            | Notice::Handover(_)
            | Notice::Topics(_)
            | Notice::ScopesChanged(_)
            | Notice::Resumed(_)
            | Notice::ClockStep(_) => self.call_with(Callback::State, &table.state, |hook| hook(notice)),
            Notice::Token(token) => self.call_with(Callback::Token, &table.token, |hook| hook(token)),
            Notice::Sent(sent) => self.call_with(Callback::Sent, &table.sent, |hook| hook(sent)),
            Notice::Ask { id, .. } if table.ask.borrow().is_none() => self.delivery.refuse(*id),
            Notice::Ask { id, question } => {
                let delivery = self.delivery;
                self.call_with(Callback::Ask, &table.ask, |hook| hook(delivery.request(*id, question)));
            }
        }
    }

    /// `on_ask` with a request that the application owns as well (poll mode).
    pub(super) fn ask(&mut self, request: &Request) {
        self.call_with(Callback::Ask, &self.table.ask, |hook| hook(request.clone()));
    }

    /// `on_thread`.
    pub(super) fn thread(&mut self, hook: &dyn Fn(Moment, ThreadKind), moment: Moment, kind: ThreadKind) {
        self.call(Callback::Thread, || hook(moment, kind));
    }

    /// `on_audit`, or `on_siem` with the `seq` it was given before. `json` is the buffer to render into. A sink with a chain
    /// that has refused something is told so first; as long as it refuses that, it is given nothing else.
    pub(super) fn audit(&mut self, entry: &Entry, sink: Sink, json: &mut String) {
        if self.sink(sink).borrow().is_none() {
            return;
        }
        let missed = self.delivery.take_missed(sink);
        let untold = missed.filter(|missed| !self.offer(&missed.marker, missed.sink, json));
        if untold.is_some() || !self.offer(entry, sink, json) {
            self.delivery.miss(untold, entry, sink);
        }
    }

    /// Whether the sink has kept it.
    fn offer(&mut self, entry: &Entry, sink: Sink, json: &mut String) -> bool {
        self.delivery.render(entry, sink, json);
        let is_kept = self.audit_text(sink, AuditView { json_with_nul: json, seq: entry.seq, kind: entry.kind() });
        if !is_kept {
            self.delivery.take_back(sink);
        }
        is_kept
    }

    /// `on_audit` or `on_siem` with a record that is already text; whether it returned, and said that all is well.
    pub(super) fn audit_text(&mut self, sink: Sink, view: AuditView<'_>) -> bool {
        let callback = if sink == Sink::Audit { Callback::Audit } else { Callback::Siem };
        let hook = self.sink(sink).borrow();
        let Some(hook) = hook.as_deref() else { return false };
        let outcome = self.call(callback, || hook(view));
        if outcome == Some(Err(HookFailed)) {
            self.delivery.count(Counter::HookFailures, 1);
            self.delivery.log(1, "delivery", format_args!("{} failed for record {}", callback.name(), view.seq));
        }
        outcome == Some(Ok(()))
    }

    /// `on_log`.
    pub(super) fn log(&mut self, level: i32, target: &str, text: &str) {
        self.call_with(Callback::Log, &self.table.log, |hook| hook(level, target, text));
    }

    fn sink(&self, sink: Sink) -> &'a Place<dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync> {
        match sink {
            Sink::Audit => &self.table.audit,
            Sink::Siem { .. } => &self.table.siem,
        }
    }

    fn call_with<H: ?Sized>(&mut self, callback: Callback, place: &Place<H>, run: impl FnOnce(&H)) {
        if let Some(hook) = place.borrow().as_deref() {
            self.call(callback, || run(hook));
        }
    }

    /// What the hook returned, or `None` when it panicked, or forked and this is the child.
    fn call<R>(&mut self, callback: Callback, hook: impl FnOnce() -> R) -> Option<R> {
        self.slot.begin(callback, self.at_ms);
        let outcome = catch_unwind(AssertUnwindSafe(hook));
        if self.delivery.is_forked() {
            self.delivery.end_in_child(callback);
            return None;
        }
        self.slot.end();
        let ended_ms = (self.delivery.tick)();
        let took_ms = ended_ms.saturating_sub(self.at_ms);
        self.at_ms = ended_ms;
        if took_ms > 0 {
            self.delivery.note_long(callback, took_ms);
        }
        if outcome.is_err() {
            self.delivery.note_panic(callback);
        }
        outcome.ok()
    }
}

impl Delivery {
    /// A question as the application sees it; before threads run there is nobody to answer to.
    pub(super) fn request(&self, id: u64, question: &Question) -> Request {
        let reply = self.lock().reply.clone();
        Request::new(id, question.clone(), reply.unwrap_or_else(|| Arc::new(|_, _| ())))
    }

    /// Nobody answers any more.
    pub(super) fn refuse(&self, id: u64) {
        let reply = self.lock().reply.clone();
        if let Some(reply) = reply {
            reply(id, Err(Error::new(Code::Cancelled, Stage::Token, "on_ask was unregistered.")));
        }
    }

    /// Whether this is a child of the process that the client belongs to.
    pub(super) fn is_forked(&self) -> bool {
        self.process != process()
    }

    /// A hook has forked, and returns in the child, whose only thread this is. A thread of ours has nothing to return to:
    /// every lock and descriptor on the way is the parent's. One of the application's goes back to it (poll mode).
    #[cold]
    fn end_in_child(&self, callback: Callback) {
        if self.mode != Mode::Poll || callback == Callback::Thread {
            end_this_thread();
        }
    }

    /// A call that lasted a millisecond of the clock or longer; the others, nearly all, cost one comparison.
    #[cold]
    fn note_long(&self, callback: Callback, took_ms: u64) {
        if let Some(calls) = self.calls.get(callback as usize) {
            calls.add(took_ms);
        }
        if took_ms >= self.slow_ms {
            self.note_slow(callback, took_ms);
        }
    }

    fn note_slow(&self, callback: Callback, took_ms: u64) {
        self.count(Counter::SlowCallbacks, 1);
        self.log_about(callback, format_args!("{} took {took_ms} ms", callback.name()));
    }

    #[cold]
    fn note_panic(&self, callback: Callback) {
        self.count(Counter::HookFailures, 1);
        self.log_about(callback, format_args!("{} panicked", callback.name()));
    }

    /// A warning, unless `on_log` itself is the subject: that would never end.
    fn log_about(&self, callback: Callback, text: std::fmt::Arguments<'_>) {
        if callback != Callback::Log {
            self.log(2, "delivery", text);
        }
    }
}
