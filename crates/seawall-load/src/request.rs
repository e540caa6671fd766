//! Requests as bytes, rendered before they are due.

use std::io::Write as _;

use seawall_core::ConfigError;

use crate::template::{Fill, Names, Place, Template};

/// One HTTP/1.1 request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Path and query, from the first `/` on.
    pub path: &'a str,
    /// Further fields. `Host` replaces the one from the URL; `Content-Length` is set by itself.
    pub headers: &'a [(String, String)],
    /// The body; empty for none.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// The bytes to send to `host`.
    ///
    /// # Errors
    /// A method, path or field that could not be told apart from another part of the request.
    pub fn render(&self, host: &str) -> Result<Vec<u8>, ConfigError> {
        self.check()?;
        let mut bytes = Vec::with_capacity(128 + self.path.len() + self.body.len());
        for part in [self.method, " ", self.path, " HTTP/1.1\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            field(&mut bytes, "Host", host);
        }
        for (name, value) in self.headers {
            field(&mut bytes, name, value);
        }
        if !self.body.is_empty() || matches!(self.method, "POST" | "PUT" | "PATCH") {
            field(&mut bytes, "Content-Length", &self.body.len().to_string());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body);
        Ok(bytes)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_method(self.method)?;
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad_path(self.path));
        }
        self.headers.iter().try_for_each(|(name, value)| check_field(name, value.as_bytes()))
    }
}

/// A request whose parts may be templates, compiled.
#[derive(Debug, Clone)]
pub(crate) struct RequestTemplate {
    /// Up to the value of `Content-Length`, or to the empty line if there is no body.
    head: Template,
    body: Template,
    has_length: bool,
}

/// Bytes of a request that is put together anew for each connection.
pub(crate) const MAX_COPIED: usize = 16 << 20;

impl RequestTemplate {
    /// Compiles the parts of a request to `host`. `body` is compiled by the caller: it may come from files.
    pub(crate) fn compile(
        request: &Request<'_>,
        body: Template,
        host: &str,
        names: &Names,
    ) -> Result<Self, ConfigError> {
        let Request { method, path, headers, body: _ } = *request;
        check_method(method)?;
        let mut head = Template::default();
        head.push_text(method.as_bytes());
        head.push_text(b" ");
        let path_template = Template::compile("load.path", path, Place::Path, names)?;
        let literal = path_template.text();
        if !path.starts_with('/') || !literal.iter().all(u8::is_ascii_graphic) {
            return Err(bad_path(path));
        }
        head.append(path_template);
        head.push_text(b" HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_text(format!("Host: {host}\r\n").as_bytes());
        }
        for (name, value) in headers {
            let value = Template::compile("load.headers", value, Place::Header, names)?;
            check_field(name, &value.text())?;
            head.push_text(format!("{name}: ").as_bytes());
            head.append(value);
            head.push_text(b"\r\n");
        }
        let has_length = body.constant() != Some(b"") || matches!(method, "POST" | "PUT" | "PATCH");
        head.push_text(if has_length { b"Content-Length: " } else { b"\r\n" });
        Ok(Self { head, body, has_length })
    }

    /// The whole request, if it is always the same.
    pub(crate) fn constant(&self) -> Option<Vec<u8>> {
        let (head, body) = (self.head.constant()?, self.body.constant()?);
        let mut bytes = Vec::with_capacity(head.len() + body.len() + 24);
        bytes.extend_from_slice(head);
        self.finish(body, &mut bytes);
        Some(bytes)
    }

    /// Appends a request. `scratch` is for the body, whose length must be known first; it is only kept for its memory.
    pub(crate) fn render(&self, fill: &mut Fill<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        self.head.render(fill, out);
        scratch.clear();
        self.body.render(fill, scratch);
        self.finish(scratch, out);
    }

    fn finish(&self, body: &[u8], out: &mut Vec<u8>) {
        if self.has_length {
            let _ = write!(out, "{}\r\n\r\n", body.len()); // writing to a vector cannot fail
            out.extend_from_slice(body);
        }
    }

    /// Bytes that are always there.
    pub(crate) fn len(&self) -> usize {
        self.head.text().len() + self.body.text().len()
    }
}

fn check_method(method: &str) -> Result<(), ConfigError> {
    if method.is_empty() || !method.bytes().all(is_token) {
        let allowed = "an HTTP method such as GET or POST";
        return Err(ConfigError::new("load.method", format!("`{method}`"), allowed));
    }
    Ok(())
}

fn bad_path(path: &str) -> ConfigError {
    ConfigError::new("load.path", format!("`{path}`"), "a path that starts with / and has no spaces")
}

fn check_field(name: &str, value: &[u8]) -> Result<(), ConfigError> {
    // The value may be a secret, so only the name is shown.
    let refuse =
        |allowed: &str| ConfigError::new("load.headers", format!("`{name}: ...`"), allowed.to_owned());
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(refuse("a field name of letters, digits and -, then a colon and a value"));
    }
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(refuse("a value without line breaks"));
    }
    if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding") {
        return Err(refuse("another field: the body's length is set by itself"));
    }
    Ok(())
}

fn field(bytes: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, headers: &[(&str, &str)], body: &str, expected: &str) {
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let request = Request { method, path: "/a?b", headers: &headers, body: body.as_bytes() };
        match request.render("host:1") {
            Ok(bytes) => assert_eq!(String::from_utf8(bytes).unwrap(), expected),
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
        }
    }

    #[test]
    fn a_get_has_no_length() {
        check("GET", &[("X-A", "1")], "", "GET /a?b HTTP/1.1\r\nHost: host:1\r\nX-A: 1\r\n\r\n");
    }

    #[test]
    fn a_post_has_one_even_if_it_is_empty() {
        check("POST", &[], "", "POST /a?b HTTP/1.1\r\nHost: host:1\r\nContent-Length: 0\r\n\r\n");
        check("POST", &[], "ab", "POST /a?b HTTP/1.1\r\nHost: host:1\r\nContent-Length: 2\r\n\r\nab");
    }

    #[test]
    fn a_given_host_replaces_ours() {
        check("GET", &[("host", "other")], "", "GET /a?b HTTP/1.1\r\nhost: other\r\n\r\n");
    }

    #[test]
    fn a_template_is_the_same_request_if_nothing_is_put_in() {
        for (method, body) in [("GET", ""), ("POST", ""), ("POST", "ab"), ("DELETE", "x")] {
            let headers = [("X-A".to_owned(), "1".to_owned())];
            let request = Request { method, path: "/a?b", headers: &headers, body: body.as_bytes() };
            let text = Template::compile("load.body", body, Place::Body, &Names::default()).unwrap();
            let template = RequestTemplate::compile(&request, text, "host:1", &Names::default()).unwrap();
            assert_eq!(template.constant().unwrap(), request.render("host:1").unwrap());
        }
    }

    #[test]
    fn the_length_follows_what_is_put_in() {
        let request = Request { method: "POST", path: "/{{seq}}", headers: &[], body: b"" };
        let text = Template::compile("load.body", "n={{seq}}", Place::Body, &Names::default()).unwrap();
        let template = RequestTemplate::compile(&request, text, "h", &Names::default()).unwrap();
        assert_eq!(template.constant(), None);
        let (mut random, mut scratch, mut out) = (crate::random::Random::new(1), Vec::new(), Vec::new());
        for number in [9, 10] {
            let mut fill = Fill { table: None, random: &mut random, number, extracted: &[] };
            template.render(&mut fill, &mut scratch, &mut out);
        }
        let expected = "POST /9 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nn=9\
                        POST /10 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nn=10";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn nothing_can_be_smuggled() {
        check("GET /x", &[], "", "`load.method` is");
        check("GET", &[("A", "b\r\nC: d")], "", "without line breaks");
        check("GET", &[("A b", "c")], "", "field name");
        check("GET", &[("Content-Length", "9")], "", "set by itself");
    }
}
