//! What happens to channels by itself: events of the pump, and the end of what is past its time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

use super::channels::Books;
use super::policy::EventPump;
use crate::sim::hub::Hub;

/// Policies and tokens change without a word: they are looked at so often.
const LOOK: Duration = Duration::from_millis(20);
/// A pump that fell behind by more than this does not catch up.
const BACKLOG: Duration = Duration::from_secs(1);

/// Starts the clock of a simulator; once is enough.
pub(crate) fn start(hub: &Arc<Hub>) {
    let mut books = hub.books();
    if !books.clock_runs {
        books.clock_runs = true;
        let own = Arc::clone(hub);
        hub.spawn("sim-channels", move || run(&own));
    }
}

fn run(hub: &Hub) {
    loop {
        let now = Instant::now();
        let mut books = hub.books();
        books.expire(hub, now);
        let wait = books.pump(hub, now);
        drop(books);
        if !hub.pause(wait) {
            return;
        }
    }
}

impl Books {
    /// Makes the events that are due; the time to the next look.
    fn pump(&mut self, hub: &Hub, now: Instant) -> Duration {
        let Some(pump) = self.policy.events.clone().filter(|pump| pump.limit == 0 || self.events < pump.limit) else {
            self.pump_due = None;
            return LOOK;
        };
        let mut due = self.pump_due.unwrap_or(now);
        if now > due + BACKLOG {
            due = now;
        }
        while due <= now && (pump.limit == 0 || self.events < pump.limit) {
            self.pump_one(hub, &pump);
            due += pump.every.max(Duration::from_micros(100));
        }
        self.pump_due = Some(due);
        due.saturating_duration_since(now).min(LOOK)
    }

    fn pump_one(&mut self, hub: &Hub, pump: &EventPump) {
        let turn = self.pump_turn;
        let topics = if pump.topics.is_empty() { self.all_names() } else { &pump.topics };
        let Some(topic) = topics.get(turn % topics.len().max(1)).cloned() else { return };
        self.pump_turn = turn.wrapping_add(1);
        let correlation = hub.ledger().uuid();
        self.emit(hub, &topic, &correlation, |seq| padded(&topic, seq, &correlation, pump.size));
    }
}

fn padded(topic: &str, seq: u64, correlation: &str, size: usize) -> String {
    let us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    let body = |pad: Option<String>| match pad {
        Some(pad) => json!({"seq": seq, "sentAt": us / 1000, "sentAtUs": us, "pad": pad}),
        None => json!({"seq": seq, "sentAt": us / 1000, "sentAtUs": us}),
    };
    let bare = text(topic, &body(None), correlation);
    let around = bare.len() + r#","pad":"""#.len();
    if size < around {
        return bare;
    }
    text(topic, &body(Some("x".repeat(size - around))), correlation)
}

/// An event as the platform sends it.
pub(crate) fn text(topic: &str, body: &Value, correlation: &str) -> String {
    format!(
        r#"{{"topicName":{},"version":"2","eventBody":{body},"metadata":{{"CorrelationId":{}}}}}"#,
        Value::from(topic),
        Value::from(correlation)
    )
}
