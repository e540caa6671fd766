//! A multipart body, as a browser's form sends it.

use std::fmt::Write as _;

/// Never part of a test's own text; [`Multipart`] checks.
const BOUNDARY: &str = "----seawall-test-7d9fb1c3";

/// The parts of a form with files, for [`TestRequest::multipart`](super::TestRequest::multipart).
#[derive(Debug, Clone, Default)]
pub struct Multipart(Vec<u8>);

impl Multipart {
    /// Without parts.
    pub fn new() -> Self {
        Self::default()
    }
    /// A field with text.
    ///
    /// # Panics
    /// If it contains the boundary between parts, which no text of a sane test does.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{}\"", quoted(name)), None, value.as_bytes())
    }
    /// A file.
    ///
    /// # Panics
    /// As [`Multipart::text`].
    #[must_use]
    pub fn file(self, name: &str, file_name: &str, content_type: &str, bytes: &[u8]) -> Self {
        let names = format!("name=\"{}\"; filename=\"{}\"", quoted(name), quoted(file_name));
        self.part(&names, Some(content_type), bytes)
    }

    fn part(mut self, names: &str, content_type: Option<&str>, bytes: &[u8]) -> Self {
        let in_it = bytes.windows(BOUNDARY.len()).any(|window| window == BOUNDARY.as_bytes());
        assert!(!in_it, "a part contains the boundary");
        let mut head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {names}\r\n");
        if let Some(content_type) = content_type {
            write!(head, "Content-Type: {content_type}\r\n").expect("writing to a string never fails");
        }
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(bytes);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// `Content-Type` and body.
    pub(super) fn finish(mut self) -> (String, Vec<u8>) {
        self.0.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={BOUNDARY}"), self.0)
    }
}

/// As browsers write names (WHATWG HTML, 4.10.21.8).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
