//! The topics an application wants, and which of them the token lets it ask for (profile `notifications`).
//!
//! A subscription may carry scopes that it needs. They are compared with those of the newest token: at once if there is one,
//! and again with every token that follows. What lacks one is not sent.

use super::scope::{self, Grants};
use crate::audit::ScopeAudit;
use crate::config::settings::UnknownScopes;
use crate::error::{Code, Error, Stage};
use crate::event::{Topic, TopicState};

/// Most topics of a channel (Genesys Cloud, "Use the notification service").
pub const MAX_TOPICS: usize = 1_000;

/// These arrive unasked, and a list of subscriptions that names one is refused.
const SYSTEM: &str = "v2.system.";

/// What the application wants. See the [module](self).
#[derive(Debug)]
pub struct Wanted {
    topics: Vec<Entry>,
    /// Of the newest token.
    grants: Option<Grants>,
    unknown: UnknownScopes,
}

#[derive(Debug)]
struct Entry {
    topic: String,
    scopes: Vec<String>,
    /// What the check of its scopes said; not yet where there is no token.
    verdict: Option<bool>,
}

/// What a token means for the topics.
#[derive(Debug, Default)]
pub struct Judged {
    /// One for each set of scopes about which it says something new.
    pub audits: Vec<ScopeAudit>,
    /// Topics that are not asked for any more, or not at all.
    pub rejected: Vec<Topic>,
    /// Whether [`Wanted::list`] is another one now.
    pub changed: bool,
}

impl Entry {
    fn is_allowed(&self) -> bool {
        self.verdict.unwrap_or(self.scopes.is_empty())
    }
}

impl Wanted {
    /// The topics to begin with.
    pub fn new(topics: &[String], unknown: UnknownScopes) -> Self {
        let mut wanted = Self { topics: Vec::new(), grants: None, unknown };
        topics.iter().for_each(|topic| wanted.put(topic, &[], None));
        wanted
    }

    /// Forgets the token: the threads start anew.
    pub fn begin(&mut self) {
        self.grants = None;
        self.topics.iter_mut().for_each(|entry| entry.verdict = None);
    }

    /// The topics to subscribe to, in the order in which they were first asked for.
    pub fn list(&self) -> Vec<String> {
        self.topics.iter().filter(|entry| entry.is_allowed()).map(|entry| entry.topic.clone()).collect()
    }

    /// More topics, all of them or none. The audit of their scopes, if these could be checked already; whether the list is
    /// another one now, or why nothing was added.
    pub fn add(&mut self, topics: &[&str], scopes: &[String]) -> (Option<ScopeAudit>, Result<bool, Error>) {
        let mut new: Vec<&str> = topics.iter().copied().filter(|topic| self.is_new(topic)).collect();
        new.sort_unstable();
        new.dedup();
        if self.topics.len() + new.len() > MAX_TOPICS {
            let text = format!("topics: {} in all; a channel takes {MAX_TOPICS}.", self.topics.len() + new.len());
            return (None, Err(Error::new(Code::InvalidArgument, Stage::Subscribe, text)));
        }
        let checked = self.grants.as_ref().filter(|_| !scopes.is_empty() && !topics.is_empty());
        let checked = checked.map(|grants| scope::check(grants, scopes, self.unknown));
        let (audit, outcome) = checked.map(|checked| (checked.audit, checked.outcome)).unzip();
        if let Some(Err(error)) = outcome {
            return (audit, Err(error));
        }
        let before = self.list();
        topics.iter().for_each(|topic| self.put(topic, scopes, audit.as_ref().map(|_| true)));
        (audit, Ok(self.list() != before))
    }

    /// Topics that are not wanted any more. Whether the list is another one now.
    pub fn remove(&mut self, topics: &[&str]) -> bool {
        let before = self.list();
        self.topics.retain(|entry| !topics.contains(&entry.topic.as_str()));
        self.list() != before
    }

    /// A token is in force that grants this.
    pub fn granted(&mut self, grants: Grants) -> Judged {
        let before = self.list();
        let mut judged = Judged::default();
        let mut seen: Vec<(Vec<String>, ScopeAudit, Option<Error>)> = Vec::new();
        for entry in self.topics.iter_mut().filter(|entry| !entry.scopes.is_empty()) {
            let at = seen.iter().position(|(scopes, ..)| *scopes == entry.scopes).unwrap_or_else(|| {
                let checked = scope::check(&grants, &entry.scopes, self.unknown);
                seen.push((entry.scopes.clone(), checked.audit, checked.outcome.err()));
                seen.len() - 1
            });
            let Some((_, audit, denial)) = seen.get(at) else { continue };
            if entry.verdict.replace(denial.is_none()) == Some(denial.is_none()) {
                continue;
            }
            if !judged.audits.contains(audit) {
                judged.audits.push(audit.clone());
            }
            judged.rejected.extend(denial.as_ref().map(|error| rejected(&entry.topic, error)));
        }
        self.grants = Some(grants);
        judged.changed = self.list() != before;
        judged
    }

    fn is_new(&self, topic: &str) -> bool {
        !topic.starts_with(SYSTEM) && self.topics.iter().all(|entry| entry.topic != topic)
    }

    /// A topic that was there needs the scopes of both.
    fn put(&mut self, topic: &str, scopes: &[String], verdict: Option<bool>) {
        if topic.starts_with(SYSTEM) {
            return;
        }
        let Some(entry) = self.topics.iter_mut().find(|entry| entry.topic == topic) else {
            return self.topics.push(Entry { topic: topic.to_owned(), scopes: scopes.to_vec(), verdict });
        };
        if !scopes.is_empty() {
            // What was refused stays so; what was allowed, or needed nothing, is what the new scopes are.
            entry.verdict = if entry.verdict == Some(false) { entry.verdict } else { verdict };
            let more: Vec<String> = scopes.iter().filter(|name| !entry.scopes.contains(name)).cloned().collect();
            entry.scopes.extend(more);
        }
    }
}

/// The result of a topic that was left out.
fn rejected(topic: &str, error: &Error) -> Topic {
    Topic {
        id: topic.to_owned(),
        state: TopicState::Rejected,
        reason: error.code().name().to_owned(),
        missing_permissions: error.detail().missing_scopes.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn known(text: &str) -> Grants {
        Grants { scopes: Some(names(text)), ..Grants::default() }
    }

    fn wanted(topics: &str) -> Wanted {
        Wanted::new(&names(topics), UnknownScopes::Deny)
    }

    #[test]
    fn topics_stand_once_in_the_order_of_asking_and_system_topics_are_left_out() {
        let mut wanted = wanted("b a v2.system.token_revoked.x b");
        assert_eq!(wanted.add(&["c", "a", "v2.system.x", "c"], &[]).1, Ok(true));
        assert_eq!(wanted.list(), names("b a c"));
        assert_eq!(wanted.add(&["a"], &[]).1, Ok(false), "it is there");
        assert!(wanted.remove(&["a", "nobody's"]) && !wanted.remove(&["a"]));
        assert_eq!(wanted.list(), names("b c"));
    }

    #[test]
    fn a_channel_takes_a_thousand_and_no_more_all_or_none() {
        let all: Vec<String> = (0..999).map(|n| format!("t{n}")).collect();
        let mut wanted = Wanted::new(&all, UnknownScopes::Deny);
        let error = wanted.add(&["x", "y"], &[]).1.unwrap_err();
        assert!(error.code() == Code::InvalidArgument && error.to_string().contains("1001"), "{error}");
        assert_eq!(wanted.list().len(), 999);
        assert_eq!(wanted.add(&["x", "x", "t0", "v2.system.y"], &[]).1, Ok(true));
        assert_eq!(wanted.list().len(), 1_000);
        assert!(wanted.remove(&["t0"]) && wanted.add(&["y"], &[]).1 == Ok(true));
    }

    #[test]
    fn with_a_token_scopes_are_checked_at_once() {
        let mut wanted = wanted("a");
        assert!(!wanted.granted(known("read")).changed);
        let (audit, outcome) = wanted.add(&["b", "c"], &names("read write"));
        let error = outcome.unwrap_err();
        assert_eq!((error.code(), &error.detail().missing_scopes), (Code::ScopeDenied, &names("write")));
        assert_eq!(audit.unwrap().missing, names("write"));
        assert_eq!(wanted.list(), names("a"));
        let (audit, outcome) = wanted.add(&["b"], &names("read"));
        assert!(audit.is_some() && outcome == Ok(true));
        assert_eq!(wanted.list(), names("a b"));
        let (audit, outcome) = wanted.add(&["d"], &[]);
        assert!(audit.is_none() && outcome == Ok(true), "nothing to check");
    }

    #[test]
    fn without_a_token_they_wait_for_one() {
        let mut wanted = wanted("a");
        for (topics, scopes) in [(&["b"][..], "read"), (&["c", "d"], "write"), (&["e"], "")] {
            let (audit, outcome) = wanted.add(topics, &names(scopes));
            assert!(audit.is_none() && outcome == Ok(scopes.is_empty()), "{scopes:?}");
        }
        assert_eq!(wanted.list(), names("a e"));
        let judged = wanted.granted(known("read"));
        assert_eq!(judged.audits.len(), 2, "one a set of scopes");
        let rejected: Vec<_> = judged.rejected.iter().map(|topic| (&*topic.id, &*topic.reason)).collect();
        assert_eq!(rejected, [("c", "GWA_E_SCOPE_DENIED"), ("d", "GWA_E_SCOPE_DENIED")]);
        assert_eq!(judged.rejected[0].missing_permissions, names("write"));
        assert!(judged.changed);
        assert_eq!(wanted.list(), names("a b e"));
    }

    #[test]
    fn every_token_is_asked_again_and_only_news_is_told() {
        let mut wanted = wanted("");
        _ = wanted.add(&["b", "c"], &names("read"));
        assert_eq!(wanted.granted(known("read")).audits.len(), 1);
        let same = wanted.granted(known("read write"));
        assert!(same.audits.is_empty() && same.rejected.is_empty() && !same.changed);
        let fewer = wanted.granted(known("write"));
        assert!(fewer.changed && fewer.rejected.len() == 2 && fewer.audits.len() == 1);
        assert!(wanted.list().is_empty());
        let back = wanted.granted(known("read"));
        assert!(back.changed && back.rejected.is_empty());
        assert_eq!(wanted.list(), names("b c"));
        wanted.begin();
        assert!(wanted.list().is_empty(), "there is no token any more");
        assert_eq!(wanted.granted(known("read")).audits.len(), 1);
    }

    #[test]
    fn what_cannot_be_known_follows_the_policy() {
        for (unknown, listed) in [(UnknownScopes::Deny, ""), (UnknownScopes::Allow, "a")] {
            let mut wanted = Wanted::new(&[], unknown);
            _ = wanted.add(&["a"], &names("read"));
            let judged = wanted.granted(Grants::default());
            assert_eq!((wanted.list(), judged.rejected.is_empty()), (names(listed), !listed.is_empty()));
            let code = wanted.add(&["b"], &names("read")).1.map_err(|error| error.code());
            assert_eq!(code, if listed.is_empty() { Err(Code::ScopeUnknown) } else { Ok(true) });
        }
    }

    #[test]
    fn a_topic_asked_for_twice_needs_the_scopes_of_both() {
        let mut wanted = wanted("a");
        _ = wanted.add(&["a"], &names("read"));
        assert!(wanted.list().is_empty(), "it waits for a token now");
        _ = wanted.add(&["a"], &names("write read"));
        assert!(!wanted.granted(known("read")).changed);
        assert!(wanted.granted(known("write read")).changed);
        assert_eq!(wanted.list(), names("a"));
    }
}
