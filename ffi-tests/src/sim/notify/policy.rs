//! How the REST API and the channels behave when no script says otherwise.

use std::time::Duration;

use crate::sim::{Options, TokenForm, TokenPolicy};

/// How the `notifications` profile behaves. The defaults are the platform's (Genesys Cloud, Notifications API).
#[derive(Clone, Debug)]
pub struct NotifyPolicy {
    /// Time between two heartbeats of a socket.
    pub heartbeat: Duration,
    /// Channels a client may have; the one made beyond that evicts another.
    pub channel_limit: usize,
    /// Eviction takes the least recently used channel even while others are not connected. Unless set, channels
    /// without a socket go first.
    pub strict_lru: bool,
    /// How long a channel lives after it was made or subscribed.
    pub channel_lifetime: Duration,
    /// Topics a channel may have; more are answered with 400.
    pub topic_limit: usize,
    /// Only the token that made a channel may use it; for all others it is not there (404).
    pub strict_owner: bool,
    /// What a socket gets when its channel is evicted.
    pub on_eviction: Farewell,
    /// What a socket gets when its token was revoked.
    pub on_revocation: Farewell,
    /// What a socket gets when its channel is connected again.
    pub on_displacement: Farewell,
    /// A socket whose token or channel ended so long ago is closed with 1008; `None`: it stays open, without events.
    pub close_after_expiry: Option<Duration>,
    /// Requests a minute and token that are answered; the next ones are answered with 429. `None`: any number.
    pub rate_limit: Option<u32>,
    /// Host, or host and port, in `connectUri` instead of the simulator's own.
    pub connect_host: Option<String>,
    /// Events that come by themselves.
    pub events: Option<EventPump>,
    /// How long events are held back on sockets: connection `n` lags by entry `n` of this list, which begins again at
    /// its end. What a lagging socket has not sent yet goes out before the client's close frame is answered.
    pub skew: Vec<Duration>,
}

impl Default for NotifyPolicy {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(30),
            channel_limit: 20,
            strict_lru: false,
            channel_lifetime: Duration::from_secs(86_400),
            topic_limit: 1_000,
            strict_owner: true,
            on_eviction: Farewell::default(),
            on_revocation: Farewell::default(),
            on_displacement: Farewell { notice: false, ..Farewell::default() },
            close_after_expiry: Some(Duration::ZERO),
            rate_limit: None,
            connect_host: None,
            events: None,
            skew: Vec::new(),
        }
    }
}

/// How the simulator takes leave of a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Farewell {
    /// A `v2.system.*` event says why.
    pub notice: bool,
    /// Then a close frame with this code; `None`: the socket stays open, without events.
    pub close: Option<u16>,
}

impl Default for Farewell {
    fn default() -> Self {
        Self { notice: true, close: Some(1000) }
    }
}

/// A steady stream of events: one topic after the other, each event to every connected channel that has its topic.
///
/// Events are numbered over all topics and channels: `eventBody.seq` is the number in [`super::Emitted`] and in
/// [`crate::sim::Sent::seqs`]. Nothing is kept for a channel that is not connected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventPump {
    /// Time between two events.
    pub every: Duration,
    /// The topics; empty: all that live channels are subscribed to.
    pub topics: Vec<String>,
    /// Texts are padded to this size; 0: they are not.
    pub size: usize,
    /// No event with a number above this; 0: no limit.
    pub limit: u64,
}

impl EventPump {
    /// Unpadded events of all subscribed topics, without limit.
    pub fn every(every: Duration) -> Self {
        Self { every, topics: Vec::new(), size: 0, limit: 0 }
    }
}

impl TokenPolicy {
    /// As the platform's token endpoint answers: opaque tokens for almost a day, no `scope`.
    pub fn genesys() -> Self {
        let lifetime = Duration::from_secs(86_399);
        Self { form: TokenForm::Opaque, lifetime, answer_scope: false, ..Self::default() }
    }
}

impl Options {
    /// A simulator for clients of the `notifications` profile: tokens as in [`TokenPolicy::genesys`].
    pub fn notifications() -> Self {
        Self { token: TokenPolicy::genesys(), ..Self::default() }
    }
}
