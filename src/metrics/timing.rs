//! The table of histograms.

use super::histogram::{Bounds, Histogram, Shot, LONG, SHORT};
use crate::audit::Phase;

/// A histogram, wherever it is told.
pub(crate) struct Timed {
    /// Member of the JSON.
    pub(crate) member: &'static str,
    /// Name for Prometheus, without `gwa_`; rows of one name stand together.
    pub(crate) family: &'static str,
    /// Name and value of the label that tells rows of one name apart, or empty.
    pub(crate) label: (&'static str, &'static str),
    /// Bounds of the buckets.
    bounds: &'static Bounds,
    /// In words.
    pub(crate) help: &'static str,
}

macro_rules! timings {
    ($($variant:ident $member:literal $family:literal ($label:literal, $value:literal) $bounds:ident, $help:literal;)*) => {
        /// A duration that is counted.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Timing {
            $(#[doc = $help] $variant,)*
        }

        /// Every histogram, in the order of the text.
        pub(crate) const TIMED: &[Timed] = &[$(Timed {
            member: $member, family: $family, label: ($label, $value), bounds: &$bounds, help: $help,
        },)*];
    };
}

timings! {
    First "latency_first_ms" "attempt_duration_seconds" ("phase", "first") SHORT,
        "Authentication attempts, from start to accepted or failed; renewals from auth message to reply.";
    Renewal "latency_renewal_ms" "attempt_duration_seconds" ("phase", "renewal") SHORT, "The same for renewals.";
    Reconnect "latency_reconnect_ms" "attempt_duration_seconds" ("phase", "reconnect") SHORT, "The same for reconnects.";
    Connect "connect_ms" "connect_duration_seconds" ("", "") SHORT,
        "From dialling to an open WebSocket: DNS, TCP, TLS, upgrade, and waiting for a token before it.";
    TokenRequest "token_request_ms" "token_request_duration_seconds" ("", "") SHORT,
        "Token requests, from connecting to the end of the answer or the failure.";
    Gap "gap_lengths_ms" "gap_duration_seconds" ("", "") SHORT, "Gaps that have ended: how long messages may have been missed.";
    Lead "lead_ms" "renewal_lead_seconds" ("", "") LONG, "Life the old token had left when a new one took effect.";
}

/// Histograms of everything that is timed.
#[derive(Debug)]
pub(crate) struct Timings([Histogram; TIMED.len()]);

impl Default for Timings {
    fn default() -> Self {
        Self(std::array::from_fn(|index| Histogram::new(TIMED[index].bounds)))
    }
}

impl Timings {
    /// Counts a duration.
    pub(crate) fn add(&mut self, timing: Timing, ms: u64) {
        self.0[timing as usize].add(ms);
    }

    /// Counts the latency of an attempt.
    pub(crate) fn add_attempt(&mut self, phase: Phase, ms: u64) {
        self.add(of_phase(phase), ms);
    }

    /// One of them.
    pub(crate) fn of(&self, timing: Timing) -> &Histogram {
        &self.0[timing as usize]
    }

    /// The latencies of all attempts.
    pub(crate) fn attempts(&self) -> Histogram {
        let mut all = Histogram::new(&SHORT);
        for phase in [Phase::First, Phase::Renewal, Phase::Reconnect] {
            all.merge(self.of(of_phase(phase)));
        }
        all
    }

    /// All, with the member of the JSON.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        TIMED.iter().map(|timed| timed.member).zip(&self.0)
    }

    /// What Prometheus is told, in the order of [`TIMED`].
    pub(crate) fn shots(&self) -> Vec<Shot> {
        self.0.iter().map(Histogram::shot).collect()
    }
}

fn of_phase(phase: Phase) -> Timing {
    match phase {
        Phase::First => Timing::First,
        Phase::Renewal => Timing::Renewal,
        Phase::Reconnect => Timing::Reconnect,
    }
}
