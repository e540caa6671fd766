//! Tasks from outside: how they end, what a snapshot shows, and the bound.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use seawall_tasks::{
    Full, Overflow, Sender, TaskError, Tasks, TasksConfig, Workers, WorkersConfig, channel, select,
};

fn tasks() -> Tasks {
    Tasks::new(&TasksConfig::default()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_task_gives_its_result() {
    block_on(async {
        let task = tasks().spawn("answer", async { 42 }).unwrap();
        assert_eq!(task.await, Ok(42));
    });
}

#[test]
fn a_panic_is_a_result_with_its_message() {
    block_on(async {
        let tasks = tasks();
        let task = tasks.spawn("bad", async { panic!("on purpose") }).unwrap();
        assert_eq!(task.await, Err::<(), _>(TaskError::Panicked("on purpose".to_owned())));
        assert_eq!((tasks.live(), tasks.snapshot().sites[0].ended.panicked), (0, 1));
    });
}

#[test]
fn an_aborted_task_is_cancelled_and_counted() {
    block_on(async {
        let tasks = tasks();
        let task = tasks.spawn("waits", std::future::pending::<()>()).unwrap();
        tokio::task::yield_now().await;
        task.abort();
        assert_eq!(task.await, Err(TaskError::Cancelled));
        assert_eq!((tasks.live(), tasks.snapshot().sites[0].ended.cancelled), (0, 1));
    });
}

#[test]
fn a_task_goes_on_without_its_handle() {
    block_on(async {
        let tasks = tasks();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        drop(tasks.spawn("alone", async move { flag.store(true, SeqCst) }).unwrap());
        tasks.drained().await;
        assert!(done.load(SeqCst));
    });
}

#[test]
fn there_is_a_bound_and_it_is_exact() {
    block_on(async {
        let tasks = Tasks::new(&TasksConfig { max_live: 2, ..TasksConfig::default() }).unwrap();
        let both = [(); 2].map(|()| tasks.spawn("waits", std::future::pending::<()>()).unwrap());
        assert_eq!(tasks.spawn("third", async {}).unwrap_err(), Full { max_live: 2 });
        assert_eq!((tasks.live(), tasks.refused()), (2, 1));
        both[0].abort();
        while tasks.live() == 2 {
            tokio::task::yield_now().await;
        }
        assert!(tasks.spawn("third", async {}).is_ok());
    });
}

#[test]
fn a_runtime_that_goes_away_takes_its_tasks_along() {
    let tasks = tasks();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let task = {
        let _inside = runtime.enter();
        tasks.spawn("waits", std::future::pending::<()>()).unwrap()
    };
    assert_eq!((tasks.live(), task.is_finished()), (1, false));
    drop(runtime);
    assert_eq!((tasks.live(), task.is_finished()), (0, true));
}

#[test]
fn abort_all_ends_everything() {
    block_on(async {
        let tasks = tasks();
        for _ in 0..100 {
            let _task = tasks.spawn("waits", std::future::pending::<()>()).unwrap();
        }
        tokio::task::yield_now().await;
        tasks.abort_all();
        tasks.drained().await;
        assert_eq!(tasks.snapshot().sites[0].ended.cancelled, 100);
    });
}

#[test]
fn a_snapshot_names_who_started_what() {
    block_on(async {
        let tasks = tasks();
        for _ in 0..3 {
            let _task = tasks.spawn("leak", std::future::pending::<()>()).unwrap();
        }
        tasks.spawn("short", async {}).unwrap().await.unwrap();
        let snapshot = tasks.snapshot();
        let [leak, short] = &snapshot.sites[..] else { panic!("two sites: {snapshot:?}") };
        assert_eq!((leak.name, leak.live, short.name, short.live), ("leak", 3, "short", 0));
        assert_eq!((short.ended.finished, snapshot.live), (1, 3));
        assert!(leak.place.contains("tests/tasks.rs:"), "{}", leak.place);
    });
}

#[test]
fn a_task_that_does_not_let_go_is_called_stuck() {
    let config = TasksConfig { stuck_after: Duration::from_nanos(1), ..TasksConfig::default() };
    let tasks = Tasks::new(&config).unwrap();
    let (running, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (started, go) = (Arc::clone(&running), Arc::clone(&release));
    let worker = {
        let tasks = tasks.clone();
        std::thread::spawn(move || {
            block_on(async {
                let busy = async move {
                    started.store(true, SeqCst);
                    while !go.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                };
                tasks.spawn("busy", busy).unwrap().await.unwrap();
            });
        })
    };
    while !running.load(SeqCst) {
        std::thread::yield_now();
    }
    let stuck = tasks.snapshot().stuck;
    release.store(true, SeqCst);
    worker.join().unwrap();
    assert_eq!(stuck.iter().map(|task| task.name).collect::<Vec<_>>(), ["busy"]);
    assert!(tasks.snapshot().stuck.is_empty());
}

#[test]
fn bad_bounds_are_named() {
    let refused = |config| Tasks::new(&config).unwrap_err().to_string();
    let too_few = refused(TasksConfig { max_live: 0, ..TasksConfig::default() });
    assert!(too_few.contains("tasks.max_live"), "{too_few}");
    let no_time = refused(TasksConfig { stuck_after: Duration::ZERO, ..TasksConfig::default() });
    assert!(no_time.contains("tasks.stuck_after"), "{no_time}");
}

/// Runs `jobs` jobs of which each notes how many run beside it; the most that did.
fn most_at_once(jobs: usize, parallelism: usize) -> usize {
    block_on(async {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (n, m) = (Arc::clone(&now), Arc::clone(&most));
        let work = move |_: usize| {
            let (now, most) = (Arc::clone(&n), Arc::clone(&m));
            async move {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, SeqCst);
            }
        };
        let config = WorkersConfig { parallelism, queue: 8, ..WorkersConfig::default() };
        let pool = Workers::start(&tasks(), &config, work).unwrap();
        for job in 0..jobs {
            pool.submit(job).await.unwrap();
        }
        pool.finish().await;
        most.load(SeqCst)
    })
}

#[test]
fn a_pool_runs_so_many_jobs_at_once_and_no_more() {
    assert_eq!(most_at_once(50, 3), 3);
    assert_eq!(most_at_once(50, 1), 1);
}

#[test]
fn a_pools_worker_survives_its_jobs_panic() {
    block_on(async {
        let done = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&done);
        let work = move |job: u32| {
            let count = Arc::clone(&count);
            async move {
                assert!(job.is_multiple_of(2), "odd on purpose");
                count.fetch_add(1, SeqCst);
            }
        };
        let config = WorkersConfig { parallelism: 1, ..WorkersConfig::default() };
        let pool = Workers::start(&tasks(), &config, work).unwrap();
        for job in 0..10 {
            pool.submit(job).await.unwrap();
        }
        let finished = pool.finish().await;
        assert_eq!((finished.panicked, finished.cancelled, done.load(SeqCst)), (5, 0, 5));
    });
}

#[test]
fn a_full_pool_may_say_no() {
    block_on(async {
        let config = WorkersConfig {
            parallelism: 1,
            queue: 1,
            overflow: Overflow::Reject,
            ..WorkersConfig::default()
        };
        let pool = Workers::start(&tasks(), &config, |_: u8| std::future::pending()).unwrap();
        pool.try_submit(1).unwrap();
        assert!(pool.try_submit(2).is_err());
    });
}

#[test]
fn map_keeps_the_order_and_the_bound() {
    block_on(async {
        let two = NonZeroUsize::new(2).unwrap();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = async |n: usize| {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            for _ in 0..(10 - n) {
                tokio::task::yield_now().await; // the first ones take longest
            }
            now.fetch_sub(1, SeqCst);
            Ok::<_, ()>(n * n)
        };
        let squares = seawall_tasks::map(0..10, two, &work).await.unwrap();
        assert_eq!(squares, (0..10).map(|n| n * n).collect::<Vec<_>>());
        assert_eq!(most.load(SeqCst), 2);
    });
}

#[test]
fn the_first_error_ends_for_each() {
    block_on(async {
        let begun = AtomicUsize::new(0);
        let two = NonZeroUsize::new(2).unwrap();
        let work = async |n: u32| {
            begun.fetch_add(1, SeqCst);
            if n == 3 { Err("three") } else { Ok(()) }
        };
        assert_eq!(seawall_tasks::for_each(0..1_000, two, &work).await, Err("three"));
        assert!(begun.load(SeqCst) < 10);
    });
}

/// As a goroutine would: two channels in one loop, until both have ended. A `recv` that loses the race is dropped, and
/// must not take a value along.
#[test]
fn select_takes_from_several_channels_and_loses_nothing() {
    block_on(async {
        let tasks = tasks();
        let (numbers, first) = channel(2, Overflow::Wait).unwrap();
        let (words, second) = channel(2, Overflow::Wait).unwrap();
        let count = |out: Sender<u64>, range: std::ops::Range<u64>| async move {
            for number in range {
                out.send(number).await.unwrap();
                if number % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        tasks.spawn("numbers", count(numbers, 0..1_000)).unwrap();
        tasks.spawn("words", count(words, 1_000..2_000)).unwrap();
        let (mut seen, mut open) = (Vec::new(), [true, true]);
        while open != [false, false] {
            select! {
                next = first.recv(), if open[0] => match next {
                    Some(number) => seen.push(number),
                    None => open[0] = false,
                },
                next = second.recv(), if open[1] => match next {
                    Some(number) => seen.push(number),
                    None => open[1] = false,
                },
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..2_000).collect::<Vec<_>>());
        tasks.drained().await;
    });
}
