//! A client's end of a source: how it is told, and what it tells.

use std::sync::Arc;

use super::{Call, Source};
use crate::config::settings::Settings;
use crate::error::Error;
use crate::event::Notice;
use crate::proto::http::Request;
use crate::proto::refresher::Input;
use crate::proto::scope;
use crate::proto::session::Input as SessionInput;
use crate::proto::token::Token;
use crate::shell::delivery::Delivery;
use crate::shell::dial::Net;
use crate::shell::gate::{Deadline, Promise};
use crate::shell::inbox::Inbox;
use crate::shell::shared::Shared;
use crate::shell::subscriptions::{Findings, Subscriptions};

/// How a client is told.
#[derive(Clone)]
pub struct Outlet {
    pub socket: Inbox<SessionInput>,
    pub delivery: Arc<Delivery>,
    pub shared: Arc<Shared>,
    /// What this client needs of a token that was not fetched for it alone.
    pub needs: Option<Arc<Settings>>,
    /// Whether it holds a channel of the Notifications API: there are only so many for one token.
    pub has_channel: bool,
    /// What it subscribes to, if its profile has topics.
    pub subscriptions: Option<Arc<Subscriptions>>,
}

/// A running client's place in the audience. Leaving is not left to its end: see [`Lease::leave`].
#[derive(Clone)]
pub struct Lease {
    pub(super) source: Arc<Source>,
    pub(super) member: u64,
    pub(super) shared: Arc<Shared>,
}

impl Outlet {
    /// Who must not use a token does not get it either; the session says so. What is to be recorded once the source's lock is
    /// not held any more.
    pub(super) fn publish(&self, token: &Arc<Token>) -> Option<Findings> {
        let mut findings = None;
        if self.check(token).is_ok() {
            if self.shared.set_token(token) {
                self.delivery.push_notice(Notice::Token(Arc::clone(token)));
            }
            findings = self.subscriptions.as_ref().map(|topics| topics.granted(token, &self.socket));
        }
        self.socket.send(SessionInput::Publish(Arc::clone(token)));
        findings
    }

    /// Whether this client may use the token.
    pub(super) fn check(&self, token: &Token) -> Result<(), Error> {
        self.needs.as_ref().map_or(Ok(()), |settings| scope::check_token(token, settings).outcome)
    }

    pub(super) fn tell(&self, input: SessionInput) -> Option<Findings> {
        if let SessionInput::Publish(token) = input {
            return self.publish(&token);
        }
        self.socket.send(input);
        None
    }
}

impl Lease {
    /// Tells the refresher. A token that this client's server has refused is no longer handed out here.
    pub fn tell(&self, input: Input) {
        if let Input::Refused { serial } | Input::GiveUp { serial, .. } = &input {
            self.shared.drop_token(*serial);
        }
        self.source.tell(self.member, input);
    }

    /// Asks for a token. The promise is broken if there will be none, or the client stops.
    pub fn want(&self, min_left_ms: u64, promise: Promise<Arc<Token>>) {
        self.source.want(self.member, min_left_ms, promise);
    }

    /// Asks for a REST call over this client's connections. The answer comes as [`SessionInput::Rest`], never after
    /// [`Lease::drop_rest`] or [`Lease::leave`].
    pub fn rest(&self, id: u64, request: Request, net: &Net) {
        self.source.call(Call { member: self.member, id, request, net: net.clone(), is_repeated: false });
    }

    /// A REST call is of no use any more: it is not made, or broken off.
    pub fn drop_rest(&self, id: u64) {
        self.source.drop_call(self.member, id);
    }

    /// Asks for the spare channel. [`SessionInput::SpareGranted`] comes when it is this client's turn.
    pub fn ask_spare(&self) {
        self.source.ask_spare(self.member);
    }

    /// The spare channel is the next client's.
    pub fn return_spare(&self) {
        self.source.return_spare(self.member);
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
