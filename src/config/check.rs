//! What two keys say together: the checks when a client is made.

use std::fs::File;
use std::io::Read;

use crate::error::{Code, Error, Stage};
use crate::hooks::Hooks;

use super::settings::{AuditPolicy, BasicEncoding, Delivery, Grant, Settings, Trust};
use super::{url, Draft, TrustChoice};

/// Largest PEM file.
const MAX_CA_FILE: u64 = 16 << 20;

/// The checked settings, or the first thing that is wrong.
pub(super) fn settings(draft: &Draft, hooks: &Hooks) -> Result<Settings, Error> {
    let mut settings = draft.settings.clone();
    credentials(&settings, hooks)?;
    let or = |given: &String, default: String| if given.is_empty() { default } else { given.clone() };
    settings.token_url = or(&draft.token_url, format!("https://api.{}/oauth/token", settings.region));
    settings.ws_url = or(&draft.ws_url, format!("wss://api.{}/ws", settings.region));
    address("token.url", &settings.token_url, ("https", "http"), settings.allow_plain_loopback)?;
    address("ws.url", &settings.ws_url, ("wss", "ws"), settings.allow_plain_loopback)?;
    settings.trust = trust(draft)?;
    if settings.delivery == Delivery::Poll && settings.audit_policy == AuditPolicy::Block {
        return Err(contradiction(
            "audit.policy",
            "block would wait for the thread that polls; not with delivery = poll",
        ));
    }
    Ok(settings)
}

fn credentials(settings: &Settings, hooks: &Hooks) -> Result<(), Error> {
    if settings.client_id.is_empty() {
        return Err(missing("client.id"));
    }
    if settings.client_secret.is_empty() {
        return Err(missing("client.secret"));
    }
    if settings.basic == BasicEncoding::Raw && settings.client_id.contains(':') {
        return Err(contradiction("client.id", "a colon would end it early with token.basic = raw"));
    }
    if settings.grant == Grant::RefreshToken && settings.refresh_token.is_none() {
        return Err(missing("token.refresh_token (for token.grant = refresh_token)"));
    }
    if settings.grant == Grant::AuthorizationCode {
        if settings.redirect_uri.is_empty() {
            return Err(missing("token.redirect_uri (for token.grant = authorization_code)"));
        }
        if hooks.on_ask.is_none() && settings.delivery != Delivery::Poll {
            return Err(missing("the callback on_ask (for token.grant = authorization_code)"));
        }
    }
    Ok(())
}

fn address(key: &str, text: &str, (secure, plain): (&str, &str), allow_plain: bool) -> Result<(), Error> {
    let parsed = url::parse(text, secure, plain).map_err(|why| contradiction(key, why))?;
    if parsed.plain && !(parsed.is_loopback() && allow_plain) {
        let why = format!(
            "without TLS only to a loopback address, and only with net.allow_plain_loopback = true; use {secure}"
        );
        return Err(contradiction(key, &why));
    }
    Ok(())
}

/// Nothing that was set is ignored: a file or text of authorities beside another source is an error.
fn trust(draft: &Draft) -> Result<Trust, Error> {
    let (file, pem) = (!draft.ca_file.is_empty(), !draft.ca_pem.is_empty());
    match (draft.trust, file, pem) {
        (TrustChoice::Auto | TrustChoice::System, false, false) => Ok(Trust::System),
        (TrustChoice::Auto | TrustChoice::File, true, false) => ca_file(&draft.ca_file),
        (TrustChoice::Auto | TrustChoice::Memory, false, true) => Ok(Trust::Memory(draft.ca_pem.clone().into_bytes())),
        (TrustChoice::File, false, _) => Err(missing("tls.ca_file (for tls.trust = file)")),
        (TrustChoice::Memory, _, false) => Err(missing("tls.ca_pem (for tls.trust = memory)")),
        (_, true, true) => Err(contradiction("tls.trust", "tls.ca_file and tls.ca_pem are both set")),
        (_, true, _) => Err(contradiction("tls.trust", "tls.ca_file is set and would be ignored")),
        (_, _, true) => Err(contradiction("tls.trust", "tls.ca_pem is set and would be ignored")),
    }
}

/// Reads the file once, so that a wrong path is told when the client is made and not at its first connection.
fn ca_file(path: &str) -> Result<Trust, Error> {
    let unreadable = |error| Error::from_io(Code::TrustStore, Stage::Configure, path, &error);
    // Asked before opening: a pipe would hold the caller until somebody writes into it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Error::new(Code::TrustStore, Stage::Configure, format!("{path} is no file.")));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_CA_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
    let marker = b"-----BEGIN CERTIFICATE-----";
    if !bytes.windows(marker.len()).any(|window| window == marker) {
        return Err(Error::new(Code::TrustStore, Stage::Configure, format!("{path} holds no certificate.")));
    }
    Ok(Trust::File(path.to_owned()))
}

fn missing(what: &str) -> Error {
    Error::new(Code::MissingKey, Stage::Configure, format!("{what}."))
}

fn contradiction(key: &str, why: &str) -> Error {
    Error::new(Code::BadValue, Stage::Configure, format!("\"{key}\": {why}."))
}
