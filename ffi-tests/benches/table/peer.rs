//! The server's end of a WebSocket: blocking, and no more than the benchmark needs.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustls::{ServerConnection, StreamOwned};

/// A client.
pub struct Peer {
    stream: StreamOwned<ServerConnection, TcpStream>,
    buffer: Vec<u8>,
}

/// What it says.
pub enum Frame {
    /// Text or binary.
    Text(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The farewell.
    Close,
}

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

impl Peer {
    /// After the upgrade.
    pub fn new(stream: StreamOwned<ServerConnection, TcpStream>) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next frame.
    pub fn read(&mut self) -> io::Result<Frame> {
        loop {
            if let Some((frame, length)) = parse(&self.buffer) {
                self.buffer.drain(..length);
                return Ok(frame);
            }
            let mut space = [0; 8192];
            let count = self.stream.read(&mut space)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(&space[..count]);
        }
    }

    /// One text message, in a record of its own.
    pub fn send_text(&mut self, text: &str) -> io::Result<()> {
        self.send_texts(text, 1)
    }

    /// The same text `n` times, each in a record of its own.
    pub fn send_texts(&mut self, text: &str, n: u64) -> io::Result<()> {
        let frame = frame(TEXT, text.as_bytes());
        for _ in 0..n {
            self.stream.conn.writer().write_all(&frame)?;
        }
        self.flush()
    }

    /// A ping.
    pub fn send_ping(&mut self, data: &[u8]) -> io::Result<()> {
        self.stream.conn.writer().write_all(&frame(PING, data))?;
        self.flush()
    }

    /// A pong.
    pub fn send_pong(&mut self, data: &[u8]) -> io::Result<()> {
        self.stream.conn.writer().write_all(&frame(PONG, data))?;
        self.flush()
    }

    /// Ends it by an RST.
    pub fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream.sock).set_linger(Some(std::time::Duration::ZERO))
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut self.stream.sock)?;
        }
        Ok(())
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// The first frame, if it is complete, and its length on the wire. Clients mask, and send short frames.
fn parse(data: &[u8]) -> Option<(Frame, usize)> {
    let (first, length, head) = match *data {
        [first, length, ..] if length & 0x7f <= 125 => (first, usize::from(length & 0x7f), 2),
        [first, length, high, low, ..] if length & 0x7f == 126 => {
            (first, usize::from(u16::from_be_bytes([high, low])), 4)
        }
        _ => return None,
    };
    let mask = data.get(head..head + 4)?;
    let end = head + 4 + length;
    let payload = data.get(head + 4..end)?.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let frame = match first & 0x0f {
        8 => Frame::Close,
        9 => Frame::Ping(payload),
        10 => Frame::Pong,
        _ => Frame::Text(payload),
    };
    Some((frame, end))
}
