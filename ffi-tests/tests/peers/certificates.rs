//! `openssl s_server`: certificates that must not be accepted, and what two TLS libraries make of each other's terms.
//! Each fault is met at the token endpoint and at the socket.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use ffi_tests::sim::{Issue, Options, Sim};
use genesys_ws_auth::{Code, Error, Stage};
use rcgen::{
    date_time_ymd, BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};

use super::client::{count, App};
use super::daemon::{Daemon, Directory};
use super::harness::{available_with, Env};
use super::runtimes::simulator;

/// The certificate shown.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Sound,
    Expired,
    NotYetValid,
    WrongHost,
    SelfSigned,
    /// By an authority that the client has never heard of.
    Untrusted,
    /// The trusted authority itself.
    Authority,
    /// Good for clients only.
    ForClients,
}

/// `openssl s_server` on a port of its own, with a certificate, and the authority that clients trust.
struct Rig {
    daemon: Daemon,
    directory: Directory,
    url: String,
    ca_pem: String,
    /// Of the leaf's public key, as `tls.pins` wants it.
    pin: String,
}

impl Rig {
    fn start(shown: Shown, args: &[&str]) -> Self {
        let directory = Directory::new("s-server");
        let (ca_pem, pin) = certificates(shown, &directory);
        let (cert, key) = (directory.file("leaf.pem"), directory.file("leaf.key"));
        let ca = directory.file("ca.pem");
        let (cert, key, ca) = (cert.display().to_string(), key.display().to_string(), ca.display().to_string());
        let port = ["s_server", "-accept", "127.0.0.1:0", "-cert", &cert, "-key", &key, "-CAfile", &ca];
        let mut url = String::new();
        let mut daemon = Daemon::start("openssl", &[&port, args].concat(), |line| line.starts_with("ACCEPT"));
        if let Some(address) = daemon.running().last().strip_prefix("ACCEPT ") {
            url = format!("localhost:{}", address.rsplit(':').next().unwrap_or_default());
        }
        assert!(!url.is_empty(), "s_server says where it listens");
        Self { daemon, directory, url, ca_pem, pin }
    }

    /// For a client that finds it at the token endpoint; the socket is of `sim`.
    fn at_token(&self, sim: &Sim, env: &Env) -> Env {
        self.env(sim, env, ("GWA_TOKEN_URL", format!("https://{}/oauth/token", self.url)))
    }

    /// For a client that finds it at the socket; the token endpoint is of `sim`.
    fn at_socket(&self, sim: &Sim, env: &Env) -> Env {
        self.env(sim, env, ("GWA_WS_URL", format!("wss://{}/ws", self.url)))
    }

    fn env(&self, sim: &Sim, env: &Env, (name, url): (&str, String)) -> Env {
        let both = self.directory.write("both.pem", &format!("{}{}", self.ca_pem, sim.ca_pem()));
        let mut env = env.clone();
        env.0.retain(|(known, _)| known != name && known != "GWA_CA_FILE");
        env.0.extend([(name.to_owned(), url), ("GWA_CA_FILE".into(), both.display().to_string())]);
        env
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let copy = KeyPair::from_pem(&key.serialize_pem()).expect("the same key");
    (Issuer::new(params, key), pem, copy)
}

/// Writes `leaf.pem`, `leaf.key`, `ca.pem`, and of the same authority `client.pem` and `client.key`; the authority that clients trust, and the leaf's pin.
fn certificates(shown: Shown, directory: &Directory) -> (String, String) {
    let (trusted, ca_pem, ca_key) = authority("trusted");
    let (other, ..) = authority("other");
    let host = if matches!(shown, Shown::WrongHost) { "wrong.example" } else { "localhost" };
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    match shown {
        Shown::Expired => {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        Shown::NotYetValid => params.not_before = date_time_ymd(2100, 1, 1),
        Shown::ForClients => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        _ => {}
    }
    let (leaf, key) = match shown {
        Shown::SelfSigned => (params.self_signed(&key).expect("a certificate").pem(), key),
        Shown::Untrusted => (params.signed_by(&key, &other).expect("a certificate").pem(), key),
        Shown::Authority => (ca_pem.clone(), ca_key),
        _ => (params.signed_by(&key, &trusted).expect("a certificate").pem(), key),
    };
    directory.write("leaf.pem", &leaf);
    directory.write("leaf.key", &key.serialize_pem());
    directory.write("ca.pem", &ca_pem);
    let client_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, "client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    directory.write("client.pem", &params.signed_by(&client_key, &trusted).expect("a certificate").pem());
    directory.write("client.key", &client_key.serialize_pem());
    let digest = ring::digest::digest(&ring::digest::SHA256, &key.subject_public_key_info());
    (ca_pem, format!("sha256/{}", STANDARD.encode(digest)))
}

fn available(test: &str) -> bool {
    available_with(&format!("certificates::{test}"), &[], &["openssl"])
}

/// What a client says that meets it at the token endpoint, and one that meets it at the socket.
fn refused(rig: &Rig, keys: &[(&str, &str)], name: &str) -> [Error; 2] {
    let keys = [keys, &[("token.attempts", "1")]].concat();
    let (sim, env) = simulator(&format!("certificates-{name}"), Options::default());
    let errors = [rig.at_token(&sim, &env), rig.at_socket(&sim, &env)].map(|env| {
        let app = App::new(&env, &keys);
        let error = app.refused();
        app.close();
        error
    });
    assert_eq!(sim.record().snapshot().auths(), 0, "no token has left");
    errors
}

#[test]
fn each_bad_certificate_has_its_own_error() {
    if !available("each_bad_certificate_has_its_own_error") {
        return;
    }
    let cases = [
        (Shown::Expired, Code::CertificateExpired),
        (Shown::NotYetValid, Code::CertificateExpired),
        (Shown::WrongHost, Code::CertificateHost),
        (Shown::SelfSigned, Code::CertificateSelfSigned),
        (Shown::Untrusted, Code::CertificateUntrusted),
        (Shown::Authority, Code::CertificateSelfSigned),
        (Shown::ForClients, Code::Certificate),
    ];
    for (shown, code) in cases {
        let mut rig = Rig::start(shown, &["-www"]);
        for error in refused(&rig, &[], &format!("{shown:?}")) {
            assert_eq!((error.code(), error.detail().stage), (code, Stage::Tls), "{shown:?}: {error}");
            assert!(error.detail().host.starts_with("localhost:"), "{shown:?}: {error}");
            // OpenSSL was told why.
            rig.daemon.wait_for(|line| line.contains("alert"));
        }
    }
}

#[test]
fn a_pin_decides_over_a_certificate_that_is_sound() {
    if !available("a_pin_decides_over_a_certificate_that_is_sound") {
        return;
    }
    let mut rig = Rig::start(Shown::Sound, &[]);
    let (sim, env) = simulator("certificates-pins", Options::default());
    let other = format!("sha256/{}", STANDARD.encode([7; 32]));
    // The simulator's own keys are not among them: only the token endpoint is met.
    let app = App::new(&rig.at_token(&sim, &env), &[("tls.pins", &other), ("token.attempts", "1")]);
    assert_eq!(app.refused().code(), Code::CertificatePin);
    app.close();
    let pins = format!("{other},{}", rig.pin);
    let keys = [("tls.pins", pins.as_str()), ("token.attempts", "1")];
    let app = converse(&mut rig, &sim, &env, &keys);
    // The token came from the pinned server; the socket has another key.
    let error = app.1.expect_err("the socket is not pinned");
    assert_eq!(error.code(), Code::CertificatePin, "{error}");
    assert_eq!(count(&app.0.close(), "token"), 1);
}

#[test]
fn terms_that_we_do_not_have_are_an_alert() {
    if !available("terms_that_we_do_not_have_are_an_alert") {
        return;
    }
    let cases: [(&str, &[&str], Option<u8>); 5] = [
        ("suite-1.2", &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], Some(40)),
        ("suite-1.3", &["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], Some(40)),
        ("group-1.3", &["-tls1_3", "-groups", "P-521"], Some(40)),
        ("certificate-1.3", &["-tls1_3", "-Verify", "1"], Some(116)),
        ("certificate-1.2", &["-tls1_2", "-Verify", "1"], Some(40)),
    ];
    for (name, args, alert) in cases {
        let rig = Rig::start(Shown::Sound, &[args, &["-www"]].concat());
        for error in refused(&rig, &[], name) {
            assert_eq!((error.code(), error.detail().tls_alert), (Code::Tls, alert), "{name}: {error}");
            let says = name.starts_with("certificate");
            assert!(!says || error.to_string().contains("tls.client_cert_file"), "{name}: {error}");
        }
    }
    let rig = Rig::start(Shown::Sound, &["-tls1_2", "-www"]);
    for error in refused(&rig, &[("tls.min_version", "1.3")], "least") {
        assert_eq!(error.code(), Code::Tls, "{error}");
        assert!(error.to_string().contains("tls.min_version"), "{error}");
    }
}

/// A client that gets its token from s_server, by our hand, and its socket at the simulator.
fn converse(rig: &mut Rig, sim: &Sim, env: &Env, keys: &[(&str, &str)]) -> (App, Result<(), Error>) {
    let body = format!(
        r#"{{"access_token":"{}","token_type":"bearer","expires_in":3600,"scope":"conversation:read"}}"#,
        sim.token().mint(&Issue::new()).access_token
    );
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut app = App::new(&rig.at_token(sim, env), keys);
    let connected = &mut app;
    let outcome = std::thread::scope(|scope| {
        let connecting = scope.spawn(move || connected.connect());
        // What s_server decrypts comes on its standard output, and what it is told goes out encrypted.
        rig.daemon.wait_for(|line| line.contains("POST /oauth/token HTTP/1.1"));
        rig.daemon.running().write(&answer);
        connecting.join().expect("no panic")
    });
    (app, outcome)
}

#[test]
fn openssl_and_we_understand_each_other() {
    if !available("openssl_and_we_understand_each_other") {
        return;
    }
    let cases: [(&str, &[&str], bool); 8] = [
        ("1.2", &["-tls1_2"], false),
        ("1.3", &["-tls1_3"], false),
        ("p-256", &["-groups", "P-256"], false),
        ("p-384, by a second hello", &["-groups", "P-384"], false),
        ("chacha", &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], false),
        ("no tickets", &["-no_ticket"], false),
        ("certificate-1.2", &["-tls1_2", "-Verify", "1", "-verify_return_error"], true),
        ("certificate-1.3", &["-tls1_3", "-Verify", "1", "-verify_return_error"], true),
    ];
    for (name, args, with_certificate) in cases {
        let mut rig = Rig::start(Shown::Sound, args);
        let (sim, env) = simulator("certificates-good", Options::default());
        let (cert, key) = (rig.directory.file("client.pem"), rig.directory.file("client.key"));
        let paths = [cert.display().to_string(), key.display().to_string()];
        let mut keys = vec![];
        if with_certificate {
            keys = vec![("tls.client_cert_file", paths[0].as_str()), ("tls.client_key_file", paths[1].as_str())];
        }
        let (app, outcome) = converse(&mut rig, &sim, &env, &keys);
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        app.close();
        assert_eq!(sim.record().snapshot().auths(), 1, "{name}");
    }
}
