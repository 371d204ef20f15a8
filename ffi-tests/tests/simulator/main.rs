//! The simulator seen by an independent client: every scripted behaviour at least once, and no sleep.

mod api;
mod channels;
mod client;
mod grants;
mod issuer;
mod push;
mod rollover;
mod server;
mod sockets;
mod tokens;
