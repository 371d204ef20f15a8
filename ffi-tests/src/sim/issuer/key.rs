//! Keys that sign access tokens: made by the simulator, shown to the world as JWKs (RFC 7517, RFC 7518 6, RFC 8037).

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use ring::rand::SystemRandom;
use ring::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{json, Value};

/// Keys of 2,048 bits, one after the other: ring makes none. They are for tests, and no secret of anybody.
const RSA: [&str; 3] = [include_str!("rsa/1.pem"), include_str!("rsa/2.pem"), include_str!("rsa/3.pem")];

/// How a token is signed (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SignAlg {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The value of `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// The private half, by kind.
enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
}

/// A key that signs by one algorithm.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) algorithm: SignAlg,
    pair: Pair,
}

impl SigningKey {
    /// A new key. RSA keys come round again after three: then only the kid is another.
    pub(crate) fn new(algorithm: SignAlg, number: usize) -> Self {
        let random = SystemRandom::new();
        let ec = |how, curve| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(how, &random).expect("the system has randomness");
            Pair::Ec(EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref(), &random).expect("a key just made"), curve)
        };
        let pair = match algorithm {
            SignAlg::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            SignAlg::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            SignAlg::EdDsa => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).expect("the system has randomness");
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key just made"))
            }
            _ => {
                let der = PrivatePkcs8KeyDer::from_pem_slice(RSA[number % RSA.len()].as_bytes()).expect("a key in PEM");
                Pair::Rsa(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key"))
            }
        };
        Self { kid: format!("sim-{number}"), algorithm, pair }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair, _) => pair.sign(&random, message).expect("the system has randomness").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let how: &dyn ring::signature::RsaEncoding = match self.algorithm {
                    SignAlg::Rs384 => &RSA_PKCS1_SHA384,
                    SignAlg::Rs512 => &RSA_PKCS1_SHA512,
                    SignAlg::Ps256 => &RSA_PSS_SHA256,
                    SignAlg::Ps384 => &RSA_PSS_SHA384,
                    SignAlg::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(how, &random, message, &mut signature).expect("a signature of the modulus' length");
                signature
            }
        }
    }

    /// The public half.
    pub(crate) fn jwk(&self) -> Value {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": base64(&public.n), "e": base64(&public.e)})
            }
            Pair::Ec(pair, curve) => {
                // 04, then both coordinates (SEC 1, 2.3.3).
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
            }
            Pair::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key().as_ref())}),
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm.name());
        jwk["use"] = json!("sig");
        jwk
    }

    /// What everybody knows of it, as bytes: the secret of the classic confusion of algorithms (RFC 8725 2.1).
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        self.jwk().to_string().into_bytes()
    }
}
