//! Help for the tests of this directory: certificates, servers on loopback, a client side that waits, a logger.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use super::clock::Clock;
use super::dial::{Dial, Net, Opened};
use super::wait::Waiter;
use crate::config::settings::Trust;
use crate::config::Settings;
use crate::error::Error;

/// The server's end of a TLS connection, blocking.
pub type TlsPeer = StreamOwned<ServerConnection, TcpStream>;

/// A certificate authority and what it issues.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server that calls itself by these names; `until` is the last year of its certificate.
    pub fn server(&self, names: &[&str], until: i32) -> Arc<ServerConfig> {
        self.server_of(names, until, rustls::ALL_VERSIONS)
    }

    /// One that speaks only these versions.
    pub fn server_of(
        &self,
        names: &[&str],
        until: i32,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key.into());
        Arc::new(config.unwrap())
    }
}

/// An empty directory for one test.
pub fn scratch(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("gwa-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A server that lets `peer` talk to every connection, one after the other.
pub fn serve(mut peer: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            peer(stream.unwrap());
        }
    });
    address
}

/// The same over TLS; a handshake that fails is the client's to notice.
pub fn serve_tls(config: Arc<ServerConfig>, mut peer: impl FnMut(TlsPeer) + Send + 'static) -> SocketAddr {
    serve(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        if stream.flush().is_ok() {
            peer(stream);
        }
    })
}

/// A proxy that passes on what the server says a few bytes at a time.
pub fn trickle(to: SocketAddr, step: usize) -> SocketAddr {
    serve(move |client| {
        client.set_nodelay(true).unwrap();
        join_by(client, TcpStream::connect(to).unwrap(), step);
    })
}

/// Passes on what either end says.
pub fn join(client: TcpStream, server: TcpStream) {
    join_by(client, server, 16 << 10);
}

fn join_by(client: TcpStream, server: TcpStream, step: usize) {
    pass(client.try_clone().unwrap(), server.try_clone().unwrap(), 16 << 10);
    pass(server, client, step);
}

fn pass(mut from: TcpStream, mut to: TcpStream, step: usize) {
    thread::spawn(move || {
        let mut buffer = vec![0; step];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Reads from a client until what it said ends with `end`.
pub fn read_until(stream: &mut impl Read, end: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(end) && stream.read(&mut byte).unwrap_or(0) > 0 {
        said.push(byte[0]);
    }
    said
}

/// Settings for a plain server.
pub fn plain(address: SocketAddr) -> Settings {
    Settings {
        token_url: format!("http://{address}/oauth/token"),
        ws_url: format!("ws://{address}/ws"),
        allow_plain_loopback: true,
        ..Settings::default()
    }
}

/// Settings for a TLS server on `localhost`.
pub fn secure(address: SocketAddr, authority: &Authority) -> Settings {
    Settings {
        token_url: format!("https://localhost:{}/oauth/token", address.port()),
        ws_url: format!("wss://localhost:{}/ws", address.port()),
        trust: Trust::Memory(authority.pem().into_bytes()),
        ..Settings::default()
    }
}

/// A client side: network, wait, clock.
pub struct Side {
    pub net: Net,
    pub waiter: Waiter,
    pub clock: Clock,
}

impl Side {
    pub fn new(settings: Settings) -> Self {
        let clock = Clock::new();
        let net = Net::new(Arc::new(settings)).unwrap();
        Self { net, waiter: Waiter::new(&clock).unwrap(), clock }
    }

    /// Dials the socket's URL until it is open or fails.
    pub fn dial(&mut self) -> Result<Opened, Error> {
        let target = self.net.target(&self.net.settings.ws_url)?;
        let mut dial = Dial::start(&self.net, target, &self.waiter, self.clock.now())?;
        loop {
            if let Some(opened) = dial.advance(self.clock.now(), &self.waiter)? {
                return Ok(opened);
            }
            let woken = self.waiter.wait(Some(dial.deadline()), self.clock.now()).unwrap();
            // News of an earlier connection of the test is not for this one.
            woken.sockets().for_each(|ready| _ = dial.on_ready(ready));
        }
    }

    /// Waits for news of an open connection.
    pub fn wait(&mut self, opened: &mut Opened) {
        let woken = self.waiter.wait(None, self.clock.now()).unwrap();
        woken.sockets().filter(|ready| ready.token == opened.token).for_each(|ready| opened.stream.on_ready(ready));
    }
}

/// Everything that the libraries below have logged, at trace level, since the first call.
pub fn logged() -> String {
    start_log();
    LOG.lines.lock().unwrap().clone()
}

/// Starts to collect what is logged.
pub fn start_log() {
    // A second call finds the logger in place.
    let _ = log::set_logger(&LOG);
    log::set_max_level(log::LevelFilter::Trace);
}

static LOG: Log = Log { lines: Mutex::new(String::new()) };

struct Log {
    lines: Mutex<String>,
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.lines.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}
