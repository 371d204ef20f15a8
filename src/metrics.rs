//! Counters, as one snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::{Kind, Level, Outcome, Record};

/// A snapshot of a client's counters. All are 64 bits wide and saturate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Authentication attempts that succeeded.
    pub success_count: u64,
    /// Authentication attempts that failed.
    pub failure_count: u64,
    /// Sum of the latencies of all attempts, in milliseconds.
    pub total_latency_ms: u64,
    /// All attempts.
    pub request_count: u64,
    /// Renewals accepted.
    pub renewals: u64,
    /// Of these, by hand-over to a second socket.
    pub handovers: u64,
    /// Sockets opened (upgrade finished).
    pub connects: u64,
    /// Sockets lost while live.
    pub drops: u64,
    /// Gaps reported.
    pub gaps: u64,
    /// Token requests made.
    pub token_requests: u64,
    /// Token requests that failed.
    pub token_failures: u64,
    /// Times a server throttled us.
    pub throttles: u64,
    /// Application messages received.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Application messages sent.
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Audit records made.
    pub audit_records: u64,
    /// Audit records lost to the queue's bound.
    pub audit_lost: u64,
    /// Audit and SIEM hooks that reported a failure.
    pub hook_failures: u64,
    /// Callbacks slower than the threshold.
    pub slow_callbacks: u64,
    /// Inputs a machine could not make sense of.
    pub senseless_inputs: u64,
    /// Seconds left when the last new token took effect, in milliseconds.
    pub last_lead_ms: u64,
    /// REST requests made (profile `notifications`).
    pub rest_requests: u64,
    /// Of these, those without an answer or with one other than 2xx.
    pub rest_failures: u64,
    /// Channels made.
    pub channels: u64,
}

impl Metrics {
    /// `100 × success / requests`, or 0 before the first attempt.
    pub fn success_rate_percent(&self) -> f64 {
        percent(self.success_count, self.request_count)
    }

    /// Mean latency in milliseconds, or 0 before the first attempt.
    pub fn avg_latency_ms(&self) -> f64 {
        mean(self.total_latency_ms, self.request_count)
    }
}

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

/// One row per counter that any thread may raise: variant, and the field of [`Metrics`] it fills.
macro_rules! counters {
    ($($variant:ident => $field:ident, $doc:literal;)*) => {
        /// A counter that the threads of a client raise.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Counter {
            $(#[doc = $doc] $variant,)*
        }

        /// The counters of one client, raised without a lock.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($field: AtomicU64,)*
        }

        impl Counters {
            fn of(&self, counter: Counter) -> &AtomicU64 {
                match counter { $(Counter::$variant => &self.$field,)* }
            }

            /// A snapshot; what the audit queue counts is left at zero.
            pub(crate) fn snapshot(&self) -> Metrics {
                Metrics { $($field: self.$field.load(Ordering::Relaxed),)* ..Metrics::default() }
            }
        }
    };
}

counters! {
    Renewals => renewals, "Renewals accepted.";
    Handovers => handovers, "Of these, by hand-over to a second socket.";
    Connects => connects, "Sockets opened.";
    Drops => drops, "Sockets lost while live.";
    Gaps => gaps, "Gaps reported.";
    TokenRequests => token_requests, "Token requests made.";
    TokenFailures => token_failures, "Token requests that failed.";
    Throttles => throttles, "Times a server throttled us.";
    MessagesReceived => messages_received, "Application messages received; counted by delivery itself.";
    BytesReceived => bytes_received, "Their bytes; counted by delivery itself.";
    MessagesSent => messages_sent, "Application messages sent.";
    BytesSent => bytes_sent, "Their bytes.";
    HookFailures => hook_failures, "Hooks that failed or panicked; counted by delivery itself.";
    SlowCallbacks => slow_callbacks, "Callbacks above the threshold; counted by delivery itself.";
    SenselessInputs => senseless_inputs, "Inputs a machine could not make sense of.";
    RestRequests => rest_requests, "REST requests made.";
    RestFailures => rest_failures, "Of these, those without an answer or with one other than 2xx.";
    Channels => channels, "Channels made.";
    LastLeadMs => last_lead_ms, "A gauge: time left when the last new token took effect.";
}

impl Counters {
    /// Adds `n`; stops at the largest number.
    pub(crate) fn add(&self, counter: Counter, n: u64) {
        let add = |value: u64| Some(value.saturating_add(n));
        // The closure always gives a value, so this cannot fail.
        let _ = self.of(counter).fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// [`Counters::add`] for a counter that one thread alone raises, on the hot path: no locked instruction.
    pub(crate) fn raise(&self, counter: Counter, n: u64) {
        let value = self.of(counter);
        value.store(value.load(Ordering::Relaxed).saturating_add(n), Ordering::Relaxed);
    }

    /// Replaces the value, for gauges.
    pub(crate) fn set(&self, counter: Counter, value: u64) {
        self.of(counter).store(value, Ordering::Relaxed);
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
    fn counters_saturate() {
        let counters = Counters::default();
        counters.add(Counter::Drops, u64::MAX - 1);
        counters.add(Counter::Drops, 1);
        counters.add(Counter::Drops, 5);
        assert_eq!(counters.snapshot().drops, u64::MAX);
    }

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
