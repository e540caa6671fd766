//! `Retry-After`, as seconds or as a date (RFC 9110, section 10.2.3). No clock: a date is compared by the caller.

use std::time::Duration;

/// What the field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long from now.
    Delay(Duration),
    /// At this time, in seconds since 1970 (UTC).
    At(u64),
}

impl RetryAfter {
    /// How long that is, at `unix_now` seconds since 1970; zero for what has passed.
    pub fn delay(self, unix_now: u64) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(at) => Duration::from_secs(at.saturating_sub(unix_now)),
        }
    }
}

/// Reads the field's value. Dates as they have to be written today (`Sun, 06 Nov 1994 08:49:37 GMT`); the two obsolete
/// forms are not understood. Nothing, if it is neither. More than a century of seconds counts as a century.
pub fn parse_retry_after(value: &[u8]) -> Option<RetryAfter> {
    let value = value.trim_ascii();
    if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        const CENTURY: u64 = 100 * 366 * 86_400;
        let digits = value.iter().map(|digit| u64::from(digit - b'0'));
        let seconds = digits.fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(digit));
        return Some(RetryAfter::Delay(Duration::from_secs(seconds.min(CENTURY))));
    }
    date(value).map(RetryAfter::At)
}

/// Two or four digits.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// An IMF-fixdate as seconds since 1970.
fn date(value: &[u8]) -> Option<u64> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    const WEEKDAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    let value: &[u8; 29] = value.try_into().ok()?;
    let fixed = [(3, b','), (4, b' '), (7, b' '), (11, b' '), (16, b' '), (19, b':'), (22, b':')];
    if fixed.iter().any(|&(at, byte)| value[at] != byte) || &value[25..] != b" GMT" {
        return None;
    }
    if !WEEKDAYS.iter().any(|day| value[..3] == day[..]) {
        return None;
    }
    let month = MONTHS.iter().position(|month| value[8..11] == month[..])? as u64 + 1;
    let (day, year) = (number(&value[5..7])?, number(&value[12..16])?);
    let (hour, minute, second) = (number(&value[17..19])?, number(&value[20..22])?, number(&value[23..25])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    // 60 is a leap second, and counts as the second after it.
    if year < 1970 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is the last one.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = if month <= 2 { month + 9 } else { month - 3 };
    let before = year * 365 + year / 4 - year / 100 + year / 400;
    let in_year = (153 * month + 2) / 5 + day - 1;
    before + in_year - 719_468
}
