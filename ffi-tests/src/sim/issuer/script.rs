//! What a test can ask of the issuer's two endpoints, and what can be wrong with a token, as plain data.

use serde_json::Value;

use crate::sim::script::Queue;

/// What is wrong with a signed token.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Forgery {
    /// Nothing.
    #[default]
    No,
    /// It is signed with another key, under the kid of the one in use.
    OtherKey,
    /// The same under a kid that nobody published either, another one each time.
    UnknownKid,
    /// A bit of the signature is another.
    Flipped,
    /// The signature lacks its first byte.
    Cut,
    /// `alg` is `none` and there is no signature (RFC 7518 3.6).
    AlgNone,
    /// `alg` is `HS256`, and the secret is the public key (RFC 8725 2.1).
    PublicKeyAsSecret,
}

/// The answer to one request for keys, or of one introspection.
#[derive(Clone, Debug)]
pub enum IssuerReply {
    /// The honest answer.
    Honest,
    /// The honest answer with top-level members of its JSON set, or taken out.
    Altered(Vec<(String, Option<Value>)>),
    /// HTTP 200 with this body, whatever it is.
    Body(String),
    /// HTTP 200 with JSON of about this many bytes around what would be the honest answer.
    Huge {
        /// Size of the body.
        bytes: usize,
    },
    /// Any status, headers and body.
    Status {
        /// The status.
        code: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// HTTP 302.
    Redirect {
        /// The Location.
        to: String,
    },
    /// The honest answer, `chunk` bytes at a time with pauses.
    TrickleBytes {
        /// Bytes at a time.
        chunk: usize,
        /// Pause between them.
        delay_ms: u64,
    },
    /// No answer; the connection stays open.
    Hang,
    /// The head and half of the body of an honest answer, then the connection ends.
    CutMidBody,
    /// The connection ends without an answer.
    Drop,
    /// The connection is reset without an answer.
    Reset,
    /// Some time, then another reply.
    Delay {
        /// The time.
        ms: u64,
        /// The reply.
        then: Box<IssuerReply>,
    },
}

impl IssuerReply {
    /// A status without a body.
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new(), body: String::new() }
    }

    /// The honest answer after so many milliseconds.
    pub fn slow(ms: u64) -> Self {
        Self::Delay { ms, then: Box::new(Self::Honest) }
    }

    /// The honest answer with one member of its JSON set.
    pub fn with(member: &str, value: Value) -> Self {
        Self::Altered(vec![(member.to_owned(), Some(value))])
    }

    /// What is said of a token that is good no longer (RFC 7662 2.2).
    pub fn inactive() -> Self {
        Self::Body(r#"{"active":false}"#.to_owned())
    }
}

/// The queues of both endpoints.
pub(crate) struct IssuerScript {
    pub(crate) keys: Queue<IssuerReply>,
    pub(crate) introspection: Queue<IssuerReply>,
}

impl IssuerScript {
    pub(crate) fn new() -> Self {
        Self { keys: Queue::new(IssuerReply::Honest), introspection: Queue::new(IssuerReply::Honest) }
    }
}
