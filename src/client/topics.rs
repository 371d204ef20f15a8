//! Topics of the profile `notifications`.

use std::sync::Arc;

use super::{bad_state, Client};
use crate::config::{check_scopes, check_topics};
use crate::error::Error;
use crate::proto::session::Input;
use crate::shell::subscriptions::Subscriptions;

impl Client {
    /// Subscribes to more topics, before the start or at any time later. Returns at once; what becomes of each topic is told
    /// by [`crate::event::Notice::Topics`]. They stay through renewals, losses and restarts. Topics that are there already
    /// stand once; `v2.system.*`, which arrives unasked, is left out.
    ///
    /// `scopes`: what the token must grant for these topics. It is compared with the token in force, else with the next
    /// one, and with every one that follows. What lacks a scope is not sent to the server.
    ///
    /// # Errors
    /// `ScopeDenied`, `ScopeUnknown` or `TokenMalformed` of the token in force: nothing was added. `InvalidArgument` for a topic
    /// that is none, a scope that is none, more than 1,000 topics in all. `BadState` in another profile, `Closed`.
    pub fn subscribe(&self, topics: &[&str], scopes: &[&str]) -> Result<(), Error> {
        let subscriptions = self.subscriptions()?;
        check_topics(topics)?;
        check_scopes(scopes)?;
        let scopes: Vec<String> = scopes.iter().map(|&name| name.to_owned()).collect();
        let (findings, outcome) = self.with_engine(|tell| subscriptions.add(topics, &scopes, tell))?;
        findings.record();
        outcome
    }

    /// Unsubscribes from topics, each as it was subscribed to; others are ignored. Returns at once.
    ///
    /// # Errors
    /// `InvalidArgument` for a topic that is none, `BadState` in another profile, `Closed`.
    pub fn unsubscribe(&self, topics: &[&str]) -> Result<(), Error> {
        let subscriptions = self.subscriptions()?;
        check_topics(topics)?;
        self.with_engine(|tell| subscriptions.remove(topics, tell))
    }

    fn subscriptions(&self) -> Result<&Arc<Subscriptions>, Error> {
        self.subscriptions.as_ref().ok_or_else(|| bad_state("Topics belong to profile = notifications."))
    }

    /// Runs `change` with what tells the socket thread, if there is one. No start or stop comes between.
    fn with_engine<T>(&self, change: impl FnOnce(&dyn Fn(Vec<String>)) -> T) -> Result<T, Error> {
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        let life = self.life();
        life.is_open()?;
        let engine = life.engine().ok();
        Ok(change(&|list| {
            if let Some(engine) = &engine {
                engine.tell_session(Input::Topics(list));
            }
        }))
    }
}
