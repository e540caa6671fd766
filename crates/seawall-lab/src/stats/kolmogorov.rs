//! Whether two samples have one shape: the two-sample Kolmogorov-Smirnov test.

/// The largest distance between two samples' distribution functions, and how surprising it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// 0 to 1.
    pub distance: f64,
    /// The chance of such a distance between two samples of one distribution: the limiting form with Stephens' correction, a
    /// little too large for small samples.
    pub p_value: f64,
}

/// Compares two samples. Without values on one side nothing differs.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> KolmogorovSmirnov {
    if a.is_empty() || b.is_empty() {
        return KolmogorovSmirnov { distance: 0.0, p_value: 1.0 };
    }
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let (mut i, mut j, mut distance) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        let at = a[i].min(b[j]);
        i += a[i..].iter().take_while(|v| **v <= at).count();
        j += b[j..].iter().take_while(|v| **v <= at).count();
        distance = distance.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    let size = (a.len() * b.len()) as f64 / (a.len() + b.len()) as f64;
    KolmogorovSmirnov { distance, p_value: tail((size.sqrt() + 0.12 + 0.11 / size.sqrt()) * distance) }
}

/// Kolmogorov's distribution above `lambda`.
fn tail(lambda: f64) -> f64 {
    if lambda < 0.2 {
        return 1.0; // the series converges too slowly, and the answer is 1 to twelve digits
    }
    let term =
        |k: i32| (-2.0 * f64::from(k * k) * lambda * lambda).exp() * if k % 2 == 1 { 1.0 } else { -1.0 };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::Random;

    #[test]
    fn tables_agree() {
        assert!((tail(1.358) - 0.05).abs() < 5e-4 && (tail(1.628) - 0.01).abs() < 2e-4);
    }
    #[test]
    fn samples_apart_have_the_distance_one() {
        assert_eq!(kolmogorov_smirnov(&[1.0, 2.0], &[3.0, 4.0]).distance, 1.0);
    }
    #[test]
    fn a_wider_spread_is_seen_although_the_middle_is_the_same() {
        let mut random = Random::new(4);
        let a: Vec<f64> = (0..200).map(|_| random.normal()).collect();
        let b: Vec<f64> = (0..200).map(|_| random.normal() * 4.0).collect();
        assert!(kolmogorov_smirnov(&a, &b).p_value < 0.001);
    }
    #[test]
    fn one_distribution_is_called_two_no_more_often_than_it_may() {
        let mut random = Random::new(8);
        let called = (0..2000)
            .filter(|_| {
                let [a, b] = [0, 1].map(|_| (0..12).map(|_| random.normal()).collect::<Vec<_>>());
                kolmogorov_smirnov(&a, &b).p_value <= 0.05
            })
            .count();
        assert!(called <= 130, "{called}"); // 5 % of 2000 and three standard deviations
    }

    proptest! {
        #[test]
        fn the_distance_is_the_naive_one(
            a in prop::collection::vec(0i32..9, 1..12), b in prop::collection::vec(0i32..9, 1..12),
        ) {
            let [a, b] = [a, b].map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>());
            let share = |of: &[f64], at: f64| of.iter().filter(|v| **v <= at).count() as f64 / of.len() as f64;
            let naive = a.iter().chain(&b).map(|at| (share(&a, *at) - share(&b, *at)).abs()).fold(0.0, f64::max);
            prop_assert!((kolmogorov_smirnov(&a, &b).distance - naive).abs() < 1e-12);
        }
    }
}
