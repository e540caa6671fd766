//! The time that a caller still has, as it says in a header: gRPC's `grpc-timeout`, and our own `Seawall-Timeout-Ms`.
//!
//! Both are relative, because clocks differ between machines. Pure text to length; `context/deadline.rs` decides what
//! it means. `Seawall-Timeout-Ms` is one to eight decimal digits, milliseconds: `Seawall-Timeout-Ms: 250`.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::error::{Error, Result};

pub(crate) const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
pub(crate) const OWN: HeaderName = HeaderName::from_static("seawall-timeout-ms");

/// How much of a bad value is told back: more than any good one has.
const MAX_SHOWN: usize = 16;

/// The shortest time that any of the headers gives; zero if a caller has none left.
///
/// # Errors
/// 400 for a value that is not of the header's form.
pub(crate) fn remaining(headers: &HeaderMap) -> Result<Option<Duration>> {
    let mut shortest = None;
    for (name, parse, form) in [
        (GRPC, grpc as fn(&[u8]) -> Option<Duration>, "1 to 8 digits and one of H, M, S, m, u, n"),
        (OWN, millis, "1 to 8 digits, milliseconds"),
    ] {
        for value in headers.get_all(&name) {
            let Some(time) = parse(value.as_bytes()) else {
                let shown = &value.as_bytes()[..value.len().min(MAX_SHOWN)];
                let given = String::from_utf8_lossy(shown);
                return Err(Error::bad_request("invalid timeout")
                    .field(name.as_str().to_owned(), format_args!("is `{given}`, but must be {form}")));
            };
            shortest = Some(shortest.map_or(time, |known: Duration| known.min(time)));
        }
    }
    Ok(shortest)
}

/// `TimeoutValue TimeoutUnit` of gRPC over HTTP/2. A value of zero is what clients send whose time is up.
fn grpc(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let number = number(digits)?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

fn millis(value: &[u8]) -> Option<Duration> {
    number(value).map(Duration::from_millis)
}

fn number(digits: &[u8]) -> Option<u64> {
    let fits = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(lines: &[(&'static str, &str)], expected: Option<Duration>) {
        assert_eq!(of(lines).unwrap(), expected);
    }
    fn of(lines: &[(&'static str, &str)]) -> Result<Option<Duration>> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        remaining(&headers)
    }

    #[test]
    fn grpc_has_six_units() {
        check(&[("grpc-timeout", "1H")], Some(Duration::from_secs(3600)));
        check(&[("grpc-timeout", "2M")], Some(Duration::from_secs(120)));
        check(&[("grpc-timeout", "3S")], Some(Duration::from_secs(3)));
        check(&[("grpc-timeout", "4m")], Some(Duration::from_millis(4)));
        check(&[("grpc-timeout", "5u")], Some(Duration::from_micros(5)));
        check(&[("grpc-timeout", "99999999n")], Some(Duration::from_nanos(99_999_999)));
    }
    #[test]
    fn ours_is_in_milliseconds() {
        check(&[("seawall-timeout-ms", "250")], Some(Duration::from_millis(250)));
        check(&[("seawall-timeout-ms", "0")], Some(Duration::ZERO));
        check(&[], None);
    }
    #[test]
    fn the_shortest_counts() {
        check(&[("grpc-timeout", "1S"), ("seawall-timeout-ms", "250")], Some(Duration::from_millis(250)));
        check(&[("grpc-timeout", "1S"), ("grpc-timeout", "1m")], Some(Duration::from_millis(1)));
    }
    #[test]
    fn anything_else_is_a_400_that_names_header_value_and_form() {
        for bad in ["", "S", "1", "1s", "123456789S", "-1S", "+1S", "1 S", " 1S", "1.5S", "0x1S", "\u{ff11}S"]
        {
            let error = of(&[("grpc-timeout", bad)]).unwrap_err();
            assert_eq!(error.status(), 400, "{bad}");
        }
        let error = of(&[("seawall-timeout-ms", "1s")]).unwrap_err();
        assert_eq!(
            format!("{error:?}"),
            "400 invalid timeout; seawall-timeout-ms: is `1s`, but must be 1 to 8 digits, milliseconds"
        );
    }
    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..12)) {
            let text = std::str::from_utf8(&value).unwrap_or("?");
            let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).unwrap_or(("", ""));
            let expected = digits.len() <= 8
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && ["H", "M", "S", "m", "u", "n"].contains(&unit);
            prop_assert_eq!(grpc(&value).is_some(), expected);
        }
    }
}
