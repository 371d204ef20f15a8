//! A client that signs assertions with a key of its own instead of knowing a secret (RFC 7523).

use std::path::{Path, PathBuf};
use std::process::Command;

use genesys_ws_auth::Code;

use super::app::{App, LIMIT};
use super::harness::{available, Peer, Server};

/// A client that signs its assertions with this key.
fn signer(server: &Server, key: &Path) -> App {
    let file = key.display().to_string();
    let keys = [
        ("client.id", "signer"),
        ("client.authentication", "private_key_jwt"),
        ("client.private_key_file", file.as_str()),
        ("client.assertion_audience", server.env.value("GWA_ISSUER")),
        ("token.grant", "client_credentials"),
    ];
    App::new(server, &keys, "")
}

/// A new key, by `openssl genpkey`.
fn key(name: &str, args: &[&str]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oidc-{}-{name}", std::process::id()));
    let made = Command::new("openssl").arg("genpkey").args(args).arg("-out").arg(&path).output();
    assert!(made.as_ref().is_ok_and(|output| output.status.success()), "{made:?}");
    path
}

#[test]
fn a_signed_assertion_takes_the_place_of_a_secret() {
    let p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    for (alg, args) in [("ES256", p256), ("RS256", rsa)] {
        if !available("oidc::a_signed_assertion_takes_the_place_of_a_secret", &[Peer::Oidc]) {
            return;
        }
        let (own, other) = (key(alg, &args), key(&format!("{alg}-other"), &args));
        let file = own.display().to_string();
        let mut server = Server::start(Peer::Oidc, &["--expires", "5", "--client-key", &file, "--client-alg", alg]);
        let mut app = signer(&server, &own);
        app.client.connect(Some(LIMIT)).unwrap_or_else(|error| panic!("{alg}: {error}"));
        // Each has a jti of its own: the provider takes none twice.
        for _ in 0..3 {
            app.wait_for("token");
            server.wait_for("GRANTED client_credentials signer");
        }
        app.close();
        let app = signer(&server, &other);
        let error = app.client.connect(Some(LIMIT)).expect_err("another key");
        assert_eq!(
            (error.code(), error.detail().oauth_error.as_str()),
            (Code::Unauthorized, "invalid_client"),
            "{error}"
        );
        app.close();
        for path in [own, other] {
            std::fs::remove_file(path).expect("ours");
        }
    }
}
