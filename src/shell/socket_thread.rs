//! gwa-socket: drives the session. It never blocks while a socket is live: one wait covers all sockets and the inbox.

mod sending;
mod telling;

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

pub use self::telling::Before;
use super::active::{Active, Held, Leaving, Turn};
use super::clock::Clock;
use super::delivery::{Delivery, Scratch};
use super::dial::Net;
use super::endpoints;
use super::gate::Promise;
use super::link::{Link, Opening};
use super::random::Entropy;
use super::source::Lease;
use super::wait::Waiter;
use super::Shared;
use crate::error::{Code, Error, Stage};
use crate::metrics::{Counter, Timing};
use crate::proto::outbox::{Outbox, Outgoing};
use crate::proto::refresher;
use crate::proto::session::{Input, Output, Session};
use crate::proto::time::Now;
use crate::secret::Secret;

/// Code of the close frame that precedes an abort (RFC 6455 7.4.1).
const NORMAL: u16 = 1000;

/// Everything the thread owns.
pub struct SocketThread {
    pub clock: Clock,
    pub entropy: Entropy,
    pub waiter: Waiter,
    pub inbox: Receiver<Input>,
    pub machine: Session,
    pub net: Net,
    /// Host and port of its sockets.
    pub endpoint: String,
    /// Host and port of the REST API, if it uses one.
    pub api: String,
    /// Whether its sockets are those of channels (profile `notifications`).
    pub has_channel: bool,
    /// Where its tokens come from.
    pub tokens: Lease,
    pub delivery: Arc<Delivery>,
    pub scratch: Scratch,
    pub outbox: Arc<Mutex<Outbox>>,
    pub shared: Arc<Shared>,
    pub links: Vec<Active>,
    /// What was kept back of a socket that is gone: the machine may still want it delivered.
    pub orphan: Option<(u64, Held)>,
    /// The socket that carries the application's messages.
    pub send_on: Option<u64>,
    /// The message that is being written, and on which socket.
    pub writing: Option<(u64, Outgoing)>,
    /// Who waits for the outcome of the start.
    pub connecting: Option<Promise<()>>,
    /// What the next attempt comes after.
    pub before: Before,
    pub stopped: Option<bool>,
}

/// What is left when the thread ends.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Offered again by the next session of this client.
    pub session_id: Option<String>,
    /// Whether every close handshake finished.
    pub clean: bool,
}

impl SocketThread {
    /// Runs until the machine has stopped.
    pub fn run(mut self: Box<Self>) -> Finished {
        self.waiter.watch_clocks();
        while self.stopped.is_none() {
            self.read_inbox();
            self.delivery.freshen(&self.scratch);
            self.turn();
            let has_more = self.pump();
            if self.stopped.is_none() {
                self.wait(has_more);
            }
        }
        self.delivery.count(Counter::SenselessInputs, self.machine.senseless());
        Finished { session_id: self.machine.session_id().map(str::to_owned), clean: self.stopped == Some(true) }
    }

    fn read_inbox(&mut self) {
        while let Ok(input) = self.inbox.try_recv() {
            if matches!(input, Input::Publish(_)) && !self.has_channel {
                self.recall_endpoint();
            }
            self.handle(input);
        }
    }

    /// Another client of this process may have learned that the server cannot renew in band.
    fn recall_endpoint(&mut self) {
        let now = self.clock.now();
        if let Some(until_ms) = endpoints::in_band_unable_until(&self.endpoint, &self.clock, now) {
            self.handle(Input::InBandUnable { until_ms });
        }
    }

    /// Feeds the machine and does what it says, at once.
    fn handle(&mut self, input: Input) {
        let random = self.entropy.random_u64();
        self.machine.handle(self.clock.now(), random, input);
        while let Some(output) = self.machine.poll() {
            self.obey(output);
        }
        self.orphan = None;
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Dial { epoch, hold, uri } => self.dial(epoch, hold, uri.as_ref()),
            Output::Rest { id, request } => self.tokens.rest(id, request, &self.net),
            Output::DropRest { id } => self.tokens.drop_rest(id),
            Output::AskSpare => self.tokens.ask_spare(),
            Output::ReturnSpare => self.tokens.return_spare(),
            Output::Upgrade { epoch } => self.upgrade(epoch),
            Output::SendAuth { epoch, frame } => self.send_auth(epoch, frame),
            Output::Ping { epoch } => _ = self.active(epoch).map(|active| active.link.ping()),
            Output::Release { epoch } => self.release(epoch),
            Output::Leave { epoch, code } => self.leave(epoch, code),
            Output::Abort { epoch } => self.abort(epoch),
            Output::SendOn(epoch) => self.send_on = epoch,
            Output::Notice(notice) => self.notice(notice),
            Output::Refused { serial } => self.tokens.tell(refresher::Input::Refused { serial }),
            Output::GiveUp { error, serial } => self.tokens.tell(refresher::Input::GiveUp { error, serial }),
            Output::TryAgain => self.tokens.tell(refresher::Input::RefreshNow),
            Output::Audit(record) => self.audit(record),
            Output::Renewed { lead_ms, in_time, handover } => self.count_renewal(lead_ms, in_time, handover),
            Output::GoalMissed { .. } => self.delivery.count(Counter::GoalsMissed, 1),
            Output::MarkInBandUnable => endpoints::mark_in_band_unable(&self.endpoint, &self.clock, self.clock.now()),
            Output::Connected => self.outcome(Ok(())),
            Output::Failed { error, for_good } => self.failed(error, for_good),
            Output::Stopped { clean } => self.stop(clean),
        }
    }

    // ---- orders ---------------------------------------------------------------------------------------------

    fn dial(&mut self, epoch: u64, hold: bool, uri: Option<&Secret>) {
        let now = self.clock.now();
        match Link::dial(epoch, uri, &self.net, &self.waiter, now) {
            Ok(link) => self.links.push(Active::new(link, now.boot_ms, hold, self.has_channel)),
            Err(error) => self.handle(Input::Failed { epoch, error }),
        }
    }

    fn upgrade(&mut self, epoch: u64) {
        let now = self.clock.now();
        let Some(active) = self.active(epoch) else { return };
        match active.link.upgrade(now) {
            Ok(()) => self.advance(epoch),
            Err(error) => {
                self.remove(epoch);
                self.handle(Input::Failed { epoch, error });
            }
        }
    }

    /// The frame waits if earlier bytes do, so that the order on the wire is the order of the calls.
    fn send_auth(&mut self, epoch: u64, frame: Secret) {
        let Some(active) = self.active(epoch) else { return };
        if active.link.unflushed() > 0 {
            active.auth = Some(frame);
            return;
        }
        if let Err(error) = active.link.send_text(frame.expose()) {
            self.ended(epoch, error);
        }
    }

    fn release(&mut self, epoch: u64) {
        let now = self.clock.now();
        let mut drain = self.delivery.drain(&mut self.scratch);
        let active = self.links.iter_mut().find(|active| active.epoch == epoch);
        let held = match active {
            Some(active) => active.release(),
            None => self.orphan.take_if(|(of, _)| *of == epoch).map(|(_, held)| held),
        };
        let machine = &mut self.machine;
        let has_channel = self.has_channel;
        let mut admits = |text: &[u8]| !has_channel || machine.admit(now, epoch, text);
        if let Some(held) = held {
            held.deliver(epoch, &mut drain, &mut admits);
        }
    }

    fn leave(&mut self, epoch: u64, code: u16) {
        let Some(active) = self.active(epoch) else { return };
        active.leaving = Some(Leaving::ReadOut(code));
        active.readable = true;
    }

    /// Says goodbye if that is possible without waiting, and is gone.
    fn abort(&mut self, epoch: u64) {
        if let Some(mut active) = self.remove(epoch) {
            if active.is_open {
                // Best effort: whoever is not listening any more will not miss it.
                let _ = active.link.start_close(NORMAL, "");
            }
        }
    }

    fn stop(&mut self, clean: bool) {
        self.stopped = Some(clean);
        self.links.clear();
        let why = Error::new(Code::Cancelled, Stage::Close, "The client was closed.");
        self.give_back(&why);
        self.outcome(Err(why));
    }

    // ---- sockets --------------------------------------------------------------------------------------------

    /// Gives every socket its turn.
    fn turn(&mut self) {
        let epochs: Vec<u64> = self.links.iter().map(|active| active.epoch).collect();
        for epoch in epochs {
            match self.active(epoch) {
                Some(active) if !active.is_open => self.advance(epoch),
                Some(active) if active.stalled => self.resume(epoch),
                Some(_) | None => {}
            }
            while self.active(epoch).is_some_and(|active| active.is_open && active.readable && !active.stalled) {
                if !self.read(epoch) {
                    break;
                }
            }
        }
    }

    fn advance(&mut self, epoch: u64) {
        let now = self.clock.now();
        let Some(active) = self.links.iter_mut().find(|active| active.epoch == epoch) else { return };
        match active.link.advance(now, &self.waiter) {
            Opening::Pending => {}
            Opening::Connected => self.handle(Input::Connected { epoch }),
            Opening::Open => {
                (active.is_open, active.readable) = (true, true);
                let took_ms = now.boot_ms.saturating_sub(active.dialled_ms);
                self.delivery.count(Counter::Connects, 1);
                self.delivery.observe(Timing::Connect, took_ms);
                self.handle(Input::Opened { epoch });
            }
            Opening::Failed(error) => {
                self.remove(epoch);
                self.handle(Input::Failed { epoch, error });
            }
        }
    }

    /// Goes on reading where there is room again, or where a reply is awaited now that was not before.
    fn resume(&mut self, epoch: u64) {
        let Some(active) = self.links.iter_mut().find(|active| active.epoch == epoch) else { return };
        if active.may_read(&self.machine, &self.delivery) {
            (active.stalled, active.readable) = (false, true);
            self.handle(Input::Resumed { epoch });
        }
    }

    /// Reads a socket; whether to go on with it at once.
    fn read(&mut self, epoch: u64) -> bool {
        let now = self.clock.now();
        let Some(active) = self.links.iter_mut().find(|active| active.epoch == epoch) else { return false };
        let mut drain = self.delivery.drain(&mut self.scratch);
        let turn = active.read(&mut self.machine, &mut drain, &self.delivery, now);
        drop(drain);
        match turn {
            Turn::Idle => self.read_out(epoch),
            Turn::Budget => self.hurry(epoch),
            Turn::Full => {
                active.stalled = true;
                self.delivery.count(Counter::ReadPauses, 1);
                self.handle(Input::Stalled { epoch });
            }
            Turn::Ours(text) => {
                self.handle(Input::Reply { epoch, text });
                return true;
            }
            Turn::Closed { code, reason } => self.closed(epoch, code, reason),
            Turn::Ended(error) => self.ended(epoch, error),
        }
        false
    }

    /// Nothing more to read now: a socket that is being left can be closed.
    fn read_out(&mut self, epoch: u64) {
        if let Some(active) = self.active(epoch) {
            active.readable = false;
        }
        self.hurry(epoch);
    }

    /// Sends the close frame that a socket waits with until it is read out, or until it has had a turn if its peer
    /// goes on and on. What was sent before the peer's answer is read all the same.
    fn hurry(&mut self, epoch: u64) {
        let Some(active) = self.active(epoch) else { return };
        if let Some(Leaving::ReadOut(code)) = active.leaving {
            active.leaving = Some(Leaving::Closing);
            if active.link.start_close(code, "").is_err() {
                self.remove(epoch);
                self.handle(Input::Drained { epoch, clean: false });
            }
        }
    }

    fn closed(&mut self, epoch: u64, code: u16, reason: String) {
        match self.remove(epoch).map(|active| active.leaving) {
            Some(Some(_)) => self.handle(Input::Drained { epoch, clean: true }),
            Some(None) => self.handle(Input::Closed { epoch, code, reason }),
            None => {}
        }
    }

    fn ended(&mut self, epoch: u64, error: Error) {
        match self.remove(epoch).map(|active| active.leaving) {
            Some(Some(_)) => self.handle(Input::Drained { epoch, clean: false }),
            Some(None) => self.handle(Input::Dropped { epoch, error }),
            None => {}
        }
    }

    /// Takes a socket out. A message that was being written on it will be the next again.
    fn remove(&mut self, epoch: u64) -> Option<Active> {
        let index = self.links.iter().position(|active| active.epoch == epoch)?;
        if let Some((_, message)) = self.writing.take_if(|(on, _)| *on == epoch) {
            self.outbox().interrupted(message);
        }
        let mut active = self.links.remove(index);
        self.orphan = active.held.take().map(|held| (epoch, held)).or(self.orphan.take());
        Some(active)
    }

    fn active(&mut self, epoch: u64) -> Option<&mut Active> {
        self.links.iter_mut().find(|active| active.epoch == epoch)
    }

    // ---- waiting --------------------------------------------------------------------------------------------

    fn wait(&mut self, has_more: bool) {
        let now = self.clock.now();
        let busy = has_more || self.links.iter().any(|active| active.is_open && active.readable && !active.stalled);
        // A wait that fails leaves nothing to do but to look again: the deadlines still hold.
        let woken = if busy { self.waiter.peek() } else { self.waiter.wait(self.deadline(), now) }.unwrap_or_default();
        let mut writable = Vec::new();
        for ready in woken.sockets() {
            let Some(active) = self.links.iter_mut().find_map(|active| active.link.on_ready(ready).then_some(active))
            else {
                continue;
            };
            active.readable |= ready.readable || ready.closed;
            if ready.writable && active.is_open && active.link.unflushed() > 0 {
                writable.push(active.epoch);
            }
        }
        for epoch in writable {
            self.flush(epoch);
        }
        if woken.clocks && self.stopped.is_none() {
            // Nothing may be due; the machine looks at the clocks with every input.
            self.handle(Input::Timeout);
        }
        self.on_time(self.clock.now());
    }

    fn on_time(&mut self, now: Now) {
        if self.machine.next_timeout().is_some_and(|at| at <= now.boot_ms) {
            self.handle(Input::Timeout);
        }
    }

    fn deadline(&self) -> Option<u64> {
        let opening = self.links.iter().filter_map(|active| active.link.deadline()).min();
        [self.machine.next_timeout(), opening].into_iter().flatten().min()
    }
}

impl Drop for SocketThread {
    /// Every message ends exactly once, also when a panic ends the thread, or when it could not be started.
    fn drop(&mut self) {
        if self.stopped.is_none() {
            let code = if std::thread::panicking() { Code::Panic } else { Code::Cancelled };
            self.give_back(&Error::new(code, Stage::Close, ""));
        }
    }
}
