//! What makes an access token believable beyond that it came from the token endpoint over TLS (`token.verify` and its kin).

use super::check::{address, contradiction, missing};
use super::settings::{ClientAuthentication, Settings};
use super::value::ALGORITHMS;
use crate::error::Error;

/// How a token is checked before it is used.
///
/// There is no "whichever fits": what a token looks like is not to decide how strictly it is checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verify {
    /// Not at all.
    #[default]
    Off,
    /// Its signature and claims, by the issuer's keys (RFC 7515, RFC 7519, RFC 9068).
    Jwt,
    /// The issuer is asked (RFC 7662).
    Introspection,
}

/// `token.verify` and its kin. Times are in milliseconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verification {
    /// How a token is checked.
    pub by: Verify,
    /// Who has to have issued it (`iss`). Empty: not checked, which `by = Jwt` does not allow.
    pub issuer: String,
    /// Whom it has to be for (`aud`). Empty: as of the issuer.
    pub audience: String,
    /// Where the issuer's keys are, or empty.
    pub jwks_url: String,
    /// What it may be signed with (`alg`, RFC 7518 3.1).
    pub algorithms: Vec<String>,
    /// What it may call itself (`typ`, RFC 9068 2.1), in lower case.
    pub types: Vec<String>,
    /// How far clocks may be apart.
    pub leeway_ms: u64,
    /// Where the issuer is asked, or empty.
    pub introspection_url: String,
    /// Whether a renewed token has to be about the same subject, client and organisation.
    pub pins_identity: bool,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            by: Verify::Off,
            issuer: String::new(),
            audience: String::new(),
            jwks_url: String::new(),
            algorithms: ALGORITHMS.map(str::to_owned).into(),
            types: vec!["at+jwt".into()],
            leeway_ms: 60_000,
            introspection_url: String::new(),
            pins_identity: true,
        }
    }
}

/// The first thing that is missing, or contradicts another.
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    let Verification { by, issuer, audience, jwks_url, introspection_url, .. } = &settings.verification;
    let urls = [("token.jwks_url", jwks_url), ("token.introspection_url", introspection_url)];
    for (key, url) in urls {
        address(key, url, ("https", "http"), settings.allow_plain_loopback)?;
    }
    let needed = |key: &str, value: &str, how: &str| match value {
        "" => Err(missing(&format!("{key} (for token.verify = {how})"))),
        _ => Ok(()),
    };
    match by {
        // Whoever gives keys expects signatures to be verified.
        Verify::Off => match urls.iter().find(|(_, url)| !url.is_empty()) {
            Some((key, _)) => Err(contradiction(key, "it would be ignored with token.verify = off")),
            None => Ok(()),
        },
        Verify::Jwt => {
            needed("token.issuer", issuer, "jwt")?;
            needed("token.audience", audience, "jwt")?;
            needed("token.jwks_url", jwks_url, "jwt")
        }
        Verify::Introspection => {
            needed("token.introspection_url", introspection_url, "introspection")?;
            // RFC 7662 2.1 and 4: whoever may ask without saying who it is can try tokens out.
            if settings.authentication == ClientAuthentication::None {
                let why = "introspection answers only clients that authenticate (RFC 7662 2.1), and \
                           client.authentication = none does not";
                return Err(contradiction("token.verify", why));
            }
            Ok(())
        }
    }
}
