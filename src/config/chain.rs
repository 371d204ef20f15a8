//! The chain of MACs over audit records: what is set, and what goes together.

use super::check::{contradiction, store};
use crate::audit::verify::k0;
use crate::error::Error;
use crate::secret::Secret;

/// What `audit.chain_…` and `audit.checkpoint…` say.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Where the evolved key is kept, or empty.
    pub state: String,
    /// K0.
    pub key: Option<Secret>,
    /// Whether the log has checkpoints.
    pub checkpoints: bool,
    /// A checkpoint after so many records.
    pub checkpoint_records: u64,
    /// A checkpoint after this time.
    pub checkpoint_ms: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self { state: String::new(), key: None, checkpoints: false, checkpoint_records: 256, checkpoint_ms: 300_000 }
    }
}

/// Whether there are checkpoints: each ends an epoch of the chain.
pub(super) fn check(chain: &Chain, checkpoints: Option<bool>) -> Result<bool, Error> {
    store(&chain.state).map_err(|why| contradiction("audit.chain_state", why))?;
    if let Some(key) = &chain.key {
        k0(key).map_err(|error| contradiction("audit.chain_key", error.detail().message.trim_end_matches('.')))?;
    }
    let has_chain = chain.key.is_some() || !chain.state.is_empty();
    if has_chain && checkpoints == Some(false) {
        return Err(contradiction("audit.checkpoints", "a chain has checkpoints; not with off"));
    }
    Ok(checkpoints.unwrap_or(has_chain))
}
