//! Functions fit on a screen, files in a head, and each file says first what it is for.

use super::scan::{Line, has_word, item_end};
use super::{Finding, Source, Tree};

/// Lines of a function, signature and closing brace included.
const LONGEST_FUNCTION: usize = 70;
/// Lines of a file that are not test code.
const LONGEST_FILE: usize = 500;

/// No function above 70 lines, no file above 500; tests are exempt.
pub(super) fn lengths(tree: &Tree) -> Vec<Finding> {
    let sources = tree.sources.iter().filter(|source| !source.is_test());
    sources.flat_map(|source| long_file(source).into_iter().chain(long_functions(source))).collect()
}

/// Every Rust file begins with `//!`.
pub(super) fn headers(tree: &Tree) -> Vec<Finding> {
    let begins = |source: &Source| {
        let first = source.lines.iter().find(|line| !line.code.trim().is_empty() || !line.comment.is_empty());
        // A crate's front page may be a document of its own.
        first.is_some_and(|line| {
            line.comment.starts_with("//!") || line.code.starts_with("#![doc = include_str!(")
        })
    };
    let sources = tree.sources.iter().filter(|source| !begins(source));
    let message = "begin the file with a `//!` header: what it does, how, and what it leaves out";
    sources.map(|source| Finding::new(&source.path, 1, message)).collect()
}

fn long_file(source: &Source) -> Option<Finding> {
    let lines = source.product_lines().count();
    let message =
        format!("{lines} lines before the tests, at most {LONGEST_FILE}: split the file by subject");
    (lines > LONGEST_FILE).then(|| Finding::new(&source.path, 1, message))
}

fn long_functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.product_lines() {
        let Some(name) = function_name(line) else { continue };
        let lines = item_end(&source.lines, number - 1) + 2 - number;
        if lines > LONGEST_FUNCTION {
            let message =
                format!("`{name}` has {lines} lines, at most {LONGEST_FUNCTION}: give its parts names");
            findings.push(Finding::new(&source.path, number, message));
        }
    }
    findings
}

/// The name of the function whose signature begins on this line (`fn(u8)` is a type and has none).
fn function_name(line: &Line) -> Option<&str> {
    if !has_word(&line.code, "fn") {
        return None;
    }
    line.code.match_indices("fn ").find_map(|(at, word)| {
        let name = line.code[at + word.len()..].split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        let whole = !line.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        (whole && !name.is_empty()).then_some(name)
    })
}
