//! A JSON object, read so that nobody can read it otherwise (RFC 8725 2.4, RFC 7519 4, RFC 8259 4).

use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of nesting, the outermost object included. Tokens and key sets need three.
const DEPTH_MAX: u8 = 8;

/// Why it is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// It is no JSON text, or no object.
    Malformed,
    /// An object in it has two members of one name.
    Duplicate,
    /// It is nested too deeply.
    TooDeep,
}

impl Fault {
    /// What is wrong, as a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Malformed => "It is no JSON object.",
            Self::Duplicate => "An object has two members of one name.",
            Self::TooDeep => "It is nested too deeply.",
        }
    }
}

/// The one object that these bytes are.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let mut fault = Fault::Malformed;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: DEPTH_MAX, fault: &mut fault }.deserialize(&mut reader);
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Fault::Malformed),
        Err(_) => Err(fault),
    }
}

/// One value, and how much deeper it may go.
struct Strict<'a> {
    depth: u8,
    fault: &'a mut Fault,
}

impl Strict<'_> {
    /// One level deeper.
    fn inner<E: Error>(&mut self) -> Result<Strict<'_>, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Strict { depth, fault: self.fault }),
            None => Err(self.refuse(Fault::TooDeep)),
        }
    }

    fn refuse<E: Error>(&mut self, fault: Fault) -> E {
        *self.fault = fault;
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.refuse(Fault::Malformed))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner()?)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if all.contains_key(&name) {
                return Err(self.refuse(Fault::Duplicate));
            }
            let value = members.next_value_seed(self.inner()?)?;
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}
