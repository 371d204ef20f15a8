//! What an operator is told: the JSON fits its published schema, the text is what Prometheus's own parser reads, the numbers
//! agree with each other and with the simulator; dashboard and alert rules name nothing that there is not.
//!
//! After a change of the table: `cargo test -p ffi-tests --test metrics -- --ignored regenerate`.
//!
//! The parsers come from PyPI, into a virtual environment of the test's own. Without them their tests are skipped with a line
//! `SKIPPED: …` on stderr; with `GWA_REQUIRE_ALL=1` or `GWA_REQUIRE_PEERS=1` they fail.

#[allow(dead_code, reason = "shared with the tests of live connections")]
#[path = "../live/harness.rs"]
mod harness;

mod judge;
mod laws;
mod monitoring;
mod schema;
mod text;
