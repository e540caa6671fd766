//! Stacks put together where they begin alike: the tree that a flame graph draws.

use std::collections::BTreeMap;

use super::Profile;

/// One box of the graph: a function, called from the boxes below it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Of all stacks through here.
    pub(super) value: i64,
    /// By name, so that the same profile looks the same twice.
    pub(super) children: BTreeMap<String, Self>,
}

/// The tree of the profile's default values. Stacks without a value are left out.
pub(super) fn tree(profile: &Profile) -> Node {
    let at = profile.default_index();
    let mut root = Node::default();
    for sample in &profile.samples {
        let value = sample.values[at];
        if value <= 0 {
            continue;
        }
        root.value += value;
        let mut node = &mut root;
        for name in profile.names(sample) {
            if !node.children.contains_key(name) {
                node.children.insert(name.to_owned(), Node::default());
            }
            node = node.children.get_mut(name).expect("it was just put there");
            node.value += value;
        }
    }
    root
}

impl Node {
    /// Levels below this one.
    pub(super) fn depth(&self) -> usize {
        self.children.values().map(|child| 1 + child.depth()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn stacks_share_their_beginnings() {
        let root = tree(&of(&[("main;a;b", 2), ("main;a", 1), ("main;c", 4), ("gone", 0)]));
        assert_eq!((root.value, root.depth()), (7, 3));
        let main = &root.children["main"];
        let below: Vec<_> = main.children.iter().map(|(name, node)| (name.as_str(), node.value)).collect();
        assert_eq!((main.value, below), (7, vec![("a", 3), ("c", 4)]));
    }
}
