//! Waiting for one connection under one deadline, interruptible at any point.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use crate::error::{Code, Error, Stage};
use crate::shell::clock::Clock;
use crate::shell::dial::{Dial, Net, Opened, Target};
use crate::shell::wait::{Bell, Waiter, Woken};

/// Ends a request from another thread, or at a time. Clones end the same request.
#[derive(Clone)]
pub struct Cancel {
    shared: Arc<Flags>,
    bell: Bell,
}

struct Flags {
    is_cancelled: AtomicBool,
    grace_ms: AtomicU64,
    /// When it is cancelled anyway, in boot milliseconds.
    due_ms: AtomicU64,
    /// The server may have begun to act on the request.
    is_sent: AtomicBool,
}

impl Cancel {
    /// One for requests that wait in the wait this bell belongs to.
    pub fn new(bell: Bell) -> Self {
        let shared = Flags {
            is_cancelled: AtomicBool::new(false),
            grace_ms: AtomicU64::new(0),
            due_ms: AtomicU64::new(u64::MAX),
            is_sent: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), bell }
    }

    /// Ends the request under way, and every later one that is given this.
    pub fn cancel(&self) {
        self.shared.is_cancelled.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// From now on a request that is with the server already has so long for its answer when it is cancelled: the
    /// answer may carry the only refresh token that is still good.
    pub fn set_grace(&self, ms: u64) {
        self.shared.grace_ms.store(ms, Ordering::SeqCst);
    }

    /// What was cancelled before does not count for the next request. Who cancels meanwhile has its reason in an inbox
    /// that is looked at afterwards.
    pub fn renew(&self) {
        self.shared.is_cancelled.store(false, Ordering::SeqCst);
        self.shared.is_sent.store(false, Ordering::SeqCst);
        self.cancel_at(None);
    }

    /// Requests from now on are cancelled at this boot time.
    pub fn cancel_at(&self, due_ms: Option<u64>) {
        self.shared.due_ms.store(due_ms.unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.shared.is_cancelled.load(Ordering::SeqCst)
    }

    /// Whether the server may have begun to act on the newest request.
    pub fn is_sent(&self) -> bool {
        self.shared.is_sent.load(Ordering::SeqCst)
    }
}

/// A thread's wait on loan, with the request's deadline.
pub struct Lane {
    waiter: Waiter,
    clock: Clock,
    deadline: u64,
    cancel: Cancel,
    /// Since when it is known that the request is cancelled.
    cancelled_since: Option<u64>,
    heard: bool,
}

impl Lane {
    /// Borrows the wait until [`Lane::give_back`].
    pub fn new(waiter: &mut Waiter, clock: &Clock, timeout_ms: u64, cancel: &Cancel) -> Self {
        let deadline = clock.now().boot_ms.saturating_add(timeout_ms);
        let (waiter, cancel) = (std::mem::take(waiter), cancel.clone());
        cancel.shared.is_sent.store(false, Ordering::SeqCst);
        Self { waiter, clock: *clock, deadline, cancel, cancelled_since: None, heard: false }
    }

    /// Returns the wait. A bell that rang meanwhile rings again, so that its owner looks at the inbox.
    pub fn give_back(self, waiter: &mut Waiter) {
        *waiter = self.waiter;
        if self.heard {
            waiter.bell().ring();
        }
    }

    /// The request begins to go out.
    pub fn sending(&mut self) {
        self.cancel.shared.is_sent.store(true, Ordering::SeqCst);
    }

    /// Makes a connection.
    pub fn open(&mut self, net: &Net, target: Target) -> Result<Opened, Error> {
        let mut dial = Dial::start(net, target, &self.waiter, self.clock.now())?;
        loop {
            if let Some(opened) = dial.advance(self.clock.now(), &self.waiter)? {
                return Ok(opened);
            }
            let (late, stage) = dial.under_way();
            let woken = self.sleep(dial.deadline(), late, stage);
            let woken = woken.map_err(|error| error.with(|detail| detail.host = dial.peer_at(stage)))?;
            for ready in woken.sockets() {
                dial.on_ready(ready);
            }
        }
    }

    /// Waits for news of the connection.
    pub fn wait(&mut self, opened: &mut Opened) -> Result<(), Error> {
        let woken = self.sleep(self.deadline, Code::HttpTimeout, Stage::Token)?;
        for ready in woken.sockets().filter(|ready| ready.token == opened.token) {
            opened.stream.on_ready(ready);
        }
        Ok(())
    }

    /// Waits for anything, at most until `until` and the deadline.
    fn sleep(&mut self, until: u64, late: Code, stage: Stage) -> Result<Woken, Error> {
        let now = self.clock.now();
        let cancelled_at = self.cancelled_at(now.boot_ms);
        if cancelled_at.is_some_and(|at| at <= now.boot_ms) {
            return Err(Error::new(Code::Cancelled, stage, ""));
        }
        if now.boot_ms >= self.deadline {
            return Err(Error::new(late, stage, "The time for the whole request is up."));
        }
        let until = until.min(self.deadline).min(cancelled_at.unwrap_or(u64::MAX));
        let woken = self.waiter.wait(Some(until), now);
        let woken = woken.map_err(|error| Error::from_io(Code::Internal, stage, "Waiting failed", &error))?;
        self.heard |= woken.bell;
        Ok(woken)
    }

    /// When a cancelled request ends: at once, or after its grace if the server has it.
    fn cancelled_at(&mut self, now_ms: u64) -> Option<u64> {
        if self.cancelled_since.is_none() && self.cancel.is_cancelled() {
            self.cancelled_since = Some(now_ms);
        }
        // Read anew: it may have been taken back.
        let grace_ms = if self.cancel.is_sent() { self.cancel.shared.grace_ms.load(Ordering::SeqCst) } else { 0 };
        let due_ms = self.cancel.shared.due_ms.load(Ordering::SeqCst);
        let since_ms = self.cancelled_since.into_iter().chain((due_ms < u64::MAX).then_some(due_ms)).min();
        since_ms.map(|at| at.saturating_add(grace_ms))
    }
}
