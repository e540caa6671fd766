//! `Range: bytes=..` against a length (RFC 9110, 14.1.2 and 14.2).

/// Ranges answered in one go; who asks for more gets the whole, which costs less than so many parts.
const MAX_RANGES: usize = 16;

/// Bytes `start` to before `end`; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn len(self) -> u64 {
        self.end - self.start
    }
}

/// What a `Range` field asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing that we answer in parts: another unit, a malformed field, too many ranges, or ranges that together are
    /// more than the whole, which nobody needs and attackers like.
    Whole,
    /// One range or several, in the order in which they were asked for.
    Parts(Vec<Span>),
    /// All ranges begin behind the end.
    Nothing,
}

/// The ranges that `field` asks for of `len` bytes.
pub(crate) fn asked(field: &str, len: u64) -> Asked {
    let ranges = field.trim().split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((_, list)) = ranges else { return Asked::Whole };
    let mut spans = Vec::new();
    let mut count = 0;
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        count += 1;
        match one(range, len) {
            _ if count > MAX_RANGES => return Asked::Whole,
            Err(Malformed) => return Asked::Whole,
            Ok(span) => spans.extend(span),
        }
    }
    let total = spans.iter().fold(0, |total: u64, span| total.saturating_add(span.len()));
    match spans.len() {
        0 if count > 0 => Asked::Nothing,
        1 => Asked::Parts(spans),
        2.. if total <= len => Asked::Parts(spans),
        _ => Asked::Whole,
    }
}

struct Malformed;

/// `first-last`, `first-` or `-suffix`; `None` if it lies behind the end.
fn one(range: &str, len: u64) -> Result<Option<Span>, Malformed> {
    let (first, last) = range.split_once('-').ok_or(Malformed)?;
    let span = match (number(first)?, number(last)?) {
        (None, None) => return Err(Malformed),
        (None, Some(suffix)) => Span { start: len.saturating_sub(suffix), end: len },
        (Some(start), None) => Span { start, end: len },
        (Some(start), Some(last)) if last < start => return Err(Malformed),
        (Some(start), Some(last)) => Span { start, end: last.saturating_add(1).min(len) },
    };
    Ok((span.start < span.end).then_some(span))
}

/// Digits only; a number of any length is a position, if only one behind every end.
fn number(text: &str) -> Result<Option<u64>, Malformed> {
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return Err(Malformed);
    }
    Ok((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of 100 bytes: `first-end` of each part, or `whole`, or `nothing`.
    #[track_caller]
    fn check(field: &str, expected: &str) {
        let found = match asked(field, 100) {
            Asked::Whole => "whole".to_owned(),
            Asked::Nothing => "nothing".to_owned(),
            Asked::Parts(spans) => {
                let spans = spans.iter().map(|span| format!("{}-{}", span.start, span.end));
                spans.collect::<Vec<_>>().join(" ")
            }
        };
        assert_eq!(found, expected, "{field:?}");
    }

    #[test]
    fn first_and_last_are_both_included() {
        check("bytes=0-0", "0-1");
        check("bytes=10-19", "10-20");
    }
    #[test]
    fn an_open_end_is_the_end() {
        check("bytes=10-", "10-100");
        check("bytes=90-1000", "90-100");
    }
    #[test]
    fn a_suffix_counts_from_the_end() {
        check("bytes=-10", "90-100");
        check("bytes=-1000", "0-100");
    }
    #[test]
    fn behind_the_end_there_is_nothing() {
        check("bytes=100-", "nothing");
        check("bytes=-0", "nothing");
        check("bytes=100-200,300-", "nothing");
    }
    #[test]
    fn several_ranges_keep_their_order() {
        check("bytes=50-59, 0-9", "50-60 0-10");
        check("bytes=0-9,500-600", "0-10");
    }
    #[test]
    fn more_than_the_whole_is_the_whole() {
        check("bytes=0-,0-", "whole");
        check("bytes=0-60,40-99", "whole");
        check(&format!("bytes={}", vec!["0-0"; 17].join(",")), "whole");
    }
    #[test]
    fn other_units_and_malformed_fields_are_ignored() {
        for field in ["", "bytes", "bytes=", "items=0-1", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=1-2-3"]
        {
            check(field, "whole");
        }
        check("bytes=0-1,x", "whole");
        check("bytes=+1-2", "whole");
    }
    #[test]
    fn units_are_not_case_sensitive_and_spaces_are_allowed() {
        check(" Bytes = 0-1 , 4-5 ", "0-2 4-6");
    }
    #[test]
    fn numbers_of_any_length_are_read() {
        check("bytes=0-99999999999999999999999999", "0-100");
        check("bytes=99999999999999999999999999-", "nothing");
    }
    #[test]
    fn an_empty_file_has_no_range() {
        assert_eq!(asked("bytes=0-", 0), Asked::Nothing);
        assert_eq!(asked("bytes=-1", 0), Asked::Nothing);
    }

    proptest! {
        #[test]
        fn any_field_gives_spans_inside_the_file(field in "(bytes=)?[0-9, \\-a]{0,40}|\\PC*", len in 0_u64..1000) {
            if let Asked::Parts(spans) = asked(&field, len) {
                prop_assert!(!spans.is_empty() && spans.len() <= MAX_RANGES);
                prop_assert!(spans.iter().all(|span| span.start < span.end && span.end <= len));
                prop_assert!(spans.iter().map(|span| span.len()).sum::<u64>() <= len);
            }
        }
        /// The oracle marks the bytes one by one.
        #[test]
        fn one_range_is_the_bytes_that_it_names(first in 0_u64..200, last in 0_u64..200, len in 0_u64..150) {
            let named: Vec<u64> = (0..len).filter(|at| (first..=last).contains(at)).collect();
            let expected = match (named.first(), named.last()) {
                _ if last < first => Asked::Whole,
                (Some(&start), Some(&end)) => Asked::Parts(vec![Span { start, end: end + 1 }]),
                _ => Asked::Nothing,
            };
            prop_assert_eq!(asked(&format!("bytes={first}-{last}"), len), expected);
        }
    }
}
