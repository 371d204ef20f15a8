//! The scope check: required ⊆ granted, exact match, order kept.

use serde_json::Value;

use super::http::{Body, Method, Purpose, Reply, Request};
use super::jwt::{self, Claims, Jwt};
use super::oauth::{Granted, Proof};
use super::token::Token;
use crate::audit::{ScopeAudit, ScopeResult};
use crate::config::settings::{Profile, Settings, UnknownScopes};
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

/// What is known of a token's scopes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants {
    /// Granted scopes in the token's order; `None` when they cannot be known.
    pub scopes: Option<Vec<String>>,
    /// The token has three parts and is no JWT.
    pub malformed: bool,
    /// `client_id` claim.
    pub client_id: Option<String>,
    /// `exp − iat` in milliseconds.
    pub lifetime_ms: Option<u64>,
}

/// Reads what a token grants: its `scope`/`scp` claim, else `scope` of the token response.
pub fn grants(token: &str, response_scope: Option<&str>, max_bytes: usize) -> Grants {
    let answered = || response_scope.map(jwt::split);
    match jwt::read(token, max_bytes) {
        Jwt::Claims(Claims { scopes, client_id, lifetime_ms }) => {
            Grants { scopes: scopes.or_else(answered), malformed: false, client_id, lifetime_ms }
        }
        Jwt::Malformed => Grants { malformed: true, ..Grants::default() },
        Jwt::Opaque => Grants { scopes: answered(), ..Grants::default() },
    }
}

/// What the answer says of the scopes of an opaque token. Those of client credentials do not apply in Genesys Cloud.
pub fn answered(granted: &Granted, proof: Proof) -> Option<Vec<String>> {
    let scope = granted.scope.as_deref().filter(|_| proof != Proof::ClientCredentials);
    scope.map(jwt::split).filter(|scopes| !scopes.is_empty())
}

/// What `GET /api/v2/tokens/me` says of a token's scopes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// `authorizedScope`.
    Known(Vec<String>),
    /// Nothing.
    Unknown,
    /// The token is not accepted.
    Refused,
}

/// The question. It does not count as a use of the token, which would keep an idle session alive.
pub fn probe(settings: &Settings, access_token: &Secret, timeout_ms: u64) -> Request {
    tokens_me(Method::Get, "?preserveIdleTTL=true", settings, access_token, timeout_ms)
}

/// The request that revokes the token it is made with.
pub fn revoke(settings: &Settings, access_token: &Secret, timeout_ms: u64) -> Request {
    tokens_me(Method::Delete, "", settings, access_token, timeout_ms)
}

fn tokens_me(method: Method, query: &str, settings: &Settings, access_token: &Secret, timeout_ms: u64) -> Request {
    Request {
        purpose: Purpose::Api,
        method,
        url: format!("{}/api/v2/tokens/me{query}", settings.api_url.trim_end_matches('/')),
        authorization: Secret::new(format!("Bearer {}", access_token.expose())),
        body: Body::None,
        timeout_ms,
    }
}

/// What the answer says.
pub fn read_probe(reply: &Reply) -> Probe {
    let body = || serde_json::from_slice::<Value>(&reply.body).ok();
    match reply.status {
        401 => Probe::Refused,
        200 => body().and_then(|body| authorized_scope(&body)).map_or(Probe::Unknown, Probe::Known),
        _ => Probe::Unknown,
    }
}

/// Whose token it is, as the same answer says.
pub fn organisation(reply: &Reply) -> Option<String> {
    let body = serde_json::from_slice::<Value>(&reply.body).ok().filter(|_| reply.status == 200)?;
    body.get("organization")?.get("id")?.as_str().map(str::to_owned)
}

fn authorized_scope(body: &Value) -> Option<Vec<String>> {
    let list = body.get("authorizedScope")?.as_array()?;
    list.iter().map(|scope| scope.as_str().map(str::to_owned)).collect()
}

/// Compares, and makes the audit payload. The error says what a denial is about.
pub fn check(grants: &Grants, required: &[String], unknown: UnknownScopes) -> (ScopeAudit, Result<(), Error>) {
    let granted = grants.scopes.clone().unwrap_or_default();
    let missing: Vec<String> = required.iter().filter(|name| !granted.contains(name)).cloned().collect();
    let denial = denial(grants, &missing, unknown);
    let result = match (&denial, grants.malformed) {
        (_, true) => ScopeResult::InvalidTokenStructure,
        (None, _) => ScopeResult::Allowed,
        (Some(_), _) => ScopeResult::Denied,
    };
    // What cannot be known is not missing, once the policy lets it pass.
    let missing = if result == ScopeResult::Allowed { Vec::new() } else { missing };
    let client_id = grants.client_id.clone().unwrap_or_else(|| "unknown".to_owned());
    let audit = ScopeAudit { result, required: required.to_vec(), granted, missing, client_id };
    (audit, denial.map_or(Ok(()), Err))
}

/// Whether a token of a source that others share is one that this client may use.
pub fn check_token(token: &Token, settings: &Settings) -> (ScopeAudit, Result<(), Error>) {
    let grants = grants_of(token, settings);
    check(&grants, &settings.required_scopes, settings.unknown_scopes)
}

/// What is known of a token that is in force.
pub fn grants_of(token: &Token, settings: &Settings) -> Grants {
    let claimed = match settings.profile {
        Profile::AuthMessage => grants(token.access_token.expose(), None, settings.max_token_bytes),
        Profile::Notifications => Grants::default(),
    };
    // What the token does not say itself, the answer that brought it has.
    Grants { scopes: token.scopes.clone(), ..claimed }
}

fn denial(grants: &Grants, missing: &[String], unknown: UnknownScopes) -> Option<Error> {
    let error = |code, text: String| {
        Some(Error::new(code, Stage::Scopes, text).with(|detail| detail.missing_scopes = missing.to_vec()))
    };
    if grants.malformed {
        return error(Code::TokenMalformed, String::new());
    }
    match (&grants.scopes, unknown) {
        _ if missing.is_empty() => None,
        (None, UnknownScopes::Allow) => None,
        (None, UnknownScopes::Deny) => error(Code::ScopeUnknown, format!("Required: {}.", missing.join(", "))),
        (Some(_), _) => error(Code::ScopeDenied, format!("Missing: {}.", missing.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        jwt::split(text)
    }

    fn known(text: &str) -> Grants {
        Grants { scopes: Some(names(text)), ..Grants::default() }
    }

    #[test]
    fn order_is_kept_and_case_matters() {
        let (audit, outcome) = check(&known("b a"), &names("c a B"), UnknownScopes::Deny);
        assert_eq!(audit.missing, names("c B"));
        assert_eq!(audit.granted, names("b a"));
        assert_eq!(audit.result, ScopeResult::Denied);
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), Code::ScopeDenied);
        assert_eq!(error.detail().missing_scopes, names("c B"));
    }

    #[test]
    fn nothing_required_is_always_allowed_but_for_a_malformed_token() {
        for grants in [known(""), Grants::default()] {
            assert!(check(&grants, &[], UnknownScopes::Deny).1.is_ok());
        }
        let malformed = Grants { malformed: true, ..Grants::default() };
        let (audit, outcome) = check(&malformed, &names("a"), UnknownScopes::Allow);
        assert_eq!(audit.result, ScopeResult::InvalidTokenStructure);
        assert_eq!(audit.missing, names("a"));
        assert_eq!(outcome.unwrap_err().code(), Code::TokenMalformed);
    }

    #[test]
    fn unknown_scopes_follow_the_policy() {
        let denied = check(&Grants::default(), &names("a"), UnknownScopes::Deny);
        assert_eq!(denied.1.unwrap_err().code(), Code::ScopeUnknown);
        let allowed = check(&Grants::default(), &names("a"), UnknownScopes::Allow);
        assert_eq!(allowed.0.result, ScopeResult::Allowed);
        assert!(allowed.1.is_ok() && allowed.0.missing.is_empty());
    }

    #[test]
    fn the_claim_comes_before_the_answer() {
        assert_eq!(grants("opaque", Some("a b"), 100).scopes, Some(names("a b")));
        assert_eq!(grants("opaque", None, 100).scopes, None);
        assert!(grants("a.b.c", Some("a"), 100).malformed);
        // {"alg":"x"} . {"scope":"z"}
        assert_eq!(grants("eyJhbGciOiJ4In0.eyJzY29wZSI6InoifQ.s", Some("a"), 100).scopes, Some(names("z")));
    }
}
