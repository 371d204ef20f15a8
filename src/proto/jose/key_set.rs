//! The keys of an issuer (RFC 7517 5).

use serde_json::Value;

use super::json;
use super::key::Jwk;
use super::{Algorithm, Key};
use crate::error::{Code, Error, Stage};

/// More keys than anybody has.
const KEYS_MAX: usize = 100;

/// Keys that are tried on one token: a token without a `kid` must not cost more than that.
const TRIED_MAX: usize = 4;

/// The keys of a JWK Set that can verify signatures, in its order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeySet {
    keys: Vec<Jwk>,
    skipped: usize,
}

impl KeySet {
    /// Reads a set of at most `max_bytes`.
    ///
    /// Keys of unknown type or curve, for encryption, for other algorithms, too weak, symmetric, not well formed or
    /// published with their private half are left out (RFC 7517 5). A set that is no JSON object with an array `keys`
    /// of objects, that has a member twice anywhere, or more than 100 keys, is refused as a whole.
    pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<Self, Error> {
        if bytes.len() > max_bytes {
            return Err(wrong("It is larger than allowed."));
        }
        let set = json::object(bytes).map_err(|fault| wrong(fault.text()))?;
        let Some(Value::Array(keys)) = set.get("keys") else {
            return Err(wrong("It has no array \"keys\"."));
        };
        if keys.len() > KEYS_MAX {
            return Err(wrong("It has more than 100 keys."));
        }
        let mut all = Self::default();
        for key in keys {
            match key.as_object().ok_or_else(|| wrong("A key is no JSON object.")).map(Jwk::read)? {
                Some(key) => all.keys.push(key),
                None => all.skipped += 1,
            }
        }
        Ok(all)
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys were left out.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether a key has this `kid`.
    pub(super) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys to try: those of this `kid`, or all if the token names none; a few at most.
    pub(super) fn fitting<'a>(
        &'a self,
        id: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Key> + 'a {
        let named = move |key: &&Jwk| id.is_none() || key.id.as_deref() == id;
        let fitting = self.keys.iter().filter(named).filter(move |key| key.fits(algorithm));
        fitting.take(TRIED_MAX).map(|key| &key.key)
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Code::IssuerKeys, Stage::Token, format!("The key set: {why}"))
}
