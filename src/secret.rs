//! A string that must not leave the library: `Debug` shows `***`, the memory is wiped on drop.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A token, client secret, refresh token or authorization code.
///
/// Cloning shares the one copy; it is wiped when the last clone is dropped. There is no `Display`,
/// and `Debug` shows `***`, so a secret cannot reach a log, an error or an audit record by accident.
#[derive(Clone, Default)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes ownership of `text`; the allocation it lives in is wiped when the secret is dropped.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The secret itself. Every call is a place where it may leak: keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret is the empty string.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Eq for Secret {}

impl PartialEq for Secret {
    /// Compares in a time that does not depend on where two secrets of one length differ.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hush".into())), "***");
    }

    #[test]
    fn equal_only_when_every_byte_is() {
        let one = Secret::new("hush".into());
        assert_eq!(one, Secret::new("hush".into()));
        assert_ne!(one, Secret::new("husk".into()));
        assert_ne!(one, Secret::new("hushh".into()));
    }
}
