//! OCSF 1.8.0 (schema.ocsf.io), with the profiles `cloud` and `host` (which gives every class its `actor`).
//!
//! What is about the client's identity and its tokens is Authentication (3002), as is every attempt. Of its activities only
//! Logon fits: those for tickets are, by their descriptions, of Kerberos, so a renewal or a token is `99` with its name in
//! `activity_name`, as the schema asks for. What is no authentication has the class it is: connections Network Activity
//! (4001), REST calls API Activity (6003), the client's life Application Lifecycle (6002), a panic Application Error (6008),
//! the audit log itself Event Log Activity (1008), the machine's clock and sleep Base Event (0).
//!
//! The classes are closed: what they have no attribute for is in `unmapped`, under its native name. So is the chain's link,
//! which ends the text: `…,"mac_epoch":E,"mac":"…"}}`.

use super::super::record::Phase;
use super::super::seal::{Seal, ZEROS};
use super::super::writer::Object;
use super::super::{Kind, Record};
use super::ecs::member;
use super::facts::Facts;
use super::{PRODUCT, VERSION};

/// The version of the schema.
const SCHEMA: &str = "1.8.0";
const SERVICE: &str = "Genesys Cloud";

/// A class of events, with the number of its category.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Base = 0,
    EventLog = 1008,
    Authentication = 3002,
    Network = 4001,
    Lifecycle = 6002,
    Api = 6003,
    Fault = 6008,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Base => "Base Event",
            Self::EventLog => "Event Log Activity",
            Self::Authentication => "Authentication",
            Self::Network => "Network Activity",
            Self::Lifecycle => "Application Lifecycle",
            Self::Api => "API Activity",
            Self::Fault => "Application Error",
        }
    }

    /// The thousands of a class are its category.
    fn category(self) -> u16 {
        self as u16 / 1_000
    }
}

/// Class, activity and its name: the caption of the schema, or for 99 (Other) our own.
fn classified(facts: &Facts<'_>) -> (Class, u16, &'static str) {
    match facts.kind() {
        Kind::Attempt => match facts.record() {
            Some(Record::Attempt { phase: Phase::Renewal, .. }) => (Class::Authentication, 99, "Token Renewal"),
            _ => (Class::Authentication, 1, "Logon"),
        },
        Kind::Scopes => (Class::Authentication, 99, "Scope Validation"),
        Kind::RefreshTokenNotPersisted => (Class::Authentication, 99, "Refresh Token Not Persisted"),
        Kind::TokenRequested => (Class::Authentication, 99, "Token Request"),
        Kind::TokenIssued => (Class::Authentication, 99, "Token Issue"),
        Kind::TokenRefused => (Class::Authentication, 99, "Token Refusal"),
        Kind::RefreshTokenStored => (Class::Authentication, 99, "Refresh Token Stored"),
        Kind::ScopesChanged => (Class::Authentication, 99, "Scopes Changed"),
        Kind::IdentityChanged => (Class::Authentication, 99, "Identity Changed"),
        Kind::KeysLoaded => (Class::Authentication, 99, "Keys Loaded"),
        Kind::KeysStale => (Class::Authentication, 99, "Keys Stale"),
        Kind::SocketOpened => (Class::Network, 1, "Open"),
        Kind::SocketClosed | Kind::ConnectionLost => (Class::Network, 2, "Close"),
        Kind::ChannelMade => (Class::Api, 1, "Create"),
        Kind::Subscribed => (Class::Api, 3, "Update"),
        Kind::Displaced => (Class::Api, 99, "Displaced"),
        Kind::ConfigurationLoaded => (Class::Lifecycle, 3, "Start"),
        Kind::Closed => (Class::Lifecycle, 4, "Stop"),
        Kind::TrustLoaded => (Class::Lifecycle, 99, "Trust Loaded"),
        Kind::Panicked => (Class::Fault, 1, "General Error"),
        Kind::Loss => (Class::EventLog, 99, "Records Lost"),
        Kind::Checkpoint => (Class::EventLog, 99, "Checkpoint"),
        Kind::ClockStepped => (Class::Base, 99, "Clock Stepped"),
        Kind::Resumed => (Class::Base, 99, "Resumed"),
    }
}

/// Appends the record.
pub(super) fn render(facts: &Facts<'_>, seal: Option<&Seal>, out: &mut String) {
    let (class, activity, name) = classified(facts);
    let mut event = Object::begin(out);
    event.plain("time", facts.entry.wall_ms).plain("class_uid", class as u16).text("class_name", class.name());
    event.plain("category_uid", class.category()).plain("activity_id", activity).text("activity_name", name);
    event.plain("type_uid", u32::from(class as u16) * 100 + u32::from(activity));
    event.plain("severity_id", facts.scale().ocsf).text("severity", facts.scale().caption);
    let (status, caption) = if facts.is_failure() { (2, "Failure") } else { (1, "Success") };
    event.plain("status_id", status).text("status", caption);
    if let Some(code) = facts.error_code() {
        event.text("status_code", code);
    }
    if let Some(error) = facts.error_text() {
        event.text("status_detail", error);
    }
    event.text("message", &facts.headline());
    if let Some(latency_ms) = facts.latency_ms() {
        event.plain("duration", latency_ms);
    }
    event.object("metadata", |metadata| about(metadata, facts));
    event.object("cloud", |cloud| _ = cloud.text("provider", "Genesys").text("region", &facts.region()));
    subject(&mut event, class, facts);
    event.object("unmapped", |unmapped| {
        unmapped.text("source", &facts.source());
        facts.members(&mut |name, value| member(unmapped, name, &value));
        if let Some(seal) = seal {
            unmapped.plain("mac_epoch", seal.epoch).text("mac", ZEROS);
        }
    });
    event.end();
}

fn about(metadata: &mut Object<'_>, facts: &Facts<'_>) {
    metadata.text("version", SCHEMA).object("product", product);
    metadata.texts("profiles", &["cloud".to_owned(), "host".to_owned()]).text("uid", &facts.entry.id);
    metadata.plain("sequence", facts.entry.seq).text("event_code", &facts.kind().id().to_string());
    metadata.text("log_name", facts.kind().name()).text("log_level", facts.scale().name);
    metadata.text("correlation_uid", &facts.context.boot_id);
}

fn product(product: &mut Object<'_>) {
    product.text("name", PRODUCT).text("vendor_name", PRODUCT).text("version", VERSION);
}

/// Who did it to what, as the class wants it. The OAuth client is a service account (`type_id` 4).
fn subject(event: &mut Object<'_>, class: Class, facts: &Facts<'_>) {
    let user = |user: &mut Object<'_>| _ = user.text("uid", &facts.client_id()).plain("type_id", 4);
    let service = |service: &mut Object<'_>| _ = service.text("name", SERVICE);
    let far = |end: &mut Object<'_>| _ = end.text("svc_name", SERVICE).text("domain", &facts.region());
    let near = |end: &mut Object<'_>| {
        end.text("svc_name", &facts.source()).text("instance_uid", &facts.context.boot_id);
    };
    match class {
        Class::Authentication => {
            event.object("user", user).object("service", service).object("dst_endpoint", far);
            event.plain("auth_protocol_id", 6).text("auth_protocol", "OAUTH 2.0");
            event.plain("logon_type_id", 3).text("logon_type", "Network").plain("is_remote", true);
        }
        Class::Network => {
            event.object("actor", |actor| _ = actor.object("user", user));
            event.object("src_endpoint", near).object("dst_endpoint", far);
        }
        Class::Api => {
            event.object("actor", |actor| _ = actor.object("user", user));
            event.object("api", |api| _ = api.text("operation", facts.kind().name()).object("service", service));
            event.object("src_endpoint", near).object("dst_endpoint", far);
        }
        Class::Lifecycle => {
            event.object("actor", |actor| _ = actor.object("user", user)).object("app", product);
        }
        Class::EventLog => {
            event.object("actor", |actor| _ = actor.object("user", user)).text("log_name", "audit");
        }
        Class::Base | Class::Fault => {
            event.object("actor", |actor| _ = actor.object("user", user));
        }
    }
}
