//! What a test can ask of the REST API, as plain data.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::sim::script::Queue;

/// What a REST request is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Route {
    /// `POST /api/v2/notifications/channels`
    Create,
    /// `GET /api/v2/notifications/channels`
    List,
    /// `HEAD` or `GET /api/v2/notifications/channels/{id}`
    Check,
    /// `PUT …/{id}/subscriptions`
    Replace,
    /// `POST …/{id}/subscriptions`
    Add,
    /// `GET …/{id}/subscriptions`
    Topics,
    /// `DELETE …/{id}/subscriptions`
    Clear,
    /// `GET` or `HEAD /api/v2/tokens/me`
    Me,
    /// `DELETE /api/v2/tokens/me`
    Revoke,
}

/// The answer to one REST request.
#[derive(Clone, Debug)]
pub enum ApiReply {
    /// The honest answer.
    Honest,
    /// The honest answer with top-level fields of its JSON set, or taken out.
    Altered(Vec<(String, Option<Value>)>),
    /// An error with the platform's body; nothing is done.
    Error {
        /// The status.
        status: u16,
        /// What the body says in `code`: `bad.credentials`, `missing.permissions`, …
        code: String,
    },
    /// HTTP 429 `too.many.requests.retry.after`, with a Retry-After when there is one: seconds, or hours of them.
    Throttle429 {
        /// Value of Retry-After, unchecked.
        retry_after: Option<String>,
    },
    /// Any status, headers and body; nothing is done.
    Status {
        /// The status.
        code: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// HTTP 200 with a page of HTML; nothing is done.
    NotJson,
    /// HTTP 302; nothing is done.
    Redirect {
        /// The Location.
        to: String,
    },
    /// No answer; the connection stays open. Nothing is done.
    Hang,
    /// It is done, and the connection ends without an answer.
    Lost,
    /// It is done, and the connection ends in the middle of the answer's body.
    CutMidBody,
    /// The connection ends without an answer; nothing is done.
    Drop,
    /// The connection is reset without an answer; nothing is done.
    Reset,
    /// Some time, then another reply.
    Delay {
        /// The time.
        ms: u64,
        /// The reply.
        then: Box<ApiReply>,
    },
}

impl ApiReply {
    /// An error with the platform's body.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error { status, code: code.to_owned() }
    }

    /// The honest answer after so many milliseconds.
    pub fn slow(ms: u64) -> Self {
        Self::Delay { ms, then: Box::new(Self::Honest) }
    }

    /// The honest answer with one field of its JSON set.
    pub fn with(field: &str, value: Value) -> Self {
        Self::Altered(vec![(field.to_owned(), Some(value))])
    }
}

/// Queues of each route, and one for whatever route comes.
pub(crate) struct ApiQueues {
    routes: HashMap<Route, Queue<ApiReply>>,
    pub(crate) any: VecDeque<ApiReply>,
}

impl ApiQueues {
    pub(crate) fn new() -> Self {
        Self { routes: HashMap::new(), any: VecDeque::new() }
    }

    pub(crate) fn of(&mut self, route: Route) -> &mut Queue<ApiReply> {
        self.routes.entry(route).or_insert_with(|| Queue::new(ApiReply::Honest))
    }

    /// The reply that is due: the route's own first.
    pub(crate) fn take(&mut self, route: Route) -> ApiReply {
        let queue = self.of(route);
        match queue.next.pop_front() {
            Some(reply) => reply,
            None => self.any.pop_front().unwrap_or_else(|| self.of(route).always.clone()),
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}
