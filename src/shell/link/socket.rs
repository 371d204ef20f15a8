//! The open WebSocket: reads messages, answers pings and closes.

use std::io;

use super::head::Head;
use super::reader::{Item, Reader, Wrong};
use super::writer::{over, Writer};
use super::ReadOutcome;
use crate::error::{Code, Error, Stage};
use crate::shell::tls;

/// No code in the close frame (RFC 6455 7.4.1).
const NO_STATUS: u16 = 1005;

/// An upgraded connection.
pub struct Socket {
    /// The sending half, and the connection.
    pub writer: Writer,
    reader: Reader,
    /// Nothing more will be read.
    ended: bool,
}

impl Socket {
    /// Takes over after the upgrade.
    pub fn new(head: Head, limit: usize) -> Self {
        let reader = Reader::new(&head.rest, limit);
        Self { writer: Writer::new(head.stream, limit), reader, ended: false }
    }

    /// Gives back empty buffers.
    pub fn trim(&mut self) {
        self.writer.stream.trim();
        self.reader.trim();
    }

    /// Reads one message or control frame.
    pub fn read(&mut self) -> ReadOutcome<'_> {
        let item = match self.item() {
            Ok(Some(item)) => item,
            Ok(None) => return ReadOutcome::WouldBlock,
            Err(error) => return self.end(error),
        };
        match item {
            Item::Text(place) => match std::str::from_utf8(self.reader.bytes(&place)) {
                Ok(text) => ReadOutcome::Text(text),
                Err(_) => {
                    self.ended = true;
                    ReadOutcome::Ended(self.writer.refuse(&Wrong::NotUtf8))
                }
            },
            Item::Binary(place) => ReadOutcome::Binary(self.reader.bytes(&place)),
            Item::Ping(place) => {
                // A failure to write will show in the next read.
                let _ = self.writer.answer_ping(self.reader.bytes(&place));
                ReadOutcome::Control
            }
            Item::Pong => ReadOutcome::Control,
            Item::Close(place) => {
                self.ended = true;
                closed(self.reader.bytes(&place), &mut self.writer)
            }
        }
    }

    /// The next item, reading what it takes.
    fn item(&mut self) -> Result<Option<Item>, Error> {
        if self.ended {
            return Err(over());
        }
        loop {
            match self.reader.next() {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(wrong) => return Err(self.writer.refuse(&wrong)),
            }
            match self.reader.fill(&mut self.writer.stream) {
                Ok(0) => return Err(Error::new(Code::Dropped, Stage::Live, "The peer hung up.")),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(tls::fault(&error, Stage::Live)),
            }
        }
    }

    fn end(&mut self, error: Error) -> ReadOutcome<'static> {
        self.ended = true;
        ReadOutcome::Ended(error)
    }
}

/// A close frame has come: answers it, unless it is itself the answer to ours.
fn closed(payload: &[u8], writer: &mut Writer) -> ReadOutcome<'static> {
    let (code, reason) = match payload {
        [] => (NO_STATUS, &[][..]),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        [_] => (0, &[][..]),
    };
    match std::str::from_utf8(reason) {
        Ok(reason) if payload.is_empty() || may_be_sent(code) => {
            // The answer is a courtesy: the connection is over either way.
            let _ = writer.answer_close(payload);
            ReadOutcome::Closed { code, reason: reason.into() }
        }
        _ => ReadOutcome::Ended(writer.refuse(&Wrong::Protocol("A close frame is malformed."))),
    }
}

/// Codes that may be in a close frame (RFC 6455 7.4, and the IANA registry).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
