//! Tokens of the application's own: asked for by a question, answered from another thread.

use std::sync::mpsc::{self, Receiver};
use std::sync::Mutex;

use ffi_tests::sim::{Issue, Sim};
use genesys_ws_auth::error::Stage;
use genesys_ws_auth::event::{Question, State};
use genesys_ws_auth::hooks::{Answer, Request};
use genesys_ws_auth::{Code, Secret};

use crate::harness::*;

/// A client that provides for itself, and the questions it is asked.
fn asking() -> (Setup, Receiver<Request>) {
    let (sender, questions) = mpsc::channel();
    let sender = Mutex::new(sender);
    let setup = Setup::default()
        .key("token.grant", "application")
        .answering(move |request| sender.lock().unwrap().send(request.clone()).unwrap());
    (setup, questions)
}

fn next(questions: &Receiver<Request>) -> Request {
    let request = questions.recv_timeout(BOUND).expect("no question came");
    assert_eq!(request.question, Question::AccessToken);
    request
}

fn provide(sim: &Sim, request: &Request) -> String {
    let text = sim.token().mint(&Issue::new()).access_token;
    request.complete(Answer::AccessToken { token: Secret::new(text.clone()), expires_in_ms: None });
    text
}

#[test]
fn questions_take_the_place_of_requests() {
    let (setup, questions) = asking();
    let rig = setup.build();
    rig.client.start().unwrap();
    let first = next(&questions);
    let text = provide(&rig.sim, &first);
    rig.seen.wait_state(State::Ready, 1);
    // Answered twice, or failed after it: nothing.
    provide(&rig.sim, &first);
    let token = rig.client.token(std::time::Duration::ZERO, Some(BOUND)).unwrap();
    assert_eq!((token.access_token.expose(), token.refresh_token.is_none()), (text.as_str(), true));
    rig.client.refresh_now().unwrap();
    let second = provide(&rig.sim, &next(&questions));
    rig.wait_sim("a renewal", |log| log.connections[0].accepted >= 2);
    assert_eq!(rig.client.metrics().token_requests, 2);
    let log = rig.sim.record().snapshot();
    assert_eq!((log.token_requests(), log.ws_connects()), (0, 1));
    assert_eq!(log.auths.iter().map(|auth| auth.token.clone()).collect::<Vec<_>>(), [text, second]);
    assert_eq!(gaps(&rig.close()), 0);
}

#[test]
fn a_question_without_an_answer_fails_a_connect_and_a_late_one_is_nothing() {
    let (setup, questions) = asking();
    let rig = setup.key("token.provider_timeout_ms", 50).key("token.attempts", 2).build();
    let error = refused(&rig);
    assert_eq!((error.code(), error.detail().stage), (Code::Timeout, Stage::Token), "{error}");
    assert!(error.detail().message.contains("provided no token"), "{error}");
    for _ in 0..2 {
        provide(&rig.sim, &next(&questions));
    }
    assert_eq!(rig.client.state(), State::Idle);
    rig.close();
}

#[test]
fn an_answer_to_the_question_of_a_connect_that_is_over_is_nothing_to_the_next_one() {
    let (setup, questions) = asking();
    let rig = setup.build();
    assert_eq!(code(rig.client.connect(Some(std::time::Duration::from_millis(300)))), Some(Code::Timeout));
    let old = next(&questions);
    rig.client.start().unwrap();
    let open = next(&questions);
    old.fail(genesys_ws_auth::Error::new(Code::ReauthRequired, Stage::Token, "the login has ended"));
    provide(&rig.sim, &open);
    rig.seen.wait_state(State::Ready, 1);
    assert!(!states(&rig.close()).contains(&State::ReauthRequired));
}

#[test]
fn a_reason_that_only_a_person_can_mend_is_final() {
    let (setup, questions) = asking();
    let rig = setup.build();
    rig.client.start().unwrap();
    next(&questions).fail(genesys_ws_auth::Error::new(Code::ReauthRequired, Stage::Token, "the login has ended"));
    rig.seen.wait_state(State::ReauthRequired, 1);
    rig.client.refresh_now().unwrap();
    provide(&rig.sim, &next(&questions));
    rig.seen.wait_state(State::Ready, 1);
    rig.close();
}
