//! WebSocket frames as bytes, correct and otherwise. tungstenite refuses to write most of these.

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// One whole, final frame.
pub(crate) fn whole(opcode: u8, payload: &[u8]) -> Vec<u8> {
    part(opcode, true, payload)
}

/// One frame, final or not.
pub(crate) fn part(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = header(opcode, fin, false, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// A text message cut into `parts` frames; and how many there are.
pub(crate) fn fragmented(payload: &[u8], parts: usize) -> (Vec<u8>, u64) {
    let step = payload.len().div_ceil(parts.max(1)).max(1);
    let chunks: Vec<&[u8]> = payload.chunks(step).collect();
    let mut out = Vec::new();
    for (i, chunk) in chunks.iter().enumerate() {
        let opcode = if i == 0 { TEXT } else { CONTINUATION };
        out.extend(part(opcode, i + 1 == chunks.len(), chunk));
    }
    (out, chunks.len() as u64)
}

/// A close frame; code 1005 means one without a body.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    if code == 1005 {
        return whole(CLOSE, b"");
    }
    let mut body = code.to_be_bytes().to_vec();
    body.extend_from_slice(reason.as_bytes());
    whole(CLOSE, &body)
}

/// A masked text frame: a server must not send one.
pub(crate) fn masked(payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = header(TEXT, true, true, payload.len() as u64);
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    out
}

/// A frame header that announces `len` bytes.
pub(crate) fn header(opcode: u8, fin: bool, masked: bool, len: u64) -> Vec<u8> {
    let mask = if masked { MASKED } else { 0 };
    let mut out = vec![opcode | if fin { FIN } else { 0 }];
    if len < 126 {
        out.push(mask | len as u8);
    } else if let Ok(short) = u16::try_from(len) {
        out.push(mask | 126);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(mask | 127);
        out.extend_from_slice(&len.to_be_bytes());
    }
    out
}
