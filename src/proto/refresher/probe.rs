//! The scopes of an opaque token (profile `notifications`): from the answer that brought it, else from
//! `GET /api/v2/tokens/me`, else unknown.
//!
//! Asked only when scopes are required, or may be by those who share the token, and never of client credentials, whose rights come from roles. An answer that does
//! not come, or says nothing, leaves them unknown; only 401 refuses the token.

use super::grant::Arrival;
use super::phase::Check;
use super::{Output, Phase, Refresher};
use crate::config::settings::{Grant, Profile};
use crate::error::{Code, Error, Stage};
use crate::proto::http;
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::Proof;
use crate::proto::scope::{self, Probe};
use crate::proto::time::Now;

impl Refresher {
    pub(super) fn must_probe(&self, arrival: &Arrival) -> bool {
        let is_opaque = self.settings.profile == Profile::Notifications && !self.settings.api_url.is_empty();
        let by_roles = self.requested_by_roles() && !active(Mutant::RolesProbed);
        is_opaque
            && (self.shares || !self.settings.required_scopes.is_empty())
            && arrival.said_scopes.is_none()
            && scope::answered(&arrival.granted, self.requested_proof).is_none()
            && !by_roles
    }

    fn requested_by_roles(&self) -> bool {
        self.settings.grant != Grant::Application && self.requested_proof == Proof::ClientCredentials
    }

    pub(super) fn probe(&mut self, now: Now, arrival: Box<Arrival>) {
        let timeout_ms = self.question_ms(now, &arrival, self.settings.api_timeout_ms);
        let request = scope::probe(&self.settings, &arrival.granted.access_token, timeout_ms);
        self.epoch += 1;
        self.set_phase(Phase::Checking(Check::Scopes, arrival), None);
        self.out.push_back(Output::Http { epoch: self.epoch, request });
    }

    pub(super) fn probed(&mut self, now: Now, outcome: http::Outcome, mut arrival: Box<Arrival>) {
        if let Some(organisation) = outcome.as_ref().ok().and_then(scope::organisation) {
            arrival.identity.organisation.get_or_insert(organisation);
        }
        match outcome.map_or(Probe::Unknown, |reply| scope::read_probe(&reply)) {
            Probe::Refused if !active(Mutant::ProbeRefusalIgnored) => {
                let error =
                    Error::new(Code::TokenRevoked, Stage::Scopes, "GET /api/v2/tokens/me was answered with 401.");
                let error = error.with(|detail| detail.http_status = 401);
                self.turned_down(now, arrival.rotated.take(), error);
            }
            // A token of the application's own may be one of client credentials, which has none.
            Probe::Known(scopes) if !(scopes.is_empty() && self.settings.grant == Grant::Application) => {
                arrival.probed = Some(scopes);
                self.finish(now, *arrival);
            }
            Probe::Known(_) | Probe::Refused | Probe::Unknown => self.finish(now, *arrival),
        }
    }
}
