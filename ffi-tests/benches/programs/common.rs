//! What the Rust programs of the benchmark share: arguments, clocks, the HTTP and WebSocket texts, and the counting.
//!
//!   PROGRAM TOKEN_URL WS_URL CA_FILE JOB [N]     (the jobs are those of c/client.c)

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::TcpStream;
use std::sync::Arc;

use base64::prelude::{Engine, BASE64_STANDARD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// What a program was asked to do.
pub struct Args {
    pub token: Url,
    pub ws: Url,
    pub ca_file: String,
    pub job: String,
    pub n: u64,
}

/// Where something is: `127.0.0.1:port`, and the path.
pub struct Url {
    pub authority: String,
    pub path: String,
}

impl Url {
    fn parse(text: &str) -> Self {
        let rest = text.split("://").nth(1).expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a path");
        Self { authority: authority.into(), path: format!("/{path}") }
    }

    pub fn server_name(&self) -> ServerName<'static> {
        let host = self.authority.split(':').next().unwrap_or_default().to_owned();
        ServerName::try_from(host).expect("a host")
    }

    pub fn dial(&self) -> TcpStream {
        let tcp = TcpStream::connect(&self.authority).expect("the server listens");
        tcp.set_nodelay(true).expect("nodelay");
        tcp
    }
}

pub fn args() -> Args {
    let all: Vec<String> = std::env::args().skip(1).collect();
    let [token, ws, ca_file, job, rest @ ..] = all.as_slice() else {
        panic!("PROGRAM TOKEN_URL WS_URL CA_FILE JOB [N]");
    };
    let n = rest.first().map_or(1, |n| n.parse().expect("a number"));
    Args { token: Url::parse(token), ws: Url::parse(ws), ca_file: ca_file.clone(), job: job.clone(), n }
}

/// One configuration for both connections, so that the second one resumes.
pub fn tls_config(ca_file: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(ca_file).expect("the CA file").filter_map(Result::ok);
    roots.add_parsable_certificates(found);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(config.expect("versions").with_root_certificates(roots).with_no_client_auth())
}

pub fn token_request(url: &Url) -> String {
    let basic = BASE64_STANDARD.encode("bench:secret");
    let body = "grant_type=client_credentials";
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {basic}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        url.path,
        url.authority,
        body.len()
    )
}

/// The access token, once the whole answer is there.
pub fn token_of(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    if body.len() < length.parse().ok()? {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    assert!(value["scope"].as_str()?.split(' ').any(|scope| scope == "notifications"), "the scope check");
    Some(value["access_token"].as_str()?.to_owned())
}

pub fn auth_message(token: &str) -> String {
    format!(r#"{{"type":"auth","token":"{token}"}}"#)
}

/// A message that says when it was sent, as c/client.c writes it.
pub fn timed_message(text: &mut String) {
    text.clear();
    let _ = write!(text, r#"{{"at":{},"pad":"................................"}}"#, monotonic_ns());
}

/// The callback that only counts.
pub struct Counter {
    wanted: u64,
    prints: bool,
    events: u64,
    bytes: u64,
    from: (u64, u64),
    to: (u64, u64),
}

impl Counter {
    pub fn new(args: &Args) -> Self {
        let prints = matches!(args.job.as_str(), "send" | "report");
        let wanted = if args.job == "events" { args.n } else { 1 };
        Self { wanted, prints, events: 0, bytes: 0, from: (0, 0), to: (0, 0) }
    }

    pub fn count(&mut self, data: &[u8]) {
        if self.prints {
            println!("report={}", String::from_utf8_lossy(data));
        }
        self.bytes += black_box(data).len() as u64;
        self.events += 1;
        if self.events == 1 {
            self.from = (cpu_ns(), monotonic_ns());
        }
        if self.events == self.wanted {
            self.to = (cpu_ns(), monotonic_ns());
        }
    }

    pub fn is_done(&self) -> bool {
        self.events >= self.wanted
    }

    pub fn print(&self) {
        println!("events={}\nbytes={}", self.events, self.bytes);
        println!("cpu_ns={}\nwall_ns={}", self.to.0 - self.from.0, self.to.1 - self.from.1);
    }
}

/// The clocks as `main` begins: what the loader did is not counted.
pub struct Start(u64, u64);

impl Start {
    pub fn now() -> Self {
        Self(monotonic_ns(), cpu_ns())
    }
}

pub fn print_ready(start: &Start) {
    println!("ready_ns={}\nready_cpu_ns={}", monotonic_ns() - start.0, cpu_ns() - start.1);
}

pub fn monotonic_ns() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

pub fn cpu_ns() -> u64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec that the call only writes to.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
