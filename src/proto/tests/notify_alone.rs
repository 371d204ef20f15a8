//! Stories of the session in the profile `notifications`: making channels, using them again, what the API refuses.

use super::alone::{error, token};
use super::notify_rig::{event, settings, Lone, HOUR, PONG};
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::event::State;
use crate::proto::http::Reply;
use crate::proto::session::{Input, Rounds};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_client_lives,
    a_channel_is_used_again_once_it_was_asked_for,
    a_channel_that_is_gone_is_not_used_again,
    after_a_drain_nothing_is_asked,
    a_channel_dies_with_its_token,
    a_channel_is_used_ten_times_again,
    a_handshake_without_its_channel_makes_another_one_at_once_and_once,
    a_uri_that_leads_elsewhere_is_not_dialled,
    topics_that_change_meanwhile_are_subscribed_to_next,
    an_answer_that_never_comes_is_not_waited_for,
    what_the_api_refuses_for_good_is_not_asked_again,
    two_tokens_that_are_refused_need_new_credentials,
    a_forbidden_handshake_means_the_token,
    a_throttle_is_waited_out_and_a_quota_is_told_at_once,
    a_socket_without_a_first_frame_is_left,
    an_event_is_as_good_as_a_pong,
];

#[test]
fn a_client_lives() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    assert_eq!(lone.said, ["POST 1", "Connecting"]);
    lone.made();
    assert_eq!(lone.said, [r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.a"},{"id":"v2.b"}]"#]);
    lone.subscribed();
    assert_eq!(lone.said, ["topics 2/2", "dial 1 false wss://streaming.x/channels/streaming-1"]);
    lone.feed(Input::Connected { epoch: 1 });
    assert_eq!(lone.said, ["Upgrade"]);
    lone.feed(Input::Opened { epoch: 1 });
    assert_eq!(lone.said, [r#"send 1 {"message":"ping"}"#, "Authenticating"]);
    lone.hears(1, PONG);
    assert_eq!(lone.said, ["Audit", "send on Some(1)", "Ready", "Connected"]);
    assert!(lone.hears(1, &event("c-1", 1)));
    assert_eq!(lone.until(20_000), [""; 0], "nothing to do");
}

/// Lost without a word, and after the delay.
fn lost() -> Lone {
    let mut lone = Lone::live();
    lone.feed(Input::Dropped { epoch: 1, error: error(Code::Dropped) });
    assert!(lone.has("gap ") && lone.has("Reconnecting"), "{:?}", lone.said);
    let said = lone.until(2_000);
    assert_eq!(said, ["HEAD 1 /streaming-1", "Connecting"]);
    lone
}

#[test]
fn a_channel_is_used_again_once_it_was_asked_for() {
    let mut lone = lost();
    lone.answer(Reply { status: 200, ..Reply::default() });
    assert_eq!(lone.said, ["dial 2 false wss://streaming.x/channels/streaming-1"]);
    lone.handshake(2);
    assert!(lone.has("gap ends") && lone.has("Ready"), "{:?}", lone.said);
}

#[test]
fn a_channel_that_is_gone_is_not_used_again() {
    let mut lone = lost();
    lone.refuse(404);
    assert_eq!(lone.said, ["POST 1"]);
    lone.made();
    lone.subscribed();
    assert_eq!(lone.said, ["dial 2 false wss://streaming.x/channels/streaming-2"]);
    // That the API is out of order says nothing of the channel.
    let mut lone = lost();
    lone.refuse(503);
    assert_eq!(lone.until(5_000), ["HEAD 1 /streaming-1", "Connecting"]);
}

#[test]
fn after_a_drain_nothing_is_asked() {
    let mut lone = Lone::live();
    lone.feed(Input::Closed { epoch: 1, code: 1001, reason: String::new() });
    assert!(lone.has("Draining"), "{:?}", lone.said);
    assert_eq!(lone.until(6_000), ["dial 2 false wss://streaming.x/channels/streaming-1", "Connecting"]);
}

#[test]
fn a_channel_dies_with_its_token() {
    let mut lone = Lone::live();
    lone.feed(Input::Dropped { epoch: 1, error: error(Code::Dropped) });
    lone.feed(Input::Publish(token(2, HOUR)));
    assert_eq!(lone.until(2_000), ["POST 2", "Connecting"]);
}

#[test]
fn a_channel_is_used_ten_times_again() {
    let mut lone = Lone::live();
    for epoch in 1..=11 {
        lone.feed(Input::Closed { epoch, code: 1001, reason: String::new() });
        let said = lone.until(lone.at_ms + 30_000);
        if epoch == 11 {
            assert_eq!(said, ["POST 1", "Connecting"]);
        } else {
            assert!(said.iter().any(|said| said.ends_with("streaming-1")), "{epoch} {said:?}");
            lone.handshake(epoch + 1);
        }
    }
}

#[test]
fn a_handshake_without_its_channel_makes_another_one_at_once_and_once() {
    let mut lone = lost();
    lone.answer(Reply { status: 200, ..Reply::default() });
    lone.feed(Input::Connected { epoch: 2 });
    let not_found = || Error::new(Code::UpgradeNotFound, Stage::Upgrade, "404");
    lone.feed(Input::Failed { epoch: 2, error: not_found() });
    assert_eq!(lone.said, ["POST 1"]);
    lone.made();
    lone.subscribed();
    assert_eq!(lone.said, ["dial 3 false wss://streaming.x/channels/streaming-2"]);
    lone.feed(Input::Connected { epoch: 3 });
    lone.feed(Input::Failed { epoch: 3, error: not_found() });
    assert_eq!(lone.said, ["Audit", "Reconnecting"], "no hurry any more, and no end");
    assert_eq!(lone.until(lone.at_ms + 5_000), ["POST 1", "Connecting"]);
}

#[test]
fn a_uri_that_leads_elsewhere_is_not_dialled() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    let body = r#"{"id":"streaming-1","connectUri":"wss://streaming.evil/channels/streaming-1"}"#;
    lone.answer(Reply { status: 200, body: body.into(), ..Reply::default() });
    assert_eq!(lone.said, ["Audit", "Reconnecting"]);
}

#[test]
fn topics_that_change_meanwhile_are_subscribed_to_next() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    lone.made();
    lone.feed(Input::Topics(vec!["v2.c".into(), "v2.system.x".into(), "v2.c".into()]));
    assert_eq!(lone.said, [""; 0], "two lists on their way could change places");
    lone.subscribed();
    assert_eq!(lone.said, [r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.c"}]"#]);
    lone.subscribed();
    assert_eq!(lone.said, ["topics 1/1", "dial 1 false wss://streaming.x/channels/streaming-1"]);
    lone.feed(Input::Topics(vec!["v2.c".into(), "v2.a".into()]));
    assert_eq!(lone.said, [""; 0]);
    lone.handshake(1);
    let put = r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.c"},{"id":"v2.a"}]"#;
    assert!(lone.has(put) && lone.has("Ready"), "{:?}", lone.said);
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    let said = lone.until(40_000);
    assert_eq!(said[..3], ["drop", "Audit", "Reconnecting"], "{said:?}");
    assert_eq!(said[3..], ["POST 1", "Connecting"]);
}

#[test]
fn what_the_api_refuses_for_good_is_not_asked_again() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    lone.refuse(403);
    assert_eq!(lone.said, ["Audit", "ReauthRequired"]);
    assert_eq!(lone.until(HOUR / 2), [""; 0]);
    lone.feed(Input::Return);
    assert_eq!(lone.said, ["POST 1", "Connecting"], "the application knows better");
    lone.made();
    lone.refuse(400);
    lone.feed(Input::Topics(vec!["v2.c".into()]));
    assert_eq!(lone.until(HOUR / 2 + 5_000), ["HEAD 1 /streaming-1", "Connecting"], "other topics");
    lone.refuse(404);
    lone.refuse(403);
    assert_eq!(lone.session.state(), State::ReauthRequired);
    lone.feed(Input::Publish(token(2, HOUR)));
    assert_eq!(lone.until(HOUR / 2 + 15_000), ["POST 2", "Connecting"], "another token");
    // `connect` fails with it.
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Once));
    lone.feed(Input::Publish(token(1, HOUR)));
    lone.refuse(403);
    assert!(lone.has("failed ChannelRefused"), "{:?}", lone.said);
}

#[test]
fn two_tokens_that_are_refused_need_new_credentials() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    lone.refuse(401);
    assert_eq!(lone.said, ["refused 1", "Audit", "AcquiringToken"]);
    lone.feed(Input::Publish(token(2, HOUR)));
    assert_eq!(lone.until(5_000), ["POST 2", "Connecting"]);
    lone.refuse(401);
    assert_eq!(lone.said, ["give up ReauthRequired", "Audit", "ReauthRequired"]);
}

#[test]
fn a_forbidden_handshake_means_the_token() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    lone.made();
    lone.subscribed();
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Failed { epoch: 1, error: Error::new(Code::UpgradeForbidden, Stage::Upgrade, "403") });
    assert_eq!(lone.said, ["refused 1", "Audit", "AcquiringToken"]);
}

#[test]
fn a_throttle_is_waited_out_and_a_quota_is_told_at_once() {
    let throttled = |lone: &mut Lone, seconds: &str| {
        lone.feed(Input::Publish(token(1, 100 * HOUR)));
        lone.answer(Reply { status: 429, retry_after: Some(seconds.into()), ..Reply::default() });
    };
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Once));
    throttled(&mut lone, "20");
    assert_eq!(lone.said, ["Audit", "Throttled"]);
    assert_eq!(lone.until(19_999), [""; 0]);
    assert_eq!(lone.until(41_000), ["POST 1", "Connecting"]);
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Once));
    throttled(&mut lone, "14400");
    assert!(lone.has("failed ThrottledLong"), "{:?}", lone.said);
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    throttled(&mut lone, "14400");
    assert_eq!(lone.session.state(), State::Throttled);
    let wakes = lone.session.next_timeout();
    assert!(wakes >= Some(4 * HOUR), "one deadline: {wakes:?}");
    assert_eq!(lone.until(4 * HOUR + 300_000)[..2], ["POST 1", "Connecting"]);
}

#[test]
fn a_socket_without_a_first_frame_is_left() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    lone.made();
    lone.subscribed();
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Opened { epoch: 1 });
    lone.session.heard(lone.now(), 1);
    assert_eq!(lone.session.state(), State::Authenticating, "bytes are no frame");
    assert_eq!(lone.until(34_999), [""; 0]);
    assert_eq!(lone.until(35_000), ["abort 1", "Audit", "Reconnecting"]);
}

#[test]
fn an_event_is_as_good_as_a_pong() {
    let mut lone = Lone::with(Settings { topics: Vec::new(), ..settings() });
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::Publish(token(1, HOUR)));
    lone.made();
    assert_eq!(lone.said, ["dial 1 false wss://streaming.x/channels/streaming-1"], "nothing to subscribe to");
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Opened { epoch: 1 });
    assert!(lone.hears(1, &event("c-1", 1)), "delivered");
    assert_eq!(lone.session.next_timeout(), Some(0), "at once");
    lone.feed(Input::Timeout);
    assert!(lone.has("Ready"), "{:?}", lone.said);
}
