//! Who a server is: rustls's own judgement first, then what rustls does not look at. Nothing here makes it milder.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use ring::digest::{digest, SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, OtherError, RootCertStore,
    SignatureScheme,
};
use webpki::{spki_for_anchor, Cert, EndEntityCert, KeyUsage, VerifiedPath};

use crate::config::settings::Pin;
use crate::error::{Code, Error, Stage};

/// rustls's verifier, and what we add.
#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    pins: Vec<Pin>,
    provider: Arc<CryptoProvider>,
}

/// What is wrong with a certificate, beyond what rustls has words for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrong {
    /// Issued by nobody but itself.
    SelfSigned,
    /// None of the keys that were verified is pinned.
    NotPinned,
}

impl Verifier {
    pub(super) fn new(roots: Arc<RootCertStore>, pins: Vec<Pin>, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build();
        let webpki = webpki.map_err(|error| Error::new(Code::TrustStore, Stage::Configure, format!("{error}.")))?;
        Ok(Self { webpki, roots, pins, provider })
    }

    /// Whether a pinned key is in a chain that can be verified from the leaf to one of the roots.
    ///
    /// A certificate that was only sent along does not count: whoever holds a certificate of another authority could
    /// send the pinned one beside it, which is public.
    fn is_pinned(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let holds_pin = |path: &VerifiedPath<'_>| {
            let between = path.intermediate_certificates().map(Cert::subject_public_key_info);
            let keys = [path.end_entity().subject_public_key_info(), spki_for_anchor(path.anchor())];
            let pinned = keys.into_iter().chain(between).any(|key| self.pins.contains(&pin_of(&key)));
            pinned.then_some(()).ok_or(webpki::Error::UnknownIssuer)
        };
        let algorithms = self.provider.signature_verification_algorithms.all;
        EndEntityCert::try_from(leaf).is_ok_and(|leaf| {
            let usage = KeyUsage::server_auth();
            let roots = &self.roots.roots;
            leaf.verify_for_usage(algorithms, roots, intermediates, now, usage, None, Some(&holds_pin)).is_ok()
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let judged = self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match judged {
            Err(TlsError::InvalidCertificate(reason)) if is_untrusted(&reason) && is_self_issued(end_entity) => {
                Err(Wrong::SelfSigned.into())
            }
            Ok(_) if !self.pins.is_empty() && !self.is_pinned(end_entity, intermediates, now) => {
                Err(Wrong::NotPinned.into())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.webpki.root_hint_subjects()
    }
}

/// The pin of a key.
pub(super) fn pin_of(subject_public_key_info: &[u8]) -> Pin {
    let mut pin = [0; 32];
    pin.copy_from_slice(digest(&SHA256, subject_public_key_info).as_ref());
    Pin(pin)
}

/// Whether nobody we trust has issued it for this; also said of an authority that is used as a server.
fn is_untrusted(reason: &CertificateError) -> bool {
    match reason {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => super::fault::is_authority_as_server(other),
        _ => false,
    }
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}

impl From<Wrong> for TlsError {
    fn from(wrong: Wrong) -> Self {
        CertificateError::Other(OtherError(Arc::new(wrong))).into()
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SelfSigned => "It names itself as its issuer",
            Self::NotPinned => "Its chain was verified, but holds no pinned key",
        })
    }
}

impl StdError for Wrong {}
