//! The threads of a running client: started together, told to stop, waited for under one deadline. That of its source
//! of tokens is among them, unless other clients share it.

use std::any::Any;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use super::delivery::Delivery;
use super::dial::Net;
use super::gate::{Deadline, Promise};
use super::inbox::Inbox;
use super::random::Entropy;
use super::shared::Shared;
use super::socket_thread::{Before, Finished, SocketThread};
use super::source::{Lease, Outlet, Source};
use super::subscriptions::Subscriptions;
pub use super::threads::Threads;
use super::wait::Waiter;
use crate::audit::Record;
use crate::config::settings::{Delivery as Mode, Profile, Settings};
use crate::error::{Code, Error, Stage};
use crate::event::{Notice, State, StateChange};
use crate::hooks::ThreadKind;
use crate::panics;
use crate::proto::outbox::Outbox;
use crate::proto::refresher::Input as RefreshInput;
use crate::proto::session::{Input as SessionInput, Rounds, Session};
use crate::proto::token::Token;

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
    pub source: Arc<Source>,
    pub session_id: Option<String>,
    /// Its topics, if its profile has any.
    pub subscriptions: Option<Arc<Subscriptions>>,
}

/// The running threads.
pub struct Engine {
    tokens: Lease,
    socket: Inbox<SessionInput>,
    threads: Threads,
    left: Arc<Mutex<Left>>,
    /// Other threads will follow these: the queue that the application polls stays open.
    is_pause: Arc<AtomicBool>,
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self { error, rest: None }
    }
}

impl fmt::Debug for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// What the threads left.
#[derive(Clone, Debug, Default)]
pub struct Left {
    pub finished: Option<Finished>,
}

/// A start that failed.
pub struct NotStarted {
    pub error: Error,
    /// What was started has not ended yet: a callback holds it up.
    pub rest: Option<Arc<Engine>>,
}

impl Engine {
    /// Starts the threads. `told` hears of the first Ready, or of the end of the first round.
    pub fn start(parts: Parts, rounds: Rounds, told: Option<Promise<()>>) -> Result<Self, NotStarted> {
        let waiter = waiter(&parts.clock)?;
        let (socket, inbox) = Inbox::new(waiter.bell());
        connect_delivery(&parts.delivery, &socket);
        // Before anything of the source: it may have a token already.
        socket.send(SessionInput::Start(rounds));
        let subscriptions = parts.subscriptions.clone();
        if let Some(subscriptions) = &subscriptions {
            subscriptions.begin(&socket);
        }
        let is_pause = Arc::<AtomicBool>::default();
        // When the last producer has ended, nothing more will come and the dispatcher may drain and end.
        parts.delivery.begin();
        let keeps_open = (parts.settings.delivery == Mode::Poll).then(|| Arc::clone(&is_pause));
        let producers = Arc::new(Producers { delivery: Arc::clone(&parts.delivery), keeps_open });
        let (delivery, shared) = (Arc::clone(&parts.delivery), Arc::clone(&parts.shared));
        let needs = parts.source.is_shared().then(|| Arc::clone(&parts.settings));
        let has_channel = parts.settings.profile == Profile::Notifications;
        let outlet = Outlet { socket: socket.clone(), delivery, shared, needs, has_channel, subscriptions };
        // The thread of a source that others share speaks through its own delivery.
        let guard = (!parts.source.is_shared()).then(|| Arc::clone(&producers));
        let tokens = parts.source.join(outlet, guard).inspect_err(|_| parts.delivery.begin_failed())?;
        let engine = Self { tokens, socket, threads: Threads::default(), left: Arc::default(), is_pause };
        if let Err(error) = engine.spawn_all(&parts, waiter, inbox, told, producers) {
            engine.close();
            // None of them has had anything to do yet: what was started ends at once.
            let has_ended = engine.wait_ended(Deadline::after(Some(START_TIMEOUT))).is_some();
            if !has_ended {
                parts.delivery.abandon();
            }
            return Err(NotStarted { error, rest: (!has_ended).then(|| Arc::new(engine)) });
        }
        Ok(engine)
    }

    fn spawn_all(
        &self,
        parts: &Parts,
        waiter: Waiter,
        inbox: Receiver<SessionInput>,
        told: Option<Promise<()>>,
        producers: Arc<Producers>,
    ) -> Result<(), Error> {
        let socket = driver(parts, waiter, inbox, self.tokens.clone(), told);
        let socket = socket.inspect_err(|_| parts.delivery.begin_failed())?;
        parts.outbox.lock().unwrap_or_else(PoisonError::into_inner).reopen();
        if parts.settings.delivery != Mode::Poll {
            let (failure, delivery) = (self.failure(parts), Arc::clone(&parts.delivery));
            self.threads
                .spawn(&parts.settings, &parts.delivery, ThreadKind::Dispatch, move || {
                    guarded(&failure, ThreadKind::Dispatch, || delivery.run_dispatcher());
                })
                .inspect_err(|_| parts.delivery.begin_failed())?;
        }
        let (failure, left) = (self.failure(parts), Arc::clone(&self.left));
        self.threads.spawn(&parts.settings, &parts.delivery, ThreadKind::Socket, move || {
            let finished = guarded(&failure, ThreadKind::Socket, || socket.run());
            left.lock().unwrap_or_else(PoisonError::into_inner).finished = finished;
            drop(producers);
        })
    }

    fn failure(&self, parts: &Parts) -> Failure {
        Failure {
            lease: Some(self.tokens.clone()),
            socket: Some(self.socket.clone()),
            delivery: Arc::clone(&parts.delivery),
            shared: Arc::clone(&parts.shared),
            clock: parts.clock,
        }
    }

    /// Tells the refresher.
    pub fn tell_refresh(&self, input: RefreshInput) {
        self.tokens.tell(input);
    }

    /// Tells the session.
    pub fn tell_session(&self, input: SessionInput) {
        self.socket.send(input);
    }

    /// Asks for a token.
    pub fn want_token(&self, min_left_ms: u64, promise: Promise<Arc<Token>>) {
        self.tokens.want(min_left_ms, promise);
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
        self.tokens.leave();
        self.socket.send(SessionInput::Close);
    }

    /// Waits until all threads have ended; what they left, or `None` when the time is up first.
    pub fn wait_ended(&self, until: Deadline) -> Option<Left> {
        let have_ended = self.threads.wait(until) && self.tokens.wait(until);
        have_ended.then(|| self.left.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Whether the socket thread has ended, and with a finished close handshake.
    pub fn is_clean(&self) -> bool {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.finished.as_ref().is_some_and(|finished| finished.clean)
    }
}

/// gwa-socket, ready to run.
fn driver(
    parts: &Parts,
    waiter: Waiter,
    inbox: Receiver<SessionInput>,
    tokens: Lease,
    told: Option<Promise<()>>,
) -> Result<Box<SocketThread>, Error> {
    let (endpoint, api) = endpoints_of(parts)?;
    let session = Session::new(Arc::clone(&parts.settings), parts.session_id.clone());
    Ok(Box::new(SocketThread {
        clock: parts.clock,
        entropy: Entropy::new(),
        waiter,
        inbox,
        machine: if parts.source.is_shared() { session.sharing() } else { session },
        net: parts.net.clone(),
        endpoint,
        api,
        has_channel: parts.settings.profile == Profile::Notifications,
        tokens,
        scratch: parts.delivery.scratch(),
        delivery: Arc::clone(&parts.delivery),
        outbox: Arc::clone(&parts.outbox),
        shared: Arc::clone(&parts.shared),
        links: Vec::new(),
        orphan: None,
        before: Before::default(),
        send_on: None,
        writing: None,
        connecting: told,
        stopped: None,
    }))
}

/// Host and port of the sockets, and of the REST API if there is one.
fn endpoints_of(parts: &Parts) -> Result<(String, String), Error> {
    let settings = &parts.settings;
    let peer = |url: &str| Ok::<_, Error>(parts.net.target(url)?.peer());
    match settings.profile {
        Profile::AuthMessage => Ok((peer(&settings.ws_url)?, String::new())),
        // A channel says where its socket is; the host is known before.
        Profile::Notifications => Ok((peer(&settings.streaming_url())?, peer(&settings.api_url)?)),
    }
}

pub(super) fn waiter(clock: &Clock) -> Result<Waiter, Error> {
    Waiter::new(clock).map_err(|source| Error::from_io(Code::Internal, Stage::Call, "cannot open a poll", &source))
}

/// Room in the event queue wakes gwa-socket.
fn connect_delivery(delivery: &Delivery, socket: &Inbox<SessionInput>) {
    let socket = socket.clone();
    delivery.set_room_bell(Box::new(move || socket.ring()));
}

/// Held by the threads that produce events; the last one to go closes delivery.
pub struct Producers {
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
pub(super) struct Failure {
    /// The client's place at its source, which it loses.
    pub(super) lease: Option<Lease>,
    pub(super) socket: Option<Inbox<SessionInput>>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
}

/// Runs a thread's body. A panic is a record and the state `Failed`, never a silent dead thread.
pub(super) fn guarded<T>(failure: &Failure, kind: ThreadKind, body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(panic) => {
            failure.report(kind, &*panic);
            None
        }
    }
}

impl Failure {
    pub(super) fn report(&self, kind: ThreadKind, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied().unwrap_or("a panic");
        let location = match panics::last_place() {
            Some(place) => format!("{} at {place}: {text}", kind.name()),
            None => format!("{}: {text}", kind.name()),
        };
        let error = Error::new(Code::Panic, Stage::Live, location.clone());
        let from = self.shared.state();
        self.shared.fail(error.clone());
        // What made the thread panic, a clock that fails say, may do so again: the client is told all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let id = Entropy::new().uuid_v4();
            self.delivery.push_record(self.clock.now(), id, Record::Panicked { location });
        }));
        let change = StateChange { from, to: State::Failed, reason: "panic", error: Some(error) };
        self.delivery.push_notice(Notice::State(change));
        // The others end now, and with the last of them what can be told.
        if let Some(lease) = &self.lease {
            lease.leave();
        }
        if let Some(socket) = &self.socket {
            socket.send(SessionInput::Close);
        }
    }
}

#[cfg(test)]
mod tests;
