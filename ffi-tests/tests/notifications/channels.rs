//! A channel's life and its ends: made, connected, taken away, gone, silent.

use std::time::Duration;

use ffi_tests::sim::{ApiReply, Farewell, Options, Route, UpgradeReply};
use genesys_ws_auth::event::{State, TopicState};
use genesys_ws_auth::Code;
use serde_json::Value;

use crate::bed::*;

#[test]
fn connects_over_tls_and_events_arrive() {
    let bed = Bed::new(Options::notifications());
    bed.sim.channels().reject("v2.routing.", "no permission", &["routing:queue:view"]);
    let topics = format!("{TOPIC} v2.routing.queues.11111111-2222-3333-4444-555555555555.conversations");
    let guest = bed.guest(|config| config.set("notifications.topics", &topics).unwrap());
    guest.connect();
    guest.seen.wait("the answer to the subscription", |told| told.topics.len() == 2);
    let topics = guest.seen.told().topics.clone();
    assert_eq!(
        topics.iter().map(|topic| topic.state).collect::<Vec<_>>(),
        [TopicState::Permitted, TopicState::Rejected]
    );
    assert_eq!(topics[1].missing_permissions, ["routing:queue:view"]);
    let seq = bed.sim.channels().event(TOPIC, None);
    guest.seen.wait("the event", |told| told.events == [seq]);
    let log = bed.sim.record().snapshot();
    let upgrade = &log.requests[log.connections[0].request];
    assert!(upgrade.header("Authorization").is_none() && upgrade.path.starts_with("/channels/"), "{upgrade:?}");
    let put = log.requests.iter().find(|request| request.method == "PUT").unwrap();
    assert_eq!(put.query, "ignoreErrors=true");
    assert_eq!((log.token_requests(), log.channels_made(), log.ws_connects()), (1, 1, 1));
    let stats: Value = serde_json::from_str(&guest.client.stats_json()).unwrap();
    assert_eq!((&stats["channels"], &stats["rest_requests"]), (&Value::from(1), &Value::from(2)));
    assert!(stats["rate_limit"]["allowed"].as_u64() >= Some(1), "{stats}");
    let secret = &log.channels[0].id;
    assert!(!format!("{stats} {:?}", guest.seen.told()).contains(secret.as_str()), "the id of a channel is a secret");
    assert_eq!(guest.close().times(State::Ready), 1);
}

#[test]
fn a_thousand_topics_fit_both_ways() {
    let bed = Bed::new(Options::notifications());
    let topic = |n: u32| format!("v2.users.11111111-2222-3333-4444-{n:012}?presence&routingStatus&conversationsummary");
    let topics = (0..1_000).map(topic).collect::<Vec<_>>();
    let guest = bed.guest(|config| config.set("notifications.topics", &topics.join(" ")).unwrap());
    guest.connect();
    guest.seen.wait("all results", |told| told.topics.len() == 1_000);
    assert!(guest.seen.told().topics.iter().all(|topic| topic.state == TopicState::Permitted));
    assert_eq!(bed.sim.record().read(|log| log.channels[0].topics.len()), 1_000);
    guest.close();
}

#[test]
fn who_is_displaced_stays_away_until_told_to_come_back() {
    let bed = Bed::new(plain());
    let guest = bed.connected();
    let [id] = &bed.sim.channels().live()[..] else { panic!("one channel") };
    bed.sim.channels().evict(id, Farewell::default());
    guest.seen.wait_state(State::Displaced, 1);
    let change = guest.seen.told().states.last().cloned().unwrap();
    assert_eq!((change.to, change.error.map(|error| error.code())), (State::Displaced, Some(Code::Displaced)));
    assert_eq!(bed.sim.record().read(|log| log.channels_made()), 1, "no fight");
    guest.client.refresh_now().unwrap();
    guest.seen.wait_state(State::Ready, 2);
    let told = guest.close();
    assert_eq!((told.gaps.len(), told.gap_ends.len()), (1, 1));
}

#[test]
fn a_channel_that_is_gone_is_replaced() {
    let bed = Bed::new(plain());
    let gone = UpgradeReply::Status { code: 404, headers: Vec::new(), body: String::new() };
    bed.sim.ws().on_upgrade(gone);
    let guest = bed.connected();
    let log = bed.sim.record().snapshot();
    assert_eq!((log.channels_made(), log.ws_connects()), (2, 1));
    let told = guest.close();
    assert!(told.gaps.is_empty(), "nothing was connected yet: {:?}", told.gaps);
}

#[test]
fn a_closing_notice_is_answered_by_a_replacement() {
    let bed = Bed::new(pumping(5));
    let guest = bed.connected();
    guest.seen.wait("events", |told| told.last() >= 5);
    bed.sim.channels().socket_closing(None);
    guest.seen.wait("a hand-over", |told| told.handovers.len() == 1);
    every_event_once(&bed, &guest);
    assert_eq!(bed.sim.record().read(|log| log.most_sockets()), 2);
    assert_eq!(guest.close().gaps.len(), 0);
}

#[test]
fn a_silent_channel_is_dead() {
    let bed = Bed::new(plain());
    let guest = bed.guest(|config| config.set("notifications.heartbeat_timeout_ms", "1000").unwrap());
    bed.sim.channels().policy(|policy| policy.heartbeat = Duration::from_millis(100));
    guest.connect();
    bed.sim.channels().event_as(TOPIC, None, "the-last-one");
    guest.seen.wait("an event", |told| told.events.len() == 1);
    bed.sim.channels().stall(None);
    guest.seen.wait("the end of the gap", |told| told.gap_ends.len() == 1);
    let told = guest.close();
    assert_eq!(told.gaps[0].last_correlation_id, "the-last-one");
    let cause = told.gaps[0].cause.as_ref().unwrap();
    assert_eq!((cause.code(), cause.detail().host.as_str()), (Code::PeerDead, bed.sim.streaming_host().as_str()));
}

#[test]
fn what_the_api_refuses_names_the_api_and_no_secret() {
    let bed = Bed::new(plain());
    bed.sim.api().always(Route::Create, ApiReply::error(403, "missing.permissions"));
    let guest = bed.guest(|_| {});
    let error = guest.client.connect(Some(BOUND)).unwrap_err();
    assert_eq!((error.code(), error.detail().http_status), (Code::ChannelRefused, 403));
    assert_eq!(format!("http://{}", error.detail().host), bed.sim.api_url());
    assert!(!error.detail().correlation_id.is_empty());
    guest.close();
}
