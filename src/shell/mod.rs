//! Threads and sockets.

// Until the threads use all of it.
#[allow(dead_code, unused_imports)]
pub(crate) mod delivery;
