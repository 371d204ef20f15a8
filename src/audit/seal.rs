//! The seal of a record: the last thing of its text in every format, an epoch and 64 hexadecimal digits.
//!
//! A renderer writes the digits as zeros. What computes them fills them in, and what checks them finds them again, by the
//! text alone: so one chain serves all formats, and a verifier need not know which one it reads.

/// How many digits: those of HMAC-SHA256 (RFC 2104, FIPS 180-4).
pub(crate) const DIGITS: usize = 64;

/// The digits before they are known.
pub(crate) const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a renderer has to know of the seal. It writes, in this order and at the end of its text,
///
/// * JSON: the last members `"mac_epoch":E,"mac":"…"`,
/// * CEF: ` gwaEpoch=E gwaMac=…`,
/// * RFC 5424: an SD-ELEMENT whose last parameters are `epoch="E" mac="…"`,
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

/// How each format writes it: what is before the epoch, between it and the digits, and behind them.
const FORMS: [(&[u8], &[u8], &[u8]); 3] = [
    (b"\"mac_epoch\":", b",\"mac\":\"", b"\""),
    (b" gwaEpoch=", b" gwaMac=", b""),
    (b" epoch=\"", b"\" mac=\"", b"\""),
];

/// The last seal in a text.
pub(crate) fn find(text: &[u8]) -> Option<Place> {
    let mut starts = (0..text.len().saturating_sub(DIGITS)).rev();
    starts.find_map(|start| FORMS.iter().find_map(|form| seal_at(text, start, form)))
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

fn seal_at(text: &[u8], start: usize, (before, between, behind): &(&[u8], &[u8], &[u8])) -> Option<Place> {
    let (head, rest) = text.split_at_checked(start)?;
    let (digits, tail) = rest.strip_prefix(*between)?.split_at_checked(DIGITS)?;
    let epoch = number_at_end(head, before)?;
    (unhex(digits).is_some() && tail.starts_with(behind)).then_some(Place { epoch, at: start + between.len() })
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
    fn the_last_one_counts() {
        let inner = format!("{{\"error\":\"x gwaEpoch=1 gwaMac={MAC}\",\"mac_epoch\":2,\"mac\":\"{ZEROS}\"}}");
        assert_eq!(find(inner.as_bytes()).unwrap().epoch, 2);
    }

    #[test]
    fn half_a_seal_is_none() {
        for text in [
            String::new(),
            format!("\"mac_epoch\":1,\"mac\":\"{}\"", &MAC[1..]),
            format!("\"mac_epoch\":1,\"mac\":\"{}\"", MAC.to_uppercase()),
            format!("\"mac_epoch\":,\"mac\":\"{MAC}\""),
            format!("\"mac_epoch\":99999999999999999999,\"mac\":\"{MAC}\""),
            format!("\"other\":1,\"mac\":\"{MAC}\""),
            format!("\"mac_epoch\":1,\"mac\":\"{MAC}"),
            format!(" gwaEpoch=x gwaMac={MAC}"),
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
