//! Texts that nobody may guess: the proof of an authorization request (PKCE, RFC 7636), its `state` (RFC 6749 10.12), and
//! the `jti` of an assertion (RFC 7523 3).

use std::fmt;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Random bytes that one [`Fresh`] is made of.
pub const BYTES: usize = 64;

/// Of these the verifier has 32, as RFC 7636 4.1 recommends: 43 characters.
const VERIFIER_BYTES: usize = 32;
/// The state has 16 (RFC 6749 10.10), and so has the identifier of an assertion.
const STATE_BYTES: usize = 16;

/// Serves once: for one question or one assertion.
#[derive(Clone)]
pub struct Fresh {
    /// `code_verifier`: stays here until the code is exchanged.
    pub verifier: Secret,
    /// `code_challenge`: what becomes known of it before.
    pub challenge: String,
    /// `state`: whoever answers has to know it.
    pub state: Secret,
    /// `jti`.
    pub id: String,
}

impl Fresh {
    /// Of bytes from a cryptographic generator.
    pub fn new(bytes: &Zeroizing<[u8; BYTES]>, sha256: impl Fn(&[u8]) -> [u8; 32]) -> Self {
        let (verifier, rest) = bytes.split_at(VERIFIER_BYTES);
        let (state, id) = rest.split_at(STATE_BYTES);
        let verifier = Secret::new(URL_SAFE_NO_PAD.encode(verifier));
        let challenge = challenge(verifier.expose(), sha256);
        Self { verifier, challenge, state: Secret::new(URL_SAFE_NO_PAD.encode(state)), id: URL_SAFE_NO_PAD.encode(id) }
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fresh")
    }
}

/// `S256` (RFC 7636 4.2).
pub fn challenge(verifier: &str, sha256: impl Fn(&[u8]) -> [u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reversed(bytes: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
        out
    }

    #[test]
    fn every_part_has_bytes_of_its_own() {
        let mut bytes = Zeroizing::new([0; BYTES]);
        bytes.iter_mut().zip(0..).for_each(|(byte, number)| *byte = number);
        let fresh = Fresh::new(&bytes, reversed);
        // RFC 7636 4.1: 43 to 128 of the unreserved characters.
        assert_eq!(fresh.verifier.expose(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        assert_eq!(fresh.state.expose(), "ICEiIyQlJicoKSorLC0uLw");
        assert_eq!(fresh.id, "MDEyMzQ1Njc4OTo7PD0-Pw");
        assert_eq!(URL_SAFE_NO_PAD.decode(&fresh.challenge).unwrap(), reversed(fresh.verifier.expose().as_bytes()));
        assert_eq!(format!("{fresh:?}"), "Fresh");
    }
}
