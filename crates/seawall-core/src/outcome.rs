//! What became of a piece of work, in the words that limits, breakers, retries and metrics share.

/// How the caller should react to a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// May pass by itself (timeouts, refused connections, throttling): retry, with a budget.
    Transient,
    /// The request is wrong (validation, not found): report, never retry.
    Permanent,
    /// The service is broken (out of memory, a panic): trip the breaker, raise an alert.
    System,
}

impl Class {
    /// The class as a log field or metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::System => "system",
        }
    }
}

/// What became of one attempt. Reported once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It worked.
    Success,
    /// It did not.
    Failure(Class),
    /// The other side said that it has too much to do; nothing was done.
    Overloaded,
    /// Nobody waited for the end, so it says nothing about the other side.
    Cancelled,
}
