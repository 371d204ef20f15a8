//! Digests and signatures for the machines, which know neither keys nor entropy.

pub mod verify;

use std::fmt;
use std::sync::Arc;

use ring::digest::{digest, SHA256};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::PrivateKeyDer;
use rustls::{sign, SignatureScheme};

use super::random::Entropy;
use super::tls;
use crate::config::settings::Pem;
use crate::error::{Code, Error, Stage};
use crate::proto::oauth::assertion;
use crate::proto::pkce::Fresh;
use crate::secret::Secret;

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Texts that nobody may guess; `None` if the system has no entropy to give.
pub fn fresh() -> Option<Fresh> {
    Some(Fresh::new(&Entropy::secret()?, sha256))
}

/// A private key that signs assertions.
#[derive(Clone)]
pub struct SigningKey {
    key: Arc<dyn sign::SigningKey>,
    algorithm: Algorithm,
}

/// `alg` (RFC 7518 3.1), by what the key is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Rs256, Self::Es256];

    fn scheme(self) -> SignatureScheme {
        match self {
            Self::Rs256 => SignatureScheme::RSA_PKCS1_SHA256,
            Self::Es256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

impl SigningKey {
    /// Reads a key: RSA of 2048 to 8192 bits or P-256, in PKCS #8, PKCS #1 or SEC 1.
    pub fn load(pem: &Pem) -> Result<Self, Error> {
        let text = tls::read_pem(pem).map_err(|error| wrong(&error.detail().message))?;
        if tls::is_encrypted_pem(&text) {
            return Err(wrong("The key is encrypted; it has to be decrypted first."));
        }
        let der = PrivateKeyDer::from_pem_slice(&text).map_err(|_| wrong("No private key is there."))?;
        // What ring says of a key that it cannot use does not say what it could use.
        let other =
            || wrong("It is no RSA key of 2048 to 8192 bits (and no RSA-PSS), and none of P-256; or it is damaged.");
        let key = default_provider().key_provider.load_private_key(der).map_err(|_| other())?;
        let fits = |algorithm: &Algorithm| key.choose_scheme(&[algorithm.scheme()]).is_some();
        let algorithm = Algorithm::ALL.into_iter().find(fits).ok_or_else(other)?;
        Ok(Self { key, algorithm })
    }

    /// An assertion of these claims (RFC 7515 in its compact form).
    pub fn assertion(&self, claims: &str, key_id: &str) -> Result<Secret, Error> {
        let failed = || Error::new(Code::Internal, Stage::Token, "The assertion could not be signed.");
        let input = assertion::signing_input(claims, self.algorithm.name(), key_id);
        let signature = self.sign(input.as_bytes()).ok_or_else(failed)?;
        Ok(assertion::signed(&input, &signature))
    }

    /// A signature as JOSE has it (RFC 7518 3.3, 3.4).
    fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        let signature = self.key.choose_scheme(&[self.algorithm.scheme()])?.sign(input).ok()?;
        match self.algorithm {
            Algorithm::Rs256 => Some(signature),
            Algorithm::Es256 => fixed(&signature),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.algorithm).finish()
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Code::BadValue, Stage::Configure, format!("\"client.private_key_pem\" or _file: {why}"))
}

/// The two numbers of a DER signature (RFC 3279 2.2.3), 32 bytes each, as JOSE wants them (RFC 7518 3.4).
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    let (sequence, rest) = element(der, 0x30)?;
    let (r, more) = element(sequence, 0x02)?;
    let (s, end) = element(more, 0x02)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(64);
    for number in [r, s] {
        // DER puts a zero before a number whose first bit is set, and leaves leading zeros out.
        let number =
            number.iter().position(|byte| *byte != 0).and_then(|first| number.get(first..)).unwrap_or_default();
        out.resize(out.len() + 32_usize.checked_sub(number.len())?, 0);
        out.extend_from_slice(number);
    }
    Some(out)
}

/// The contents of the first DER element, if it is of this tag and short, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let length = usize::from(*length);
    (*found == tag && length < 0x80).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests;
