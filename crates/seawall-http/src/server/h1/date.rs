//! The `Date` of answers, written once per second and thread.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::clock;

/// Bytes of a date (RFC 9110, 5.6.7), such as `Mon, 30 Nov 2026 17:00:00 GMT`.
const LENGTH: usize = 29;

struct Date {
    text: String,
    /// When the second that it names is over.
    until: Option<Instant>,
}

thread_local! {
    static DATE: RefCell<Date> = const { RefCell::new(Date { text: String::new(), until: None }) };
}

/// Appends the date of the time `now`.
pub(super) fn push(to: &mut Vec<u8>, now: Instant) {
    DATE.with_borrow_mut(|date| {
        if date.until.is_none_or(|until| now >= until) {
            date.renew(now);
        }
        to.extend_from_slice(date.text.as_bytes());
    });
}

impl Date {
    fn renew(&mut self, now: Instant) {
        let wall = clock::wall();
        let since = wall.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let rest = Duration::from_secs(1) - Duration::from_nanos(since.subsec_nanos().into());
        self.until = Some(now + rest);
        self.text.clear();
        let written = write!(self.text, "{}", httpdate::HttpDate::from(wall));
        debug_assert!(written.is_ok() && self.text.len() == LENGTH, "a date has always the same length");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_lasts_to_the_end_of_its_second() {
        let (mut one, mut other, now) = (Vec::new(), Vec::new(), clock::now());
        push(&mut one, now);
        push(&mut other, now);
        assert_eq!((one.len(), &one), (LENGTH, &other));
        let until = DATE.with_borrow(|date| date.until).unwrap();
        assert!(until > now && until <= now + Duration::from_secs(1));
    }
}
