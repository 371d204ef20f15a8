//! `on_thread`: called first and last on every thread of a client.

use std::sync::Arc;

use super::calls::{Caller, Inside};
use super::table::Table;
use super::Delivery;
use crate::hooks::{Callback, Moment, ThreadKind};

/// Held by a thread for as long as it works: tells its end when dropped, after a panic too.
pub(crate) struct OnThread {
    delivery: Arc<Delivery>,
    kind: ThreadKind,
}

impl OnThread {
    /// Tells the beginning.
    pub(crate) fn started(delivery: &Arc<Delivery>, kind: ThreadKind) -> Self {
        delivery.tell_thread(Moment::Started, kind);
        Self { delivery: Arc::clone(delivery), kind }
    }
}

impl Drop for OnThread {
    fn drop(&mut self) {
        self.delivery.tell_thread(Moment::Ending, self.kind);
    }
}

impl Delivery {
    fn tell_thread(&self, moment: Moment, kind: ThreadKind) {
        let mut state = self.lock();
        let Some(hook) = state.hooks.on_thread.clone() else { return };
        if let Some(calls) = state.calls.get_mut(Callback::Thread as usize) {
            *calls += 1;
        }
        drop(state);
        let inside = Inside::enter(self, None);
        if let Some(slot) = self.threads.get(kind as usize - 1) {
            let mut caller = Caller { delivery: self, table: &Table::default(), slot, at_ms: (self.tick)() };
            caller.thread(&*hook, moment, kind);
        }
        // Should it have been unregistered meanwhile, the state has the last copy.
        drop(hook);
        drop(inside);
        drop(self.call_ended(self.lock(), Callback::Thread));
    }
}
