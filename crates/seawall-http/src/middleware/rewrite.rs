//! Rewrites the target before a route is looked for: `/old/*` becomes `/new/$1`.
//!
//! The path is compared as the client sent it, not decoded. A rewrite is no access rule: `/%6fld` is not `/old` here,
//! but it is for the router.

use http::Uri;
use regex::{Captures, Regex};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::{Middleware, Next, Step, before};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

/// Which paths become which. The first rule that fits counts, and it is applied once; rules with a star come before
/// regular expressions. Default: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewriteConfig {
    /// `from` is a whole path in which each `*` stands for any text, also for none; `to` begins with `/`, has `$1` for
    /// what the first star stood for, and `$$` for a dollar.
    pub rules: Vec<RewriteRule>,
    /// As `rules`, but `from` is a regular expression, which fits anywhere in the path unless it has `^` and `$`; the
    /// whole path is replaced, and `$1` is its first group. Matching takes time linear in the path.
    pub regex: Vec<RewriteRule>,
}

/// One rule of a [`RewriteConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewriteRule {
    /// What the path looks like.
    pub from: String,
    /// What it becomes. With a `?` it brings a query, and the client's follows behind `&`.
    pub to: String,
}

impl RewriteRule {
    /// A rule.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

/// Rewrites the target; for [`App::pre`](crate::App::pre), because once a route is found there is nothing to rewrite.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{Rewrite, RewriteConfig, RewriteRule};
///
/// let rules = vec![RewriteRule::new("/old/*", "/new/$1")];
/// let rewrite = Rewrite::new(&RewriteConfig { rules, ..RewriteConfig::default() })?;
/// let app = App::new().pre(rewrite).get("/new/:name", async || "here");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rewrite {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    from: Regex,
    to: Vec<Part>,
}

/// A piece of what a path becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Rewrite {
    /// Reads the rules.
    ///
    /// # Errors
    /// For a `from` that is no regular expression or does not begin with `/`, and for a `to` that does not, or that
    /// asks for a group that `from` does not have.
    pub fn new(config: &RewriteConfig) -> Result<Self, ConfigError> {
        let RewriteConfig { rules, regex } = config;
        let stars = rules.iter().enumerate().map(|(at, rule)| {
            let field = format!("rewrite.rules[{at}]");
            if !rule.from.starts_with('/') {
                let allowed = "a path, which begins with `/`";
                return Err(ConfigError::new(format!("{field}.from"), &rule.from, allowed));
            }
            let pieces: Vec<_> = rule.from.split('*').map(regex::escape).collect();
            Rule::new(&field, &format!("^{}$", pieces.join("(.*?)")), rule)
        });
        let regexes = regex
            .iter()
            .enumerate()
            .map(|(at, rule)| Rule::new(&format!("rewrite.regex[{at}]"), &rule.from, rule));
        Ok(Self { rules: stars.chain(regexes).collect::<Result<_, _>>()? })
    }

    fn apply(&self, c: &Context) -> Result<()> {
        let Some(target) = self.target(c.path(), c.uri().query()) else { return Ok(()) };
        let mut parts = c.uri().clone().into_parts();
        let fits = target.parse().map_err(|_| Error::bad_request("the rewritten target is none"))?;
        parts.path_and_query = Some(fits);
        c.rewrite(Uri::from_parts(parts)?);
        Ok(())
    }

    /// What the target becomes, if a rule fits.
    fn target(&self, path: &str, query: Option<&str>) -> Option<String> {
        // Asked first, because finding the groups allocates, and most paths fit no rule.
        let rule = self.rules.iter().find(|rule| rule.from.is_match(path))?;
        let captures = rule.from.captures(path)?;
        let mut target = rule.fill(&captures);
        if let Some(query) = query {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(query);
        }
        Some(target)
    }
}

impl Rule {
    fn new(field: &str, pattern: &str, rule: &RewriteRule) -> Result<Self, ConfigError> {
        let RewriteRule { from, to } = rule;
        let unreadable =
            |_| ConfigError::new(format!("{field}.from"), from, "a regular expression of moderate size");
        let pattern = Regex::new(pattern).map_err(unreadable)?;
        let refuse = |allowed: String| ConfigError::new(format!("{field}.to"), to, allowed);
        if !to.starts_with('/') {
            return Err(refuse("a path, which begins with `/`".to_owned()));
        }
        let groups = pattern.captures_len() - 1;
        let parts = parts(to);
        if parts.iter().any(|part| matches!(part, Part::Group(group) if *group == 0 || *group > groups)) {
            return Err(refuse(format!(
                "a target with `$1` to `${groups}`, because `from` has {groups} groups"
            )));
        }
        Ok(Self { from: pattern, to: parts })
    }

    fn fill(&self, captures: &Captures<'_>) -> String {
        let mut target = String::new();
        for part in &self.to {
            target.push_str(match part {
                Part::Text(text) => text,
                Part::Group(group) => captures.get(*group).map_or("", |text| text.as_str()),
            });
        }
        target
    }
}

/// Text, and the groups in it: `$` and one or two digits; `$$` is a dollar, and so is one before anything else.
fn parts(to: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = to;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
        match after[..digits].parse() {
            Ok(group) => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Group(group));
                rest = &after[digits..];
            }
            Err(_) => {
                text.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
    }
    text.push_str(rest);
    parts.push(Part::Text(text));
    parts
}

impl Middleware for Rewrite {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        self.apply(&c)?;
        next.run(c).await
    }
    fn into_step(self) -> Step {
        before(move |c| self.apply(c).map(|()| None)).into_step()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stars(from: &str, to: &str) -> Result<Rewrite, ConfigError> {
        Rewrite::new(&RewriteConfig { rules: vec![RewriteRule::new(from, to)], regex: vec![] })
    }
    fn regex(from: &str, to: &str) -> Result<Rewrite, ConfigError> {
        Rewrite::new(&RewriteConfig { rules: vec![], regex: vec![RewriteRule::new(from, to)] })
    }
    #[track_caller]
    fn check(rewrite: Result<Rewrite, ConfigError>, target: &str, expected: Option<&str>) {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        assert_eq!(rewrite.unwrap().target(path, query).as_deref(), expected, "{target}");
    }
    #[track_caller]
    fn check_refused(rewrite: Result<Rewrite, ConfigError>, message: &str) {
        assert_eq!(rewrite.unwrap_err().to_string(), message);
    }

    #[test]
    fn a_star_is_any_text() {
        check(stars("/old/*", "/new/$1"), "/old/a/b", Some("/new/a/b"));
        check(stars("/old/*", "/new/$1"), "/old/", Some("/new/"));
        check(stars("/old/*", "/new/$1"), "/old", None);
    }
    #[test]
    fn several_stars_are_numbered() {
        check(stars("/users/*/orders/*", "/u/$1/o/$2"), "/users/7/orders/9", Some("/u/7/o/9"));
        check(stars("/a/*/b/*", "/$2/$1"), "/a/x/b/y", Some("/y/x"));
    }
    #[test]
    fn a_rule_fits_the_whole_path() {
        check(stars("/old", "/new"), "/old", Some("/new"));
        check(stars("/old", "/new"), "/very/old", None);
        check(stars("/old", "/new"), "/older", None);
        check(stars("/a.b", "/new"), "/axb", None);
    }
    #[test]
    fn the_query_stays() {
        check(stars("/old", "/new"), "/old?a=1", Some("/new?a=1"));
        check(stars("/old/*", "/new?id=$1"), "/old/7?a=1", Some("/new?id=7&a=1"));
    }
    #[test]
    fn a_regular_expression_has_groups() {
        check(regex("^/api/v([0-9]+)/(.*)$", "/$2?version=$1"), "/api/v2/users", Some("/users?version=2"));
        check(regex("^/api/v([0-9]+)/(.*)$", "/$2"), "/api/vx/users", None);
    }
    #[test]
    fn a_group_ends_after_its_digits() {
        check(stars("/old/*", "/$1a"), "/old/x", Some("/xa"));
        check(stars("/old/*", "/$$1"), "/old/x", Some("/$1"));
        check(stars("/old/*", "/cost$"), "/old/x", Some("/cost$"));
    }
    #[test]
    fn what_cannot_work_is_refused_at_start() {
        check_refused(
            stars("old", "/new"),
            "`rewrite.rules[0].from` is old, but must be a path, which begins with `/`",
        );
        check_refused(
            stars("/old", "new"),
            "`rewrite.rules[0].to` is new, but must be a path, which begins with `/`",
        );
        check_refused(
            stars("/old/*", "/$2"),
            "`rewrite.rules[0].to` is /$2, but must be a target with `$1` to `$1`, because `from` has 1 groups",
        );
        check_refused(
            regex("(", "/"),
            "`rewrite.regex[0].from` is (, but must be a regular expression of moderate size",
        );
    }

    proptest! {
        #[test]
        fn any_path_is_rewritten_to_a_path_or_left_alone(path in "/\\PC{0,40}", to in "/[a-z$0-9]{0,8}") {
            if let Ok(rewrite) = stars("/*", &to) {
                prop_assert!(rewrite.target(&path, None).unwrap().starts_with('/'));
            }
        }
    }
}
