//! `Retry-After` (RFC 9110 10.2.3): seconds, a fraction of them, or an HTTP-date.

use super::http_date;

/// Longest wait that is believed.
const MAX_MS: u64 = 7 * 24 * 3_600_000;

/// How long the server asks to wait. `date` is the answer's own `Date`, else `wall_ms` is "now" for an HTTP-date.
/// Garbage and negative numbers count as absent; what is huge is cut to a week.
pub fn read(value: &str, date: Option<&str>, wall_ms: u64) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        return (plain && seconds.is_finite()).then_some(((seconds * 1_000.0).ceil() as u64).min(MAX_MS));
    }
    let until = http_date::millis(value)?;
    let now = date.and_then(http_date::millis).unwrap_or(wall_ms);
    Some(until.saturating_sub(now).min(MAX_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_fractions_and_what_is_absent() {
        assert_eq!(read("2", None, 0), Some(2_000));
        assert_eq!(read(" 0.25 ", None, 0), Some(250));
        assert_eq!(read("0", None, 0), Some(0));
        for garbage in ["", "-1", "soon", "1e9", "NaN", "inf", "+3", "1 2", "12:00:00"] {
            assert_eq!(read(garbage, None, 0), None, "{garbage}");
        }
        assert_eq!(read("99999999999999999999999", None, 0), Some(MAX_MS));
    }

    #[test]
    fn dates_count_from_the_answers_own_clock() {
        let date = Some("Sun, 06 Nov 1994 08:49:07 GMT");
        for form in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(read(form, date, 1), Some(30_000), "{form}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT", None, 784_111_776_000), Some(1_000));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT", None, 784_111_779_000), Some(0), "the past is now");
        assert_eq!(read("Thu, 29 Feb 2024 23:59:60 GMT", Some("Thu, 29 Feb 2024 23:59:59 GMT"), 0), Some(1_000));
        assert_eq!(read("Sun, 99 Nov 1994 08:49:37 GMT", None, 0), None);
    }
}
