//! Lines of log on their way to `on_log`: a small bounded queue that counts what it drops.

use std::collections::VecDeque;

/// Lines kept while the dispatcher is busy.
const CAPACITY: usize = 256;

/// A line of log.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// 1 error – 5 trace.
    pub(super) level: i32,
    /// Part of the library.
    pub(super) target: &'static str,
    /// Text.
    pub(super) text: String,
    order: u64,
}

/// Lines in order. When full, new lines are dropped; the next one taken in says how many.
#[derive(Debug, Default)]
pub(super) struct LogQueue {
    lines: VecDeque<Line>,
    dropped: u64,
    lost: u64,
}

impl LogQueue {
    /// Appends a line, or counts it.
    pub(super) fn push(&mut self, order: u64, level: i32, target: &'static str, text: String) {
        if self.lines.len() >= CAPACITY {
            self.dropped = self.dropped.saturating_add(1);
            self.lost = self.lost.saturating_add(1);
            return;
        }
        self.push_dropped(order);
        self.lines.push_back(Line { level, target, text, order });
    }

    /// Takes the oldest line.
    pub(super) fn pop(&mut self) -> Option<Line> {
        let line = self.lines.pop_front()?;
        if self.lines.is_empty() {
            self.push_dropped(line.order);
        }
        Some(line)
    }

    /// Lines dropped so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Place of the oldest line among everything queued.
    pub(super) fn first_order(&self) -> Option<u64> {
        self.lines.front().map(|line| line.order)
    }

    /// Whether no line waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn push_dropped(&mut self, order: u64) {
        if self.dropped > 0 {
            let text = format!("{} lines of log were dropped here: on_log is too slow", self.dropped);
            self.lines.push_back(Line { level: 2, target: "delivery", text, order });
            self.dropped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_in_a_line_of_its_own() {
        let mut queue = LogQueue::default();
        for order in 0..CAPACITY as u64 + 3 {
            queue.push(order, 4, "test", order.to_string());
        }
        let lines: Vec<Line> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(lines.len(), CAPACITY + 1);
        assert!(lines[CAPACITY].text.starts_with("3 lines"), "{lines:?}");
        queue.push(9, 4, "test", "later".into());
        assert_eq!(queue.pop().unwrap().text, "later");
        assert!(queue.pop().is_none() && queue.is_empty());
    }
}
