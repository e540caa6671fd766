//! Each rule once, and dates against known ones.

use proptest::prelude::*;

use super::*;
use crate::RetryBudgetConfig;

const MS: Duration = Duration::from_millis(1);
const FAILED: Outcome = Outcome::Failure(Class::Transient);

fn first() -> Failure {
    Failure {
        outcome: FAILED,
        retry: 0,
        repeatable: Repeatable::Idempotent,
        not_sent: false,
        retry_after: None,
        previous_delay: Duration::ZERO,
    }
}

/// What is decided with the default policy, a second left, and the largest random number.
fn decide(change: impl FnOnce(&mut Failure), reserve: u32) -> RetryDecision {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
    let now = Instant::now();
    let policy = RetryPolicy::new(&RetryConfig::default()).unwrap();
    let budget = RetryBudget::new(&RetryBudgetConfig { percent: 0, reserve: reserve.max(1) }).unwrap();
    if reserve == 0 {
        budget.try_retry().unwrap();
    }
    let mut failure = first();
    change(&mut failure);
    policy.decide(&failure, &budget, Deadline::after(now, 1_000 * MS), now, u64::MAX)
}

#[track_caller]
fn check_gives_up(why: GiveUp, change: impl FnOnce(&mut Failure)) {
    assert_eq!(decide(change, 1), RetryDecision::GiveUp(why));
}

#[test]
fn what_may_pass_by_itself_is_tried_again() {
    assert_eq!(decide(|_| (), 1), RetryDecision::After(25 * MS));
}
#[test]
fn a_mistake_is_not_repeated() {
    check_gives_up(GiveUp::Pointless, |it| it.outcome = Outcome::Failure(Class::Permanent));
}
#[test]
fn a_broken_service_is_left_to_its_breaker() {
    check_gives_up(GiveUp::Pointless, |it| it.outcome = Outcome::Failure(Class::System));
}
#[test]
fn what_may_do_harm_twice_is_not_repeated() {
    check_gives_up(GiveUp::NotRepeatable, |it| it.repeatable = Repeatable::IfNotSent);
    check_gives_up(GiveUp::NotRepeatable, |it| it.repeatable = Repeatable::Never);
}
#[test]
fn what_was_never_begun_may_be_repeated() {
    let sent_nothing = |it: &mut Failure| (it.repeatable, it.not_sent) = (Repeatable::IfNotSent, true);
    assert_eq!(decide(sent_nothing, 1), RetryDecision::After(25 * MS));
    let refused =
        |it: &mut Failure| (it.repeatable, it.outcome) = (Repeatable::IfNotSent, Outcome::Overloaded);
    assert_eq!(decide(refused, 1), RetryDecision::After(25 * MS));
}
#[test]
fn attempts_are_bounded() {
    check_gives_up(GiveUp::Attempts, |it| it.retry = 2);
}
#[test]
fn what_the_other_side_asks_for_is_added_to_the_wait() {
    assert_eq!(decide(|it| it.retry_after = Some(500 * MS), 1), RetryDecision::After(525 * MS));
    check_gives_up(GiveUp::Deadline, |it| it.retry_after = Some(980 * MS));
    check_gives_up(GiveUp::RetryAfter, |it| it.retry_after = Some(11_000 * MS));
}
#[test]
fn a_spent_budget_ends_it() {
    assert_eq!(decide(|_| (), 0), RetryDecision::GiveUp(GiveUp::Budget));
}

#[test]
fn methods_say_what_may_be_repeated() {
    assert_eq!(Repeatable::of_method("GET", false, true), Repeatable::Idempotent);
    assert_eq!(Repeatable::of_method("POST", false, true), Repeatable::IfNotSent);
    assert_eq!(Repeatable::of_method("POST", true, true), Repeatable::Idempotent);
    assert_eq!(Repeatable::of_method("PUT", false, false), Repeatable::Never);
}

proptest! {
    #[test]
    fn every_jitter_stays_within_its_bounds(retry in 0u32..20, previous in 0u64..3_000, random: u64) {
        let backoff = Backoff::new(&BackoffConfig::default()).unwrap();
        let previous = Duration::from_millis(previous);
        let delay = |jitter: Jitter| jitter.delay(&backoff, retry, previous, random);
        let longest = backoff.longest(retry);
        prop_assert!(delay(Jitter::Full) <= longest);
        prop_assert!((longest / 2..=longest).contains(&delay(Jitter::Equal)));
        let most = (previous.max(25 * MS) * 3).min(2_000 * MS);
        prop_assert!((25 * MS..=most).contains(&delay(Jitter::Decorrelated)));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = parse_retry_after(&bytes);
    }

    /// Every second of four hundred years, against counting days one by one.
    #[test]
    fn dates_agree_with_counting(day in 0u64..146_097, second in 0u64..86_400) {
        let (year, month, date) = civil(day);
        let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month];
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        let text = format!("Mon, {date:02} {name} {year} {hour:02}:{minute:02}:{:02} GMT", second % 60);
        prop_assert_eq!(parse_retry_after(text.as_bytes()), Some(RetryAfter::At(day * 86_400 + second)));
    }
}

/// The date so many days after 1970-01-01, found by walking.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let months = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in months.into_iter().enumerate() {
            if days < length {
                return (year, month, days + 1);
            }
            days -= length;
        }
        year += 1;
    }
}

#[test]
fn the_field_is_seconds_or_a_date() {
    assert_eq!(parse_retry_after(b" 120 "), Some(RetryAfter::Delay(Duration::from_secs(120))));
    let date = parse_retry_after(b"Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    assert_eq!(date, RetryAfter::At(784_111_777));
    assert_eq!(date.delay(784_111_700), Duration::from_secs(77));
    assert_eq!(date.delay(800_000_000), Duration::ZERO);
    for wrong in ["", "-1", "1.5", "soon", "Sun, 31 Feb 2027 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT"] {
        assert_eq!(parse_retry_after(wrong.as_bytes()), None, "{wrong}");
    }
    assert!(parse_retry_after(&[b'9'; 500]).is_some());
}

#[test]
fn retries_at_once_are_a_share_of_what_is_at_work() {
    let retries = ConcurrentRetries::new(&ConcurrentRetriesConfig { percent: 20, at_least: 1 }).unwrap();
    let first = retries.try_retry(4).unwrap();
    assert!(retries.try_retry(4).is_err());
    let second = retries.try_retry(10).unwrap();
    drop((first, second));
    assert!(retries.try_retry(0).is_ok());
}

#[test]
fn only_idempotent_calls_are_hedged_and_within_the_budget() {
    let budget = RetryBudgetConfig { percent: 10, reserve: 1 };
    let hedge = Hedge::new(&HedgeConfig { budget, ..HedgeConfig::default() }).unwrap();
    assert_eq!(hedge.delay(Repeatable::Idempotent, Some(80 * MS)), Some(80 * MS));
    assert_eq!(hedge.delay(Repeatable::Idempotent, Some(MS)), Some(10 * MS));
    assert_eq!(hedge.delay(Repeatable::IfNotSent, Some(80 * MS)), None);
    assert_eq!(hedge.delay(Repeatable::Idempotent, None), None);
    assert!(hedge.try_second().is_ok() && hedge.try_second().is_err());
}
