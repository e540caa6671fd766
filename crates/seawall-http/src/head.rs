//! The head of a request as it came. Its map of headers and its URI are made when somebody asks for them: most of what
//! a request costs beyond its bytes would be for things that few handlers look at.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use crate::timeout_header;

/// The head of a request.
pub(crate) struct Head {
    method: Method,
    version: Version,
    says_timeout: bool,
    names: Names,
    raw: Raw,
    /// In boxes, because a head is moved more often than these are asked for.
    uri: OnceLock<Box<Uri>>,
    headers: OnceLock<Box<HeaderMap>>,
}

/// The bytes of a checked head of HTTP/1.1; empty for a head that was not read by our engine.
#[derive(Default)]
struct Raw {
    bytes: Bytes,
    /// The target, if it is a path, stands before `target_end`, and its path before `path_end`.
    target_at: u32,
    path_end: u32,
    target_end: u32,
    fields_at: u32,
}

/// Where the parts of a head stand, which was checked: a target that becomes a [`Uri`], names that are tokens, values
/// without control characters, and lines that end with CRLF.
pub(crate) struct Checked {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) bytes: Bytes,
    pub(crate) target: std::ops::Range<usize>,
    /// What the target is, if it is no path.
    pub(crate) uri: Option<Uri>,
    pub(crate) fields_at: usize,
    pub(crate) names: Names,
    pub(crate) says_timeout: bool,
}

/// The names of some fields, roughly: it may say yes to one that is not there, and never says no to one that is. Most
/// look-ups are for fields that are not there, and a look through all lines costs more than this.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names(u64);

impl Names {
    /// Adds a name, in any case.
    pub(crate) fn add(&mut self, name: &[u8]) {
        self.0 |= Self::bit(name);
    }

    fn may_have(self, name: &str) -> bool {
        self.0 & Self::bit(name.as_bytes()) != 0
    }

    /// Chosen by the first letter, whose case is in the bit that is left out, and the length.
    fn bit(name: &[u8]) -> u64 {
        let first = name.first().map_or(0, |first| usize::from(first & 0x1F));
        1 << ((first + 11 * name.len()) % 64)
    }
}

impl Head {
    /// A head whose bytes were checked.
    pub(crate) fn checked(checked: Checked) -> Self {
        let Checked { method, version, bytes, target, uri, fields_at, names, says_timeout } = checked;
        let place = |at: usize| u32::try_from(at).expect("a head is at most 1 MiB long");
        let path = &bytes[target.clone()];
        let raw = Raw {
            path_end: place(target.start + memchr::memchr(b'?', path).unwrap_or(path.len())),
            target_at: place(target.start),
            target_end: place(if uri.is_some() { target.start } else { target.end }),
            fields_at: place(fields_at),
            bytes,
        };
        Self {
            method,
            version,
            says_timeout,
            names,
            raw,
            uri: uri.map(|uri| Box::new(uri).into()).unwrap_or_default(),
            headers: OnceLock::new(),
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }
    pub(crate) fn version(&self) -> Version {
        self.version
    }
    /// Whether the client says how long it waits: known without looking for it.
    pub(crate) fn says_timeout(&self) -> bool {
        self.says_timeout
    }

    pub(crate) fn uri(&self) -> &Uri {
        self.uri.get_or_init(|| {
            let Raw { bytes, target_at, target_end, .. } = &self.raw;
            let target = bytes.slice(*target_at as usize..*target_end as usize);
            let uri = Uri::from_maybe_shared(target);
            Box::new(uri.expect("the engine takes only targets that become a URI"))
        })
    }

    pub(crate) fn path(&self) -> &str {
        let Raw { bytes, target_at, path_end, target_end, .. } = &self.raw;
        if target_end == target_at {
            return self.uri().path();
        }
        let path = &bytes[*target_at as usize..*path_end as usize];
        std::str::from_utf8(path).expect("the engine takes only targets of ASCII")
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| {
            let lines = self.raw.lines();
            let mut headers = HeaderMap::with_capacity(lines.clone().count());
            for (name, value) in lines {
                let name = HeaderName::from_bytes(name).expect("the engine takes only tokens");
                let value = HeaderValue::from_maybe_shared(self.raw.bytes.slice_ref(value));
                headers.append(name, value.expect("the engine takes only values without control characters"));
            }
            Box::new(headers)
        })
    }

    /// The first field of this name, which is in lower case, without making a map of all of them.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        if let Some(headers) = self.headers.get() {
            return headers.get(name).map(HeaderValue::as_bytes);
        }
        if !self.names.may_have(name) {
            return None;
        }
        let mut lines = self.raw.lines();
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

impl From<http::request::Parts> for Head {
    fn from(parts: http::request::Parts) -> Self {
        Self {
            method: parts.method,
            version: parts.version,
            says_timeout: [timeout_header::OWN, timeout_header::GRPC]
                .iter()
                .any(|name| parts.headers.contains_key(name)),
            names: Names::default(), // the map is there, and is asked first
            raw: Raw::default(),
            uri: OnceLock::from(Box::new(parts.uri)),
            headers: OnceLock::from(Box::new(parts.headers)),
        }
    }
}

impl Raw {
    fn lines(&self) -> Lines<'_> {
        Lines(self.bytes.get(self.fields_at as usize..).unwrap_or_default())
    }
}

/// The fields of a checked head, one by one.
#[derive(Clone)]
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let colon = memchr::memchr(b':', self.0)?;
        let (name, rest) = self.0.split_at(colon);
        let end = memchr::memchr(b'\r', rest)?;
        self.0 = &rest[end + 2..];
        Some((name, rest[1..end].trim_ascii()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &'static str) -> Head {
        let target_at = bytes.find(' ').unwrap() + 1;
        let target = target_at..target_at + bytes[target_at..].find(' ').unwrap();
        let fields_at = bytes.find('\n').unwrap() + 1;
        let (method, version) = (Method::GET, Version::HTTP_11);
        let bytes = Bytes::from_static(bytes.as_bytes());
        let mut names = Names::default();
        Lines(&bytes[fields_at..]).for_each(|(name, _)| names.add(name));
        let says_timeout = false;
        Head::checked(Checked { method, version, bytes, target, uri: None, fields_at, names, says_timeout })
    }

    #[test]
    fn the_parts_are_found_where_they_stand() {
        let head = head("GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nA:1\r\na: \t2 \r\nEmpty:\r\n\r\n");
        assert_eq!((head.path(), head.field("host"), head.field("b")), ("/a/b", Some(&b"x"[..]), None));
        assert_eq!((head.field("empty"), head.field("a")), (Some(&b""[..]), Some(&b"1"[..])));
        assert_eq!(head.uri(), "/a/b?c=d");
        let values: Vec<_> = head.headers().get_all("a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!((values, head.headers().len()), (vec![&b"1"[..], b"2"], 4));
        assert_eq!(head.field("a"), Some(&b"1"[..]));
    }

    #[test]
    fn names_are_known_in_any_case() {
        let mut names = Names::default();
        assert!(!names.may_have("x-request-id"));
        [&b"X-Request-ID"[..], b"traceparent"].iter().for_each(|name| names.add(name));
        assert!(names.may_have("x-request-id") && names.may_have("traceparent"));
        assert!(!names.may_have("host") && !names.may_have("origin"));
    }

    #[test]
    fn a_head_without_fields_has_none() {
        let head = head("GET / HTTP/1.0\r\n\r\n");
        assert!(head.headers().is_empty() && head.field("host").is_none());
        assert_eq!(head.path(), "/");
    }
}
