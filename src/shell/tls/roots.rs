//! Where trusted authorities come from.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::CertificateDer;
use rustls::RootCertStore;

use super::TrustReport;
use crate::config::settings::{Settings, Trust};
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
/// Largest file, and largest directory.
const LARGEST: u64 = 16 << 20;

/// Authorities as they were read: names, and PEM that is parsed only if nobody shares the outcome.
pub(super) struct Sources {
    store: String,
    pem: Vec<u8>,
    extra: Vec<(&'static str, Vec<u8>)>,
}

impl Sources {
    /// Reads what the settings name. It is read for every client: a store that was renewed is seen by the next one.
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let (store, pem) = match &settings.trust {
            Trust::System => system(),
            Trust::File(path) => (path.clone(), file(path)?),
            Trust::Directory(path) => (path.clone(), directory(path)),
            Trust::Memory(pem) => ("memory".into(), pem.clone()),
        };
        let mut extra = Vec::new();
        if !settings.extra_ca_file.is_empty() {
            extra.push(("tls.extra_ca_file", file(&settings.extra_ca_file)?));
        }
        if !settings.extra_ca_pem.is_empty() {
            extra.push(("tls.extra_ca_pem", settings.extra_ca_pem.clone().into_bytes()));
        }
        Ok(Self { store, pem, extra })
    }

    /// All that decides what comes out of [`Sources::parse`].
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let extra = self.extra.iter().flat_map(|(name, pem)| [name.as_bytes(), pem.as_slice()]);
        [self.store.as_bytes(), self.pem.as_slice()].into_iter().chain(extra)
    }

    /// The certificates, each once; what cannot be parsed is left out, a source with nothing left is an error.
    pub(super) fn parse(&self) -> Result<(RootCertStore, TrustReport), Error> {
        let mut store = RootCertStore::empty();
        let mut seen = HashSet::new();
        let extra = self.extra.iter().map(|(name, pem)| (*name, pem));
        for (name, pem) in [(self.store.as_str(), &self.pem)].into_iter().chain(extra) {
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(pem).filter_map(Result::ok) {
                let is_known = seen.contains(&certificate);
                // Lent, not given: the store keeps the little of it that it needs.
                let is_added = !is_known && store.add(CertificateDer::from(&*certificate)).is_ok();
                if is_added {
                    seen.insert(certificate);
                }
                found |= is_known || is_added;
            }
            if !found {
                return Err(Error::new(Code::TrustStore, Stage::Configure, format!("No certificate in {name}.")));
            }
        }
        let report = TrustReport { store: self.store.clone(), roots: store.len() };
        Ok((store, report))
    }
}

/// The first bundle that holds a certificate, else the directory.
fn system() -> (String, Vec<u8>) {
    let holds_one = |pem: &[u8]| CertificateDer::pem_slice_iter(pem).any(|certificate| certificate.is_ok());
    let bundle = |path: &&str| fs::read(path).ok().filter(|pem| holds_one(pem)).map(|pem| ((*path).to_owned(), pem));
    BUNDLES.iter().find_map(bundle).unwrap_or_else(|| (DIRECTORY.into(), directory(DIRECTORY)))
}

fn file(path: &str) -> Result<Vec<u8>, Error> {
    let unreadable = |error| Error::from_io(Code::TrustStore, Stage::Configure, path, &error);
    // Asked before opening: a pipe would hold the caller until somebody writes into it.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Error::new(Code::TrustStore, Stage::Configure, format!("{path} is no file.")));
    }
    let mut pem = Vec::new();
    File::open(path).map_err(unreadable)?.take(LARGEST).read_to_end(&mut pem).map_err(unreadable)?;
    Ok(pem)
}

/// Every file of a directory, one after the other by name; what cannot be read is left out.
fn directory(path: &str) -> Vec<u8> {
    let mut pem = Vec::new();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    for path in paths.iter().filter(|path| is_file(path)) {
        let room = LARGEST.saturating_sub(pem.len() as u64);
        let read = File::open(path).and_then(|file| file.take(room).read_to_end(&mut pem));
        if read.is_ok() {
            pem.push(b'\n');
        }
    }
    pem
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file())
}
