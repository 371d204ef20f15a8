//! What the hash chain wants at the end of a record.

/// Asks a format for room for the chain's link: the epoch of the key, and 64 zeros that are replaced once the rest is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seal {
    /// Number of the key in force.
    pub(crate) epoch: u64,
}
