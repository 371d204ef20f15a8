//! The ways onto the network: proxies, trust, and what either refuses. No test sleeps.

#[allow(dead_code, reason = "shared with the live tests")]
#[path = "../live/harness.rs"]
mod harness;

mod proxies;
mod real;
mod trust;
