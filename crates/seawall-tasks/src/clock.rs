//! The only place of this crate that reads the clock.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "this module is the place for it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
