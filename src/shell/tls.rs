//! One TLS configuration for HTTP and WebSocket: explicit provider, own search for roots, shared session cache.
//!
//! Clients whose trust settings come to the same bytes share one configuration: one parsed store in memory, and the
//! second client resumes the sessions of the first. Sessions belong to a configuration, and rustls verifies nothing
//! anew when it resumes one; so pins and authorities hold for a resumed session because they are part of what is equal.

mod fault;
mod identity;
mod roots;
mod verifier;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ring::digest::{Context, SHA256};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{ring as ring_provider, CryptoProvider};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

pub use self::fault::fault;
use self::identity::Identity;
pub use self::identity::{is_encrypted as is_encrypted_pem, read as read_pem};
use self::roots::Sources;
use self::verifier::Verifier;
use crate::config::settings::{Settings, TlsVersion};
use crate::error::{Code, Error, Stage};
use crate::sys::{OnceBox, PerProcess};

/// Servers whose sessions are kept for resumption: token endpoints and sockets of a few regions, with room to move.
const SESSIONS: usize = 16;

/// The configurations in use, by the digest of all that went into them. Held for a look, never while one is made.
static SHARED: PerProcess<Mutex<Known>> = PerProcess::new(Mutex::new(Known(Vec::new())));

static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Which trust store is in use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustReport {
    /// Path of the bundle or directory, or `memory`.
    pub store: String,
    /// Certificates in it, further ones included.
    pub roots: usize,
}

/// Makes TLS sessions. Clones share the configuration and the session cache.
#[derive(Clone, Debug)]
pub struct TlsClient(Arc<Shared>);

/// What clients of equal settings share.
#[derive(Debug)]
struct Shared {
    config: Arc<ClientConfig>,
    report: TrustReport,
}

/// The configurations in use.
#[derive(Debug, Default)]
struct Known(Vec<(Fingerprint, Weak<Shared>)>);

/// SHA-256 over everything that makes a configuration what it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Fingerprint([u8; 32]);

impl TlsClient {
    /// Reads the trust store and the client certificate. What cannot be read, or is empty, is an error here and not at
    /// the first connection.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let sources = Sources::read(settings)?;
        let identity = settings.client_identity.as_ref().map(Identity::read).transpose()?;
        let fingerprint = Fingerprint::of(settings, &sources, identity.as_ref());
        if let Some(known) = known().find(fingerprint) {
            return Ok(Self(known));
        }
        let (roots, report) = sources.parse()?;
        let config = Arc::new(config(settings, roots, identity)?);
        let made = Arc::new(Shared { config, report });
        // Of two clients made at one instant the first one's is kept: they share it too.
        let mut known = known();
        if let Some(first) = known.find(fingerprint) {
            return Ok(Self(first));
        }
        known.0.push((fingerprint, Arc::downgrade(&made)));
        Ok(Self(made))
    }

    /// Which store is in use, and how many roots it holds.
    pub fn report(&self) -> &TrustReport {
        &self.0.report
    }

    /// A session that will accept only a certificate for `host`, a name or an IP address without brackets.
    pub fn session(&self, host: &str) -> Result<UnbufferedClientConnection, Error> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(Code::BadValue, Stage::Configure, format!("{host:?} is not a host name")))?;
        UnbufferedClientConnection::new(Arc::clone(&self.0.config), name)
            .map_err(|error| Error::new(Code::Tls, Stage::Tls, error.to_string()))
    }
}

/// The configurations in use in this process.
fn known() -> MutexGuard<'static, Known> {
    SHARED.get().lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    /// The one with this digest, if it is still in use.
    fn find(&mut self, fingerprint: Fingerprint) -> Option<Arc<Shared>> {
        self.0.retain(|(_, one)| one.strong_count() > 0);
        self.0.iter().find(|(known, _)| *known == fingerprint).and_then(|(_, one)| one.upgrade())
    }
}

fn config(settings: &Settings, roots: RootCertStore, identity: Option<Identity>) -> Result<ClientConfig, Error> {
    let internal = |error: rustls::Error| Error::new(Code::Internal, Stage::Configure, error.to_string());
    let roots = Arc::new(roots);
    let verifier = Verifier::new(roots, settings.pins.clone(), provider())?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_tls))
        .map_err(internal)?
        // "Dangerous" is rustls's word for a verifier of one's own: ours asks rustls's first, and may only add to it.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        Some(identity) => identity.show(builder)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        TlsVersion::V12 => rustls::DEFAULT_VERSIONS,
        TlsVersion::V13 => TLS13_ALONE,
    }
}

/// Ring's algorithms, made once. Nothing is installed as the process's default.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceBox<Arc<CryptoProvider>> = OnceBox::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring_provider::default_provider())))
}

impl Fingerprint {
    fn of(settings: &Settings, sources: &Sources, identity: Option<&Identity>) -> Self {
        let mut pins = settings.pins.clone();
        pins.sort_unstable();
        let mut context = Context::new(&SHA256);
        let mut add = |part: &[u8]| {
            // With its length: no two lists of parts give the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        };
        sources.parts().for_each(&mut add);
        add(settings.min_tls.name().as_bytes());
        add(&pins.iter().flat_map(|pin| pin.0).collect::<Vec<_>>());
        identity.into_iter().flat_map(Identity::parts).for_each(&mut add);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self(digest)
    }
}

#[cfg(test)]
mod tests;
