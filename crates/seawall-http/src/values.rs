//! Typed values that middleware leaves on a request: an append-only list, so that reading takes no lock and gives
//! plain references.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most values one request may carry. A middleware that sets one per retry would otherwise grow it for ever.
pub(crate) const MAX_VALUES: usize = 64;

#[derive(Default)]
pub(crate) struct Values {
    first: Link,
    len: AtomicUsize,
}

type Link = OnceLock<Box<Node<dyn Any + Send + Sync>>>;

struct Node<T: ?Sized> {
    next: Link,
    value: T,
}

impl Values {
    /// Appends `value`; false, and `value` is dropped, when there are [`MAX_VALUES`] already.
    pub(crate) fn push<T: Any + Send + Sync>(&self, value: T) -> bool {
        if self.len.fetch_add(1, Relaxed) >= MAX_VALUES {
            self.len.fetch_sub(1, Relaxed);
            return false;
        }
        let mut node: Box<Node<dyn Any + Send + Sync>> = Box::new(Node { next: Link::new(), value });
        let mut link = &self.first;
        while let Err(refused) = link.set(node) {
            node = refused;
            link = &link.get().expect("a link refuses a node only if it has one").next;
        }
        true
    }

    /// The last value of type `T`.
    pub(crate) fn last<T: Any>(&self) -> Option<&T> {
        let nodes = std::iter::successors(self.first.get(), |node| node.next.get());
        nodes.filter_map(|node| node.value.downcast_ref()).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_type_hides_the_earlier_ones() {
        let values = Values::default();
        assert!(values.push(1_u8) && values.push("text") && values.push(2_u8));
        assert_eq!(values.last::<u8>(), Some(&2));
        assert_eq!(values.last::<&str>(), Some(&"text"));
        assert_eq!(values.last::<u64>(), None);
    }

    #[test]
    fn has_a_bound() {
        let values = Values::default();
        assert!((0..MAX_VALUES).all(|n| values.push(n)));
        assert!(!values.push(0_usize));
        assert_eq!(values.last::<usize>(), Some(&(MAX_VALUES - 1)));
    }
}
