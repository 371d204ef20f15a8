//! What an issuer says of a token when it is asked (RFC 7662): for tokens that say nothing themselves.
//!
//! The question is [`super::oauth::introspection`]: the token travels in its body, never in a URL. Nothing of the answer but `active` has to be there, except what the
//! settings ask for; what is there is judged as the claims of a signed token are.

use serde_json::Value;
use zeroize::Zeroize;

use super::http::Reply;
use super::identity::{self, Identity};
use super::jose::{self, Claims, Refusal};
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
    said(&Claims::of_answer(claims), settings, wall_ms).map_err(Refusal::error)
}

fn said(claims: &Claims, settings: &Settings, wall_ms: u64) -> Result<Introspected, Refusal> {
    let Verification { issuer, audience, leeway_ms, .. } = &settings.verification;
    let expires_ms = claims.time("exp")?;
    let latest_ms = wall_ms.saturating_add(*leeway_ms);
    if expires_ms.is_some_and(|expires| wall_ms >= expires.saturating_add(*leeway_ms)) {
        return Err(Refusal::Expired);
    }
    if claims.time("nbf")?.is_some_and(|begins| begins > latest_ms) {
        return Err(Refusal::NotYetValid);
    }
    if claims.time("iat")?.is_some_and(|issued| issued > latest_ms) {
        return Err(Refusal::FromTheFuture);
    }
    let (from, to) = (claims.text("iss")?, claims.texts("aud", |text| vec![text.to_owned()])?);
    if !issuer.is_empty() && from.ok_or(Refusal::ClaimMissing)? != *issuer {
        return Err(Refusal::Issuer);
    }
    if !audience.is_empty() && !to.ok_or(Refusal::ClaimMissing)?.contains(audience) {
        return Err(Refusal::Audience);
    }
    let (client_id, authorized) = (claims.text("client_id")?, claims.text("azp")?);
    Ok(Introspected {
        // RFC 7662 2.2: one text; some have an array, whose items are names as they are.
        scopes: claims.texts("scope", jwt::split)?,
        identity: Identity {
            subject: claims.text("sub")?,
            client: client_id.or(authorized),
            organisation: claims.text(identity::ORGANISATION)?,
        },
        left_ms: expires_ms.map(|expires| expires.saturating_sub(wall_ms)),
    })
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
