//! Drives an app without a network: a request goes through the very service that a socket would reach.

mod jar;
mod multipart;

use std::fmt;
use std::future::IntoFuture;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::body::Body;
use crate::clock;
use crate::context::Arrival;
use crate::error::Result;
use crate::peer::Peer;
use crate::service::Service;
use jar::Jar;
pub use multipart::Multipart;

/// Sends requests to an app without a network and without a port.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use seawall_http::App;
/// use seawall_http::testing::TestClient;
///
/// let client = TestClient::new(App::new().get("/", async || "hello"))?;
/// let answer = client.get("/").await;
/// assert_eq!((answer.status().as_u16(), answer.text()), (200, "hello"));
/// # Ok::<(), seawall_http::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TestClient {
    service: Service,
    peer: Option<SocketAddr>,
    jar: Option<Jar>,
}

impl TestClient {
    /// Builds the app.
    ///
    /// # Errors
    /// As [`App::build`].
    pub fn new(app: App) -> Result<Self> {
        Ok(Self { service: app.build()?, peer: None, jar: None })
    }
    /// The address that all requests seem to come from, such as `"192.0.2.1:4711"`. Default: none.
    ///
    /// # Panics
    /// If it is no address with a port.
    #[must_use]
    pub fn with_peer(self, peer: &str) -> Self {
        Self { peer: Some(peer.parse().expect("a test gives a valid address")), ..self }
    }
    /// Keeps the cookies that answers set, and sends them back, by name and path, as a browser does.
    #[must_use]
    pub fn with_cookies(self) -> Self {
        Self { jar: Some(Jar::default()), ..self }
    }

    /// A GET request; `.await` sends it.
    pub fn get(&self, target: &str) -> TestRequest<'_> {
        self.request(Method::GET, target)
    }
    /// A POST request.
    pub fn post(&self, target: &str) -> TestRequest<'_> {
        self.request(Method::POST, target)
    }
    /// A PUT request.
    pub fn put(&self, target: &str) -> TestRequest<'_> {
        self.request(Method::PUT, target)
    }
    /// A DELETE request.
    pub fn delete(&self, target: &str) -> TestRequest<'_> {
        self.request(Method::DELETE, target)
    }
    /// A PATCH request.
    pub fn patch(&self, target: &str) -> TestRequest<'_> {
        self.request(Method::PATCH, target)
    }
    /// A HEAD request.
    pub fn head(&self, target: &str) -> TestRequest<'_> {
        self.request(Method::HEAD, target)
    }
    /// An OPTIONS request.
    pub fn options(&self, target: &str) -> TestRequest<'_> {
        self.request(Method::OPTIONS, target)
    }
    /// A request with any method.
    ///
    /// # Panics
    /// If `target` is no request target.
    pub fn request(&self, method: Method, target: &str) -> TestRequest<'_> {
        let request = http::Request::builder().method(method).uri(target).body(Body::whole(Bytes::new()));
        TestRequest { client: self, peer: self.peer, request: request.expect("a test gives a valid target") }
    }
    /// The service behind it.
    pub fn service(&self) -> &Service {
        &self.service
    }
}

/// A request under construction; `.await` sends it.
#[derive(Debug)]
pub struct TestRequest<'a> {
    client: &'a TestClient,
    peer: Option<SocketAddr>,
    request: http::Request<Body>,
}

impl TestRequest<'_> {
    /// Sets a header.
    ///
    /// # Panics
    /// If name or value is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a test gives a valid header name");
        let value = HeaderValue::from_str(value).expect("a test gives a valid header value");
        self.request.headers_mut().append(name, value);
        self
    }
    /// Sends these bytes as the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Body::whole(body);
        self
    }
    /// Sends the body in these pieces, without a declared length.
    #[must_use]
    pub fn chunks(mut self, chunks: impl IntoIterator<Item = Bytes>) -> Self {
        *self.request.body_mut() = Body::chunks(chunks);
        self
    }
    /// Sends `body` as JSON.
    ///
    /// # Panics
    /// If it does not serialise.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        let body = serde_json::to_vec(body).expect("a test sends what serialises");
        self.header(header::CONTENT_TYPE.as_str(), "application/json").body(body)
    }
    /// Sends `form` as a browser's form without files does.
    ///
    /// # Panics
    /// If it does not serialise.
    #[must_use]
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        let body = serde_html_form::to_string(form).expect("a test sends what serialises");
        self.header(header::CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded").body(body)
    }
    /// Sends a form with files.
    #[must_use]
    pub fn multipart(self, parts: Multipart) -> Self {
        let (content_type, body) = parts.finish();
        self.header(header::CONTENT_TYPE.as_str(), &content_type).body(body)
    }
    /// Sends a cookie, before those that the client keeps.
    ///
    /// # Panics
    /// If name or value cannot stand in a header.
    #[must_use]
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header(header::COOKIE.as_str(), &format!("{name}={value}"))
    }
    /// The address that this request seems to come from.
    ///
    /// # Panics
    /// If it is no address with a port.
    #[must_use]
    pub fn peer(self, peer: &str) -> Self {
        Self { peer: Some(peer.parse().expect("a test gives a valid address")), ..self }
    }
}

impl<'a> IntoFuture for TestRequest<'a> {
    type Output = TestResponse;
    type IntoFuture = BoxFuture<'a, TestResponse>;
    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let path = self.request.uri().path().to_owned();
            let jar = self.client.jar.as_ref();
            if let Some(kept) = jar.and_then(|jar| jar.header(&path)) {
                self.request.headers_mut().append(header::COOKIE, kept);
            }
            let arrival = Arrival { peer: Peer::from(self.peer), at: clock::now(), deadline: None };
            let (head, body) = self.client.service.respond(self.request, arrival).await.into_parts();
            if let Some(jar) = jar {
                jar.take(&head.headers, &path, clock::wall());
            }
            let body = body.collect().await.map(|body| body.to_bytes()).map_err(|failed| failed.to_string());
            TestResponse { status: head.status, headers: head.headers, body }
        })
    }
}

/// What came back, body included.
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Bytes, String>,
}

impl TestResponse {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    /// A header as text; empty if it is missing or no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
    /// Where a redirect leads to; `None` if this is none.
    pub fn redirect(&self) -> Option<&str> {
        self.status.is_redirection().then(|| self.headers.get(header::LOCATION)?.to_str().ok())?
    }
    /// The `Set-Cookie` line of the cookie called `name`, without the name: `7; Path=/; Secure`.
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.filter_map(|line| line.split_once('=')).find(|(known, _)| *known == name).map(|(_, rest)| rest)
    }
    /// The body.
    ///
    /// # Panics
    /// If the producer of a streamed body failed.
    #[track_caller]
    pub fn bytes(&self) -> &Bytes {
        match &self.body {
            Ok(body) => body,
            Err(problem) => panic!("{problem}"),
        }
    }
    /// Why the body broke off, if it did.
    pub fn broken(&self) -> Option<&str> {
        self.body.as_ref().err().map(String::as_str)
    }
    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("a test asks for text where there is text")
    }
    /// The body from JSON.
    ///
    /// # Panics
    /// If it is not what was expected; the message shows the body.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(self.bytes()).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(|body| String::from_utf8_lossy(body));
        f.debug_struct("TestResponse")
            .field("status", &self.status)
            .field("body", &body)
            .finish_non_exhaustive()
    }
}
