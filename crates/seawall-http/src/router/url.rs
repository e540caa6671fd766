//! From a pattern back to a path: what a named route's URL is made of.

use std::fmt::{self, Write as _};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Pattern;
use super::pattern::Segment;

/// What a path segment must not carry as it is (RFC 3986, 3.3).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// The rest of a path keeps its slashes.
const REST: &AsciiSet = &SEGMENT.remove(b'/');

impl Pattern {
    /// The path that this pattern matches with these values; what is wrong with them, otherwise.
    pub(crate) fn url(&self, params: &[(&str, &dyn fmt::Display)]) -> Result<String, String> {
        let names = self.names();
        if let Some((unknown, _)) = params.iter().find(|(name, _)| !names.contains(name)) {
            return Err(format!("it has no parameter `{unknown}`; it has {names:?}"));
        }
        let value = |name: &str| {
            let found = params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
            found.ok_or_else(|| format!("the parameter `{name}` is missing"))
        };
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Static(text) => write!(path, "{}", utf8_percent_encode(text, SEGMENT)),
                Segment::Rest => write!(path, "{}", utf8_percent_encode(&value("*")?, REST)),
                Segment::Param { name, kind } => {
                    let value = value(name)?;
                    if value.is_empty() || !kind.accepts(&value) {
                        return Err(format!("the parameter `{name}` must not be `{value}`"));
                    }
                    write!(path, "{}", utf8_percent_encode(&value, SEGMENT))
                }
            }
            .expect("writing to a string cannot fail");
        }
        Ok(path)
    }
}
