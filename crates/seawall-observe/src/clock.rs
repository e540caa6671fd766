//! The one place of this crate that reads the clock.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "uptime is shown to people; nothing is decided by it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
