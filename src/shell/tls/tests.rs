use std::io;

use rcgen::{CertificateParams, KeyPair};
use rustls::{AlertDescription, CertificateError};

use super::fault::certificate_fault;
use super::verifier::pin_of;
use super::*;
use crate::config::settings::{ClientIdentity, Pem, Trust};
use crate::secret::Secret;
use crate::shell::testing::{scratch, Authority};

fn trusting(trust: Trust) -> Settings {
    Settings { trust, ..Settings::default() }
}

fn memory(authority: &Authority) -> Settings {
    trusting(Trust::Memory(authority.pem().into_bytes()))
}

fn refusal(settings: &Settings) -> (Code, String) {
    let error = TlsClient::new(settings).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn an_empty_or_missing_store_is_an_error() {
    let empty = scratch("empty-store");
    let nowhere = "/nonexistent/ca.pem".to_owned();
    for trust in [Trust::Memory(b"nothing".to_vec()), Trust::File(nowhere.clone()), Trust::Directory(nowhere.clone())] {
        assert_eq!(refusal(&trusting(trust.clone())).0, Code::TrustStore, "{trust:?}");
    }
    let extra = Settings { extra_ca_file: nowhere, ..memory(&Authority::new()) };
    assert_eq!(refusal(&extra).0, Code::TrustStore);
    let extra = Settings { extra_ca_pem: "-----BEGIN CERTIFICATE-----".into(), ..memory(&Authority::new()) };
    assert!(refusal(&extra).1.contains("tls.extra_ca_pem"));
    let directory = Trust::Directory(empty.to_str().unwrap().into());
    assert_eq!(refusal(&trusting(directory)).0, Code::TrustStore);
}

#[test]
fn a_store_says_where_it_is_from_and_how_many_roots_it_has() {
    let client = TlsClient::new(&memory(&Authority::new())).unwrap();
    assert_eq!(client.report(), &TrustReport { store: "memory".into(), roots: 1 });
    assert!(client.session("api.example.com").is_ok() && client.session("127.0.0.1").is_ok());
    assert_eq!(client.session("not a name").map(drop).unwrap_err().code(), Code::BadValue);
}

#[test]
fn a_directory_is_read_whole_and_further_roots_are_added_once() {
    let authorities = [Authority::new(), Authority::new(), Authority::new()];
    let directory = scratch("directory-store");
    for (name, authority) in ["a.pem", "b.crt", "copy-of-b"].iter().zip([0, 1, 1]) {
        std::fs::write(directory.join(name), authorities[authority].pem()).unwrap();
    }
    std::fs::write(directory.join("README"), "no certificate").unwrap();
    std::fs::create_dir_all(directory.join("sub")).unwrap();
    let path = directory.to_str().unwrap().to_owned();
    let file = directory.join("a.pem").to_str().unwrap().to_owned();
    let mut settings = trusting(Trust::Directory(path.clone()));
    assert_eq!(TlsClient::new(&settings).unwrap().report(), &TrustReport { store: path, roots: 2 });
    settings.extra_ca_pem = authorities[2].pem();
    settings.extra_ca_file = file;
    assert_eq!(TlsClient::new(&settings).unwrap().report().roots, 3, "one of the two is known already");
}

#[test]
fn equal_settings_share_one_configuration_while_anybody_uses_it() {
    let authority = Authority::new();
    let same = |a: &TlsClient, b: &TlsClient| Arc::ptr_eq(&a.0, &b.0);
    let first = TlsClient::new(&memory(&authority)).unwrap();
    assert!(same(&first, &TlsClient::new(&memory(&authority)).unwrap()));
    let (pin, key) = (pin_of(b"x"), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(["c".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let pem = |text: String| Pem::Text(Secret::new(text));
    let identity = ClientIdentity { certificate: pem(certificate), key: pem(key.serialize_pem()) };
    let others = [
        Settings { min_tls: TlsVersion::V13, ..memory(&authority) },
        Settings { pins: vec![pin], ..memory(&authority) },
        Settings { client_identity: Some(identity), ..memory(&authority) },
        Settings { extra_ca_pem: Authority::new().pem(), ..memory(&authority) },
        memory(&Authority::new()),
    ];
    let others: Vec<_> = others.iter().map(|settings| TlsClient::new(settings).unwrap()).collect();
    for (place, other) in others.iter().enumerate() {
        assert!(!same(&first, other) && others[..place].iter().all(|earlier| !same(earlier, other)), "{place}");
    }
    let weak = Arc::downgrade(&first.0);
    drop(first);
    assert_eq!(weak.strong_count(), 0, "nobody uses it, nobody keeps it");
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_told_when_a_client_is_made() {
    let (key, stranger) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(["c".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let authority = Authority::new();
    let told = |certificate: &str, key: &str| {
        let pem = |text: &str| Pem::Text(Secret::new(text.into()));
        let identity = ClientIdentity { certificate: pem(certificate), key: pem(key) };
        let (code, text) = refusal(&Settings { client_identity: Some(identity), ..memory(&authority) });
        assert_eq!(code, Code::ClientCertificate, "{text}");
        text
    };
    assert!(told(&certificate, &stranger.serialize_pem()).contains("not the certificate's"));
    assert!(told(&certificate, "nonsense").contains("No private key"));
    assert!(told("nonsense", &key.serialize_pem()).contains("No certificate"));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(told(&certificate, encrypted).contains("encrypted"));
    let older = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    assert!(told(&certificate, older).contains("encrypted"));
    let nowhere = || Pem::File("/nonexistent/key.pem".into());
    let identity = ClientIdentity { certificate: nowhere(), key: nowhere() };
    let (code, text) = refusal(&Settings { client_identity: Some(identity), ..memory(&authority) });
    assert!(code == Code::ClientCertificate && text.contains("/nonexistent/key.pem"), "{text}");
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
fn an_alert_keeps_its_number_and_says_what_it_means() {
    let of = |alert| fault(&io::Error::other(rustls::Error::AlertReceived(alert)), Stage::Tls);
    let error = of(AlertDescription::HandshakeFailure);
    assert_eq!((error.code(), error.detail().tls_alert), (Code::Tls, Some(40)));
    assert!(error.to_string().contains("may demand a client certificate"));
    assert!(of(AlertDescription::CertificateRequired).to_string().contains("set tls.client_cert_file"));
    assert!(of(AlertDescription::UnknownCA).to_string().contains("does not accept the client certificate"));
    assert!(of(AlertDescription::ProtocolVersion).to_string().contains("tls.min_version"));
}
