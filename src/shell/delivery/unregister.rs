//! Letting go of a hook while the client lives.
//!
//! Threads call copies of the hooks ([`Table`]), so a hook that is unregistered is first *retired*: taken out of the
//! shared state, with a note of who may still have a copy. That keeper drops its copy when it next comes between two
//! calls, and then the retired hook: its release runs there, after the last call, with no lock held. A keeper that is
//! not alive has no copy, and then anybody may drop it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::MutexGuard;
use std::time::Duration;

use super::calls::Inside;
use super::producer::Scratch;
use super::state::State;
use super::table::Table;
use super::{wait, wait_for, Delivery};
use crate::config::settings::Delivery as Mode;
use crate::hooks::Callback;
use crate::shell::gate::Deadline;

/// A hook that is called no more once its keeper has come by.
pub(super) struct Retired {
    callback: Callback,
    keeper: Keeper,
    /// Dropped, and perhaps released, with no lock held.
    hook: Box<dyn Send>,
}

/// Who may have a copy of a retired hook, and lets go of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keeper {
    /// The dispatcher; in poll mode, whoever polls next.
    Consumer,
    /// The socket thread (inline mode).
    Socket,
    /// The call that is under way.
    Call,
}

impl Retired {
    /// Whether this one lets go of it.
    pub(super) fn is_kept_by(&self, keeper: Keeper) -> bool {
        self.keeper == keeper
    }
}

impl Delivery {
    /// Lets go of a hook and waits until it has been released; `false` when the time is up first, or when this is
    /// called where that would be waited for in vain. `None`: no limit.
    pub(crate) fn unregister(&self, callback: Callback, timeout: Option<Duration>) -> bool {
        self.retire(callback);
        if Inside::is(self) {
            return self.let_go_inside(callback);
        }
        let until = Deadline::after(timeout);
        let mut state = self.lock();
        loop {
            state = self.let_go_unkept(state, callback);
            if state.is_gone(callback) {
                return true;
            }
            state = self.watch_for(state, until);
            if until.is_over() {
                return self.let_go_unkept(state, callback).is_gone(callback);
            }
        }
    }

    /// Sleeps until something was let go of, or the time is up.
    pub(super) fn watch_for<'a>(&self, mut state: MutexGuard<'a, State>, until: Deadline) -> MutexGuard<'a, State> {
        state.watchers += 1;
        let mut state = match until.left() {
            None => wait(&self.progress, state),
            Some(left) => wait_for(&self.progress, state, left).0,
        };
        state.watchers -= 1;
        state
    }

    /// Lets go of a hook without waiting, and without releasing it here.
    pub(crate) fn unregister_later(&self, callback: Callback) {
        self.retire(callback);
    }

    /// Drops what was unregistered and nobody has come by for.
    pub(crate) fn let_go_retired(&self) {
        drop(self.let_go(self.lock(), |retired| retired.is_kept_by(Keeper::Consumer)));
    }

    /// Lets go of the hooks; nothing is called after this. What they own is released here, or on the thread
    /// that is still inside one of them when it returns.
    pub(crate) fn release_hooks(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        let mine = (std::mem::take(&mut state.hooks), state.reply.take(), state.bell.take());
        let state = self.let_go(state, |_| true);
        drop(state);
        let _inside = Inside::enter(self, None);
        drop(mine);
    }

    /// The client is gone, its threads are not: what nobody calls is released here, the rest where it runs.
    /// `on_thread` stays until the last thread has ended.
    pub(crate) fn disown(&self) {
        let mut state = self.lock();
        let on_thread = state.hooks.on_thread.take();
        let mine = std::mem::take(&mut state.hooks);
        state.hooks.on_thread = on_thread;
        drop(state);
        let _inside = Inside::enter(self, None);
        drop(mine);
    }

    /// Between two calls of the socket thread (inline mode): drops its copy of what was retired.
    pub(crate) fn freshen(&self, scratch: &Scratch) {
        if self.is_inline_stale.load(Ordering::Relaxed) {
            self.leave_socket(scratch.table(), false);
        }
    }

    /// As [`Delivery::freshen`], whatever was retired; `ends`: the thread will ask no more.
    #[cold]
    pub(super) fn leave_socket(&self, table: Option<&Table>, ends: bool) {
        let mut state = self.lock();
        self.is_inline_stale.store(false, Ordering::Relaxed);
        if let Some(table) = table.filter(|_| ends || state.has_retired(Keeper::Socket)) {
            // Out of the lock: should nothing else have the hook any more, it is released by this.
            drop(state);
            table.clear();
            state = self.lock();
        }
        state.has_scratch &= !ends;
        state = self.let_go(state, |retired| retired.is_kept_by(Keeper::Socket));
        self.progress.notify_all();
        drop(state);
    }

    /// Between two calls of the dispatcher: drops its copies of what was retired.
    pub(super) fn leave_table(&self, table: &Table) {
        let state = self.lock();
        for retired in state.retired.iter().filter(|retired| retired.is_kept_by(Keeper::Consumer)) {
            // No release runs here, under the lock: the original is in the list.
            table.remove(retired.callback);
        }
        drop(self.let_go(state, |retired| retired.is_kept_by(Keeper::Consumer)));
    }

    /// A call that had a copy of its own has ended.
    pub(super) fn call_ended<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        callback: Callback,
    ) -> MutexGuard<'a, State> {
        if let Some(calls) = state.calls.get_mut(callback as usize) {
            *calls = calls.saturating_sub(1);
        }
        if state.watchers > 0 {
            self.progress.notify_all();
        }
        let is_last = !state.is_called(callback);
        self.let_go(state, |retired| is_last && retired.keeper == Keeper::Call && retired.callback == callback)
    }

    /// Drops retired hooks; their release runs here. Without any, nothing is unlocked.
    pub(super) fn let_go<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mine: impl Fn(&Retired) -> bool,
    ) -> MutexGuard<'a, State> {
        if !state.retired.iter().any(&mine) {
            return state;
        }
        let (gone, kept) = std::mem::take(&mut state.retired).into_iter().partition::<Vec<_>, _>(mine);
        state.retired = kept;
        drop(state);
        let callbacks: Vec<Callback> = gone.iter().map(|retired| retired.callback).collect();
        let inside = Inside::enter(self, None);
        for Retired { hook, .. } in gone {
            // What a hook owns may panic when it goes; the count has to stay right.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(hook)));
        }
        drop(inside);
        let mut state = self.lock();
        for callback in callbacks {
            if let Some(leaving) = state.leaving.get_mut(callback as usize) {
                *leaving = leaving.saturating_sub(1);
            }
        }
        if !state.has_work() {
            self.lower(&mut state);
        }
        self.progress.notify_all();
        state
    }

    /// Takes a hook out of the shared state and wakes who has a copy.
    fn retire(&self, callback: Callback) {
        let mut state = self.lock();
        let Some(hook) = state.hooks.take(callback) else { return };
        self.wants.forget(callback, self.mode);
        let keeper = self.keeper(&state, callback);
        if let Some(leaving) = state.leaving.get_mut(callback as usize) {
            *leaving += 1;
        }
        if keeper == Keeper::Consumer {
            self.urgent.store(true, Ordering::Relaxed);
            return self.push_into(state, |state| state.retired.push(Retired { callback, keeper, hook }));
        }
        state.retired.push(Retired { callback, keeper, hook });
        if keeper == Keeper::Socket {
            self.is_inline_stale.store(true, Ordering::Relaxed);
            let bell = state.bell.clone();
            drop(state);
            if let Some(bell) = bell {
                bell();
            }
        }
    }

    fn keeper(&self, state: &State, callback: Callback) -> Keeper {
        if state.is_called(callback) {
            Keeper::Call
        } else if self.mode == Mode::Inline && callback == Callback::Message && state.has_scratch {
            Keeper::Socket
        } else {
            Keeper::Consumer
        }
    }

    /// Drops a retired hook whose keeper is not alive, so that nobody has a copy.
    fn let_go_unkept<'a>(&'a self, state: MutexGuard<'a, State>, callback: Callback) -> MutexGuard<'a, State> {
        let (has_dispatcher, has_scratch) = (state.has_dispatcher, state.has_scratch);
        self.let_go(state, |retired| {
            let is_kept = match retired.keeper {
                Keeper::Consumer => has_dispatcher,
                Keeper::Socket => has_scratch,
                Keeper::Call => true,
            };
            retired.callback == callback && !is_kept
        })
    }

    /// In a callback of this client nothing is waited for, but what does not run can go at once.
    fn let_go_inside(&self, callback: Callback) -> bool {
        let mut state = self.lock();
        if let Some(table) = Inside::table(self) {
            let is_mine = |retired: &Retired| retired.callback == callback && retired.keeper == Keeper::Consumer;
            // No release runs under the lock: the original is in the list, or there is no copy.
            if state.retired.iter().any(is_mine) && table.remove(callback) {
                state = self.let_go(state, is_mine);
            }
        }
        self.let_go_unkept(state, callback).is_gone(callback)
    }
}

impl State {
    /// Whether a hook waits for this keeper to let it go.
    pub(super) fn has_retired(&self, keeper: Keeper) -> bool {
        self.retired.iter().any(|retired| retired.keeper == keeper)
    }

    /// Whether a call is under way with a copy of its own.
    fn is_called(&self, callback: Callback) -> bool {
        self.calls.get(callback as usize).is_some_and(|calls| *calls > 0)
    }

    /// Whether nothing that was retired is still to be released.
    fn is_gone(&self, callback: Callback) -> bool {
        self.leaving.get(callback as usize).is_none_or(|leaving| *leaving == 0)
    }
}
