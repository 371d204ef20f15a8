//! A plain client, independent of the library: HTTP by hand and tungstenite, over rustls or bare TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use ffi_tests::sim::{Identity, Sim, TokenPolicy};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned};
use serde_json::{json, Value};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, WebSocket};

/// No test waits longer for anything.
pub const BOUND: Duration = Duration::from_secs(10);

/// With TLS or without.
pub enum Wire {
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Plain(TcpStream),
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tls(tls) => tls.read(out),
            Wire::Plain(tcp) => tcp.read(out),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tls(tls) => tls.write(bytes),
            Wire::Plain(tcp) => tcp.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Tls(tls) => tls.flush(),
            Wire::Plain(tcp) => tcp.flush(),
        }
    }
}

pub fn tls_config(ca_pem: &str) -> Arc<ClientConfig> {
    Arc::new(trusting(ca_pem).with_no_client_auth())
}

pub fn tls_config_with_certificate(sim: &Sim) -> Arc<ClientConfig> {
    let Identity { certificate_pem, key_pem } = sim.client_identity();
    let chain = vec![CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    Arc::new(trusting(sim.ca_pem()).with_client_auth_cert(chain, key).unwrap())
}

fn trusting(ca_pem: &str) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.unwrap().with_root_certificates(roots)
}

pub fn tcp(sim: &Sim) -> TcpStream {
    let stream = TcpStream::connect(sim.addr()).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Connected and, with TLS, handshaken under that name.
pub fn dial_as(sim: &Sim, name: &str) -> io::Result<Wire> {
    if sim.ca_pem().is_empty() {
        return Ok(Wire::Plain(tcp(sim)));
    }
    dial_with(sim, name, &tls_config(sim.ca_pem()))
}

pub fn dial_with(sim: &Sim, name: &str, config: &Arc<ClientConfig>) -> io::Result<Wire> {
    let mut stream = tcp(sim);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(Wire::Tls(Box::new(StreamOwned::new(tls, stream))))
}

pub fn dial(sim: &Sim) -> Wire {
    dial_as(sim, "127.0.0.1").unwrap()
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn token(&self) -> String {
        self.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// The token request of the tutorial.
pub fn token_request(basic: &str, body: &str) -> String {
    let basic = STANDARD.encode(basic);
    format!(
        "POST /oauth/token HTTP/1.1\r\nHost: sim\r\nAuthorization: Basic {basic}\r\nAccept: application/json\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The default credentials.
pub fn credentials() -> String {
    let policy = TokenPolicy::default();
    format!("{}:{}", policy.client_id, policy.client_secret)
}

pub fn refresh_body() -> String {
    format!("grant_type=refresh_token&refresh_token={}", TokenPolicy::default().refresh_token)
}

/// A good token request with the refresh token of the start.
pub fn good_request() -> String {
    token_request(&credentials(), &refresh_body())
}

/// One request, one answer, on a connection of its own.
pub fn ask(sim: &Sim, request: &str) -> io::Result<Reply> {
    exchange(&mut dial(sim), request)
}

pub fn exchange(wire: &mut Wire, request: &str) -> io::Result<Reply> {
    wire.write_all(request.as_bytes())?;
    wire.flush()?;
    read_reply(wire)
}

fn read_reply(wire: &mut Wire) -> io::Result<Reply> {
    let mut held = Vec::new();
    let (mut reply, head) = loop {
        if let Some(done) = parse_head(&held) {
            break done;
        }
        read_more(wire, &mut held)?;
    };
    held.drain(..head);
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = read_chunks(wire, held)?;
        return Ok(reply);
    }
    let len: usize = reply.header("content-length").map_or(0, |value| value.parse().unwrap());
    while held.len() < len {
        read_more(wire, &mut held)?;
    }
    reply.body = held;
    Ok(reply)
}

fn parse_head(held: &[u8]) -> Option<(Reply, usize)> {
    let mut slots = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(len) = parsed.parse(held).unwrap() else {
        return None;
    };
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let headers = parsed.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect();
    let reply = Reply { status: parsed.code.unwrap(), headers, body: Vec::new() };
    Some((reply, len))
}

fn read_chunks(wire: &mut Wire, mut held: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, len))) = httparse::parse_chunk_size(&held) else {
            read_more(wire, &mut held)?;
            continue;
        };
        let end = start + len as usize + 2;
        while held.len() < end {
            read_more(wire, &mut held)?;
        }
        if len == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&held[start..end - 2]);
        held.drain(..end);
    }
}

fn read_more(wire: &mut Wire, held: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    match wire.read(&mut chunk)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        n => {
            held.extend_from_slice(&chunk[..n]);
            Ok(())
        }
    }
}

pub type Socket = WebSocket<Wire>;

/// An upgraded WebSocket; or the refusal.
pub fn try_upgrade(sim: &Sim) -> Result<Socket, tungstenite::Error> {
    let request = sim.ws_url().into_client_request().unwrap();
    let limits = WebSocketConfig::default().max_frame_size(Some(4 << 20)).max_message_size(Some(4 << 20));
    let done = tungstenite::client::client_with_config(request, dial(sim), Some(limits));
    match done {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(error)) => Err(error),
        Err(HandshakeError::Interrupted(_)) => panic!("the handshake took longer than {BOUND:?}"),
    }
}

pub fn upgrade(sim: &Sim) -> Socket {
    try_upgrade(sim).unwrap()
}

/// A fresh access token.
pub fn token(sim: &Sim) -> String {
    ask(sim, &good_request()).unwrap().token()
}

pub fn send_auth(socket: &mut Socket, token: &str) {
    let frame = json!({"type": "auth", "token": token});
    socket.send(Message::text(frame.to_string())).unwrap();
}

/// Sends an `auth` frame and reads the answer to it.
pub fn auth(socket: &mut Socket, token: &str) -> Value {
    send_auth(socket, token);
    read_json(socket)
}

/// An authenticated WebSocket.
pub fn connect(sim: &Sim) -> Socket {
    let token = token(sim);
    let mut socket = upgrade(sim);
    assert_eq!(auth(&mut socket, &token)["status"], "ok");
    socket
}

pub fn read_text(socket: &mut Socket) -> String {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("text expected, not {other:?}"),
        }
    }
}

pub fn read_json(socket: &mut Socket) -> Value {
    serde_json::from_str(&read_text(socket)).unwrap()
}

/// The code and reason of the close frame that comes next.
pub fn read_close(socket: &mut Socket) -> (u16, String) {
    match socket.read().unwrap() {
        Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("a close frame expected, not {other:?}"),
    }
}
