//! The hooks that one thread calls, copied out of the shared state so that no call takes a lock.
//!
//! Each is in a cell of its own: while one runs, the same thread can take another one out.

use std::cell::{Ref, RefCell};
use std::sync::Arc;

use crate::event::{Notice, Sent};
use crate::hooks::{AuditView, Callback, HookFailed, Hooks, Message, Request};
use crate::proto::token::Token;

/// The copies of one thread.
#[derive(Default)]
pub(super) struct Table {
    pub(super) message: Place<dyn Fn(Message<'_>) + Send + Sync>,
    pub(super) audit: Place<dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync>,
    pub(super) siem: Place<dyn Fn(AuditView<'_>) -> Result<(), HookFailed> + Send + Sync>,
    pub(super) state: Place<dyn Fn(&Notice) + Send + Sync>,
    pub(super) token: Place<dyn Fn(&Token) + Send + Sync>,
    pub(super) ask: Place<dyn Fn(Request) + Send + Sync>,
    pub(super) sent: Place<dyn Fn(&Sent) + Send + Sync>,
    pub(super) log: Place<dyn Fn(i32, &str, &str) + Send + Sync>,
}

/// Where one hook is kept; borrowed while it runs.
pub(super) struct Place<H: ?Sized>(RefCell<Option<Arc<H>>>);

impl<H: ?Sized> Default for Place<H> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<H: ?Sized> Place<H> {
    fn of(hook: Option<&Arc<H>>) -> Self {
        Self(RefCell::new(hook.cloned()))
    }

    /// The hook, for the time of a call.
    #[inline]
    pub(super) fn borrow(&self) -> Ref<'_, Option<Arc<H>>> {
        self.0.borrow()
    }

    /// Drops the copy; `false` while it runs.
    fn remove(&self) -> bool {
        let Ok(mut place) = self.0.try_borrow_mut() else { return false };
        let hook = place.take();
        // Should this be the last copy, its release runs with the cell free.
        drop(place);
        drop(hook);
        true
    }
}

impl Table {
    /// Copies of the hooks that are wanted. `on_thread` has no place here: each call of it takes a copy.
    pub(super) fn of(hooks: &Hooks, wants: impl Fn(Callback) -> bool) -> Self {
        fn place<H: ?Sized>(hook: &Option<Arc<H>>, is_wanted: bool) -> Place<H> {
            Place::of(hook.as_ref().filter(|_| is_wanted))
        }
        Self {
            message: place(&hooks.on_message, wants(Callback::Message)),
            audit: place(&hooks.on_audit, wants(Callback::Audit)),
            siem: place(&hooks.on_siem, wants(Callback::Siem)),
            state: place(&hooks.on_state, wants(Callback::State)),
            token: place(&hooks.on_token, wants(Callback::Token)),
            ask: place(&hooks.on_ask, wants(Callback::Ask)),
            sent: place(&hooks.on_sent, wants(Callback::Sent)),
            log: place(&hooks.on_log, wants(Callback::Log)),
        }
    }

    /// Drops a copy; `false` while it runs.
    pub(super) fn remove(&self, callback: Callback) -> bool {
        match callback {
            Callback::Message => self.message.remove(),
            Callback::Audit => self.audit.remove(),
            Callback::Siem => self.siem.remove(),
            Callback::State => self.state.remove(),
            Callback::Token => self.token.remove(),
            Callback::Ask => self.ask.remove(),
            Callback::Sent => self.sent.remove(),
            Callback::Log => self.log.remove(),
            Callback::Thread => true,
        }
    }

    /// Drops all copies.
    pub(super) fn clear(&self) {
        for callback in Callback::ALL {
            self.remove(callback);
        }
    }
}
