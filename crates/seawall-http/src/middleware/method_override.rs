//! Another method than the one that was sent, for clients that can send nothing but GET and POST.

use http::{HeaderName, Method, header};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::{Middleware, Next, Step, before};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

/// Where the method is written, and which ones may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodOverrideConfig {
    /// Where it is written. Default: the header `X-HTTP-Method-Override`.
    pub from: MethodSource,
    /// The methods that may be asked for; another one is a 400. Default: PUT, PATCH, DELETE. GET and HEAD cannot be:
    /// what looks like a POST to a proxy must not become what is cached.
    pub methods: Vec<String>,
}

/// Where the method is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodSource {
    /// In this header.
    Header(String),
    /// In this field of a form in the body. The whole body is read before a route is looked for, under the app's body
    /// limit; it stays readable. A body that is no form has no such field.
    Form(String),
    /// In this key of the query.
    Query(String),
}

impl Default for MethodOverrideConfig {
    fn default() -> Self {
        let methods = ["PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec();
        Self { from: MethodSource::Header("X-HTTP-Method-Override".to_owned()), methods }
    }
}

/// Turns a POST into what it says it is; for [`App::pre`](crate::App::pre). Any other method stays as it is.
///
/// A form on a foreign page can send a POST with a field, hence a DELETE: keep a CSRF check in front of what changes
/// something, as for any POST.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{MethodOverride, MethodOverrideConfig};
///
/// let app = App::new().pre(MethodOverride::new(&MethodOverrideConfig::default())?).delete("/", async || "gone");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MethodOverride {
    from: Source,
    methods: Vec<Method>,
}

#[derive(Debug, Clone)]
enum Source {
    Header(HeaderName),
    Form(String),
    Query(String),
}

impl MethodOverride {
    /// Checks the configuration.
    ///
    /// # Errors
    /// For a name that is none, and for a method that is none or that may not be asked for.
    pub fn new(config: &MethodOverrideConfig) -> Result<Self, ConfigError> {
        let MethodOverrideConfig { from, methods } = config;
        let field = |name: &String| {
            let empty = || ConfigError::new("method_override.from", "empty", "the name of a field");
            if name.is_empty() { Err(empty()) } else { Ok(name.clone()) }
        };
        let from = match from {
            MethodSource::Header(name) => {
                let unfit = |_| ConfigError::new("method_override.from", name, "the name of a header");
                Source::Header(name.parse().map_err(unfit)?)
            }
            MethodSource::Form(name) => Source::Form(field(name)?),
            MethodSource::Query(name) => Source::Query(field(name)?),
        };
        let method = |name: &String| {
            let allowed = "methods, and neither GET, HEAD, CONNECT nor TRACE";
            let refused = || ConfigError::new("method_override.methods", name, allowed);
            let method: Method = name.parse().map_err(|_| refused())?;
            let barred = [Method::GET, Method::HEAD, Method::CONNECT, Method::TRACE];
            if barred.contains(&method) { Err(refused()) } else { Ok(method) }
        };
        Ok(Self { from, methods: methods.iter().map(method).collect::<Result<_, _>>()? })
    }

    /// Whether this request may say that it is something else.
    fn concerns(c: &Context) -> bool {
        c.method() == Method::POST
    }

    fn apply(&self, c: &Context, wanted: &str) -> Result<()> {
        let wanted = wanted.trim().to_ascii_uppercase();
        if wanted.is_empty() || wanted == "POST" {
            return Ok(());
        }
        let Some(method) = self.methods.iter().find(|method| method.as_str() == wanted) else {
            let allowed = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::bad_request(format!("a POST may stand for {allowed} and for nothing else")));
        };
        c.override_method(method.clone());
        Ok(())
    }

    /// What stands in the head of the request.
    fn look(&self, c: &Context) -> Result<()> {
        match &self.from {
            Source::Header(name) if Self::concerns(c) => self.apply(c, c.header(name).unwrap_or_default()),
            Source::Query(name) if Self::concerns(c) => {
                self.apply(c, &c.query_param::<String>(name)?.unwrap_or_default())
            }
            Source::Header(_) | Source::Query(_) | Source::Form(_) => Ok(()),
        }
    }
}

fn is_form(c: &Context) -> bool {
    let kind = c.header(header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl Middleware for MethodOverride {
    /// # Cancel safety
    /// As [`Context::body`] where the method is in a form.
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        match &self.from {
            Source::Form(name) if Self::concerns(&c) && is_form(&c) => {
                let wanted = c.form_value::<String>(name).await?;
                self.apply(&c, &wanted.unwrap_or_default())?;
            }
            Source::Form(_) | Source::Header(_) | Source::Query(_) => self.look(&c)?,
        }
        next.run(c).await
    }
    fn into_step(self) -> Step {
        match self.from {
            // Reading a body has to wait.
            Source::Form(_) => super::boxed_step(self),
            Source::Header(_) | Source::Query(_) => before(move |c| self.look(c).map(|()| None)).into_step(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(config: MethodOverrideConfig, message: &str) {
        assert_eq!(MethodOverride::new(&config).unwrap_err().to_string(), message);
    }

    #[test]
    fn what_cannot_work_is_refused_at_start() {
        check_refused(
            MethodOverrideConfig { from: MethodSource::Header("a b".to_owned()), ..Default::default() },
            "`method_override.from` is a b, but must be the name of a header",
        );
        check_refused(
            MethodOverrideConfig { from: MethodSource::Query(String::new()), ..Default::default() },
            "`method_override.from` is empty, but must be the name of a field",
        );
        check_refused(
            MethodOverrideConfig { methods: vec!["GET".to_owned()], ..Default::default() },
            "`method_override.methods` is GET, but must be methods, and neither GET, HEAD, CONNECT nor TRACE",
        );
    }
}
