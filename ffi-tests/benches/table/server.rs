//! The server of the benchmark, a process of its own: token endpoint and `/ws` of the `auth-message` profile, TLS 1.3
//! with AES-128-GCM, one event a TLS record, sent as fast as the socket takes them. What it does is in the path: see
//! [`super::job`]. The simulator of the tests does far more, and is too slow for this.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{channel, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::handshake::derive_accept_key;

use super::job::{Job, Stage, TokenJob};
use super::peer::{Frame, Peer};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Runs until stdin ends. The first line of stdout is the address, then comes the CA, then a line for every client that
/// met a silent server.
pub fn run() {
    let (config, ca_pem) = identity().expect("certificates");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    print!("{}\n{ca_pem}", listener.local_addr().expect("an address"));
    let facts = Arc::new(Facts::default());
    thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let (config, facts) = (Arc::clone(&config), Arc::clone(&facts));
            // A client that goes away ends its thread, and nothing else.
            thread::spawn(move || serve(tcp, config, &facts).ok());
        }
    });
    io::stdin().lock().lines().for_each(drop);
}

/// A server that runs; ends with this value.
pub struct Server {
    child: std::process::Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its CA.
    pub ca_pem: String,
    lines: Receiver<String>,
}

impl Server {
    /// Starts this program again, as the server.
    pub fn start() -> Self {
        use std::process::{Command, Stdio};
        let program = std::env::current_exe().expect("this program");
        let command = &mut Command::new(program);
        let mut child =
            command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut lines = io::BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let addr = lines.next().and_then(|line| line.parse().ok()).expect("an address");
        let mut ca_pem = String::new();
        for line in lines.by_ref() {
            ca_pem += &line;
            ca_pem.push('\n');
            if line.contains("END CERTIFICATE") {
                break;
            }
        }
        let (sender, receiver) = channel();
        thread::spawn(move || lines.try_for_each(|line| sender.send(line)));
        Self { child, addr, ca_pem, lines: receiver }
    }

    /// Waits until a client has met the silence of this stage.
    pub fn wait_silent(&self, stage: Stage) {
        while self.lines.recv_timeout(Duration::from_secs(60)).expect("a client comes") != stage.name() {}
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one connection has to know of another.
#[derive(Default)]
struct Facts {
    /// Token requests by number: how many, and when the last one was answered.
    tokens: Mutex<HashMap<u64, (u32, Instant)>>,
    /// Connections of [`Job::Again`] by number.
    again: Mutex<HashMap<u64, u32>>,
    /// When the first connection of a [`Job::Reset`] was reset.
    resets: Mutex<HashMap<u64, Instant>>,
}

fn identity() -> Result<(Arc<ServerConfig>, String), Fault> {
    let ca_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = params.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = CryptoProvider { cipher_suites: vec![TLS13_AES_128_GCM_SHA256], ..ring::default_provider() };
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    Ok((Arc::new(config), ca_pem))
}

fn serve(tcp: TcpStream, config: Arc<ServerConfig>, facts: &Facts) -> Result<(), Fault> {
    let accepted = Instant::now();
    tcp.set_nodelay(true)?;
    let mut tls = ServerConnection::new(config)?;
    tls.set_buffer_limit(None);
    let mut stream = StreamOwned::new(tls, tcp);
    while let Some(head) = read_head(&mut stream)? {
        let path = head.split(' ').nth(1).unwrap_or_default();
        if let Some(job) = TokenJob::parse(path) {
            answer_token(&mut stream, &head, job, facts)?;
        } else if let Some(Job::Silent(stage @ (Stage::Token | Stage::Upgrade))) = Job::parse(path) {
            return fall_silent(stage, &mut stream);
        } else if let Some(job) = Job::parse(path) {
            let peer = upgrade(stream, &head)?;
            return attend(peer, &job, accepted, facts);
        } else {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
    Ok(())
}

/// Says so, and reads until the client goes.
fn fall_silent(stage: Stage, stream: &mut impl Read) -> Result<(), Fault> {
    println!("{}", stage.name());
    io::copy(stream, &mut io::sink())?;
    Ok(())
}

/// The head of a request; `None` at the end of the connection.
fn read_head(stream: &mut impl Read) -> io::Result<Option<String>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&byte);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn answer_token(stream: &mut (impl Read + Write), head: &str, job: TokenJob, facts: &Facts) -> Result<(), Fault> {
    let length = header(head, "content-length").unwrap_or("0").parse()?;
    stream.read_exact(&mut vec![0; length])?;
    let count = {
        let mut tokens = facts.tokens.lock().expect("no panic");
        let entry = tokens.entry(job.id).or_insert((0, Instant::now()));
        entry.0 += 1;
        entry.0
    };
    if count > 1 {
        thread::sleep(Duration::from_millis(job.slow_ms));
    }
    let body = format!(
        r#"{{"access_token":"token-{}-{count}-{}","token_type":"bearer","expires_in":{},"scope":"notifications"}}"#,
        job.id,
        "x".repeat(64),
        job.expires_s
    );
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    facts.tokens.lock().expect("no panic").insert(job.id, (count, Instant::now()));
    stream.write_all(answer.as_bytes())?;
    Ok(())
}

fn upgrade(mut stream: StreamOwned<ServerConnection, TcpStream>, head: &str) -> Result<Peer, Fault> {
    let key = header(head, "sec-websocket-key").ok_or("no key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(answer.as_bytes())?;
    Ok(Peer::new(stream))
}

fn attend(mut peer: Peer, job: &Job, accepted: Instant, facts: &Facts) -> Result<(), Fault> {
    if *job == Job::Silent(Stage::Auth) {
        peer.read()?;
        println!("{}", Stage::Auth.name());
        return ignore(peer);
    }
    authenticate(&mut peer)?;
    let took = accepted.elapsed();
    match *job {
        Job::Events { n, size, rate: 0 } => flood(&mut peer, n, size)?,
        Job::Events { n, size, rate } => pace(&mut peer, n, size, rate)?,
        Job::Idle => {}
        Job::Sink { n } => sink(&mut peer, n)?,
        Job::Again { id } => {
            let mut again = facts.again.lock().expect("no panic");
            let count = again.entry(id).or_default();
            *count += 1;
            if *count == 1 {
                return Ok(());
            }
            drop(again);
            peer.send_text(&format!(r#"{{"accepted_to_ready_us":{}}}"#, took.as_micros()))?;
        }
        Job::Pings { ms, id } => ping(&mut peer, Duration::from_millis(ms), id, facts)?,
        Job::Reset { id } => {
            let reset = facts.resets.lock().expect("no panic").get(&id).copied();
            let Some(reset) = reset else { return cut(peer, id, facts) };
            peer.send_text(&format!(r#"{{"reset_to_ready_us":{}}}"#, reset.elapsed().as_micros()))?;
        }
        Job::Silent(_) => return ignore(peer),
    }
    loop {
        match peer.read()? {
            Frame::Ping(data) => peer.send_pong(&data)?,
            Frame::Close => return Ok(()),
            Frame::Text(_) | Frame::Pong => {}
        }
    }
}

/// Reads until the client goes, and answers nothing.
fn ignore(mut peer: Peer) -> Result<(), Fault> {
    loop {
        peer.read()?;
    }
}

/// Waits until the client has read everything, lest the RST overtake it, and resets the connection.
fn cut(mut peer: Peer, id: u64, facts: &Facts) -> Result<(), Fault> {
    peer.send_ping(b"")?;
    while !matches!(peer.read()?, Frame::Pong) {}
    facts.resets.lock().expect("no panic").insert(id, Instant::now());
    Ok(peer.reset()?)
}

fn authenticate(peer: &mut Peer) -> Result<(), Fault> {
    match peer.read()? {
        Frame::Text(text) if text.starts_with(br#"{"type":"auth""#) => Ok(peer.send_text(OK)?),
        _ => Err("the first message is not auth".into()),
    }
}

const OK: &str = r#"{"type":"auth","status":"ok","sessionId":"5ca1ab1e-0000-4000-8000-000000000001"}"#;

/// An event of exactly this size.
fn event(size: usize) -> String {
    let frame = r#"{"topicName":"v2.users.bench.presence","eventBody":{"pad":""}}"#;
    frame.replace(r#""pad":"""#, &format!(r#""pad":"{}""#, "x".repeat(size - frame.len())))
}

fn flood(peer: &mut Peer, n: u64, size: usize) -> Result<(), Fault> {
    let text = event(size);
    let batch = (48 << 10) / (size as u64 + 32);
    let mut left = n;
    while left > 0 {
        let count = left.min(batch);
        peer.send_texts(&text, count)?;
        left -= count;
    }
    Ok(())
}

fn pace(peer: &mut Peer, n: u64, size: usize, rate: u64) -> Result<(), Fault> {
    let (text, start) = (event(size), Instant::now());
    for number in 0..n {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        peer.send_text(&text)?;
    }
    Ok(())
}

fn sink(peer: &mut Peer, n: usize) -> Result<(), Fault> {
    let mut waits = Vec::with_capacity(n);
    while waits.len() < n {
        let Frame::Text(text) = peer.read()? else { continue };
        let now = monotonic_ns();
        let digits = text.iter().skip(r#"{"at":"#.len()).take_while(|byte| byte.is_ascii_digit());
        let at = digits.fold(0, |at, digit| at * 10 + u64::from(digit - b'0'));
        waits.push(now.saturating_sub(at));
    }
    waits.sort_unstable();
    let (p50, p99) = (waits[n / 2], waits[n * 99 / 100]);
    peer.send_text(&format!(r#"{{"p50_us":{:.1},"p99_us":{:.1}}}"#, p50 as f64 / 1e3, p99 as f64 / 1e3))?;
    Ok(())
}

fn ping(peer: &mut Peer, time: Duration, id: u64, facts: &Facts) -> Result<(), Fault> {
    let start = Instant::now();
    let (mut longest, mut renewed) = (Duration::ZERO, None);
    let mut pongs = 0_u64;
    while start.elapsed() < time || (renewed.is_none() && start.elapsed() < 2 * time) {
        peer.send_ping(&pongs.to_be_bytes())?;
        let sent = Instant::now();
        loop {
            match peer.read()? {
                Frame::Pong => break,
                Frame::Text(text) if text.starts_with(br#"{"type":"auth""#) => {
                    let now = Instant::now();
                    let answered = facts.tokens.lock().expect("no panic").get(&id).map(|(_, at)| *at);
                    renewed = answered.map(|at| now.saturating_duration_since(at));
                    peer.send_text(OK)?;
                }
                Frame::Close => return Ok(()),
                Frame::Text(_) | Frame::Ping(_) => {}
            }
        }
        longest = longest.max(sent.elapsed());
        pongs += 1;
        thread::sleep(Duration::from_millis(2));
    }
    let renewed = renewed.map_or("null".to_owned(), |time| time.as_micros().to_string());
    let longest = longest.as_micros();
    peer.send_text(&format!(r#"{{"longest_pong_us":{longest},"token_to_auth_us":{renewed},"pongs":{pongs}}}"#))?;
    Ok(())
}

/// The clock by which clients say when they sent a message.
fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec that the call only writes to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
