//! The bounded queue of audit records: gives numbers on entry, and says in band what it had to drop.

use std::collections::VecDeque;

use crate::audit::checkpoint::Checkpoint;
use crate::audit::json::{Body, Entry};
use crate::audit::{Kind, Record};
use crate::config::settings::AuditPolicy;
use crate::metrics::{Tally, Totals};

/// Audit records in order. Every number is either in the queue, handed out, or within a loss that will be.
#[derive(Debug)]
pub(super) struct AuditQueue {
    pending: VecDeque<Pending>,
    /// Losses younger than everything in the queue.
    tail_loss: Option<Loss>,
    capacity: usize,
    policy: AuditPolicy,
    seq: u64,
    totals: Totals,
    /// The same by kind and by level.
    tally: Tally,
    lost: u64,
    /// The most records that waited.
    most: usize,
}

#[derive(Debug)]
struct Pending {
    /// Place among everything queued, events and log lines included.
    order: u64,
    /// What was lost right before this entry.
    lost_before: Option<Loss>,
    entry: Entry,
}

/// A range of lost numbers; it takes over id and time of the last record lost.
#[derive(Debug)]
struct Loss {
    order: u64,
    entry: Entry,
}

impl AuditQueue {
    /// An empty queue for at least one record.
    pub(super) fn new(capacity: usize, policy: AuditPolicy) -> Self {
        let capacity = capacity.max(1);
        let totals = Totals::default();
        let tally = Tally::default();
        Self { pending: VecDeque::new(), tail_loss: None, capacity, policy, seq: 0, totals, tally, lost: 0, most: 0 }
    }

    /// Whether a producer under the policy `Block` has to wait until there is room for so many records; of a queue that
    /// is smaller than that, until it is empty.
    pub(super) fn blocks(&self, room: usize) -> bool {
        self.policy == AuditPolicy::Block && self.pending.len() + room.min(self.capacity) > self.capacity
    }

    /// Numbers and queues a record; if there is no room, one goes, by the policy.
    pub(super) fn push(&mut self, order: u64, wall_ms: u64, id: String, record: Record) {
        self.totals = self.totals.after(&record);
        self.tally = self.tally.after(record.about(), record.level());
        self.enter(order, wall_ms, id, Body::Record(record));
    }

    /// The same for what the log says of itself.
    pub(super) fn push_checkpoint(&mut self, order: u64, wall_ms: u64, id: String, mut checkpoint: Checkpoint) {
        self.tally = self.tally.after(Kind::Checkpoint, checkpoint.level());
        checkpoint.tally = self.tally;
        // The one that goes for this one is among them.
        checkpoint.lost = self.lost.saturating_add(self.is_full().into());
        self.enter(order, wall_ms, id, Body::Checkpoint(Box::new(checkpoint)));
    }

    fn enter(&mut self, order: u64, wall_ms: u64, id: String, body: Body) {
        self.seq = self.seq.saturating_add(1);
        let entry = Entry { seq: self.seq, id, wall_ms, totals: self.totals, body };
        if self.is_full() {
            self.lost = self.lost.saturating_add(1);
            if self.policy != AuditPolicy::DropOldest {
                let loss = Loss::of(order, entry);
                self.tail_loss = Some(loss.after(self.tail_loss.take()));
                return;
            }
            self.drop_oldest();
        }
        self.pending.push_back(Pending { order, lost_before: self.tail_loss.take(), entry });
        self.most = self.most.max(self.pending.len());
    }

    /// Takes the oldest entry: a record, or the marker of a loss before it.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let Some(front) = self.pending.front_mut() else {
            return self.tail_loss.take().map(|loss| loss.entry);
        };
        if let Some(loss) = front.lost_before.take() {
            return Some(loss.entry);
        }
        self.pending.pop_front().map(|pending| pending.entry)
    }

    /// Place of the oldest entry among everything queued.
    pub(super) fn first_order(&self) -> Option<u64> {
        let tail = || self.tail_loss.as_ref().map(|loss| loss.order);
        self.pending.front().map(|pending| pending.order).or_else(tail)
    }

    /// Whether neither a record nor a marker waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.tail_loss.is_none()
    }

    /// Records waiting.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// The most records that waited.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The bound.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number given last: records made.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Records lost to the bound.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Counters over all records made.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// All records made, by kind and by level.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    fn is_full(&self) -> bool {
        self.pending.len() >= self.capacity
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.pending.pop_front() else { return };
        let loss = Loss::of(oldest.order, oldest.entry).after(oldest.lost_before);
        let place = match self.pending.front_mut() {
            Some(next) => &mut next.lost_before,
            None => &mut self.tail_loss,
        };
        *place = Some(match place.take() {
            Some(younger) => younger.after(Some(loss)),
            None => loss,
        });
    }
}

impl Loss {
    fn of(order: u64, mut entry: Entry) -> Self {
        entry.body = Body::Loss { first: entry.seq };
        Self { order, entry }
    }

    /// The union with the loss right before this one.
    fn after(mut self, older: Option<Self>) -> Self {
        if let (Body::Loss { first }, Some(older)) = (&mut self.entry.body, older) {
            if let Body::Loss { first: older_first } = older.entry.body {
                *first = older_first;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::checkpoint::Reason;
    use crate::metrics::Metrics;

    fn push(queue: &mut AuditQueue, times: u64) {
        for _ in 0..times {
            let next = queue.seq() + 1;
            queue.push(next * 10, next, format!("id{next}"), Record::Closed);
        }
    }

    /// What a sink sees: `(first, last)` of every record or loss.
    fn drain(queue: &mut AuditQueue) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| queue.pop())
            .map(|entry| match entry.body {
                Body::Record(_) | Body::Checkpoint(_) => (entry.seq, entry.seq),
                Body::Loss { first } => (first, entry.seq),
            })
            .collect()
    }

    #[test]
    fn without_loss_the_numbers_have_no_hole() {
        let mut queue = AuditQueue::new(8, AuditPolicy::DropOldest);
        push(&mut queue, 3);
        assert_eq!((queue.len(), queue.first_order()), (3, Some(10)));
        assert_eq!(drain(&mut queue), [(1, 1), (2, 2), (3, 3)]);
        push(&mut queue, 1);
        assert_eq!(drain(&mut queue), [(4, 4)]);
        assert_eq!(queue.lost(), 0);
    }

    #[test]
    fn drop_oldest_marks_the_front() {
        let mut queue = AuditQueue::new(2, AuditPolicy::DropOldest);
        push(&mut queue, 5);
        assert_eq!(queue.len(), 2);
        let marker = queue.pop().unwrap();
        assert_eq!((marker.id.as_str(), marker.wall_ms, marker.seq), ("id3", 3, 3));
        assert_eq!(marker.body, Body::Loss { first: 1 });
        push(&mut queue, 1);
        // Record 4 went for record 6 after the first marker had been taken: a second marker says so.
        assert_eq!(drain(&mut queue), [(4, 4), (5, 5), (6, 6)]);
        assert_eq!(queue.lost(), 4);
    }

    #[test]
    fn a_checkpoint_counts_the_record_that_goes_for_it() {
        for (pushed, lost) in [(1, 0), (2, 1), (5, 4)] {
            let mut queue = AuditQueue::new(2, AuditPolicy::DropOldest);
            push(&mut queue, pushed);
            let checkpoint = Checkpoint {
                reason: Reason::Time,
                chain: "none",
                tally: Tally::default(),
                lost: 0,
                counted: Metrics::default(),
                state_failures: 0,
            };
            queue.push_checkpoint(99, 99, String::new(), checkpoint);
            let last = std::iter::from_fn(|| queue.pop()).last().unwrap();
            assert!(matches!(&last.body, Body::Checkpoint(it) if it.lost == queue.lost()), "{last:?}");
            assert_eq!(queue.lost(), lost);
        }
    }

    #[test]
    fn drop_newest_marks_the_back() {
        let mut queue = AuditQueue::new(2, AuditPolicy::DropNewest);
        push(&mut queue, 4);
        assert_eq!(queue.pop().unwrap().seq, 1);
        push(&mut queue, 2);
        assert_eq!(drain(&mut queue), [(2, 2), (3, 4), (5, 5), (6, 6)]);
        assert!(queue.is_empty());
        assert_eq!(queue.lost(), 3);
    }

    #[test]
    fn a_queue_for_one_record_still_covers_every_number() {
        for policy in [AuditPolicy::DropOldest, AuditPolicy::DropNewest, AuditPolicy::Block] {
            let mut queue = AuditQueue::new(1, policy);
            let mut seen = Vec::new();
            for round in 0..50 {
                push(&mut queue, round % 4);
                if round % 3 == 0 {
                    seen.extend(drain(&mut queue));
                }
            }
            seen.extend(drain(&mut queue));
            let covered: Vec<u64> = seen.into_iter().flat_map(|(first, last)| first..=last).collect();
            assert_eq!(covered, (1..=queue.seq()).collect::<Vec<_>>(), "{policy:?}");
        }
    }
}
