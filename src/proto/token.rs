//! An access token and the times that follow from its lifetime.

use crate::secret::Secret;

/// When to do what with a token, in boot milliseconds (`product.md`'s formulas).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// Renewal starts.
    pub refresh_ms: u64,
    /// New work waits for a request in flight from here on.
    pub mandatory_ms: u64,
    /// The token is never presented after this.
    pub usable_ms: u64,
    /// The token ends.
    pub expires_ms: u64,
}

/// An access token as granted (RFC 6749 5.1).
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself.
    pub access_token: Secret,
    /// As sent by the server, e.g. `bearer`.
    pub token_type: String,
    /// Lifetime in milliseconds, counted from the start of the request.
    pub lifetime_ms: u64,
    /// Refresh token in force with this token: from the answer, else the one it was got with.
    pub refresh_token: Option<Secret>,
    /// `scope` of the answer, or empty.
    pub scope: String,
    /// Start of the request that brought it, milliseconds since 1970.
    pub granted_at_wall_ms: u64,
    /// Counts the tokens of this client, from 1.
    pub serial: u64,
    /// When to do what.
    pub schedule: Schedule,
    /// Granted scopes in the token's order; `None` when they cannot be known.
    pub scopes: Option<Vec<String>>,
}
