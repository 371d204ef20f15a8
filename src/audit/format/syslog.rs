//! A syslog message (RFC 5424): header, structured data with every fact, and one sentence for people.
//!
//! The transport's framing is the sink's: a datagram needs none, a stream wants RFC 6587 or RFC 5425. PROCID is the boot id:
//! a change of it says that reporting was interrupted (6.2.6), which the number of a process does not when a client is made
//! anew. A list is one parameter, its texts joined by blanks as in CEF.
//!
//! MSG is made of texts of the library alone, all ASCII: it needs no byte order mark (6.4), and nothing a peer has said comes
//! after the structured data, which escape it, and after the chain's seal, which is theirs to end.

use std::fmt::Write;

use super::super::seal::{Seal, ZEROS};
use super::super::time::push_utc;
use super::cef::{joined, visible};
use super::facts::{Datum, Facts};
use super::{PRODUCT, VERSION};

/// Longest APP-NAME, PROCID and HOSTNAME (RFC 5424 6).
const APP_NAME_MAX: usize = 48;
const PROCID_MAX: usize = 128;
const HOSTNAME_MAX: usize = 255;
/// The last moment whose year has four digits (RFC 3339 5.6).
const LAST_MS: u64 = 253_402_300_799_999;

/// What a message says that no record knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Syslog {
    /// Facility (RFC 5424 6.2.1).
    pub facility: u8,
    /// HOSTNAME; empty: not known.
    pub hostname: String,
    /// Private enterprise number in the names of structured data (RFC 5424 7.2.2).
    pub enterprise: u32,
}

impl Default for Syslog {
    /// Facility `authpriv` (security and authorization messages), and the enterprise number for examples (RFC 5612).
    fn default() -> Self {
        Self { facility: 10, hostname: String::new(), enterprise: 32_473 }
    }
}

/// Appends the record.
pub(super) fn render(facts: &Facts<'_>, syslog: &Syslog, seal: Option<&Seal>, out: &mut String) {
    header(facts, syslog, out);
    let entry = facts.entry;
    let _ = write!(out, "[gwa@{} id=\"", syslog.enterprise);
    escaped(out, &entry.id);
    let _ = write!(out, "\" seq=\"{}\" kind=\"{}\"", entry.seq, facts.kind().id());
    text(out, "status", facts.status());
    text(out, "client_id", &facts.client_id());
    text(out, "region", &facts.region());
    text(out, "source", &facts.source());
    text(out, "version", VERSION);
    if let Some(latency_ms) = facts.latency_ms() {
        let _ = write!(out, " latency_ms=\"{latency_ms}\"");
    }
    if let Some(code) = facts.error_code() {
        text(out, "error_code", code);
    }
    if let Some(error) = facts.error_text() {
        text(out, "error", error);
    }
    facts.members(&mut |name, value| member(out, name, &value));
    out.push(']');
    if let Some(seal) = seal {
        let _ = write!(out, "[gwaSeal@{} epoch=\"{}\" mac=\"{ZEROS}\"]", syslog.enterprise, seal.epoch);
    }
    let _ = write!(out, " {}", facts.headline());
    if let Some(error) = facts.error() {
        let _ = write!(out, ": {}", error.code().text());
    }
}

fn header(facts: &Facts<'_>, syslog: &Syslog, out: &mut String) {
    let priority = u16::from(syslog.facility) * 8 + u16::from(facts.scale().syslog);
    let _ = write!(out, "<{priority}>1 ");
    match facts.entry.wall_ms {
        wall_ms @ ..=LAST_MS => push_utc(out, wall_ms),
        _ => out.push('-'),
    }
    out.push(' ');
    name(out, &syslog.hostname, HOSTNAME_MAX);
    out.push(' ');
    let source = if facts.context.source.is_empty() { PRODUCT } else { &facts.context.source };
    name(out, source, APP_NAME_MAX);
    out.push(' ');
    name(out, &facts.context.boot_id, PROCID_MAX);
    let _ = write!(out, " {} ", facts.kind().name());
}

/// A field of the header: printable ASCII without blanks, or `-` for none.
fn name(out: &mut String, text: &str, max: usize) {
    if text.is_empty() {
        out.push('-');
    }
    out.extend(text.chars().take(max).map(|c| if c.is_ascii_graphic() { c } else { '_' }));
}

fn member(out: &mut String, name: &'static str, value: &Datum<'_>) {
    match value {
        Datum::Text(value) => text(out, name, value),
        Datum::Texts(texts) => text(out, name, &joined(texts)),
        Datum::Number(number) => _ = write!(out, " {name}=\"{number}\""),
        Datum::Signed(number) => _ = write!(out, " {name}=\"{number}\""),
        Datum::Flag(flag) => _ = write!(out, " {name}=\"{flag}\""),
        Datum::Rate(rate) => _ = write!(out, " {name}=\"{rate}\""),
    }
}

fn text(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, " {name}=\"");
    escaped(out, value);
    out.push('"');
}

/// PARAM-VALUE (6.3.3): UTF-8, with `"`, `\` and `]` escaped. There is no escape for control characters.
fn escaped(out: &mut String, value: &str) {
    for character in value.chars() {
        if matches!(character, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(visible(character));
    }
}
