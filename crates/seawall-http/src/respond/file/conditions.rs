//! What a request's conditions and ranges make of its answer: one pure function (RFC 9110, 13.2.2 and 14.2).

use http::{HeaderMap, HeaderName, Method, header};

use super::etag::{Comparison, Validators};
use super::range::{Asked, Span, asked};

/// What is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// 200: all of it.
    Whole,
    /// 206: these parts.
    Parts(Vec<Span>),
    /// 304: the client has it.
    NotModified,
    /// 412: the client had another version in mind.
    PreconditionFailed,
    /// 416: there are no such bytes.
    Unsatisfiable,
}

/// The verdict on a request for something with these validators and this length.
pub(crate) fn decide(method: &Method, headers: &HeaderMap, validators: &Validators, len: u64) -> Verdict {
    let reads = method == Method::GET || method == Method::HEAD;
    let listed = |name: &HeaderName, comparison| validators.is_listed(headers, name, comparison);
    // The order is that of 13.2.2: a tag counts before a date.
    if headers.contains_key(header::IF_MATCH) {
        if !listed(&header::IF_MATCH, Comparison::Strong) {
            return Verdict::PreconditionFailed;
        }
    } else if changed_since(headers, &header::IF_UNMODIFIED_SINCE, validators) == Some(true) {
        return Verdict::PreconditionFailed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        if listed(&header::IF_NONE_MATCH, Comparison::Weak) {
            return if reads { Verdict::NotModified } else { Verdict::PreconditionFailed };
        }
    } else if reads && changed_since(headers, &header::IF_MODIFIED_SINCE, validators) == Some(false) {
        return Verdict::NotModified;
    }
    ranges(method, headers, validators, len)
}

/// Ranges count for GET alone, and only if `If-Range` names what is there.
fn ranges(method: &Method, headers: &HeaderMap, validators: &Validators, len: u64) -> Verdict {
    let Some(range) = single(headers, &header::RANGE).filter(|_| method == Method::GET) else {
        return Verdict::Whole;
    };
    let if_range = headers.get(header::IF_RANGE);
    if if_range.is_some_and(|value| !validators.is_if_range(value)) {
        return Verdict::Whole;
    }
    match asked(range, len) {
        Asked::Whole => Verdict::Whole,
        Asked::Parts(spans) => Verdict::Parts(spans),
        Asked::Nothing => Verdict::Unsatisfiable,
    }
}

/// Whether it changed after the date in this field; `None` without one date that can be read and compared.
fn changed_since(headers: &HeaderMap, name: &HeaderName, validators: &Validators) -> Option<bool> {
    let date = httpdate::parse_http_date(single(headers, name)?).ok()?;
    Some(validators.modified()? > date)
}

/// The field's text, if it was sent once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() { None } else { first.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::{HeaderName, HeaderValue};

    use super::*;

    const SAME: &str = "Thu, 01 Jan 1970 00:16:40 GMT";
    const EARLIER: &str = "Thu, 01 Jan 1970 00:16:39 GMT";
    const LATER: &str = "Thu, 01 Jan 1970 00:16:41 GMT";
    /// The tag of what is asked for.
    const TAG: &str = "\"64-3e8.1\"";

    /// 100 bytes, changed at second 1000; `age` seconds ago.
    fn file(age: u64) -> Validators {
        let modified = UNIX_EPOCH + Duration::new(1000, 1);
        Validators::of_file(100, modified, modified + Duration::from_secs(age))
    }

    fn verdict(method: &str, headers: &[(&str, &str)], file: &Validators) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        match decide(&method.parse().unwrap(), &map, file, 100) {
            Verdict::Whole => "200".to_owned(),
            Verdict::Parts(spans) => format!("206 {}-{}", spans[0].start, spans[spans.len() - 1].end),
            Verdict::NotModified => "304".to_owned(),
            Verdict::PreconditionFailed => "412".to_owned(),
            Verdict::Unsatisfiable => "416".to_owned(),
        }
    }

    /// Against a file at rest.
    #[track_caller]
    fn check(request: &str, headers: &[(&str, &str)], expected: &str) {
        assert_eq!(verdict(request, headers, &file(60)), expected, "{request} {headers:?}");
    }

    #[test]
    fn without_conditions_it_is_the_whole() {
        check("GET", &[], "200");
        check("POST", &[], "200");
    }

    #[test]
    fn if_none_match() {
        check("GET", &[("if-none-match", TAG)], "304");
        check("HEAD", &[("if-none-match", TAG)], "304");
        check("GET", &[("if-none-match", "W/\"64-3e8.1\"")], "304");
        check("GET", &[("if-none-match", "\"x\", \"64-3e8.1\"")], "304");
        check("GET", &[("if-none-match", "\"x\""), ("if-none-match", TAG)], "304");
        check("GET", &[("if-none-match", "*")], "304");
        check("GET", &[("if-none-match", "\"x\"")], "200");
        check("GET", &[("if-none-match", "64-3e8.1")], "200");
        check("PUT", &[("if-none-match", TAG)], "412");
        check("PUT", &[("if-none-match", "*")], "412");
        check("PUT", &[("if-none-match", "\"x\"")], "200");
    }

    #[test]
    fn if_match() {
        check("GET", &[("if-match", TAG)], "200");
        check("GET", &[("if-match", "*")], "200");
        check("GET", &[("if-match", "\"x\"")], "412");
        check("GET", &[("if-match", "W/\"64-3e8.1\"")], "412");
        check("PUT", &[("if-match", "\"x\", \"64-3e8.1\"")], "200");
    }

    #[test]
    fn if_modified_since() {
        check("GET", &[("if-modified-since", SAME)], "304");
        check("GET", &[("if-modified-since", LATER)], "304");
        check("HEAD", &[("if-modified-since", SAME)], "304");
        check("GET", &[("if-modified-since", EARLIER)], "200");
        check("PUT", &[("if-modified-since", SAME)], "200");
        check("GET", &[("if-modified-since", "yesterday")], "200");
        check("GET", &[("if-modified-since", SAME), ("if-modified-since", SAME)], "200");
    }

    #[test]
    fn if_unmodified_since() {
        check("GET", &[("if-unmodified-since", SAME)], "200");
        check("GET", &[("if-unmodified-since", LATER)], "200");
        check("GET", &[("if-unmodified-since", EARLIER)], "412");
        check("PUT", &[("if-unmodified-since", EARLIER)], "412");
        check("PUT", &[("if-unmodified-since", "yesterday")], "200");
    }

    #[test]
    fn a_tag_counts_before_a_date() {
        check("GET", &[("if-none-match", "\"x\""), ("if-modified-since", SAME)], "200");
        check("GET", &[("if-none-match", TAG), ("if-modified-since", EARLIER)], "304");
        check("GET", &[("if-match", TAG), ("if-unmodified-since", EARLIER)], "200");
    }

    #[test]
    fn a_failed_precondition_counts_before_not_modified() {
        check("GET", &[("if-match", "\"x\""), ("if-none-match", TAG)], "412");
        check("GET", &[("if-match", TAG), ("if-none-match", TAG)], "304");
    }

    #[test]
    fn ranges_count_for_get_alone() {
        check("GET", &[("range", "bytes=10-19")], "206 10-20");
        check("HEAD", &[("range", "bytes=10-19")], "200");
        check("POST", &[("range", "bytes=10-19")], "200");
        check("GET", &[("range", "bytes=100-")], "416");
        check("GET", &[("range", "bytes=0-1"), ("range", "bytes=4-5")], "200");
    }

    #[test]
    fn conditions_count_before_ranges() {
        check("GET", &[("range", "bytes=10-19"), ("if-none-match", TAG)], "304");
        check("GET", &[("range", "bytes=100-"), ("if-match", "\"x\"")], "412");
        check("GET", &[("range", "bytes=100-"), ("if-none-match", "\"x\"")], "416");
    }

    #[test]
    fn if_range_lets_only_the_same_version_be_continued() {
        let range = ("range", "bytes=10-19");
        check("GET", &[range, ("if-range", TAG)], "206 10-20");
        check("GET", &[range, ("if-range", SAME)], "206 10-20");
        check("GET", &[range, ("if-range", "\"x\"")], "200");
        check("GET", &[range, ("if-range", "W/\"64-3e8.1\"")], "200");
        check("GET", &[range, ("if-range", "*")], "200");
        check("GET", &[range, ("if-range", "\"64-3e8.1\", \"x\"")], "200");
        check("GET", &[range, ("if-range", EARLIER)], "200");
        check("GET", &[range, ("if-range", LATER)], "200");
        check("GET", &[range, ("if-range", "nonsense")], "200");
        check("GET", &[("if-range", TAG)], "200");
        check("GET", &[("range", "bytes=100-"), ("if-range", "\"x\"")], "200");
    }

    /// Written a moment ago: the next change might show the same length and time.
    #[test]
    fn a_file_that_may_still_change_is_never_continued() {
        let (young, range) = (file(1), ("range", "bytes=10-19"));
        assert_eq!(verdict("GET", &[range], &young), "206 10-20");
        assert_eq!(verdict("GET", &[range, ("if-range", TAG)], &young), "200");
        assert_eq!(verdict("GET", &[range, ("if-range", SAME)], &young), "200");
        assert_eq!(verdict("GET", &[("if-none-match", TAG)], &young), "304");
        assert_eq!(verdict("PUT", &[("if-match", TAG)], &young), "412");
    }
}
