//! How often which duration was seen: for percentiles in buckets an eighth of their value wide, for Prometheus in few.

use std::sync::atomic::{AtomicU64, Ordering};

/// Up to here every millisecond has a bucket of its own.
const EXACT: u64 = 16;
/// Buckets to each doubling above that.
const STEPS: u64 = 8;
/// Powers of two above [`EXACT`]: the last bucket begins beyond 24 days.
const DOUBLINGS: u64 = 28;
const BUCKETS: usize = (EXACT + STEPS * DOUBLINGS) as usize;

/// How many bounds Prometheus is told of; above the last one there is one bucket more.
pub(crate) const BOUNDS: usize = 16;

/// Inclusive upper bounds in milliseconds, ascending.
pub(crate) type Bounds = [u64; BOUNDS];

/// Bounds for what ought to be short: latencies, connects, callbacks, gaps.
pub(crate) const SHORT: Bounds =
    [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 15_000, 30_000, 60_000, 300_000];
/// Bounds for what ought to be long: the life a token has left.
pub(crate) const LONG: Bounds = [
    0, 1_000, 2_500, 5_000, 10_000, 15_000, 30_000, 45_000, 60_000, 90_000, 120_000, 300_000, 600_000, 1_200_000,
    2_400_000, 3_600_000,
];

/// What Prometheus is told of a histogram.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Shot {
    /// Upper bounds of all buckets but the last.
    pub(crate) bounds: &'static Bounds,
    /// How many lie in each bucket, not counting those in the buckets before it.
    pub(crate) within: [u64; BOUNDS + 1],
    /// Sum of all durations.
    pub(crate) sum_ms: u64,
}

impl Shot {
    /// How many there are.
    pub(crate) fn total(&self) -> u64 {
        self.within.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Counts of durations in milliseconds; two kilobytes, from the first one on.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    largest_ms: u64,
    shot: Shot,
}

impl Histogram {
    /// An empty one.
    pub(crate) fn new(bounds: &'static Bounds) -> Self {
        let shot = Shot { bounds, within: [0; BOUNDS + 1], sum_ms: 0 };
        Self { counts: Box::default(), total: 0, largest_ms: 0, shot }
    }

    /// Counts one duration.
    pub(crate) fn add(&mut self, ms: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS].into();
        }
        let bucket = usize::try_from(bucket(ms)).unwrap_or(usize::MAX).min(BUCKETS - 1);
        let coarse = coarse(self.shot.bounds, ms);
        if let (Some(count), Some(within)) = (self.counts.get_mut(bucket), self.shot.within.get_mut(coarse)) {
            *count = count.saturating_add(1);
            *within = within.saturating_add(1);
            self.total = self.total.saturating_add(1);
            self.shot.sum_ms = self.shot.sum_ms.saturating_add(ms);
            self.largest_ms = self.largest_ms.max(ms);
        }
    }

    /// Counts everything that another one has counted. Both have the same bounds.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS].into();
        }
        let add = |(sum, count): (&mut u64, &u64)| *sum = sum.saturating_add(*count);
        self.counts.iter_mut().zip(&other.counts).for_each(add);
        self.shot.within.iter_mut().zip(&other.shot.within).for_each(add);
        add((&mut self.total, &other.total));
        add((&mut self.shot.sum_ms, &other.shot.sum_ms));
        self.largest_ms = self.largest_ms.max(other.largest_ms);
    }

    /// How many were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// What Prometheus is told.
    pub(crate) fn shot(&self) -> Shot {
        self.shot.clone()
    }

    /// A duration that `percent` of all stay at or below, at most an eighth too large; 0 when none was counted.
    pub(crate) fn percentile_ms(&self, percent: u64) -> u64 {
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

/// How long calls of one callback took: raised by several threads without a lock.
///
/// Calls that end in the same millisecond of the clock as they began are not counted: nobody has to wait for those.
#[derive(Debug, Default)]
pub(crate) struct CallTimes {
    within: [AtomicU64; BOUNDS + 1],
    sum_ms: AtomicU64,
    largest_ms: AtomicU64,
}

impl CallTimes {
    /// Counts one call.
    pub(crate) fn add(&self, ms: u64) {
        if let Some(count) = self.within.get(coarse(&SHORT, ms)) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum_ms.fetch_add(ms, Ordering::Relaxed);
            self.largest_ms.fetch_max(ms, Ordering::Relaxed);
        }
    }

    /// The longest.
    pub(crate) fn largest_ms(&self) -> u64 {
        self.largest_ms.load(Ordering::Relaxed)
    }

    /// What Prometheus is told.
    pub(crate) fn shot(&self) -> Shot {
        let mut within = [0; BOUNDS + 1];
        for (count, seen) in within.iter_mut().zip(&self.within) {
            *count = seen.load(Ordering::Relaxed);
        }
        Shot { bounds: &SHORT, within, sum_ms: self.sum_ms.load(Ordering::Relaxed) }
    }
}

/// The place of a duration among [`Shot::within`].
fn coarse(bounds: &Bounds, ms: u64) -> usize {
    bounds.partition_point(|bound| *bound < ms)
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
        let mut histogram = Histogram::new(&SHORT);
        assert_eq!(histogram.percentile_ms(50), 0);
        (1..=10).for_each(|ms| histogram.add(ms));
        assert_eq!([0, 50, 90, 99, 100].map(|percent| histogram.percentile_ms(percent)), [1, 5, 9, 10, 10]);
        histogram.add(u64::MAX);
        assert_eq!(histogram.percentile_ms(100), u64::MAX);
        assert_eq!(histogram.total(), 11);
    }

    #[test]
    fn what_prometheus_is_told_agrees_with_what_was_counted() {
        for bounds in [&SHORT, &LONG] {
            assert!(bounds.is_sorted_by(|one, next| one < next));
            let (mut histogram, mut twice) = (Histogram::new(bounds), Histogram::new(bounds));
            let seen: Vec<u64> = (0..400).map(|n| n * n * 31).chain(bounds.iter().copied()).collect();
            for ms in &seen {
                histogram.add(*ms);
            }
            let shot = histogram.shot();
            let mut below = 0;
            for (bound, count) in bounds.iter().zip(shot.within) {
                below += count;
                assert_eq!(below, seen.iter().filter(|ms| *ms <= bound).count() as u64, "{bound}");
            }
            assert_eq!((shot.total(), shot.sum_ms), (histogram.total(), seen.iter().sum()));
            twice.merge(&histogram);
            twice.merge(&histogram);
            assert_eq!((twice.total(), twice.shot().total()), (2 * histogram.total(), 2 * shot.total()));
            assert_eq!(
                [50, 90, 100].map(|p| twice.percentile_ms(p)),
                [50, 90, 100].map(|p| histogram.percentile_ms(p))
            );
        }
    }

    #[test]
    fn calls_are_counted_like_everything_else() {
        let (calls, mut histogram) = (CallTimes::default(), Histogram::new(&SHORT));
        for ms in [1, 5, 6, 1_000, 400_000] {
            calls.add(ms);
            histogram.add(ms);
        }
        assert_eq!((calls.shot(), calls.largest_ms()), (histogram.shot(), 400_000));
    }

    #[test]
    fn a_percentile_is_never_above_the_largest_seen() {
        let mut histogram = Histogram::new(&SHORT);
        histogram.add(1_000);
        assert_eq!(histogram.percentile_ms(99), 1_000);
    }
}
