//! Which keys there are: the one in use for each algorithm, and those that are published.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use ring::hmac;
use serde_json::{json, Value};

use super::key::{SignAlg, SigningKey};
use super::script::Forgery;

/// What becomes of the published keys of an algorithm when there is a new one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retired {
    /// They stay published: tokens signed with them are still verified.
    Kept,
    /// They are gone: tokens signed with them are not verified any longer.
    Dropped,
}

/// The keys.
#[derive(Default)]
pub(crate) struct Keyring {
    /// Oldest first; the last one of an algorithm is in use.
    keys: Vec<SigningKey>,
    made: usize,
    /// JWKs that stand before all others, whatever they are.
    pub(crate) foreign: Vec<Value>,
}

impl Keyring {
    /// Kid of the key in use; it is made when there is none yet.
    pub(crate) fn prepare(&mut self, algorithm: SignAlg) -> String {
        let kid = self.in_use(algorithm).map(|key| key.kid.clone());
        kid.unwrap_or_else(|| self.rotate(algorithm, Retired::Kept))
    }

    /// A new key is in use; its kid.
    pub(crate) fn rotate(&mut self, algorithm: SignAlg, old: Retired) -> String {
        if old == Retired::Dropped {
            self.keys.retain(|key| key.algorithm != algorithm);
        }
        self.made += 1;
        let key = SigningKey::new(algorithm, self.made);
        let kid = key.kid.clone();
        self.keys.push(key);
        kid
    }

    fn in_use(&self, algorithm: SignAlg) -> Option<&SigningKey> {
        self.keys.iter().rev().find(|key| key.algorithm == algorithm)
    }

    /// The JWK Set (RFC 7517 5).
    pub(crate) fn published(&self) -> Value {
        let own = self.keys.iter().map(SigningKey::jwk);
        json!({"keys": self.foreign.iter().cloned().chain(own).collect::<Vec<_>>()})
    }

    /// A JWS in compact form (RFC 7515 3.1); `header` has all members but `alg` and `kid`, which it may override.
    pub(crate) fn sign(&mut self, algorithm: SignAlg, header: &Value, claims: &Value, forgery: Forgery) -> String {
        self.prepare(algorithm);
        let (alg, kid) = match forgery {
            Forgery::AlgNone => ("none", None),
            Forgery::PublicKeyAsSecret => ("HS256", None),
            Forgery::UnknownKid => (algorithm.name(), Some(format!("nobody-knows-{}", self.next()))),
            Forgery::No | Forgery::OtherKey | Forgery::Flipped | Forgery::Cut => (algorithm.name(), None),
        };
        let key = self.in_use(algorithm).expect("it was prepared");
        let mut full = json!({"alg": alg, "kid": kid.unwrap_or_else(|| key.kid.clone())});
        for (name, value) in header.as_object().into_iter().flatten() {
            full[name] = value.clone();
        }
        if let Some(map) = full.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&full), part(claims));
        let signature = signature(key, message.as_bytes(), forgery);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }
}

fn signature(key: &SigningKey, message: &[u8], forgery: Forgery) -> Vec<u8> {
    match forgery {
        Forgery::No => key.sign(message),
        // RSA has three keys in all: the next one is another.
        Forgery::OtherKey | Forgery::UnknownKid => {
            let number = key.kid.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
            SigningKey::new(key.algorithm, number.unwrap_or(0) + 1).sign(message)
        }
        Forgery::Flipped => {
            let mut bytes = key.sign(message);
            bytes[10] ^= 0x10;
            bytes
        }
        Forgery::Cut => key.sign(message)[1..].to_vec(),
        Forgery::AlgNone => Vec::new(),
        Forgery::PublicKeyAsSecret => {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, &key.public_bytes());
            hmac::sign(&secret, message).as_ref().to_vec()
        }
    }
}
