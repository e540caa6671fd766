//! Profiles for eyes and for small tools: folded stacks, and the list that `?debug=1` shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Label, Profile, Sample};

/// One line per stack: names from the outside in, joined by `;`, then a blank and the value of the default type.
/// Flame-graph tools read it.
pub(crate) fn folded(profile: &Profile) -> String {
    let at = profile.default_index();
    let mut stacks = BTreeMap::<String, i64>::new();
    for sample in &profile.samples {
        // A name with a `;` in it would become two frames.
        let names: Vec<_> = profile.names(sample).map(|name| name.replace(';', ":")).collect();
        *stacks.entry(names.join(";")).or_default() += sample.values[at];
    }
    let stacks = stacks.iter().filter(|(_, value)| **value != 0);
    stacks.fold(String::new(), |mut text, (stack, value)| {
        let _ = writeln!(text, "{stack} {value}"); // a string takes everything
        text
    })
}

/// The most stacks that are shown; the rest is in the binary form.
const MOST_SHOWN: usize = 1_000;

/// What `?debug=1` shows: comments, totals, then every stack with its values, largest first.
pub(crate) fn debug(profile: &Profile) -> String {
    let at = profile.default_index();
    let mut text = String::new();
    profile.comments.iter().for_each(|comment| line(&mut text, format_args!("# {comment}")));
    for (index, kind) in profile.sample_types.iter().enumerate() {
        let total: i64 = profile.samples.iter().map(|sample| sample.values[index]).sum();
        line(&mut text, format_args!("{} ({}): {total} in all", kind.name, kind.unit));
    }
    let mut samples: Vec<_> = profile.samples.iter().collect();
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.values[at]));
    for sample in samples.iter().take(MOST_SHOWN) {
        one(&mut text, profile, sample);
    }
    if samples.len() > MOST_SHOWN {
        line(&mut text, format_args!("\n{} more stacks are not shown", samples.len() - MOST_SHOWN));
    }
    text
}

fn one(text: &mut String, profile: &Profile, sample: &Sample) {
    let values: Vec<_> = sample.values.iter().map(i64::to_string).collect();
    let labels = sample.labels.iter().map(|(key, label)| match label {
        Label::Text(value) => format!(" {key}={value}"),
        Label::Number(value) => format!(" {key}={value}"),
    });
    line(text, format_args!("\n{}{}", values.join(" "), labels.collect::<String>()));
    for place in sample.places.iter().map(|place| &profile.places[*place as usize]) {
        for frame in &place.frames {
            let function = &profile.functions[frame.function as usize];
            let address = place.address;
            match (function.file.as_str(), frame.line) {
                ("", _) => line(text, format_args!("#   {address:#x}  {}", function.name)),
                (file, at) => line(text, format_args!("#   {address:#x}  {}  {file}:{at}", function.name)),
            }
        }
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{what}"); // a string takes everything
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn equal_stacks_are_added_up() {
        assert_eq!(folded(&of(&[("main;b", 2), ("main;a", 1), ("main;b", 3)])), "main;a 1\nmain;b 5\n");
    }
    #[test]
    fn a_semicolon_in_a_name_splits_nothing() {
        let mut profile = of(&[("main;x", 1)]);
        profile.functions[1].name = "<[u8; 4]>::f".to_owned();
        assert_eq!(folded(&profile), "main;<[u8: 4]>::f 1\n");
    }
    #[test]
    fn nothing_is_an_empty_text() {
        assert_eq!(folded(&of(&[])), "");
    }
    #[test]
    fn the_list_has_the_largest_first() {
        let mut profile = of(&[("main;small", 1), ("main;large", 9)]);
        profile.comments.push("a word".to_owned());
        let expected = "# a word\nsamples (count): 10 in all\n\n\
            9\n#   0x0  large  test.rs:1\n#   0x0  main  test.rs:1\n\n\
            1\n#   0x0  small  test.rs:1\n#   0x0  main  test.rs:1\n";
        assert_eq!(debug(&profile), expected);
    }
}
