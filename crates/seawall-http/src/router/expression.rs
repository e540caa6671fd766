//! Regex routes: `~/v[0-9]+/(?<name>\w+)`, for the whole path; named groups are the parameters.
//!
//! The expression sees the path decoded once, with `%2F` left as it is, so that an encoded slash is none here either.
//! A path that is no UTF-8 once decoded matches none. Linear in the path's length, as the engine does not backtrack.
//! Unlike the trie, a look-up here allocates.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::Params;
use super::pattern::check_names;
use super::raw::hex_pair;

/// The longest expression, in bytes.
const MAX_LEN: usize = 1_024;
/// The most memory that an expression may be compiled to, and again for the states it is in.
const MAX_SIZE: usize = 1 << 20;

/// A regular expression for a whole path.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    text: String,
    regex: Regex,
    /// The numbers of the named groups.
    groups: Vec<usize>,
}

/// Two that are written alike; whether others match the same cannot be known cheaply.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Expression {}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LEN {
            return Err(format!("it is {} bytes long, but must be at most {MAX_LEN}", text.len()));
        }
        // Alone first: what is no expression by itself must not become one by what is put around it.
        compile(text)?;
        let regex = compile(&format!(r"\A(?:{text})\z"))?;
        let groups = regex.capture_names().enumerate().filter_map(|(at, name)| name.map(|_| at)).collect();
        let expression = Self { text: text.to_owned(), regex, groups };
        check_names(&expression.names())?;
        Ok(expression)
    }

    /// The names of its named groups, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.regex.capture_names().flatten().map(str::to_owned).collect()
    }

    /// Where its groups stand in the raw path, if it matches. A group that took no part is empty.
    pub(super) fn matches(&self, path: &Readable<'_>) -> Option<Params> {
        let captures = self.regex.captures(&path.text)?;
        Some(self.spans(&captures, path))
    }

    fn spans(&self, captures: &Captures<'_>, path: &Readable<'_>) -> Params {
        let mut params = Params::default();
        for group in &self.groups {
            let (start, end) = captures.get(*group).map_or((0, 0), |found| (found.start(), found.end()));
            params.push(path.raw(start), path.raw(end));
        }
        params
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(MAX_SIZE).dfa_size_limit(MAX_SIZE);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("its regular expression takes more than {MAX_SIZE} bytes: use smaller counts, or `(?-u)`")
        }
        error => format!("its regular expression is not accepted: {error}"),
    })
}

/// A path as expressions see it.
pub(super) struct Readable<'p> {
    text: Cow<'p, str>,
    /// Where each byte of `text`, and its end, stands in the raw path; empty if they are the same.
    offsets: Vec<usize>,
}

impl<'p> Readable<'p> {
    /// `None` if it is no UTF-8 once decoded.
    pub(super) fn new(path: &'p str) -> Option<Self> {
        if !path.contains('%') {
            return Some(Self { text: Cow::Borrowed(path), offsets: Vec::new() });
        }
        let raw = path.as_bytes();
        let (mut text, mut offsets) = (Vec::with_capacity(raw.len()), Vec::with_capacity(raw.len() + 1));
        let mut at = 0;
        while at < raw.len() {
            offsets.push(at);
            match hex_pair(raw, at) {
                Some(b'/') => {
                    // The first of its three bytes; the others follow as they are, in either case as `2F`.
                    text.extend_from_slice(b"%2F");
                    offsets.extend([at + 1, at + 2]);
                    at += 3;
                }
                Some(byte) => {
                    text.push(byte);
                    at += 3;
                }
                None => {
                    text.push(raw[at]);
                    at += 1;
                }
            }
        }
        offsets.push(at);
        String::from_utf8(text).ok().map(|text| Self { text: Cow::Owned(text), offsets })
    }

    fn raw(&self, at: usize) -> usize {
        self.offsets.get(at).copied().unwrap_or(at)
    }
}
