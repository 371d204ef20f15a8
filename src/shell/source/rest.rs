//! REST calls of the clients: made by gwa-refresh one at a time, in the order in which they were asked for, while it has
//! nothing to fetch.
//!
//! A token goes before a call and interrupts it. An interrupted call is made again, before those that came later; the time
//! it may take counts all its attempts. With the server already, a POST (it makes a channel, which nobody would use) and a
//! call that was interrupted before have some time for their answer first. A POST without one is not made again: its client
//! decides whether to ask for another channel.

use std::collections::VecDeque;

use super::Source;
use crate::error::{Code, Error, Stage};
use crate::metrics::Counter;
use crate::proto::http::{Method, Outcome, RateLimit, Request};
use crate::proto::session::Input as SessionInput;
use crate::shell::dial::Net;
use crate::shell::http::Cancel;

/// How long a token waits for the answer to a call that should not be lost.
const GRACE_MS: u64 = 5_000;

/// A client's request. The time it may take is what its attempts so far have left of it.
pub struct Call {
    pub member: u64,
    /// Its number at the client.
    pub id: u64,
    pub request: Request,
    /// The client's own way to the API.
    pub net: Net,
    /// An attempt was broken off.
    pub is_repeated: bool,
}

/// The calls that wait, and the one under way.
#[derive(Default)]
pub(super) struct Calls {
    waiting: VecDeque<Call>,
    /// Client and number; `None` also when the answer has become of no use.
    running: Option<(u64, u64)>,
}

impl Call {
    fn is(&self, member: u64, id: u64) -> bool {
        (self.member, self.id) == (member, id)
    }

    /// Who asks for tokens again and again must neither use up the channels nor keep every call from its end.
    fn grace_ms(&self) -> u64 {
        if self.request.method == Method::Post || self.is_repeated {
            GRACE_MS
        } else {
            0
        }
    }
}

impl Calls {
    /// This call is of no use any more; whether it is the one under way.
    fn drop_one(&mut self, member: u64, id: u64) -> bool {
        self.waiting.retain(|call| !call.is(member, id));
        self.running.take_if(|running| *running == (member, id)).is_some()
    }

    /// This client is gone; whether the call under way was its.
    pub(super) fn leave(&mut self, member: u64) -> bool {
        self.waiting.retain(|call| call.member != member);
        self.running.take_if(|(of, _)| *of == member).is_some()
    }

    /// Whether a call is under way.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl Source {
    /// A client has a request. What it asks for when it has left is dropped.
    pub(super) fn call(&self, call: Call) {
        let mut state = self.lock();
        if !state.audience.has(call.member) {
            return;
        }
        let Some(running) = &state.running else { return };
        let inbox = running.inbox.clone();
        state.calls.waiting.push_back(call);
        inbox.ring();
    }

    /// A client needs no answer any more.
    pub(super) fn drop_call(&self, member: u64, id: u64) {
        let mut state = self.lock();
        if state.calls.drop_one(member, id) {
            state.break_off_call();
        }
    }

    /// The call whose turn it is. What interrupts it from here on, and nothing that came before, ends `cancel`.
    pub(in crate::shell) fn next_call(&self, cancel: &Cancel) -> Option<Call> {
        let mut state = self.lock();
        let call = state.calls.waiting.pop_front()?;
        state.calls.running = Some((call.member, call.id));
        cancel.renew();
        cancel.set_grace(call.grace_ms());
        Some(call)
    }

    /// A call was interrupted: it is the next again, unless nobody waits for it any more.
    pub(in crate::shell) fn put_back(&self, call: Call) {
        let mut state = self.lock();
        if state.calls.running.take().is_some() {
            state.calls.waiting.push_front(call);
        }
    }

    /// A call has ended.
    pub(in crate::shell) fn answer_call(&self, call: &Call, outcome: Outcome) {
        let limit = outcome.as_ref().ok().and_then(|reply| reply.rate_limit);
        self.learn_rate_limit(limit);
        let mut state = self.lock();
        let is_wanted = state.calls.running.take().is_some();
        let Some(outlet) = state.audience.outlet(call.member) else { return };
        let status = outcome.as_ref().map_or(0, |reply| reply.status);
        let is_good = (200..300).contains(&status);
        let makes_channel = is_good && call.request.method == Method::Post;
        outlet.delivery.count(Counter::RestRequests, 1);
        outlet.delivery.count(Counter::RestFailures, u64::from(!is_good));
        outlet.delivery.count(Counter::Channels, u64::from(makes_channel));
        if is_wanted {
            outlet.socket.send(SessionInput::Rest { id: call.id, outcome: outcome.map_err(of_the_api) });
        }
    }

    /// What an answer says of the API's limit.
    pub(in crate::shell) fn learn_rate_limit(&self, limit: Option<RateLimit>) {
        if let Some(limit) = limit {
            self.shared.set_rate_limit(limit, self.clock.now().wall_ms);
        }
    }

    // ---- the spare channel ----------------------------------------------------------------------------------

    /// A client wants a second channel.
    pub(super) fn ask_spare(&self, member: u64) {
        let mut state = self.lock();
        let granted = state.permits.ask(member);
        state.grant(granted);
    }

    /// A client does not need its second channel any more.
    pub(super) fn return_spare(&self, member: u64) {
        let mut state = self.lock();
        let granted = state.permits.give_back(member);
        state.grant(granted);
    }
}

impl super::State {
    /// This one has the spare channel now.
    pub(super) fn grant(&self, member: Option<u64>) {
        if let Some(outlet) = member.and_then(|member| self.audience.outlet(member)) {
            outlet.socket.send(SessionInput::SpareGranted);
        }
    }

    /// Ends the call under way, once its grace is over. The reason is in the inbox already.
    pub(super) fn interrupt_call(&self) {
        if let Some(running) = &self.running {
            running.calls.cancel();
        }
    }

    /// Ends the call under way at once: nobody wants its answer.
    pub(super) fn break_off_call(&self) {
        if let Some(running) = &self.running {
            running.calls.set_grace(0);
            running.calls.cancel();
        }
    }
}

/// What HTTP says of the request for a token is here about the API.
fn of_the_api(error: Error) -> Error {
    error.with(|detail| {
        if detail.stage == Stage::Token {
            detail.stage = Stage::Channel;
        }
    })
}

/// Whether a call that was interrupted can be made again: whatever the server has done then, it does no harm.
pub fn may_repeat(request: &Request, is_sent: bool) -> bool {
    !is_sent || request.method != Method::Post
}

/// A token went before a POST that was with the server already.
pub fn unanswered() -> Error {
    let text = "A token request went before it; whether the server has acted on this one is not known.";
    Error::new(Code::Unavailable, Stage::Channel, text)
}
