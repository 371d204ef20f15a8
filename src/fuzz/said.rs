//! What a token says, or its issuer of it, read a second time: nothing of the code that is judged has a part in it.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{Map, Value};

/// Who has to have issued what is believed.
pub(super) const ISSUER: &str = "https://issuer.example";
/// Whom it has to be for.
pub(super) const AUDIENCE: &str = "socket";

/// Members of an object by name.
pub(super) struct Said(Map<String, Value>);

impl Said {
    /// Of a part of a token.
    pub(super) fn of_part(part: &str) -> Self {
        Self::of(&URL_SAFE_NO_PAD.decode(part).expect("base64url"))
    }

    /// Of an issuer's answer, in which `null` says nothing.
    pub(super) fn of_answer(body: &[u8]) -> Self {
        let mut said = Self::of(body);
        said.0.retain(|_, value| !value.is_null());
        said
    }

    fn of(json: &[u8]) -> Self {
        let Ok(Value::Object(members)) = serde_json::from_slice(json) else { panic!("believed, and no JSON object") };
        Self(members)
    }

    /// A text, if there is one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str().unwrap_or_else(|| panic!("{name} is no text: {value}")))
    }

    /// Whether it is there, and not nothing.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether it is there, and true.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// A text, or a list of them.
    fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            None => vec![],
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
                all.iter().filter_map(Value::as_str).collect()
            }
            Some(other) => panic!("{name} is no list of texts: {other}"),
        }
    }

    /// The names in `scope`: a text of them (RFC 6749 3.3), or a list.
    pub(super) fn scopes(&self) -> Option<Vec<&str>> {
        match self.0.get("scope")? {
            Value::String(names) => Some(names.split(' ').filter(|name| !name.is_empty()).collect()),
            _ => Some(self.texts("scope")),
        }
    }

    /// A NumericDate in milliseconds (RFC 7519 2).
    pub(super) fn time_ms(&self, name: &str) -> Option<f64> {
        let seconds = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{name} is no time: {value}"));
        self.0.get(name).map(|value| seconds(value) * 1_000.0)
    }

    /// These are texts, and those lists of them, if they are there.
    pub(super) fn assert_types(&self, texts: &[&str], lists: &[&str]) {
        texts.iter().for_each(|name| _ = self.text(name));
        lists.iter().for_each(|name| _ = self.texts(name));
    }

    /// It has not ended, and has begun, as far as clocks may be apart.
    pub(super) fn assert_in_time(&self, now_ms: u64, leeway_ms: u64) {
        let (earliest, latest) = (now_ms.saturating_sub(leeway_ms) as f64, (now_ms + leeway_ms) as f64);
        assert!(self.time_ms("exp").is_none_or(|time| time > earliest), "believed, and expired");
        for name in ["nbf", "iat"] {
            // Whole milliseconds are compared: of one that has begun the rest may be to come.
            assert!(self.time_ms(name).is_none_or(|time| time < latest + 1.0), "believed, and {name} is to come");
        }
    }

    /// It is of that issuer.
    pub(super) fn assert_issuer(&self) {
        assert_eq!(self.text("iss"), Some(ISSUER), "believed, and of another issuer");
    }

    /// It is for us.
    pub(super) fn assert_audience(&self) {
        let audience = self.texts("aud");
        assert!(audience.contains(&AUDIENCE), "believed, and for another audience: {audience:?}");
    }
}
