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

/// What to do when the generator was the limit, on this machine.
pub(super) fn advice() -> String {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let all = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    advice_for(allowed, all.lines().filter(|line| line.starts_with("processor")).count())
}

/// The same, where `allowed` of `all` processors may be used.
fn advice_for(allowed: usize, all: usize) -> String {
    match allowed {
        n if n < all => format!(
            "This command may use {n} of the machine's {all} processors: see that nothing else runs there, give it more of \
             them and of threads (-t), or run it on another machine."
        ),
        1 => "This machine has one processor, which generator and service share: run the generator on another machine."
            .to_owned(),
        n => {
            let half = n / 2;
            format!(
                "Give each its own processors: start the service with `taskset -c {}`, and this command with \
                 `taskset -c {} ... -t {}`; or run it on another machine. If the service then needs less than it \
                 has while the generator has no reserve, what is printed is the most that this machine can prove.",
                processor_list(0, half - 1),
                processor_list(half, n - 1),
                n - half
            )
        }
    }
}

fn processor_list(first: usize, last: usize) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
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
    fn what_to_do_names_processors_that_are_there() {
        let two = advice_for(2, 2);
        assert!(two.contains("`taskset -c 0`") && two.contains("`taskset -c 1 ... -t 1`"), "{two}");
        let eight = advice_for(8, 8);
        assert!(eight.contains("`taskset -c 0-3`") && eight.contains("`taskset -c 4-7 ... -t 4`"), "{eight}");
        assert!(advice_for(1, 1).starts_with("This machine has one processor"));
        assert!(advice_for(1, 2).starts_with("This command may use 1 of the machine's 2"));
    }
    #[test]
    fn times_have_units() {
        assert_eq!(
            [ms(None), ms(Some(0.25)), ms(Some(2.0)), ms(Some(150.0))],
            ["-", "250 us", "2.0 ms", "150 ms"]
        );
    }
}
