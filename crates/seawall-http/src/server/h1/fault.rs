//! What can be wrong with the bytes of a request.

/// Why the bytes of a request are refused. Each is answered with the status of its kind, and the connection ends: after
/// a fault nobody knows where the next request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They break the grammar of RFC 9110 or RFC 9112, or could be read in two ways; the text says where.
    Malformed(&'static str),
    /// The target is longer than a head may be.
    TargetTooLong,
    /// The head, or the fields behind a chunked body, are more than is read.
    FieldsTooLarge,
    /// A version of HTTP that is none of 1.0 and 1.1.
    Version,
    /// `Expect` asks for something else than `100-continue`.
    Expectation,
    /// A transfer coding that is not `chunked`.
    Coding,
}

impl Fault {
    /// The kind, as a label of a metric.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TargetTooLong => "target_too_long",
            Self::FieldsTooLarge => "fields_too_large",
            Self::Version => "version",
            Self::Expectation => "expectation",
            Self::Coding => "coding",
        }
    }
}
