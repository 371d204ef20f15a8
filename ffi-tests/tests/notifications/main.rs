//! The profile `notifications`, live, against the simulator: channels, their sockets, rollovers. No test sleeps.
//!
//! Ten thousand rollovers in a row, over TLS, are a long job: `cargo test -p ffi-tests --test notifications -- --ignored --nocapture`.

mod bed;
mod calls;
mod channels;
mod crowd;
mod rollovers;
mod scopes;
mod ways;
