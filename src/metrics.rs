//! What an operator is told of a client: counters, gauges and histograms, as a struct, as JSON and as text for Prometheus.
//! Memory is fixed, however long a client lives.

mod cause;
mod histogram;
mod schema;
mod table;
mod text;
mod timing;

use crate::audit::{Kind, Level, Outcome, Record};

pub(crate) use cause::{counter_of_failure, counter_of_loss, counter_of_reconnect};
pub(crate) use histogram::{CallTimes, Histogram};
pub use schema::schema;
pub(crate) use schema::PERCENTILES;
pub use table::Metrics;
pub(crate) use table::{Counter, Counters, ROWS};
pub use text::Format;
pub(crate) use text::{text, Labels, Snapshot};
pub(crate) use timing::{Timing, Timings};

/// How many records of each kind, and of each level, were made: counted where records get their number, so the sum is
/// that number, whatever was lost afterwards.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    by_kind: [u64; Kind::ALL.len()],
    by_level: [u64; Level::ALL.len()],
}

impl Tally {
    /// One more record. Saturates.
    #[must_use]
    pub(crate) fn after(mut self, kind: Kind, level: Level) -> Self {
        let kind = self.by_kind.get_mut(kind.index());
        let level = self.by_level.get_mut(level as usize);
        for counter in kind.into_iter().chain(level) {
            *counter = counter.saturating_add(1);
        }
        self
    }

    /// Records of this kind.
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.by_kind.get(kind.index()).copied().unwrap_or(0)
    }

    /// Records of this level.
    pub(crate) fn at(&self, level: Level) -> u64 {
        self.by_level.get(level as usize).copied().unwrap_or(0)
    }

    /// All records.
    pub(crate) fn all(&self) -> u64 {
        self.by_kind.iter().fold(0, |sum: u64, count| sum.saturating_add(*count))
    }
}

/// The tutorial's counters of authentication attempts, as they stood when a record was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Totals {
    /// Attempts that succeeded.
    pub(crate) success: u64,
    /// Attempts that failed.
    pub(crate) failure: u64,
    /// Sum of the latencies of both.
    pub(crate) latency_ms: u64,
}

impl Totals {
    /// The counters with one more record counted; only attempts count.
    #[must_use]
    pub(crate) fn after(mut self, record: &Record) -> Self {
        if let Record::Attempt { outcome, latency_ms, .. } = record {
            let counter = match outcome {
                Outcome::Success { .. } => &mut self.success,
                Outcome::Failure(_) => &mut self.failure,
            };
            *counter = counter.saturating_add(1);
            self.latency_ms = self.latency_ms.saturating_add(*latency_ms);
        }
        self
    }

    /// All attempts.
    pub(crate) fn requests(self) -> u64 {
        self.success.saturating_add(self.failure)
    }

    /// `100 × success / requests`, or 0 before the first attempt.
    pub(crate) fn success_rate_percent(self) -> f64 {
        percent(self.success, self.requests())
    }

    /// Mean latency in milliseconds, or 0 before the first attempt.
    pub(crate) fn avg_latency_ms(self) -> f64 {
        mean(self.latency_ms, self.requests())
    }
}

/// The tutorial's formula, term by term, so that its results agree to the last digit.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64 * 100.0
}

fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    sum as f64 / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Phase;

    #[test]
    fn rates_are_zero_before_the_first_attempt_and_the_tutorials_after() {
        let attempt =
            |outcome| Record::Attempt { phase: Phase::First, outcome, latency_ms: 10, scopes_validated: true };
        let none = Totals::default();
        assert_eq!((none.success_rate_percent(), none.avg_latency_ms()), (0.0, 0.0));
        let one = none.after(&attempt(Outcome::Success { scopes: vec![] })).after(&Record::Closed);
        assert_eq!((one.success_rate_percent(), one.avg_latency_ms(), one.requests()), (100.0, 10.0, 1));
        let tally = Tally::default().after(Kind::Attempt, Level::Info).after(Kind::Closed, Level::Info);
        assert_eq!((tally.of(Kind::Attempt), tally.of(Kind::Closed), tally.of(Kind::Panicked)), (1, 1, 0));
        assert_eq!((tally.all(), tally.at(Level::Info), tally.at(Level::Warning)), (2, 2, 0));
    }

    #[test]
    fn a_tally_has_a_place_for_every_kind_and_level() {
        let mut tally = Tally::default();
        for kind in Kind::ALL {
            for level in Level::ALL {
                tally = tally.after(*kind, *level);
            }
        }
        assert!(Kind::ALL.iter().all(|kind| tally.of(*kind) == Level::ALL.len() as u64));
        assert!(Level::ALL.iter().all(|level| tally.at(*level) == Kind::ALL.len() as u64));
        assert_eq!(tally.all(), (Kind::ALL.len() * Level::ALL.len()) as u64);
    }
}
