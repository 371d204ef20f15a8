//! `application/x-www-form-urlencoded` (WHATWG URL 5), as RFC 6749 appendix B asks.

use zeroize::Zeroizing;

use crate::secret::Secret;

/// A form, or the query of a URL, under construction.
#[derive(Default)]
pub(super) struct Form(Zeroizing<String>);

impl Form {
    /// One more field.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { "" } else { "&" };
        // A new string each time: growing in place would leave an unwiped copy behind.
        self.0 = Zeroizing::new(format!("{}{separator}{name}={}", *self.0, *encoded(value)));
    }

    /// A field that is left out when it is empty.
    pub(super) fn add_given(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.add(name, value);
        }
    }

    /// The text.
    pub(super) fn finish(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.0))
    }
}

/// One value.
pub(super) fn encoded(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                const HEX: [char; 16] =
                    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
                out.push('%');
                out.extend(HEX.get(usize::from(byte >> 4)));
                out.extend(HEX.get(usize::from(byte & 15)));
            }
        }
    }
    out
}

/// The first value of a field; `None` when there is none, or its encoding is broken.
pub(super) fn field(form: &str, name: &str) -> Option<Zeroizing<String>> {
    form.split('&')
        .find_map(|pair| pair.split_once('=').filter(|(found, _)| *found == name))
        .and_then(|(_, v)| decoded(v))
}

fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    let digit =
        |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            byte => byte,
        });
    }
    String::from_utf8(std::mem::take(&mut *out)).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut form = Form::default();
        for (name, value) in [("a", "x y+z"), ("b", "é&=%"), ("c", "")] {
            form.add(name, value);
        }
        form.add_given("d", "");
        let form = form.finish();
        assert_eq!(form.expose(), "a=x+y%2Bz&b=%C3%A9%26%3D%25&c=");
        let read = |name| field(form.expose(), name).map(|value| value.to_string());
        assert_eq!(
            ["a", "b", "c", "d"].map(read),
            [Some("x y+z".into()), Some("é&=%".into()), Some(String::new()), None]
        );
    }

    #[test]
    fn broken_encodings_are_no_values() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "a", "b=1", ""] {
            assert_eq!(field(bad, "a"), None, "{bad}");
        }
    }
}
