//! What the REST API is asked, and what its answers mean.

use super::*;
use crate::proto::dice::Dice;
use crate::proto::token::Schedule;

fn settings() -> Settings {
    Settings {
        api_url: "https://api.mypurecloud.com/".into(),
        streaming_host: "streaming.mypurecloud.com".into(),
        ..Settings::default()
    }
}

fn token() -> Token {
    Token {
        access_token: Secret::new("hush-token".into()),
        token_type: "bearer".into(),
        lifetime_ms: 1_000,
        refresh_token: None,
        scope: String::new(),
        granted_at_wall_ms: 0,
        serial: 1,
        schedule: Schedule::new(0, 1_000, None, &mut Dice::new(1)),
        scopes: None,
        trust: crate::audit::Trust::Unverified,
    }
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, body: body.into(), correlation_id: Some("c-1".into()), ..Reply::default() }
}

fn created(reply: Reply) -> Result<Created, Error> {
    let secrets = [Secret::new("hush-token".into()), Secret::new("streaming-0-hush".into())];
    let outcome = Reading { settings: &settings(), secrets: &secrets, wall_ms: 0 }.created(Ok(reply));
    if let Err(error) = &outcome {
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    outcome
}

fn subscribed(reply: Reply, topics: &[&str]) -> Result<Vec<Topic>, Error> {
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    Reading { settings: &settings(), secrets: &[], wall_ms: 0 }.subscribed(Ok(reply), &topics)
}

#[test]
fn the_four_requests() {
    let (settings, token, id) = (settings(), token(), Secret::new("streaming-0-x".into()));
    let create = create(&settings, &token);
    assert_eq!((create.method, create.body), (Method::Post, Body::None));
    assert_eq!(create.url, "https://api.mypurecloud.com/api/v2/notifications/channels");
    assert_eq!(create.authorization.expose(), "Bearer hush-token");
    let put = subscribe(&settings, &token, &id, &["v2.a".into(), "v2.b?c&d".into()]);
    assert_eq!((put.method, put.body), (Method::Put, Body::Json(r#"[{"id":"v2.a"},{"id":"v2.b?c&d"}]"#.into())));
    assert!(put.url.ends_with("/channels/streaming-0-x/subscriptions?ignoreErrors=true"), "{}", put.url);
    let delete = unsubscribe(&settings, &token, &id);
    assert_eq!(delete.method, Method::Delete);
    assert!(delete.url.ends_with("/channels/streaming-0-x/subscriptions"));
    let head = probe(&settings, &token, &id);
    assert_eq!(head.method, Method::Head);
    assert!(head.url.ends_with("/channels/streaming-0-x"));
    assert!(!format!("{head:?}").contains("streaming-0"));
}

const CHANNEL: &str = r#"{"connectUri":"wss://streaming.mypurecloud.com/channels/streaming-0-x","id":"streaming-0-x",
    "expires":"1970-01-01T01:00:00.000Z"}"#;

#[test]
fn a_channel_is_read_and_its_life_counts_from_the_servers_clock() {
    let channel = created(reply(200, CHANNEL)).unwrap();
    assert_eq!((channel.id.expose(), channel.life_ms), ("streaming-0-x", 3_600_000));
    let date = Some("Thu, 01 Jan 1970 00:30:00 GMT".into());
    assert_eq!(created(Reply { date, ..reply(200, CHANNEL) }).unwrap().life_ms, 1_800_000);
    let date = Some("Fri, 02 Jan 1970 00:30:00 GMT".into());
    assert_eq!(created(Reply { date, ..reply(200, CHANNEL) }).unwrap().life_ms, 60_000, "no hot loop");
    let without = CHANNEL.replace("expires", "x");
    assert_eq!(created(reply(200, &without)).unwrap().life_ms, LIFE_MS);
}

#[test]
fn what_is_no_channel() {
    let code = |body: &str| created(reply(200, body)).unwrap_err().code();
    for body in
        ["", "[]", "{}", &CHANNEL.replace("\"id\"", "\"ID\""), &CHANNEL.replace("\"streaming-0-x\"", "\"../x\"")]
    {
        assert_eq!(code(body), Code::Unavailable, "{body}");
    }
    assert_eq!(code(&CHANNEL.replace("streaming.my", "evil.my")), Code::ChannelUri);
}

#[test]
fn errors_keep_what_the_server_says_and_no_secret() {
    let body =
        r#"{"message":"No streaming-0-hush for hush-token","code":"bad.credentials","status":401,"contextId":"x-1"}"#;
    let error = created(reply(401, body)).unwrap_err();
    assert_eq!(error.code(), Code::TokenRevoked);
    assert_eq!(error.detail().message, "HTTP 401: bad.credentials (No *** for ***)");
    assert_eq!((error.detail().http_status, error.detail().correlation_id.as_str()), (401, "c-1"));
    let error = created(Reply { correlation_id: None, ..reply(401, body) }).unwrap_err();
    assert_eq!(error.detail().correlation_id, "x-1");
    for (status, code) in [
        (302, Code::Redirect),
        (400, Code::ChannelRefused),
        (403, Code::ChannelRefused),
        (404, Code::HttpStatus),
        (408, Code::Unavailable),
        (409, Code::ChannelRefused),
        (425, Code::Unavailable),
        (429, Code::Throttled),
        (503, Code::Unavailable),
        (600, Code::HttpProtocol),
    ] {
        assert_eq!(created(reply(status, "")).unwrap_err().code(), code, "{status}");
    }
    let limited = r#"{"message":"Rate limit exceeded the maximum"}"#;
    assert_eq!(created(reply(400, limited)).unwrap_err().code(), Code::Throttled);
}

#[test]
fn a_throttle_says_how_long_and_a_quota_is_told_apart() {
    let throttled = |seconds: &str| {
        let error = created(Reply { retry_after: Some(seconds.into()), ..reply(429, "") }).unwrap_err();
        (error.code(), error.retry_after_ms())
    };
    assert_eq!(throttled("7"), (Code::Throttled, Some(7_000)));
    assert_eq!(throttled("180"), (Code::Throttled, Some(180_000)));
    assert_eq!(throttled("14400"), (Code::ThrottledLong, Some(14_400_000)));
    assert_eq!(throttled("soon"), (Code::Throttled, None));
    let refused = created(Reply { retry_after: Some("7".into()), ..reply(403, "") }).unwrap_err();
    assert_eq!((refused.code(), refused.retry_after_ms()), (Code::ChannelRefused, None));
}

#[test]
fn every_topic_gets_its_result() {
    let body = r#"{"entities":[{"id":"v2.c","state":"Rejected","rejectionReason":"no\nway","missingPermissions":["a:b:c","d"]},
        {"id":"v2.a","state":"Permitted"},{"id":"v2.d.e","state":"Permitted"},{"id":"v2.d.f","state":"permitted"},
        {"id":"v2.g.h","state":"Permitted"},{"id":"v2.g.i","state":"Rejected","rejectionReason":"half"},{"id":"v2.j"}]}"#;
    let topics = ["v2.a", "v2.b", "v2.c", "v2.d?e&f", "v2.g?h&i", "v2.j"];
    let results = subscribed(reply(200, body), &topics).unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|topic| (topic.id.as_str(), topic.state == TopicState::Permitted, topic.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("v2.a", true, ""),
            ("v2.b", false, "The answer does not name this topic."),
            ("v2.c", false, "no way"),
            ("v2.d?e&f", true, ""),
            ("v2.g?h&i", false, "half"),
            ("v2.j", true, ""),
        ]
    );
    assert_eq!(results[2].missing_permissions, ["a:b:c", "d"]);
}

#[test]
fn a_subscription_may_meet_a_channel_that_is_gone() {
    assert_eq!(subscribed(reply(404, ""), &[]).unwrap_err().code(), Code::ChannelGone);
    assert_eq!(subscribed(reply(400, ""), &[]).unwrap_err().code(), Code::ChannelRefused);
    assert_eq!(subscribed(reply(200, "{}"), &[]).unwrap_err().code(), Code::Unavailable);
    let probed = |status| Reading { settings: &settings(), secrets: &[], wall_ms: 0 }.probed(Ok(reply(status, "")));
    assert!(probed(200).is_ok());
    assert_eq!(probed(404).unwrap_err().code(), Code::ChannelGone);
    assert_eq!(probed(401).unwrap_err().code(), Code::TokenRevoked);
    assert_eq!(probed(500).unwrap_err().code(), Code::Unavailable);
}

#[test]
fn the_first_of_two_results_counts() {
    let body = r#"{"entities":[{"id":"a","state":"Rejected","rejectionReason":"no"},{"id":"a","state":"Permitted"}]}"#;
    assert_eq!(subscribed(reply(200, body), &["a"]).unwrap()[0].state, TopicState::Rejected);
}
