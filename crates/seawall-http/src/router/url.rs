//! From a pattern back to a path: what a named route's URL is made of.

use std::fmt::{self, Write as _};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::pattern::{Fit, Form, Segment};
use super::{Pattern, is_called};

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
    /// The path that this pattern matches with these values; what is wrong with them, otherwise. A slash in a value
    /// becomes `%2F`; the value of the rest, which may be given under either of its names, keeps its slashes.
    pub(crate) fn url(&self, params: &[(&str, &dyn fmt::Display)]) -> Result<String, String> {
        let Form::Path(segments) = &self.form else {
            return Err("it is a regular expression, which no path can be made of".to_owned());
        };
        self.check_known(params)?;
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            let text = match segment {
                Segment::Static(text) => utf8_percent_encode(text, SEGMENT).to_string(),
                Segment::Rest { name } => rest(params, name.as_deref())?,
                Segment::Param { name, fit } => value(params, name, fit)?,
            };
            path.push_str(&text);
        }
        if path.starts_with("//") {
            return Err(format!("the path would be `{path}`, which names a host in a link"));
        }
        Ok(path)
    }

    fn check_known(&self, params: &[(&str, &dyn fmt::Display)]) -> Result<(), String> {
        let names = self.names();
        let place = |name: &str| names.iter().position(|known| is_called(known, name));
        for (at, (name, _)) in params.iter().enumerate() {
            let Some(known) = place(name) else {
                return Err(format!("it has no parameter `{name}`; it has {}", list(&names)));
            };
            if params[..at].iter().any(|(other, _)| place(other) == Some(known)) {
                return Err(format!("the parameter `{name}` is given twice"));
            }
        }
        Ok(())
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn given(params: &[(&str, &dyn fmt::Display)], name: &str) -> Result<String, String> {
    let found = params.iter().find(|(known, _)| is_called(name, known)).map(|(_, value)| value.to_string());
    found.ok_or_else(|| format!("the parameter `{name}` is missing"))
}

fn value(params: &[(&str, &dyn fmt::Display)], name: &str, fit: &Fit) -> Result<String, String> {
    let value = given(params, name)?;
    if !fit.constraint.accepts(value.as_bytes()) {
        let wanted = fit.constraint.describe();
        return Err(format!("the parameter `{name}` must be {wanted}, but is `{value}`"));
    }
    let segment = format!("{}{value}{}", fit.prefix, fit.suffix);
    check_dots(name, &segment)?;
    Ok(utf8_percent_encode(&segment, SEGMENT).to_string())
}

fn rest(params: &[(&str, &dyn fmt::Display)], name: Option<&str>) -> Result<String, String> {
    let name = format!("*{}", name.unwrap_or_default());
    let value = given(params, &name)?;
    value.split('/').try_for_each(|segment| check_dots(&name, segment))?;
    let mut path = String::with_capacity(value.len());
    write!(path, "{}", utf8_percent_encode(&value, REST)).expect("writing to a string cannot fail");
    Ok(path)
}

/// Clients take such segments away, encoded or not (WHATWG URL), and ask for another path.
fn check_dots(name: &str, segment: &str) -> Result<(), String> {
    if matches!(segment, "." | "..") {
        return Err(format!(
            "the parameter `{name}` must not make a segment `{segment}`: clients would remove it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, params: &[(&str, &dyn fmt::Display)], expected: &str) {
        let url = Pattern::parse(pattern).unwrap().url(params).unwrap_or_else(|problem| problem);
        assert_eq!(url, expected, "{pattern}");
    }

    #[test]
    fn values_are_put_where_their_names_are() {
        check("/users/:id/files/:name.json", &[("name", &"a b"), ("id", &7)], "/users/7/files/a%20b.json");
        check("/", &[], "/");
        check("/v:version/caf\u{e9}", &[("version", &2)], "/v2/caf%C3%A9");
    }
    #[test]
    fn a_slash_stays_in_the_rest_alone() {
        check("/:a/*", &[("a", &"x/y"), ("*", &"x/y")], "/x%2Fy/x/y");
    }
    #[test]
    fn the_rest_has_two_names_and_may_be_empty() {
        check("/f/*path", &[("path", &"a%2F/b")], "/f/a%252F/b");
        check("/f/*path", &[("*", &"")], "/f/");
        check("/f/*path", &[("*", &"a"), ("path", &"a")], "the parameter `path` is given twice");
        check("/f/*", &[("", &"a")], "it has no parameter ``; it has `*`");
    }
    #[test]
    fn missing_and_unknown_ones_are_named() {
        check("/:a/:b", &[("a", &1)], "the parameter `b` is missing");
        check("/:a", &[("a", &1), ("c", &2)], "it has no parameter `c`; it has `a`");
        check("/f/*path", &[], "the parameter `*path` is missing");
        check("/x", &[("a", &1)], "it has no parameter `a`; it has none");
    }
    #[test]
    fn what_would_not_match_is_refused() {
        check("/:a", &[("a", &"")], "the parameter `a` must be a text that is not empty, but is ``");
        let wanted = "the parameter `a` must be a whole number from 1 to 9, but is `10`";
        check("/:a<int(1..=9)>", &[("a", &10)], wanted);
        check("/:a<alpha>", &[("a", &"x1")], "the parameter `a` must be ASCII letters, but is `x1`");
    }
    #[test]
    fn a_segment_of_dots_would_not_arrive() {
        let refused = "the parameter `a` must not make a segment `..`: clients would remove it";
        check("/:a/x", &[("a", &"..")], refused);
        check("/.:a", &[("a", &".")], refused);
        check(
            "/*a",
            &[("a", &"x/../y")],
            "the parameter `*a` must not make a segment `..`: clients would remove it",
        );
        check("/v:a", &[("a", &"..")], "/v..");
    }
    #[test]
    fn no_path_names_a_host() {
        check(
            "/*",
            &[("*", &"/example.com")],
            "the path would be `//example.com`, which names a host in a link",
        );
        check("/:a", &[("a", &"/example.com")], "/%2Fexample.com");
    }
    #[test]
    fn expressions_have_no_way_back() {
        check("~/v[0-9]+", &[], "it is a regular expression, which no path can be made of");
    }
}
