//! The one status table: a constructor per status that a service answers with, the class of each status, and what
//! becomes of a refusal. No other file of the workspace names the status of a refusal.

use std::borrow::Cow;
use std::error;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use seawall_core::{Class, Outcome};
use seawall_guard::Rejected;

use super::Error;
use crate::server::Fault;

type Text = Cow<'static, str>;

impl Error {
    /// 400: the request is not what it should be.
    pub fn bad_request(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
    /// 401: nobody is signed in.
    pub fn unauthorized(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }
    /// 402: this costs something that was not paid.
    pub fn payment_required(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, message)
    }
    /// 403: whoever is signed in may not do this.
    pub fn forbidden(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }
    /// 404: there is no such thing.
    pub fn not_found(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
    /// 405, with the methods that the path does know in `Allow`.
    pub fn method_not_allowed(allow: &[Method]) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            .header(header::ALLOW, allow_value(allow))
    }
    /// 406: there is no form of it that `Accept` asks for.
    pub fn not_acceptable(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, message)
    }
    /// 408: the client took too long to send its request. Clients may send it again (RFC 9110, 15.5.9).
    pub fn request_timeout(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }
    /// 409: the state of things forbids it.
    pub fn conflict(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }
    /// 410: it was here, and will not come back.
    pub fn gone(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::GONE, message)
    }
    /// 412: what `If-Match` or `If-Unmodified-Since` asks for does not hold.
    pub fn precondition_failed(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, message)
    }
    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::content_too_large(format!("the body is larger than {limit} bytes"))
    }
    /// 413 in words of your own: too many parts, too large a file.
    pub fn content_too_large(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
    /// 414: the target is too long.
    pub fn uri_too_long(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, message)
    }
    /// 415: the body is of a kind that this route does not read.
    pub fn unsupported_media_type(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }
    /// 416: no byte of what `Range` asks for exists; `Content-Range` says that there are `length`.
    pub fn range_not_satisfiable(length: u64) -> Self {
        let range = HeaderValue::try_from(format!("bytes */{length}")).expect("digits are visible ASCII");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "Range Not Satisfiable")
            .header(header::CONTENT_RANGE, range)
    }
    /// 421: this server does not answer for that host.
    pub fn misdirected_request(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, message)
    }
    /// 422: well-formed, but with values that are not allowed. Say which with [`Error::field`].
    pub fn invalid(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
    /// 425: not before the handshake is over, because it may be a replay (RFC 8470, 5.2).
    pub fn too_early(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::TOO_EARLY, message)
    }
    /// 426: only over another protocol, named in `Upgrade`.
    pub fn upgrade_required(protocol: HeaderValue) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "Upgrade Required")
            .header(header::UPGRADE, protocol)
            .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
    }
    /// 428: say with `If-Match` which version the change is meant for.
    pub fn precondition_required(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, message)
    }
    /// 429: this client sends more than it may.
    pub fn too_many_requests(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message)
    }
    /// 431: a header, or all of them, are too large.
    pub fn header_fields_too_large(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message)
    }
    /// 451: the law forbids it.
    pub fn unavailable_for_legal_reasons(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, message)
    }
    /// 500, with a detail that only the log sees.
    ///
    /// A limit that the request broke stays what it is: an [`Error`] with 408, 413, 414 or 431 inside `detail` keeps
    /// its status and its message; see [`Error::source`].
    pub fn internal(detail: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").source(detail)
    }
    /// 501: nobody has written this yet.
    pub fn not_implemented(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }
    /// 502: the service behind this one gave no usable answer.
    pub fn bad_gateway(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, message)
    }
    /// 503: we have too much to do. Say when to come back with [`Error::retry_after`].
    pub fn unavailable(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
    /// 504: the answer took longer than anyone waits for it.
    pub fn deadline_exceeded() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "the answer took too long")
    }
    /// 504: the client wants nothing but what is in the cache, and it is not there (RFC 9111, 5.2.1.7).
    pub fn not_in_cache() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "this is not in the cache")
    }
}

/// The value of an `Allow` header.
pub(crate) fn allow_value(methods: &[Method]) -> HeaderValue {
    let text = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&text).expect("a method is a token, and tokens are header values")
}

/// How to react to a status. 408 and 425 ask for another attempt themselves (RFC 9110, 15.5.9; RFC 8470, 5.2).
pub(super) fn class(status: StatusCode) -> Class {
    match status {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Class::Transient,
        status if status.is_client_error() => Class::Permanent,
        _ => Class::System,
    }
}

/// Whether a status says that the request itself is too large or too slow: no wrapper turns that into anything else.
pub(super) fn is_limit(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    )
}

/// A head without a body, for a connection that goes on and for one that ends.
macro_rules! refusal {
    ($begin:literal) => {
        [
            concat!("HTTP/1.1 ", $begin, "\r\ncontent-length: 0\r\n\r\n").as_bytes(),
            concat!("HTTP/1.1 ", $begin, "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes(),
        ]
    };
}

/// The answers to requests that are turned away before they are one, ready to be written: whoever has too much to do
/// should not have to think about saying so. Retry-After varies, so that those who are refused together do not come
/// back together; the first form of each is for a connection that goes on, the second for one that ends.
const OVERLOADED: [[&[u8]; 2]; 3] = [
    refusal!("503 Service Unavailable\r\nretry-after: 1"),
    refusal!("503 Service Unavailable\r\nretry-after: 2"),
    refusal!("503 Service Unavailable\r\nretry-after: 3"),
];
const TOO_LATE: [&[u8]; 2] = refusal!("504 Gateway Timeout");

/// What a request is answered with that is turned away before it is one. `number` varies Retry-After.
pub(crate) fn turned_away(rejected: &Rejected, number: u64, goes_on: bool) -> &'static [u8] {
    let forms = match refusal_status(rejected) {
        StatusCode::GATEWAY_TIMEOUT => &TOO_LATE,
        _ => &OVERLOADED[(number % OVERLOADED.len() as u64) as usize],
    };
    forms[usize::from(!goes_on)]
}

/// The same for HTTP/2.
pub(crate) fn turned_away_h2<B>(rejected: &Rejected, number: u64, body: B) -> http::Response<B> {
    let mut response = http::Response::new(body);
    *response.status_mut() = refusal_status(rejected);
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = ["1", "2", "3"][(number % 3) as usize];
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}

fn refusal_status(rejected: &Rejected) -> StatusCode {
    match rejected {
        Rejected::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What an answer says about the service, for the limits that watch it: `status` as it was sent, and the class of the
/// error that it was made of, if it was.
pub(crate) fn outcome(status: StatusCode, of_error: Option<Class>) -> Outcome {
    let is_failure = status.is_client_error() || status.is_server_error();
    match of_error.or_else(|| is_failure.then(|| class(status))) {
        None => Outcome::Success,
        // Both are answers that nothing was done for, and say nothing about how long things take here.
        Some(Class::Transient)
            if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) =>
        {
            Outcome::Overloaded
        }
        Some(class) => Outcome::Failure(class),
    }
}

/// What bytes are answered with that are no request.
pub(crate) fn of_fault(fault: Fault) -> StatusCode {
    match fault {
        Fault::Malformed(_) => StatusCode::BAD_REQUEST,
        Fault::TargetTooLong => StatusCode::URI_TOO_LONG,
        Fault::Expectation => StatusCode::EXPECTATION_FAILED,
        Fault::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Fault::Coding => StatusCode::NOT_IMPLEMENTED,
        Fault::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    }
}

/// When to come back where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

/// What becomes of a refusal. No `_` arm: a new refusal has to choose its status here.
pub(super) fn refusal(rejected: &Rejected) -> Error {
    match rejected {
        Rejected::Saturated => Error::unavailable("too many requests in flight").retry_after(SOON),
        Rejected::RateLimited { retry_after } => {
            Error::too_many_requests("rate limit reached").retry_after(*retry_after)
        }
        Rejected::TooCostly { cost, burst } => Error::too_many_requests(format!(
            "this request costs {cost}, but at most {burst} may be asked for at once"
        )),
        Rejected::RetryBudgetSpent => {
            Error::unavailable("a service behind this one is failing").retry_after(SOON).do_not_retry()
        }
        Rejected::QueueFull
        | Rejected::WaitedTooLong
        | Rejected::LowPriority
        | Rejected::UnderPressure { .. } => Error::unavailable("too much to do").retry_after(SOON),
        Rejected::DeadlineExceeded => Error::deadline_exceeded(),
        Rejected::CircuitOpen { retry_after } => Error::unavailable("a service behind this one is failing")
            .retry_after(*retry_after)
            .do_not_retry(),
        Rejected::Throttled => Error::unavailable("a service behind this one has too much to do")
            .retry_after(SOON)
            .do_not_retry(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &Error, status: u16, class: Class) {
        assert_eq!((error.status().as_u16(), error.class()), (status, class), "{error:?}");
    }

    #[test]
    fn a_clients_mistake_is_permanent() {
        check(&Error::bad_request("no"), 400, Class::Permanent);
        check(&Error::unauthorized("no"), 401, Class::Permanent);
        check(&Error::payment_required("no"), 402, Class::Permanent);
        check(&Error::forbidden("no"), 403, Class::Permanent);
        check(&Error::not_found("no"), 404, Class::Permanent);
        check(&Error::method_not_allowed(&[Method::GET]), 405, Class::Permanent);
        check(&Error::not_acceptable("no"), 406, Class::Permanent);
        check(&Error::conflict("no"), 409, Class::Permanent);
        check(&Error::gone("no"), 410, Class::Permanent);
        check(&Error::precondition_failed("no"), 412, Class::Permanent);
        check(&Error::too_large(1), 413, Class::Permanent);
        check(&Error::uri_too_long("no"), 414, Class::Permanent);
        check(&Error::unsupported_media_type("no"), 415, Class::Permanent);
        check(&Error::range_not_satisfiable(7), 416, Class::Permanent);
        check(&Error::misdirected_request("no"), 421, Class::Permanent);
        check(&Error::invalid("no"), 422, Class::Permanent);
        check(&Error::upgrade_required(HeaderValue::from_static("websocket")), 426, Class::Permanent);
        check(&Error::precondition_required("no"), 428, Class::Permanent);
        check(&Error::header_fields_too_large("no"), 431, Class::Permanent);
        check(&Error::unavailable_for_legal_reasons("no"), 451, Class::Permanent);
    }
    #[test]
    fn what_may_pass_by_itself_is_transient() {
        check(&Error::request_timeout("no"), 408, Class::Transient);
        check(&Error::too_many_requests("no"), 429, Class::Transient);
        check(&Error::bad_gateway("no"), 502, Class::Transient);
        check(&Error::unavailable("no"), 503, Class::Transient);
        check(&Error::too_early("no"), 425, Class::Transient);
        check(&Error::deadline_exceeded(), 504, Class::Transient);
        check(&Error::not_in_cache(), 504, Class::Transient);
    }
    #[test]
    fn what_is_broken_here_is_of_the_system() {
        check(&Error::internal("no"), 500, Class::System);
        check(&Error::not_implemented("no"), 501, Class::System);
    }
    #[test]
    fn a_range_that_is_not_there_names_the_length() {
        let answer = Error::range_not_satisfiable(70).response();
        assert_eq!(answer.headers()[header::CONTENT_RANGE], "bytes */70");
    }
    #[test]
    fn a_protocol_that_is_missing_is_named() {
        let answer = Error::upgrade_required(HeaderValue::from_static("websocket")).response();
        assert_eq!(answer.headers()[header::UPGRADE], "websocket");
        assert_eq!(answer.headers()[header::CONNECTION], "upgrade");
    }
    #[test]
    fn every_refusal_says_when_to_come_back_or_why_never() {
        let error = Error::from(Rejected::RateLimited { retry_after: Duration::from_millis(1_200) });
        check(&error, 429, Class::Transient);
        assert_eq!(error.response().headers()[header::RETRY_AFTER], "2");
        assert_eq!(Error::from(Rejected::Saturated).retry_delay(), Some(SOON));
        assert_eq!(Error::from(Rejected::RetryBudgetSpent).retry_delay(), Some(SOON));
        assert_eq!(Error::from(Rejected::TooCostly { cost: 9, burst: 5 }).retry_delay(), None);
    }
    #[test]
    fn what_fails_behind_this_service_is_not_for_others_to_try_again() {
        let asks_not_to = |rejected: Rejected| {
            let answer = Error::from(rejected).response();
            answer.headers().get("x-should-retry").is_some_and(|value| value == "false")
        };
        assert!(asks_not_to(Rejected::CircuitOpen { retry_after: SOON }));
        assert!(asks_not_to(Rejected::Throttled));
        assert!(asks_not_to(Rejected::RetryBudgetSpent));
        assert!(!asks_not_to(Rejected::Saturated), "another instance may have room");
        assert!(!asks_not_to(Rejected::QueueFull));
    }
}
