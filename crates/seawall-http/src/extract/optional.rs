//! `Option` and `Result` around other arguments of handlers.

use super::path;
use super::{Extract, Form, Head, Json, Needs, Path, WholeBody};
use crate::context::Context;
use crate::error::{Error, Result};

/// An argument that may be absent: `Option<Json<Order>>` is `None` without a body. What is there and wrong is still
/// an error; to see that one too, ask for a `Result<Json<Order>>`.
#[diagnostic::on_unimplemented(
    message = "`Option<{Self}>` cannot be this argument of a handler",
    label = "there is no telling when this argument is absent",
    note = "what may be absent: `Path<T>`, `Json<T>`, `Form<T>`, `Bind<T>`, `Multipart`, `MultipartForm<T>` and types with `impl ExtractOptional`",
    note = "in `Query<T>`, `Header<T>` and `Cookie<T>` make the fields optional instead; `Result<T>` works for every argument"
)]
pub trait ExtractOptional<Part = Head>: Sized {
    /// Takes it from the request, if it is there.
    ///
    /// # Errors
    /// Whatever makes the request unfit; the handler does not run then.
    fn extract_optional(c: &Context) -> impl Future<Output = Result<Option<Self>>> + Send;
    /// What must be there before the app may start; see [`State`](super::State).
    fn needs(_needs: &mut Needs) {}
}

impl<Part, T: ExtractOptional<Part>> Extract<Part> for Option<T> {
    async fn extract(c: &Context) -> Result<Self> {
        T::extract_optional(c).await
    }
    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}

/// The handler runs either way and sees what was wrong.
impl<Part, T: Extract<Part> + Send> Extract<Part> for Result<T, Error> {
    async fn extract(c: &Context) -> Result<Self> {
        Ok(T::extract(c).await)
    }
    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}

/// `None` on a route without parameters, for handlers that serve several routes.
impl<T: serde::de::DeserializeOwned + Send> ExtractOptional for Path<T> {
    async fn extract_optional(c: &Context) -> Result<Option<Self>> {
        let none = path::pairs(c)?.is_empty();
        if none { Ok(None) } else { Self::read(c).map(Some) }
    }
}

impl<T: serde::de::DeserializeOwned + Send> ExtractOptional<WholeBody> for Json<T> {
    async fn extract_optional(c: &Context) -> Result<Option<Self>> {
        if c.body().await?.is_empty() { Ok(None) } else { Self::read(c).await.map(Some) }
    }
}

impl<T: serde::de::DeserializeOwned + Send> ExtractOptional<WholeBody> for Form<T> {
    async fn extract_optional(c: &Context) -> Result<Option<Self>> {
        if c.body().await?.is_empty() { Ok(None) } else { Self::read(c).await.map(Some) }
    }
}
