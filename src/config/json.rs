//! A JSON object as keys and values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Stage};

/// Largest JSON text.
const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of objects; no key has as many parts.
const MAX_DEPTH: usize = 8;

/// A value as it stands in JSON.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Given {
    /// A text, number or boolean.
    Text(String),
    /// An array of texts.
    List(Vec<String>),
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
    collect("", root, 1, &mut found)?;
    Ok(found)
}

fn collect(
    prefix: &str,
    object: Map<String, Value>,
    depth: usize,
    found: &mut BTreeMap<String, Given>,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(wrong("nested too deeply."));
    }
    for (name, value) in object {
        let key = format!("{prefix}{name}");
        let given = match value {
            Value::Object(inner) => {
                collect(&format!("{key}."), inner, depth + 1, found)?;
                continue;
            }
            Value::String(text) => Given::Text(text),
            Value::Number(number) => Given::Text(number.to_string()),
            Value::Bool(flag) => Given::Text(flag.to_string()),
            Value::Array(elements) => Given::List(elements.into_iter().map(text_of).collect::<Result<_, _>>()?),
            Value::Null => return Err(wrong("null is no value.")),
        };
        if found.insert(key, given).is_some() {
            return Err(wrong("a key stands there twice."));
        }
    }
    Ok(())
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
