//! What producers need not queue, because nobody wants it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::settings::Delivery as Mode;
use crate::hooks::{Callback, Hooks};

/// Which hooks there are: what nobody wants is not queued.
#[derive(Debug)]
pub(super) struct Wants {
    pub(super) messages: AtomicBool,
    pub(super) sent: AtomicBool,
    pub(super) asks: AtomicBool,
    pub(super) logs: AtomicBool,
}

impl Wants {
    /// Of the hooks a client is made with.
    pub(super) fn of(mode: Mode, hooks: &Hooks) -> Self {
        let polls = mode == Mode::Poll;
        Self {
            messages: AtomicBool::new(polls || hooks.on_message.is_some()),
            sent: AtomicBool::new(polls || hooks.on_sent.is_some()),
            asks: AtomicBool::new(polls || hooks.on_ask.is_some()),
            logs: AtomicBool::new(hooks.on_log.is_some()),
        }
    }

    /// A hook was unregistered.
    pub(super) fn forget(&self, callback: Callback, mode: Mode) {
        let polls = mode == Mode::Poll;
        match callback {
            Callback::Message => self.messages.store(polls, Ordering::Relaxed),
            Callback::Sent => self.sent.store(polls, Ordering::Relaxed),
            Callback::Ask => self.asks.store(polls, Ordering::Relaxed),
            Callback::Log => self.logs.store(false, Ordering::Relaxed),
            Callback::Audit | Callback::Siem | Callback::State | Callback::Token | Callback::Thread => {}
        }
    }
}
