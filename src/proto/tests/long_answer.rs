//! An answer about many topics is read on gwa-socket, where no frame is served meanwhile.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::config::settings::Settings;
use crate::event::TopicState;
use crate::proto::http::Reply;
use crate::proto::notifications::rest::Reading;

/// Looking up each name from the start of the list took a minute for this one; with an index it is less than a second.
const BOUND: Duration = Duration::from_secs(20);
const TOPICS: usize = 4_000;

#[test]
fn looking_up_a_result_is_not_looking_through_all_of_them() {
    let topics: Vec<String> = (0..TOPICS).map(|n| format!("v2.users.{n}?a&b&c&d&e&f&g&h&i&j")).collect();
    let parts =
        |n: usize| ('a'..='j').map(move |part| format!(r#"{{"id":"v2.users.{n}.{part}","state":"Permitted"}}"#));
    let entities: Vec<String> = (0..TOPICS).flat_map(parts).collect();
    let body = format!(r#"{{"entities":[{}]}}"#, entities.join(","));
    let (done, results) = mpsc::channel();
    thread::spawn(move || {
        let reading = Reading { settings: &Settings::default(), secrets: &[], wall_ms: 0 };
        let reply = Reply { status: 200, body: body.into(), ..Reply::default() };
        let _ = done.send(reading.subscribed(Ok(reply), &topics).unwrap());
    });
    let results = results.recv_timeout(BOUND).expect("every name was looked for from the start of the list");
    assert_eq!(results.len(), TOPICS);
    assert!(results.iter().all(|topic| topic.state == TopicState::Permitted));
}
