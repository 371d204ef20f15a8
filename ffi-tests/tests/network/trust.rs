//! Whom the client believes, and how it proves who it is.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ffi_tests::sim::{Leaf, TlsOptions};
use genesys_ws_auth::{Client, Code, Config, Error, Secret, Stage};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::harness::*;

fn tls(set: impl FnOnce(&mut TlsOptions)) -> Setup {
    let mut options = TlsOptions::default();
    set(&mut options);
    Setup::default().key("token.attempts", 1).sim(|sim| sim.tls = Some(options))
}

fn stats(client: &Client) -> Value {
    serde_json::from_str(&client.stats_json()).unwrap()
}

/// An empty directory for one test.
fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("gwa-net-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A client of the rig with other keys.
fn another(rig: &Rig, pairs: &[(&str, &str)]) -> Result<Client, Error> {
    let mut config = rig.config.clone();
    pairs.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    Client::new(&config)
}

#[test]
fn each_fault_of_a_certificate_has_its_own_code() {
    for (leaf, code) in [
        (Leaf::Expired, Code::CertificateExpired),
        (Leaf::WrongHost, Code::CertificateHost),
        (Leaf::SelfSigned, Code::CertificateSelfSigned),
    ] {
        let rig = tls(|options| options.leaf = leaf).build();
        let error = refused(&rig);
        assert_eq!((error.code(), error.detail().stage), (code, Stage::Tls), "{leaf:?}: {error}");
        rig.close();
    }
    let (rig, other) = (tls(|_| {}).build(), tls(|_| {}).build());
    let stranger = another(&rig, &[("tls.ca_pem", other.sim.ca_pem())]).unwrap();
    let error = stranger.connect(Some(BOUND)).unwrap_err();
    assert_eq!((error.code(), error.detail().stage), (Code::CertificateUntrusted, Stage::Tls), "{error}");
}

#[test]
fn roots_come_from_a_directory_and_further_ones_from_anywhere() {
    let rig = tls(|_| {}).build();
    let stranger = tls(|_| {}).build();
    let directory = scratch("roots");
    fs::write(directory.join("ca.crt"), rig.sim.ca_pem()).unwrap();
    fs::write(directory.join("notes.txt"), "nothing").unwrap();
    let path = directory.to_str().unwrap();
    let client = another(&rig, &[("tls.ca_pem", ""), ("tls.ca_directory", path)]).unwrap();
    assert_eq!((&stats(&client)["trust"]["store"], &stats(&client)["trust"]["roots"]), (&path.into(), &1.into()));
    client.connect(Some(BOUND)).unwrap();
    let file = directory.join("ca.crt");
    for extra in [("tls.extra_ca_pem", rig.sim.ca_pem()), ("tls.extra_ca_file", file.to_str().unwrap())] {
        let client = another(&rig, &[("tls.ca_pem", stranger.sim.ca_pem()), extra]).unwrap();
        assert_eq!(stats(&client)["trust"]["roots"], 2);
        client.connect(Some(BOUND)).unwrap_or_else(|error| panic!("{}: {error}", extra.0));
    }
    let empty = scratch("no-roots");
    let none = another(&rig, &[("tls.ca_pem", ""), ("tls.ca_directory", empty.to_str().unwrap())]);
    assert_eq!(code(none), Some(Code::TrustStore));
}

#[test]
fn clients_of_equal_trust_resume_each_others_sessions() {
    let rig = tls(|_| {}).connect();
    let before = rig.sim.record().read(|log| log.tls.len());
    let second = another(&rig, &[]).unwrap();
    second.connect(Some(BOUND)).unwrap();
    let resumed = |from: usize| {
        rig.sim.record().read(|log| log.tls.iter().skip(from).all(|one| one.result.as_ref().unwrap().resumed))
    };
    assert!(resumed(before), "{:?}", rig.sim.record().snapshot().tls);
    // With a setting that is not equal nothing is resumed.
    let third = another(&rig, &[("tls.min_version", "1.3")]).unwrap();
    let before = rig.sim.record().read(|log| log.tls.len());
    third.connect(Some(BOUND)).unwrap();
    assert!(!resumed(before));
}

/// An authority, an authority below it, and a server of the latter; with the keys' pins.
struct Chain {
    root: CertifiedIssuer<'static, KeyPair>,
    leaf: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pins: [String; 3],
}

fn pin(key: &KeyPair) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &key.subject_public_key_info());
    format!("sha256/{}", STANDARD.encode(digest.as_ref()))
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Chain {
    fn new(name: &str) -> Self {
        let root = CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap();
        let below = authority(&format!("below {name}"));
        let below = CertifiedIssuer::signed_by(below, KeyPair::generate().unwrap(), &root).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "server");
        let leaf = params.signed_by(&key, &below).unwrap();
        let pins = [pin(&key), pin(below.key()), pin(root.key())];
        Self { leaf: vec![leaf.der().clone(), below.der().clone()], root, key: key.serialize_der(), pins }
    }

    /// A server that shows the chain and what is given beside it, and answers every request with 404.
    fn serve(&self, beside: &[CertificateDer<'static>]) -> SocketAddr {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let shown = [&self.leaf[..], beside].concat();
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(shown, key.into()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        address
    }
}

/// What a client of these pins ends with at a server that answers 404 to whoever it lets in.
fn pinned(address: SocketAddr, ca_pem: &str, pins: &str) -> Error {
    let mut config = Config::new();
    let url = format!("https://localhost:{}/oauth/token", address.port());
    for (key, value) in [("client.id", "id"), ("token.url", &url), ("token.attempts", "1")] {
        config.set(key, value).unwrap();
    }
    config.set("tls.ca_pem", ca_pem).unwrap();
    config.set("tls.pins", pins).unwrap();
    config.set_secret("client.secret", Secret::new("hush".into())).unwrap();
    let client = Client::new(&config).unwrap();
    assert_eq!(stats(&client)["network"]["pins"], pins.split(',').count());
    client.connect(Some(BOUND)).unwrap_err()
}

#[test]
fn a_pin_fits_leaf_intermediate_or_root() {
    let (chain, stranger) = (Chain::new("ours"), Chain::new("theirs"));
    let address = chain.serve(&[]);
    for pin in &chain.pins {
        assert_eq!(pinned(address, &chain.root.pem(), pin).code(), Code::HttpStatus);
    }
    let several = format!("{}, {}", stranger.pins[0], chain.pins[1]);
    assert_eq!(pinned(address, &chain.root.pem(), &several).code(), Code::HttpStatus);
    let error = pinned(address, &chain.root.pem(), &stranger.pins.join(","));
    assert_eq!((error.code(), error.detail().stage), (Code::CertificatePin, Stage::Tls), "{error}");
    assert!(!error.is_retriable());
    // A pin makes nothing milder: who is not trusted stays so.
    let error = pinned(address, &stranger.root.pem(), &chain.pins[0]);
    assert_eq!(error.code(), Code::CertificateUntrusted, "{error}");
}

#[test]
fn a_pinned_certificate_that_is_only_sent_along_does_not_count() {
    let (pinned_chain, attacker) = (Chain::new("pinned"), Chain::new("another trusted authority"));
    // Both are trusted; the attacker's server sends the pinned chain's certificates, which are public, beside its own.
    let beside = [pinned_chain.leaf.clone(), vec![pinned_chain.root.der().clone()]].concat();
    let address = attacker.serve(&beside);
    let trusted = pinned_chain.root.pem() + &attacker.root.pem();
    for pin in &pinned_chain.pins {
        assert_eq!(pinned(address, &trusted, pin).code(), Code::CertificatePin);
    }
    assert_eq!(pinned(address, &trusted, &attacker.pins[2]).code(), Code::HttpStatus);
}

#[test]
fn a_server_may_demand_a_certificate_of_the_client() {
    let rig = tls(|options| options.client_certificate = true).build();
    let identity = rig.sim.client_identity().clone();
    let directory = scratch("identity");
    let (certificate, key) = (directory.join("client.pem"), directory.join("client.key"));
    fs::write(&certificate, &identity.certificate_pem).unwrap();
    fs::write(&key, &identity.key_pem).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let files = another(&rig, &[("tls.client_cert_file", certificate), ("tls.client_key_file", key)]).unwrap();
    assert_eq!(stats(&files)["network"]["client_certificate"], true);
    files.connect(Some(BOUND)).unwrap();

    let mut config = rig.config.clone();
    config.set("tls.client_cert_pem", &identity.certificate_pem).unwrap();
    config.set_secret("tls.client_key_pem", Secret::new(identity.key_pem.clone())).unwrap();
    Client::new(&config).unwrap().connect(Some(BOUND)).unwrap();
    assert!(!format!("{config:?}").contains(identity.key_pem.lines().nth(1).unwrap()));

    let wrong = KeyPair::generate().unwrap().serialize_pem();
    config.set_secret("tls.client_key_pem", Secret::new(wrong)).unwrap();
    assert_eq!(code(Client::new(&config)), Some(Code::ClientCertificate));

    let error = refused(&rig);
    assert_eq!((error.code(), error.detail().tls_alert), (Code::Tls, Some(116)), "{error}");
    assert!(error.to_string().contains("demands a client certificate"), "{error}");
    rig.close();
}

#[test]
fn a_socket_that_alone_demands_a_certificate_says_so() {
    for tls12_only in [false, true] {
        let rig = tls(|_| {}).build();
        let strict = tls(|options| (options.client_certificate, options.tls12_only) = (true, tls12_only)).build();
        let extra = ("tls.extra_ca_pem", strict.sim.ca_pem());
        let client = another(&rig, &[("ws.url", &strict.sim.ws_url()), extra]).unwrap();
        let error = client.connect(Some(BOUND)).unwrap_err();
        assert_eq!((error.code(), error.detail().tls_alert), (Code::Tls, Some(116)), "{error}");
        assert_eq!(error.detail().host, strict.sim.addr().to_string());
        assert!(error.to_string().contains("demands a client certificate"), "{error}");
    }
}

#[test]
fn a_client_certificate_of_another_authority_is_refused() {
    for tls12_only in [false, true] {
        let rig = tls(|options| (options.client_certificate, options.tls12_only) = (true, tls12_only)).build();
        let stranger = tls(|_| {}).build();
        let identity = stranger.sim.client_identity();
        let mut config = rig.config.clone();
        config.set("tls.client_cert_pem", &identity.certificate_pem).unwrap();
        config.set_secret("tls.client_key_pem", Secret::new(identity.key_pem.clone())).unwrap();
        let error = Client::new(&config).unwrap().connect(Some(BOUND)).unwrap_err();
        assert!(error.code() == Code::Tls && error.detail().tls_alert.is_some(), "{error}");
        assert!(error.to_string().contains("does not accept the client certificate"), "{error}");
    }
}

#[test]
fn the_least_version_of_tls() {
    let rig = tls(|options| options.tls12_only = true).key("tls.min_version", "1.2").connect();
    let modern = another(&rig, &[("tls.min_version", "1.3")]).unwrap();
    assert_eq!(stats(&modern)["network"]["min_tls"], "1.3");
    let error = modern.connect(Some(BOUND)).unwrap_err();
    assert_eq!((error.code(), error.detail().stage), (Code::Tls, Stage::Tls), "{error}");
    assert!(error.to_string().contains("tls.min_version"), "{error}");
    rig.close();
}

#[test]
fn a_certificate_from_the_future_is_told_like_an_expired_one() {
    let root = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2190, 1, 1);
    params.not_after = rcgen::date_time_ymd(2199, 1, 1);
    let leaf = vec![params.signed_by(&key, &root).unwrap().der().clone()];
    let (pem, pins) = (root.pem(), [pin(&key), pin(root.key()), String::new()]);
    let address = Chain { leaf, key: key.serialize_der(), pins: pins.clone(), root }.serve(&[]);
    let error = pinned(address, &pem, &pins[0]);
    assert_eq!((error.code(), error.detail().stage), (Code::CertificateExpired, Stage::Tls), "{error}");
}
