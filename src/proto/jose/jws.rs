//! A signed text in its compact form (RFC 7515 5.2, 7.1).

use serde_json::{Map, Value};

use super::{base64url, json, Algorithm, Key, KeySet, Refusal};

/// Whether a signature of a message is of this key and algorithm. The arithmetic is the shell's.
pub type Verify = fn(Algorithm, &Key, message: &[u8], signature: &[u8]) -> bool;

/// What was verified.
#[derive(Clone, PartialEq)]
pub struct Signed {
    /// With which algorithm.
    pub algorithm: Algorithm,
    /// `typ` of the header, as it stands there.
    pub kind: Option<String>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// What the header says (RFC 7515 4.1), as far as it matters.
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
    kind: Option<String>,
}

/// Verifies a compact JWS of whatever payload: its form, its header and its signature, with one of these algorithms and
/// keys. `max_bytes` is of the whole.
pub fn verify_signature(
    token: &str,
    max_bytes: usize,
    keys: &KeySet,
    algorithms: &[Algorithm],
    verify: Verify,
) -> Result<Signed, Refusal> {
    if token.len() > max_bytes {
        return Err(Refusal::TooLong);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::NotCompact);
    };
    let decoded = |part| base64url(part).ok_or(Refusal::Base64);
    let (header, payload_bytes, signature) = (decoded(header)?, decoded(payload)?, decoded(signature)?);
    let header = read_header(&json::object(&header).map_err(Refusal::of_header)?, algorithms)?;
    let message = token.rsplit_once('.').map(|(message, _)| message).unwrap_or_default();
    verify_with(keys, &header, message.as_bytes(), &signature, verify)?;
    Ok(Signed { algorithm: header.algorithm, kind: header.kind, payload: payload_bytes })
}

/// One signature, by the keys it may be of.
fn verify_with(
    keys: &KeySet,
    header: &Header,
    message: &[u8],
    signature: &[u8],
    verify: Verify,
) -> Result<(), Refusal> {
    let id = header.key_id.as_deref();
    let mut fitting = keys.fitting(id, header.algorithm).peekable();
    if fitting.peek().is_none() {
        let known = id.is_some_and(|id| keys.has(id));
        return Err(if known { Refusal::KeyUnfit } else { Refusal::UnknownKey });
    }
    let verified = fitting.any(|key| verify(header.algorithm, key, message, signature));
    match (verified, id) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(Refusal::Signature),
        (false, None) => Err(Refusal::SignatureOfNone),
    }
}

/// `jwk`, `jku`, `x5u`, `x5c` and whatever else is there are not looked at (RFC 8725 3.10).
fn read_header(header: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Header, Refusal> {
    let text = |name| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::HeaderType),
    };
    let algorithm = algorithm(&text("alg")?.ok_or(Refusal::AlgorithmMissing)?)?;
    if !allowed.contains(&algorithm) {
        return Err(Refusal::AlgorithmNotAllowed);
    }
    let refused = |name| header.contains_key(name);
    if refused("crit") {
        return Err(Refusal::Critical);
    }
    match header.get("b64") {
        None | Some(Value::Bool(true)) => {}
        Some(_) => return Err(Refusal::Unencoded),
    }
    if refused("zip") {
        return Err(Refusal::Compressed);
    }
    Ok(Header { algorithm, key_id: text("kid")?, kind: text("typ")? })
}

fn algorithm(name: &str) -> Result<Algorithm, Refusal> {
    match name {
        // Some libraries once took `nOnE` for `none`: whatever the case, it is said what it is.
        name if name.eq_ignore_ascii_case("none") => Err(Refusal::Unsecured),
        "HS256" | "HS384" | "HS512" => Err(Refusal::SharedSecret),
        name => Algorithm::parse(name).ok_or(Refusal::AlgorithmUnknown),
    }
}
