//! The one error, and what becomes of it.
//!
//! Router, extractors, middleware, panics and handlers all end in an [`Error`], and [`App::on_error`] turns it into
//! an answer. What the client may read (message, code, fields) and what only the log reads (the source) are kept
//! apart. `status.rs` is the one status table; `problem.rs` has the two forms of the answer; `carried.rs` finds an
//! [`Error`] again that went through code which knows standard errors only.
//!
//! [`App::on_error`]: crate::App::on_error

mod build;
mod carried;
mod problem;
mod status;

use std::borrow::Cow;
use std::time::Duration;
use std::{error, fmt};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use seawall_core::Class;
use serde::Serialize;

pub use build::BuildError;
pub(crate) use status::allow_value;
pub(crate) use status::of_fault as status_of_fault;
pub(crate) use status::{outcome, turned_away, turned_away_h2};

/// A result whose error is [`Error`], unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The one error: what the client may read, what the log reads, and how to react to it. One word wide.
///
/// It is no [`std::error::Error`] and must not become one: that makes room for `?` on any error. Such an error is a
/// 500 whose detail only the log sees, until [`App::map_error`](crate::App::map_error) gives it a status. Where a
/// standard error is asked for, it converts into a `Box<dyn std::error::Error>` or an `io::Error`, and `?` finds it
/// again behind whatever was put around it: a 413 stays a 413.
pub struct Error(Box<Facts>);

struct Facts {
    told: Told,
    source: Option<Box<dyn error::Error + Send + Sync>>,
    /// It came out of a `?`, and nobody has chosen a status yet.
    undecided: bool,
}

/// What the client is told, and how to react.
#[derive(Clone)]
struct Told {
    status: StatusCode,
    class: Class,
    code: Option<Cow<'static, str>>,
    type_uri: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
    fields: Vec<Field>,
    headers: HeaderMap,
    retry_after: Option<Duration>,
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
    /// An error with a status and a message for the client. The status decides the class: 408, 425, 429, 502, 503
    /// and 504 are transient, other 4xx permanent, the rest system.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let told = Told {
            status,
            class: status::class(status),
            code: None,
            type_uri: None,
            message: message.into(),
            fields: Vec::new(),
            headers: HeaderMap::new(),
            retry_after: None,
        };
        Self(Box::new(Facts { told, source: None, undecided: false }))
    }

    /// Names one rejected input. May be called several times.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>, message: impl fmt::Display) -> Self {
        self.0.told.fields.push(Field { field: field.into(), message: message.to_string() });
        self
    }
    /// A word for programs to decide by, where the status is not enough (`sold_out`); `"code"` in the answer.
    #[must_use]
    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.told.code = Some(code.into());
        self
    }
    /// The `type` of [`Error::problem`]: a URI that names this kind of problem, best one that people can open.
    #[must_use]
    pub fn type_uri(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.0.told.type_uri = Some(uri.into());
        self
    }
    /// When the client should come back; rounded up to whole seconds in the `Retry-After` header.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.told.retry_after = Some(after);
        self
    }
    /// Asks who called not to try again, with `x-should-retry: false`, which this project's client and others' honour.
    /// For a failure of something behind this service that has been tried again already: with three layers that make
    /// three attempts each, what has too much to do would get 27. A refusal that says so, as an open breaker, has it.
    #[must_use]
    pub fn do_not_retry(self) -> Self {
        self.header(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"))
    }
    /// A header for the answer; it replaces an earlier one of its name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.told.headers.insert(name, value);
        self
    }
    /// Another class than the status has: what retries, breakers and alerts go by.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.0.told.class = class;
        self
    }
    /// The cause, for the log and for [`Error::cause`]. The client never sees it.
    ///
    /// With one exception: if an [`Error`] is inside that says that the request is too large or too slow (408, 413,
    /// 414, 431), this error becomes that one. Whoever wraps "the body could not be read" would otherwise tell the
    /// client that its 413 is a 400.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        if let Some((told, false)) = carried::find(&*source)
            && status::is_limit(told.status)
        {
            self.0.told = told.clone();
        }
        self.0.source = Some(source);
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.told.status
    }
    /// How to react.
    pub fn class(&self) -> Class {
        self.0.told.class
    }
    /// What the client reads.
    pub fn message(&self) -> &str {
        &self.0.told.message
    }
    /// The word for programs, if there is one.
    pub fn error_code(&self) -> Option<&str> {
        self.0.told.code.as_deref()
    }
    /// The inputs that were rejected.
    pub fn fields(&self) -> &[Field] {
        &self.0.told.fields
    }
    /// The headers that the answer gets.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.told.headers
    }
    /// What [`Error::retry_after`] was given.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.told.retry_after
    }
    /// The outermost cause that is an `E`.
    pub fn cause<E: error::Error + 'static>(&self) -> Option<&E> {
        self.causes().find_map(|cause| cause.downcast_ref())
    }

    /// Everything that led here, outermost first.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &(dyn error::Error + 'static)> {
        let first = self.0.source.as_deref().map(|source| source as &(dyn error::Error + 'static));
        first.into_iter().flat_map(carried::chain)
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

    /// A 500 around `source` that waits for a status; or, if an [`Error`] was carried here, that one's status.
    fn wrapping(source: Box<dyn error::Error + Send + Sync>) -> Self {
        let carried = carried::find(&*source).map(|(told, undecided)| (told.clone(), undecided));
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
        error.0.undecided = true;
        if let Some((told, undecided)) = carried {
            (error.0.told, error.0.undecided) = (told, undecided);
        }
        error.0.source = Some(source);
        error
    }
}

/// At least one: "come back after 0 seconds" would be an invitation.
fn whole_seconds(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

/// Whatever fails below is a 500, until the status table or [`App::map_error`](crate::App::map_error) knows better;
/// unless an [`Error`] was carried here, which keeps its status.
impl<E: error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        let refused = (&source as &dyn std::any::Any).downcast_ref().map(status::refusal);
        match refused {
            Some(error) => error.source(source),
            None => Self::wrapping(Box::new(source)),
        }
    }
}

/// For logs, and for `fn main() -> Result<()>`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut glue = "";
        if !self.0.undecided {
            write!(f, "{} {}", self.0.told.status.as_u16(), self.0.told.message)?;
            glue = ": ";
        }
        for Field { field, message } in &self.0.told.fields {
            write!(f, "; {field}: {message}")?;
        }
        let mut before = String::new();
        for cause in self.causes() {
            let text = cause.to_string();
            if text != before {
                write!(f, "{glue}{text}")?; // an io::Error says just what it holds
                glue = ": ";
            }
            before = text;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::header;

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
    fn never_says_come_back_after_zero_seconds() {
        let error = Error::unavailable("full").retry_after(Duration::ZERO);
        assert_eq!(error.response().headers()[header::RETRY_AFTER], "1");
    }
    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
