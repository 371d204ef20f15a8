//! Letting go of a hook while the client lives.

use std::time::Duration;

use super::Client;
use crate::hooks::Callback;

impl Client {
    /// Lets go of a hook: it is not called any more, and what it owns is dropped after its last call. Waits for a call
    /// that is under way; of the thread that calls it, that may also be another hook's. `true`: it is gone; `false`: the
    /// time was up, or this was called inside that hook, and it goes later. One that is not registered is gone.
    ///
    /// What it would be given is dropped and counted from here on, as if it had never been registered; questions that
    /// `on_ask` was given stay open.
    pub fn unregister(&self, callback: Callback, timeout: Option<Duration>) -> bool {
        self.delivery.unregister(callback, timeout)
    }

    /// As [`Client::unregister`], but returns at once, and what the hook owns is never dropped inside this call: for
    /// callers that hold a lock which the hook, or its drop, takes as well. It goes on `gwa-dispatch`; in `Delivery::Poll`
    /// in the next `next_event`. Where neither comes, the next `start`, `shutdown` or drop of the client does it.
    pub fn unregister_later(&self, callback: Callback) {
        self.delivery.unregister_later(callback);
    }
}
