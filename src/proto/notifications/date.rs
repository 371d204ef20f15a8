//! The form of date that the REST API uses (RFC 3339 5.6).

use crate::proto::http_date::days_since_1970;

/// Milliseconds since 1970 of e.g. `2020-08-12T12:41:54.707Z`; offsets count, letters of either case.
pub fn millis(text: &str) -> Option<u64> {
    let (date, time) = text.trim().split_once(['T', 't'])?;
    let days = match *date.split('-').map(|part| digits(part, 2, 4)).collect::<Option<Vec<u64>>>()?.as_slice() {
        [year, month @ 1..=12, day @ 1..=31] => days_since_1970(year, month, day)?,
        _ => return None,
    };
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').map_or((time, ""), |(time, fraction)| (time, fraction));
    let seconds = match *time.split(':').map(|part| digits(part, 2, 2)).collect::<Option<Vec<u64>>>()?.as_slice() {
        [h @ 0..=23, m @ 0..=59, s @ 0..=60] => h * 3_600 + m * 60 + s,
        _ => return None,
    };
    let thousandths = if fraction.is_empty() { 0 } else { thousandths(fraction)? };
    let local = (days * 86_400 + seconds) * 1_000 + thousandths;
    let (ahead, behind) = offset_ms(zone)?;
    (local + behind).checked_sub(ahead)
}

fn digits(text: &str, least: usize, most: usize) -> Option<u64> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

fn thousandths(fraction: &str) -> Option<u64> {
    digits(fraction, 1, 18)?;
    let padded: String = fraction.chars().chain("00".chars()).take(3).collect();
    padded.parse().ok()
}

/// By how much local time is ahead of or behind UTC.
fn offset_ms(zone: &str) -> Option<(u64, u64)> {
    if zone.eq_ignore_ascii_case("z") {
        return Some((0, 0));
    }
    let (sign, offset) = zone.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let offset = (digits(hours, 2, 2)? * 60 + digits(minutes, 2, 2)?) * 60_000;
    Some(if sign == "+" { (offset, 0) } else { (0, offset) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_api() {
        assert_eq!(millis("2020-08-12T12:41:54.707Z"), Some(1_597_236_114_707));
        assert_eq!(millis("2020-08-12T12:41:54Z"), Some(1_597_236_114_000));
        assert_eq!(millis("2020-08-12t14:41:54.7+02:00"), Some(1_597_236_114_700));
        assert_eq!(millis("2020-08-12T11:41:54.70712345-01:00"), Some(1_597_236_114_707));
        for none in ["", "soon", "2020-08-12", "2020-13-12T12:41:54Z", "2020-08-12T24:41:54Z", "2020-08-12T12:41:54"] {
            assert_eq!(millis(none), None, "{none}");
        }
    }
}
