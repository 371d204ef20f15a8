//! The JSON against the published schema, by a validator that is not ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ffi_tests::sim::{Action, Options};
use genesys_ws_auth::{metrics, Client};
use jsonschema::Validator;
use serde_json::{json, Value};

use crate::harness::*;

fn published() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/doc/stats.schema.json")
}

/// As it is committed: for people, so one line a member.
fn pretty() -> String {
    let schema: Value = serde_json::from_str(&metrics::schema()).expect("JSON");
    serde_json::to_string_pretty(&schema).expect("JSON") + "\n"
}

#[test]
#[ignore = "writes include/doc/stats.schema.json"]
fn regenerate() {
    fs::write(published(), pretty()).expect("it can be written");
}

#[test]
fn the_published_schema_is_what_the_table_gives() {
    let committed = fs::read_to_string(published()).expect("include/doc/stats.schema.json");
    let schema: Value = serde_json::from_str(&committed).expect("JSON");
    let made: Value = serde_json::from_str(&metrics::schema()).expect("JSON");
    assert!(schema == made, "it is out of date: regenerate it (see the head of main.rs)");
    jsonschema::draft202012::meta::validate(&schema).expect("a schema of draft 2020-12");
}

/// The published schema lets newer versions add members. Here there are none but those it knows.
pub fn strict() -> Validator {
    fn close(schema: &mut Value) {
        if let Some(members) = schema.get("properties").and_then(Value::as_object) {
            assert!(!members.is_empty());
            schema["additionalProperties"] = json!(false);
        }
        match schema {
            Value::Object(members) => members.values_mut().for_each(close),
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema: Value = serde_json::from_str(&metrics::schema()).expect("JSON");
    close(&mut schema);
    jsonschema::draft202012::new(&schema).expect("a schema that can be used")
}

#[track_caller]
fn fits(stats: &str) -> Value {
    let stats: Value = serde_json::from_str(stats).expect("JSON");
    let faults: Vec<_> =
        strict().iter_errors(&stats).map(|fault| format!("{} {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?} {stats:#}");
    stats
}

#[test]
fn a_member_too_many_too_few_or_of_another_type_does_not_fit() {
    let rig = Setup::default().build();
    let good = fits(&rig.client.stats_json());
    for (member, value) in [("drops", json!(-1)), ("state", json!("Tired")), ("more", json!(1)), ("trust", json!(7))] {
        let mut bad = good.clone();
        bad[member] = value;
        assert!(!strict().is_valid(&bad), "{member}");
    }
    for member in good.as_object().unwrap().keys() {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(member);
        assert!(!strict().is_valid(&bad), "without {member}");
    }
}

#[test]
fn it_fits_before_the_start_when_live_after_losses_and_at_the_end() {
    let rig = Setup::default().lifetime(3_000).key("callbacks.slow_ms", 1).build();
    let idle = fits(&rig.client.stats_json());
    assert_eq!((&idle["state"], &idle["token"], &idle["lead_goal_rate"]), (&json!("Idle"), &json!(null), &json!(100)));
    rig.client.connect(Some(BOUND)).unwrap();
    rig.wait_sim("a renewal", |log| log.connections[0].accepted >= 2);
    rig.sim.ws().act(None, [Action::Reset]);
    crate::text::came_back(&rig, 1);
    let live = fits(&rig.client.stats_json());
    assert!(live["token"]["usable_for_ms"].is_u64() && live["trust"]["roots"] == 1, "{live}");
    let client = Arc::clone(&rig.client);
    rig.close();
    assert_eq!(fits(&client.stats_json())["state"], "Closed");
}

#[test]
fn it_fits_inside_a_callback() {
    let told = Arc::new(OnceLock::new());
    let me: Arc<OnceLock<std::sync::Weak<Client>>> = Arc::default();
    let (inside, out) = (Arc::clone(&me), Arc::clone(&told));
    let rig = Setup::default().build_with(|hooks, _| {
        hooks.on_token = Some(Arc::new(move |_| {
            let client = inside.get().and_then(std::sync::Weak::upgrade).expect("the client lives");
            let _ = out.set(client.stats_json());
        }));
    });
    me.set(Arc::downgrade(&rig.client)).expect("once");
    rig.client.connect(Some(BOUND)).unwrap();
    rig.close();
    let stats = fits(told.get().expect("on_token was called"));
    assert_eq!(stats["running_callback"]["name"], "on_token");
}

#[test]
fn it_fits_in_the_other_profile() {
    let setup = Setup { options: Options::notifications(), ..Setup::default() };
    let sim = ffi_tests::sim::Sim::start(setup.options.clone());
    let mut config = aim(genesys_ws_auth::Config::new(), &sim, false);
    for (key, value) in [("profile", "notifications"), ("ws.url", ""), ("api.url", &*sim.api_url())] {
        config.set(key, value).unwrap();
    }
    config.set("notifications.streaming_host", &sim.streaming_host()).unwrap();
    let client = Client::new(&config).unwrap();
    client.connect(Some(BOUND)).unwrap();
    let stats = fits(&client.stats_json());
    assert!(stats["channels"] == 1 && stats["rate_limit"].is_object(), "{stats}");
    assert!(client.shutdown(Some(BOUND)).complete);
}
