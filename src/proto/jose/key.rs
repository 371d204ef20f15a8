//! One public key (RFC 7517 4, RFC 7518 6, RFC 8037 2).

use std::fmt;

use serde_json::{Map, Value};

use super::{base64url, Algorithm};

/// What signatures are verified with.
#[derive(Clone, Eq, PartialEq)]
pub enum Key {
    /// RSA, 2,048 to 8,192 bits.
    Rsa {
        /// Modulus, big-endian, without leading zeros.
        n: Vec<u8>,
        /// Exponent, big-endian, without leading zeros: odd, from 3, below 2³³.
        e: Vec<u8>,
    },
    /// A point of the curve P-256.
    P256 {
        /// Its first coordinate, big-endian.
        x: [u8; 32],
        /// Its second coordinate, big-endian.
        y: [u8; 32],
    },
    /// A point of the curve P-384.
    P384 {
        /// Its first coordinate, big-endian.
        x: [u8; 48],
        /// Its second coordinate, big-endian.
        y: [u8; 48],
    },
    /// A point of the curve Ed25519.
    Ed25519 {
        /// As RFC 8032 5.1.2 encodes it.
        x: [u8; 32],
    },
}

impl Key {
    /// Whether signatures of this algorithm are of such keys: an algorithm is never chosen by the token alone
    /// (RFC 8725 3.1).
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Self::P256 { .. } => algorithm == Es256,
            Self::P384 { .. } => algorithm == Es384,
            Self::Ed25519 { .. } => algorithm == EdDsa,
        }
    }

    /// Reads the members of its type; `None` if it is of none of these types, or not well formed.
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        match (text("kty")?, text("crv")) {
            ("RSA", _) => rsa(text("n")?, text("e")?),
            ("EC", Some("P-256")) => Some(Self::P256 { x: octets(text("x")?)?, y: octets(text("y")?)? }),
            ("EC", Some("P-384")) => Some(Self::P384 { x: octets(text("x")?)?, y: octets(text("y")?)? }),
            ("OKP", Some("Ed25519")) => octets(text("x")?).filter(is_strong).map(|x| Self::Ed25519 { x }),
            _ => None,
        }
    }
}

impl fmt::Debug for Key {
    /// The type alone: half a page of digits helps nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa { .. } => "Rsa",
            Self::P256 { .. } => "P256",
            Self::P384 { .. } => "P384",
            Self::Ed25519 { .. } => "Ed25519",
        })
    }
}

/// A key of a set, with what the set says of its use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Jwk {
    pub key: Key,
    /// `kid` (RFC 7517 4.5).
    pub id: Option<String>,
    /// `alg` (RFC 7517 4.4): the only one that the key is for.
    pub algorithm: Option<Algorithm>,
}

impl Jwk {
    /// Reads one; `None` if this library cannot or may not verify signatures with it.
    ///
    /// A key whose private half is published with it is one of those: anybody may sign with it.
    pub fn read(jwk: &Map<String, Value>) -> Option<Self> {
        if jwk.contains_key("d") || jwk.contains_key("k") || !is_for_verifying(jwk) {
            return None;
        }
        let key = Key::read(jwk)?;
        let algorithm = match optional(jwk, "alg")? {
            Some(name) => Some(Algorithm::parse(name).filter(|algorithm| key.fits(*algorithm))?),
            None => None,
        };
        Some(Self { key, id: optional(jwk, "kid")?.map(str::to_owned), algorithm })
    }

    /// Whether it may verify signatures of this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.key.fits(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

/// `use` and `key_ops` (RFC 7517 4.2, 4.3): each, if it is there, has to allow it.
fn is_for_verifying(jwk: &Map<String, Value>) -> bool {
    let used = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = jwk.get("key_ops").map(Value::as_array);
    used && operations.is_none_or(|list| list.is_some_and(|list| list.iter().any(|operation| operation == "verify")))
}

/// A member that has to be text if it is there.
fn optional<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<Option<&'a str>> {
    match jwk.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(Some),
    }
}

/// Exactly as many octets as the field has: RFC 7518 6.2.1.2 wants leading zeros kept.
fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    base64url(text)?.try_into().ok()
}

/// Modulus and exponent within the bounds that the provider has; smaller moduli are too weak (RFC 7518 3.3).
fn rsa(n: &str, e: &str) -> Option<Key> {
    let (n, e) = (number(n)?, number(e)?);
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    let exponent = e.iter().try_fold(0_u64, |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(*byte)))?;
    let fits = (2_048..=8_192).contains(&bits) && (3..1 << 33).contains(&exponent) && exponent % 2 == 1;
    fits.then_some(Key::Rsa { n, e })
}

/// A number (RFC 7518 2, Base64urlUInt). Zeros before it, which some issuers write, change nothing.
fn number(text: &str) -> Option<Vec<u8>> {
    let octets = base64url(text)?;
    let first = octets.iter().position(|byte| *byte != 0)?;
    octets.get(first..).map(<[u8]>::to_vec)
}

/// Second coordinates of the points of Ed25519 whose order is 8 or less, without the bit of the sign: under such a key a
/// signature that nobody made is good, and the provider takes them (RFC 8032 leaves it open).
const SMALL_ORDER: [[u8; 32]; 5] = {
    let (mut one, mut minus_one) = ([0; 32], [0xFF; 32]);
    (one[0], minus_one[0], minus_one[31]) = (1, 0xEC, 0x7F);
    let eighth = [
        0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0, 0xD5, 0xDF,
        0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
    ];
    let other_eighth = [
        0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F, 0x2A, 0x20,
        0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
    ];
    [[0; 32], one, eighth, other_eighth, minus_one]
};

/// Whether a point is of the curve's large order, and encoded as RFC 8032 5.1.2 has it: below the prime.
fn is_strong(x: &[u8; 32]) -> bool {
    let mut y = *x;
    if let Some(last) = y.last_mut() {
        *last &= 0x7F;
    }
    let mut big_endian = y;
    big_endian.reverse();
    let mut prime = [0xFF; 32];
    (prime[0], prime[31]) = (0x7F, 0xED);
    big_endian < prime && !SMALL_ORDER.contains(&y)
}
