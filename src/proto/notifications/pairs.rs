//! Which events came by both sockets of a rollover.
//!
//! While two channels have the same topics, the server sends each event twice. An equal pair, that is one with the same
//! correlation id, topic and body, one from each socket, is one event; two on one socket are two. What the old socket brings
//! is delivered first and noted here; each note takes one equal event of the new socket away.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;

use serde_json::Value;

use crate::proto::mutant::{active, Mutant};

/// How long after the old socket was closed its copy may still come by the new one.
const TRAILING_MS: u64 = 60_000;
/// Most notes of one rollover. Beyond them the oldest is forgotten: an event too many is better than one too few.
const NOTES_MAX: usize = 16_384;
/// Rollovers that are remembered: the one under way, and what trails of those before.
const OVERLAPS_MAX: usize = 4;

/// The rollovers whose events may still come twice.
#[derive(Debug, Default)]
pub struct Pairs {
    overlaps: Vec<Overlap>,
}

/// Two sockets with the same topics.
#[derive(Debug)]
struct Overlap {
    old: u64,
    new: u64,
    /// How often the old socket brought what is not answered by the new one yet.
    notes: BTreeMap<u128, u32>,
    order: VecDeque<u128>,
    closed_ms: Option<u64>,
    /// Since when there is no new socket; its channel may be used again.
    failed_ms: Option<u64>,
    /// Messages of the new socket that had arrived when the old one was closed, and are not delivered yet.
    held: u32,
}

/// What makes two events equal.
struct Identity {
    hash: u128,
    /// Without a correlation id an equal body says little; such events pair only while both sockets are there.
    has_id: bool,
}

impl Pairs {
    /// From now on what comes by the socket `old` may come by `new` too, which may have another number than it was told before.
    pub fn begin(&mut self, old: u64, new: u64) {
        if let Some(overlap) =
            self.overlaps.iter_mut().find(|overlap| overlap.old == old && overlap.closed_ms.is_none())
        {
            (overlap.new, overlap.failed_ms) = (new, None);
            return;
        }
        if self.overlaps.len() >= OVERLAPS_MAX {
            self.overlaps.remove(0);
        }
        let (notes, order) = (BTreeMap::new(), VecDeque::new());
        self.overlaps.push(Overlap { old, new, notes, order, closed_ms: None, failed_ms: None, held: 0 });
    }

    /// The socket `old` brings nothing more; `held` messages of its successor wait to be delivered.
    pub fn closed(&mut self, old: u64, now_ms: u64, held: u32) {
        for overlap in self.overlaps.iter_mut().filter(|overlap| overlap.old == old && overlap.closed_ms.is_none()) {
            (overlap.closed_ms, overlap.held) = (Some(now_ms), held);
        }
    }

    /// The socket `new` never took over. What comes by the old one is still noted for a while: the channel is tried again.
    pub fn failed(&mut self, now_ms: u64, new: u64) {
        for overlap in self.overlaps.iter_mut().filter(|overlap| overlap.new == new && overlap.closed_ms.is_none()) {
            overlap.failed_ms = Some(now_ms);
        }
    }

    /// The old socket was lost before another second one was made, and `new` is the next.
    pub fn adopted(&mut self, now_ms: u64, new: u64) {
        for overlap in self.overlaps.iter_mut().filter(|overlap| overlap.failed_ms.is_some()) {
            (overlap.new, overlap.closed_ms, overlap.failed_ms) = (new, Some(now_ms), None);
        }
    }

    /// Whether an event of this socket is delivered: not if it is the second of a pair.
    pub fn admit(&mut self, now_ms: u64, epoch: u64, text: &[u8]) -> bool {
        if self.overlaps.is_empty() {
            return true;
        }
        let trails = |closed: u64| now_ms <= closed.saturating_add(TRAILING_MS);
        self.overlaps.retain(|overlap| overlap.closed_ms.or(overlap.failed_ms).is_none_or(trails));
        if !self.overlaps.iter().any(|overlap| overlap.concerns(epoch)) || active(Mutant::TwinsDelivered) {
            return true;
        }
        let identity = Identity::of(text);
        let mut fresh = true;
        for overlap in &mut self.overlaps {
            if overlap.new == epoch || overlap.old == epoch && active(Mutant::PairsOnOneSocket) {
                fresh &= !overlap.takes(&identity);
            }
        }
        for overlap in self.overlaps.iter_mut().filter(|overlap| overlap.old == epoch && overlap.closed_ms.is_none()) {
            overlap.note(&identity);
        }
        fresh
    }
}

impl Overlap {
    fn concerns(&self, epoch: u64) -> bool {
        self.new == epoch || self.old == epoch && self.closed_ms.is_none()
    }

    fn note(&mut self, identity: &Identity) {
        if self.order.len() >= NOTES_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.forget(oldest);
            }
        }
        self.order.push_back(identity.hash);
        *self.notes.entry(identity.hash).or_default() += 1;
    }

    /// Whether the old socket has brought an equal event that was not paired yet; now it is.
    fn takes(&mut self, identity: &Identity) -> bool {
        let arrived_in_time = self.closed_ms.is_none() || self.held > 0;
        self.held = self.held.saturating_sub(1);
        (identity.has_id || arrived_in_time) && self.forget(identity.hash)
    }

    fn forget(&mut self, hash: u128) -> bool {
        let Some(count) = self.notes.get_mut(&hash) else { return false };
        *count -= 1;
        if *count == 0 {
            self.notes.remove(&hash);
        }
        true
    }
}

impl Identity {
    /// Members in another order, or other blanks, are no other event.
    fn of(text: &[u8]) -> Self {
        let Ok(Value::Object(event)) = serde_json::from_slice(text) else {
            return Self { hash: hash(&[text]), has_id: false };
        };
        let canonical = |name: &str| event.get(name).map(Value::to_string).unwrap_or_default();
        let id = event.get("metadata").and_then(|metadata| metadata.get("CorrelationId")).and_then(Value::as_str);
        let (topic, body) = (canonical("topicName"), canonical("eventBody"));
        let id = id.filter(|id| !id.is_empty());
        let parts = [topic.as_bytes(), body.as_bytes(), id.unwrap_or_default().as_bytes()];
        Self { hash: hash(&parts), has_id: id.is_some() }
    }
}

/// 128 bits: two hashes of 64 with different beginnings. Whoever could forge one would be the server.
fn hash(parts: &[&[u8]]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    };
    u128::from(half(1)) << 64 | u128::from(half(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, body: u32) -> Vec<u8> {
        let metadata = if id.is_empty() { "{}".to_owned() } else { format!(r#"{{"CorrelationId":"{id}"}}"#) };
        format!(r#"{{"topicName":"v2.x","version":"2","eventBody":{{"a":1,"n":{body}}},"metadata":{metadata}}}"#).into()
    }

    fn overlap() -> Pairs {
        let mut pairs = Pairs::default();
        pairs.begin(1, 2);
        pairs
    }

    #[test]
    fn one_from_each_socket_is_one_and_two_on_one_are_two() {
        let mut pairs = overlap();
        assert!(pairs.admit(0, 1, &event("a", 1)) && pairs.admit(0, 1, &event("a", 1)), "two on one socket");
        assert!(pairs.admit(0, 1, &event("b", 1)));
        pairs.closed(1, 10, 0);
        let copies: Vec<bool> = (0..3).map(|_| pairs.admit(20, 2, &event("a", 1))).collect();
        assert_eq!(copies, [false, false, true]);
        assert!(pairs.admit(20, 2, &event("b", 2)), "another body");
        assert!(pairs.admit(20, 2, &event("c", 1)), "another id");
        assert!(!pairs.admit(20, 2, &event("b", 1)));
    }

    #[test]
    fn the_order_of_members_does_not_matter_and_the_topic_does() {
        let mut pairs = overlap();
        assert!(pairs.admit(0, 1, &event("a", 1)));
        let other = r#"{"topicName":"v2.y","version":"2","eventBody":{"a":1,"n":1},"metadata":{"CorrelationId":"a"}}"#;
        assert!(pairs.admit(0, 2, other.as_bytes()));
        let same =
            r#"{"metadata":{"CorrelationId":"a"}, "eventBody":{"n":1, "a":1}, "topicName":"v2.x","version":"2"}"#;
        assert!(!pairs.admit(0, 2, same.as_bytes()));
    }

    #[test]
    fn the_window_trails_for_a_minute_and_without_an_id_not_at_all() {
        let mut pairs = overlap();
        for text in [event("a", 1), event("b", 1), event("", 1), event("", 2), b"no json".to_vec()] {
            assert!(pairs.admit(0, 1, &text));
        }
        pairs.closed(1, 1_000, 2);
        assert!(!pairs.admit(1_000, 2, &event("", 1)) && !pairs.admit(1_000, 2, b"no json"), "they were held");
        assert!(pairs.admit(1_000, 2, &event("", 2)), "it came when the old socket was closed");
        assert!(!pairs.admit(61_000, 2, &event("a", 1)));
        assert!(pairs.admit(61_001, 2, &event("b", 1)));
        assert!(pairs.overlaps.is_empty());
    }

    #[test]
    fn rollovers_that_follow_at_once_keep_apart() {
        let mut pairs = overlap();
        assert!(pairs.admit(0, 1, &event("a", 1)));
        pairs.closed(1, 10, 0);
        pairs.begin(2, 3);
        assert!(!pairs.admit(20, 2, &event("a", 1)), "late, and the second of its pair");
        assert!(pairs.admit(20, 2, &event("b", 1)));
        pairs.begin(2, 4);
        pairs.closed(2, 30, 0);
        assert!(!pairs.admit(40, 4, &event("a", 1)), "a third copy");
        assert!(!pairs.admit(40, 4, &event("b", 1)));
    }

    #[test]
    fn a_socket_that_never_took_over_is_forgotten_after_a_minute() {
        let mut pairs = overlap();
        assert!(pairs.admit(0, 1, &event("a", 1)));
        pairs.failed(10, 2);
        assert!(pairs.admit(60_010, 1, &event("a", 1)) && pairs.overlaps.len() == 1);
        assert!(pairs.admit(60_011, 1, &event("a", 1)) && pairs.overlaps.is_empty());
    }

    #[test]
    fn the_channel_of_a_failed_second_socket_may_bring_what_the_first_one_brought() {
        let mut pairs = overlap();
        pairs.failed(10, 2);
        assert!(pairs.admit(20, 1, &event("a", 1)) && pairs.admit(30, 1, &event("b", 1)));
        pairs.adopted(40, 3);
        assert!(!pairs.admit(50, 3, &event("b", 1)) && pairs.admit(50, 3, &event("b", 1)));
        assert!(!pairs.admit(60_040, 3, &event("a", 1)));
        pairs.adopted(60_050, 4);
        assert!(pairs.admit(60_060, 4, &event("a", 1)), "nothing had failed");
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let mut pairs = overlap();
        let events = u32::try_from(NOTES_MAX).unwrap() + 10;
        assert!((0..events).all(|n| pairs.admit(0, 1, &event("a", n))));
        assert_eq!(pairs.overlaps[0].order.len(), NOTES_MAX);
        assert!(pairs.admit(0, 2, &event("a", 9)), "forgotten: delivered twice");
        assert!(!pairs.admit(0, 2, &event("a", 10)));
    }
}
