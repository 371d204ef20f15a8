//! The end of all calls, for who frees a client while other threads are inside `next_event`.

use super::calls::Inside;
use super::state::State;
use super::Delivery;
use crate::config::settings::Delivery as Mode;
use crate::shell::gate::Deadline;

impl Delivery {
    /// Poll mode: from here on `next_event` calls nothing and gives nothing, only `Closed`; whoever waits in it learns so.
    /// A call that is under way goes on.
    pub(crate) fn end_polling(&self) {
        if self.mode != Mode::Poll {
            return;
        }
        let mut state = self.lock();
        (state.is_ended, state.is_closed) = (true, true);
        self.raise(&mut state);
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// Waits until no call and no release is under way; `false` when the time is up first, or inside one of them.
    pub(crate) fn wait_quiet(&self, until: Deadline) -> bool {
        if Inside::is(self) {
            return false;
        }
        let mut state = self.lock();
        while !state.is_quiet() && !until.is_over() {
            state = self.watch_for(state, until);
        }
        state.is_quiet()
    }
}

impl State {
    /// Whether nothing of the application's runs that took a copy of its own, or is being released.
    fn is_quiet(&self) -> bool {
        self.calls.iter().chain(&self.leaving).all(|count| *count == 0)
    }
}
