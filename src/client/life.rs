//! Where in its life a client is: started, stopped after a failed connect, shut down.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::{bad_state, records, Client};
use crate::config::settings::Delivery as Mode;
use crate::error::{Code, Error, Stage};
use crate::event::State;
use crate::proto::session::Rounds;
use crate::shell::dial::resolvers_stuck;
use crate::shell::engine::{Engine, Left, NotStarted, Parts};
use crate::shell::gate::{Deadline, Promise};
use crate::shell::random::Entropy;

/// What a shutdown left behind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Every thread is joined and no callback will run again.
    pub complete: bool,
    /// No close handshake was left unfinished; also when there was no socket.
    pub close_handshake: bool,
    /// Audit records that no sink has seen.
    pub audit_undelivered: u64,
    /// Events that no callback has seen.
    pub events_undelivered: u64,
    /// Messages handed back unsent.
    pub messages_unsent: u64,
    /// Resolver threads of this process still stuck in getaddrinfo; they own nothing of the client.
    pub resolvers_stuck: u32,
    /// Name of the callback that is still running, if one is.
    pub stuck_callback: Option<&'static str>,
}

/// Where in its life a client is.
pub(super) enum Life {
    /// No thread runs. The session id is offered by the next one.
    Idle(Option<String>),
    /// The threads run.
    Running(Arc<Engine>),
    /// A connect has failed and its threads are being stopped.
    Stopping(Arc<Engine>),
    /// The threads were told to stop, for good.
    Closed(Option<Arc<Engine>>),
}

impl Life {
    /// The threads, if they run.
    pub(super) fn engine(&self) -> Result<Arc<Engine>, Error> {
        match self {
            Self::Running(engine) => Ok(Arc::clone(engine)),
            Self::Idle(_) => Err(bad_state("It is not started.")),
            Self::Stopping(_) => Err(bad_state("Its connect has failed.")),
            Self::Closed(_) => Err(closed()),
        }
    }

    /// An error once it is closed.
    pub(super) fn is_open(&self) -> Result<(), Error> {
        match self {
            Self::Idle(_) | Self::Running(_) | Self::Stopping(_) => Ok(()),
            Self::Closed(_) => Err(closed()),
        }
    }
}

impl Client {
    pub(super) fn launch(&self, rounds: Rounds, told: Option<Promise<()>>) -> Result<(), Error> {
        let _entered = self.entered();
        let mut life = self.life();
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        let session_id = match &*life {
            Life::Idle(session_id) => session_id.clone(),
            Life::Running(_) => return Err(bad_state("It is running already.")),
            Life::Stopping(_) => return Err(bad_state("A connect that failed is still being stopped.")),
            Life::Closed(_) => return Err(bad_state("It is closed; create another client.")),
        };
        self.record_start();
        match Engine::start(self.parts(session_id), rounds, told) {
            Ok(engine) => {
                *life = Life::Running(Arc::new(engine));
                Ok(())
            }
            Err(NotStarted { error, rest }) => {
                if rest.is_some() {
                    // A callback is stuck in what was started: who frees the client waits for that.
                    *life = Life::Closed(rest);
                }
                Err(error)
            }
        }
    }

    /// What it starts with, the first time: before anything else that is on record.
    fn record_start(&self) {
        if self.is_recorded.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut entropy = Entropy::new();
        for record in records::loaded(&self.written(), &self.net) {
            self.delivery.push_record(self.clock.now(), entropy.uuid_v4(), record);
        }
    }

    fn parts(&self, session_id: Option<String>) -> Parts {
        Parts {
            settings: Arc::clone(&self.settings),
            clock: self.clock,
            net: self.net.clone(),
            delivery: Arc::clone(&self.delivery),
            outbox: Arc::clone(&self.outbox),
            shared: Arc::clone(&self.shared),
            source: Arc::clone(self.share.source()),
            session_id,
            subscriptions: self.subscriptions.clone(),
        }
    }

    /// After a failed connect: everything is stopped, and the client can be started again. What the threads
    /// learned (a rotated refresh token above all) is kept. A shutdown that comes first, or meanwhile, is final.
    pub(super) fn stop_to_idle(&self) {
        let mut life = self.life();
        let Life::Running(engine) = &*life else { return };
        let engine = Arc::clone(engine);
        *life = Life::Stopping(Arc::clone(&engine));
        drop(life);
        engine.pause();
        let left = self.wait_ended(&engine, Deadline::after(Some(self.free_timeout())));
        let mut life = self.life();
        let Life::Stopping(_) = &*life else { return };
        *life = match left.and_then(|left| left.finished) {
            Some(finished) if self.shared.failure().is_none() => {
                self.shared.clear_token();
                self.shared.set_state(State::Idle);
                Life::Idle(finished.session_id)
            }
            // A callback is stuck, or a thread has panicked.
            Some(_) | None => Life::Closed(Some(engine)),
        };
    }

    /// Stops everything under one deadline: no more renewals, a WebSocket close, all records delivered, threads joined.
    /// Inside a callback of this client it asks for that and returns at once, with `complete: false`.
    pub fn shutdown(&self, timeout: Option<Duration>) -> ShutdownReport {
        self.shutdown_by(Deadline::after(timeout))
    }

    /// The handle is gone: shuts down, and ends what other threads do in `next_event`. Whether nothing of the
    /// application's runs or will be called, and the hooks are released.
    pub(crate) fn end(&self, timeout: Duration) -> bool {
        let until = Deadline::after(Some(timeout));
        let complete = self.shutdown_by(until).complete;
        self.delivery.end_polling();
        if complete {
            self.delivery.release_hooks();
        }
        complete && self.delivery.wait_quiet(until)
    }

    fn shutdown_by(&self, until: Deadline) -> ShutdownReport {
        let engine = self.begin_close();
        let left = match &engine {
            Some(engine) if !self.delivery.is_dispatch_thread() => {
                self.has_waited.store(true, Ordering::Relaxed);
                self.wait_ended(engine, until)
            }
            Some(_) => None,
            None => Some(Left::default()),
        };
        let mut complete = left.is_some();
        if complete {
            self.settle();
            complete = self.share.give_back(until);
        }
        self.report(complete, engine.as_deref())
    }

    /// Tells the threads to stop; they are told again by every call, which does no harm.
    fn begin_close(&self) -> Option<Arc<Engine>> {
        let mut life = self.life();
        let engine = match &*life {
            Life::Idle(_) => None,
            Life::Running(engine) | Life::Stopping(engine) => Some(Arc::clone(engine)),
            Life::Closed(engine) => engine.clone(),
        };
        *life = Life::Closed(engine.clone());
        drop(life);
        if let Some(engine) = &engine {
            engine.close();
        }
        engine
    }

    /// Waits for the threads; when the time is up, no callback begins any more.
    fn wait_ended(&self, engine: &Engine, until: Deadline) -> Option<Left> {
        let left = engine.wait_ended(until);
        if left.is_none() {
            self.delivery.abandon();
        }
        left
    }

    /// All threads have ended: nothing is called any more but what the application itself polls.
    fn settle(&self) {
        self.shared.clear_token();
        self.shared.set_state(State::Closed);
        self.delivery.close();
        match self.settings.delivery {
            Mode::Poll => self.delivery.let_go_retired(),
            Mode::Callbacks | Mode::Inline => self.delivery.release_hooks(),
        }
    }

    fn report(&self, complete: bool, engine: Option<&Engine>) -> ShutdownReport {
        let undelivered = self.delivery.undelivered();
        ShutdownReport {
            complete,
            close_handshake: engine.is_none_or(Engine::is_clean),
            audit_undelivered: undelivered.audit,
            events_undelivered: undelivered.events,
            messages_unsent: self.shared.unsent(),
            resolvers_stuck: resolvers_stuck(),
            stuck_callback: self.delivery.running_callback().map(|(name, _)| name),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Who has waited for the end before has also decided how long to wait for it.
        let has_waited = self.has_waited.load(Ordering::Relaxed);
        let timeout = if has_waited { Duration::ZERO } else { self.free_timeout() };
        let report = self.shutdown(Some(timeout));
        // What was not polled will not be. Elsewhere the threads let the hooks go when the last of them ends.
        if report.complete {
            self.delivery.release_hooks();
        } else {
            self.delivery.disown();
        }
    }
}

fn closed() -> Error {
    Error::new(Code::Closed, Stage::Call, "")
}
