//! Why a token is not believed.

use super::json::Fault;
use crate::error::{Code, Error, Stage};

/// One row per reason: variant, whether newer keys may help, whether the same will happen again, text.
macro_rules! refusals {
    ($($variant:ident, $newer:literal, $lasting:literal, $text:literal;)*) => {
        /// Why a token is not believed: a closed list, and nothing of the token in it.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Refusal {
            $(#[doc = $text] $variant,)*
        }

        impl Refusal {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The reason in one sentence. Stable.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Whether the token may be signed with a key that is newer than the set: somebody should ask for the keys. Issuers
            /// have put new keys under old names.
            pub fn newer_keys_may_help(self) -> bool {
                match self { $(Self::$variant => $newer),* }
            }

            /// Whether the next token will hardly fare better before somebody has changed something, here or there.
            pub fn is_lasting(self) -> bool {
                match self { $(Self::$variant => $lasting),* }
            }
        }
    };
}

refusals! {
    TooLong, false, true, "The token is longer than allowed.";
    NotCompact, false, true, "The token has not the three parts of a signed JWT (RFC 7515 3.1).";
    Base64, false, true, "A part of the token is not base64url without padding (RFC 7515 2).";
    HeaderMalformed, false, true, "The header is no JSON object (RFC 7515 4).";
    PayloadMalformed, false, true, "The payload is no JSON object (RFC 7519 4).";
    DuplicateMember, false, true, "The header or the payload has two members of one name (RFC 7515 4, RFC 7519 4).";
    TooDeep, false, true, "The header or the payload is nested too deeply.";
    HeaderType, false, true, "A header parameter is not of the type it has to be.";
    AlgorithmMissing, false, true, "The header names no algorithm (RFC 7515 4.1.1).";
    Unsecured, false, true, "The token is not signed: its algorithm is none (RFC 8725 3.1).";
    SharedSecret, false, true, "The token is signed with a shared secret (HMAC), which proves no issuer.";
    AlgorithmUnknown, false, true, "The token's algorithm is not one that can be verified.";
    AlgorithmNotAllowed, false, true, "The token's algorithm is not among token.algorithms (RFC 8725 3.1).";
    Critical, false, true, "The header makes an extension critical, and none is understood (RFC 7515 4.1.11).";
    Unencoded, false, true, "The payload is not encoded (b64, RFC 7797).";
    Compressed, false, true, "The payload is compressed (zip), which a signed token has no place for.";
    TypeNotAllowed, false, true, "The token's typ is not one of an access token (RFC 9068 2.1, RFC 8725 3.11).";
    UnknownKey, true, false, "No key of the issuer has the token's kid, or none is for its algorithm.";
    KeyUnfit, true, false, "The key with the token's kid is not for its algorithm (RFC 8725 3.1).";
    Signature, true, false, "The signature is not that of the key which the token names.";
    SignatureOfNone, true, false, "The token names no key, and the signature is of none of those tried.";
    ClaimMissing, false, true, "A claim that is required is missing (RFC 7519 4.1, RFC 9068 2.2).";
    ClaimType, false, true, "A claim is not of the type it has to be (RFC 7519 4.1, RFC 9068 2.2).";
    Time, false, true, "A time in the token is not between 1970 and 9999 (RFC 7519 2, NumericDate).";
    Expired, false, false, "The token has expired (exp).";
    NotYetValid, false, false, "The token is not valid yet (nbf).";
    FromTheFuture, false, false, "The token was issued in the future (iat).";
    Issuer, false, true, "The token is of another issuer than token.issuer (iss).";
    Audience, false, true, "The token is for another audience than token.audience (aud).";
}

impl Refusal {
    /// The error that it becomes. It is final where nothing changes by itself.
    pub fn error(self) -> Error {
        Error::new(Code::TokenUnverified, Stage::Token, self.text()).with(|detail| detail.fatal = self.is_lasting())
    }

    /// What is wrong with the header.
    pub(super) fn of_header(fault: Fault) -> Self {
        Self::of_json(fault, Self::HeaderMalformed)
    }

    /// What is wrong with the payload.
    pub(super) fn of_payload(fault: Fault) -> Self {
        Self::of_json(fault, Self::PayloadMalformed)
    }

    fn of_json(fault: Fault, malformed: Self) -> Self {
        match fault {
            Fault::Malformed => malformed,
            Fault::Duplicate => Self::DuplicateMember,
            Fault::TooDeep => Self::TooDeep,
        }
    }
}
