//! Numbers and text for people: digits grouped, units chosen by size, HTML escaped.

/// Escapes text for an HTML body or a double-quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters are not allowed in HTML text; tab and line feed are.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// JSON that may stand inside a `<script>` element: no `<` can close it or open a comment.
pub(super) fn script_json(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A rate or a count with three digits that matter, grouped: `24,600`, `812`, `9.5`.
pub(super) fn number(x: f64) -> String {
    if !x.is_finite() {
        return "–".into();
    }
    let sign = if x < 0.0 { "−" } else { "" };
    let size = x.abs();
    if size >= 999.5 {
        let unit = 10f64.powf((size.log10().floor() - 2.0).max(0.0));
        return format!("{sign}{}", grouped(((size / unit).round() * unit) as u64));
    }
    let decimals = if size >= 100.0 || size == 0.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 0.095 {
        2
    } else {
        4
    };
    format!("{sign}{}", trimmed(&format!("{size:.decimals$}")))
}

/// Milliseconds in the unit that reads best: `420 µs`, `3.2 ms`, `1.25 s`.
pub(super) fn millis(ms: f64) -> String {
    if !ms.is_finite() {
        "–".into()
    } else if ms >= 1000.0 {
        format!("{} s", number(ms / 1000.0))
    } else if ms >= 1.0 || ms == 0.0 {
        format!("{} ms", number(ms))
    } else {
        format!("{} µs", number(ms * 1000.0))
    }
}

/// Bytes in binary units: `182 MiB`.
pub(super) fn bytes(n: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", number(value), units[unit])
}

/// A share of one as per cent: `0.03 %`. A share that is small but not zero never reads as zero.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value > 0.0 && value < 0.0001 {
        return "< 0.0001 %".into();
    }
    format!("{} %", number(value))
}

/// The label of an axis tick: `0`, `250`, `2.5k`, `10M`.
pub(super) fn tick(x: f64) -> String {
    let size = x.abs();
    let (value, suffix) = if size >= 1e9 {
        (x / 1e9, "G")
    } else if size >= 1e6 {
        (x / 1e6, "M")
    } else if size >= 1e3 {
        (x / 1e3, "k")
    } else {
        (x, "")
    };
    let decimals = if value.abs() >= 100.0 { 1 } else { 3 };
    format!("{}{suffix}", trimmed(&format!("{value:.decimals$}")).replace('-', "−"))
}

/// Without the zeros after the point that say nothing.
fn trimmed(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_all_that_could_end_an_element_or_an_attribute() {
        assert_eq!(
            escape("<b a=\"x\" c='y'>&\u{0}\n"),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;\u{FFFD}\n"
        );
    }
    #[test]
    fn json_cannot_close_its_script() {
        assert_eq!(script_json(r#"{"a":"</script><!--"}"#), r#"{"a":"\u003c/script>\u003c!--"}"#);
    }
    #[test]
    fn groups_digits() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1000), grouped(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
    }
    #[test]
    fn keeps_three_digits() {
        assert_eq!(
            [number(24_567.0), number(812.4), number(9.456), number(0.0), number(-3.0)],
            ["24,600", "812", "9.46", "0", "−3"]
        );
        assert_eq!(
            [number(999.7), number(1_234_567.0), number(f64::NAN), number(0.0312)],
            ["1,000", "1,230,000", "–", "0.0312"]
        );
    }
    #[test]
    fn chooses_the_unit_of_time() {
        assert_eq!(
            [millis(0.42), millis(3.21), millis(1250.0), millis(0.0)],
            ["420 µs", "3.21 ms", "1.25 s", "0 ms"]
        );
    }
    #[test]
    fn chooses_the_unit_of_memory() {
        assert_eq!([bytes(512.0), bytes(190_840_832.0)], ["512 B", "182 MiB"]);
    }
    #[test]
    fn a_small_share_is_not_zero() {
        assert_eq!(
            [percent(0.0), percent(0.0003), percent(1e-9), percent(0.37)],
            ["0 %", "0.03 %", "< 0.0001 %", "37 %"]
        );
    }
    #[test]
    fn ticks_are_short() {
        assert_eq!(
            [tick(0.0), tick(250.0), tick(2500.0), tick(1e7), tick(0.05)],
            ["0", "250", "2.5k", "10M", "0.05"]
        );
    }
}
