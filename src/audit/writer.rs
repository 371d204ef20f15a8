//! JSON in the order it is written: readers of the tutorial's records expect its order, a map would sort it.

use std::fmt::{Display, Write};

use super::time::push_utc;

/// A JSON object under construction at the end of a string. Closed by [`Object::end`].
pub(crate) struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Opens an object.
    pub(crate) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// A string member.
    pub(crate) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        push_string(self.key(key), value);
        self
    }

    /// A member that is a list of strings.
    pub(crate) fn texts(&mut self, key: &str, values: &[String]) -> &mut Self {
        let out = self.key(key);
        out.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_string(out, value);
        }
        out.push(']');
        self
    }

    /// A number or boolean member, as `Display` writes it. An integral float comes without a fraction, as in JavaScript.
    pub(crate) fn plain(&mut self, key: &str, value: impl Display) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(self.key(key), "{value}");
        self
    }

    /// A time as UTC text.
    pub(crate) fn utc(&mut self, key: &str, wall_ms: u64) -> &mut Self {
        let out = self.key(key);
        out.push('"');
        push_utc(out, wall_ms);
        out.push('"');
        self
    }

    /// A member that is an object, filled by `fill`.
    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        let mut inner = Object::begin(self.key(key));
        fill(&mut inner);
        inner.end();
        self
    }

    /// A member that is a list of objects, each filled by `fill`.
    pub(crate) fn objects<T>(&mut self, key: &str, values: &[T], fill: impl Fn(&T, &mut Object<'_>)) -> &mut Self {
        let out = self.key(key);
        out.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let mut inner = Object::begin(out);
            fill(value, &mut inner);
            inner.end();
        }
        out.push(']');
        self
    }

    /// Closes the object.
    pub(crate) fn end(self) {
        self.out.push('}');
    }

    fn key(&mut self, key: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        push_string(self.out, key);
        self.out.push(':');
        self.out
    }
}

/// Appends a JSON string (RFC 8259 7). No raw control character is left, nor what Unicode takes for the end of a line, so
/// a record is one line without a NUL, whoever splits it.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Nearly all is copied as it is, in one piece.
    while let Some(at) = rest.bytes().position(may_need_escape) {
        let (plain, found) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = found.chars();
        characters.next().into_iter().for_each(|character| push_escaped(out, character));
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Whether a byte is, or begins, a character that [`push_escaped`] may have to do with: C1 controls begin with C2, both
/// separators with E2 (RFC 3629 3).
fn may_need_escape(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f | 0xc2 | 0xe2)
}

fn push_escaped(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        control if control.is_control() || matches!(control, '\u{2028}' | '\u{2029}') => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{:04x}", control as u32);
        }
        other => out.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let nasty = "q\" b\\ n\n r\r t\t z\0 d\u{7f} e\u{85} l\u{2028}\u{2029} ü 😀 </script>";
        let mut out = String::new();
        let mut object = Object::begin(&mut out);
        object.text(nasty, nasty).texts("list", &[nasty.into(), String::new()]).texts("none", &[]);
        object.plain("rate", 100.0).plain("third", 100.0 / 3.0).plain("on", true).utc("at", 0);
        object.object("in", |inner| {
            inner.plain("n", u64::MAX);
        });
        object.end();
        assert!(!out.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}'));
        let back: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(back[nasty], nasty);
        assert_eq!(back["list"][0], nasty);
        assert_eq!(back["in"]["n"], u64::MAX);
        assert!(out.contains("\"rate\":100,\"third\":33.333333333333336,\"on\":true"), "{out}");
    }

    #[test]
    fn every_character_reads_back() {
        let all: String = (char::MIN..=char::MAX).collect();
        let mut out = String::new();
        push_string(&mut out, &all);
        assert!(!out.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')));
        assert!(serde_json::from_str::<String>(&out).unwrap() == all);
    }
}
