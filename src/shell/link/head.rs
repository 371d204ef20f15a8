//! The stream as the upgrade sees it: the answer's head and not a byte more, so that no frame is lost in its buffers.

use std::io::{self, Read, Write};

use crate::shell::stream::Stream;

/// Bytes read at a time.
const CHUNK: usize = 1 << 10;

/// A stream that ends, for its reader, behind the first blank line.
pub struct Head {
    /// The stream itself.
    pub stream: Stream,
    /// What came behind the blank line.
    pub rest: Vec<u8>,
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
        Self { stream, rest: Vec::new(), line: Line::Text }
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
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut chunk = [0; CHUNK];
        let room = chunk.get_mut(..buffer.len().min(CHUNK)).unwrap_or_default();
        let count = self.stream.read(room)?;
        let read = chunk.get(..count).unwrap_or_default();
        let (head, rest) = read.split_at_checked(self.count(read)).unwrap_or((read, &[]));
        buffer.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
        self.rest.extend_from_slice(rest);
        Ok(head.len())
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
