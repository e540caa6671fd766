//! The Little cap: no more in flight than can be finished within two fifths of the time that callers wait.
//!
//! Little's law: in flight = rate x time in system. When the mean time in system passes two fifths of the deadline D,
//! the cap is set to `rate x 0.4 D`, the number at which that time is just 0.4 D. While it binds and times are fine it
//! is released by a quarter per window, so that it follows a service that recovers. A half would do for the mean; the
//! tenth below it is for the slow ones and for the wait before the start, and halves the late answers of small
//! services.
//!
//! It repairs every limit that is too *high*, whatever law found it, also none and one set by hand. It cannot repair
//! one that grows too slowly: it only ever lowers.

use super::Window;
use crate::parts::{Part, is_there};

/// Fewer samples than this say too little about a mean.
const ENOUGH: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct LittleCap {
    cap: Option<f64>,
}

impl LittleCap {
    pub(super) fn cap(&self) -> u32 {
        // Saturates at u32::MAX, which is "no cap".
        self.cap.filter(|_| is_there(Part::LittleCap)).map_or(u32::MAX, |cap| cap as u32)
    }

    pub(super) fn update(&mut self, window: &Window) {
        if window.samples < ENOUGH {
            return;
        }
        let room = window.allowed * 2 / 5;
        if window.mean > room {
            self.cap = Some((window.rate() * room.as_secs_f64()).ceil().max(1.0));
        } else if let Some(cap) = self.cap
            && window.max_in_flight >= self.cap()
        {
            let released = (cap * 1.25).max(cap + 0.5);
            self.cap = (released < 1e6).then_some(released);
        }
    }
}
