//! The one place of this program that reads the clock.

use std::time::Instant;

pub(crate) fn now() -> Instant {
    Instant::now()
}
