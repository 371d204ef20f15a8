//! The floor: what the job costs at least. Blocking rustls through its unbuffered API, 64 KiB reads, a frame parser
//! that knows just enough. No refresh, no UTF-8 check, no keep-alive, no limits.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};
use rustls::ClientConfig;

use common::{Args, Counter, Url};

fn main() {
    let start = common::Start::now();
    let args = common::args();
    let config = common::tls_config(&args.ca_file);
    let token = fetch_token(&args.token, &config);
    let mut counter = Counter::new(&args);
    let mut socket = open(&args, &config, &token, &mut counter);
    common::print_ready(&start);
    if args.job == "idle" {
        println!("idle=1");
    }
    if args.job == "send" {
        let mut text = String::new();
        for _ in 0..args.n {
            common::timed_message(&mut text);
            socket.send_text(text.as_bytes());
            thread::sleep(Duration::from_millis(1));
        }
    }
    while !counter.is_done() {
        socket.read(|data| counter.count(data));
    }
    counter.print();
    std::process::exit(0);
}

fn fetch_token(url: &Url, config: &Arc<ClientConfig>) -> String {
    let mut tls = Tls::connect(url, config);
    tls.write(common::token_request(url).as_bytes());
    let mut answer = Vec::new();
    loop {
        tls.read(|data| answer.extend_from_slice(data));
        if let Some(token) = common::token_of(&answer) {
            return token;
        }
    }
}

/// Events may follow the reply so closely that they come with it.
fn open(args: &Args, config: &Arc<ClientConfig>, token: &str, counter: &mut Counter) -> Socket {
    let mut tls = Tls::connect(&args.ws, config);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        args.ws.path, args.ws.authority
    );
    tls.write(request.as_bytes());
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        tls.read(|data| answer.extend_from_slice(data));
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    let mut socket = Socket { tls, partial: Vec::new() };
    socket.send_text(common::auth_message(token).as_bytes());
    let mut is_open = false;
    while !is_open {
        socket.read(|data| match is_open {
            true => counter.count(data),
            false => is_open = data.windows(13).any(|window| window == br#""status":"ok""#),
        });
    }
    socket
}

/// A WebSocket. Frames of the server are final, unmasked data frames.
struct Socket {
    tls: Tls,
    /// Bytes of a frame whose end has not come yet.
    partial: Vec<u8>,
}

impl Socket {
    /// One read of the kernel's; `each` gets the payload of every frame that is complete.
    fn read(&mut self, mut each: impl FnMut(&[u8])) {
        let partial = &mut self.partial;
        self.tls.read(|data| {
            if partial.is_empty() {
                let rest = frames(data, &mut each);
                partial.extend_from_slice(rest);
                return;
            }
            partial.extend_from_slice(data);
            let rest = frames(partial, &mut each).len();
            partial.drain(..partial.len() - rest);
        });
    }

    fn send_text(&mut self, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 8);
        frame.push(0x81);
        match u8::try_from(payload.len()) {
            Ok(length @ ..=125) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&u16::try_from(payload.len()).expect("short").to_be_bytes());
            }
        }
        // A mask of zeros changes nothing, and costs nothing.
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        self.tls.write(&frame);
    }
}

/// Gives out the payloads of whole frames; what is left over.
fn frames<'a>(mut data: &'a [u8], each: &mut impl FnMut(&[u8])) -> &'a [u8] {
    loop {
        let (start, length) = match data {
            [_, length @ ..=125, ..] => (2, usize::from(*length)),
            [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            [_, 127, ..] => panic!("a frame of 64 KiB or more"),
            _ => return data,
        };
        let Some(payload) = data.get(start..start + length) else { return data };
        each(payload);
        data = &data[start + length..];
    }
}

const BUFFER: usize = 64 << 10;
/// The longest record.
const RECORD: usize = (16 << 10) + 2048 + 5;

struct Tls {
    session: UnbufferedClientConnection,
    tcp: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    out: Vec<u8>,
}

impl Tls {
    fn connect(url: &Url, config: &Arc<ClientConfig>) -> Self {
        let session = UnbufferedClientConnection::new(Arc::clone(config), url.server_name()).expect("a session");
        let buffer = vec![0; BUFFER].into_boxed_slice();
        let mut tls = Self { session, tcp: url.dial(), buffer, start: 0, end: 0, out: vec![0; 4096] };
        let mut waiting = 0;
        loop {
            let UnbufferedStatus { discard, state } =
                tls.session.process_tls_records(&mut tls.buffer[tls.start..tls.end]);
            let mut blocked = false;
            match state.expect("TLS") {
                ConnectionState::EncodeTlsData(mut data) => loop {
                    match data.encode(&mut tls.out[waiting..]) {
                        Ok(count) => break waiting += count,
                        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                            tls.out.resize(waiting + required_size, 0);
                        }
                        Err(error) => panic!("{error}"),
                    }
                },
                ConnectionState::TransmitTlsData(data) => {
                    tls.tcp.write_all(&tls.out[..waiting]).expect("sent");
                    waiting = 0;
                    data.done();
                }
                ConnectionState::BlockedHandshake => blocked = true,
                ConnectionState::WriteTraffic(_) => {
                    tls.start += discard;
                    return tls;
                }
                _ => panic!("not during a handshake"),
            }
            tls.start += discard;
            if blocked {
                tls.fill();
            }
        }
    }

    fn fill(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < RECORD {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let count = self.tcp.read(&mut self.buffer[self.end..]).expect("read");
        assert!(count > 0, "the server hung up");
        self.end += count;
    }

    /// One read of the kernel's; `each` gets the plaintext of every record that is complete.
    fn read(&mut self, mut each: impl FnMut(&[u8])) {
        let mut has_read = false;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut self.buffer[self.start..self.end]);
            let more = match state.expect("TLS") {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.expect("a record");
                        discard += record.discard;
                        each(record.payload);
                    }
                    true
                }
                ConnectionState::WriteTraffic(_) => false,
                _ => panic!("the session is over"),
            };
            self.start += discard;
            if !more {
                if has_read {
                    return;
                }
                has_read = true;
                self.fill();
            }
        }
    }

    fn write(&mut self, data: &[u8]) {
        let UnbufferedStatus { discard, state } =
            self.session.process_tls_records(&mut self.buffer[self.start..self.end]);
        self.start += discard;
        let ConnectionState::WriteTraffic(mut traffic) = state.expect("TLS") else {
            panic!("nothing is expected before this is said");
        };
        self.out.resize(data.len() + 64, 0);
        let count = traffic.encrypt(data, &mut self.out).expect("room");
        self.tcp.write_all(&self.out[..count]).expect("sent");
    }
}
