//! One line of the access log, as text (`key=value`) or JSON. Pure: what is written, and when it was, are arguments.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `key=value`, in quotes where a value needs them.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What a line says. One without a value is left out, except that JSON says `null` for none of them either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogField {
    /// When the request ended, in UTC with milliseconds (RFC 3339).
    Time,
    /// The method.
    Method,
    /// The path as it was sent; never the query, which may carry secrets.
    Path,
    /// The pattern of the route.
    Route,
    /// The status, if there was an answer.
    Status,
    /// What went wrong: a 5xx, `aborted`, `broken_body`.
    ErrorType,
    /// The class of the error that the answer was made of.
    Class,
    /// From head to end, in microseconds.
    Micros,
    /// The other end of the connection.
    Peer,
    /// The client, as far as trusted proxies say.
    Client,
    /// The host that was asked for.
    Host,
    /// `User-Agent`.
    UserAgent,
    /// `Referer`, without its query.
    Referer,
    /// The HTTP version.
    Version,
    /// The request's id.
    RequestId,
    /// The trace's id, if it is known elsewhere.
    TraceId,
    /// `true` where the request took longer than the limit.
    Slow,
}

impl LogField {
    fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Method => "method",
            Self::Path => "path",
            Self::Route => "route",
            Self::Status => "status",
            Self::ErrorType => "error_type",
            Self::Class => "class",
            Self::Micros => "micros",
            Self::Peer => "peer",
            Self::Client => "client",
            Self::Host => "host",
            Self::UserAgent => "user_agent",
            Self::Referer => "referer",
            Self::Version => "version",
            Self::RequestId => "request_id",
            Self::TraceId => "trace_id",
            Self::Slow => "slow",
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    None,
    Text(&'a str),
    Number(u64),
    True,
    Time(SystemTime),
    Ip(IpAddr),
    Socket(SocketAddr),
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.filter(|text| !text.is_empty()).map_or(Value::None, Value::Text)
    }
}

/// Longer texts are cut, so that a line has a length.
const LONGEST: usize = 1024;

/// Appends a line, with its line break. It allocates nothing if there is room.
pub(super) fn write<'a>(
    into: &mut String,
    format: LogFormat,
    fields: &[LogField],
    value: impl Fn(LogField) -> Value<'a>,
) {
    let mut first = true;
    if format == LogFormat::Json {
        into.push('{');
    }
    for &field in fields {
        let value = value(field);
        if matches!(value, Value::None) {
            continue;
        }
        if !first {
            into.push(if format == LogFormat::Json { ',' } else { ' ' });
        }
        first = false;
        if format == LogFormat::Json {
            into.push('"');
            into.push_str(field.name());
            into.push_str("\":");
        } else {
            into.push_str(field.name());
            into.push('=');
        }
        write_value(into, format, value);
    }
    into.push_str(if format == LogFormat::Json { "}\n" } else { "\n" });
}

fn write_value(into: &mut String, format: LogFormat, value: Value<'_>) {
    let quotes = if format == LogFormat::Json { "\"" } else { "" };
    match value {
        Value::None => {}
        Value::Text(text) => write_text(into, format, cut(text)),
        Value::Number(number) => into.push_str(itoa::Buffer::new().format(number)),
        Value::True => into.push_str("true"),
        Value::Time(time) => {
            into.push_str(quotes);
            push_utc(into, time);
            into.push_str(quotes);
        }
        Value::Ip(ip) => {
            into.push_str(quotes);
            push_ip(into, ip);
            into.push_str(quotes);
        }
        Value::Socket(socket) => push(into, format_args!("{quotes}{socket}{quotes}")),
    }
}

/// A byte that may not stand outside of quotes in a text.
const QUOTES: u8 = 1;
/// A byte that may not stand inside of quotes as it is, or has to be looked at as a part of a character.
const ESCAPE: u8 = 2;

/// What each byte needs.
const NEEDS: [u8; 256] = {
    let mut table = [ESCAPE; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7F {
        table[byte as usize] = match byte {
            b'"' | b'\\' => ESCAPE,
            b'=' => QUOTES,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// As JSON has strings; in text only where a reader could take the value for something else.
fn write_text(into: &mut String, format: LogFormat, text: &str) {
    // One look at each byte, without a branch.
    let needs = text.bytes().fold(0, |needs, byte| needs | NEEDS[usize::from(byte)]);
    if format == LogFormat::Text && !text.is_empty() && needs == 0 {
        return into.push_str(text);
    }
    into.push('"');
    if needs & ESCAPE == 0 {
        into.push_str(text);
        return into.push('"');
    }
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            // Control characters of both blocks, and what some readers take for the end of a line.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                push(into, format_args!("\\u{:04x}", u32::from(c)));
            }
            c => into.push(c),
        }
    }
    into.push('"');
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

fn push(into: &mut String, text: fmt::Arguments<'_>) {
    into.write_fmt(text).expect("a string takes everything");
}

/// An address, without `fmt` where it is of four numbers, as most are.
fn push_ip(into: &mut String, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else { return push(into, format_args!("{ip}")) };
    for (at, number) in ip.octets().into_iter().enumerate() {
        if at > 0 {
            into.push('.');
        }
        into.push_str(itoa::Buffer::new().format(number));
    }
}

/// `2026-11-24T15:41:07.123Z`. The part before the point is made once per second and thread, because every line pays for
/// it.
fn push_utc(into: &mut String, time: SystemTime) {
    thread_local!(static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) });
    // A clock before 1970 is a clock that nobody has set.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() || text.is_empty() {
            *second = since.as_secs();
            text.clear();
            push_second(text, *second);
        }
        into.push_str(text);
    });
    push_digits(into, since.subsec_millis().into(), 3);
    into.push('Z');
}

/// `2026-11-24T15:41:07.`, of seconds since 1970.
fn push_second(into: &mut String, since: u64) {
    let (days, seconds) = (since / 86_400, since % 86_400);
    let (year, month, day) = date(days);
    let parts = [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (seconds / 3600, 2, ':'),
        (seconds / 60 % 60, 2, ':'),
        (seconds % 60, 2, '.'),
    ];
    for (number, digits, behind) in parts {
        push_digits(into, number, digits);
        into.push(behind);
    }
}

/// The last `digits` digits of a number, with zeros in front.
fn push_digits(into: &mut String, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        into.push(char::from(b'0' + digit as u8));
    }
}

/// Year, month and day of a day counted from 1970-01-01: `civil_from_days` of Hinnant's "chrono-Compatible Low-Level
/// Date Algorithms", for days that are not negative. Years begin in March there, so that the leap day is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    let from_0000_03_01 = days + 719_468;
    let (era, of_era) = (from_0000_03_01 / 146_097, from_0000_03_01 % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(format: LogFormat, path: &str) -> String {
        let mut line = String::new();
        write(
            &mut line,
            format,
            &[LogField::Method, LogField::Path, LogField::Status, LogField::Route],
            |field| match field {
                LogField::Method => Value::Text("GET"),
                LogField::Path => Value::Text(path),
                LogField::Status => Value::Number(200),
                _ => Value::None,
            },
        );
        line
    }

    #[test]
    fn text_has_quotes_where_it_needs_them() {
        assert_eq!(line(LogFormat::Text, "/a"), "method=GET path=/a status=200\n");
        assert_eq!(line(LogFormat::Text, "/a b"), "method=GET path=\"/a b\" status=200\n");
        assert_eq!(line(LogFormat::Text, "\"\n"), "method=GET path=\"\\\"\\n\" status=200\n");
        assert_eq!(line(LogFormat::Text, "a=b"), "method=GET path=\"a=b\" status=200\n");
    }
    #[test]
    fn json_is_json() {
        assert_eq!(line(LogFormat::Json, "/a"), "{\"method\":\"GET\",\"path\":\"/a\",\"status\":200}\n");
    }
    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = line(LogFormat::Text, &"ä".repeat(2_000));
        assert!(text.len() < 1_100 && text.contains("ää"));
    }
    #[test]
    fn times_are_those_of_the_calendar() {
        let check = |seconds: u64, expected: &str| {
            let mut written = String::new();
            push_utc(&mut written, UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(written, expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_827_696, "2000-02-29T12:34:56.000Z");
        check(1_709_251_199, "2024-02-29T23:59:59.000Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn addresses_are_written_as_std_writes_them() {
        for text in ["127.0.0.1", "0.0.0.0", "255.10.9.100", "::1", "2001:db8::7"] {
            let (ip, mut written): (IpAddr, _) = (text.parse().unwrap(), String::new());
            push_ip(&mut written, ip);
            assert_eq!(written, ip.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_and_comes_back(path in "\\PC{0,40}|[\\x00-\\x20\"\\\\]{0,10}") {
            let json = line(LogFormat::Json, &path);
            prop_assert_eq!(json.matches('\n').count(), 1);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value["path"].as_str().unwrap(), path.as_str());
            prop_assert_eq!(line(LogFormat::Text, &path).matches('\n').count(), 1);
        }
        #[test]
        fn dates_agree_with_the_http_ones(seconds in 0_u64..253_402_300_799) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let (year, month, day) = date(seconds / 86_400);
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let name = months[usize::try_from(month).unwrap() - 1];
            let http = httpdate::fmt_http_date(time);
            let expected = format!("{day:02} {name} {year:04}");
            prop_assert!(http.contains(&expected), "{} {}", http, expected);
        }
    }
}
