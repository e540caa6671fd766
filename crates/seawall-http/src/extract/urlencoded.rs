//! Reads `key=value&..` as browsers write it (WHATWG URL, `application/x-www-form-urlencoded`), with a bound on how
//! many pairs there may be.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::values::{Pair, Source};

/// The most pairs of a query or a form. Each costs some hundred bytes and a comparison, whatever it says.
pub(crate) const MOST_PAIRS: usize = 1_000;

/// More than [`MOST_PAIRS`].
#[derive(Debug)]
pub(crate) struct TooMany;

/// All pairs, in their order. A piece without `=` is a name with an empty value; empty pieces are skipped.
pub(crate) fn pairs(text: &[u8], source: Source) -> Result<Vec<Pair<'_>>, TooMany> {
    let pieces = text.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty());
    let mut pairs = Vec::new();
    for piece in pieces {
        if pairs.len() == MOST_PAIRS {
            return Err(TooMany);
        }
        let (name, value) = match piece.iter().position(|&byte| byte == b'=') {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &b""[..]),
        };
        pairs.push(Pair { source, name: text_of(decoded(name)), value: decoded(value) });
    }
    Ok(pairs)
}

/// A `+` is a space, then percent-decoding, once.
fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(raw);
    }
    let spaced: Vec<u8> = raw.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// A name that is not UTF-8 is no name of ours, whatever it is replaced by.
fn text_of(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize as _;

    use super::super::values::Keyed;
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let pairs = pairs(text.as_bytes(), Source::Query).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs.iter().map(|pair| (pair.name.to_string(), text(&pair.value))).collect()
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = read(text);
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn pairs_keep_their_order() {
        check("b=2&a=1&b=3", &[("b", "2"), ("a", "1"), ("b", "3")]);
    }
    #[test]
    fn a_plus_is_a_space_and_an_escape_is_decoded_once() {
        check("a+b=%2B+%2525", &[("a b", "+ %25")]);
    }
    #[test]
    fn a_piece_without_a_value_has_an_empty_one() {
        check("a&&b=&=c", &[("a", ""), ("b", ""), ("", "c")]);
    }
    #[test]
    fn only_the_first_equals_sign_parts() {
        check("a=b=c", &[("a", "b=c")]);
    }
    #[test]
    fn a_broken_escape_stays_as_it_is() {
        check("a=%zz%2", &[("a", "%zz%2")]);
    }
    #[test]
    fn the_number_of_pairs_is_bound() {
        let text = |pairs: usize| "a=1&".repeat(pairs);
        assert_eq!(pairs(text(MOST_PAIRS).as_bytes(), Source::Query).unwrap().len(), MOST_PAIRS);
        pairs(text(MOST_PAIRS + 1).as_bytes(), Source::Query).unwrap_err();
    }

    proptest! {
        /// The oracle is another crate's reader; both give each name the list of its values.
        #[test]
        fn reads_as_serde_html_form_does(text in "([ab%+=&]|%[0-7][0-9a-f]|[a-z]{1,3}=[0-9+]*){0,24}") {
            type Found = BTreeMap<String, Vec<String>>;
            let expected: Result<Found, _> = serde_html_form::from_str(&text);
            let found = Found::deserialize(Keyed(pairs(text.as_bytes(), Source::Query).unwrap()));
            // It puts a sign in place of what is no UTF-8; we refuse that.
            let replaced = format!("{expected:?}").contains(char::REPLACEMENT_CHARACTER);
            prop_assert!(replaced || found.ok() == expected.ok());
        }
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(pairs) = pairs(&bytes, Source::Form) {
                let _ = BTreeMap::<String, Vec<u8>>::deserialize(Keyed(pairs));
            }
        }
    }
}
