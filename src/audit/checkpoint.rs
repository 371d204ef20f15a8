//! What a checkpoint says: counters of everything that was recorded, so that a log can be compared with what was done.

use super::field::{Fields, Value};
use super::{Kind, Level};
use crate::error::Error;
use crate::metrics::{Metrics, Tally, Totals};

/// A record that the audit log makes of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Checkpoint {
    /// Why there is one now.
    pub(crate) reason: Reason,
    /// `forward-secure`, or what the chain is without a state file, or `none`.
    pub(crate) chain: &'static str,
    /// All records so far, this one too, by kind and by level.
    pub(crate) tally: Tally,
    /// Records lost to the queue's bound so far.
    pub(crate) lost: u64,
    /// What the threads and machines have counted so far by themselves, whatever is on record of it.
    pub(crate) counted: Metrics,
    /// How often the chain's state could not be kept so far.
    pub(crate) state_failures: u64,
}

/// Why there is a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// It is the first record of a run; how the run before it ended.
    Start(&'static str),
    /// So many records were made since the last one.
    Records,
    /// So much time has gone since the last one.
    Time,
    /// The client closes.
    Close,
    /// The chain's state could not be kept: its key is used on.
    StateFailed(Error),
}

impl Reason {
    fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Records => "records",
            Self::Time => "time",
            Self::Close => "close",
            Self::StateFailed(_) => "state_failed",
        }
    }
}

impl Checkpoint {
    /// How bad it is.
    pub(crate) fn level(&self) -> Level {
        match self.reason {
            Reason::StateFailed(_) => Kind::Checkpoint.level(),
            _ => Level::Info,
        }
    }

    /// What went wrong.
    pub(crate) fn error(&self) -> Option<&Error> {
        match &self.reason {
            Reason::StateFailed(error) => Some(error),
            _ => None,
        }
    }

    /// The counters of what has a record of its own: a record that was forgotten is missing beside them.
    fn counters(&self) -> [(&'static str, u64); 7] {
        let counted = &self.counted;
        [
            ("token_requests", counted.token_requests),
            ("token_failures", counted.token_failures),
            ("connects", counted.connects),
            ("drops", counted.drops),
            ("gaps", counted.gaps),
            ("renewals", counted.renewals),
            ("channels", counted.channels),
        ]
    }

    /// Its members, in a fixed order.
    pub(crate) fn fields(&self, totals: &Totals, put: &mut Fields<'_>) {
        put("reason", Value::Text(self.reason.name()));
        put("chain", Value::Text(self.chain));
        if let Reason::Start(before) = self.reason {
            put("run_before", Value::Text(before));
        }
        put("records", Value::Number(self.tally.all()));
        put("lost", Value::Number(self.lost));
        put("success_count", Value::Number(totals.success));
        put("failure_count", Value::Number(totals.failure));
        put("total_latency_ms", Value::Number(totals.latency_ms));
        put("hook_failures", Value::Number(self.counted.hook_failures));
        put("state_failures", Value::Number(self.state_failures));
        let kinds = Kind::ALL.iter().map(|kind| (kind.name(), self.tally.of(*kind)));
        put("kinds", Value::Texts(&listed(kinds)));
        let levels = Level::ALL.iter().map(|level| (level.name(), self.tally.at(*level)));
        put("levels", Value::Texts(&listed(levels)));
        put("counters", Value::Texts(&listed(self.counters().into_iter())));
    }
}

/// Those that there are.
fn listed(counts: impl Iterator<Item = (&'static str, u64)>) -> Vec<String> {
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name}={count}")).collect()
}
