//! `Retry-After` (RFC 9110 10.2.3): seconds, a fraction of them, or an HTTP-date.

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
    let until = http_date_ms(value)?;
    let now = date.and_then(http_date_ms).unwrap_or(wall_ms);
    Some(until.saturating_sub(now).min(MAX_MS))
}

/// Milliseconds since 1970 of an HTTP-date in any of its three forms (RFC 9110 5.6.7).
fn http_date_ms(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    // Sun, 06 Nov 1994 08:49:37 GMT; Sunday, 06-Nov-94 08:49:37 GMT; Sun Nov  6 08:49:37 1994
    let ([_, day, month, year, time, "GMT"] | [_, month, day, time, year]) = *words.as_slice() else { return None };
    let days = days_since_1970(year_of(year)?, month_of(month)?, day.parse().ok().filter(|d| (1..=31).contains(d))?)?;
    Some((days * 86_400 + seconds_of(time)?) * 1_000)
}

/// A two-digit year is of this century unless it would lie far ahead.
fn year_of(text: &str) -> Option<u64> {
    let year: u64 = text.parse().ok()?;
    match text.len() {
        2 if year >= 70 => Some(1_900 + year),
        2 => Some(2_000 + year),
        4 => Some(year),
        _ => None,
    }
}

fn month_of(name: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    MONTHS.iter().position(|month| *month == name).map(|index| index as u64 + 1)
}

fn seconds_of(time: &str) -> Option<u64> {
    let parts: Vec<u64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match *parts.as_slice() {
        [h, m, s] if h < 24 && m < 60 && s <= 60 => Some(h * 3_600 + m * 60 + s),
        _ => None,
    }
}

/// Civil date to days, counted in years that begin in March so that the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 + day_of_year;
    days.checked_sub(719_468)
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
