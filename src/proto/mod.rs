//! The rules, as values: no clock, no I/O, no threads, no randomness, no unsafe in this directory.
//!
//! Two machines hold every rule of the library. Each takes `(now, random, input)` and queues outputs;
//! a thread in `shell` does what they say and feeds back what happened.
//!
//! * [`refresher`] decides when a token is fetched, kept, published or given up;
//! * [`session`] decides when a socket is dialled, authenticated, renewed, replaced or left.
//!
//! In scope: times, retries, what a reply means, what a frame means, states, audit facts.
//! Out of scope: bytes (the shell owns them), files, the C ABI.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

pub mod audience;
pub mod backoff;
pub mod dice;
pub mod frame;
pub mod http;
mod http_date;
pub mod identity;
pub mod introspection;
pub mod jose;
pub mod jwks;
pub mod jwt;
pub mod loopback;
mod mutant;
pub mod notifications;
pub mod oauth;
pub mod outbox;
pub mod permits;
pub mod pkce;
pub mod refresher;
pub mod retry_after;
pub mod scope;
pub mod session;
pub mod time;
pub mod token;
pub mod wanted;

#[cfg(test)]
mod tests;
