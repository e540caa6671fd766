//! From text to a value, and from two values to what has changed between them. Pure.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::LiveConfigError;

/// Changes that are listed by name in one line of the log.
const MOST_LISTED: usize = 20;
/// Characters of a value in that line.
const LONGEST_VALUE: usize = 60;

/// How a configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Toml,
}

impl Format {
    /// # Errors
    /// If the text is not of this form.
    pub(super) fn read(self, text: &str) -> Result<Value, LiveConfigError> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|error| LiveConfigError::Syntax {
                line: error.line(),
                problem: format!("no JSON: {error}"),
            }),
            Self::Toml => toml::from_str(text).map_err(|error| {
                let before = error.span().and_then(|span| text.get(..span.start));
                let line = before.map_or(0, |before| before.matches('\n').count() + 1);
                LiveConfigError::Syntax { line, problem: format!("no TOML: {}", error.message()) }
            }),
        }
    }
}

/// What `said` says, laid over `base`.
///
/// # Errors
/// With the field that is unknown, or of another kind.
pub(super) fn value_of<T: DeserializeOwned>(
    name: &str,
    base: &Value,
    said: Value,
) -> Result<T, LiveConfigError> {
    serde_path_to_error::deserialize(laid_over(base, said)).map_err(|error| {
        let field = match error.path().to_string().as_str() {
            "." => name.to_owned(),
            path => format!("{name}.{path}"),
        };
        LiveConfigError::Field { field, problem: error.into_inner().to_string() }
    })
}

/// Objects are laid over each other field by field; anything else takes the other's place. What is read is not deeper
/// than its parsers allow, 128 levels.
fn laid_over(base: &Value, said: Value) -> Value {
    match (base, said) {
        (Value::Object(base), Value::Object(said)) => {
            let mut all = base.clone();
            for (field, value) in said {
                let value = match base.get(&field) {
                    Some(below) => laid_over(below, value),
                    None => value,
                };
                all.insert(field, value);
            }
            Value::Object(all)
        }
        (_, said) => said,
    }
}

/// What has changed, for the log: `limit.max: 4096 -> 100, max_queued: ...`. Empty, if nothing has.
pub(super) fn changes(before: &Value, after: &Value) -> String {
    let mut all = Vec::new();
    compare("", before, after, &mut all);
    let more = all.len().saturating_sub(MOST_LISTED);
    all.truncate(MOST_LISTED);
    let mut text = all.join(", ");
    if more > 0 {
        let _ = write!(text, ", and {more} more"); // a string takes everything
    }
    text
}

fn compare(path: &str, before: &Value, after: &Value, all: &mut Vec<String>) {
    if let (Value::Object(before), Value::Object(after)) = (before, after) {
        let new = after.keys().filter(|field| !before.contains_key(*field));
        for field in before.keys().chain(new) {
            let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
            let of = |fields: &Map<String, Value>| fields.get(field).cloned().unwrap_or_default();
            compare(&path, &of(before), &of(after), all);
        }
    } else if before != after {
        all.push(format!("{path}: {} -> {}", shown(before), shown(after)));
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        most: u8,
        limit: Limit,
        names: Vec<String>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limit {
        min: u8,
        max: u8,
    }

    fn base() -> Value {
        json!({"most": 1, "limit": {"min": 2, "max": 3}, "names": ["a", "b"]})
    }

    fn read(format: Format, text: &str) -> Result<Config, String> {
        let said = format.read(text).and_then(|said| value_of("shop", &base(), said));
        said.map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(text: &str, problem: &str) {
        assert_eq!(read(Format::Json, text).unwrap_err(), problem);
    }

    #[test]
    fn what_is_not_said_is_as_it_began() {
        let expected = Config { most: 9, limit: Limit { min: 2, max: 7 }, names: vec!["c".to_owned()] };
        let json = r#"{"most": 9, "limit": {"max": 7}, "names": ["c"]}"#;
        let toml = "most = 9\nnames = [\"c\"]\n[limit]\nmax = 7\n";
        assert_eq!(read(Format::Json, json).unwrap(), expected);
        assert_eq!(read(Format::Toml, toml).unwrap(), expected);
        let all = Config { most: 1, limit: Limit { min: 2, max: 3 }, names: vec!["a".into(), "b".into()] };
        assert_eq!(read(Format::Toml, "").unwrap(), all);
    }

    #[test]
    fn a_field_that_is_unknown_is_named() {
        refused(r#"{"limit": {"mox": 7}}"#, "`shop.limit.mox`: unknown field `mox`, expected `min` or `max`");
        refused(
            r#"{"mots": 7}"#,
            "`shop.mots`: unknown field `mots`, expected one of `most`, `limit`, `names`",
        );
    }
    #[test]
    fn a_value_of_another_kind_is_named_with_what_would_be_right() {
        refused(r#"{"most": "x"}"#, "`shop.most`: invalid type: string \"x\", expected u8");
        refused(r#"{"limit": {"max": 300}}"#, "`shop.limit.max`: invalid value: integer `300`, expected u8");
        refused("[]", "`shop`: invalid length 0, expected struct Config with 3 elements");
    }
    #[test]
    fn what_is_no_json_and_no_toml_is_refused_with_its_line() {
        let line = |format, text: &str| match Format::read(format, text).unwrap_err() {
            LiveConfigError::Syntax { line, .. } => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line(Format::Json, "{\n\"most\": }"), 2);
        assert_eq!(line(Format::Toml, "most = 1\nlimit = \n"), 2);
    }

    #[test]
    fn changes_are_listed_by_name() {
        let after = json!({"most": 1, "limit": {"min": 2, "max": 4}, "names": ["a"], "new": true});
        let expected = r#"limit.max: 3 -> 4, names: ["a","b"] -> ["a"], new: null -> true"#;
        assert_eq!(changes(&base(), &after), expected);
        assert_eq!(changes(&base(), &base()), "");
    }
    #[test]
    fn a_line_of_the_log_has_a_bound() {
        let wide = |value: &str| -> Value {
            (0..30).map(|at| (format!("f{at}"), Value::from(value))).collect::<Map<_, _>>().into()
        };
        let text = changes(&wide("a"), &wide(&"b".repeat(10_000)));
        assert!(text.ends_with(", and 10 more") && text.len() < 20 * 100, "{text}");
    }
}
