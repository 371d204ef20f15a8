//! A fleet: thousands of clients behind one credential, each of them the library's own two machines, in simulated time.
//!
//! * [`plan`] says what the fleet is made of and what befalls it; the variants that are reported are listed there;
//! * [`endpoint`] is the token endpoint with its rate limit, one for all;
//! * [`client`] is one client: a refresher, a session, and what they were seen to do;
//! * [`run`] lets events happen in their order;
//! * [`report`] counts.
//!
//! The tests run small fleets, the benchmark `fleet` of `ffi-tests` includes this directory and runs large ones. Hence
//! `super::library`: inside the crate that is the crate itself, in the benchmark it is the crate's public face.

pub mod client;
pub mod endpoint;
pub mod plan;
pub mod report;
pub mod run;

use super::library;
