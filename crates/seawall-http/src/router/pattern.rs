//! A route's pattern, parsed and checked: `/users/:id<int>/files/*`.

use super::MAX_PARAMS;

/// The most segments a pattern may have; it bounds the depth of the search.
const MAX_SEGMENTS: usize = 64;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(super) segments: Vec<Segment>,
}

/// What one segment of a path has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text, once decoded.
    Static(String),
    /// Anything of this kind, but not empty.
    Param { name: String, kind: Kind },
    /// The rest of the path, slashes included, possibly empty.
    Rest,
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Param { name, .. } => Some(name),
            Self::Rest => Some("*"),
            Self::Static(_) => None,
        }
    }
}

/// What a parameter accepts. The order is that in which a tree node tries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A whole number that fits `i64`.
    Int,
    /// A UUID in its hyphenated form.
    Uuid,
    /// ASCII letters.
    Alpha,
    /// Anything.
    Any,
}

impl Kind {
    pub(super) fn accepts(self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Int => value.parse::<i64>().is_ok() && !value.starts_with('+'),
            Self::Alpha => value.bytes().all(|byte| byte.is_ascii_alphabetic()),
            Self::Uuid => is_uuid(value.as_bytes()),
        }
    }
}

fn is_uuid(value: &[u8]) -> bool {
    let hyphen_at = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits =
        |(at, byte): (usize, &u8)| if hyphen_at(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    value.len() == 36 && value.iter().enumerate().all(fits)
}

impl Pattern {
    /// Parses `text`; what is wrong with it, otherwise. The empty pattern is the group's own prefix.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self { segments: Vec::new() });
        }
        let Some(path) = text.strip_prefix('/') else { return Err("a pattern starts with `/`".to_owned()) };
        let mut segments = Vec::new();
        for part in path.split('/') {
            if segments.last() == Some(&Segment::Rest) {
                return Err("`*` stands for the whole rest of a path, so it comes last".to_owned());
            }
            segments.push(segment(part)?);
        }
        let pattern = Self { segments };
        pattern.check()?;
        Ok(pattern)
    }

    fn check(&self) -> Result<(), String> {
        if self.segments.len() > MAX_SEGMENTS {
            return Err(format!(
                "it has {} segments, but must have at most {MAX_SEGMENTS}",
                self.segments.len()
            ));
        }
        let names = self.names();
        if names.len() > MAX_PARAMS {
            return Err(format!("it has {} parameters, but must have at most {MAX_PARAMS}", names.len()));
        }
        match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            Some((_, twice)) => Err(format!("the parameter `{twice}` stands in it twice")),
            None => Ok(()),
        }
    }

    /// The names of its parameters in order; that of the rest is `*`.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.segments.iter().filter_map(Segment::name).collect()
    }
}

fn segment(part: &str) -> Result<Segment, String> {
    if part == "*" {
        return Ok(Segment::Rest);
    }
    if let Some(param) = part.strip_prefix(':') {
        return parameter(param);
    }
    literal(part).map(Segment::Static)
}

fn parameter(text: &str) -> Result<Segment, String> {
    let (name, kind) = match text.split_once('<') {
        None => (text, Kind::Any),
        Some((name, "int>")) => (name, Kind::Int),
        Some((name, "uuid>")) => (name, Kind::Uuid),
        Some((name, "alpha>")) => (name, Kind::Alpha),
        Some((_, other)) => {
            return Err(format!("`<{other}` is no constraint; there are <int>, <uuid> and <alpha>"));
        }
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!(
            "`:{text}` needs a name of letters, digits, `_` or `-` that fills its whole segment"
        ));
    }
    Ok(Segment::Param { name: name.to_owned(), kind })
}

/// Static text, in which `\:`, `\*` and `\\` stand for the characters themselves.
fn literal(part: &str) -> Result<String, String> {
    let mut text = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(escaped @ (':' | '*' | '\\')) => text.push(escaped),
                _ => return Err(format!("`\\` in `{part}` must stand before `:`, `*` or `\\`")),
            },
            ':' | '*' => {
                return Err(format!("`{char}` inside `{part}`: write `\\{char}` for the character itself"));
            }
            '%' | '?' | '#' => {
                return Err(format!(
                    "`{char}` in `{part}`: patterns are written decoded, and without a query"
                ));
            }
            char => text.push(char),
        }
    }
    Ok(text)
}
