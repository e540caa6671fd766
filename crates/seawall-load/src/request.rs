//! Requests as bytes, rendered before they are due.

use seawall_core::ConfigError;

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
        if self.method.is_empty() || !self.method.bytes().all(is_token) {
            let allowed = "an HTTP method such as GET or POST";
            return Err(ConfigError::new("load.method", format!("`{}`", self.method), allowed));
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            let allowed = "a path that starts with / and has no spaces";
            return Err(ConfigError::new("load.path", format!("`{}`", self.path), allowed));
        }
        for (name, value) in self.headers {
            // The value may be a secret, so only the name is shown.
            let refuse = |allowed: &str| {
                ConfigError::new("load.headers", format!("`{name}: ...`"), allowed.to_owned())
            };
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(refuse("a field name of letters, digits and -, then a colon and a value"));
            }
            if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Err(refuse("a value without line breaks"));
            }
            if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(refuse("another field: the body's length is set by itself"));
            }
        }
        Ok(())
    }
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
    fn nothing_can_be_smuggled() {
        check("GET /x", &[], "", "`load.method` is");
        check("GET", &[("A", "b\r\nC: d")], "", "without line breaks");
        check("GET", &[("A b", "c")], "", "field name");
        check("GET", &[("Content-Length", "9")], "", "set by itself");
    }
}
