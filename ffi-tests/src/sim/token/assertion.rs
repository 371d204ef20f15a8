//! `private_key_jwt`: a client shows a JWT signed with its key (RFC 7523, 3; OpenID Connect Core, 9).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use serde_json::Value;

use super::{Ledger, Refusal};

/// An assertion may be good for so many seconds at most.
const LIFE_MAX: f64 = 300.0;
/// Clocks differ by so many seconds at most.
const CLOCKS: f64 = 5.0;

/// The public key of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientKey {
    kind: Kind,
    /// RSA: PKCS#1; elliptic curves: the point; Ed25519: the key.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// DER of the algorithms of a SubjectPublicKeyInfo (RFC 8017, RFC 5480, RFC 8410).
const KINDS: [(&[u8], Kind); 4] = [
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", Kind::Rsa),
    (b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", Kind::P256),
    (b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22", Kind::P384),
    (b"\x06\x03\x2b\x65\x70", Kind::Ed25519),
];

impl ClientKey {
    /// A key in PEM, `BEGIN PUBLIC KEY`: RSA, P-256, P-384 or Ed25519.
    ///
    /// # Panics
    ///
    /// If it is something else.
    pub fn from_pem(pem: &str) -> Self {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).expect("a public key in PEM");
        Self::from_der(&der).expect("a key of a kind that is known")
    }

    /// `SEQUENCE { SEQUENCE { algorithm }, BIT STRING }`
    fn from_der(der: &[u8]) -> Option<Self> {
        let (whole, _) = element(der, 0x30)?;
        let (algorithm, rest) = element(whole, 0x30)?;
        let (bits, _) = element(rest, 0x03)?;
        let kind = KINDS.iter().find(|(known, _)| *known == algorithm).map(|(_, kind)| *kind)?;
        // The first byte counts unused bits: there are none.
        Some(Self { kind, bytes: bits.get(1..)?.to_vec() })
    }

    /// How a signature of this algorithm (RFC 7518, 3.1; RFC 8037; RFC 9864) is verified by this key.
    fn algorithm(&self, name: &str) -> Option<&'static dyn VerificationAlgorithm> {
        match (self.kind, name) {
            (Kind::Rsa, "RS256") => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            (Kind::Rsa, "RS384") => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            (Kind::Rsa, "RS512") => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            (Kind::Rsa, "PS256") => Some(&signature::RSA_PSS_2048_8192_SHA256),
            (Kind::Rsa, "PS384") => Some(&signature::RSA_PSS_2048_8192_SHA384),
            (Kind::Rsa, "PS512") => Some(&signature::RSA_PSS_2048_8192_SHA512),
            (Kind::P256, "ES256") => Some(&signature::ECDSA_P256_SHA256_FIXED),
            (Kind::P384, "ES384") => Some(&signature::ECDSA_P384_SHA384_FIXED),
            (Kind::Ed25519, "EdDSA" | "Ed25519") => Some(&signature::ED25519),
            _ => None,
        }
    }

    /// The claims of a JWT that this key signed.
    fn claims(&self, jwt: &str) -> Option<Value> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
        let algorithm = self.algorithm(json(header)?.get("alg")?.as_str()?)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(algorithm, &self.bytes).verify(signed.as_bytes(), &signature).ok()?;
        json(claims)
    }
}

/// The content of the DER element that comes first, if it has this tag; and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().try_fold(0_usize, |len, &byte| Some(len.checked_mul(256)? + usize::from(byte)))?, rest)
        }
    };
    rest.split_at_checked(len).filter(|_| found == tag)
}

impl Ledger {
    /// Whether an assertion authenticates the client; an error says more than that it does not.
    pub(super) fn check_assertion(&mut self, key: &ClientKey, jwt: &str) -> Result<bool, Refusal> {
        let Some(claims) = key.claims(jwt) else { return Ok(false) };
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let no = |why| Err(Refusal(401, "invalid_client", why));
        let id = &self.policy.client_id;
        if text("iss") != *id || text("sub") != *id {
            return no("iss and sub of the assertion are not the client");
        }
        if !self.is_audience(claims.get("aud")) {
            return no("aud of the assertion is not this server");
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        let exp = time("exp").unwrap_or(0.0);
        if exp + CLOCKS < now || exp - now > LIFE_MAX + CLOCKS {
            return no("exp of the assertion is past, or too far away");
        }
        if time("nbf").or(time("iat")).is_some_and(|from| from > now + CLOCKS) {
            return no("the assertion is not good yet");
        }
        let jti = text("jti");
        if jti.is_empty() || !self.seen.insert(jti) {
            return no("jti of the assertion is missing, or was used before");
        }
        Ok(true)
    }

    /// The issuer set, else where this server and its token endpoint are.
    fn is_audience(&self, aud: Option<&Value>) -> bool {
        let own = match &self.policy.issuer {
            Some(issuer) => vec![issuer.clone()],
            None => vec![self.base.clone(), format!("{}{}", self.base, crate::sim::TOKEN_PATH)],
        };
        let fits = |value: &Value| value.as_str().is_some_and(|text| own.iter().any(|one| one == text));
        match aud {
            Some(Value::Array(all)) => all.iter().any(fits),
            Some(one) => fits(one),
            None => false,
        }
    }
}
