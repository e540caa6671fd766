//! The normal distribution's tail.

/// Share of a standard normal distribution above `z`. Relative error below 1.2e-7 (Numerical Recipes, `erfcc`).
pub(super) fn upper_tail(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

fn erfc(x: f64) -> f64 {
    let z = x.abs();
    let t = 1.0 / (1.0 + 0.5 * z);
    let terms = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let polynomial = terms.iter().rev().fold(0.0, |sum, term| sum * t + term);
    let value = t * (-z * z + polynomial).exp();
    if x >= 0.0 { value } else { 2.0 - value }
}

/// The two-sided p-value of a standard normal `z`.
pub(super) fn two_sided(z: f64) -> f64 {
    (2.0 * upper_tail(z.abs())).min(1.0)
}

/// Half the width of a 95 % interval, in standard deviations.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(z: f64, tail: f64) {
        assert!((upper_tail(z) - tail).abs() < tail * 1e-5, "{z}: {}", upper_tail(z));
    }
    #[test]
    fn half_lies_above_the_middle() {
        check(0.0, 0.5);
    }
    #[test]
    fn tables_agree() {
        check(1.0, 0.158_655_25);
        check(Z_95, 0.025);
        check(-1.0, 0.841_344_75);
        check(4.0, 3.167_124e-5);
    }
}
