//! A million tasks at once: what each of them weighs, and how long it takes to start them. In a binary of its own, so
//! that nothing else is in the process's memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use seawall_tasks::{Tasks, TasksConfig};
use tokio::sync::Semaphore;

const TASKS: usize = 1_000_000;

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// The sum of what they did is right, and a task weighs less than a kilobyte. The time is printed, not judged.
#[test]
#[expect(clippy::disallowed_methods, reason = "the time is measured for people to read")]
fn a_million_tasks_live_at_once() {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let tasks = Tasks::new(&TasksConfig::default()).unwrap();
        let (gate, sum) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let begun = Arc::new(AtomicUsize::new(0));
        let (before, start) = (resident_bytes(), Instant::now());
        for number in 0..TASKS {
            let (gate, sum, begun) = (Arc::clone(&gate), Arc::clone(&sum), Arc::clone(&begun));
            let wait_and_add = async move {
                begun.fetch_add(1, Relaxed);
                gate.acquire().await.unwrap().forget();
                sum.fetch_add(number, Relaxed);
            };
            let _task = tasks.spawn("one of a million", wait_and_add).unwrap();
        }
        let started = start.elapsed();
        while begun.load(Relaxed) < TASKS {
            tokio::task::yield_now().await;
        }
        let bytes = resident_bytes().saturating_sub(before) / TASKS;
        assert_eq!((tasks.live(), sum.load(Relaxed)), (TASKS, 0), "all have begun, and none has ended");
        gate.add_permits(TASKS);
        tasks.drained().await;
        println!(
            "{TASKS} tasks: {bytes} bytes each, started in {started:?}, done after {:?}",
            start.elapsed()
        );
        assert_eq!(sum.load(Relaxed), TASKS * (TASKS - 1) / 2);
        assert!((64..1024).contains(&bytes), "{bytes} bytes per task");
    });
}
