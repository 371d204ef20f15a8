//! What is on record of a client's life, added up: with what the simulator saw, and with the client's own counters.

use std::collections::BTreeMap;

use genesys_ws_auth::audit::Kind;
use genesys_ws_auth::event::State;
use genesys_ws_auth::Secret;
use serde_json::Value;

use crate::harness::*;
use crate::inn::{tokens, Inn};
use ffi_tests::sim::{Options, TokenReply};

fn records(saws: &[Saw]) -> Vec<Value> {
    saws.iter().filter_map(|saw| if let Saw::Audit(record) = saw { Some(record.clone()) } else { None }).collect()
}

fn name(record: &Value) -> &str {
    record["event_type"].as_str().or(record["action"].as_str()).expect("a kind")
}

/// How many there are of each kind.
fn tally(records: &[Value]) -> BTreeMap<&str, u64> {
    let mut tally = BTreeMap::new();
    records.iter().for_each(|record| *tally.entry(name(record)).or_default() += 1);
    tally
}

fn of<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| name(record) == kind).map(|record| &record["metadata"]).collect()
}

/// Every kind has the outer shape, is numbered, and is on the list; its members are those of its kind.
fn check_shapes(records: &[Value]) {
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["seq"], index + 1, "{record}");
        let kind = Kind::ALL.iter().find(|kind| kind.name() == name(record)).expect("a kind of the list");
        if *kind == Kind::Scopes {
            continue;
        }
        assert!(record["id"].is_string() && record["timestamp"].is_string(), "{record}");
        let metadata = record["metadata"].as_object().expect("metadata");
        assert!(metadata.contains_key("region") && metadata.contains_key("client_id"), "{record}");
        let members = kind.members().iter().filter(|member| **member != "scopes");
        members.for_each(|member| assert!(metadata.contains_key(*member), "{member} of {record}"));
    }
}

#[test]
fn a_life_adds_up() {
    let rig = Setup::default().build();
    rig.sim.token().then(TokenReply::Throttle429 { retry_after: None });
    rig.client.connect(Some(BOUND)).unwrap();
    rig.client.refresh_now().unwrap();
    rig.seen.wait("a renewal", |saws| {
        records(saws).iter().any(|record| record["metadata"]["phase"] == "renewal" && record["status"] == "success")
    });
    rig.sim.ws().close_all(1001, "going away");
    rig.seen.wait_state(State::Ready, 3);
    let (client, sim) = (std::sync::Arc::clone(&rig.client), rig.sim.record().snapshot());
    let records = records(&rig.close());
    check_shapes(&records);
    assert_eq!([name(&records[0]), name(records.last().unwrap())], ["configuration_loaded", "client_closed"]);
    let (tally, metrics) = (tally(&records), client.metrics());
    let count = |kind: &str| tally.get(kind).copied().unwrap_or(0);
    assert_eq!((count("token_requested"), metrics.token_requests), (sim.token_requests() as u64, 3), "{tally:?}");
    assert_eq!((count("token_refused"), count("token_issued")), (1, 2), "one was throttled");
    assert_eq!(of(&records, "token_refused")[0]["error_code"], "GWA_E_THROTTLED");
    assert_eq!((count("socket_opened"), metrics.connects), (sim.ws_connects() as u64, 2), "{tally:?}");
    assert_eq!((count("connection_lost"), metrics.drops, count("socket_closed")), (1, 1, 1), "{tally:?}");
    let (lost, closed) = (of(&records, "connection_lost")[0], of(&records, "socket_closed")[0]);
    assert_eq!((&lost["connection"], &lost["ws_close_code"]), (&1.into(), &1001.into()));
    assert_eq!(
        (&closed["connection"], &closed["close_code"], &closed["clean"]),
        (&2.into(), &1000.into(), &true.into())
    );
    assert_eq!(count("authentication_attempt"), metrics.request_count);
    assert_eq!(metrics.audit_records, records.len() as u64);
    let issued = of(&records, "token_issued");
    assert!(issued.iter().all(|token| token["trust"] == "unverified" && token["rotated"] == false));
    assert_eq!([&issued[0]["serial"], &issued[1]["serial"]], [1, 2]);
}

#[test]
fn what_a_client_starts_with_has_a_fingerprint_without_its_secrets() {
    let fingerprint =
        |saws: &[Saw]| of(&records(saws), "configuration_loaded")[0]["fingerprint"].as_str().map(str::to_owned);
    let ends = |setup: Setup, secret: Option<&str>| {
        let rig = setup.build();
        if let Some(secret) = secret {
            rig.client.set_secret("client.secret", Secret::new(secret.to_owned())).unwrap();
        }
        rig.sim.token().always(TokenReply::Forbidden);
        assert!(rig.client.connect(Some(BOUND)).is_err() && rig.client.connect(Some(BOUND)).is_err());
        let json = rig.client.config_json();
        let saws = rig.close();
        assert_eq!(of(&records(&saws), "configuration_loaded").len(), 1, "once, however often it is started");
        let digest = ring::digest::digest(&ring::digest::SHA256, json.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(fingerprint(&saws), Some(digest), "that of what gwa_client_config() returns");
        let trust = of(&records(&saws), "trust_loaded").first().map(|trust| trust["roots"].clone());
        (json, trust)
    };
    let (one, trust) = ends(Setup::default(), None);
    assert!(trust.is_some_and(|roots| roots.as_u64() >= Some(1)));
    let (other, _) = ends(Setup::default().key("token.attempts", 2), Some("another secret"));
    assert!(one != other && !other.contains("another secret"));
}

#[test]
fn each_client_of_a_source_has_the_records_of_its_tokens_once() {
    let inn = Inn::open(Options::default());
    let early = [inn.connected(), inn.connected()];
    inn.sim.token().then(TokenReply::Throttle429 { retry_after: None });
    early[0].client.refresh_now().unwrap();
    let renewed = |saws: &[Saw]| of(&records(saws), "token_issued").len() == 2;
    early.iter().for_each(|guest| guest.seen.wait("the second token on record", renewed));
    inn.seen.wait("the second token on record", renewed);
    // Who joins between the record and the token is given the first one, too.
    early.iter().for_each(|guest| guest.seen.wait("the second token", |saws| tokens(saws) == 2));
    let late = inn.connected();
    for guest in early {
        let records = records(&guest.close());
        let (issued, refused) = (of(&records, "token_issued"), of(&records, "token_refused"));
        assert_eq!([&issued[0]["serial"], &issued[1]["serial"]], [1, 2]);
        assert_eq!((refused.len(), &refused[0]["error_code"]), (1, &"GWA_E_THROTTLED".into()));
        let requested = of(&records, "token_requested");
        // Who joined while the first one was in flight was not there when it left.
        assert!((2..=3).contains(&requested.len()) && requested.iter().all(|one| one["grant"] == "client_credentials"));
        // What a client does for itself comes after what its token is.
        let at = |kind: &str| records.iter().position(|record| name(record) == kind).expect("a record");
        assert!(at("token_issued") < at("authentication_attempt"));
        check_shapes(&records);
    }
    let records_of_late = records(&late.close());
    assert_eq!(of(&records_of_late, "token_issued").len(), 1, "of the token it was given");
    assert_eq!(of(&records_of_late, "token_issued")[0]["serial"], 2);
    let own = records(&inn.close());
    assert_eq!(
        (of(&own, "token_issued").len(), of(&own, "token_refused").len(), of(&own, "token_requested").len()),
        (2, 1, 3)
    );
    assert_eq!((name(&own[0]), of(&own, "configuration_loaded").len()), ("configuration_loaded", 1));
}

/// `name=count` of a checkpoint's list.
fn counts(checkpoint: &Value, list: &str) -> BTreeMap<String, u64> {
    let entries = checkpoint[list].as_array().expect("a list").iter().map(|entry| entry.as_str().expect("a text"));
    let pair = |entry: &str| entry.split_once('=').map(|(name, count)| (name.to_owned(), count.parse().unwrap()));
    entries.map(|entry| pair(entry).expect("name=count")).collect()
}

#[test]
fn the_last_checkpoint_has_the_clients_own_counters_beside_what_is_on_record() {
    let rig = Setup::default().key("audit.checkpoints", "on").key("audit.checkpoint_records", 4).build();
    let renewals = |saws: &[Saw]| {
        let all = records(saws);
        all.iter().filter(|one| one["metadata"]["phase"] == "renewal" && one["status"] == "success").count() as u64
    };
    rig.sim.token().then(TokenReply::Throttle429 { retry_after: None });
    rig.client.connect(Some(BOUND)).unwrap();
    for wanted in 1..=2 {
        rig.client.refresh_now().unwrap();
        rig.seen.wait("a renewal", |saws| renewals(saws) == wanted);
    }
    rig.sim.ws().close_all(1001, "going away");
    rig.seen.wait_state(State::Ready, 4);
    let saws = rig.close();
    let (all, renewed) = (records(&saws), renewals(&saws));
    let closing = of(&all, "audit_checkpoint").pop().expect("a checkpoint").clone();
    assert_eq!(closing["reason"], "close");
    let (kinds, counters) = (counts(&closing, "kinds"), counts(&closing, "counters"));
    let seen: BTreeMap<String, u64> = tally(&all).into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(kinds, seen);
    let of_kind = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
    let own = |counter: &str| counters.get(counter).copied().unwrap_or(0);
    assert_eq!((own("token_requests"), own("token_failures")), (of_kind("token_requested"), of_kind("token_refused")));
    assert_eq!((own("connects"), own("renewals")), (of_kind("socket_opened"), renewed), "{counters:?}");
    assert_eq!([own("drops"), own("gaps")], [of_kind("connection_lost"); 2], "{counters:?}");
    assert_eq!([own("token_requests"), own("token_failures"), own("connects"), own("drops")], [4, 1, 2, 1]);
    assert_eq!((renewed, own("channels")), (2, of_kind("channel_made")), "{counters:?}");
}
