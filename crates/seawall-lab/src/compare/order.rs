//! Which block runs when.

use super::Side;
use crate::stats::Random;

/// The order within each pair: as many begin with A as with B (one more with either, for an odd number), and which do is
/// chance. What drifts steadily then falls on both builds alike.
pub fn order(pairs: usize, random: &mut Random) -> Vec<(Side, Side)> {
    let odd = random.below(2);
    let mut order: Vec<(Side, Side)> = (0..pairs)
        .map(|i| if (i + odd).is_multiple_of(2) { (Side::A, Side::B) } else { (Side::B, Side::A) })
        .collect();
    random.shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_builds_begin_equally_often(pairs in 1usize..50, seed: u64) {
            let order = order(pairs, &mut Random::new(seed));
            let first_a = order.iter().filter(|(first, _)| *first == Side::A).count();
            prop_assert!(order.len() == pairs && first_a.abs_diff(pairs - first_a) <= 1);
            prop_assert!(order.iter().all(|(first, second)| first != second));
        }
    }

    #[test]
    fn the_order_is_not_always_the_same() {
        assert_ne!(order(20, &mut Random::new(1)), order(20, &mut Random::new(2)));
    }
}
