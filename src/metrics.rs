//! Counters, as one snapshot.

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
}

impl Metrics {
    /// `100 × success / requests`, or 0 before the first attempt.
    pub fn success_rate_percent(&self) -> f64 {
        if self.request_count == 0 {
            return 0.0;
        }
        self.success_count as f64 / self.request_count as f64 * 100.0
    }

    /// Mean latency in milliseconds, or 0 before the first attempt.
    pub fn avg_latency_ms(&self) -> f64 {
        if self.request_count == 0 {
            return 0.0;
        }
        self.total_latency_ms as f64 / self.request_count as f64
    }
}
