//! Rules about what threads wait for: locks, sleeps, pools, disks.

use super::card::{Details, Words, card, ms, percent};
use crate::diagnose::facts::Facts;
use crate::diagnose::model::{Cause, Finding, Severity};
use crate::signals::window::ThreadWindow;

/// Threads that must be stuck before it is called a deadlock.
const MIN_DEADLOCKED: usize = 2;
/// Threads that wait for locks, on average, before it matters.
const MIN_LOCK_WAITERS: f64 = 0.2;
/// Share of the busy threads' time.
const MIN_LOCK_SHARE: f64 = 0.2;
/// Share of an event loop's time in blocking calls.
const MIN_LOOP_BLOCKED: f64 = 0.3;
/// A thread of a pool is taken when it is busy or blocked for this share of the time.
const TAKEN: f64 = 0.85;

/// The names of some threads, for a sentence.
fn names<'a>(threads: impl Iterator<Item = &'a ThreadWindow>) -> String {
    let mut names: Vec<String> = threads.take(5).map(|t| format!("{} ({})", t.name, t.tid)).collect();
    names.dedup();
    names.join(", ")
}

/// Threads wait for locks while nobody sends anything any more.
pub(super) fn deadlock(facts: &Facts) -> Option<Finding> {
    let after = facts.after.as_ref()?;
    let stuck: Vec<&ThreadWindow> =
        after.threads.iter().filter(|thread| thread.lock >= 0.95 && thread.voluntary < 0.5).collect();
    if stuck.len() < MIN_DEADLOCKED {
        return None;
    }
    let unanswered = facts.top().map_or(0.0, |top| top.load.unanswered);
    let words = Words {
        title: "Deadlock",
        sentence: format!(
            "{} threads wait for locks and none of them moves, though nobody sends requests any more; at the highest level \
             {} of the requests got no answer.",
            stuck.len(),
            percent(unanswered)
        ),
        change: "Take the locks in one order everywhere, or hold only one at a time. A thread dump (gdb -p, py-spy dump, \
                 Seawall's /debug/seawall/threads) names both places."
            .to_owned(),
        experiment: "With the same order of locks on both paths, the same load ends with no thread waiting.".to_owned(),
    };
    let pid = stuck.first().map_or(0, |thread| thread.pid);
    Some(
        card(Cause::Deadlock, Severity::Defect, 1.0, 0.95, words)
            .over("threads stuck in a lock after the load", stuck.len() as f64, "threads", MIN_DEADLOCKED as f64)
            .number("requests without an answer", unanswered, "share")
            .evidence(format!("threads: {}", names(stuck.into_iter())))
            .evidence("/proc/PID/task/TID/syscall: futex waits for a contended lock, voluntary switches stand still")
            .command(format!("gdb -p {pid} -batch -ex 'thread apply all bt'")),
    )
}

/// Threads wait for one another's lock.
pub(super) fn lock_contention(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    let waiters = facts.in_state(|thread| thread.lock);
    let share = waiters / facts.busy_threads().max(1e-9);
    if waiters < MIN_LOCK_WAITERS || share < MIN_LOCK_SHARE {
        return None;
    }
    let words = Words {
        title: "Threads wait for a lock",
        sentence: format!(
            "At {}, {waiters:.1} threads wait for a lock on average, {} of the time that threads are not idle; {} waited \
             for the same one at once.",
            top.name,
            percent(share),
            window.same_lock
        ),
        change: "Hold the lock for less: do the work outside it, split it by key, or replace shared state by a queue, an \
                 atomic or a copy per thread."
            .to_owned(),
        experiment: "Halve what is done under the lock (or split it in two): throughput should grow by up to the same factor."
            .to_owned(),
    };
    let confidence = if window.same_lock >= 2 { 0.9 } else { 0.6 };
    let waiting = facts.workers().into_iter().filter(|thread| thread.lock > 0.05);
    Some(
        card(Cause::LockContention, Severity::Defect, share, confidence, words)
            .over("threads waiting for a lock", waiters, "threads", MIN_LOCK_WAITERS)
            .over("of the time that threads are not idle", share, "share", MIN_LOCK_SHARE)
            .number("waiting for the same lock at once", f64::from(window.same_lock), "threads")
            .number("voluntary switches per request", window.voluntary / top.load.rps.max(1.0), "")
            .evidence(format!("threads: {}", names(waiting)))
            .evidence(
                "/proc/PID/task/TID/syscall: futex waits without a time limit for a lock marked as contended",
            ),
    )
}

/// Threads of an event loop are held by calls that block.
pub(super) fn blocking_in_async(facts: &Facts) -> Option<Finding> {
    let (top, _) = facts.top_window()?;
    let loops: Vec<&ThreadWindow> = facts.workers().into_iter().filter(|t| facts.is_loop(t.tid)).collect();
    let held = |t: &&ThreadWindow| t.sleep + t.io + t.disk;
    let blocked = loops.iter().map(held).sum::<f64>() / loops.len().max(1) as f64;
    let wants = loops.iter().map(|t| t.wants_cpu()).sum::<f64>() / loops.len().max(1) as f64;
    if blocked < MIN_LOOP_BLOCKED || blocked < wants {
        return None;
    }
    let sleeps =
        loops.iter().map(|t| t.sleep).sum::<f64>() >= loops.iter().map(|t| t.io + t.disk).sum::<f64>();
    let what = if sleeps { "sleeping" } else { "in blocking reads, writes or file access" };
    let words = Words {
        title: "Blocking calls on the event loop",
        sentence: format!(
            "At {}, the threads that wait for sockets spend {} of their time {what} instead, and only {} on a CPU: \
             meanwhile every other request on them waits.",
            top.name,
            percent(blocked),
            percent(wants)
        ),
        change: "Use the asynchronous call (tokio::time::sleep, an async client), or move the blocking one to a pool \
                 (spawn_blocking, run_in_executor)."
            .to_owned(),
        experiment: "Double the loop's threads: if throughput doubles while the CPU stays idle, the calls block.".to_owned(),
    };
    let held_threads = loops.iter().copied().filter(|t| t.sleep + t.io + t.disk > 0.1);
    Some(
        card(Cause::BlockingInAsync, Severity::Defect, blocked, 0.92, words)
            .over("of an event loop's time in blocking calls", blocked, "share", MIN_LOOP_BLOCKED)
            .number("of its time on or waiting for a CPU", wants, "share")
            .number("threads with an event loop", loops.len() as f64, "threads")
            .evidence(format!("threads: {}", names(held_threads)))
            .evidence("/proc/PID/task/TID/wchan: the kernel function that each waits in"),
    )
}

/// All threads of a pool are taken, while the event loop is idle and more requests wait.
pub(super) fn blocking_pool(facts: &Facts) -> Option<Finding> {
    let (top, _) = facts.top_window()?;
    // Threads that wait for a lock or a disk would wait there in a larger pool, too.
    let is_taken = |t: &&ThreadWindow| t.wants_cpu() + t.blocked() >= TAKEN && t.sleep + t.io >= 0.5;
    let workers = facts.workers();
    // Event loops are no pool, nor are threads of the same name that were never seen to wait for work with a time limit:
    // a worker of a runtime that was blocked whenever we looked.
    let is_loops_name = |t: &ThreadWindow| workers.iter().any(|w| facts.is_loop(w.tid) && w.name == t.name);
    let of_pool =
        |t: &&ThreadWindow| !facts.is_loop(t.tid) && (facts.was_pool_idle(t.tid) || !is_loops_name(t));
    let taken: Vec<&ThreadWindow> = workers.iter().copied().filter(of_pool).filter(is_taken).collect();
    let others: Vec<&ThreadWindow> = workers.iter().copied().filter(|t| !is_taken(t)).collect();
    let idle = others.iter().map(|t| t.idle()).sum::<f64>() / others.len().max(1) as f64;
    let pool = taken.len() as f64;
    // A thread per request is no pool: its threads grow with the load.
    let is_capped = pool * 2.0 <= top.connections && facts.is_saturated();
    if taken.is_empty() || others.is_empty() || idle < 0.5 || !is_capped {
        return None;
    }
    let waiting = 1.0 - pool / top.connections;
    let each_ms = pool / top.load.rps.max(1e-9) * 1e3;
    let words = Words {
        title: "A pool of blocking threads is full",
        sentence: format!(
            "At {}, all {pool} threads of a pool are taken, {} per request, while the threads that accept work are idle {} of \
             the time: {} of the requests wait for a thread.",
            top.name,
            ms(each_ms),
            percent(idle),
            percent(waiting)
        ),
        change: "Enlarge the pool (tokio: max_blocking_threads), shorten what runs in it, or use an asynchronous call \
                 instead. Needed for this load: about one thread per request in flight."
            .to_owned(),
        experiment: format!("With {} threads in the pool, throughput should double to {:.0}/s.", pool * 2.0, top.load.rps * 2.0),
    };
    Some(
        card(Cause::BlockingPool, Severity::Defect, waiting, 0.88, words)
            .over("threads of the pool, all taken", pool, "threads", 1.0)
            .number("requests in flight", top.connections, "")
            .number("time of one request in the pool", each_ms, "ms")
            .number("idle share of the other threads", idle, "share")
            .evidence(format!("threads: {}", names(taken.into_iter()))),
    )
}

/// Threads wait for a disk.
pub(super) fn disk(facts: &Facts) -> Option<Finding> {
    const MIN_SHARE: f64 = 0.3;
    let (top, window) = facts.top_window()?;
    let waiting = facts.in_state(|thread| thread.disk);
    let share = waiting / facts.busy_threads().max(1e-9);
    if share < MIN_SHARE || waiting < 0.2 {
        return None;
    }
    let words = Words {
        title: "Threads wait for a disk",
        sentence: format!(
            "At {}, {waiting:.1} threads wait for a disk on average, {} of the time that threads are not idle.",
            top.name,
            percent(share)
        ),
        change:
            "Sync less often (group commits), write in larger pieces, or move the files to a faster disk."
                .to_owned(),
        experiment: "Put the files on tmpfs for a test: if throughput grows, it is the disk.".to_owned(),
    };
    Some(
        card(Cause::Disk, Severity::Defect, share, 0.8, words)
            .over("threads waiting for a disk", share, "share", MIN_SHARE)
            .number(
                "share of time in which all tasks waited for a disk",
                window.io_pressure.unwrap_or(0.0),
                "share",
            )
            .evidence("/proc/PID/task/TID/stat: state D; /proc/pressure/io"),
    )
}
