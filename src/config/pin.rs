//! Public-key pins (RFC 7469 2.4).

use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

/// SHA-256 of a certificate's SubjectPublicKeyInfo in DER. `Display` is `sha256/` and base64.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// Reads `sha256/<base64>`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("sha256/")?).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_written() {
        let text = "sha256//wD+cL5Po1zLbpQ1NAvJTeOZTRgPSGIwYC6JbXAWCEY=";
        assert_eq!(Pin::parse(text).unwrap().to_string(), text);
        for bad in ["", "sha256/", "sha1/AAAA", "sha256/AAAA", &text[7..], &format!("{text}A")] {
            assert_eq!(Pin::parse(bad), None, "{bad}");
        }
    }
}
