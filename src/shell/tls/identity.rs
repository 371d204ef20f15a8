//! The client's own certificate, for servers that want to know it by TLS.

use std::fs;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, InconsistentKeys};
use zeroize::Zeroizing;

use crate::config::settings::{ClientIdentity, Pem};
use crate::error::{Code, Error, Stage};

/// Certificate and key, read but not yet parsed.
pub(super) struct Identity {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl Identity {
    pub(super) fn read(identity: &ClientIdentity) -> Result<Self, Error> {
        Ok(Self { certificate: read(&identity.certificate)?, key: read(&identity.key)? })
    }

    /// All that decides what it is.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [&self.certificate, &self.key]
    }

    /// A configuration that shows it to servers that ask.
    pub(super) fn show(self, builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig, Error> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| wrong("No certificate is there."))?;
        if is_encrypted(&self.key) {
            return Err(wrong("The key is encrypted; it has to be decrypted first."));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| wrong("No private key is there."))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                wrong("The key is not the certificate's key.")
            }
            rustls::Error::InvalidCertificate(_) => wrong("The certificate cannot be read."),
            // What rustls says of a key it cannot use names a format at most.
            other => wrong(&format!("The key cannot be used: {other}.")),
        })
    }
}

/// The text of a PEM, from wherever it lies.
pub fn read(pem: &Pem) -> Result<Zeroizing<Vec<u8>>, Error> {
    match pem {
        Pem::Text(text) => Ok(Zeroizing::new(text.expose().as_bytes().to_vec())),
        Pem::File(path) => {
            let unreadable = |error| Error::from_io(Code::ClientCertificate, Stage::Configure, path, &error);
            if !fs::metadata(path).map_err(unreadable)?.is_file() {
                return Err(wrong(&format!("{path} is no file.")));
            }
            fs::read(path).map(Zeroizing::new).map_err(unreadable)
        }
    }
}

/// Whether a PEM holds a key that a passphrase opens: in PKCS #8 (RFC 5958 3), or by a header (RFC 1421 4.6.1.1).
pub fn is_encrypted(pem: &[u8]) -> bool {
    let has = |marker: &[u8]| pem.windows(marker.len()).any(|window| window == marker);
    has(b"ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

fn wrong(why: &str) -> Error {
    Error::new(Code::ClientCertificate, Stage::Configure, why)
}
