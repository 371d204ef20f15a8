//! The books of the channels: whose they are, what they are subscribed to, which socket has them, how they end.
//!
//! Locks are taken in this order: channels, tokens, record, connections.

use std::collections::{BTreeSet, HashMap};
use std::sync::MutexGuard;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{json, Value};

use super::policy::{Farewell, NotifyPolicy};
use super::record::{ChannelEnd, ChannelSeen, Emitted};
use super::script::ApiQueues;
use super::topics::{self, Rejection};
use crate::sim::hub::Hub;
use crate::sim::script::Action;
use crate::sim::token::{Ledger, Standing};
use crate::sim::writer::Order;

/// Policy, scripts and channels.
pub(crate) struct Books {
    pub(crate) policy: NotifyPolicy,
    pub(crate) replies: ApiQueues,
    /// Topics that are refused, by how they begin.
    pub(crate) refused: Vec<(String, Rejection)>,
    /// Live ones, and those whose socket has not ended yet.
    pub(crate) channels: HashMap<String, Channel>,
    /// How the others ended.
    ended: HashMap<String, ChannelEnd>,
    /// The names of every live channel's topics; `None`: to be gathered again.
    names: Option<Vec<String>>,
    /// The minute each token is in, and what it asked in it.
    windows: HashMap<String, (Instant, u32)>,
    pub(crate) clock_runs: bool,
    pub(crate) pump_due: Option<Instant>,
    pub(crate) pump_turn: usize,
    pub(crate) events: u64,
    uses: u64,
}

/// One channel.
pub(crate) struct Channel {
    pub(crate) token: String,
    client_id: String,
    /// Index in the record.
    entry: usize,
    /// The last use, counted.
    used: u64,
    expires: Instant,
    pub(crate) expires_at: SystemTime,
    /// As asked for.
    pub(crate) topics: Vec<String>,
    /// As events are named.
    names: BTreeSet<String>,
    pub(crate) connection: Option<usize>,
    pub(crate) end: Option<ChannelEnd>,
}

/// Why a channel has no socket for somebody.
pub(crate) enum NoSocket {
    Unknown,
    TokenDead,
}

/// Subscribing was refused as a whole.
pub(crate) enum NotSubscribed {
    TooMany,
    Bad(String, Rejection),
}

impl Books {
    pub(crate) fn new(policy: NotifyPolicy) -> Self {
        Self {
            policy,
            replies: ApiQueues::new(),
            refused: Vec::new(),
            channels: HashMap::new(),
            ended: HashMap::new(),
            names: None,
            windows: HashMap::new(),
            clock_runs: false,
            pump_due: None,
            pump_turn: 0,
            events: 0,
            uses: 0,
        }
    }

    /// A new channel of that token; the client's least useful one goes when there are too many.
    pub(crate) fn create(&mut self, hub: &Hub, id: &str, token: &str, client_id: &str) {
        while self.of_client(client_id).len() >= self.policy.channel_limit.max(1) {
            let Some(victim) = self.least_used(client_id) else { break };
            let farewell = self.policy.on_eviction.clone();
            self.end(hub, &victim, ChannelEnd::Evicted, &farewell);
        }
        let lifetime = self.policy.channel_lifetime;
        let seen = |at| ChannelSeen {
            at,
            id: id.to_owned(),
            token: token.to_owned(),
            client_id: client_id.to_owned(),
            topics: Vec::new(),
            connections: Vec::new(),
            end: None,
        };
        let entry = hub.record.note(|log, at| {
            log.channels.push(seen(at));
            log.channels.len() - 1
        });
        let channel = Channel {
            token: token.to_owned(),
            client_id: client_id.to_owned(),
            entry,
            used: self.next_use(),
            expires: Instant::now() + lifetime,
            expires_at: SystemTime::now() + lifetime,
            topics: Vec::new(),
            names: BTreeSet::new(),
            connection: None,
            end: None,
        };
        self.channels.insert(id.to_owned(), channel);
    }

    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    /// Live channels of a client.
    pub(crate) fn of_client(&self, client_id: &str) -> Vec<&String> {
        let own = self.channels.iter().filter(|(_, c)| c.end.is_none() && c.client_id == client_id);
        own.map(|(id, _)| id).collect()
    }

    fn least_used(&self, client_id: &str) -> Option<String> {
        let rank = |channel: &Channel| (!self.policy.strict_lru && channel.connection.is_some(), channel.used);
        let own = self.of_client(client_id).into_iter().filter_map(|id| Some((id, self.channels.get(id)?)));
        own.min_by_key(|(_, channel)| rank(channel)).map(|(id, _)| id.clone())
    }

    /// The live channel of that id, as whoever shows that token sees it.
    pub(crate) fn live(&mut self, id: &str, token: &str) -> Option<&mut Channel> {
        let strict = self.policy.strict_owner;
        let channel = self.channels.get_mut(id)?;
        let seen = channel.end.is_none() && (!strict || channel.token == token);
        seen.then_some(channel)
    }

    /// What is wrong with a topic: itself, or a script.
    fn rejection(&self, topic: &str) -> Option<Rejection> {
        let scripted = || self.refused.iter().find(|(start, _)| topic.starts_with(start.as_str()));
        topics::fault(topic).or_else(|| scripted().map(|(_, rejection)| rejection.clone()))
    }

    /// Replaces the topics of a live channel, or adds to them; its time begins anew. The entities of the answer.
    pub(crate) fn subscribe(
        &mut self,
        hub: &Hub,
        id: &str,
        asked: &[String],
        replace: bool,
        lenient: bool,
    ) -> Result<Vec<Value>, NotSubscribed> {
        let judged: Vec<(&String, Option<Rejection>)> = asked.iter().map(|t| (t, self.rejection(t))).collect();
        let (used, limit, lifetime) = (self.next_use(), self.policy.topic_limit, self.policy.channel_lifetime);
        let Some(channel) = self.channels.get_mut(id) else { return Ok(Vec::new()) };
        let mut topics = if replace { Vec::new() } else { channel.topics.clone() };
        let new = judged.iter().filter(|(_, rejection)| rejection.is_none()).map(|(topic, _)| (*topic).clone());
        for topic in new.collect::<BTreeSet<_>>() {
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        if asked.len() > limit || topics.len() > limit {
            return Err(NotSubscribed::TooMany);
        }
        if let Some((topic, Some(bad))) = judged.iter().find(|(_, rejection)| !lenient && rejection.is_some()) {
            return Err(NotSubscribed::Bad((*topic).clone(), bad.clone()));
        }
        channel.names = topics.iter().flat_map(|topic| topics::names(topic)).collect();
        self.names = None;
        channel.topics = topics;
        channel.used = used;
        channel.expires = Instant::now() + lifetime;
        channel.expires_at = SystemTime::now() + lifetime;
        let (entry, listed) = (channel.entry, channel.topics.clone());
        hub.record.note(|log, _| log.channels[entry].topics = listed);
        Ok(judged.iter().map(|(topic, rejection)| topics::entity(id, topic, rejection.as_ref())).collect())
    }

    /// Whether a socket of this channel may be opened now.
    pub(crate) fn may_connect(&self, id: &str, ledger: &Ledger) -> Result<(), NoSocket> {
        let good = |channel: &Channel| matches!(ledger.standing(&channel.token), Standing::Good { .. });
        let channel = self.channels.get(id);
        match channel.and_then(|channel| channel.end).or_else(|| self.ended.get(id).copied()) {
            None if channel.is_some_and(good) => Ok(()),
            None if channel.is_none() => Err(NoSocket::Unknown),
            None | Some(ChannelEnd::TokenDied) => Err(NoSocket::TokenDead),
            Some(_) => Err(NoSocket::Unknown),
        }
    }

    /// The socket of that index has the channel from now on; the one that had it is sent away.
    pub(crate) fn attach(&mut self, hub: &Hub, id: &str, connection: usize) {
        let (used, farewell) = (self.next_use(), self.policy.on_displacement.clone());
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.used = used;
        let before = channel.connection.replace(connection);
        let entry = channel.entry;
        hub.record.note(|log, _| log.channels[entry].connections.push(connection));
        if let Some(before) = before {
            let notice = no_longer_subscribed(id, "another_connection");
            dismiss(hub, before, &farewell, &notice, "another connection has the channel");
        }
    }

    pub(crate) fn detach(&mut self, connection: usize) {
        for channel in self.channels.values_mut().filter(|c| c.connection == Some(connection)) {
            channel.connection = None;
        }
        self.forget();
    }

    /// Moves what has ended, and has no socket, out of the way.
    fn forget(&mut self) {
        let over = |channel: &Channel| channel.end.filter(|_| channel.connection.is_none());
        let all = self.channels.iter();
        let gone: Vec<_> = all.filter_map(|(id, channel)| Some((id.clone(), over(channel)?))).collect();
        for (id, end) in gone {
            self.channels.remove(&id);
            self.ended.insert(id, end);
        }
    }

    /// Ends a channel, and what its socket gets then.
    pub(crate) fn end(&mut self, hub: &Hub, id: &str, why: ChannelEnd, farewell: &Farewell) {
        let Some(channel) = self.channels.get_mut(id).filter(|c| c.end.is_none()) else { return };
        channel.end = Some(why);
        let entry = channel.entry;
        hub.record.note(|log, at| log.channels[entry].end = Some((at, why)));
        self.names = None;
        let Some(connection) = channel.connection else { return self.forget() };
        let (notice, words) = match why {
            ChannelEnd::Evicted => (no_longer_subscribed(id, "another_channel_subscribed"), "no longer subscribed"),
            ChannelEnd::TokenDied => (token_revoked(id), "token expired"),
            ChannelEnd::Expired => (no_longer_subscribed(id, "channel_expired"), "channel expired"),
        };
        dismiss(hub, connection, farewell, &notice, words);
    }

    /// Ends what is past its time or has lost its token.
    pub(crate) fn expire(&mut self, hub: &Hub, now: Instant) {
        let ledger = hub.ledger();
        let why = |channel: &Channel| match ledger.standing(&channel.token) {
            Standing::Good { .. } if now >= channel.expires => Some(ChannelEnd::Expired),
            Standing::Good { .. } => None,
            Standing::Expired | Standing::Unknown => Some(ChannelEnd::TokenDied),
        };
        let live = self.channels.iter().filter(|(_, channel)| channel.end.is_none());
        let over: Vec<_> = live.filter_map(|(id, channel)| Some((id.clone(), why(channel)?))).collect();
        drop(ledger);
        for (id, why) in over {
            let after = self.policy.close_after_expiry;
            self.end(hub, &id, why, &Farewell { notice: false, close: None });
            let connection = self.channels.get(&id).and_then(|channel| channel.connection);
            if let (Some(connection), Some(after)) = (connection, after) {
                let pause = Action::Pause { ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) };
                let words = if why == ChannelEnd::Expired { "channel expired" } else { "token expired" };
                hub.order(Some(connection), &Order::Act(vec![pause, Action::close(1008, words)]));
            }
        }
    }

    /// Counts a request of that token in its minute: how many there were, and the seconds the minute has left.
    pub(crate) fn count(&mut self, token: &str) -> (u32, u64) {
        const WINDOW: Duration = Duration::from_secs(60);
        let now = Instant::now();
        let window = self.windows.entry(token.to_owned()).or_insert((now, 0));
        if now.duration_since(window.0) >= WINDOW {
            *window = (now, 0);
        }
        window.1 += 1;
        let left = WINDOW.saturating_sub(now.duration_since(window.0));
        (window.1, left.as_millis().div_ceil(1000) as u64)
    }

    /// Every name that a live channel is subscribed to.
    pub(crate) fn all_names(&mut self) -> &[String] {
        let channels = &self.channels;
        self.names.get_or_insert_with(|| {
            let live = channels.values().filter(|channel| channel.end.is_none());
            live.flat_map(|channel| &channel.names).collect::<BTreeSet<_>>().into_iter().cloned().collect()
        })
    }

    /// One event, handed to every connected channel that has its topic; its number.
    pub(crate) fn emit(&mut self, hub: &Hub, topic: &str, correlation: &str, text: impl FnOnce(u64) -> String) -> u64 {
        self.events += 1;
        let number = self.events;
        let has = |channel: &&Channel| channel.end.is_none() && channel.names.contains(topic);
        let mut connections: Vec<usize> = self.channels.values().filter(has).filter_map(|c| c.connection).collect();
        connections.sort_unstable();
        let order = Order::Event { number, text: text(number).into() };
        let (topic, correlation_id) = (topic.to_owned(), correlation.to_owned());
        let handed = connections.clone();
        hub.record.note(|log, at| log.emit(Emitted { at, number, topic, correlation_id, connections: handed }));
        for connection in connections {
            hub.order(Some(connection), &order);
        }
        number
    }
}

impl Hub {
    /// Ends what is over by now, so that nobody sees it alive, and gives the books.
    pub(crate) fn fresh_books(&self) -> MutexGuard<'_, Books> {
        let mut books = self.books();
        books.expire(self, Instant::now());
        books
    }
}

/// The last words to a socket.
pub(crate) fn dismiss(hub: &Hub, connection: usize, farewell: &Farewell, notice: &Value, words: &str) {
    if farewell.notice {
        hub.order(Some(connection), &Order::System(notice.to_string()));
    }
    if let Some(code) = farewell.close {
        hub.order(Some(connection), &Order::Act(vec![Action::close(code, words)]));
    }
}

/// Genesys Cloud, `v2.system.no_longer_subscribed.{id}`.
pub(crate) fn no_longer_subscribed(channel: &str, reason: &str) -> Value {
    system("no_longer_subscribed", channel, reason, "The channel is no longer subscribed")
}

/// Genesys Cloud, `v2.system.token_revoked.{id}`.
pub(crate) fn token_revoked(channel: &str) -> Value {
    system("token_revoked", channel, "user_tokens_revoked", "The token of the channel was revoked")
}

fn system(kind: &str, channel: &str, reason: &str, message: &str) -> Value {
    let body = json!({"channelId": channel, "systemTopicType": kind, "reason": reason, "message": message});
    json!({"topicName": format!("v2.system.{kind}.{channel}"), "eventBody": body})
}
