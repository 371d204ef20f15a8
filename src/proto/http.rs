//! HTTP as plain data: what the machines ask for and what they get back.

use crate::error::Error;
use crate::secret::Secret;

/// Method of a request (RFC 9110 9.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: the answer has no body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// Body of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// None: no `Content-Type`; POST and PUT say `Content-Length: 0`.
    None,
    /// `application/x-www-form-urlencoded`.
    Form(Secret),
    /// `application/json`.
    Json(String),
}

impl Body {
    /// As sent.
    pub fn text(&self) -> &str {
        match self {
            Self::None => "",
            Self::Form(form) => form.expose(),
            Self::Json(text) => text,
        }
    }

    /// Its `Content-Type`, if there is a body.
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::Json(_) => Some("application/json"),
        }
    }
}

/// What a request is for: it says how large an answer may be, and what is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A token.
    Token,
    /// The REST API.
    Api,
    /// The keys of an issuer.
    Keys,
    /// What an issuer says of a token.
    Introspection,
}

/// A request. Its URL, header and body may hold credentials: none of them is shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Request {
    /// What it is for.
    pub purpose: Purpose,
    /// Method.
    pub method: Method,
    /// Absolute URL. The path of a channel holds its id, which is part of a secret.
    pub url: String,
    /// `Authorization` header, or empty.
    pub authorization: Secret,
    /// Body.
    pub body: Body,
    /// Time for everything from resolving to the last byte of the answer.
    pub timeout_ms: u64,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What the API says of its limit with every answer (`inin-ratelimit-*`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateLimit {
    /// Requests made in the window.
    pub count: u32,
    /// Requests allowed in it.
    pub allowed: u32,
    /// Until the window ends, in seconds.
    pub reset_s: u32,
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
    /// `Cache-Control` (RFC 9111 5.2), as sent; all of them if there are several.
    pub cache_control: Option<String>,
    /// `Age` (RFC 9111 5.1), as sent.
    pub age: Option<String>,
    /// `ININ-Correlation-Id`, as sent.
    pub correlation_id: Option<String>,
    /// `inin-ratelimit-count`, `-allowed` and `-reset`, if all are there.
    pub rate_limit: Option<RateLimit>,
    /// The body. It may hold tokens: the machine that reads it wipes it.
    pub body: Vec<u8>,
}

/// What became of a request.
pub type Outcome = Result<Reply, Error>;
