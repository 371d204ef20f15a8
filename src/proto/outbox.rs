//! The send queue: bounded, in order, each message ends exactly once.

use std::collections::VecDeque;

use crate::error::{Code, Error, Stage};
use crate::event::{MessageKind, Sent};

/// A message on its way out.
#[derive(Debug)]
pub struct Outgoing {
    /// Number that `send` gave.
    pub id: u64,
    /// Text or binary.
    pub kind: MessageKind,
    /// The payload.
    pub data: Vec<u8>,
}

/// Messages that wait for a live socket, and the one that is being written.
///
/// A message is *sent* when its last byte was handed to the kernel. When the socket ends before that, the peer
/// cannot have seen a whole frame, so the message goes out again, first, on the next socket.
#[derive(Debug)]
pub struct Outbox {
    waiting: VecDeque<Outgoing>,
    /// Bytes of the message that was taken out to be written.
    writing: Option<(u64, usize)>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
    last_id: u64,
    is_open: bool,
    /// The most messages there were.
    most: usize,
}

impl Outbox {
    /// An empty queue with these bounds.
    pub fn new(max_messages: usize, max_bytes: usize) -> Self {
        let (waiting, writing, is_open) = (VecDeque::new(), None, true);
        Self { waiting, writing, bytes: 0, max_messages, max_bytes, last_id: 0, is_open, most: 0 }
    }

    /// Takes messages again, after [`Self::give_back`].
    pub fn reopen(&mut self) {
        self.is_open = true;
    }

    /// Takes a message in, or refuses it at the bounds. A message larger than the byte bound passes when it is alone.
    pub fn push(&mut self, kind: MessageKind, data: &[u8]) -> Result<u64, Error> {
        if !self.is_open {
            return Err(Error::new(Code::Closed, Stage::Call, "The client is being closed."));
        }
        let queued = self.waiting.len() + usize::from(self.writing.is_some());
        let too_many_bytes = queued > 0 && self.bytes + data.len() > self.max_bytes;
        if queued >= self.max_messages || too_many_bytes {
            let text = format!("{queued} messages with {} bytes are waiting.", self.bytes);
            return Err(Error::new(Code::QueueFull, Stage::Call, text));
        }
        self.last_id += 1;
        self.bytes += data.len();
        self.waiting.push_back(Outgoing { id: self.last_id, kind, data: data.to_vec() });
        self.most = self.most.max(queued + 1);
        Ok(self.last_id)
    }

    /// Takes the next message out to be written; it still counts until [`Self::written`] or [`Self::interrupted`].
    /// `None` when there is none, or one is being written already.
    pub fn take_next(&mut self) -> Option<Outgoing> {
        if self.writing.is_some() {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.writing = Some((message.id, message.data.len()));
        Some(message)
    }

    /// Whether a message is being written.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// The last byte of the message being written was handed to the kernel.
    pub fn written(&mut self) -> Option<Sent> {
        let (id, len) = self.writing.take()?;
        self.bytes -= len;
        Some(Sent { id, outcome: Ok(()) })
    }

    /// The socket ended while this message was being written: it will be the next again.
    pub fn interrupted(&mut self, message: Outgoing) {
        if self.writing.take().is_some() {
            self.waiting.push_front(message);
        }
    }

    /// Hands everything back unsent, in order, and takes no more: nobody would end it.
    pub fn give_back(&mut self, why: &Error) -> Vec<Sent> {
        self.is_open = false;
        let writing = self.writing.take().map(|(id, _)| id);
        self.bytes = 0;
        let ids = writing.into_iter().chain(self.waiting.drain(..).map(|message| message.id));
        ids.map(|id| Sent { id, outcome: Err(why.clone()) }).collect()
    }

    /// Messages not yet sent.
    pub fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.writing.is_some())
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most messages that were not yet sent.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outbox: &mut Outbox, len: usize) -> Result<u64, Error> {
        outbox.push(MessageKind::Text, &vec![b'x'; len])
    }

    #[test]
    fn order_survives_an_interrupted_write() {
        let mut outbox = Outbox::new(10, 100);
        for id in 1..=3 {
            assert_eq!(push(&mut outbox, 1), Ok(id));
        }
        let first = outbox.take_next().unwrap();
        assert_eq!(first.id, 1);
        assert!(outbox.take_next().is_none(), "one at a time");
        outbox.interrupted(first);
        let mut sent = Vec::new();
        while outbox.take_next().is_some() {
            sent.extend(outbox.written().map(|sent| sent.id));
        }
        assert_eq!(sent, [1, 2, 3]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn bounds_hold_and_a_single_large_message_passes() {
        let mut outbox = Outbox::new(2, 10);
        assert_eq!(push(&mut outbox, 50), Ok(1));
        assert_eq!(push(&mut outbox, 1).unwrap_err().code(), Code::QueueFull);
        outbox.take_next();
        outbox.written();
        assert_eq!(push(&mut outbox, 5), Ok(2));
        assert_eq!(push(&mut outbox, 5), Ok(3));
        assert_eq!(push(&mut outbox, 0).unwrap_err().code(), Code::QueueFull);
    }

    #[test]
    fn every_message_ends_exactly_once() {
        let mut outbox = Outbox::new(10, 100);
        push(&mut outbox, 1).unwrap();
        push(&mut outbox, 1).unwrap();
        outbox.take_next();
        let why = Error::new(Code::Cancelled, Stage::Close, "");
        let back: Vec<u64> = outbox.give_back(&why).iter().map(|sent| sent.id).collect();
        assert_eq!(back, [1, 2]);
        assert!(outbox.is_empty() && outbox.give_back(&why).is_empty());
        assert!(outbox.written().is_none());
        assert_eq!(push(&mut outbox, 1).unwrap_err().code(), Code::Closed);
        outbox.reopen();
        assert_eq!(push(&mut outbox, 1), Ok(3), "ids go on");
    }
}
