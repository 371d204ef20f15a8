//! One call of the application's code: panics stop here, its duration is known, its thread is marked.

use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::Delivery;
use crate::audit::json::{Entry, Sink};
use crate::event::{Notice, Question};
use crate::hooks::{AuditView, HookFailed, Hooks, Message, Request};
use crate::metrics::Counter;

/// A registered function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Callback {
    Message = 1,
    State,
    Token,
    Ask,
    Sent,
    Audit,
    Siem,
    Log,
}

impl Callback {
    const ALL: [Self; 8] =
        [Self::Message, Self::State, Self::Token, Self::Ask, Self::Sent, Self::Audit, Self::Siem, Self::Log];

    /// The name in logs, stats and the shutdown report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Message => "on_message",
            Self::State => "on_state",
            Self::Token => "on_token",
            Self::Ask => "on_ask",
            Self::Sent => "on_sent",
            Self::Audit => "on_audit",
            Self::Siem => "on_siem",
            Self::Log => "on_log",
        }
    }

    /// Whether what it is given comes out of the event queue.
    pub(super) fn is_event(self) -> bool {
        !matches!(self, Self::Audit | Self::Siem | Self::Log)
    }
}

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
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Marks this thread as one that runs user code for a client, until dropped.
pub(super) struct Inside(());

impl Inside {
    pub(super) fn enter(delivery: &Delivery) -> Self {
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().push(address(delivery)));
        Self(())
    }

    /// Whether this thread is marked for this client.
    pub(super) fn is(delivery: &Delivery) -> bool {
        INSIDE.try_with(|inside| inside.borrow().contains(&address(delivery))).unwrap_or(false)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().pop());
    }
}

/// The client's identity: its `Delivery` outlives every mark, so the address is not used twice at a time.
fn address(delivery: &Delivery) -> usize {
    std::ptr::from_ref(delivery).addr()
}

/// Calls hooks one after the other. The end of one call is taken as the start of the next: one reading of the clock each.
pub(super) struct Caller<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) hooks: &'a Hooks,
    pub(super) slot: &'a Slot,
    pub(super) at_ms: u64,
}

impl Caller<'_> {
    /// `on_message`.
    pub(super) fn message(&mut self, message: Message<'_>) {
        self.call_with(Callback::Message, self.hooks.on_message.as_deref(), |hook| hook(message));
    }

    /// `on_state`, `on_token`, `on_sent` or `on_ask`.
    pub(super) fn notice(&mut self, notice: &Notice) {
        let hooks = self.hooks;
        match notice {
            Notice::State(_)
            | Notice::GapBegin(_)
            | Notice::GapEnd(_)
            | Notice::Handover(_)
            | Notice::Resumed(_)
            | Notice::ClockStep(_) => {
                self.call_with(Callback::State, hooks.on_state.as_deref(), |hook| hook(notice));
            }
            Notice::Token(token) => self.call_with(Callback::Token, hooks.on_token.as_deref(), |hook| hook(token)),
            Notice::Sent(sent) => self.call_with(Callback::Sent, hooks.on_sent.as_deref(), |hook| hook(sent)),
            Notice::Ask { id, question } => {
                let delivery = self.delivery;
                self.call_with(Callback::Ask, hooks.on_ask.as_deref(), |hook| hook(delivery.request(*id, question)));
            }
        }
    }

    /// `on_ask` with a request that the application owns as well (poll mode).
    pub(super) fn ask(&mut self, request: &Request) {
        self.call_with(Callback::Ask, self.hooks.on_ask.as_deref(), |hook| hook(request.clone()));
    }

    /// `on_audit`, or `on_siem` with the `seq` it was given before. `json` is the buffer to render into.
    pub(super) fn audit(&mut self, entry: &Entry, sink: Sink, json: &mut String) {
        let (hook, callback) = match sink {
            Sink::Audit => (&self.hooks.on_audit, Callback::Audit),
            Sink::Siem { .. } => (&self.hooks.on_siem, Callback::Siem),
        };
        let Some(hook) = hook else { return };
        entry.render_with_nul(&self.delivery.context, sink, json);
        self.audit_text(hook.as_ref(), callback, AuditView { json_with_nul: json, seq: entry.seq, kind: entry.kind() });
    }

    /// `on_audit` or `on_siem` with a record that is already text.
    pub(super) fn audit_text(
        &mut self,
        hook: &(dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync),
        callback: Callback,
        view: AuditView<'_>,
    ) {
        if self.call(callback, || hook(view)) == Some(Err(HookFailed)) {
            self.delivery.count(Counter::HookFailures, 1);
            self.delivery.log(1, "delivery", format_args!("{} failed for record {}", callback.name(), view.seq));
        }
    }

    /// `on_log`.
    pub(super) fn log(&mut self, level: i32, target: &str, text: &str) {
        self.call_with(Callback::Log, self.hooks.on_log.as_deref(), |hook| hook(level, target, text));
    }

    fn call_with<H: ?Sized>(&mut self, callback: Callback, hook: Option<&H>, run: impl FnOnce(&H)) {
        if let Some(hook) = hook {
            self.call(callback, || run(hook));
        }
    }

    /// What the hook returned, or `None` when it panicked.
    fn call<R>(&mut self, callback: Callback, hook: impl FnOnce() -> R) -> Option<R> {
        self.slot.begin(callback, self.at_ms);
        let outcome = catch_unwind(AssertUnwindSafe(hook));
        self.slot.end();
        let ended_ms = (self.delivery.tick)();
        let took_ms = ended_ms.saturating_sub(self.at_ms);
        self.at_ms = ended_ms;
        if took_ms >= self.delivery.slow_ms {
            self.delivery.note_slow(callback, took_ms);
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
        Request { id, question: question.clone(), reply: reply.unwrap_or_else(|| Arc::new(|_, _| ())) }
    }

    #[cold]
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
