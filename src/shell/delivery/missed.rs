//! Records that a sink has refused. Its chain goes on from the record before, and its log says what is missing.
//!
//! Only with a chain: without one a sink that fails is counted, and what it does next is its own affair.

use super::Delivery;
use crate::audit::json::{Body, Entry, Sink};

/// The marker that a sink is given before its next record.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) marker: Entry,
    /// With what came before the first record that is missing.
    pub(super) sink: Sink,
}

impl Missed {
    fn after(older: Option<Self>, entry: &Entry, sink: Sink) -> Self {
        let first_of = |entry: &Entry| match entry.body {
            Body::Loss { first } => first,
            Body::Record(_) | Body::Checkpoint(_) => entry.seq,
        };
        let first = first_of(older.as_ref().map_or(entry, |older| &older.marker));
        let Entry { seq, wall_ms, totals, .. } = *entry;
        let marker = Entry { seq, id: entry.id.clone(), wall_ms, totals, body: Body::Loss { first } };
        Self { marker, sink: older.map_or(sink, |older| older.sink) }
    }
}

impl Delivery {
    /// What this sink has to be told before its next record.
    pub(super) fn take_missed(&self, sink: Sink) -> Option<Missed> {
        self.sealer.as_ref()?;
        self.lock().missed.get_mut(index(sink))?.take()
    }

    /// This record too: one marker will say it of all.
    pub(super) fn miss(&self, older: Option<Missed>, entry: &Entry, sink: Sink) {
        if self.sealer.is_none() {
            return;
        }
        let missed = Missed::after(older, entry, sink);
        if let Some(place) = self.lock().missed.get_mut(index(sink)) {
            *place = Some(missed);
        }
    }
}

fn index(sink: Sink) -> usize {
    usize::from(sink != Sink::Audit)
}
