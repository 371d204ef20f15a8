//! The source of tokens: the refresh thread, its token endpoint, and the spare channel that its clients share.

use std::collections::VecDeque;
use std::sync::Arc;

use super::faults::Fault;
use super::world::{Event, Platform};
use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::hooks::Answer;
use crate::proto::http::{Outcome, Reply, Request};
use crate::proto::refresher::{self, Credential};
use crate::proto::session;
use crate::secret::Secret;

const RATE_LIMIT: &str = r#"{"error":"invalid_request","description":"rate limit exceeded; try later"}"#;
const INVALID_GRANT: &str = r#"{"error":"invalid_grant","description":"authentication failed"}"#;

/// One client at a time may have a second channel.
#[derive(Debug, Default)]
pub struct Spare {
    /// Who has it, as the source knows.
    pub holder: Option<usize>,
    queue: VecDeque<usize>,
    /// How often it was granted.
    pub grants: u64,
}

impl Platform {
    pub fn feed_source(&mut self, input: refresher::Input) {
        let random = self.dice.up_to(u64::MAX);
        self.say("R <", &input);
        self.watch.before_refresher(self.now_ms, &input);
        self.token_laws.before(self.now(), random, &input);
        self.source.handle(self.now(), random, input);
        while let Some(output) = self.source.poll() {
            self.say("R   >", &output);
            self.token_laws.said(self.now(), &output);
            self.watch.refresher_said(self.now_ms, &output, &mut self.dice);
            self.do_source(output);
        }
        self.watch.after_refresher(self.source.attempts_failed());
        self.token_laws.after(self.now(), &self.source);
    }

    fn do_source(&mut self, output: refresher::Output) {
        use refresher::Output as O;
        match output {
            O::Http { epoch, request } => {
                let delay = self.network_ms();
                self.later(delay, Event::TokenAsked { epoch, request, sent_ms: self.now_ms });
            }
            O::Publish(token) => self.tell_all(|| session::Input::Publish(Arc::clone(&token))),
            O::News(news) => self.tell_all(|| session::Input::News(news.clone())),
            O::Ask { id, question: Question::PersistRefreshToken(_) } => {
                let answer = Ok(Answer::Done);
                self.later(10, Event::ToSource(refresher::Input::Answered { id, answer }));
            }
            O::Ask { id, .. } => {
                let answer = Err(Error::new(Code::CallbackFailed, Stage::Callback, "nobody there"));
                self.later(10, Event::ToSource(refresher::Input::Answered { id, answer }));
            }
            O::Sign { .. } => panic!("this client has a secret"),
            O::LoadStore { .. } | O::Store(_) | O::FreeStore => panic!("there is no store here: {output:?}"),
            O::ServerClock { .. } | O::Audit(_) | O::Answer { .. } | O::Stopped => {}
        }
    }

    fn tell_all(&mut self, input: impl Fn() -> session::Input) {
        for who in 0..self.clients.len() {
            if self.clients[who].started {
                self.cross_to_client(who, input());
            }
        }
    }

    pub fn refresh_now(&mut self) {
        self.watch.app_acted(self.now_ms);
        self.clients.iter_mut().for_each(|client| client.laws.app_acted());
        (0..self.clients.len()).for_each(|who| self.feed(who, session::Input::Return));
        self.feed_source(refresher::Input::RefreshNow);
    }

    /// The application hands over a refresh token that it was just granted.
    pub fn new_credential(&mut self) {
        self.watch.app_acted(self.now_ms);
        self.clients.iter_mut().for_each(|client| client.laws.app_acted());
        let text = self.server.new_refresh_token();
        self.watch.provided(&text);
        self.feed_source(refresher::Input::Credential(Credential::RefreshToken(Secret::new(text))));
    }

    // ---- the token endpoint ---------------------------------------------------------------------------------

    pub fn token_asked(&mut self, epoch: u64, request: &Request, sent_ms: u64) {
        let mut delay = self.up_to(self.nature.base.endpoint_ms) + self.network_ms();
        if self.on(Fault::TokenSlow) {
            delay += self.up_to(20_000);
        }
        let outcome = if self.on(Fault::TokenHangs) { None } else { Some(self.endpoint(request.body.text())) };
        let deadline = sent_ms + request.timeout_ms;
        let (at_ms, outcome) = match outcome {
            Some(outcome) if self.now_ms + delay <= deadline => (self.now_ms + delay, outcome),
            Some(_) | None => (deadline.max(self.now_ms), Err(Error::new(Code::HttpTimeout, Stage::Token, ""))),
        };
        self.at(at_ms, Event::ToSource(refresher::Input::Replied { epoch, outcome }));
    }

    fn endpoint(&mut self, form: &str) -> Outcome {
        let refused = |status, body: &str| Ok(Reply { status, body: body.into(), ..Reply::default() });
        let (now_ms, base) = (self.now_ms, self.nature.base.clone());
        match () {
            () if self.on(Fault::TokenUnavailable) => refused(503, ""),
            () if self.on(Fault::TokenRateLimited) || self.server.over_limit(now_ms, &base) => refused(400, RATE_LIMIT),
            () if !self.server.redeem(form, now_ms, &base) => refused(400, INVALID_GRANT),
            () => {
                let scope = if self.on(Fault::TokenScopeMissing) { "other:read" } else { "a:read notifications" };
                Ok(self.server.issue(now_ms, &base, base.lifetime_ms, scope))
            }
        }
    }

    // ---- the spare channel ----------------------------------------------------------------------------------

    pub fn spare_wanted(&mut self, who: usize, wanted: bool) {
        self.spare.queue.retain(|other| *other != who);
        if wanted && self.spare.holder != Some(who) {
            self.spare.queue.push_back(who);
        } else if !wanted {
            self.spare.holder.take_if(|holder| *holder == who);
        }
        self.grant_spare();
    }

    /// The next in the queue gets it, unless somebody has it.
    pub fn grant_spare(&mut self) {
        if self.spare.holder.is_some() || self.on(Fault::SpareTaken) {
            return;
        }
        let Some(who) = self.spare.queue.pop_front() else { return };
        (self.spare.holder, self.spare.grants) = (Some(who), self.spare.grants + 1);
        self.cross_to_client(who, session::Input::SpareGranted);
    }
}
