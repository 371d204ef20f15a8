//! The correlation id of the last event, for a gap that may begin after it.

/// How much of a text is kept at either end: an event's metadata is its last member.
const KEPT: usize = 512;
const NAME: &[u8] = br#""CorrelationId""#;
const LONGEST: usize = 200;

/// The last event that was delivered, as far as its correlation id is concerned. Keeping it costs a copy of a kilobyte; it is
/// read when a gap begins.
#[derive(Debug, Default)]
pub struct Last {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Last {
    /// This is the last event now.
    pub fn keep(&mut self, text: &[u8]) {
        let (head, tail) = text.split_at(text.len().saturating_sub(KEPT));
        self.tail.clear();
        self.tail.extend_from_slice(tail);
        self.head.clear();
        self.head.extend_from_slice(head.get(..KEPT).unwrap_or(head));
    }

    /// Its correlation id, or an empty text.
    pub fn correlation_id(&self) -> String {
        find(&self.tail).or_else(|| find(&self.head)).unwrap_or_default()
    }
}

/// The last `"CorrelationId":"…"` of a text that may be cut off anywhere.
fn find(text: &[u8]) -> Option<String> {
    let at = text.windows(NAME.len()).rposition(|window| window.eq_ignore_ascii_case(NAME))?;
    let rest = std::str::from_utf8(text.get(at + NAME.len()..)?).ok()?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (id, _) = value.split_once('"')?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    (id.len() <= LONGEST && id.bytes().all(is_plain)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> String {
        let mut last = Last::default();
        last.keep(b"what was before");
        last.keep(text.as_bytes());
        last.correlation_id()
    }

    #[test]
    fn of_the_metadata_wherever_it_is() {
        let body = format!("{:>4000}", "é");
        assert_eq!(id(r#"{"eventBody":{"CorrelationId":"no"},"metadata":{"CorrelationId":"a-1"}}"#), "a-1");
        assert_eq!(id(&format!(r#"{{"eventBody":"{body}","metadata":{{"CorrelationId" : "a-2" }}}}"#)), "a-2");
        assert_eq!(id(&format!(r#"{{"metadata":{{"CorrelationId":"a-3"}},"eventBody":"{body}"}}"#)), "a-3");
        for none in ["", "{}", r#"{"metadata":{}}"#, r#"{"CorrelationId":null}"#, r#"{"CorrelationId":"cut"#] {
            assert_eq!(id(none), "", "{none}");
        }
        assert_eq!(id(&format!(r#"{{"CorrelationId":"{}"}}"#, "x".repeat(300))), "");
    }
}
