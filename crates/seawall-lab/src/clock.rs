//! The lab's one look at the clock.

use std::time::Instant;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "sampler and probe are the lab's I/O edge; everything else gets time as an argument"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits for `length`.
pub(crate) fn pause(length: std::time::Duration) {
    let until = now() + length;
    loop {
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}
