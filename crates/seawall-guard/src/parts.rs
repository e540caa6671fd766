//! The parts of admission that can be taken away one by one, by tests alone: a scenario that does not fail without the
//! part that it is there for guards nothing. Outside tests every question is a constant.

/// A part of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// That a standing queue is an overload, with all that follows: order, staleness, cursor.
    CoDel,
    /// Newest first in an overload.
    NewestFirst,
    /// What waited too long in an overload is turned away.
    Staleness,
    /// Less important levels are refused before they are queued.
    Cursor,
    /// No more in flight than can be finished in time.
    LittleCap,
    /// The latency without queueing is measured anew while an overload lasts.
    Probe,
}

#[cfg(not(test))]
pub(crate) const fn is_there(_: Part) -> bool {
    true
}

#[cfg(test)]
pub(crate) fn is_there(part: Part) -> bool {
    AWAY.with(|away| away.get() != Some(part))
}

#[cfg(test)]
std::thread_local! {
    static AWAY: std::cell::Cell<Option<Part>> = const { std::cell::Cell::new(None) };
}

/// Runs something without one part, on this thread.
#[cfg(test)]
#[cfg(not(loom))]
pub(crate) fn without<T>(part: Option<Part>, run: impl FnOnce() -> T) -> T {
    AWAY.set(part);
    let result = run();
    AWAY.set(None);
    result
}
