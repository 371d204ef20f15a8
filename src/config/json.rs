//! A JSON object as keys and values.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::keys;
use super::value::Type;
use crate::error::{Code, Error, Stage};

/// Largest JSON text.
const MAX_BYTES: usize = 1 << 20;

/// A value as it stands in JSON.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Given {
    /// A text.
    Text(String),
    /// A number, without a fraction of zero.
    Number(String),
    /// `true` or `false`.
    Flag(bool),
    /// An array of texts.
    List(Vec<String>),
}

impl Given {
    /// What is wrong with it for a key of this type, if JSON has another type for that.
    pub(super) fn mismatch(&self, kind: Type) -> Option<&'static str> {
        let (fits, why) = match kind {
            Type::Integer { .. } | Type::OrZero { .. } => (matches!(self, Self::Number(_)), "it is no JSON number"),
            Type::Flag => (matches!(self, Self::Flag(_)), "it is neither true nor false in JSON"),
            Type::Scopes
            | Type::Topics
            | Type::Patterns
            | Type::Algorithms
            | Type::CloseCodes
            | Type::Hosts
            | Type::Pins => (matches!(self, Self::List(_)), "it is no JSON array of texts"),
            _ => (matches!(self, Self::Text(_)), "it is no JSON text"),
        };
        (!fits).then_some(why)
    }
}

/// Reads one JSON object, flat or nested, into keys with dots.
pub(super) fn flatten(json: &str) -> Result<BTreeMap<String, Given>, Error> {
    if json.len() > MAX_BYTES {
        return Err(Error::new(Code::TooLarge, Stage::Configure, "the JSON text is larger than 1 MiB."));
    }
    let value: Value = serde_json::from_str(json)
        .map_err(|error| wrong(&format!("not JSON at line {}, column {}.", error.line(), error.column())))?;
    let Value::Object(root) = value else { return Err(wrong("not a JSON object.")) };
    // The parser keeps the last of two members of one name; a setting that is silently ignored is a trap.
    if members_written(json) != members_kept(&root) {
        return Err(wrong("a key stands there twice."));
    }
    let mut found = BTreeMap::new();
    collect("", root, &mut found)?;
    Ok(found)
}

fn collect(prefix: &str, object: Map<String, Value>, found: &mut BTreeMap<String, Given>) -> Result<(), Error> {
    for (name, value) in object {
        let key = format!("{prefix}{name}");
        let given = match value {
            Value::Object(inner) if keys::is_group(&key) => {
                collect(&format!("{key}."), inner, found)?;
                continue;
            }
            Value::Object(inner) => return Err(misplaced(key, &inner)),
            Value::String(text) => Given::Text(text),
            Value::Number(number) => Given::Number(digits(&number)),
            Value::Bool(flag) => Given::Flag(flag),
            Value::Array(elements) => Given::List(elements.into_iter().map(text_of).collect::<Result<_, _>>()?),
            Value::Null => return Err(wrong(&format!("\"{}\": null is no value.", keys::printable(&key)))),
        };
        if found.insert(key, given).is_some() {
            return Err(wrong("a key stands there twice."));
        }
    }
    Ok(())
}

/// The error of an object that stands where no key has further parts: it is a key's value, or the name is wrong.
fn misplaced(mut key: String, mut inner: &Map<String, Value>) -> Error {
    if let Ok((key, _)) = keys::find(&key) {
        return key.bad_value("it is a JSON object");
    }
    while let Some((name, value)) = inner.iter().next() {
        key = format!("{key}.{name}");
        let Value::Object(next) = value else { break };
        inner = next;
    }
    keys::unknown(&key)
}

/// As in JSON Schema, 5.0 is a whole number.
fn digits(number: &Number) -> String {
    let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && (0.0..1e15).contains(float));
    // Exact: within 53 bits.
    whole.map_or_else(|| number.to_string(), |float| (float as u64).to_string())
}

fn text_of(element: Value) -> Result<String, Error> {
    match element {
        Value::String(text) => Ok(text),
        _ => Err(wrong("an element of a list is no text.")),
    }
}

/// Members of all objects in a valid JSON text: its colons outside of strings.
fn members_written(json: &str) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

fn members_kept(object: &Map<String, Value>) -> usize {
    object.values().map(|value| 1 + members_of(value)).sum()
}

fn members_of(value: &Value) -> usize {
    match value {
        Value::Object(object) => members_kept(object),
        Value::Array(elements) => elements.iter().map(members_of).sum(),
        _ => 0,
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Code::BadValue, Stage::Configure, why)
}
