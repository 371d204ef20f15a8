//! What is on record of a token: that it was asked for, and what came of that, once.

use super::{Output, Phase, Refresher};
use crate::audit::Record;
use crate::config::settings::{ClientAuthentication, Grant};
use crate::error::{Code, Error, Stage};
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::Proof;
use crate::proto::token::Token;

impl Refresher {
    /// A request leaves, or the application is asked. What the issuer is asked about a token is none for one.
    pub(super) fn record_request(&mut self) {
        if !matches!(self.phase, Phase::Fetching { .. }) {
            return;
        }
        self.is_open = true;
        if active(Mutant::RequestUnrecorded) {
            return;
        }
        let record = match self.settings.grant {
            Grant::Application => Record::TokenRequested { grant: "application", authentication: "none" },
            _ => Record::TokenRequested {
                grant: grant_type(self.requested_proof),
                authentication: authentication(self.settings.authentication),
            },
        };
        self.out.push_back(Output::Audit(record));
    }

    /// A token is about to be published.
    pub(super) fn record_issue(&mut self, token: &Token) {
        self.is_open = false;
        if active(Mutant::IssueUnrecorded) {
            return;
        }
        let (serial, lifetime_ms) = (token.serial, token.lifetime_ms);
        let record = Record::TokenIssued { serial, lifetime_ms, rotated: self.has_rotated, trust: self.trust };
        if active(Mutant::IssueRecordedTwice) {
            self.out.push_back(Output::Audit(record.clone()));
        }
        self.out.push_back(Output::Audit(record));
    }

    /// How many attempts have failed. Counted beside the records, so that one that is missing is seen.
    pub fn attempts_failed(&self) -> u64 {
        self.attempts_failed
    }

    /// An attempt has failed, whether something was sent or not.
    pub(super) fn attempt_failed(&mut self, error: &Error) {
        self.attempts_failed += u64::from(!active(Mutant::FailureUncounted));
        self.record_refusal(error);
    }

    fn record_refusal(&mut self, error: &Error) {
        self.is_open = false;
        if !active(Mutant::RefusalUnrecorded) {
            self.out.push_back(Output::Audit(Record::TokenRefused { error: error.clone() }));
        }
    }

    /// Of what was asked for nothing will come any more: the machine ends.
    pub(super) fn record_end(&mut self) {
        if self.is_open && !active(Mutant::EndUnrecorded) {
            let text = "The client was closed before a token came into force.";
            self.record_refusal(&Error::new(Code::Cancelled, Stage::Token, text));
        }
    }

    /// A rotated refresh token is kept, or is not.
    pub(super) fn record_kept(&mut self, by: &'static str, outcome: Result<(), Error>) {
        if active(Mutant::KeepingUnrecorded) {
            return;
        }
        self.out.push_back(Output::Audit(match outcome {
            Ok(()) => Record::RefreshTokenStored { by },
            Err(error) => Record::RefreshTokenNotPersisted { error },
        }));
    }
}

/// The value of `grant_type` (RFC 6749 4, RFC 7522 2.1).
fn grant_type(proof: Proof) -> &'static str {
    match proof {
        Proof::Code => "authorization_code",
        Proof::RefreshToken => "refresh_token",
        Proof::ClientCredentials => "client_credentials",
        Proof::Assertion => "saml2_bearer",
        // Nothing is sent without one.
        Proof::Missing => "",
    }
}

/// The value of `client.authentication`.
fn authentication(by: ClientAuthentication) -> &'static str {
    match by {
        ClientAuthentication::Basic => "basic",
        ClientAuthentication::None => "none",
        ClientAuthentication::PrivateKeyJwt => "private_key_jwt",
        ClientAuthentication::Tls => "tls",
    }
}
