//! What a parameter's value has to be: `<int>`, `<uuid>`, `<alpha>`, and Rust ranges for the first and the last.

use std::cmp::Ordering;

/// What a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Constraint {
    /// A whole number from `min` to `max`, without a `+`.
    Int { min: i64, max: i64 },
    /// A UUID in its hyphenated form.
    Uuid,
    /// ASCII letters, from `min` to `max` of them.
    Alpha { min: u32, max: u32 },
    /// Anything but nothing.
    Any,
}

const ANY_INT: Constraint = Constraint::Int { min: i64::MIN, max: i64::MAX };
/// A parameter is never empty, so no shorter text can ever fit.
const ANY_ALPHA: Constraint = Constraint::Alpha { min: 1, max: u32::MAX };

impl Constraint {
    /// Parses what stands between `<` and `>`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (kind, range) = match text.split_once('(') {
            None => (text, None),
            Some((kind, rest)) => match rest.strip_suffix(')') {
                Some(range) => (kind, Some(range)),
                None => return Err(format!("the `(` in `<{text}>` is not closed")),
            },
        };
        let bounds = range.map_or(Ok((None, None)), Self::bounds);
        let bounds = bounds.map_err(|problem| format!("in `<{text}>`, {problem}"));
        match (kind, range) {
            ("int", _) => Ok(Self::int(bounds?)),
            ("alpha", _) => Self::alpha(bounds?).map_err(|problem| format!("in `<{text}>`, {problem}")),
            ("uuid", None) => Ok(Self::Uuid),
            ("uuid", Some(_)) => Err(format!("`<{text}>`: a UUID takes no range")),
            _ => Err(format!("`<{text}>` is no constraint; there are <int>, <uuid> and <alpha>")),
        }
        .and_then(|constraint| match constraint.is_empty() {
            true => Err(format!("in `<{text}>`, the range `{}` holds nothing", range.unwrap_or_default())),
            false => Ok(constraint),
        })
    }

    /// First and last value of a Rust range.
    fn bounds(range: &str) -> Result<(Option<i128>, Option<i128>), String> {
        let refuse =
            || format!("`{range}` is no range; ranges are `1..=100`, `1..101`, `1..`, `..=100`, `..101`");
        let number = |text: &str| match text {
            "" => Ok(None),
            text => text.parse::<i64>().map(|number| Some(i128::from(number))).map_err(|_| refuse()),
        };
        let (min, max) = range.split_once("..").ok_or_else(refuse)?;
        match max.strip_prefix('=') {
            Some("") => Err(refuse()),
            Some(last) => Ok((number(min)?, number(last)?)),
            None => Ok((number(min)?, number(max)?.map(|past| past - 1))),
        }
    }

    fn int((min, max): (Option<i128>, Option<i128>)) -> Self {
        // What an exclusive end below the least number leaves is empty; one number past the other says so.
        let (min, max) = (min.unwrap_or(i64::MIN.into()), max.unwrap_or(i64::MAX.into()));
        let fits = i64::try_from(min).ok().zip(i64::try_from(max).ok());
        let (min, max) = fits.unwrap_or((1, 0));
        Self::Int { min, max }
    }

    fn alpha((min, max): (Option<i128>, Option<i128>)) -> Result<Self, String> {
        let length = |wanted: Option<i128>, otherwise: u32| match wanted {
            None => Ok(otherwise),
            Some(wanted) if wanted < 0 => Ok(0),
            Some(wanted) => u32::try_from(wanted).map_err(|_| format!("a length of {wanted} is too much")),
        };
        Ok(Self::Alpha { min: length(min, 1)?.max(1), max: length(max, u32::MAX)? })
    }

    fn is_empty(self) -> bool {
        match self {
            Self::Int { min, max } => min > max,
            Self::Alpha { min, max } => min > max,
            Self::Uuid | Self::Any => false,
        }
    }

    /// Whether a decoded value fits. Empty ones never do.
    pub(super) fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Any => !value.is_empty(),
            Self::Int { min, max } => int(value).is_some_and(|value| (min..=max).contains(&value)),
            Self::Alpha { min, max } => {
                let fits = u32::try_from(value.len()).is_ok_and(|len| (min..=max).contains(&len));
                fits && value.iter().all(u8::is_ascii_alphabetic)
            }
            Self::Uuid => is_uuid(value),
        }
    }

    /// In words, with its range.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Any => "a text that is not empty".to_owned(),
            Self::Uuid => "a hyphenated UUID".to_owned(),
            ANY_INT => "a whole number of 64 bits".to_owned(),
            Self::Int { min, max } => format!("a whole number from {min} to {max}"),
            ANY_ALPHA => "ASCII letters".to_owned(),
            Self::Alpha { min, max: u32::MAX } => format!("at least {min} ASCII letters"),
            Self::Alpha { min, max } => format!("{min} to {max} ASCII letters"),
        }
    }

    /// The narrower range first: of two that accept the same value, it says more. Kinds exclude each other, so that
    /// their order decides nothing; it only makes this one total.
    pub(super) fn compare(self, other: Self) -> Ordering {
        let rank = |constraint: Self| match constraint {
            Self::Int { min, max } => (0, max.abs_diff(min), i128::from(min)),
            Self::Uuid => (1, 0, 0),
            Self::Alpha { min, max } => (2, u64::from(max - min), i128::from(min)),
            Self::Any => (3, 0, 0),
        };
        rank(self).cmp(&rank(other))
    }
}

fn int(value: &[u8]) -> Option<i64> {
    // `parse` would take a plus sign, which in a path may be meant as a blank.
    if value.first() == Some(&b'+') {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn is_uuid(value: &[u8]) -> bool {
    let hyphen_at = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits =
        |(at, byte): (usize, &u8)| if hyphen_at(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    value.len() == 36 && value.iter().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(constraint: &str, accepted: &[&str], refused: &[&str]) {
        let parsed = Constraint::parse(constraint).unwrap();
        for value in accepted {
            assert!(parsed.accepts(value.as_bytes()), "{constraint} should accept {value}");
        }
        for value in refused {
            assert!(!parsed.accepts(value.as_bytes()), "{constraint} should refuse {value}");
        }
    }

    #[track_caller]
    fn refused(constraint: &str, because: &str) {
        let problem = Constraint::parse(constraint).unwrap_err();
        assert!(problem.contains(because) && problem.contains(constraint), "{constraint}: {problem}");
    }

    #[test]
    fn an_integer_fits_64_bits() {
        check(
            "int",
            &["0", "-5", "007", "9223372036854775807"],
            &["", "+5", "-", "9223372036854775808", "1.0", "a"],
        );
    }
    #[test]
    fn ranges_are_those_of_rust() {
        check("int(1..=100)", &["1", "100"], &["0", "101"]);
        check("int(1..100)", &["99"], &["100"]);
        check("int(-3..)", &["-3", "9223372036854775807"], &["-4"]);
        check("int(..0)", &["-1"], &["0"]);
        check("int(..=0)", &["0", "-9223372036854775808"], &["1"]);
        check("int(..)", &["5"], &["x"]);
    }
    #[test]
    fn letters_are_counted() {
        check("alpha", &["a", "Zz"], &["", "a1", "\u{e9}"]);
        check("alpha(2..=5)", &["ab", "abcde"], &["a", "abcdef"]);
        check("alpha(2..)", &["ab"], &["a"]);
        check("alpha(0..=2)", &["a"], &["", "abc"]);
    }
    #[test]
    fn a_uuid_has_its_hyphens() {
        check(
            "uuid",
            &["0b5e6bd0-4b4e-4c56-9a5c-2f0d5a3b8f11", "0B5E6BD0-4B4E-4C56-9A5C-2F0D5A3B8F11"],
            &["0b5e6bd04b4e4c569a5c2f0d5a3b8f11", "0b5e6bd0-4b4e-4c56-9a5c-2f0d5a3b8f1g", ""],
        );
    }
    #[test]
    fn ranges_that_mean_the_same_are_the_same() {
        assert_eq!(Constraint::parse("int(1..6)"), Constraint::parse("int(1..=5)"));
        assert_eq!(Constraint::parse("int(..)"), Constraint::parse("int"));
        assert_eq!(Constraint::parse("alpha(0..)"), Constraint::parse("alpha"));
    }
    #[test]
    fn bad_ranges_are_named() {
        refused("int(5..1)", "`5..1` holds nothing");
        refused("int(5..5)", "`5..5` holds nothing");
        refused("int(..-9223372036854775808)", "holds nothing");
        refused("alpha(0..1)", "`0..1` holds nothing");
        refused("alpha(..=-1)", "holds nothing");
        refused("int(a..b)", "`a..b` is no range");
        refused("int(7)", "`7` is no range");
        refused("int(1..=)", "`1..=` is no range");
        refused("int()", "is no range");
        refused("int(1..9223372036854775808)", "is no range");
        refused("alpha(1..=9999999999)", "too much");
        refused("int(1..2", "is not closed");
        refused("uuid(1..2)", "takes no range");
        refused("float", "there are <int>, <uuid> and <alpha>");
        refused("", "is no constraint");
    }
    #[test]
    fn the_narrower_range_comes_first() {
        let parse = |text| Constraint::parse(text).unwrap();
        let order = ["int(1..=10)", "int(2..=11)", "int(1..=100)", "int", "uuid", "alpha(1..=3)", "alpha"];
        assert!(order.windows(2).all(|two| parse(two[0]).compare(parse(two[1])).is_lt()));
    }
}
