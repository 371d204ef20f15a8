//! What a request proves: an assertion that somebody else signs, a code that a person gets, and what is left of a proof that
//! was refused.

use super::{News, Output, Phase, Refresher, UNAUTHORIZED_BEFORE_ASKING};
use crate::config::settings::{ClientAuthentication, Grant};
use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::proto::http::{Purpose, Request};
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::{self, assertion, Authorization, Proof};
use crate::proto::pkce::Fresh;
use crate::proto::time::Now;
use crate::secret::Secret;

/// An assertion that was refused is made anew when the server's clock turns out to be so far from where it was thought.
const CLOCK_DOUBT_MS: u64 = 5_000;

impl Refresher {
    /// Whether texts that nobody may guess have been used up: [`Refresher::refill`] brings the next.
    pub fn wants_fresh(&self) -> bool {
        self.fresh.is_none()
    }

    /// Texts that nobody may guess, for the next question or assertion.
    pub fn refill(&mut self, fresh: Fresh) {
        self.fresh = Some(fresh);
    }

    /// Sends the request, with `private_key_jwt` as soon as its assertion is there: each has one of its own.
    pub(super) fn begin_request(&mut self, now: Now, request: Request) {
        self.epoch += 1;
        self.requested = now;
        self.requested_version = self.credentials_version;
        self.pin.request();
        self.requested_proof = oauth::proof(&self.settings, &self.credentials);
        self.requested_refresh = self.credentials.refresh_token.clone();
        self.requested_ahead_ms = self.ahead_ms;
        self.set_phase(Phase::Fetching { asked: None }, None);
        self.out.push_back(Output::News(News::Fetching));
        match self.settings.authentication {
            ClientAuthentication::PrivateKeyJwt => self.ask_to_sign(now, request),
            _ => self.send(request),
        }
    }

    /// The request waits for its assertion.
    pub(super) fn ask_to_sign(&mut self, now: Now, request: Request) {
        let Some(fresh) = self.fresh.take() else {
            let error = Error::new(Code::Internal, Stage::Token, "The system has no entropy to give.");
            return self.not_signed(now, error);
        };
        let server_ms =
            now.wall_ms.saturating_add_signed(if active(Mutant::OwnClockSigned) { 0 } else { self.ahead_ms });
        let claims = assertion::claims(&self.settings, &fresh.id, server_ms);
        self.unsigned = Some(request);
        self.out.push_back(Output::Sign { epoch: self.epoch, claims });
    }

    pub(super) fn signed(&mut self, now: Now, epoch: u64, outcome: Result<Secret, Error>) {
        match (self.unsigned.take_if(|_| epoch == self.epoch), outcome) {
            (Some(request), Ok(signed)) if request.purpose == Purpose::Introspection => {
                self.ask_issuer(assertion::with_assertion(request, &signed));
            }
            (Some(request), Ok(signed)) => self.send(assertion::with_assertion(request, &signed)),
            (Some(_), Err(error)) => self.not_signed(now, error),
            (None, _) => self.senseless += 1,
        }
    }

    fn not_signed(&mut self, now: Now, error: Error) {
        match self.phase {
            Phase::Checking(..) => self.checked(now, Err(error)),
            _ => self.failed(now, error),
        }
    }

    fn send(&mut self, request: Request) {
        self.requested_secrets = oauth::secrets_of(&request, &self.credentials);
        self.record_request();
        self.out.push_back(Output::Http { epoch: self.epoch, request });
    }

    /// What is missing when there is nothing to prove our right with.
    pub(super) fn no_proof(&self) -> Error {
        let text = match self.settings.grant {
            Grant::Saml2Bearer => "token.saml_assertion has been refused: the next one is awaited.",
            _ => "The grant needs a refresh token or an authorization code, and there is none.",
        };
        Error::new(Code::ReauthRequired, Stage::Token, text)
    }

    /// A SAML assertion that was refused is not sent again.
    pub(super) fn drop_assertion(&mut self, error: &Error) {
        if self.requested_proof == Proof::Assertion && error.code() == Code::InvalidGrant {
            self.credentials.saml_assertion.take_if(|_| !active(Mutant::AssertionTwice));
        }
    }

    /// The assertion was made by a clock that the refusal itself has corrected: another one is of use, once until the next
    /// token.
    pub(super) fn was_out_of_time(&mut self, error: &Error) -> bool {
        let corrected = self.ahead_ms.abs_diff(self.requested_ahead_ms) > CLOCK_DOUBT_MS;
        let signed = self.settings.authentication == ClientAuthentication::PrivateKeyJwt;
        let again = signed && corrected && error.code() == Code::Unauthorized && !self.has_corrected_clock;
        self.has_corrected_clock |= again;
        again
    }

    /// Whether the application is to get a code after this refusal. Not for one that it has just got: that would go on
    /// for ever. An assertion comes by another way.
    pub(super) fn calls_for_code(&self, error: &Error) -> bool {
        let had_code = self.requested_proof == Proof::Code;
        let refused = self.unauthorized >= UNAUTHORIZED_BEFORE_ASKING || error.code() == Code::InvalidGrant;
        refused && (!had_code || active(Mutant::AsksForEver)) && self.settings.grant != Grant::Saml2Bearer
    }

    pub(super) fn ask_for_code(&mut self, now: Now) {
        let can_ask = self.can_ask && self.settings.grant != Grant::Saml2Bearer;
        let Phase::Blocked { asked, .. } = &mut self.phase else { return };
        if !can_ask || asked.is_some() || active(Mutant::NeverAsks) {
            return;
        }
        self.asks += 1;
        *asked = Some(self.asks);
        self.wake_ms = Some(now.boot_ms + self.settings.authorize_timeout_ms);
        let authorization = self.authorization();
        self.out.push_back(Output::Ask { id: self.asks, question: Question::AuthorizationCode(authorization) });
    }

    /// Of the texts that nobody may guess the URL shows the challenge and the state; the verifier stays here.
    fn authorization(&mut self) -> Authorization {
        let Some(fresh) = self.fresh.take() else { return Authorization::default() };
        let authorization = Authorization::new(&self.settings, &fresh);
        self.credentials.verifier = Some(fresh.verifier).filter(|_| self.settings.pkce);
        authorization
    }
}
