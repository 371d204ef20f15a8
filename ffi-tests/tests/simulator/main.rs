//! The simulator seen by an independent client: every scripted behaviour at least once, and no sleep.

mod api;
mod client;
mod push;
mod server;
mod sockets;
mod tokens;
