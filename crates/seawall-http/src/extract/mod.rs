//! Arguments of handlers: each is taken from the request before the handler runs.
//!
//! [`Extract`] reads the head and may stand anywhere; `Extract<WholeBody>` reads the body and must stand last. Both
//! give the same errors as the methods of [`Context`], because they are the same functions.

pub(crate) mod bind;
mod body;
mod content_type;
pub(crate) mod cookie;
pub(crate) mod form;
pub(crate) mod header;
mod json;
#[cfg(feature = "multipart")]
mod multipart;
mod optional;
pub(crate) mod path;
pub(crate) mod query;
mod state;
mod urlencoded;
pub(crate) mod values;

use std::any::{Any, TypeId, type_name};

use http::{HeaderMap, Method};

use crate::context::Context;
use crate::error::{Error, Result};

pub use bind::Bind;
#[doc(hidden)]
pub use bind::derive;
pub use cookie::Cookie;
pub use form::Form;
pub use header::Header;
pub use json::Json;
#[cfg(feature = "multipart")]
pub use multipart::{Files, Multipart, MultipartConfig, MultipartForm, MultipartLimits, Part, Upload};
pub use optional::ExtractOptional;
pub use path::Path;
pub use query::Query;
pub use state::State;

/// Makes a struct an argument of a handler: each field says where it comes from, and comes from nowhere else.
///
/// | attribute | the value | if it is missing |
/// |---|---|---|
/// | `#[bind(path)]` | the path parameter of the field's name | `None` for an `Option`, else 500: the route has none |
/// | `#[bind(query)]` | the query's key; all its values for a `Vec` | `None`, an empty `Vec`, else 400 |
/// | `#[bind(header)]` | the header, `x_tenant` for `X-Tenant` | the same |
/// | `#[bind(cookie)]` | the cookie, as it was sent | the same |
/// | `#[bind(body)]` | the whole body by its content type, as [`struct@Bind`] reads it | `None` for an `Option`, else 400 |
///
/// `#[bind(query = "tag")]` gives another name; `#[bind(query, default)]` and `#[bind(query, default = 20)]` a value for
/// what is missing. A struct with a `body` must be the last argument, another may stand anywhere. Types read as in
/// [`Query`]; each needs `serde::Deserialize`, the struct does not.
///
/// One error names all fields that are wrong: 400, or 422 if only the body is. A crate that does not depend on `seawall`
/// under that name says `#[bind(crate = its_name)]` on the struct.
///
/// ```
/// # extern crate seawall_http as seawall;
/// use seawall::{App, Bind, Error, Result};
///
/// #[derive(Bind)]
/// struct Place {
///     #[bind(path)]
///     shop: u64,
///     #[bind(query, default = 1)]
///     copies: u32,
///     #[bind(query = "tag")]
///     tags: Vec<String>,
///     #[bind(header = "x-tenant")]
///     tenant: String,
///     #[bind(cookie)]
///     session: Option<String>,
///     #[bind(body)]
///     order: Order,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     sku: String,
/// }
///
/// async fn place(place: Place) -> Result<String> {
///     let session = place.session.ok_or_else(|| Error::unauthorized("sign in first"))?;
///     Ok(format!("{} x {} in {} for {} {session} {:?}", place.copies, place.order.sku, place.shop, place.tenant, place.tags))
/// }
///
/// fn main() {
///     let app = App::new().post("/shops/:shop/orders", place);
/// }
/// ```
pub use seawall_macros::Bind;

/// Marks an argument that reads the head of the request, so that it may stand anywhere.
#[derive(Debug)]
pub enum Head {}
/// Marks an argument that reads the body, so that it must stand last.
#[derive(Debug)]
pub enum WholeBody {}

/// An argument of a handler: `impl Extract for T` reads the head, `impl Extract<WholeBody> for T` the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be this argument of a handler",
    label = "an argument of this handler cannot be taken from the request",
    note = "arguments are `Context` (by value, not `&Context`), `Path<T>`, `Query<T>`, `Header<T>`, `Cookie<T>`, `State<T>`, `HeaderMap`, `Json<T>`, `Form<T>`, `Bind<T>`, `Multipart`, `MultipartForm<T>`, `Bytes`, `String`, `Body`, `Valid<_>`, `Option<_>` and `Result<_>` around these, and types with `#[derive(Bind)]` or `impl Extract`",
    note = "an argument that reads the body (`Json<T>`, `Form<T>`, `Bind<T>`, `Multipart`, `MultipartForm<T>`, `Bytes`, `String`, `Body`) must be the last one"
)]
pub trait Extract<Part = Head>: Sized {
    /// Takes it from the request.
    ///
    /// # Errors
    /// Whatever makes the request unfit; the handler does not run then.
    fn extract(c: &Context) -> impl Future<Output = Result<Self>> + Send;
    /// What must be there before the app may start; see [`State`].
    fn needs(_needs: &mut Needs) {}
}

/// What handlers and middleware ask for, collected at start.
#[derive(Debug, Default)]
pub struct Needs(pub(crate) Vec<(TypeId, &'static str)>);

impl Needs {
    /// Asks for an `App::state` of this type.
    pub fn state<T: Any>(&mut self) {
        self.0.push((TypeId::of::<T>(), type_name::<T>()));
    }
}

impl Extract for Context {
    async fn extract(c: &Context) -> Result<Self> {
        Ok(c.clone())
    }
}

/// The headers, copied; `c.headers()` reads them in place.
impl Extract for HeaderMap {
    async fn extract(c: &Context) -> Result<Self> {
        Ok(c.headers().clone())
    }
}

impl Extract for Method {
    async fn extract(c: &Context) -> Result<Self> {
        Ok(c.method().clone())
    }
}

/// The answer to a value of the wrong form. `path` is where it stands, empty or `.` for the `whole`.
///
/// A field that is missing stands nowhere, so serde names it in the message alone; it becomes the field here.
fn wrong_form(error: Error, path: &str, whole: &'static str, problem: impl std::fmt::Display) -> Error {
    let problem = problem.to_string();
    let parent = if path == "." { "" } else { path };
    let missing = problem.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(field) if parent.is_empty() => error.field(field.to_owned(), "is missing"),
        Some(field) => error.field(format!("{parent}.{field}"), "is missing"),
        None if parent.is_empty() => error.field(whole, problem),
        None => error.field(parent.to_owned(), problem),
    }
}
