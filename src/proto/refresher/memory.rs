//! What outlives a machine.

use super::pin::Pin;
use super::{store, Refresher};
use crate::proto::identity::Identity;
use crate::proto::jwks::KeyCache;
use crate::secret::Secret;

/// What a machine leaves to the next one of its source.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Serial of the newest token: no two tokens of a source have one serial.
    pub serial: u64,
    /// Number of the last question: one that is still open is none of the next machine's.
    pub asks: u64,
    /// The token that was refused last.
    pub refused: Option<Secret>,
    /// The refresh token in force is not in the store.
    pub unsaved: bool,
    /// How far the server's clock is ahead.
    pub ahead_ms: i64,
    /// Whom the tokens are about.
    pub identity: Identity,
    /// The issuer's keys.
    pub keys: KeyCache,
}

impl Refresher {
    /// Goes on where an earlier machine stopped.
    pub fn after(self, memory: Memory) -> Self {
        let Memory { serial, asks, refused, unsaved, ahead_ms, identity, keys } = memory;
        let store = store::Known { unsaved, ..store::Known::default() };
        Self { serial, asks, refused, ahead_ms, pin: Pin::of(identity), keys, store, ..self }
    }

    /// What the next machine has to know.
    pub fn memory(&self) -> Memory {
        let Self { serial, asks, ahead_ms, .. } = *self;
        let (identity, keys) = (self.pin.known(), self.keys.clone());
        Memory { serial, asks, refused: self.refused.clone(), unsaved: self.store.unsaved, ahead_ms, identity, keys }
    }
}
