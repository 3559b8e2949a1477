//! Times as text. No I/O.
#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

const DAY: u64 = 86_400;
/// The days from the first of March of the year 0 to 1970. In the civil calendar, 400 years have 146,097 days.
const BEFORE_1970: u64 = 719_468;

/// A time in the civil calendar.
struct Civil {
    year: u64,
    /// From 1.
    month: u64,
    /// From 1.
    date: u64,
    hour: u64,
    minute: u64,
    second: u64,
    /// From Thursday, on which the first of January 1970 was.
    weekday: u64,
}

#[allow(clippy::arithmetic_side_effects, reason = "no step can overflow: the days fit into 48 bits")]
fn civil(since_1970: Duration) -> Civil {
    let seconds = since_1970.as_secs();
    let (days, second) = (seconds / DAY, seconds % DAY);
    // The civil calendar in eras of 400 years of 146,097 days, which begin on the first of March of the year 0.
    let day = days + BEFORE_1970;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Civil { year: year + era * 400, month, date, hour, minute, second, weekday: days % 7 }
}

/// A time since 1970 as `20150830T123600Z`.
pub fn timestamp(since_1970: Duration) -> String {
    let Civil { year, month, date, hour, minute, second, .. } = civil(since_1970);
    format!("{year:04}{month:02}{date:02}T{hour:02}{minute:02}{second:02}Z")
}

/// A time since 1970 as the header `date` has it: `Sun, 30 Aug 2015 12:36:00 GMT`.
pub fn http_date(since_1970: Duration) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Civil { year, month, date, hour, minute, second, weekday } = civil(since_1970);
    let (month, weekday) =
        (MONTHS.iter().zip(1..).find(|(_, n)| *n == month), WEEKDAYS.iter().zip(0..).find(|(_, n)| *n == weekday));
    let (month, weekday) = (month.map_or("", |(name, _)| name), weekday.map_or("", |(name, _)| name));
    format!("{weekday}, {date:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The time since 1970 in a text such as `2015-08-30T12:36:00Z`, with or without fractions of a second, which are left out.
pub fn since_1970(text: &str) -> Option<Duration> {
    let (date, time) = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?.split_once('T')?;
    let time = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let in_range = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // A year begins with March, so that a leap day is its last.
    let (year, month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let leaps = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let days = year.checked_mul(365)?.checked_add(leaps)?;
    let days = days.checked_add(month.checked_mul(153)?.checked_add(2)? / 5)?.checked_add(day.checked_sub(1)?)?;
    let seconds = days.checked_sub(BEFORE_1970)?.checked_mul(DAY)?;
    let of_day = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    Some(Duration::from_secs(seconds.checked_add(of_day)?))
}

/// Three numbers of digits alone.
fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| digits)
    });
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // From the test suite, and from the calendar: leap days, and the years 2000 and 2100, of which only one has one.
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (1_709_251_199, "20240229T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
        ] {
            assert_eq!(timestamp(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn dates_in_headers_are_those_of_the_calendar() {
        // The second one is the example of RFC 9110.
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for seconds in (0..200 * 366).map(|day| day * 86_400 + day % 86_400) {
            let time = Duration::from_secs(seconds);
            // With separators after the fourth, sixth, … digit.
            let mut text = String::new();
            for (at, digit) in timestamp(time).chars().enumerate() {
                match at {
                    4 | 6 => text.push('-'),
                    11 | 13 => text.push(':'),
                    _ => {}
                }
                text.push(digit);
            }
            assert_eq!(since_1970(&text), Some(time), "{text}");
        }
        assert_eq!(since_1970("2015-08-30T12:36:00.987Z"), Some(Duration::from_secs(1_440_938_160)));
        assert_eq!(since_1970("2015-08-30T12:36:00+00:00"), Some(Duration::from_secs(1_440_938_160)));
        for text in [
            "",
            "Z",
            "2015-08-30",
            "2015-08-30T12:36:00",
            "2015-08-30T12:36:00+01:00",
            "2015-13-30T12:36:00Z",
            "2015-00-30T12:36:00Z",
            "2015-08-32T12:36:00Z",
            "2015-08-30T24:36:00Z",
            "2015-08-30T12:36Z",
            "-1-1-1T1:1:1Z",
            "99999999999999999999-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2015-08-30-01T12:36:00Z",
            "+2015-08-30T12:36:00Z",
        ] {
            assert_eq!(since_1970(text), None, "{text}");
        }
    }
}
