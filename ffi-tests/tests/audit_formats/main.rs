//! Every format of an audit record before judges that nobody here wrote: OCSF's published schema, ECS's published field
//! list, a CEF parser, an RFC 5424 parser. They judge a record of every kind, with harmless and with hostile texts, and what
//! both sinks of a real client are given. See `peers/judge`.

#[allow(dead_code, reason = "shared with the tests of other peers")]
#[path = "../../peers/harness.rs"]
mod harness;
#[path = "../../../src/audit/format/specimens.rs"]
mod specimens;

mod client;
mod judge;
mod syslog;

use std::collections::BTreeSet;

use genesys_ws_auth::audit::{Format, Kind, Record, Specimen};
use serde_json::Value;

use harness::{available, Peer};
use judge::{problems, Judge};

/// What `specimens` needs, which the library's own tests share.
mod api {
    pub use genesys_ws_auth::audit::{Kind, Outcome, Phase, Record, ScopeAudit, ScopeResult, Specimen, Trust};
    pub use genesys_ws_auth::error::{Code, Detail, Error, Stage};
}

/// Harmless first; then what means something to one of the formats, to whoever splits lines, or to nobody.
const TEXTS: [&str; 8] = [
    "user:read",
    "a=b|c\\d\"e]f",
    "]\" act=allow msg=forged gwaMac=0 [x@1 y=\"z\"] <13>1 - ",
    "\n\r\0\t\u{1b}[31m\u{7f}\u{85}\u{2028}\u{2029}",
    "ü 😀 \u{feff}\u{202e}\u{3000}x",
    "\\n \\= \\] \\\"\\",
    "\",\"class_uid\":0,\"x\":{\"",
    "CEF:0|a|b|c|d|e|9|rt=1 outcome=success",
];

const REGION: &str = "mypurecloud.com";

/// What is named so in no native record: the seal, which is asked for elsewhere, and a scope record's `clientId`.
const NOT_NATIVE: [&str; 3] = ["mac_epoch", "mac", "token_client_id"];

#[test]
fn ocsf_is_valid_by_its_schema() {
    judged("ocsf_is_valid_by_its_schema", Format::Ocsf, "lines", |case, parsed| case.are_native(&parsed["unmapped"]));
}

#[test]
fn ecs_has_no_field_that_is_none() {
    judged("ecs_has_no_field_that_is_none", Format::Ecs, "ecs", |case, parsed| {
        case.are_native(&parsed["genesys_ws_auth"]);
    });
}

#[test]
fn cef_is_read_by_a_parser_of_others() {
    judged("cef_is_read_by_a_parser_of_others", Format::Cef, "lines", |case, parsed| {
        let native = &case.native;
        assert_eq!(parsed["DeviceEventClassID"], case.kind.id().to_string());
        assert_eq!(parsed["cat"], case.kind.name());
        assert_eq!(parsed["seq"], native["seq"].to_string());
        assert_eq!(parsed["prev_seq"], native["prev_seq"].to_string());
        assert_eq!(parsed["boot_id"], native["boot_id"]);
        said(&parsed["msg"], case.error());
        said(&parsed["reason"], &native["metadata"]["error_code"]);
    });
}

/// The judges find fault where there is one: without this, a judge that says yes to everything would pass.
#[test]
fn the_judges_can_say_no() {
    if !available("the_judges_can_say_no", &[Peer::Judge]) {
        return;
    }
    let line = |format| Specimen::Record(Record::Closed).render(format, REGION, "x", false);
    let swap = |format, from: &str, to: &str| {
        let changed = line(format).replacen(from, to, 1);
        assert_ne!(changed, line(format), "{from}");
        changed
    };
    let mut lines = Judge::start("lines");
    for bad in [
        swap(Format::Ocsf, "\"class_uid\":6002,", ""),
        swap(Format::Ocsf, "{\"time\"", "{\"mac\":\"\",\"time\""),
        swap(Format::Ocsf, "\"severity\":\"Informational\"", "\"severity\":\"High\""),
        swap(Format::Ocsf, "\"type_uid\":600204", "\"type_uid\":600203"),
    ] {
        assert!(!problems(&lines.judge(Format::Ocsf, &bad)).is_empty(), "{bad}");
    }
    for bad in ["CEF:", "<86>1 - - - - - -", ""] {
        assert!(!problems(&lines.judge(Format::Cef, bad)).is_empty(), "{bad}");
    }
    let mut ecs = Judge::start("ecs");
    for bad in [
        swap(Format::Ecs, "\"action\"", "\"deed\""),
        swap(Format::Ecs, "\"kind\":\"event\"", "\"kind\":\"thing\""),
        swap(Format::Ecs, "[\"end\"]", "[\"denied\"]"),
        swap(Format::Ecs, "\"sequence\":7", "\"sequence\":\"7\""),
        swap(Format::Ecs, "[\"process\"]", "\"process\""),
        swap(Format::Ecs, "\"ecs\":{\"version\":\"9.4.0\"},", ""),
    ] {
        assert!(!problems(&ecs.judge(Format::Ecs, &bad)).is_empty(), "{bad}");
    }
    lines.end();
    ecs.end();
}

/// One record in the format that is judged, and in the native one.
struct Case {
    kind: Kind,
    native: Value,
}

impl Case {
    /// In words; the scope payload has it elsewhere.
    fn error(&self) -> &Value {
        self.native.get("error").unwrap_or(&self.native["metadata"]["error"])
    }

    /// What a schema has no place for and leaves to us has names of the native record.
    #[track_caller]
    fn are_native(&self, own: &Value) {
        let members = own.as_object().expect("members of our own");
        let is_known = |name: &str| {
            NOT_NATIVE.contains(&name) || self.native.get(name).or(self.native["metadata"].get(name)).is_some()
        };
        let others: Vec<_> = members.keys().filter(|name| !is_known(name)).collect();
        assert!(!members.is_empty() && others.is_empty(), "{others:?} of {own:#} are not in {:#}", self.native);
    }
}

/// Every kind, with every text, as the judge sees it: no problem, and the names that are said do not depend on the text.
fn judged(test: &str, format: Format, program: &str, check: impl Fn(&Case, &Value)) {
    if !available(test, &[Peer::Judge]) {
        return;
    }
    let mut judge = Judge::start(program);
    let mut names_of_harmless = Vec::new();
    for (round, text) in TEXTS.iter().enumerate() {
        for (index, record) in specimens::all(text).into_iter().enumerate() {
            let kind = record.about();
            let native = record.render(Format::Native, text, text, false);
            let case = Case { kind, native: serde_json::from_str(&native).unwrap() };
            for is_sealed in [false, true] {
                let line = record.render(format, text, text, is_sealed);
                let verdict = judge.judge(format, &line);
                assert!(problems(&verdict).is_empty(), "{line}\n{verdict:#}");
                // A judge of JSON says no more than what is wrong with it.
                let read = || serde_json::from_str(&line).expect("JSON");
                let parsed = verdict.get("parsed").cloned().unwrap_or_else(read);
                check(&case, &parsed);
                if is_sealed {
                    continue;
                }
                let names = names(&parsed);
                assert!(!names.is_empty(), "{line}");
                if round == 0 {
                    names_of_harmless.push(names.clone());
                }
                assert_eq!(names, names_of_harmless[index], "{line}");
            }
        }
    }
    judge.end();
}

/// The names that the parser found, each with those it is under.
fn names(parsed: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = vec![(String::new(), parsed)];
    while let Some((path, value)) = rest.pop() {
        for (name, member) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            rest.push((path.clone(), member));
            found.insert(path);
        }
        rest.extend(value.as_array().into_iter().flatten().map(|item| (path.clone(), item)));
    }
    found
}

/// A text came through, but for control characters, of which CEF can only say line breaks.
fn said(parsed: &Value, native: &Value) {
    let visible = |c: char| match c {
        '\n' | '\r' => c,
        other => syslog::visible(other),
    };
    let native = native.as_str().map(|text| text.chars().map(visible).collect::<String>());
    assert_eq!(parsed.as_str(), native.as_deref());
}
