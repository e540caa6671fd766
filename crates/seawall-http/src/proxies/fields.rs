//! Lists in headers, read from their right end, because that is where the trusted part is: each proxy appends.
//!
//! A client may put anything in front, an open quote too. Read from the left, that quote would swallow what the proxy
//! appended; read from the right, each element that a proxy wrote is whole, and what the client wrote comes after
//! the walk has ended.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

/// The elements of all lines of a header as one list, the last one first. A comma in quotes does not separate.
pub(super) fn from_the_right<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().flat_map(|line| {
        // What is not ASCII is nothing that a proxy writes: one element that means nothing.
        Elements { rest: Some(line.to_str().unwrap_or("?")) }
    })
}

struct Elements<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.take()?;
        let mut quoted = false;
        let bytes = rest.as_bytes();
        for at in (0..bytes.len()).rev() {
            match bytes[at] {
                b'"' if !is_escaped(bytes, at) => quoted = !quoted,
                b',' if !quoted => {
                    self.rest = Some(&rest[..at]);
                    return Some(trim(&rest[at + 1..]));
                }
                _ => {}
            }
        }
        Some(trim(rest))
    }
}

/// Whether an odd number of backslashes stands in front.
fn is_escaped(bytes: &[u8], at: usize) -> bool {
    bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// An address as proxies write it: bare, in brackets, with a port.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().filter(|_| !text.contains('%')).map(|addr| addr.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    bare.or_else(with_port).or_else(in_brackets).map(|ip| ip.to_canonical())
}

/// One element of a `Forwarded` header (RFC 7239, 4).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// `for`; `None` if it is missing, `unknown`, hidden (`_name`), or no address.
    pub(super) client: Option<IpAddr>,
    pub(super) proto: Option<String>,
    pub(super) host: Option<String>,
}

impl Element {
    /// `None` if it is not well-formed, or says one thing twice.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut element = Self::default();
        let mut seen_for = false;
        let mut rest = text;
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = value(after)?;
            match trim(name).to_ascii_lowercase().as_str() {
                "for" if !seen_for => (seen_for, element.client) = (true, address(&value)),
                "proto" if element.proto.is_none() => element.proto = Some(value),
                "host" if element.host.is_none() => element.host = Some(value),
                "for" | "proto" | "host" | "" => return None,
                _ => {} // `by`, and whatever comes later
            }
            let after = trim(after);
            rest = match after.strip_prefix(';') {
                Some(more) => trim(more),
                None if after.is_empty() => "",
                None => return None,
            };
        }
        Some(element)
    }
}

/// A token or a quoted string, and what comes behind it. Colons and brackets are let pass without quotes, because
/// many proxies forget them.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (!value.is_empty() && !value.contains('"')).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &quoted[at + 1..])),
            (_, '\\') => value.push(chars.next()?.1),
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn list(lines: &[&str], expected: &[&str]) {
        let name = HeaderName::from_static("forwarded");
        let lines =
            lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap()));
        let headers: HeaderMap = lines.collect();
        assert_eq!(from_the_right(&headers, &name).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn lines_are_one_list() {
        list(&["a, b", "c"], &["c", "b", "a"]);
        list(&["a,,b", ""], &["", "b", "", "a"]);
        list(&["\u{e9}", "a"], &["a", "?"]);
        list(&[], &[]);
    }
    #[test]
    fn a_comma_in_quotes_does_not_separate() {
        list(&[r#"a="1,2", b"#], &["b", r#"a="1,2""#]);
        list(&[r#"a="1\",2", b"#], &["b", r#"a="1\",2""#]);
    }
    #[test]
    fn an_open_quote_swallows_nothing_to_its_right() {
        list(&[r#"for="6.6.6.6, for=9.9.9.9"#], &["for=9.9.9.9", r#"for="6.6.6.6"#]);
        list(&[r#"x="\, for="[::9]:80""#], &[r#"for="[::9]:80""#, r#"x="\"#]);
    }

    #[track_caller]
    fn is_address(text: &str, expected: Option<&str>) {
        assert_eq!(address(text), expected.map(|ip| ip.parse().unwrap()), "{text}");
    }
    #[test]
    fn addresses_are_written_in_five_ways() {
        is_address("192.0.2.1", Some("192.0.2.1"));
        is_address("192.0.2.1:80", Some("192.0.2.1"));
        is_address("2001:db8::1", Some("2001:db8::1"));
        is_address("[2001:db8::1]", Some("2001:db8::1"));
        is_address("[2001:db8::1]:80", Some("2001:db8::1"));
        is_address("::ffff:192.0.2.1", Some("192.0.2.1"));
    }
    #[test]
    fn nothing_else_is_one() {
        for text in [
            "",
            "unknown",
            "_x",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:x",
            "[192.0.2.1]",
            "010.0.0.1",
            "fe80::1%eth0",
            "[fe80::1%2]:80",
            "2130706433",
            "0x7f.0.0.1",
            " 192.0.2.1",
            "192.0.2.1/32",
        ] {
            is_address(text, None);
        }
    }

    #[track_caller]
    fn element(text: &str, expected: Option<(Option<&str>, Option<&str>, Option<&str>)>) {
        let found = Element::parse(text);
        let found = found.as_ref().map(|found| {
            (found.client.map(|ip| ip.to_string()), found.proto.as_deref(), found.host.as_deref())
        });
        let found = found.as_ref().map(|(client, proto, host)| (client.as_deref(), *proto, *host));
        assert_eq!(found, expected, "{text}");
    }
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        element(r#"for="_gazonk""#, Some((None, None, None)));
        element(r#"For="[2001:db8:cafe::17]:4711""#, Some((Some("2001:db8:cafe::17"), None, None)));
        element("for=192.0.2.60;proto=http;by=203.0.113.43", Some((Some("192.0.2.60"), Some("http"), None)));
        element("for=192.0.2.43", Some((Some("192.0.2.43"), None, None)));
        element("for=unknown", Some((None, None, None)));
        element(r#"host="a.example:80" ; for=[::1]:7"#, Some((Some("::1"), None, Some("a.example:80"))));
    }
    #[test]
    fn what_is_not_well_formed_is_nothing() {
        for text in [
            "for",
            "for=",
            r#"for="1.1.1.1"#,
            r#"for="1.1.1.1"x"#,
            "for=1.1.1.1 x=1",
            "for=1.1.1.1;for=2.2.2.2",
            "=1",
            r#"for=1"1"#,
            r#"for="1\"#,
            "proto=http;proto=https",
        ] {
            element(text, None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[a-f0-9:;=,."\\\[\] \t]{0,60}"#) {
            let headers: HeaderMap =
                [(http::header::FORWARDED, HeaderValue::from_str(&text).unwrap())].into_iter().collect();
            for piece in from_the_right(&headers, &http::header::FORWARDED) {
                let _ = Element::parse(piece);
                let _ = address(piece);
            }
        }
        /// What a proxy appends is read, whatever the client wrote before it.
        #[test]
        fn what_is_appended_comes_first(junk in r#"[a-z"\\,;= ]{0,30}"#) {
            let appended = r#"for="[2001:db8::9]:80";proto=https"#;
            let line = HeaderValue::from_str(&format!("{junk}, {appended}")).unwrap();
            let headers: HeaderMap = [(http::header::FORWARDED, line)].into_iter().collect();
            prop_assert_eq!(from_the_right(&headers, &http::header::FORWARDED).next(), Some(appended));
        }
    }
}
