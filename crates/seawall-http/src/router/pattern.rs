//! A route's pattern, parsed and checked: `/users/:id<int>/files/*`, `/v:version/doc`, `~/v[0-9]+/.*`.
//!
//! The order of precedence is written here, as the order of [`Segment`]s; the trie and the packed form only follow it.

use std::cmp::{Ordering, Reverse};

use super::MAX_PARAMS;
use super::constraint::Constraint;
use super::expression::Expression;

/// The most segments a pattern may have; it bounds the depth of the search.
pub(super) const MAX_SEGMENTS: usize = 64;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(super) form: Form,
}

/// The two kinds of pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Path(Vec<Segment>),
    /// Behind `~`: a regular expression for the whole path.
    Regex(Expression),
}

/// What one segment of a path has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text, once decoded.
    Static(String),
    /// A parameter, which may have text around it.
    Param { name: String, fit: Fit },
    /// The rest of the path, slashes included, possibly empty.
    Rest { name: Option<String> },
}

/// A parameter without its name: what two patterns have in common that match the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) prefix: String,
    pub(super) suffix: String,
    pub(super) constraint: Constraint,
}

impl Fit {
    /// Whether it takes any segment that is not empty.
    pub(super) fn is_plain(&self) -> bool {
        self.constraint == Constraint::Any && self.prefix.is_empty() && self.suffix.is_empty()
    }

    pub(super) fn is_typed(&self) -> bool {
        self.constraint != Constraint::Any
    }
}

/// The order in which the parameters of one place are tried: typed ones first; of these and of the others the longer
/// prefix, then the longer suffix, then the narrower range. So the plain parameter comes last. Texts of one length
/// exclude each other; comparing them only makes the order total.
impl Ord for Fit {
    fn cmp(&self, other: &Self) -> Ordering {
        let shape = |fit: &Self| (!fit.is_typed(), Reverse(fit.prefix.len()), Reverse(fit.suffix.len()));
        let text = (&self.prefix, &self.suffix).cmp(&(&other.prefix, &other.suffix));
        shape(self).cmp(&shape(other)).then(text).then_with(|| self.constraint.compare(other.constraint))
    }
}

impl PartialOrd for Fit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of precedence at one place of a path, names aside: static text, parameters, the rest. Of two patterns
/// that match a path, the one wins that comes first at the leftmost segment where they differ.
pub(super) fn precedence(one: &Segment, other: &Segment) -> Ordering {
    let class = |segment: &Segment| match segment {
        Segment::Static(_) => 0,
        Segment::Param { .. } => 1,
        Segment::Rest { .. } => 2,
    };
    match (one, other) {
        (Segment::Static(one), Segment::Static(other)) => one.cmp(other),
        (Segment::Param { fit: one, .. }, Segment::Param { fit: other, .. }) => one.cmp(other),
        _ => class(one).cmp(&class(other)),
    }
}

impl Segment {
    /// The name of its parameter; that of a rest begins with `*`, which alone is its name too.
    fn name(&self) -> Option<String> {
        match self {
            Self::Param { name, .. } => Some(name.clone()),
            Self::Rest { name } => Some(format!("*{}", name.as_deref().unwrap_or_default())),
            Self::Static(_) => None,
        }
    }
}

impl Pattern {
    /// Parses `text`; what is wrong with it, otherwise. The empty pattern is the group's own prefix.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(regex) = text.strip_prefix('~') {
            return Expression::parse(regex).map(|regex| Self { form: Form::Regex(regex) });
        }
        let segments = segments(text)?;
        let pattern = Self { form: Form::Path(segments) };
        pattern.check()?;
        Ok(pattern)
    }

    /// Parses a pattern below the prefix of a group. A regular expression needs a prefix without parameters.
    pub(crate) fn under(prefix: &str, pattern: &str) -> Result<Self, String> {
        if pattern.starts_with('~') && !prefix.is_empty() {
            let literal = segments(prefix)?.iter().all(|segment| matches!(segment, Segment::Static(_)));
            if !literal {
                return Err(format!(
                    "a regular expression needs a prefix without parameters, and `{prefix}` has some"
                ));
            }
        }
        Self::parse(&joined(prefix, pattern))
    }

    fn check(&self) -> Result<(), String> {
        let Form::Path(segments) = &self.form else { return Ok(()) };
        if segments.len() > MAX_SEGMENTS {
            return Err(format!("it has {} segments, but must have at most {MAX_SEGMENTS}", segments.len()));
        }
        check_names(&self.names())
    }

    /// The names of its parameters in order. That of a rest is `*`, or `*name`: its value has both names.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.form {
            Form::Path(segments) => segments.iter().filter_map(Segment::name).collect(),
            Form::Regex(regex) => regex.names(),
        }
    }
}

/// Whether there are not too many of them, and each is there once.
pub(super) fn check_names(names: &[String]) -> Result<(), String> {
    if names.len() > MAX_PARAMS {
        return Err(format!("it has {} parameters, but must have at most {MAX_PARAMS}", names.len()));
    }
    let bare = |name: &String| name.trim_start_matches('*').to_owned();
    let twice =
        names.iter().enumerate().find(|(at, name)| names[..*at].iter().any(|one| bare(one) == bare(name)));
    twice.map_or(Ok(()), |(_, name)| Err(format!("the parameter `{}` stands in it twice", bare(name))))
}

/// The text of a pattern below a group's prefix; the outermost empty one is `/`. Before a regular expression the
/// prefix stands for itself.
pub(crate) fn joined(prefix: &str, pattern: &str) -> String {
    match (prefix, pattern.strip_prefix('~')) {
        ("", None) if pattern.is_empty() => "/".to_owned(),
        (prefix, None) => format!("{prefix}{pattern}"),
        ("", Some(_)) => pattern.to_owned(),
        (prefix, Some(regex)) => {
            let prefix = literal(prefix).map_or_else(|_| prefix.to_owned(), |text| regex::escape(&text));
            // Of `/a|/b`, each branch is below the prefix.
            if regex.contains('|') { format!("~{prefix}(?:{regex})") } else { format!("~{prefix}{regex}") }
        }
    }
}

fn segments(text: &str) -> Result<Vec<Segment>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(path) = text.strip_prefix('/') else {
        return Err("a pattern starts with `/`, or with `~` if it is a regular expression".to_owned());
    };
    let mut segments = Vec::new();
    for part in path.split('/') {
        if matches!(segments.last(), Some(Segment::Rest { .. })) {
            return Err("`*` stands for the whole rest of a path, so it comes last".to_owned());
        }
        segments.push(segment(part)?);
    }
    Ok(segments)
}

fn segment(part: &str) -> Result<Segment, String> {
    if let Some(name) = part.strip_prefix('*') {
        return match name {
            "" => Ok(Segment::Rest { name: None }),
            name if name.bytes().all(is_name) => Ok(Segment::Rest { name: Some(name.to_owned()) }),
            _ => Err(format!("behind the `*` of `{part}` may be a name of letters, digits, `_` or `-`")),
        };
    }
    match unescaped(part, ':') {
        Some(colon) => parameter(part, colon),
        None => literal(part).map(Segment::Static),
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Where `wanted` stands for the first time without a `\` before it.
fn unescaped(text: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, char)| {
        let found = char == wanted && !escaped;
        escaped = char == '\\' && !escaped;
        found.then_some(at)
    })
}

/// `prefix:name<constraint>suffix`, with the colon at `colon`.
fn parameter(part: &str, colon: usize) -> Result<Segment, String> {
    let behind = &part[colon + 1..];
    let name = &behind[..behind.bytes().position(|byte| !is_name(byte)).unwrap_or(behind.len())];
    if name.is_empty() {
        return Err(format!("the `:` of `{part}` needs a name of letters, digits, `_` or `-` behind it"));
    }
    let (constraint, suffix) = match behind[name.len()..].strip_prefix('<') {
        None => (Constraint::Any, &behind[name.len()..]),
        Some(typed) => {
            let (constraint, suffix) =
                typed.split_once('>').ok_or_else(|| format!("the `<` in `{part}` is not closed"))?;
            (Constraint::parse(constraint)?, suffix)
        }
    };
    if unescaped(suffix, ':').is_some() {
        return Err(format!("`{part}` has two parameters, but a segment has one at most"));
    }
    let (prefix, suffix) = (literal(&part[..colon])?, literal(suffix)?);
    Ok(Segment::Param { name: name.to_owned(), fit: Fit { prefix, suffix, constraint } })
}

/// Static text, in which `\:`, `\*`, `\<` and `\\` stand for the characters themselves.
fn literal(part: &str) -> Result<String, String> {
    let mut text = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(escaped @ (':' | '*' | '<' | '\\')) => text.push(escaped),
                _ => return Err(format!(r"`\` in `{part}` must stand before `:`, `*`, `<` or `\`")),
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
