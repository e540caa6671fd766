//! The one place of these programs' common part that reads the clock.

use std::time::Instant;

pub(crate) fn now() -> Instant {
    Instant::now()
}
