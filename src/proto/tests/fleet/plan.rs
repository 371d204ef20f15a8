//! What a fleet is made of and what befalls it.

use super::endpoint::{Limit, Refusal};

/// A simulated second.
pub const SECOND_MS: u64 = 1_000;
/// A simulated minute.
pub const MINUTE_MS: u64 = 60 * SECOND_MS;

/// How the server goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// Every socket breaks off and every token is void: the way back needs new tokens.
    Revoked,
    /// Every socket breaks off; tokens stay good.
    Dropped,
    /// Every socket is closed with 1012 (service restart); tokens stay good.
    Drained,
}

/// One variant.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the table calls it.
    pub name: &'static str,
    /// Clients behind the one credential.
    pub clients: usize,
    /// Token requests the endpoint grants in a minute.
    pub per_minute: u32,
    /// How the endpoint counts them.
    pub limit: Limit,
    /// How it says no.
    pub refusal: Refusal,
    /// How the server goes.
    pub loss: Loss,
    /// How long connections are refused after that.
    pub down_ms: u64,
    /// Whether the socket server refuses every token it is shown from then on.
    pub refuses_tokens: bool,
    /// When to stop looking if the fleet does not come to rest.
    pub horizon_ms: u64,
    /// Of the dice.
    pub seed: u64,
}

impl Plan {
    /// A fleet with a tenth of these clients has a tenth of the requests, and takes as long.
    pub fn tenth(self) -> Self {
        Self { clients: self.clients / 10, per_minute: self.per_minute / 10, ..self }
    }

    /// The same with other dice.
    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// What the limit allows at best: one request a client, every one of them granted.
    pub fn optimum_ms(&self) -> u64 {
        self.clients as u64 * MINUTE_MS / u64::from(self.per_minute)
    }
}

/// Ten thousand clients, 300 requests a minute, everything lost, the throttle Genesys really has.
fn lost(name: &'static str, limit: Limit) -> Plan {
    Plan {
        name,
        clients: 10_000,
        per_minute: 300,
        limit,
        refusal: Refusal::Genesys,
        loss: Loss::Revoked,
        down_ms: 0,
        refuses_tokens: false,
        horizon_ms: 120 * MINUTE_MS,
        seed: 1,
    }
}

/// Of the variants of [`tokens`], the first ones are what the goals are about: a request that is refused does not count.
pub const WITH_GOALS: usize = 4;

/// New tokens for all.
pub fn tokens() -> Vec<Plan> {
    vec![
        lost("window of 60 s", Limit::Window),
        lost("sliding 60 s", Limit::Sliding { counts_refused: false }),
        lost("token bucket", Limit::Bucket),
        Plan { down_ms: 10 * MINUTE_MS, ..lost("window, sockets refused for 10 min", Limit::Window) },
        Plan { refusal: Refusal::TooMany, ..lost("window, 429 with Retry-After", Limit::Window) },
        lost("window, refused ones count", Limit::WindowOfAll),
        lost("sliding, refused ones count", Limit::Sliding { counts_refused: true }),
    ]
}

/// Sockets lost, tokens still good.
pub fn sockets() -> Vec<Plan> {
    let plan = |name, loss, down_ms| Plan { loss, down_ms, ..lost(name, Limit::Window) };
    vec![
        plan("broken off, back at once", Loss::Dropped, 0),
        plan("broken off, down for 60 s", Loss::Dropped, MINUTE_MS),
        plan("broken off, down for 10 min", Loss::Dropped, 10 * MINUTE_MS),
        plan("drained by 1012, back at once", Loss::Drained, 0),
    ]
}

/// A socket server that refuses every token.
pub fn strikes() -> Vec<Plan> {
    let plan = |name, limit| Plan { refuses_tokens: true, loss: Loss::Dropped, ..lost(name, limit) };
    vec![plan("no rate limit", Limit::None), plan("window of 60 s", Limit::Window)]
}
