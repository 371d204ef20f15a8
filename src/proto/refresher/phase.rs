//! The states of the refresher.

use super::grant::Arrival;
use crate::error::Error;
use crate::proto::mutant::{active, Mutant};
use crate::proto::token::Token;

/// What is asked about a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Check {
    /// The issuer's keys.
    Keys,
    /// The issuer itself.
    Issuer,
    /// The server, for its scopes.
    Scopes,
}

/// What the machine is doing.
#[derive(Debug)]
pub(super) enum Phase {
    Stopped,
    Holding,
    /// The store is being read. `refusal`: once more, because its token was refused.
    Loading {
        refusal: Option<Error>,
    },
    /// `asked`: number of the question, if it is the application that fetches.
    Fetching {
        asked: Option<u64>,
    },
    Waiting,
    Storing(Box<Arrival>),
    /// Something is asked about a token that is not in force yet.
    Checking(Check, Box<Arrival>),
    Persisting {
        id: u64,
        token: Token,
    },
    Blocked {
        error: Error,
        asked: Option<u64>,
    },
    /// The token is being revoked, at the end.
    Revoking,
}

impl Phase {
    /// A new token is on its way.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Loading { .. }
            | Self::Fetching { .. }
            | Self::Storing(_)
            | Self::Checking(..)
            | Self::Persisting { .. } => true,
            Self::Stopped | Self::Holding | Self::Waiting | Self::Blocked { .. } | Self::Revoking => false,
        }
    }

    /// Nobody else may read the store: from here until its token has been replaced.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self, Self::Loading { .. } | Self::Fetching { .. } | Self::Storing(_)) || active(Mutant::LockKept)
    }
}
