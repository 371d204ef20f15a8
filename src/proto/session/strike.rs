//! Two strikes: the same authentication error with two different tokens.

use super::{Output, Session, Trouble};
use crate::error::{Code, Error};
use crate::proto::mutant::{active, Mutant};

/// An authentication error and the token it was about: the same with another token is two strikes.
#[derive(Clone, Debug)]
pub(super) struct Strike {
    serial: u64,
    code: Code,
    /// The server's, without what has a digit in it: a request id or a time makes no two refusals different.
    words: String,
}

impl Strike {
    fn new(error: &Error, serial: u64) -> Self {
        let plain = |word: &&str| !word.contains(|letter: char| letter.is_ascii_digit());
        let words = error.detail().message.split_whitespace().filter(plain).collect::<Vec<_>>().join(" ");
        Self { serial, code: error.code(), words }
    }

    /// Whether this and the other make two.
    fn alike(&self, other: &Self) -> bool {
        let same = self.code == other.code && self.words == other.words;
        same && self.serial != other.serial && !active(Mutant::NoTwoStrikes)
    }
}

impl Session {
    /// The same authentication error with two different tokens: new tokens do not help.
    pub(super) fn strike(&mut self, error: &Error, serial: u64) {
        let own = matches!(error.code(), Code::AuthRefused | Code::UpgradeUnauthorized);
        // What a channel was refused for by the API, or at its handshake.
        let of_channel = matches!(error.code(), Code::TokenRevoked | Code::UpgradeForbidden) && self.has_channels();
        if !own && !of_channel {
            return;
        }
        if self.token.as_ref().is_some_and(|token| token.serial == serial) {
            self.token = None;
        }
        self.in_band.failed = false;
        let strike = Strike::new(error, serial);
        match self.strike.replace(strike.clone()) {
            // A newer token that is here already gets its chance first.
            Some(first) if first.alike(&strike) && self.token.is_none() => {
                let text = format!("Two different tokens were refused alike: {}", error.detail().message);
                let error = Error::new(Code::ReauthRequired, error.detail().stage, text);
                self.strike = None;
                self.trouble = Some(Trouble::Blocked(error.clone()));
                self.out.push_back(Output::GiveUp { error, serial });
            }
            None if active(Mutant::OneStrike) => self.out.push_back(Output::GiveUp { error: error.clone(), serial }),
            Some(_) | None => self.out.push_back(Output::Refused { serial }),
        }
    }
}
