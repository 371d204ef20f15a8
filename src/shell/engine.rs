//! The three threads of a running client: started together, told to stop, waited for under one deadline.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::clock::Clock;
use super::delivery::{Delivery, OnThread};
use super::dial::Net;
use super::gate::{Deadline, Promise};
use super::http::{Cancel, Http};
use super::inbox::{Inbox, ToRefresh};
use super::random::Entropy;
use super::refresh_thread::{Carry, RefreshThread};
use super::shared::Shared;
use super::socket_thread::{Finished, SocketThread};
use super::wait::Waiter;
use crate::audit::Record;
use crate::config::settings::{Delivery as Mode, Grant, Settings};
use crate::error::{Code, Error, Stage};
use crate::event::{Notice, State, StateChange};
use crate::hooks::{Answer, ThreadKind};
use crate::proto::outbox::Outbox;
use crate::proto::refresher::{Input as RefreshInput, Refresher};
use crate::proto::session::{Input as SessionInput, Rounds, Session};
use crate::proto::token::Token;
use crate::{panics, sys};

/// Stack of the threads that run no user code; of address space, pages are touched as needed.
const STACK: usize = 512 << 10;
/// Stack of the threads that may run user code.
const USER_STACK: usize = 1 << 20;

/// How long a start that failed waits for the threads that it has started already.
const START_TIMEOUT: Duration = Duration::from_secs(1);

/// What the threads are made of.
pub struct Parts {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub net: Net,
    pub delivery: Arc<Delivery>,
    pub outbox: Arc<Mutex<Outbox>>,
    pub shared: Arc<Shared>,
    pub carry: Carry,
    pub session_id: Option<String>,
}

/// The running threads.
pub struct Engine {
    refresh: Inbox<ToRefresh>,
    socket: Inbox<SessionInput>,
    cancel: Cancel,
    ended: Arc<Ended>,
    /// Other threads will follow these: the queue that the application polls stays open.
    is_pause: Arc<AtomicBool>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// Which threads have ended, and what they left.
#[derive(Debug, Default)]
struct Ended {
    state: Mutex<Left>,
    changed: Condvar,
}

/// What the threads left.
#[derive(Clone, Debug, Default)]
pub struct Left {
    pub carry: Option<Carry>,
    pub finished: Option<Finished>,
    running: u32,
}

impl Engine {
    /// Starts the threads. `told` hears of the first Ready, or of the end of the first round.
    pub fn start(parts: Parts, rounds: Rounds, told: Option<Promise<()>>) -> Result<Self, Error> {
        let (refresh_waiter, socket_waiter) = (waiter(&parts.clock)?, waiter(&parts.clock)?);
        let (refresh, refresh_inbox) = Inbox::new(refresh_waiter.bell());
        let (socket, socket_inbox) = Inbox::new(socket_waiter.bell());
        let cancel = Cancel::new(refresh_waiter.bell());
        connect_delivery(&parts.delivery, &refresh, &socket);
        let refresh_thread = refresher(&parts, refresh_waiter, refresh_inbox, cancel.clone(), socket.clone())?;
        let socket_thread = driver(&parts, socket_waiter, socket_inbox, (refresh.clone(), cancel.clone()), told)?;
        let engine = Self {
            refresh,
            socket,
            cancel,
            ended: Arc::default(),
            is_pause: Arc::default(),
            handles: Mutex::default(),
        };
        parts.outbox.lock().unwrap_or_else(PoisonError::into_inner).reopen();
        if let Err(error) = engine.spawn_all(&parts, refresh_thread, socket_thread) {
            engine.close();
            // None of them has had anything to do yet: what was started ends at once.
            engine.wait_ended(Deadline::after(Some(START_TIMEOUT)));
            return Err(error);
        }
        engine.socket.send(SessionInput::Start(rounds));
        engine.refresh.send(ToRefresh::Input(RefreshInput::Start));
        Ok(engine)
    }

    fn spawn_all(&self, parts: &Parts, refresh: Box<RefreshThread>, socket: Box<SocketThread>) -> Result<(), Error> {
        // When the last producer has ended, nothing more will come and the dispatcher may drain and end.
        parts.delivery.begin();
        let keeps_open = (parts.settings.delivery == Mode::Poll).then(|| Arc::clone(&self.is_pause));
        let producers = Arc::new(Producers { delivery: Arc::clone(&parts.delivery), keeps_open });
        if parts.settings.delivery != Mode::Poll {
            let (failure, delivery) = (self.failure(parts), Arc::clone(&parts.delivery));
            self.spawn(parts, ThreadKind::Dispatch, move || {
                guarded(&failure, ThreadKind::Dispatch, || delivery.run_dispatcher());
            })
            .inspect_err(|_| parts.delivery.begin_failed())?;
        }
        let (failure, ended, guard) = (self.failure(parts), Arc::clone(&self.ended), Arc::clone(&producers));
        self.spawn(parts, ThreadKind::Refresh, move || {
            let carry = guarded(&failure, ThreadKind::Refresh, || refresh.run());
            ended.lock().carry = carry;
            drop(guard);
        })?;
        let (failure, ended) = (self.failure(parts), Arc::clone(&self.ended));
        self.spawn(parts, ThreadKind::Socket, move || {
            let finished = guarded(&failure, ThreadKind::Socket, || socket.run());
            ended.lock().finished = finished;
            drop(producers);
        })
    }

    fn failure(&self, parts: &Parts) -> Failure {
        Failure {
            refresh: self.refresh.clone(),
            socket: self.socket.clone(),
            delivery: Arc::clone(&parts.delivery),
            shared: Arc::clone(&parts.shared),
            clock: parts.clock,
        }
    }

    fn spawn(&self, parts: &Parts, kind: ThreadKind, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let stack = stack_of(&parts.settings, kind);
        let delivery = Arc::clone(&parts.delivery);
        let ended = Arc::clone(&self.ended);
        ended.lock().running += 1;
        let running = Running(ended);
        let run = move || {
            let _running = running;
            sys::block_signals_in_this_thread();
            let _told = OnThread::started(&delivery, kind);
            // The application is told of the end by this thread: what else holds delivery may end before.
            drop(delivery);
            body();
        };
        match thread::Builder::new().name(kind.name().to_owned()).stack_size(stack).spawn(run) {
            Ok(handle) => {
                self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
                Ok(())
            }
            Err(source) => Err(Error::from_io(Code::Internal, Stage::Call, "cannot start a thread", &source)),
        }
    }

    /// Tells the refresher.
    pub fn tell_refresh(&self, input: RefreshInput) {
        self.refresh.send(ToRefresh::Input(input));
    }

    /// Tells the session.
    pub fn tell_session(&self, input: SessionInput) {
        self.socket.send(input);
    }

    /// Asks for a token.
    pub fn want_token(&self, min_left_ms: u64, promise: Promise<Arc<Token>>) {
        self.refresh.send(ToRefresh::Wanted { min_left_ms, promise });
    }

    /// Wakes the socket thread to look at the send queue.
    pub fn ring_socket(&self) {
        self.socket.ring();
    }

    /// As [`Self::close`], after a connect that failed: the client can be started again.
    pub fn pause(&self) {
        self.is_pause.store(true, Ordering::SeqCst);
        self.stop();
    }

    /// Tells all threads to stop, for good. Returns at once; a request in flight is broken off.
    pub fn close(&self) {
        self.is_pause.store(false, Ordering::SeqCst);
        self.stop();
    }

    fn stop(&self) {
        self.cancel.cancel();
        self.refresh.send(ToRefresh::Input(RefreshInput::Close));
        self.socket.send(SessionInput::Close);
    }

    /// Waits until all threads have ended; what they left, or `None` when the time is up first.
    pub fn wait_ended(&self, until: Deadline) -> Option<Left> {
        let mut left = self.ended.lock();
        while left.running > 0 {
            left = match until.left() {
                Some(time) if time.is_zero() => return None,
                Some(time) => self.ended.changed.wait_timeout(left, time).unwrap_or_else(PoisonError::into_inner).0,
                None => self.ended.changed.wait(left).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let result = left.clone();
        drop(left);
        for handle in self.handles.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // The body has returned, and its panics are caught: this neither waits nor fails.
            let _ = handle.join();
        }
        Some(result)
    }

    /// Whether the socket thread has ended, and with a finished close handshake.
    pub fn is_clean(&self) -> bool {
        self.ended.lock().finished.as_ref().is_some_and(|finished| finished.clean)
    }
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// gwa-refresh, ready to run.
fn refresher(
    parts: &Parts,
    waiter: Waiter,
    inbox: Receiver<ToRefresh>,
    cancel: Cancel,
    socket: Inbox<SessionInput>,
) -> Result<Box<RefreshThread>, Error> {
    let Carry { credentials, unauthorized } = parts.carry.clone();
    let can_ask = parts.delivery.has_on_ask();
    let endpoint = match parts.settings.grant {
        Grant::Application => String::new(),
        _ => parts.net.target(&parts.settings.token_url)?.peer(),
    };
    Ok(Box::new(RefreshThread {
        clock: parts.clock,
        entropy: Entropy::new(),
        waiter,
        inbox,
        machine: Refresher::new(Arc::clone(&parts.settings), credentials, can_ask, unauthorized),
        http: Http::new(&parts.net),
        cancel,
        socket,
        delivery: Arc::clone(&parts.delivery),
        shared: Arc::clone(&parts.shared),
        wanted: HashMap::new(),
        last_wish: 0,
        endpoint,
        close_timeout_ms: parts.settings.close_timeout_ms,
        broken_off: None,
        closed: false,
        stopped: false,
    }))
}

/// gwa-socket, ready to run.
fn driver(
    parts: &Parts,
    waiter: Waiter,
    inbox: Receiver<SessionInput>,
    (refresh, cancel): (Inbox<ToRefresh>, Cancel),
    told: Option<Promise<()>>,
) -> Result<Box<SocketThread>, Error> {
    Ok(Box::new(SocketThread {
        clock: parts.clock,
        entropy: Entropy::new(),
        waiter,
        inbox,
        machine: Session::new(Arc::clone(&parts.settings), parts.session_id.clone()),
        net: parts.net.clone(),
        endpoint: parts.net.target(&parts.settings.ws_url)?.peer(),
        refresh,
        cancel,
        scratch: parts.delivery.scratch(),
        delivery: Arc::clone(&parts.delivery),
        outbox: Arc::clone(&parts.outbox),
        shared: Arc::clone(&parts.shared),
        links: Vec::new(),
        orphan: None,
        send_on: None,
        writing: None,
        connecting: told,
        stopped: None,
    }))
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

/// Held by a thread for as long as it lives, however it ends.
struct Running(Arc<Ended>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_all();
    }
}

fn waiter(clock: &Clock) -> Result<Waiter, Error> {
    Waiter::new(clock).map_err(|source| Error::from_io(Code::Internal, Stage::Call, "cannot open a poll", &source))
}

/// Answers go to gwa-refresh; room in the event queue wakes gwa-socket.
fn connect_delivery(delivery: &Delivery, refresh: &Inbox<ToRefresh>, socket: &Inbox<SessionInput>) {
    let (refresh, socket) = (refresh.clone(), socket.clone());
    delivery.set_reply(Arc::new(move |id, answer: Result<Answer, Error>| {
        refresh.send(ToRefresh::Input(RefreshInput::Answered { id, answer }));
    }));
    delivery.set_room_bell(Box::new(move || socket.ring()));
}

/// Held by the threads that produce events; the last one to go closes delivery.
struct Producers {
    delivery: Arc<Delivery>,
    keeps_open: Option<Arc<AtomicBool>>,
}

impl Drop for Producers {
    fn drop(&mut self) {
        if !self.keeps_open.as_ref().is_some_and(|keeps| keeps.load(Ordering::SeqCst)) {
            self.delivery.close();
        }
    }
}

/// Who hears of a panic.
struct Failure {
    refresh: Inbox<ToRefresh>,
    socket: Inbox<SessionInput>,
    delivery: Arc<Delivery>,
    shared: Arc<Shared>,
    clock: Clock,
}

/// Runs a thread's body. A panic is a record and the state `Failed`, never a silent dead thread.
fn guarded<T>(failure: &Failure, kind: ThreadKind, body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(panic) => {
            failure.report(kind, &*panic);
            None
        }
    }
}

impl Failure {
    fn report(&self, kind: ThreadKind, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied().unwrap_or("a panic");
        let location = match panics::last_place() {
            Some(place) => format!("{} at {place}: {text}", kind.name()),
            None => format!("{}: {text}", kind.name()),
        };
        let error = Error::new(Code::Panic, Stage::Live, location.clone());
        let from = self.shared.state();
        self.shared.fail(error.clone());
        self.refresh.send(ToRefresh::Input(RefreshInput::Close));
        self.socket.send(SessionInput::Close);
        // What made the thread panic, a clock that fails say, may do so again: the client is told all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let id = Entropy::new().uuid_v4();
            self.delivery.push_record(self.clock.now(), id, Record::Panicked { location });
        }));
        let change = StateChange { from, to: State::Failed, reason: "panic", error: Some(error) };
        self.delivery.push_notice(Notice::State(change));
    }
}

#[cfg(test)]
mod tests;
