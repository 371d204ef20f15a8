//! A token of the application's own (`token.grant = application`): a question instead of a request, and the same rules.

use super::{News, Output, Phase, Refresher};
use crate::error::{Code, Error, Stage};
use crate::event::Question;
use crate::hooks::Answer;
use crate::proto::mutant::{active, Mutant};
use crate::proto::oauth::{self, Granted};
use crate::proto::time::Now;

impl Refresher {
    /// One question is open at most: its number tells an answer that comes too late.
    pub(super) fn ask_for_token(&mut self, now: Now) {
        self.asks += 1;
        self.requested = now;
        self.requested_version = self.credentials_version;
        self.pin.request();
        let most = self.settings.provider_timeout_ms;
        let until =
            now.boot_ms + if active(Mutant::ProviderForEver) { u64::MAX / 2 } else { self.attempt_ms(now, most) };
        self.set_phase(Phase::Fetching { asked: Some(self.asks) }, Some(until));
        self.out.push_back(Output::News(News::Fetching));
        self.record_request();
        self.out.push_back(Output::Ask { id: self.asks, question: Question::AccessToken });
    }

    pub(super) fn provided(&mut self, now: Now, answer: Result<Answer, Error>) {
        match answer.and_then(|answer| self.read_provided(answer)) {
            Ok(granted) => self.granted(now, granted),
            Err(error) => self.failed(now, error),
        }
    }

    /// The timer of `Fetching` runs only while the application is asked.
    pub(super) fn provider_is_late(&mut self, now: Now) {
        let waited_ms = now.boot_ms.saturating_sub(self.requested.boot_ms);
        let text = format!("The application provided no token within {waited_ms} ms.");
        self.failed(now, Error::new(Code::Timeout, Stage::Token, text));
    }

    fn read_provided(&self, answer: Answer) -> Result<Granted, Error> {
        let Answer::AccessToken { token, expires_in_ms } = answer else {
            return Err(Error::new(Code::TokenResponse, Stage::Token, "The answer is no token."));
        };
        if self.refused.as_ref() == Some(&token) && !active(Mutant::RefusedTakenAgain) {
            let text = "The application provided the token that was refused.";
            return Err(Error::new(Code::TokenResponse, Stage::Token, text));
        }
        oauth::provided(token, expires_in_ms, &self.settings)
    }
}
