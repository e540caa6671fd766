//! Which functions take another share of the CPU in B than in A. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::profile::Profile;

/// A function and its own share of two profiles, 0 to 1: what is spent in itself, without what it calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionChange {
    /// Its name.
    pub function: String,
    /// Of the profile before.
    pub before: f64,
    /// Of the profile after.
    pub after: f64,
}

impl FunctionChange {
    /// How much larger its share became.
    pub fn change(&self) -> f64 {
        self.after - self.before
    }
}

/// The `n` functions whose own share changed most, the largest change first. A function that is in one profile only has a
/// share of 0 in the other: a flame graph of B alone cannot show what is gone.
pub fn function_changes(before: &Profile, after: &Profile, n: usize) -> Vec<FunctionChange> {
    let mut shares: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (profile, is_after) in [(before, false), (after, true)] {
        let total = profile.total.max(f64::MIN_POSITIVE);
        for stack in &profile.stacks {
            let Some(innermost) = stack.frames.last() else { continue };
            let share = shares.entry(innermost).or_default();
            *(if is_after { &mut share.1 } else { &mut share.0 }) += stack.weight / total;
        }
    }
    let change = |(function, (before, after)): (&str, (f64, f64))| FunctionChange {
        function: function.to_owned(),
        before,
        after,
    };
    let mut changes: Vec<FunctionChange> = shares.into_iter().map(change).collect();
    changes.sort_by(|a, b| b.change().abs().total_cmp(&a.change().abs()));
    changes.retain(|one| one.change() != 0.0);
    changes.truncate(n);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_named_too() {
        let before = Profile::of_cpu(&[("w;encode", 6.0), ("w;hash", 2.0), ("w;read", 2.0)]);
        let after = Profile::of_cpu(&[("w;hash", 4.0), ("w;x;hash", 8.0), ("w;read", 4.0), ("w;new", 4.0)]);
        let found = function_changes(&before, &after, 9);
        let names: Vec<&str> = found.iter().map(|one| one.function.as_str()).collect();
        assert_eq!(names, ["encode", "hash", "new"], "the share of `read` is what it was");
        assert!((found[0].change() + 0.6).abs() < 1e-12 && (found[1].change() - 0.4).abs() < 1e-12);
        assert_eq!(function_changes(&before, &after, 1).len(), 1);
    }
    #[test]
    fn empty_profiles_have_no_changes() {
        assert!(function_changes(&Profile::of_cpu(&[]), &Profile::of_cpu(&[]), 9).is_empty());
    }
}
