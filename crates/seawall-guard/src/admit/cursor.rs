//! The admission cursor: in an overload, who is not important enough is refused before it is queued.
//!
//! Class and cohort make 512 levels. While there is an overload, the arrivals of each stretch of 100 ms are counted by
//! level, and the cursor is put where the more important ones together are a twentieth more than what could be started:
//! enough that the queue never runs dry, little enough that few wait in vain. It moves a quarter of the way there per
//! stretch, so that the same users are served from one call to the next. Without an overload it opens again, by 8 levels,
//! then 16, 32 and so on. A level is admitted as a whole, so traffic of one level is left to the queue.
//!
//! After Zhou et al., "Overload control for scaling WeChat microservices" (DAGOR, 2018), which moves by 5 % down and
//! 1 % up; ours is set from the counts, so that it settles within two stretches.

use std::time::{Duration, Instant};

use super::meta::Meta;

const COHORTS: usize = 128;
const LEVELS: usize = 4 * COHORTS;
const FIRST_OPENING: usize = 8;
const STRETCH: Duration = Duration::from_millis(100);
/// More than can be started, so that chance does not leave a slot empty; not much more, since what the queue refuses is
/// nobody's choice, and a user with four calls suffers from it four times.
const MARGIN: f64 = 1.05;

#[derive(Debug)]
pub(super) struct Cursor {
    /// The last level that is admitted.
    last: usize,
    arrivals: Box<[u32; LEVELS]>,
    started: u32,
    overloaded: bool,
    /// By how many levels it opened last; 0 while it is held.
    opening: usize,
    /// When this stretch is over.
    until: Instant,
}

fn level(meta: &Meta) -> usize {
    meta.priority as usize * COHORTS + usize::from(meta.cohort).min(COHORTS - 1)
}

impl Cursor {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            last: LEVELS - 1,
            arrivals: Box::new([0; LEVELS]),
            started: 0,
            overloaded: false,
            opening: 0,
            until: start + STRETCH,
        }
    }

    /// The last level that is admitted, 0 to 511: 128 times the class plus the cohort.
    pub(super) fn last(&self) -> u16 {
        self.last as u16
    }

    /// Counts an arrival and says whether it is important enough.
    pub(super) fn admits(&mut self, meta: &Meta) -> bool {
        let level = level(meta);
        self.arrivals[level] = self.arrivals[level].saturating_add(1);
        level <= self.last
    }

    /// Takes back that an arrival was counted: it will be again.
    pub(super) fn forget(&mut self, meta: &Meta) {
        let level = level(meta);
        self.arrivals[level] = self.arrivals[level].saturating_sub(1);
    }

    pub(super) fn note_start(&mut self) {
        self.started = self.started.saturating_add(1);
    }

    /// Moves the cursor, if a stretch is over.
    pub(super) fn observe(&mut self, overloaded: bool, now: Instant) {
        self.overloaded |= overloaded;
        if now < self.until {
            return;
        }
        self.last = if self.overloaded { self.hold() } else { self.open() };
        *self.arrivals = [0; LEVELS];
        (self.started, self.overloaded, self.until) = (0, overloaded, now + STRETCH);
    }

    fn hold(&mut self) -> usize {
        let enough = self.set_by_count();
        self.opening = 0;
        // From wide open at once; after that by a quarter of the way.
        if self.last == LEVELS - 1 { enough } else { (self.last * 3 + enough + 2) / 4 }
    }

    fn open(&mut self) -> usize {
        self.opening = (self.opening * 2).clamp(FIRST_OPENING, LEVELS);
        (self.last + self.opening).min(LEVELS - 1)
    }

    /// The first level at which the arrivals up to it are enough.
    fn set_by_count(&self) -> usize {
        let enough = f64::from(self.started) * MARGIN;
        let mut sum = 0.0;
        let found = self.arrivals.iter().position(|&count| {
            sum += f64::from(count);
            sum > enough
        });
        found.unwrap_or(LEVELS - 1)
    }
}
