//! What an issuer says of a token when it is asked (RFC 7662): for tokens that say nothing themselves.
//!
//! The question is [`super::oauth::introspection`]: the token travels in its body, never in a URL. Nothing of the answer but `active` has to be there, except what the
//! settings ask for; what is there is judged as the claims of a signed token are.

use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::http::Reply;
use super::identity::Identity;
use super::jose::{self, Refusal};
use super::jwt;
use super::oauth::LONG_WAIT_MS;
use super::retry_after;
use crate::config::settings::{Settings, Verification};
use crate::error::{Code, Error, Stage};
use crate::proto::mutant::{active, Mutant};

/// What the issuer says of an active token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Introspected {
    /// `scope`, if it is there.
    pub scopes: Option<Vec<String>>,
    /// `sub`, `client_id` and the organisation.
    pub identity: Identity,
    /// How much longer it lives, if `exp` is there.
    pub left_ms: Option<u64>,
}

/// What the answer means, by the issuer's clock (RFC 7662 2.2).
pub fn read(mut reply: Reply, settings: &Settings, wall_ms: u64) -> Result<Introspected, Error> {
    let claims = jose::object(&reply.body);
    reply.body.zeroize();
    if reply.status != 200 {
        return Err(refused(&reply, wall_ms));
    }
    let claims = claims.ok_or_else(|| unanswered("The answer is no JSON object.".into()))?;
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) if active(Mutant::InactiveTaken) => {}
        Some(Value::Bool(false)) => {
            let text = "The issuer says that the token is not active (RFC 7662 2.2).";
            return Err(Error::new(Code::TokenUnverified, Stage::Token, text));
        }
        _ => return Err(unanswered("The answer does not say whether the token is active.".into())),
    }
    said(&claims, settings, wall_ms).map_err(Refusal::error)
}

fn said(claims: &Map<String, Value>, settings: &Settings, wall_ms: u64) -> Result<Introspected, Refusal> {
    let Verification { issuer, audience, leeway_ms, .. } = &settings.verification;
    let expires_ms = time(claims, "exp")?;
    let latest_ms = wall_ms.saturating_add(*leeway_ms);
    if expires_ms.is_some_and(|expires| wall_ms >= expires.saturating_add(*leeway_ms)) {
        return Err(Refusal::Expired);
    }
    if time(claims, "nbf")?.is_some_and(|begins| begins > latest_ms) {
        return Err(Refusal::NotYetValid);
    }
    if time(claims, "iat")?.is_some_and(|issued| issued > latest_ms) {
        return Err(Refusal::FromTheFuture);
    }
    let (from, to) = (texts(claims, "iss")?, texts(claims, "aud")?);
    let has = |wanted: &String, given: Option<Vec<String>>, wrong| match given {
        _ if wanted.is_empty() => Ok(()),
        None => Err(Refusal::ClaimMissing),
        Some(given) if given.contains(wanted) => Ok(()),
        Some(_) => Err(wrong),
    };
    has(issuer, from, Refusal::Issuer)?;
    has(audience, to, Refusal::Audience)?;
    let scopes = texts(claims, "scope")?;
    Ok(Introspected {
        // RFC 7662 2.2: one text; some have an array.
        scopes: scopes.map(|scopes| scopes.iter().flat_map(|text| jwt::split(text)).collect()),
        identity: Identity::of_claims(claims),
        left_ms: expires_ms.map(|expires| expires.saturating_sub(wall_ms)),
    })
}

/// A text, or an array of them.
fn texts(claims: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(vec![text.clone()])),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or(Refusal::ClaimType))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(Refusal::ClaimType),
    }
}

/// A NumericDate (RFC 7519 2) in milliseconds.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().ok_or(Refusal::ClaimType)?;
            // A cast saturates.
            if seconds >= 0.0 {
                Ok(Some((seconds * 1_000.0) as u64))
            } else {
                Err(Refusal::Time)
            }
        }
    }
}

fn refused(reply: &Reply, wall_ms: u64) -> Error {
    let asked = reply.retry_after.as_deref().and_then(|text| retry_after::read(text, reply.date.as_deref(), wall_ms));
    unanswered(format!("HTTP {}.", reply.status)).with(|detail| {
        detail.http_status = reply.status;
        detail.retry_after_ms = asked.map(|ms| ms.min(LONG_WAIT_MS));
    })
}

fn unanswered(text: String) -> Error {
    Error::new(Code::Introspection, Stage::Token, text)
}

/// Why there is no answer, in the words of whoever knows.
pub fn unavailable(error: Error) -> Error {
    error.with(|detail| {
        detail.message = format!("{} {}", detail.code.text(), detail.message).trim_end().to_owned();
        (detail.code, detail.stage, detail.fatal) = (Code::Introspection, Stage::Token, false);
    })
}
