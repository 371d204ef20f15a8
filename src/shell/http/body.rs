//! The body of an answer (RFC 9112 6 and 7.1), read beside ureq: it logs at trace level what it reads, and here are tokens.

use zeroize::Zeroizing;

/// Longest line of a chunk header or trailer.
const LONGEST_LINE: usize = 4 << 10;
/// Longest trailer section: as the longest head.
const LONGEST_TRAILER: usize = 16 << 10;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// Where the connection ends.
    Close,
}

/// A body that is being received. Wiped on drop, unless taken.
pub struct Body {
    framing: Framing,
    limit: usize,
    content: Zeroizing<Vec<u8>>,
    line: Zeroizing<Vec<u8>>,
    /// Bytes of the trailer section so far.
    trailer: usize,
    state: State,
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wrong {
    /// Larger than the limit.
    TooLarge,
    /// Not framed as it should be.
    Malformed,
}

/// What is expected next; only chunked bodies know more than `Data` and `Done`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    ChunkSize,
    Data(u64),
    ChunkEnd,
    Trailer,
    Done,
}

impl Body {
    /// An empty body of at most `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> Result<Self, Wrong> {
        let state = match framing {
            Framing::Length(length) if length > limit as u64 => return Err(Wrong::TooLarge),
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Data(length),
            Framing::Chunked => State::ChunkSize,
            Framing::Close => State::Data(u64::MAX),
        };
        Ok(Self { framing, limit, content: Zeroizing::default(), line: Zeroizing::default(), trailer: 0, state })
    }

    /// Takes received bytes; what comes after the end is ignored.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Wrong> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Done => return Ok(()),
                State::Data(left) => self.data(left, bytes)?,
                State::ChunkSize | State::ChunkEnd | State::Trailer => self.line(bytes)?,
            };
        }
        Ok(())
    }

    /// Whether the end has come.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether an end of the connection is the end of the body.
    pub fn ends_with_connection(&self) -> bool {
        self.framing == Framing::Close || self.is_done()
    }

    /// The content; from here on the caller wipes it.
    pub fn into_content(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.content)
    }

    /// Takes content, and gives back what is left.
    fn data<'a>(&mut self, left: u64, bytes: &'a [u8]) -> Result<&'a [u8], Wrong> {
        let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if self.content.len() + count > self.limit {
            return Err(Wrong::TooLarge);
        }
        let (content, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        self.append(content);
        let left = left - count as u64;
        self.state = match self.framing {
            Framing::Close => State::Data(u64::MAX),
            Framing::Length(_) if left == 0 => State::Done,
            Framing::Chunked if left == 0 => State::ChunkEnd,
            _ => State::Data(left),
        };
        Ok(rest)
    }

    /// Appends without leaving unwiped copies behind when the buffer grows.
    fn append(&mut self, content: &[u8]) {
        let needed = self.content.len() + content.len();
        if needed > self.content.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(1 << 10)));
            larger.extend_from_slice(&self.content);
            self.content = larger;
        }
        self.content.extend_from_slice(content);
    }

    /// Takes a line, if it is complete, and gives back what is left.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Wrong> {
        let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |place| place + 1);
        let (part, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        self.line.extend_from_slice(part);
        if self.state == State::Trailer {
            self.trailer += part.len();
        }
        if self.line.len() > LONGEST_LINE || self.trailer > LONGEST_TRAILER {
            return Err(Wrong::Malformed);
        }
        if let Some(line) = self.line.strip_suffix(b"\n") {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.state = match self.state {
                State::ChunkSize => match chunk_size(line).ok_or(Wrong::Malformed)? {
                    0 => State::Trailer,
                    size => State::Data(size),
                },
                State::ChunkEnd if line.is_empty() => State::ChunkSize,
                State::Trailer if line.is_empty() => State::Done,
                State::Trailer => State::Trailer,
                State::ChunkEnd | State::Data(_) | State::Done => return Err(Wrong::Malformed),
            };
            self.line.clear();
        }
        Ok(rest)
    }
}

/// The size in a chunk header; extensions are ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, with the bytes coming one at a time and at once.
    fn read(framing: Framing, bytes: &[u8]) -> Result<(Vec<u8>, bool), Wrong> {
        let mut slow = Body::new(framing, 10)?;
        let mut fast = Body::new(framing, 10)?;
        let outcome = bytes.chunks(1).try_for_each(|byte| slow.push(byte));
        assert_eq!(outcome, fast.push(bytes));
        outcome?;
        assert_eq!(*slow.content, *fast.content);
        Ok((slow.content.to_vec(), slow.is_done()))
    }

    #[test]
    fn a_length_is_kept() {
        assert_eq!(read(Framing::Length(3), b"abcd"), Ok((b"abc".to_vec(), true)));
        assert_eq!(read(Framing::Length(3), b"ab"), Ok((b"ab".to_vec(), false)));
        assert_eq!(read(Framing::Length(0), b""), Ok((vec![], true)));
        assert_eq!(read(Framing::Length(11), b""), Err(Wrong::TooLarge));
    }

    #[test]
    fn chunks_are_joined() {
        let chunks = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\nmore";
        assert_eq!(read(Framing::Chunked, chunks), Ok((b"abcde".to_vec(), true)));
        assert_eq!(read(Framing::Chunked, b"3\r\nab"), Ok((b"ab".to_vec(), false)));
        assert_eq!(read(Framing::Chunked, b"b\r\n0123456789a"), Err(Wrong::TooLarge));
        for wrong in
            [&b"x\r\n"[..], b"\r\n", b"-1\r\n", b"+1\r\n", b"1\r\nab", b"1\r\nabc\r\n", b"fffffffffffffffff\r\n"]
        {
            let outcome = read(Framing::Chunked, wrong);
            assert!(outcome == Err(Wrong::Malformed) || outcome.is_ok_and(|(_, done)| !done), "{wrong:?}");
        }
    }

    #[test]
    fn a_line_has_an_end() {
        let mut body = Body::new(Framing::Chunked, 10).unwrap();
        assert_eq!(body.push(&[b'1'; LONGEST_LINE + 1]), Err(Wrong::Malformed));
    }

    #[test]
    fn a_trailer_section_has_an_end() {
        let trailers = |count: usize| [b"0\r\n", &b"T: x\r\n".repeat(count)[..], b"\r\n"].concat();
        assert_eq!(read(Framing::Chunked, &trailers(2_000)), Ok((vec![], true)));
        assert_eq!(read(Framing::Chunked, &trailers(3_000)), Err(Wrong::Malformed));
    }

    #[test]
    fn without_framing_the_connection_s_end_is_the_end() {
        let body = Body::new(Framing::Close, 10).unwrap();
        assert!(body.ends_with_connection());
        assert_eq!(read(Framing::Close, b"0123456789a"), Err(Wrong::TooLarge));
    }
}
