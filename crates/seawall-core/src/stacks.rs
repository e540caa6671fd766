//! Where a thread is: a hook between whoever finds a thread stuck and whoever can take its stack. Neither depends on the
//! other; `seawall-observe` fills it.

use std::sync::OnceLock;

/// Takes the stack of a thread of this process, by the kernel's number of it: one line, innermost frame first. `None` if
/// the thread does not answer. May block for some hundred milliseconds, and longer the first time, when it reads names.
pub type TakeStack = fn(thread: u32) -> Option<String>;

static TAKE: OnceLock<TakeStack> = OnceLock::new();

/// Says how stacks are taken in this process. The first one counts.
pub fn provide(take: TakeStack) {
    let _ = TAKE.set(take);
}

/// How stacks are taken, if somebody can.
pub fn provider() -> Option<TakeStack> {
    TAKE.get().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_provider_counts() {
        assert!(provider().is_none());
        provide(|thread| Some(format!("first {thread}")));
        provide(|_| None);
        assert_eq!(provider().and_then(|take| take(7)), Some("first 7".to_owned()));
    }
}
