//! The authorization server as those see it who do not take its word: the keys it signs with (`/.well-known/jwks.json`,
//! RFC 7517) and what it says of a token when asked (`/introspect`, RFC 7662).

mod handles;
mod key;
mod keyring;
mod script;
mod serve;

pub use handles::{IntrospectionScript, KeysScript};
pub use key::SignAlg;
pub use keyring::Retired;
pub use script::{Forgery, IssuerReply};

pub(crate) use keyring::Keyring;
pub(crate) use script::IssuerScript;
pub(crate) use serve::{serve_introspection, serve_keys};
