//! What is audited: a closed list of records that the machines emit. Secrets cannot enter.

pub(crate) mod chain;
pub(crate) mod checkpoint;
pub(crate) mod field;
pub(crate) mod format;
pub(crate) mod json;
mod kind;
mod record;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod seal;
pub(crate) mod time;
pub mod verify;
pub(crate) mod writer;

#[doc(hidden)]
pub use format::Specimen;
pub use format::{Format, Formats, Syslog};
pub use json::scopes_json;
pub use kind::{Kind, Level};
pub use record::{Outcome, Phase, Record, ScopeAudit, ScopeResult, Trust};
