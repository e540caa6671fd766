//! One form of each path: with a slash at its end, or without.

use http::Uri;
use seawall_core::ConfigError;
use serde::Deserialize;

use super::redirect::{check_code, local};
use super::{Middleware, Next, Step, before};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

/// Which form paths have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrailingSlashConfig {
    /// Whether paths end with a slash. Default: they do not.
    pub end_with: Slash,
    /// The status of the redirect to the right form: 301, 302, 303, 307 or 308. Without one, which is the default, the
    /// request goes on with the right form, and the client learns nothing of it.
    pub code: Option<u16>,
}

/// What paths end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slash {
    /// No slash: `/users/` becomes `/users`. The path `/` stays.
    #[default]
    Without,
    /// A slash: `/users` becomes `/users/`.
    With,
}

impl Default for TrailingSlashConfig {
    fn default() -> Self {
        Self { end_with: Slash::Without, code: None }
    }
}

/// Gives every path one form, before a route is looked for; for [`App::pre`](crate::App::pre).
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{TrailingSlash, TrailingSlashConfig};
///
/// let app = App::new().pre(TrailingSlash::new(&TrailingSlashConfig::default())?).get("/users", async || "all");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TrailingSlash {
    end_with: Slash,
    code: Option<u16>,
}

impl TrailingSlash {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If the code is no redirect's.
    pub fn new(config: &TrailingSlashConfig) -> Result<Self, ConfigError> {
        let TrailingSlashConfig { end_with, code } = *config;
        code.map_or(Ok(()), |code| check_code("trailing_slash.code", code))?;
        Ok(Self { end_with, code })
    }

    fn look(&self, c: &Context) -> Result<Option<Response>> {
        let Some(mut target) = right_form(c.path(), self.end_with) else { return Ok(None) };
        if let Some(query) = c.uri().query() {
            target.push('?');
            target.push_str(query);
        }
        if let Some(code) = self.code {
            return c.redirect(code, local(&target)).map(Some);
        }
        let mut parts = c.uri().clone().into_parts();
        parts.path_and_query = Some(target.parse()?);
        c.rewrite(Uri::from_parts(parts)?);
        Ok(None)
    }
}

/// The right form of a path that does not have it. `*` of `OPTIONS *` is no path.
fn right_form(path: &str, end_with: Slash) -> Option<String> {
    match (end_with, path.ends_with('/')) {
        (Slash::With, false) if path.starts_with('/') => Some(format!("{path}/")),
        (Slash::Without, true) if path.len() > 1 => {
            let short = path.trim_end_matches('/');
            Some(if short.is_empty() { "/".to_owned() } else { short.to_owned() })
        }
        _ => None,
    }
}

impl Middleware for TrailingSlash {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        match self.look(&c)? {
            Some(elsewhere) => Ok(elsewhere),
            None => next.run(c).await,
        }
    }
    fn into_step(self) -> Step {
        before(move |c| self.look(c)).into_step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(end_with: Slash, path: &str, expected: Option<&str>) {
        assert_eq!(right_form(path, end_with).as_deref(), expected, "{path}");
    }

    #[test]
    fn slashes_are_removed() {
        check(Slash::Without, "/users/", Some("/users"));
        check(Slash::Without, "/users//", Some("/users"));
        check(Slash::Without, "/users", None);
    }
    #[test]
    fn the_root_stays() {
        check(Slash::Without, "/", None);
        check(Slash::Without, "///", Some("/"));
        check(Slash::With, "/", None);
    }
    #[test]
    fn a_slash_is_added() {
        check(Slash::With, "/users", Some("/users/"));
        check(Slash::With, "/users/", None);
        check(Slash::With, "*", None);
    }
    #[test]
    fn a_code_that_is_no_redirects_is_refused() {
        let config = TrailingSlashConfig { code: Some(304), ..TrailingSlashConfig::default() };
        let text = TrailingSlash::new(&config).unwrap_err().to_string();
        assert_eq!(text, "`trailing_slash.code` is 304, but must be 301, 302, 303, 307 or 308");
    }
}
