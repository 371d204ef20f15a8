//! The topics of a client, shared by the application's threads and those that bring tokens (profile `notifications`).
//!
//! A list is made and sent to gwa-socket under one lock, so that the newest is also the last to arrive.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Clock;
use super::delivery::Delivery;
use super::inbox::Inbox;
use super::random::Entropy;
use crate::audit::{Record, ScopeAudit};
use crate::config::settings::{Profile, Settings};
use crate::error::Error;
use crate::event::{Notice, Topics};
use crate::proto::scope;
use crate::proto::session::Input;
use crate::proto::token::Token;
use crate::proto::wanted::Wanted;

/// What a client has subscribed to.
pub struct Subscriptions {
    wanted: Mutex<Wanted>,
    settings: Arc<Settings>,
    clock: Clock,
    delivery: Arc<Delivery>,
}

impl Subscriptions {
    /// Those of the configuration; none in another profile.
    pub fn new(settings: &Arc<Settings>, clock: Clock, delivery: &Arc<Delivery>) -> Option<Arc<Self>> {
        let wanted = Mutex::new(Wanted::new(&settings.topics, settings.unknown_scopes));
        let (delivery, settings) = (Arc::clone(delivery), Arc::clone(settings));
        (settings.profile == Profile::Notifications).then(|| Arc::new(Self { wanted, settings, clock, delivery }))
    }

    /// The threads start: `socket` is told what is wanted so far.
    pub fn begin(&self, socket: &Inbox<Input>) {
        let mut wanted = self.lock();
        wanted.begin();
        socket.send(Input::Topics(wanted.list()));
    }

    /// A token is about to be published.
    pub fn granted(&self, token: &Token, socket: &Inbox<Input>) {
        let mut wanted = self.lock();
        let judged = wanted.granted(scope::grants_of(token, &self.settings));
        if judged.changed {
            socket.send(Input::Topics(wanted.list()));
        }
        drop(wanted);
        judged.audits.into_iter().for_each(|audit| self.record(audit));
        if !judged.rejected.is_empty() {
            self.delivery.push_notice(Notice::Topics(Topics { results: judged.rejected.into() }));
        }
    }

    /// More topics; `tell` is given the whole list if it is another one now.
    pub fn add(&self, topics: &[&str], scopes: &[String], tell: impl FnOnce(Vec<String>)) -> Result<(), Error> {
        let mut wanted = self.lock();
        let (audit, outcome) = wanted.add(topics, scopes);
        if outcome == Ok(true) {
            tell(wanted.list());
        }
        drop(wanted);
        if let Some(audit) = audit {
            self.record(audit);
        }
        outcome.map(|_| ())
    }

    /// Fewer topics; `tell` is given the whole list if it is another one now.
    pub fn remove(&self, topics: &[&str], tell: impl FnOnce(Vec<String>)) {
        let mut wanted = self.lock();
        if wanted.remove(topics) {
            tell(wanted.list());
        }
    }

    /// Outside the lock: the policy `block` may wait for room.
    fn record(&self, audit: ScopeAudit) {
        self.delivery.push_record(self.clock.now(), Entropy::new().uuid_v4(), Record::Scopes(audit));
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
