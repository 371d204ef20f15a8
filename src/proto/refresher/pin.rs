//! Whom tokens are about: a renewal is about whom the token before it was about, unless it was asked for with a login that
//! came after that token's.
//!
//! A refresh token that comes with somebody else's token is somebody else's too. Kept, it would make us that somebody at the
//! next start, when nobody is known yet. So it is neither stored nor handed to the application where the token itself says
//! whom it is about; where only the issuer or the API does, the refresh token of before is put back. A server that rotates
//! has spent that one, and says so when it is asked again: a person has to act then, as for any refresh token that is over.

use super::grant::Arrival;
use super::{Output, Refresher};
use crate::audit::{Record, Trust};
use crate::config::settings::{Profile, Verify};
use crate::error::{Code, Error, Stage};
use crate::proto::identity::Identity;
use crate::proto::jwt;
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::Granted;
use crate::proto::time::Now;
use crate::secret::Secret;

/// Whom the tokens are about, as far as is known, and whose login says so. Logins are numbered.
#[derive(Debug, Default)]
pub(super) struct Pin {
    identity: Identity,
    pinned: u64,
    requested: u64,
    newest: u64,
}

impl Pin {
    /// What an earlier machine knew.
    pub(super) fn of(identity: Identity) -> Self {
        Self { identity, ..Self::default() }
    }

    /// A credential is handed over, or a code: the tokens that it brings may be somebody else's.
    pub(super) fn login(&mut self) {
        self.newest += 1;
    }

    /// A token is asked for with the newest login.
    pub(super) fn request(&mut self) {
        self.requested = self.newest;
    }

    /// What the next machine has to know.
    pub(super) fn known(&self) -> Identity {
        if self.newest == self.pinned {
            self.identity.clone()
        } else {
            Identity::default()
        }
    }

    fn is_free(&self) -> bool {
        self.requested > self.pinned && !active(Mutant::PinForEver)
    }

    fn differs(&self, identity: &Identity) -> Option<&'static str> {
        self.identity.differs(identity).filter(|_| !self.is_free())
    }

    fn take(&mut self, identity: Identity) {
        if self.is_free() {
            self.identity = Identity::default();
        }
        self.identity.learn(identity);
        self.pinned = if active(Mutant::OldCredentialPins) { self.newest } else { self.requested };
    }
}

impl Refresher {
    /// Somebody logs in anew.
    pub(super) fn login(&mut self) {
        self.pin.login();
        self.denial_is_over();
    }

    /// What is known of it, however that came to be known: who is asked has the last word.
    pub(super) fn identity_of(&self, arrival: &mut Arrival) -> Identity {
        let mut known = match arrival.trust {
            Trust::Introspected if active(Mutant::ClaimsForgotten) => Identity::default(),
            Trust::Unverified | Trust::Introspected => self.claimed(&arrival.granted),
            Trust::Verified => Identity::default(),
        };
        known.learn(std::mem::take(&mut arrival.identity));
        known
    }

    /// What the token says itself.
    fn claimed(&self, granted: &Granted) -> Identity {
        let claims = jwt::payload(granted.access_token.expose(), self.settings.max_token_bytes);
        claims.map(|claims| Identity::of_claims(&claims)).unwrap_or_default()
    }

    /// Whether the token says itself that it is somebody else's, before anything is stored that came with it.
    pub(super) fn check_claimed(&mut self, granted: &Granted) -> Result<(), Error> {
        let by = self.settings.verification.by;
        // What the issuer says of it comes before that.
        if by == Verify::Introspection || active(Mutant::StrangersRefreshKept) {
            return Ok(());
        }
        let mut claimed = self.claimed(granted);
        // So does what the API says of the organisation.
        claimed.organisation.take_if(|_| by == Verify::Off && self.settings.profile == Profile::Notifications);
        self.check_identity(&claimed)
    }

    /// A renewal is about whom the token before it was about, unless a credential has been replaced since.
    pub(super) fn check_identity(&mut self, identity: &Identity) -> Result<(), Error> {
        let pins = self.settings.verification.pins_identity && !active(Mutant::IdentityUnpinned);
        let Some(claim) = self.pin.differs(identity).filter(|_| pins) else { return Ok(()) };
        self.out.push_back(Output::Audit(Record::IdentityChanged { claim }));
        let text = format!("{claim} is another one.");
        Err(Error::new(Code::IdentityChanged, Stage::Token, text))
    }

    /// The token is in force.
    pub(super) fn pin_identity(&mut self, identity: Identity) {
        self.pin.take(identity);
    }

    /// The token turned out to be somebody else's after its refresh token had been taken over: the one of before is put
    /// back, unless the application has replaced it meanwhile.
    pub(super) fn disowned(&mut self, now: Now, mut arrival: Arrival, rotated: Option<Secret>, error: Error) {
        let is_held = rotated.is_some() && self.credentials.refresh_token == rotated;
        if !is_held || active(Mutant::StrangersRefreshKept) {
            return self.failed(now, error);
        }
        self.credentials.refresh_token.clone_from(&self.requested_refresh);
        match self.requested_refresh.clone().filter(|_| self.has_store()) {
            Some(refresh_token) => {
                arrival.refused = Some(error);
                self.store(Box::new(arrival), refresh_token);
            }
            None => self.failed(now, error),
        }
    }
}
