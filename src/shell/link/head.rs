//! The stream as the upgrade sees it: the answer's head and not a byte more, so that no frame is lost in its buffers.

use std::io::{self, Read, Write};

use crate::shell::stream::Stream;

/// Bytes read at a time.
const CHUNK: usize = 1 << 10;
/// Longest head.
const LONGEST: usize = 32 << 10;

/// A stream that ends, for its reader, behind the first blank line.
///
/// The head is handed on when all of it is there: tungstenite takes one that comes in small pieces for an attack.
pub struct Head {
    /// The stream itself.
    pub stream: Stream,
    /// What came behind the blank line.
    pub rest: Vec<u8>,
    head: Vec<u8>,
    taken: usize,
    line: Line,
}

/// How much of a line end and a blank line was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    Text,
    Ended,
    EndedAndReturn,
    Blank,
}

impl Head {
    /// Nothing read yet.
    pub fn new(stream: Stream) -> Self {
        Self { stream, rest: Vec::new(), head: Vec::new(), taken: 0, line: Line::Text }
    }

    /// Reads until the head is complete; whether it is, or the peer has hung up.
    fn complete(&mut self) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        while self.line != Line::Blank {
            let count = self.stream.read(&mut chunk)?;
            let read = chunk.get(..count).unwrap_or_default();
            let (head, rest) = read.split_at_checked(self.count(read)).unwrap_or((read, &[]));
            self.head.extend_from_slice(head);
            self.rest.extend_from_slice(rest);
            if count == 0 {
                return Ok(false);
            }
            if self.head.len() > LONGEST {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        Ok(true)
    }

    /// How many of these bytes belong to the head.
    fn count(&mut self, bytes: &[u8]) -> usize {
        for (place, byte) in bytes.iter().enumerate() {
            self.line = match (self.line, byte) {
                (Line::Blank, _) => return place,
                (Line::Ended | Line::EndedAndReturn, b'\n') => Line::Blank,
                (Line::Ended, b'\r') => Line::EndedAndReturn,
                (_, b'\n') => Line::Ended,
                _ => Line::Text,
            };
        }
        bytes.len()
    }
}

impl Read for Head {
    /// `WouldBlock` until the head is complete; 0 if the peer hangs up before.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.complete()? {
            return Ok(0);
        }
        let rest = self.head.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.taken += count;
        Ok(count)
    }
}

impl Write for Head {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.stream.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
