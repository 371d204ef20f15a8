//! A source of tokens: one refresher and its thread, for one client or for many.
//!
//! Every client has a source. A client of its own has a *private* one, which speaks through the client's delivery and has
//! it for its only member. A *shared* one speaks through a delivery of its own, and lives until its handle is released and
//! the last client that was made with it is closed. Either way gwa-refresh runs while at least one client does.
//!
//! What a client is told goes out under the lock, so that who joins misses nothing and hears nothing twice.

mod lease;
mod machine;
mod rest;
mod telling;

use std::any::Any;
use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::lease::{Lease, Outlet};
use self::rest::Calls;
pub use self::rest::{may_repeat, unanswered, Call};
use super::clock::Clock;
use super::delivery::Delivery;
use super::dial::Net;
use super::engine::{guarded, waiter, Failure, Producers, Threads};
use super::gate::{Deadline, Promise};
use super::http::{Cancel, Http};
use super::inbox::{Inbox, ToRefresh};
use super::random::Entropy;
use super::refresh_thread::{Carry, RefreshThread};
use super::shared::Shared;
use super::store::Store;
use super::subscriptions::Findings;
use crate::audit::Record;
use crate::config::settings::{Settings, Verification};
use crate::error::{Code, Error, Stage};
use crate::event::State as Shown;
use crate::hooks::ThreadKind;
use crate::proto::audience::Audience;
use crate::proto::http::RateLimit;
use crate::proto::permits::{Permits, SEATS};
use crate::proto::refresher::{Credential, Input, Refresher};
use crate::proto::token::Token;
use crate::secret::Secret;
use crate::sys::Descriptors;

/// What a source is made of.
pub struct Parts {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub net: Net,
    pub delivery: Arc<Delivery>,
    pub shared: Arc<Shared>,
    pub carry: Carry,
    /// What is to be on record when it starts for the first time.
    pub loaded: Vec<Record>,
}

/// Whose a source is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One client's: part of it.
    Private,
    /// Nobody's in particular. `speaks`: somebody listens to its delivery.
    Shared { speaks: bool },
}

/// Where tokens come from.
pub struct Source {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) delivery: Arc<Delivery>,
    net: Net,
    /// Of a private source, its client's.
    shared: Arc<Shared>,
    /// What a child of `fork` closes; of a private source, its client's.
    descriptors: Arc<Descriptors>,
    kind: Kind,
    threads: Threads,
    state: Mutex<State>,
}

struct State {
    carry: Carry,
    loaded: Vec<Record>,
    audience: Audience<Outlet>,
    running: Option<Running>,
    wishes: HashMap<u64, Wish>,
    last_wish: u64,
    calls: Calls,
    permits: Permits,
    /// Credentials that came while the machine was stopping: the next one has them.
    pending: Vec<Credential>,
    /// Clients made with it that are not closed.
    clients: usize,
    is_released: bool,
    has_dispatcher: bool,
    failure: Option<Error>,
}

struct Running {
    inbox: Inbox<ToRefresh>,
    cancel: Cancel,
    /// Interrupts the REST call under way.
    calls: Cancel,
    /// The machine was told to stop. Who joins now waits for the next one.
    is_stopping: bool,
}

struct Wish {
    member: u64,
    min_left_ms: u64,
    promise: Promise<Arc<Token>>,
}

impl Source {
    /// One at rest.
    pub fn new(parts: Parts, kind: Kind) -> Arc<Self> {
        let Parts { settings, clock, net, delivery, shared, carry, loaded } = parts;
        let state = State {
            carry,
            loaded,
            audience: Audience::default(),
            running: None,
            wishes: HashMap::new(),
            last_wish: 0,
            calls: Calls::default(),
            permits: Permits::default(),
            pending: Vec::new(),
            clients: 0,
            is_released: false,
            has_dispatcher: false,
            failure: None,
        };
        let threads = Threads::default();
        let descriptors = Descriptors::of_this_thread().filter(|_| kind == Kind::Private).unwrap_or_default();
        Arc::new(Self { settings, clock, delivery, net, shared, descriptors, kind, threads, state: Mutex::new(state) })
    }

    /// Whether other clients may use it too.
    pub fn is_shared(&self) -> bool {
        self.kind != Kind::Private
    }

    /// What its tokens have to be.
    pub fn verification(&self) -> &Verification {
        &self.settings.verification
    }

    /// The clock its tokens are timed by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What a child of `fork` closes.
    pub fn descriptors(&self) -> &Arc<Descriptors> {
        &self.descriptors
    }

    /// How far the server's clock is ahead of this machine's.
    pub fn server_ahead_ms(&self) -> Option<i64> {
        self.shared.server_ahead_ms()
    }

    /// The API's limit and when it was told (wall clock), once an answer has.
    pub fn rate_limit(&self) -> Option<(RateLimit, u64)> {
        self.shared.rate_limit()
    }

    /// Clients that run.
    pub fn running_clients(&self) -> usize {
        self.lock().audience.len()
    }

    /// What its delivery counts. Questions for a token are requests, too.
    pub fn metrics(&self) -> crate::metrics::Metrics {
        self.delivery.metrics()
    }

    // ---- clients --------------------------------------------------------------------------------------------

    /// A client runs from now on: it is told what holds already. `guard` is kept by the thread of a private source.
    pub fn join(self: &Arc<Self>, outlet: Outlet, guard: Option<Arc<Producers>>) -> Result<Lease, Error> {
        let mut state = self.lock();
        if let Some(error) = &state.failure {
            return Err(error.clone());
        }
        // The others have given up, and so has the refresher: the new one gets its chance.
        let is_hopeless = !state.audience.is_empty() && state.audience.hearers().next().is_none();
        let shared = Arc::clone(&outlet.shared);
        let mut findings = Vec::new();
        let member = state.audience.join(outlet.clone());
        if outlet.has_channel && !state.permits.take_seat(member) {
            state.audience.leave(member);
            let text = format!("{SEATS} clients of this source of tokens have a channel.");
            return Err(Error::new(Code::ChannelLimit, Stage::Call, text));
        }
        match &state.running {
            Some(running) if running.is_stopping => {}
            Some(running) => {
                let missed = state.audience.missed(self.clock.now()).into_iter();
                findings.extend(missed.filter_map(|input| outlet.tell(input)));
                if is_hopeless {
                    running.inbox.send(ToRefresh { member, input: Input::RefreshNow });
                    state.interrupt_call();
                }
            }
            None => {
                if let Err(error) = self.begin(&mut state, guard) {
                    state.audience.leave(member);
                    state.permits.leave(member);
                    return Err(error);
                }
            }
        }
        drop(state);
        findings.into_iter().for_each(Findings::record);
        Ok(Lease { source: Arc::clone(self), member, shared })
    }

    /// The last one to go ends the refresher; a request in flight is broken off.
    fn leave(&self, member: u64) {
        let mut state = self.lock();
        let is_gone = state.audience.leave(member).is_some();
        // Whoever waits hears that it was cancelled.
        state.wishes.retain(|_, wish| wish.member != member);
        let granted = state.permits.leave(member);
        state.grant(granted);
        if state.calls.leave(member) {
            state.break_off_call();
        }
        let is_empty = state.audience.is_empty();
        let Some(running) = state.running.as_mut().filter(|_| is_gone) else { return };
        if !is_empty {
            // Those who stay may all have given up.
            running.inbox.ring();
        } else if !running.is_stopping {
            // A second one would end the next machine.
            running.is_stopping = true;
            running.cancel.cancel();
            running.inbox.send(ToRefresh { member: 0, input: Input::Close });
        }
    }

    /// A new credential, for the next request.
    pub fn replace(&self, credential: Credential) {
        let mut state = self.lock();
        match &state.running {
            Some(running) if running.is_stopping => state.pending.push(credential),
            Some(_) => state.tell(0, Input::Credential(credential)),
            None => state.carry.replace(credential),
        }
    }

    /// Another `proxy.password` for the token endpoint, from the next connection on: of the client whose source this is.
    /// What others share goes through a proxy that may not be this client's.
    pub fn set_proxy_password(&self, password: Secret) {
        if self.is_shared() {
            return;
        }
        self.net.set_proxy_password(password);
        self.replace(Credential::ProxyPassword);
    }

    fn tell(&self, member: u64, input: Input) {
        self.lock().tell(member, input);
    }

    fn want(&self, member: u64, min_left_ms: u64, promise: Promise<Arc<Token>>) {
        let mut state = self.lock();
        if !state.audience.has(member) {
            return;
        }
        state.last_wish += 1;
        let id = state.last_wish;
        state.wishes.insert(id, Wish { member, min_left_ms, promise });
        if state.running.as_ref().is_some_and(|running| !running.is_stopping) {
            state.tell(member, Input::Wanted { id, min_left_ms });
        }
    }

    // ---- its end --------------------------------------------------------------------------------------------

    /// One more client that may run.
    pub fn add_client(&self) {
        self.lock().clients += 1;
    }

    /// One of them is closed for good.
    pub fn drop_client(&self) {
        let mut state = self.lock();
        state.clients -= 1;
        self.close_if_over(&state);
    }

    /// Its handle is gone: it lives as long as its clients do.
    pub fn release(&self) {
        let mut state = self.lock();
        state.is_released = true;
        self.close_if_over(&state);
    }

    /// Waits for its threads if nobody else can: who lets go of a source last does. Whether there is nothing to wait for
    /// any more.
    pub fn finish(&self, until: Deadline) -> bool {
        if !self.is_shared() {
            return self.threads.wait(until);
        }
        let state = self.lock();
        if !state.is_over() {
            return true;
        }
        let has_dispatcher = state.has_dispatcher;
        drop(state);
        if self.delivery.is_dispatch_thread() {
            // Nobody need come back: the dispatcher lets the hooks go when it ends.
            if !has_dispatcher {
                self.delivery.disown();
            }
            return false;
        }
        let has_ended = self.threads.wait(until);
        if has_ended {
            self.delivery.release_hooks();
        } else {
            self.delivery.abandon();
        }
        has_ended
    }

    /// No more callbacks will be due: the dispatcher drains and ends.
    fn close_if_over(&self, state: &State) {
        if self.is_shared() && state.is_over() && state.running.is_none() {
            self.delivery.close();
        }
    }

    // ---- threads --------------------------------------------------------------------------------------------

    fn begin(self: &Arc<Self>, state: &mut State, guard: Option<Arc<Producers>>) -> Result<(), Error> {
        let _entered = Descriptors::enter(Some(Arc::clone(&self.descriptors)));
        self.begin_dispatcher(state)?;
        let waiter = waiter(&self.clock)?;
        let (inbox, receiver) = Inbox::new(waiter.bell());
        let (cancel, calls) = (Cancel::new(waiter.bell()), Cancel::new(waiter.bell()));
        let thread = RefreshThread {
            store: Store::new(&self.settings, &self.endpoint()?),
            lock: None,
            endpoint: self.endpoint()?,
            entropy: Entropy::new(),
            waiter,
            inbox: receiver,
            machine: self.machine(&state.carry),
            http: Http::new(&self.net),
            cancel: cancel.clone(),
            calls: calls.clone(),
            source: Arc::clone(self),
            broken_off: None,
            failed: false,
            listening: None,
            closed: false,
            stopped: false,
        };
        let (reply, interrupted) = (inbox.clone(), calls.clone());
        self.delivery.set_reply(Arc::new(move |id, answer| {
            reply.send(ToRefresh { member: 0, input: Input::Answered { id, answer } });
            interrupted.cancel();
        }));
        let (source, thread) = (Arc::clone(self), Box::new(thread));
        self.threads.spawn(&self.settings, &self.delivery, ThreadKind::Refresh, move || {
            let _guard = guard;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| thread.run())) {
                source.panicked(&*panic);
            }
        })?;
        inbox.send(ToRefresh { member: 0, input: Input::Start });
        state.running = Some(Running { inbox, cancel, calls, is_stopping: false });
        Ok(())
    }

    /// The dispatcher of a shared source stays until the end of the source.
    fn begin_dispatcher(self: &Arc<Self>, state: &mut State) -> Result<(), Error> {
        if self.kind != (Kind::Shared { speaks: true }) || state.has_dispatcher {
            return Ok(());
        }
        let mut entropy = Entropy::new();
        for record in std::mem::take(&mut state.loaded) {
            // Without a dispatcher nobody waits for room.
            self.delivery.push_record(self.clock.now(), entropy.uuid_v4(), record);
        }
        self.delivery.begin();
        let source = Arc::clone(self);
        let body = move || {
            let failure = source.failure_of(None);
            guarded(&failure, ThreadKind::Dispatch, || source.delivery.run_dispatcher());
            source.delivery.disown();
        };
        let spawned = self.threads.spawn(&self.settings, &self.delivery, ThreadKind::Dispatch, body);
        spawned.inspect_err(|_| self.delivery.begin_failed())?;
        state.has_dispatcher = true;
        Ok(())
    }

    /// The machine has stopped: another one if somebody has joined meanwhile, else the thread ends.
    pub(super) fn next(&self, carry: Carry, bell: super::wait::Bell) -> Option<(Refresher, Cancel)> {
        let mut state = self.lock();
        state.carry = carry;
        for credential in std::mem::take(&mut state.pending) {
            state.carry.replace(credential);
        }
        state.audience.forget();
        let machine = (!state.audience.is_empty()).then(|| self.machine(&state.carry));
        let State { running, wishes, .. } = &mut *state;
        let next = machine.zip(running.as_mut()).map(|(machine, running)| {
            (running.is_stopping, running.cancel) = (false, Cancel::new(bell));
            running.inbox.send(ToRefresh { member: 0, input: Input::Start });
            for (id, Wish { member, min_left_ms, .. }) in &*wishes {
                let input = Input::Wanted { id: *id, min_left_ms: *min_left_ms };
                running.inbox.send(ToRefresh { member: *member, input });
            }
            (machine, running.cancel.clone())
        });
        if next.is_none() {
            state.running = None;
        }
        if self.speaks_for_itself() {
            self.shared.clear_token();
        }
        if next.is_none() {
            self.show(Shown::Idle, "no client runs", None);
        }
        self.close_if_over(&state);
        next
    }

    // ---- small helpers --------------------------------------------------------------------------------------

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure_of(&self, outlet: Option<Outlet>) -> Failure {
        let (delivery, shared) = match &outlet {
            Some(outlet) => (Arc::clone(&outlet.delivery), Arc::clone(&outlet.shared)),
            None => (Arc::clone(&self.delivery), Arc::clone(&self.shared)),
        };
        Failure { lease: None, socket: outlet.map(|outlet| outlet.socket), delivery, shared, clock: self.clock }
    }

    /// gwa-refresh has panicked: every client of it has failed.
    fn panicked(&self, panic: &(dyn Any + Send)) {
        let mut state = self.lock();
        state.failure = Some(Error::new(Code::Panic, Stage::Token, "The source of tokens has failed."));
        state.running = None;
        (state.calls, state.permits) = (Calls::default(), Permits::default());
        let outlets: Vec<Outlet> = state.audience.dissolve().collect();
        drop(state);
        for outlet in outlets {
            self.failure_of(Some(outlet)).report(ThreadKind::Refresh, panic);
        }
        if self.speaks_for_itself() {
            self.failure_of(None).report(ThreadKind::Refresh, panic);
        }
        let mut state = self.lock();
        // Now that the clients know why.
        state.wishes.clear();
        self.close_if_over(&state);
    }
}

impl State {
    /// Tells the refresher. What is about tokens goes before a REST call: the inbox first, then the interruption, so that
    /// who is interrupted finds the reason.
    fn tell(&self, member: u64, input: Input) {
        if let Some(running) = &self.running {
            running.inbox.send(ToRefresh { member, input });
            if self.calls.is_running() {
                running.calls.cancel();
            }
        }
    }

    /// Nobody will run it any more.
    fn is_over(&self) -> bool {
        self.is_released && self.clients == 0 && self.audience.is_empty()
    }
}

#[cfg(test)]
mod tests;
