//! What the application is told of states and gaps, and that every message it did not get lies in a gap.

use super::Watch;
use crate::event::{Gap, Notice, State};
use crate::proto::time::Now;

/// Messages in flight when a gap begins.
const SLACK_MS: u64 = 5_000;

impl Watch {
    /// States chain, gaps are counted, and begin and end in turn.
    pub(super) fn noticed(&mut self, notice: &Notice) {
        match notice {
            Notice::State(change) => {
                assert_eq!(change.from, self.state, "state changes do not chain");
                let said = self.states.last().map_or("", |last| last.reason);
                assert!(change.from != change.to || change.to == State::Degraded && change.reason != said);
                self.state = change.to;
                self.order.push(format!("{:?}", change.to));
                self.states.push(change.clone());
            }
            Notice::GapBegin(gap) => {
                assert!(!self.gap_open, "a gap within a gap");
                assert_eq!(gap.number, self.gaps.len() as u64 + 1);
                self.gap_open = true;
                self.gaps.push(gap.clone());
                self.order.push("gap".into());
            }
            Notice::GapEnd(gap) => {
                assert!(self.gap_open, "the end of no gap");
                self.gap_open = false;
                let begun = self.gaps.pop().unwrap();
                assert_eq!((begun.number, begun.from_wall_ms), (gap.number, gap.from_wall_ms));
                self.gaps.push(gap.clone());
                self.order.push("gap end".into());
            }
            Notice::Handover(handover) => {
                self.handovers.push((handover.from_connection, handover.to_connection));
                self.order.push(format!("handover {} {}", handover.from_connection, handover.to_connection));
            }
            Notice::Resumed(_) => self.slept += 1,
            Notice::ClockStep(step) => self.steps.push(step.by_ms),
            Notice::ScopesChanged(change) => self.changes.push(change.clone()),
            other => panic!("not of the session: {other:?}"),
        }
    }

    pub fn delivered(&mut self, epoch: u64, number: u64) {
        let (last, _) = self.last_delivered;
        assert!(
            epoch >= last || self.handovers.iter().all(|(from, to)| (*from, *to) != (epoch, last)),
            "old after new"
        );
        self.last_delivered = (epoch, number);
        self.received.push((epoch, number));
        self.order.push(format!("message on {epoch}"));
    }

    pub fn lost(&mut self, number: u64, at_ms: u64, epoch: u64) {
        self.lost.push((number, at_ms, epoch));
    }

    /// Every message that nobody saw lies in a gap. For the end of a walk, when everything is settled.
    pub fn no_silent_loss(&self, now: Now) {
        let slack = if self.stepped { 30 * 60_000 } else { SLACK_MS };
        for (number, at_ms, epoch) in &self.lost {
            let before = self.first_ready_ms.is_none_or(|ready| *at_ms <= ready);
            let after = self.closing_ms.is_some_and(|closing| *at_ms + SLACK_MS >= closing);
            let at = at_ms + now.wall_ms - now.boot_ms;
            let covers =
                |gap: &Gap| gap.from_wall_ms <= at + slack && (gap.to_wall_ms == 0 || at <= gap.to_wall_ms + slack);
            let covered = before || after || self.gaps.iter().any(covers);
            assert!(covered, "message {number} of {at_ms} on socket {epoch} is lost without a gap");
        }
    }
}
