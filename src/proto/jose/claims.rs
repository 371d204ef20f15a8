//! What an access token says, once it is known who says it (RFC 7519 4.1, RFC 9068 2.2 and 4).

use serde_json::{Map, Value};

use super::jws::{verify_signature, Verify};
use super::{json, Algorithm, KeySet, Refusal};
use crate::proto::jwt;

/// The end of the year 9999, in seconds since 1970.
const LATEST_S: f64 = 253_402_300_799.0;

/// `typ` of an access token of RFC 9068.
const ACCESS_TOKEN: &str = "at+jwt";

/// What RFC 9068 2.2 requires of such a token beside `exp`.
const REQUIRED: [&str; 6] = ["iss", "aud", "sub", "client_id", "iat", "jti"];

/// What a token has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Bytes of the whole token, at most.
    pub max_bytes: usize,
    /// The algorithms that are believed.
    pub algorithms: Vec<Algorithm>,
    /// `iss`, exactly; `None` is not checked.
    pub issuer: Option<String>,
    /// One of `aud`, exactly; `None` is not checked.
    pub audience: Option<String>,
    /// How far the issuer's clock may be from this machine's.
    pub leeway_ms: u64,
    /// The values of `typ` that are believed, without `application/`. `JWT` lets a token pass that has none.
    pub types: Vec<String>,
    /// The claim that names the organisation.
    pub organisation: String,
}

impl Default for Rules {
    /// Every algorithm, an access token of RFC 9068, a minute of leeway.
    fn default() -> Self {
        Self {
            max_bytes: 16 << 10,
            algorithms: Algorithm::ALL.to_vec(),
            issuer: None,
            audience: None,
            leeway_ms: 60_000,
            types: vec![ACCESS_TOKEN.to_owned()],
            organisation: "org".to_owned(),
        }
    }
}

/// What a token says that is believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// With which algorithm.
    pub algorithm: Algorithm,
    /// `sub`.
    pub subject: Option<String>,
    /// `client_id` (RFC 8693 4.3), else `azp` (OpenID Connect Core 2).
    pub client_id: Option<String>,
    /// The claim that [`Rules::organisation`] names.
    pub organisation: Option<String>,
    /// `scope` (string or array), else `scp`, in the token's order.
    pub scopes: Option<Vec<String>>,
    /// `exp`, in milliseconds since 1970.
    pub expires_ms: u64,
    /// `exp − iat`, if `iat` is there.
    pub lifetime_ms: Option<u64>,
}

/// Verifies an access token: signature, type and claims, at this time since 1970.
pub fn check(token: &str, keys: &KeySet, rules: &Rules, wall_ms: u64, verify: Verify) -> Result<Verified, Refusal> {
    let signed = verify_signature(token, rules.max_bytes, keys, &rules.algorithms, verify)?;
    let kind = media_type(signed.kind.as_deref());
    if !rules.types.iter().any(|allowed| media_type(Some(allowed)) == kind) {
        return Err(Refusal::TypeNotAllowed);
    }
    let claims = Claims(json::object(&signed.payload).map_err(Refusal::of_payload)?);
    if kind == ACCESS_TOKEN && REQUIRED.iter().any(|name| claims.0.get(*name).is_none_or(Value::is_null)) {
        return Err(Refusal::ClaimMissing);
    }
    let (expires_ms, issued_ms) = times(&claims, rules.leeway_ms, wall_ms)?;
    parties(&claims, rules)?;
    let (client_id, authorized) = (claims.text("client_id")?, claims.text("azp")?);
    Ok(Verified {
        algorithm: signed.algorithm,
        subject: claims.text("sub")?,
        client_id: client_id.or(authorized),
        organisation: claims.text(&rules.organisation)?,
        scopes: claims.scopes()?,
        expires_ms,
        lifetime_ms: issued_ms.map(|issued| expires_ms.saturating_sub(issued)),
    })
}

/// Lower case and without `application/`, which may be left out (RFC 7515 4.1.9). No `typ` says what `JWT` says.
fn media_type(kind: Option<&str>) -> String {
    let kind = kind.unwrap_or("JWT").to_ascii_lowercase();
    kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind)
}

/// `exp` and `iat`, when the token is good now.
fn times(claims: &Claims, leeway_ms: u64, wall_ms: u64) -> Result<(u64, Option<u64>), Refusal> {
    let expires = claims.time("exp")?.ok_or(Refusal::ClaimMissing)?;
    let (begins, issued) = (claims.time("nbf")?, claims.time("iat")?);
    let latest = wall_ms.saturating_add(leeway_ms);
    if wall_ms >= expires.saturating_add(leeway_ms) {
        return Err(Refusal::Expired);
    }
    if begins.is_some_and(|begins| begins > latest) {
        return Err(Refusal::NotYetValid);
    }
    if issued.is_some_and(|issued| issued > latest) {
        return Err(Refusal::FromTheFuture);
    }
    Ok((expires, issued))
}

/// `iss` and `aud` (RFC 9068 4, RFC 8725 3.8 and 3.9). They and `jti` are of the right type even where nobody asks for them.
fn parties(claims: &Claims, rules: &Rules) -> Result<(), Refusal> {
    claims.text("jti")?;
    let (issuer, audience) = (claims.text("iss")?, claims.texts("aud", |text| vec![text.to_owned()])?);
    if let Some(wanted) = &rules.issuer {
        if issuer.ok_or(Refusal::ClaimMissing)? != *wanted {
            return Err(Refusal::Issuer);
        }
    }
    if let Some(wanted) = &rules.audience {
        if !audience.ok_or(Refusal::ClaimMissing)?.contains(wanted) {
            return Err(Refusal::Audience);
        }
    }
    Ok(())
}

/// The members of a payload, by type: one that is there and of another type is a refusal.
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Those of an issuer's answer, in which `null` says nothing.
    pub fn of_answer(mut members: Map<String, Value>) -> Self {
        members.retain(|_, value| !value.is_null());
        Self(members)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::ClaimType),
        }
    }

    /// A text that stands for a list, or an array of texts.
    pub fn texts(&self, name: &str, split: fn(&str) -> Vec<String>) -> Result<Option<Vec<String>>, Refusal> {
        let item = |item: &Value| item.as_str().map(str::to_owned).ok_or(Refusal::ClaimType);
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(split(text))),
            Some(Value::Array(items)) => items.iter().map(item).collect::<Result<_, _>>().map(Some),
            Some(_) => Err(Refusal::ClaimType),
        }
    }

    /// As [`jwt::read`] has it.
    fn scopes(&self) -> Result<Option<Vec<String>>, Refusal> {
        let (scope, scp) = (self.texts("scope", jwt::split)?, self.texts("scp", jwt::split)?);
        Ok(scope.or(scp))
    }

    /// A NumericDate (RFC 7519 2) in milliseconds.
    pub fn time(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().ok_or(Refusal::ClaimType)?;
        if !(0.0..=LATEST_S).contains(&seconds) {
            return Err(Refusal::Time);
        }
        Ok(Some((seconds * 1_000.0) as u64))
    }
}
