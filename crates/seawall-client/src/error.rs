//! Why a call has no answer, or none that is of use. Facts: what happened, where, when, after how many attempts.
//!
//! No text of an error repeats a URL's path or query, a header or a body: they may hold secrets.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use seawall_core::{Class, Outcome};
use seawall_guard::Rejected;

use crate::body::BoxError;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be sent: its URL, a header, its body.
    Request,
    /// The host's name has no address.
    Resolve,
    /// No address takes connections.
    Refused,
    /// No connection for want of something on this side: file handles, ports.
    Local,
    /// The certificate is not right, or the other side does not speak TLS.
    Tls,
    /// It took longer than it may.
    Timeout,
    /// This side refused before anything was sent: breaker open, throttled, too many in flight, rate limit, no
    /// connection free.
    Rejected(Rejected),
    /// The connection broke, or what came was no HTTP.
    Broken,
    /// The answer's body is longer than it may be.
    TooLarge,
    /// The answer's status is not 2xx. Only from methods that say so, such as `json`.
    Status(StatusCode),
    /// The answer's body is not what was expected.
    Decode,
}

/// How far the call had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing had been done.
    Prepare,
    /// Looking for addresses.
    Resolve,
    /// Waiting for a connection, or opening one.
    Connect,
    /// The request was under way, and no answer had begun. It may have been carried out.
    Send,
    /// The answer had begun.
    Body,
    /// It had come as a whole.
    Decode,
}

impl Phase {
    /// The phase as a log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Body => "body",
            Self::Decode => "decode",
        }
    }
}

/// A call that failed.
pub struct Error(Box<Facts>);

#[derive(Debug)]
struct Facts {
    kind: ErrorKind,
    phase: Phase,
    host: String,
    address: Option<String>,
    attempts: u32,
    elapsed: Duration,
    retry_after: Option<Duration>,
    message: Option<&'static str>,
    source: Option<BoxError>,
}

/// The same, before it is known how often and how long it was tried.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) phase: Phase,
    pub(crate) address: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) message: Option<&'static str>,
    pub(crate) source: Option<BoxError>,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, phase: Phase) -> Self {
        Self { kind, phase, address: None, retry_after: None, message: None, source: None }
    }

    pub(crate) fn because(self, source: impl Into<BoxError>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    pub(crate) fn says(self, message: &'static str) -> Self {
        Self { message: Some(message), ..self }
    }

    pub(crate) fn at(self, address: impl fmt::Display) -> Self {
        Self { address: Some(address.to_string()), ..self }
    }

    /// A refusal on this side.
    pub(crate) fn rejected(why: Rejected) -> Self {
        let kind = match why {
            Rejected::DeadlineExceeded => ErrorKind::Timeout,
            why => ErrorKind::Rejected(why),
        };
        Self { retry_after: why.retry_after(), ..Self::new(kind, Phase::Prepare) }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        outcome(self.kind)
    }

    pub(crate) fn after(self, host: String, attempts: u32, elapsed: Duration) -> Error {
        let Self { kind, phase, address, retry_after, message, source } = self;
        let facts = Facts { kind, phase, host, address, attempts, elapsed, retry_after, message, source };
        Error(Box::new(facts))
    }
}

fn outcome(kind: ErrorKind) -> Outcome {
    match kind {
        ErrorKind::Rejected(_) => Outcome::Overloaded,
        ErrorKind::Resolve | ErrorKind::Refused | ErrorKind::Tls => Outcome::Failure(Class::System),
        ErrorKind::Timeout | ErrorKind::Broken | ErrorKind::Local => Outcome::Failure(Class::Transient),
        ErrorKind::Request | ErrorKind::TooLarge | ErrorKind::Decode => Outcome::Failure(Class::Permanent),
        ErrorKind::Status(status) => crate::policy::of_status(status.as_u16(), false).outcome,
    }
}

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// How far the call had come.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }
    /// The host that was called, as `name:port`; empty if the URL names none.
    pub fn host(&self) -> &str {
        &self.0.host
    }
    /// The address of it that was tried last, if it came to that.
    pub fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }
    /// How many attempts were made.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }
    /// Since the call began.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }
    /// When to try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
    /// The answer's status, if that is what went wrong.
    pub fn status(&self) -> Option<StatusCode> {
        if let ErrorKind::Status(status) = self.0.kind { Some(status) } else { None }
    }
    /// The failure in the words that breakers, retries and [`Fallback`](seawall_guard::Fallback) share.
    pub fn outcome(&self) -> Outcome {
        outcome(self.0.kind)
    }
    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }
    /// Whether there was no connection: nothing was sent.
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Resolve | ErrorKind::Refused | ErrorKind::Tls | ErrorKind::Local)
    }
    /// Whether a breaker held the call back.
    pub fn is_breaker_open(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Rejected(Rejected::CircuitOpen { .. }))
    }
    /// Whether this side refused, and why. Nothing was sent.
    pub fn rejected(&self) -> Option<Rejected> {
        if let ErrorKind::Rejected(why) = self.0.kind { Some(why) } else { None }
    }
    /// Whether the answer's body is not what was expected.
    pub fn is_decode(&self) -> bool {
        self.0.kind == ErrorKind::Decode
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "the request cannot be sent",
            Self::Resolve => "the name has no address",
            Self::Refused => "no connection, refused",
            Self::Local => "no connection, for want of something on this side",
            Self::Tls => "no connection, TLS failed",
            Self::Timeout => "it took too long",
            Self::Rejected(why) => return write!(f, "held back: {why}"),
            Self::Broken => "the connection broke",
            Self::TooLarge => "the answer is too large",
            Self::Status(status) => return write!(f, "the answer is {status}"),
            Self::Decode => "the answer is not what was expected",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { kind, phase, host, address, attempts, elapsed, message, .. } = &*self.0;
        write!(f, "calling {host}")?;
        if let Some(address) = address {
            write!(f, " ({address})")?;
        }
        write!(f, ": {kind}")?;
        if let Some(message) = message {
            write!(f, ": {message}")?;
        }
        write!(f, " (phase {}, {attempts} attempts, {elapsed:?})", phase.as_str())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// What calls give.
pub type Result<T> = std::result::Result<T, Error>;
