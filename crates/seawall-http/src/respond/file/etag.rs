//! Entity tags and how they are compared (RFC 9110, 8.8.3), and the dates beside them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

/// How old a file's last change must be before its time tells it from the next one. File systems keep times in steps
/// of up to 2 s, and a file that is being written now may change again within the same step.
const SETTLED: Duration = Duration::from_secs(2);

/// The last second that an HTTP date can name: the end of the year 9999.
const LAST_DATE: u64 = 253_402_300_799;

/// What a client can compare to learn whether it has the current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validators {
    /// In quotes, without `W/`.
    tag: String,
    /// Whether the same tag means the same bytes.
    strong: bool,
    /// In whole seconds, as HTTP has it; `None` if HTTP cannot name the time.
    modified: Option<SystemTime>,
}

impl Validators {
    /// Of a file. The tag is made of its length and the time of its last change, so it is the same on every replica
    /// that keeps times. It is strong once that time lies two seconds back: a later change must then show another
    /// time. A younger one is weak, because the same length and the same time could belong to other bytes; a client
    /// then gets the whole file instead of the rest of another one.
    pub(crate) fn of_file(len: u64, modified: SystemTime, now: SystemTime) -> Self {
        let since_epoch = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tag = format!("\"{len:x}-{:x}.{:x}\"", since_epoch.as_secs(), since_epoch.subsec_nanos());
        let strong = now.duration_since(modified).is_ok_and(|age| age >= SETTLED);
        // A date that is to come would be a date that the answer has not reached (8.8.2.1).
        let named = modified.min(now).duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        let named = named.filter(|seconds| *seconds <= LAST_DATE);
        Self { tag, strong, modified: named.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)) }
    }

    /// Of bytes whose hash is this, in hexadecimal digits.
    pub(super) fn of_bytes(hash: &str) -> Self {
        Self { tag: format!("\"{hash}\""), strong: true, modified: None }
    }
    /// The same for one form of several: two of them may have one length and one time.
    pub(super) fn variant(mut self, variant: Option<&'static str>) -> Self {
        if let Some(variant) = variant {
            self.tag.insert_str(self.tag.len() - 1, &format!("-{variant}"));
        }
        self
    }

    /// `ETag`.
    pub(crate) fn etag(&self) -> HeaderValue {
        let text = if self.strong { self.tag.clone() } else { format!("W/{}", self.tag) };
        HeaderValue::try_from(text).expect("hexadecimal digits in quotes")
    }
    /// `Last-Modified`.
    pub(crate) fn last_modified(&self) -> Option<HeaderValue> {
        let date = httpdate::fmt_http_date(self.modified?);
        Some(HeaderValue::try_from(date).expect("a date is visible ASCII"))
    }
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Whether the field lists a tag with which this one compares as the same; `*` is any. Weakly, `W/` makes no
    /// difference; strongly, neither may have it.
    pub(super) fn is_listed(&self, headers: &HeaderMap, name: &HeaderName, comparison: Comparison) -> bool {
        let fields = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let comparable = comparison == Comparison::Weak || self.strong;
        let same = |tag: Tag<'_>| {
            tag.opaque == "*"
                || (comparable && tag.opaque == self.tag && (comparison == Comparison::Weak || !tag.weak))
        };
        fields.flat_map(tags).any(same)
    }

    /// Whether `If-Range` names exactly this version: by a strong tag, or by a date that is strong (13.1.5).
    pub(super) fn is_if_range(&self, value: &HeaderValue) -> bool {
        let Ok(text) = value.to_str() else { return false };
        let mut listed = tags(text);
        match (listed.next(), listed.next()) {
            (Some(tag), None) if tag.opaque != "*" => self.strong && !tag.weak && tag.opaque == self.tag,
            (Some(_), _) => false,
            (None, _) => {
                let date = httpdate::parse_http_date(text.trim()).ok();
                self.strong && date.is_some() && date == self.modified
            }
        }
    }
}

/// Whether the field lists this tag, compared weakly; `*` is any.
pub(crate) fn lists_tag(headers: &HeaderMap, name: &HeaderName, tag: &str) -> bool {
    let own = tag.strip_prefix("W/").unwrap_or(tag);
    let fields = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(tags).any(|tag| tag.opaque == "*" || tag.opaque == own)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Weak,
    Strong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    /// With its quotes; or `*`.
    opaque: &'a str,
    weak: bool,
}

/// The tags of a list, up to the first thing that is none.
fn tags(list: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            return Some(Tag { opaque: "*", weak: false });
        }
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        let end = quoted.strip_prefix('"')?.find('"')? + 2;
        let (opaque, after) = quoted.split_at(end);
        rest = after;
        Some(Tag { opaque, weak })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_at_rest_has_a_strong_tag() {
        assert_eq!(Validators::of_file(16, at(1000), at(1002)).etag(), "\"10-3e8.0\"");
    }
    #[test]
    fn a_file_just_written_has_a_weak_one() {
        assert_eq!(Validators::of_file(16, at(1000), at(1001)).etag(), "W/\"10-3e8.0\"");
        assert_eq!(Validators::of_file(16, at(1000), at(500)).etag(), "W/\"10-3e8.0\"");
    }
    #[test]
    fn dates_that_http_cannot_name_are_left_out() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Validators::of_file(1, before, at(1000)).last_modified(), None);
        assert_eq!(Validators::of_file(1, at(LAST_DATE + 1), at(LAST_DATE + 9)).last_modified(), None);
        assert!(Validators::of_file(1, at(LAST_DATE), at(LAST_DATE + 9)).last_modified().is_some());
    }
    #[test]
    fn a_date_to_come_is_now() {
        let date = Validators::of_file(1, at(5000), at(1000)).last_modified().unwrap();
        assert_eq!(date, "Thu, 01 Jan 1970 00:16:40 GMT");
    }

    #[track_caller]
    fn check(list: &str, expected: &[(&str, bool)]) {
        let found: Vec<_> = tags(list).map(|tag| (tag.opaque, tag.weak)).collect();
        assert_eq!(found, expected, "{list:?}");
    }

    #[test]
    fn lists_are_read_tag_by_tag() {
        check("\"a\"", &[("\"a\"", false)]);
        check(" W/\"a\" ,\t\"b,c\",", &[("\"a\"", true), ("\"b,c\"", false)]);
        check("*", &[("*", false)]);
        check("\"\"", &[("\"\"", false)]);
    }
    #[test]
    fn what_is_no_tag_ends_the_list() {
        check("a", &[]);
        check("\"a", &[]);
        check("\"a\", b, \"c\"", &[("\"a\"", false)]);
        check("w/\"a\"", &[]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_an_end(text in "\\PC*") {
            prop_assert!(tags(&text).count() <= text.len());
        }
    }
}
