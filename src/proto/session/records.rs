//! What is on record of sockets and clocks. Every socket that was opened ends once: it is lost while live
//! ([`Record::ConnectionLost`]), or closed ([`Record::SocketClosed`]), whatever else is on record of why.

use super::link::Leaving;
use super::{Link, Output, Session};
use crate::audit::Record;
use crate::error::Error;
use crate::event::{Topic, TopicState};
use crate::proto::mutant::{active, Mutant};

/// No close frame was sent or came (RFC 6455 7.1.5).
const NO_CODE: u16 = 1006;
/// Topics that a record names.
const NAMES_MAX: usize = 100;

impl Session {
    /// An upgrade is done.
    pub(super) fn record_opening(&mut self, epoch: u64) {
        if !active(Mutant::OpeningUnrecorded) {
            self.out.push_back(Output::Audit(Record::SocketOpened { connection: epoch }));
        }
    }

    /// A socket failed; if it was opened and is not live, that is its end.
    pub(super) fn record_failure(&mut self, link: &Link, error: &Error) {
        let code = error.detail().ws_close_code;
        let code = if code == 0 { NO_CODE } else { code };
        if link.is_upgraded() && (!link.is_live() || active(Mutant::LossRecordedTwice)) {
            self.record_ending(Record::SocketClosed { connection: link.epoch, code, clean: false });
        }
    }

    /// A socket that was left has ended.
    pub(super) fn record_departure(&mut self, left: &Leaving, clean: bool) {
        if !left.is_lost || active(Mutant::LossRecordedTwice) {
            self.record_ending(Record::SocketClosed { connection: left.epoch, code: 1000, clean });
        }
    }

    fn record_ending(&mut self, record: Record) {
        if !active(Mutant::EndingUnrecorded) {
            self.out.push_back(Output::Audit(record));
        }
    }

    /// The machine slept, or its wall clock was set.
    pub(super) fn record_clock(&mut self, record: Record) {
        if !active(Mutant::ClocksUnrecorded) {
            self.out.push_back(Output::Audit(record));
        }
    }

    /// A channel was made.
    pub(super) fn record_channel(&mut self) {
        if !active(Mutant::ChannelUnrecorded) {
            self.out.push_back(Output::Audit(Record::ChannelMade));
        }
    }

    /// Another client has taken the channel, or its topics.
    pub(super) fn record_displacement(&mut self, error: &Error) {
        if !active(Mutant::DisplacementUnrecorded) {
            self.out.push_back(Output::Audit(Record::Displaced { error: error.clone() }));
        }
    }

    /// A channel was subscribed to topics.
    pub(super) fn record_topics(&mut self, results: &[Topic]) {
        if active(Mutant::TopicsUnrecorded) {
            return;
        }
        let (permitted, rejected): (Vec<&Topic>, Vec<&Topic>) =
            results.iter().partition(|topic| topic.state == TopicState::Permitted);
        let count = |topics: &[&Topic]| u64::try_from(topics.len()).unwrap_or(u64::MAX);
        self.out.push_back(Output::Audit(Record::Subscribed {
            permitted: count(&permitted),
            refused: count(&rejected),
            rejected: rejected.iter().take(NAMES_MAX).map(|topic| topic.id.clone()).collect(),
        }));
    }
}
