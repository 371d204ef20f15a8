//! ECS 9.4.0 (Elastic Common Schema, field reference). What it has no field for is under `genesys_ws_auth`, by its native
//! name: custom fields belong below a name of the product ("Custom fields"). The chain's link ends that object, and it
//! the text: `…,"mac_epoch":E,"mac":"…"}}`.

use super::super::seal::{Seal, ZEROS};
use super::super::writer::Object;
use super::super::Kind;
use super::facts::{Datum, Facts};
use super::{PRODUCT, VERSION};

/// The version of the schema.
const SCHEMA: &str = "9.4.0";
const NS_PER_MS: u128 = 1_000_000;

/// `event.category` and `event.type` ("Categorization fields": which types go with which category).
fn categorized(facts: &Facts<'_>) -> (&'static str, &'static str) {
    match facts.kind() {
        Kind::Attempt => ("authentication", "start"),
        Kind::Scopes
        | Kind::RefreshTokenNotPersisted
        | Kind::TokenRequested
        | Kind::TokenIssued
        | Kind::TokenRefused
        | Kind::RefreshTokenStored
        | Kind::KeysLoaded
        | Kind::KeysStale => ("authentication", "info"),
        Kind::ScopesChanged | Kind::IdentityChanged => ("iam", "change"),
        Kind::SocketOpened => ("session", "start"),
        Kind::SocketClosed | Kind::ConnectionLost => ("session", "end"),
        Kind::ChannelMade => ("api", "creation"),
        Kind::Subscribed => ("api", "change"),
        Kind::Displaced => ("api", "info"),
        Kind::ConfigurationLoaded | Kind::TrustLoaded => ("configuration", "info"),
        Kind::Closed => ("process", "end"),
        Kind::Panicked | Kind::Loss | Kind::Checkpoint => ("process", "info"),
        Kind::ClockStepped | Kind::Resumed => ("host", "change"),
    }
}

/// Appends the record.
pub(super) fn render(facts: &Facts<'_>, seal: Option<&Seal>, out: &mut String) {
    let mut root = Object::begin(out);
    root.utc("@timestamp", facts.entry.wall_ms).object("ecs", |ecs| _ = ecs.text("version", SCHEMA));
    root.text("message", &facts.message()).object("log", |log| _ = log.text("level", facts.scale().name));
    root.object("event", |event| about(event, facts));
    if facts.error_code().is_some() || facts.error_text().is_some() {
        root.object("error", |error| {
            facts.error_code().map(|code| error.text("code", code));
            facts.error_text().map(|text| error.text("message", text));
        });
    }
    root.object("service", |service| {
        service.text("name", &facts.source()).text("type", PRODUCT).text("version", VERSION);
        service.text("ephemeral_id", &facts.context.boot_id);
    });
    root.object("user", |user| _ = user.text("id", &facts.client_id()));
    root.object("cloud", |cloud| _ = cloud.text("provider", "genesys").text("region", &facts.region()));
    root.object("genesys_ws_auth", |own| {
        facts.members(&mut |name, value| member(own, name, &value));
        if let Some(seal) = seal {
            own.plain("mac_epoch", seal.epoch).text("mac", ZEROS);
        }
    });
    root.end();
}

fn about(event: &mut Object<'_>, facts: &Facts<'_>) {
    let (category, kind) = categorized(facts);
    event.text("kind", "event").texts("category", &[category.to_owned()]).texts("type", &[kind.to_owned()]);
    event.text("action", facts.kind().name()).text("code", &facts.kind().id().to_string());
    event.text("outcome", facts.status()).plain("severity", facts.scale().cef).plain("sequence", facts.entry.seq);
    event.text("id", &facts.entry.id).text("provider", PRODUCT).text("dataset", "genesys_ws_auth.audit");
    if let Some(latency_ms) = facts.latency_ms() {
        event.plain("duration", u128::from(latency_ms) * NS_PER_MS);
    }
}

/// A member of JSON by its type.
pub(super) fn member(object: &mut Object<'_>, name: &'static str, value: &Datum<'_>) {
    match value {
        Datum::Text(text) => object.text(name, text),
        Datum::Texts(texts) => object.texts(name, texts),
        Datum::Number(number) => object.plain(name, number),
        Datum::Signed(number) => object.plain(name, number),
        Datum::Flag(flag) => object.plain(name, flag),
        Datum::Rate(rate) => object.plain(name, rate),
    };
}
