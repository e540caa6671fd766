//! What an answer or a failure means: for the breaker, for the balancer, for whether the call is made again.
//!
//! | status | outcome | counts against the address | a call that may not be repeated is made again |
//! |---|---|---|---|
//! | up to 399 | success | no | |
//! | 408, 425 | transient | yes | no |
//! | 429 | overloaded | no: it is the caller's quota | yes: nothing was done |
//! | other 4xx | permanent | no | |
//! | 501, 505 | permanent | no | |
//! | 503 | overloaded | yes | with `Retry-After` alone: some proxies say 503 when all is done |
//! | other 5xx | transient | yes | no |
//!
//! An answer with `x-should-retry: false` is final, whatever its status: who sends it has tried again already.

use seawall_core::{Class, Outcome};

/// What an answer's status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// The address that answered may be to blame.
    pub(crate) against_address: bool,
    /// Nothing was done, says the other side.
    pub(crate) untouched: bool,
    /// It asks not to be tried again.
    pub(crate) last: bool,
}

/// The meaning of a status.
pub(crate) fn of_status(status: u16, has_retry_after: bool) -> Verdict {
    let verdict =
        |outcome, against_address| Verdict { outcome, against_address, untouched: false, last: false };
    match status {
        ..400 => verdict(Outcome::Success, false),
        429 => Verdict { untouched: true, ..verdict(Outcome::Overloaded, false) },
        503 => Verdict { untouched: has_retry_after, ..verdict(Outcome::Overloaded, true) },
        408 | 425 => verdict(Outcome::Failure(Class::Transient), true),
        400..=499 | 501 | 505 => verdict(Outcome::Failure(Class::Permanent), false),
        _ => verdict(Outcome::Failure(Class::Transient), true),
    }
}

impl Verdict {
    /// Whether the answer is what was asked for, or at least final.
    pub(crate) fn is_good(self) -> bool {
        matches!(self.outcome, Outcome::Success | Outcome::Failure(Class::Permanent))
    }

    /// The outcome as the retry policy takes it: to it, an overload is something that was certainly not begun.
    pub(crate) fn for_retry(self) -> Outcome {
        match self.outcome {
            Outcome::Success => Outcome::Success,
            _ if self.last => Outcome::Failure(Class::Permanent),
            Outcome::Overloaded if !self.untouched => Outcome::Failure(Class::Transient),
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, has_retry_after: bool, outcome: Outcome, against_address: bool, untouched: bool) {
        assert_eq!(
            of_status(status, has_retry_after),
            Verdict { outcome, against_address, untouched, last: false },
            "{status}"
        );
    }

    #[test]
    fn a_status_says_how_to_react() {
        let transient = Outcome::Failure(Class::Transient);
        let permanent = Outcome::Failure(Class::Permanent);
        for status in [200, 204, 301, 304] {
            check(status, false, Outcome::Success, false, false);
        }
        for status in [400, 401, 404, 422, 501, 505] {
            check(status, false, permanent, false, false);
        }
        for status in [408, 425, 500, 502, 504, 599] {
            check(status, false, transient, true, false);
        }
        check(429, false, Outcome::Overloaded, false, true);
        check(503, false, Outcome::Overloaded, true, false);
        check(503, true, Outcome::Overloaded, true, true);
    }

    #[test]
    fn an_overload_that_may_have_begun_is_retried_as_a_failure_is() {
        assert_eq!(of_status(503, false).for_retry(), Outcome::Failure(Class::Transient));
        assert_eq!(of_status(503, true).for_retry(), Outcome::Overloaded);
        assert_eq!(of_status(429, false).for_retry(), Outcome::Overloaded);
    }

    #[test]
    fn who_asks_not_to_be_tried_again_is_not() {
        let last = |status| Verdict { last: true, ..of_status(status, true) }.for_retry();
        assert_eq!(
            (last(503), last(502)),
            (Outcome::Failure(Class::Permanent), Outcome::Failure(Class::Permanent))
        );
        assert_eq!(last(200), Outcome::Success);
    }
}
