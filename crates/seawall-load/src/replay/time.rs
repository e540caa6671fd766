//! Times of logs, as nanoseconds since 1970. Pure.

/// `2026-11-24T14:00:00.123Z` or with an offset such as `+02:00` (RFC 3339).
pub(super) fn rfc3339(text: &str) -> Option<i128> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = numbers(clock, ':')?;
    let offset = match zone {
        "Z" | "z" => 0,
        _ => offset(&zone.replace(':', ""))?,
    };
    let seconds = seconds(year, month, day, hour, minute, second)? - offset;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(nanos(fraction)?))
}

/// `10/Oct/2000:13:55:36 -0700` (common log format).
pub(super) fn common_log(text: &str) -> Option<i128> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (clock, zone) = text.split_once(' ')?;
    let mut parts = clock.splitn(2, ':');
    let mut date = parts.next()?.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let [hour, minute, second] = numbers(parts.next()?, ':')?;
    let seconds = seconds(year.parse().ok()?, month, day.parse().ok()?, hour, minute, second)?;
    Some(i128::from(seconds - offset(zone)?) * 1_000_000_000)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse::<u32>().ok().map(i64::from));
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// `+0200` in seconds.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = (zone.get(..1)?, zone.get(1..)?);
    if digits.len() != 4 {
        return None;
    }
    let number: i64 = digits.parse::<u16>().ok()?.into();
    let seconds = number / 100 * 3_600 + number % 100 * 60;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

fn nanos(fraction: &str) -> Option<u32> {
    let digits: String = fraction.chars().take(9).collect();
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// Seconds since 1970. Days are counted from March on, so that the leap day is a year's last (Hinnant,
/// "chrono-compatible low-level date algorithms").
fn seconds(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    let in_range = (0..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range {
        return None;
    }
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        let second = 1_000_000_000;
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339("2000-02-29T12:00:00.25+02:00"), Some(951_818_400 * second + second / 4));
        assert_eq!(rfc3339("2026-11-24T14:00:00.123456789123Z"), Some(1_795_528_800 * second + 123_456_789));
        assert_eq!(common_log("10/Oct/2000:13:55:36 -0700"), Some(971_211_336 * second));
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in ["", "2026", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "x"] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        for text in ["", "10/Foo/2000:13:55:36 -0700", "10/Oct/2000:13:55:36", "10/Oct/2000:13:55:36 -07"] {
            assert_eq!(common_log(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_later_is_a_day_later(year in 1970i64..2100, month in 1i64..13, day in 1i64..28) {
            let day_of = |day| seconds(year, month, day, 0, 0, 0).unwrap();
            prop_assert_eq!(day_of(day + 1) - day_of(day), 86_400);
        }

        #[test]
        fn any_text_is_a_time_or_none(text in ".{0,40}") {
            let _ = (rfc3339(&text), common_log(&text));
        }
    }
}
