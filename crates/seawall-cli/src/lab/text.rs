//! What the lab's commands print: tables and wrapped paragraphs.

/// Columns of a terminal that prose is wrapped to.
const WIDTH: usize = 100;

/// Milliseconds, or a dash.
pub(super) fn ms(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0} ms"),
        Some(value) if value >= 1.0 => format!("{value:.1} ms"),
        Some(value) => format!("{:.0} us", value * 1e3),
    }
}

/// Prose, wrapped; each line begins with `indent`.
pub(super) fn wrap(text: &str, indent: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), indent.to_owned());
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.len() > indent.len() {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
        }
        if line.len() > indent.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}

/// A bar of `share`, 0 to 1.
pub(super) fn bar(share: f64) -> String {
    "#".repeat((share.clamp(0.0, 1.0) * 40.0).round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_at_words() {
        let text = wrap(&"word ".repeat(40), "  ");
        assert!(text.lines().all(|line| line.len() <= WIDTH && line.starts_with("  word")));
        assert_eq!(wrap("", "  "), "  ");
    }
    #[test]
    fn times_have_units() {
        assert_eq!(
            [ms(None), ms(Some(0.25)), ms(Some(2.0)), ms(Some(150.0))],
            ["-", "250 us", "2.0 ms", "150 ms"]
        );
    }
}
