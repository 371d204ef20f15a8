//! Jitter from a number that is passed in.

/// A stream of numbers from one seed (SplitMix64): good enough to spread clients, never for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream that begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Evenly spread over `0..=bound`.
    pub fn up_to(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * (u128::from(bound) + 1);
        (wide >> 64) as u64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_bounds_and_reaches_them() {
        let mut dice = Dice::new(1);
        let rolls: Vec<u64> = (0..1_000).map(|_| dice.up_to(5)).collect();
        assert_eq!(rolls.iter().min(), Some(&0));
        assert_eq!(rolls.iter().max(), Some(&5));
        assert_eq!(Dice::new(7).up_to(0), 0);
        Dice::new(7).up_to(u64::MAX);
    }
}
