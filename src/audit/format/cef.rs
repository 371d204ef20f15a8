//! CEF, version 0 ("ArcSight Common Event Format", chapters 1 and 2): seven fields of a header, then `key=value` pairs.
//!
//! What has a key in CEF's dictionary has that key; all else is a custom extension, prefixed by the product as CEF asks
//! for: `lifetime_ms` is `gwaLifetimeMs`. Lists are joined by blanks, as in OAuth (RFC 6749 3.3); a blank within a text
//! of a list is written `%20`, and a percent sign `%25`. An empty list or text is not written.

use std::fmt::{Display, Write};

use super::super::seal::{Seal, ZEROS};
use super::facts::{Datum, Facts};
use super::{PRODUCT, VERSION};

/// Appends the record.
pub(super) fn render(facts: &Facts<'_>, seal: Option<&Seal>, out: &mut String) {
    let (kind, entry) = (facts.kind(), facts.entry);
    // Nothing here comes from a peer or from the configuration: there is nothing to escape.
    let name = facts.headline();
    let _ = write!(out, "CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|{}|{name}|{}|", kind.id(), facts.scale().cef);
    let _ = write!(out, "rt={}", entry.wall_ms);
    text(out, "externalId", &entry.id);
    text(out, "cat", kind.name());
    text(out, "outcome", facts.status());
    text(out, "suser", &facts.client_id());
    text(out, "sourceServiceName", &facts.source());
    text(out, "destinationServiceName", "Genesys Cloud");
    text(out, "destinationDnsDomain", &facts.region());
    labelled(out, "cn1", "seq", entry.seq);
    if let Some(latency_ms) = facts.latency_ms() {
        labelled(out, "cn3", "latency_ms", latency_ms);
    }
    if let Some(code) = facts.error_code() {
        text(out, "reason", code);
    }
    if let Some(error) = facts.error_text() {
        text(out, "msg", error);
    }
    facts.members(&mut |name, value| member(out, name, &value));
    if let Some(seal) = seal {
        let _ = write!(out, " gwaEpoch={} gwaMac={ZEROS}", seal.epoch);
    }
}

fn member(out: &mut String, name: &'static str, value: &Datum<'_>) {
    match (name, value) {
        ("boot_id", Datum::Text(value)) => {
            text(out, "cs1", value);
            text(out, "cs1Label", name);
        }
        ("prev_seq", Datum::Number(number)) => labelled(out, "cn2", name, *number),
        (_, Datum::Text(value)) => text(out, &custom(name), value),
        (_, Datum::Texts(texts)) => text(out, &custom(name), &joined(texts)),
        (_, Datum::Number(number)) => plain(out, &custom(name), number),
        (_, Datum::Signed(number)) => plain(out, &custom(name), number),
        (_, Datum::Flag(flag)) => plain(out, &custom(name), flag),
        (_, Datum::Rate(rate)) => plain(out, &custom(name), rate),
    }
}

/// `ws_close_code` is `gwaWsCloseCode`.
fn custom(name: &str) -> String {
    let mut key = "gwa".to_owned();
    for word in name.split('_') {
        let mut characters = word.chars();
        key.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        key.push_str(characters.as_str());
    }
    key
}

fn labelled(out: &mut String, key: &str, label: &str, number: u64) {
    let _ = write!(out, " {key}={number} {key}Label={label}");
}

fn plain(out: &mut String, key: &str, value: impl Display) {
    let _ = write!(out, " {key}={value}");
}

/// A pair whose value is escaped: `\`, `=`, and line breaks ("Character Encoding"). Other control characters have no escape.
fn text(out: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let _ = write!(out, " {key}=");
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other => out.push(visible(other)),
        }
    }
}

/// Texts in one text, from which they can be told again unless one is empty.
pub(super) fn joined(texts: &[String]) -> String {
    let one = |text: &String| text.replace('%', "%25").replace(' ', "%20");
    texts.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// What would break a line, or end a C string, and cannot be escaped.
pub(super) fn visible(character: char) -> char {
    match character {
        '\u{2028}' | '\u{2029}' => char::REPLACEMENT_CHARACTER,
        other if other.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}
