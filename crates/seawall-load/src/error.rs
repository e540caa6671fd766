//! What can go wrong: the classes in which failed requests are counted, and why a run did not happen.

use std::fmt;
use std::io;

use serde::{Serialize, Serializer};

/// Why a request (or a connection for one) failed. The names in JSON are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// Nobody listens at the address.
    ConnectRefused,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The connection was cut while it was made.
    ConnectReset,
    /// No route, no permission, or another reason why the connection was not made.
    ConnectUnreachable,
    /// The client has no free port left.
    NoPorts,
    /// The client has no free file descriptor left.
    NoFds,
    /// The TLS handshake failed: no TLS there, no common version, or a client certificate was refused.
    TlsHandshake,
    /// The server's certificate is not one that is trusted for this name.
    TlsVerify,
    /// The request could not be written.
    Write,
    /// The connection was cut while the answer was awaited or read.
    ReadReset,
    /// The connection ended in the middle of an answer.
    EofEarly,
    /// The connection ended before the first byte of the answer.
    EofBeforeResponse,
    /// No byte of the answer came in time.
    TimeoutFirstByte,
    /// The answer began, but did not end in time.
    TimeoutBody,
    /// The request's time had passed before a connection was free: it was never sent.
    DeadlineShed,
    /// The answer breaks the rules of HTTP/1.1, or bytes came that nobody asked for.
    Malformed,
    /// Head or (kept) body is larger than this client accepts.
    TooLarge,
    /// A complete answer with a status 400..=499.
    Status4xx,
    /// A complete answer with a status 500..=599.
    Status5xx,
    /// A complete answer that is not what the user expected.
    ExpectFailed,
    /// Sent, but neither answered nor failed when the run ended. Counted, never dropped.
    UnansweredAtEnd,
}

impl ErrorClass {
    /// Every class, in the order of declaration.
    pub const ALL: [Self; 21] = [
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectReset,
        Self::ConnectUnreachable,
        Self::NoPorts,
        Self::NoFds,
        Self::TlsHandshake,
        Self::TlsVerify,
        Self::Write,
        Self::ReadReset,
        Self::EofEarly,
        Self::EofBeforeResponse,
        Self::TimeoutFirstByte,
        Self::TimeoutBody,
        Self::DeadlineShed,
        Self::Malformed,
        Self::TooLarge,
        Self::Status4xx,
        Self::Status5xx,
        Self::ExpectFailed,
        Self::UnansweredAtEnd,
    ];

    /// The name in JSON and reports, for example `connect_refused`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectReset => "connect_reset",
            Self::ConnectUnreachable => "connect_unreachable",
            Self::NoPorts => "no_ports",
            Self::NoFds => "no_fds",
            Self::TlsHandshake => "tls_handshake",
            Self::TlsVerify => "tls_verify",
            Self::Write => "write",
            Self::ReadReset => "read_reset",
            Self::EofEarly => "eof_early",
            Self::EofBeforeResponse => "eof_before_response",
            Self::TimeoutFirstByte => "timeout_first_byte",
            Self::TimeoutBody => "timeout_body",
            Self::DeadlineShed => "deadline_shed",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Status4xx => "status_4xx",
            Self::Status5xx => "status_5xx",
            Self::ExpectFailed => "expect_failed",
            Self::UnansweredAtEnd => "unanswered_at_end",
        }
    }

    /// The request got no complete answer (everything but the statuses and what was not expected).
    pub fn is_transport(self) -> bool {
        !matches!(self, Self::Status4xx | Self::Status5xx | Self::ExpectFailed)
    }

    /// The request waited as long as it was allowed to: it belongs into the latencies, with the time it waited.
    pub(crate) fn is_timeout(self) -> bool {
        matches!(self, Self::TimeoutFirstByte | Self::TimeoutBody | Self::UnansweredAtEnd)
    }

    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::TlsHandshake | Self::TlsVerify)
    }

    /// The class of a failed attempt to connect.
    pub(crate) fn of_connect(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => Self::ConnectRefused,
            // A unix socket says so when its backlog is full.
            Some(libc::EAGAIN) => Self::ConnectTimeout,
            Some(libc::ETIMEDOUT) => Self::ConnectTimeout,
            Some(libc::ECONNRESET) => Self::ConnectReset,
            Some(libc::EADDRNOTAVAIL) => Self::NoPorts,
            Some(libc::EMFILE | libc::ENFILE) => Self::NoFds,
            _ => Self::ConnectUnreachable,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ErrorClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Why a run did not happen. A server that refuses or fails is no such reason: that is counted in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] seawall_core::ConfigError),
    /// The host name has no address.
    #[error("`{host}` has no address: {source}; check the name, or give an address such as 127.0.0.1")]
    Resolve {
        /// The host of the URL.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// A generator thread could not be set up.
    #[error("a generator thread for {url} could not start: {source}")]
    Thread {
        /// The target.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server of the self-test could not be started.
    #[error("the self-test could not start: {source}")]
    SelfTest {
        /// What the system said.
        source: io::Error,
    },
    /// A generator thread panicked: a defect of this crate or of a [`User`](crate::users::User).
    #[error("a generator thread panicked; the run is void")]
    Panicked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_connecting_has_its_class() {
        for (code, class) in [
            (libc::ECONNREFUSED, ErrorClass::ConnectRefused),
            (libc::ETIMEDOUT, ErrorClass::ConnectTimeout),
            (libc::ECONNRESET, ErrorClass::ConnectReset),
            (libc::EADDRNOTAVAIL, ErrorClass::NoPorts),
            (libc::EMFILE, ErrorClass::NoFds),
            (libc::ENFILE, ErrorClass::NoFds),
            (libc::EHOSTUNREACH, ErrorClass::ConnectUnreachable),
            (libc::EACCES, ErrorClass::ConnectUnreachable),
        ] {
            assert_eq!(ErrorClass::of_connect(&io::Error::from_raw_os_error(code)), class);
        }
    }

    #[test]
    fn the_list_is_in_the_order_of_the_enum_and_names_are_unique() {
        for (index, class) in ErrorClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
        }
        let mut names = ErrorClass::ALL.map(ErrorClass::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorClass::ALL.len());
    }
}
