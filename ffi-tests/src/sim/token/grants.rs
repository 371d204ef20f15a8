//! Who may have a token: the client's authentication, and what it shows for the grant.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine as _;
use ring::digest;

use super::{Ledger, Refusal};
use crate::sim::http::{form_decode, form_field, Incoming};
use crate::sim::policy::ClientAuth;

/// RFC 7522, 2.1.
const SAML2_BEARER: &str = "urn:ietf:params:oauth:grant-type:saml2-bearer";
/// RFC 7523, 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const BAD_CLIENT: Refusal = Refusal(401, "invalid_client", "client authentication failed");

impl Ledger {
    /// The grant type, and the refresh token that was used; or why not.
    pub(super) fn grant(&mut self, request: &Incoming, certificate: bool) -> Result<(String, Option<String>), Refusal> {
        self.check_request(request, certificate)?;
        let field = |name| form_field(&request.body, name);
        let grant = field("grant_type").unwrap_or_default();
        let mut used = None;
        match grant.as_str() {
            "refresh_token" => {
                let token = field("refresh_token").unwrap_or_default();
                if !self.refresh.check(&token, self.policy.rotation) {
                    return Err(Refusal(400, "invalid_grant", "the refresh token is not valid"));
                }
                used = Some(token);
            }
            "client_credentials" if self.policy.client_auth != ClientAuth::Public => {}
            "authorization_code" => self.redeem(field("code"), field("redirect_uri"), field("code_verifier"))?,
            SAML2_BEARER => self.check_saml(field("orgName"), field("assertion"))?,
            _ => return Err(Refusal(400, "unsupported_grant_type", "grant_type is not supported")),
        }
        let short = if grant == SAML2_BEARER { "saml2-bearer".to_owned() } else { grant };
        Ok((short, used))
    }

    pub(super) fn check_request(&mut self, request: &Incoming, certificate: bool) -> Result<(), Refusal> {
        if request.method != "POST" {
            return Err(Refusal(405, "invalid_request", "use POST"));
        }
        let kind = request.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Refusal(400, "invalid_request", "the body must be form-url-encoded"));
        }
        self.check_client(request, certificate)
    }

    /// One way is taken, the policy's; credentials of another way are refused even beside it (RFC 6749, 2.3).
    fn check_client(&mut self, request: &Incoming, certificate: bool) -> Result<(), Refusal> {
        let basic = request.header("authorization");
        let field = |name| form_field(&request.body, name);
        let named = field("client_id").is_some_and(|id| id == self.policy.client_id);
        let fits = match &self.policy.client_auth {
            ClientAuth::Secret => {
                let (id, secret) = (&self.policy.client_id, &self.policy.client_secret);
                basic.is_some_and(|value| basic_fits(value, id, secret))
            }
            _ if basic.is_some() => false,
            ClientAuth::Public => named,
            ClientAuth::Certificate => named && certificate,
            ClientAuth::PrivateKeyJwt(_) if field("client_assertion_type").as_deref() != Some(JWT_BEARER) => false,
            ClientAuth::PrivateKeyJwt(key) => {
                let key = key.clone();
                let other = field("client_id").is_some() && !named;
                !other && self.check_assertion(&key, &field("client_assertion").unwrap_or_default())?
            }
        };
        fits.then_some(()).ok_or(BAD_CLIENT)
    }

    fn redeem(
        &mut self,
        code: Option<String>,
        redirect_uri: Option<String>,
        verifier: Option<String>,
    ) -> Result<(), Refusal> {
        let known = code.and_then(|code| self.codes.remove(&code));
        let Some(known) = known else {
            return Err(Refusal(400, "invalid_grant", "the authorization code is not valid"));
        };
        if known.redirect_uri.is_some() && known.redirect_uri != redirect_uri {
            return Err(Refusal(400, "invalid_grant", "the redirect_uri is another"));
        }
        if known.challenge.is_none() && self.policy.client_auth == ClientAuth::Public {
            return Err(Refusal(400, "invalid_grant", "a public client needs PKCE"));
        }
        if known.challenge.is_some() && known.challenge != verifier.and_then(|verifier| challenge_of(&verifier)) {
            return Err(Refusal(400, "invalid_grant", "the code_verifier does not fit"));
        }
        Ok(())
    }

    fn check_saml(&self, org: Option<String>, assertion: Option<String>) -> Result<(), Refusal> {
        let shown = (org.unwrap_or_default(), assertion.unwrap_or_default());
        let known = self.assertions.contains(&shown);
        known.then_some(()).ok_or(Refusal(400, "invalid_grant", "the assertion is not valid"))
    }
}

/// The S256 challenge of a verifier; `None` when it is none (RFC 7636, 4.1).
fn challenge_of(verifier: &str) -> Option<String> {
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let sound = (43..=128).contains(&verifier.len()) && verifier.chars().all(unreserved);
    sound.then(|| URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes())))
}

/// Id and secret, joined as they are or form-url-encoded first (RFC 6749, 2.3.1).
fn basic_fits(value: &str, id: &str, secret: &str) -> bool {
    let Some((scheme, code)) = value.split_once(' ') else {
        return false;
    };
    let decoded = STANDARD.decode(code.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(pair) = decoded.filter(|_| scheme.eq_ignore_ascii_case("basic")) else {
        return false;
    };
    let encoded = pair.split_once(':').map(|(i, s)| (form_decode(i), form_decode(s)));
    pair == format!("{id}:{secret}") || encoded == Some((Some(id.to_owned()), Some(secret.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn basic_is_taken_raw_and_encoded() {
        assert!(basic_fits(&basic("id+1:s%c:x"), "id+1", "s%c:x"));
        assert!(basic_fits(&basic("id%2B1:s%25c%3Ax"), "id+1", "s%c:x"));
        assert!(!basic_fits(&basic("id+1:other"), "id+1", "s%c:x"));
        assert!(!basic_fits("Bearer abc", "id+1", "s%c:x"));
    }

    #[test]
    fn verifiers_have_a_form() {
        // RFC 7636, appendix B.
        let challenge = challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge.as_deref(), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        for bad in ["a".repeat(42), "a".repeat(129), "a b".repeat(20)] {
            assert_eq!(challenge_of(&bad), None);
        }
    }
}
