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

/// Checks of scopes that are to be recorded. With `audit.policy = block` each may wait for room: nobody else is to wait for that.
#[must_use = "they are recorded by `record`"]
pub struct Findings {
    subscriptions: Arc<Subscriptions>,
    audits: Vec<ScopeAudit>,
}

impl Findings {
    /// To the client's sinks. No lock is held.
    pub fn record(self) {
        let Subscriptions { delivery, clock, .. } = &*self.subscriptions;
        let mut entropy = Entropy::new();
        for audit in self.audits {
            delivery.push_record(clock.now(), entropy.uuid_v4(), Record::Scopes(audit));
        }
    }
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

    /// A token is about to be published. What is to be recorded once no lock is held.
    pub fn granted(self: &Arc<Self>, token: &Token, socket: &Inbox<Input>) -> Findings {
        let mut wanted = self.lock();
        let judged = wanted.granted(scope::grants_of(token, &self.settings));
        if judged.changed {
            socket.send(Input::Topics(wanted.list()));
        }
        drop(wanted);
        if !judged.rejected.is_empty() {
            self.delivery.push_notice(Notice::Topics(Topics { results: judged.rejected.into() }));
        }
        Findings { subscriptions: Arc::clone(self), audits: judged.audits }
    }

    /// More topics; `tell` is given the whole list if it is another one now. What is to be recorded once no lock is held.
    pub fn add(
        self: &Arc<Self>,
        topics: &[&str],
        scopes: &[String],
        tell: impl FnOnce(Vec<String>),
    ) -> (Findings, Result<(), Error>) {
        let mut wanted = self.lock();
        let (audit, outcome) = wanted.add(topics, scopes);
        if outcome == Ok(true) {
            tell(wanted.list());
        }
        drop(wanted);
        let findings = Findings { subscriptions: Arc::clone(self), audits: audit.into_iter().collect() };
        (findings, outcome.map(|_| ()))
    }

    /// Fewer topics; `tell` is given the whole list if it is another one now.
    pub fn remove(&self, topics: &[&str], tell: impl FnOnce(Vec<String>)) {
        let mut wanted = self.lock();
        if wanted.remove(topics) {
            tell(wanted.list());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::Event;
    use crate::config::settings::Delivery as Mode;
    use crate::hooks::Hooks;
    use crate::proto::token::Schedule;
    use crate::secret::Secret;
    use crate::shell::delivery::Parts;
    use crate::shell::wait::Waiter;

    fn token(scopes: &[&str]) -> Token {
        let schedule = Schedule { refresh_ms: 1, mandatory_ms: 2, usable_ms: 3, expires_ms: 4 };
        Token {
            access_token: Secret::new("opaque".into()),
            token_type: "bearer".into(),
            lifetime_ms: 4,
            refresh_token: None,
            scope: String::new(),
            granted_at_wall_ms: 0,
            serial: 1,
            schedule,
            scopes: Some(scopes.iter().map(|&name| name.to_owned()).collect()),
        }
    }

    /// With `audit.policy = block` a record may wait for room: granted() is called with the lock of a source held.
    #[test]
    fn a_denial_is_told_at_once_and_recorded_by_who_holds_no_lock() {
        let settings =
            Arc::new(Settings { profile: Profile::Notifications, delivery: Mode::Poll, ..Settings::default() });
        let clock = Clock::new();
        let tick = Arc::new(|| 0);
        let parts =
            Parts { boot_id: "b".into(), clock: Arc::new(move || clock.now()), tick, event_fd: None, sealer: None };
        let delivery = Delivery::new(&settings, Hooks::default(), parts);
        let subscriptions = Subscriptions::new(&settings, clock, &delivery).unwrap();
        let (socket, heard) = Inbox::new(Waiter::new(&clock).unwrap().bell());
        subscriptions.begin(&socket);
        let scopes = ["write".to_owned()];
        let (unchecked, outcome) = subscriptions.add(&["a"], &scopes, |_| panic!("there is no token yet"));
        assert!(unchecked.audits.is_empty() && outcome.is_ok());
        let findings = subscriptions.granted(&token(&["read"]), &socket);
        let event = || delivery.next_event(Some(Duration::ZERO), &|| false).unwrap();
        assert!(matches!(event(), Some(Event::Notice(Notice::Topics(_)))));
        assert!(event().is_none(), "nothing is recorded yet");
        findings.record();
        assert!(matches!(event(), Some(Event::Audit { kind: "scope_validation", .. })));
        let lists: Vec<_> = heard.try_iter().collect();
        assert!(matches!(&lists[..], [Input::Topics(list)] if list.is_empty()), "{lists:?}");
    }
}
