//! The handles a test scripts the REST API and the channels with.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::channels::{dismiss, no_longer_subscribed, token_revoked, Books};
use super::clock;
use super::policy::{Farewell, NotifyPolicy};
use super::record::ChannelEnd;
use super::script::{ApiReply, Route};
use super::topics::Rejection;
use crate::sim::hub::Hub;
use crate::sim::script::Action;
use crate::sim::writer::Order;

/// Scripts the REST API.
#[derive(Clone, Copy)]
pub struct ApiScript<'a> {
    pub(in crate::sim) hub: &'a Hub,
}

impl ApiScript<'_> {
    /// For the next request of that route not scripted yet.
    pub fn then(self, route: Route, reply: ApiReply) -> Self {
        self.hub.books().replies.of(route).next.push_back(reply);
        self
    }

    /// For the next `n` requests of that route not scripted yet.
    pub fn times(self, n: usize, route: Route, reply: &ApiReply) -> Self {
        self.hub.books().replies.of(route).next.extend(std::iter::repeat_n(reply.clone(), n));
        self
    }

    /// For all of that route that are not scripted.
    pub fn always(self, route: Route, reply: ApiReply) -> Self {
        self.hub.books().replies.of(route).always = reply;
        self
    }

    /// For the next request, whatever its route, that its route has no reply for.
    pub fn next(self, reply: ApiReply) -> Self {
        self.hub.books().replies.any.push_back(reply);
        self
    }

    /// Forgets the script: honest answers from now on.
    pub fn honest(self) -> Self {
        self.hub.books().replies.clear();
        self
    }
}

/// Scripts the channels, and orders live ones about.
///
/// Sockets are ordered by their own threads a moment later: wait on the record, or on the client.
#[derive(Clone, Copy)]
pub struct ChannelScript<'a> {
    pub(in crate::sim) hub: &'a Hub,
}

impl ChannelScript<'_> {
    /// Changes the policy. Heartbeats and lag of a socket stay as they were at its upgrade.
    pub fn policy(self, change: impl FnOnce(&mut NotifyPolicy)) -> Self {
        change(&mut self.hub.books().policy);
        self
    }

    /// Ids of the live channels, the oldest first.
    pub fn live(self) -> Vec<String> {
        drop(self.hub.fresh_books());
        let live = |log: &crate::sim::Log| -> Vec<String> {
            log.channels.iter().filter(|channel| channel.end.is_none()).map(|channel| channel.id.clone()).collect()
        };
        self.hub.record.read(live)
    }

    /// The socket that has this channel, as an index in [`crate::sim::Log::connections`].
    pub fn socket(self, id: &str) -> Option<usize> {
        self.hub.books().channels.get(id).and_then(|channel| channel.connection)
    }

    /// Topics that begin so are rejected from now on, with this reason and these missing permissions.
    pub fn reject(self, start: &str, reason: &str, missing: &[&str]) -> Self {
        let missing = missing.iter().map(|&name| name.to_owned()).collect();
        let rejection = Rejection { reason: reason.to_owned(), missing };
        self.hub.books().refused.push((start.to_owned(), rejection));
        self
    }

    /// The end of every [`ChannelScript::reject`].
    pub fn permit_all(self) -> Self {
        self.hub.books().refused.clear();
        self
    }

    /// One event with that body to every connected channel that has the topic; its number. `{"seq": number}` is the
    /// body when there is none.
    pub fn event(self, topic: &str, body: Option<&Value>) -> u64 {
        let correlation = self.hub.ledger().uuid();
        self.event_as(topic, body, &correlation)
    }

    /// The same with that correlation id.
    pub fn event_as(self, topic: &str, body: Option<&Value>, correlation: &str) -> u64 {
        let text = |seq: u64| {
            let numbered = serde_json::json!({"seq": seq});
            clock::text(topic, body.unwrap_or(&numbered), correlation)
        };
        self.hub.books().emit(self.hub, topic, correlation, text)
    }

    /// A text to the sockets of all channels, or of one: whatever it is, and not counted as an event.
    pub fn text(self, id: Option<&str>, text: &str) -> Self {
        self.each(id, |connection| self.hub.order(Some(connection), &Order::System(text.to_owned())))
    }

    /// Actions on the sockets of all channels, or of one.
    pub fn act(self, id: Option<&str>, actions: impl IntoIterator<Item = Action>) -> Self {
        let order = Order::Act(actions.into_iter().collect());
        self.each(id, |connection| self.hub.order(Some(connection), &order))
    }

    /// `v2.system.socket_closing` on the sockets of all channels, or of one. What follows is [`ChannelScript::act`]'s:
    /// a close, an end without a word, or nothing.
    pub fn socket_closing(self, id: Option<&str>) -> Self {
        self.act(id, [Action::closing_notice()])
    }

    /// `v2.system.no_longer_subscribed.{id}` with reason `another_channel_subscribed`; the channel lives on.
    pub fn no_longer_subscribed(self, id: &str) -> Self {
        self.text(Some(id), &no_longer_subscribed(id, "another_channel_subscribed").to_string())
    }

    /// `v2.system.token_revoked.{id}`; the token lives on.
    pub fn token_revoked_notice(self, id: &str) -> Self {
        self.text(Some(id), &token_revoked(id).to_string())
    }

    /// Neither heartbeats nor events any more on the sockets of all channels, or of one: see [`Action::Stall`].
    pub fn stall(self, id: Option<&str>) -> Self {
        self.act(id, [Action::Stall])
    }

    /// Ends a channel as if its client had made too many; its socket gets the farewell.
    pub fn evict(self, id: &str, farewell: Farewell) -> Self {
        self.hub.books().end(self.hub, id, ChannelEnd::Evicted, &farewell);
        self
    }

    /// Ends a channel as if its time was over; its socket gets the farewell.
    pub fn expire(self, id: &str, farewell: Farewell) -> Self {
        self.hub.books().end(self.hub, id, ChannelEnd::Expired, &farewell);
        self
    }

    /// The token of a channel is good no longer, and its channels end with it; their sockets get the farewell.
    pub fn kill_token(self, id: &str, farewell: Farewell) -> Self {
        let mut books = self.hub.books();
        let Some(token) = books.channels.get(id).map(|channel| channel.token.clone()) else { return self };
        self.hub.ledger().revoke(&token);
        books.end_of_token(self.hub, Some(&token), &farewell);
        drop(books);
        self
    }

    /// The socket of a channel is taken by somebody else, as by a second client with the same `connectUri`.
    pub fn displace(self, id: &str) -> Self {
        let mut books = self.hub.books();
        let farewell = books.policy.on_displacement.clone();
        if let Some(before) = books.channels.get_mut(id).and_then(|channel| channel.connection.take()) {
            let notice = no_longer_subscribed(id, "another_connection");
            dismiss(self.hub, before, &farewell, &notice, "another connection has the channel");
        }
        drop(books);
        self
    }

    /// Waits until so many live channels have a socket.
    pub fn wait_connected(self, n: usize, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            // Read first: a socket that comes after the look at the books ends the wait.
            let seen = self.hub.record.ws_connects();
            if self.hub.books().connected() >= n {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.hub.record.wait_until(left, |log| log.ws_connects() > seen) {
                return false;
            }
        }
    }

    fn each(self, id: Option<&str>, work: impl Fn(usize)) -> Self {
        let books = self.hub.books();
        let wanted = books.channels.iter().filter(|(own, _)| id.is_none_or(|id| id == own.as_str()));
        wanted.filter_map(|(_, channel)| channel.connection).for_each(work);
        drop(books);
        self
    }
}

impl Books {
    fn connected(&self) -> usize {
        self.channels.values().filter(|channel| channel.end.is_none() && channel.connection.is_some()).count()
    }
}
