//! Application messages on their way out, and the pump that makes numbered ones.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::frame;
use super::hub::Hub;
use super::policy::Pump;

/// A pump that fell behind by more than this does not catch up.
const BACKLOG: Duration = Duration::from_secs(1);

/// One application message as frames, and what is counted of it.
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: u64,
    pub(crate) len: usize,
    pub(crate) binary: bool,
    pub(crate) seq: Option<u64>,
}

impl Outgoing {
    pub(crate) fn text(text: &str) -> Self {
        Self::whole(false, text.as_bytes(), None)
    }

    pub(crate) fn binary(data: &[u8]) -> Self {
        Self::whole(true, data, None)
    }

    pub(crate) fn fragmented(text: &str, parts: usize) -> Self {
        let (bytes, frames) = frame::fragmented(text.as_bytes(), parts);
        Self { bytes, frames, ..Self::text("") }.of_len(text.len())
    }

    /// What is left of a text message after its first bytes went out by themselves.
    pub(crate) fn rest(text: &str, bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), ..Self::text("") }.of_len(text.len())
    }

    pub(crate) fn whole(binary: bool, payload: &[u8], seq: Option<u64>) -> Self {
        let opcode = if binary { frame::BINARY } else { frame::TEXT };
        let bytes = frame::whole(opcode, payload);
        Self { bytes, frames: 1, len: payload.len(), binary, seq }
    }

    fn of_len(self, len: usize) -> Self {
        Self { len, ..self }
    }
}

/// The pump of one connection.
pub(crate) struct Pumping {
    pump: Pump,
    due: Instant,
}

impl Pumping {
    pub(crate) fn new(pump: Pump) -> Self {
        Self { pump, due: Instant::now() }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// The next message is due now, however long ago it was due before.
    pub(crate) fn restart(&mut self) {
        self.due = Instant::now();
    }

    /// A message, and the time of the next one set; `None` when the last has been sent.
    pub(crate) fn take(&mut self, hub: &Hub, now: Instant) -> Option<Outgoing> {
        let Pump { every, binary_every, size, limit } = self.pump;
        let seq = hub.take_seq(limit)?;
        let from = if now > self.due + BACKLOG { now } else { self.due };
        self.due = from + every;
        let binary = binary_every > 0 && seq % binary_every == 0;
        let payload = if binary { binary_message(seq, size) } else { text_message(seq, size) };
        Some(Outgoing::whole(binary, &payload, Some(seq)))
    }
}

fn text_message(seq: u64, size: usize) -> Vec<u8> {
    let us = unix_us();
    let ms = us / 1000;
    let bare = format!(r#"{{"type":"event","seq":{seq},"sentAt":{ms},"sentAtUs":{us}"#);
    let (before, after) = (r#","pad":""#, r#""}"#);
    let around = bare.len() + before.len() + after.len();
    if size < around {
        return format!("{bare}}}").into_bytes();
    }
    let fill = "x".repeat(size - around);
    format!("{bare}{before}{fill}{after}").into_bytes()
}

fn binary_message(seq: u64, size: usize) -> Vec<u8> {
    let mut out = seq.to_be_bytes().to_vec();
    out.extend_from_slice(&unix_us().to_be_bytes());
    out.resize(size.max(out.len()), 0);
    out
}

fn unix_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
