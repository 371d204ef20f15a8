//! What the threads leave for the application's threads to read.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::Error;
use crate::event::State;
use crate::proto::token::Token;

/// State, newest token, and what was handed back. Written by the threads, read by anybody.
#[derive(Debug, Default)]
pub struct Shared {
    state: AtomicI32,
    token: Mutex<Option<Arc<Token>>>,
    unsent: AtomicU64,
    failure: OnceLock<Error>,
}

impl Shared {
    /// The state the application was last told.
    pub fn state(&self) -> State {
        let number = self.state.load(Ordering::Acquire);
        State::ALL.iter().copied().find(|state| *state as i32 == number).unwrap_or_default()
    }

    /// Sets the state; `Failed` is final, and then this is `false`.
    pub fn set_state(&self, state: State) -> bool {
        let set = |now| (now != State::Failed as i32).then_some(state as i32);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, set).is_ok()
    }

    /// A thread has panicked: the state is `Failed` from here on. The first failure counts.
    pub fn fail(&self, error: Error) {
        let _ = self.failure.set(error);
        self.set_state(State::Failed);
    }

    /// What made the client `Failed`.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    /// The newest token.
    pub fn token(&self) -> Option<Arc<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a token in; whether it is another than the one before.
    pub fn set_token(&self, token: &Arc<Token>) -> bool {
        let mut slot = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let new = slot.as_ref().is_none_or(|held| held.access_token != token.access_token);
        *slot = Some(Arc::clone(token));
        new
    }

    /// Forgets the token: the threads have stopped.
    pub fn clear_token(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Messages handed back unsent so far.
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Acquire)
    }

    /// Counts messages handed back unsent.
    pub fn add_unsent(&self, n: u64) {
        self.unsent.fetch_add(n, Ordering::AcqRel);
    }
}
