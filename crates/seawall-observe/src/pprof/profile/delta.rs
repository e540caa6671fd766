//! What changed between two profiles of the same kind.

use std::collections::HashMap;

use super::{Label, Profile, Sample};

/// A stack and its labels, told by what they are and not by where they lie in their profile.
type Identity<'a> = (Vec<(u64, &'a str)>, &'a [(&'static str, Label)]);

impl Profile {
    /// This profile less `before`, which was taken earlier. What did not change is left out; what shrank is negative, as
    /// in Go.
    #[must_use]
    pub(crate) fn since(mut self, before: &Self) -> Self {
        let mut earlier = HashMap::<Identity<'_>, Vec<i64>>::new();
        for sample in &before.samples {
            let values =
                earlier.entry(before.identity(sample)).or_insert_with(|| vec![0; sample.values.len()]);
            values.iter_mut().zip(&sample.values).for_each(|(sum, value)| *sum += value);
        }
        let mut samples = std::mem::take(&mut self.samples);
        // Taken away once, where a stack appears in several samples.
        let less: Vec<_> = samples.iter().map(|sample| earlier.remove(&self.identity(sample))).collect();
        for (sample, less) in samples.iter_mut().zip(less) {
            sample.values.iter_mut().zip(less.unwrap_or_default()).for_each(|(value, less)| *value -= less);
        }
        samples.retain(|sample| sample.values.iter().any(|value| *value != 0));
        self.samples = samples;
        self
    }

    fn identity<'a>(&'a self, sample: &'a Sample) -> Identity<'a> {
        let places = sample.places.iter().map(|place| {
            let place = &self.places[*place as usize];
            let name =
                place.frames.first().map(|frame| self.functions[frame.function as usize].name.as_str());
            (place.address, name.unwrap_or_default())
        });
        (places.collect(), &sample.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::super::folded;
    use super::super::tests::of;

    #[track_caller]
    fn check(before: &[(&str, i64)], after: &[(&str, i64)], expected: &str) {
        assert_eq!(folded(&of(after).since(&of(before))), expected);
    }

    #[test]
    fn only_what_changed_is_left() {
        check(
            &[("main;a", 1), ("main;b", 2)],
            &[("main;a", 1), ("main;b", 5), ("main;c", 1)],
            "main;b 3\nmain;c 1\n",
        );
    }
    #[test]
    fn what_shrank_is_negative() {
        check(&[("main;a", 5)], &[("main;a", 2)], "main;a -3\n");
    }
    #[test]
    fn a_stack_in_two_samples_is_taken_away_once() {
        check(&[("a", 1), ("a", 2)], &[("a", 1), ("a", 9)], "a 7\n");
    }
}
