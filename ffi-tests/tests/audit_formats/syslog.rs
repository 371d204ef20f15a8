//! RFC 5424 before a parser that nobody here wrote: a crate, so this needs no other runtime.

use std::collections::{BTreeMap, BTreeSet};

use genesys_ws_auth::audit::{Format, Level, Specimen};
use serde_json::Value;
use syslog_rfc5424::message::ProcId;
use syslog_rfc5424::{parse_message, SyslogFacility, SyslogMessage};

use crate::{specimens, TEXTS};

const OURS: &str = "gwa@32473";

/// What the parser makes of a line.
pub fn parsed(line: &str) -> SyslogMessage {
    parse_message(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// As a format has it that cannot escape what breaks lines.
pub fn visible(c: char) -> char {
    if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[test]
fn rfc5424_is_read_by_a_parser_of_others() {
    let mut names_of_harmless = Vec::new();
    for (round, text) in TEXTS.iter().enumerate() {
        for (index, record) in specimens::all(text).into_iter().enumerate() {
            for is_sealed in [false, true] {
                let line = record.render(Format::Rfc5424, text, text, is_sealed);
                let native = record.render(Format::Native, text, text, false);
                let message = parsed(&line);
                says(&message, &record, &serde_json::from_str(&native).unwrap());
                let elements: Vec<&str> = message.sd.keys().map(String::as_str).collect();
                assert_eq!(elements, if is_sealed { vec![OURS, "gwaSeal@32473"] } else { vec![OURS] }, "{line}");
                let names: BTreeSet<String> = message.sd[OURS].keys().cloned().collect();
                if round == 0 && !is_sealed {
                    names_of_harmless.push(names.clone());
                }
                assert_eq!(names, names_of_harmless[index], "{line}");
            }
        }
    }
}

fn says(message: &SyslogMessage, record: &Specimen, native: &Value) {
    let kind = record.about();
    // The specimen of a checkpoint tells of a failure.
    let level = match record {
        Specimen::Record(record) => record.level(),
        Specimen::Loss | Specimen::Checkpoint(_) => Level::Error,
    };
    assert_eq!(message.msgid.as_deref(), Some(kind.name()));
    assert_eq!((message.facility, message.version), (SyslogFacility::LOG_AUTHPRIV, 1));
    assert_eq!(message.severity as i32, 6 - level as i32);
    assert_eq!((message.timestamp, message.timestamp_nanos), (Some(1_715_769_005), Some(123_000_000)));
    assert_eq!(message.procid, Some(ProcId::Name(native["boot_id"].as_str().unwrap().to_owned())));
    assert_eq!(message.sd[OURS]["boot_id"], native["boot_id"]);
    let facts: &BTreeMap<String, String> = &message.sd[OURS];
    for name in ["seq", "prev_seq", "success_rate", "avg_latency_ms", "latency_ms", "first_lost", "last_lost", "count"]
    {
        assert_eq!(facts.get(name).cloned(), native.get(name).map(Value::to_string), "{name}");
    }
    for (name, value) in native["metadata"].as_object().into_iter().flatten() {
        let said = match value {
            Value::String(text) => text.chars().map(visible).collect(),
            Value::Array(texts) => joined(texts),
            other => other.to_string(),
        };
        assert_eq!(facts.get(name), Some(&said), "{name}");
    }
    assert!(message.msg.is_ascii() && !message.msg.contains('"'), "{}", message.msg);
    let words = message.msg.to_lowercase();
    assert!(words.starts_with(&kind.name().replace('_', " ")), "{words}");
}

fn joined(texts: &[Value]) -> String {
    let one = |text: &Value| text.as_str().unwrap().replace('%', "%25").replace(' ', "%20");
    texts.iter().map(one).collect::<Vec<_>>().join(" ").chars().map(visible).collect()
}
