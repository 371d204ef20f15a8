//! What the refresh thread says, and to whom.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Kind, Source, Wish};
use crate::audit::Record;
use crate::error::Error;
use crate::event::{Notice, State as Shown, StateChange};
use crate::proto::refresher::News;
use crate::proto::session::Input as SessionInput;
use crate::proto::token::Token;
use crate::shell::subscriptions::Findings;

impl Source {
    /// A token is in force. The snapshot first: who reads it after the event must find the new token.
    pub(in crate::shell) fn publish(&self, token: &Arc<Token>) {
        let mut state = self.lock();
        state.audience.published(token);
        let findings: Vec<_> = state.audience.hearers().filter_map(|outlet| outlet.publish(token)).collect();
        drop(state);
        findings.into_iter().for_each(Findings::record);
        if self.speaks_for_itself() && self.shared.set_token(token) {
            self.delivery.push_notice(Notice::Token(Arc::clone(token)));
        }
        self.show(Shown::Ready, "token granted", None);
    }

    pub(in crate::shell) fn pass_on(&self, news: &News) {
        let mut state = self.lock();
        state.audience.said(news);
        state.audience.hearers().for_each(|outlet| outlet.socket.send(SessionInput::News(news.clone())));
        drop(state);
        let held = || self.shared.token().is_some_and(|token| token.is_usable(self.clock.now().boot_ms));
        match news {
            News::Fetching if held() => self.show(Shown::Renewing, "token requested", None),
            News::Fetching => self.show(Shown::AcquiringToken, "token requested", None),
            News::Throttled { error, .. } => self.show(Shown::Throttled, "throttled", Some(error)),
            News::RoundFailed { error, .. } if held() => {
                self.show(Shown::Degraded, "token request failed", Some(error));
            }
            News::Blocked { error, .. } => self.show(Shown::ReauthRequired, "credentials refused", Some(error)),
            News::Verifying | News::Waiting | News::RoundFailed { .. } => {}
        }
    }

    /// An audit record of the source. Those who share it have it among their own: by gwa-socket of each, as with
    /// `audit.policy = block` a record may wait for room, and nobody's token is to wait for that.
    pub(in crate::shell) fn record(&self, id: String, record: Record) {
        if self.is_shared() && is_common(&record) {
            let mut state = self.lock();
            state.audience.recorded(&record);
            state.audience.hearers().for_each(|outlet| outlet.socket.send(SessionInput::Recorded(record.clone())));
        }
        if self.kind != (Kind::Shared { speaks: false }) {
            self.delivery.push_record(self.clock.now(), id, record);
        }
    }

    pub(in crate::shell) fn learn_clock(&self, ahead_ms: i64) {
        self.shared.set_server_ahead_ms(ahead_ms);
    }

    pub(in crate::shell) fn answer(&self, id: u64, outcome: Result<Arc<Token>, Error>) {
        let mut state = self.lock();
        let Some(wish) = state.wishes.remove(&id) else { return };
        // The token may be good for others only.
        let outcome = outcome.and_then(|token| {
            match state.audience.standing(wish.member) {
                Some(Ok(outlet)) => outlet.check(&token)?,
                Some(Err(why)) => return Err(why.clone()),
                None => {}
            }
            Ok(token)
        });
        drop(state);
        wish.promise.keep(outcome);
    }

    /// The refresher has this token left.
    pub(in crate::shell) fn holds(&self, token: Option<&Arc<Token>>) {
        self.lock().audience.holds(token);
    }

    /// Whether nobody is left who has not given up. If others go on, nothing that this one waits for will be of use.
    pub(in crate::shell) fn give_up(&self, member: u64, why: &Error) -> bool {
        let mut state = self.lock();
        let is_last = state.audience.give_up(member, why);
        let wishes = std::mem::take(&mut state.wishes);
        let (ended, others) = wishes.into_iter().partition(|(_, wish)| !is_last && wish.member == member);
        state.wishes = others;
        drop(state);
        let ended: HashMap<u64, Wish> = ended;
        ended.into_values().for_each(|wish| wish.promise.keep(Err(why.clone())));
        is_last
    }

    /// Why nobody hears any more.
    pub(in crate::shell) fn despair(&self) -> Option<Error> {
        self.lock().audience.despair().cloned()
    }

    pub(in crate::shell) fn wake(&self, member: u64) {
        self.lock().audience.wake(member);
    }

    pub(in crate::shell) fn wake_all(&self) -> bool {
        self.lock().audience.wake_all()
    }

    /// A private source leaves that to its client.
    pub(super) fn speaks_for_itself(&self) -> bool {
        self.kind == (Kind::Shared { speaks: true })
    }

    pub(super) fn show(&self, to: Shown, reason: &'static str, error: Option<&Error>) {
        let from = self.shared.state();
        if self.speaks_for_itself() && from != to && self.shared.set_state(to) {
            let error = error.cloned();
            self.delivery.push_notice(Notice::State(StateChange { from, to, reason, error }));
        }
    }
}

/// Whether a record is about all who share the source: what each needs of a token is checked, and recorded, by itself.
fn is_common(record: &Record) -> bool {
    !matches!(record, Record::Scopes(_) | Record::ScopesChanged { .. })
}
