//! An off-CPU profile of any process without privileges: out of what its threads were seen to wait for. Pure.
//!
//! It has the thread and the kind of wait, and no stack: that takes the service's own `/debug/pprof/offcpu`.

use super::model::{Profile, ProfileKind, Stack};
use crate::signals::window::{ThreadWindow, Window};

/// Shorter shares of a thread's time are left out.
const MIN_SHARE: f64 = 0.001;

/// Seconds that each thread spent off the CPU, by what it waited for. Waiting for work is in it, too.
pub fn off_cpu(window: &Window) -> Profile {
    type Share = fn(&ThreadWindow) -> f64;
    let waits: [(&str, Share); 9] = [
        ("waiting for a CPU", |t| t.run_delay),
        ("waiting for a lock", |t| t.lock),
        ("sleeping", |t| t.sleep),
        ("in a blocking read or write", |t| t.io),
        ("waiting for a disk", |t| t.disk),
        ("idle: waiting for events", |t| t.events),
        ("idle: waiting for a client", |t| t.client),
        ("idle: waiting for work, with a time limit", |t| t.pool_idle),
        ("idle: parked", |t| t.parked),
    ];
    let of = |thread: &ThreadWindow| {
        let name = format!("{} ({})", thread.name, thread.tid);
        let stacks = waits.iter().filter_map(|(wait, share)| {
            let share = share(thread);
            let frames = vec![name.clone(), (*wait).to_owned()];
            (share >= MIN_SHARE).then_some(Stack { frames, weight: share * window.seconds })
        });
        stacks.collect::<Vec<_>>()
    };
    let mut stacks: Vec<Stack> = window.threads.iter().flat_map(of).collect();
    stacks.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    Profile {
        kind: ProfileKind::OffCpu,
        source: "thread states".to_owned(),
        unit: "seconds".to_owned(),
        seconds: window.seconds,
        total: stacks.iter().map(|stack| stack.weight).sum(),
        dropped: 0.0,
        stacks,
        comments: vec!["by looking at the threads many times a second; it has no stacks".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_of_a_thread_is_a_stack_and_the_longest_comes_first() {
        let thread = ThreadWindow {
            tid: 7,
            name: "w".into(),
            lock: 0.2,
            parked: 0.7,
            running: 0.1,
            ..ThreadWindow::default()
        };
        let profile = off_cpu(&Window { seconds: 10.0, threads: vec![thread], ..Window::default() });
        let found: Vec<(String, f64)> =
            profile.stacks.iter().map(|s| (s.frames.join(";"), s.weight)).collect();
        assert_eq!(
            found,
            [("w (7);idle: parked".to_owned(), 7.0), ("w (7);waiting for a lock".to_owned(), 2.0)]
        );
        assert!((profile.total - 9.0).abs() < 1e-9);
    }
}
