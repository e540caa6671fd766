//! A multipart form, collected: its fields into a type of the user's, its files into memory or onto disk.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::upload::{Files, Upload};
use super::{Multipart, Part, too_much_text};
use crate::context::Context;
use crate::error::Result;
use crate::extract::values::{Keyed, Pair, Source};
use crate::extract::{Extract, ExtractOptional, WholeBody};
use crate::validate::{Invalid, Validate};

/// A multipart form that has arrived: its fields as a `T`, which reads as [`Form`](crate::Form) does, and its files.
///
/// A part with a file name is a file, any other a field. A file of at most [`MultipartConfig::memory_bytes`] is kept in
/// memory, a larger one goes to a temporary file that is deleted with the form, whatever becomes of the request: an
/// error, a panic, a client that goes away. (The end of the process by force leaves it behind.) A file input that
/// nothing was chosen in is left out.
///
/// Refusals: 415 for another content type, 400 for what is malformed, 413 naming the part and the limit, 422 naming the
/// field for a bad value.
///
/// ```
/// use seawall_http::{App, Error, MultipartForm, Result};
///
/// #[derive(serde::Deserialize)]
/// struct Profile {
///     name: String,
///     #[serde(default)]
///     tags: Vec<String>,
/// }
///
/// async fn change(MultipartForm { fields, mut files }: MultipartForm<Profile>) -> Result<String> {
///     let missing = || Error::invalid("a picture is missing").field("picture", "is missing");
///     let picture = files.take("picture").ok_or_else(missing)?;
///     Ok(format!("{} sent {} bytes of {:?}", fields.name, picture.len(), picture.content_type()))
/// }
///
/// let app = App::new().post("/profile", change);
/// ```
///
/// [`MultipartConfig::memory_bytes`]: super::MultipartConfig::memory_bytes
#[derive(Debug)]
pub struct MultipartForm<T = ()> {
    /// The fields that are no files.
    pub fields: T,
    /// The files.
    pub files: Files,
}

impl<T: DeserializeOwned> MultipartForm<T> {
    async fn read(multipart: Multipart) -> Result<Self> {
        let (pairs, files) = collect(multipart).await?;
        let fields = T::deserialize(Keyed(pairs)).map_err(|problem| problem.into_error(Source::Form))?;
        Ok(Self { fields, files })
    }
}

async fn collect(mut multipart: Multipart) -> Result<(Vec<Pair<'static>>, Files)> {
    let limits = std::sync::Arc::clone(&multipart.limits);
    let (mut pairs, mut files) = (Vec::new(), Files::default());
    let mut room = limits.text_bytes;
    while let Some(part) = multipart.next_part().await? {
        if part.file_name().is_some() {
            let file = Upload::receive(part, &limits).await?;
            if !file.is_nothing() {
                files.push(file);
            }
        } else {
            let pair = text(part, room, limits.text_bytes).await?;
            room -= pair.value.len();
            pairs.push(pair);
        }
    }
    Ok((pairs, files))
}

/// A field; at most `room` bytes of the `limit` are left for it.
async fn text(mut part: Part<'_>, room: usize, limit: usize) -> Result<Pair<'static>> {
    let mut value = Vec::new();
    while let Some(chunk) = part.chunk().await? {
        if chunk.len() > room - value.len() {
            return Err(too_much_text(part.name(), limit));
        }
        value.extend_from_slice(&chunk);
    }
    Ok(Pair { source: Source::Form, name: part.name().to_owned().into(), value: Cow::Owned(value) })
}

impl<T: DeserializeOwned> Extract<WholeBody> for MultipartForm<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(Multipart::open(c)?).await
    }
}

/// `None` if the client sent no body.
impl<T: DeserializeOwned + Send> ExtractOptional<WholeBody> for MultipartForm<T> {
    async fn extract_optional(c: &Context) -> Result<Option<Self>> {
        if c.has_no_body() { Ok(None) } else { Self::read(Multipart::open(c)?).await.map(Some) }
    }
}

impl<T: Validate> Validate for MultipartForm<T> {
    fn validate(&self) -> Result<(), Invalid> {
        self.fields.validate().map_err(|invalid| invalid.of(Source::Form))
    }
}
