//! The table of keys as a JSON Schema (2020-12) of what [`super::Config::set_json`] accepts.
//!
//! Patterns are those of ECMA 262 without look-ahead, so that every engine takes them.

use crate::audit::writer::Object;

use super::keys::{keys, Key};
use super::region;
use super::settings::CloseClass;
use super::value::{Type, ALGORITHMS, MAX_LIST, MAX_PEM, MAX_TOPIC, MAX_TOPICS, RESERVED};

/// A label of a host name.
const LABEL: &str = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
/// 1 to 65535.
const PORT: &str = "0*(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})";
/// A byte in decimal.
const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
/// A header's name (RFC 9110 5.1).
const HEADER_NAME: &str = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}";
/// A control character.
const CONTROL: &str = "[\\u0000-\\u001f\\u007f-\\u009f]";

/// A JSON Schema of what [`super::Config::set_json`] accepts, flat or nested. Two things it cannot say: the text has at most
/// 1 MiB, and a key stands in it once (flat or nested, and a close code in `ws.close_codes`).
pub fn schema() -> String {
    let mut out = String::with_capacity(32 << 10);
    let mut root = Object::begin(&mut out);
    root.text("$schema", "https://json-schema.org/draft/2020-12/schema");
    root.text("title", concat!("Configuration of genesys-ws-auth ", env!("CARGO_PKG_VERSION")));
    root.text("$comment", "A key stands once, flat (\"a.b\": 1) or nested (\"a\": {\"b\": 1}); at most 1 MiB.");
    group(&mut root, "");
    root.object("$defs", |defs| {
        for key in keys() {
            defs.object(&definition(key), |def| value(def, key));
        }
    });
    root.end();
    out
}

/// Name of a key's definition.
fn definition(key: &Key) -> String {
    key.name.replace("<Name>", "NAME")
}

/// An object of the keys whose names begin with `prefix`.
fn group(object: &mut Object<'_>, prefix: &str) {
    let rest = |key: &'static Key| key.name.strip_prefix(prefix).map(|rest| (rest, key));
    let members: Vec<(&str, &Key)> = keys().iter().filter_map(rest).collect();
    let mut groups: Vec<&str> =
        members.iter().flat_map(|(rest, _)| rest.match_indices('.').filter_map(|(at, _)| rest.get(..at))).collect();
    groups.dedup();
    let key_of = |name: &str| members.iter().find(|(rest, _)| *rest == name).map(|(_, key)| *key);
    object.text("type", "object");
    object.object("properties", |properties| {
        for (name, key) in members.iter().filter(|(name, key)| key.kind != Type::Header && !groups.contains(name)) {
            properties.object(name, |member| refer(member, key));
        }
        for name in &groups {
            properties.object(name, |member| group_or_key(member, &format!("{prefix}{name}."), key_of(name)));
        }
    });
    if let Some((rest, key)) = members.iter().find(|(_, key)| key.kind == Type::Header) {
        let family = rest.trim_end_matches("<Name>").replace('.', "\\.");
        object.object("patternProperties", |patterns| {
            patterns.object(&format!("^{family}{HEADER_NAME}$"), |member| refer(member, key));
        });
        object.object("propertyNames", |names| {
            names.object("not", |not| _ = not.text("pattern", &format!("^{family}(?:{})$", reserved())));
        });
    }
    object.plain("additionalProperties", false);
}

/// A name that stands for a group of keys, and may be a key as well.
fn group_or_key(member: &mut Object<'_>, prefix: &str, key: Option<&Key>) {
    let Some(key) = key else { return group(member, prefix) };
    member.object("if", |test| _ = test.text("type", "object"));
    member.object("then", |object| group(object, prefix));
    member.object("else", |text| refer(text, key));
}

fn refer(member: &mut Object<'_>, key: &Key) {
    member.text("$ref", &format!("#/$defs/{}", definition(key)));
}

/// Headers that cannot be set, whatever their letter case.
fn reserved() -> String {
    let names: Vec<String> = RESERVED.iter().map(|name| any_case(name)).collect();
    format!("{}|{}.*", names.join("|"), any_case("sec-websocket-"))
}

/// What a key's value may be. An empty text stands for the default.
fn value(def: &mut Object<'_>, key: &Key) {
    let unit = match key.kind {
        Type::Integer { unit, .. } | Type::OrZero { unit, .. } if !unit.is_empty() => format!(" ({unit})"),
        _ => String::new(),
    };
    def.text("description", &format!("{}{unit}", key.doc));
    match key.kind {
        Type::Secret | Type::SecretPem => {
            def.text("$comment", "A secret has a setter of its own.").plain("writeOnly", true);
            def.object("not", |_| ());
            return;
        }
        Type::Integer { min, max, .. } => {
            def.text("type", "integer").plain("minimum", min).plain("maximum", max).plain("default", key.default);
            return;
        }
        Type::OrZero { min, max, .. } => {
            def.text("type", "integer").plain("minimum", 0).plain("maximum", max).plain("default", key.default);
            def.object("not", |not| _ = not.plain("exclusiveMinimum", 0).plain("exclusiveMaximum", min));
            return;
        }
        Type::Flag => {
            def.text("type", "boolean").plain("default", key.default);
            return;
        }
        Type::Choice(options) => {
            let options: Vec<String> = options.iter().chain(&[""]).map(|option| (*option).to_owned()).collect();
            def.texts("enum", &options);
        }
        Type::Scopes
        | Type::Topics
        | Type::Patterns
        | Type::Algorithms
        | Type::CloseCodes
        | Type::Hosts
        | Type::Pins => {
            return list(def, key);
        }
        _ => text(def, key.kind),
    }
    if !key.default.is_empty() {
        def.text("default", key.default);
    }
}

fn text(def: &mut Object<'_>, kind: Type) {
    def.text("type", "string");
    match kind {
        Type::Text { max } => {
            def.plain("maxLength", max).object("not", |not| _ = not.text("pattern", CONTROL));
        }
        Type::Region => {
            def.plain("maxLength", 253).text("pattern", &format!("^(?:{})?$", host()));
            def.object("if", |test| _ = test.text("pattern", &format!("^(?:{})?$", any_of(region::names()))));
            def.object("else", |rest| _ = rest.object("not", |not| _ = not.text("pattern", &no_region())));
        }
        Type::Url { secure, plain } => {
            let scheme = format!("(?:{}|{})", any_case(secure), any_case(plain));
            let pattern = format!("^(?:{scheme}://{}(?::{PORT})?(?:[/?][!\"$-~]*)?)?$", authority());
            def.plain("maxLength", 2_048).text("pattern", &pattern);
            def.object("not", |not| _ = not.text("pattern", "^[A-Za-z]+://[A-Za-z0-9.-]{254}"));
        }
        Type::Proxy => {
            let http = any_case("http");
            let pattern = format!("^(?:none|environment|{http}://{}:{PORT}/?)?$", authority());
            def.plain("maxLength", 2_048).text("pattern", &pattern);
            def.object("not", |not| _ = not.text("pattern", "^[A-Za-z]+://[A-Za-z0-9.-]{254}"));
        }
        Type::Header => {
            def.plain("writeOnly", true).text("pattern", HEADER_VALUE).plain("maxLength", 8_192);
        }
        Type::HeaderValue => {
            def.text("pattern", HEADER_VALUE).plain("maxLength", 8_192);
        }
        Type::Pem => {
            def.text("pattern", "^$|-----BEGIN CERTIFICATE-----").plain("maxLength", MAX_PEM);
            def.object("not", |not| _ = not.text("pattern", "PRIVATE KEY-----"));
        }
        _ => {}
    }
}

/// Printable ASCII without blanks at its ends (RFC 9110 5.5).
const HEADER_VALUE: &str = "^(?:[!-~](?:[ -~]*[!-~])?)?$";

fn list(def: &mut Object<'_>, key: &Key) {
    def.text("type", "array").plain("maxItems", if key.kind == Type::Topics { MAX_TOPICS } else { MAX_LIST });
    if key.kind == Type::Algorithms {
        def.plain("minItems", 1);
    }
    def.object("items", |item| {
        item.text("type", "string");
        match key.kind {
            Type::Scopes => _ = item.text("pattern", "^[!#-\\[\\]-~]+$"),
            Type::Topics => _ = item.text("pattern", &format!("^[!-~]{{1,{MAX_TOPIC}}}$")),
            Type::CloseCodes => {
                let classes = CloseClass::ALL.map(CloseClass::name).join("|");
                item.text("pattern", &format!("^[1-4][0-9]{{3}}=(?:{classes})$"));
            }
            Type::Algorithms => _ = item.text("pattern", &format!("^(?:{})$", ALGORITHMS.join("|"))),
            Type::Pins => _ = item.text("pattern", "^sha256/[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"),
            Type::Hosts => {
                item.text("pattern", &exception());
                let long = "^(?:\\*?\\.)?[A-Za-z0-9-][A-Za-z0-9.-]{252,}[A-Za-z0-9-]";
                item.object("not", |not| _ = not.text("pattern", long));
            }
            _ => _ = item.plain("minLength", 1).object("not", |not| _ = not.text("pattern", CONTROL)),
        }
    });
    let parts = key.default.split(',').filter(|part| !part.is_empty());
    def.texts("default", &parts.map(str::to_owned).collect::<Vec<_>>());
}

fn any_case(word: &str) -> String {
    let letter = |c: char| match c {
        '-' => c.to_string(),
        _ => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
    };
    word.chars().map(letter).collect()
}

fn any_of(words: impl IntoIterator<Item = &'static str>) -> String {
    words.into_iter().map(any_case).collect::<Vec<_>>().join("|")
}

/// Host names that are no region's: see `region::domain`.
fn no_region() -> String {
    let hosts = format!("(?:{})\\.(?:{})", any_of(region::HOSTS), any_of(region::domains()));
    let aws = format!("(?:{})-[A-Za-z0-9-]+|[A-Za-z]{{2,4}}(?:-[A-Za-z]+)+-[0-9]{{1,2}}", any_of(region::AREAS));
    format!("^(?:(?:.*\\.)?[0-9]+|{hosts}|{aws})$")
}

fn host() -> String {
    format!("{LABEL}(?:\\.{LABEL})*")
}

/// A host name or an IPv6 address in brackets.
fn authority() -> String {
    format!("(?:{}|\\[{}\\])", host(), ipv6())
}

/// An element of `proxy.except`.
fn exception() -> String {
    let (host, v6) = (host(), ipv6());
    let v4_network = format!("{OCTET}(?:\\.{OCTET}){{3}}/(?:3[0-2]|[12]?[0-9])");
    let v6_network = format!("{v6}(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?");
    format!("^(?:\\*|{v4_network}|{v6_network}|(?:\\*?\\.)?(?:{host}\\.?|\\[{v6}\\])(?::{PORT})?)$")
}

/// IPv6address of RFC 3986 3.2.2.
fn ipv6() -> String {
    let h = "[0-9A-Fa-f]{1,4}";
    let low = format!("(?:{h}:{h}|{OCTET}(?:\\.{OCTET}){{3}})");
    let before = |most: usize| format!("(?:(?:{h}:){{0,{most}}}{h})?::");
    let forms = [
        format!("(?:{h}:){{6}}{low}"),
        format!("::(?:{h}:){{5}}{low}"),
        format!("{}(?:{h}:){{4}}{low}", before(0)),
        format!("{}(?:{h}:){{3}}{low}", before(1)),
        format!("{}(?:{h}:){{2}}{low}", before(2)),
        format!("{}{h}:{low}", before(3)),
        format!("{}{low}", before(4)),
        format!("{}{h}", before(5)),
        before(6),
    ];
    format!("(?:{})", forms.join("|"))
}
