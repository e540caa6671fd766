//! Profiles out of text: folded stacks, as Seawall serves them, and what `perf script` prints. Pure.

use std::collections::BTreeMap;

use super::model::{MAX_STACKS, Profile, ProfileKind, Stack};

/// Deeper stacks are cut at the outer end.
const MAX_DEPTH: usize = 256;

/// What is known about a profile besides its stacks.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// What it weighs.
    pub kind: ProfileKind,
    /// Where it came from.
    pub source: String,
    /// Over how long it was taken, seconds.
    pub seconds: f64,
    /// A weight of one in the text is so many of the profile's unit.
    pub scale: f64,
    /// What to say about it.
    pub comments: Vec<String>,
}

/// Folded stacks: names joined by `;`, outermost first, then a blank and a number. Other lines are passed over.
pub fn folded(text: &str, about: About) -> Profile {
    let line = |line: &str| -> Option<(Vec<String>, f64)> {
        let (stack, weight) = line.trim_end().rsplit_once(' ')?;
        let weight: f64 = weight.parse().ok().filter(|weight: &f64| weight.is_finite() && *weight > 0.0)?;
        Some((stack.split(';').map(str::to_owned).collect(), weight))
    };
    gather(text.lines().filter_map(line), about)
}

/// What `perf script -F comm,tid,ip,sym` prints: a line with the thread, the functions from the inside out, a blank line.
pub fn perf_script(text: &str, about: About) -> Profile {
    let sample = |block: &str| -> Option<(Vec<String>, f64)> {
        let mut lines = block.lines().filter(|line| !line.trim().is_empty());
        let (thread, _) = lines.next()?.trim().rsplit_once(char::is_whitespace)?;
        let mut frames: Vec<String> = lines.filter_map(perf_frame).collect();
        frames.push(thread.trim().to_owned());
        frames.reverse();
        Some((frames, 1.0))
    };
    gather(text.split("\n\n").filter_map(sample), about)
}

/// `  ffffffff815ec9d0 handle_mm_fault`: an address in the upper half belongs to the kernel.
fn perf_frame(line: &str) -> Option<String> {
    let (address, name) = line.trim().split_once(' ')?;
    let is_kernel = address.len() == 16 && address.starts_with("ffff");
    let name = name.trim();
    Some(if is_kernel { format!("{name}_[k]") } else { name.to_owned() })
}

fn gather(samples: impl Iterator<Item = (Vec<String>, f64)>, about: About) -> Profile {
    let About { kind, source, seconds, scale, comments } = about;
    let mut sums: BTreeMap<Vec<String>, f64> = BTreeMap::new();
    for (mut frames, weight) in samples {
        let too_many = frames.len().saturating_sub(MAX_DEPTH);
        frames.drain(..too_many);
        *sums.entry(frames).or_default() += weight * scale;
    }
    let total = sums.values().sum();
    let mut stacks: Vec<Stack> = sums.into_iter().map(|(frames, weight)| Stack { frames, weight }).collect();
    stacks.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let dropped = stacks.iter().skip(MAX_STACKS).map(|stack| stack.weight).sum();
    stacks.truncate(MAX_STACKS);
    let unit = if kind == ProfileKind::Heap { "bytes" } else { "seconds" }.to_owned();
    Profile { kind, source, unit, seconds, total, dropped, stacks, comments }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn about(scale: f64) -> About {
        About { kind: ProfileKind::Cpu, source: "test".into(), seconds: 2.0, scale, comments: vec![] }
    }

    #[test]
    fn folded_lines_become_stacks() {
        let profile = folded("main;b 1\nmain;a x 4\n\nno number\nmain;b 2\n", about(0.5));
        let found: Vec<(String, f64)> =
            profile.stacks.iter().map(|s| (s.frames.join(">"), s.weight)).collect();
        assert_eq!(found, [("main>a x".to_owned(), 2.0), ("main>b".to_owned(), 1.5)]);
        assert_eq!((profile.total, profile.unit.as_str()), (3.5, "seconds"));
    }
    #[test]
    fn perf_prints_the_innermost_first() {
        let text = "tokio rt 1  4711 \n\tffffffff815ec9d0 handle_mm_fault\n\t    7f860d3bd640 core::ops::f<u8, u16>\n\n\
            tokio rt 1  4711 \n\tffffffff815ec9d0 handle_mm_fault\n\t    7f860d3bd640 core::ops::f<u8, u16>\n\n";
        let profile = perf_script(text, about(0.01));
        assert_eq!(profile.stacks.len(), 1);
        assert_eq!(profile.stacks[0].frames, ["tokio rt 1", "core::ops::f<u8, u16>", "handle_mm_fault_[k]"]);
        assert_eq!(profile.total, 0.02);
    }
    #[test]
    fn what_does_not_fit_is_counted() {
        let text: String = (0..MAX_STACKS + 10).map(|i| format!("f{i} 1\n")).collect();
        let profile = folded(&text, about(1.0));
        assert_eq!((profile.stacks.len(), profile.dropped), (MAX_STACKS, 10.0));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z;0-9\\n\\t \\PC]{0,200}") {
            let _ = (folded(&text, about(1.0)), perf_script(&text, about(1.0)));
        }
    }
}
