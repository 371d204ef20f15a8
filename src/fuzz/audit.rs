//! Audit records of whatever text: a format keeps its own shape, and the text.

use serde_json::{json, Value};

use super::text_line;
use crate::audit::checkpoint::{Checkpoint, Reason};
use crate::audit::format::read::{assert_same, is_one_line, OTHERS};
use crate::audit::json::{Body, Context, Entry, Sink};
use crate::audit::seal::{find, Seal, DIGITS, ZEROS};
use crate::audit::{Formats, Kind, Outcome, Phase, Record, ScopeAudit, ScopeResult, Trust};
use crate::error::{Code, Error, Stage};
use crate::metrics::{Metrics, Tally, Totals};

/// A line each: which record, region, client id, source, boot id, and the texts of the record.
struct Given {
    entry: Entry,
    context: Context,
    sink: Sink,
}

/// Renders an entry, ended by a NUL, into a text that is not empty before.
type Renders = fn(&Formats, &Given, Option<&Seal>, &mut String);

fn rendered(formats: &Formats, given: &Given, seal: Option<&Seal>, out: &mut String) {
    formats.render_with_nul(&given.entry, &given.context, given.sink, seal, out);
}

/// The format `native`: one JSON object with no member twice, on one line, ended by a NUL, and the texts in it as they were.
pub fn native(data: &[u8]) {
    native_by(data, rendered);
}

fn native_by(data: &[u8], renders: Renders) {
    let given = given(data);
    let mut out = String::from("left over");
    renders(&Formats::default(), &given, None, &mut out);
    let json = out.strip_suffix('\0').expect("a NUL ends it");
    assert!(json.bytes().all(|byte| byte >= 0x20), "not one line: {json:?}");
    let read: Value = serde_json::from_str(json).expect("it is JSON");
    assert!(members(&read) == colons(json), "a member twice: {json}");
    for (place, text) in said(&given) {
        assert_eq!(read.pointer(place), Some(&text), "another text in {place}: {json}");
    }
}

/// Where the native text has which of the texts it was given, written down a second time. It cuts none.
fn said(Given { entry, context, sink }: &Given) -> Vec<(&'static str, Value)> {
    let mut all = vec![("/boot_id", json!(context.boot_id))];
    if let Sink::Siem { .. } = sink {
        all.push(("/source", json!(context.source)));
    }
    // The scope payload is the tutorial's, which has no place for what is the same in every record.
    if !matches!(entry.body, Body::Record(Record::Scopes(_))) {
        all.push(("/id", json!(entry.id)));
        if !matches!(entry.body, Body::Loss { .. }) {
            all.push(("/metadata/region", json!(context.region)));
            all.push(("/metadata/client_id", json!(context.client_id)));
        }
    }
    match &entry.body {
        Body::Record(record) => all.extend(said_of(record)),
        Body::Checkpoint(checkpoint) => {
            if let Reason::StateFailed(error) = &checkpoint.reason {
                all.push(in_words(error));
            }
        }
        Body::Loss { .. } => {}
    }
    all
}

fn said_of(record: &Record) -> Vec<(&'static str, Value)> {
    match record {
        Record::Attempt { outcome: Outcome::Success { scopes }, .. } => vec![("/metadata/scopes", json!(scopes))],
        Record::Attempt { outcome: Outcome::Failure(error), .. } => match error.code() {
            Code::ScopeDenied | Code::ScopeUnknown | Code::TokenMalformed => {
                vec![("/metadata/missing", json!(error.detail().missing_scopes))]
            }
            _ => vec![in_words(error)],
        },
        Record::Scopes(ScopeAudit { result: ScopeResult::InvalidTokenStructure, .. }) => vec![],
        Record::Scopes(scopes) => vec![
            ("/required", json!(scopes.required)),
            ("/granted", json!(scopes.granted)),
            ("/missing", json!(scopes.missing)),
            ("/clientId", json!(scopes.client_id)),
        ],
        Record::Panicked { location } => vec![("/metadata/location", json!(location))],
        Record::ScopesChanged { added, removed, missing } => vec![
            ("/metadata/added", json!(added)),
            ("/metadata/removed", json!(removed)),
            ("/metadata/missing", json!(missing)),
        ],
        Record::Subscribed { rejected, .. } => vec![("/metadata/rejected", json!(rejected))],
        Record::ConfigurationLoaded { fingerprint } => vec![("/metadata/fingerprint", json!(fingerprint))],
        Record::TrustLoaded { store, .. } => vec![("/metadata/store", json!(store))],
        Record::RefreshTokenNotPersisted { error }
        | Record::ConnectionLost { error, .. }
        | Record::TokenRefused { error }
        | Record::KeysStale { error, .. }
        | Record::Displaced { error } => vec![in_words(error)],
        _ => vec![],
    }
}

/// An error as one text: where, what, the particular of the case, and the host.
fn in_words(error: &Error) -> (&'static str, Value) {
    let detail = error.detail();
    let mut words = format!("{}: {}", detail.stage.name(), detail.code.text());
    if !detail.message.is_empty() {
        words = format!("{words} {}", detail.message);
    }
    if !detail.host.is_empty() {
        words = format!("{words} [{}]", detail.host);
    }
    ("/metadata/error", json!(words))
}

/// Largest input whose texts no format has to cut: a byte that is no UTF-8 becomes three.
const UNCUT: usize = 200;
/// Largest number that is the same in nanoseconds.
const UNBOUND: u64 = 1 << 40;

/// All other formats: one line of bounded size, ended by a NUL, its seal where the chain looks for it, and the same facts as
/// in the format `native`.
pub fn formats(data: &[u8]) {
    formats_by(data, rendered);
}

fn formats_by(data: &[u8], renders: Renders) {
    let given = given(data);
    let seq = given.entry.seq;
    let mut native = String::new();
    rendered(&Formats::default(), &given, None, &mut native);
    for format in OTHERS {
        let formats = Formats { audit: format, siem: format, ..Formats::default() };
        let render = |seal: Option<&Seal>| {
            let mut out = String::from("left over");
            renders(&formats, &given, seal, &mut out);
            assert_eq!(out.pop(), Some('\0'), "a NUL ends it");
            is_one_line(&out);
            assert!(out.len() < 100_000, "{} bytes", out.len());
            out
        };
        let sealed = render(Some(&Seal { epoch: seq }));
        let place = find(sealed.as_bytes()).expect("a seal");
        assert_eq!((place.epoch, sealed.get(place.at..place.at + DIGITS)), (seq, Some(ZEROS)), "{sealed}");
        let line = render(None);
        assert_eq!(find(line.as_bytes()), None, "{line}");
        if data.len() <= UNCUT && seq < UNBOUND {
            assert_same(native.trim_end_matches('\0'), format, &line);
        }
    }
}

/// Members of an object, and of those in it.
fn members(value: &Value) -> usize {
    match value {
        Value::Object(members_of) => members_of.len() + members_of.values().map(members).sum::<usize>(),
        Value::Array(items) => items.iter().map(members).sum(),
        _ => 0,
    }
}

/// Colons outside of strings: one for each member that was written.
fn colons(json: &str) -> usize {
    let (mut count, mut inside, mut escaped) = (0, false, false);
    for c in json.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            ':' if !inside => count += 1,
            _ => {}
        }
    }
    count
}

/// What can be recorded, as the number in the first line has it.
const KINDS: u64 = 29;

fn given(data: &[u8]) -> Given {
    let (which, rest) = text_line(data);
    let (region, rest) = text_line(rest);
    let (client_id, rest) = text_line(rest);
    let (source, rest) = text_line(rest);
    let (boot_id, rest) = text_line(rest);
    // In the record itself a line may end within a text: a tab stands for what separates here.
    let texts: Vec<String> = String::from_utf8_lossy(rest).split('\t').map(str::to_owned).collect();
    let which = which.parse().unwrap_or(0_u64);
    // Each of its own digits of the number, or some would never meet.
    let (kind, is_siem, number) = (which % KINDS, which / KINDS % 2 == 1, which / KINDS / 2);
    let sink = if is_siem { Sink::Siem { prev_seq: which / 2 } } else { Sink::Audit };
    let body = body(kind, number, texts);
    let entry = Entry { seq: which, id: boot_id.clone(), wall_ms: which, totals: Totals::default(), body };
    Given { entry, context: Context { region, client_id, source, boot_id }, sink }
}

fn body(kind: u64, number: u64, texts: Vec<String>) -> Body {
    match kind {
        0 => Body::Loss { first: number },
        27 => checkpoint(Reason::StateFailed(error(number, &texts))),
        28 => checkpoint(Reason::Start("closed")),
        other => Body::Record(record(other, number, texts)),
    }
}

fn checkpoint(reason: Reason) -> Body {
    let tally = Tally::default().after(Kind::Closed, Kind::Closed.level());
    let counted = Metrics { token_requests: 4, connects: 5, ..Metrics::default() };
    Body::Checkpoint(Box::new(Checkpoint { reason, chain: "none", tally, lost: 1, counted, state_failures: 3 }))
}

fn error(number: u64, texts: &[String]) -> Error {
    let code = Code::ALL[number as usize % Code::ALL.len()];
    Error::new(code, Stage::Token, texts.first().cloned().unwrap_or_default()).with(|detail| {
        detail.host = texts.last().cloned().unwrap_or_default();
        detail.missing_scopes = texts.to_vec();
        detail.http_status = (number % 600) as u16;
    })
}

fn record(kind: u64, number: u64, texts: Vec<String>) -> Record {
    let first = texts.first().cloned().unwrap_or_default();
    let error = error(number, &texts);
    let latency_ms = number;
    let attempt = |outcome| Record::Attempt { phase: Phase::Renewal, outcome, latency_ms, scopes_validated: true };
    match kind {
        1 => attempt(Outcome::Success { scopes: texts }),
        2 => attempt(Outcome::Failure(error)),
        3 => scopes(ScopeResult::Allowed, texts),
        4 => scopes(ScopeResult::Denied, texts),
        5 => scopes(ScopeResult::InvalidTokenStructure, texts),
        6 => Record::RefreshTokenNotPersisted { error },
        7 => Record::ConnectionLost { connection: number, error },
        8 => Record::Panicked { location: first },
        9 => Record::TokenIssued { serial: number, lifetime_ms: number, rotated: true, trust: Trust::Verified },
        10 => Record::ScopesChanged { added: texts.clone(), removed: reversed(&texts), missing: but_one(&texts) },
        11 => Record::KeysStale { age_ms: number, error },
        12 => Record::Subscribed { permitted: number, refused: number, rejected: texts },
        13 => Record::ConfigurationLoaded { fingerprint: first },
        14 => Record::TrustLoaded { store: first, roots: number, pins: number },
        15 => Record::ClockStepped { by_ms: number as i64 },
        16 => Record::Closed,
        17 => Record::TokenRequested { grant: "refresh_token", authentication: "basic" },
        18 => Record::TokenRefused { error },
        19 => Record::RefreshTokenStored { by: "application" },
        20 => Record::IdentityChanged { claim: "sub" },
        21 => Record::KeysLoaded { keys: number },
        22 => Record::SocketOpened { connection: number },
        23 => Record::SocketClosed { connection: number, code: number as u16, clean: number % 2 == 0 },
        24 => Record::ChannelMade,
        25 => Record::Displaced { error },
        _ => Record::Resumed { slept_ms: number },
    }
}

fn scopes(result: ScopeResult, texts: Vec<String>) -> Record {
    let client_id = texts.first().cloned().unwrap_or_default();
    let (granted, missing) = (reversed(&texts), but_one(&texts));
    Record::Scopes(ScopeAudit { result, required: texts, granted, missing, client_id })
}

/// Lists of the same texts that are unlike, so that one in the place of another is seen.
fn reversed(texts: &[String]) -> Vec<String> {
    texts.iter().rev().cloned().collect()
}

fn but_one(texts: &[String]) -> Vec<String> {
    texts.iter().skip(1).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_broken, files, seed};
    use super::*;

    fn kind(given: &Given) -> (&'static str, bool) {
        (given.entry.kind(), matches!(given.sink, Sink::Siem { .. }))
    }

    #[test]
    fn every_kind_is_made_for_either_sink() {
        let made: Vec<_> = (0..2 * KINDS).map(|which| kind(&given(which.to_string().as_bytes()))).collect();
        for name in Kind::ALL.iter().map(|kind| kind.name()) {
            assert!(made.contains(&(name, false)) && made.contains(&(name, true)), "{name}");
        }
    }

    #[test]
    fn the_corpora_have_every_kind_and_either_sink() {
        for target in ["audit_native", "audit_formats"] {
            let made: Vec<_> = files(target).iter().map(|(_, data)| kind(&given(data))).collect();
            for name in Kind::ALL.iter().map(|kind| kind.name()) {
                assert!(made.iter().any(|(made, _)| *made == name), "{target} has no {name}");
            }
            for sink in [false, true] {
                assert!(made.iter().filter(|(_, is_siem)| *is_siem == sink).count() > 8, "{target}, SIEM: {sink}");
            }
        }
    }

    /// As it should be, but for this.
    macro_rules! with {
        ($from:literal => $to:expr) => {
            |formats, given, seal, out| {
                rendered(formats, given, seal, out);
                *out = out.replacen($from, $to, 1);
            }
        };
    }

    #[test]
    fn a_native_text_that_is_not_as_it_was_breaks_a_law() {
        const LIES: [(&str, Renders, &str); 12] = [
            ("success", with!("user:read" => "user:Read"), "/metadata/scopes"),
            ("denied", with!("\"required\":[\"a\"" => "\"required\":[\"b\""), "/required"),
            ("denied", with!("\"clientId\":\"a" => "\"clientId\":\"b"), "/clientId"),
            ("failure", with!("\\\"failed" => "failed"), "/metadata/error"),
            ("refused", with!("api.host" => "api.hos"), "/metadata/error"),
            ("checkpoint", with!("read-only" => "***"), "/metadata/error"),
            ("mismatch", with!("\"missing\":[" => "\"missing\":[\"\","), "/metadata/missing"),
            ("panicked", with!("x.rs" => "y.rs"), "/metadata/location"),
            ("loaded", with!("mypurecloud.com" => "mypurecloud.de"), "/metadata/region"),
            ("loaded", with!("{" => "{\"seq\":1,"), "a member twice"),
            ("loaded", with!("{" => "{\n"), "not one line"),
            ("loaded", with!("\0" => ""), "a NUL ends it"),
        ];
        for (name, lie, words) in LIES {
            assert_broken(words, || native_by(&seed("audit_native", name), lie));
        }
    }

    #[test]
    fn another_text_that_is_not_as_it_was_breaks_a_law() {
        const LIES: [(Renders, &str); 4] = [
            (with!("x.rs" => "y.rs"), "y.rs"),
            (with!("x.rs" => "x.\nrs"), "x.\\nrs"),
            (with!("\0" => ""), "a NUL ends it"),
            (|formats, given, _, out| rendered(formats, given, None, out), "a seal"),
        ];
        for (lie, words) in LIES {
            assert_broken(words, || formats_by(&seed("audit_formats", "panicked"), lie));
        }
    }
}
