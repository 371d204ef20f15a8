//! What one machine leaves to the next one of its source.

use std::sync::Arc;

use super::stories::settings;
use crate::config::settings::{Grant, Settings};
use crate::error::{Code, Error, Stage};
use crate::hooks::Answer;
use crate::proto::oauth::Credentials;
use crate::proto::refresher::{Credential, Input, Memory, News, Output, Refresher};
use crate::proto::time::Now;
use crate::secret::Secret;

/// A machine of an application that provides its own tokens, and that was started.
fn started(memory: Memory) -> (Refresher, u64) {
    let credentials = Credentials { client_secret: Secret::new(String::new()), ..Credentials::default() };
    let rules = Settings { grant: Grant::Application, required_scopes: Vec::new(), ..settings() };
    let mut refresher = Refresher::new(Arc::new(rules), credentials, true, 0).after(memory);
    let asked = feed(&mut refresher, Input::Start).iter().find_map(|output| match output {
        Output::Ask { id, .. } => Some(*id),
        _ => None,
    });
    (refresher, asked.unwrap())
}

fn feed(refresher: &mut Refresher, input: Input) -> Vec<Output> {
    refresher.handle(Now::default(), 7, input);
    std::iter::from_fn(|| refresher.poll()).collect()
}

fn token(text: &str) -> Result<Answer, Error> {
    Ok(Answer::AccessToken { token: Secret::new(text.into()), expires_in_ms: Some(600_000) })
}

/// The serial of what is published.
fn published(outputs: &[Output]) -> Option<u64> {
    outputs.iter().find_map(|output| if let Output::Publish(token) = output { Some(token.serial) } else { None })
}

#[test]
fn an_answer_to_an_older_question_is_none_to_the_next_machine() {
    let (mut first, old) = started(Memory::default());
    feed(&mut first, Input::Close);
    let (mut next, open) = started(first.memory());
    assert_ne!(old, open, "one number for two questions");
    let ended = Err(Error::new(Code::ReauthRequired, Stage::Token, "the login has ended"));
    assert!(feed(&mut next, Input::Answered { id: old, answer: ended }).is_empty());
    assert_eq!(next.senseless(), 1);
    let outputs = feed(&mut next, Input::Answered { id: open, answer: token("hush") });
    assert_eq!(published(&outputs), Some(1));
}

#[test]
fn a_token_that_was_refused_is_refused_by_the_next_machine_too() {
    let (mut first, asked) = started(Memory::default());
    feed(&mut first, Input::Answered { id: asked, answer: token("hush-a") });
    feed(&mut first, Input::Refused { serial: 1 });
    feed(&mut first, Input::Close);
    let (mut next, asked) = started(first.memory());
    let outputs = feed(&mut next, Input::Answered { id: asked, answer: token("hush-a") });
    assert!(outputs.iter().any(|output| matches!(output, Output::News(News::Waiting))), "{outputs:?}");
    let (mut next, asked) = started(next.memory());
    let outputs = feed(&mut next, Input::Answered { id: asked, answer: token("hush-b") });
    assert_eq!(published(&outputs), Some(2), "no serial twice");
}

/// A machine with a request in flight, during which this was replaced.
fn in_flight(replaced: Option<Credential>) -> Refresher {
    let credentials = Credentials { client_secret: Secret::new("hush".into()), ..Credentials::default() };
    let mut refresher = Refresher::new(Arc::new(settings()), credentials, false, 0);
    feed(&mut refresher, Input::Start);
    replaced.into_iter().for_each(|credential| drop(feed(&mut refresher, Input::Credential(credential))));
    refresher
}

fn requests(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::Http { .. })).count()
}

fn replied(epoch: u64, code: Code) -> Input {
    Input::Replied { epoch, outcome: Err(Error::new(code, Stage::Proxy, "")) }
}

#[test]
fn a_password_of_a_proxy_that_was_replaced_gets_its_request() {
    let password = || Input::Credential(Credential::ProxyPassword);
    // While the request with the old one is in flight.
    let mut refresher = in_flight(Some(Credential::ProxyPassword));
    assert_eq!(requests(&feed(&mut refresher, replied(1, Code::ProxyAuth))), 1);
    let outputs = feed(&mut refresher, replied(2, Code::ProxyAuth));
    assert!(outputs.iter().any(|output| matches!(output, Output::News(News::Blocked { .. }))), "{outputs:?}");
    // When it was refused already.
    assert_eq!(requests(&feed(&mut refresher, password())), 1);
    // Other credentials are none the better for it.
    let mut refresher = in_flight(None);
    feed(&mut refresher, replied(1, Code::Unauthorized));
    assert!(feed(&mut refresher, password()).is_empty());
    assert_eq!(refresher.unauthorized(), 1);
    let secret = Credential::ClientSecret(Secret::new("hush-2".into()));
    assert_eq!(requests(&feed(&mut refresher, Input::Credential(secret))), 1);
}
