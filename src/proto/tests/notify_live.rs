//! Stories of the session in the profile `notifications`: the live socket, its replacement, and other clients.

use super::alone::{error, token};
use super::notify_rig::{event, settings, Lone, HOUR, PONG};
use crate::config::settings::{Displaced, Settings};
use crate::error::{Code, Error, Stage};
use crate::event::State;
use crate::proto::http::Reply;
use crate::proto::notifications::rest::LIFE_MS;
use crate::proto::session::{Input, Whose};

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_rollover_makes_before_it_breaks,
    what_comes_by_both_sockets_is_delivered_once,
    a_notice_that_is_read_late_is_a_gap,
    the_old_socket_lingers,
    a_second_channel_waits_for_the_spare_one,
    a_spare_one_that_is_not_needed_any_more_is_returned,
    a_second_channel_that_fails_is_no_gap,
    a_loss_meanwhile_is_mended_by_the_second_channel,
    an_old_socket_that_breaks_off_is_a_gap_unless_it_was_heard_since,
    silence_ends_a_socket_and_pongs_of_the_protocol_are_silence,
    a_socket_that_is_not_read_is_not_silent,
    a_channel_is_prolonged_before_it_expires,
    a_channel_that_cannot_be_prolonged_is_replaced,
    topics_are_changed_on_the_live_channel,
    topics_that_are_refused_degrade,
    a_closing_notice_replaces_the_socket,
    a_sleep_ends_both_sockets_of_one_token_in_one_gap,
    what_a_server_repeats_is_struck_out,
    a_revoked_token_is_replaced_and_the_socket_stays_until_then,
    another_client_is_not_fought,
    a_client_that_may_come_back_comes_later_every_time,
    our_own_second_channel_displaces_nobody,
    unknown_frames_are_delivered_and_unknown_channels_ignored,
];

const CLOSING: &str = r#"{"topicName":"v2.system.socket_closing","eventBody":{"message":"Websocket closing soon"}}"#;

fn system(name: &str, channel: &str, reason: &str) -> String {
    format!(r#"{{"topicName":"v2.system.{name}.1","eventBody":{{"channelId":"{channel}","reason":"{reason}"}}}}"#)
}

fn taken(channel: &str) -> String {
    system("no_longer_subscribed", channel, "another_channel_subscribed")
}

/// A second token is here, and the permit for a second channel.
fn renewing() -> Lone {
    let mut lone = Lone::live();
    lone.feed(Input::Publish(token(2, 2 * HOUR)));
    assert_eq!(lone.said, ["AskSpare", "Renewing"]);
    lone.feed(Input::SpareGranted);
    assert_eq!(lone.said, ["POST 2"]);
    lone
}

/// The second socket has just become live.
fn handed_over() -> Lone {
    let mut lone = renewing();
    lone.opens(2);
    lone
}

fn read_out(lone: &mut Lone, epoch: u64) {
    lone.feed(Input::Drained { epoch, clean: true });
}

#[test]
fn a_rollover_makes_before_it_breaks() {
    let mut lone = renewing();
    lone.made();
    lone.subscribed();
    assert_eq!(lone.said, ["dial 2 true wss://streaming.x/channels/streaming-2"], "held back, results as before");
    lone.handshake(2);
    let said = ["Audit", "send on Some(2)", "Renewed", "DELETE 1 /streaming-1/subscriptions", "leave 1", "Ready"];
    assert_eq!(lone.said, said);
    lone.refuse(500);
    assert_eq!(lone.said, [""; 0], "the old subscriptions end with their channel");
    read_out(&mut lone, 1);
    assert_eq!(lone.said, ["handover 1 2", "release 2", "ReturnSpare"]);
    assert!(lone.gaps.is_empty());
}

#[test]
fn a_notice_that_is_read_late_is_a_gap() {
    let mut lone = renewing();
    lone.feed(Input::Stalled { epoch: 1 });
    lone.opens(2);
    lone.feed(Input::Resumed { epoch: 1 });
    lone.hears(1, &taken("streaming-1"));
    assert_eq!(lone.said, ["gap ", "gap ends"], "nobody knows for how long it brought nothing");
    let mut lone = handed_over();
    lone.hears(1, &taken("streaming-1"));
    assert!(lone.said.is_empty() && lone.gaps.is_empty(), "the next one had the topics already");
}

#[test]
fn what_comes_by_both_sockets_is_delivered_once() {
    let mut lone = renewing();
    assert!(lone.hears(1, &event("c-1", 1)));
    lone.made();
    lone.subscribed();
    lone.handshake(2);
    for text in [event("c-1", 1), event("c-2", 1), event("c-2", 1), event("c-3", 1), event("", 1)] {
        lone.holds(2, &text);
    }
    assert!(lone.hears(1, &event("c-2", 1)) && lone.hears(1, &event("c-2", 1)), "two on one socket are two");
    assert!(lone.hears(1, &event("", 1)) && lone.hears(1, &event("", 2)) && lone.hears(1, &event("c-4", 1)));
    read_out(&mut lone, 1);
    for text in [event("c-1", 1), event("c-2", 1), event("c-2", 1), event("", 1)] {
        assert!(!lone.releases(2, &text), "{text}");
    }
    assert!(lone.releases(2, &event("c-3", 1)), "it came by the new socket alone");
    assert!(lone.hears(2, &event("", 2)), "without an id, and after the old socket was closed");
    lone.at_ms += 30_000;
    assert!(!lone.hears(2, &event("c-4", 1)), "late");
    assert!(lone.hears(2, &event("c-4", 1)), "one takes one away");
}

#[test]
fn the_old_socket_lingers() {
    let lingering = || {
        let mut lone = Lone::with(Settings { linger_ms: 3_000, ..settings() }).become_live();
        lone.feed(Input::Publish(token(2, 2 * HOUR)));
        lone.feed(Input::SpareGranted);
        lone.made();
        lone.subscribed();
        assert_eq!(lone.said, [""; 0], "what has just come by the old one may be on a longer way by this one");
        assert_eq!(lone.until(2_999), [""; 0]);
        assert_eq!(lone.until(3_000), ["dial 2 true wss://streaming.x/channels/streaming-2"]);
        lone.handshake(2);
        assert_eq!(lone.said, [""; 0], "the old one has its topics still");
        lone
    };
    let took_over = |said: &[String]| said.iter().any(|said| said == "leave 1");
    let mut lone = lingering();
    lone.holds(2, &event("c-1", 1));
    assert!(lone.hears(1, &event("c-1", 1)) && lone.hears(1, &event("c-2", 1)), "the second was late by the old one");
    assert_eq!(lone.until(5_999), [""; 0]);
    assert!(took_over(&lone.until(6_000)));
    read_out(&mut lone, 1);
    assert!(!lone.releases(2, &event("c-1", 1)) && lone.gaps.is_empty());
    // Not for longer than there is room for what is held back, nor than the old channel brings anything.
    let mut lone = lingering();
    lone.feed(Input::Stalled { epoch: 2 });
    assert!(took_over(&lone.said), "{:?}", lone.said);
    let mut lone = lingering();
    lone.hears(1, &taken("streaming-1"));
    assert!(took_over(&lone.said) && lone.gaps.is_empty(), "{:?}", lone.said);
    // If the old one is lost, what was late is.
    let mut lone = lingering();
    lone.feed(Input::Dropped { epoch: 1, error: error(Code::Dropped) });
    assert!(lone.has("gap ") && lone.has("gap ends") && lone.has("Ready"), "{:?}", lone.said);
    // If the new one is, nothing is.
    let mut lone = lingering();
    lone.feed(Input::Dropped { epoch: 2, error: error(Code::Dropped) });
    assert!(lone.has("ReturnSpare") && lone.gaps.is_empty(), "{:?}", lone.said);
    assert_eq!(lone.until(5_000), ["AskSpare"]);
}

#[test]
fn a_second_channel_waits_for_the_spare_one() {
    let mut lone = Lone::live();
    lone.feed(Input::Publish(token(2, 2 * HOUR)));
    assert_eq!(lone.said, ["AskSpare", "Renewing"]);
    assert_eq!(lone.until_beating(1, HOUR / 2), [""; 0], "however long it takes");
    lone.feed(Input::SpareGranted);
    assert_eq!(lone.said, ["POST 2"]);
    // The end returns what is held, and what is only asked for.
    lone.feed(Input::Close);
    assert!(lone.has("ReturnSpare"), "{:?}", lone.said);
    let mut lone = Lone::live();
    lone.feed(Input::Publish(token(2, 2 * HOUR)));
    lone.feed(Input::Close);
    assert!(lone.has("ReturnSpare"), "{:?}", lone.said);
}

#[test]
fn a_spare_one_that_is_not_needed_any_more_is_returned() {
    let mut lone = Lone::live();
    lone.feed(Input::Publish(token(2, 2 * HOUR)));
    lone.feed(Input::Dropped { epoch: 1, error: error(Code::Dropped) });
    lone.until(2_000);
    assert_eq!(lone.said, ["POST 2", "Connecting"], "the first one needs no permit");
    lone.feed(Input::SpareGranted);
    assert_eq!(lone.said, ["ReturnSpare"]);
}

#[test]
fn a_second_channel_that_fails_is_no_gap() {
    let mut lone = renewing();
    lone.made();
    lone.subscribed();
    lone.feed(Input::Connected { epoch: 2 });
    lone.feed(Input::Opened { epoch: 2 });
    lone.feed(Input::Dropped { epoch: 2, error: error(Code::Dropped) });
    assert!(lone.has("ReturnSpare") && !lone.has("release 2"), "{:?}", lone.said);
    assert!(lone.hears(1, &event("c-1", 1)), "the first socket brings it");
    let said = lone.until(2_000);
    assert_eq!(said, ["AskSpare"]);
    lone.feed(Input::SpareGranted);
    assert_eq!(lone.said, ["HEAD 2 /streaming-2"]);
    assert!(lone.gaps.is_empty());
}

#[test]
fn a_loss_meanwhile_is_mended_by_the_second_channel() {
    let mut lone = renewing();
    lone.made();
    assert!(lone.hears(1, &event("c-1", 1)));
    lone.feed(Input::Dropped { epoch: 1, error: error(Code::Dropped) });
    assert_eq!(lone.said, ["send on None", "Audit", "gap c-1", "ReturnSpare", "Connecting"]);
    lone.subscribed();
    assert_eq!(lone.said, ["dial 2 false wss://streaming.x/channels/streaming-2"], "nothing to wait for");
    lone.handshake(2);
    assert!(lone.has("gap ends") && lone.has("Ready"), "{:?}", lone.said);
}

#[test]
fn an_old_socket_that_breaks_off_is_a_gap_unless_it_was_heard_since() {
    let mut lone = handed_over();
    lone.feed(Input::Drained { epoch: 1, clean: false });
    assert_eq!(lone.gaps.len(), 1);
    let mut lone = handed_over();
    lone.at_ms += 1;
    assert!(lone.hears(1, &event("c-1", 1)));
    lone.feed(Input::Drained { epoch: 1, clean: false });
    assert_eq!(lone.gaps.len(), 0, "what followed came by the new socket too");
}

#[test]
fn silence_ends_a_socket_and_pongs_of_the_protocol_are_silence() {
    let mut lone = Lone::live();
    assert_eq!(lone.until_beating(1, 300_000), [""; 0]);
    assert!(lone.hears(1, &event("c-7", 1)));
    for _ in 0..34 {
        assert_eq!(lone.until(lone.at_ms + 1_000), [""; 0]);
        lone.session.heard(lone.now(), 1);
    }
    let said = lone.until(lone.at_ms + 1_000);
    assert_eq!(said, ["abort 1", "send on None", "Audit", "gap c-7", "Reconnecting"]);
    assert_eq!(lone.gaps[0].cause.as_ref().unwrap().code(), Code::PeerDead);
}

#[test]
fn a_socket_that_is_not_read_is_not_silent() {
    let mut lone = Lone::live();
    lone.until(10_000);
    lone.feed(Input::Stalled { epoch: 1 });
    assert_eq!(lone.until(600_000), [""; 0]);
    lone.feed(Input::Resumed { epoch: 1 });
    assert_eq!(lone.until(624_999), [""; 0], "25 s were left");
    assert_eq!(lone.until(625_000)[0], "abort 1");
}

#[test]
fn a_channel_is_prolonged_before_it_expires() {
    let mut lone = Lone::with(settings());
    lone.feed(Input::Start(crate::proto::session::Rounds::Forever));
    lone.feed(Input::Publish(token(1, 100 * HOUR)));
    lone.opens(1);
    assert_eq!(lone.until_beating(1, LIFE_MS / 4 * 3 - 1), [""; 0]);
    let said = lone.until_beating(1, LIFE_MS / 4 * 3);
    let put = r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.a"},{"id":"v2.b"}]"#;
    assert_eq!(said, [put]);
    lone.refuse(503);
    assert_eq!(lone.until_beating(1, lone.at_ms + 30_000), [put], "tried again");
    lone.subscribed();
    assert_eq!(lone.said, [""; 0], "the results are known");
    let again = lone.at_ms + LIFE_MS / 4 * 3;
    assert_eq!(lone.until_beating(1, again - 1), [""; 0]);
    assert_eq!(lone.until_beating(1, again), [put]);
}

#[test]
fn a_channel_that_cannot_be_prolonged_is_replaced() {
    let mut lone = Lone::live();
    lone.feed(Input::Topics(vec!["v2.c".into()]));
    lone.refuse(404);
    assert_eq!(lone.said, ["gap ", "AskSpare", "Renewing"], "nobody knows since when it brings nothing");
    lone.feed(Input::SpareGranted);
    assert_eq!(lone.said, ["POST 1"]);
    lone.opens(2);
    assert!(lone.has("gap ends") && lone.has("leave 1"), "{:?}", lone.said);
}

#[test]
fn topics_are_changed_on_the_live_channel() {
    let mut lone = Lone::live();
    lone.feed(Input::Topics(vec!["v2.b".into(), "v2.a".into(), "v2.a".into()]));
    let put = r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.b"},{"id":"v2.a"}]"#;
    assert_eq!(lone.said, [put]);
    lone.feed(Input::Topics(vec!["v2.b".into()]));
    assert_eq!(lone.said, [""; 0], "two lists on their way could change places");
    lone.subscribed();
    assert_eq!(lone.said, [r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.b"}]"#]);
    lone.subscribed();
    assert_eq!(lone.said, ["topics 1/1"]);
    lone.feed(Input::Topics(vec!["v2.b".into()]));
    assert_eq!(lone.said, [""; 0], "nothing new");
    lone.feed(Input::Topics(Vec::new()));
    assert_eq!(lone.said, ["PUT 1 /streaming-1/subscriptions?ignoreErrors=true []"], "no topic any more");
    assert!(lone.gaps.is_empty(), "a topic that is added was not missed before");
}

#[test]
fn topics_that_are_refused_degrade() {
    let mut lone = Lone::live();
    lone.feed(Input::Topics(vec!["v2.c".into()]));
    lone.refuse(400);
    assert_eq!(lone.said, ["Degraded"]);
    assert_eq!(lone.until_beating(1, lone.at_ms + 299_000), [""; 0], "once is enough for now");
    let put = r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.c"}]"#;
    assert_eq!(lone.until_beating(1, lone.at_ms + 301_000)[..1], [put], "a role may be given back");
    // The list is another when it is refused again: the new one has its chance.
    lone.feed(Input::Topics(vec!["v2.a".into()]));
    assert_eq!(lone.said, ["Ready"]);
    lone.refuse(400);
    assert!(lone.has(r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.a"}]"#), "{:?}", lone.said);
    lone.subscribed();
    assert_eq!(lone.session.state(), State::Ready);
    // After a throttle the topics wait.
    lone.feed(Input::Topics(vec!["v2.b".into()]));
    lone.answer(Reply { status: 429, retry_after: Some("60".into()), ..Reply::default() });
    lone.feed(Input::Topics(vec!["v2.c".into()]));
    assert_eq!(lone.said, [""; 0]);
    assert_eq!(lone.until_beating(1, lone.at_ms + 59_999), [""; 0]);
    assert_eq!(
        lone.until_beating(1, lone.at_ms + 60_001)[..1],
        [r#"PUT 1 /streaming-1/subscriptions?ignoreErrors=true [{"id":"v2.c"}]"#]
    );
}

#[test]
fn a_closing_notice_replaces_the_socket() {
    let mut lone = Lone::live();
    lone.hears(1, CLOSING);
    assert_eq!(lone.said, ["Draining"]);
    lone.hears(1, CLOSING);
    assert_eq!(lone.said, [""; 0], "said before");
    assert_eq!(lone.until(5_000), ["AskSpare"]);
    lone.feed(Input::SpareGranted);
    assert_eq!(lone.said[0], "POST 1", "a channel of its own");
    lone.opens(2);
    assert!(lone.has("leave 1") && lone.has("Ready"), "{:?}", lone.said);
    read_out(&mut lone, 1);
    assert!(lone.gaps.is_empty());
    // By the socket that is to take over: it does, and is replaced.
    let mut lone = renewing();
    lone.made();
    lone.subscribed();
    lone.feed(Input::Connected { epoch: 2 });
    lone.feed(Input::Opened { epoch: 2 });
    lone.hears(2, CLOSING);
    assert!(lone.has("leave 1") && lone.has("Draining"), "{:?}", lone.said);
    read_out(&mut lone, 1);
    assert_eq!(lone.until(6_000), ["AskSpare"]);
}

#[test]
fn a_sleep_ends_both_sockets_of_one_token_in_one_gap() {
    let mut lone = Lone::with(Settings { linger_ms: 3_000, ..settings() }).become_live();
    lone.hears(1, CLOSING);
    assert_eq!(lone.until(5_000), ["AskSpare"]);
    lone.feed(Input::SpareGranted);
    lone.made();
    lone.subscribed();
    lone.until(8_000);
    lone.handshake(2);
    lone.holds(2, &event("c-1", 1));
    lone.at_ms = 2 * HOUR;
    lone.feed(Input::Timeout);
    assert!(lone.has("abort 1") && lone.has("abort 2") && !lone.has("release 2"), "{:?}", lone.said);
    assert!(lone.gaps.len() == 1 && !lone.has("gap ends"), "{:?}", lone.said);
}

/// A channel's URI is all that it takes to read its events.
#[test]
fn what_a_server_repeats_is_struck_out() {
    let caused = |mut lone: Lone, reason: &str| {
        lone.feed(Input::Closed { epoch: 1, code: 1001, reason: reason.to_owned() });
        let cause = lone.gaps.pop().and_then(|gap| gap.cause).expect("a gap");
        assert!(cause.to_string().contains(&cause.detail().message), "{cause}");
        cause.detail().message.clone()
    };
    let (uri, next) = ("wss://streaming.x/channels/streaming-1", "wss://streaming.x/channels/streaming-2");
    assert_eq!(caused(Lone::live(), "channel streaming-1 evicted"), "1001 channel *** evicted");
    assert_eq!(caused(Lone::live(), &format!("bye {uri}, bye")), "1001 bye ***, bye");
    assert_eq!(caused(Lone::live(), "hush-1 is over"), "1001 *** is over");
    let mut refused = Lone::live();
    let far = Error::new(Code::UpgradeRefused, Stage::Upgrade, "").with(|d| d.correlation_id = format!("of {uri}\n"));
    refused.feed(Input::Dropped { epoch: 1, error: far });
    assert_eq!(refused.gaps[0].cause.as_ref().map(|cause| cause.detail().correlation_id.as_str()), Some("of *** "));
    let mut both = renewing();
    both.made();
    assert_eq!(caused(both, &format!("{uri} now {next}, streaming-2 hush-2")), "1001 *** now ***, *** ***");
}

#[test]
fn a_revoked_token_is_replaced_and_the_socket_stays_until_then() {
    for text in [
        system("token_revoked", "streaming-1", ""),
        system("no_longer_subscribed", "streaming-1", "user_tokens_revoked"),
    ] {
        let mut lone = Lone::live();
        lone.hears(1, &text);
        assert_eq!(lone.said, ["refused 1", "gap ", "Degraded"], "its channel is dead");
        lone.hears(1, &text);
        assert_eq!(lone.said, [""; 0], "once");
        assert!(lone.hears(1, &event("c-1", 1)));
        lone.feed(Input::Publish(token(2, 2 * HOUR)));
        assert!(lone.has("AskSpare"), "{:?}", lone.said);
        lone.feed(Input::SpareGranted);
        lone.opens(2);
        assert!(!lone.has("DELETE 1 /streaming-1/subscriptions") && lone.has("Ready"), "{:?}", lone.said);
        assert!(lone.has("gap ends"));
    }
    // Nothing is asked with it any more, and what was made with it is dead too.
    let mut lone = Lone::live();
    lone.hears(1, CLOSING);
    lone.until(5_000);
    lone.feed(Input::SpareGranted);
    lone.made();
    lone.hears(1, &system("token_revoked", "streaming-1", ""));
    assert_eq!(lone.said, ["refused 1", "drop", "Audit", "gap ", "ReturnSpare", "Degraded"]);
    lone.feed(Input::Topics(vec!["v2.c".into()]));
    assert_eq!(lone.said, [""; 0]);
}

#[test]
fn another_client_is_not_fought() {
    let mut lone = Lone::live();
    assert!(lone.hears(1, &event("c-9", 1)));
    lone.hears(1, &taken("streaming-1"));
    assert_eq!(lone.said, ["send on None", "Audit", "gap c-9", "leave 1", "Displaced"]);
    assert_eq!(lone.gaps[0].cause.as_ref().unwrap().code(), Code::Displaced);
    assert!(lone.until(600_000).iter().all(|said| said == "abort 1"));
    lone.feed(Input::Publish(token(2, 2 * HOUR)));
    assert_eq!(lone.said, [""; 0], "an ordinary renewal brings nothing back");
    assert_eq!(lone.until(1_200_000), [""; 0]);
    lone.feed(Input::Return);
    assert_eq!(lone.said, ["POST 2", "Connecting"], "by a channel of its own");
    lone.opens(2);
    assert!(lone.has("gap ends"), "{:?}", lone.said);
}

#[test]
fn a_client_that_may_come_back_comes_later_every_time() {
    let mut lone = Lone::with(Settings { displaced: Displaced::Return, ..settings() });
    lone.feed(Input::Start(crate::proto::session::Rounds::Forever));
    lone.feed(Input::Publish(token(1, 100 * HOUR)));
    lone.opens(1);
    for (epoch, least_ms) in [(1, 300_000), (2, 600_000), (3, 1_200_000), (4, 2_400_000), (5, 3_600_000)] {
        lone.hears(epoch, &taken(&format!("streaming-{epoch}")));
        lone.feed(Input::Drained { epoch, clean: true });
        assert_eq!(lone.until(lone.at_ms + least_ms - 1), [""; 0], "{epoch}");
        let latest_ms = lone.session.next_timeout().unwrap();
        assert!(latest_ms <= lone.at_ms + 1 + least_ms, "{epoch} {latest_ms}");
        assert_eq!(lone.until(latest_ms), ["POST 1", "Connecting"]);
        lone.opens(epoch + 1);
    }
}

#[test]
fn our_own_second_channel_displaces_nobody() {
    let mut lone = renewing();
    lone.made();
    lone.hears(1, &taken("streaming-1"));
    assert_eq!(lone.said, ["gap "], "the other channel is ours; until it is live nothing comes");
    lone.subscribed();
    lone.handshake(2);
    lone.hears(1, &taken("streaming-1"));
    assert_eq!(lone.said, [""; 0]);
    lone.hears(2, &taken("streaming-2"));
    assert!(lone.has("Displaced"), "{:?}", lone.said);
    let mut lone = renewing();
    lone.hears(1, &taken("streaming-1"));
    assert!(lone.has("Displaced") && lone.has("drop") && lone.has("ReturnSpare"), "{:?}", lone.said);
}

#[test]
fn unknown_frames_are_delivered_and_unknown_channels_ignored() {
    let mut lone = Lone::live();
    assert!(lone.hears(1, r#"{"topicName":"v2.system.something_new","eventBody":{}}"#));
    lone.hears(1, &taken("streaming-77"));
    lone.hears(1, &system("token_revoked", "streaming-77", ""));
    assert_eq!((lone.said.len(), lone.session.state()), (0, State::Ready));
    lone.feed(Input::Close);
    assert_eq!(lone.session.judge(1, PONG.as_bytes()), Whose::Ours, "to the end");
    let senseless = lone.session.senseless();
    lone.feed(Input::Reply { epoch: 1, text: PONG.into() });
    assert_eq!(lone.session.senseless(), senseless);
}
