//! Threads and sockets. The rules are in [`crate::proto`]; here is what does as they say.
//!
//! ```text
//!  application ──inbox──▶ gwa-refresh ──inbox──▶ gwa-socket ──▶ delivery ──▶ gwa-dispatch ──▶ application
//!                            HTTP      ◀──inbox──  sockets        queues       callbacks
//! ```
//!
//! ureq, tungstenite and rustls are named in `http`, `dial`, `tls`, `crypto`, `stream` and `link` only.

mod active;
pub mod chain;
pub mod clock;
pub mod crypto;
pub mod delivery;
pub mod dial;
mod endpoints;
pub mod engine;
pub mod gate;
mod http;
mod inbox;
pub mod interrupt;
mod link;
mod private_file;
pub mod random;
mod redirect;
mod refresh_thread;
mod shared;
mod socket;
mod socket_thread;
pub mod source;
mod store;
mod stream;
pub mod subscriptions;
#[cfg(test)]
mod testing;
mod threads;
mod tls;
mod wait;

pub use dial::Net;
pub use refresh_thread::Carry;
pub use shared::Shared;
