//! Questions on their way to the application. While one for an authorization code is open, and `token.redirect_listener` is
//! set, the browser's answer is listened for.

use zeroize::Zeroizing;

use super::RefreshThread;
use crate::error::{Code, Error, Stage};
use crate::event::{Notice, Question};
use crate::hooks::Answer;
use crate::proto::loopback::{Page, Place};
use crate::proto::oauth::Authorization;
use crate::proto::refresher::{Input, News};
use crate::secret::Secret;
use crate::shell::inbox::ToRefresh;
use crate::shell::redirect::Redirect;

/// A question, and who waits for the browser to answer it.
pub struct Listening {
    id: u64,
    authorization: Authorization,
    redirect: Redirect,
}

impl Listening {
    /// When it has to be served at the latest, in boot milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.redirect.deadline()
    }
}

impl RefreshThread {
    pub(super) fn ask(&mut self, id: u64, question: Question) {
        let question = match question {
            Question::AuthorizationCode(authorization) if self.listens_for(id) => {
                match self.listen(id, &authorization) {
                    Ok(authorization) => Question::AuthorizationCode(authorization),
                    // Whoever has the port would get the code: nobody is sent there.
                    Err(error) => {
                        let started_ms = self.source.clock.now().boot_ms;
                        self.pass_on(News::Blocked { error: error.clone(), started_ms });
                        return self.handle(Input::Answered { id, answer: Err(error) });
                    }
                }
            }
            question => question,
        };
        if question == Question::AccessToken {
            self.count_token_request();
        }
        self.source.delivery.push_notice(Notice::Ask { id, question });
    }

    fn listens_for(&self, id: u64) -> bool {
        self.source.settings.redirect_listener && self.machine.open_question() == Some(id)
    }

    /// The question as it is to be asked: with the port that was free.
    fn listen(&mut self, id: u64, authorization: &Authorization) -> Result<Authorization, Error> {
        // An earlier one may have the port.
        self.listening = None;
        let place = Place::of(&self.source.settings.redirect_uri);
        let place = place.map_err(|why| Error::new(Code::BadValue, Stage::Token, why))?;
        let redirect = Redirect::open(place, &self.waiter)?;
        let authorization = authorization.at(&redirect.uri());
        self.machine.redirect_to(redirect.uri());
        self.listening = Some(Listening { id, authorization: authorization.clone(), redirect });
        Ok(authorization)
    }

    /// After every wake, whatever it was for: nobody is listened for a moment longer than the question is open.
    pub(super) fn serve_browser(&mut self) {
        let Some(Listening { id, authorization, redirect }) = &mut self.listening else { return };
        let id = *id;
        if self.machine.open_question() != Some(id) {
            redirect.close();
        }
        let (delivery, mut code) = (&self.source.delivery, None);
        redirect.advance(self.source.clock.now(), &self.waiter, |query| match code_of(authorization, query) {
            Ok(found) => {
                code = Some(found);
                Page::Taken
            }
            Err(error) if error.code() == Code::Oauth => {
                delivery.log(2, "refresh", format_args!("the question stays open: {error}"));
                Page::Denied
            }
            // Any page in the person's browser can send one.
            Err(error) => {
                delivery.log(4, "refresh", format_args!("a redirect that is not ours: {error}"));
                Page::NotOurs
            }
        });
        if redirect.is_over() {
            self.listening = None;
        }
        if let Some(code) = code {
            let input = Input::Answered { id, answer: Ok(Answer::Code(code)) };
            self.take(ToRefresh { member: 0, input });
        }
    }
}

fn code_of(authorization: &Authorization, query: &str) -> Result<Secret, Error> {
    authorization.code_of(&Zeroizing::new(format!("?{query}")))
}
