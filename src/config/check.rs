//! What two keys say together: the checks when a client is made.

use std::fs::File;
use std::io::Read;

use crate::error::{Code, Error, Stage};
use crate::hooks::Hooks;
use crate::secret::Secret;

use super::settings::{
    AuditPolicy, ClientAuthentication, ClientIdentity, Delivery, Grant, Pem, Profile, Settings, Trust, UnknownScopes,
    Verification,
};
use super::{chain, credentials, proxy, url, verification, Draft, TrustChoice};

/// Largest PEM file.
const MAX_CA_FILE: u64 = 16 << 20;
/// Longest file name of the token store, in bytes: file systems have 255, and what is written first has a UUID in its name.
const MAX_STORE_NAME: usize = 200;

/// What is made of a configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// A client that gets its own tokens.
    Client,
    /// A source of tokens: it has no socket.
    Source,
    /// A client whose tokens come from a source: it has no credentials.
    Borrower,
}

/// The checked settings, or the first thing that is wrong.
pub(super) fn settings(draft: &Draft, hooks: &Hooks, role: Role) -> Result<Settings, Error> {
    let mut settings = draft.settings.clone();
    if role == Role::Source && settings.delivery != Delivery::Callbacks {
        return Err(contradiction(
            "delivery",
            "a source of tokens has no events to poll and no messages; callbacks only",
        ));
    }
    settings.client_identity = client_identity(draft)?;
    settings.pkce = draft.pkce.unwrap_or(pkce(settings.grant, settings.authentication));
    if role != Role::Borrower {
        settings.signing_key = pem("client.private_key", &draft.private_key_file, draft.private_key_pem.clone())?;
        credentials::check(&settings, hooks)?;
    }
    let or = |given: &String, default: String| if given.is_empty() { default } else { given.clone() };
    let region = settings.region.clone();
    settings.token_url = or(&draft.token_url, token_url(settings.profile, &region));
    settings.authorize_url = or(&draft.authorize_url, authorize_url(&region));
    match settings.profile {
        Profile::AuthMessage => settings.ws_url = or(&draft.ws_url, ws_url(&region)),
        Profile::Notifications => {
            settings.ws_url.clear();
            settings.api_url = or(&draft.api_url, api_url(&region));
            settings.streaming_host = or(&draft.streaming_host, streaming_host(&region));
        }
    }
    settings.unknown_scopes = draft.unknown_scopes.unwrap_or(unknown_scopes(settings.profile));
    let plain = settings.allow_plain_loopback;
    // What is not used needs no trust store.
    if role == Role::Borrower || settings.grant == Grant::Application {
        settings.token_url.clear();
    }
    if role == Role::Source {
        settings.ws_url.clear();
    }
    if settings.profile == Profile::Notifications && !draft.ws_url.is_empty() {
        return Err(contradiction("ws.url", "with profile = notifications the channel says where its socket is"));
    }
    let is_https = address("token.url", &settings.token_url, ("https", "http"), plain)?;
    let is_wss = address("ws.url", &settings.ws_url, ("wss", "ws"), plain)?;
    address("token.authorize_url", &settings.authorize_url, ("https", "http"), plain)?;
    if !settings.streaming_host.is_empty() {
        let host = url::authority(&settings.streaming_host);
        host.map_err(|why| contradiction("notifications.streaming_host", why))?;
    }
    let is_api = address("api.url", &settings.api_url, ("https", "http"), plain)?;
    url::check_bare(&settings.api_url).map_err(|why| contradiction("api.url", why))?;
    if role == Role::Borrower {
        // What it gets has been verified by its source, which is asked whether it does (`Config::check_source`).
        settings.verification = Verification::default();
    }
    let is_issuer = verification::check(&settings)?;
    store(&settings.token_store).map_err(|why| contradiction("token.store", why))?;
    settings.trust = trust(draft)?;
    let used = |url: &str, is_tls: bool| (!url.is_empty()).then_some(is_tls);
    // The socket of a channel is where its API is: with TLS, or both on this machine without.
    let socket = used(&settings.ws_url, is_wss).or(used(&settings.api_url, is_api));
    let http = used(&settings.token_url, is_https).or(used(&settings.api_url, is_api)).or(is_issuer);
    let secure = (http, socket);
    settings.proxies = proxy::resolve(&draft.proxy, secure, &|name| std::env::var_os(name))?;
    settings.chain.checkpoints = chain::check(&settings.chain, draft.checkpoints)?;
    if !settings.formats.syslog.hostname.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(contradiction("audit.syslog_hostname", "it is printable ASCII without blanks (RFC 5424 6.2.4)"));
    }
    if settings.delivery == Delivery::Poll && settings.audit_policy == AuditPolicy::Block {
        return Err(contradiction(
            "audit.policy",
            "block would wait for the thread that polls; not with delivery = poll",
        ));
    }
    Ok(settings)
}

/// `token.url` unless set.
pub(super) fn token_url(profile: Profile, region: &str) -> String {
    let host = match profile {
        Profile::AuthMessage => "api",
        Profile::Notifications => "login",
    };
    format!("https://{host}.{region}/oauth/token")
}

/// `token.authorize_url` unless set.
pub(super) fn authorize_url(region: &str) -> String {
    format!("https://login.{region}/oauth/authorize")
}

/// `api.url` unless set.
pub(super) fn api_url(region: &str) -> String {
    format!("https://api.{region}")
}

/// `notifications.streaming_host` unless set.
pub(super) fn streaming_host(region: &str) -> String {
    format!("streaming.{region}")
}

/// What `scopes.unknown` is unless set: scopes do not apply to client credentials in Genesys Cloud, roles do.
pub(super) fn unknown_scopes(profile: Profile) -> UnknownScopes {
    match profile {
        Profile::AuthMessage => UnknownScopes::Deny,
        Profile::Notifications => UnknownScopes::Allow,
    }
}

/// `token.pkce` unless set. Codes of a public client have nothing else to guard them, and for all others it is recommended
/// (RFC 9700 2.1.1); but a code that is asked for when another grant has failed may come from a URL of the application's own,
/// and a server that saw no challenge refuses a verifier.
pub(super) fn pkce(grant: Grant, authentication: ClientAuthentication) -> bool {
    grant == Grant::AuthorizationCode || authentication == ClientAuthentication::None
}

/// `ws.url` unless set.
pub(super) fn ws_url(region: &str) -> String {
    format!("wss://api.{region}/ws")
}

/// Checks a URL, if there is one; whether it is the one with TLS.
pub(super) fn address(key: &str, text: &str, (secure, plain): (&str, &str), allow_plain: bool) -> Result<bool, Error> {
    if text.is_empty() {
        return Ok(false);
    }
    let parsed = url::parse(text, secure, plain).map_err(|why| contradiction(key, why))?;
    if parsed.plain && !(parsed.is_loopback() && allow_plain) {
        let why = format!(
            "without TLS only to a loopback address, and only with net.allow_plain_loopback = true; use {secure}"
        );
        return Err(contradiction(key, &why));
    }
    Ok(!parsed.plain)
}

/// Whether the files that the store needs beside its own can be made: known only at the first rotation, it would be too late.
pub(super) fn store(path: &str) -> Result<(), &'static str> {
    match path.rsplit('/').next().unwrap_or_default() {
        "" if path.is_empty() => Ok(()),
        "" | "." | ".." => Err("it names no file"),
        name if name.len() > MAX_STORE_NAME => Err("its file name is longer than 200 bytes"),
        _ => Ok(()),
    }
}

/// Nothing that was set is ignored: a file or text of authorities beside another source is an error.
fn trust(draft: &Draft) -> Result<Trust, Error> {
    let sources = [
        ("tls.ca_file", "file", TrustChoice::File, &draft.ca_file),
        ("tls.ca_directory", "directory", TrustChoice::Directory, &draft.ca_directory),
        ("tls.ca_pem", "memory", TrustChoice::Memory, &draft.ca_pem),
    ];
    let mut given = sources.iter().filter(|(.., value)| !value.is_empty());
    match (given.next(), given.next()) {
        (Some((one, ..)), Some((other, ..))) => {
            Err(contradiction("tls.trust", &format!("{one} and {other} are both set")))
        }
        (Some((_, _, choice, value)), None) if draft.trust == *choice || draft.trust == TrustChoice::Auto => {
            match choice {
                TrustChoice::File => ca_file(value),
                TrustChoice::Directory => ca_directory(value),
                _ => Ok(Trust::Memory(value.as_bytes().to_vec())),
            }
        }
        (Some((key, ..)), None) => Err(contradiction("tls.trust", &format!("{key} is set and would be ignored"))),
        (None, _) => match sources.iter().find(|(_, _, choice, _)| draft.trust == *choice) {
            Some((key, name, ..)) => Err(missing(&format!("{key} (for tls.trust = {name})"))),
            None => Ok(Trust::System),
        },
    }
}

/// Certificate and key, each from a file or as text. They are read, and compared, when TLS is set up.
fn client_identity(draft: &Draft) -> Result<Option<ClientIdentity>, Error> {
    let text = Some(&draft.client_cert_pem).filter(|pem| !pem.is_empty()).map(|pem| Secret::new(pem.clone()));
    let certificate = pem("tls.client_cert", &draft.client_cert_file, text)?;
    match (certificate, pem("tls.client_key", &draft.client_key_file, draft.client_key_pem.clone())?) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(ClientIdentity { certificate, key })),
        (Some(_), None) => Err(missing("tls.client_key_file or tls.client_key_pem (for a client certificate)")),
        (None, Some(_)) => Err(missing("tls.client_cert_file or tls.client_cert_pem (for a client's key)")),
    }
}

/// From a file or as text.
fn pem(name: &str, file: &str, text: Option<Secret>) -> Result<Option<Pem>, Error> {
    match (file.is_empty(), text) {
        (true, None) => Ok(None),
        (true, Some(text)) => Ok(Some(Pem::Text(text))),
        (false, None) => Ok(Some(Pem::File(file.into()))),
        (false, Some(_)) => Err(contradiction(&format!("{name}_file"), &format!("{name}_pem is set too"))),
    }
}

fn ca_directory(path: &str) -> Result<Trust, Error> {
    let unreadable = |error| Error::from_io(Code::TrustStore, Stage::Configure, path, &error);
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Err(Error::new(Code::TrustStore, Stage::Configure, format!("{path} is no directory.")));
    }
    Ok(Trust::Directory(path.to_owned()))
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

pub(super) fn missing(what: &str) -> Error {
    Error::new(Code::MissingKey, Stage::Configure, format!("{what}."))
}

pub(super) fn contradiction(key: &str, why: &str) -> Error {
    Error::new(Code::BadValue, Stage::Configure, format!("\"{key}\": {why}."))
}
