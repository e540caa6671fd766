//! Values of arguments: times, rates, header fields. Each error says what is allowed.

use std::net::IpAddr;
use std::time::Duration;

use seawall_load::{FormPart, FormValue, Stage, WarmUp, parse_duration};

/// A header field of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

/// `500ms`, `10s`, `2m`, `1h`, `1.5s`; a number without a unit is in seconds, as in wrk.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

/// `auto`, or a time.
pub(super) fn warmup(text: &str) -> Result<WarmUp, String> {
    if text == "auto" { Ok(WarmUp::Auto) } else { duration(text).map(WarmUp::Fixed) }
}

/// `5000`, `0.5`, `20k`, `1.5M`.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let (number, factor) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    let rate = number.parse::<f64>().map(|number| number * factor).ok().filter(|rate| rate.is_finite());
    rate.ok_or_else(|| format!("`{text}` is no rate: write requests per second, such as 5000 or 20k"))
}

/// `100..5000`: from the first rate to the second.
pub(super) fn ramp(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| format!("`{text}` is no ramp: write two rates, such as 100..5k"))?;
    Ok((rate(from)?, rate(to)?))
}

/// `10s:100,30s:100..1000`: times, each with a rate or a ramp.
pub(super) fn stages(text: &str) -> Result<Vec<Stage>, String> {
    let stage = |part: &str| {
        let (time, rates) = part.split_once(':').ok_or_else(|| {
            format!("`{part}` is no stage: write a time, a colon and a rate or a ramp, such as 10s:100 or 30s:100..1k")
        })?;
        let (from, to) =
            if rates.contains("..") { ramp(rates)? } else { rate(rates).map(|rate| (rate, rate))? };
        Ok(Stage { duration: duration(time)?, from, to })
    };
    text.split(',').map(|part| stage(part.trim())).collect()
}

/// `Name: value`.
pub(super) fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or("write a field as 'Name: value'")?;
    Ok(Header { name: name.trim().to_owned(), value: value.trim().to_owned() })
}

/// `10.0.0.1,::1`.
pub(super) fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let address = |part: &str| {
        part.trim()
            .parse()
            .map_err(|_| format!("`{part}` is no address: write IP addresses, such as 10.0.0.1,10.0.0.2"))
    };
    text.split(',').map(address).collect()
}

/// `2,3`.
pub(super) fn cpus(text: &str) -> Result<Vec<usize>, String> {
    let cpu = |part: &str| {
        part.trim().parse().map_err(|_| format!("`{part}` is no CPU: write their numbers, such as 2,3"))
    };
    text.split(',').map(cpu).collect()
}

/// `NAME=TEXT`, `NAME=@FILE`, `NAME=@FILE;type=TYPE;filename=NAME`.
pub(super) fn form_part(text: &str) -> Result<FormPart, String> {
    let (name, value) = text.split_once('=').ok_or("write a part as NAME=TEXT or NAME=@FILE")?;
    let Some(file) = value.strip_prefix('@') else {
        return Ok(FormPart { name: name.to_owned(), value: FormValue::Text(value.to_owned()) });
    };
    let mut parts = file.split(';');
    let path = parts.next().unwrap_or_default().into();
    let (mut filename, mut content_type) = (None, None);
    for part in parts {
        match part.split_once('=') {
            Some(("type", value)) => content_type = Some(value.to_owned()),
            Some(("filename", value)) => filename = Some(value.to_owned()),
            _ => {
                return Err(format!(
                    "`{part}` is not known: after the file come ;type=... and ;filename=..."
                ));
            }
        }
    }
    Ok(FormPart { name: name.to_owned(), value: FormValue::File { path, filename, content_type } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        let cases = [
            ("500ms", 0.5),
            ("10s", 10.0),
            ("2m", 120.0),
            ("1h", 3600.0),
            ("1.5s", 1.5),
            ("3", 3.0),
            ("0s", 0.0),
        ];
        for (text, seconds) in cases {
            assert_eq!(duration(text).unwrap(), Duration::from_secs_f64(seconds), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in ["", "s", "-1s", "1d", "1 s", "1..2s", "1e9h"] {
            assert!(duration(text).unwrap_err().contains("500ms"), "{text}");
        }
    }

    #[test]
    fn rates_may_be_short() {
        assert_eq!((rate("5000"), rate("20k"), rate("1.5M")), (Ok(5e3), Ok(2e4), Ok(1.5e6)));
        assert!(rate("fast").is_err() && rate("inf").is_err());
    }

    #[test]
    fn stages_hold_a_rate_or_ramp() {
        let seconds = Duration::from_secs;
        assert_eq!(
            stages("10s:100, 1m:0.1k..5k").unwrap(),
            [Stage::constant(seconds(10), 100.0), Stage { duration: seconds(60), from: 100.0, to: 5_000.0 }]
        );
        for (text, part) in [("10s", "is no stage"), ("10s:fast", "is no rate"), ("x:1", "is no time")] {
            assert!(stages(text).unwrap_err().contains(part), "{text}");
        }
        assert!(ramp("5").unwrap_err().contains("two rates"));
    }

    #[test]
    fn addresses_are_a_list() {
        assert_eq!(addresses("127.0.0.1, ::1").unwrap().len(), 2);
        assert!(addresses("localhost").unwrap_err().contains("is no address"));
    }

    #[test]
    fn parts_are_texts_or_files() {
        let text = FormPart { name: "a".to_owned(), value: FormValue::Text("b=c".to_owned()) };
        assert_eq!(form_part("a=b=c"), Ok(text));
        let value = FormValue::File {
            path: "x.bin".into(),
            filename: Some("y".to_owned()),
            content_type: Some("a/b".to_owned()),
        };
        assert_eq!(form_part("f=@x.bin;type=a/b;filename=y"), Ok(FormPart { name: "f".to_owned(), value }));
        assert!(form_part("a").is_err() && form_part("f=@x;size=1").unwrap_err().contains("`size=1`"));
    }

    #[test]
    fn fields_need_a_colon() {
        let expected = Header { name: "A".to_owned(), value: "b:c".to_owned() };
        assert_eq!(header("A: b:c"), Ok(expected));
        assert!(header("A b").is_err());
    }

    #[test]
    fn a_warm_up_is_a_time_or_auto() {
        assert_eq!(warmup("auto"), Ok(WarmUp::Auto));
        assert_eq!(warmup("0s"), Ok(WarmUp::Fixed(Duration::ZERO)));
    }
}
