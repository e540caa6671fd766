//! Where a credential stands in a request.

use std::borrow::Cow;

use http::{HeaderName, header};
use percent_encoding::percent_decode_str;
use seawall_core::ConfigError;
use serde::Deserialize;

use crate::context::Context;
use crate::error::Result;

/// Where a credential stands. In a file: `{ header = "Authorization", scheme = "Bearer" }`, `{ query = "key" }`,
/// `{ cookie = "session" }`, `{ form = "key" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum CredentialSource {
    /// A header; with a scheme, what follows that word and a space. Case does not matter in either.
    Header {
        /// The header's name.
        header: String,
        /// The word in front, `Bearer`; empty if there is none.
        #[serde(default)]
        scheme: String,
    },
    /// A parameter of the query. Queries end up in logs and histories: for short-lived credentials only.
    Query {
        /// The parameter's name.
        query: String,
    },
    /// A cookie. Browsers send it on their own, so it needs [`Csrf`](crate::middleware::Csrf) beside it.
    Cookie {
        /// The cookie's name.
        cookie: String,
    },
    /// A field of a urlencoded form. The body is read for it, so the middleware costs a future.
    Form {
        /// The field's name.
        form: String,
    },
}

impl CredentialSource {
    /// `Authorization: Bearer ..`.
    pub fn bearer() -> Self {
        Self::Header { header: "Authorization".to_owned(), scheme: "Bearer".to_owned() }
    }
}

/// Checked sources, in order.
#[derive(Debug)]
pub(super) struct Sources {
    all: Vec<Source>,
    most: usize,
}

#[derive(Debug)]
enum Source {
    Header(HeaderName, String),
    Query(String),
    Cookie(String),
    Form(String),
}

/// The pairs of a form.
pub(super) type Form = Vec<(String, String)>;

impl Sources {
    /// `most` is how many credentials of one request are looked at.
    pub(super) fn new(
        field: &'static str,
        sources: &[CredentialSource],
        most: usize,
    ) -> Result<Self, ConfigError> {
        if sources.is_empty() || sources.len() > 16 {
            return Err(ConfigError::new(field, format!("{} sources", sources.len()), "1 to 16 sources"));
        }
        let all = sources.iter().map(|source| {
            let refuse = |what: &str| {
                Err(ConfigError::new(field, format!("{what:?}"), "names of headers, or not empty"))
            };
            match source {
                CredentialSource::Header { header, scheme } => match header.parse() {
                    Ok(name) if scheme.bytes().all(|byte| byte.is_ascii_graphic()) => {
                        Ok(Source::Header(name, scheme.clone()))
                    }
                    _ => refuse(header),
                },
                CredentialSource::Query { query: name } if !name.is_empty() => {
                    Ok(Source::Query(name.clone()))
                }
                CredentialSource::Cookie { cookie: name } if !name.is_empty() => {
                    Ok(Source::Cookie(name.clone()))
                }
                CredentialSource::Form { form: name } if !name.is_empty() => Ok(Source::Form(name.clone())),
                CredentialSource::Query { .. }
                | CredentialSource::Cookie { .. }
                | CredentialSource::Form { .. } => refuse(""),
            }
        });
        Ok(Self { all: all.collect::<Result<_, _>>()?, most })
    }

    /// The scheme for the challenge.
    pub(super) fn scheme(&self) -> &str {
        let mut schemes = self.all.iter().filter_map(|source| match source {
            Source::Header(_, scheme) if !scheme.is_empty() => Some(&**scheme),
            Source::Header(..) | Source::Query(_) | Source::Cookie(_) | Source::Form(_) => None,
        });
        schemes.next().unwrap_or("ApiKey")
    }
    pub(super) fn reads_forms(&self) -> bool {
        self.all.iter().any(|source| matches!(source, Source::Form(_)))
    }

    /// The credentials of a request, in the order of the sources.
    pub(super) fn find<'a>(&'a self, c: &'a Context, form: &'a Form) -> impl Iterator<Item = Cow<'a, str>> {
        let each = self.all.iter().flat_map(move |source| -> Box<dyn Iterator<Item = Cow<'a, str>> + 'a> {
            match source {
                Source::Header(name, scheme) => {
                    let values =
                        c.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok());
                    Box::new(values.filter_map(|value| after_scheme(value, scheme)).map(Cow::Borrowed))
                }
                Source::Query(name) => Box::new(of_query(c.uri().query().unwrap_or_default(), name)),
                Source::Cookie(name) => {
                    let cookies = c.cookies().filter(move |(known, _)| known == name);
                    Box::new(cookies.map(|(_, value)| Cow::Borrowed(value)))
                }
                Source::Form(name) => {
                    let fields = form.iter().filter(move |(known, _)| known == name);
                    Box::new(fields.map(|(_, value)| Cow::Borrowed(&**value)))
                }
            }
        });
        each.take(self.most)
    }

    /// The form of a request, if a source asks for it and this is one.
    pub(super) async fn read_form(&self, c: &Context) -> Result<Form> {
        let kind = c.header(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        if !self.reads_forms() || !kind.starts_with("application/x-www-form-urlencoded") {
            return Ok(Form::new());
        }
        Ok(serde_html_form::from_bytes(&c.body().await?).unwrap_or_default())
    }
}

/// What follows the scheme and at least one space.
pub(super) fn after_scheme<'v>(value: &'v str, scheme: &str) -> Option<&'v str> {
    if scheme.is_empty() {
        return Some(value.trim());
    }
    let (begin, rest) = value.split_at_checked(scheme.len())?;
    let rest = begin.eq_ignore_ascii_case(scheme).then_some(rest)?;
    rest.starts_with(' ').then(|| rest.trim())
}

fn of_query<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let decode = |text: &'a str| -> Option<Cow<'a, str>> {
        if text.contains('+') {
            let spaced = text.replace('+', " ");
            return Some(Cow::Owned(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned()));
        }
        percent_decode_str(text).decode_utf8().ok()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(move |(known, _)| decode(known).is_some_and(|known| known == name));
    named.filter_map(move |(_, value)| decode(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_a_word_in_any_case() {
        assert_eq!(after_scheme("Bearer abc", "Bearer"), Some("abc"));
        assert_eq!(after_scheme("bearer   abc ", "Bearer"), Some("abc"));
        assert_eq!(after_scheme("Bearerabc", "Bearer"), None);
        assert_eq!(after_scheme("Bear", "Bearer"), None);
        assert_eq!(after_scheme("\u{e9}\u{e9}\u{e9}\u{e9}", "Bearer"), None);
        assert_eq!(after_scheme("abc", ""), Some("abc"));
    }
    #[test]
    fn a_query_is_decoded_once() {
        let all = |query| of_query(query, "key").collect::<Vec<_>>();
        assert_eq!(all("a=1&key=x%20y+z&key=%2541"), ["x y z", "%41"]);
        assert_eq!(all("k%65y=1&key&keyx=2&key=%ff"), ["1"]);
    }
    #[test]
    fn a_file_may_say_it() {
        let read = |text| serde_json::from_str::<CredentialSource>(text).unwrap();
        assert_eq!(read(r#"{"header": "Authorization", "scheme": "Bearer"}"#), CredentialSource::bearer());
        assert_eq!(read(r#"{"query": "key"}"#), CredentialSource::Query { query: "key".into() });
        assert!(serde_json::from_str::<CredentialSource>(r#"{"body": "key"}"#).is_err());
    }
}
