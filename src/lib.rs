//! An authenticated WebSocket to Genesys Cloud that stays alive for months.
//!
//! [`Config`] is filled with keys and hooks, [`Client`] does the rest on three threads: it gets an OAuth 2.0 token, checks
//! its scopes, opens the WebSocket, authenticates, renews the token on the live connection before it expires, reconnects,
//! and reports every step through [`hooks`]. C programs use the same through `include/genesys_ws_auth.h`.
//!
//! # How it is built
//!
//! All rules are in two pure machines in [`proto`], [`proto::refresher::Refresher`] and [`proto::session::Session`]: they
//! take `(now, random, input)` and queue outputs, and know no clock, socket or thread. `shell` is the threads that do
//! what they say; `ffi` is the C ABI over [`Client`]; `sys` is a few system calls.
//!
//! ```text
//!                 ┌──────────────────────────── loss ─────────────────────────────┐
//!                 ▼                                                               │
//!  Idle ─▶ AcquiringToken ─▶ VerifyingToken ─▶ Connecting ─▶ Authenticating ─▶ Ready ◀─▶ Renewing
//!            │    ▲                               ▲ │                             │
//!            ▼    │ credential, refresh_now       │ ▼                             ▼
//!  Throttled, ReauthRequired           Reconnecting, Draining                  Degraded
//! ```

pub mod audit;
pub mod client;
pub mod config;
pub mod error;
pub mod event;
#[allow(unsafe_code)]
mod ffi;
pub mod hooks;
pub mod metrics;
mod panics;
pub mod proto;
pub mod secret;
#[cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
mod shell;
#[allow(unsafe_code)]
mod sys;

pub use client::{scopes_check, Client, TokenSource};
pub use config::Config;
pub use error::{Blame, Category, Code, Error, Stage};
pub use secret::Secret;
// For the fuzz targets and for tests with other people's signers; no part of the API.
#[doc(hidden)]
pub use shell::crypto::verify::verify as verify_signature;
