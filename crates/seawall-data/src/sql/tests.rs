//! What the database promises its callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use seawall_core::metrics::{Registry, Value as Metric};
use tempfile::TempDir;

use super::*;

struct Fixture {
    db: Sqlite,
    registry: Registry,
    config: SqliteConfig,
    _directory: TempDir,
}

fn open(change: impl FnOnce(&mut SqliteConfig)) -> Fixture {
    let directory = TempDir::new().unwrap();
    let mut config = SqliteConfig { path: directory.path().join("test.db"), ..SqliteConfig::default() };
    change(&mut config);
    let registry = Registry::new();
    let db = Sqlite::open(&config, &registry).unwrap();
    db.write_blocking(|tx| tx.execute_all("CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT)")).unwrap();
    Fixture { db, registry, config, _directory: directory }
}

fn insert(db: &Sqlite, n: u64) -> Result<usize, SqlError> {
    db.write_blocking(move |tx| tx.execute("INSERT INTO t (n) VALUES (?)", &[n.into()]))
}

fn numbers(db: &Sqlite) -> Vec<u64> {
    db.read_blocking(|conn| conn.query("SELECT n FROM t ORDER BY n", &[], |row| row.get(0))).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Occupies the writer until the returned sender is used or dropped.
fn hold_writer(db: &Sqlite) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let db = db.clone();
    std::thread::spawn(move || {
        db.write_blocking(move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
            Ok::<_, SqlError>(())
        })
    });
    running.recv().unwrap();
    release
}

#[test]
fn an_acknowledged_write_is_seen_by_the_next_read() {
    let fixture = open(|_| {});
    for n in 1..=50 {
        insert(&fixture.db, n).unwrap();
        assert_eq!(numbers(&fixture.db).len(), n as usize);
    }
}

#[test]
fn writes_that_wait_share_a_commit() {
    let fixture = open(|_| {});
    let release = hold_writer(&fixture.db);
    let commits = || {
        let families = fixture.registry.snapshot();
        let family = families.iter().find(|family| family.name == "seawall_sql_commits_total").unwrap();
        let Metric::Counter(value) = family.samples[0].value else { panic!("a counter") };
        value
    };
    let before = commits();
    block_on(async {
        let writes: Vec<_> = (1..=20)
            .map(|n: u64| {
                let mut write = Box::pin(
                    fixture.db.write(move |tx| tx.execute("INSERT INTO t (n) VALUES (?)", &[n.into()])),
                );
                // One poll puts it into the queue.
                let waker = std::task::Waker::noop();
                assert!(write.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
                write
            })
            .collect();
        release.send(()).unwrap();
        for write in writes {
            assert_eq!(write.await, Ok(1));
        }
    });
    assert_eq!(numbers(&fixture.db).len(), 20);
    assert!(commits() - before <= 2, "20 writes took {} commits", commits() - before);
}

#[test]
fn an_error_rolls_back_its_own_write_only() {
    let fixture = open(|_| {});
    let release = hold_writer(&fixture.db);
    let results = std::thread::scope(|scope| {
        let write = |n: u64, fail: bool| {
            let db = fixture.db.clone();
            scope.spawn(move || {
                db.write_blocking(move |tx| {
                    tx.execute("INSERT INTO t (n) VALUES (?)", &[n.into()])?;
                    if fail { Err(SqlError::OutOfRange { value: n }) } else { Ok(n) }
                })
            })
        };
        let threads = [write(1, false), write(2, true), write(3, false)];
        release.send(()).unwrap();
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(results, [Ok(1), Err(SqlError::OutOfRange { value: 2 }), Ok(3)]);
    assert_eq!(numbers(&fixture.db), [1, 3]);
}

#[test]
fn a_panic_rolls_back_and_the_writer_lives() {
    let fixture = open(|_| {});
    let outcome: Result<(), SqlError> = fixture.db.write_blocking(|tx| {
        tx.execute("INSERT INTO t (n) VALUES (1)", &[])?;
        panic!("on purpose");
    });
    assert_eq!(outcome, Err(SqlError::Panicked));
    insert(&fixture.db, 2).unwrap();
    assert_eq!(numbers(&fixture.db), [2]);
}

#[test]
fn a_panicking_read_leaves_its_reader_usable() {
    let fixture = open(|config| config.readers = 1);
    let outcome: Result<(), SqlError> = fixture.db.read_blocking(|_| panic!("on purpose"));
    assert_eq!(outcome, Err(SqlError::Panicked));
    assert!(numbers(&fixture.db).is_empty());
}

#[test]
fn a_full_queue_is_refused_at_once_without_a_wait() {
    let fixture = open(|config| (config.write_queue, config.max_wait) = (1, Duration::ZERO));
    let release = hold_writer(&fixture.db);
    block_on(async {
        let mut first = Box::pin(fixture.db.write(|tx| tx.execute("INSERT INTO t (n) VALUES (1)", &[])));
        let waker = std::task::Waker::noop();
        assert!(first.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        let second = fixture.db.write(|tx| tx.execute("INSERT INTO t (n) VALUES (2)", &[])).await;
        assert_eq!(second, Err(SqlError::Full { side: Side::Write, waited: Duration::ZERO }));
        release.send(()).unwrap();
        assert_eq!(first.await, Ok(1));
    });
    let families = fixture.registry.snapshot();
    let refused = families.iter().find(|family| family.name == "seawall_sql_refused_total").unwrap();
    assert!(refused.samples.iter().any(|sample| sample.value == Metric::Counter(1)));
}

#[test]
fn a_full_queue_is_waited_for_a_bounded_time() {
    let fixture = open(|config| (config.write_queue, config.max_wait) = (1, Duration::from_millis(20)));
    let _release = hold_writer(&fixture.db);
    block_on(async {
        let write = || fixture.db.write(|tx| tx.execute("INSERT INTO t (n) VALUES (1)", &[]));
        let mut first = Box::pin(write());
        let waker = std::task::Waker::noop();
        assert!(first.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        let full = SqlError::Full { side: Side::Write, waited: Duration::from_millis(20) };
        assert_eq!(write().await, Err(full));
    });
}

#[test]
fn a_write_whose_caller_left_before_it_began_is_skipped() {
    let fixture = open(|_| {});
    let release = hold_writer(&fixture.db);
    let mut write = Box::pin(fixture.db.write(|tx| tx.execute("INSERT INTO t (n) VALUES (1)", &[])));
    let waker = std::task::Waker::noop();
    assert!(write.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    drop(write);
    release.send(()).unwrap();
    insert(&fixture.db, 2).unwrap();
    assert_eq!(numbers(&fixture.db), [2]);
}

#[test]
fn hooks_learn_the_fate_of_their_own_write() {
    let fixture = open(|_| {});
    let sum = Arc::new(AtomicU32::new(0));
    let add = |committed_adds: u32, fail: bool| {
        let sum = Arc::clone(&sum);
        fixture.db.write_blocking(move |tx| {
            tx.on_end(move |committed| {
                sum.fetch_add(if committed { committed_adds } else { 1_000 }, Ordering::SeqCst);
            });
            if fail { Err(SqlError::Closed) } else { Ok(()) }
        })
    };
    add(1, false).unwrap();
    assert_eq!(sum.load(Ordering::SeqCst), 1, "the hook runs before the caller is told");
    add(1, true).unwrap_err();
    assert_eq!(sum.load(Ordering::SeqCst), 1_001);
}

#[test]
fn a_closure_that_commits_by_itself_fails_its_batch() {
    let fixture = open(|_| {});
    let outcome = fixture.db.write_blocking(|tx| tx.execute_all("COMMIT"));
    assert!(matches!(outcome, Err(SqlError::Commit { .. })), "{outcome:?}");
    insert(&fixture.db, 1).unwrap();
    assert_eq!(numbers(&fixture.db), [1]);
}

#[test]
fn readers_cannot_write() {
    let fixture = open(|_| {});
    let outcome = fixture
        .db
        .read_blocking(|conn| conn.query_value::<u64>("INSERT INTO t (n) VALUES (1) RETURNING n", &[]));
    assert!(matches!(outcome, Err(SqlError::Database { .. })), "{outcome:?}");
}

#[test]
fn too_many_rows_are_refused() {
    let fixture = open(|config| config.max_rows = 2);
    for n in 1..=3 {
        insert(&fixture.db, n).unwrap();
    }
    let all = |conn: &Conn<'_>| conn.query("SELECT n FROM t", &[], |row| row.get::<u64>(0));
    assert_eq!(fixture.db.read_blocking(all), Err(SqlError::TooManyRows { max_rows: 2 }));
}

#[test]
fn a_number_beyond_the_integers_of_sqlite_is_refused() {
    let fixture = open(|_| {});
    assert_eq!(insert(&fixture.db, u64::MAX), Err(SqlError::OutOfRange { value: u64::MAX }));
}

#[test]
fn a_repeated_key_is_told_from_other_violations() {
    let fixture = open(|_| {});
    insert(&fixture.db, 1).unwrap();
    assert!(matches!(insert(&fixture.db, 1), Err(SqlError::Constraint { unique: true, .. })));
}

#[test]
fn a_column_of_another_type_is_named() {
    let fixture = open(|_| {});
    insert(&fixture.db, 1).unwrap();
    let word = fixture.db.read_blocking(|conn| conn.query_value::<String>("SELECT n FROM t", &[]));
    assert_eq!(word, Err(SqlError::Column { column: 0, expected: "text" }));
}

#[test]
fn a_second_process_is_kept_out_until_close() {
    let fixture = open(|_| {});
    // Locks belong to the open file, so a second opening in this process stands for another process.
    let second = Sqlite::open(&fixture.config, &Registry::new());
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    fixture.db.close();
    Sqlite::open(&fixture.config, &Registry::new()).unwrap().close();
}

#[test]
fn close_drains_and_then_refuses() {
    let fixture = open(|_| {});
    let release = hold_writer(&fixture.db);
    let mut write = Box::pin(fixture.db.write(|tx| tx.execute("INSERT INTO t (n) VALUES (1)", &[])));
    let waker = std::task::Waker::noop();
    assert!(write.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    release.send(()).unwrap();
    fixture.db.close();
    assert_eq!(block_on(write), Ok(1));
    assert_eq!(insert(&fixture.db, 2), Err(SqlError::Closed));
    let again = Sqlite::open(&fixture.config, &Registry::new()).unwrap();
    assert_eq!(numbers(&again), [1]);
}

#[test]
fn threads_say_how_many_they_are_what_they_did_and_what_waited() {
    let fixture = open(|config| config.readers = 3);
    numbers(&fixture.db);
    numbers(&fixture.db);
    insert(&fixture.db, 1).unwrap();
    fixture.db.close(); // a thread counts its work after the answer
    let families = fixture.registry.snapshot();
    let of = |name: &str, side: &str| {
        let family = families.iter().find(|family| family.name == name).unwrap();
        let sample = family.samples.iter().find(|sample| sample.labels[0].1 == side).unwrap();
        match &sample.value {
            Metric::Gauge(value) => *value as u64,
            Metric::Timer(timer) => timer.count(),
            Metric::Counter(value) => *value,
        }
    };
    assert_eq!((of("seawall_sql_threads", "read"), of("seawall_sql_threads", "write")), (3, 1));
    for name in ["seawall_sql_work_seconds", "seawall_sql_wait_seconds"] {
        // One write made the table, one inserted.
        assert_eq!((of(name, "read"), of(name, "write")), (2, 2), "{name}");
    }
}
