//! Threads and sockets.

#[allow(dead_code)]
pub mod clock;
#[allow(dead_code)]
pub mod dial;
#[allow(dead_code)]
pub mod http;
#[allow(dead_code)]
pub mod link;
#[allow(dead_code)]
pub mod random;
#[allow(dead_code)]
pub mod stream;
#[cfg(test)]
mod testing;
#[allow(dead_code)]
pub mod tls;
#[allow(dead_code)]
pub mod wait;
