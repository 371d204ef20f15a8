//! The token request (RFC 6749 4 and 6, RFC 7522, RFC 7636), and how the client authenticates in it (RFC 6749 2.3).

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use zeroize::Zeroizing;

use super::form::{encoded, Form};
use super::Credentials;
use crate::config::settings::{BasicEncoding, ClientAuthentication, Grant, Settings};
use crate::proto::http::{Body, Method, Purpose, Request};
use crate::secret::Secret;

/// `grant_type` of a SAML assertion (RFC 7522 2.1).
const SAML2_BEARER: &str = "urn:ietf:params:oauth:grant-type:saml2-bearer";

/// What proves our right in the next request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// `authorization_code`.
    Code,
    /// `refresh_token`.
    RefreshToken,
    /// `client_credentials`.
    ClientCredentials,
    /// A SAML assertion.
    Assertion,
    /// Nothing at hand: the application has to be asked for a code.
    Missing,
}

/// Which grant the next request uses: a code that was just handed over, else as set.
pub fn proof(settings: &Settings, credentials: &Credentials) -> Proof {
    let refresh = credentials.refresh_token.is_some();
    match settings.grant {
        _ if credentials.code.is_some() => Proof::Code,
        Grant::Auto | Grant::RefreshToken | Grant::AuthorizationCode if refresh => Proof::RefreshToken,
        // RFC 6749 4.4: only for clients that authenticate.
        Grant::Auto if settings.authentication == ClientAuthentication::None => Proof::Missing,
        Grant::Auto | Grant::ClientCredentials => Proof::ClientCredentials,
        // Assertions bring no refresh tokens as a rule (RFC 7521 4.1), and the next one replaces what they might bring.
        Grant::Saml2Bearer if credentials.saml_assertion.is_some() => Proof::Assertion,
        // `Application`: the application is asked instead, for the token itself.
        Grant::RefreshToken | Grant::AuthorizationCode | Grant::Saml2Bearer | Grant::Application => Proof::Missing,
    }
}

/// The request for a token; `None` when there is no proof to send. With `private_key_jwt` an assertion is still to be added.
pub fn request(settings: &Settings, credentials: &Credentials, timeout_ms: u64) -> Option<Request> {
    let mut form = Form::default();
    let scope = settings.requested_scopes.join(" ");
    match proof(settings, credentials) {
        Proof::Code => {
            form.add("grant_type", "authorization_code");
            form.add("code", credentials.code.as_ref()?.expose());
            // RFC 6749 4.1.3: as in the authorization request.
            form.add_given("redirect_uri", credentials.redirect_uri.as_ref().unwrap_or(&settings.redirect_uri));
            form.add_given("code_verifier", credentials.verifier.as_ref().map_or("", Secret::expose));
        }
        Proof::RefreshToken => {
            form.add("grant_type", "refresh_token");
            form.add("refresh_token", credentials.refresh_token.as_ref()?.expose());
        }
        Proof::ClientCredentials => {
            form.add("grant_type", "client_credentials");
            form.add_given("scope", &scope);
        }
        Proof::Assertion => {
            form.add("grant_type", SAML2_BEARER);
            form.add("orgName", &settings.saml_org);
            form.add("assertion", credentials.saml_assertion.as_ref()?.expose());
            form.add_given("scope", &scope);
        }
        Proof::Missing => return None,
    }
    Some(post(settings, credentials, (Purpose::Token, &settings.token_url), form, timeout_ms))
}

/// A question about a token, of this client. With `private_key_jwt` an assertion is still to be added.
pub fn introspection(settings: &Settings, credentials: &Credentials, token: &Secret, timeout_ms: u64) -> Request {
    let mut form = Form::default();
    form.add("token", token.expose());
    form.add("token_type_hint", "access_token");
    let url = &settings.verification.introspection_url;
    post(settings, credentials, (Purpose::Introspection, url), form, timeout_ms)
}

fn post(
    settings: &Settings,
    credentials: &Credentials,
    (purpose, url): (Purpose, &str),
    mut form: Form,
    timeout_ms: u64,
) -> Request {
    let authorization = authenticate(settings, &credentials.client_secret, &mut form);
    let body = Body::Form(form.finish());
    Request { purpose, method: Method::Post, url: url.to_owned(), authorization, body, timeout_ms }
}

/// The header, or what takes its place in the form (RFC 6749 3.2.1, RFC 8705 2). An assertion names the client itself.
fn authenticate(settings: &Settings, client_secret: &Secret, form: &mut Form) -> Secret {
    match settings.authentication {
        ClientAuthentication::Basic => return basic(settings, client_secret),
        ClientAuthentication::None | ClientAuthentication::Tls => form.add("client_id", &settings.client_id),
        ClientAuthentication::PrivateKeyJwt => {}
    }
    Secret::default()
}

fn basic(settings: &Settings, client_secret: &Secret) -> Secret {
    let encode = |text: &str| match settings.basic {
        BasicEncoding::Rfc6749 => encoded(text),
        BasicEncoding::Raw => Zeroizing::new(text.to_owned()),
    };
    let pair = Zeroizing::new(format!("{}:{}", *encode(&settings.client_id), *encode(client_secret.expose())));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    Secret::new(format!("Basic {}", *encoded))
}

/// Everything of a request that a server could repeat: credentials plain and encoded, the Basic header, the assertion.
pub fn secrets_of(request: &Request, credentials: &Credentials) -> Vec<Secret> {
    let Credentials { client_secret, refresh_token, code, verifier, saml_assertion, redirect_uri: _ } = credentials;
    let basic = request.authorization.expose().strip_prefix("Basic ").unwrap_or_default();
    // Of base64url: it is the same encoded.
    let assertion = request.body.text().split("client_assertion=").nth(1).unwrap_or_default();
    let optional = [refresh_token, code, verifier, saml_assertion].into_iter().flatten();
    let plain = std::iter::once(client_secret).chain(optional);
    let encoded = plain.clone().map(|secret| Secret::new(std::mem::take(&mut *encoded(secret.expose()))));
    let mut all: Vec<Secret> = plain.cloned().chain(encoded).collect();
    all.extend([basic, assertion].map(|text| Secret::new(text.to_owned())));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::Reply;
    use crate::proto::oauth::{assertion, read};

    fn settings() -> Settings {
        Settings { client_id: "id one".into(), ..Settings::default() }
    }

    fn credentials(refresh_token: Option<&str>) -> Credentials {
        Credentials {
            client_secret: secret("s:&é"),
            refresh_token: refresh_token.map(secret),
            ..Credentials::default()
        }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.into())
    }

    /// Header and body.
    fn sent(settings: &Settings, credentials: &Credentials) -> (String, String) {
        let request = request(settings, credentials, 1).unwrap();
        (request.authorization.expose().to_owned(), request.body.text().to_owned())
    }

    #[test]
    fn the_request_is_the_tutorials() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        let body = "grant_type=refresh_token&refresh_token=r%2B%2F%3D".to_owned();
        assert_eq!(sent(&settings(), &credentials(Some("r+/="))), (basic("id+one:s%3A%26%C3%A9"), body));
        let raw = Settings { basic: BasicEncoding::Raw, ..settings() };
        let body = "grant_type=client_credentials".to_owned();
        assert_eq!(sent(&raw, &credentials(None)), (basic("id one:s:&é"), body));
    }

    #[test]
    fn a_code_goes_first_and_a_missing_proof_is_no_request() {
        let set = Settings { grant: Grant::AuthorizationCode, redirect_uri: "http://x/".into(), ..settings() };
        assert!(request(&set, &credentials(None), 1).is_none());
        let with_code = Credentials { code: Some(secret("c")), ..credentials(Some("r")) };
        let body = "grant_type=authorization_code&code=c&redirect_uri=http%3A%2F%2Fx%2F";
        assert_eq!(sent(&set, &with_code).1, body);
        let proved = Credentials { verifier: Some(secret("v")), ..with_code };
        assert_eq!(sent(&set, &proved).1, format!("{body}&code_verifier=v"));
        let listened = Credentials { redirect_uri: Some("http://y/".into()), ..proved.clone() };
        assert_eq!(sent(&set, &listened).1, sent(&set, &proved).1.replace("x%2F", "y%2F"), "as the authorize URL said");
        let elsewhere = Settings { redirect_uri: String::new(), ..set };
        assert_eq!(sent(&elsewhere, &proved).1, "grant_type=authorization_code&code=c&code_verifier=v");
    }

    #[test]
    fn a_saml_assertion_is_sent_with_its_organisation_until_there_is_none() {
        let set = Settings { grant: Grant::Saml2Bearer, saml_org: "my org".into(), ..settings() };
        let with = Credentials { saml_assertion: Some(secret("PHNhbWw+")), ..credentials(None) };
        let (header, body) = sent(&set, &with);
        assert!(header.starts_with("Basic "));
        let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Asaml2-bearer";
        assert_eq!(body, format!("{grant}&orgName=my+org&assertion=PHNhbWw%2B"));
        assert!(request(&set, &credentials(None), 1).is_none());
        assert_eq!(proof(&set, &credentials(Some("r"))), Proof::Missing);
    }

    #[test]
    fn a_client_without_a_secret_names_itself_in_the_form() {
        for (authentication, named) in [
            (ClientAuthentication::None, "&client_id=id+one"),
            (ClientAuthentication::Tls, "&client_id=id+one"),
            (ClientAuthentication::PrivateKeyJwt, ""),
        ] {
            let requested_scopes = vec!["a:b".into(), "c".into()];
            let set = Settings { authentication, grant: Grant::ClientCredentials, requested_scopes, ..settings() };
            let body = format!("grant_type=client_credentials&scope=a%3Ab+c{named}");
            assert_eq!(sent(&set, &credentials(None)), (String::new(), body));
        }
    }

    #[test]
    fn who_does_not_authenticate_has_no_client_credentials() {
        let set = Settings { authentication: ClientAuthentication::None, grant: Grant::Auto, ..settings() };
        assert!(request(&set, &credentials(None), 1).is_none(), "RFC 6749 4.4");
        assert!(sent(&set, &credentials(Some("r"))).1.starts_with("grant_type=refresh_token&"));
        let code = Credentials { code: Some(secret("c")), ..credentials(None) };
        assert!(sent(&set, &code).1.starts_with("grant_type=authorization_code&code=c"));
    }

    #[test]
    fn whatever_of_the_request_a_server_repeats_is_struck_out() {
        let credentials = Credentials {
            code: Some(secret("code+with=signs")),
            verifier: Some(secret("verifier-of-the-code")),
            saml_assertion: Some(secret("assertion+of=saml")),
            ..credentials(Some("refresh+token/with=signs"))
        };
        let request = request(&settings(), &credentials, 1).unwrap();
        let request = assertion::with_assertion(request, &secret("header.payload.signature"));
        let secrets = secrets_of(&request, &credentials);
        let plain = "s:&é refresh+token/with=signs code+with=signs verifier-of-the-code assertion+of=saml";
        let sent = format!("{} {} {plain}", request.authorization.expose(), request.body.text());
        let body = serde_json::json!({"error": "invalid_grant", "error_description": sent, "x": 1}).to_string();
        let reply = Reply { status: 400, body: body.into(), correlation_id: Some(sent), ..Reply::default() };
        let shown = format!("{:?}", read(reply, &settings(), &secrets, 0).unwrap_err());
        let basic = request.authorization.expose().strip_prefix("Basic ").unwrap();
        let parts = ["refresh%2Btoken", "code%2Bwith", "assertion%2Bof", "payload", "signature", basic];
        for secret in plain.split(' ').chain(parts) {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
