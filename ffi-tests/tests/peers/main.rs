//! Real peers: servers, clients, TLS terminators and proxies that nobody here wrote, against each other, the simulator
//! and the library. Every wait is for a line somebody says, with a limit.

#[path = "../../peers/client.rs"]
mod client;
#[path = "../../peers/daemon.rs"]
mod daemon;
#[allow(dead_code, reason = "shared with the tests of other peers")]
#[path = "../../peers/harness.rs"]
mod harness;

mod certificates;
mod channels;
mod nginx;
mod proxies;
mod runtimes;
mod tokens;
