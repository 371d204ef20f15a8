//! The library, live, against the simulator: threads, sockets and hooks as an application has them. No test sleeps.

mod answers;
mod closing;
mod connect;
mod grants;
mod handover;
mod harness;
mod hundred;
mod inn;
mod loss;
mod overlap;
mod pressure;
mod provenance;
mod provider;
mod records;
mod refusals;
mod renewal;
mod scopes;
mod sending;
mod source;
mod strict;
mod waiting;
