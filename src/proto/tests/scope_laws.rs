//! The rules of scopes, told a second time, for one session of either profile: no token that lacks a required scope is ever
//! shown to a server, every change of the grants is told and recorded once, and the policy decides about the live socket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::audit::Record;
use crate::config::settings::{LostScopes, Settings, UnknownScopes};
use crate::error::Code;
use crate::event::{Notice, State};
use crate::proto::refresher::News;
use crate::proto::session::{Input, Output};

type Names = BTreeSet<String>;

/// New, gone, and gone although required.
type Change = (Names, Names, Names);

/// What one input brought, and what it had to bring.
#[derive(Debug, Default)]
struct Step {
    change: Option<Change>,
    told: Vec<Change>,
    recorded: Vec<Change>,
    /// A required scope was lost, and this socket was live.
    lost_on: Option<u64>,
}

#[derive(Debug, Default)]
pub struct ScopeLaws {
    settings: Arc<Settings>,
    /// What the newest token grants that says so.
    base: Option<Names>,
    newest: u64,
    /// Scopes of tokens, by what is shown of them.
    tokens: BTreeMap<String, Option<Names>>,
    live: Option<u64>,
    over: bool,
    step: Step,
}

fn set(names: &[String]) -> Names {
    names.iter().cloned().collect()
}

impl ScopeLaws {
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, ..Self::default() }
    }

    pub fn before(&mut self, input: &Input) {
        self.step = Step::default();
        match input {
            Input::Publish(token) if token.serial > self.newest => {
                self.newest = token.serial;
                let scopes = token.scopes.as_deref().map(set);
                self.compare(scopes.as_ref());
                self.tokens.insert(token.access_token.expose().to_owned(), scopes);
                if self.tokens.len() > 50 {
                    self.tokens.pop_first();
                }
            }
            Input::News(News::Declined { granted }) => self.compare(Some(&set(granted))),
            Input::News(News::ScopesLost { error, .. }) => {
                self.step.lost_on = self.live.filter(|_| error.code() == Code::ScopeDenied);
            }
            Input::Close => self.over = true,
            _ => {}
        }
    }

    fn compare(&mut self, now: Option<&Names>) {
        let Some(now) = now else { return };
        let Some(before) = self.base.replace(now.clone()) else { return };
        if before == *now || self.over {
            return;
        }
        let gone: Names = before.difference(now).cloned().collect();
        let missing = set(&self.settings.required_scopes).intersection(&gone).cloned().collect();
        self.step.change = Some((now.difference(&before).cloned().collect(), gone, missing));
    }

    pub fn said(&mut self, output: &Output) {
        match output {
            Output::Notice(Notice::ScopesChanged(change)) => {
                self.step.told.push((set(&change.added), set(&change.removed), set(&change.missing)));
            }
            Output::Audit(Record::ScopesChanged { added, removed, missing }) => {
                self.step.recorded.push((set(added), set(removed), set(missing)));
            }
            Output::SendAuth { frame, .. } => self.shown(frame.expose()),
            Output::Rest { request, .. } => self.shown(request.authorization.expose()),
            Output::SendOn(epoch) => self.live = *epoch,
            Output::Failed { .. } => self.over = true,
            _ => {}
        }
    }

    /// Something that may hold a token leaves for a server.
    fn shown(&self, text: &str) {
        let whole = |token: &str| text.split([' ', '"']).any(|part| part == token);
        let Some((_, scopes)) = self.tokens.iter().find(|(token, _)| whole(token)) else { return };
        let required = set(&self.settings.required_scopes);
        let good = match scopes {
            Some(scopes) => required.is_subset(scopes),
            None => required.is_empty() || self.settings.unknown_scopes == UnknownScopes::Allow,
        };
        assert!(good, "a token that grants {scopes:?} is shown, {required:?} is required");
    }

    pub fn after(&mut self, state: State) {
        let step = std::mem::take(&mut self.step);
        if self.over {
            return;
        }
        let expected: Vec<Change> = step.change.into_iter().collect();
        assert_eq!(step.told, expected, "what a renewal changed of the grants is told once");
        assert_eq!(step.recorded, expected, "what a renewal changed of the grants is recorded once");
        let Some(live) = step.lost_on else { return };
        match self.settings.lost_scopes {
            LostScopes::Keep => {
                assert_eq!(self.live, Some(live), "the live socket is closed although it is to be kept");
                assert_eq!(state, State::Degraded, "nobody hears that a scope was lost");
            }
            LostScopes::Close => assert_eq!(self.live, None, "the live socket is kept although a scope was lost"),
        }
    }
}
