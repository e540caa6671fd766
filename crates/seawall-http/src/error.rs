//! The one error, and the one status table.
//!
//! Router, extractors, middleware, panics and handlers all end in an [`Error`], and [`App::on_error`] turns it into
//! an answer. What the client may read (message, code, fields) and what only the log reads (the source) are kept
//! apart. Statuses of refusals are named in this file and nowhere else.
//!
//! [`App::on_error`]: crate::App::on_error

use std::borrow::Cow;
use std::time::Duration;
use std::{error, fmt};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use seawall_core::{Class, ConfigError};
use seawall_guard::Rejected;
use serde::Serialize;

use crate::respond::{JSON, Response};

/// A result whose error is [`Error`], unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The one error: what the client may read, what the log reads, and how to react to it. One word wide.
///
/// It is no [`std::error::Error`] and must not become one: that makes room for `?` on any error. Such an error is a
/// 500 whose detail only the log sees, until [`App::map_error`](crate::App::map_error) gives it a status.
pub struct Error(Box<Facts>);

struct Facts {
    status: StatusCode,
    class: Class,
    code: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
    fields: Vec<Field>,
    headers: HeaderMap,
    retry_after: Option<Duration>,
    source: Option<Box<dyn error::Error + Send + Sync>>,
    /// It came out of a `?`, and nobody has chosen a status yet.
    undecided: bool,
}

/// One rejected input of a request.
#[derive(Debug, Clone, Serialize)]
pub struct Field {
    /// Where it stands: `quantity`, `items[2].sku`.
    pub field: Cow<'static, str>,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

impl Error {
    /// An error with a status and a message for the client. The status decides the class: 429, 503 and 504 are
    /// transient, other 4xx permanent, the rest system.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Facts {
            status,
            class: class(status),
            code: None,
            message: message.into(),
            fields: Vec::new(),
            headers: HeaderMap::new(),
            retry_after: None,
            source: None,
            undecided: false,
        }))
    }

    /// 400: the request is not what it should be.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
    /// 401: nobody is signed in.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }
    /// 403: whoever is signed in may not do this.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }
    /// 404: there is no such thing.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
    /// 405, with the methods that the path does know in `Allow`.
    pub fn method_not_allowed(allow: &[Method]) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            .header(header::ALLOW, allow_value(allow))
    }
    /// 409: the state of things forbids it.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }
    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
    }
    /// 415: the body is of a kind that this route does not read.
    pub fn unsupported_media_type(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }
    /// 422: well-formed, but with values that are not allowed. Say which with [`Error::field`].
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
    /// 429: this client sends more than it may.
    pub fn too_many_requests(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message)
    }
    /// 503: we have too much to do. Say when to come back with [`Error::retry_after`].
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
    /// 504: the answer took longer than anyone waits for it.
    pub fn deadline_exceeded() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "the answer took too long")
    }
    /// 500, with a detail that only the log sees.
    pub fn internal(detail: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
        error.0.source = Some(detail.into());
        error
    }

    /// Names one rejected input. May be called several times.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>, message: impl fmt::Display) -> Self {
        self.0.fields.push(Field { field: field.into(), message: message.to_string() });
        self
    }
    /// A word for programs to decide by, where the status is not enough (`sold_out`); `"code"` in the answer.
    #[must_use]
    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }
    /// When the client should come back; rounded up to whole seconds in the `Retry-After` header.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }
    /// A header for the answer; it replaces an earlier one of its name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }
    /// The cause, for the log and for [`Error::cause`].
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
    /// How to react.
    pub fn class(&self) -> Class {
        self.0.class
    }
    /// What the client reads.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The inputs that were rejected.
    pub fn fields(&self) -> &[Field] {
        &self.0.fields
    }
    /// The cause, if it is an `E`.
    pub fn cause<E: error::Error + 'static>(&self) -> Option<&E> {
        self.0.source.as_deref()?.downcast_ref()
    }

    /// The default answer, `{"message": ..}` as in Echo, with `code` and `fields` where there are any. It is what an
    /// `on_error` of your own may fall back to.
    pub fn response(&self) -> Response {
        #[derive(Serialize)]
        struct Answer<'a> {
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'a str>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            fields: &'a [Field],
        }
        let Facts { message, code, fields, .. } = &*self.0;
        let answer = Answer { message, code: code.as_deref(), fields };
        let body = serde_json::to_vec(&answer).expect("strings always serialise");
        let mut response = Response::new(self.0.status, body).header(header::CONTENT_TYPE, JSON);
        response.headers_mut().extend(self.0.headers.clone());
        match self.0.retry_after {
            Some(after) => response.header(header::RETRY_AFTER, whole_seconds(after).into()),
            None => response,
        }
    }

    /// Whether it came out of a `?` and still waits for a status.
    pub(crate) fn is_undecided(&self) -> bool {
        self.0.undecided
    }
    /// Takes the cause along when a domain error gets its status.
    pub(crate) fn with_cause_of(mut self, mut other: Self) -> Self {
        if self.0.source.is_none() {
            self.0.source = other.0.source.take();
        }
        self
    }
}

/// At least one: "come back after 0 seconds" would be an invitation.
fn whole_seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

/// The value of an `Allow` header.
pub(crate) fn allow_value(methods: &[Method]) -> HeaderValue {
    let text = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&text).expect("a method is a token, and tokens are header values")
}

/// How to react to a status.
fn class(status: StatusCode) -> Class {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Class::Transient
        }
        status if status.is_client_error() => Class::Permanent,
        _ => Class::System,
    }
}

/// When to come back where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

/// The status table of refusals. No `_` arm: a new refusal has to choose its status here.
fn refusal(rejected: &Rejected) -> Error {
    match rejected {
        Rejected::Saturated => Error::unavailable("too many requests in flight").retry_after(SOON),
        Rejected::RateLimited { retry_after } => {
            Error::too_many_requests("rate limit reached").retry_after(*retry_after)
        }
        Rejected::TooCostly { cost, burst } => Error::too_many_requests(format!(
            "this request costs {cost}, but at most {burst} may be asked for at once"
        )),
        Rejected::RetryBudgetSpent => {
            Error::unavailable("a service behind this one is failing").retry_after(SOON)
        }
    }
}

/// Whatever fails below is a 500, until the status table or [`App::map_error`](crate::App::map_error) knows better.
impl<E: error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        let refused = (&source as &dyn std::any::Any).downcast_ref().map(refusal);
        match refused {
            Some(error) => error.source(source),
            None => {
                let mut error = Self::internal(source);
                error.0.undecided = true;
                error
            }
        }
    }
}

/// For logs, and for `fn main() -> Result<()>`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.undecided {
            write!(f, "{} {}", self.0.status.as_u16(), self.0.message)?;
        }
        for Field { field, message } in &self.0.fields {
            write!(f, "; {field}: {message}")?;
        }
        let first = self.0.source.as_deref().map(|cause| cause as &dyn error::Error);
        let causes = std::iter::successors(first, |&cause| cause.source());
        let mut glue = if self.0.undecided { "" } else { ": " };
        for cause in causes {
            write!(f, "{glue}{cause}")?;
            glue = ": ";
        }
        Ok(())
    }
}

/// Everything that is wrong with an [`App`](crate::App), found before the first request.
#[derive(Debug)]
pub struct BuildError(pub(crate) Vec<String>);

impl BuildError {
    /// One sentence per problem.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the app cannot start")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl error::Error for BuildError {}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self(vec![error.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &Error) -> String {
        String::from_utf8(error.response().bytes().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn answers_in_echos_shape() {
        assert_eq!(body(&Error::not_found("Not Found")), r#"{"message":"Not Found"}"#);
    }
    #[test]
    fn names_code_and_fields_where_there_are_any() {
        let error = Error::invalid("no").code("bad").field("quantity", "is 0, but must be 1 to 5");
        let expected = r#"{"message":"no","code":"bad","fields":[{"field":"quantity","message":"is 0, but must be 1 to 5"}]}"#;
        assert_eq!(body(&error), expected);
    }
    #[test]
    fn hides_the_detail_of_a_500() {
        let error = Error::from(std::io::Error::other("password is hunter2"));
        assert_eq!(body(&error), r#"{"message":"Internal Server Error"}"#);
        assert_eq!(format!("{error:?}"), "password is hunter2");
    }
    #[test]
    fn a_refusal_gets_its_status_from_the_table() {
        let error = Error::from(Rejected::RateLimited { retry_after: Duration::from_millis(1_200) });
        assert_eq!(error.status(), 429);
        assert_eq!(error.class(), Class::Transient);
        assert_eq!(error.response().headers()[header::RETRY_AFTER], "2");
        assert_eq!(Error::from(Rejected::Saturated).status(), 503);
    }
    #[test]
    fn never_says_come_back_after_zero_seconds() {
        let error = Error::unavailable("full").retry_after(Duration::ZERO);
        assert_eq!(error.response().headers()[header::RETRY_AFTER], "1");
    }
    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
