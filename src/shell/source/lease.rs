//! A client's end of a source: how it is told, and what it tells.

use std::sync::Arc;

use super::Source;
use crate::event::Notice;
use crate::proto::refresher::Input;
use crate::proto::session::Input as SessionInput;
use crate::proto::token::Token;
use crate::shell::delivery::Delivery;
use crate::shell::gate::{Deadline, Promise};
use crate::shell::inbox::Inbox;
use crate::shell::shared::Shared;

/// How a client is told.
#[derive(Clone)]
pub struct Outlet {
    pub socket: Inbox<SessionInput>,
    pub delivery: Arc<Delivery>,
    pub shared: Arc<Shared>,
}

/// A running client's place in the audience. Leaving is not left to its end: see [`Lease::leave`].
#[derive(Clone)]
pub struct Lease {
    pub(super) source: Arc<Source>,
    pub(super) member: u64,
}

impl Outlet {
    pub(super) fn publish(&self, token: &Arc<Token>) {
        if self.shared.set_token(token) {
            self.delivery.push_notice(Notice::Token(Arc::clone(token)));
        }
        self.socket.send(SessionInput::Publish(Arc::clone(token)));
    }

    pub(super) fn tell(&self, input: SessionInput) {
        match input {
            SessionInput::Publish(token) => self.publish(&token),
            input => self.socket.send(input),
        }
    }
}

impl Lease {
    /// Tells the refresher.
    pub fn tell(&self, input: Input) {
        self.source.tell(self.member, input);
    }

    /// Asks for a token. The promise is broken if there will be none, or the client stops.
    pub fn want(&self, min_left_ms: u64, promise: Promise<Arc<Token>>) {
        self.source.want(self.member, min_left_ms, promise);
    }

    /// This client needs no more tokens. Returns at once; a second time is nothing.
    pub fn leave(&self) {
        self.source.leave(self.member);
    }

    /// Whether the threads of its source have ended, if they are this client's alone.
    pub fn wait(&self, until: Deadline) -> bool {
        self.source.is_shared() || self.source.finish(until)
    }
}
