//! The seal of a record: the last thing of its text in every format, an epoch and 64 hexadecimal digits.
//!
//! A renderer writes the digits as zeros. What computes them fills them in, and what checks them finds them again, by the
//! text alone: so one chain serves all formats, and a verifier need not know which one it reads.

/// How many digits: those of HMAC-SHA256 (RFC 2104, FIPS 180-4).
pub(crate) const DIGITS: usize = 64;

/// The digits before they are known.
pub(crate) const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a renderer has to know of the seal. It writes, at the end of its text or of its structured data,
///
/// * JSON: `,"mac_epoch":E,"mac":"…"` before the braces that end it,
/// * CEF: ` gwaEpoch=E gwaMac=…`,
/// * RFC 5424: an SD-ELEMENT, the last one, that ends with ` epoch="E" mac="…"]`,
///
/// with [`ZEROS`] for the dots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seal {
    /// Number of the key.
    pub(crate) epoch: u64,
}

/// A seal in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// What it says.
    pub(crate) epoch: u64,
    /// Where the digits begin.
    pub(crate) at: usize,
}

/// The seal of a text in any format; none if there is none, or not at its place.
///
/// No text of a peer can pretend to be one: in JSON and CEF the seal ends the text, and an escaped value cannot end like it;
/// in a syslog message it ends the structured data, within which every quote of a value is escaped.
pub(crate) fn find(text: &[u8]) -> Option<Place> {
    match text.first()? {
        b'{' => {
            let braces = text.iter().rev().take_while(|byte| **byte == b'}').count();
            ends_with(text.get(..text.len() - braces)?, b"\"mac_epoch\":", b",\"mac\":\"", b"\"")
        }
        b'<' => ends_with(text.get(..end_of_structured_data(text)?)?, b" epoch=\"", b"\" mac=\"", b"\"]"),
        _ => ends_with(text, b" gwaEpoch=", b" gwaMac=", b""),
    }
}

/// Puts the digits of a MAC where the zeros are.
pub(crate) fn fill(text: &mut String, place: Place, mac: &[u8]) {
    text.replace_range(place.at..place.at + DIGITS, &hex(mac));
}

/// In hexadecimal digits, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// 32 bytes from 64 hexadecimal digits in lower case.
pub(crate) fn unhex(digits: &[u8]) -> Option<[u8; 32]> {
    let value = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut out = [0; 32];
    if digits.len() != DIGITS {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = value(high)? << 4 | value(low)?;
    }
    Some(out)
}

/// What a text ends with: the epoch, the digits, and what is before, between and behind them.
fn ends_with(text: &[u8], before: &[u8], between: &[u8], behind: &[u8]) -> Option<Place> {
    let text = text.strip_suffix(behind)?;
    let (head, digits) = text.split_at_checked(text.len().checked_sub(DIGITS)?)?;
    let epoch = number_at_end(head.strip_suffix(between)?, before)?;
    unhex(digits).map(|_| Place { epoch, at: head.len() })
}

/// Where the structured data of a syslog message ends: six blanks lead to it, elements stand side by side in brackets, and
/// values in them in quotes (RFC 5424 6.3).
fn end_of_structured_data(text: &[u8]) -> Option<usize> {
    let blanks = text.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    let start = blanks.map(|(at, _)| at + 1).nth(5)?;
    let (mut is_inside, mut is_quoted, mut is_escaped) = (false, false, false);
    for (at, byte) in text.iter().enumerate().skip(start) {
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
    (!is_inside).then_some(text.len())
}

/// The number that a text ends with, if `before` is in front of it.
fn number_at_end(text: &[u8], before: &[u8]) -> Option<u64> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).take(20).count();
    let (head, number) = text.split_at_checked(text.len() - digits)?;
    std::str::from_utf8(number).ok()?.parse().ok().filter(|_| head.ends_with(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn every_format_has_its_seal_found_and_filled() {
        let texts = [
            format!("{{\"seq\":7,\"mac_epoch\":12,\"mac\":\"{ZEROS}\"}}"),
            format!("CEF:0|a|b|c|d|e|5|x=y gwaEpoch=12 gwaMac={ZEROS}"),
            format!("<85>1 - h a 1 ID [x@1 y=\"z\"][gwaSeal@1 epoch=\"12\" mac=\"{ZEROS}\"] words"),
        ];
        let mac = unhex(MAC.as_bytes()).unwrap();
        for mut text in texts {
            let place = find(text.as_bytes()).unwrap();
            assert_eq!(place.epoch, 12, "{text}");
            fill(&mut text, place, &mac);
            assert!(text.contains(MAC));
            assert_eq!(find(text.as_bytes()), Some(place));
        }
    }

    #[test]
    fn the_one_at_its_place_counts() {
        let inner = format!("{{\"error\":\"x gwaEpoch=1 gwaMac={MAC}\",\"mac_epoch\":2,\"mac\":\"{ZEROS}\"}}}}");
        assert_eq!(find(inner.as_bytes()).unwrap().epoch, 2);
        let told = format!("<85>1 - h a 1 ID [s@1 epoch=\"2\" mac=\"{ZEROS}\"] said [s@1 epoch=\"1\" mac=\"{MAC}\"]");
        assert_eq!(find(told.as_bytes()).unwrap().epoch, 2);
    }

    #[test]
    fn half_a_seal_is_none() {
        for text in [
            String::new(),
            format!("{{\"mac_epoch\":1,\"mac\":\"{}\"}}", &MAC[1..]),
            format!("{{\"mac_epoch\":1,\"mac\":\"{}\"}}", MAC.to_uppercase()),
            format!("{{\"mac_epoch\":,\"mac\":\"{MAC}\"}}"),
            format!("{{\"mac_epoch\":99999999999999999999,\"mac\":\"{MAC}\"}}"),
            format!("{{\"other\":1,\"mac\":\"{MAC}\"}}"),
            format!("{{\"mac_epoch\":1,\"mac\":\"{MAC}"),
            format!("{{\"mac_epoch\":1,\"mac\":\"{MAC}\",\"more\":1}}"),
            format!("CEF:0| gwaEpoch=x gwaMac={MAC}"),
            format!("CEF:0| gwaEpoch=1 gwaMac={MAC} more=1"),
            format!("<85>1 - h a 1 ID [s@1 epoch=\"1\" mac=\"{MAC}\" "),
        ] {
            assert_eq!(find(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn digits_and_back() {
        let mac = unhex(MAC.as_bytes()).unwrap();
        assert_eq!(hex(&mac), MAC);
        assert_eq!(unhex(&MAC.as_bytes()[2..]), None);
    }
}
