//! The rules as tables, and two properties.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1_000_000_000); // Sun, 09 Sep 2001 01:46:40 GMT

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn limits(default_fresh: u64) -> Limits {
    Limits {
        default_fresh: Duration::from_secs(default_fresh),
        max_fresh: Duration::from_secs(1_000),
        max_body_bytes: 4,
    }
}

#[track_caller]
fn ask(request: &str, lines: &[(&str, &str)]) -> Role {
    role(&request.parse().unwrap(), &headers(lines), true)
}

/// For how long an answer with these headers is kept, in seconds.
fn kept_by(
    request: &[(&str, &str)],
    status: u16,
    answer: &[(&str, &str)],
    default_fresh: u64,
) -> Option<u64> {
    let Role::Reads(wanted) = ask("GET", request) else { return None };
    let mut response = Response::new(StatusCode::from_u16(status).unwrap(), "body");
    *response.headers_mut() = headers(answer);
    let now = SystemTime::UNIX_EPOCH + NOW;
    let kept = keep(&wanted, &headers(request), &response, &limits(default_fresh), now);
    kept.map(|(_, left)| left.as_secs())
}
#[track_caller]
fn kept(request: &[(&str, &str)], answer: &[(&str, &str)], expected: Option<u64>) {
    assert_eq!(kept_by(request, 200, answer, 0), expected, "{request:?} {answer:?}");
}
/// With this `Cache-Control` alone.
#[track_caller]
fn control(text: &str, expected: Option<u64>) {
    kept(&[], &[("cache-control", text)], expected);
}

#[test]
fn methods_have_their_roles() {
    for reads in ["GET", "HEAD"] {
        assert!(matches!(ask(reads, &[]), Role::Reads(_)), "{reads}");
    }
    for passes in ["OPTIONS", "TRACE", "CONNECT", "QUERY"] {
        assert_eq!(ask(passes, &[]), Role::Passes, "{passes}");
    }
    for changes in ["POST", "PUT", "PATCH", "DELETE", "PURGE", "get"] {
        assert_eq!(ask(changes, &[]), Role::Changes, "{changes}");
    }
}
#[test]
fn a_request_whose_answer_is_for_it_alone_passes() {
    for line in [
        ("cache-control", "no-store"),
        ("range", "bytes=0-1"),
        ("if-match", "\"a\""),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:16:40 GMT"),
        ("upgrade", "websocket"),
        ("transfer-encoding", "chunked"),
        ("content-length", "1"),
    ] {
        assert_eq!(ask("GET", &[line]), Role::Passes, "{line:?}");
    }
    assert!(matches!(ask("GET", &[("content-length", "0")]), Role::Reads(_)));
}

#[test]
fn freshness_is_by_s_maxage_then_max_age_then_expires() {
    let expires = ("expires", "Sun, 09 Sep 2001 01:47:40 GMT"); // in 60 s
    control("s-maxage=5, max-age=50", Some(5));
    control("max-age=50", Some(50));
    kept(&[], &[("cache-control", "max-age=50"), expires], Some(50));
    kept(&[], &[expires], Some(60));
    kept(&[], &[("date", "Sun, 09 Sep 2001 01:47:30 GMT"), expires], Some(10));
    control("s-maxage=0, max-age=50", None);
}
#[test]
fn what_does_not_say_it_is_kept_by_default_alone() {
    kept(&[], &[], None);
    control("public", None);
    assert_eq!(kept_by(&[], 200, &[], 7), Some(7));
    assert_eq!(kept_by(&[], 200, &[("cache-control", "max-age=0")], 7), None);
    assert_eq!(kept_by(&[], 200, &[("expires", "0")], 7), None, "no date is in the past");
    let twice = [("expires", "Sun, 09 Sep 2001 01:47:40 GMT"), ("expires", "Sun, 09 Sep 2001 01:48:40 GMT")];
    assert_eq!(kept_by(&[], 200, &twice, 7), None);
}
#[test]
fn what_is_not_for_all_is_not_kept() {
    for word in ["no-store", "no-cache", "no-cache=\"x\"", "private", "private=\"set-cookie\"", "PRIVATE"] {
        control(&format!("public, s-maxage=9, {word}"), None);
    }
    for line in
        [("set-cookie", "a=1"), ("vary", "*"), ("vary", "accept, *"), ("content-range", "bytes 0-1/2")]
    {
        kept(&[], &[("cache-control", "public, max-age=9"), line], None);
    }
}
#[test]
fn who_says_who_he_is_gets_and_leaves_only_what_is_for_all() {
    for who in [("authorization", "Bearer x"), ("cookie", "a=1")] {
        kept(&[who], &[("cache-control", "max-age=9")], None);
        kept(&[who], &[("cache-control", "max-age=9, public")], Some(9));
        kept(&[who], &[("cache-control", "s-maxage=9")], Some(9));
        kept(&[who], &[("cache-control", "max-age=9, must-revalidate")], None);
    }
}
#[test]
fn statuses_of_one_moment_are_not_kept() {
    let by = |status| kept_by(&[], status, &[("cache-control", "max-age=9")], 0).is_some();
    for yes in [200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414] {
        assert!(by(yes), "{yes}");
    }
    for no in [206, 304, 400, 401, 403, 409, 412, 416, 429, 500, 502, 503, 504] {
        assert!(!by(no), "{no}");
    }
    assert_eq!(
        kept_by(&[], 302, &[], 7),
        None,
        "a redirect that is for now says for how long, or is not kept"
    );
    assert_eq!(kept_by(&[], 404, &[], 7), Some(7));
}
#[test]
fn an_answer_that_comes_with_an_age_has_less_left() {
    kept(&[], &[("cache-control", "max-age=9"), ("age", "4")], Some(5));
    kept(&[], &[("cache-control", "max-age=9"), ("age", "9")], None);
    kept(&[], &[("cache-control", "max-age=9"), ("age", "x")], None);
}
#[test]
fn time_and_length_have_a_bound() {
    control("max-age=99999999", Some(1_000));
    let Role::Reads(wanted) = ask("GET", &[]) else { panic!("a GET reads") };
    let mut response = Response::new(StatusCode::OK, "five!");
    *response.headers_mut() = headers(&[("cache-control", "max-age=9")]);
    let now = SystemTime::UNIX_EPOCH + NOW;
    assert!(keep(&wanted, &HeaderMap::new(), &response, &limits(0), now).is_none());
}
#[test]
fn headers_of_the_moment_are_left_out_and_date_and_age_are_put_in() {
    let all = headers(&[
        ("connection", "x-hop, keep-alive"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("age", "7"),
        ("x-request-id", "8"),
        ("content-type", "text/plain"),
    ]);
    let kept = lasting(&all, SystemTime::UNIX_EPOCH + NOW);
    let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["age", "content-type", "date"]);
    assert_eq!(kept[header::AGE], "0");
    assert_eq!(kept[header::DATE], "Sun, 09 Sep 2001 01:46:40 GMT");
    let dated = headers(&[("date", "Thu, 01 Jan 1970 00:00:00 GMT")]);
    assert_eq!(lasting(&dated, SystemTime::UNIX_EPOCH + NOW)[header::DATE], dated[header::DATE]);
}

fn answer(fresh_for: u64) -> CachedAnswer {
    CachedAnswer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        made_at: SystemTime::UNIX_EPOCH + NOW,
        fresh_for: Duration::from_secs(fresh_for),
        vary: Vec::new(),
        for_all: false,
    }
}
/// Whether a request takes an answer that is 10 of its 60 seconds old.
#[track_caller]
fn takes(lines: &[(&str, &str)], obey: bool, expected: bool) {
    let Role::Reads(wanted) = role(&Method::GET, &headers(lines), obey) else { panic!("it reads") };
    let now = SystemTime::UNIX_EPOCH + NOW + Duration::from_secs(10);
    assert_eq!(wanted.takes(&answer(60), now), expected, "{lines:?}");
}

#[test]
fn a_client_may_ask_for_less_age() {
    takes(&[], true, true);
    for (text, expected) in [
        ("no-cache", false),
        ("max-age=0", false),
        ("max-age=9", false),
        ("max-age=10", true),
        ("min-fresh=50", true),
        ("min-fresh=51", false),
        ("max-stale=5", true),
    ] {
        takes(&[("cache-control", text)], true, expected);
        takes(&[("cache-control", text)], false, true);
    }
    takes(&[("pragma", "no-cache")], true, false);
    takes(&[("pragma", "no-cache"), ("cache-control", "max-age=60")], true, true);
    takes(&[("cookie", "a=1")], true, false);
    takes(&[("authorization", "x")], false, false);
}

#[track_caller]
fn has_it(request: &[(&str, &str)], expected: bool) {
    let answer = headers(&[("etag", "\"a\""), ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT")]);
    assert_eq!(client_has_it(&headers(request), &answer), expected, "{request:?}");
}
#[test]
fn a_tag_counts_before_a_date() {
    has_it(&[], false);
    has_it(&[("if-none-match", "\"a\"")], true);
    has_it(&[("if-none-match", "W/\"a\", \"b\"")], true);
    has_it(&[("if-none-match", "*")], true);
    has_it(&[("if-modified-since", "Sun, 09 Sep 2001 01:46:40 GMT")], true);
    has_it(&[("if-modified-since", "Sun, 09 Sep 2001 01:46:39 GMT")], false);
    has_it(&[("if-modified-since", "yesterday")], false);
    has_it(&[("if-none-match", "\"b\""), ("if-modified-since", "Sun, 09 Sep 2001 01:46:40 GMT")], false);
}

#[test]
fn a_change_names_targets_of_its_own_host_alone() {
    let check = |place: &str, expected: &[&str]| {
        let found: Vec<_> = changed_elsewhere(&headers(&[("location", place)]), "a.example:80").collect();
        assert_eq!(found, expected, "{place}");
    };
    check("/orders/7?x#y", &["/orders/7?x"]);
    check("http://A.example:80/orders/7", &["/orders/7"]);
    check("http://b.example/orders/7", &[]);
    check("//b.example/orders/7", &[]);
    check("orders/7", &[]);
    let both = headers(&[("location", "/a"), ("content-location", "/b")]);
    assert_eq!(changed_elsewhere(&both, "").collect::<Vec<_>>(), ["/a", "/b"]);
}

proptest! {
    /// Nothing that says `no-store`, `private` or `no-cache` is kept, whatever else it says.
    #[test]
    fn what_is_forbidden_is_forbidden(
        before in prop::collection::vec("(public|max-age=[0-9]{1,4}|s-maxage=[0-9]{1,4}|x=\"[a-z, ]{0,5}\")", 0..4),
        word in "(no-store|No-Cache|PRIVATE|private=\"[a-z, ]{0,5}\")",
        after in prop::collection::vec("(public|max-age=[0-9]{1,4}|immutable)", 0..4),
    ) {
        let all: Vec<_> = before.iter().chain([&word]).chain(&after).map(String::as_str).collect();
        prop_assert_eq!(kept_by(&[], 200, &[("cache-control", &all.join(", "))], 7), None);
        let each: Vec<_> = all.iter().map(|one| ("cache-control", *one)).collect();
        prop_assert_eq!(kept_by(&[], 200, &each, 7), None);
    }
    /// What is kept has time left, and never more than the bound.
    #[test]
    fn what_is_kept_is_fresh(s_maxage in 0_u64..3_000, max_age in 0_u64..3_000, age in 0_u64..3_000) {
        let control = format!("s-maxage={s_maxage}, max-age={max_age}");
        let left = kept_by(&[], 200, &[("cache-control", &control), ("age", &age.to_string())], 7);
        let expected = s_maxage.min(1_000).checked_sub(age).filter(|left| *left > 0);
        prop_assert_eq!(left, expected);
    }
}
