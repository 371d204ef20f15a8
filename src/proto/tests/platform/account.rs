//! Every event is accounted for: delivered once, or inside a gap that was reported.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::event::{Gap, Topic, TopicState};
use crate::proto::time::Now;

use super::cloud::covers;
use super::faults::Fault;

/// Events on their way when a gap begins or ends.
const SLACK_MS: u64 = 5_000;
/// Steps of the wall clock blur what is said by it for so long.
const BLUR_MS: u64 = 600_000;
/// When an event has certainly been read, unless its socket is stalled.
const SETTLED_MS: u64 = 300_000;

/// Something that happened in the organisation, as many times as there are copies.
#[derive(Debug)]
pub struct Made {
    pub number: u64,
    pub name: String,
    pub copies: u32,
    at_ms: u64,
    pub text: Rc<str>,
}

impl Made {
    pub fn new(number: u64, name: &str, correlation: u64, copies: u32, at_ms: u64) -> Self {
        let text = format!(
            r#"{{"topicName":"{name}","version":"2","eventBody":{{"n":{number}}},"metadata":{{"CorrelationId":"corr-{correlation}"}}}}"#
        );
        Self { number, name: name.to_owned(), copies, at_ms, text: text.into() }
    }
}

/// The number of an event, if it is one.
fn number_of(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(r#""eventBody":{"n":"#)?;
    rest.split('}').next()?.parse().ok()
}

#[derive(Debug)]
struct Entry {
    made_ms: u64,
    written_ms: u64,
    copies: u32,
    delivered: u32,
    expected: bool,
    name: String,
}

/// A gap in boot time.
#[derive(Debug)]
struct Hole {
    from_ms: u64,
    to_ms: Option<u64>,
}

/// What one client's application was promised and got.
#[derive(Debug, Default)]
pub struct Account {
    /// What the application was last told of its topics, and whether their events are promised.
    topics: Vec<(String, bool)>,
    /// Of which topics it knows what became of them.
    results: Vec<String>,
    flowing: bool,
    over: bool,
    entries: BTreeMap<u64, Entry>,
    holes: Vec<Hole>,
    stepped_ms: Option<u64>,
    pub delivered: u64,
    /// The newest faults, for whoever reads why something is missing.
    strikes: VecDeque<(u64, Fault)>,
    /// Numbers of the events delivered last, in order.
    pub recent: Vec<u64>,
    /// Frames that are no events.
    pub oddities: Vec<String>,
    /// Correlation id of the last event that was delivered, and of the last that was not.
    pub last_correlation: String,
    last_copy: String,
    last_is_odd: bool,
}

impl Account {
    /// The application was told of its topics.
    pub fn told(&mut self, results: &[Topic]) {
        self.results = results.iter().map(|topic| topic.id.clone()).collect();
        let before = std::mem::take(&mut self.topics);
        let promised = |id: &str| before.iter().any(|(topic, promised)| topic == id && *promised);
        let permitted = results.iter().filter(|topic| topic.state == TopicState::Permitted);
        self.topics = permitted.map(|topic| (topic.id.clone(), promised(&topic.id))).collect();
    }

    /// The platform will not send these any more, and says so.
    pub fn withdraw(&mut self, now_ms: u64, permitted: impl Fn(&str) -> bool) {
        self.topics.iter_mut().for_each(|(topic, promised)| *promised &= permitted(topic));
        self.renounce(now_ms);
    }

    /// What is on its way may arrive or not, unless it is promised still.
    fn renounce(&mut self, now_ms: u64) {
        for entry in self.entries.values_mut().rev().take_while(|entry| entry.made_ms + SLACK_MS >= now_ms) {
            let promised = self.topics.iter().any(|(topic, promised)| *promised && covers(topic, &entry.name));
            entry.expected &= promised && !self.over;
        }
    }

    /// The application does not want these any more.
    pub fn wants(&mut self, now_ms: u64, topics: &[String]) {
        self.topics.retain(|(topic, _)| topics.contains(topic));
        self.renounce(now_ms);
    }

    /// Events flow, or do not: from the first time on, all of them are promised until the end.
    pub fn flows(&mut self, flows: bool) {
        self.flowing = flows;
    }

    pub fn ends(&mut self, now_ms: u64) {
        self.over = true;
        self.renounce(now_ms);
    }

    /// The channel of the socket in use is subscribed to these: their events are promised from now on.
    pub fn promise(&mut self, subscribed: impl Fn(&str) -> bool) {
        if self.flowing {
            self.topics.iter_mut().for_each(|(topic, promised)| *promised |= subscribed(topic));
        }
    }

    /// Something happens.
    pub fn made(&mut self, made: &Made) {
        let promised = self.topics.iter().any(|(topic, promised)| *promised && covers(topic, &made.name));
        let expected = promised && !self.over;
        let (made_ms, written_ms, copies, name) = (made.at_ms, made.at_ms, made.copies, made.name.clone());
        let entry = Entry { made_ms, written_ms, copies, delivered: 0, expected, name };
        self.entries.insert(made.number, entry);
    }

    /// The platform writes it to a socket.
    pub fn written(&mut self, number: u64, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.written_ms = now_ms;
        }
    }

    /// A text was read, and delivered or not.
    pub fn read(&mut self, text: &str, admitted: bool, second_ms: Option<u64>) {
        let topic = text.strip_prefix(r#"{"topicName":""#).unwrap_or_default();
        let is_own = topic.starts_with("v2.system.") || topic.starts_with("channel.metadata");
        assert!(!is_own, "a frame of the platform's own is delivered: {text}");
        let Some(number) = number_of(text) else {
            assert!(admitted || second_ms.is_some(), "a frame that is no event is withheld: {text}");
            self.last_is_odd = true;
            self.oddities.extend(admitted.then(|| text.to_owned()));
            return;
        };
        let id = text.split_once(r#""CorrelationId":""#).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("");
        if !admitted {
            self.last_copy = id.to_owned();
            return;
        }
        (self.last_correlation, self.last_is_odd) = (id.to_owned(), false);
        self.delivered += 1;
        self.recent.push(number);
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.delivered += 1;
            assert!(entry.delivered <= entry.copies, "event {number} is delivered {} times", entry.delivered);
        }
    }

    // ---- gaps -----------------------------------------------------------------------------------------------

    pub fn gap_begins(&mut self, now: Now, gap: &Gap) {
        let id = &gap.last_correlation_id;
        let known = *id == self.last_correlation || *id == self.last_copy || id.is_empty() && self.last_is_odd;
        assert!(known, "a gap after {id} that began after others");
        let ago_ms = now.wall_ms.saturating_sub(gap.from_wall_ms);
        self.holes.push(Hole { from_ms: now.boot_ms.saturating_sub(ago_ms), to_ms: None });
    }

    pub fn gap_ends(&mut self, now_ms: u64) {
        if let Some(hole) = self.holes.last_mut() {
            hole.to_ms = Some(now_ms);
        }
    }

    /// What happened meanwhile could be missed without anybody's knowing.
    pub fn excuse(&mut self, from_ms: u64, to_ms: u64) {
        self.holes.insert(0, Hole { from_ms, to_ms: Some(to_ms) });
    }

    pub fn struck(&mut self, now_ms: u64, fault: Fault) {
        if self.strikes.len() >= 40 {
            self.strikes.pop_front();
        }
        self.strikes.push_back((now_ms, fault));
    }

    pub fn stepped(&mut self, now_ms: u64) {
        self.stepped_ms = Some(now_ms);
    }

    pub fn is_blurred(&self) -> bool {
        self.stepped_ms.is_some()
    }

    fn covered(&self, entry: &Entry) -> bool {
        let blurred = self.stepped_ms.is_some_and(|at| entry.made_ms < at + BLUR_MS);
        let slack = if blurred { BLUR_MS } else { SLACK_MS };
        let covers = |hole: &Hole| {
            hole.from_ms <= entry.written_ms + slack && hole.to_ms.is_none_or(|to| entry.made_ms <= to + slack)
        };
        self.holes.iter().any(covers)
    }

    /// What happened long enough ago was delivered, or lies in a gap. `stalled`: sockets wait to be read.
    pub fn settle(&mut self, now_ms: u64, stalled: bool) {
        if stalled {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        for (number, entry) in entries {
            if entry.written_ms + SETTLED_MS > now_ms {
                self.entries.insert(number, entry);
                continue;
            }
            let whole = entry.delivered >= entry.copies || !entry.expected;
            assert!(
                whole || self.covered(&entry),
                "event {number} of {} is lost without a gap after {:?}",
                entry.made_ms,
                self.strikes.iter().rev().filter(|(at, _)| *at <= entry.made_ms).take(3).collect::<Vec<_>>()
            );
        }
        let oldest_ms = self.entries.values().map(|entry| entry.made_ms).min().unwrap_or(now_ms);
        self.holes.retain(|hole| hole.to_ms.is_none_or(|to| to + BLUR_MS >= oldest_ms));
    }

    /// Whether everything that is wanted was asked for, and everything that is permitted is subscribed.
    pub fn are_promised(&self, wanted: &[String]) -> bool {
        self.results == wanted && self.topics.iter().all(|(_, promised)| *promised)
    }

    /// How many of the events that were promised have not arrived.
    pub fn missing(&self) -> usize {
        self.entries.values().filter(|entry| entry.expected && entry.delivered < entry.copies).count()
    }
}
