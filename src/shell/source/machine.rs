//! What the machine of a source is made of, and signs with.

use std::sync::Arc;

use super::Source;
use crate::error::{Code, Error, Stage};
use crate::proto::refresher::Refresher;
use crate::secret::Secret;
use crate::shell::crypto;
use crate::shell::refresh_thread::Carry;

impl Source {
    /// The next machine, where an earlier one stopped.
    pub(super) fn machine(&self, carry: &Carry) -> Refresher {
        let can_ask = self.delivery.has_on_ask();
        let Carry { credentials, unauthorized, memory } = carry.clone();
        let machine = Refresher::new(Arc::clone(&self.settings), credentials, can_ask, unauthorized);
        let machine = machine.after(memory).verifying(crypto::verify::verify);
        if self.is_shared() {
            machine.sharing()
        } else {
            machine
        }
    }

    /// Signs the claims of a client assertion.
    pub(in crate::shell) fn assertion(&self, claims: &str) -> Result<Secret, Error> {
        let none = || Error::new(Code::MissingKey, Stage::Token, "client.private_key_pem or _file.");
        self.net.signing_key.as_ref().ok_or_else(none)?.assertion(claims, &self.settings.key_id)
    }

    /// Host and port of the token endpoint, if there is one.
    pub(super) fn endpoint(&self) -> Result<String, Error> {
        let url = &self.settings.token_url;
        if url.is_empty() {
            return Ok(String::new());
        }
        Ok(self.net.target(url)?.peer())
    }
}
