//! Stories of a socket that is dialled ahead of its token, fed by hand.

use super::alone::{ahead, error, token, Lone};
use super::stories::settings;
use crate::config::settings::Settings;
use crate::error::Code;
use crate::event::State;
use crate::proto::refresher::News;
use crate::proto::session::{Input, Rounds};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_socket_dialled_ahead_shows_the_token_as_soon_as_it_is_there,
    the_upgrade_is_held_back_while_the_token_is_slow,
    a_socket_waits_for_its_token_half_as_long_as_the_server_does,
    a_denied_token_closes_the_socket_that_waits_for_it,
    without_overlap_nothing_is_dialled_ahead,
    a_loss_ahead_of_the_token_is_no_attempt,
];

#[test]
fn a_socket_dialled_ahead_shows_the_token_as_soon_as_it_is_there() {
    let mut lone = ahead();
    lone.feed(Input::Connected { epoch: 1 });
    assert_eq!(lone.said, ["Upgrade"]);
    lone.feed(Input::Opened { epoch: 1 });
    assert!(lone.said.is_empty() && lone.session.state() == State::AcquiringToken);
    lone.at_ms = 4_000;
    lone.feed(Input::Publish(token(1, 600_000)));
    assert_eq!(lone.said, [r#"auth 1 {"type":"auth","token":"hush-1"}"#, "Authenticating"]);
}

#[test]
fn the_upgrade_is_held_back_while_the_token_is_slow() {
    let mut lone = ahead();
    lone.at_ms = 2_500;
    lone.feed(Input::Connected { epoch: 1 });
    assert!(lone.said.is_empty(), "{:?}", lone.said);
    lone.feed(Input::Publish(token(1, 600_000)));
    assert_eq!(lone.said, ["Upgrade", "Connecting"]);
    // Nor is there an upgrade while the next attempt is only timed.
    let mut lone = ahead();
    lone.feed(Input::News(News::Waiting));
    lone.feed(Input::Connected { epoch: 1 });
    assert!(lone.said.is_empty(), "{:?}", lone.said);
    assert_eq!(lone.until(60_000), ["Abort"]);
}

#[test]
fn a_socket_waits_for_its_token_half_as_long_as_the_server_does() {
    let mut lone = ahead();
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Opened { epoch: 1 });
    assert!(lone.until(4_999).is_empty());
    assert_eq!(lone.until(5_000), ["Leave"]);
    lone.feed(Input::Drained { epoch: 1, clean: true });
    // One socket for each token that is waited for.
    lone.feed(Input::News(News::Waiting));
    lone.feed(Input::News(News::Fetching));
    assert!(lone.until(60_000).is_empty() && lone.said.is_empty());
    lone.feed(Input::Publish(token(1, 600_000)));
    assert!(lone.said.contains(&"dial 2 false".into()), "{:?}", lone.said);
}

#[test]
fn a_denied_token_closes_the_socket_that_waits_for_it() {
    let mut lone = ahead();
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Opened { epoch: 1 });
    lone.feed(Input::News(News::Blocked { error: error(Code::ScopeDenied), started_ms: 0 }));
    assert_eq!(lone.said, ["Audit", "Leave", "ReauthRequired"]);
}

#[test]
fn without_overlap_nothing_is_dialled_ahead() {
    let mut lone = Lone::with(Settings { overlap: false, ..settings() });
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::News(News::Fetching));
    assert!(lone.said.is_empty() && lone.until(60_000).is_empty());
    lone.feed(Input::Publish(token(1, 600_000)));
    assert!(lone.said.contains(&"dial 1 false".into()), "{:?}", lone.said);
}

#[test]
fn a_loss_ahead_of_the_token_is_no_attempt() {
    let mut lone = ahead();
    lone.feed(Input::Failed { epoch: 1, error: error(Code::Connect) });
    assert!(lone.said.is_empty(), "{:?}", lone.said);
    lone.feed(Input::Publish(token(1, 600_000)));
    let said = lone.until(2_000);
    assert!(said.contains(&"dial 2 false".into()), "{said:?}");
    lone.feed(Input::Failed { epoch: 2, error: error(Code::Connect) });
    assert!(lone.said.contains(&"Audit".into()));
}
