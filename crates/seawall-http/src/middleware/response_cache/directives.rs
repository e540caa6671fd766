//! `Cache-Control`, as far as a shared cache has to understand it ([RFC 9111, 5.2](https://www.rfc-editor.org/rfc/rfc9111#section-5.2)).
//!
//! Whatever cannot be read makes the cache do less: a number that is none is zero, a field with a quote too few says
//! `no-store`. Directives that are not listed here change nothing for a cache that never serves stale answers.

use http::{HeaderMap, header};

/// The longest time that has a meaning (RFC 9111, 1.2.2).
const MOST_SECONDS: u64 = 1 << 31;

/// The directives of all `Cache-Control` fields of a request or an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) no_store: bool,
    /// With names of fields, too: it is not worth keeping an answer that must be asked for anyway.
    pub(super) no_cache: bool,
    /// With names of fields, too.
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) only_if_cached: bool,
    /// In seconds; the smallest, if it comes several times.
    pub(super) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
    /// In seconds; the largest, if it comes several times.
    pub(super) min_fresh: Option<u64>,
}

impl Directives {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        for field in headers.get_all(header::CACHE_CONTROL) {
            all.add(field.as_bytes());
        }
        all
    }

    fn add(&mut self, field: &[u8]) {
        let (mut quoted, mut escaped) = (false, false);
        let between = |byte: &u8| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' => return !quoted,
                _ => {}
            }
            false
        };
        for directive in field.split(between) {
            self.add_one(directive.trim_ascii());
        }
        self.no_store |= quoted;
    }

    fn add_one(&mut self, directive: &[u8]) {
        let mut halves = directive.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default().trim_ascii_end().to_ascii_lowercase();
        let value = halves.next();
        let at_most = |known: Option<u64>| Some(known.unwrap_or(u64::MAX).min(seconds(value)));
        match &name[..] {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"private" => self.private = true,
            b"public" => self.public = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"max-age" => self.max_age = at_most(self.max_age),
            b"s-maxage" => self.s_maxage = at_most(self.s_maxage),
            b"min-fresh" => self.min_fresh = Some(self.min_fresh.unwrap_or(0).max(seconds(value))),
            _ => {}
        }
    }
}

/// A number of seconds, with or without quotes.
fn seconds(value: Option<&[u8]>) -> u64 {
    let value = value.unwrap_or_default().trim_ascii();
    let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    if bare.is_empty() || !bare.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let digits = std::str::from_utf8(bare).unwrap_or_default();
    digits.parse().unwrap_or(MOST_SECONDS).min(MOST_SECONDS)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(fields: &[&[u8]]) -> Directives {
        let fields = fields.iter().map(|field| HeaderValue::from_bytes(field).unwrap());
        Directives::of(&fields.map(|field| (header::CACHE_CONTROL, field)).collect())
    }
    #[track_caller]
    fn check(fields: &[&str], expected: Directives) {
        assert_eq!(read(&fields.iter().map(|field| field.as_bytes()).collect::<Vec<_>>()), expected);
    }
    const NONE: Directives = Directives {
        no_store: false,
        no_cache: false,
        private: false,
        public: false,
        only_if_cached: false,
        max_age: None,
        s_maxage: None,
        min_fresh: None,
    };

    #[test]
    fn directives_come_in_a_list_in_any_case() {
        let expected = Directives { public: true, max_age: Some(60), s_maxage: Some(5), ..NONE };
        check(&["Public, MAX-AGE=60 ,s-maxage=\"5\""], expected);
        check(&["public", "max-age=60", ",, s-maxage=5,"], expected);
    }
    #[test]
    fn what_stands_in_quotes_is_no_directive() {
        check(&["private=\"a, no-store\", public"], Directives { private: true, public: true, ..NONE });
        check(&[r#"x="a\", no-store", public"#], Directives { public: true, ..NONE });
    }
    #[test]
    fn a_quote_too_few_keeps_nothing() {
        check(&["max-age=\"60, public"], Directives { no_store: true, max_age: Some(0), ..NONE });
    }
    #[test]
    fn a_number_that_is_none_is_zero_and_a_long_one_the_longest() {
        for none in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=x", "max-age= "] {
            check(&[none], Directives { max_age: Some(0), ..NONE });
        }
        check(&["max-age=99999999999999999999999"], Directives { max_age: Some(MOST_SECONDS), ..NONE });
    }
    #[test]
    fn of_several_the_strictest_counts() {
        let expected = Directives { max_age: Some(5), min_fresh: Some(9), ..NONE };
        check(&["max-age=60, min-fresh=9", "max-age=5, min-fresh=1"], expected);
    }
    #[test]
    fn a_longer_name_is_another() {
        check(&["no-storex, xprivate, max-agex=1, no-cache-x"], NONE);
    }

    proptest! {
        /// A client may send any bytes.
        #[test]
        fn any_field_is_read_without_a_panic(field in "[ -~]{0,40}") {
            let _ = read(&[field.as_bytes()]);
        }
        /// A naive split is the oracle where nothing is quoted.
        #[test]
        fn no_store_is_found_wherever_it_stands(before in "[a-z=0-9, ]{0,20}", after in "[a-z=0-9, ]{0,20}") {
            let field = format!("{before},no-store,{after}");
            prop_assert!(read(&[field.as_bytes()]).no_store);
        }
    }
}
