//! Tokens that prove who issued them: compact JWS (RFC 7515), key sets (RFC 7517), the claims of access tokens
//! (RFC 7519, RFC 9068), by the practices of RFC 8725.
//!
//! [`check`] decides everything but whether a signature fits: that one question goes to a [`Verify`], which has the
//! arithmetic. Nothing here asks for keys; [`Refusal::newer_keys_may_help`] says when somebody should.
//!
//! In scope: what a token has to look like, which key may verify it, what its claims have to say.
//! Out of scope: encryption (RFC 7516), unsecured and HMAC-signed tokens (refused whatever is configured), and keys
//! that a token brings along or points to (`jwk`, `jku`, `x5c`, `x5u`: not looked at).

mod algorithm;
mod claims;
mod json;
mod jws;
mod key;
mod key_set;
mod refusal;

pub use algorithm::Algorithm;
pub use claims::{check, Claims, Rules, Verified};
pub use jws::{verify_signature, Signed, Verify};
pub use key::Key;
pub use key_set::KeySet;
pub use refusal::Refusal;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;

/// The one JSON object that these bytes are, read as strictly as a token.
pub(super) fn object(bytes: &[u8]) -> Option<serde_json::Map<String, serde_json::Value>> {
    json::object(bytes).ok()
}

/// Base64url as JOSE has it (RFC 7515 2): no padding, and no bits after the last byte that are not zero, so that a text
/// has one form.
fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;
