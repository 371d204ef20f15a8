//! Threads and sockets.

#[allow(dead_code)]
pub(crate) mod delivery;
