//! Several tests at once.

/// Holm's adjusted p-values, in the order given: rejecting those at most `alpha` makes a single false claim among all of them
/// no likelier than `alpha`, however the tests depend on each other.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut floor: f64 = 0.0;
    for (place, index) in order.into_iter().enumerate() {
        floor = floor.max(p[index] * (p.len() - place) as f64).min(1.0);
        adjusted[index] = floor;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_pays_for_all() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        let wanted = [0.03, 0.06, 0.06, 0.02];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }
    #[test]
    fn nothing_stays_nothing() {
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        /// The step-down procedure itself: go up the sorted values while p <= alpha / (m - i).
        #[test]
        fn rejects_what_the_procedure_rejects(p in prop::collection::vec(0.0..0.2f64, 1..8), alpha in 0.01..0.2f64) {
            let mut sorted = p.clone();
            sorted.sort_by(f64::total_cmp);
            let m = sorted.len();
            let rejected = sorted.iter().enumerate().take_while(|(i, p)| **p * (m - i) as f64 <= alpha).count();
            prop_assert_eq!(holm(&p).iter().filter(|p| **p <= alpha).count(), rejected);
        }
    }
}
