//! Threads of ours: started with what every one of them needs, waited for under a deadline to their very end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::delivery::{Delivery, OnThread};
use super::gate::Deadline;
use crate::config::settings::{Delivery as Mode, Settings};
use crate::error::{Code, Error, Stage};
use crate::hooks::ThreadKind;
use crate::sys;

/// Stack of the threads that run no user code; of address space, pages are touched as needed.
const STACK: usize = 512 << 10;
/// Stack of the threads that may run user code.
const USER_STACK: usize = 1 << 20;

/// Between two looks at a thread whose body has returned: as a rule it is gone by the first or second.
const SHORTEST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Threads, and which of them have ended.
#[derive(Default)]
pub struct Threads {
    ended: Arc<Ended>,
    /// Those that are not joined. What is dropped here is detached.
    handles: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Ended {
    running: Mutex<u32>,
    changed: Condvar,
}

impl Threads {
    /// Starts one, without signals; `delivery` tells the application of it. Waits for nothing.
    pub(super) fn spawn(
        &self,
        settings: &Settings,
        delivery: &Arc<Delivery>,
        kind: ThreadKind,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), Error> {
        let stack = stack_of(settings, kind);
        let delivery = Arc::clone(delivery);
        let ended = Arc::clone(&self.ended);
        *ended.lock() += 1;
        let running = Running(ended);
        let owner = sys::Descriptors::of_this_thread();
        let run = move || {
            let _running = running;
            let _entered = sys::Descriptors::enter(owner);
            sys::block_signals_in_this_thread();
            let _told = OnThread::started(&delivery, kind);
            // The application is told of the end by this thread: what else holds delivery may end before.
            drop(delivery);
            body();
        };
        let handle = thread::Builder::new().name(kind.name().to_owned()).stack_size(stack).spawn(run);
        let handle =
            handle.map_err(|source| Error::from_io(Code::Internal, Stage::Call, "cannot start a thread", &source))?;
        let mut handles = self.handles();
        join_ended(&mut handles);
        handles.push(handle);
        Ok(())
    }

    /// Waits until all are joined; `false` when the time is up first, or when one of them is the calling thread.
    pub(super) fn wait(&self, until: Deadline) -> bool {
        self.wait_returned(until) && self.wait_joined(until)
    }

    /// Waits until the bodies have returned.
    fn wait_returned(&self, until: Deadline) -> bool {
        let mut running = self.ended.lock();
        while *running > 0 {
            running = match until.left() {
                Some(time) if time.is_zero() => return false,
                Some(time) => self.ended.changed.wait_timeout(running, time).unwrap_or_else(PoisonError::into_inner).0,
                None => self.ended.changed.wait(running).unwrap_or_else(PoisonError::into_inner),
            };
        }
        true
    }

    /// After their bodies threads run what the application gave them to destroy (pthread keys, `thread_local` of C++): that
    /// may take its time, or even call this. No condition variable tells of its end, and the timed joins of the system
    /// go by a clock that may be set, or are not everywhere.
    fn wait_joined(&self, until: Deadline) -> bool {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let mut handles = self.handles();
            join_ended(&mut handles);
            let is_over = handles.is_empty();
            let waits_in_vain = handles.iter().all(sys::is_this_thread);
            drop(handles);
            if is_over || waits_in_vain || until.is_over() {
                return is_over;
            }
            let (running, time) = (self.ended.lock(), until.left().map_or(pause, |left| left.min(pause)));
            drop(self.ended.changed.wait_timeout(running, time));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn handles(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins those that are over; waits for none.
fn join_ended(handles: &mut Vec<JoinHandle<()>>) {
    *handles = std::mem::take(handles).into_iter().filter_map(sys::try_join).collect();
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, u32> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a thread for as long as it works, however it ends.
struct Running(Arc<Ended>);

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.changed.notify_all();
    }
}

/// Stack of a thread: as configured, or by what runs on it.
fn stack_of(settings: &Settings, kind: ThreadKind) -> usize {
    let runs_callbacks = match kind {
        ThreadKind::Refresh => false,
        ThreadKind::Socket => settings.delivery == Mode::Inline,
        ThreadKind::Dispatch => true,
    };
    match settings.stack_bytes {
        0 if runs_callbacks => USER_STACK,
        0 => STACK,
        bytes => bytes,
    }
}
