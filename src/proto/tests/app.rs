//! The application, and what stories ask and see.

use super::faults::Fault;
use super::server::TOO_SHORT_MS;
use super::world::{Event, World};
use crate::error::{Code, Error, Stage};
use crate::event::{Question, State};
use crate::hooks::Answer;
use crate::proto::refresher::{self, Credential};
use crate::proto::session;
use crate::secret::Secret;

impl World {
    pub fn asked(&mut self, id: u64, question: &Question) {
        let fault = |text| Err(Error::new(Code::CallbackFailed, Stage::Callback, text));
        let (delay, answer) = match question {
            Question::PersistRefreshToken(_) if self.on(Fault::AppNeverPersists) => return,
            Question::PersistRefreshToken(_) if self.on(Fault::AppPersistsLate) => {
                (self.up_to(20_000), Ok(Answer::Done))
            }
            Question::PersistRefreshToken(_) if self.on(Fault::AppCannotPersist) => (5, fault("disk full")),
            Question::PersistRefreshToken(_) => (self.up_to(self.nature.persist_ms), Ok(Answer::Done)),
            Question::AuthorizationCode(_) if self.on(Fault::AppHasNoCode) => return,
            Question::AuthorizationCode(_) if self.on(Fault::AppDeniesCode) => (500, fault("nobody there")),
            Question::AccessToken => return self.asked_for_token(id),
            Question::AuthorizationCode(_) => {
                let code = self.server.new_code();
                (self.up_to(60_000), Ok(Answer::Code(Secret::new(code))))
            }
        };
        self.later(delay, Event::ToRefresher(refresher::Input::Answered { id, answer }));
    }

    /// The application gets tokens at the same endpoint, by ways of its own.
    fn asked_for_token(&mut self, id: u64) {
        let none = |text| Err(Error::new(Code::CallbackFailed, Stage::Token, text));
        let mut delay = self.network_ms() + self.up_to(self.nature.endpoint_ms);
        let lifetime_ms = self.nature.lifetime_ms;
        let answer = match () {
            () if self.on(Fault::AppProvidesNone) => return,
            () if self.on(Fault::AppCannotProvide) => none("no token now"),
            () if self.on(Fault::TokenTooShort) => Ok(self.server.provide(self.now_ms, TOO_SHORT_MS, TOO_SHORT_MS)),
            () if self.on(Fault::AppProvidesDead) => Ok(self.server.provide(self.now_ms, 0, lifetime_ms)),
            () if self.on(Fault::AppProvidesAgain) => Ok(self.server.provide_again(self.now_ms, lifetime_ms)),
            () => Ok(self.server.provide(self.now_ms, lifetime_ms, lifetime_ms)),
        };
        if self.on(Fault::AppProvidesLate) {
            delay += self.up_to(30_000);
        }
        self.later(delay, Event::ToRefresher(refresher::Input::Answered { id, answer }));
    }

    pub fn refresh_now(&mut self) {
        self.watch.app_acted(self.now_ms);
        self.feed_refresher(refresher::Input::RefreshNow);
    }

    pub fn wish(&mut self, min_left_ms: u64) -> u64 {
        self.wishes += 1;
        self.feed_refresher(refresher::Input::Wanted { id: self.wishes, min_left_ms });
        self.wishes
    }

    /// The application hands over a refresh token that the server has just granted it elsewhere.
    pub fn new_credential(&mut self) {
        self.watch.app_acted(self.now_ms);
        let text = self.server.new_refresh_token();
        self.watch.provided(&text);
        let secret = Secret::new(text);
        self.feed_refresher(refresher::Input::Credential(Credential::RefreshToken(secret)));
    }

    pub fn stall(&mut self, ms: u64) {
        self.queue_full = true;
        self.later(ms, Event::Unstall);
    }

    pub fn unstall(&mut self) {
        self.queue_full = false;
        let epochs: Vec<u64> = self.sockets.iter().filter(|(_, s)| s.stalled).map(|(epoch, _)| *epoch).collect();
        for epoch in epochs {
            let Some(socket) = self.sockets.get_mut(&epoch) else { continue };
            (socket.stalled, socket.extra) = (false, false);
            self.feed_session(session::Input::Resumed { epoch });
            self.read_on(epoch);
        }
    }

    // ---- what a story asks ----------------------------------------------------------------------------------

    pub fn state(&self) -> State {
        self.session.state()
    }

    pub fn is_live(&self) -> bool {
        self.state().is_live()
    }

    /// Runs until live; a story that does not get there has failed.
    pub fn until_live(&mut self, limit_ms: u64) {
        assert!(self.run_until(limit_ms, Self::is_live), "not live after {limit_ms} ms but {:?}", self.state());
    }

    pub fn until_state(&mut self, state: State, limit_ms: u64) {
        assert!(self.run_until(limit_ms, |w| w.state() == state), "not {state:?} but {:?}", self.state());
    }
}
