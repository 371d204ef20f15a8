//! One TLS configuration for HTTP and WebSocket: explicit provider, own search for roots, shared session cache.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::config::settings::Trust;
use crate::error::{Code, Error, Stage};

/// Bundles of the common systems, in the order they are tried.
const BUNDLES: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
];
/// Where single certificates lie when there is no bundle.
const DIRECTORY: &str = "/etc/ssl/certs";
/// Servers whose sessions are kept for resumption: the token endpoint and the socket, with room to move.
const SESSIONS: usize = 8;

/// Which trust store is in use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustReport {
    /// Path of the bundle or directory, or `memory`.
    pub store: String,
    /// Certificates in it.
    pub roots: usize,
}

/// Makes TLS sessions. Clones share the configuration and the session cache.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    report: Arc<TrustReport>,
}

impl TlsClient {
    /// Reads the trust store. One that cannot be read, or is empty, is an error here and not at the first connection.
    pub fn new(trust: &Trust) -> Result<Self, Error> {
        let roots = Roots::load(trust)?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Code::Internal, Stage::Configure, error.to_string()))?;
        let mut config = builder.with_root_certificates(roots.store).with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self { config: Arc::new(config), report: roots.report })
    }

    /// Which store is in use, and how many roots it holds.
    pub fn report(&self) -> &TrustReport {
        &self.report
    }

    /// A session that will accept only a certificate for `host`, a name or an IP address without brackets.
    pub fn session(&self, host: &str) -> Result<UnbufferedClientConnection, Error> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(Code::BadValue, Stage::Configure, format!("{host:?} is not a host name")))?;
        UnbufferedClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| Error::new(Code::Tls, Stage::Tls, error.to_string()))
    }
}

/// What a failed read or write of a [`super::stream::Stream`] means, TLS errors included.
pub fn fault(source: &io::Error, stage: Stage) -> Error {
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(error) = inner {
        return tls_fault(error, stage);
    }
    if source.kind() == io::ErrorKind::UnexpectedEof {
        return Error::new(Code::Dropped, stage, "The peer hung up.");
    }
    Error::from_io(Code::Dropped, stage, "The connection broke", source)
}

/// A TLS error in our terms.
fn tls_fault(error: &rustls::Error, stage: Stage) -> Error {
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_fault(reason, stage),
        rustls::Error::AlertReceived(alert) => {
            let text = format!("The peer sent the alert {alert:?}.");
            Error::new(Code::Tls, stage, text).with(|detail| detail.tls_alert = Some(u8::from(*alert)))
        }
        other => Error::new(Code::Tls, stage, format!("{other}.")),
    }
}

fn certificate_fault(reason: &CertificateError, stage: Stage) -> Error {
    use CertificateError as Reason;
    // Alert numbers as rustls sends them (RFC 8446 6.2).
    let (code, alert) = match reason {
        Reason::Expired | Reason::ExpiredContext { .. } | Reason::NotValidYet | Reason::NotValidYetContext { .. } => {
            (Code::CertificateExpired, 45)
        }
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => (Code::CertificateHost, 42),
        Reason::UnknownIssuer => (Code::CertificateUntrusted, 48),
        // What an authority looks like that has only the name of one we trust, such as one that was renewed.
        Reason::BadSignature => (Code::CertificateUntrusted, 51),
        // A self-signed leaf, or an authority used as a server: nobody we trust has issued it for this.
        Reason::Other(other) if other.0.to_string().contains("CaUsedAsEndEntity") => (Code::CertificateUntrusted, 42),
        Reason::Revoked => (Code::Certificate, 44),
        _ => (Code::Certificate, 42),
    };
    Error::new(code, stage, format!("{reason}.")).with(|detail| detail.tls_alert = Some(alert))
}

/// Ring's algorithms, made once. Nothing is installed as the process's default.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

/// A trust store, parsed.
#[derive(Clone)]
struct Roots {
    store: Arc<RootCertStore>,
    report: Arc<TrustReport>,
}

impl Roots {
    fn load(trust: &Trust) -> Result<Self, Error> {
        match trust {
            Trust::System => Self::system(),
            Trust::File(path) if Path::new(path).is_dir() => Self::parse(&directory(path), path),
            Trust::File(path) => {
                let pem = fs::read(path);
                let pem = pem.map_err(|error| Error::from_io(Code::TrustStore, Stage::Configure, path, &error))?;
                Self::parse(&pem, path)
            }
            Trust::Memory(pem) => Self::parse(pem, "memory"),
        }
    }

    /// This machine's roots, parsed once a process; a failure is not kept.
    fn system() -> Result<Self, Error> {
        static SYSTEM: OnceLock<Roots> = OnceLock::new();
        if let Some(roots) = SYSTEM.get() {
            return Ok(roots.clone());
        }
        let roots = Self::search()?;
        Ok(SYSTEM.get_or_init(|| roots).clone())
    }

    fn search() -> Result<Self, Error> {
        let bundle = BUNDLES.iter().find_map(|path| Self::parse(&fs::read(path).ok()?, path).ok());
        bundle.map_or_else(|| Self::parse(&directory(DIRECTORY), DIRECTORY), Ok)
    }

    /// The certificates of a PEM text; what cannot be parsed is left out, nothing left is an error.
    fn parse(pem: &[u8], from: &str) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
        if store.is_empty() {
            return Err(Error::new(Code::TrustStore, Stage::Configure, format!("No certificate in {from}.")));
        }
        let report = TrustReport { store: from.into(), roots: store.len() };
        Ok(Self { store: Arc::new(store), report: Arc::new(report) })
    }
}

/// Every file of a directory, one after the other; what cannot be read is left out.
fn directory(path: &str) -> Vec<u8> {
    let mut pem = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        pem.append(&mut fs::read(entry.path()).unwrap_or_default());
        pem.push(b'\n');
    }
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_missing_store_is_an_error() {
        for trust in [Trust::Memory(b"nothing".to_vec()), Trust::File("/nonexistent/ca.pem".into())] {
            assert_eq!(TlsClient::new(&trust).unwrap_err().code(), Code::TrustStore, "{trust:?}");
        }
    }

    #[test]
    fn a_store_says_where_it_is_from_and_how_many_roots_it_has() {
        let pem = super::super::testing::Authority::new().pem();
        let client = TlsClient::new(&Trust::Memory(pem.into_bytes())).unwrap();
        assert_eq!(client.report(), &TrustReport { store: "memory".into(), roots: 1 });
        assert!(client.session("api.example.com").is_ok() && client.session("127.0.0.1").is_ok());
        assert_eq!(client.session("not a name").map(drop).unwrap_err().code(), Code::BadValue);
    }

    #[test]
    fn certificate_errors_are_told_apart() {
        let code = |reason: CertificateError| certificate_fault(&reason, Stage::Tls).code();
        assert_eq!(code(CertificateError::Expired), Code::CertificateExpired);
        assert_eq!(code(CertificateError::NotValidYet), Code::CertificateExpired);
        assert_eq!(code(CertificateError::NotValidForName), Code::CertificateHost);
        assert_eq!(code(CertificateError::UnknownIssuer), Code::CertificateUntrusted);
        assert_eq!(code(CertificateError::BadSignature), Code::CertificateUntrusted);
        assert_eq!(code(CertificateError::Revoked), Code::Certificate);
    }

    #[test]
    fn an_alert_keeps_its_number() {
        let error = io::Error::other(rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure));
        let error = fault(&error, Stage::Tls);
        assert_eq!((error.code(), error.detail().tls_alert), (Code::Tls, Some(40)));
    }
}
