//! Stories of what servers ask for: how long to stay away, and what is heeded meanwhile. The session by itself.

use super::alone::{ahead, error, token, Lone};
use crate::error::{Code, Error};
use crate::event::State;
use crate::proto::refresher::News;
use crate::proto::session::{Input, Rounds};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_replacement_that_fails_does_not_keep_a_new_token_from_the_live_socket,
    what_the_server_says_ahead_of_the_token_is_told_and_heeded,
    retry_after_of_an_upgrade_outlives_the_live_socket,
];

fn asked(code: Code, retry_after_ms: u64) -> Error {
    error(code).with(|detail| detail.retry_after_ms = Some(retry_after_ms))
}

#[test]
fn a_replacement_that_fails_does_not_keep_a_new_token_from_the_live_socket() {
    let mut lone = Lone::live();
    lone.feed(Input::DrainNotice);
    lone.until(5_000);
    lone.feed(Input::Failed { epoch: 2, error: asked(Code::UpgradeRefused, 3_600_000) });
    lone.feed(Input::Publish(token(2, 1_200_000)));
    assert!(lone.said.iter().any(|said| said.starts_with("auth 1 ")), "{:?}", lone.said);
    lone.feed(Input::Reply { epoch: 1, text: br#"{"type":"auth","status":"ok"}"#.to_vec() });
    assert!(lone.said.contains(&"Renewed".into()), "{:?}", lone.said);
}

#[test]
fn what_the_server_says_ahead_of_the_token_is_told_and_heeded() {
    let mut lone = Lone::new();
    lone.feed(Input::Start(Rounds::Once));
    lone.feed(Input::News(News::Fetching));
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Failed { epoch: 1, error: asked(Code::ThrottledLong, 3_600_000) });
    assert!(lone.said.contains(&"failed ThrottledLong".into()), "{:?}", lone.said);
    let mut lone = ahead();
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Failed { epoch: 1, error: asked(Code::Throttled, 60_000) });
    assert_eq!(lone.said, ["Audit"]);
    lone.feed(Input::Publish(token(1, 600_000)));
    assert_eq!(lone.session.state(), State::Throttled);
    assert!(lone.until(59_999).iter().all(|said| !said.starts_with("dial")));
    assert!(lone.until(121_000).contains(&"dial 2 false".into()));
}

#[test]
fn retry_after_of_an_upgrade_outlives_the_live_socket() {
    let mut lone = Lone::live();
    lone.feed(Input::DrainNotice);
    lone.until(5_000);
    lone.feed(Input::Failed { epoch: 2, error: asked(Code::Throttled, 300_000) });
    lone.drop_socket();
    assert!(lone.until(300_000).iter().all(|said| !said.starts_with("dial")));
}
