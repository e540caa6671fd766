//! Precedence in words: which patterns match a path, and why one of them won.

use std::cmp::{Ordering, Reverse};
use std::fmt::Write as _;

use http::Method;

use super::Pattern;
use super::pattern::{Fit, Form, Segment, precedence};

/// The most patterns that are listed.
const LISTED: usize = 8;

/// A route whose pattern matches the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    /// None is any.
    pub(super) method: Option<&'a Method>,
    pub(super) pattern: &'a str,
}

impl Candidate<'_> {
    fn written(&self) -> String {
        format!("`{} {}`", self.method.map_or("ANY", Method::as_str), self.pattern)
    }
}

/// Why `winner` answers; `candidates` are in the order of precedence.
pub(super) fn won(candidates: &[Candidate<'_>], winner: &Candidate<'_>, method: &Method) -> String {
    let mut text = taken(winner, method);
    let at = candidates.iter().position(|candidate| candidate == winner).unwrap_or(0);
    for earlier in candidates[..at].iter().filter(|earlier| !alike(earlier, winner)).take(LISTED) {
        let _ = write!(text, "; {} comes before it, but is not for {method}", earlier.written());
    }
    let mut later = candidates[at..].iter().filter(|later| !alike(later, winner));
    match later.next() {
        None if candidates.iter().all(|candidate| alike(candidate, winner)) => {
            text.push_str("; no other pattern matches the path");
        }
        None => {}
        Some(next) => {
            let _ =
                write!(text, "; it wins over {}: {}", next.written(), reason(winner.pattern, next.pattern));
            let behind: Vec<_> = later.filter(|later| !alike(later, next)).collect();
            if !behind.is_empty() {
                let _ = write!(text, "; behind them come {}", listed(&behind));
            }
        }
    }
    text
}

/// Why there is no route for `method`, although patterns match.
pub(super) fn other_methods(candidates: &[Candidate<'_>], method: &Method) -> String {
    let known = listed(&candidates.iter().collect::<Vec<_>>());
    if *method == Method::OPTIONS {
        return format!(
            "no route names OPTIONS, so it is answered with the methods of those that match the path: {known}"
        );
    }
    format!("the path matches, but no route is for {method}: {known}")
}

fn listed(candidates: &[&Candidate<'_>]) -> String {
    let mut texts: Vec<_> = candidates.iter().take(LISTED).map(|candidate| candidate.written()).collect();
    if candidates.len() > LISTED {
        texts.push(format!("{} more", candidates.len() - LISTED));
    }
    texts.join(", ")
}

/// Why nothing matches; `route` gives the first pattern that another path matches.
pub(super) fn nothing(path: &str, route: impl Fn(&str) -> Option<String>) -> String {
    if !path.starts_with('/') {
        return "it is no path: a path begins with `/`".to_owned();
    }
    let other = match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    match route(&other) {
        Some(pattern) => format!(
            "no pattern matches the path; a slash at the end matters: `{other}` would match `{pattern}`"
        ),
        None => "no pattern matches the path".to_owned(),
    }
}

fn taken(winner: &Candidate<'_>, method: &Method) -> String {
    let pattern = winner.written();
    match winner.method {
        Some(own) if own == method => format!("{pattern} matches"),
        Some(own) => {
            format!("{pattern} matches: {method} is answered as {own} where it has no route of its own")
        }
        None => format!("{pattern} matches: it takes every method that has no route of its own at its place"),
    }
}

/// Whether both stand at the same place of the tree.
fn alike(one: &Candidate<'_>, other: &Candidate<'_>) -> bool {
    one.pattern == other.pattern || difference(one.pattern, other.pattern) == Difference::None
}

/// What decides between two patterns.
#[derive(Debug, PartialEq, Eq)]
enum Difference {
    None,
    /// The first segment, from 0, in which they differ.
    At(usize, Segment, Segment),
    /// One is an expression, or both.
    Expression,
}

fn difference(one: &str, other: &str) -> Difference {
    let parse = |text| Pattern::parse(text).map(|pattern| pattern.form);
    match (parse(one), parse(other)) {
        (Ok(Form::Path(one)), Ok(Form::Path(other))) => {
            let mut pairs = one.into_iter().zip(other).enumerate();
            let found = pairs.find(|(_, (one, other))| precedence(one, other) != Ordering::Equal);
            found.map_or(Difference::None, |(at, (one, other))| Difference::At(at, one, other))
        }
        _ if one == other => Difference::None,
        _ => Difference::Expression,
    }
}

fn reason(winner: &str, loser: &str) -> String {
    match difference(winner, loser) {
        Difference::Expression if winner.starts_with('~') => {
            "expressions are tried in the order of registration".to_owned()
        }
        Difference::Expression => "expressions are tried after all paths".to_owned(),
        Difference::None => "it is the same place".to_owned(),
        Difference::At(at, one, other) => {
            let part = |text: &str| text.split('/').nth(at + 1).unwrap_or_default().to_owned();
            let (winner, loser) = (part(winner), part(loser));
            format!("in segment {}, {}", at + 1, of_segments(&one, &winner, &other, &loser))
        }
    }
}

fn of_segments(one: &Segment, winner: &str, other: &Segment, loser: &str) -> String {
    if let (Segment::Param { fit: one, .. }, Segment::Param { fit: other, .. }) = (one, other)
        && kind(one) == kind(other)
    {
        return format!("`{winner}` {} `{loser}`", finer(one, other));
    }
    let describe = |segment: &Segment| match segment {
        Segment::Static(_) => "static text",
        Segment::Param { fit, .. } => kind(fit),
        Segment::Rest { .. } => "the rest",
    };
    format!("{} `{winner}` comes before {} `{loser}`", describe(one), describe(other))
}

fn kind(fit: &Fit) -> &'static str {
    match fit {
        typed if typed.is_typed() => "a parameter with a constraint",
        plain if plain.is_plain() => "a parameter",
        _ => "a parameter with text around it",
    }
}

fn finer(one: &Fit, other: &Fit) -> &'static str {
    let lengths = |fit: &Fit| (Reverse(fit.prefix.len()), Reverse(fit.suffix.len()));
    match (lengths(one), lengths(other)) {
        (one, other) if one.0 != other.0 => "has a longer text before its parameter than",
        (one, other) if one.1 != other.1 => "has a longer text behind its parameter than",
        _ => "has a narrower range than",
    }
}
