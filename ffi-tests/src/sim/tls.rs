//! A certificate authority made at start, and leaf certificates, sound and otherwise.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

static TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// Names the sound leaf is good for. `api.localhost` is what `https://api.{region}` gives for the region `localhost`; the other
/// profile has two more hosts.
const NAMES: [&str; 6] = ["localhost", "api.localhost", "login.localhost", "streaming.localhost", "127.0.0.1", "::1"];

/// The certificate the server shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Leaf {
    /// Issued by the CA for `localhost`, its hosts `api`, `login` and `streaming`, `127.0.0.1` and `::1`.
    #[default]
    Sound,
    /// Issued by the CA, expired in 2021.
    Expired,
    /// Issued by the CA for `wrong.example` only.
    WrongHost,
    /// Right names, signed by itself.
    SelfSigned,
}

/// Which TLS the server speaks.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsOptions {
    /// The certificate shown.
    pub leaf: Leaf,
    /// No TLS 1.3.
    pub tls12_only: bool,
    /// No AES: memcheck reports false errors in ring's AES-GCM.
    pub chacha20_only: bool,
    /// Only clients that show a certificate of the CA: see [`super::Sim::client_identity`].
    pub client_certificate: bool,
    /// Clients are asked for such a certificate; those without one are served too.
    pub asks_certificate: bool,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// The key, PKCS#8.
    pub key_pem: String,
}

/// The CA of one simulator and the server side made from it.
pub(crate) struct Authority {
    pub(crate) ca_pem: String,
    pub(crate) client: Identity,
    pub(crate) server: Arc<ServerConfig>,
}

impl Authority {
    pub(crate) fn new(options: TlsOptions) -> io::Result<Self> {
        Self::build(options).map_err(io::Error::other)
    }

    fn build(options: TlsOptions) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let ca_key = KeyPair::generate()?;
        let params = ca_params()?;
        let ca = params.self_signed(&ca_key)?;
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate()?;
        let params = leaf_params(options.leaf)?;
        let leaf = match options.leaf {
            Leaf::SelfSigned => params.self_signed(&key)?,
            Leaf::Sound | Leaf::Expired | Leaf::WrongHost => params.signed_by(&key, &issuer)?,
        };
        let roots = (options.client_certificate || options.asks_certificate).then(|| ca.der().clone());
        let server = server_config(options, leaf.der().clone(), key.serialize_der(), roots)?;
        Ok(Self { ca_pem: ca.pem(), client: client_identity(&issuer)?, server: Arc::new(server) })
    }
}

fn client_identity(issuer: &Issuer<'_, KeyPair>) -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "genesys-ws-auth client");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate_pem = params.signed_by(&key, issuer)?.pem();
    Ok(Identity { certificate_pem, key_pem: key.serialize_pem() })
}

fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "genesys-ws-auth simulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(leaf: Leaf) -> Result<CertificateParams, rcgen::Error> {
    let names = match leaf {
        Leaf::WrongHost => vec!["wrong.example".to_owned()],
        Leaf::Sound | Leaf::Expired | Leaf::SelfSigned => NAMES.map(str::to_owned).to_vec(),
    };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "genesys-ws-auth simulator");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    if leaf == Leaf::Expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    Ok(params)
}

/// With `client_ca`, clients are asked for a certificate of it, and have to have one if the options say so.
fn server_config(
    options: TlsOptions,
    leaf: CertificateDer<'static>,
    key: Vec<u8>,
    client_ca: Option<CertificateDer<'static>>,
) -> Result<ServerConfig, Box<dyn Error + Send + Sync>> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let provider = Arc::new(provider(options));
    let verifier = match client_ca {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca)?;
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            let builder = if options.client_certificate { builder } else { builder.allow_unauthenticated() };
            builder.build()?
        }
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(options))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![leaf], key)?;
    Ok(config)
}

fn provider(options: TlsOptions) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if options.chacha20_only {
        let is_chacha = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).contains("CHACHA20");
        provider.cipher_suites.retain(is_chacha);
    }
    provider
}

fn versions(options: TlsOptions) -> &'static [&'static SupportedProtocolVersion] {
    if options.tls12_only {
        TLS12
    } else {
        rustls::DEFAULT_VERSIONS
    }
}
