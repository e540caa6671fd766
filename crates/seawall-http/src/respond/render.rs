//! Templates: one [`Renderer`] per app, and `c.render(200, "page.html", &data)`.

use std::fmt;

use http::HeaderValue;
use serde::{Serialize, Serializer};

use super::HTML;
use crate::error::Result;

/// Makes text of a template and data. [`App::renderer`](crate::App::renderer) takes one; with the feature
/// `minijinja` there is one ready.
///
/// It runs on the worker that answers the request, so it must not block.
pub trait Renderer: Send + Sync + 'static {
    /// The text of `template`, filled with `data`.
    ///
    /// # Errors
    /// If there is no such template or it fails. Use [`Error::internal`](crate::Error::internal) or `?`: the client
    /// reads "Internal Server Error", the detail is for the log.
    fn render(&self, template: &str, data: TemplateData<'_>) -> Result<String>;
}

/// What a template is filled with: any `Serialize`, its type forgotten.
#[derive(Clone, Copy)]
pub struct TemplateData<'a>(&'a dyn erased_serde::Serialize);

impl<'a> TemplateData<'a> {
    /// Forgets the type of `data`.
    pub fn new<T: Serialize>(data: &'a T) -> Self {
        Self(data)
    }
}

impl Serialize for TemplateData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        erased_serde::serialize(self.0, serializer)
    }
}

impl fmt::Debug for TemplateData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TemplateData(..)") // it may be secret
    }
}

/// The app's renderer, as its state.
pub(crate) struct Templates(pub(crate) Box<dyn Renderer>);

/// The content type of a rendered template, by the extension of its name. Only what escapes as HTML is sent as HTML:
/// a `.txt` shown as a page could run what stands in the data.
pub(crate) fn content_type_of(template: &str) -> Result<HeaderValue> {
    let name = template.strip_suffix(".j2").unwrap_or(template);
    if name.ends_with(".html") || name.ends_with(".htm") || !name.contains('.') {
        return Ok(HTML);
    }
    super::file::content_type(name.as_ref())
}
