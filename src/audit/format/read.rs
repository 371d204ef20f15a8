//! Reads a rendered record back into its facts, by native names: what each format says where, written down a second time.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::time::push_utc;
use super::cef::{joined, visible};
use super::Format;

/// Facts by name, all as text; those that are empty are left out.
pub(super) struct Said(pub(super) BTreeMap<String, String>);

impl Said {
    fn put(&mut self, name: &str, value: impl ToString) {
        let value: String = value.to_string();
        if !value.is_empty() {
            let before = self.0.insert(name.to_owned(), value);
            assert_eq!(before, None, "{name} is said twice");
        }
    }

    /// Members of JSON under their own names.
    fn put_all(&mut self, members: &Map<String, Value>) {
        for (name, value) in members {
            self.put(name, text(value));
        }
    }

    /// As a format says it that has no escape for what breaks lines.
    pub(super) fn visible(mut self) -> Self {
        for value in self.0.values_mut() {
            *value = value.chars().map(visible).collect();
        }
        self
    }

    /// As CEF says it, which has escapes for line breaks.
    pub(super) fn visible_but_breaks(mut self) -> Self {
        for value in self.0.values_mut() {
            *value = value.chars().map(|c| if matches!(c, '\n' | '\r') { c } else { visible(c) }).collect();
        }
        self
    }
}

/// What a text says.
pub(super) fn read(format: Format, line: &str) -> Said {
    let mut said = Said(BTreeMap::new());
    match format {
        Format::Native => native(&mut said, &json(line)),
        Format::Ocsf => ocsf(&mut said, &json(line)),
        Format::Ecs => ecs(&mut said, &json(line)),
        Format::Cef => cef(&mut said, line),
        Format::Rfc5424 => syslog(&mut said, line),
    }
    said
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(texts) => {
            let texts: Vec<String> = texts.iter().map(text).collect();
            joined(&texts)
        }
        other => other.to_string(),
    }
}

fn native(said: &mut Said, value: &Value) {
    let mut members = value.as_object().unwrap().clone();
    members.remove("severity");
    if let Some(Value::Object(metadata)) = members.remove("metadata") {
        members.extend(metadata);
    }
    // The scope payload of the tutorial has names of its own, and says in `result` what is `status` elsewhere.
    if let Some(action) = members.remove("action") {
        members.insert("event_type".into(), action);
        let status = if members["result"] == "allowed" { "success" } else { "failure" };
        members.insert("status".into(), status.into());
        members.remove("clientId").map(|id| members.insert("token_client_id".into(), id));
    }
    said.put_all(&members);
}

fn ocsf(said: &mut Said, event: &Value) {
    let mut time = String::new();
    push_utc(&mut time, event["time"].as_u64().unwrap());
    said.put("timestamp", time);
    said.put("id", text(&event["metadata"]["uid"]));
    said.put("event_type", text(&event["metadata"]["log_name"]));
    said.put("seq", text(&event["metadata"]["sequence"]));
    said.put("status", if event["status_id"] == 1 { "success" } else { "failure" });
    said.put("region", text(&event["cloud"]["region"]));
    let user = if event["user"].is_object() { &event["user"] } else { &event["actor"]["user"] };
    said.put("client_id", text(&user["uid"]));
    for (at, name) in [("status_code", "error_code"), ("status_detail", "error"), ("duration", "latency_ms")] {
        said.put(name, event.get(at).map(text).unwrap_or_default());
    }
    said.put_all(event["unmapped"].as_object().unwrap());
}

fn ecs(said: &mut Said, root: &Value) {
    said.put("timestamp", text(&root["@timestamp"]));
    let event = &root["event"];
    said.put("id", text(&event["id"]));
    said.put("event_type", text(&event["action"]));
    said.put("seq", text(&event["sequence"]));
    said.put("status", text(&event["outcome"]));
    if let Some(ns) = event.get("duration") {
        said.put("latency_ms", ns.as_u64().unwrap() / 1_000_000);
    }
    said.put("error_code", root["error"].get("code").map(text).unwrap_or_default());
    said.put("error", root["error"].get("message").map(text).unwrap_or_default());
    said.put("source", text(&root["service"]["name"]));
    said.put("client_id", text(&root["user"]["id"]));
    said.put("region", text(&root["cloud"]["region"]));
    said.put_all(root["genesys_ws_auth"].as_object().unwrap());
}

/// Seven fields between bars, then pairs: a key is what stands before an `=` that no backslash escapes.
fn cef(said: &mut Said, line: &str) {
    let fields: Vec<&str> = line.splitn(8, '|').collect();
    assert_eq!(fields[0], "CEF:0");
    let pairs = pairs(fields[7]);
    for (key, value) in &pairs {
        let name = match key.as_str() {
            "rt" => {
                let mut time = String::new();
                push_utc(&mut time, value.parse().unwrap());
                said.put("timestamp", time);
                continue;
            }
            "destinationServiceName" => continue,
            "externalId" => "id",
            "cat" => "event_type",
            "outcome" => "status",
            "suser" => "client_id",
            "sourceServiceName" => "source",
            "destinationDnsDomain" => "region",
            "reason" => "error_code",
            "msg" => "error",
            key if key.ends_with("Label") => continue,
            key if pairs.contains_key(&format!("{key}Label")) => &pairs[&format!("{key}Label")],
            key => &snake(key.strip_prefix("gwa").unwrap()),
        };
        said.put(name, value);
    }
}

fn pairs(extension: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let (mut key, mut value, mut escaped) = (String::new(), String::new(), false);
    for character in extension.chars() {
        match character {
            '=' if !escaped => {
                let (before, next) = value.rsplit_once(' ').unwrap_or(("", &value));
                let (before, next) = (before.to_owned(), next.to_owned());
                if !key.is_empty() {
                    assert_eq!(pairs.insert(key, before), None);
                }
                (key, value) = (next, String::new());
            }
            '\\' if !escaped => escaped = true,
            other => {
                value.push(match other {
                    'n' if escaped => '\n',
                    'r' if escaped => '\r',
                    other => other,
                });
                escaped = false;
            }
        }
    }
    pairs.insert(key, value);
    pairs
}

fn snake(camel: &str) -> String {
    let mut name = String::new();
    for character in camel.chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

fn syslog(said: &mut Said, line: &str) {
    let fields: Vec<&str> = line.splitn(7, ' ').collect();
    assert!(fields[0].starts_with('<') && fields[0].ends_with(">1"));
    said.put("timestamp", fields[1]);
    said.put("event_type", fields[5]);
    let (id, mut rest) = fields[6].strip_prefix('[').unwrap().split_once(' ').unwrap();
    assert_eq!(id, "gwa@32473");
    while !rest.starts_with(']') {
        let (name, after) = rest.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (_, '\\') => value.push(characters.next().unwrap().1),
                (at, '"') => break at,
                (_, other) => value.push(other),
            }
        };
        rest = after[end + 1..].trim_start_matches(' ');
        if !["kind", "version"].contains(&name) {
            said.put(name, value);
        }
    }
}
