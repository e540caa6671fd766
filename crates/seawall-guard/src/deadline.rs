//! How long one attempt may take, and how a deadline travels to another machine.
//!
//! On the wire a deadline is what is left of it, in whole milliseconds: clocks of two machines do not agree, lengths
//! do. What the call takes to arrive is not counted, so the receiver is a little too patient, never too strict.

use std::time::{Duration, Instant};

use seawall_core::Deadline;

use crate::Rejected;

/// The time for one attempt: `per_try`, or what is left without the `margin` that the answer needs for its way back,
/// the shorter of the two.
///
/// # Errors
/// [`Rejected::DeadlineExceeded`] if nothing is left: do not make the call.
pub fn attempt_timeout(
    deadline: Deadline,
    per_try: Duration,
    margin: Duration,
    now: Instant,
) -> Result<Duration, Rejected> {
    let left = deadline.remaining(now).saturating_sub(margin);
    if left.is_zero() { Err(Rejected::DeadlineExceeded) } else { Ok(left.min(per_try)) }
}

/// What is sent: whole milliseconds left, rounded down.
///
/// # Errors
/// [`Rejected::DeadlineExceeded`] if not a whole one is left.
pub fn deadline_to_wire(deadline: Deadline, now: Instant) -> Result<u64, Rejected> {
    let left = u64::try_from(deadline.remaining(now).as_millis()).unwrap_or(u64::MAX);
    if left == 0 { Err(Rejected::DeadlineExceeded) } else { Ok(left) }
}

/// What was received: digits only, up to nine of them (eleven days). Nothing, if it is anything else: a field that
/// cannot be read is as one that was not sent. `arrived` is when the request was.
pub fn deadline_from_wire(value: &[u8], arrived: Instant) -> Option<Deadline> {
    if value.is_empty() || value.len() > 9 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(Deadline::after(arrived, Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
    fn time_zero() -> Instant {
        Instant::now()
    }

    #[test]
    fn an_attempt_gets_its_own_time_or_what_is_left() {
        let now = time_zero();
        let timeout = |left: u32| attempt_timeout(Deadline::after(now, MS * left), 50 * MS, 5 * MS, now);
        assert_eq!(timeout(100), Ok(50 * MS));
        assert_eq!(timeout(30), Ok(25 * MS));
        assert_eq!(timeout(5), Err(Rejected::DeadlineExceeded));
    }

    #[test]
    fn a_deadline_never_grows_on_its_way() {
        let now = time_zero();
        let sent = deadline_to_wire(Deadline::after(now, Duration::from_micros(1_999)), now).unwrap();
        assert_eq!(sent, 1);
        assert_eq!(deadline_from_wire(b"1", now), Some(Deadline::after(now, MS)));
        assert_eq!(deadline_to_wire(Deadline::at(now), now), Err(Rejected::DeadlineExceeded));
    }

    #[test]
    fn what_cannot_be_read_was_not_sent() {
        for value in ["", "-1", "1.5", "10s", "9999999999"] {
            assert_eq!(deadline_from_wire(value.as_bytes(), time_zero()), None, "{value}");
        }
    }
}
