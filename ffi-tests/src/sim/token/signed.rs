//! Access tokens that can be verified (RFC 9068), and what is said of tokens to whoever asks (RFC 7662).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

use super::{override_with, refusal, Ledger, Refusal};
use crate::sim::http::{form_field, Answer, Incoming};
use crate::sim::issuer::SignAlg;
use crate::sim::policy::{Issue, TokenForm};

impl Ledger {
    /// What `iss` says.
    pub(crate) fn issuer(&self) -> String {
        self.policy.issuer.clone().unwrap_or_else(|| self.base.clone())
    }

    /// RFC 9068 2: `typ` is `at+jwt`, and `aud` names the resource.
    pub(super) fn signed_jwt(&mut self, algorithm: SignAlg, lifetime: Duration, scope: &str, issue: &Issue) -> String {
        let mut claims = self.claims(lifetime, scope);
        claims["iss"] = json!(self.issuer());
        claims["aud"] = json!(self.policy.audience);
        claims["nbf"] = claims["iat"].clone();
        override_with(&mut claims, &issue.claims);
        let mut header = json!({"typ": "at+jwt"});
        for (name, value) in &issue.header {
            header[name] = value.clone().unwrap_or(Value::Null);
        }
        self.keys.sign(algorithm, &header, &claims, issue.forgery)
    }

    /// The JWK Set; the key that the next token will be signed with is in it, unless that was taken out.
    pub(crate) fn published(&mut self) -> Value {
        if let TokenForm::Signed(algorithm) = self.policy.form {
            self.keys.prepare(algorithm);
        }
        self.keys.published()
    }

    pub(crate) fn key_set(&mut self) -> Answer {
        let answer = Answer::new(200, "application/jwk-set+json", self.published().to_string());
        match &self.policy.keys_cache_control {
            Some(value) => answer.with("Cache-Control", value),
            None => answer,
        }
    }

    /// RFC 7662 2: whoever asks authenticates as at the token endpoint; what is not known is not active.
    pub(crate) fn introspect(&mut self, request: &Incoming, certificate: bool) -> Answer {
        if let Err(Refusal(status, error, why)) = self.check_request(request, certificate) {
            return refusal(status, error, why).with("WWW-Authenticate", "Basic");
        }
        let token = form_field(&request.body, "token").unwrap_or_default();
        let access = self.access.get(&token).filter(|access| Instant::now() < access.ends);
        let Some((access, issued)) = access.and_then(|access| Some((access, self.issued.get(access.issued)?))) else {
            return Answer::json(200, &json!({"active": false}));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let exp = now + access.ends.saturating_duration_since(Instant::now());
        Answer::json(
            200,
            &json!({
                "active": true,
                "scope": issued.scope,
                "client_id": issued.client_id,
                "sub": issued.client_id,
                "iss": self.issuer(),
                "aud": self.policy.audience,
                "token_type": "Bearer",
                "iat": (exp - issued.lifetime.min(exp)).as_secs(),
                "exp": exp.as_secs(),
            }),
        )
    }
}
