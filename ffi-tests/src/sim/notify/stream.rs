//! What a channel's socket sends by itself: heartbeats, events in their order, texts of the channel's own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::record::SystemSent;
use crate::sim::frame;
use crate::sim::hub::Hub;
use crate::sim::outgoing::Outgoing;
use crate::sim::writer::Writer;

/// The timers of one channel's socket.
pub(crate) struct Streaming {
    every: Duration,
    beat: Instant,
    /// How long events are held back.
    lag: Duration,
    held: VecDeque<(Instant, u64, Arc<str>)>,
    stalled: bool,
}

impl Streaming {
    pub(crate) fn new(hub: &Hub, connection: usize) -> Self {
        let books = hub.books();
        let every = books.policy.heartbeat.max(Duration::from_millis(1));
        let skew = &books.policy.skew;
        let lag = skew.get(connection % skew.len().max(1)).copied().unwrap_or_default();
        Self { every, beat: Instant::now() + every, lag, held: VecDeque::new(), stalled: false }
    }

    /// The next heartbeat or held event.
    pub(crate) fn due(&self) -> Option<Instant> {
        let held = self.held.front().map(|(due, ..)| *due);
        (!self.stalled).then(|| held.map_or(self.beat, |due| due.min(self.beat)))
    }

    /// What is held, and what comes, is lost.
    pub(crate) fn stall(&mut self) {
        self.stalled = true;
        self.held.clear();
    }

    pub(crate) fn resume(&mut self) {
        self.stalled = false;
        self.beat = Instant::now() + self.every;
    }

    fn hold(&mut self, number: u64, text: Arc<str>) {
        if !self.stalled {
            self.held.push_back((Instant::now() + self.lag, number, text));
        }
    }

    /// The next event that is due at that time; any, without one.
    fn take(&mut self, now: Option<Instant>) -> Option<(u64, Arc<str>)> {
        let due = self.held.front().is_some_and(|(due, ..)| now.is_none_or(|now| *due <= now));
        let next = if due { self.held.pop_front() } else { None };
        next.map(|(_, number, text)| (number, text))
    }

    fn beat(&mut self, now: Instant) -> bool {
        let due = !self.stalled && self.beat <= now;
        if due {
            self.beat = now + self.every;
        }
        due
    }
}

impl Writer {
    pub(crate) fn event(&mut self, number: u64, text: Arc<str>) {
        if let Some(stream) = &mut self.stream {
            stream.hold(number, text);
        }
    }

    pub(crate) fn system(&mut self, text: &str) {
        if self.is_stalled() || !self.emit(&frame::whole(frame::TEXT, text.as_bytes()), 1) {
            return;
        }
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        let topic = frame.get("topicName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let connection = self.index;
        self.hub.record.note(|log, at| {
            if topic.starts_with("v2.system.") {
                log.system_sent.push(SystemSent { at, connection, topic });
            }
        });
        self.fire();
    }

    fn is_stalled(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.stalled)
    }

    /// Sends the events that are due, then the heartbeat.
    pub(crate) fn stream_due(&mut self, now: Instant) {
        while let Some((number, text)) = self.stream.as_mut().and_then(|stream| stream.take(Some(now))) {
            self.message(&Outgoing::whole(false, text.as_bytes(), Some(number)));
            self.fire();
        }
        let beats = !self.is_mute() && self.stream.as_mut().is_some_and(|stream| stream.beat(now));
        if beats && self.emit(&frame::whole(frame::TEXT, metadata("WebSocket Heartbeat").as_bytes()), 1) {
            let index = self.index;
            self.hub.record.note(|log, _| log.connections[index].heartbeats += 1);
            self.fire();
        }
    }

    /// Sends what was held back, due or not.
    pub(crate) fn send_lagging(&mut self) {
        while let Some((number, text)) = self.stream.as_mut().and_then(|stream| stream.take(None)) {
            self.message(&Outgoing::whole(false, text.as_bytes(), Some(number)));
        }
    }
}

/// A text of `channel.metadata`.
pub(crate) fn metadata(message: &str) -> String {
    format!(r#"{{"topicName":"channel.metadata","eventBody":{}}}"#, json!({"message": message}))
}
