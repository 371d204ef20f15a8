//! HTTP as plain data: what the machines ask for and what they get back.

use crate::error::Error;
use crate::secret::Secret;

/// A POST of a form. Header values and body may hold credentials, so both are secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Absolute URL.
    pub url: String,
    /// `Authorization` header.
    pub authorization: Secret,
    /// `application/x-www-form-urlencoded` body.
    pub form: Secret,
    /// Time for everything from resolving to the last byte of the answer.
    pub timeout_ms: u64,
}

/// An HTTP answer, whatever its status; the body is cut off at the configured maximum by an error.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// `Retry-After` (RFC 9110 10.2.3), as sent.
    pub retry_after: Option<String>,
    /// `Date`, as sent.
    pub date: Option<String>,
    /// `ININ-Correlation-Id`, as sent.
    pub correlation_id: Option<String>,
    /// The body. It may hold tokens: the machine that reads it wipes it.
    pub body: Vec<u8>,
}

/// What became of a request.
pub type Outcome = Result<Reply, Error>;
