//! Stories of channels and topics: one rule each.

use super::cloud::id_of;
use super::faults::Fault;
use super::rest::What;
use super::world::{settings, Nature, Platform};
use crate::config::settings::Settings;
use crate::error::Code;
use crate::event::{State, TopicState};
use crate::proto::notifications::topics;
use crate::proto::session::Rounds;

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    a_channel_is_made_and_subscribed_before_its_socket_is_dialled,
    every_topic_gets_its_result,
    a_thousand_topics_are_subscribed_and_one_more_is_refused,
    topics_of_the_system_are_not_asked_for,
    events_of_a_combined_topic_arrive_under_the_expanded_names,
    topics_that_change_are_subscribed_on_the_same_channel,
    a_channel_is_subscribed_again_before_its_day_is_over,
    a_channel_in_doubt_is_asked_for_and_used_again,
    a_channel_that_is_gone_is_not_used_again,
    a_channel_is_used_again_ten_times,
    a_handshake_that_finds_nothing_makes_a_new_channel,
    a_handshake_that_is_unauthorized_needs_a_new_token,
    a_connect_uri_that_leads_elsewhere_is_not_dialled,
    an_api_that_refuses_for_good_is_not_asked_again_and_again,
    a_quota_of_hours_is_its_own_error_and_no_loop,
    an_answer_that_never_comes_is_not_waited_for,
];

pub fn world(rules: Settings, nature: Nature) -> Platform {
    Platform::new(1, rules, nature)
}

/// A world in which the client is live.
pub fn live(rules: Settings, nature: Nature) -> Platform {
    let mut w = world(rules, nature);
    w.start(Rounds::Forever);
    w.until_live(20_000);
    w
}

/// A nature whose tokens live for a day, so that nothing is renewed in a story.
pub fn lasting() -> Nature {
    let mut nature = Nature::default();
    nature.base.lifetime_ms = 24 * HOUR;
    nature
}

pub fn with_topics(topics: &[&str]) -> Settings {
    Settings { topics: topics.iter().map(ToString::to_string).collect(), ..settings() }
}

/// What was asked of the API, in order.
pub fn calls(w: &Platform) -> Vec<What> {
    w.calls.iter().map(|(_, _, what)| *what).collect()
}

pub fn count(w: &Platform, wanted: impl Fn(&What) -> bool) -> usize {
    w.calls.iter().filter(|(_, _, what)| wanted(what)).count()
}

/// The channels that were dialled, in order.
fn dialled(w: &Platform) -> Vec<u64> {
    w.laws().dials.iter().map(|(_, channel)| *channel).collect()
}

#[test]
fn a_channel_is_made_and_subscribed_before_its_socket_is_dialled() {
    let mut w = world(settings(), lasting());
    w.start(Rounds::Once);
    w.until_live(20_000);
    assert_eq!(calls(&w), [What::Make, What::Subscribe(1)]);
    assert_eq!(dialled(&w), [1]);
    let place = |word: &str| w.laws().order.iter().position(|other| other == word).unwrap();
    assert!(place("topics") < place("Ready"), "{:?}", w.laws().order);
    assert_eq!(w.laws().connected, 1);
    assert!(w.laws().failures.is_empty() && w.laws().gaps.is_empty());
    w.run_for(HOUR);
    assert!(w.laws().account.delivered > 500);
}

#[test]
fn every_topic_gets_its_result() {
    let mut w = live(with_topics(&["v2.users.u1.presence", "v2.denied.x", "v2.queues.q1.users"]), lasting());
    let results = w.laws().topics[0].clone();
    let told: Vec<_> = results.iter().map(|topic| (topic.id.as_str(), topic.state)).collect();
    let (yes, no) = (TopicState::Permitted, TopicState::Rejected);
    assert_eq!(told, [("v2.users.u1.presence", yes), ("v2.denied.x", no), ("v2.queues.q1.users", yes)]);
    assert_eq!(
        (results[1].reason.as_str(), results[1].missing_permissions.as_slice()),
        ("no", &["a:b:view".into()][..])
    );
    w.run_for(HOUR);
    assert!(w.laws().account.delivered > 300, "what is permitted arrives");
    assert_eq!(w.state(), State::Ready);
}

#[test]
fn a_thousand_topics_are_subscribed_and_one_more_is_refused() {
    let mut many: Vec<String> = (0..1_000).map(|number| format!("v2.users.u{number}.presence")).collect();
    assert!(topics::check(&many).is_ok());
    let mut w = live(Settings { topics: many.clone(), ..settings() }, lasting());
    assert_eq!(w.laws().topics[0].len(), 1_000);
    assert_eq!(w.cloud.channels[&1].topics.len(), 1_000);
    many.push("v2.users.one.presence".into());
    assert!(topics::check(&many).is_err());
    // Who asks the machine nevertheless gets the first thousand.
    w.want(0, many);
    w.run_for(MINUTE);
    assert_eq!(w.cloud.channels[&1].topics.len(), 1_000);
    assert_eq!(w.state(), State::Ready);
}

#[test]
fn topics_of_the_system_are_not_asked_for() {
    let mut w = live(with_topics(&["v2.system.socket_closing", "v2.users.u1.presence"]), lasting());
    assert_eq!(w.cloud.channels[&1].topics.iter().collect::<Vec<_>>(), ["v2.users.u1.presence"]);
    w.want(0, vec!["v2.users.u2.presence".into(), "v2.system.token_revoked".into()]);
    w.run_for(MINUTE);
    assert_eq!(w.cloud.channels[&1].topics.iter().collect::<Vec<_>>(), ["v2.users.u2.presence"]);
}

#[test]
fn events_of_a_combined_topic_arrive_under_the_expanded_names() {
    let mut w = live(with_topics(&["v2.users.u2?presence&routingStatus"]), lasting());
    assert_eq!(w.laws().topics[0].len(), 1, "one result for what was asked for");
    w.run_for(HOUR);
    assert!(w.laws().account.delivered > 500);
    w.clients[0].laws.account.settle(w.now_ms, false);
}

#[test]
fn topics_that_change_are_subscribed_on_the_same_channel() {
    let mut w = live(settings(), lasting());
    let mut topics = w.laws().wanted().to_vec();
    topics.push("v2.users.u9.presence".into());
    w.want(0, topics.clone());
    w.run_for(MINUTE);
    topics.remove(0);
    w.want(0, topics.clone());
    w.run_for(MINUTE);
    assert_eq!(calls(&w), [What::Make, What::Subscribe(1), What::Subscribe(1), What::Subscribe(1)]);
    assert_eq!(w.cloud.channels[&1].topics, topics.into_iter().collect());
    assert_eq!((dialled(&w).as_slice(), w.laws().topics.len()), (&[1][..], 3));
    assert!(w.laws().gaps.is_empty());
}

#[test]
fn a_channel_is_subscribed_again_before_its_day_is_over() {
    let mut nature = Nature::default();
    (nature.base.lifetime_ms, nature.base.push_ms) = (40 * 24 * HOUR, 5 * MINUTE);
    let mut w = live(settings(), nature);
    w.run_for(10 * 24 * HOUR);
    assert!(w.laws().gaps.is_empty() && w.laws().failures.is_empty(), "{:?}", w.laws().failures);
    let subscribed = count(&w, |what| matches!(what, What::Subscribe(_)));
    assert!((10..=40).contains(&subscribed), "subscribed {subscribed} times in ten days");
    assert_eq!(w.watch.tokens.len(), 1, "no token is needed for it");
    w.clients[0].laws.account.settle(w.now_ms, false);
}

#[test]
fn a_channel_in_doubt_is_asked_for_and_used_again() {
    let mut w = live(settings(), lasting());
    w.strike(Fault::Dropped, 0);
    w.run_for(2 * MINUTE);
    assert!(w.is_live());
    assert_eq!(calls(&w), [What::Make, What::Subscribe(1), What::Probe(1)]);
    assert_eq!(dialled(&w), [1, 1]);
    assert_eq!(w.laws().gaps.len(), 1);
}

#[test]
fn a_channel_that_is_gone_is_not_used_again() {
    let mut w = live(settings(), lasting());
    w.strike(Fault::ChannelExpires, 0);
    w.run_for(2 * MINUTE);
    assert!(w.is_live());
    assert_eq!(dialled(&w), [1, 2]);
    assert_eq!(w.laws().gaps.len(), 1);
}

#[test]
fn a_channel_is_used_again_ten_times() {
    let mut w = live(settings(), lasting());
    for _ in 0..12 {
        w.strike(Fault::Dropped, 0);
        w.run_for(30 * MINUTE);
        assert!(w.is_live());
    }
    let first = dialled(&w).iter().filter(|channel| **channel == 1).count();
    assert_eq!((first, w.cloud.made), (11, 2), "{:?}", dialled(&w));
}

#[test]
fn a_handshake_that_finds_nothing_makes_a_new_channel() {
    let mut w = world(settings(), lasting());
    w.fault_for(Fault::UpgradeMissing, 3_000);
    w.start(Rounds::Forever);
    w.until_live(2 * MINUTE);
    assert!(w.cloud.made >= 2 && *dialled(&w).last().unwrap() == w.cloud.made);
    assert_eq!(w.watch.tokens.len(), 1, "the token is good");
    // A channel that was there is no end either.
    w.fault_for(Fault::UpgradeMissing, 10_000);
    w.strike(Fault::Dropped, 0);
    w.run_for(2 * MINUTE);
    assert!(w.is_live());
    assert_eq!(*dialled(&w).last().unwrap(), w.cloud.made);
}

#[test]
fn a_handshake_that_is_unauthorized_needs_a_new_token() {
    let mut w = world(settings(), lasting());
    w.fault_for(Fault::UpgradeUnauthorized, 1_000);
    w.start(Rounds::Forever);
    w.until_live(2 * MINUTE);
    assert_eq!(w.watch.tokens.len(), 2);
    let last = w.cloud.channels.values().find(|channel| channel.socket.is_some()).unwrap();
    assert_eq!(last.token, w.watch.tokens[1].1.access_token.expose());
}

#[test]
fn a_connect_uri_that_leads_elsewhere_is_not_dialled() {
    for fault in [Fault::UriElsewhere, Fault::UriPlain, Fault::UriGarbage] {
        let mut w = world(settings(), lasting());
        w.fault_for(fault, 5 * MINUTE);
        w.start(Rounds::Forever);
        w.run_for(4 * MINUTE);
        assert!(w.laws().dials.is_empty() && !w.is_live());
        let failures = &w.laws().failures;
        assert!(failures.iter().all(|error| error.code() == Code::ChannelUri) && !failures.is_empty(), "{failures:?}");
        assert!(!format!("{failures:?} {:?}", w.laws().records).contains(&id_of(1)));
        w.run_for(5 * MINUTE);
        assert!(w.is_live(), "{fault:?}: {:?}", w.state());
    }
}

#[test]
fn an_api_that_refuses_for_good_is_not_asked_again_and_again() {
    let mut w = world(settings(), lasting());
    w.fault_for(Fault::RestForbidden, 2 * HOUR);
    w.start(Rounds::Forever);
    w.run_for(HOUR);
    assert!(w.calls.len() <= 3, "{} calls", w.calls.len());
    assert!(w.laws().failures.iter().any(|error| error.code() == Code::ChannelRefused), "{:?}", w.laws().failures);
}

#[test]
fn a_rollover_that_is_refused_for_good_is_tried_again_while_there_is_a_socket_to_lose() {
    let mut w = world(settings(), lasting());
    w.start(Rounds::Forever);
    w.run_for(MINUTE);
    assert!(w.is_live());
    w.fault_for(Fault::RestForbidden, 2 * HOUR);
    w.refresh_now();
    w.run_for(HOUR);
    assert_eq!(w.state(), State::Degraded);
    let made = w.calls.iter().filter(|(_, _, what)| *what == What::Make).count();
    assert!((6..=14).contains(&made), "{made} times in an hour");
    w.run_for(HOUR + 15 * MINUTE);
    assert!(w.is_live() && w.state() == State::Ready, "{:?}", w.state());
    assert_eq!(w.laws().gaps.len(), 0, "the old socket served meanwhile");
}

#[test]
fn a_quota_of_hours_is_its_own_error_and_no_loop() {
    let mut w = world(settings(), lasting());
    w.fault_for(Fault::RestQuota, HOUR);
    w.start(Rounds::Forever);
    w.until_state(State::Throttled, MINUTE);
    assert_eq!(w.laws().failures.last().unwrap().code(), Code::ThrottledLong);
    assert!(w.laws().failures.last().unwrap().retry_after_ms() >= Some(3_600_000));
    w.run_for(HOUR - MINUTE);
    assert_eq!(w.calls.len(), 1);
    w.run_for(5 * HOUR);
    assert!(w.is_live() && w.calls.len() <= 4, "{} calls", w.calls.len());
    // `connect` says so at once.
    let mut w = world(settings(), lasting());
    w.fault_for(Fault::RestQuota, HOUR);
    w.start(Rounds::Once);
    w.run_for(MINUTE);
    assert_eq!(w.laws().failed[0].code(), Code::ThrottledLong);
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for() {
    let mut w = world(settings(), lasting());
    w.fault_for(Fault::RestSwallowed, MINUTE);
    w.start(Rounds::Forever);
    w.run_for(5 * MINUTE);
    assert!(w.is_live(), "{:?}", w.state());
}
