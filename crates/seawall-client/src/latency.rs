//! The latency that 95 of a hundred calls to a host stay below: when a second call is worth its load.
//!
//! Of the last 256 calls, worked out anew every 32. Fewer than 32 say nothing.

use std::time::Duration;

const KEPT: usize = 256;
const STEP: usize = 32;

/// The last latencies, and their quantile.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// Microseconds, the oldest is overwritten.
    ring: Vec<u32>,
    next: usize,
    p95: Option<Duration>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { ring: Vec::new(), next: 0, p95: None }
    }

    /// Takes one in.
    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        if self.ring.len() < KEPT {
            self.ring.push(micros);
        } else {
            self.ring[self.next % KEPT] = micros;
        }
        self.next += 1;
        if self.next.is_multiple_of(STEP) {
            self.p95 = Some(quantile(&self.ring));
        }
    }

    /// The quantile, once there is something to say.
    pub(crate) fn p95(&self) -> Option<Duration> {
        self.p95
    }
}

fn quantile(ring: &[u32]) -> Duration {
    let mut sorted = ring.to_vec();
    let at = (sorted.len() * 95 / 100).min(sorted.len() - 1);
    let (_, p95, _) = sorted.select_nth_unstable(at);
    Duration::from_micros(u64::from(*p95))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_sorted_list_of_the_last_ones(all in proptest::collection::vec(0u32..1_000_000, 0..700)) {
            let mut latencies = Latencies::new();
            all.iter().for_each(|micros| latencies.record(Duration::from_micros((*micros).into())));
            let seen = all.len() / 32 * 32;
            let mut last: Vec<_> = all[..seen].iter().rev().take(256).copied().collect();
            last.sort_unstable();
            let expected = last.get(last.len() * 95 / 100).copied();
            prop_assert_eq!(latencies.p95(), expected.map(|micros| Duration::from_micros(micros.into())));
        }
    }
}
