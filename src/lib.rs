//! genesys-ws-auth: an authenticated WebSocket to Genesys Cloud that stays alive for months.

pub mod audit;
pub mod client;
pub mod config;
pub mod error;
pub mod event;
#[allow(unsafe_code)]
mod ffi;
pub mod hooks;
pub mod metrics;
pub mod proto;
pub mod secret;
#[cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
mod shell;
#[allow(unsafe_code)]
mod sys;

pub use client::{scopes_check, Client};
pub use config::Config;
pub use error::{Blame, Category, Code, Error, Stage};
pub use secret::Secret;
