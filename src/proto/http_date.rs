//! HTTP-dates (RFC 9110 5.6.7).

/// Milliseconds since 1970 of an HTTP-date in any of its three forms (RFC 9110 5.6.7).
pub fn millis(text: &str) -> Option<u64> {
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
pub(super) fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
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
    fn three_forms_of_one_moment_and_what_is_none() {
        for form in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(millis(form), Some(784_111_777_000), "{form}");
        }
        for none in ["", "now", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Non 1994 08:49:37 GMT", "06 Nov 1994"] {
            assert_eq!(millis(none), None, "{none}");
        }
    }
}
