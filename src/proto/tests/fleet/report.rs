//! What is counted, and what is made of it. Times to recover, and the first minute, count from the server's return.

use super::plan::{MINUTE_MS, SECOND_MS};

/// Times since the loss, as they come: in order.
#[derive(Debug, Default)]
pub struct Tally {
    /// Token requests as they arrive at the endpoint.
    requests_ms: Vec<u64>,
    grants: u64,
    /// Connections as they arrive at the socket server.
    dials_ms: Vec<u64>,
    /// When a client came to life.
    lived_ms: Vec<u64>,
}

impl Tally {
    /// A token request arrived.
    pub fn asked(&mut self, at_ms: u64, is_granted: bool) {
        self.requests_ms.push(at_ms);
        self.grants += u64::from(is_granted);
    }

    /// A connection arrived.
    pub fn dialled(&mut self, at_ms: u64) {
        self.dials_ms.push(at_ms);
    }

    /// A client became live; before the loss all are counted at 0 and forgotten.
    pub fn lived(&mut self, at_ms: u64) {
        if at_ms > 0 {
            self.lived_ms.push(at_ms);
        }
    }
}

/// How it went.
#[derive(Debug)]
pub struct Report {
    /// What the rate limit allows at best.
    pub optimum_ms: u64,
    /// How long connections were refused.
    pub down_ms: u64,
    /// Clients.
    pub clients: usize,
    /// Clients that are live at the end.
    pub live: usize,
    /// Clients that ask for new credentials at the end.
    pub blocked: usize,
    /// Different tokens a client showed to the socket server after the loss, least and most.
    pub tokens_shown: (u64, u64),
    /// Token requests a client made after the loss, least and most.
    pub requests_a_client: (u64, u64),
    /// Everything else.
    pub tally: Tally,
}

impl Report {
    /// Until the last client was live; `None` if one is not.
    pub fn recovered_ms(&self) -> Option<u64> {
        let last = self.tally.lived_ms.last().filter(|_| self.live == self.clients);
        last.map(|at_ms| at_ms.saturating_sub(self.down_ms))
    }

    /// Until half of them were live.
    pub fn half_ms(&self) -> Option<u64> {
        self.tally.lived_ms.get((self.clients / 2).max(1) - 1).map(|at_ms| at_ms.saturating_sub(self.down_ms))
    }

    /// Time to recover as a multiple of the optimum.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.recovered_ms()? as f64 / self.optimum_ms as f64)
    }

    /// Tokens granted after the loss.
    pub fn grants(&self) -> u64 {
        self.tally.grants
    }

    /// Token requests after the loss.
    pub fn requests(&self) -> u64 {
        self.tally.requests_ms.len() as u64
    }

    /// Requests that were refused, for each that was granted.
    pub fn wasted(&self) -> f64 {
        (self.requests() - self.grants()) as f64 / self.grants().max(1) as f64
    }

    /// Most token requests in any time of this length, from the second minute on.
    pub fn later_peak(&self, length_ms: u64) -> u64 {
        peak(&self.tally.requests_ms, self.down_ms + MINUTE_MS, length_ms)
    }

    /// Most token requests in any second of the first minute.
    pub fn first_peak(&self) -> u64 {
        let first = self.tally.requests_ms.partition_point(|at_ms| *at_ms < self.down_ms + MINUTE_MS);
        peak(self.tally.requests_ms.get(..first).unwrap_or_default(), 0, SECOND_MS)
    }

    /// Dials of all clients.
    pub fn dials(&self) -> u64 {
        self.tally.dials_ms.len() as u64
    }

    /// Most dials in any second from then on.
    pub fn dial_peak(&self, from_ms: u64) -> u64 {
        peak(&self.tally.dials_ms, from_ms, SECOND_MS)
    }
}

/// Most of these times, which are in order, in any time of this length from then on.
fn peak(times_ms: &[u64], from_ms: u64, length_ms: u64) -> u64 {
    let times_ms = &times_ms[times_ms.partition_point(|at_ms| *at_ms < from_ms)..];
    let mut first = 0;
    let mut most = 0;
    for (index, at_ms) in times_ms.iter().enumerate() {
        while times_ms[first] + length_ms <= *at_ms {
            first += 1;
        }
        most = most.max(index - first + 1);
    }
    most as u64
}
