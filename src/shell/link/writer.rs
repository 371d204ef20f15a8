//! The sending half of an open WebSocket.

use super::frame;
use super::reader::Wrong;
use super::Flushed;
use crate::error::{Code, Error, Stage};
use crate::shell::random::Entropy;
use crate::shell::stream::Stream;
use crate::shell::tls;

/// Longest reason in a close frame (RFC 6455 5.5: 125 bytes with the code).
const LONGEST_REASON: usize = 123;
/// While so many bytes wait for the kernel, only the last ping is remembered.
const CROWDED: usize = 64 << 10;

/// Sends frames; owns the connection.
pub struct Writer {
    /// The connection.
    pub stream: Stream,
    entropy: Entropy,
    limit: usize,
    /// The payload of a pong there was no room for.
    pong: Option<Vec<u8>>,
    /// A close frame was sent: nothing may follow it.
    close_sent: bool,
}

impl Writer {
    /// A writer for messages of at most `limit` bytes.
    pub fn new(stream: Stream, limit: usize) -> Self {
        Self { stream, entropy: Entropy::new(), limit, pong: None, close_sent: false }
    }

    /// Sends a frame. It is taken whole.
    pub fn send(&mut self, first: u8, payload: &[u8]) -> Result<Flushed, Error> {
        if payload.len() > self.limit {
            let text = format!("The message is {} bytes long, the maximum is {}.", payload.len(), self.limit);
            return Err(Error::new(Code::TooLarge, Stage::Live, text));
        }
        if self.close_sent {
            return Err(over());
        }
        self.push(first, payload)
    }

    /// Sends a close frame, if none was sent yet.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<Flushed, Error> {
        let payload = [&code.to_be_bytes(), cut(reason, LONGEST_REASON).as_bytes()].concat();
        self.answer_close(&payload)
    }

    /// Sends a close frame with this payload, if none was sent yet.
    pub fn answer_close(&mut self, payload: &[u8]) -> Result<Flushed, Error> {
        if std::mem::replace(&mut self.close_sent, true) {
            return self.flush();
        }
        self.push(frame::CLOSE, payload)
    }

    /// Sends a pong, at once or as soon as there is room.
    pub fn answer_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.pong = Some(payload.to_vec());
        self.send_pong()
    }

    /// Tells the peer what it did wrong (RFC 6455 7.1.7), if that can be done without waiting.
    pub fn refuse(&mut self, wrong: &Wrong) -> Error {
        let (code, close, text) = match wrong {
            Wrong::Protocol(text) => (Code::WsProtocol, 1002, (*text).to_owned()),
            Wrong::NotUtf8 => (Code::WsProtocol, 1007, "A text message is not UTF-8.".to_owned()),
            Wrong::TooLarge(size) => {
                let text = format!("It has at least {size} bytes, the maximum is {}.", self.limit);
                (Code::MessageTooLarge, 1009, text)
            }
        };
        let _ = self.close(close, "");
        Error::new(code, Stage::Live, text)
    }

    /// Hands the kernel what waits.
    pub fn flush(&mut self) -> Result<Flushed, Error> {
        self.stream.flush_some().map_err(|error| tls::fault(&error, Stage::Live))?;
        self.send_pong()?;
        Ok(self.flushed())
    }

    /// Sends the pong that is due, if there is room and a close frame has not ended our part.
    fn send_pong(&mut self) -> Result<(), Error> {
        if self.stream.unflushed() > CROWDED {
            return Ok(());
        }
        if let Some(payload) = self.pong.take().filter(|_| !self.close_sent) {
            self.push(frame::PONG, &payload)?;
        }
        Ok(())
    }

    fn push(&mut self, first: u8, payload: &[u8]) -> Result<Flushed, Error> {
        let frame = frame::encode(first, payload, self.entropy.bytes());
        self.stream.push(&frame).map_err(|error| tls::fault(&error, Stage::Live))?;
        Ok(self.flushed())
    }

    fn flushed(&self) -> Flushed {
        if self.stream.unflushed() == 0 && self.pong.is_none() {
            Flushed::Done
        } else {
            Flushed::Pending
        }
    }
}

/// The connection is not open, or not any more.
pub fn over() -> Error {
    Error::new(Code::Dropped, Stage::Live, "The connection is closed or closing.")
}

/// As much of a text as fits into `most` bytes, in whole characters.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((cut("aä", 3), cut("aä", 2), cut("aä", 0)), ("aä", "a", ""));
    }
}
