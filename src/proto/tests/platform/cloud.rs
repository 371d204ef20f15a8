//! What Genesys Cloud remembers: channels, who made them, what they are subscribed to (the page "Use the notification
//! service" and the API's reference).

use std::collections::{BTreeMap, BTreeSet};

/// Channels of one user and application; one more evicts the least recently used.
pub const CHANNELS_MAX: usize = 20;
/// Topics of one channel.
pub const TOPICS_MAX: usize = 1_000;
/// How long a channel lives after it was made or subscribed.
pub const CHANNEL_LIFE_MS: u64 = 24 * 3_600_000;
/// Topics that nobody here may have.
pub const DENIED: &str = "v2.denied.";

#[derive(Debug)]
pub struct Channel {
    /// The client that made it.
    pub owner: usize,
    /// The token that made it.
    pub token: String,
    pub made_ms: u64,
    /// Its token has ended: who is connected may stay for a while, and nobody else comes.
    pub is_dead: bool,
    pub expires_ms: u64,
    used_ms: u64,
    /// Topics as asked for, of which events come.
    pub topics: BTreeSet<String>,
    /// The one socket.
    pub socket: Option<u64>,
    /// Events reach it in order: none before this.
    pub fan_ms: u64,
}

/// All channels of one application.
#[derive(Debug, Default)]
pub struct Cloud {
    pub channels: BTreeMap<u64, Channel>,
    /// Which token made the newest channels.
    tokens: BTreeMap<u64, String>,
    /// How many were ever made.
    pub made: u64,
    /// Which were evicted by a new one while a socket was connected.
    pub evicted: Vec<u64>,
    /// The most there were at once with a socket.
    pub most_connected: usize,
}

/// The id of a channel, which is part of a secret.
pub fn id_of(channel: u64) -> String {
    format!("streaming-0-hush-{channel}")
}

/// The channel of a path or a `connectUri`.
pub fn channel_of(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("streaming-0-hush-")?;
    rest.split(['/', '?']).next()?.parse().ok()
}

/// Under which names the events of a topic arrive.
pub fn expanded(topic: &str) -> Vec<String> {
    match topic.split_once('?') {
        Some((stem, parts)) => parts.split('&').map(|part| format!("{stem}.{part}")).collect(),
        None => vec![topic.to_owned()],
    }
}

impl Cloud {
    /// A new channel, and the one it evicts: unconnected ones go first.
    pub fn make(&mut self, now_ms: u64, owner: usize, token: &str) -> (u64, Option<u64>) {
        self.channels.retain(|_, channel| !channel.is_dead && channel.expires_ms > now_ms || channel.socket.is_some());
        let oldest = self.channels.iter().min_by_key(|(_, channel)| (channel.socket.is_some(), channel.used_ms));
        let evicted = oldest.filter(|_| self.channels.len() >= CHANNELS_MAX).map(|(id, _)| *id);
        self.made += 1;
        self.tokens.insert(self.made, token.to_owned());
        self.tokens.retain(|channel, _| channel + 100 > self.made);
        let channel = Channel {
            owner,
            token: token.to_owned(),
            made_ms: now_ms,
            is_dead: false,
            expires_ms: now_ms + CHANNEL_LIFE_MS,
            used_ms: now_ms,
            topics: BTreeSet::new(),
            socket: None,
            fan_ms: 0,
        };
        self.channels.insert(self.made, channel);
        (self.made, evicted)
    }

    /// A channel that is there, for who shows its token.
    pub fn find(&mut self, now_ms: u64, channel: u64, token: &str) -> Option<&mut Channel> {
        let found = self.channels.get_mut(&channel).filter(|found| !found.is_dead && found.expires_ms > now_ms);
        let found = found.filter(|found| found.token == token)?;
        found.used_ms = now_ms;
        Some(found)
    }

    /// A socket connects; the one it displaces.
    pub fn connect(&mut self, now_ms: u64, channel: u64, epoch: u64) -> Option<u64> {
        let found = self.channels.get_mut(&channel)?;
        found.used_ms = now_ms;
        let displaced = found.socket.replace(epoch);
        self.most_connected = self.most_connected.max(self.channels.values().filter(|c| c.socket.is_some()).count());
        displaced
    }

    /// Whether this token made a channel, as far as that is remembered.
    pub fn is_made_with(&self, channel: u64, token: &str) -> bool {
        self.tokens.get(&channel).is_none_or(|made| made == token)
    }

    /// The token that a frame says is revoked.
    pub fn revoked_by(&self, text: &str) -> Option<&str> {
        let rest = text.strip_prefix(r#"{"topicName":"v2.system.token_revoked."#)?;
        self.tokens.get(&channel_of(&rest.replace('"', "/"))?).map(String::as_str)
    }

    /// Whether this channel is there, for whoever knows its `connectUri`.
    pub fn is_there(&self, now_ms: u64, channel: u64) -> bool {
        self.channels.get(&channel).is_some_and(|found| !found.is_dead && found.expires_ms > now_ms)
    }
}

/// Whether a topic brings the events of a name.
pub fn covers(topic: &str, name: &str) -> bool {
    topic == name || topic.contains('?') && expanded(topic).iter().any(|one| one == name)
}

#[test]
fn the_twenty_first_channel_evicts_the_oldest_that_is_not_connected() {
    let mut cloud = Cloud::default();
    for number in 1..=20 {
        assert_eq!(cloud.make(number, 0, "t"), (number, None));
        if number != 7 && number != 9 {
            cloud.connect(number, number, 100 + number);
        }
    }
    assert!(cloud.find(50, 7, "t").is_some() && cloud.find(50, 8, "other").is_none());
    assert_eq!(cloud.make(51, 0, "t"), (21, Some(9)), "the one used last goes last");
    cloud.channels.remove(&9);
    cloud.connect(52, 21, 121);
    cloud.connect(53, 7, 107);
    assert_eq!(cloud.make(54, 0, "t"), (22, Some(1)), "of connected ones the oldest");
    assert_eq!(cloud.most_connected, 20);
}

#[test]
fn combined_topics_cover_their_parts() {
    assert_eq!(expanded("v2.users.u2?presence&routingStatus"), ["v2.users.u2.presence", "v2.users.u2.routingStatus"]);
    assert!(covers("v2.users.u2?presence&routingStatus", "v2.users.u2.presence"));
    assert!(!covers("v2.users.u2?presence", "v2.users.u2.routingStatus") && covers("v2.a", "v2.a"));
}
