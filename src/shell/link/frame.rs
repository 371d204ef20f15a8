//! Frames as a client sends them (RFC 6455 5.2).
//!
//! tungstenite logs every frame it sends at trace level, and an authentication message holds a token. So frames are
//! encoded here and never pass through it.

use zeroize::Zeroizing;

/// Final frame of a text message.
pub const TEXT: u8 = 0x81;
/// Final frame of a binary message.
pub const BINARY: u8 = 0x82;
/// Close frame.
pub const CLOSE: u8 = 0x88;
/// Ping.
pub const PING: u8 = 0x89;
/// Pong.
pub const PONG: u8 = 0x8a;

/// A masked frame: header, mask, payload. Wiped on drop, since it may hold a token.
pub fn encode(first: u8, payload: &[u8], mask: [u8; 4]) -> Zeroizing<Vec<u8>> {
    const MASKED: u8 = 0x80;
    let mut frame = Zeroizing::new(Vec::with_capacity(payload.len() + 14));
    frame.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => frame.push(MASKED | length),
        (_, Ok(length)) => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    let start = frame.len();
    frame.extend_from_slice(payload);
    apply(mask, frame.get_mut(start..).unwrap_or_default());
    frame
}

/// Exclusive-or with the repeated mask, eight bytes at a time.
fn apply(mask: [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(word) = <&mut [u8; 8]>::try_from(word) {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    words.into_remainder().iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 6455 5.7: a single-frame masked text message "Hello".
        let frame = encode(TEXT, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(*frame, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        let head =
            |length: usize| encode(BINARY, &vec![0; length], [0; 4]).iter().copied().take(10).collect::<Vec<_>>();
        assert_eq!(head(125)[..2], [0x82, 0xfd]);
        assert_eq!(head(126)[..4], [0x82, 0xfe, 0, 126]);
        assert_eq!(head(65_535)[..4], [0x82, 0xfe, 0xff, 0xff]);
        assert_eq!(head(65_536)[..10], [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn masking_twice_gives_the_text_back() {
        for length in 0..40 {
            let plain: Vec<u8> = (0..length).collect();
            let mut bytes = plain.clone();
            apply([1, 2, 3, 4], &mut bytes);
            let slow: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ [1, 2, 3, 4][i % 4]).collect();
            assert_eq!(bytes, slow);
        }
    }
}
