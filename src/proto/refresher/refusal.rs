//! Which errors end the attempts.

use crate::error::Code;

/// Refusals that no repetition can help. Faults of the transport are never final here: networks get mended.
pub(super) fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::Unauthorized
            | Code::Forbidden
            | Code::InvalidGrant
            | Code::Oauth
            | Code::HttpStatus
            | Code::Redirect
            | Code::TokenType
            | Code::ScopeDenied
            | Code::ScopeUnknown
            | Code::TokenMalformed
            | Code::BadValue
            | Code::TrustStore
            | Code::ReauthRequired
            | Code::IdentityChanged
    )
}
