//! What the record keeps of channels and their events.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::sim::record::Log;

/// How many events are kept one by one; all are counted.
const KEPT_EVENTS: usize = 200_000;

/// One channel that was made.
#[derive(Clone, Debug)]
pub struct ChannelSeen {
    /// When it was made.
    pub at: Duration,
    /// Its id.
    pub id: String,
    /// The access token that made it.
    pub token: String,
    /// That token's client.
    pub client_id: String,
    /// The topics it has, as asked for.
    pub topics: Vec<String>,
    /// Indices in [`Log::connections`] of the sockets it had.
    pub connections: Vec<usize>,
    /// When and why it ended; `None` while it lives.
    pub end: Option<(Duration, ChannelEnd)>,
}

/// Why a channel ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChannelEnd {
    /// A further channel of the same client took its place, or a script said so.
    Evicted,
    /// Its time was over, or a script said so.
    Expired,
    /// Its token expired or was revoked.
    TokenDied,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// When it happened.
    pub at: Duration,
    /// Its number, from 1; also `eventBody.seq`.
    pub number: u64,
    /// Its topic.
    pub topic: String,
    /// Its `metadata.CorrelationId`.
    pub correlation_id: String,
    /// Indices in [`Log::connections`] of the sockets it was handed to; what they sent is in
    /// [`crate::sim::Sent::ranges`].
    pub connections: Vec<usize>,
}

/// One `v2.system.*` event that was sent.
#[derive(Clone, Debug)]
pub struct SystemSent {
    /// When it had been handed to the socket.
    pub at: Duration,
    /// Index of the connection.
    pub connection: usize,
    /// Its topic.
    pub topic: String,
}

impl Log {
    /// Channels made.
    pub fn channels_made(&self) -> usize {
        self.channels.len()
    }

    /// Channels that were evicted.
    pub fn evictions(&self) -> usize {
        self.channels.iter().filter(|c| matches!(c.end, Some((_, ChannelEnd::Evicted)))).count()
    }

    /// The most sockets of channels that were open at one time.
    pub fn most_sockets(&self) -> usize {
        let sockets = || self.connections.iter().filter(|c| c.channel.is_some());
        let open_at = |at: Duration| {
            let open = sockets().filter(|c| c.at <= at && c.end.as_ref().is_none_or(|(end, _)| *end > at));
            open.count()
        };
        sockets().map(|c| open_at(c.at)).max().unwrap_or(0)
    }

    /// Numbers of the events that at least one socket of a channel has sent.
    pub fn events_sent(&self) -> BTreeSet<u64> {
        let sockets = self.connections.iter().filter(|c| c.channel.is_some());
        sockets.flat_map(|connection| connection.sent.seqs()).collect()
    }

    /// Numbers of the events that no socket has sent, up to the last one that one has: what a client must have
    /// reported as a gap.
    pub fn events_lost(&self) -> Vec<u64> {
        let sent = self.events_sent();
        let last = sent.last().copied().unwrap_or(0);
        (1..last).filter(|number| !sent.contains(number)).collect()
    }

    /// REST requests of this method whose path ends so, whatever came of them.
    pub fn rest_requests(&self, method: &str, end: &str) -> usize {
        let fits = |path: &str| path.starts_with("/api/") && path.ends_with(end);
        self.requests.iter().filter(|r| r.method == method && fits(&r.path)).count()
    }

    pub(crate) fn emit(&mut self, event: Emitted) {
        self.emitted_total = event.number;
        if self.emitted.len() < KEPT_EVENTS {
            self.emitted.push(event);
        }
    }
}
