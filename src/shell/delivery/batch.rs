//! A run of messages and notices: small entries in a deque, all payloads in one arena.
//!
//! The producer fills one batch while the consumer empties another; the two are swapped when the consumer
//! has nothing left. Both keep their memory, so a steady stream of messages allocates nothing.

use std::collections::VecDeque;

use crate::event::{MessageKind, Notice};
use crate::hooks::Message;

/// Capacity that a batch keeps while idle; what is above it is given back.
pub(super) const KEEP_BYTES: usize = 16 << 10;

/// What a queued message costs beside its payload; counted, so that many empty messages are bounded as well.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>() + 1;

/// Messages and notices in the order they came.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: VecDeque<Entry>,
    arena: Vec<u8>,
    /// Where the next payload begins.
    read: usize,
}

/// What comes out of a batch.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A message, its payload still in the arena.
    Message(Message<'a>),
    /// Anything else.
    Notice(Box<Notice>),
}

#[derive(Debug)]
struct Entry {
    /// Place among everything queued, audit records and log lines included.
    order: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Message { kind: MessageKind, connection: u64, len: usize },
    // Boxed: a notice in line would double the size of every message's entry.
    Notice(Box<Notice>),
}

impl Batch {
    /// Appends a message: its payload and a NUL byte.
    pub(super) fn push_message(&mut self, order: u64, kind: MessageKind, data: &[u8], connection: u64) {
        self.arena.reserve(data.len() + 1);
        self.arena.extend_from_slice(data);
        self.arena.push(0);
        self.entries.push_back(Entry { order, what: What::Message { kind, connection, len: data.len() } });
    }

    /// Appends a notice.
    pub(super) fn push_notice(&mut self, order: u64, notice: Box<Notice>) {
        self.entries.push_back(Entry { order, what: What::Notice(notice) });
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Place of the first item among everything queued.
    pub(super) fn first_order(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.order)
    }

    /// Takes the first item. The arena is empty again once the last one is taken *and* [`Batch::rewind`] is called.
    pub(super) fn pop(&mut self) -> Option<Item<'_>> {
        match self.entries.pop_front()?.what {
            What::Notice(notice) => Some(Item::Notice(notice)),
            What::Message { kind, connection, len } => {
                let start = self.read;
                self.read = start + len + 1;
                let data_with_nul = self.arena.get(start..self.read).unwrap_or_default();
                Some(Item::Message(Message { kind, data_with_nul, connection }))
            }
        }
    }

    /// Makes the arena's memory usable again once everything is taken.
    pub(super) fn rewind(&mut self) {
        if self.entries.is_empty() {
            self.arena.clear();
            self.read = 0;
        }
    }

    /// Whether an idle batch holds more memory than it should.
    pub(super) fn is_bulky(&self) -> bool {
        self.arena.capacity() > KEEP_BYTES || self.entries.capacity() * size_of::<Entry>() > KEEP_BYTES
    }

    /// Gives memory back, if nothing is in it.
    pub(super) fn give_back(&mut self) {
        self.rewind();
        if self.entries.is_empty() && self.is_bulky() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Sent;

    fn data(batch: &mut Batch) -> Vec<u8> {
        match batch.pop() {
            Some(Item::Message(message)) => message.data_with_nul.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_and_notices_keep_their_order_and_bytes() {
        let mut batch = Batch::default();
        batch.push_message(1, MessageKind::Text, b"one", 7);
        batch.push_notice(2, Box::new(Notice::Sent(Sent { id: 9, outcome: Ok(()) })));
        batch.push_message(5, MessageKind::Binary, b"", 8);
        batch.push_message(6, MessageKind::Binary, b"a\0b", 8);
        assert_eq!(batch.first_order(), Some(1));
        assert_eq!(data(&mut batch), b"one\0");
        assert!(matches!(batch.pop(), Some(Item::Notice(notice)) if matches!(*notice, Notice::Sent(_))));
        assert_eq!(batch.first_order(), Some(5));
        assert_eq!(data(&mut batch), b"\0");
        assert_eq!(data(&mut batch), b"a\0b\0");
        assert!(batch.is_empty() && batch.pop().is_none());
    }

    #[test]
    fn a_steady_stream_reuses_its_memory_and_a_flood_is_given_back() {
        let mut batch = Batch::default();
        batch.push_message(0, MessageKind::Text, &[1; 1000], 1);
        data(&mut batch);
        batch.rewind();
        let (arena, capacity) = (batch.arena.as_ptr(), batch.arena.capacity());
        for order in 0..1000 {
            batch.push_message(order, MessageKind::Text, &[2; 1000], 1);
            data(&mut batch);
            batch.rewind();
        }
        assert_eq!((batch.arena.as_ptr(), batch.arena.capacity()), (arena, capacity));
        assert!(!batch.is_bulky());

        batch.push_message(0, MessageKind::Text, &[3; KEEP_BYTES * 2], 1);
        batch.give_back();
        assert!(batch.is_bulky(), "nothing is given back while something is in it");
        data(&mut batch);
        batch.give_back();
        assert!(!batch.is_bulky() && batch.arena.capacity() == 0);
    }

    #[test]
    fn an_entry_is_half_a_cache_line() {
        assert!(size_of::<Entry>() <= 32, "{}", size_of::<Entry>());
    }
}
