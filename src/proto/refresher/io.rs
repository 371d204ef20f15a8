//! What goes into the refresher and what comes out.

use std::sync::Arc;

use crate::audit::Record;
use crate::error::Error;
use crate::event::Question;
use crate::hooks::Answer;
use crate::proto::http::{self, Request};
use crate::proto::token::Token;
use crate::secret::Secret;

/// A fact for the machine.
#[derive(Debug)]
pub enum Input {
    /// Begin: a token is wanted from now on.
    Start,
    /// The answer to [`Output::Http`] of this epoch, or why there is none.
    Replied {
        /// Epoch of the request.
        epoch: u64,
        /// The answer.
        outcome: http::Outcome,
    },
    /// The answer to [`Output::Sign`] of this epoch: the assertion, or why there is none.
    Signed {
        /// Epoch of the request.
        epoch: u64,
        /// The assertion.
        outcome: Result<Secret, Error>,
    },
    /// The server refused the token with this serial.
    Refused {
        /// Serial of the refused token.
        serial: u64,
    },
    /// Two different tokens were refused alike: the credentials are no good.
    GiveUp {
        /// The refusal.
        error: Error,
        /// Serial of the second token: a newer one gets its chance first.
        serial: u64,
    },
    /// The application wants a token with `min_left_ms` of usable life; answered by [`Output::Answer`].
    Wanted {
        /// Number of the wish.
        id: u64,
        /// Least usable life.
        min_left_ms: u64,
    },
    /// The application wants a new token now.
    RefreshNow,
    /// The application replaced a credential.
    Credential(Credential),
    /// The application answered a question, or will not.
    Answered {
        /// Number of the question.
        id: u64,
        /// The answer.
        answer: Result<Answer, Error>,
    },
    /// The answer to [`Output::LoadStore`]: what the store holds, nothing if there is none yet.
    Loaded(Result<Option<Found>, Error>),
    /// The answer to [`Output::Store`].
    Stored(Result<(), Error>),
    /// Stop.
    Close,
    /// [`super::Refresher::next_timeout`] is reached.
    Timeout,
}

/// What the token store holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// The refresh token.
    pub refresh_token: Secret,
    /// Whether it descends from `token.refresh_token` as it is set now, or none is set.
    pub follows: bool,
}

/// A credential that can be replaced while the client runs.
#[derive(Clone, Debug)]
pub enum Credential {
    /// `client.secret`.
    ClientSecret(Secret),
    /// `token.refresh_token`.
    RefreshToken(Secret),
    /// `token.saml_assertion`.
    SamlAssertion(Secret),
    /// `proxy.password`: whoever makes connections has it already.
    ProxyPassword,
}

/// An order of the machine.
#[derive(Debug)]
pub enum Output {
    /// Make this request; answer with [`Input::Replied`].
    Http {
        /// Epoch of the request.
        epoch: u64,
        /// The request.
        request: Request,
    },
    /// Sign these claims (`client.authentication = private_key_jwt`); answer with [`Input::Signed`].
    Sign {
        /// Epoch of the request that waits for it.
        epoch: u64,
        /// A JSON object.
        claims: String,
    },
    /// A new token is in force.
    Publish(Arc<Token>),
    /// Something the session has to know.
    News(News),
    /// Lock the token store, waiting for so long at most, and read it; answer with [`Input::Loaded`].
    LoadStore {
        /// In milliseconds. Without the lock it is read all the same.
        wait_ms: u64,
    },
    /// Write this refresh token to the store; answer with [`Input::Stored`].
    Store(Secret),
    /// Unlock the store.
    FreeStore,
    /// Ask the application.
    Ask {
        /// Number of the question.
        id: u64,
        /// The question.
        question: Question,
    },
    /// Audit this.
    Audit(Record),
    /// The server's clock is so far ahead of this machine's wall clock, to about a second; negative: behind.
    ServerClock {
        /// In milliseconds.
        ahead_ms: i64,
    },
    /// Answers [`Input::Wanted`].
    Answer {
        /// Number of the wish.
        id: u64,
        /// A token, or why there is none.
        outcome: Result<Arc<Token>, Error>,
    },
    /// The machine has stopped; nothing follows.
    Stopped,
}

/// What the session is told besides tokens.
#[derive(Clone, Debug)]
pub enum News {
    /// A request is in flight.
    Fetching,
    /// The answer is here and is being checked.
    Verifying,
    /// An attempt failed; the next one is timed.
    Waiting,
    /// The server asks to wait; there will be no request before `until_ms`.
    Throttled {
        /// Why, with `retry_after_ms`.
        error: Error,
        /// Boot time.
        until_ms: u64,
        /// Whether the wait is above 180 s: then it is reported at once.
        long: bool,
    },
    /// A round of attempts failed; the next round is timed.
    RoundFailed {
        /// The last failure.
        error: Error,
        /// When the round began, boot time.
        started_ms: u64,
    },
    /// A new token is not used for its scopes: what it grants. Said once for each change of that.
    Declined {
        /// In the token's order.
        granted: Vec<String>,
    },
    /// A new token lacks what is required; the old one is used on, the next attempt is timed. Said once for each change of
    /// what is granted.
    ScopesLost {
        /// The denial.
        error: Error,
        /// When the attempt began, boot time.
        started_ms: u64,
    },
    /// Nothing more is tried until the application or an administrator acts.
    Blocked {
        /// Why.
        error: Error,
        /// When the round began, boot time.
        started_ms: u64,
    },
}
