//! What a connection is for, written into the path of its URL.

use std::fmt;

/// What the server does once the socket is authenticated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Job {
    /// Sends `n` events of `size` bytes, `rate` a second; 0: as fast as the socket takes them.
    Events { n: u64, size: usize, rate: u64 },
    /// Answers pings.
    Idle,
    /// Takes `n` messages with the time they were sent at, and reports how long they took.
    Sink { n: usize },
    /// Hangs up on the first connection; reports how long the second one took from TCP to the accepted token.
    Again { id: u64 },
    /// Pings all the time until `ms` have passed and the token was renewed; reports the longest wait for a pong, and
    /// the time from the new token to its auth message.
    Pings { ms: u64, id: u64 },
    /// Resets the first connection once it is live; reports how long it took from there until the second one was.
    Reset { id: u64 },
    /// Says nothing from this stage on.
    Silent(Stage),
}

/// Where a silent server falls silent, and says so on its standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The token request has come.
    Token,
    /// The request for the upgrade has come.
    Upgrade,
    /// The auth message has come.
    Auth,
    /// Everything is well until the farewell, which it does not answer. This it does not say.
    Close,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::Token, Self::Upgrade, Self::Auth, Self::Close];

    /// As it stands in the path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Upgrade => "upgrade",
            Self::Auth => "auth",
            Self::Close => "close",
        }
    }
}

impl Job {
    /// Reads a path.
    pub fn parse(path: &str) -> Option<Self> {
        let words: Vec<&str> = path.strip_prefix("/ws/")?.split('/').collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        Some(match *words.first()? {
            "events" => Self::Events { n: number(1)?, size: number(2)? as usize, rate: number(3)? },
            "idle" => Self::Idle,
            "sink" => Self::Sink { n: number(1)? as usize },
            "again" => Self::Again { id: number(1)? },
            "pings" => Self::Pings { ms: number(1)?, id: number(2)? },
            "reset" => Self::Reset { id: number(1)? },
            "silent" => Self::Silent(Stage::ALL.into_iter().find(|stage| Some(&stage.name()) == words.get(1))?),
            _ => return None,
        })
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events { n, size, rate } => write!(f, "/ws/events/{n}/{size}/{rate}"),
            Self::Idle => f.write_str("/ws/idle"),
            Self::Sink { n } => write!(f, "/ws/sink/{n}"),
            Self::Again { id } => write!(f, "/ws/again/{id}"),
            Self::Pings { ms, id } => write!(f, "/ws/pings/{ms}/{id}"),
            Self::Reset { id } => write!(f, "/ws/reset/{id}"),
            Self::Silent(stage) => write!(f, "/ws/silent/{}", stage.name()),
        }
    }
}

/// How the token endpoint answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenJob {
    /// `expires_in`.
    pub expires_s: u64,
    /// How long every request but the first takes.
    pub slow_ms: u64,
    /// Requests with the same number count together.
    pub id: u64,
}

impl TokenJob {
    /// Tokens that live for a day.
    pub const PLAIN: Self = Self { expires_s: 86_400, slow_ms: 0, id: 0 };

    /// Reads a path.
    pub fn parse(path: &str) -> Option<Self> {
        let words: Vec<&str> = path.strip_prefix("/token/")?.split('/').collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        Some(Self { expires_s: number(0)?, slow_ms: number(1)?, id: number(2)? })
    }
}

impl fmt::Display for TokenJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/token/{}/{}/{}", self.expires_s, self.slow_ms, self.id)
    }
}
