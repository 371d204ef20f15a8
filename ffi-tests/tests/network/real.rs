//! Proxies that nobody here wrote: tinyproxy and squid, with a password.

use std::fs;
use std::io::{stderr, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use genesys_ws_auth::{Code, Secret, Stage};

use crate::harness::*;

const USER: &str = "recorder";
const PASSWORD: &str = "right-password";
/// Where Debian keeps squid's helper.
const NCSA: &str = "/usr/lib/squid/basic_ncsa_auth";
/// Longest wait for a proxy to listen.
const START: Duration = Duration::from_secs(30);

/// A proxy of its own process. Dropping it ends the process.
struct Running {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A program in the search path, or where Debian puts what is for administrators. Without it the test is skipped,
/// which is said past the capture of the test runner and is a failure where everything is installed.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(|place| Path::new(place).join(name));
    let found = places.into_iter().find(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var_os("GWA_REQUIRE_PEERS").is_some_and(|value| value == "1");
        assert!(!required, "{name} is required and not installed");
        writeln!(stderr(), "SKIPPED: network::real: {name} is not installed").expect("stderr");
    }
    found
}

/// Starts a proxy with this configuration (from its directory and port), and waits until it listens.
fn start(name: &str, flags: &[&str], configuration: impl Fn(&Path, u16) -> String) -> Option<Running> {
    let program = program(name)?;
    let directory = std::env::temp_dir().join(format!("gwa-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    // Squid gives up root's rights and still has to write there.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = directory.join("conf");
    fs::write(&file, configuration(&directory, port)).unwrap();
    let log = fs::File::create(directory.join("out")).unwrap();
    let errors = log.try_clone().unwrap();
    let child =
        Command::new(program).args(flags).arg(&file).stdin(Stdio::null()).stdout(log).stderr(errors).spawn().unwrap();
    let mut running = Running { child, port, directory };
    let (_never, pace) = channel::<()>();
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let said = fs::read_to_string(running.directory.join("out")).unwrap_or_default();
        assert!(running.child.try_wait().unwrap().is_none(), "{name} has ended: {said}");
        assert!(begun.elapsed() < START, "{name} does not listen: {said}");
        // There is nothing else to wait on: another program's port.
        let _ = pace.recv_timeout(Duration::from_millis(20));
    }
    Some(running)
}

fn tinyproxy() -> Option<Running> {
    start("tinyproxy", &["-d", "-c"], |_, port| {
        format!("Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nBasicAuth {USER} {PASSWORD}\nLogLevel Critical\n")
    })
}

fn squid() -> Option<Running> {
    start("squid", &["-N", "-f"], |directory, port| {
        let hash = Command::new("openssl").args(["passwd", "-apr1", PASSWORD]).output().unwrap();
        let users = directory.join("users");
        fs::write(&users, format!("{USER}:{}", String::from_utf8(hash.stdout).unwrap())).unwrap();
        let (users, directory) = (users.display(), directory.display());
        format!(
            "http_port 127.0.0.1:{port}\npid_filename none\naccess_log none\ncache_log {directory}/log\n\
             cache deny all\ncache_mem 1 MB\ncoredump_dir {directory}\nshutdown_lifetime 0 seconds\n\
             pinger_enable off\nvisible_hostname gwa-test\nauth_param basic program {NCSA} {users}\n\
             auth_param basic realm test\nacl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n"
        )
    })
}

fn through(proxy: &Running, password: &str) -> Rig {
    let url = format!("http://127.0.0.1:{}", proxy.port);
    let mut setup = Setup::default().key("proxy", url).key("proxy.user", USER).key("token.attempts", 1);
    setup.config.set_secret("proxy.password", Secret::new(password.into())).unwrap();
    setup.build()
}

/// Right and wrong credentials, and a host that does not answer.
fn check(proxy: &Running, denied: u16) {
    let rig = through(proxy, PASSWORD);
    rig.client.connect(Some(BOUND)).unwrap();
    rig.sim.ws().push_text("through a real proxy");
    rig.seen.wait("a message", |saws| saws.iter().any(|saw| matches!(saw, Saw::Message { .. })));
    rig.client.refresh_now().unwrap();
    rig.wait_sim("a renewal", |log| log.reauths() == 1);
    rig.close();

    let rig = through(proxy, "wrong-password");
    let error = refused(&rig);
    let detail = error.detail();
    assert_eq!((error.code(), detail.stage, detail.http_status), (Code::ProxyAuth, Stage::Proxy, denied), "{error}");
    assert_eq!(detail.host, format!("127.0.0.1:{}", proxy.port));
    assert_eq!(rig.sim.record().token_requests(), 0);
    rig.close();

    let rig = through(proxy, PASSWORD);
    rig.sim.down();
    let error = refused(&rig);
    assert_eq!((error.code(), error.detail().stage), (Code::ProxyRefused, Stage::Proxy), "{error}");
    assert!(error.is_retriable() && error.detail().http_status >= 500, "{error}");
    rig.sim.up();
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
}

#[test]
fn tinyproxy_answers_wrong_credentials_with_401() {
    if let Some(proxy) = tinyproxy() {
        check(&proxy, 401);
    }
}

#[test]
fn squid_answers_wrong_credentials_with_407() {
    if let Some(proxy) = squid() {
        check(&proxy, 407);
    }
}
