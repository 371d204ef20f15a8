//! Signatures of tokens, verified (RFC 7518 3.3 to 3.5, RFC 8037 3.1).

use ring::signature::{
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED,
    ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
};

use crate::proto::jose::{Algorithm, Key};

/// Whether the signature of the message is of this key and algorithm; never if the two do not fit.
pub fn verify(algorithm: Algorithm, key: &Key, message: &[u8], signature: &[u8]) -> bool {
    match (key, algorithm) {
        (Key::Rsa { n, e }, _) => rsa(algorithm)
            .is_some_and(|parameters| RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()),
        (Key::P256 { x, y }, Algorithm::Es256) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(x, y)).verify(message, signature).is_ok()
        }
        (Key::P384 { x, y }, Algorithm::Es384) => {
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(x, y)).verify(message, signature).is_ok()
        }
        (Key::Ed25519 { x }, Algorithm::EdDsa) => {
            UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok()
        }
        (Key::P256 { .. } | Key::P384 { .. } | Key::Ed25519 { .. }, _) => false,
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

/// An uncompressed point (SEC 1 2.3.3).
fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

#[cfg(test)]
mod tests;
