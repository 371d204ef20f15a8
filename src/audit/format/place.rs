//! Where the chain's link is in a rendered record, for whoever writes it and whoever verifies it.

use std::ops::Range;

/// The 64 hexadecimal digits of the link, of a text in any format; `None`: it has none, or none at its place.
///
/// No text of a peer can pretend to be one: in JSON and CEF the link ends the text, and an escaped value cannot end like it;
/// in a syslog message it is in the structured data, of which every `]` within a value is escaped.
#[allow(dead_code, reason = "used where a chain is configured")]
pub(crate) fn mac(text: &str) -> Option<Range<usize>> {
    let range = match text.as_bytes().first()? {
        b'{' => {
            let body = text.trim_end_matches('}');
            let end = body.strip_suffix('"')?.len();
            after(text, end, ",\"mac\":\"")?
        }
        b'<' => {
            let end = end_of_structured_data(text)?.checked_sub("\"]".len())?;
            text.get(end..)?.starts_with("\"]").then_some(())?;
            after(text, end, " mac=\"")?
        }
        _ => after(text, text.len(), " gwaMac=")?,
    };
    let is_mac = text.get(range.clone())?.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_mac.then_some(range)
}

/// The 64 characters before `end`, if `label` is before them.
fn after(text: &str, end: usize, label: &str) -> Option<Range<usize>> {
    let start = end.checked_sub(64)?;
    text.get(..start)?.ends_with(label).then_some(start..end)
}

/// Where the structured data of a syslog message ends: six blanks lead to it, elements stand side by side in brackets, and
/// values in them in quotes.
fn end_of_structured_data(text: &str) -> Option<usize> {
    let start = text.match_indices(' ').nth(5)?.0 + 1;
    let (mut is_inside, mut is_quoted, mut is_escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'[' => is_inside = true,
            b']' => is_inside = false,
            _ if !is_inside => return Some(at),
            _ => {}
        }
    }
    None
}
