//! Audit records of whatever text: a format keeps its own shape, and the text.

use serde_json::Value;

use super::text_line;
use crate::audit::format::read::{assert_same, is_one_line, OTHERS};
use crate::audit::json::{Body, Context, Entry, Sink};
use crate::audit::seal::{find, Seal, DIGITS, ZEROS};
use crate::audit::{Formats, Outcome, Phase, Record, ScopeAudit, ScopeResult, Trust};
use crate::error::{Code, Error, Stage};
use crate::metrics::Totals;

/// A line each: which record, region, client id, source, boot id, and the texts of the record.
struct Given {
    entry: Entry,
    context: Context,
    sink: Sink,
}

/// The format `native`: one JSON object with no member twice, on one line, ended by a NUL.
pub fn native(data: &[u8]) {
    let Given { entry, context, sink } = given(data);
    let mut out = String::from("left over");
    entry.render_with_nul(&context, sink, None, &mut out);
    let json = out.strip_suffix('\0').expect("a NUL ends it");
    assert!(json.bytes().all(|byte| byte >= 0x20), "{json:?}");
    let read: Value = serde_json::from_str(json).expect("it is JSON");
    assert!(members(&read) == colons(json), "a member twice: {json}");
    assert_eq!(read["boot_id"], context.boot_id.as_str());
    if let Some(client_id) = read.pointer("/metadata/client_id") {
        assert_eq!(client_id, context.client_id.as_str());
    }
    if let Sink::Siem { .. } = sink {
        assert_eq!(read["source"], context.source.as_str());
    }
}

/// Largest input whose texts no format has to cut: a byte that is no UTF-8 becomes three.
const UNCUT: usize = 200;
/// Largest number that is the same in nanoseconds.
const UNBOUND: u64 = 1 << 40;

/// All other formats: one line of bounded size, ended by a NUL, its seal where the chain looks for it, and the same facts as
/// in the format `native`.
pub fn formats(data: &[u8]) {
    let Given { entry, context, sink } = given(data);
    let mut native = String::new();
    entry.render_with_nul(&context, sink, None, &mut native);
    for format in OTHERS {
        let formats = Formats { audit: format, siem: format, ..Formats::default() };
        let render = |seal: Option<&Seal>| {
            let mut out = String::from("left over");
            formats.render_with_nul(&entry, &context, sink, seal, &mut out);
            assert_eq!(out.pop(), Some('\0'), "a NUL ends it");
            is_one_line(&out);
            assert!(out.len() < 100_000, "{} bytes", out.len());
            out
        };
        let sealed = render(Some(&Seal { epoch: entry.seq }));
        let place = find(sealed.as_bytes()).expect("a seal");
        assert_eq!((place.epoch, sealed.get(place.at..place.at + DIGITS)), (entry.seq, Some(ZEROS)), "{sealed}");
        let line = render(None);
        assert_eq!(find(line.as_bytes()), None, "{line}");
        if data.len() <= UNCUT && entry.seq < UNBOUND {
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

fn given(data: &[u8]) -> Given {
    let (which, rest) = text_line(data);
    let (region, rest) = text_line(rest);
    let (client_id, rest) = text_line(rest);
    let (source, rest) = text_line(rest);
    let (boot_id, rest) = text_line(rest);
    // In the record itself a line may end within a text: a tab stands for what separates here.
    let texts: Vec<String> = String::from_utf8_lossy(rest).split('\t').map(str::to_owned).collect();
    let which = which.parse().unwrap_or(0_u64);
    let body = match which % 16 {
        0 => Body::Loss { first: which },
        other => Body::Record(record(other, which, texts)),
    };
    let sink = if which % 2 == 0 { Sink::Audit } else { Sink::Siem { prev_seq: which / 2 } };
    let entry = Entry { seq: which, id: boot_id.clone(), wall_ms: which, totals: Totals::default(), body };
    Given { entry, context: Context { region, client_id, source, boot_id }, sink }
}

fn record(kind: u64, number: u64, texts: Vec<String>) -> Record {
    let first = texts.first().cloned().unwrap_or_default();
    let code = Code::ALL[number as usize % Code::ALL.len()];
    let error = Error::new(code, Stage::Token, first.clone()).with(|detail| {
        detail.host = texts.last().cloned().unwrap_or_default();
        detail.missing_scopes = texts.clone();
        detail.http_status = (number % 600) as u16;
    });
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
        10 => Record::ScopesChanged { added: texts.clone(), removed: texts.clone(), missing: texts },
        11 => Record::KeysStale { age_ms: number, error },
        12 => Record::Subscribed { permitted: number, refused: number, rejected: texts },
        13 => Record::ConfigurationLoaded { fingerprint: first },
        14 => Record::TrustLoaded { store: first, roots: number, pins: number },
        _ => Record::ClockStepped { by_ms: number as i64 },
    }
}

fn scopes(result: ScopeResult, texts: Vec<String>) -> Record {
    let client_id = texts.first().cloned().unwrap_or_default();
    Record::Scopes(ScopeAudit { result, required: texts.clone(), granted: texts.clone(), missing: texts, client_id })
}
