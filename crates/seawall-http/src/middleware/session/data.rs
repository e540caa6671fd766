//! What a session holds, and until when it may live: pure, time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A session as it is kept. Times are whole seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Data {
    #[serde(rename = "c")]
    pub(super) created: u64,
    #[serde(rename = "s")]
    pub(super) seen: u64,
    #[serde(rename = "v")]
    pub(super) values: BTreeMap<String, Value>,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) idle: Duration,
    pub(super) absolute: Duration,
}

impl Lifetime {
    /// What is left of a session; `None` if it is over.
    pub(super) fn left(&self, data: &Data, now: u64) -> Option<Duration> {
        let until = |since: u64, life: Duration| since.saturating_add(life.as_secs()).checked_sub(now);
        let left = until(data.seen, self.idle)?.min(until(data.created, self.absolute)?);
        // From the future: a clock was set back, or somebody plays with time.
        let honest = data.created <= now && data.seen <= now;
        (left > 0 && honest).then(|| Duration::from_secs(left))
    }
    /// Whether a session that nothing has changed must be kept anew, so that it counts as used. Not for every request:
    /// a quarter of the idle time is exact enough.
    pub(super) fn is_due(&self, data: &Data, now: u64) -> bool {
        now.saturating_sub(data.seen) >= (self.idle.as_secs() / 4).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Lifetime = Lifetime { idle: Duration::from_secs(100), absolute: Duration::from_secs(300) };

    #[track_caller]
    fn check(created: u64, seen: u64, now: u64, left: Option<u64>) {
        let data = Data { created, seen, ..Data::default() };
        assert_eq!(LIFE.left(&data, now).map(|left| left.as_secs()), left);
    }

    #[test]
    fn a_session_ends_when_it_is_not_used() {
        check(1000, 1000, 1000, Some(100));
        check(1000, 1000, 1099, Some(1));
        check(1000, 1000, 1100, None);
    }
    #[test]
    fn a_session_ends_however_much_it_is_used() {
        check(1000, 1290, 1290, Some(10));
        check(1000, 1290, 1300, None);
    }
    #[test]
    fn a_session_from_the_future_is_none() {
        check(1001, 1001, 1000, None);
        check(1000, 1001, 1000, None);
        check(u64::MAX, u64::MAX, 1000, None);
    }
    #[test]
    fn use_is_noted_now_and_then() {
        let data = Data { created: 1000, seen: 1000, ..Data::default() };
        assert!(!LIFE.is_due(&data, 1024) && LIFE.is_due(&data, 1025));
    }
}
