//! The frames that are ours to read (Genesys Cloud, "Notifications"): heartbeats, pongs, and what the system says of the channel.
//!
//! Every message passes [`is_possible`] first, and an event of the application's nothing else: it begins with its topic's name,
//! so a comparison of a few bytes tells.

use serde_json::Value;

/// What we send to be answered by a pong.
pub const PING: &str = r#"{"message":"ping"}"#;

/// How every frame begins.
const HEAD: &[u8] = br#"{"topicName":""#;
const METADATA: &[u8] = b"channel.metadata";
const SYSTEM: &[u8] = b"v2.system.";
/// Frames of the system are short.
const LONGEST: usize = 16 << 10;
/// A text up to this is searched where it does not begin as frames do.
const SEARCHED: usize = 2 << 10;

/// A frame of the system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// "WebSocket Heartbeat", about every 30 s.
    Heartbeat,
    /// The answer to [`PING`].
    Pong,
    /// The server will close this socket in about a minute.
    SocketClosing,
    /// Nothing more will come by a channel.
    NoLongerSubscribed {
        /// Which, if it is named.
        channel: Option<String>,
        /// `reason`, as sent: `another_channel_subscribed`, `user_tokens_revoked`.
        reason: String,
    },
    /// The token of a channel was revoked.
    TokenRevoked {
        /// Which, if it is named.
        channel: Option<String>,
    },
}

/// Whether a text may be a frame of the system. Where its members come in another order than they always did, a search
/// decides.
pub fn is_possible(text: &[u8]) -> bool {
    if let Some(topic) = text.strip_prefix(HEAD) {
        return topic.starts_with(SYSTEM) || topic.starts_with(METADATA);
    }
    text.len() <= SEARCHED && (contains(text, METADATA) || contains(text, SYSTEM))
}

/// Reads a frame of the system; `None`: it is the application's, be it because this one is not known here.
pub fn read(text: &[u8]) -> Option<Frame> {
    if text.len() > LONGEST || !is_possible(text) {
        return None;
    }
    let frame: Value = serde_json::from_slice(text).ok()?;
    let topic = frame.get("topicName")?.as_str()?;
    let body = |name: &str| frame.get("eventBody").and_then(|body| body.get(name)).and_then(Value::as_str);
    if topic == "channel.metadata" {
        return match body("message") {
            Some("pong") => Some(Frame::Pong),
            Some(message) if message.eq_ignore_ascii_case("websocket heartbeat") => Some(Frame::Heartbeat),
            _ => None,
        };
    }
    // Some have the id of what they are about after the name.
    let name = topic.strip_prefix("v2.system.")?.split('.').next()?;
    let channel = body("channelId").filter(|id| !id.is_empty()).map(str::to_owned);
    match name {
        "socket_closing" => Some(Frame::SocketClosing),
        "no_longer_subscribed" => {
            Some(Frame::NoLongerSubscribed { channel, reason: body("reason").unwrap_or_default().to_owned() })
        }
        "token_revoked" => Some(Frame::TokenRevoked { channel }),
        _ => None,
    }
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_the_system() {
        let heartbeat = br#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
        assert_eq!(read(heartbeat), Some(Frame::Heartbeat));
        assert_eq!(read(br#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#), Some(Frame::Pong));
        assert_eq!(read(br#"{ "eventBody":{"message":"pong"}, "topicName" : "channel.metadata"}"#), Some(Frame::Pong));
        let closing = br#"{"topicName":"v2.system.socket_closing","eventBody":{"message":"Websocket closing soon"}}"#;
        assert_eq!(read(closing), Some(Frame::SocketClosing));
        let evicted = br#"{"topicName":"v2.system.no_longer_subscribed.abc","eventBody":{"channelId":"streaming-0-a",
            "systemTopicType":"no_longer_subscribed","reason":"another_channel_subscribed","message":"x"}}"#;
        let channel = Some("streaming-0-a".to_owned());
        let reason = "another_channel_subscribed".to_owned();
        assert_eq!(read(evicted), Some(Frame::NoLongerSubscribed { channel: channel.clone(), reason }));
        let revoked = br#"{"topicName":"v2.system.token_revoked.abc","eventBody":{"channelId":"streaming-0-a"}}"#;
        assert_eq!(read(revoked), Some(Frame::TokenRevoked { channel }));
    }

    #[test]
    fn everything_else_is_the_applications() {
        for text in [
            "",
            "{",
            r#"{"topicName":"v2.users.x.presence","version":"2","eventBody":{},"metadata":{"CorrelationId":"c"}}"#,
            r#"{"topicName":"v2.system.something_new","eventBody":{"message":"x"}}"#,
            r#"{"topicName":"channel.metadata","eventBody":{"message":"something new"}}"#,
            r#"{"topicName":"v2.users.x","eventBody":{"message":"v2.system.socket_closing"}}"#,
            r#"{"version":"2","topicName":"v2.users.x","eventBody":{"message":"channel.metadata"}}"#,
            r#"{"topicName":["v2.system.socket_closing"]}"#,
            r#"{"topicName":"v2.system.socket_closing""#,
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        let bomb = [br#"{"topicName":"v2.system."#.to_vec(), b"[".repeat(LONGEST)].concat();
        assert_eq!(read(&bomb), None);
        let bomb = [br#"{"topicName":"v2.system.x","a":"#.to_vec(), b"[".repeat(10_000)].concat();
        assert_eq!(read(&bomb), None);
    }

    #[test]
    fn an_event_is_told_by_its_first_bytes() {
        assert!(!is_possible(br#"{"topicName":"v2.users.x","eventBody":{"message":"v2.system.socket_closing"}}"#));
        assert!(is_possible(br#"{"topicName":"v2.system.x"}"#) && is_possible(br#"{"topicName":"channel.metadata"}"#));
    }
}
