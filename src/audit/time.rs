//! Milliseconds since 1970 as UTC text. The standard library has no calendar, and no crate is worth one format.

use std::fmt::Write;

const MS_PER_DAY: u64 = 86_400_000;

/// Appends e.g. `2024-05-15T10:30:05.123Z` (RFC 3339, what JavaScript's `toISOString` writes).
pub(crate) fn push_utc(out: &mut String, wall_ms: u64) {
    let (year, month, day) = civil_from_days(wall_ms / MS_PER_DAY);
    let ms = wall_ms % MS_PER_DAY;
    let (hour, minute, second, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    // Writing to a String cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z");
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar.
///
/// Counted from 1 March of the year 0, so that a leap day is the last day of its year; 400 years repeat.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(wall_ms: u64) -> String {
        let mut out = String::new();
        push_utc(&mut out, wall_ms);
        out
    }

    #[test]
    fn known_moments() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(utc(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(utc(1_715_769_005_123), "2024-05-15T10:30:05.123Z");
        assert_eq!(utc(1_709_164_800_000), "2024-02-29T00:00:00.000Z");
        assert_eq!(utc(2_147_483_648_000), "2038-01-19T03:14:08.000Z");
        assert_eq!(utc(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_of_five_centuries_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..365 * 500 {
            assert_eq!(civil_from_days(number), (year, month, day));
            (year, month, day) = day_after(year, month, day);
        }
    }

    #[test]
    fn the_largest_time_is_no_overflow() {
        assert!(utc(u64::MAX).ends_with('Z'));
    }

    fn day_after(year: u64, month: u64, day: u64) -> (u64, u64, u64) {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let length = match month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, last) if last == length => (year, month + 1, 1),
            _ => (year, month, day + 1),
        }
    }
}
