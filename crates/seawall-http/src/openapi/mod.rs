//! OpenAPI 3.1 from routes and types: what the router knows is there by itself, what it cannot know is said beside the
//! handler, and a page shows both.
//!
//! ```
//! use seawall_http::openapi::{OpenApi, Operation, ToSchema, utoipa};
//! use seawall_http::{App, Json, Path, RouteOptions as _};
//!
//! #[derive(serde::Serialize, ToSchema)]
//! struct User {
//!     id: u64,
//!     name: String,
//! }
//!
//! async fn show(Path(id): Path<u64>) -> Json<User> {
//!     Json(User { id, name: "Ann".to_owned() })
//! }
//!
//! let show = show.doc(Operation::new("One user").answer::<User>(200, "the user").error(404, "there is none"));
//! let app = App::new().get("/users/:id<int>", show).openapi(OpenApi::new("Shop", "1.0"));
//! # app.build()?;
//! # Ok::<(), seawall_http::Error>(())
//! ```
//!
//! `GET /openapi.json` is the description, `GET /docs` the page; it needs no other server and no network. Regular
//! expressions cannot be described and are left out.

mod document;
mod operation;

use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Result;
use crate::handler::Handler as _;
use crate::respond::{HTML, JSON, Response};

pub(crate) use document::document;
pub use operation::Operation;
/// The crate that `#[derive(ToSchema)]` writes code for; bring it into scope beside the derive.
pub use utoipa;
pub use utoipa::{PartialSchema, ToSchema};

/// What the description says of the service as a whole, and where it is served.
#[derive(Debug, Clone)]
pub struct OpenApi {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) servers: Vec<String>,
    pub(crate) security: Vec<(String, Value)>,
    path: String,
    page: Option<String>,
}

impl OpenApi {
    /// A description at `/openapi.json` and a page at `/docs`.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
            servers: Vec::new(),
            security: Vec::new(),
            path: "/openapi.json".to_owned(),
            page: Some("/docs".to_owned()),
        }
    }
    /// What the service is for; Markdown.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }
    /// Where the service is reached; may be said several times. Default: where the description came from.
    #[must_use]
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.servers.push(url.into());
        self
    }
    /// A way to sign in that operations may ask for with [`Operation::security`]: a token in `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(mut self, name: impl Into<String>) -> Self {
        self.security.push((name.into(), json!({"type": "http", "scheme": "bearer"})));
        self
    }
    /// A way to sign in that operations may ask for: a key in a header.
    #[must_use]
    pub fn api_key(mut self, name: impl Into<String>, header: &str) -> Self {
        self.security.push((name.into(), json!({"type": "apiKey", "in": "header", "name": header})));
        self
    }
    /// Where the description is served.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }
    /// Where the page is served; `None` for no page.
    #[must_use]
    pub fn page(mut self, path: Option<&str>) -> Self {
        self.page = path.map(str::to_owned);
        self
    }

    /// Adds its routes to `app`, which has all others by now.
    pub(crate) fn serve(self, app: App) -> App {
        let text = Bytes::from(document(&self, &app.routes_with_docs()).to_string());
        let json = move || {
            let text = text.clone();
            async move { Response::new(http::StatusCode::OK, text).header(header::CONTENT_TYPE, JSON) }
        };
        let app = app.get(&self.path, json.into_endpoint());
        let Some(page) = &self.page else { return app };
        let html = Bytes::from(PAGE.replace("{{description}}", &escaped(&self.path)));
        app.get(page, move || {
            let html = html.clone();
            async move { page_answer(html) }
        })
    }
}

const PAGE: &str = include_str!("page.html");

/// The page brings all it needs with it and asks nobody but this service.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src *; img-src data:; base-uri 'none'",
);

fn page_answer(html: Bytes) -> Result<Response> {
    let answer = Response::new(http::StatusCode::OK, html).header(header::CONTENT_TYPE, HTML);
    Ok(answer.header(header::CONTENT_SECURITY_POLICY, POLICY))
}

/// Fit for an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}
