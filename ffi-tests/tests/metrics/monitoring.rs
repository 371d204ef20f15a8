//! `examples/monitoring`: dashboard and alert rules name nothing that there is not, in expressions that Prometheus can parse.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use genesys_ws_auth::metrics::Format;
use genesys_ws_auth::{Client, Config, TokenSource};
use serde_json::Value;

use crate::harness::{aim, BOUND};
use crate::judge::{judge, skip};
use crate::text::eventful;

/// Labels that the scraper adds, or a histogram has.
const GIVEN: [&str; 3] = ["le", "instance", "job"];
/// What node_exporter says of the files that it reads.
const OF_NODE_EXPORTER: &str = "node_textfile_mtime_seconds";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/monitoring").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Names of the samples of a client that has lived, and of one that shares a source, each with the values of its labels.
fn samples() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let rig = eventful();
    let config = aim(Config::new(), &rig.sim, false);
    let guest = Client::with_source(&config, &TokenSource::new(&config).unwrap()).unwrap();
    guest.connect(Some(BOUND)).unwrap();
    let text = Client::metrics_text_of(&[("main", &rig.client), ("guest", &guest)], Format::Prometheus).unwrap();
    assert!(guest.shutdown(Some(BOUND)).complete);
    rig.close();
    let mut found: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').expect(line);
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let values = found.entry(name.to_owned()).or_default();
        // No value has a comma or a quote in it here.
        for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').expect(line);
            values.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
        }
    }
    found
}

/// Everything under this name, at any depth.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(name).and_then(Value::as_str));
            members.values().for_each(|member| all(member, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, name, found)),
        _ => {}
    }
}

/// Every metric that an expression selects is told, and so is every label and value it selects by.
fn are_told(expressions: &[&str]) {
    let told = samples();
    // What Grafana puts in place of its variables; and an expression is one line.
    let plain = |text: &&str| {
        let text = text.replace("$__rate_interval", "5m").replace("$client", ".*");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let lines = expressions.iter().map(plain).collect::<Vec<_>>().join("\n");
    let Some(selected) = judge("promql", &lines) else { return };
    let selected = selected.as_array().expect("one list an expression");
    assert_eq!(selected.len(), expressions.len());
    for (expression, selectors) in expressions.iter().zip(selected) {
        let selectors = selectors.as_array().expect("selectors");
        assert!(!selectors.is_empty(), "{expression} selects nothing");
        for selector in selectors {
            let name = selector[0].as_str().unwrap_or_default();
            if name == OF_NODE_EXPORTER {
                continue;
            }
            let labels = told.get(name).unwrap_or_else(|| panic!("{expression}: there is no {name}"));
            for (label, pattern) in selector[1].as_object().expect("matchers") {
                let values = labels.get(label);
                assert!(values.is_some() || GIVEN.contains(&&**label), "{expression}: {name} has no label {label}");
                let pattern = pattern.as_str().expect("a text");
                let known = |value: &str| value == ".*" || values.is_some_and(|values| values.contains(value));
                assert!(pattern.split('|').all(known), "{expression}: {label} is never {pattern}");
            }
        }
    }
}

#[test]
fn alert_rules_name_what_there_is() {
    let Some(document) = judge("rules", &read("alerts.yml")) else { return };
    let groups = document["groups"].as_array().expect("groups");
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    let mut names = BTreeSet::new();
    for rule in &rules {
        let name = rule["alert"].as_str().expect("a name");
        assert!(names.insert(name), "{name} twice");
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()), "{name}");
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
    }
    assert!(rules.len() >= 10);
    let mut expressions = Vec::new();
    all(&document, "expr", &mut expressions);
    are_told(&expressions);
}

#[test]
fn the_dashboard_names_what_there_is() {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let mut expressions = Vec::new();
    all(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() >= 15, "{expressions:?}");
    are_told(&expressions);
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each has a number of its own");
    for panel in panels {
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{}", panel["title"]);
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
}

/// Prometheus's own linter: rules, and the text that the textfile collector reads.
#[test]
fn promtool_accepts_rules_and_text() {
    if let Err(why) = Command::new("promtool").arg("--version").output() {
        return skip("promtool", &why.to_string());
    }
    promtool(&["check", "rules", file("alerts.yml").to_str().expect("a path")], b"");
    let rig = eventful();
    let text = Client::metrics_text_of(&[("main", &rig.client)], Format::Prometheus).unwrap();
    rig.close();
    promtool(&["check", "metrics"], text.as_bytes());
}

/// The rules against made-up series: each fires when it should, and not before.
#[test]
fn alerts_fire_when_they_should() {
    if let Err(why) = Command::new("promtool").arg("--version").output() {
        return skip("promtool", &why.to_string());
    }
    let output = Command::new("promtool").args(["test", "rules"]).arg(alert_tests()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// No rule is without a series that raises it, and a moment at which it is quiet: a condition that never holds is no alert.
#[test]
fn every_alert_is_raised_and_is_quiet() {
    let Some(rules) = judge("rules", &read("alerts.yml")) else { return };
    let text = fs::read_to_string(alert_tests()).expect("it can be read");
    let Some(document) = judge("rules", &text) else { return };
    let mut names = Vec::new();
    all(&rules, "alert", &mut names);
    let names: BTreeSet<&str> = names.into_iter().collect();
    let (mut raised, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for test in document["tests"].as_array().expect("tests") {
        for case in test["alert_rule_test"].as_array().expect("cases") {
            let is_raised = case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
            (if is_raised { &mut raised } else { &mut quiet }).insert(case["alertname"].as_str().expect("a name"));
        }
    }
    assert!(!names.is_empty());
    assert_eq!((&raised, &quiet), (&names, &names), "raised, and quiet");
}

/// The made-up series.
fn alert_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics/alerts_test.yml")
}

fn promtool(arguments: &[&str], input: &[u8]) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}
