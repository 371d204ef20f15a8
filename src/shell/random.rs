//! The only entropy: jitter, frame masks, identifiers, and what nobody may guess.

use std::hash::{BuildHasher, Hasher, RandomState};

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Bytes got from the system at a time.
const POOL: usize = 256;

/// Random numbers for one thread, got from the system in batches.
pub struct Entropy {
    system: SystemRandom,
    pool: [u8; POOL],
    used: usize,
}

impl Entropy {
    /// One that asks the system when the first number is needed.
    pub fn new() -> Self {
        Self { system: SystemRandom::new(), pool: [0; POOL], used: POOL }
    }

    /// A random number.
    pub fn random_u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.bytes())
    }

    /// A random UUID (RFC 9562, version 4), in lower case.
    pub fn uuid_v4(&mut self) -> String {
        let random = u128::from_ne_bytes(self.bytes());
        let version = random & !(0xf << 76) | (0x4 << 76);
        let id = version & !(0x3 << 62) | (0x2 << 62);
        let hex = format!("{id:032x}");
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
        parts.join("-")
    }

    /// `N` bytes that guard a secret, straight from the system; `None` if it refuses.
    pub fn secret<const N: usize>() -> Option<Zeroizing<[u8; N]>> {
        let mut bytes = Zeroizing::new([0; N]);
        SystemRandom::new().fill(&mut *bytes).ok().map(|()| bytes)
    }

    /// `N` random bytes; each byte of the pool is given out once and wiped.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > POOL {
            self.refill();
        }
        let mut bytes = [0; N];
        let fresh = self.pool.iter_mut().skip(self.used);
        for (byte, from) in bytes.iter_mut().zip(fresh) {
            *byte = std::mem::take(from);
        }
        self.used += N;
        bytes
    }

    /// Fills the pool. If the system refuses, which it does not after boot, std's hash keys stand in:
    /// nothing out of the pool guards a secret, and a panic or a constant would be worse.
    fn refill(&mut self) {
        self.used = 0;
        if self.system.fill(&mut self.pool).is_err() {
            for chunk in self.pool.chunks_mut(8) {
                let word = RandomState::new().build_hasher().finish().to_ne_bytes();
                chunk.iter_mut().zip(word).for_each(|(byte, random)| *byte = random);
            }
        }
    }
}

impl Default for Entropy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_do_not_repeat_across_refills() {
        let mut entropy = Entropy::new();
        let numbers: HashSet<u64> = (0..1_000).map(|_| entropy.random_u64()).collect();
        assert_eq!(numbers.len(), 1_000);
    }

    #[test]
    fn an_id_has_the_form_of_version_4() {
        let id = Entropy::new().uuid_v4();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
    }
}
