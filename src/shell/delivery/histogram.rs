//! How often which duration was seen, in buckets an eighth of their value wide.

/// Up to here every millisecond has a bucket of its own.
const EXACT: u64 = 16;
/// Buckets to each doubling above that.
const STEPS: u64 = 8;
/// Powers of two above [`EXACT`]: the last bucket begins beyond 24 days.
const DOUBLINGS: u64 = 28;
const BUCKETS: usize = (EXACT + STEPS * DOUBLINGS) as usize;

/// Counts of durations in milliseconds; two kilobytes.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    largest_ms: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), total: 0, largest_ms: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub(super) fn add(&mut self, ms: u64) {
        let bucket = usize::try_from(bucket(ms)).unwrap_or(usize::MAX).min(BUCKETS - 1);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
            self.largest_ms = self.largest_ms.max(ms);
        }
    }

    /// How many were counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// A duration that `percent` of all stay at or below, at most an eighth too large; 0 when none was counted.
    pub(super) fn percentile_ms(&self, percent: u64) -> u64 {
        let rank = u128::from(self.total) * u128::from(percent.min(100));
        let mut below = 0_u128;
        for (bucket, count) in (0..).zip(&self.counts) {
            below += u128::from(*count);
            if below > 0 && below * 100 >= rank {
                return largest_of(bucket).min(self.largest_ms);
            }
        }
        self.largest_ms
    }
}

fn bucket(ms: u64) -> u64 {
    if ms < EXACT {
        return ms;
    }
    let exponent = u64::from(ms.ilog2());
    EXACT + (exponent - 4) * STEPS + ((ms >> (exponent - 3)) & (STEPS - 1))
}

/// The largest duration in a bucket; the last bucket has no end.
fn largest_of(bucket: u64) -> u64 {
    match bucket.checked_sub(EXACT) {
        None => bucket,
        Some(above) if above + 1 >= STEPS * DOUBLINGS => u64::MAX,
        Some(above) => {
            let shift = above / STEPS + 1;
            ((STEPS + above % STEPS + 1) << shift) - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_every_duration_without_overlap() {
        for ms in (0..100_000).chain([1 << 20, (1 << 31) - 1]) {
            let own = bucket(ms);
            assert!(ms <= largest_of(own), "{ms}");
            assert!(own == 0 || ms > largest_of(own - 1), "{ms}");
            assert!(largest_of(own) <= ms + ms / 8, "{ms}: {}", largest_of(own));
        }
        assert_eq!(bucket((1 << 32) - 1) + 1, BUCKETS as u64);
    }

    #[test]
    fn percentiles_of_a_known_row() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile_ms(50), 0);
        (1..=10).for_each(|ms| histogram.add(ms));
        assert_eq!([0, 50, 90, 99, 100].map(|percent| histogram.percentile_ms(percent)), [1, 5, 9, 10, 10]);
        histogram.add(u64::MAX);
        assert_eq!(histogram.percentile_ms(100), u64::MAX);
        assert_eq!(histogram.total(), 11);
    }

    #[test]
    fn a_percentile_is_never_above_the_largest_seen() {
        let mut histogram = Histogram::default();
        histogram.add(1_000);
        assert_eq!(histogram.percentile_ms(99), 1_000);
    }
}
