//! What the queue promises: nothing lost, nothing done twice, everything bounded.

use std::collections::BTreeSet;
use std::sync::mpsc;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::sql::SqliteConfig;

struct Fixture {
    directory: TempDir,
    clock: Arc<ManualClock>,
    config: QueueConfig,
    db: Sqlite,
    queue: Queue,
}

impl Fixture {
    fn new(change: impl FnOnce(&mut QueueConfig)) -> Self {
        let mut config = QueueConfig { name: "test".to_owned(), ..QueueConfig::default() };
        change(&mut config);
        Self::open(TempDir::new().unwrap(), config)
    }

    fn open(directory: TempDir, config: QueueConfig) -> Self {
        let clock = Arc::new(ManualClock::new());
        let sqlite = SqliteConfig { path: directory.path().join("queue.db"), ..SqliteConfig::default() };
        let db =
            Sqlite::open_with_clock(&sqlite, &Registry::new(), Arc::<ManualClock>::clone(&clock)).unwrap();
        let queue = Queue::open(&db, &config, &Registry::new()).unwrap();
        Self { directory, clock, config, db, queue }
    }

    /// The process ends and another one opens the file.
    fn restart(self) -> Self {
        self.db.close();
        Self::open(self.directory, self.config)
    }

    fn publish(&self, msg_id: &str) -> Result<(), QueueError> {
        block_on(self.queue.publish(msg_id.to_owned(), b"payload".to_vec()))
    }

    fn claim(&self) -> Vec<Delivery> {
        block_on(self.queue.claim(100)).unwrap()
    }

    fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        let (queue, delivery) = (self.queue.clone(), delivery.clone());
        self.db.write_blocking(move |tx| queue.ack(tx, &delivery))
    }

    fn stats(&self) -> (u64, u64, u64) {
        let stats = block_on(self.queue.stats()).unwrap();
        assert_eq!(stats.depth, self.queue.depth(), "memory and database agree");
        (stats.depth, stats.ready, stats.dead)
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn names(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.msg_id.as_str()).collect()
}

#[test]
fn messages_come_in_order_and_go_when_acknowledged() {
    let fixture = Fixture::new(|_| {});
    for name in ["a", "b", "c"] {
        fixture.publish(name).unwrap();
    }
    let claimed = fixture.claim();
    assert_eq!(names(&claimed), ["a", "b", "c"]);
    assert_eq!(claimed[0].payload, b"payload");
    assert!(fixture.claim().is_empty(), "leased messages are not handed out again");
    assert_eq!(fixture.stats(), (3, 0, 0));
    claimed.iter().for_each(|delivery| fixture.ack(delivery).unwrap());
    assert_eq!(fixture.stats(), (0, 0, 0));
}

#[test]
fn a_message_of_a_rolled_back_transaction_never_was() {
    let fixture = Fixture::new(|_| {});
    let queue = fixture.queue.clone();
    let outcome: Result<(), QueueError> = fixture.db.write_blocking(move |tx| {
        queue.emit(tx, "a", b"")?;
        Err(SqlError::Closed.into())
    });
    outcome.unwrap_err();
    assert_eq!(fixture.stats(), (0, 0, 0));
}

#[test]
fn an_ended_lease_gives_the_message_to_the_next() {
    let fixture = Fixture::new(|config| config.lease = Duration::from_secs(5));
    fixture.publish("a").unwrap();
    let first = fixture.claim().remove(0);
    fixture.clock.advance(Duration::from_secs(4));
    assert!(fixture.claim().is_empty());
    fixture.clock.advance(Duration::from_secs(1));
    let second = fixture.claim().remove(0);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    let lost = QueueError::LeaseLost { queue: "test".to_owned(), msg_id: "a".to_owned() };
    assert_eq!(fixture.ack(&first), Err(lost), "the late one must not commit its work");
    fixture.ack(&second).unwrap();
    assert_eq!(fixture.stats(), (0, 0, 0));
}

#[test]
fn a_restart_voids_the_leases_of_the_dead_process() {
    let fixture = Fixture::new(|config| config.lease = Duration::from_secs(3_600));
    fixture.publish("a").unwrap();
    assert_eq!(fixture.claim()[0].attempt, 1);
    let fixture = fixture.restart();
    let again = fixture.claim();
    assert_eq!((names(&again), again[0].attempt), (vec!["a"], 2));
}

#[test]
fn a_message_that_kills_its_worker_ends_among_the_dead() {
    let mut fixture = Fixture::new(|config| config.max_attempts = 3);
    fixture.publish("poison").unwrap();
    for attempt in 1..=3 {
        assert_eq!(fixture.claim()[0].attempt, attempt);
        fixture = fixture.restart();
    }
    assert!(fixture.claim().is_empty());
    assert_eq!(fixture.stats(), (0, 0, 1));
    let dead = block_on(fixture.queue.dead_letters(10)).unwrap();
    assert_eq!((dead[0].msg_id.as_str(), dead[0].attempts), ("poison", 3));
}

#[test]
fn failures_are_retried_after_a_pause_that_doubles() {
    let fixture = Fixture::new(|config| {
        config.retry_pause = Duration::from_secs(1);
        config.max_attempts = 3;
    });
    fixture.publish("a").unwrap();
    for pause in [1, 2] {
        block_on(fixture.queue.fail(fixture.claim().remove(0), "no".to_owned())).unwrap();
        fixture.clock.advance(Duration::from_millis(pause * 1_000 - 1));
        assert!(fixture.claim().is_empty());
        fixture.clock.advance(Duration::from_millis(1));
    }
    block_on(fixture.queue.fail(fixture.claim().remove(0), "at last".to_owned())).unwrap();
    assert_eq!(fixture.stats(), (0, 0, 1));
    assert_eq!(block_on(fixture.queue.dead_letters(1)).unwrap()[0].reason, "at last");
}

#[test]
fn the_oldest_dead_letters_make_room() {
    let fixture = Fixture::new(|config| (config.max_attempts, config.max_dead) = (1, 2));
    for name in ["a", "b", "c"] {
        fixture.publish(name).unwrap();
        block_on(fixture.queue.fail(fixture.claim().remove(0), "no".to_owned())).unwrap();
    }
    let dead = block_on(fixture.queue.dead_letters(10)).unwrap();
    assert_eq!(dead.iter().map(|letter| letter.msg_id.as_str()).collect::<Vec<_>>(), ["c", "b"]);
}

#[test]
fn a_full_queue_refuses_and_takes_again_after_an_ack() {
    let fixture = Fixture::new(|config| config.max_depth = 2);
    fixture.publish("a").unwrap();
    fixture.publish("b").unwrap();
    let full = QueueError::Full { queue: "test".to_owned(), max_depth: 2 };
    assert_eq!(fixture.publish("c"), Err(full.clone()));
    let fixture = fixture.restart();
    assert_eq!(fixture.publish("c"), Err(full), "the bound holds after a restart");
    fixture.ack(&fixture.claim()[0]).unwrap();
    fixture.publish("c").unwrap();
}

#[test]
fn released_messages_come_again_as_new() {
    let fixture = Fixture::new(|_| {});
    fixture.publish("a").unwrap();
    block_on(fixture.queue.release(fixture.claim())).unwrap();
    assert_eq!(fixture.claim()[0].attempt, 1);
}

#[test]
fn the_lag_is_the_age_of_the_oldest() {
    let fixture = Fixture::new(|_| {});
    fixture.publish("a").unwrap();
    fixture.clock.advance(Duration::from_secs(3));
    fixture.publish("b").unwrap();
    assert_eq!(block_on(fixture.queue.stats()).unwrap().lag, Duration::from_secs(3));
}

#[test]
fn an_inbox_says_yes_once_per_consumer() {
    let fixture = Fixture::new(|_| {});
    let once = |consumer: &'static str| {
        let inbox = Inbox::new(consumer, 1_024).unwrap();
        fixture.db.write_blocking(move |tx| inbox.once(tx, "m-1")).unwrap()
    };
    assert_eq!([once("x"), once("x"), once("y"), once("y")], [true, false, true, false]);
}

#[test]
fn an_inbox_forgets_only_the_oldest() {
    let fixture = Fixture::new(|_| {});
    let inbox = Inbox::new("x", 1_024).unwrap();
    let count = fixture.db.write_blocking(move |tx| {
        for n in 0..3_000 {
            assert!(inbox.once(tx, &n.to_string())?);
        }
        assert!(!inbox.once(tx, "2999")?);
        tx.query_value::<u64>("SELECT count(*) FROM seawall_inbox", &[])
    });
    let count = count.unwrap().unwrap();
    assert!((1_024..1_024 + 256 + 1).contains(&count), "{count}");
}

#[test]
fn a_worker_handles_every_message_once_despite_a_bad_one() {
    let fixture = Fixture::new(|config| (config.max_attempts, config.batch) = (1, 10));
    let handled = Arc::new(Mutex::new(Vec::new()));
    let (done, finished) = mpsc::channel();
    let seen = Arc::clone(&handled);
    let worker = Worker::spawn(&fixture.queue, move |tx: &Tx<'_>, batch: &[Delivery]| {
        if batch.iter().any(|delivery| delivery.msg_id == "13") {
            panic!("on purpose");
        }
        let names: Vec<String> = batch.iter().map(|delivery| delivery.msg_id.clone()).collect();
        let (seen, done) = (Arc::clone(&seen), done.clone());
        tx.on_end(move |committed| {
            if committed {
                seen.lock().extend(names.iter().cloned());
                names.iter().for_each(|_| done.send(()).unwrap());
            }
        });
        Ok::<(), QueueError>(())
    });
    let worker = worker.unwrap();
    for n in 0..50 {
        fixture.publish(&n.to_string()).unwrap();
    }
    for _ in 0..49 {
        finished.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    worker.stop();
    let handled = handled.lock();
    assert_eq!(handled.len(), 49);
    assert_eq!(handled.iter().collect::<BTreeSet<_>>().len(), 49, "none twice");
    assert!(!handled.contains(&"13".to_owned()));
    assert_eq!(block_on(fixture.queue.dead_letters(9)).unwrap()[0].msg_id, "13");
}
