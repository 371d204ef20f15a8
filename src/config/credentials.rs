//! What a client needs to prove who it is and what it may have, checked when it is made.

use super::check::{contradiction, missing};
use super::settings::{BasicEncoding, ClientAuthentication, Delivery, Grant, Settings, Verify};
use crate::error::Error;
use crate::hooks::Hooks;
use crate::proto::loopback::Place;

/// The first thing that is missing, or contradicts another.
pub(super) fn check(settings: &Settings, hooks: &Hooks) -> Result<(), Error> {
    let somebody_answers = hooks.on_ask.is_some() || settings.delivery == Delivery::Poll;
    if settings.grant == Grant::Application {
        needed(somebody_answers, "the callback on_ask (for token.grant = application)")?;
        // No token request is made, so nothing proves who we are; but whoever asks about a token has to.
        return match settings.verification.by {
            Verify::Introspection => named(settings).and_then(|()| authentication(settings)),
            Verify::Off | Verify::Jwt => Ok(()),
        };
    }
    named(settings)?;
    authentication(settings)?;
    grant(settings, somebody_answers)?;
    listener(settings)
}

fn named(settings: &Settings) -> Result<(), Error> {
    needed(!settings.client_id.is_empty(), "client.id")
}

fn authentication(settings: &Settings) -> Result<(), Error> {
    use ClientAuthentication as By;
    if settings.signing_key.is_some() && settings.authentication != By::PrivateKeyJwt {
        return Err(contradiction("client.private_key_pem", "only client.authentication = private_key_jwt uses a key"));
    }
    match settings.authentication {
        By::Basic if settings.basic == BasicEncoding::Raw && settings.client_id.contains(':') => {
            Err(contradiction("client.id", "a colon would end it early with token.basic = raw"))
        }
        By::Basic => needed(!settings.client_secret.is_empty(), "client.secret (for client.authentication = basic)"),
        By::PrivateKeyJwt => signer(settings),
        By::Tls => needed(
            settings.client_identity.is_some(),
            "tls.client_cert_file or tls.client_cert_pem (for client.authentication = tls)",
        ),
        // RFC 9700 2.1.1, RFC 6749 4.4.
        By::None if !settings.pkce => {
            Err(contradiction("token.pkce", "nothing else guards the codes of client.authentication = none"))
        }
        By::None if is_for_the_authenticated(settings) => Err(contradiction(
            "token.grant",
            "client_credentials needs a client that authenticates; with client.authentication = none use authorization_code",
        )),
        By::None => Ok(()),
    }
}

/// The audience is not made of `token.url`: servers that know each other's endpoints could use the assertion for each other's.
fn signer(settings: &Settings) -> Result<(), Error> {
    let by = "(for client.authentication = private_key_jwt)";
    let key = settings.signing_key.is_some();
    needed(key, &format!("client.private_key_file or client.private_key_pem {by}"))?;
    let audience = !settings.assertion_audience.is_empty();
    needed(audience, &format!("client.assertion_audience, the issuer that the server's metadata name {by}"))
}

fn is_for_the_authenticated(settings: &Settings) -> bool {
    match settings.grant {
        Grant::ClientCredentials => true,
        // A store may turn out to be empty: then a code is asked for.
        Grant::Auto => settings.refresh_token.is_none() && settings.token_store.is_empty(),
        Grant::RefreshToken | Grant::AuthorizationCode | Grant::Application | Grant::Saml2Bearer => false,
    }
}

fn grant(settings: &Settings, somebody_answers: bool) -> Result<(), Error> {
    match settings.grant {
        Grant::RefreshToken => {
            let there = settings.refresh_token.is_some() || !settings.token_store.is_empty();
            needed(there, "token.refresh_token or token.store (for token.grant = refresh_token)")
        }
        Grant::AuthorizationCode => {
            let redirects = !settings.redirect_uri.is_empty();
            needed(redirects, "token.redirect_uri (for token.grant = authorization_code)")?;
            needed(somebody_answers, "the callback on_ask (for token.grant = authorization_code)")
        }
        Grant::Saml2Bearer => {
            needed(!settings.saml_org.is_empty(), "token.saml_org (for token.grant = saml2-bearer)")?;
            needed(settings.saml_assertion.is_some(), "token.saml_assertion (for token.grant = saml2-bearer)")
        }
        Grant::Auto | Grant::ClientCredentials | Grant::Application => Ok(()),
    }
}

/// RFC 8252 7.3, 8.3.
fn listener(settings: &Settings) -> Result<(), Error> {
    if !settings.redirect_listener {
        return Ok(());
    }
    let wanted = "token.redirect_listener wants http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH";
    Place::of(&settings.redirect_uri)
        .map(|_| ())
        .map_err(|why| contradiction("token.redirect_uri", &format!("{why}; {wanted}")))
}

fn needed(is_there: bool, what: &str) -> Result<(), Error> {
    if is_there {
        Ok(())
    } else {
        Err(missing(what))
    }
}
