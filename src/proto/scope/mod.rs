//! The scope check: required ⊆ granted, exact match, order kept. The one place where scopes are judged: for a client's first
//! token and every renewal, for the clients of a shared source, for a subscription, and for `gwa_scopes_check`.

mod change;
mod sources;

use serde_json::Value;

pub use self::change::Grant;
pub use self::sources::Sources;

use super::http::{Body, Method, Purpose, Reply, Request};
use super::jwt::{self, Claims, Jwt};
use super::oauth::{Granted, Proof};
use super::token::Token;
use crate::audit::{ScopeAudit, ScopeResult, Trust};
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

/// What a comparison comes to, before the policy is asked about what is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Everything required is granted.
    Ok,
    /// These are not, in the order in which they are required; of a malformed token all of them.
    Missing(Vec<String>),
    /// Something is required, and nobody says what is granted.
    Unknown,
}

impl Verdict {
    /// As `gwa_scopes_check` writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing(_) => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// A comparison, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// What it comes to.
    pub verdict: Verdict,
    /// The audit payload.
    pub audit: ScopeAudit,
    /// Whether the token may be used; if not, what the denial is about.
    pub outcome: Result<(), Error>,
}

/// Reads what a token grants by itself and by what is known of it from elsewhere: see [`Sources`].
pub fn grants(token: &str, others: Sources, max_bytes: usize) -> Grants {
    match jwt::read(token, max_bytes) {
        Jwt::Claims(Claims { scopes, client_id, lifetime_ms }) => {
            let scopes = Sources { claimed: scopes, ..others }.resolve();
            Grants { scopes, malformed: false, client_id, lifetime_ms }
        }
        Jwt::Malformed => Grants { malformed: true, ..Grants::default() },
        Jwt::Opaque => Grants { scopes: others.resolve(), ..Grants::default() },
    }
}

/// What a token grants that was just granted by this answer. In the profile `notifications` tokens are opaque: they are not
/// looked into, unless they are verified. Who vouches for a token by introspection need not make it a JWT.
pub fn of_answer(granted: &Granted, proof: Proof, trust: Trust, others: Sources, settings: &Settings) -> Grants {
    let (answered, reads) = match settings.profile {
        Profile::AuthMessage => (granted.scope.as_deref().map(jwt::split), true),
        Profile::Notifications => (answered(granted, proof), false),
    };
    let all = Sources { answered, ..others };
    let read = reads.then(|| grants(granted.access_token.expose(), all.clone(), settings.max_token_bytes));
    let vouched = trust == Trust::Introspected;
    let opaque = || Grants { scopes: all.resolve(), ..Grants::default() };
    read.filter(|grants| !(vouched && grants.malformed)).unwrap_or_else(opaque)
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

/// Compares, and makes the audit payload.
pub fn check(grants: &Grants, required: &[String], unknown: UnknownScopes) -> Checked {
    let verdict = verdict(grants, required);
    let denial = denial(grants, &verdict, required, unknown);
    let result = match (&denial, grants.malformed) {
        (_, true) => ScopeResult::InvalidTokenStructure,
        (None, _) => ScopeResult::Allowed,
        (Some(_), _) => ScopeResult::Denied,
    };
    // What cannot be known is not missing, once the policy lets it pass.
    let missing = denial.as_ref().map(|error| error.detail().missing_scopes.clone()).unwrap_or_default();
    let client_id = grants.client_id.clone().unwrap_or_else(|| "unknown".to_owned());
    let granted = grants.scopes.clone().unwrap_or_default();
    let audit = ScopeAudit { result, required: required.to_vec(), granted, missing, client_id };
    Checked { verdict, audit, outcome: denial.map_or(Ok(()), Err) }
}

fn verdict(grants: &Grants, required: &[String]) -> Verdict {
    let missing = |granted: &[String]| required.iter().filter(|name| !granted.contains(name)).cloned().collect();
    match &grants.scopes {
        _ if grants.malformed => Verdict::Missing(required.to_vec()),
        _ if required.is_empty() => Verdict::Ok,
        None => Verdict::Unknown,
        Some(granted) => match missing(granted) {
            none if Vec::is_empty(&none) => Verdict::Ok,
            some => Verdict::Missing(some),
        },
    }
}

/// Whether a token of a source that others share is one that this client may use.
pub fn check_token(token: &Token, settings: &Settings) -> Checked {
    let grants = grants_of(token, settings);
    check(&grants, &settings.required_scopes, settings.unknown_scopes)
}

/// Whether an error is a denial for a token's scopes.
pub fn is_denial(error: &Error) -> bool {
    matches!(error.code(), Code::ScopeDenied | Code::ScopeUnknown | Code::TokenMalformed)
}

/// What is known of a token that is in force.
pub fn grants_of(token: &Token, settings: &Settings) -> Grants {
    let claimed = match settings.profile {
        Profile::AuthMessage => grants(token.access_token.expose(), Sources::default(), settings.max_token_bytes),
        Profile::Notifications => Grants::default(),
    };
    // Who vouches for a token by introspection need not make it a JWT.
    let claimed = Some(claimed).filter(|grants| !(token.trust == Trust::Introspected && grants.malformed));
    // What the token does not say itself, the answer that brought it has.
    Grants { scopes: token.scopes.clone(), ..claimed.unwrap_or_default() }
}

fn denial(grants: &Grants, verdict: &Verdict, required: &[String], unknown: UnknownScopes) -> Option<Error> {
    let error = |code, text: String, missing: &[String]| {
        Some(Error::new(code, Stage::Scopes, text).with(|detail| detail.missing_scopes = missing.to_vec()))
    };
    if grants.malformed {
        return error(Code::TokenMalformed, String::new(), required);
    }
    match (verdict, unknown) {
        (Verdict::Ok, _) | (Verdict::Unknown, UnknownScopes::Allow) => None,
        (Verdict::Unknown, UnknownScopes::Deny) => {
            error(Code::ScopeUnknown, format!("Required: {}.", required.join(", ")), required)
        }
        (Verdict::Missing(missing), _) => {
            error(Code::ScopeDenied, format!("Missing: {}.", missing.join(", ")), missing)
        }
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
        let Checked { verdict, audit, outcome } = check(&known("b a"), &names("c a B"), UnknownScopes::Deny);
        assert_eq!(verdict, Verdict::Missing(names("c B")));
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
            let checked = check(&grants, &[], UnknownScopes::Deny);
            assert_eq!((checked.verdict, checked.outcome), (Verdict::Ok, Ok(())));
        }
        let malformed = Grants { malformed: true, ..Grants::default() };
        let Checked { verdict, audit, outcome } = check(&malformed, &names("a"), UnknownScopes::Allow);
        assert_eq!(verdict, Verdict::Missing(names("a")));
        assert_eq!(audit.result, ScopeResult::InvalidTokenStructure);
        assert_eq!(audit.missing, names("a"));
        assert_eq!(outcome.unwrap_err().code(), Code::TokenMalformed);
    }

    #[test]
    fn unknown_scopes_follow_the_policy() {
        let denied = check(&Grants::default(), &names("a"), UnknownScopes::Deny);
        assert_eq!(denied.verdict, Verdict::Unknown);
        assert_eq!(denied.outcome.unwrap_err().code(), Code::ScopeUnknown);
        let allowed = check(&Grants::default(), &names("a"), UnknownScopes::Allow);
        assert_eq!((allowed.verdict, allowed.audit.result), (Verdict::Unknown, ScopeResult::Allowed));
        assert!(allowed.outcome.is_ok() && allowed.audit.missing.is_empty());
    }

    #[test]
    fn the_claim_comes_before_the_answer() {
        let read = |token, answered: Option<&str>| {
            grants(token, Sources { answered: answered.map(names), ..Sources::default() }, 100)
        };
        assert_eq!(read("opaque", Some("a b")).scopes, Some(names("a b")));
        assert_eq!(read("opaque", None).scopes, None);
        assert!(read("a.b.c", Some("a")).malformed);
        // {"alg":"x"} . {"scope":"z"}
        assert_eq!(read("eyJhbGciOiJ4In0.eyJzY29wZSI6InoifQ.s", Some("a")).scopes, Some(names("z")));
    }

    /// Profile, token, how the right was proved, response, `tokens/me`: what is granted.
    #[test]
    fn who_is_asked_in_which_profile() {
        // {"alg":"x"} . {"scope":"z"}
        let (jwt, opaque) = ("eyJhbGciOiJ4In0.eyJzY29wZSI6InoifQ.s", "opaque");
        let (message, platform) = (Profile::AuthMessage, Profile::Notifications);
        let (by_client, by_refresh) = (Proof::ClientCredentials, Proof::RefreshToken);
        for (profile, token, proof, answered, probed, granted) in [
            (message, jwt, by_client, Some("a"), None, Some("z")),
            (message, opaque, by_client, Some("a"), None, Some("a")),
            (message, opaque, by_client, None, None, None),
            (message, opaque, by_refresh, Some(""), None, Some("")),
            (platform, jwt, by_refresh, None, None, None),
            (platform, opaque, by_refresh, Some("a"), Some("b"), Some("a")),
            (platform, opaque, by_refresh, None, Some("b"), Some("b")),
            (platform, opaque, by_refresh, Some(""), None, None),
            (platform, opaque, by_client, Some("a"), None, None),
        ] {
            let answer = Granted {
                access_token: Secret::new(token.into()),
                token_type: "bearer".into(),
                expires_in_ms: None,
                refresh_token: None,
                scope: answered.map(str::to_owned),
            };
            let others = Sources { probed: probed.map(names), ..Sources::default() };
            let settings = Settings { profile, ..Settings::default() };
            let grants = of_answer(&answer, proof, Trust::Unverified, others, &settings);
            assert_eq!(grants.scopes, granted.map(names), "{profile:?} {token} {proof:?} {answered:?} {probed:?}");
        }
    }
}
