//! Audit records as JSON: the tutorial's fields under the tutorial's names, and `seq` and `boot_id` of our own.
//!
//! Sequence numbers and the SIEM sink: `seq` is one row for both sinks, but the scope payload goes to
//! `on_audit` alone. So that a SIEM can tell a record that was not meant for it from one that was lost,
//! every SIEM event carries `prev_seq`, the `seq` of the event this sink was given before it (0 for the
//! first). Real losses come to both sinks as an `audit_loss` record that names the first and last number lost; with a chain
//! what a sink has refused comes to that sink alone as one.

use super::checkpoint::Checkpoint;
use super::field::Value;
use super::seal::{Seal, ZEROS};
use super::writer::Object;
use super::{Kind, Outcome, Record, ScopeAudit, ScopeResult};
use crate::error::{Code, Error};
use crate::metrics::Totals;

/// What is the same in every record of a client.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// `metadata.region`.
    pub(crate) region: String,
    /// `metadata.client_id`: the configured one.
    pub(crate) client_id: String,
    /// `source` of SIEM events.
    pub(crate) source: String,
    /// `boot_id`: tells the sequences of two clients, or of two runs, apart.
    pub(crate) boot_id: String,
}

/// A record with what the queue gave it on entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// Position in the order of this client's records, from 1; of a loss marker the last number lost.
    pub(crate) seq: u64,
    /// UUID.
    pub(crate) id: String,
    /// When, milliseconds since 1970.
    pub(crate) wall_ms: u64,
    /// Counters with this record counted.
    pub(crate) totals: Totals,
    /// What is recorded.
    pub(crate) body: Body,
}

/// What an entry tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    /// A fact.
    Record(Record),
    /// What the log says of itself.
    Checkpoint(Box<Checkpoint>),
    /// Records from this number up to the entry's own were lost to the queue's bound, or refused by this sink.
    Loss {
        /// The first number lost.
        first: u64,
    },
}

/// Who is given the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sink {
    /// `on_audit`.
    Audit,
    /// `on_siem`.
    Siem {
        /// `seq` of the event this sink was given before; 0 for none.
        prev_seq: u64,
    },
}

impl Entry {
    /// `event_type` or `action`.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.body {
            Body::Record(record) => record.kind(),
            Body::Checkpoint(_) => Kind::Checkpoint.name(),
            Body::Loss { .. } => Kind::Loss.name(),
        }
    }

    /// Whether `on_siem` is given the entry too.
    pub(crate) fn is_for_siem(&self) -> bool {
        match &self.body {
            Body::Record(record) => record.is_for_siem(),
            Body::Checkpoint(_) | Body::Loss { .. } => true,
        }
    }

    fn is_failure(&self) -> bool {
        match &self.body {
            Body::Record(record) => record.is_failure(),
            Body::Checkpoint(checkpoint) => checkpoint.error().is_some(),
            Body::Loss { .. } => true,
        }
    }

    /// Replaces `out` by the record's JSON and one NUL byte. The digits of a seal are left to be filled in.
    pub(crate) fn render_with_nul(&self, context: &Context, sink: Sink, seal: Option<&Seal>, out: &mut String) {
        out.clear();
        let mut object = Object::begin(out);
        match &self.body {
            Body::Record(Record::Scopes(scopes)) => scope_members(&mut object, scopes, self.wall_ms),
            Body::Record(record) => self.record_members(&mut object, record, context),
            Body::Checkpoint(checkpoint) => self.checkpoint_members(&mut object, checkpoint, context),
            Body::Loss { first } => self.loss_members(&mut object, *first),
        }
        object.plain("seq", self.seq).text("boot_id", &context.boot_id);
        if let Sink::Siem { prev_seq } = sink {
            let severity = if self.is_failure() { "warning" } else { "info" };
            object.text("severity", severity).text("source", &context.source).plain("prev_seq", prev_seq);
        }
        if let Some(Seal { epoch }) = seal {
            object.plain("mac_epoch", epoch).text("mac", ZEROS);
        }
        object.end();
        out.push('\0');
    }

    fn record_members(&self, object: &mut Object<'_>, record: &Record, context: &Context) {
        self.head(object);
        if let Record::Attempt { latency_ms, .. } = record {
            object.plain("latency_ms", latency_ms);
            object.plain("success_rate", self.totals.success_rate_percent());
            object.plain("avg_latency_ms", self.totals.avg_latency_ms());
        }
        object.object("metadata", |metadata| metadata_members(metadata, record, context));
    }

    fn checkpoint_members(&self, object: &mut Object<'_>, checkpoint: &Checkpoint, context: &Context) {
        self.head(object);
        object.object("metadata", |metadata| {
            metadata.text("region", &context.region).text("client_id", &context.client_id);
            checkpoint.fields(&self.totals, &mut |name, value| value_member(metadata, name, value));
            _ = checkpoint.error().map(|error| error_members(metadata, error));
        });
    }

    fn loss_members(&self, object: &mut Object<'_>, first: u64) {
        self.head(object);
        let count = self.seq.saturating_sub(first).saturating_add(1);
        object.plain("first_lost", first).plain("last_lost", self.seq).plain("count", count);
    }

    fn head(&self, object: &mut Object<'_>) {
        let status = if self.is_failure() { "failure" } else { "success" };
        object.text("id", &self.id).utc("timestamp", self.wall_ms);
        object.text("event_type", self.kind()).text("status", status);
    }
}

/// The result of a scope check as `gwa_scopes_check` returns it: what the tutorial's `validateTokenScopes` does.
pub fn scopes_json(scopes: &ScopeAudit, verdict: &str, wall_ms: u64) -> String {
    let mut out = String::new();
    let mut object = Object::begin(&mut out);
    object.plain("isValid", scopes.result == ScopeResult::Allowed);
    object.texts("missingScopes", &scopes.missing).texts("grantedScopes", &scopes.granted);
    object.object("auditPayload", |payload| scope_members(payload, scopes, wall_ms));
    object.text("verdict", verdict);
    object.end();
    out
}

fn scope_members(object: &mut Object<'_>, scopes: &ScopeAudit, wall_ms: u64) {
    object.utc("timestamp", wall_ms).text("action", "scope_validation");
    let result = match scopes.result {
        ScopeResult::Allowed => "allowed",
        ScopeResult::Denied => "denied",
        ScopeResult::InvalidTokenStructure => {
            object.text("result", "error").text("error", "invalid_token_structure");
            return;
        }
    };
    object.text("result", result).texts("required", &scopes.required);
    object.texts("granted", &scopes.granted).texts("missing", &scopes.missing);
    object.text("clientId", &scopes.client_id);
}

/// The tutorial's members in the tutorial's order, then what the record says.
fn metadata_members(metadata: &mut Object<'_>, record: &Record, context: &Context) {
    metadata.text("region", &context.region);
    if let Record::Attempt { scopes_validated, .. } = record {
        metadata.plain("scopes_validated", scopes_validated);
    }
    metadata.text("client_id", &context.client_id);
    record.fields(&mut |name, value| match value {
        _ if name == "scopes_validated" => {}
        value => value_member(metadata, name, value),
    });
    match record {
        Record::Attempt { outcome: Outcome::Failure(error), .. } => attempt_error_members(metadata, error),
        other => _ = other.error().map(|error| error_members(metadata, error)),
    }
}

fn value_member(object: &mut Object<'_>, name: &str, value: Value<'_>) {
    match value {
        Value::Text(text) => object.text(name, text),
        Value::Texts(texts) => object.texts(name, texts),
        Value::Number(number) => object.plain(name, number),
        Value::Signed(number) => object.plain(name, number),
        Value::Flag(flag) => object.plain(name, flag),
    };
}

/// The tutorial's two shapes of a failure: scopes that do not match, or an error in words.
fn attempt_error_members(metadata: &mut Object<'_>, error: &Error) {
    match error.code() {
        Code::ScopeDenied | Code::ScopeUnknown | Code::TokenMalformed => {
            metadata.text("reason", "scope_mismatch").texts("missing", &error.detail().missing_scopes);
            metadata.text("error_code", error.code().name());
        }
        _ => error_members(metadata, error),
    }
}

fn error_members(metadata: &mut Object<'_>, error: &Error) {
    metadata.text("error", &error.to_string()).text("error_code", error.code().name());
    if error.detail().ws_close_code != 0 {
        metadata.plain("ws_close_code", error.detail().ws_close_code);
    }
    if error.detail().http_status != 0 {
        metadata.plain("http_status", error.detail().http_status);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::*;
    use crate::error::Stage;

    const WALL_MS: u64 = 1_715_769_005_123;

    fn context() -> Context {
        Context {
            region: "mypurecloud.com".into(),
            client_id: "abc123-def456".into(),
            source: "genesys_websocket_authenticator".into(),
            boot_id: "boot".into(),
        }
    }

    fn entry(record: Record) -> Entry {
        let totals = Totals::default().after(&record);
        let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479".into();
        Entry { seq: 7, id, wall_ms: WALL_MS, totals, body: Body::Record(record) }
    }

    fn attempt(outcome: Outcome) -> Entry {
        entry(Record::Attempt { phase: Phase::First, outcome, latency_ms: 142, scopes_validated: true })
    }

    fn audit(entry: &Entry) -> String {
        render(entry, Sink::Audit)
    }

    fn render(entry: &Entry, sink: Sink) -> String {
        let mut out = "left over".to_owned();
        entry.render_with_nul(&context(), sink, None, &mut out);
        assert_eq!(out.pop(), Some('\0'));
        assert!(!out.contains('\0') && !out.contains('\n'));
        out
    }

    fn scopes(result: ScopeResult) -> ScopeAudit {
        ScopeAudit {
            result,
            required: vec!["conversation:read".into()],
            granted: vec!["conversation:read".into(), "user:read".into()],
            missing: vec![],
            client_id: "abc123-def456".into(),
        }
    }

    #[test]
    fn a_success_has_the_fields_of_the_tutorial_in_its_order() {
        let success = attempt(Outcome::Success { scopes: vec!["user:read".into()] });
        let native = concat!(
            r#"{"id":"f47ac10b-58cc-4372-a567-0e02b2c3d479","timestamp":"2024-05-15T10:30:05.123Z","#,
            r#""event_type":"authentication_attempt","status":"success","latency_ms":142,"success_rate":100,"#,
            r#""avg_latency_ms":142,"metadata":{"region":"mypurecloud.com","scopes_validated":true,"#,
            r#""client_id":"abc123-def456","phase":"first","scopes":["user:read"]},"seq":7,"boot_id":"boot""#
        );
        assert_eq!(audit(&success), format!("{native}}}"));
        let more = r#","severity":"info","source":"genesys_websocket_authenticator","prev_seq":5}"#;
        assert_eq!(render(&success, Sink::Siem { prev_seq: 5 }), format!("{native}{more}"));
    }

    #[test]
    fn a_scope_denial_names_what_is_missing() {
        let error = Error::new(Code::ScopeDenied, Stage::Scopes, "no \"a\"");
        let denied = attempt(Outcome::Failure(error.with(|detail| detail.missing_scopes = vec!["a".into()])));
        let text = audit(&denied);
        assert!(
            text.contains(r#""status":"failure","latency_ms":142,"success_rate":0,"avg_latency_ms":142"#),
            "{text}"
        );
        assert!(text.contains(r#""phase":"first","reason":"scope_mismatch","missing":["a"]"#), "{text}");
        assert!(render(&denied, Sink::Siem { prev_seq: 0 }).contains(r#""severity":"warning""#));
    }

    #[test]
    fn any_other_failure_says_why_in_words() {
        let error = Error::new(Code::AuthRefused, Stage::Authenticate, "Unknown error");
        let text = audit(&attempt(Outcome::Failure(error.clone())));
        assert!(text.contains(&format!(r#""error":"{error}","error_code":"GWA_E_AUTH_REFUSED"}}"#)), "{text}");
        assert!(!text.contains("reason"));
    }

    #[test]
    fn scope_payloads_are_the_tutorials() {
        let allowed = concat!(
            r#"{"timestamp":"2024-05-15T10:30:05.123Z","action":"scope_validation","result":"allowed","#,
            r#""required":["conversation:read"],"granted":["conversation:read","user:read"],"missing":[],"#,
            r#""clientId":"abc123-def456""#
        );
        let recorded = audit(&entry(Record::Scopes(scopes(ScopeResult::Allowed))));
        assert_eq!(recorded, format!(r#"{allowed},"seq":7,"boot_id":"boot"}}"#));
        let returned = scopes_json(&scopes(ScopeResult::Allowed), "ok", WALL_MS);
        let head = r#"{"isValid":true,"missingScopes":[],"grantedScopes":["conversation:read","user:read"],"#;
        assert_eq!(returned, format!(r#"{head}"auditPayload":{allowed}}},"verdict":"ok"}}"#));
    }

    #[test]
    fn a_malformed_token_is_an_error_payload() {
        let broken = audit(&entry(Record::Scopes(scopes(ScopeResult::InvalidTokenStructure))));
        let head = r#"{"timestamp":"2024-05-15T10:30:05.123Z","action":"scope_validation","result":"error","#;
        assert_eq!(broken, format!(r#"{head}"error":"invalid_token_structure","seq":7,"boot_id":"boot"}}"#));
    }

    #[test]
    fn a_loss_marker_names_the_range() {
        let marker = Entry { body: Body::Loss { first: 3 }, ..entry(Record::Closed) };
        let text = audit(&marker);
        assert!(text.contains(r#""event_type":"audit_loss","status":"failure","first_lost":3,"last_lost":7,"count":5"#));
    }

    #[test]
    fn every_other_record_has_the_outer_shape() {
        let own = |record: &Record| !matches!(record, Record::Attempt { .. } | Record::Scopes(_));
        for record in super::super::samples::samples().into_iter().filter(own) {
            let (members, failed) = (record.about().members(), record.is_failure());
            let kind = record.kind();
            let value: serde_json::Value = serde_json::from_str(&audit(&entry(record))).unwrap();
            assert_eq!(value["event_type"], kind);
            assert_eq!(value["metadata"]["region"], "mypurecloud.com");
            assert!(value["id"].is_string() && value["timestamp"].is_string() && value["status"].is_string());
            assert_eq!((&value["seq"], &value["boot_id"]), (&7.into(), &"boot".into()));
            assert_eq!(value["status"], if failed { "failure" } else { "success" });
            let metadata = value["metadata"].as_object().unwrap();
            assert!(members.iter().all(|member| metadata.contains_key(*member)), "{value}");
        }
    }
}
