//! tinyproxy and squid before nginx and Node's `ws`: TLS through a tunnel that asks for a password. What each of them
//! answers to what, at the simulator, is in `network/real.rs`.

use std::path::Path;
use std::process::Command;

use genesys_ws_auth::{Code, Stage};

use super::client::App;
use super::daemon::{Daemon, Directory, Extra, Nginx, Port};
use super::harness::{available_with, Peer, Server};

const USER: &str = "recorder";
const PASSWORD: &str = "right-password";
/// Where Debian keeps squid's helper.
const NCSA: &str = "/usr/lib/squid/basic_ncsa_auth";

/// A proxy that runs.
struct Proxy {
    url: String,
    _daemon: Daemon,
    _port: Port,
    _directory: Directory,
}

fn tinyproxy() -> Proxy {
    let (directory, port) = (Directory::new("tinyproxy"), Port::claim());
    let number = port.number;
    let text = format!(
        "Port {number}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nBasicAuth {USER} {PASSWORD}\nLogLevel Info\n"
    );
    let file = directory.write("conf", &text).display().to_string();
    let is_ready = |line: &str| line.contains("Accepting connections");
    let daemon = Daemon::start("tinyproxy", &["-d", "-c", &file], is_ready);
    Proxy { url: format!("http://127.0.0.1:{number}"), _daemon: daemon, _port: port, _directory: directory }
}

fn squid() -> Proxy {
    let (directory, port) = (Directory::new("squid"), Port::claim());
    let hash = Command::new("openssl").args(["passwd", "-apr1", PASSWORD]).output().expect("openssl");
    let users = directory.write("users", &format!("{USER}:{}", String::from_utf8_lossy(&hash.stdout)));
    let (number, path) = (port.number, directory.path().display());
    let text = format!(
        "http_port 127.0.0.1:{number}\npid_filename none\naccess_log none\ncache_log /dev/null\ncache deny all\n\
         cache_mem 1 MB\ncoredump_dir {path}\nshutdown_lifetime 0 seconds\npinger_enable off\n\
         visible_hostname gwa-test\nauth_param basic program {NCSA} {}\nauth_param basic realm test\n\
         acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n",
        users.display()
    );
    let file = directory.write("conf", &text).display().to_string();
    let is_ready = |line: &str| line.contains("Accepting HTTP Socket connections");
    let daemon = Daemon::start("squid", &["-N", "-d", "1", "-f", &file], is_ready);
    Proxy { url: format!("http://127.0.0.1:{number}"), _daemon: daemon, _port: port, _directory: directory }
}

/// Messages and renewals through the proxy; then a wrong password for the socket alone, and for the token alone.
fn check(proxy: &Proxy) {
    let args =
        ["--plain", "--limit", "300", "--expires", "3", "--pump", "10", "--count", "400", "--keep-refresh-token"];
    let server = Server::start(Peer::Node, &args);
    let nginx = Nginx::start(&server.env, Extra::default());
    let env = nginx.env(&server.env);
    let right = [("proxy", proxy.url.as_str()), ("proxy.user", USER), ("proxy.password", PASSWORD)];
    let mut app = App::connected(&env, &right);
    app.wait_for("message 1 binary {\"type\":\"event\",\"connection\":1,\"seq\":399}");
    let metrics = app.metrics();
    assert!(metrics.renewals >= 1 && metrics.gaps == 0, "{metrics:?}");
    app.close();
    for key in ["proxy.wss", "proxy.https"] {
        let wrong = [(key, proxy.url.as_str()), ("proxy.user", USER), ("proxy.password", "wrong")];
        let app = App::new(&env, &[&wrong[..], &[("token.attempts", "1")]].concat());
        let error = app.refused();
        assert_eq!((error.code(), error.detail().stage), (Code::ProxyAuth, Stage::Proxy), "{key}: {error}");
        app.close();
    }
}

#[test]
fn through_tinyproxy() {
    if available_with("proxies::through_tinyproxy", &[Peer::Node], &["tinyproxy", "nginx", "openssl"]) {
        check(&tinyproxy());
    }
}

#[test]
fn through_squid() {
    if available_with("proxies::through_squid", &[Peer::Node], &["squid", "nginx", "openssl"]) {
        assert!(Path::new(NCSA).exists(), "squid's helper {NCSA}");
        check(&squid());
    }
}
