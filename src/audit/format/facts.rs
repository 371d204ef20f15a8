//! What a record says, once for all formats.
//!
//! Every format has places of its own for what nearly every record has (id, time, kind, severity, status, who, error);
//! these are asked for one by one. All else comes by [`Facts::members`], name by name, and none may be left out.

use std::borrow::Cow;

use super::super::field::Value;
use super::super::json::{Body, Context, Entry, Sink};
use super::super::kind::{Kind, Level};
use super::super::{Outcome, Record, ScopeResult};
use super::level::Scale;
use crate::error::{Code, Error};

/// Longest text of one member, in bytes; what is longer is cut and ends in `…`.
pub(super) const MAX_TEXT: usize = 1_000;
/// Longest list, in bytes of its texts; what is longer is cut, and its last text says how many are left out.
pub(super) const MAX_LIST: usize = 4_000;

/// A member by type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum<'a> {
    Text(Cow<'a, str>),
    Texts(Cow<'a, [String]>),
    Number(u64),
    Signed(i64),
    Flag(bool),
    Rate(f64),
}

impl<'a> From<Value<'a>> for Datum<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Text(text) => Self::Text(cut(text)),
            Value::Texts(texts) => Self::Texts(cut_list(texts)),
            Value::Number(number) => Self::Number(number),
            Value::Signed(number) => Self::Signed(number),
            Value::Flag(flag) => Self::Flag(flag),
        }
    }
}

/// One record for one sink.
pub(super) struct Facts<'a> {
    pub(super) entry: &'a Entry,
    pub(super) context: &'a Context,
    sink: Sink,
    error_text: Option<String>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(entry: &'a Entry, context: &'a Context, sink: Sink) -> Self {
        let mut facts = Self { entry, context, sink, error_text: None };
        facts.error_text = facts.error_in_words();
        facts
    }

    pub(super) fn record(&self) -> Option<&'a Record> {
        match &self.entry.body {
            Body::Record(record) => Some(record),
            Body::Checkpoint(_) | Body::Loss { .. } => None,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.entry.body {
            Body::Record(record) => record.about(),
            Body::Checkpoint(_) => Kind::Checkpoint,
            Body::Loss { .. } => Kind::Loss,
        }
    }

    fn level(&self) -> Level {
        match &self.entry.body {
            Body::Record(record) => record.level(),
            Body::Checkpoint(checkpoint) => checkpoint.level(),
            Body::Loss { .. } => Kind::Loss.level(),
        }
    }

    pub(super) fn scale(&self) -> &'static Scale {
        Scale::of(self.level())
    }

    /// `success` or `failure`, by the rule of the native `status`.
    pub(super) fn status(&self) -> &'static str {
        if self.is_failure() {
            "failure"
        } else {
            "success"
        }
    }

    pub(super) fn is_failure(&self) -> bool {
        self.level() >= Level::Warning
    }

    /// `metadata.client_id`, or the tutorial's word for none.
    pub(super) fn client_id(&self) -> Cow<'a, str> {
        let id = cut(&self.context.client_id);
        if id.is_empty() {
            Cow::Borrowed("unknown")
        } else {
            id
        }
    }

    pub(super) fn region(&self) -> Cow<'a, str> {
        cut(&self.context.region)
    }

    pub(super) fn source(&self) -> Cow<'a, str> {
        cut(&self.context.source)
    }

    /// Start to accepted or failed.
    pub(super) fn latency_ms(&self) -> Option<u64> {
        match self.record() {
            Some(Record::Attempt { latency_ms, .. }) => Some(*latency_ms),
            _ => None,
        }
    }

    /// `GWA_E_…`.
    pub(super) fn error_code(&self) -> Option<&'static str> {
        self.error().map(|error| error.code().name())
    }

    /// The native `error`.
    pub(super) fn error_text(&self) -> Option<&str> {
        self.error_text.as_deref()
    }

    /// The kind's name for people: `Connection lost`.
    pub(super) fn headline(&self) -> String {
        let mut words = self.kind().name().replace('_', " ");
        words.get_mut(..1).map(str::make_ascii_uppercase);
        words
    }

    /// All of it in a line for people.
    pub(super) fn message(&self) -> String {
        let what = self.headline();
        self.error_text().map_or_else(|| what.clone(), |error| format!("{what}: {error}"))
    }

    /// Everything else: what the record says beyond its kind, and where it stands in the row.
    pub(super) fn members(&self, put: &mut dyn FnMut(&'static str, Datum<'_>)) {
        match &self.entry.body {
            Body::Record(Record::Scopes(scopes)) if scopes.result == ScopeResult::InvalidTokenStructure => {
                put("result", Datum::Text("error".into()));
            }
            Body::Record(record) => self.record_members(record, put),
            Body::Checkpoint(checkpoint) => {
                checkpoint.fields(&self.entry.totals, &mut |name, value| put(name, value.into()));
                self.error_members(put);
            }
            Body::Loss { first } => {
                put("first_lost", Datum::Number(*first));
                put("last_lost", Datum::Number(self.entry.seq));
                put("count", Datum::Number(self.entry.seq.saturating_sub(*first).saturating_add(1)));
            }
        }
        if let Sink::Siem { prev_seq } = self.sink {
            put("prev_seq", Datum::Number(prev_seq));
        }
        put("boot_id", Datum::Text(cut(&self.context.boot_id)));
    }

    fn record_members(&self, record: &Record, put: &mut dyn FnMut(&'static str, Datum<'_>)) {
        if let Record::Scopes(scopes) = record {
            let result = if scopes.result == ScopeResult::Allowed { "allowed" } else { "denied" };
            put("result", Datum::Text(result.into()));
            put("token_client_id", Datum::Text(cut(&scopes.client_id)));
        }
        record.fields(&mut |name, value| put(name, value.into()));
        if let Record::Attempt { .. } = record {
            put("success_rate", Datum::Rate(self.entry.totals.success_rate_percent()));
            put("avg_latency_ms", Datum::Rate(self.entry.totals.avg_latency_ms()));
        }
        match record.error() {
            Some(error) if is_scope_mismatch(record, error) => {
                put("reason", Datum::Text("scope_mismatch".into()));
                put("missing", Datum::Texts(cut_list(&error.detail().missing_scopes)));
            }
            _ => self.error_members(put),
        }
    }

    fn error_members(&self, put: &mut dyn FnMut(&'static str, Datum<'_>)) {
        let Some(error) = self.error() else { return };
        if error.detail().ws_close_code != 0 {
            put("ws_close_code", Datum::Number(error.detail().ws_close_code.into()));
        }
        if error.detail().http_status != 0 {
            put("http_status", Datum::Number(error.detail().http_status.into()));
        }
    }

    /// What went wrong.
    pub(super) fn error(&self) -> Option<&'a Error> {
        match &self.entry.body {
            Body::Record(record) => record.error(),
            Body::Checkpoint(checkpoint) => checkpoint.error(),
            Body::Loss { .. } => None,
        }
    }

    fn error_in_words(&self) -> Option<String> {
        match self.record() {
            Some(Record::Scopes(scopes)) if scopes.result == ScopeResult::InvalidTokenStructure => {
                Some("invalid_token_structure".to_owned())
            }
            record => {
                let is_told = |error: &&Error| record.is_none_or(|record| !is_scope_mismatch(record, error));
                self.error().filter(is_told).map(|error| cut(&error.to_string()).into_owned())
            }
        }
    }
}

/// The tutorial has a shape of its own for scopes that do not match: what is missing instead of words.
fn is_scope_mismatch(record: &Record, error: &Error) -> bool {
    matches!(record, Record::Attempt { outcome: Outcome::Failure(_), .. })
        && matches!(error.code(), Code::ScopeDenied | Code::ScopeUnknown | Code::TokenMalformed)
}

/// At most [`MAX_TEXT`] bytes of it.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT {
        return Cow::Borrowed(text);
    }
    let end = (0..=MAX_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()))
}

/// At most [`MAX_LIST`] bytes of it, and each text cut. A text of no bytes counts too.
fn cut_list(texts: &[String]) -> Cow<'_, [String]> {
    let size = |text: &String| text.len() + 1;
    if texts.iter().all(|text| text.len() <= MAX_TEXT) && texts.iter().map(size).sum::<usize>() <= MAX_LIST {
        return Cow::Borrowed(texts);
    }
    let mut room = MAX_LIST;
    let mut kept = Vec::new();
    for text in texts {
        let text = cut(text).into_owned();
        let Some(rest) = room.checked_sub(size(&text)) else { break };
        room = rest;
        kept.push(text);
    }
    if kept.len() < texts.len() {
        kept.push(format!("…{} more", texts.len() - kept.len()));
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let fits = "x".repeat(MAX_TEXT);
        assert_eq!(cut(&fits), fits);
        // A cut never falls within a character.
        let long = format!("a{}", "ü".repeat(MAX_TEXT));
        let short = cut(&long);
        assert!(short.len() <= MAX_TEXT + "…".len() && short.ends_with("ü…"), "{short}");

        let few = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(&*cut_list(&few), few);
        let many = vec!["scope:name".to_owned(); 1_000];
        let list = cut_list(&many);
        assert!(list.iter().map(String::len).sum::<usize>() <= MAX_LIST + 20);
        assert_eq!(list.last().map(String::as_str), Some(format!("…{} more", 1_000 - (list.len() - 1)).as_str()));
        let alone = [long.clone()];
        assert_eq!(cut_list(&alone)[0], *short);
    }
}
