//! What the threads leave for the application's threads to read.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::Error;
use crate::event::State;
use crate::proto::http::RateLimit;
use crate::proto::token::Token;

/// State, newest token, and what was handed back. Written by the threads, read by anybody.
#[derive(Debug)]
pub struct Shared {
    state: AtomicI32,
    token: Mutex<Option<Arc<Token>>>,
    unsent: AtomicU64,
    /// How far the server's clock is ahead; `i64::MIN`: not known.
    server_ahead_ms: AtomicI64,
    /// With the wall clock's time of the answer that told.
    rate_limit: Mutex<Option<(RateLimit, u64)>>,
    failure: OnceLock<Error>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            state: AtomicI32::default(),
            token: Mutex::default(),
            unsent: AtomicU64::default(),
            server_ahead_ms: AtomicI64::new(i64::MIN),
            rate_limit: Mutex::default(),
            failure: OnceLock::new(),
        }
    }
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
        self.keep_failure(error);
        self.set_state(State::Failed);
    }

    /// What calls fail with from here on; the first one counts.
    pub fn keep_failure(&self, error: Error) {
        let _ = self.failure.set(error);
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

    /// Forgets this token, or an older one: it was refused.
    pub fn drop_token(&self, serial: u64) {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).take_if(|held| held.serial <= serial);
    }

    /// Forgets the token: the threads have stopped.
    pub fn clear_token(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How far the server's clock is ahead of this machine's wall clock, once an answer has told.
    pub fn server_ahead_ms(&self) -> Option<i64> {
        Some(self.server_ahead_ms.load(Ordering::Acquire)).filter(|ms| *ms != i64::MIN)
    }

    /// An answer has told the time.
    pub fn set_server_ahead_ms(&self, ms: i64) {
        self.server_ahead_ms.store(ms.max(i64::MIN + 1), Ordering::Release);
    }

    /// The API's limit on requests and when it was told (wall clock), once an answer has.
    pub fn rate_limit(&self) -> Option<(RateLimit, u64)> {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer has told the limit.
    pub fn set_rate_limit(&self, limit: RateLimit, wall_ms: u64) {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner) = Some((limit, wall_ms));
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
