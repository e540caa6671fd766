//! Reads the `Cookie` header (RFC 6265, 4.2.1): names with values, nothing else. Values are handed on as they were
//! sent; what they mean (encoding, signature) is their owner's affair.

use http::{HeaderMap, header};

/// The most cookies that are looked at. The head has its own limit; this one bounds the work of a look-up.
const MOST_COOKIES: usize = 256;

/// All cookies, in the order in which they were sent, over all `Cookie` headers: HTTP/2 may split one (RFC 9113,
/// 8.2.3). A value loses the pair of quotes around it. What is no `name=value` or no text is skipped, for one broken
/// cookie of somebody else's must not take the others along.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(header::COOKIE).into_iter();
    let texts = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    texts.flat_map(|text| text.split(';')).filter_map(pair).take(MOST_COOKIES)
}

fn pair(piece: &str) -> Option<(&str, &str)> {
    let (name, value) = piece.split_once('=')?;
    let (name, value) = (name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']));
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    (!name.is_empty()).then_some((name, bare.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let lines = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
        lines.map(|line| (header::COOKIE, line)).collect()
    }

    #[track_caller]
    fn check(lines: &[&str], expected: &[(&str, &str)]) {
        let headers = headers(&lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>());
        assert_eq!(cookies(&headers).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn cookies_come_in_their_order() {
        check(&["a=1; b=2;c=3"], &[("a", "1"), ("b", "2"), ("c", "3")]);
    }
    #[test]
    fn several_headers_are_one_list() {
        check(&["a=1", "b=2; a=3"], &[("a", "1"), ("b", "2"), ("a", "3")]);
    }
    #[test]
    fn quotes_around_a_value_are_not_part_of_it() {
        check(&[r#"a="1 2"; b="; c="""#], &[("a", "1 2"), ("b", "\""), ("c", "")]);
    }
    #[test]
    fn what_is_no_cookie_is_skipped() {
        check(&["; a; =b; c=;d=e=f", "\u{e9}=1"], &[("c", ""), ("d", "e=f"), ("\u{e9}", "1")]);
    }
    #[test]
    fn text_that_is_not_utf8_is_skipped_alone() {
        let headers = headers(&[b"a=\xff", b"b=2"]);
        assert_eq!(cookies(&headers).collect::<Vec<_>>(), [("b", "2")]);
    }
    #[test]
    fn the_number_is_bound() {
        let line = "a=1;".repeat(MOST_COOKIES + 1);
        assert_eq!(cookies(&headers(&[line.as_bytes()])).count(), MOST_COOKIES);
    }

    proptest! {
        /// What a client writes by the grammar comes back; a naive split is the oracle.
        #[test]
        fn what_was_written_is_read(pairs in proptest::collection::vec(("[a-z]{1,4}", "[!#-+--:<-\\[\\]-~]{0,6}"), 0..9)) {
            let line = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            let headers = headers(&[line.as_bytes()]);
            let found: Vec<_> = cookies(&headers).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(found, pairs);
        }
        #[test]
        fn any_header_is_read_without_a_panic(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            let headers = headers(&[&line]);
            for (name, _) in cookies(&headers) {
                prop_assert!(!name.is_empty());
            }
        }
    }
}
