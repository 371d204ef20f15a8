//! Genesys Cloud itself in simulated time, as the profile `notifications` meets it: the token endpoint, the REST API
//! with its channels, the streaming host, and one client or several that share a source of tokens.
//!
//! * [`world`] drives the machines; [`source`] is the refresh thread, its endpoint and the spare channel;
//! * [`wires`] is the socket threads and the sockets; [`sockets`] the streaming host, [`rest`] the API, [`cloud`] what
//!   it remembers;
//! * [`laws`] holds what must be true of every client after every step, [`account`] that every event was delivered once
//!   or lies in a gap; [`faults`] is the reviewed list of what goes wrong;
//! * [`channels`], [`frames`] and [`rollovers`] tell one rule each; [`walk`] goes through a year at random;
//! * [`hunt`] breaks every rule on purpose and asks whether anybody notices.

mod account;
mod channels;
mod cloud;
mod faults;
mod frames;
pub mod hunt;
mod laws;
mod rest;
mod rollovers;
mod sockets;
mod source;
mod walk;
mod wires;
mod world;
